/*
 * store.h: the delivery record in Redis: who may send (claim), what became of it (outcome), when it is safe (barrier).
 * One store a worker, on the worker's thread and its own connection. Calls of one turn travel together, at most STORE_BATCH a script.
 * The record's format is public: README.md of this folder.
 */
#ifndef METRICS_STORE_H
#define METRICS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum { STORE_BATCH = 64, STORE_PARTS_MAX = 10, STORE_PROVIDER_ID_MAX = 64 };

/* redis.md, States; the values are the record's own and never change. */
enum store_state {
	STORE_QUEUED = 1, STORE_SENDING, STORE_SENT, STORE_DELIVERED, STORE_UNDELIVERED, STORE_EXPIRED, STORE_REJECTED, STORE_UNKNOWN,
	STORE_REFUSED, STORE_FAILED, STORE_LAPSED, STORE_CANCELLED, STORE_HELD,
};
const char *store_state_name(enum store_state state);

enum store_policy { STORE_RESEND = 1, STORE_HOLD, STORE_FAIL };        /* what an uncertain send becomes */

/* What the store learnt by its last claim of a message: the store's own, zero in a new message, nobody else's to write. */
struct store_claimed {
	int64_t accepted_ms, claimed_ms;        /* as the record has them; 0: not claimed yet */
	uint16_t claims;                        /* the token's count */
	uint16_t sending_len;                   /* bytes of the record as claimed; 0: not known */
	uint8_t uncertain;                      /* sends of it that are unknowable so far */
	bool unconfirmed;                       /* a claim was cancelled while under way */
};

/* The identity of a message, embedded in its job; strings live as long as the job. */
struct store_message {
	const char *id, *campaign, *topic;
	uint16_t id_len, campaign_len, topic_len;
	uint8_t shard;                  /* store_shard() */
	uint8_t parts;
	char country[4];                /* E.164 country code digits, NUL-terminated */
	int32_t partition;
	int64_t offset;
	uint32_t epoch;
	int64_t accepted_ms, expires_ms;
	enum store_policy on_uncertain;
	struct store_claimed last;
};

enum store_answer {
	STORE_GO = 1,           /* ours: send now */
	STORE_BUSY,             /* a living owner has it: wait_ms left of its lease */
	STORE_DUPLICATE,        /* settled already, here or at another position: `state` is its current one */
	STORE_IS_CANCELLED, STORE_IS_LAPSED,
	STORE_IS_HELD, STORE_IS_FAILED,        /* taken over, uncertain, and its policy (or max_resends) said so: settled */
	STORE_BAD_RECORD,       /* what is stored can't be read: settled as an error, counted */
};

struct store_claim {
	enum store_answer answer;
	enum store_state state;         /* DUPLICATE */
	bool redelivery;                /* DUPLICATE: our own position, so not counted as one */
	bool taken_over;                /* GO: an earlier owner's send is uncertain and was counted */
	uint16_t accepted_parts;        /* bit n: part n + 1 was accepted before; only the others are sent */
	uint8_t attempts;               /* so far, over all owners */
	int64_t wait_ms;                /* BUSY */
	int64_t lease_boot_ms;          /* GO: no byte is written past this (clock_boot_ms) */
};

/* What an outcome says. SETTLE ends the message in `state`; PART writes one accepted part, the message goes on; RELEASE gives the
 * claim back: certainly not sent (a retry claims again); UNCERTAIN asks the policy: *ret_answer is GO (resend: claim again),
 * IS_HELD or IS_FAILED. */
enum store_step { STORE_SETTLE = 1, STORE_PART, STORE_RELEASE, STORE_UNCERTAIN };

struct store_outcome {
	enum store_step step;
	enum store_state state;         /* SETTLE: SENT, REFUSED, FAILED, LAPSED, CANCELLED */
	const char *provider;           /* name; NULL where it never reached one */
	const char *error;              /* stable word; NULL: none */
	int64_t at_ms;                  /* when it happened (wall clock) */
	uint8_t attempts;
	uint8_t part;                   /* PART: from 1 */
	uint8_t n_ids;                  /* SETTLE SENT and PART: the provider's ids, one a part, in order; 0-length: unknown */
	struct store_provider_id {
		const char *s;
		uint8_t len;
	} ids[STORE_PARTS_MAX];
};

