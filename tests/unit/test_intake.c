/* consumer/intake*.c with a Kafka queue, a dispatch, a store and a sink of the test's own, on the real runtime. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/intake.h"
#include "consumer/kafka_client.h"
#include "consumer/kafka_sink.h"
#include "dispatch/coro/coro.h"
#include "dispatch/dispatch.h"
#include "dispatch/job.h"

enum { LOG_MAX = 4096, JOBS_MAX = 4096, PATIENCE_MS = 5000 };

/* ---- Kafka: a queue is a log that was prefetched as a whole ---- */

struct kafka_queue {
	struct { int64_t offset; char value[128]; } log[LOG_MAX];
	unsigned n, next, reads;
	void (*on_readable)(void *arg);
	void *arg;
	bool attached;
};

static int live_records;

int kafka_queue_attach(struct kafka_queue *queue, void (*on_readable)(void *arg), void *arg)
{
	queue->on_readable = on_readable;
	queue->arg = arg;
	queue->attached = true;
	return 0;
}

unsigned kafka_queue_read(struct kafka_queue *queue, struct kafka_record *ret_records, unsigned max)
{
	unsigned n = 0;

	assert_true(queue->attached);
	queue->reads++;
	for (; n < max && queue->next < queue->n; n++, queue->next++) {
		ret_records[n] = (struct kafka_record){ .offset = queue->log[queue->next].offset, .timestamp_ms = -1,
							.value = queue->log[queue->next].value,
							.value_len = strlen(queue->log[queue->next].value) };
		live_records++;
	}
	return n;
}

void kafka_queue_close(struct kafka_queue *queue)
{
	queue->attached = false;
}

void kafka_record_free(struct kafka_record *record)
{
	(void)record;
	live_records--;
}

/* ---- the dispatch: holds what it gets until the test ends it ---- */

struct dispatch {
	dispatch_end_fn *on_end;
	dispatch_room_fn *on_room;
	void *arg;
	struct job *jobs[JOBS_MAX];
	bool written[JOBS_MAX];
	unsigned n, room, inflight;
	int submit_rc;
};

static struct dispatch d;

void dispatch_on_end(struct dispatch *dispatch, dispatch_end_fn *on_end, dispatch_room_fn *on_room, void *arg)
{
	dispatch->on_end = on_end;
	dispatch->on_room = on_room;
	dispatch->arg = arg;
}

unsigned dispatch_room(const struct dispatch *dispatch)
{
	return dispatch->room;
}

int dispatch_submit(struct dispatch *dispatch, struct job *job)
{
	if (dispatch->submit_rc < 0)
		return dispatch->submit_rc;
	assert_true(dispatch->room > 0 && dispatch->n < JOBS_MAX);
	dispatch->jobs[dispatch->n++] = job;
	dispatch->room--;
	dispatch->inflight++;
	return 0;
}

static void finish(unsigned i, enum dispatch_end end)
{
	struct job *job = d.jobs[i];

	assert_non_null(job);
	d.jobs[i] = NULL;
	d.inflight--;
	d.on_end(job, end, d.arg);
	if (d.room++ == 0)
		d.on_room(d.arg);
}

void dispatch_cancel_unwritten(struct dispatch *dispatch, const struct intake_partition *source)
{
	for (unsigned i = 0; i < dispatch->n; i++)
		if (dispatch->jobs[i] != NULL && !dispatch->written[i] && (source == NULL || dispatch->jobs[i]->source == source))
			finish(i, DISPATCH_ABANDONED);
}

int dispatch_wait_idle(struct dispatch *dispatch, int64_t deadline_us)
{
	while (dispatch->inflight > 0 && clock_mono_us() < deadline_us)
		(void)!co_sleep_ms(1);
	return dispatch->inflight > 0 ? -ETIMEDOUT : 0;
}

/* ---- store and sink ---- */

static int barrier_rc;
static unsigned barriers;

int store_barrier(struct store *store, int64_t deadline_us)
{
	(void)store;
	(void)deadline_us;
	barriers++;
	return co_yield() < 0 ? -ECANCELED : barrier_rc;
}

static bool sink_open;
static unsigned letters, letters_cancelled;
static char last_reason[32];

int kafka_sink_dead_letter(struct kafka_sink *sink, const struct kafka_sink_origin *from, const struct kafka_record *record,
			   const char *reason)
{
	(void)sink;
	assert_string_equal(from->topic, "jobs");
	assert_non_null(record->value);
	while (!sink_open) {
		if (co_sleep_ms(1) < 0) {
			letters_cancelled++;
			return -ECANCELED;
		}
	}
	letters++;
	snprintf(last_reason, sizeof last_reason, "%s", reason);
	return 0;
}

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
	barriers = letters = letters_cancelled = commits_due = 0;
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

/* ---- cases ---- */

