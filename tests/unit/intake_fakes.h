/*
 * intake_fakes.h: what the intake stands on, played by its tests: Kafka's queues, the dispatch, the store's barrier, the sink. Included by
 * intake_fixture.h alone.
 */
#ifndef TESTS_INTAKE_FAKES_H
#define TESTS_INTAKE_FAKES_H

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
static int64_t barrier_ms;      /* how long one takes; 0: a turn */
static unsigned barriers;

int store_barrier(struct store *store, int64_t deadline_us)
{
	(void)store;
	(void)deadline_us;
	barriers++;
	return co_sleep_ms(barrier_ms) < 0 ? -ECANCELED : barrier_rc;
}

static unsigned expected;       /* how often the store was told that it can't be new */

void store_expect_existing(struct store *store)
{
	(void)store;
	expected++;
}

static bool barriers_overlap;

bool store_barriers_overlap(const struct store *store)
{
	(void)store;
	return barriers_overlap;
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

#endif
