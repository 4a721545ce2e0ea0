/*
 * timer.c: a loop's timers: an intrusive 4-ary heap, so that a deadline that is taken back (nearly all are) costs O(log n) and leaves
 * nothing behind. Equal times fire in the order of starting. Due timers pass through the ready queue and can be stopped there too.
 */
#include <errno.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

enum { ARITY = 4 };
#define SLOT_DUE SIZE_MAX

static bool before(const struct co_timer_slot *a, const struct co_timer_slot *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->timer->seq < b->timer->seq);
}

static void place(struct co_timers *t, size_t i, struct co_timer_slot slot)
{
	t->heap[i] = slot;
	slot.timer->slot = i + 1;
}

static void sift_up(struct co_timers *t, size_t i, struct co_timer_slot slot)
{
	while (i > 0) {
		size_t parent = (i - 1) / ARITY;

		if (!before(&slot, &t->heap[parent]))
			break;
		place(t, i, t->heap[parent]);
		i = parent;
	}
	place(t, i, slot);
}

static void sift_down(struct co_timers *t, size_t i, struct co_timer_slot slot)
{
	for (;;) {
		size_t first = i * ARITY + 1, least = first;

		if (first >= t->n)
			break;
		for (size_t k = first + 1; k < first + ARITY && k < t->n; k++)
			if (before(&t->heap[k], &t->heap[least]))
				least = k;
		if (!before(&t->heap[least], &slot))
			break;
		place(t, i, t->heap[least]);
		i = least;
	}
	place(t, i, slot);
}

/* Takes the timer at i out; the last one fills the hole. */
static void take(struct co_timers *t, size_t i)
{
	struct co_timer_slot last = t->heap[--t->n];

	if (i == t->n)
		return;
	if (i > 0 && before(&last, &t->heap[(i - 1) / ARITY]))
		sift_up(t, i, last);
	else
		sift_down(t, i, last);
}

/* What was started outlives its loop as what is stopped. */
void co_timers_fini(struct co_timers *t)
{
	for (size_t i = 0; i < t->n; i++)
		t->heap[i].timer->slot = 0;
	mem_free(t->heap);
	*t = (struct co_timers){ 0 };
}

int64_t co_timers_next(const struct co_timers *t)
{
	return t->n > 0 ? t->heap[0].at_us : CLOCK_NEVER;
}

void co_timers_expire(struct co_loop *loop, int64_t now_us)
{
	struct co_timers *t = &loop->timers;

	while (t->n > 0 && t->heap[0].at_us <= now_us) {
		struct co_timer *timer = t->heap[0].timer;

		take(t, 0);
		timer->slot = SLOT_DUE;
		co_loop_ready(loop, &timer->item);
	}
}

void co_timer_init(struct co_timer *timer, co_call_fn *fn, void *arg)
{
	*timer = (struct co_timer){ .fn = fn, .arg = arg };
	co_item_init(&timer->item, CO_ITEM_TIMER);
}

static int grow(struct co_timers *t)
{
	size_t cap = t->cap > 0 ? t->cap * 2 : 64;
	struct co_timer_slot *heap = mem_resize(t->heap, cap * sizeof *heap);

	if (heap == NULL)
		return -ENOMEM;
	t->heap = heap;
	t->cap = cap;
	return 0;
}

int co_timer_start(struct co_timer *timer, int64_t at_us)
{
	struct co_timers *t = &co_loop_get()->timers;

	co_timer_stop(timer);
	if (at_us == CLOCK_NEVER)
		return 0;
	if (t->n == t->cap) {
		int rc = grow(t);

		if (rc < 0)
			return rc;
	}
	timer->at_us = at_us;
	timer->seq = t->seq++;
	sift_up(t, t->n++, (struct co_timer_slot){ .at_us = at_us, .timer = timer });
	return 0;
}

void co_timer_stop(struct co_timer *timer)
{
	if (timer->slot == 0)
		return;
	if (timer->slot == SLOT_DUE)
		list_remove(&timer->item.node);
	else
		take(&co_loop_get()->timers, timer->slot - 1);
	timer->slot = 0;
}
