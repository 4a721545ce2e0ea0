/* offload.c: run_in_thread as a task sees it: hands a body over, waits for its end, and lets go of it when cancelled. */
#include "dispatch/coro/offload.h"

#include <errno.h>

#include "daemon/base/alloc.h"

struct co_offload {
	struct co_offload_threads *threads;
};

/* On the stack of the task that waits. */
struct co_offload_wait {
	struct co_waiter waiter;
	bool over;                      /* the job is gone */
};

static void job_free(struct co_offload_job *job)
{
	if (job->release != NULL)
		job->release(job->arg);
	co_mailbox_unref(job->mailbox);
	mem_free(job);
}

static void on_end(void *arg)
{
	struct co_offload_job *job = arg;

	co_loop_get()->n_offloads--;
	if (job->wait != NULL) {
		job->wait->over = true;
		co_future_release(&job->wait->waiter.future, job->rc);
	}
	job_free(job);
}

void co_offload_work(struct co_offload_job *job)
{
	struct co_mailbox *m = co_mailbox_ref(job->mailbox);    /* the job is gone once it is sent */
	int queued = CO_JOB_QUEUED;

	if (atomic_compare_exchange_strong(&job->state, &queued, CO_JOB_RUNNING))
		job->rc = job->body(job->arg);
	if (co_mailbox_send(m, &job->post) < 0)
		job_free(job);          /* the loop is gone, and whoever waited */
	co_mailbox_unref(m);
}

static int open_pool(struct co_loop *loop)
{
	struct co_offload *o;

	if (loop->offload != NULL)
		return 0;
	o = mem_alloc(sizeof *o);
	if (o == NULL)
		return -ENOMEM;
	o->threads = co_offload_threads_new();
	if (o->threads == NULL) {
		mem_free(o);
		return -ENOMEM;
	}
	loop->offload = o;
	return 0;
}

void co_offload_free(struct co_offload *o)
{
	co_offload_threads_free(o->threads);
	mem_free(o);
}

static int job_new(struct co_loop *loop, co_body_fn *body, void *arg, co_call_fn *release, struct co_offload_job **ret_job)
{
	struct co_offload_job *job;
	int rc = open_pool(loop);

	if (rc < 0)
		return rc;
	job = mem_zalloc(sizeof *job);
	if (job == NULL)
		return -ENOMEM;
	list_init(&job->node);
	job->post = (struct co_post){ .fn = on_end, .arg = job };
	job->mailbox = co_mailbox_ref(loop->mailbox);
	job->body = body;
	job->arg = arg;
	job->release = release;
	job->rc = -ECANCELED;
	atomic_init(&job->state, CO_JOB_QUEUED);
	*ret_job = job;
	return 0;
}

int co_offload(co_body_fn *body, void *arg, co_call_fn *release, int64_t deadline_us)
{
	struct co_loop *loop = co_loop_get();
	struct co_offload_job *job;
	struct co_offload_wait w = { .over = false };
	int rc = job_new(loop, body, arg, release, &job), queued = CO_JOB_QUEUED;

	if (rc < 0) {
		if (release != NULL)
			release(arg);
		return rc;
	}
	co_waiter_init(&w.waiter);
	job->wait = &w;
	rc = co_offload_threads_submit(loop->offload->threads, job);
	if (rc < 0) {
		job_free(job);
		return rc;
	}
	loop->n_offloads++;
	rc = co_waiter_wait(&w.waiter, deadline_us, "offload");
	if (w.over)
		return rc;
	job->wait = NULL;
	atomic_compare_exchange_strong(&job->state, &queued, CO_JOB_DROPPED);
	return rc;
}
