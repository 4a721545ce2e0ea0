/*
 * intake.c: a worker's leases. Its reader takes records, fairly and only while there is room (what it doesn't read stays in
 * librdkafka's queue: that is all the backpressure there is; nothing is ever paused). What may be committed is intake_sync.c's.
 */
#include "consumer/intake.h"

#include <errno.h>
#include <string.h>

#include "consumer/intake_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"
#include "metrics/store.h"

enum {
	ABANDON_MS = 1000,              /* for what was cancelled at a drain's deadline to come back */
	GAP_MIN = 16,                   /* a smaller jump of offsets is compaction's or a transaction's */
};

/* ---- reading ---- */

static void on_readable(void *arg)
{
	struct lease *lease = arg;

	lease->readable = true;
	co_event_set(&lease->in->wake);
}

void intake_kick(struct intake *in)
{
	co_event_set(&in->wake);
}

static void on_room(void *arg)
{
	intake_kick(arg);
}

static bool may_read(const struct intake *in)
{
	return !in->draining && !atomic_load_explicit(in->options.paused, memory_order_relaxed) && dispatch_room(in->dispatch) > 0;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Fetches into the lease's batch what may be taken now: how many. */
static unsigned fill(struct lease *lease)
{
	struct offsets *ring = &lease->partition->ring;
	unsigned want;

	offsets_committed(ring, atomic_load_explicit(&lease->shared->committed, memory_order_acquire));
	want = least(least(INTAKE_BATCH, dispatch_room(lease->in->dispatch)), offsets_room(ring));
	if (want == 0 || !lease->readable)
		return 0;
	lease->batch_pos = 0;
	lease->batch_n = kafka_queue_read(lease->queue, lease->batch, want);
	if (lease->batch_n < want)
		lease->readable = false;
	return lease->batch_n;
}

static void note_gap(struct lease *lease, int64_t offset)
{
	struct intake_shared *s = lease->shared;

	if (offset - lease->expected >= GAP_MIN && atomic_load(&s->gap_to) == 0) {
		atomic_store(&s->gap_from, lease->expected);
		atomic_store(&s->gap_to, offset);
	}
	lease->expected = offset + 1;
}

void intake_publish_progress(struct lease *lease)
{
	const struct offsets *ring = &lease->partition->ring;

	atomic_store_explicit(&lease->shared->position, lease->expected, memory_order_relaxed);
	atomic_store_explicit(&lease->shared->open, ring->open, memory_order_relaxed);
	if (intake_wants_sync(lease))
		co_event_set(&lease->in->sync_due);
}

/* Takes up to a batch from one lease; whether it took any. */
static bool read_lease(struct lease *lease)
{
	unsigned taken = 0;

	if (lease->revoking || atomic_load_explicit(&lease->shared->stopped, memory_order_relaxed))
		return false;
	if (lease->batch_pos == lease->batch_n && fill(lease) == 0)
		return false;
	while (lease->batch_pos < lease->batch_n) {
		struct kafka_record *record = &lease->batch[lease->batch_pos];
		int64_t offset = record->offset;

		if (intake_partition_take(lease, record) < 0)
			break;          /* it waits; the syncer's tick looks again */
		note_gap(lease, offset);
		lease->batch_pos++;
		taken++;
	}
	counters_add(COUNTER_RECORDS, taken);
	intake_publish_progress(lease);
	return taken > 0;
}

/* One batch from each lease; the one that is read first changes from round to round. */
static bool read_round(struct intake *in)
{
	bool any = false;

	intake_partition_resubmit(in);
	if (!list_empty(&in->leases))
		list_append(&in->leases, list_pop(&in->leases));
	list_each(node, &in->leases) {
		if (!may_read(in))
			return false;
		if (read_lease(list_entry(node, struct lease, node)))
			any = true;
	}
	return any;
}

static int reader_body(void *arg)
{
	struct intake *in = arg;

	for (;;) {
		int rc = co_event_wait(&in->wake, CLOCK_NEVER);

		if (rc < 0)
			return rc;
		co_event_clear(&in->wake);
		while (read_round(in))
			if ((rc = co_yield()) < 0)
				return rc;
	}
}

/* ---- lending and taking back ---- */

int intake_lend(struct intake *in, const struct intake_grant *grant)
{
	struct lease *lease = mem_zalloc(sizeof *lease);
	int rc = -ENOMEM;

	if (lease == NULL)
		return -ENOMEM;
	lease->in = in;
	lease->shared = grant->shared;
	lease->queue = grant->queue;
	lease->expected = grant->start;
	lease->published = lease->marked = -1;
	lease->readable = true;
	lease->partition = intake_partition_new(in, grant->topic, grant->partition, grant->epoch);
	if (lease->partition != NULL)
		rc = kafka_queue_attach(grant->queue, on_readable, lease);
	if (rc < 0) {
		if (lease->partition != NULL)
			intake_partition_unref(lease->partition);
		mem_free(lease);
		return rc;
	}
	if (grant->has_commits)
		store_expect_existing(in->store);
	lease->partition->lease = lease;
	list_append(&in->leases, &lease->node);
	intake_kick(in);
	return 0;
}

int intake_begin_store(struct intake *in)
{
	return store_barrier(in->store, clock_mono_us() + BARRIER_TIMEOUT_MS * 1000);
}

static struct lease *find_lease(const struct intake *in, const struct intake_shared *shared)
{
	list_each(node, &in->leases) {
		struct lease *lease = list_entry(node, struct lease, node);

		if (lease->shared == shared)
			return lease;
	}
	return NULL;
}

static void stop_reading(struct lease *lease)
{
	lease->revoking = true;
	for (; lease->batch_pos < lease->batch_n; lease->batch_pos++)
		kafka_record_free(&lease->batch[lease->batch_pos]);
	dispatch_cancel_unwritten(lease->in->dispatch, lease->partition);
}

static unsigned running_of_revoked(const struct intake *in)
{
	unsigned n = 0;

	list_each(node, &in->leases) {
		const struct lease *lease = list_entry(node, struct lease, node);

		n += lease->revoking ? lease->partition->running : 0;
	}
	return n;
}

static void let_go(struct lease *lease)
{
	struct intake_shared *s = lease->shared;

	list_remove(&lease->node);
	kafka_queue_close(lease->queue);
	atomic_store(&s->open, 0);
	atomic_store(&s->oldest_us, 0);
	intake_partition_orphan(lease->partition);
	mem_free(lease);
}

void intake_revoke(struct intake *in, struct intake_shared *const *shared, unsigned n, bool lost)
{
	int64_t deadline_us = clock_mono_us() + (in->draining || lost ? 0 : (int64_t)in->options.revoke_drain_ms * 1000);
	struct lease *lease;

	for (unsigned i = 0; i < n; i++)
		if ((lease = find_lease(in, shared[i])) != NULL)
			stop_reading(lease);
	while (!lost && running_of_revoked(in) > 0 && clock_mono_us() < deadline_us) {
		co_event_clear(&in->ended);
		if (co_event_wait(&in->ended, deadline_us) < 0)
			break;
	}
	for (unsigned i = 0; i < n; i++)
		if ((lease = find_lease(in, shared[i])) != NULL)
			intake_partition_end_rejects(lease->partition);
	if (!lost)
		(void)intake_sync(in);
	for (unsigned i = 0; i < n; i++)
		if ((lease = find_lease(in, shared[i])) != NULL)
			let_go(lease);
}

/* Their offsets are no longer ours, but their outcomes are still to be written. */
static unsigned running_of_orphans(const struct intake *in)
{
	unsigned n = 0;

	list_each(node, &in->orphans)
		n += list_entry(node, struct intake_partition, node)->running;
	return n;
}

unsigned intake_drain(struct intake *in, int64_t deadline_us)
{
	in->draining = true;
	if (dispatch_wait_idle(in->dispatch, deadline_us) < 0) {
		dispatch_cancel_unwritten(in->dispatch, NULL);
		if (dispatch_wait_idle(in->dispatch, clock_mono_us() + ABANDON_MS * 1000) < 0)
			log_warn("drain ends with work left", LOG_UINT("open", in->open));
	}
	while (in->rejects > 0 && clock_mono_us() < deadline_us) {
		co_event_clear(&in->ended);
		if (co_event_wait(&in->ended, deadline_us) < 0)
			break;
	}
	(void)intake_sync(in);
	return in->open + running_of_orphans(in);
}

/* ---- life ---- */

struct intake *intake_new(const struct intake_options *options, struct dispatch *dispatch, struct store *store)
{
	struct intake *in = mem_zalloc(sizeof *in);

	if (in == NULL)
		return NULL;
	in->options = *options;
	in->dispatch = dispatch;
	in->store = store;
	list_init(&in->leases);
	list_init(&in->orphans);
	list_init(&in->waiting);
	co_event_init(&in->wake);
	co_event_init(&in->ended);
	co_event_init(&in->sync_due);
	in->reader = co_task_new_static(reader_body, in, "intake reader");
	in->syncer = co_task_new_static(intake_sync_body, in, "intake barrier");
	if (in->reader == NULL || in->syncer == NULL) {
		if (in->reader != NULL)
			co_cancel(in->reader);
		co_unref(in->reader);
		mem_free(in);
		return NULL;
	}
	dispatch_on_end(dispatch, intake_partition_on_end, on_room, in);
	return in;
}

static void end_task(struct co_future *task)
{
	co_cancel(task);
	(void)co_wait(&task, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	co_unref(task);
}

void intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	CHECK(list_empty(&in->leases), "partitions are still lent");
	end_task(in->reader);
	end_task(in->syncer);
	intake_sync_stop(in);
	counters_set(COUNTER_RECORDS_OPEN, 0);
	in->closed = true;
	if (list_empty(&in->orphans))
		mem_free(in);           /* else with the last of them */
}
