/* race.c: the first of three to answer wins, the others are cancelled: wait(FIRST_COMPLETED); then what fails first ends a group, in time. */
#include <errno.h>
#include <stdio.h>

#include "dispatch/coro/coro.h"

enum { RUNNERS = 3 };

static int runner(void *arg)
{
	int ms = *(const int *)arg, rc = co_sleep_ms(ms);

	return rc < 0 ? rc : ms;
}

/* Its milliseconds, or a negative errno. */
static int first_of(const int ms[RUNNERS])
{
	struct co_future *t[RUNNERS] = { NULL };
	int rc = 0, winner = -ENOMEM;

	for (int i = 0; i < RUNNERS && rc == 0; i++) {
		t[i] = co_task_new(runner, (void *)&ms[i], "runner %d", i);
		rc = t[i] != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = co_wait(t, RUNNERS, CO_FIRST_COMPLETED, co_in_ms(1000));
	for (int i = 0; i < RUNNERS && t[i] != NULL; i++) {
		if (rc > 0 && co_done(t[i]))
			winner = co_result(t[i]);
		co_cancel(t[i]);                /* of one that is done: nothing */
		co_unref(t[i]);
	}
	return rc < 0 ? rc : winner;
}

static int fails(void *arg)
{
	int rc = co_yield();

	return rc < 0 ? rc : co_fail(-EPROTO, arg);
}

static int all_or_nothing(void)
{
	static int hour_ms = 3600000;
	struct co_group g;
	struct co_timeout t;
	int rc = co_timeout_enter(&t, co_in_ms(1000));

	if (rc < 0)
		return rc;
	co_group_enter(&g);
	rc = co_group_spawn(&g, NULL, runner, &hour_ms, "slow");
	if (rc == 0)
		rc = co_group_spawn(&g, NULL, fails, (void *)"no id in the reply", "broken");
	rc = co_group_leave(&g, rc);            /* the slow one is cancelled, and has ended */
	if (g.n_errors > 0)
		printf("%zu failed: %s\n", g.n_errors, g.texts[0]);
	return co_timeout_leave(&t, rc);
}

static int race(void *arg)
{
	static const int ms[RUNNERS] = { 3600000, 5, 7200000 };

	(void)arg;
	printf("the first took %d ms\n", first_of(ms));
	return all_or_nothing() == -EPROTO ? 0 : -EIO;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc = loop != NULL ? co_run(loop, race, NULL, "race") : -ENOMEM;

	if (rc == 0)
		rc = co_loop_cancel_all(loop);  /* the losers have not run to their ends yet */
	co_loop_free(loop);
	return rc == 0 ? 0 : 1;
}
