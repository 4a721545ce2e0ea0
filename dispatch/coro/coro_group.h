/* coro_group.h: many tasks as one: the task group, and the waitset, which hands out futures as they complete. Comes with coro.h. */
#ifndef CORO_GROUP_H
#define CORO_GROUP_H

#include "dispatch/coro/coro.h"

/*
 * asyncio.TaskGroup: a scope on the task's stack. The first member to fail cancels the others and the body; leave waits for all.
 *
 *	co_group_enter(&g);
 *	rc = co_group_spawn(&g, NULL, fetch, a, "fetch a");
 *	if (rc == 0)
 *		rc = co_group_spawn(&g, NULL, fetch, b, "fetch b");
 *	return co_group_leave(&g, rc);
 */
enum { CO_GROUP_ERRORS = 16 };
struct co_group {
	struct co_future *parent;
	struct list members;
	struct co_waiter *waiter;       /* leave's */
	bool exiting, aborting, cancelled_parent;
	size_t n_errors;                /* all there were, the body's own last; the codes of the first of them, and their words or NULL: */
	int errors[CO_GROUP_ERRORS];
	const char *texts[CO_GROUP_ERRORS];
};
void co_group_enter(struct co_group *g);
/* A task of the group; a reference to it goes to ret_task, which may be NULL. -ESHUTDOWN: the group is ending; -ENOMEM.
 * int co_group_spawn(struct co_group *g, struct co_future **ret_task, co_body_fn *body, void *arg, const char *name_fmt, ...); */
#define co_group_spawn(g, ret_task, body, arg, ...) co_group_spawn_at(g, CO_SITE(0), ret_task, body, arg, __VA_ARGS__)
int co_group_spawn_at(struct co_group *g, const struct co_site *site, struct co_future **ret_task, co_body_fn *body, void *arg,
		      const char *name_fmt, ...) __attribute__((format(printf, 6, 7))) MUST_CHECK;
/* [suspends] On every way out of the scope, with the body's code: the error of the first member that failed, the body's own where none did
 * (g->errors tells all), -ECANCELED if the task was cancelled from outside and nothing failed, else `rc`. */
int co_group_leave(struct co_group *g, int rc) MUST_CHECK;

/* A set of futures that hands them out in completion order: FIRST_COMPLETED in a loop, O(1) a completion. */
struct co_waitset;
struct co_waitset *co_waitset_new(void) MUST_CHECK;
void co_waitset_free(struct co_waitset *ws);            /* members are let go, not cancelled */
/* Takes over the caller's reference (also on error). `tag` comes back with the future. -ENOMEM; -ESHUTDOWN: closed. */
int co_waitset_add(struct co_waitset *ws, struct co_future *f, void *tag) MUST_CHECK;
/* [suspends] co_waitset_take() without a deadline, for loops that need no reason: NULL once closed and empty, or when cancelled. */
struct co_future *co_waitset_next(struct co_waitset *ws, void **ret_tag);
/* [suspends] while none is done. The reference goes to the caller: 0; -ETIMEDOUT, -ECANCELED, -ENOENT (closed and empty). */
int co_waitset_take(struct co_waitset *ws, struct co_future **ret_f, void **ret_tag, int64_t deadline_us) MUST_CHECK;
/* asyncio.as_completed: a closed set of these; duplicates collapse; the caller's references stay the caller's. Take until -ENOENT. */
struct co_waitset *co_as_completed(struct co_future *const *fs, size_t n) MUST_CHECK;
void co_waitset_close(struct co_waitset *ws);
size_t co_waitset_size(const struct co_waitset *ws);    /* members, the done that were not taken included */

#endif
