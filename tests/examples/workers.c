/* workers.c: a producer and three workers around a bounded queue: put waits while it is full, join until all is done, shutdown ends them. */
#include <errno.h>
#include <stdio.h>

#include "dispatch/coro/coro.h"

enum { WORKERS = 3, JOBS = 100 };

struct shop {
	struct co_queue *queue;
	int done, jobs[JOBS];
};

static int worker(void *arg)
{
	struct shop *shop = arg;
	void *job;
	int rc;

	while ((rc = co_queue_get(shop->queue, &job, CLOCK_NEVER)) == 0) {
		rc = co_sleep_ms(1);
		if (rc < 0)
			return rc;
		shop->done += *(int *)job;
		co_queue_task_done(shop->queue);
	}
	return rc == -ESHUTDOWN ? 0 : rc;       /* nothing comes any more: a good end */
}

static int produce(struct shop *shop)
{
	for (int i = 0; i < JOBS; i++) {
		int rc;

		shop->jobs[i] = 1;
		rc = co_queue_put(shop->queue, &shop->jobs[i], CLOCK_NEVER);
		if (rc < 0)
			return rc;
	}
	return co_queue_join(shop->queue, CLOCK_NEVER);
}

static int open_shop(void *arg)
{
	struct shop shop = { .queue = co_queue_new(10) };
	struct co_group g;
	int rc = 0;

	(void)arg;
	if (shop.queue == NULL)
		return -ENOMEM;
	co_group_enter(&g);
	for (int i = 0; i < WORKERS && rc == 0; i++)
		rc = co_group_spawn(&g, NULL, worker, &shop, "worker %d", i);
	if (rc == 0)
		rc = produce(&shop);
	co_queue_shutdown(shop.queue, false, NULL);
	rc = co_group_leave(&g, rc);
	printf("%d jobs are done\n", shop.done);
	co_queue_free(shop.queue);
	return rc;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc = loop != NULL ? co_run(loop, open_shop, NULL, "shop") : -ENOMEM;

	co_loop_free(loop);
	return rc == 0 ? 0 : 1;
}