CASE(test_intake_publishes_contiguous_prefix_behind_barrier)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	assert_string_equal(d.jobs[1]->msg.id, "q0-1");
	assert_int_equal(d.jobs[1]->msg.offset, 1);
	assert_int_equal(d.jobs[1]->msg.epoch, 1);
	barrier_rc = -EAGAIN;
	finish(1, DISPATCH_SETTLED);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_true(barriers > 0);
	assert_int_equal(shared[0].committable, -1);
	barrier_rc = 0;
	wait_until(shared[0].committable == 2);
	finish(2, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 3);
	assert_int_equal(shared[0].position, 3);
	wait_until(shared[0].open == 0);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_backpressure_is_not_reading)
{
	struct intake *in = start(4, 100);

	(void)arg;
	put_range(0, 0, 50);
	lend_at(in, 0, 1, 0);
	wait_until(d.n == 4);
	settle_down();
	assert_int_equal(queues[0].next, 4);
	finish(2, DISPATCH_SETTLED);
	wait_until(d.n == 5);
	settle_down();
	assert_int_equal(queues[0].next, 5);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_stops_at_commit_skew)
{
	struct intake *in = start(100, 8);

	(void)arg;
	put_range(0, 0, 20);
	lend_at(in, 0, 1, 0);
	wait_until(d.n == 8);
	for (unsigned i = 1; i < 8; i++)
		finish(i, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(d.n, 8);
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 8 && commits_due > 0);
	settle_down();
	assert_int_equal(d.n, 8);               /* published, but not committed yet */
	shared[0].committed = 8;
	intake_kick(in);
	wait_until(d.n == 16);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_is_fair)
{
	struct intake *in = start(1, 1000);
	unsigned first = 0;

	(void)arg;
	put_range(0, 0, 200);
	put_range(1, 0, 200);
	lend_at(in, 0, 1, 0);
	lend_at(in, 1, 1, 0);
	for (unsigned i = 0; i < 100; i++) {
		wait_until(d.n == i + 1);
		first += d.jobs[i]->msg.partition == 0;
		finish(i, DISPATCH_SETTLED);
	}
	assert_in_range(first, 30, 70);
	take_back(in, 0, false);
	take_back(in, 1, false);
	end(in);
	return 0;
}

CASE(test_intake_pause_keeps_the_queue)
{
	struct intake *in = start(10, 100);

	(void)arg;
	paused = true;
	put_range(0, 0, 5);
	lend_at(in, 0, 1, 0);
	settle_down();
	assert_int_equal(queues[0].next, 0);
	paused = false;
	intake_kick(in);
	wait_until(d.n == 5);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_finds_what_a_lost_wakeup_left)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	settle_down();
	queues[0].attached = false;     /* keeps put() from waking the reader */
	put_range(0, 0, 1);
	queues[0].attached = true;
	wait_until(d.n == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_reject_holds_its_offset_until_the_dead_letter_is_there)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	put_value(0, 0, "poison");
	put(0, 1, "good");
	wait_until(d.n == 1);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	sink_open = true;
	wait_until(shared[0].committable == 2);
	assert_int_equal(letters, 1);
	assert_string_equal(last_reason, "bad_json");
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_bounds_rejects_under_way)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	lend_at(in, 1, 1, 0);
	for (int i = 0; i < 6; i++)
		put_value(0, i, "poison");
	put(0, 6, "behind");
	settle_down();
	assert_int_equal(shared[0].position, 2);
	put(1, 0, "other");                     /* the other partition goes on */
	wait_until(d.n == 1);
	assert_string_equal(d.jobs[0]->msg.id, "other");
	sink_open = true;
	wait_until(d.n == 2 && letters == 6);
	take_back(in, 0, false);
	take_back(in, 1, false);
	end(in);
	return 0;
}

CASE(test_intake_no_memory_loses_no_record)
{
	struct intake *in = start(10, 100);

	(void)arg;
	d.submit_rc = -ENOMEM;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	settle_down();
	assert_int_equal(d.n, 0);
	d.submit_rc = 0;
	wait_until(d.n == 3);
	assert_int_equal(d.jobs[0]->msg.offset, 0);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_revoke_commits_what_ends_in_time)
{
	struct intake *in = start(10, 100);
	unsigned before;

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;            /* runs past the drain: an orphan */
	before = d.n;
	take_back(in, 0, false);        /* cancels 2 */
	assert_null(d.jobs[2]);
	assert_int_equal(shared[0].committable, 1);
	finish(1, DISPATCH_SETTLED);    /* writes its outcome, moves no offset */
	settle_down();
	assert_int_equal(shared[0].committable, 1);
	assert_int_equal(d.n, before);
	end(in);
	return 0;
}

CASE(test_intake_lost_publishes_nothing)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 2);
	wait_until(d.n == 2);
	barrier_rc = -EAGAIN;
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;
	settle_down();
	barrier_rc = 0;
	take_back(in, 0, true);
	finish(1, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	end(in);
	return 0;
}

