/*
 * kafka_sink.h: records out: dead letters, and jobs that the admin API takes. Its producer lives on the control thread; every call
 * below may be made from any thread's task and resumes there.
 */
#ifndef CONSUMER_KAFKA_SINK_H
#define CONSUMER_KAFKA_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "consumer/kafka_client.h"

struct kafka_sink;

struct kafka_sink_options {
	const char *brokers;
	const struct kafka_setting *settings;
	size_t n_settings;
	const char *dead_topic;         /* sms.dead */
	unsigned backoff_ms, backoff_max_ms;
};

/* On the control thread. NULL with words in err. */
struct kafka_sink *kafka_sink_new(const struct kafka_sink_options *options, char *err, size_t err_len) MUST_CHECK;
/* [suspends] On the control thread, while the workers still run, with no call below under way. Takes NULL. */
void kafka_sink_close(struct kafka_sink *sink, int64_t deadline_us);

struct kafka_sink_origin {
	const char *topic;
	int32_t partition;
};

/* [suspends] until the dead letter is in Kafka: however often it takes. The record's key, timestamp and bytes as they are, with headers
 * reason, topic, partition, offset (and traceparent, where the record has one); what Kafka refuses for good goes without its value,
 * with headers truncated, size, sha256. 0, -ECANCELED (it may still arrive). */
int kafka_sink_dead_letter(struct kafka_sink *sink, const struct kafka_sink_origin *from, const struct kafka_record *record,
			   const char *reason) MUST_CHECK;

/* [suspends] Puts one message into Kafka, once: 0, or kafka_client.h's errors, -ETIMEDOUT (it may still arrive), -ECANCELED. Partition
 * and offset may be NULL. */
int kafka_sink_produce(struct kafka_sink *sink, const struct kafka_message *message, int64_t deadline_us, int32_t *ret_partition,
		       int64_t *ret_offset) MUST_CHECK;

/* On the control thread: what is wrong with its connection: a literal ("no broker answers"), or NULL. */
const char *kafka_sink_trouble(const struct kafka_sink *sink);
const char *kafka_sink_dead_topic(const struct kafka_sink *sink);

#endif
