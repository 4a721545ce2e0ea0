/*
 * dump.c: what the tasks of a loop are doing: one by one for the admin API, and as text with their stacks. Stacks are walked by frame
 * pointers (-fno-omit-frame-pointer) and never outside the task's own; where they can't be known (ucontext) there are none.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "dispatch/coro/runtime.h"

enum { FRAMES_MAX = 32 };

static const char *state_of(const struct co_loop *loop, const struct co_task *task)
{
	if (loop->current == task)
		return "running";
	if (task->awaiting != NULL ? task->awaiting->state != CO_PENDING : !list_empty(&task->wake.node))
		return "ready";
	return "waiting";
}

/* The task that it awaits by name, or the kind of thing. */
static const char *awaits(const struct co_task *task)
{
	if (task->awaiting != NULL && task->awaiting->kind == CO_KIND_TASK)
		return co_task_name(task->awaiting);
	return task->why;
}

void co_task_each(struct co_loop *loop, co_task_visit_fn *visit, void *arg)
{
	int64_t now_us = clock_mono_us();

	list_each(node, &loop->tasks) {
		const struct co_task *task = list_entry(node, struct co_task, all);
		struct co_task_info info = {
			.name = task->name,
			.state = state_of(loop, task),
			.awaits = awaits(task),
			.age_us = now_us - task->born_us,
		};

		visit(&info, arg);
	}
}

static void print_frame(const void *pc, FILE *out)
{
	Dl_info info;

	if (dladdr(pc, &info) == 0 || info.dli_fname == NULL)
		fprintf(out, "    %p\n", pc);
	else if (info.dli_sname != NULL)
		fprintf(out, "    %s+0x%tx\n", info.dli_sname, (const char *)pc - (const char *)info.dli_saddr);
	else
		fprintf(out, "    %s(+0x%tx)\n", info.dli_fname, (const char *)pc - (const char *)info.dli_fbase);
}

/* frame[0] is the caller's frame pointer, frame[1] where it goes on. */
static void print_stack(const struct co_stack *stack, void *const *frame, FILE *out)
{
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		const char *at = (const void *)frame;

		if (at < stack->bottom || at > stack->top - 2 * sizeof *frame || (uintptr_t)at % sizeof *frame != 0)
			return;
		if (frame[1] == NULL)
			return;
		print_frame(frame[1], out);
		frame = frame[0];
	}
}

void co_task_dump(struct co_loop *loop, FILE *out)
{
	int64_t now_us = clock_mono_us();

	fprintf(out, "%zu tasks\n", loop->n_tasks);
	list_each(node, &loop->tasks) {
		const struct co_task *task = list_entry(node, struct co_task, all);

		fprintf(out, "  %s: %s, awaits %s, age %" PRId64 " ms\n", task->name, state_of(loop, task), awaits(task),
			(now_us - task->born_us) / 1000);
		if (task->stack == NULL)
			continue;
		print_stack(task->stack, loop->current == task ? __builtin_frame_address(0) : co_context_frame(&task->context), out);
	}
}
