/*
 * worker.c: owns a thread, its loop and what lives on it: store, route, dispatch. The control thread starts and stops it and talks to
 * it by posting; the thread itself takes no lock and shares no memory but what is posted.
 */
#include "dispatch/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "dispatch/route.h"

struct worker {
	struct worker_options options;
	pthread_t thread;
	bool threaded;
	struct co_loop *loop;
	struct store *store;
	struct route *route;
	struct dispatch *dispatch;
	struct co_event stop;
	sem_t started;                  /* the one wait between threads, at the start */
	char *err;                      /* the starter's, until started */
	size_t err_len;
	bool ok;
};

/* ---- the parts, on the worker's thread ---- */

static void parts_close(struct worker *w)
{
	dispatch_free(w->dispatch);
	route_free(w->route);
	store_free(w->store);
	w->dispatch = NULL;
	w->route = NULL;
	w->store = NULL;
}

static int parts_open(struct worker *w)
{
	const struct worker_options *o = &w->options;

	w->store = store_new(&o->store, w->err, w->err_len);
	if (w->store == NULL)
		return -EINVAL;
	w->route = route_new(o->providers, o->n_providers, o->index, o->count, w->err, w->err_len);
	if (w->route == NULL)
		goto fail;
	w->dispatch = dispatch_new(&o->dispatch, w->store, w->route);
	if (w->dispatch == NULL) {
		snprintf(w->err, w->err_len, "out of memory");
		goto fail;
	}
	return 0;
fail:
	parts_close(w);
	return -EINVAL;
}

/* What the start took of this loop (some 50 ms to read the system's certificates) held no message up: the measure of callbacks that
 * block begins behind it. */
static void forget_start(void)
{
	struct co_loop_stats start;

	(void)!co_yield();
	co_loop_stats(co_loop_current(), &start);
}

static int worker_body(void *arg)
{
	struct worker *w = arg;

	co_event_init(&w->stop);
	w->ok = parts_open(w) == 0;
	forget_start();
	sem_post(&w->started);
	if (!w->ok)
		return 0;
	(void)!co_event_wait(&w->stop, CLOCK_NEVER);
	if (dispatch_wait_idle(w->dispatch, clock_mono_us()) == 0)
		parts_close(w);
	return 0;               /* else the process is on its way out: what is left, the next owner's claim finds */
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof name, "worker %u", w->options.index);
	pthread_setname_np(pthread_self(), name);
	w->loop = co_loop_new();
	if (w->loop == NULL) {
		snprintf(w->err, w->err_len, "out of memory");
		sem_post(&w->started);
		return NULL;
	}
	co_run(w->loop, worker_body, w, name);
	co_loop_free(w->loop);
	return NULL;
}

/* ---- from the control thread ---- */

static struct worker *worker_new(const struct worker_options *options, char *err, size_t err_len)
{
	struct worker *w = mem_zalloc(sizeof *w);

	if (w == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	w->options = *options;
	w->err = err;
	w->err_len = err_len;
	return w;
}

/* Signals are the control thread's: a worker starts with all of them blocked. */
static int thread_start(struct worker *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, worker_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

struct worker *worker_start(const struct worker_options *options, char *err, size_t err_len)
{
	struct worker *w = worker_new(options, err, err_len);
	int rc;

	if (w == NULL)
		return NULL;
	w->threaded = true;
	sem_init(&w->started, 0, 0);
	rc = thread_start(w);
	if (rc != 0) {
		snprintf(err, err_len, "can't start a thread: errno %d", -rc);
		goto fail;
	}
	while (sem_wait(&w->started) != 0)
		;
	w->err = NULL;
	if (w->ok)
		return w;
	pthread_join(w->thread, NULL);
fail:
	sem_destroy(&w->started);
	mem_free(w);
	return NULL;
}

struct worker *worker_start_here(const struct worker_options *options, char *err, size_t err_len)
{
	struct worker *w = worker_new(options, err, err_len);

	if (w == NULL)
		return NULL;
	w->loop = co_loop_current();
	w->ok = parts_open(w) == 0;
	w->err = NULL;
	if (w->ok)
		return w;
	mem_free(w);
	return NULL;
}

static void on_stop(void *arg)
{
	struct worker *w = arg;

	co_event_set(&w->stop);
}

void worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->threaded) {
		CHECK(co_post(w->loop, on_stop, w) == 0);
		pthread_join(w->thread, NULL);
		sem_destroy(&w->started);
	} else if (dispatch_wait_idle(w->dispatch, clock_mono_us()) == 0) {
		parts_close(w);
	}
	mem_free(w);
}

/* ---- questions and orders ---- */

struct call {
	struct worker *worker;
	int (*body)(void *arg);
	void *arg;
	int rc;
	struct co_loop *caller;
	struct co_future *done;
};

static void on_call_done(void *arg)
{
	struct call *c = arg;

	co_set_result(c->done, 0);
}

static int call_task(void *arg)
{
	struct call *c = arg;

	c->rc = c->body(c->arg);
	while (co_post(c->caller, on_call_done, c) == -ENOMEM)
		(void)!co_sleep_ms(100);
	return 0;
}

static void on_call(void *arg)
{
	struct call *c = arg;
	struct co_future *task = co_task_new_static(call_task, c, "call from the control thread");

	if (task == NULL) {
		c->rc = -ENOMEM;
		CHECK(co_post(c->caller, on_call_done, c) == 0);
	}
	co_unref(task);
}

int worker_call(struct worker *w, int (*body)(void *arg), void *arg)
{
	struct call c = { .worker = w, .body = body, .arg = arg, .caller = co_loop_current(), .done = co_future_new() };
	int rc = -ENOMEM;

	if (c.done != NULL)
		rc = co_post(w->loop, on_call, &c);
	if (rc == 0) {
		/* `arg` is the caller's: it must not go away before the answer, whatever is cancelled. */
		(void)!co_await_through(c.done);
		rc = c.rc;
	}
	co_unref(c.done);
	return rc;
}

int worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
	return co_post(w->loop, fn, arg);
}

unsigned worker_index(const struct worker *w)
{
	return w->options.index;
}

struct co_loop *worker_loop(const struct worker *w)
{
	return w->loop;
}

struct dispatch *worker_dispatch(const struct worker *w)
{
	return w->dispatch;
}

struct store *worker_store(const struct worker *w)
{
	return w->store;
}

struct route *worker_route(const struct worker *w)
{
	return w->route;
}
