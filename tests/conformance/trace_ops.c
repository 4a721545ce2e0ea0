/*
 * trace_ops.c: the ops of a program that concern tasks, futures, scopes and callbacks; trace_sync.c has the rest. Each logs its outcome
 * where trace_py.py does. They run on tasks of the program.
 */
#include <string.h>

#include "tests/conformance/trace.h"

int trace_block(struct trace_task *t, int i, int end)
{
	int rc = 0;

	while (i < end && !t->returned && rc >= 0) {
		const struct trace_op *op = &t->body->op[i];

		rc = op->def->run(t, op);
		i = op->def->block ? op->match + 1 : i + 1;
	}
	return rc < 0 ? rc : 0;
}

static struct co_future *handle(struct trace_task *t, const struct trace_op *op, int k)
{
	return t->run->handle[op->arg[k]];
}

/* ---- blocks ---- */

static int run_timeout(struct trace_task *t, const struct trace_op *op)
{
	struct co_timeout scope;
	int rc;

	CHECK(co_timeout_enter(&scope, trace_deadline(op->arg[0])) == 0);
	t->scope[t->n_scopes++] = &scope;
	rc = trace_block(t, op->at + 1, op->match);
	t->n_scopes--;
	rc = co_timeout_leave(&scope, rc);
	if (rc < 0)
		return trace_outcome(t, op, rc);
	trace_say(t, op, "left");
	return 0;
}

/* 0 catches all, 1 cancels only, 2 all but cancels */
static int run_try(struct trace_task *t, const struct trace_op *op)
{
	char buf[32];
	int rc = trace_block(t, op->at + 1, op->match), mode = op->arg[0];

	if (rc >= 0 || (mode != 0 && (mode == 1) != (rc == -ECANCELED)))
		return rc;
	trace_log(t->run, "t%d.%d caught %s", t->me, op->at, trace_code(rc, buf, sizeof buf));
	return 0;
}

static int run_sleep(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_sleep_ms(op->arg[0]));
}

static int run_cleanup(struct trace_task *t, const struct trace_op *op)
{
	static const struct trace_op_def sleep_def = { "sleep", run_sleep, false };
	struct trace_op pause = *op;
	int rc = trace_block(t, op->at + 1, op->match), pause_rc;

	pause.def = &sleep_def;
	pause_rc = run_sleep(t, &pause);
	return pause_rc < 0 ? pause_rc : rc;
}

static int run_end(struct trace_task *t, const struct trace_op *op)
{
	CHECK(op == NULL, "an end is run by t%d", t->me);
	return 0;
}

/* ---- what suspends ---- */

static int run_yield(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_yield());
}

/* What gather gave prints as a list. */
static int outcome_of(struct trace_task *t, const struct trace_op *op, struct co_future *f, int rc)
{
	char text[256] = "", buf[32];
	size_t n = 0;

	for (int h = 0; rc == 0 && h < t->run->n_handles; h++) {
		struct trace_gather *g = &t->run->gather[h];

		if (co_value(f) != g->results)
			continue;
		for (int i = 0; i < g->n; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? " " : "", trace_code(g->results[i], buf, sizeof buf));
		trace_say(t, op, "[%s]", text);
		return 0;
	}
	return trace_outcome(t, op, rc);
}

static int run_await(struct trace_task *t, const struct trace_op *op)
{
	struct co_future *f = handle(t, op, 0);

	if (f != NULL)
		return outcome_of(t, op, f, co_await(f));
	trace_say(t, op, "none");
	return 0;
}

static int run_waitfor(struct trace_task *t, const struct trace_op *op)
{
	struct co_future *f = handle(t, op, 0);

	if (f != NULL)
		return outcome_of(t, op, f, co_wait_for(f, trace_deadline(op->arg[1])));
	trace_say(t, op, "none");
	return 0;
}

static int run_wait(struct trace_task *t, const struct trace_op *op)
{
	struct co_future *fs[TRACE_ARGS];
	char done[TRACE_ARGS + 1] = "";
	int n = 0, rc;

	for (int i = 2; i < op->n_args; i++)
		if (handle(t, op, i) != NULL)
			fs[n++] = handle(t, op, i);
	rc = co_wait(fs, (size_t)n, (enum co_wait_mode)op->arg[0], trace_deadline(op->arg[1]));
	if (n == 0) {
		CHECK(rc == -EINVAL);
		trace_say(t, op, "none");
		return 0;
	}
	if (rc < 0)
		return trace_outcome(t, op, rc);
	for (int i = 0; i < n; i++)
		done[i] = co_done(fs[i]) ? '1' : '0';
	trace_say(t, op, "%s", done);
	return 0;
}

