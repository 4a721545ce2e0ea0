/*
 * task.c: tasks: a future that a body on a stack of its own completes. Bodies run from the loop only and come back to it at each
 * suspension; a cancel travels along the chain of what is awaited to its end. A task that never ran never had a stack.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "dispatch/coro/runtime.h"

/* Mapped now, so that later nothing can fail; kept in the context, which has no use yet. */
static int own_stack(struct co_loop *loop, struct co_task *task, const struct co_site *site)
{
	struct co_stack *stack = co_stack_map(&loop->stacks, (size_t)site->stack_kib * 1024);

	task->context.sp = stack;
	return stack != NULL ? 0 : -ENOMEM;
}

static struct co_task *task_new(const struct co_site *site, co_body_fn *body, void *arg)
{
	struct co_loop *loop = co_loop_get();
	struct co_task *task;

	if (co_stack_promise(&loop->stacks) < 0)
		return NULL;
	task = co_task_of(co_future_alloc(loop, sizeof *task, CO_KIND_TASK));
	if (task == NULL || (site->stack_kib > 0 && own_stack(loop, task, site) < 0)) {
		co_stack_unpromise(&loop->stacks);
		if (task != NULL)
			co_task_destroy(task);
		return NULL;
	}
	task->site = site;
	task->future.refs = 2;          /* the caller's and the loop's */
	co_item_init(&task->wake, CO_ITEM_TASK);
	task->awaiting = NULL;
	task->stack = NULL;
	task->body = body;
	task->arg = arg;
	task->why = "start";
	task->born_us = clock_mono_us();
	task->cancelling = 0;
	task->must_cancel = false;
	task->finished = false;
	task->n_scopes = 0;
	task->has_words = false;
	task->saved_errno = 0;
	list_append(&loop->tasks, &task->all);
	loop->n_tasks++;
	co_loop_ready(loop, &task->wake);
	return task;
}

struct co_future *co_task_vnew(const struct co_site *site, co_body_fn *body, void *arg, const char *name_fmt, va_list ap)
{
	struct co_task *task = task_new(site, body, arg);

	if (task == NULL)
		return NULL;
	vsnprintf(task->name_buf, sizeof task->name_buf, name_fmt, ap);
	task->name = task->name_buf;
	return &task->future;
}

struct co_future *co_task_new_at(const struct co_site *site, co_body_fn *body, void *arg, const char *name_fmt, ...)
{
	struct co_future *f;
	va_list ap;

	va_start(ap, name_fmt);
	f = co_task_vnew(site, body, arg, name_fmt, ap);
	va_end(ap);
	return f;
}

struct co_future *co_task_new_static_at(const struct co_site *site, co_body_fn *body, void *arg, const char *name)
{
	struct co_task *task = task_new(site, body, arg);

	if (task == NULL)
		return NULL;
	task->name = name;
	return &task->future;
}

void co_task_destroy(struct co_task *task)
{
	co_pool_release(&task->future.loop->pool, task, sizeof *task);
}

struct co_future *co_task_current(void)
{
	struct co_loop *loop = co_loop_current();

	return loop != NULL && loop->current != NULL ? &loop->current->future : NULL;
}

const char *co_task_name(const struct co_future *f)
{
	return f->kind == CO_KIND_TASK ? co_task_of_const(f)->name : co_future_name(f);
}

size_t co_task_count(const struct co_loop *loop)
{
	return loop->n_tasks;
}

/* ---- cancelling ---- */

/* Each task on the way counts the request; the last one that can't pass it on keeps it, and the words. A loop and not a recursion, for
 * chains are long. */
bool co_task_cancel(struct co_task *task, const char *text)
{
	size_t left = task->future.loop->n_tasks;

	for (;; left--) {
		struct co_future *next = task->awaiting;

		CHECK(left > 0, "task \"%s\" awaits itself in a circle", task->name);
		task->cancelling++;
		if (next == NULL || next->state != CO_PENDING)
			break;
		if (next->kind != CO_KIND_TASK) {
			if (co_cancel_text(next, text))
				return true;
			break;
		}
		task = co_task_of(next);
	}
	task->must_cancel = true;
	task->future.text = text;
	return true;
}

int co_fail(int err, const char *text)
{
	struct co_future *self = co_task_current();

	CHECK(self != NULL && err < 0);
	co_task_of(self)->has_words = true;
	co_task_of(self)->fail_text = text;
	co_task_of(self)->fail_rc = err;
	return err;
}

bool co_task_uncancel(struct co_future *f)
{
	struct co_task *task = co_task_of(f);

	CHECK(f->kind == CO_KIND_TASK);
	if (task->cancelling > 0 && --task->cancelling == 0)
		task->must_cancel = false;
	return task->cancelling == 0;
}

unsigned co_task_cancelling(const struct co_future *task)
{
	CHECK(task->kind == CO_KIND_TASK);
	return co_task_of_const(task)->cancelling;
}

/* ---- running ---- */

/* The last act of whoever suspends; what it returns then is found on the loop's side, by resume(). `rc`: at the body's end, its. */
static inline int leave(struct co_loop *loop, struct co_task *task, int rc)
{
	co_fiber_leave(&task->fiber, &loop->fiber, task->finished);
	rc = co_context_switch(&task->context, &loop->context, rc);
	co_fiber_arrive(&task->fiber, &loop->fiber);
	return rc;
}

