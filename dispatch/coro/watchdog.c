/*
 * watchdog.c: a thread of its own that looks at a loop's count of callbacks; where it stands still, a signal makes the loop's thread write
 * where it is. It reads two words of the loop and touches nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/backtrace.h"
#include "dispatch/coro/runtime.h"

struct co_watchdog {
	struct co_loop *loop;
	pthread_t thread, loop_thread;
	long loop_tid;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
	int64_t limit_us;
	int fd;
	const char *low, *high;         /* the loop's own stack */
	int64_t blocked_us;             /* atomic: so long, when the signal was sent */
};

/* ---- on the loop's thread ---- */

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
	const struct co_loop *loop = co_loop_current();
	const struct co_watchdog *w = loop != NULL ? loop->watchdog : NULL;
	const struct co_task *task;
	struct co_walk walk;
	int saved_errno = errno;

	(void)sig, (void)info;
	if (w == NULL)
		return;
	task = loop->current;
	walk.low = task != NULL ? task->stack->bottom : w->low;
	walk.high = task != NULL ? task->stack->top : w->high;
	if (task != NULL)
		co_write_text(w->fd, "coro: task \"%s\", spawned at %s:%u, blocks its loop, for %lld ms by now\n", task->name,
			      task->site->file, task->site->line, (long long)(__atomic_load_n(&w->blocked_us, __ATOMIC_RELAXED) / 1000));
	else
		co_write_text(w->fd, "coro: a callback blocks its loop, for %lld ms by now\n",
			      (long long)(__atomic_load_n(&w->blocked_us, __ATOMIC_RELAXED) / 1000));
	co_walk_from_signal(&walk, ucontext);
	co_walk_write(&walk, w->fd);
	errno = saved_errno;
}

/* ---- on the watchdog's ---- */

/* The loop is in its poll: does it sleep there, or is it in a callback of libevent's? What can't be told counts as asleep. */
static bool sleeps(const struct co_watchdog *w)
{
	char path[64], text[32] = "";
	long nr;
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", w->loop_tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (read(fd, text, sizeof text - 1) <= 0)
		text[0] = '-';
	close(fd);
	if (strncmp(text, "running", 7) == 0)
		return false;
	nr = strtol(text[0] == '-' ? "-1" : text, NULL, 10);
#ifdef SYS_epoll_wait
	if (nr == SYS_epoll_wait)
		return true;
#endif
#ifdef SYS_epoll_pwait2
	if (nr == SYS_epoll_pwait2)
		return true;
#endif
	return nr < 0 || nr == SYS_epoll_pwait;
}

/* Grows with each callback and, for libevent's own are none of those, with each turn. */
static uint64_t progress(const struct co_watchdog *w)
{
	return __atomic_load_n(&w->loop->items_total, __ATOMIC_RELAXED) + __atomic_load_n(&w->loop->turns_total, __ATOMIC_RELAXED);
}

static bool comes_on(const struct co_watchdog *w, uint64_t seen)
{
	switch ((enum co_phase)__atomic_load_n(&w->loop->phase, __ATOMIC_RELAXED)) {
	case CO_PHASE_OUT:
		return true;
	case CO_PHASE_POLL:
		if (sleeps(w))
			return true;
		break;
	case CO_PHASE_RUN:
		break;
	}
	return progress(w) != seen;
}

/* Under the lock; true: stop. */
static bool pause_us(struct co_watchdog *w, int64_t us)
{
	struct timespec until;
	int64_t at_us = clock_mono_exact_us() + us;

	until.tv_sec = at_us / 1000000;
	until.tv_nsec = at_us % 1000000 * 1000;
	while (!w->stopping)
		if (pthread_cond_timedwait(&w->stop, &w->lock, &until) == ETIMEDOUT)
			break;
	return w->stopping;
}

static void *watch(void *arg)
{
	struct co_watchdog *w = arg;
	uint64_t seen = 0;
	int64_t since_us = clock_mono_exact_us(), next_us = w->limit_us;

	pthread_mutex_lock(&w->lock);
	while (!pause_us(w, w->limit_us / 4)) {
		int64_t now_us = clock_mono_exact_us();

		if (comes_on(w, seen)) {
			seen = progress(w);
			since_us = now_us;
			next_us = w->limit_us;
			continue;
		}
		if (now_us - since_us < next_us)
			continue;
		next_us *= 2;
		__atomic_store_n(&w->blocked_us, now_us - since_us, __ATOMIC_RELAXED);
		pthread_kill(w->loop_thread, SIGURG);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- start and stop, on the loop's ---- */

static void own_stack(struct co_watchdog *w)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &low, &size) == 0) {
		w->low = low;
		w->high = w->low + size;
	}
	pthread_attr_destroy(&attr);
}

static int start_thread(struct co_watchdog *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, watch, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

int co_watchdog_start(struct co_loop *loop, int limit_ms, int fd)
{
	struct sigaction mine = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct co_watchdog *w;
	pthread_condattr_t attr;
	int rc;

	CHECK(loop == co_loop_current() && limit_ms > 0);
	if (loop->watchdog != NULL)
		return -EBUSY;
	w = mem_zalloc(sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	w->loop = loop;
	w->loop_thread = pthread_self();
	w->loop_tid = syscall(SYS_gettid);
	w->limit_us = (int64_t)limit_ms * 1000;
	w->fd = fd;
	own_stack(w);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->stop, &attr);
	pthread_condattr_destroy(&attr);
	sigaction(SIGURG, &mine, NULL);
	loop->watchdog = w;
	rc = start_thread(w);
	if (rc < 0) {
		loop->watchdog = NULL;
		pthread_cond_destroy(&w->stop);
		pthread_mutex_destroy(&w->lock);
		mem_free(w);
	}
	return rc;
}

void co_watchdog_stop(struct co_loop *loop)
{
	struct co_watchdog *w = loop->watchdog;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->stop);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	loop->watchdog = NULL;
	pthread_cond_destroy(&w->stop);
	pthread_mutex_destroy(&w->lock);
	mem_free(w);
}
