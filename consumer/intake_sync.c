/*
 * intake_sync.c: what may be committed, published by a worker. What is done is marked, a durability barrier is begun, and once it has
 * passed the marks are published; the commit itself is the control thread's. A barrier can take 2 s (the server's own fsync), so the next
 * ones begin meanwhile: else a partition could take no more than max_commit_skew records in the time of two of them. Whichever passes,
 * all that was marked before it was acknowledged before it, too: a prefix only grows, and none is published twice.
 */
#include <errno.h>

#include "consumer/intake_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"
#include "metrics/store.h"

enum { SYNC_SPACING_MS = 20 };          /* between barriers that a full ring asks for, at least */

static unsigned count(const struct list *head)
{
	unsigned n = 0;

	list_each(node, head)
		n++;
	return n;
}

/* Marks what is done and not published; with `fresh` what no barrier has been begun for either. How many; NULL: out of memory. */
static struct intake_mark *mark_prefixes(struct intake *in, bool fresh, unsigned *ret_n)
{
	struct intake_mark *marks = mem_alloc((count(&in->leases) + 1) * sizeof *marks);
	unsigned n = 0;

	if (marks == NULL)
		return NULL;
	list_each(node, &in->leases) {
		struct lease *lease = list_entry(node, struct lease, node);
		int64_t committable = offsets_committable(&lease->partition->ring);

		if (committable < 0 || committable == (fresh ? lease->marked : lease->published))
			continue;
		intake_partition_ref(lease->partition);
		lease->marked = committable;
		marks[n++] = (struct intake_mark){ lease->partition, committable };
	}
	*ret_n = n;
	return marks;
}

/* The barrier has passed, or not: then the marks' leases are marked anew. */
static void settle(struct intake *in, struct intake_mark *marks, unsigned n, int rc)
{
	bool due = false;

	for (unsigned i = 0; i < n; i++) {
		struct lease *lease = marks[i].partition->lease;

		if (lease != NULL && rc < 0)
			lease->marked = lease->published;
		if (lease != NULL && rc == 0 && marks[i].committable > lease->published) {
			lease->published = marks[i].committable;
			atomic_store_explicit(&lease->shared->committable, lease->published, memory_order_release);
			due = due || intake_nearly_full(lease);
		}
		intake_partition_unref(marks[i].partition);
	}
	mem_free(marks);
	if (due)
		in->options.on_commit_due(in->options.arg);
	if (rc < 0 && rc != -ECANCELED)
		log_warn("commits wait for redis", LOG_INT("errno", -rc));
}

int intake_sync(struct intake *in)
{
	unsigned n;
	struct intake_mark *marks = mark_prefixes(in, false, &n);
	int rc = 0;

	if (marks == NULL)
		return -ENOMEM;
	if (n > 0)
		rc = store_barrier(in->store, clock_mono_us() + BARRIER_TIMEOUT_MS * 1000);
	settle(in, marks, n, rc);
	return rc;
}

/* ---- the barriers under way ---- */

static void end_sync(struct intake_sync *y, int rc)
{
	struct intake_mark *marks = y->marks;

	y->marks = NULL;
	settle(y->in, marks, y->n, rc);
}

static int sync_body(void *arg)
{
	struct intake_sync *y = arg;
	struct intake *in = y->in;
	int rc = store_barrier(in->store, clock_mono_us() + BARRIER_TIMEOUT_MS * 1000);

	if (rc == 0)
		in->barrier_us = clock_mono_us() - y->began_us;
	end_sync(y, rc);
	list_each(node, &in->leases)
		if (intake_wants_sync(list_entry(node, struct lease, node)))
			co_event_set(&in->sync_due);
	return rc == -ECANCELED ? rc : 0;
}

static unsigned max_syncs(const struct intake *in)
{
	return store_barriers_overlap(in->store) ? INTAKE_SYNCS : 1;
}

static struct intake_sync *free_sync(struct intake *in)
{
	for (unsigned i = 0; i < max_syncs(in); i++)
		if (in->syncs[i].task == NULL || co_done(in->syncs[i].task))
			return &in->syncs[i];
	return NULL;
}

/* Begins a barrier for what is done since the last one was begun, if there are not too many; without memory, later. */
static void begin_sync(struct intake *in)
{
	struct intake_sync *y = free_sync(in);
	struct intake_mark *marks;
	unsigned n;

	if (y == NULL || (marks = mark_prefixes(in, true, &n)) == NULL)
		return;
	if (n == 0) {
		mem_free(marks);
		return;
	}
	co_unref(y->task);
	*y = (struct intake_sync){ .in = in, .marks = marks, .n = n, .began_us = clock_mono_us() };
	y->task = co_task_new_static(sync_body, y, "intake barrier");
	if (y->task == NULL)
		end_sync(y, -ENOMEM);
}

void intake_sync_stop(struct intake *in)
{
	for (unsigned i = 0; i < INTAKE_SYNCS; i++) {
		struct intake_sync *y = &in->syncs[i];

		if (y->task == NULL)
			continue;
		co_cancel(y->task);
		(void)co_wait(&y->task, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
		co_unref(y->task);
		if (y->marks != NULL)           /* cancelled before it ever ran */
			end_sync(y, -ECANCELED);
	}
}

/* ---- the syncer ---- */

static void note_oldest(struct lease *lease)
{
	struct intake_shared *s = lease->shared;
	uint64_t ticket;

	if (!offsets_oldest(&lease->partition->ring, &ticket)) {
		atomic_store_explicit(&s->oldest_us, 0, memory_order_relaxed);
		return;
	}
	if (ticket != lease->oldest_ticket || atomic_load_explicit(&s->oldest_us, memory_order_relaxed) == 0)
		atomic_store_explicit(&s->oldest_us, clock_mono_us(), memory_order_relaxed);
	lease->oldest_ticket = ticket;
}

/* Once an interval every queue is looked into, asked for or not: a wake-up that got lost costs a second, not a partition. */
static void look_around(struct intake *in)
{
	list_each(node, &in->leases) {
		struct lease *lease = list_entry(node, struct lease, node);

		note_oldest(lease);
		intake_publish_progress(lease);
		lease->readable = true;
	}
	counters_set(COUNTER_RECORDS_OPEN, in->open);
	intake_kick(in);
}

/* Those that a full ring asks for are spread evenly over the time that one takes, so that one of them is always about to pass. */
static int64_t spacing_ms(const struct intake *in)
{
	int64_t ms = max_syncs(in) > 1 ? in->barrier_us / 1000 / INTAKE_SYNCS : 0;

	if (ms > in->options.commit_interval_ms)
		ms = in->options.commit_interval_ms;
	return ms < SYNC_SPACING_MS ? SYNC_SPACING_MS : ms;
}

int intake_sync_body(void *arg)
{
	struct intake *in = arg;
	int64_t interval_us = (int64_t)in->options.commit_interval_ms * 1000, next_us = clock_mono_us() + interval_us;

	for (;;) {
		int rc = co_event_wait(&in->sync_due, next_us);

		if (rc == -ENOMEM)
			rc = co_yield();        /* no memory for the timer: others must come to run */
		if (rc == -ECANCELED)
			return rc;
		co_event_clear(&in->sync_due);
		begin_sync(in);
		if (clock_mono_us() >= next_us) {
			look_around(in);
			next_us = clock_mono_us() + interval_us;
		}
		if (rc == 0 && co_sleep_ms(spacing_ms(in)) == -ECANCELED)
			return -ECANCELED;
	}
}
