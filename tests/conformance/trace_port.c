/* trace_port.c: dispatch/coro's ports on simulated time: a wait moves the clock on to the loop's next timer; nothing else ever happens. */
#include <errno.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "dispatch/coro/offload.h"
#include "dispatch/coro/poll.h"

static int64_t now_us;

struct co_poll {
	bool unused;
};

struct co_poll *co_poll_new(void)
{
	now_us = 0;
	return mem_zalloc(sizeof(struct co_poll));
}

void co_poll_free(struct co_poll *p)
{
	mem_free(p);
}

struct event_base *co_poll_base(struct co_poll *p)
{
	(void)p;
	return NULL;
}

void co_poll_wait(struct co_poll *p, int64_t deadline_us)
{
	(void)p;
	CHECK(deadline_us != CLOCK_NEVER, "nothing will ever happen again");
	if (deadline_us > now_us)
		now_us = deadline_us;
}

void co_poll_wake(struct co_poll *p)
{
	(void)p;
}

int co_poll_fd_wait(struct co_poll *p, int fd, short what, int64_t deadline_us)
{
	(void)p, (void)what, (void)deadline_us;
	CHECK(false, "programs have no descriptors: %d", fd);
	return -EBADF;
}

struct co_offload_threads *co_offload_threads_new(void)
{
	return NULL;
}

void co_offload_threads_free(struct co_offload_threads *t)
{
	(void)t;
}

int co_offload_threads_submit(struct co_offload_threads *t, struct co_offload_job *job)
{
	(void)t, (void)job;
	return -EAGAIN;
}

/* ---- clock.h ---- */

void clock_update(void)
{
}

void clock_forget(void)
{
}

int64_t clock_mono_us(void)
{
	return now_us;
}

int64_t clock_mono_exact_us(void)
{
	return now_us;
}

int64_t clock_wall_ms(void)
{
	return now_us / 1000;
}

int64_t clock_wall_exact_ms(void)
{
	return now_us / 1000;
}

int64_t clock_boot_ms(void)
{
	return now_us / 1000;
}

int64_t clock_thread_cpu_us(void)
{
	return 0;
}
