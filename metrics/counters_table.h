/*
 * counters_table.h: every counter of the process, declared once. Append a line: X(id, "name", kind, "help").
 * Kinds: TOTAL (only grows, name ends in _total), GAUGE (the sum over threads of what each has set last), SECONDS (a histogram of
 * durations, observed in microseconds, name ends in _seconds). Included wherever X is defined; never twice the same id.
 */
X(COUNTER_ACCEPTED_TO_SENT, "smstrack_accepted_to_sent_seconds", SECONDS, "From the record's Kafka timestamp to the provider's yes.")
X(COUNTER_STORE_CLAIMS, "smstrack_store_claims_total", TOTAL, "Claims that Redis answered.")
X(COUNTER_STORE_OUTCOMES, "smstrack_store_outcomes_total", TOTAL, "Outcomes that Redis has taken.")
X(COUNTER_STORE_SCRIPTS, "smstrack_store_scripts_total", TOTAL, "Script calls sent to Redis, each with up to 64 messages.")
X(COUNTER_STORE_ERRORS, "smstrack_store_errors_total", TOTAL, "Error replies of Redis, whole calls and single messages.")
X(COUNTER_STORE_BAD_RECORDS, "smstrack_store_bad_records_total", TOTAL, "Delivery records that could not be read.")
X(COUNTER_STORE_REWRITTEN, "smstrack_store_rewritten_total", TOTAL, "Outcomes written again because Redis may have lost them.")
X(COUNTER_STORE_UNCERTAIN, "smstrack_store_uncertain_total", TOTAL, "Sends whose outcome can't be known.")
X(COUNTER_STORE_DUPLICATES, "smstrack_store_duplicates_total", TOTAL, "Records whose id was produced before, at another position.")
X(COUNTER_STORE_EXTRA_SENDS, "smstrack_store_extra_sends_total", TOTAL, "Sends that the provider took beyond the first of a message.")
X(COUNTER_STORE_TAKEN_OVER, "smstrack_store_taken_over_total", TOTAL, "Claims taken over from an owner that is gone.")
X(COUNTER_STORE_PENDING, "smstrack_store_pending", GAUGE, "Messages in calls that wait for an answer of Redis.")
X(COUNTER_STORE_RETAINED, "smstrack_store_retained", GAUGE, "Outcomes kept in memory until they are durable in Redis.")
X(COUNTER_REDIS_COMMANDS, "smstrack_redis_commands_total", TOTAL, "Commands sent to Redis.")
X(COUNTER_REDIS_CONNECTS, "smstrack_redis_connects_total", TOTAL, "Connections to Redis that became usable.")
X(COUNTER_REDIS_LOST, "smstrack_redis_lost_total", TOTAL, "Connections to Redis that failed or were lost.")
X(COUNTER_REDIS_TIMEOUTS, "smstrack_redis_timeouts_total", TOTAL, "Commands that Redis left without an answer for too long.")
X(COUNTER_REDIS_REFUSED, "smstrack_redis_refused_total", TOTAL, "Commands not queued because too many were waiting already.")
X(COUNTER_REDIS_UP, "smstrack_redis_up", GAUGE, "Connections to Redis that are usable now.")
