/* through.c: awaiting to the end whatever is cancelled meanwhile: for what must not be left half-way by the task that started it. */
#include <errno.h>

#include "dispatch/coro/coro.h"

enum { NO_MEMORY_PAUSE_MS = 10 };

int co_await_through(struct co_future *f)
{
	struct co_future *self = co_task_current();
	bool cancelled = false;

	while (!co_done(f)) {
		struct co_future *shield = co_shield(f);
		int rc = shield != NULL ? co_await(shield) : co_sleep_ms(NO_MEMORY_PAUSE_MS);

		if (shield == NULL && rc == -ENOMEM)
			rc = co_yield();        /* none for the timer either */
		co_unref(shield);
		if (rc == -ECANCELED && co_state(f) != CO_CANCELLED) {
			co_task_uncancel(self);
			cancelled = true;
		}
	}
	if (cancelled)                  /* delivered where the caller suspends next */
		co_cancel(self);
	return co_result(f);
}