/* ---- futures and tasks ---- */

static int run_spawn(struct trace_task *t, const struct trace_op *op)
{
	int h = op->arg[0];
	struct co_future *task;

	if (t->run->handle[h] != NULL) {
		trace_say(t, op, "busy");
		return 0;
	}
	task = co_task_new(trace_main, &t->run->task[h], "t%d", h);
	CHECK(task != NULL);
	trace_spawned(t->run, h, task);
	trace_say(t, op, "0");
	return 0;
}

static int run_gather(struct trace_task *t, const struct trace_op *op)
{
	struct trace_run *run = t->run;
	struct co_future *fs[TRACE_ARGS];
	struct trace_gather *g = &run->gather[op->arg[0]];

	if (handle(t, op, 0) != NULL) {
		trace_say(t, op, "busy");
		return 0;
	}
	g->n = 0;
	for (int i = 2; i < op->n_args; i++)
		if (handle(t, op, i) != NULL)
			fs[g->n++] = handle(t, op, i);
	run->handle[op->arg[0]] = co_gather(fs, (size_t)g->n, op->arg[1] != 0, g->results);
	CHECK(handle(t, op, 0) != NULL);
	trace_say(t, op, "%d", g->n);
	return 0;
}

static int run_shield(struct trace_task *t, const struct trace_op *op)
{
	if (handle(t, op, 0) != NULL || handle(t, op, 1) == NULL) {
		trace_say(t, op, "%s", handle(t, op, 0) != NULL ? "busy" : "none");
		return 0;
	}
	t->run->handle[op->arg[0]] = co_shield(handle(t, op, 1));
	CHECK(handle(t, op, 0) != NULL);
	trace_say(t, op, "%s", trace_state(handle(t, op, 0)));
	return 0;
}

/* What asks one handle a question. */
static int say_number(struct trace_task *t, const struct trace_op *op, int (*ask)(struct co_future *f))
{
	if (handle(t, op, 0) == NULL)
		trace_say(t, op, "none");
	else
		trace_say(t, op, "%d", ask(handle(t, op, 0)));
	return 0;
}

static int ask_cancel(struct co_future *f)
{
	return co_cancel(f);
}

static int ask_uncancel(struct co_future *f)
{
	bool none_left = co_task_uncancel(f);

	CHECK(none_left == (co_task_cancelling(f) == 0));
	return (int)co_task_cancelling(f);
}

static int ask_cancelling(struct co_future *f)
{
	return (int)co_task_cancelling(f);
}

static int run_cancel(struct trace_task *t, const struct trace_op *op)
{
	return say_number(t, op, ask_cancel);
}

static int run_uncancel(struct trace_task *t, const struct trace_op *op)
{
	return say_number(t, op, ask_uncancel);
}

static int run_cancelling(struct trace_task *t, const struct trace_op *op)
{
	return say_number(t, op, ask_cancelling);
}

static int run_state(struct trace_task *t, const struct trace_op *op)
{
	struct co_future *f = handle(t, op, 0);

	trace_say(t, op, "%s", f == NULL ? "none" : trace_state(f));
	return 0;
}

static const char *complete(struct co_future *f, int rc)
{
	if (f == NULL || co_done(f))
		return f == NULL ? "none" : "late";
	if (rc < 0)
		co_set_error(f, rc);
	else
		co_set_result(f, rc);
	return "0";
}

static int run_setres(struct trace_task *t, const struct trace_op *op)
{
	trace_say(t, op, "%s", complete(handle(t, op, 0), op->arg[1]));
	return 0;
}

static int run_seterr(struct trace_task *t, const struct trace_op *op)
{
	trace_say(t, op, "%s", complete(handle(t, op, 0), -op->arg[1]));
	return 0;
}

static int run_resched(struct trace_task *t, const struct trace_op *op)
{
	struct co_timeout *scope = t->n_scopes > 0 ? t->scope[t->n_scopes - 1] : NULL;

	if (scope == NULL || scope->expired) {
		trace_say(t, op, "%s", scope == NULL ? "none" : "expired");
		return 0;
	}
	CHECK(co_timeout_reschedule(scope, trace_deadline(op->arg[0])) == 0);
	trace_say(t, op, "0");
	return 0;
}

static int run_raise(struct trace_task *t, const struct trace_op *op)
{
	trace_say(t, op, "%d", op->arg[0]);
	return -op->arg[0];
}

static int run_ret(struct trace_task *t, const struct trace_op *op)
{
	trace_say(t, op, "%d", op->arg[0]);
	t->returned = true;
	t->value = op->arg[0];
	return 0;
}

