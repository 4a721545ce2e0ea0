/*
 * future.c: futures: reference counts, completion, done-callbacks. A completion moves those who wait to the loop's ready queue and calls
 * nobody. References are not atomic: a future never leaves its loop's thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dispatch/coro/runtime.h"

enum { ERRNO_END = 4096 };              /* codes from here on are a domain's own */

void co_future_init(struct co_future *f, struct co_loop *loop, enum co_future_kind kind)
{
	f->refs = 1;
	f->state = CO_PENDING;
	f->kind = (uint8_t)kind;
	f->retrieved = false;
	f->had_listeners = false;
	f->result = 0;
	f->loop = loop;
	list_init(&f->done);
	f->value = NULL;
	f->text = NULL;
	f->mark = 0;
}

struct co_future *co_future_alloc(struct co_loop *loop, size_t size, enum co_future_kind kind)
{
	struct co_future *f = co_pool_alloc(&loop->pool, size);

	if (f != NULL)
		co_future_init(f, loop, kind);
	return f;
}

struct co_future *co_future_new(void)
{
	return co_future_alloc(co_loop_get(), sizeof(struct co_future), CO_KIND_FUTURE);
}

struct co_future *co_ref(struct co_future *f)
{
	f->refs++;
	return f;
}

const char *co_future_name(const struct co_future *f)
{
	switch ((enum co_future_kind)f->kind) {
	case CO_KIND_TASK:
		return co_task_of_const(f)->name;
	case CO_KIND_GATHER:
		return "gather";
	case CO_KIND_SHIELD:
		return "shield";
	case CO_KIND_FUTURE:
	case CO_KIND_EMBEDDED:
		break;
	}
	return "future";
}

/* Nobody can complete it any more: whoever waits by callback is let go. Who waits otherwise holds a reference. */
static void let_go(struct co_future *f)
{
	while (!list_empty(&f->done)) {
		struct co_item *item = list_entry(f->done.next, struct co_item, node);

		CHECK(item->kind == CO_ITEM_DONE, "\"%s\" lost its last reference while task \"%s\" waits for it", co_future_name(f),
		      co_awaiter_name(f));
		list_remove(&item->node);
		list_entry(item, struct co_done_node, item)->f = NULL;
	}
}

/* The callback may run on a task's stack or on the loop's: outside tasks by word on both, so that suspending in it is a failed check. */
static void tell_unretrieved(struct co_loop *loop, struct co_future *f)
{
	struct co_task *current = loop->current;

	f->retrieved = true;
	if (loop->on_unretrieved == NULL) {
		fprintf(stderr, "coro: error %d of \"%s\" was never retrieved: %s\n", -f->result, co_future_name(f), co_error_text(f));
		return;
	}
	loop->current = NULL;
	loop->on_unretrieved(co_future_name(f), f->result, loop->on_unretrieved_arg);
	loop->current = current;
}

static void destroy(struct co_future *f)
{
	struct co_loop *loop = f->loop;

	CHECK(f->kind != CO_KIND_TASK || f->state != CO_PENDING, "the last reference of task \"%s\" is dropped while it is not done: that "
	      "one is its loop's", co_future_name(f));
	if (f->state == CO_FAILED && !f->retrieved)
		tell_unretrieved(loop, f);
	switch ((enum co_future_kind)f->kind) {
	case CO_KIND_FUTURE:
		co_pool_release(&loop->pool, f, sizeof *f);
		break;
	case CO_KIND_TASK:
		co_task_destroy(co_task_of(f));
		break;
	case CO_KIND_GATHER:
		co_gather_destroy(f);
		break;
	case CO_KIND_SHIELD:
		co_shield_destroy(f);
		break;
	case CO_KIND_EMBEDDED:
		CHECK(f->kind != CO_KIND_EMBEDDED, "a future on a stack lost its last reference");
	}
}

/* One after the other, not one inside the other: a gather of gathers may be deep, and stacks are small. */
static void bury(struct co_future *f)
{
	struct co_loop *loop = f->loop;
	struct list *node;

	list_append(&loop->dying, &f->done);
	if (loop->burying)
		return;
	loop->burying = true;
	while ((node = list_pop(&loop->dying)) != NULL)
		destroy(list_entry(node, struct co_future, done));
	loop->burying = false;
}

void co_unref(struct co_future *f)
{
	if (f == NULL)
		return;
	CHECK(f->refs > 0, "a reference is dropped once too often");
	if (--f->refs > 0) {
		if (f->kind >= CO_KIND_GATHER)
			co_stand_in_check_readers(f);
		return;
	}
	if (__builtin_expect(!list_empty(&f->loop->short_waits), 0)) {
		co_wait_hold(f->loop);
		if (f->refs > 0)
			return;
	}
	let_go(f);
	if (f->kind < CO_KIND_GATHER)
		destroy(f);
	else
		bury(f);
}

/* Those who wait, in the order of adding: entries of waitsets are served here, the rest by the loop. However many tasks wait, none but
 * the first and the last is touched before its turn. */
