/* queue.c: asyncio.Queue of pointers and its kin: a ring that grows up to its bound (a heap where items have a priority, which starts at
 * the ring's first place), and two lines of waiters. */
#include <errno.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

struct co_queue {
	void **ring;
	size_t head, n, cap, max;
	struct list getters, putters;   /* co_waiter */
	enum order { FIFO = 1, LIFO, PRIORITY } order;
	co_less_fn *less;
	size_t n_unfinished;
	struct co_event finished;
	uint64_t loop_id;               /* of those who wait */
	size_t n_inside;                /* tasks that wait or were woken and still have to look at it */
	bool shut;
};

static struct co_queue *queue_new(size_t maxsize, enum order order, co_less_fn *less)
{
	struct co_queue *q = mem_zalloc(sizeof *q);

	if (q == NULL)
		return NULL;
	q->max = maxsize;
	q->order = order;
	q->less = less;
	co_event_init(&q->finished);
	co_event_set(&q->finished);
	list_init(&q->getters);
	list_init(&q->putters);
	return q;
}

struct co_queue *co_queue_new(size_t maxsize)
{
	return queue_new(maxsize, FIFO, NULL);
}

struct co_queue *co_queue_new_lifo(size_t maxsize)
{
	return queue_new(maxsize, LIFO, NULL);
}

struct co_queue *co_queue_new_priority(size_t maxsize, co_less_fn *less)
{
	return queue_new(maxsize, PRIORITY, less);
}

static void check_unused(const struct co_queue *q)
{
	CHECK(list_empty(&q->getters), "a queue is freed while task \"%s\" waits to get from it", co_waiters_name(&q->getters));
	CHECK(list_empty(&q->putters), "a queue is freed while task \"%s\" waits to put into it", co_waiters_name(&q->putters));
	CHECK(list_empty(&q->finished.waiters), "a queue is freed while task \"%s\" waits in its join", co_waiters_name(&q->finished.waiters));
	CHECK(q->n_inside == 0, "a queue is freed while a task that it woke has still to look at it");
}

void co_queue_free(struct co_queue *q)
{
	if (q == NULL)
		return;
	if (q->loop_id != 0 && q->loop_id == co_loop_id())      /* else who waited went with the loop */
		check_unused(q);
	mem_free(q->ring);
	mem_free(q);
}

/* Before its lines are touched: who stood there under another loop went with that. */
static void adopt(struct co_queue *q)
{
	uint64_t id = co_loop_id();

	if (q->loop_id == id)
		return;
	if (q->loop_id != 0) {
		CHECK(!co_loop_lives(q->loop_id), "a queue of another thread's loop is used: use co_post()");
		list_init(&q->getters);
		list_init(&q->putters);
		list_init(&q->finished.waiters);
		q->n_inside = 0;
	}
	q->loop_id = id;
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

/* ---- what is next ---- */

/* Up from `at` to where its parent is not greater. */
static void sift_up(struct co_queue *q, size_t at, void *item)
{
	while (at > 0 && q->less(item, q->ring[(at - 1) / 2])) {
		q->ring[at] = q->ring[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	q->ring[at] = item;
}

/* The lesser child moves up all the way, then the last item from there: fewer comparisons, and what is equal comes as heapq has it. */
static void *pop_least(struct co_queue *q)
{
	void *least = q->ring[0], *last = q->ring[q->n];
	size_t at = 0;

	for (size_t child = 1; child < q->n; child = 2 * at + 1) {
		if (child + 1 < q->n && !q->less(q->ring[child], q->ring[child + 1]))
			child++;
		q->ring[at] = q->ring[child];
		at = child;
	}
	if (q->n > 0)
		sift_up(q, at, last);
	return least;
}

static void store(struct co_queue *q, void *item)
{
	if (q->order == PRIORITY)
		sift_up(q, q->n++, item);
	else
		q->ring[(q->head + q->n++) & (q->cap - 1)] = item;
}

static void *fetch(struct co_queue *q)
{
	void *item;

	q->n--;
	if (q->order == PRIORITY)
		return pop_least(q);
	if (q->order == LIFO)
		return q->ring[(q->head + q->n) & (q->cap - 1)];
	item = q->ring[q->head];
	q->head = (q->head + 1) & (q->cap - 1);
	return item;
}

/* ---- put and get ---- */

int co_queue_try_put(struct co_queue *q, void *item)
{
	int rc;

	adopt(q);
	if (q->shut)
		return -ESHUTDOWN;
	if (full(q))
		return -EAGAIN;
	rc = grow(q);
	if (rc < 0)
		return rc;
	store(q, item);
	q->n_unfinished++;
	co_event_clear(&q->finished);
	wake_next(&q->getters);
	return 0;
}

int co_queue_try_get(struct co_queue *q, void **ret_item)
{
	if (q->n == 0)
		return q->shut ? -ESHUTDOWN : -EAGAIN;
	adopt(q);
	*ret_item = fetch(q);
	wake_next(&q->putters);
	return 0;
}

/* Stands in line once; who was woken but can't take it up passes it on. */
static int stand_in_line(struct co_queue *q, struct list *line, int64_t deadline_us, const char *why)
{
	struct co_waiter w;
	int rc;

	adopt(q);
	co_waiter_init(&w);
	list_append(line, &w.node);
	q->n_inside++;
	rc = co_waiter_wait(&w, deadline_us, why);
	q->n_inside--;
	if (rc < 0 && co_state(&w.future) == CO_DONE && (line == &q->putters ? !full(q) : q->n > 0))
		wake_next(line);
	return rc;
}

int co_queue_put(struct co_queue *q, void *item, int64_t deadline_us)
{
	while (full(q) && !q->shut) {
		int rc = stand_in_line(q, &q->putters, deadline_us, "queue put");

		if (rc < 0)
			return rc;
	}
	return co_queue_try_put(q, item);
}

int co_queue_get(struct co_queue *q, void **ret_item, int64_t deadline_us)
{
	while (q->n == 0 && !q->shut) {
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

/* ---- its end ---- */

static void finish_one(struct co_queue *q)
{
	adopt(q);
	CHECK(q->n_unfinished > 0, "more items of a queue are done than were put");
	if (--q->n_unfinished == 0)
		co_event_set(&q->finished);
}

void co_queue_task_done(struct co_queue *q)
{
	finish_one(q);
}

int co_queue_join(struct co_queue *q, int64_t deadline_us)
{
	adopt(q);
	return co_event_wait(&q->finished, deadline_us);
}

static void wake_line(struct list *line)
{
	while (!list_empty(line))
		wake_next(line);
}

void co_queue_shutdown(struct co_queue *q, bool immediate, co_call_fn *drop)
{
	adopt(q);
	q->shut = true;
	while (immediate && q->n > 0) {
		void *item = fetch(q);

		if (q->n_unfinished > 0)
			finish_one(q);
		if (drop != NULL)
			drop(item);
	}
	wake_line(&q->getters);
	wake_line(&q->putters);
}
