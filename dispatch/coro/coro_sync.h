/*
 * coro_sync.h: semaphore, event, lock, condition, barrier, queue: asyncio's, for tasks of one loop. Comes with coro.h. All but the queue
 * are embedded in their owner and need no end; their fields may be read. What [suspends] takes a deadline and returns 0, -ECANCELED, -ETIMEDOUT, or -ENOMEM
 * where a deadline is given.
 */
#ifndef CORO_SYNC_H
#define CORO_SYNC_H

#include "dispatch/coro/coro.h"

/* asyncio.Semaphore, FIFO. acquire [suspends]: 0, -ECANCELED, -ETIMEDOUT; -ENOMEM where a deadline is given. */
struct co_semaphore {
	struct list waiters;
	size_t value;
};
void co_semaphore_init(struct co_semaphore *s, size_t value);
int co_semaphore_acquire(struct co_semaphore *s, int64_t deadline_us) MUST_CHECK;
bool co_semaphore_try(struct co_semaphore *s) MUST_CHECK;
void co_semaphore_release(struct co_semaphore *s);

/* asyncio.Event. wait [suspends]: 0, -ECANCELED, -ETIMEDOUT; -ENOMEM where a deadline is given. */
struct co_event {
	struct list waiters;
	bool set;
};
void co_event_init(struct co_event *e);
void co_event_set(struct co_event *e);
void co_event_clear(struct co_event *e);
int co_event_wait(struct co_event *e, int64_t deadline_us) MUST_CHECK;

/* asyncio.Lock, FIFO; belongs to no task: any may release it. acquire [suspends]. */
struct co_lock {
	struct list waiters;
	bool locked;
};
void co_lock_init(struct co_lock *l);
int co_lock_acquire(struct co_lock *l, int64_t deadline_us) MUST_CHECK;
bool co_lock_try(struct co_lock *l) MUST_CHECK;
void co_lock_release(struct co_lock *l);        /* of one that is not locked: a bug */

/* asyncio.Condition over a lock of its owner. wait [suspends]: gives the lock back meanwhile and has it again in whatever way it ends. */
struct co_condition {
	struct list waiters;
	struct co_lock *lock;
};
void co_condition_init(struct co_condition *c, struct co_lock *lock);
int co_condition_wait(struct co_condition *c, int64_t deadline_us) MUST_CHECK;
/* wait_for: until `ready(arg)`, which is asked first. */
typedef bool(co_ready_fn)(void *arg);
int co_condition_wait_for(struct co_condition *c, co_ready_fn *ready, void *arg, int64_t deadline_us) MUST_CHECK;
void co_condition_notify(struct co_condition *c, size_t n);     /* SIZE_MAX: all */

/* asyncio.Barrier. wait [suspends] until `parties` wait: its place, 0 to parties - 1; -EPIPE: broken (BrokenBarrierError). As in asyncio the
 * place is how many waited as it came: where one has left, by cancel or deadline, two may have the same. */
enum co_barrier_state { CO_BARRIER_FILLING = 1, CO_BARRIER_DRAINING, CO_BARRIER_RESETTING, CO_BARRIER_BROKEN };
struct co_barrier {
	struct co_lock lock;
	struct co_condition changed;
	enum co_barrier_state state;
	unsigned parties, count;
};
void co_barrier_init(struct co_barrier *b, unsigned parties);
int co_barrier_wait(struct co_barrier *b, int64_t deadline_us) MUST_CHECK;
/* [suspend] Those who wait get -EPIPE; after a reset it can be used again, after an abort every wait gets -EPIPE. */
int co_barrier_reset(struct co_barrier *b) MUST_CHECK;
int co_barrier_abort(struct co_barrier *b) MUST_CHECK;
unsigned co_barrier_waiting(const struct co_barrier *b);

/* asyncio.Queue of pointers; maxsize 0: no bound. put and get [suspend]: 0, -ECANCELED, -ETIMEDOUT, -ENOMEM,
 * -ESHUTDOWN. */
struct co_queue;
struct co_queue *co_queue_new(size_t maxsize) MUST_CHECK;
struct co_queue *co_queue_new_lifo(size_t maxsize) MUST_CHECK;
/* Hands out the least first. */
typedef bool(co_less_fn)(const void *a, const void *b);
struct co_queue *co_queue_new_priority(size_t maxsize, co_less_fn *less) MUST_CHECK;
void co_queue_free(struct co_queue *q);
int co_queue_put(struct co_queue *q, void *item, int64_t deadline_us) MUST_CHECK;
int co_queue_get(struct co_queue *q, void **ret_item, int64_t deadline_us) MUST_CHECK;
int co_queue_try_put(struct co_queue *q, void *item) MUST_CHECK;   /* -EAGAIN: full */
int co_queue_try_get(struct co_queue *q, void **ret_item) MUST_CHECK;
size_t co_queue_size(const struct co_queue *q);
/* Each item that was put is to be called done once; join [suspends] until all are. One too many: a bug. */
void co_queue_task_done(struct co_queue *q);
int co_queue_join(struct co_queue *q, int64_t deadline_us) MUST_CHECK;
/* Puts fail from now on, gets once it is empty; `immediate`: it is emptied, each item given to `drop` (may be NULL). */
void co_queue_shutdown(struct co_queue *q, bool immediate, co_call_fn *drop);

#endif
