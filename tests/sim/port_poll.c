/*
 * port_poll.c: the loop's door to the outside, on simulated time: a wait moves the world on to its next event or the loop's next timer.
 * And the offload pool, without threads: what is offloaded takes a while and then runs between two turns.
 */
#include <errno.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "dispatch/coro/poll.h"
#include "dispatch/coro/runtime.h"
#include "tests/sim/sim.h"

struct co_poll {
	bool unused;
};

struct co_poll *co_poll_new(void)
{
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
	if (sim.alive)
		sim_advance(deadline_us);
}

void co_poll_wake(struct co_poll *p)
{
	(void)p;
}

int co_poll_fd_wait(struct co_poll *p, int fd, short what, int64_t deadline_us)
{
	(void)p;
	(void)what;
	(void)deadline_us;
	CHECK(false, "nothing in the simulation has a descriptor: %d", fd);
	return -EBADF;
}

/* The cancelled or late caller leaves the body to a run without it; here nothing is lost by waiting. */
int co_offload(co_body_fn *body, void *arg, co_call_fn *release, int64_t deadline_us)
{
	int64_t done_us = sim.now_us + sim_between(100, 20000);
	int rc = co_sleep_until(done_us < deadline_us ? done_us : deadline_us);

	if (rc == 0)
		rc = done_us < deadline_us ? body(arg) : -ETIMEDOUT;
	if (release != NULL)
		release(arg);
	return rc;
}

void co_offload_free(struct co_offload *o)
{
	CHECK(o == NULL);
}