static void wake_all(struct co_future *f)
{
	struct co_loop *loop = f->loop;
	struct list *node;

	if (!f->had_listeners) {
		list_splice(&loop->ready, &f->done);
		return;
	}
	while ((node = list_pop(&f->done)) != NULL) {
		struct co_item *item = list_entry(node, struct co_item, node);

		if (item->kind == CO_ITEM_MEMBER) {
			co_waitset_member_done(item);
			continue;
		}
		if (item->kind == CO_ITEM_DONE)
			f->refs++;
		co_loop_ready(loop, item);
	}
}

void co_future_finish(struct co_future *f, enum co_state state, int result)
{
	CHECK(f->state == CO_PENDING, "\"%s\" is done already", co_future_name(f));
	f->state = (uint8_t)state;
	f->result = result;
	wake_all(f);
}

static void set(struct co_future *f, enum co_state state, int result, void *value)
{
	CHECK(f->kind != CO_KIND_TASK, "only its body completes task \"%s\"", co_task_name(f));
	CHECK(f->loop == co_loop_current(), "a future of another thread's loop is completed: use co_post()");
	f->value = value;
	co_future_finish(f, state, result);
}

void co_set_result(struct co_future *f, int result)
{
	CHECK(result >= 0, "%d is no result: errors are for co_set_error()", result);
	set(f, CO_DONE, result, NULL);
}

void co_set_value(struct co_future *f, void *value)
{
	set(f, CO_DONE, 0, value);
}

void co_set_error(struct co_future *f, int err)
{
	CHECK(err < 0 && err != -ECANCELED, "%d is no error: a negative errno is; co_cancel() cancels", err);
	set(f, CO_FAILED, err, NULL);
}

void co_set_error_text(struct co_future *f, int err, const char *text)
{
	f->text = text;
	co_set_error(f, err);
}

const char *co_error_text(const struct co_future *f)
{
	if (f->state != CO_CANCELLED && f->state != CO_FAILED)
		return "";
	if (f->text != NULL)
		return f->text;
	return f->state == CO_CANCELLED || f->result == -ECANCELED ? "" : f->result > -ERRNO_END ? strerror(-f->result) : "no words for it";
}

enum co_state co_state(const struct co_future *f)
{
	return (enum co_state)f->state;
}

int co_result(struct co_future *f)
{
	CHECK(f->state != CO_PENDING, "result of a future that is not done");
	f->retrieved = true;
	return f->state == CO_CANCELLED ? -ECANCELED : f->result;
}

void *co_value(struct co_future *f)
{
	CHECK(f->state != CO_PENDING, "value of a future that is not done");
	return f->value;
}

bool co_cancel_text(struct co_future *f, const char *text)
{
	CHECK(f->loop == co_loop_current(), "\"%s\" of another thread's loop is cancelled: use co_post()", co_future_name(f));
	if (f->state != CO_PENDING) {
		/* Who cancels has no use for the error any more (CPython: Future.cancel clears __log_traceback, gather's doesn't). */
		if (f->kind != CO_KIND_GATHER)
			f->retrieved = true;
		return false;
	}
	switch ((enum co_future_kind)f->kind) {
	case CO_KIND_TASK:
		return co_task_cancel(co_task_of(f), text);
	case CO_KIND_GATHER:
		return co_gather_cancel(f, text);
	case CO_KIND_FUTURE:
	case CO_KIND_EMBEDDED:
	case CO_KIND_SHIELD:
		break;
	}
	f->text = text;
	co_future_finish(f, CO_CANCELLED, -ECANCELED);
	if (f->kind == CO_KIND_SHIELD)
		co_stand_in_check_readers(f);           /* it reads its inner no more */
	return true;
}

bool co_cancel(struct co_future *f)
{
	return co_cancel_text(f, NULL);
}

/* ---- done-callbacks ---- */

void co_done_add(struct co_future *f, struct co_done_node *n, co_done_fn *fn, void *arg)
{
	CHECK_OURS(f, co_loop_current());
	co_item_init(&n->item, CO_ITEM_DONE);
	n->f = f;
	n->fn = fn;
	n->arg = arg;
	if (f->state == CO_PENDING) {
		f->had_listeners = true;
		list_append(&f->done, &n->item.node);
		return;
	}
	f->refs++;
	co_loop_ready(f->loop, &n->item);
}

void co_done_remove(struct co_done_node *n)
{
	struct co_future *f = n->f;

	if (f == NULL)
		return;
	n->f = NULL;
	list_remove(&n->item.node);
	if (f->state != CO_PENDING)
		co_unref(f);
	else if (f->kind >= CO_KIND_GATHER)
		co_stand_in_check_readers(f);
}

void co_done_run(struct co_item *item)
{
	struct co_done_node *n = list_entry(item, struct co_done_node, item);
	struct co_future *f = n->f;

	n->f = NULL;
	n->fn(f, n->arg);
	co_unref(f);
}
