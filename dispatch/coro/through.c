/* through.c: awaiting to the end whatever is cancelled meanwhile: for what must not be left half-way by the task that started it. */
#include <errno.h>

#include "dispatch/coro/runtime.h"

enum { NO_MEMORY_PAUSE_MS = 10 };

/* A request stays counted, so that a timeout's and another's can be told apart afterwards; only its delivery is put off. */
int co_await_through(struct co_future *f)
{
	struct co_task *self = co_loop_get()->current;
	unsigned asked;
	const char *text;               /* the request's; awaiting overwrites the task's with the future's */
	bool due;
	int result;

	CHECK(self != NULL || co_done(f), "\"%s\" is awaited outside a task", co_future_name(f));
	if (co_done(f))
		return co_result(f);
	co_ref(f);                      /* its owner may drop it meanwhile */
	asked = self->cancelling;
	due = self->must_cancel;
	text = self->future.text;
	self->must_cancel = false;
	while (!co_done(f)) {
		struct co_future *shield = co_shield(f);
		int rc = shield != NULL ? co_await(shield) : co_sleep_ms(NO_MEMORY_PAUSE_MS);

		if (shield == NULL && rc == -ENOMEM)
			(void)co_yield();       /* none for the timer either */
		co_unref(shield);
		if (self->cancelling > asked || (rc == -ECANCELED && !co_done(f))) {
			due = true;
			text = self->future.text;
		}
		asked = self->cancelling;       /* requests are taken back, too */
	}
	if (due && self->cancelling > 0) {
		self->must_cancel = true;       /* delivered where the caller suspends next */
		self->future.text = text;
	}
	result = co_result(f);
	co_unref(f);
	return result;
}
