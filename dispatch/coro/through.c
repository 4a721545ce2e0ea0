/* through.c: awaiting to the end whatever is cancelled meanwhile: for what must not be left half-way by the task that started it. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

enum { NO_MEMORY_PAUSE_MS = 10 };

/* A request stays counted, so that a timeout's and another's can be told apart afterwards; only its delivery is put off. */
int co_await_through(struct co_future *f)
{
	struct co_task *self = co_loop_get()->current;
	unsigned asked;
	bool due;

	CHECK(self != NULL || co_done(f), "\"%s\" is awaited outside a task", co_future_name(f));
	if (co_done(f))
		return co_result(f);
	asked = self->cancelling;
	due = self->must_cancel;
	self->must_cancel = false;
	while (!co_done(f)) {
		struct co_future *shield = co_shield(f);
		int rc = shield != NULL ? co_await(shield) : co_sleep_ms(NO_MEMORY_PAUSE_MS);

		if (shield == NULL && rc == -ENOMEM)
			(void)co_yield();       /* none for the timer either */
		co_unref(shield);
	}
	if (due || self->cancelling > asked)
		self->must_cancel = true;       /* delivered where the caller suspends next */
	return co_result(f);
}
