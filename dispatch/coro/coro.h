/*
 * coro.h: asyncio's tasks and futures in C. Who knows asyncio needs no manual, who knows only C needs only this header: it brings the
 * others with it (coro_wait.h: wait, gather, shield, timeout; coro_group.h: task group, waitset; coro_sync.h: lock to queue;
 * coro_diag.h: what tasks are doing).
 *
 * A loop belongs to one thread; everything below is called on that thread, co_post() and co_offload()'s bodies apart. A task is a
 * future that a body of its own completes; a body is plain C that runs on a stack of its own and suspends in the calls marked
 * [suspends]. Every suspending call returns -ECANCELED when a cancel is delivered there: clean up, and return it on.
 *
 * Codes: >= 0 is a result, a negative errno an error; a body that returns -ECANCELED ends its task as cancelled.
 * Time: absolute monotonic microseconds (clock_mono_us()), CLOCK_NEVER for none.
 * References: co_*_new() hands one to the caller, who drops it with co_unref(). Calls borrow: they take a reference of their own for as
 * long as they need one, and yours stays yours to drop; co_waitset_add() alone takes it over. A task that is not done is kept alive by
 * its loop. Futures end with their loop, so drop references before; queues and streams may outlive it, and so may what is embedded where
 * nobody waits for it: the end takes calls, timers and hooks out, so free none that is in.
 * Callbacks (timers, posts, libevent's) may do all but suspend. Signal handlers may do nothing here. After a fork() only the parent goes on.
 */
#ifndef CORO_H
#define CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/list.h"

struct event_base;
struct co_loop;
struct co_future;               /* asyncio.Future; a task is one too (asyncio.Task) */
struct co_waiter;

typedef int(co_body_fn)(void *arg);
typedef void(co_call_fn)(void *arg);
typedef void(co_done_fn)(struct co_future *f, void *arg);

/* A deadline so many ms from now; all deadlines are absolute, so several calls can share one. One that is past: what can be had at once is
 * had, else -ETIMEDOUT after a turn. */
static inline int64_t co_in_ms(int64_t ms)
{
	int64_t now_us = clock_mono_us();

	if (ms > (CLOCK_NEVER - now_us) / 1000)
		return CLOCK_NEVER;
	return ms > 0 ? now_us + ms * 1000 : now_us;
}

/* ---- the loop ---- */

/* A loop of the calling thread, its libevent base inside. NULL: out of memory. */
struct co_loop *co_loop_new(void);
/* Ends the loop; tasks that are not done are reported on stderr by name and abandoned: their bodies are not unwound, their stacks and
 * all futures of the loop are freed, whoever holds a reference. Drop references before. Takes NULL. Outside tasks and callbacks. */
void co_loop_free(struct co_loop *loop);
/* The same without a word: a crash, for the simulation. */
void co_loop_abandon(struct co_loop *loop);
/* int co_run(struct co_loop *loop, co_body_fn *body, void *arg, const char *name);
 * Runs until the body has returned, as a task called `name`; its result or error; -ESHUTDOWN if co_loop_stop() came first (the task
 * stays), -EDEADLK (coro_diag.h), -ENOMEM. loop.run_until_complete: other tasks stay as they are and go on when the loop runs again. */
#define co_run(loop, body, arg, name) co_run_at(CO_SITE(0), loop, body, arg, name)
/* What asyncio.run() does at its end: cancels all tasks and runs the loop until none is left; those that come meanwhile have their turn to
 * end, then are cancelled as well, so that who starts one anew for each that ends must stop. Outside tasks and callbacks, before
 * co_loop_free(). 0, or as co_run(). */
int co_loop_cancel_all(struct co_loop *loop);
/* Runs until co_loop_stop(), which the current turn still completes. */
void co_loop_run(struct co_loop *loop);
void co_loop_stop(struct co_loop *loop);
struct co_loop *co_loop_current(void);
struct event_base *co_loop_base(struct co_loop *loop);

/* What the loop can run; the first member of everything that waits in its ready queue. Not for users. */
struct co_item {
	struct list node;
	unsigned kind;
	unsigned place;         /* in an array of many */
};

