/* queue.c: asyncio.Queue of pointers: a ring that grows up to its bound, and two lines of waiters. */
#include <errno.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

struct co_queue {
	void **ring;
	size_t head, n, cap, max;
	struct list getters, putters;   /* co_waiter */
};

struct co_queue *co_queue_new(size_t maxsize)
{
	struct co_queue *q = mem_zalloc(sizeof *q);

	if (q == NULL)
		return NULL;
	q->max = maxsize;
	list_init(&q->getters);
	list_init(&q->putters);
	return q;
}

void co_queue_free(struct co_queue *q)
{
	if (q == NULL)
		return;
	CHECK(list_empty(&q->getters) && list_empty(&q->putters), "a queue is freed while a task waits on it");
	mem_free(q->ring);
	mem_free(q);
}

static bool full(const struct co_queue *q)
{
	return q->max > 0 && q->n >= q->max;
}

/* Takes waiters out of the line until one still waits. */
static void wake_next(struct list *line)
{
	struct list *node;

	while ((node = list_pop(line)) != NULL)
		if (co_future_release(&list_entry(node, struct co_waiter, node)->future, 0))
			return;
}

/* A ring twice as large, the items from its start. */
static int grow(struct co_queue *q)
{
	size_t cap = q->cap > 0 ? q->cap * 2 : 16, first;
	void **ring;

	if (q->n < q->cap)
		return 0;
	ring = mem_alloc(cap * sizeof *ring);
	if (ring == NULL)
		return -ENOMEM;
	first = q->cap - q->head;
	if (q->cap > 0) {
		memcpy(ring, q->ring + q->head, first * sizeof *ring);
		memcpy(ring + first, q->ring, q->head * sizeof *ring);
	}
	mem_free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
	return 0;
}

int co_queue_try_put(struct co_queue *q, void *item)
{
	int rc;

	if (full(q))
		return -EAGAIN;
	rc = grow(q);
	if (rc < 0)
		return rc;
	q->ring[(q->head + q->n++) & (q->cap - 1)] = item;
	wake_next(&q->getters);
	return 0;
}

int co_queue_try_get(struct co_queue *q, void **ret_item)
{
	if (q->n == 0)
		return -EAGAIN;
	*ret_item = q->ring[q->head];
	q->head = (q->head + 1) & (q->cap - 1);
	q->n--;
	wake_next(&q->putters);
	return 0;
}

/* Stands in line once; who was woken but can't take it up passes it on. */
static int stand_in_line(struct co_queue *q, struct list *line, int64_t deadline_us, const char *why)
{
	struct co_waiter w;
	int rc;

	co_waiter_init(&w);
	list_append(line, &w.node);
	rc = co_waiter_wait(&w, deadline_us, why);
	if (rc < 0 && co_state(&w.future) == CO_DONE && (line == &q->putters ? !full(q) : q->n > 0))
		wake_next(line);
	return rc;
}

int co_queue_put(struct co_queue *q, void *item, int64_t deadline_us)
{
	while (full(q)) {
		int rc = stand_in_line(q, &q->putters, deadline_us, "queue put");

		if (rc < 0)
			return rc;
	}
	return co_queue_try_put(q, item);
}

int co_queue_get(struct co_queue *q, void **ret_item, int64_t deadline_us)
{
	while (q->n == 0) {
		int rc = stand_in_line(q, &q->getters, deadline_us, "queue get");

		if (rc < 0)
			return rc;
	}
	return co_queue_try_get(q, ret_item);
}

size_t co_queue_size(const struct co_queue *q)
{
	return q->n;
}
