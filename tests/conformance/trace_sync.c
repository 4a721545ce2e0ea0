/* trace_sync.c: the ops of a program on queues, semaphores, events, locks, conditions, barriers and task groups. On tasks of the program. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/trace.h"

/* ---- the program's things ---- */

static int add(int *n)
{
	CHECK(*n < TRACE_THINGS, "too many of a kind");
	return (*n)++;
}

/* Queues: `f2` is a Queue of 2, `l0` a LifoQueue without bound, `p1` a PriorityQueue of 1. */
void trace_sync_parse(struct trace_run *run, const char *what, const char *word)
{
	if (strcmp(what, "queues") == 0) {
		int i = add(&run->n_queues);

		run->queue_kind[i] = word[0];
		run->queue_size[i] = atoi(word + 1);
	} else if (strcmp(what, "sems") == 0) {
		run->sem_value[add(&run->n_sems)] = atoi(word);
	} else if (strcmp(what, "barriers") == 0) {
		run->barrier_size[add(&run->n_barriers)] = atoi(word);
	} else if (strcmp(what, "events") == 0) {
		run->n_events = atoi(word);
	} else if (strcmp(what, "locks") == 0) {
		run->n_locks = atoi(word);
	} else if (strcmp(what, "conds") == 0) {
		run->n_conds = atoi(word);
	} else {
		CHECK(false, "unknown thing %s", what);
	}
}

static bool less(const void *a, const void *b)
{
	return (intptr_t)a < (intptr_t)b;
}

static struct co_queue *queue_new(char kind, size_t size)
{
	switch (kind) {
	case 'l':
		return co_queue_new_lifo(size);
	case 'p':
		return co_queue_new_priority(size, less);
	default:
		return co_queue_new(size);
	}
}

void trace_sync_new(struct trace_run *run)
{
	for (int i = 0; i < run->n_queues; i++) {
		run->queue[i] = queue_new(run->queue_kind[i], (size_t)run->queue_size[i]);
		CHECK(run->queue[i] != NULL);
	}
	for (int i = 0; i < run->n_sems; i++)
		co_semaphore_init(&run->sem[i], (size_t)run->sem_value[i]);
	for (int i = 0; i < TRACE_THINGS; i++) {
		co_event_init(&run->event[i]);
		co_lock_init(&run->lock[i]);
		co_lock_init(&run->cond_lock[i]);
		co_condition_init(&run->cond[i], &run->cond_lock[i]);
	}
	for (int i = 0; i < run->n_barriers; i++)
		co_barrier_init(&run->barrier[i], (unsigned)run->barrier_size[i]);
}

void trace_sync_free(struct trace_run *run)
{
	for (int i = 0; i < run->n_queues; i++)
		co_queue_free(run->queue[i]);
	while (run->groups != NULL) {
		struct trace_group *g = run->groups;

		run->groups = g->next;
		free(g);
	}
}

/* ---- queues ---- */

static void *item(int value)
{
	return (void *)(intptr_t)value;
}

/* What went in is to be called done once. */
static int put(struct trace_task *t, const struct trace_op *op, int rc)
{
	if (rc == 0)
		t->run->queue_open[op->arg[0]]++;
	return rc;
}

static int run_qput(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, put(t, op, co_queue_put(t->run->queue[op->arg[0]], item(op->arg[1]), CLOCK_NEVER)));
}

static int run_qget(struct trace_task *t, const struct trace_op *op)
{
	void *got = NULL;
	int rc = co_queue_get(t->run->queue[op->arg[0]], &got, CLOCK_NEVER);

	return trace_outcome(t, op, rc < 0 ? rc : (int)(intptr_t)got);
}

static int tried(struct trace_task *t, const struct trace_op *op, int rc, const char *again)
{
	char buf[32];

	trace_say(t, op, "%s", rc == -EAGAIN ? again : trace_code(rc, buf, sizeof buf));
	return 0;
}

static int run_qtryput(struct trace_task *t, const struct trace_op *op)
{
	return tried(t, op, put(t, op, co_queue_try_put(t->run->queue[op->arg[0]], item(op->arg[1]))), "full");
}

static int run_qtryget(struct trace_task *t, const struct trace_op *op)
{
	void *got = NULL;
	int rc = co_queue_try_get(t->run->queue[op->arg[0]], &got);

	return tried(t, op, rc < 0 ? rc : (int)(intptr_t)got, "empty");
}

static int run_qdone(struct trace_task *t, const struct trace_op *op)
{
	int q = op->arg[0];

	if (t->run->queue_open[q] == 0) {
		trace_say(t, op, "none");
		return 0;
	}
	t->run->queue_open[q]--;
	co_queue_task_done(t->run->queue[q]);
	trace_say(t, op, "0");
	return 0;
}

static int run_qjoin(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_queue_join(t->run->queue[op->arg[0]], CLOCK_NEVER));
}

/* At once: each item that is still there counts as done. */
static int run_qshut(struct trace_task *t, const struct trace_op *op)
{
	int q = op->arg[0], size = (int)co_queue_size(t->run->queue[q]), *open = &t->run->queue_open[q];

	if (op->arg[1] != 0)
		*open = *open > size ? *open - size : 0;
	co_queue_shutdown(t->run->queue[q], op->arg[1] != 0, NULL);
	trace_say(t, op, "0");
	return 0;
}

/* ---- semaphores, events, locks ---- */

