/*
 * intake_fixture.h: what the tests of consumer/intake*.c stand on: a Kafka queue, a dispatch, a store and a sink of their own, on the
 * real runtime. Included once by each of them.
 */
#ifndef TESTS_INTAKE_FIXTURE_H
#define TESTS_INTAKE_FIXTURE_H

#include "tests/unit/intake_fakes.h"

/* ---- the frame ---- */

static _Atomic bool paused;
static unsigned commits_due;
static struct kafka_queue queues[2];
static struct intake_shared shared[2];

static void on_commit_due(void *arg)
{
	(void)arg;
	commits_due++;
}

static struct intake *start(unsigned room, unsigned skew)
{
	struct intake_options options = {
		.record = { .default_ttl_s = 60, .on_uncertain = STORE_RESEND, .shards = 16 },
		.max_commit_skew = skew, .commit_interval_ms = 5, .revoke_drain_ms = 100, .max_rejects = 2, .paused = &paused,
		.on_commit_due = on_commit_due,
	};
	struct intake *in;

	memset(&d, 0, sizeof d);
	memset(queues, 0, sizeof queues);
	barrier_rc = 0;
	barrier_ms = 0;
	barriers_overlap = true;
	barriers = expected = letters = letters_cancelled = commits_due = 0;
	live_records = 0;
	paused = false;
	sink_open = true;
	d.room = room;
	in = intake_new(&options, &d, NULL);
	assert_non_null(in);
	return in;
}

static void lend_at(struct intake *in, unsigned i, uint32_t epoch, int64_t from)
{
	struct intake_grant grant = { .queue = &queues[i], .shared = &shared[i], .topic = "jobs", .partition = (int32_t)i, .epoch = epoch,
				      .start = from };

	memset(&shared[i], 0, sizeof shared[i]);
	shared[i].committable = shared[i].position = shared[i].committed = -1;
	assert_int_equal(intake_lend(in, &grant), 0);
}

static void put_value(unsigned q, int64_t offset, const char *value)
{
	struct kafka_queue *queue = &queues[q];

	queue->log[queue->n].offset = offset;
	snprintf(queue->log[queue->n++].value, sizeof queue->log[0].value, "%s", value);
	if (queue->attached)
		queue->on_readable(queue->arg);
}

static void put(unsigned q, int64_t offset, const char *id)
{
	char value[128];

	snprintf(value, sizeof value, "{\"id\":\"%s\",\"to\":\"+491701234567\",\"text\":\"x\"}", id);
	put_value(q, offset, value);
}

static void put_range(unsigned q, int64_t from, unsigned n)
{
	char id[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof id, "q%u-%lld", q, (long long)from + i);
		put(q, from + i, id);
	}
}

/* Lets the tasks run until the condition holds. */
#define wait_until(cond) \
	do { \
		int64_t end_us_ = clock_mono_us() + PATIENCE_MS * 1000; \
		while (!(cond)) { \
			assert_true(clock_mono_us() < end_us_); \
			(void)!co_sleep_ms(1); \
		} \
	} while (0)

/* Long enough for anything that wrongly happens to happen: the tasks' own ticks come many times. */
static void settle_down(void)
{
	unsigned now = barriers;

	for (unsigned i = 0; i < 40; i++)
		(void)!co_sleep_ms(1);
	(void)now;
}

static void take_back(struct intake *in, unsigned i, bool lost)
{
	struct intake_shared *s = &shared[i];

	intake_revoke(in, &s, 1, lost);
	assert_false(queues[i].attached);
}

static void end(struct intake *in)
{
	intake_free(in);
	assert_int_equal(live_records, 0);
}

/* Runs the case as a task. */
static void on_loop(void **state, co_body_fn *body)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, body, NULL, "test"), 0);
	co_loop_free(loop);
}

#define CASE(name) \
	static int name##_body(void *arg); \
	static void name(void **state) \
	{ \
		on_loop(state, name##_body); \
	} \
	static int name##_body(void *arg)

#endif
