/* commit.c: what this runtime was made for: sends that are taken in the order in which they end, each acknowledged under a shield, so that
 * a cancel that comes in the middle of a commit does not leave it half done. */
#include <errno.h>
#include <stdio.h>

#include "dispatch/coro/coro.h"

enum { SENDS = 5 };

static int n_begun, n_committed;
static struct co_event second_begun, second_committed;

static int send_one(void *arg)
{
	int n = *(int *)arg, rc = co_sleep_ms(5 * (SENDS - n));         /* the last one is the quickest */

	return rc < 0 ? rc : n;
}

static int commit(void *arg)
{
	int rc;

	(void)arg;
	if (++n_begun == 2)
		co_event_set(&second_begun);
	rc = co_sleep_ms(20);
	if (rc == 0 && ++n_committed == 2)
		co_event_set(&second_committed);
	return rc;
}

/* Takes each send as it ends. Cancelled, it lets the commit under way be, and begins no other. */
static int tracker(void *arg)
{
	struct co_future *sent;
	int rc;

	while ((rc = co_waitset_take(arg, &sent, NULL, CLOCK_NEVER)) == 0) {
		struct co_future *ack = co_task_new(commit, NULL, "commit"), *shield = ack != NULL ? co_shield(ack) : NULL;

		printf("send %d ended\n", co_result(sent));
		rc = shield != NULL ? co_await(shield) : -ENOMEM;
		co_unref(shield);
		co_unref(ack);
		co_unref(sent);
		if (rc < 0)
			break;
	}
	return rc == -ENOENT ? 0 : rc;
}

static int deliver(void *arg)
{
	static int number[SENDS] = { 0, 1, 2, 3, 4 };
	struct co_future *sends[SENDS], *t;
	struct co_waitset *ends;
	int rc;

	(void)arg;
	co_event_init(&second_begun);
	co_event_init(&second_committed);
	for (int i = 0; i < SENDS; i++)
		if ((sends[i] = co_task_new(send_one, &number[i], "send %d", i)) == NULL)
			return -ENOMEM;
	ends = co_as_completed(sends, SENDS);
	t = ends != NULL ? co_task_new(tracker, ends, "tracker") : NULL;
	if (t == NULL)
		return -ENOMEM;
	rc = co_event_wait(&second_begun, CLOCK_NEVER);
	co_cancel(t);
	printf("tracker: %s\n", co_await(t) == -ECANCELED ? "cancelled" : "done");
	if (rc == 0)
		rc = co_event_wait(&second_committed, CLOCK_NEVER);
	printf("%d committed\n", n_committed);
	for (int i = 0; i < SENDS; i++)
		co_unref(sends[i]);
	co_unref(t);
	co_waitset_free(ends);
	return rc;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc = loop != NULL ? co_run(loop, deliver, NULL, "deliver") : -ENOMEM;

	co_loop_free(loop);
	return rc == 0 ? 0 : 1;
}
