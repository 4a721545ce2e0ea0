/*
 * kafka_sink.c: the producer, shared by all threads. A call waits on a future of its own loop; Kafka's answer arrives on the control
 * thread and is posted back there. It bounds nothing itself: callers have at most so many calls under way (intake's max_rejects).
 */
#include "consumer/kafka_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "consumer/sha256.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/base/random.h"
#include "dispatch/coro/coro.h"
#include "metrics/counters.h"

enum { REPOST_MS = 50, HEADERS_MAX = 9 };

struct kafka_sink {
	struct kafka_client *client;
	const char *dead_topic;
	unsigned backoff_ms, backoff_max_ms;
	struct list unposted;           /* answers that memory was too short to post */
	struct co_timer repost;
};

/* One message under way: held by the waiting task and by Kafka's answer, both let go on the task's thread. */
struct delivery {
	struct list node;
	struct kafka_sink *sink;
	struct co_loop *loop;
	struct co_future *future;       /* its result: the errno, positive */
	int rc;
	int32_t partition;
	int64_t offset;
	unsigned refs;
};

/* ---- the answer's way back ---- */

static void delivery_unref(struct delivery *d)
{
	if (--d->refs > 0)
		return;
	co_unref(d->future);
	mem_free(d);
}

static void on_posted(void *arg)
{
	struct delivery *d = arg;

	if (!co_done(d->future))
		co_set_result(d->future, -d->rc);
	delivery_unref(d);
}

static void post(struct kafka_sink *sink, struct delivery *d)
{
	int rc = co_post(d->loop, on_posted, d);

	if (rc == -ENOMEM) {
		list_append(&sink->unposted, &d->node);
		if (!co_timer_started(&sink->repost) && co_timer_start(&sink->repost, clock_mono_us() + REPOST_MS * 1000) < 0)
			log_warn("no memory to answer a producer");     /* the next answer tries again */
	} else if (rc < 0) {
		mem_free(d);            /* its loop is gone, and the future with it */
	}
}

static void repost(void *arg)
{
	struct kafka_sink *sink = arg;
	struct list again;
	struct list *node;

	list_init(&again);
	list_splice(&again, &sink->unposted);
	while ((node = list_pop(&again)) != NULL)
		post(sink, list_entry(node, struct delivery, node));
}

static void on_sent(int rc, int32_t partition, int64_t offset, void *arg)
{
	struct delivery *d = arg;
	struct kafka_sink *sink = d->sink;

	d->rc = rc;
	d->partition = partition;
	d->offset = offset;
	if (!list_empty(&sink->unposted))
		repost(sink);
	post(sink, d);
}

/* ---- a producer's life ---- */

struct kafka_sink *kafka_sink_new(const struct kafka_sink_options *options, char *err, size_t err_len)
{
	struct kafka_options client = {
		.brokers = options->brokers, .settings = options->settings, .n_settings = options->n_settings,
	};
	struct kafka_sink *sink = mem_zalloc(sizeof *sink);

	if (sink == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	sink->dead_topic = options->dead_topic;
	sink->backoff_ms = options->backoff_ms;
	sink->backoff_max_ms = options->backoff_max_ms;
	list_init(&sink->unposted);
	co_timer_init(&sink->repost, repost, sink);
	sink->client = kafka_client_new_producer(&client, err, err_len);
	if (sink->client == NULL) {
		mem_free(sink);
		return NULL;
	}
	return sink;
}

void kafka_sink_close(struct kafka_sink *sink, int64_t deadline_us)
{
	if (sink == NULL)
		return;
	kafka_client_close(sink->client, deadline_us);
	while (!list_empty(&sink->unposted) && co_sleep_ms(REPOST_MS) == 0)
		repost(sink);
	co_timer_stop(&sink->repost);
	mem_free(sink);
}

const char *kafka_sink_trouble(const struct kafka_sink *sink)
{
	return kafka_client_trouble(sink->client);
}

const char *kafka_sink_dead_topic(const struct kafka_sink *sink)
{
	return sink->dead_topic;
}

/* ---- one message ---- */

static struct delivery *delivery_new(struct kafka_sink *sink)
{
	struct delivery *d = mem_zalloc(sizeof *d);

