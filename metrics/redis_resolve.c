/*
 * redis_resolve.c: getaddrinfo(3) on the offload pool's threads. The request is shared between a task and such a thread, which can't
 * be stopped, so it counts who still needs it. Refuses to cache: a connection is made rarely, and its name may have moved.
 */
#include "metrics/redis_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"

struct redis_resolve {
	atomic_int refs;                /* the offload pool's, the task's */
	char host[256], address[INET6_ADDRSTRLEN];
	unsigned skip;
	int64_t deadline_us;
	redis_resolve_fn *fn;           /* NULL: cancelled */
	void *arg;
	struct co_future *task;
};

static void unref(void *arg)
{
	struct redis_resolve *r = arg;

	if (atomic_fetch_sub(&r->refs, 1) == 1)
		mem_free(r);
}

/* On a pool thread. */
static int look_up(void *arg)
{
	struct redis_resolve *r = arg;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list, *a;
	unsigned n = 0, skip;
	int rc = -EHOSTUNREACH;

	if (getaddrinfo(r->host, NULL, &hints, &list) != 0)
		return -EHOSTUNREACH;
	for (a = list; a != NULL; a = a->ai_next)
		n++;
	for (skip = n > 0 ? r->skip % n : 0, a = list; a != NULL && skip > 0; skip--)
		a = a->ai_next;
	if (a != NULL && getnameinfo(a->ai_addr, a->ai_addrlen, r->address, sizeof r->address, NULL, 0, NI_NUMERICHOST) == 0)
		rc = 0;
	freeaddrinfo(list);
	return rc;
}

static int resolve_task(void *arg)
{
	struct redis_resolve *r = arg;
	redis_resolve_fn *fn;
	struct co_future *task = r->task;
	int rc;

	atomic_fetch_add(&r->refs, 1);
	rc = co_offload(look_up, r, unref, r->deadline_us);
	fn = r->fn;
	if (fn != NULL)
		fn(rc, r->address, r->arg);
	co_unref(task);
	unref(r);
	return 0;
}

struct redis_resolve *redis_resolve_start(const char *host, unsigned skip, int64_t deadline_us, redis_resolve_fn *fn, void *arg)
{
	struct redis_resolve *r = mem_zalloc(sizeof *r);

	if (r == NULL)
		return NULL;
	atomic_store(&r->refs, 1);
	snprintf(r->host, sizeof r->host, "%s", host);
	r->skip = skip;
	r->deadline_us = deadline_us;
	r->fn = fn;
	r->arg = arg;
	r->task = co_task_new_static(resolve_task, r, "redis resolve");
	if (r->task == NULL) {
		mem_free(r);
		return NULL;
	}
	return r;
}

void redis_resolve_cancel(struct redis_resolve *r)
{
	if (r != NULL)
		r->fn = NULL;
}
