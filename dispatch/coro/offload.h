/*
 * offload.h: the port between co_offload() and the threads that run its bodies. offload_threads.c is the real one; the simulation links
 * one that runs the body in place and posts its end.
 */
#ifndef CORO_OFFLOAD_H
#define CORO_OFFLOAD_H

#include <stdatomic.h>

#include "dispatch/coro/runtime.h"

enum co_job_state { CO_JOB_QUEUED = 1, CO_JOB_RUNNING, CO_JOB_DROPPED };

struct co_offload_job {
	struct list node;               /* in the pool's queue */
	struct co_post post;            /* its end, on the way back */
	struct co_mailbox *mailbox;     /* a reference */
	co_body_fn *body;
	void *arg;
	co_call_fn *release;
	struct co_offload_wait *wait;   /* NULL once nobody waits; the loop's thread only */
	atomic_int state;               /* enum co_job_state: who comes first, the thread or the waiter's leave */
	int rc;
};

struct co_offload_threads;

/* The port. NULL: out of memory. */
struct co_offload_threads *co_offload_threads_new(void) MUST_CHECK;
/* Queued jobs are run off without their bodies; running ones are waited for, a second at most, and left to end by themselves. */
void co_offload_threads_free(struct co_offload_threads *t);
/* Somebody calls co_offload_work(job), now or later, on any thread. -EAGAIN: too many queued. */
int co_offload_threads_submit(struct co_offload_threads *t, struct co_offload_job *job) MUST_CHECK;

/* Runs the body if it is still wanted and sends the job home. */
void co_offload_work(struct co_offload_job *job);

#endif