/* The first frame of every task. */
static void entry(void *arg)
{
	struct co_task *task = arg;
	struct co_loop *loop = task->future.loop;
	int rc;

	co_fiber_arrive(&task->fiber, &loop->fiber);
	rc = task->body(task->arg);
	if (rc < 0 && rc != -ECANCELED)
		task->future.text = co_task_fail_text(task, rc);
	CHECK(task->n_scopes == 0, "task \"%s\" ends inside a timeout or a group: every way out must leave it", task->name);
	task->finished = true;
	leave(loop, task, rc);
	CHECK(!task->finished, "task \"%s\" ran on after its end", task->name);
}

/* A result that a cancel came too late to stop is lost to it, an error is not (CPython: Task.__step). */
static void finish(struct co_loop *loop, struct co_task *task, int rc)
{
	enum co_state state = CO_DONE;

	if (rc == -ECANCELED || (rc >= 0 && task->must_cancel))
		state = CO_CANCELLED;
	else if (rc < 0)
		state = CO_FAILED;
	task->must_cancel = false;
	task->why = "end";
	list_remove(&task->all);
	loop->n_tasks--;
	co_future_finish(&task->future, state, rc);
	co_unref(&task->future);
}

bool co_task_begin(struct co_loop *loop, struct co_task *task)
{
	struct co_stack *stack = task->context.sp;
	bool own = task->site->stack_kib > 0;

	if (task->must_cancel) {
		co_stack_unpromise(&loop->stacks);
		if (own)
			co_stack_put(&loop->stacks, stack, task->name);
		finish(loop, task, -ECANCELED);
		return false;
	}
	if (__builtin_expect(own, 0))
		co_stack_unpromise(&loop->stacks);
	else
		stack = co_stack_get(&loop->stacks);
	stack->cleared = loop->marks != NULL;
	if (__builtin_expect(stack->cleared, 0))
		co_stack_clear(stack);
	task->stack = stack;
	co_context_make(&task->context, stack->bottom, stack->top, entry, task);
	co_fiber_init(&task->fiber, stack->bottom, stack->top);
	return true;
}

/* The second half of co_await() and co_yield(): what they return. On the loop's side, so that nothing of them is left on a parked stack and
 * the switch's jump goes right to their caller. */
static int resume(struct co_task *task)
{
	struct co_future *f = task->awaiting;
	bool must_cancel = task->must_cancel;
	int rc;

	task->must_cancel = false;
	if (f == NULL)
		return must_cancel ? -ECANCELED : 0;
	task->awaiting = NULL;
	rc = co_result(f);
	if (must_cancel)
		rc = -ECANCELED;
	else if (rc == -ECANCELED)              /* a gather's cancelled error as well */
		task->future.text = f->text;
	co_future_drop(f);
	return rc;
}

int co_task_run(struct co_loop *loop, struct co_task *task)
{
	int rc;

	loop->current = task;           /* from here on, for failed checks */
	loop->switches_total++;
	rc = resume(task);
	errno = task->saved_errno;
	co_fiber_leave(&loop->fiber, &task->fiber, 0);
	rc = co_context_switch(&loop->context, &task->context, rc);
	co_fiber_arrive(&loop->fiber, NULL);
	return rc;
}

void co_task_end(struct co_loop *loop, struct co_task *task, int rc)
{
	co_fiber_fini(&task->fiber);
	if (__builtin_expect(task->stack->cleared, 0) && loop->marks != NULL)
		co_marks_note(loop->marks, task);
	co_stack_put(&loop->stacks, task->stack, task->name);
	task->stack = NULL;
	finish(loop, task, rc);
}

/* ---- suspending ---- */

int co_await_for(struct co_future *f, const char *why)
{
	struct co_loop *loop = co_loop_current();
	struct co_task *task;

	CHECK_OURS(f, loop);
	if (f->state != CO_PENDING)
		return co_result(f);
	CHECK(loop->current != NULL, "\"%s\" is awaited outside a task", f->kind == CO_KIND_EMBEDDED ? why : co_future_name(f));
	task = loop->current;
	CHECK(f != &task->future, "task \"%s\" awaits itself", task->name);
	task->saved_errno = errno;
	f->refs++;
	list_append(&f->done, &task->wake.node);
	task->awaiting = f;
	task->why = why;
	if (task->must_cancel && co_cancel_text(f, task->future.text))
		task->must_cancel = false;
	return leave(loop, task, 0);
}

int co_await(struct co_future *f)
{
	CHECK(f != NULL, "no future: was there memory for it?");
	return co_await_for(f, f->kind == CO_KIND_TASK ? "task" : f->kind == CO_KIND_GATHER ? "gather" :
			    f->kind == CO_KIND_SHIELD ? "shield" : "future");
}

int co_yield(void)
{
	struct co_loop *loop = co_loop_get();
	struct co_task *task = loop->current;

	CHECK(task != NULL, "a yield outside a task");
	task->saved_errno = errno;
	task->why = "yield";
	co_loop_ready(loop, &task->wake);
	return leave(loop, task, 0);
}
