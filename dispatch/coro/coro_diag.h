/* coro_diag.h: what the tasks are doing, and what goes wrong. Comes with coro.h. */
#ifndef CORO_DIAG_H
#define CORO_DIAG_H

#include <stdio.h>

#include "dispatch/coro/coro.h"

/* Calls visit for every task of this thread's loop: name, state ("ready", "running", "waiting"), what it awaits, where it was spawned. */
struct co_task_info {
	const char *name, *state, *awaits;
	int64_t age_us;
	const struct co_site *site;
};
typedef void(co_task_visit_fn)(const struct co_task_info *info, void *arg);
void co_task_each(struct co_loop *loop, co_task_visit_fn *visit, void *arg);
/* Writes a line per task, with its stack (by frame pointers: -fno-omit-frame-pointer; names by -rdynamic); below each, further in, the tasks
 * that it awaits. */
void co_task_dump(struct co_loop *loop, FILE *out);

/*
 * A thread that looks whether the loop makes progress, and where one callback or one step of a task takes longer than `limit_ms` has its stack
 * written to `fd` while it is at it, again each time as long has doubled. Takes SIGURG for it. Callbacks of libevent count too (told
 * from sleeping by /proc/self/task). -EBUSY: there is one; -ENOMEM; -EAGAIN: no thread. Stopped with the loop at the latest.
 */
int co_watchdog_start(struct co_loop *loop, int limit_ms, int fd) MUST_CHECK;
void co_watchdog_stop(struct co_loop *loop);

/* For programs that wait for nothing but themselves: when tasks are left and nothing is that could ever wake them (no timer, descriptor,
 * offload or turn hook), the loop writes a dump to `out` and stops; co_run() returns -EDEADLK. Posts of other threads are not foreseen,
 * so servers leave it off. NULL: off. */
void co_loop_detect_deadlock(struct co_loop *loop, FILE *out);

/* From now on measures how deep each spawn site's tasks use their stacks; costs a system call and a scan a task. For up to 256 sites;
 * -ENOMEM. co_loop_stack_marks() visits those of tasks that have ended, in no particular order. */
int co_loop_measure_stacks(struct co_loop *loop) MUST_CHECK;
struct co_stack_mark {
	const struct co_site *site;
	size_t high_bytes, size_bytes;
	uint64_t tasks;
};
typedef void(co_stack_visit_fn)(const struct co_stack_mark *mark, void *arg);
void co_loop_stack_marks(struct co_loop *loop, co_stack_visit_fn *visit, void *arg);

/* Gives back at once what a spike has left: idle stacks and pooled memory. Walks all of it: milliseconds per 100,000 tasks there were.
 * Idle stacks alone go back by themselves, piece by piece. */
void co_loop_trim(struct co_loop *loop);

#endif
