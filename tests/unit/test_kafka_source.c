/* consumer/kafka_source*.c: the group's side, on a client, workers and intakes of the test's own, all on one loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/intake.h"
#include "consumer/kafka_sink.h"
#include "consumer/kafka_source.h"
#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "dispatch/worker.h"

enum { PARTITIONS = 3, PATIENCE_MS = 5000 };

/* ---- the client: its rebalances and refusals are the test's ---- */

struct kafka_client {
	struct co_queue *rebalances;
	bool member;
};

struct kafka_queue {
	int32_t partition;
};

static struct kafka_client *member;
static struct kafka_queue queues[PARTITIONS];
static bool refuses_close;
static unsigned commits;
static int commit_err[PARTITIONS];       /* what the group answers for each */

int kafka_client_check(const struct kafka_options *options, char *err, size_t err_len)
{
	(void)options, (void)err, (void)err_len;
	return 0;
}

static struct kafka_rebalance *rebalance(enum kafka_rebalance_kind kind, unsigned n)
{
	struct kafka_rebalance *r = mem_zalloc(sizeof *r + n * sizeof *r->parts);

	assert_non_null(r);
	r->kind = kind;
	r->n = n;
	r->parts = (struct kafka_part *)(r + 1);
	for (unsigned i = 0; i < n; i++)
		r->parts[i] = (struct kafka_part){ .topic = "jobs", .partition = (int32_t)i, .offset = -1, .committed = -1 };
	return r;
}

struct kafka_client *kafka_client_new_consumer(const struct kafka_options *options, char *err, size_t err_len)
{
	struct kafka_client *c = mem_zalloc(sizeof *c);

	(void)err, (void)err_len;
	assert_non_null(c);
	c->rebalances = co_queue_new(0);
	c->member = options->n_topics > 0;
	if (c->member) {
		member = c;
		assert_int_equal(co_queue_try_put(c->rebalances, rebalance(KAFKA_ASSIGN, PARTITIONS)), 0);
	}
	return c;
}

/* As the real one does: the member's last rebalance, then the end. */
void kafka_client_close(struct kafka_client *client, int64_t deadline_us)
{
	(void)deadline_us;
	if (client == NULL)
		return;
	if (client->member) {
		struct kafka_rebalance *last = refuses_close ? rebalance(KAFKA_LOST, 0) : rebalance(KAFKA_REVOKE, PARTITIONS);

		last->all = refuses_close;
		assert_int_equal(co_queue_try_put(client->rebalances, last), 0);
		assert_int_equal(co_queue_try_put(client->rebalances, NULL), 0);
		for (unsigned i = 0; i < 20; i++)
			(void)!co_sleep_ms(1);
	}
	co_queue_free(client->rebalances);
	mem_free(client);
}

const char *kafka_client_trouble(const struct kafka_client *client)
{
	(void)client;
	return NULL;
}

int kafka_client_partitions(struct kafka_client *client, const char *topic, int64_t deadline_us)
{
	(void)client, (void)topic, (void)deadline_us;
	return PARTITIONS;
}

bool kafka_client_cooperative_is_safe(void)
{
	return true;
}

int kafka_client_next(struct kafka_client *client, struct kafka_rebalance **ret)
{
	void *item = NULL;
	int rc = co_queue_get(client->rebalances, &item, CLOCK_NEVER);

	*ret = item;
	return rc < 0 ? rc : item == NULL ? -ESHUTDOWN : 0;
}

void kafka_client_answer(struct kafka_client *client, struct kafka_rebalance *r)
{
	(void)client;
	mem_free(r);
}

int kafka_client_offsets(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	(void)client, (void)deadline_us;
	for (size_t i = 0; i < n; i++)
		parts[i].committed = parts[i].low = parts[i].high = 0;
	return 0;
}

int kafka_client_commit(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	(void)client, (void)deadline_us;
	for (size_t i = 0; i < n; i++)
		parts[i].err = commit_err[parts[i].partition];
	commits++;
	return 0;
}

bool kafka_client_bounds(struct kafka_client *client, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_high)
{
	(void)client, (void)topic, (void)partition, (void)ret_low, (void)ret_high;
	return false;
}

struct kafka_queue *kafka_queue_open(struct kafka_client *client, const char *topic, int32_t partition)
{
	(void)client, (void)topic;
	return &queues[partition];
}

void kafka_queue_close(struct kafka_queue *queue)
{
	(void)queue;
}

const char *kafka_sink_dead_topic(const struct kafka_sink *sink)
{
	(void)sink;
	return "dead";
}

const char *kafka_sink_trouble(const struct kafka_sink *sink)
{
	(void)sink;
	return NULL;
}

/* ---- one worker, whose thread is this one ---- */

struct worker {
	unsigned index;
};

int worker_call(struct worker *w, int (*body)(void *arg), void *arg)
{
	(void)w;
	return body(arg);
}

int worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
	(void)w;
	fn(arg);
	return 0;
}

unsigned worker_index(const struct worker *w)
{
	return w->index;
}

struct dispatch *worker_dispatch(const struct worker *w)
{
	(void)w;
	return NULL;
}

struct store *worker_store(const struct worker *w)
{
	(void)w;
	return NULL;
}

/* ---- its intake: knows what it was lent ---- */

struct intake {
	struct intake_shared *lent[PARTITIONS];
	unsigned n, lost;
};

static struct intake seat;

struct intake *intake_new(const struct intake_options *options, struct dispatch *dispatch, struct store *store)
{
	(void)options, (void)dispatch, (void)store;
	seat = (struct intake){ 0 };
	return &seat;
}

void intake_free(struct intake *in)
{
	assert_int_equal(in->n, 0);
}

int intake_lend(struct intake *in, const struct intake_grant *grant)
{
	in->lent[grant->partition] = grant->shared;
	in->n++;
	return 0;
}

void intake_revoke(struct intake *in, struct intake_shared *const *shared, unsigned n, bool lost)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned p = 0; p < PARTITIONS; p++)
			if (in->lent[p] == shared[i])
				in->lent[p] = NULL;
	in->n -= n;
	in->lost += lost ? n : 0;
}

unsigned intake_drain(struct intake *in, int64_t deadline_us)
{
	(void)in, (void)deadline_us;
	return 0;
}

int intake_begin_store(struct intake *in)
{
	(void)in;
	return 0;
}

void intake_kick(struct intake *in)
{
	(void)in;
}

/* ---- the frame ---- */

static struct kafka_source *start(void)
{
	static const char *const topics[] = { "jobs" };
	static struct worker worker;
	static struct worker *const workers[] = { &worker };
	struct kafka_source_options options = {
		.brokers = "none", .group_id = "g", .topics = topics, .n_topics = 1, .start = KAFKA_START_EARLIEST, .strategy = "range",
		.prefetch_kb = 1024, .max_commit_skew = 100, .commit_interval_ms = 5, .revoke_drain_ms = 5, .max_rejects = 1,
	};
	struct kafka_source *s;
	char err[256];

	refuses_close = false;
	commits = 0;
	memset(commit_err, 0, sizeof commit_err);
	s = kafka_source_start(&options, NULL, workers, 1, err, sizeof err);
	assert_non_null(s);
	return s;
}

#define wait_until(cond) \
	do { \
		int64_t end_us_ = clock_mono_us() + PATIENCE_MS * 1000; \
		while (!(cond)) { \
			assert_true(clock_mono_us() < end_us_); \
			(void)!co_sleep_ms(1); \
		} \
	} while (0)

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

static void end(struct kafka_source *s)
{
	(void)kafka_source_drain(s, clock_mono_us() + PATIENCE_MS * 1000);
	kafka_source_free(s);
}

CASE(test_kafka_source_stop_returns_what_was_lent)
{
	struct kafka_source *s = start();

	(void)arg;
	wait_until(kafka_source_joined(s));
	assert_int_equal(seat.n, PARTITIONS);
	end(s);
	assert_int_equal(seat.lost, 0);
	return 0;
}

/* A client that broke for good is refused its close: no revocation came, and the intake was freed with leases (abort at stop). */
CASE(test_kafka_source_refused_close_loses_what_is_left)
{
	struct kafka_source *s = start();

	(void)arg;
	wait_until(kafka_source_joined(s));
	refuses_close = true;
	end(s);
	assert_int_equal(seat.lost, PARTITIONS);
	return 0;
}

/* One deleted topic, or one missing right, failed the whole list: all the others stopped at max_commit_skew. */
CASE(test_kafka_source_one_refused_partition_holds_no_other_back)
{
	struct kafka_source *s = start();
	const char *why = NULL;

	(void)arg;
	wait_until(kafka_source_ready(s, &why));
	commit_err[1] = -ENOENT;
	for (unsigned i = 0; i < PARTITIONS; i++)
		seat.lent[i]->committable = 7;
	wait_until(seat.lent[0]->committed == 7 && seat.lent[2]->committed == 7);
	assert_int_equal(seat.lent[1]->committed, 0);
	wait_until(!kafka_source_ready(s, &why));
	assert_string_equal(why, "kafka: offsets of jobs/1 can't be committed: no such topic or partition");
	seat.lent[0]->committable = 8;
	wait_until(seat.lent[0]->committed == 8);
	assert_false(kafka_source_ready(s, &why));
	commit_err[1] = 0;
	wait_until(seat.lent[1]->committed == 7);
	wait_until(kafka_source_ready(s, &why));
	end(s);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kafka_source_stop_returns_what_was_lent),
		cmocka_unit_test(test_kafka_source_refused_close_loses_what_is_left),
		cmocka_unit_test(test_kafka_source_one_refused_partition_holds_no_other_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
