/* consumer/kafka_client*.c: what a real broker is hard to be made to do, on librdkafka's own mock cluster. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/kafka_client_private.h"

#include <librdkafka/rdkafka_mock.h>    /* after rdkafka.h */

enum { PARTITIONS = 4, PATIENCE_MS = 30000 };  /* as many as the mock gives to a topic that it makes when it is asked about */

static int64_t in_time(void)
{
	return clock_mono_us() + PATIENCE_MS * 1000;
}

/* A member of a group on a cluster of its own, whose partitions are assigned; not answered yet. */
static struct kafka_client *join(struct kafka_rebalance **ret)
{
	static const struct kafka_setting settings[] = { { "test.mock.num.brokers", "1" } };
	static const char *const topics[] = { "jobs" };
	struct kafka_options options = { .brokers = "none", .settings = settings, .n_settings = 1, .group_id = "g",
					 .topics = topics, .n_topics = 1, .strategy = "range", .queue_kb = 1024 };
	char err[256] = "";
	struct kafka_client *c = kafka_client_new_consumer(&options, err, sizeof err);

	assert_non_null(c);
	(void)rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(c->rk), "jobs", PARTITIONS, 1);  /* or it is there by now */
	do {
		assert_int_equal(kafka_client_next(c, ret), 0);
		assert_int_equal((*ret)->kind, KAFKA_ASSIGN);
		if ((*ret)->n == 0)
			kafka_client_answer(c, *ret);   /* the topic wasn't there yet */
	} while ((*ret)->n == 0);
	assert_int_equal((*ret)->n, PARTITIONS);
	return c;
}

static void on_sent(int rc, int32_t partition, int64_t offset, void *arg)
{
	(void)partition, (void)offset;
	*(int *)arg = rc;
}

/* One record into partition 0 of c's cluster. */
static void produce(struct kafka_client *c)
{
	struct kafka_options options = { .brokers = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(c->rk)) };
	struct kafka_message message = { .topic = "jobs", .key = "k", .key_len = 1, .value = "v", .value_len = 1, .timestamp_ms = -1 };
	char err[256];
	struct kafka_client *producer = kafka_client_new_producer(&options, err, sizeof err);
	int rc = 1;

	assert_non_null(producer);
	assert_int_equal(kafka_client_produce(producer, &message, on_sent, &rc), 0);
	while (rc == 1)
		assert_int_equal(co_sleep_ms(1), 0);
	assert_int_equal(rc, 0);
	kafka_client_close(producer, in_time());
}

static int close_body(void *arg)
{
	kafka_client_close(arg, in_time());
	return 0;
}

/* Closes c and lets go of what it asks back on the way. */
static void close_client(struct kafka_client *c)
{
	struct co_future *closing = co_task_new_static(close_body, c, "close");
	struct kafka_rebalance *r;

	assert_non_null(closing);
	while (kafka_client_next(c, &r) == 0)
		kafka_client_answer(c, r);
	assert_int_equal(co_await(closing), 0);
	co_unref(closing);
}

static void on_loop(co_body_fn *body)
{
	struct co_loop *loop = co_loop_new();

	assert_non_null(loop);
	assert_int_equal(co_run(loop, body, NULL, "test"), 0);
	co_loop_free(loop);
}

#define CASE(name) \
	static int name##_body(void *arg); \
	static void name(void **state) \
	{ \
		(void)state; \
		on_loop(name##_body); \
	} \
	static int name##_body(void *arg)

/* Its queues were left open: librdkafka asks for nothing back once it has refused the close. */
CASE(test_kafka_client_refused_close_takes_all_back)
{
	struct kafka_rebalance *r;
	struct kafka_client *c = join(&r);
	struct co_future *closing;

	(void)arg;
	for (size_t i = 0; i < r->n; i++)
		r->parts[i].offset = 0;
	kafka_client_answer(c, r);
	assert_int_equal(rd_kafka_test_fatal_error(c->rk, RD_KAFKA_RESP_ERR_INVALID_MSG, "a test's"), 0);
	closing = co_task_new_static(close_body, c, "close");
	assert_int_equal(kafka_client_next(c, &r), 0);
	assert_int_equal(r->kind, KAFKA_LOST);
	assert_true(r->all);
	kafka_client_answer(c, r);
	assert_int_equal(kafka_client_next(c, &r), -ESHUTDOWN);
	assert_int_equal(co_await(closing), 0);
	co_unref(closing);
	return 0;
}

/* librdkafka gave one partition's error to all of its list. */
CASE(test_kafka_client_commit_answers_part_by_part)
{
	struct kafka_rebalance *r;
	struct kafka_client *c = join(&r);
	struct kafka_part parts[] = { { .topic = "jobs", .partition = 0, .offset = 3 }, { .topic = "jobs", .partition = 1, .offset = 4 },
				      { .topic = "jobs", .partition = 77, .offset = 3 } };

	(void)arg;
	kafka_client_answer(c, r);      /* nothing is read */
	assert_int_equal(kafka_client_commit(c, parts, 3, in_time()), 0);
	assert_int_equal(parts[0].err, 0);
	assert_int_equal(parts[1].err, 0);
	assert_int_equal(parts[2].err, -ENOENT);
	close_client(c);
	return 0;
}

/* It was destroyed with a line in the log, while later offsets might be committed past it. */
CASE(test_kafka_client_record_past_its_queue_is_fatal)
{
	struct kafka_rebalance *r;
	struct kafka_client *c = join(&r);
	struct kafka_part part = { .topic = "jobs", .partition = 0, .offset = 1 };

	(void)arg;
	for (size_t i = 0; i < r->n; i++)
		r->parts[i].offset = 0;
	kafka_client_answer(c, r);      /* no queue was opened: records go to the main one */
	assert_null(kafka_client_trouble(c));
	produce(c);
	while (kafka_client_trouble(c) == NULL)
		assert_int_equal(co_sleep_ms(1), 0);
	assert_string_equal(kafka_client_trouble(c), "kafka: fatal: a record came past its partition's queue");
	assert_int_equal(kafka_client_commit(c, &part, 1, in_time()), -ESTALE);
	close_client(c);
	return 0;
}

/* The answer was written to parts that were gone: who waits gives up in time, and the answer comes all the same. */
CASE(test_kafka_client_commit_may_be_answered_late)
{
	struct kafka_rebalance *r;
	struct kafka_client *c = join(&r);
	struct kafka_part *part = calloc(1, sizeof *part);

	(void)arg;
	kafka_client_answer(c, r);
	*part = (struct kafka_part){ .topic = "jobs", .partition = 77, .offset = 3 };
	assert_int_equal(kafka_client_commit(c, part, 1, clock_mono_us()), -EAGAIN);
	assert_int_equal(part->err, 0);
	free(part);
	while (!list_empty(&c->commits))
		assert_int_equal(co_sleep_ms(1), 0);
	close_client(c);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kafka_client_refused_close_takes_all_back),
		cmocka_unit_test(test_kafka_client_commit_answers_part_by_part),
		cmocka_unit_test(test_kafka_client_commit_may_be_answered_late),
		cmocka_unit_test(test_kafka_client_record_past_its_queue_is_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
