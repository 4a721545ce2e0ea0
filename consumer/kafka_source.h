/*
 * kafka_source.h: the group's side of taking records, on the control thread: which partitions are ours, which worker has each, what may
 * be committed. The records themselves go from librdkafka's queues to the workers and never pass here (intake.h).
 */
#ifndef CONSUMER_KAFKA_SOURCE_H
#define CONSUMER_KAFKA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consumer/kafka_client.h"
#include "consumer/record.h"

struct kafka_sink;
struct kafka_source;
struct worker;

enum kafka_start { KAFKA_START_ERROR = 1, KAFKA_START_EARLIEST, KAFKA_START_LATEST };

struct kafka_source_options {
	const char *brokers, *group_id;
	const char *const *topics;
	size_t n_topics;
	enum kafka_start start;         /* where a group without any offsets begins */
	const char *strategy;           /* "range" */
	const struct kafka_setting *settings;
	size_t n_settings;
	unsigned prefetch_kb;           /* of all partitions together */
	unsigned max_commit_skew, commit_interval_ms, revoke_drain_ms;
	unsigned max_rejects;           /* dead letters under way, per worker */
	struct record_options record;
};

/* For --check-config too: 0, or -EINVAL with words in err. Options that librdkafka doesn't know are named. */
int kafka_source_check(const struct kafka_source_options *options, char *err, size_t err_len) MUST_CHECK;

/* Starts in the background: waits for Kafka and the topics, then joins the group. The options' strings, the workers and the sink must
 * outlive it. NULL with words in err. */
struct kafka_source *kafka_source_start(const struct kafka_source_options *options, struct kafka_sink *sink,
					struct worker *const *workers, unsigned n_workers, char *err, size_t err_len) MUST_CHECK;

/* Stops reading, keeps the partitions and the group; what is in flight goes on. */
void kafka_source_pause(struct kafka_source *source);
void kafka_source_resume(struct kafka_source *source);

/* [suspends] Stops taking, lets what is in flight end until the deadline, cancels what isn't written then, commits, leaves the group.
 * How many records were taken and not committed (0: clean). Call once; kafka_source_free() follows. */
unsigned kafka_source_drain(struct kafka_source *source, int64_t deadline_us);
/* [suspends] After the drain, while the workers still run. Takes NULL. */
void kafka_source_free(struct kafka_source *source);

/* Whether it is in the group and nothing is wrong; if not, *ret_reason ("kafka: ...") holds until the next call. */
bool kafka_source_ready(const struct kafka_source *source, const char **ret_reason);
/* Whether it has been in the group at least once. */
bool kafka_source_joined(const struct kafka_source *source);
/* The words of a condition that only a person can end (a group without offsets and start = error, a fatal client error), or NULL. */
const char *kafka_source_fatal(const struct kafka_source *source);

struct kafka_source_partition {
	const char *topic;
	int32_t partition;
	uint32_t epoch;
	unsigned worker;
	int64_t committed, position;    /* -1: none yet */
	int64_t lag;                    /* behind the log's end as last heard of; -1: not known */
	unsigned inflight;              /* taken, not done */
	int64_t oldest_ms;              /* for how long the oldest of them has held the commit back */
};
typedef void(kafka_source_visit_fn)(const struct kafka_source_partition *partition, void *arg);
/* Calls visit for each partition that is ours. */
void kafka_source_each(const struct kafka_source *source, kafka_source_visit_fn *visit, void *arg);

#endif