static int run_acq(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_semaphore_acquire(&t->run->sem[op->arg[0]], CLOCK_NEVER));
}

static int run_rel(struct trace_task *t, const struct trace_op *op)
{
	co_semaphore_release(&t->run->sem[op->arg[0]]);
	trace_say(t, op, "0");
	return 0;
}

static int run_evset(struct trace_task *t, const struct trace_op *op)
{
	co_event_set(&t->run->event[op->arg[0]]);
	trace_say(t, op, "0");
	return 0;
}

static int run_evclear(struct trace_task *t, const struct trace_op *op)
{
	co_event_clear(&t->run->event[op->arg[0]]);
	trace_say(t, op, "0");
	return 0;
}

static int run_evwait(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_event_wait(&t->run->event[op->arg[0]], CLOCK_NEVER));
}

static int run_lock(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_lock_acquire(&t->run->lock[op->arg[0]], CLOCK_NEVER));
}

static int run_unlock(struct trace_task *t, const struct trace_op *op)
{
	struct co_lock *lock = &t->run->lock[op->arg[0]];

	if (!lock->locked) {
		trace_say(t, op, "none");
		return 0;
	}
	co_lock_release(lock);
	trace_say(t, op, "0");
	return 0;
}

/* ---- conditions and barriers ---- */

static int run_cwait(struct trace_task *t, const struct trace_op *op)
{
	struct co_condition *cond = &t->run->cond[op->arg[0]];
	int rc = co_lock_acquire(cond->lock, CLOCK_NEVER);

	if (rc == 0) {
		rc = co_condition_wait(cond, CLOCK_NEVER);
		co_lock_release(cond->lock);
	}
	return trace_outcome(t, op, rc);
}

static int run_cnotify(struct trace_task *t, const struct trace_op *op)
{
	struct co_condition *cond = &t->run->cond[op->arg[0]];
	int rc = co_lock_acquire(cond->lock, CLOCK_NEVER);

	if (rc == 0) {
		co_condition_notify(cond, (size_t)op->arg[1]);
		co_lock_release(cond->lock);
	}
	return trace_outcome(t, op, rc);
}

static int run_bwait(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_barrier_wait(&t->run->barrier[op->arg[0]], CLOCK_NEVER));
}

static int run_breset(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_barrier_reset(&t->run->barrier[op->arg[0]]));
}

static int run_babort(struct trace_task *t, const struct trace_op *op)
{
	return trace_outcome(t, op, co_barrier_abort(&t->run->barrier[op->arg[0]]));
}

/* ---- task groups ---- */

/* Kept to the end of the run: a name that two tasks use may lead to one that was left. */
static struct co_group *group_new(struct trace_run *run)
{
	struct trace_group *g = malloc(sizeof *g);

	CHECK(g != NULL);
	g->next = run->groups;
	run->groups = g;
	return &g->group;
}

static int run_group(struct trace_task *t, const struct trace_op *op)
{
	struct co_group *old = t->run->group[op->arg[0]], *group = group_new(t->run);
	char text[256] = "", buf[32];
	size_t n = 0;
	int rc;

	co_group_enter(group);
	t->run->group[op->arg[0]] = group;
	rc = trace_block(t, op->at + 1, op->match);
	rc = co_group_leave(group, rc);
	if (t->run->group[op->arg[0]] == group)
		t->run->group[op->arg[0]] = old;
	if (rc == -ECANCELED || group->n_errors == 0)
		return trace_outcome(t, op, rc);
	for (size_t i = 0; i < group->n_errors && i < CO_GROUP_ERRORS; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %s", trace_code(group->errors[i], buf, sizeof buf));
	trace_say(t, op, "errors%s", text);
	return rc;
}

static int run_gspawn(struct trace_task *t, const struct trace_op *op)
{
	struct trace_run *run = t->run;
	struct co_group *group = run->group[op->arg[0]];
	struct co_future *task = NULL;
	int h = op->arg[1], rc;

	if (group == NULL || run->handle[h] != NULL) {
		trace_say(t, op, "%s", group == NULL ? "none" : "busy");
		return 0;
	}
	rc = co_group_spawn(group, &task, trace_main, &run->task[h], "t%d", h);
	if (rc < 0) {
		CHECK(rc == -ESHUTDOWN);
		trace_say(t, op, "shut");
		return 0;
	}
	trace_spawned(run, h, task);
	trace_say(t, op, "0");
	return 0;
}

const struct trace_op_def trace_sync_ops[] = {
	{ "qput", run_qput, false },
	{ "qget", run_qget, false },
	{ "qtryput", run_qtryput, false },
	{ "qtryget", run_qtryget, false },
	{ "qdone", run_qdone, false },
	{ "qjoin", run_qjoin, false },
	{ "qshut", run_qshut, false },
	{ "acq", run_acq, false },
	{ "rel", run_rel, false },
	{ "evset", run_evset, false },
	{ "evclear", run_evclear, false },
	{ "evwait", run_evwait, false },
	{ "lock", run_lock, false },
	{ "unlock", run_unlock, false },
	{ "cwait", run_cwait, false },
	{ "cnotify", run_cnotify, false },
	{ "bwait", run_bwait, false },
	{ "breset", run_breset, false },
	{ "babort", run_babort, false },
	{ "group", run_group, true },
	{ "gspawn", run_gspawn, false },
};
const int trace_n_sync_ops = ARRAY_LEN(trace_sync_ops);
