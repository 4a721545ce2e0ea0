/*
 * kafka_client.h: Kafka as this project needs it: a member of a consumer group, its partitions' queues, a producer. The only door to
 * librdkafka; the simulation links another implementation in this one's place.
 *
 * A client belongs to the control thread's loop. Queues are opened and answered for there, and read on the worker's thread that they
 * are lent to. Producing is for any thread. Errors: -EAGAIN is for now (try again), -ESTALE means that the group has gone on without
 * us, -ENOENT no such topic or partition, -EACCES not allowed, -EMSGSIZE too large for good, -EINVAL refused for good, -ESHUTDOWN
 * closed, -ENOMEM.
 */
#ifndef CONSUMER_KAFKA_CLIENT_H
#define CONSUMER_KAFKA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct kafka_client;
struct kafka_queue;

/* A key of librdkafka's, handed on as it is; stronger than what is set here. */
struct kafka_setting {
	const char *key, *value;
};

struct kafka_options {
	const char *brokers;
	const struct kafka_setting *settings;
	size_t n_settings;
	/* of a consumer */
	const char *group_id;
	const char *const *topics;
	size_t n_topics;
	const char *strategy;           /* partition.assignment.strategy */
	unsigned queue_kb;              /* prefetched per partition */
};

/* Whether librdkafka knows the settings: 0, or -EINVAL with words (key, value, what is wrong) in err. */
int kafka_client_check(const struct kafka_options *options, char *err, size_t err_len) MUST_CHECK;

/* Connects in the background. NULL with words in err. A consumer joins its group at once. */
struct kafka_client *kafka_client_new_consumer(const struct kafka_options *options, char *err, size_t err_len) MUST_CHECK;
struct kafka_client *kafka_client_new_producer(const struct kafka_options *options, char *err, size_t err_len) MUST_CHECK;

/* [suspends] Leaves the group (a static member stays in it), or sends what is queued and gives up on the rest at the deadline; then
 * frees. Never hangs: what librdkafka doesn't end in time is left behind, counted and logged. Rebalances go on meanwhile: another
 * task must answer them until kafka_client_next() says -ESHUTDOWN. All queues must be closed, all records freed. Takes NULL. */
void kafka_client_close(struct kafka_client *client, int64_t deadline_us);

/* What is wrong now: a literal, or NULL. Clears by itself when it is over. From the control thread. */
const char *kafka_client_trouble(const struct kafka_client *client);

/* [suspends] How many partitions the topic has. -ENOENT, -EACCES, -EAGAIN. */
int kafka_client_partitions(struct kafka_client *client, const char *topic, int64_t deadline_us) MUST_CHECK;

/* Whether a cooperative strategy can be trusted here (librdkafka >= 2.10). */
bool kafka_client_cooperative_is_safe(void);

/* ---- the group ---- */

struct kafka_part {
	const char *topic;
	int32_t partition;
	int64_t offset;                 /* where to read, or what to commit; < 0: none */
	int64_t committed, low, high;   /* kafka_client_offsets() */
	int err;                        /* kafka_client_commit(): 0, or why this one isn't committed */
};

struct kafka_rebalance {
	enum kafka_rebalance_kind { KAFKA_ASSIGN = 1, KAFKA_REVOKE, KAFKA_LOST } kind;
	bool all;                       /* LOST, without parts: whatever is left; the client ends and the group won't ask for it */
	size_t n;
	struct kafka_part *parts;       /* with their topics, owned by this */
};

/* [suspends] The next rebalance; it must be answered, and the group waits for that. 0, -ESHUTDOWN: closed. */
int kafka_client_next(struct kafka_client *client, struct kafka_rebalance **ret) MUST_CHECK;
/* Answers and frees it. ASSIGN: reading starts at each part's offset (queues are opened before); parts below 0 are left out. */
void kafka_client_answer(struct kafka_client *client, struct kafka_rebalance *rebalance);

/* [suspends] Fills committed (-1: none), low and high of each. 0, -EAGAIN, -EACCES, -ENOENT. */
int kafka_client_offsets(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us) MUST_CHECK;
/* [suspends] Commits parts' offsets. 0: the group's answer is in each part's err, which was 0 before: -ENOENT, -EACCES, -EAGAIN. -ESTALE,
 * -EACCES, -EAGAIN: none for sure. -ESTALE also once a record was lost to this client, which is a fatal trouble. */
int kafka_client_commit(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us) MUST_CHECK;
/* The log's bounds as last heard of; false: not yet. Doesn't ask. */
bool kafka_client_bounds(struct kafka_client *client, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_high);

/* ---- a partition's queue ---- */

struct kafka_record {
	int64_t offset, timestamp_ms;   /* timestamp < 0: none */
	const void *key, *value;        /* NULL: none */
	size_t key_len, value_len;
	void *handle;
};

/* Before the assignment is answered, so that its records go there and nowhere else. NULL: out of memory. */
struct kafka_queue *kafka_queue_open(struct kafka_client *client, const char *topic, int32_t partition) MUST_CHECK;
/* On the worker's thread: `on_readable(arg)` runs on its loop when an empty queue gets records. Edge-triggered: read until less comes
 * than was asked for. 0, -ENOMEM, -EMFILE. */
int kafka_queue_attach(struct kafka_queue *queue, void (*on_readable)(void *arg), void *arg) MUST_CHECK;
/* Up to `max` records, without waiting. Each is freed by kafka_record_free(). */
unsigned kafka_queue_read(struct kafka_queue *queue, struct kafka_record *ret_records, unsigned max);
/* On the thread that attached it; what was prefetched is dropped. Takes NULL. */
void kafka_queue_close(struct kafka_queue *queue);

void kafka_record_free(struct kafka_record *record);
/* The last header of that name; false: none. The value lives as long as the record. */
bool kafka_record_header(const struct kafka_record *record, const char *name, const void **ret_value, size_t *ret_len);

/* ---- producing ---- */

struct kafka_header {
	const char *name;
	const void *value;
	size_t len;
};

struct kafka_message {
	const char *topic;
	const void *key, *value;        /* NULL: none */
	size_t key_len, value_len;
	int64_t timestamp_ms;           /* < 0: now */
	const struct kafka_header *headers;
	size_t n_headers;
};

/* On the control thread, once: 0, or why it isn't in Kafka: -EAGAIN, -EMSGSIZE, -EINVAL, -ENOENT, -EACCES. */
typedef void(kafka_sent_fn)(int rc, int32_t partition, int64_t offset, void *arg);
/* From any thread; everything is copied. 0: on_sent will be called; else it won't. */
int kafka_client_produce(struct kafka_client *client, const struct kafka_message *message, kafka_sent_fn *on_sent, void *arg) MUST_CHECK;

#endif
