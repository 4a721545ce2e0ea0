/*
 * dispatch.c: owns a worker's jobs from submission to their end: the slots (inflight), the tracker and the list by which a drain or a
 * revoke cancels. Runs on the worker's thread. It takes no more than there is room for and never blocks.
 */
#include "dispatch/dispatch.h"

#include <errno.h>

#include "daemon/base/alloc.h"
#include "dispatch/send.h"

struct dispatch *dispatch_new(const struct dispatch_options *options, struct store *store, struct route *route)
{
	struct dispatch *d = mem_zalloc(sizeof *d);

	if (d == NULL)
		return NULL;
	d->options = *options;
	d->retry = (struct retry_limits){ options->max_attempts, options->backoff_ms, options->backoff_max_ms };
	d->store = store;
	d->route = route;
	list_init(&d->all);
	list_init(&d->pool);
	list_init(&d->wanting);
	co_event_init(&d->idle);
	co_event_set(&d->idle);
	d->sends = co_waitset_new();
	d->tracker = d->sends != NULL ? co_task_new_static(tracker_task, d, "tracker") : NULL;
	if (d->tracker == NULL) {
		dispatch_free(d);
		return NULL;
	}
	return d;
}

void dispatch_free(struct dispatch *d)
{
	struct list *node;

	if (d == NULL)
		return;
	if (d->tracker != NULL) {
		co_waitset_close(d->sends);
		(void)!co_await_through(d->tracker);
		co_unref(d->tracker);
	}
	/* What is still on its way keeps its memory: its task is abandoned with the loop. */
	while ((node = list_pop(&d->pool)) != NULL)
		mem_free(list_entry(node, struct send, node));
	if (list_empty(&d->all)) {
		co_waitset_free(d->sends);
		mem_free(d);
	}
}

void dispatch_on_end(struct dispatch *d, dispatch_end_fn *on_end, dispatch_room_fn *on_room, void *arg)
{
	d->on_end = on_end;
	d->on_room = on_room;
	d->arg = arg;
}

/* ---- slots ---- */

unsigned dispatch_room(const struct dispatch *d)
{
	return d->inflight < d->options.inflight ? d->options.inflight - d->inflight : 0;
}

static void room_made(struct dispatch *d)
{
	if (d->full && dispatch_room(d) > 0 && d->on_room != NULL) {
		d->full = false;
		d->on_room(d->arg);
	}
}

/* Who waits for a slot, on its task's stack. It leaves the queue when one is given to it. */
struct slot_wait {
	struct list node;
	struct co_event given;
};

static bool slot_give(struct dispatch *d)
{
	struct list *node = list_pop(&d->wanting);

	if (node != NULL)
		co_event_set(&list_entry(node, struct slot_wait, node)->given);
	return node != NULL;
}

/* A freed slot goes to who already waits for one, before any new job. */
static void slot_free(struct dispatch *d)
{
	if (d->inflight <= d->options.inflight && slot_give(d))
		return;
	d->inflight--;
	room_made(d);
}

void dispatch_slot_leave(struct send *s)
{
	CHECK(s->in_slot);
	s->in_slot = false;
	s->dispatch->waiting_busy++;
	slot_free(s->dispatch);
}

static int slot_wait(struct dispatch *d)
{
	struct slot_wait w;
	int rc;

	co_event_init(&w.given);
	list_append(&d->wanting, &w.node);
	rc = co_event_wait(&w.given, CLOCK_NEVER);
	list_remove(&w.node);
	if (rc != 0 && w.given.set)             /* given in the turn in which the wait was cancelled */
		slot_free(d);
	return rc;
}

int dispatch_slot_enter(struct send *s)
{
	struct dispatch *d = s->dispatch;
	int rc;

	if (dispatch_room(d) > 0) {
		d->inflight++;
		d->full = d->full || dispatch_room(d) == 0;
	} else if ((rc = slot_wait(d)) != 0) {
		return rc;
	}
	d->waiting_busy--;
	s->in_slot = true;
	return 0;
}

/* ---- jobs ---- */

static struct send *send_get(struct dispatch *d)
{
	struct list *node = list_pop(&d->pool);
	struct send *s = node != NULL ? list_entry(node, struct send, node) : mem_alloc(sizeof *s);

	if (s != NULL)
		*s = (struct send){ .dispatch = d };
	return s;
}

static void send_put(struct send *s)
{
	struct dispatch *d = s->dispatch;

	mem_free(s->parts);
	list_prepend(&d->pool, &s->node);
}

int dispatch_submit(struct dispatch *d, struct job *job)
{
	struct send *s = send_get(d);

	if (s == NULL)
		return -ENOMEM;
	s->job = job;
	s->cut_parts = job->msg.parts;
	s->target = co_task_new_static(send_task, s, job->msg.id);
	if (s->target == NULL || co_waitset_add(d->sends, co_ref(s->target), s) != 0) {
		if (s->target != NULL)
			co_cancel(s->target);   /* before its first turn: its body never runs */
		co_unref(s->target);
		send_put(s);
		return -ENOMEM;
	}
	job->send = s;
	s->in_slot = true;
	d->inflight++;
	d->n_all++;
	list_append(&d->all, &s->node);
	co_event_clear(&d->idle);
	d->full = dispatch_room(d) == 0;
	return 0;
}

void dispatch_ended(struct send *s, enum dispatch_end end)
{
	struct dispatch *d = s->dispatch;
	struct job *job = s->job;

	list_remove(&s->node);
	co_unref(s->target);
	d->n_all--;
	job->send = NULL;
	if (s->in_slot)
		slot_free(d);
	else
		d->waiting_busy--;
	send_put(s);
	d->on_end(job, end, d->arg);
	if (d->n_all == 0)
		co_event_set(&d->idle);
}

void dispatch_set_inflight(struct dispatch *d, unsigned inflight)
{
	d->options.inflight = inflight;
	while (dispatch_room(d) > 0 && slot_give(d))
		d->inflight++;
	d->full = d->full || dispatch_room(d) == 0;
	room_made(d);
}

void dispatch_cancel_unwritten(struct dispatch *d, const struct intake_partition *source)
{
	/* Whatever is written or being acknowledged takes no harm: the gateway runs to its end, the shield holds. */
	list_each(node, &d->all) {
		struct send *s = list_entry(node, struct send, node);

		if ((source == NULL || s->job->source == source) && s->target != NULL)
			co_cancel(s->target);
	}
}

int dispatch_wait_idle(struct dispatch *d, int64_t deadline_us)
{
	return co_event_wait(&d->idle, deadline_us);
}

void dispatch_status(const struct dispatch *d, struct dispatch_status *ret)
{
	unsigned written = 0;

	list_each(node, (struct list *)(uintptr_t)&d->all)
		written += list_entry(node, struct send, node)->written;
	*ret = (struct dispatch_status){ .inflight = d->inflight, .inflight_max = d->options.inflight, .waiting_busy = d->waiting_busy,
					 .written = written };
}
