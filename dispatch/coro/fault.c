/*
 * fault.c: who was at work when the process ended. SIGSEGV inside a task is told by its name, where that was spawned and its stack; in the
 * guard below the stack, as what it is. The handler runs on a stack of its own, one for each loop's thread. What is no overflow, and each overflow once
 * it is told, goes to the handler that was there before. A failed check names the current task too.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/backtrace.h"
#include "dispatch/coro/runtime.h"

enum { HANDLER_STACK_BYTES = 64 * 1024 };

static struct sigaction before;
static bool installed;
static pthread_mutex_t before_lock = PTHREAD_MUTEX_INITIALIZER;

static void tell(const struct co_task *task, const char *at, const void *ucontext)
{
	struct co_walk walk = { .low = task->stack->bottom, .high = task->stack->top };
	bool others = (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL;

	if (at < walk.low && at >= walk.low - co_guard_bytes())
		co_write_text(STDERR_FILENO, "coro: task \"%s\", spawned at %s:%u, overflowed its stack of %zu KiB; co_task_new_sized() gives it "
			      "a larger one\n", task->name, task->site->file, task->site->line, (size_t)(walk.high - walk.low + 1023) / 1024);
	else if (others)
		return;                         /* it may be part of what that handler does */
	else
		co_write_text(STDERR_FILENO, "coro: task \"%s\", spawned at %s:%u, touched %p\n", task->name, task->site->file,
			      task->site->line, (const void *)at);
	co_walk_from_signal(&walk, ucontext);
	co_walk_write(&walk, STDERR_FILENO);
}

/* A handler that was there is asked; where there was none, the instruction runs into the default's arms once more. */
static void pass_on(int sig, siginfo_t *info, void *ucontext)
{
	if ((before.sa_flags & SA_SIGINFO) != 0) {
		before.sa_sigaction(sig, info, ucontext);
		return;
	}
	if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
		return;
	}
	signal(sig, SIG_DFL);
	if (info->si_code <= 0)
		raise(sig);                     /* sent, not suffered: nothing would bring it again */
}

static void on_segv(int sig, siginfo_t *info, void *ucontext)
{
	const struct co_loop *loop = co_loop_current();
	const struct co_task *task = loop != NULL ? loop->current : NULL;
	int saved_errno = errno;

	if (task != NULL && info->si_code > 0)
		tell(task, info->si_addr, ucontext);
	errno = saved_errno;
	pass_on(sig, info, ucontext);
}

/* Not where ours is there, nor where somebody else's came behind it: that may call ours, and the two would go on for ever. */
static bool is_wanted(const struct sigaction *now)
{
	if ((now->sa_flags & SA_SIGINFO) != 0)
		return !installed && now->sa_sigaction != on_segv;
	return !installed || now->sa_handler == SIG_DFL;
}

void co_fault_start(struct co_loop *loop)
{
	struct sigaction now, mine = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t there;

	pthread_mutex_lock(&before_lock);
	if (sigaction(SIGSEGV, NULL, &now) == 0 && is_wanted(&now)) {
		before = now;
		installed = sigaction(SIGSEGV, &mine, NULL) == 0;
	}
	pthread_mutex_unlock(&before_lock);
	if (sigaltstack(NULL, &there) != 0 || (there.ss_flags & SS_DISABLE) == 0)
		return;
	there = (stack_t){ .ss_sp = mem_alloc(HANDLER_STACK_BYTES), .ss_size = HANDLER_STACK_BYTES };
	if (there.ss_sp == NULL)
		return;                         /* overflows go untold */
	if (sigaltstack(&there, NULL) == 0)
		loop->handler_stack = there.ss_sp;
	else
		mem_free(there.ss_sp);
}

void co_fault_stop(struct co_loop *loop)
{
	stack_t there, none = { .ss_flags = SS_DISABLE };

	if (loop->handler_stack == NULL)
		return;
	if (sigaltstack(NULL, &there) == 0 && there.ss_sp == loop->handler_stack)
		sigaltstack(&none, NULL);
	mem_free(loop->handler_stack);
}

void check_tell_who(void)
{
	const struct co_loop *loop = co_loop_current();
	const struct co_task *task = loop != NULL ? loop->current : NULL;

	if (task != NULL)
		fprintf(stderr, " (in task \"%s\", spawned at %s:%u)", task->name, task->site->file, task->site->line);
}