	if (d == NULL)
		return NULL;
	d->future = co_future_new();
	if (d->future == NULL) {
		mem_free(d);
		return NULL;
	}
	d->sink = sink;
	d->loop = co_loop_current();
	d->refs = 2;
	list_init(&d->node);
	return d;
}

int kafka_sink_produce(struct kafka_sink *sink, const struct kafka_message *message, int64_t deadline_us, int32_t *ret_partition,
		       int64_t *ret_offset)
{
	struct delivery *d = delivery_new(sink);
	int rc;

	if (d == NULL)
		return -ENOMEM;
	rc = kafka_client_produce(sink->client, message, on_sent, d);
	if (rc < 0) {
		d->refs = 1;
		delivery_unref(d);
		return rc;
	}
	rc = co_wait_for(d->future, deadline_us);
	if (rc > 0)
		rc = -rc;
	if (rc == 0 && ret_partition != NULL)
		*ret_partition = d->partition;
	if (rc == 0 && ret_offset != NULL)
		*ret_offset = d->offset;
	delivery_unref(d);
	return rc;
}

/* ---- dead letters ---- */

/* What of the record goes: each stage is for when Kafka refused the one before for good. */
enum stage {
	STAGE_WHOLE = 1,
	STAGE_NO_VALUE,                 /* truncated, size, sha256 in its place */
	STAGE_BARE,                     /* nor its key, and now for its timestamp, which is a header instead */
};

struct letter {
	struct kafka_message message;
	struct kafka_header headers[HEADERS_MAX];
	char partition[12], offset[24], size[24], timestamp[24], digest[SHA256_HEX + 1];
};

static void add_header(struct letter *l, const char *name, const void *value, size_t len)
{
	CHECK(l->message.n_headers < HEADERS_MAX);
	l->headers[l->message.n_headers++] = (struct kafka_header){ name, value, len };
}

static void add_number(struct letter *l, const char *name, int64_t n, char digits[24], size_t size)
{
	add_header(l, name, digits, (size_t)snprintf(digits, size, "%" PRId64, n));
}

static void compose(struct letter *l, const struct kafka_sink *sink, const struct kafka_sink_origin *from, const struct kafka_record *r,
		    const char *reason, enum stage stage)
{
	const void *trace;
	size_t trace_len;

	l->message = (struct kafka_message){
		.topic = sink->dead_topic, .key = r->key, .key_len = r->key_len, .value = r->value, .value_len = r->value_len,
		.timestamp_ms = r->timestamp_ms, .headers = l->headers,
	};
	add_header(l, "reason", reason, strlen(reason));
	add_header(l, "topic", from->topic, strlen(from->topic));
	add_header(l, "partition", l->partition, (size_t)snprintf(l->partition, sizeof l->partition, "%" PRId32, from->partition));
	add_number(l, "offset", r->offset, l->offset, sizeof l->offset);
	if (kafka_record_header(r, "traceparent", &trace, &trace_len))
		add_header(l, "traceparent", trace, trace_len);
	if (stage == STAGE_WHOLE)
		return;
	l->message.value = NULL;
	l->message.value_len = 0;
	sha256_hex(r->value, r->value_len, l->digest);
	add_header(l, "truncated", "true", 4);
	add_number(l, "size", (int64_t)r->value_len, l->size, sizeof l->size);
	add_header(l, "sha256", l->digest, SHA256_HEX);
	if (stage == STAGE_NO_VALUE)
		return;
	l->message.key = NULL;
	l->message.key_len = 0;
	l->message.timestamp_ms = -1;
	add_number(l, "timestamp", r->timestamp_ms, l->timestamp, sizeof l->timestamp);
}

/* The letter is large for a task's stack, so it is on the heap while it is handed over. */
static int post_letter(struct kafka_sink *sink, const struct kafka_sink_origin *from, const struct kafka_record *record,
		       const char *reason, enum stage stage)
{
	struct letter *l = mem_alloc(sizeof *l);
	int rc;

	if (l == NULL)
		return -ENOMEM;
	compose(l, sink, from, record, reason, stage);
	rc = kafka_sink_produce(sink, &l->message, CLOCK_NEVER, NULL, NULL);
	mem_free(l);
	return rc;
}

static enum stage next_stage(enum stage stage)
{
	return stage == STAGE_WHOLE ? STAGE_NO_VALUE : STAGE_BARE;
}

int kafka_sink_dead_letter(struct kafka_sink *sink, const struct kafka_sink_origin *from, const struct kafka_record *record,
			   const char *reason)
{
	enum stage stage = STAGE_WHOLE;
	unsigned pause_ms = sink->backoff_ms;

	for (;;) {
		int rc = post_letter(sink, from, record, reason, stage);

		if (rc == 0) {
			counters_add(COUNTER_DEAD_LETTERS, 1);
			if (stage != STAGE_WHOLE)
				counters_add(COUNTER_DEAD_LETTERS_TRUNCATED, 1);
		}
		if (rc == 0 || rc == -ECANCELED)
			return rc;
		if ((rc == -EMSGSIZE || rc == -EINVAL) && stage != STAGE_BARE) {
			stage = next_stage(stage);
			continue;
		}
		counters_add(COUNTER_DEAD_LETTER_RETRIES, 1);
		log_warn("dead letter not taken, its offset stays open", LOG_STR("topic", from->topic), LOG_INT("partition", from->partition),
			 LOG_INT("offset", record->offset), LOG_STR("dead_topic", sink->dead_topic), LOG_INT("errno", -rc));
		rc = co_sleep_ms((int64_t)random_below(pause_ms) + 1);
		if (rc < 0)
			return rc;
		pause_ms = pause_ms * 2 > sink->backoff_max_ms ? sink->backoff_max_ms : pause_ms * 2;
	}
}
