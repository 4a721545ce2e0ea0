/*
 * waitset.c: futures handed out as they complete. A member's completion moves its entry to the list of the done right where it happens,
 * without a callback and whatever the number of members.
 */
#include <errno.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

struct entry {
	struct co_item item;            /* among the future's `done` while that is pending, then in the set's `ready` */
	struct list node;               /* in the set's `pending` */
	struct co_waitset *ws;
	struct co_future *f;            /* a reference */
	void *tag;
};

struct co_waitset {
	struct co_loop *loop;
	struct list pending, ready;
	struct list waiters;            /* co_waiter */
	size_t size;
	bool closed;
};

struct co_waitset *co_waitset_new(void)
{
	struct co_waitset *ws = mem_zalloc(sizeof *ws);

	if (ws == NULL)
		return NULL;
	ws->loop = co_loop_get();
	list_init(&ws->pending);
	list_init(&ws->ready);
	list_init(&ws->waiters);
	return ws;
}

static void drop(struct co_waitset *ws, struct entry *e)
{
	list_remove(&e->item.node);
	list_remove(&e->node);
	co_unref(e->f);
	co_pool_release(&ws->loop->pool, e, sizeof *e);
}

void co_waitset_free(struct co_waitset *ws)
{
	if (ws == NULL)
		return;
	CHECK(list_empty(&ws->waiters), "a waitset is freed while task \"%s\" waits on it", co_waiters_name(&ws->waiters));
	list_each(node, &ws->pending)
		drop(ws, list_entry(node, struct entry, node));
	list_each(ready, &ws->ready)
		drop(ws, list_entry(ready, struct entry, item.node));
	mem_free(ws);
}

/* One waiter a completion: the others have nothing to take. */
static void wake_one(struct co_waitset *ws)
{
	list_each(node, &ws->waiters) {
		struct co_waiter *w = list_entry(node, struct co_waiter, node);

		if (co_future_release(&w->future, 0))
			return;
	}
}

static void wake_all(struct co_waitset *ws)
{
	list_each(node, &ws->waiters)
		co_future_release(&list_entry(node, struct co_waiter, node)->future, 0);
}

void co_waitset_member_done(struct co_item *item)
{
	struct entry *e = list_entry(item, struct entry, item);

	list_remove(&e->node);
	list_append(&e->ws->ready, &item->node);
	wake_one(e->ws);
}

int co_waitset_add(struct co_waitset *ws, struct co_future *f, void *tag)
{
	struct entry *e = ws->closed ? NULL : co_pool_alloc(&ws->loop->pool, sizeof *e);

	CHECK_OURS(f, ws->loop);
	if (e == NULL) {
		co_unref(f);
		return ws->closed ? -ESHUTDOWN : -ENOMEM;
	}
	co_item_init(&e->item, CO_ITEM_MEMBER);
	list_init(&e->node);
	e->ws = ws;
	e->f = f;
	e->tag = tag;
	ws->size++;
	if (f->state != CO_PENDING) {
		co_waitset_member_done(&e->item);
		return 0;
	}
	list_append(&ws->pending, &e->node);
	f->had_listeners = true;
	list_append(&f->done, &e->item.node);
	return 0;
}

static struct co_future *take(struct co_waitset *ws, void **ret_tag)
{
	struct entry *e = list_entry(list_pop(&ws->ready), struct entry, item.node);
	struct co_future *f = e->f;

	if (ret_tag != NULL)
		*ret_tag = e->tag;
	co_pool_release(&ws->loop->pool, e, sizeof *e);
	ws->size--;
	if (ws->closed && ws->size == 0)
		wake_all(ws);
	return f;
}

int co_waitset_take(struct co_waitset *ws, struct co_future **ret_f, void **ret_tag, int64_t deadline_us)
{
	while (list_empty(&ws->ready)) {
		struct co_waiter w;
		int rc;

		if (ws->closed && ws->size == 0)
			return -ENOENT;
		co_waiter_init(&w);
		list_append(&ws->waiters, &w.node);
		rc = co_waiter_wait(&w, deadline_us, "waitset");
		if (rc == 0)
			continue;
		/* Woken and cancelled in one turn: the wake-up is another's. */
		if (co_state(&w.future) == CO_DONE && !list_empty(&ws->ready))
			wake_one(ws);
		return rc;
	}
	*ret_f = take(ws, ret_tag);
	return 0;
}

struct co_future *co_waitset_next(struct co_waitset *ws, void **ret_tag)
{
	struct co_future *f = NULL;

	return co_waitset_take(ws, &f, ret_tag, CLOCK_NEVER) == 0 ? f : NULL;
}

struct co_waitset *co_as_completed(struct co_future *const *fs, size_t n)
{
	struct co_waitset *ws = co_waitset_new();
	uint64_t mark = ws != NULL ? ++ws->loop->mark : 0;

	for (size_t i = 0; ws != NULL && i < n; i++) {
		CHECK_OURS(fs[i], ws->loop);
		if (fs[i]->mark == mark)
			continue;
		fs[i]->mark = mark;
		if (co_waitset_add(ws, co_ref(fs[i]), fs[i]) < 0) {
			co_waitset_free(ws);
			return NULL;
		}
	}
	if (ws != NULL)
		co_waitset_close(ws);
	return ws;
}

void co_waitset_close(struct co_waitset *ws)
{
	ws->closed = true;
	if (ws->size == 0)
		wake_all(ws);
}

size_t co_waitset_size(const struct co_waitset *ws)
{
	return ws->size;
}

struct co_future *co_waitset_awaiter(struct co_item *item)
{
	struct co_waitset *ws = list_entry(item, struct entry, item)->ws;

	return list_empty(&ws->waiters) ? NULL : &list_entry(ws->waiters.next, struct co_waiter, node)->future;
}