/* ---- callbacks and timers ---- */

int trace_act(struct trace_run *run, int action, int target)
{
	switch (action) {
	case 1:
		return run->handle[target] != NULL && co_cancel(run->handle[target]);
	case 4:
		co_event_set(&run->event[target]);
		break;
	case 5:
		co_semaphore_release(&run->sem[target]);
		break;
	}
	return 0;
}

/* Also what completing a future says. */
static const char *act(struct trace_run *run, int action, int target)
{
	if (action == 2 || action == 3)
		return complete(run->handle[target], action == 2 ? 7 : -7);
	return trace_act(run, action, target) != 0 ? "1" : "0";
}

static void on_callback(struct co_future *f, void *arg)
{
	struct trace_slot *s = arg;

	s->f = NULL;
	trace_log(s->run, "cb%d %s", s->number, trace_state(f));
	trace_log(s->run, "cb%d %s", s->number, act(s->run, s->action, s->target));
}

static int run_cbadd(struct trace_task *t, const struct trace_op *op)
{
	struct trace_slot *s = &t->run->slot[op->arg[0]];
	struct co_future *f = handle(t, op, 1);

	if (f == NULL || s->f != NULL) {
		trace_say(t, op, "%s", f == NULL ? "none" : "busy");
		return 0;
	}
	s->f = f;
	s->action = op->arg[2];
	s->target = op->arg[3];
	co_done_add(f, &s->node, on_callback, s);
	trace_say(t, op, "0");
	return 0;
}

static int run_cbdel(struct trace_task *t, const struct trace_op *op)
{
	struct trace_slot *s = &t->run->slot[op->arg[0]];

	if (s->f == NULL || co_done(s->f)) {
		trace_say(t, op, "%s", s->f == NULL ? "none" : "late");
		return 0;
	}
	co_done_remove(&s->node);
	s->f = NULL;
	trace_say(t, op, "1");
	return 0;
}

static void on_later(void *arg)
{
	struct trace_slot *s = arg;
	const char *did;

	s->armed = false;
	did = act(s->run, s->later_action, s->later_target);
	trace_log(s->run, "later%d %s", s->number, did);
}

static int run_later(struct trace_task *t, const struct trace_op *op)
{
	struct trace_slot *s = &t->run->slot[op->arg[0]];

	if (s->armed) {
		trace_say(t, op, "busy");
		return 0;
	}
	s->armed = true;
	s->later_action = op->arg[2];
	s->later_target = op->arg[3];
	co_timer_init(&s->timer, on_later, s);
	co_call_init(&s->soon, on_later, s);
	if (op->arg[1] < 0)
		co_call_soon(&s->soon);
	else
		CHECK(co_timer_start(&s->timer, trace_deadline(op->arg[1])) == 0);
	trace_say(t, op, "0");
	return 0;
}

static int run_laterdel(struct trace_task *t, const struct trace_op *op)
{
	struct trace_slot *s = &t->run->slot[op->arg[0]];

	if (s->armed) {
		co_call_cancel(&s->soon);
		co_timer_stop(&s->timer);
		s->armed = false;
		trace_say(t, op, "0");
	} else {
		trace_say(t, op, "none");
	}
	return 0;
}

/* ---- by name ---- */

static const struct trace_op_def ops[] = {
	{ "timeout", run_timeout, true },
	{ "try", run_try, true },
	{ "cleanup", run_cleanup, true },
	{ "end", run_end, false },
	{ "sleep", run_sleep, false },
	{ "yield", run_yield, false },
	{ "await", run_await, false },
	{ "waitfor", run_waitfor, false },
	{ "wait", run_wait, false },
	{ "spawn", run_spawn, false },
	{ "gather", run_gather, false },
	{ "shield", run_shield, false },
	{ "cancel", run_cancel, false },
	{ "uncancel", run_uncancel, false },
	{ "cancelling", run_cancelling, false },
	{ "state", run_state, false },
	{ "setres", run_setres, false },
	{ "seterr", run_seterr, false },
	{ "resched", run_resched, false },
	{ "raise", run_raise, false },
	{ "ret", run_ret, false },
	{ "cbadd", run_cbadd, false },
	{ "cbdel", run_cbdel, false },
	{ "later", run_later, false },
	{ "laterdel", run_laterdel, false },
};

const struct trace_op_def *trace_op_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	for (int i = 0; i < trace_n_sync_ops; i++)
		if (strcmp(trace_sync_ops[i].name, name) == 0)
			return &trace_sync_ops[i];
	return NULL;
}
