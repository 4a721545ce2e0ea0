/* group.c: the task group. Members report by done-callback, as in CPython's TaskGroup, so that what completes in one turn is seen in the
 * order of completion; a member's entry is made before its task, so that nothing can fail once that exists. */
#include <errno.h>
#include <stdarg.h>

#include "dispatch/coro/runtime.h"

struct member {
	struct list node;
	struct co_done_node done;
	struct co_group *g;
	struct co_future *task;         /* a reference */
};

void co_group_enter(struct co_group *g)
{
	*g = (struct co_group){ .parent = co_task_current() };
	CHECK(g->parent != NULL, "a task group outside a task");
	co_task_of(g->parent)->n_scopes++;
	list_init(&g->members);
}

static void abort_members(struct co_group *g)
{
	g->aborting = true;
	list_each(node, &g->members) {
		struct co_future *task = list_entry(node, struct member, node)->task;

		if (!co_done(task))
			co_cancel(task);
	}
}

static void add_error(struct co_group *g, int rc, const char *text)
{
	if (g->n_errors < CO_GROUP_ERRORS) {
		g->errors[g->n_errors] = rc;
		g->texts[g->n_errors] = text;
	}
	g->n_errors++;
}

static void forget(struct member *m)
{
	list_remove(&m->node);
	co_unref(m->task);
	co_pool_release(&co_loop_get()->pool, m, sizeof *m);
}

static void on_member_done(struct co_future *task, void *arg)
{
	struct member *m = arg;
	struct co_group *g = m->g;
	bool failed = task->state == CO_FAILED;

	if (failed)
		add_error(g, co_result(task), task->text);
	forget(m);
	if (g->waiter != NULL && list_empty(&g->members))
		co_future_release(&g->waiter->future, 0);
	/* The body is cancelled to bring it here; leave takes that request back. */
	if (failed && !g->aborting && !g->cancelled_parent) {
		abort_members(g);
		g->cancelled_parent = true;
		co_cancel(g->parent);
	}
}

int co_group_spawn_at(struct co_group *g, const struct co_site *site, struct co_future **ret_task, co_body_fn *body, void *arg,
		      const char *name_fmt, ...)
{
	struct co_pool *pool = &co_loop_get()->pool;
	struct member *m;
	va_list ap;

	if (g->aborting || (g->exiting && list_empty(&g->members)))
		return -ESHUTDOWN;
	m = co_pool_alloc(pool, sizeof *m);
	if (m == NULL)
		return -ENOMEM;
	va_start(ap, name_fmt);
	m->task = co_task_vnew(site, body, arg, name_fmt, ap);
	va_end(ap);
	if (m->task == NULL) {
		co_pool_release(pool, m, sizeof *m);
		return -ENOMEM;
	}
	m->g = g;
	list_append(&g->members, &m->node);
	co_done_add(m->task, &m->done, on_member_done, m);
	if (ret_task != NULL)
		*ret_task = co_ref(m->task);
	return 0;
}

/* Cancels from outside end the others, and are kept for the end; true: there was one. */
static bool wait_for_all(struct co_group *g)
{
	bool cancelled = false;

	while (!list_empty(&g->members)) {
		struct co_waiter w;

		co_waiter_init(&w);
		g->waiter = &w;
		if (co_waiter_wait(&w, CLOCK_NEVER, "task group") < 0 && !g->aborting) {
			cancelled = true;
			abort_members(g);
		}
		g->waiter = NULL;
	}
	return cancelled;
}

int co_group_leave(struct co_group *g, int rc)
{
	bool propagate = rc == -ECANCELED;

	CHECK(g->parent == co_task_current(), "a task group is left by the task that entered it");
	co_task_of(g->parent)->n_scopes--;
	g->exiting = true;
	if (rc < 0 && !g->aborting)
		abort_members(g);
	propagate |= wait_for_all(g);
	if (g->cancelled_parent && co_task_uncancel(g->parent))
		propagate = false;
	if (propagate && g->n_errors == 0)
		return -ECANCELED;
	if (rc < 0 && rc != -ECANCELED)
		add_error(g, rc, co_task_fail_text(co_task_of(g->parent), rc));
	if (g->n_errors == 0)
		return rc;
	/* Cancelled from outside as well: the error goes first, the cancel comes where the task suspends next. */
	if (co_task_cancelling(g->parent) > 0) {
		co_task_uncancel(g->parent);
		co_cancel(g->parent);
	}
	return g->errors[0];
}

struct co_future *co_group_awaiter(struct co_done_node *n)
{
	struct co_waiter *w = n->fn == on_member_done ? ((struct member *)n->arg)->g->waiter : NULL;

	return w != NULL ? &w->future : NULL;
}
