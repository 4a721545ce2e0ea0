/* coro_wait.h: waiting for futures: await, sleep, wait, gather, shield, timeout, wait_for. Comes with coro.h. */
#ifndef CORO_WAIT_H
#define CORO_WAIT_H

#include "dispatch/coro/coro.h"

/* [suspends] Its result or error; of a done future at once, without a yield. A cancel of the caller cancels `f` too, and so everybody who
 * awaits it: co_shield() or co_await_through() keep it. */
int co_await(struct co_future *f);
/* [suspends] The same to the very end: a cancel meanwhile leaves `f` alone and is delivered where the caller suspends next. */
int co_await_through(struct co_future *f);
/* [suspends] Until the deadline; a deadline that is past yields exactly once (asyncio.sleep(0)). 0 or -ECANCELED. */
int co_sleep_until(int64_t deadline_us);
int co_sleep_ms(int64_t ms);
int co_yield(void);

enum co_wait_mode { CO_ALL_COMPLETED = 1, CO_FIRST_COMPLETED, CO_FIRST_EXCEPTION };
/* [suspends] asyncio.wait: until all are done, the first is, or the first has failed (a cancelled one has not). Never raises a member's
 * error, never cancels one. How many are done then, or -EINVAL (n is 0), -ECANCELED (members untouched), -ENOMEM. A timeout is no error:
 * fewer are done. */
int co_wait(struct co_future *const *fs, size_t n, enum co_wait_mode mode, int64_t deadline_us);
/* asyncio.gather: a future that is done when all are, with the caller's `results` (n ints, may be NULL) filled in argument order; the first
 * error finishes it, and the others run on; with return_exceptions errors are results. Its cancel cancels all. What nobody is left to
 * read is not written. NULL: out of memory. */
struct co_future *co_gather(struct co_future *const *fs, size_t n, bool return_exceptions, int *results) MUST_CHECK;
/* asyncio.shield: a future to await in the inner's place, whose cancel leaves the inner alone; where that is done already, another reference
 * to the inner itself. NULL: out of memory. */
struct co_future *co_shield(struct co_future *inner) MUST_CHECK;
/* [suspends] asyncio.wait_for: on timeout cancels, waits for the end, -ETIMEDOUT; a stubborn inner's own result wins. */
int co_wait_for(struct co_future *f, int64_t deadline_us) MUST_CHECK;

/* asyncio.timeout: a scope. co_timeout_leave turns -ECANCELED into -ETIMEDOUT if this scope cancelled and no one else did. */
struct co_timeout {
	struct co_timer timer;
	struct co_call soon;    /* in the timer's place for a deadline that is past */
	struct co_future *task;
	unsigned cancelling;
	bool expired;
};
int co_timeout_enter(struct co_timeout *t, int64_t deadline_us) MUST_CHECK;     /* -ENOMEM: don't leave it then */
int co_timeout_reschedule(struct co_timeout *t, int64_t deadline_us) MUST_CHECK;
int co_timeout_leave(struct co_timeout *t, int rc) MUST_CHECK;
static inline bool co_timeout_expired(const struct co_timeout *t)
{
	return t->expired;
}

#endif