/* A call for the next turn of this thread's loop (call_soon); embedded in its owner. Scheduling a scheduled one does nothing. */
struct co_call {
	struct co_item item;
	co_call_fn *fn;
	void *arg;
};
void co_call_init(struct co_call *call, co_call_fn *fn, void *arg);
void co_call_soon(struct co_call *call);
void co_call_cancel(struct co_call *call);

/* A timer (call_at); embedded in its owner. Starting a started one moves it. O(log n), stopping too. */
struct co_timer {
	struct co_item item;
	int64_t at_us;
	uint64_t seq;
	size_t slot;            /* its place in the heap + 1; 0: not started; SIZE_MAX: due, in the ready queue */
	co_call_fn *fn;
	void *arg;
};
void co_timer_init(struct co_timer *timer, co_call_fn *fn, void *arg);
int co_timer_start(struct co_timer *timer, int64_t at_us) MUST_CHECK;   /* -ENOMEM */
void co_timer_stop(struct co_timer *timer);
/* loop.call_later. */
MUST_CHECK static inline int co_timer_start_ms(struct co_timer *timer, int64_t ms)
{
	return co_timer_start(timer, co_in_ms(ms));
}
static inline bool co_timer_started(const struct co_timer *timer)
{
	return timer->slot != 0;
}

/* Runs each time before the loop looks outside or sleeps, after the last ready task of a turn: where writes are flushed. Short turns
 * share one look: up to 128 callbacks or 0.25 ms. What a hook makes ready runs in the next turn; a
 * hook that a hook adds has its turn the next time. Embedded; in the order of adding. */
struct co_turn_hook {
	struct list node;
	uint64_t round;         /* in which it was added */
	co_call_fn *fn;
	void *arg;
};
void co_turn_hook_add(struct co_turn_hook *hook, co_call_fn *fn, void *arg);
void co_turn_hook_remove(struct co_turn_hook *hook);

/* call_soon_threadsafe: from any thread, not from signal handlers; `fn(arg)` runs on the loop's thread, in order per sender. -ENOMEM (also
 * past 2^20 posts not yet run), -ESHUTDOWN once the loop is ending. The sender must know that the loop is not freed yet. */
int co_post(struct co_loop *loop, co_call_fn *fn, void *arg) MUST_CHECK;

/* What a loop did; longest_call_us is thread CPU (1 ms coarse) of the longest single callback, task step or poll since last asked. */
struct co_loop_stats {
	uint64_t turns_total, switches_total;
	unsigned tasks;
	int64_t longest_call_us;
};
void co_loop_stats(struct co_loop *loop, struct co_loop_stats *ret_stats);

/* Called once for a failed future whose error nobody looked at when its last reference goes, outside tasks: it must not suspend. The
 * default writes a line to stderr. */
typedef void(co_unretrieved_fn)(const char *name, int err, void *arg);
void co_loop_on_unretrieved(struct co_loop *loop, co_unretrieved_fn *fn, void *arg);

/* ---- futures ---- */

enum co_state { CO_PENDING = 1, CO_DONE, CO_FAILED, CO_CANCELLED };

struct co_future *co_future_new(void) MUST_CHECK;
struct co_future *co_ref(struct co_future *f);
void co_unref(struct co_future *f);             /* takes NULL */
/* Complete it; a future that is done already is a bug (asyncio: InvalidStateError). Not for tasks. */
void co_set_result(struct co_future *f, int result);
void co_set_value(struct co_future *f, void *value);    /* result 0 and a pointer, owned by who agreed on it */
void co_set_error(struct co_future *f, int err);        /* a negative errno other than -ECANCELED */
enum co_state co_state(const struct co_future *f);
static inline bool co_done(const struct co_future *f)
{
	return co_state(f) != CO_PENDING;
}
/* The same with words, which are not copied: literals, or memory that outlives the future. Codes beyond errno's, below -4095, are the
 * caller's own domain. */
void co_set_error_text(struct co_future *f, int err, const char *text);
/* The words of a failed future, strerror()'s where there are none; a cancel's message, if it had one; "" of any other. */
const char *co_error_text(const struct co_future *f);
/* The result or error of a done future, -ECANCELED of a cancelled one; counts as retrieved. */
int co_result(struct co_future *f);
void *co_value(struct co_future *f);            /* NULL where it has none; does not count */
/* Asks for cancellation: false if done already. A future is cancelled at once. With a task, what it awaits is cancelled, down to the last
 * future of the chain, and each suspending call on the way returns -ECANCELED; a task that does not wait gets it where it suspends next.
 * Of one that has not begun the body never runs: what its `arg` owns is then for a done-callback to free, or for who spawned it. */
