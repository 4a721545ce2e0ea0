/*
 * trace.h: a program for trace equivalence (README.md has the language), and what runs it on dispatch/coro. One thread; a program at a
 * time; limits are the generator's, more than they allow is refused while reading.
 */
#ifndef TRACE_H
#define TRACE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dispatch/coro/coro.h"

enum { TRACE_HANDLES = 24, TRACE_THINGS = 4, TRACE_SLOTS = 6, TRACE_OPS = 96, TRACE_ARGS = 8, TRACE_SCOPES = 8 };
enum { TRACE_HORIZON_MS = 200, TRACE_ROUND_MS = 50, TRACE_ROUNDS = 60 };

struct trace_task;
struct trace_op;

struct trace_op_def {
	const char *name;
	/* >= 0, or the error that goes on to whoever surrounds it. */
	int (*run)(struct trace_task *t, const struct trace_op *op);
	bool block;
};

struct trace_op {
	const struct trace_op_def *def;
	int arg[TRACE_ARGS];
	int n_args;
	int at;                         /* its place in the body */
	int match;                      /* of a block: its end's */
};

struct trace_body {
	struct trace_op op[TRACE_OPS];
	int n;
};

/* Done-callbacks and timers that do something, see trace_act(). */
struct trace_slot {
	struct trace_run *run;
	struct co_done_node node;
	struct co_timer timer;
	struct co_call soon;
	struct co_future *f;            /* the callback's; NULL: free */
	bool armed;                     /* timer or call */
	int number, action, target, later_action, later_target;
};

/* A task of the program while its body runs. */
struct trace_task {
	struct trace_run *run;
	struct trace_body *body;
	int me;
	struct co_timeout *scope[TRACE_SCOPES];
	int n_scopes;
	bool returned;
	int value;
	struct co_done_node on_done;
};

struct trace_gather {
	int n;
	int results[TRACE_ARGS];
};

struct trace_group {
	struct trace_group *next;
	struct co_group group;
};

struct trace_run {
	struct co_loop *loop;
	char kinds[TRACE_HANDLES + 1];
	int n_handles;
	struct co_future *handle[TRACE_HANDLES];        /* NULL: not made */
	struct trace_gather gather[TRACE_HANDLES];
	struct trace_body body[TRACE_HANDLES];
	struct trace_task task[TRACE_HANDLES];
	char queue_kind[TRACE_THINGS];
	int queue_size[TRACE_THINGS], sem_value[TRACE_THINGS], barrier_size[TRACE_THINGS];
	int n_queues, n_sems, n_events, n_locks, n_conds, n_barriers;
	struct co_queue *queue[TRACE_THINGS];
	bool queue_down[TRACE_THINGS];
	int queue_open[TRACE_THINGS];                   /* items put and not called done */
	struct co_semaphore sem[TRACE_THINGS];
	struct co_event event[TRACE_THINGS];
	struct co_lock lock[TRACE_THINGS], cond_lock[TRACE_THINGS];
	struct co_condition cond[TRACE_THINGS];
	struct co_barrier barrier[TRACE_THINGS];
	struct co_group *group[TRACE_THINGS];           /* those that are open, mostly */
	struct trace_group *groups;                     /* all that there ever were */
	struct trace_slot slot[TRACE_SLOTS];
	char unretrieved[2 * TRACE_HANDLES][80];
	int n_unretrieved;
	uint64_t last_turn;             /* the loop's */
	int turns;                      /* with something in it */
	FILE *out;
};

/* trace_c.c */
void trace_log(struct trace_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "t3.5 await ..." */
void trace_say(struct trace_task *t, const struct trace_op *op, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "t3.5 await cancelled"; the code goes on if it is an error. */
int trace_outcome(struct trace_task *t, const struct trace_op *op, int rc);
const char *trace_code(int rc, char *buf, size_t size);
const char *trace_state(const struct co_future *f);
int64_t trace_deadline(int delay_ms);           /* CLOCK_NEVER for -1 */
/* A new task of the program has got its handle. */
void trace_spawned(struct trace_run *run, int h, struct co_future *task);
int trace_main(void *arg);                      /* a task's body; arg: struct trace_task */

/* trace_ops.c */
const struct trace_op_def *trace_op_find(const char *name);
int trace_block(struct trace_task *t, int i, int end);
int trace_act(struct trace_run *run, int action, int target);

/* trace_sync.c: groups, queues, semaphores, events, locks, conditions, barriers */
extern const struct trace_op_def trace_sync_ops[];
extern const int trace_n_sync_ops;
void trace_sync_parse(struct trace_run *run, const char *what, const char *word);
void trace_sync_new(struct trace_run *run);
void trace_sync_free(struct trace_run *run);

#endif
