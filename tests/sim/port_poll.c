/*
 * port_poll.c: the loop's door to the outside, on simulated time: a wait moves the world on to its next event or the loop's next timer.
 * And the offload pool, without threads: what is offloaded takes a while and then runs between two turns.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/offload.h"
#include "dispatch/coro/poll.h"
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
	clock_forget();
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

/* ---- offload.h: what is handed over runs a while later, between two turns ---- */

struct co_offload_threads {
	bool unused;
};

struct offloaded {
	struct co_offload_job *job;
	unsigned incarnation;
};

struct co_offload_threads *co_offload_threads_new(void)
{
	return mem_zalloc(sizeof(struct co_offload_threads));
}

/* What is under way belongs to a process that has ended: its event finds that out. */
void co_offload_threads_free(struct co_offload_threads *t)
{
	mem_free(t);
}

static void on_offloaded(void *arg)
{
	struct offloaded *o = arg;

	if (sim_same(o->incarnation))
		co_offload_work(o->job);
	free(o);
}

int co_offload_threads_submit(struct co_offload_threads *t, struct co_offload_job *job)
{
	struct offloaded *o = sim_alloc(sizeof *o);

	(void)t;
	*o = (struct offloaded){ job, sim.incarnation };
	sim_after(sim_between(100, 20000), on_offloaded, o);
	return 0;
}