CASE(test_intake_returning_record_joins_its_running_job)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 2);
	wait_until(d.n == 2);
	d.written[0] = d.written[1] = true;
	take_back(in, 0, true);
	queues[0].next = 0;             /* read again from the committed offset */
	lend_at(in, 0, 2, 0);
	put_range(0, 2, 1);
	wait_until(d.n == 3);
	assert_int_equal(d.jobs[2]->msg.offset, 2);
	settle_down();
	assert_int_equal(d.n, 3);
	finish(2, DISPATCH_SETTLED);
	finish(0, DISPATCH_SETTLED);    /* the old job's end is the new record's */
	wait_until(shared[0].committable == 1);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 3);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_joined_record_is_sent_when_the_job_gives_up)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	queues[0].next = 0;
	lend_at(in, 0, 2, 0);
	wait_until(shared[0].open == 1);
	assert_int_equal(d.n, 1);
	finish(0, DISPATCH_ABANDONED);
	wait_until(d.n == 2);
	assert_int_equal(d.jobs[1]->msg.epoch, 2);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_partition_may_go_again_while_its_record_waits)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	for (uint32_t epoch = 2; epoch < 6; epoch++) {
		take_back(in, 0, true);
		queues[0].next = 0;
		lend_at(in, 0, epoch, 0);
		wait_until(shared[0].open == 1);
	}
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	assert_int_equal(d.n, 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

/* A stale completion with a reused offset: the log was made anew, another message lies there. */
CASE(test_intake_another_id_at_the_offset_does_not_join)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put(0, 0, "old");
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	queues[0].n = queues[0].next = 0;
	lend_at(in, 0, 2, 0);
	put(0, 0, "new");
	wait_until(d.n == 2);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_log_that_went_back_starts_afresh)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 100);
	put(0, 100, "a");
	put(0, 101, "b");
	wait_until(d.n == 2);
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 101);
	put(0, 0, "c");                 /* the log was cut */
	wait_until(d.n == 3);
	finish(1, DISPATCH_SETTLED);    /* the old log's: moves nothing */
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	finish(2, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_notes_a_gap_for_control)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put(0, 3, "a");                 /* small: a transaction's marker */
	wait_until(d.n == 1);
	assert_int_equal(shared[0].gap_to, 0);
	put(0, 500, "b");
	wait_until(d.n == 2);
	assert_int_equal(shared[0].gap_from, 4);
	assert_int_equal(shared[0].gap_to, 500);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_stopped_partition_is_not_read)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	shared[0].stopped = true;
	put_range(0, 0, 1);
	settle_down();
	assert_int_equal(d.n, 0);
	shared[0].stopped = false;
	intake_kick(in);
	wait_until(d.n == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_revoke_cancels_stuck_dead_letters)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	put_value(0, 0, "poison");
	wait_until(shared[0].position == 1);
	take_back(in, 0, false);
	assert_int_equal(letters_cancelled, 1);
	assert_int_equal(shared[0].committable, -1);
	end(in);
	return 0;
}

CASE(test_intake_drain_says_what_is_left)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;
	put_range(0, 3, 1);
	assert_int_equal(intake_drain(in, clock_mono_us() + 20000), 2 + (d.n == 4));
	assert_int_equal(shared[0].committable, 1);
	d.written[1] = false;
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_freed_with_jobs_still_running)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	end(in);
	finish(0, DISPATCH_SETTLED);    /* frees the last of it */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intake_publishes_contiguous_prefix_behind_barrier),
		cmocka_unit_test(test_intake_backpressure_is_not_reading),
		cmocka_unit_test(test_intake_stops_at_commit_skew),
		cmocka_unit_test(test_intake_is_fair),
		cmocka_unit_test(test_intake_pause_keeps_the_queue),
		cmocka_unit_test(test_intake_finds_what_a_lost_wakeup_left),
		cmocka_unit_test(test_intake_reject_holds_its_offset_until_the_dead_letter_is_there),
		cmocka_unit_test(test_intake_bounds_rejects_under_way),
		cmocka_unit_test(test_intake_no_memory_loses_no_record),
		cmocka_unit_test(test_intake_revoke_commits_what_ends_in_time),
		cmocka_unit_test(test_intake_lost_publishes_nothing),
		cmocka_unit_test(test_intake_returning_record_joins_its_running_job),
		cmocka_unit_test(test_intake_joined_record_is_sent_when_the_job_gives_up),
		cmocka_unit_test(test_intake_partition_may_go_again_while_its_record_waits),
		cmocka_unit_test(test_intake_another_id_at_the_offset_does_not_join),
		cmocka_unit_test(test_intake_log_that_went_back_starts_afresh),
		cmocka_unit_test(test_intake_notes_a_gap_for_control),
		cmocka_unit_test(test_intake_stopped_partition_is_not_read),
		cmocka_unit_test(test_intake_revoke_cancels_stuck_dead_letters),
		cmocka_unit_test(test_intake_drain_says_what_is_left),
		cmocka_unit_test(test_intake_freed_with_jobs_still_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
