/* hello.c: two tasks at once, and a third that is cancelled. A whole program: a loop, a body to run in it, the end. */
#include <errno.h>
#include <stdio.h>

#include "dispatch/coro/coro.h"

static int fetch(void *arg)
{
	int rc = co_sleep_ms(5);                /* suspends; a cancel comes out of here */

	if (rc < 0)
		return rc;
	return *(const int *)arg * 2;
}

static int hello(void *arg)
{
	int one = 1, twenty = 20, sum;
	struct co_future *a = co_task_new(fetch, &one, "fetch %d", one), *b = co_task_new(fetch, &twenty, "fetch %d", twenty);
	struct co_future *c = co_task_new(fetch, &one, "not needed");

	(void)arg;
	if (a == NULL || b == NULL || c == NULL)
		return -ENOMEM;                 /* whoever began is told of at the loop's end */
	co_cancel(c);
	sum = co_await(a) + co_await(b);        /* both slept at the same time */
	printf("the sum is %d, the third was %s\n", sum, co_await(c) == -ECANCELED ? "cancelled" : "done");
	co_unref(a);
	co_unref(b);
	co_unref(c);
	return 0;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc = loop != NULL ? co_run(loop, hello, NULL, "hello") : -ENOMEM;

	co_loop_free(loop);
	return rc == 0 ? 0 : 1;
}