struct store_options {
	const char *url;                /* redis://[user@]host:port/db, unix:///path?db=0 */
	const char *user, *password;    /* NULL: none; not kept in logs */
	unsigned command_timeout_ms, reconnect_ms_max, shards;
	enum store_durability { STORE_LOCAL = 1, STORE_AOF, STORE_REPLICAS } durability;
	unsigned replicas;
	int64_t retention_s, rates_retention_s, receipt_deadline_s;
	unsigned lease_slack_ms;        /* 5,000: a lease is the attempt's deadline + this */
	unsigned max_resends;           /* 3 */
	unsigned claim_batch;           /* messages a claim call, 1 to STORE_BATCH (0): what a crash may leave claimed and unwritten */
	bool allow_eviction;
	const char *instance;           /* this daemon's name, kept in its run directory */
	uint64_t incarnation;           /* random at start */
};

struct store;

/* NULL with words in err. Connects in the background; store_ready() tells. */
struct store *store_new(const struct store_options *options, char *err, size_t err_len) MUST_CHECK;
void store_free(struct store *store);

/* Whether messages may be claimed now; if not, *ret_reason (may be NULL) is a literal for /readyz ("redis: connection refused",
 * "redis: LOADING"). Outcomes may go through earlier. */
bool store_ready(const struct store *store, const char **ret_reason);
/* Not ready, and waiting won't cure it: wrong version or password, eviction, no WAITAOF for durability = aof, another store's format.
 * It is tried again all the same. */
bool store_refused(const struct store *store);
/* [suspends] until it is. 0, -ECANCELED, -ETIMEDOUT. */
int store_wait_ready(struct store *store, int64_t deadline_us);
/* [suspends] The same for outcomes alone, which also go through where nothing may be claimed (an emptied store). */
int store_wait_writable(struct store *store, int64_t deadline_us);
/* The group has commits, so a store without `sms:meta` was emptied by somebody: nothing is claimed there until store_accept_empty(), or
 * until another has made it. Also said by the store itself, once a barrier has passed. */
void store_expect_existing(struct store *store);
/* `smstrack store init`: the empty store is meant to be empty, and is made. 0; -EEXIST: it isn't empty; -EAGAIN: Redis isn't there, or
 * is none that can be used. */
int store_accept_empty(struct store *store);

uint8_t store_shard(const struct store *store, const char *id, size_t len);

/* [suspends] Claims the message for an attempt that ends by `deadline_us` (monotonic). 0, -ECANCELED (the claim may stand: RELEASE
 * it, or shield this call), or -EAGAIN: Redis is away or slow; claiming again is harmless. */
int store_claim(struct store *store, struct store_message *msg, int64_t deadline_us, struct store_claim *ret) MUST_CHECK;

/* [suspends] Writes an outcome (and, for accepted parts, the mapping from the provider's ids) and returns when Redis has it.
 * -EAGAIN: Redis is away: call again, it is idempotent. -ECANCELED: it may still be written. *ret_answer (may be NULL) only for
 * UNCERTAIN. A record that can't be read or counted is logged, counted and left as it is: 0. */
int store_outcome(struct store *store, struct store_message *msg, const struct store_outcome *outcome, enum store_answer *ret_answer) MUST_CHECK;

/* [suspends] Returns 0 when everything that was acknowledged before the call is durable as configured (up to 2 s with `local` and
 * appendfsync everysec), `sms:meta` above all: a group with commits has a store, whatever became of its records. -EAGAIN when that
 * can't be said now (connection lost since, replicas missing, deadline): commit nothing and call again. -ECANCELED. */
int store_barrier(struct store *store, int64_t deadline_us) MUST_CHECK;
/* Whether several at once are of use. They are always safe; but WAIT and WAITAOF hold up all else on the connection. */
bool store_barriers_overlap(const struct store *store);

/* [suspends] The record as JSON text for `smstrack show` into *ret (heap, the caller's); -ENOENT, -EAGAIN. */
int store_show(struct store *store, const char *id, size_t id_len, char **ret) MUST_CHECK;

struct store_counters {
	uint64_t claims_total, outcomes_total, scripts_total, errors_total, reconnects_total, rewritten_total;
	uint64_t uncertain_total, duplicates_total, extra_sends_total, taken_over_total;
	uint64_t pending, retained;     /* gauges: calls waiting for an answer; outcomes kept until the barrier */
};
void store_counters(const struct store *store, struct store_counters *ret);

#endif
