/*
 * dump.c: what the tasks of a loop are doing: one by one for the admin API, and as text, with their stacks, as a tree: below each task
 * those that it awaits. Who awaits a task is found through the line of its own future: a task, or a future or a callback that stands for
 * one. Stacks are walked by frame pointers (-fno-omit-frame-pointer); where they can't be known (ucontext) there are none.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/backtrace.h"
#include "dispatch/coro/runtime.h"

enum { HOPS_MAX = 16, DEPTH_MAX = 32 };

static const char *state_of(const struct co_loop *loop, const struct co_task *task)
{
	if (loop->current == task)
		return "running";
	if (task->awaiting != NULL ? task->awaiting->state != CO_PENDING : !list_empty(&task->wake.node))
		return "ready";
	return "waiting";
}

/* The task that it awaits by name, or the kind of thing. */
static const char *awaits(const struct co_loop *loop, const struct co_task *task)
{
	if (loop->current == task)
		return "nothing";
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
			.awaits = awaits(loop, task),
			.age_us = now_us - task->born_us,
			.site = task->site,
		};

		visit(&info, arg);
	}
}

/* ---- who awaits whom ---- */

/* Where in the tree a task hangs; places in the array + 1, for 0 is none. */
struct place {
	const struct co_task *task;
	size_t parent, child, last_child, sibling;
	bool seen;
};

static struct co_future *stands_for(struct co_item *item)
{
	struct co_done_node *n;
	struct co_future *f;

	if (item->kind == CO_ITEM_MEMBER)
		return co_waitset_awaiter(item);
	if (item->kind == CO_ITEM_WAIT)
		return co_wait_awaiter(item);
	if (item->kind != CO_ITEM_DONE)
		return NULL;
	n = list_entry(item, struct co_done_node, item);
	f = co_gather_awaiter(n);
	if (f == NULL)
		f = co_timeout_awaiter(n);
	return f != NULL ? f : co_group_awaiter(n);
}

/* The first task found that waits for `f`, itself or through what stands between. */
static const struct co_task *awaiter_of(struct co_future *f)
{
	for (unsigned hop = 0; f != NULL && hop < HOPS_MAX; hop++) {
		struct co_future *next = NULL;

		list_each(node, &f->done) {
			struct co_item *item = list_entry(node, struct co_item, node);

			if (item->kind == CO_ITEM_TASK)
				return list_entry(item, struct co_task, wake);
			if (next == NULL)
				next = stands_for(item);
		}
		f = next;
	}
	return NULL;
}

const char *co_awaiter_name(struct co_future *f)
{
	const struct co_task *task = awaiter_of(f);

	return task != NULL ? task->name : "?";
}

const char *co_waiters_name(const struct list *waiters)
{
	return co_awaiter_name(&list_entry(waiters->next, struct co_waiter, node)->future);
}

/* A task's mark tells its place: marks of earlier counts are all lower. */
static void hang_up(struct place *places, size_t n, uint64_t first_mark)
{
	for (size_t i = 0; i < n; i++) {
		const struct co_task *parent = awaiter_of((struct co_future *)&places[i].task->future);
		struct place *p;

		if (parent == NULL || parent->future.mark < first_mark)
			continue;
		places[i].parent = parent->future.mark - first_mark + 1;
		p = &places[places[i].parent - 1];
		if (p->last_child > 0)
			places[p->last_child - 1].sibling = i + 1;
		else
			p->child = i + 1;
		p->last_child = i + 1;
	}
}

/* ---- text ---- */

static void print_task(const struct co_loop *loop, const struct co_task *task, unsigned depth, FILE *out)
{
	struct co_walk walk = { .frame = NULL };
	char text[CO_FRAME_TEXT];
	const void *pc;

	fprintf(out, "%*s%s: %s, awaits %s, age %" PRId64 " ms, spawned at %s:%u\n", (int)(2 + 2 * depth), "", task->name,
		state_of(loop, task), awaits(loop, task), (clock_mono_us() - task->born_us) / 1000, task->site->file, task->site->line);
	if (task->stack == NULL)
		return;
	walk.low = task->stack->bottom;
	walk.high = task->stack->top;
	walk.pc = loop->current == task ? NULL : co_context_pc(&task->context);
	walk.frame = loop->current == task ? __builtin_frame_address(0) : co_context_frame(&task->context);
	for (unsigned i = 0; i < CO_FRAMES_MAX && (pc = co_walk_next(&walk)) != NULL; i++) {
		co_walk_describe(pc, text, sizeof text);
		fprintf(out, "%*s%s\n", (int)(6 + 2 * depth), "", text);
	}
}

/* Down and up again by the places alone, for stacks are small here. What lies too deep is printed at the depth that still is. */
static void print_tree(const struct co_loop *loop, struct place *places, size_t at, FILE *out)
{
	unsigned depth = 0;
	size_t top = at;

	for (;;) {
		struct place *p = &places[at];

		if (!p->seen) {
			p->seen = true;
			print_task(loop, p->task, depth < DEPTH_MAX ? depth : DEPTH_MAX, out);
		}
		if (p->child > 0 && !places[p->child - 1].seen) {
			at = p->child - 1;
			depth++;
			continue;
		}
		while (at != top && places[at].sibling == 0) {
			at = places[at].parent - 1;
			depth--;
		}
		if (at == top)
			return;
		at = places[at].sibling - 1;
	}
}

static void print_trees(struct co_loop *loop, struct place *places, FILE *out)
{
	uint64_t first_mark = loop->mark + 1;
	size_t n = 0;

	list_each(node, &loop->tasks) {
		struct co_task *task = list_entry(node, struct co_task, all);

		task->future.mark = first_mark + n;
		places[n++].task = task;
	}
	loop->mark += n;
	hang_up(places, n, first_mark);
	for (size_t i = 0; i < n; i++)
		if (places[i].parent == 0)
			print_tree(loop, places, i, out);
	/* What awaits itself in a circle hangs below nobody. */
	for (size_t i = 0; i < n; i++)
		if (!places[i].seen)
			print_tree(loop, places, i, out);
}

void co_task_dump(struct co_loop *loop, FILE *out)
{
	struct place *places = loop->n_tasks > 0 ? mem_zalloc(loop->n_tasks * sizeof *places) : NULL;

	fprintf(out, "%zu tasks\n", loop->n_tasks);
	if (places != NULL) {
		print_trees(loop, places, out);
	} else {
		/* No memory for a tree: one after the other. */
		list_each(node, &loop->tasks)
			print_task(loop, list_entry(node, struct co_task, all), 0, out);
	}
	mem_free(places);
}
