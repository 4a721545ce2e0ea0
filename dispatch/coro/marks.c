/* marks.c: how deep the tasks of each spawn site have used their stacks: a table of fixed size, by the site's address. */
#include <errno.h>
#include <stdint.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

enum { SITES_MAX = 256 };

struct co_marks {
	struct co_stack_mark mark[SITES_MAX];
};

int co_loop_measure_stacks(struct co_loop *loop)
{
	if (loop->marks == NULL)
		loop->marks = mem_zalloc(sizeof *loop->marks);
	return loop->marks != NULL ? 0 : -ENOMEM;
}

void co_marks_free(struct co_marks *m)
{
	mem_free(m);
}

/* NULL: the table is full. */
static struct co_stack_mark *mark_of(struct co_marks *m, const struct co_site *site)
{
	size_t at = (uintptr_t)site / sizeof *site;

	for (size_t i = 0; i < SITES_MAX; i++) {
		struct co_stack_mark *mark = &m->mark[(at + i) % SITES_MAX];

		if (mark->site == site || mark->site == NULL)
			return mark;
	}
	return NULL;
}

void co_marks_note(struct co_marks *m, const struct co_task *task)
{
	struct co_stack_mark *mark = mark_of(m, task->site);
	size_t used = co_stack_used(task->stack);

	if (mark == NULL)
		return;
	mark->site = task->site;
	mark->size_bytes = (size_t)(task->stack->top - task->stack->bottom);
	mark->tasks++;
	if (used > mark->high_bytes)
		mark->high_bytes = used;
}

void co_loop_stack_marks(struct co_loop *loop, co_stack_visit_fn *visit, void *arg)
{
	for (size_t i = 0; loop->marks != NULL && i < SITES_MAX; i++)
		if (loop->marks->mark[i].site != NULL)
			visit(&loop->marks->mark[i], arg);
}