bool co_cancel(struct co_future *f);
/* task.cancel(msg): the words, not copied, go with the cancel to who awaits (co_error_text). */
bool co_cancel_text(struct co_future *f, const char *text);
/* Done-callbacks run from the loop, never inline, in the order of adding; removal is O(1). The node is the caller's until it ran. */
struct co_done_node {
	struct co_item item;
	struct co_future *f;    /* NULL: not armed */
	co_done_fn *fn;
	void *arg;
};
void co_done_add(struct co_future *f, struct co_done_node *n, co_done_fn *fn, void *arg);
void co_done_remove(struct co_done_node *n);

/* ---- tasks ---- */

/* Where tasks are spawned, for overflows, dumps and figures; the macros below make one for each place. */
struct co_site {
	const char *file;
	unsigned line;
	unsigned stack_kib;             /* 0: as usual (64) */
};
#define CO_SITE(kib) \
	({ \
		static const struct co_site co_site_ = { __FILE__, __LINE__, (kib) }; \
		&co_site_; \
	})

/* Schedules body(arg) for a later turn. The name is formatted at once and cut at 47 bytes. NULL: out of memory.
 * struct co_future *co_task_new(co_body_fn *body, void *arg, const char *name_fmt, ...); */
#define co_task_new(body, arg, ...) co_task_new_at(CO_SITE(0), body, arg, __VA_ARGS__)
/* The same with a name that outlives the task and is not copied: for paths where formatting would cost. */
#define co_task_new_static(body, arg, name) co_task_new_static_at(CO_SITE(0), body, arg, name)
/* The same with a stack of its own of so many KiB (a constant), mapped for this task and unmapped at its end. */
#define co_task_new_sized(kib, body, arg, ...) co_task_new_at(CO_SITE(kib), body, arg, __VA_ARGS__)
struct co_future *co_task_new_at(const struct co_site *site, co_body_fn *body, void *arg, const char *name_fmt, ...)
	__attribute__((format(printf, 4, 5))) MUST_CHECK;
struct co_future *co_task_new_static_at(const struct co_site *site, co_body_fn *body, void *arg, const char *name) MUST_CHECK;
int co_run_at(const struct co_site *site, struct co_loop *loop, co_body_fn *body, void *arg, const char *name);
struct co_future *co_task_current(void);                /* NULL outside a task */
const char *co_task_name(const struct co_future *f);    /* of what is no task: what it is, "future", "gather", "shield" */
/* For a body's `return co_fail(-EPROTO, "no id in the reply");`: gives the current task's error words (not copied); returns `err`. */
int co_fail(int err, const char *text);
bool co_task_uncancel(struct co_future *task);          /* takes one request back; true: none is left */
unsigned co_task_cancelling(const struct co_future *task);
size_t co_task_count(const struct co_loop *loop);

/* ---- the rest of the world ---- */

/* [suspends] run_in_thread: body(arg) on a thread of the bounded offload pool; its code, or -ECANCELED / -ETIMEDOUT, after which a
 * body that had begun still runs to its end (one that had not never does): `arg` must outlive it, so `release(arg)` (may be NULL) is
 * called exactly once when both sides are through, on failure too. -EAGAIN: the pool's queue is full; -ENOMEM. */
int co_offload(co_body_fn *body, void *arg, co_call_fn *release, int64_t deadline_us) MUST_CHECK;

/* [suspends] until fd is ready for EV_READ / EV_WRITE (<event2/event.h>): what it is ready for, -ECANCELED, -ETIMEDOUT, -EBADF, -EPERM (a
 * file is always ready: epoll takes none), or what else epoll_ctl(2) says. Several tasks may wait for one fd; it must stay open meanwhile,
 * or they wait on. */
int co_fd_wait(int fd, short what, int64_t deadline_us) MUST_CHECK;

#include "dispatch/coro/coro_diag.h"
#include "dispatch/coro/coro_group.h"
#include "dispatch/coro/coro_sync.h"
#include "dispatch/coro/coro_wait.h"

#endif
