/*
 * offload_threads.c: a loop's few threads for bodies that block, started when there is work for them. They touch nothing of the loop
 * but its mailbox. Refuses more than a bounded queue, and to make the process wait for a body that hangs.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/offload.h"

enum { THREADS_MAX = 4, QUEUE_MAX = 256, PATIENCE_MS = 1000 };

struct co_offload_threads {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list queue;
	unsigned n_queued, n_idle, n_threads;
	unsigned refs;                  /* the threads and the loop, under the lock */
	bool closing;
	pthread_t thread[THREADS_MAX];
};

struct co_offload_threads *co_offload_threads_new(void)
{
	struct co_offload_threads *t = mem_zalloc(sizeof *t);

	if (t == NULL)
		return NULL;
	list_init(&t->queue);
	t->refs = 1;
	if (pthread_mutex_init(&t->lock, NULL) != 0)
		goto no_lock;
	if (pthread_cond_init(&t->work, NULL) != 0)
		goto no_cond;
	return t;
no_cond:
	pthread_mutex_destroy(&t->lock);
no_lock:
	mem_free(t);
	return NULL;
}

/* Called under the lock, which it drops. */
static void unref_unlock(struct co_offload_threads *t)
{
	bool last = --t->refs == 0;

	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	mem_free(t);
}

static void *thread_main(void *arg)
{
	struct co_offload_threads *t = arg;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		struct list *node = list_pop(&t->queue);

		if (node != NULL) {
			t->n_queued--;
			pthread_mutex_unlock(&t->lock);
			co_offload_work(list_entry(node, struct co_offload_job, node));
			pthread_mutex_lock(&t->lock);
			continue;
		}
		if (t->closing)
			break;
		t->n_idle++;
		pthread_cond_wait(&t->work, &t->lock);
		t->n_idle--;
	}
	unref_unlock(t);
	return NULL;
}

/* With all signals blocked: they are for the threads that ask for them. */
static int start_thread(struct co_offload_threads *t)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&t->thread[t->n_threads], NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return -rc;
	t->n_threads++;
	t->refs++;
	return 0;
}

int co_offload_threads_submit(struct co_offload_threads *t, struct co_offload_job *job)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (t->n_queued >= QUEUE_MAX) {
		rc = -EAGAIN;
	} else if (t->n_queued >= t->n_idle && t->n_threads < THREADS_MAX) {
		rc = start_thread(t);
		/* One fewer than wished for is enough, none is not. */
		if (rc < 0 && t->n_threads > 0)
			rc = 0;
	}
	if (rc == 0) {
		list_append(&t->queue, &job->node);
		t->n_queued++;
		pthread_cond_signal(&t->work);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void co_offload_threads_free(struct co_offload_threads *t)
{
	struct timespec until;
	unsigned n_threads;
	pthread_t thread[THREADS_MAX];
	int64_t until_ms;

	pthread_mutex_lock(&t->lock);
	t->closing = true;
	n_threads = t->n_threads;
	for (unsigned i = 0; i < n_threads; i++)
		thread[i] = t->thread[i];
	list_each(node, &t->queue)
		atomic_store(&list_entry(node, struct co_offload_job, node)->state, CO_JOB_DROPPED);
	pthread_cond_broadcast(&t->work);
	unref_unlock(t);
	/* By the wall clock: pthread_clockjoin_np() TSan does not know yet, and takes each thread joined by it for one that was lost. */
	until_ms = clock_wall_exact_ms() + PATIENCE_MS;
	until = (struct timespec){ .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
	for (unsigned i = 0; i < n_threads; i++)
		if (pthread_timedjoin_np(thread[i], NULL, &until) != 0)
			pthread_detach(thread[i]);
}
