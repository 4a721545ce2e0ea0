/*
 * worker.h: a thread with a loop of its own, a Redis connection, provider connections and a dispatch. Partitions are lent to it.
 * Made and ended by the control thread; everything inside runs on the worker's. No locks: threads talk through co_post().
 */
#ifndef DISPATCH_WORKER_H
#define DISPATCH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "dispatch/dispatch.h"
#include "metrics/store.h"

struct co_loop;
struct provider_options;
struct worker;

struct worker_options {
	unsigned index, count;                  /* this one of so many: providers' limits are shared out */
	struct store_options store;
	struct dispatch_options dispatch;
	const struct provider_options *providers;
	size_t n_providers;
};

/* Starts the thread and returns when its loop runs and its parts are made. NULL with words in err. Options are copied where kept. */
struct worker *worker_start(const struct worker_options *options, char *err, size_t err_len) MUST_CHECK;
/* The same on the calling thread's loop, without a thread: for the simulation and for tests. */
struct worker *worker_start_here(const struct worker_options *options, char *err, size_t err_len) MUST_CHECK;
/* Ends the thread and frees all. The dispatch should be idle: what is not is left to the next claim. Takes NULL. */
void worker_stop(struct worker *w);

/* [suspends] Runs body(arg) as a task on the worker's loop and returns its code: how the control thread asks a worker. */
int worker_call(struct worker *w, int (*body)(void *arg), void *arg) MUST_CHECK;
/* Runs fn(arg) on the worker's loop, soon; from any thread. -ENOMEM, -ESHUTDOWN. */
int worker_post(struct worker *w, void (*fn)(void *arg), void *arg) MUST_CHECK;

unsigned worker_index(const struct worker *w);
struct co_loop *worker_loop(const struct worker *w);
/* On the worker's thread only. */
struct dispatch *worker_dispatch(const struct worker *w);
struct store *worker_store(const struct worker *w);
struct route *worker_route(const struct worker *w);

#endif
