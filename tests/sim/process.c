/* process.c: a task for each member, that starts, waits to be stopped, and stops; around them a loop, and the end of it all. */
#include "tests/sim/process.h"

#include <stdio.h>

#include "dispatch/coro/coro.h"
#include "dispatch/worker.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/sim.h"

struct seat {
	struct member member;
	struct co_event stop;
	char instance[32];
	unsigned nth;
	bool ready;                     /* `stop` may be set */
};

/* Reset with each incarnation; what they point to dies with it. */
static struct process {
	struct process_options options;
	struct seat seats[PROCESS_MEMBERS_MAX];
	bool stopping;
	unsigned left;
} process;


/* ---- a member's task ---- */

static int live(struct seat *s)
{
	unsigned left;

	co_event_clear(&s->stop);
	member_start(&s->member, &process.options.member, s->instance);
	if (process.stopping)
		co_event_set(&s->stop);
	(void)!co_event_wait(&s->stop, CLOCK_NEVER);
	left = member_stop(&s->member);
	process.left += left;
	return (int)left;
}

/* What a member leaves behind ends with its process: where another one lives on in ours, this is a crash of both. */
static int seat_body(void *arg)
{
	struct seat *s = arg;
	int left;

	for (;;) {
		if (s->nth > 0)
			(void)!co_sleep_until(clock_mono_us() + sim_between(1000, 8000000));
		if (process.stopping)
			return 0;
		left = live(s);
		if (process.stopping)
			return 0;
		if (left > 0) {
			sim_crash("a member left work behind");
			return 0;
		}
	}
}

static int process_body(void *arg)
{
	struct co_future *tasks[PROCESS_MEMBERS_MAX] = { NULL };
	unsigned n = process.options.members;

	(void)arg;
	for (unsigned i = 0; i < n; i++) {
		struct seat *s = &process.seats[i];

		s->nth = i;
		co_event_init(&s->stop);
		s->ready = true;
		tasks[i] = co_task_new(seat_body, s, "member %u", i);
		CHECK(tasks[i] != NULL);
	}
	CHECK(co_wait(tasks, n, CO_ALL_COMPLETED, CLOCK_NEVER) == (int)n);
	for (unsigned i = 0; i < n; i++)
		co_unref(tasks[i]);
	return 0;
}

/* ---- from outside ---- */

void process_stop(void)
{
	if (!sim.alive || process.stopping)
		return;
	process.stopping = true;
	for (unsigned i = 0; i < process.options.members; i++)
		if (process.seats[i].ready)
			co_event_set(&process.seats[i].stop);
}

void process_bounce(void)
{
	struct seat *s = &process.seats[PROCESS_MEMBERS_MAX - 1];

	if (sim.alive && !process.stopping && s->ready)
		co_event_set(&s->stop);
}

struct dispatch *process_dispatch(unsigned nth)
{
	struct worker *w = process.seats[nth / MEMBER_WORKERS_MAX].member.workers[nth % MEMBER_WORKERS_MAX];

	return sim.alive && w != NULL ? worker_dispatch(w) : NULL;
}

/* ---- a life ---- */

static void on_unretrieved(const char *name, int err, void *arg)
{
	(void)arg;
	if (sim.alive)
		sim_fail("error %d of %s was never retrieved", err, name);
}

/* A clean end leaves nothing behind, unless the drain's deadline cut it short. */
static void check_tasks(void)
{
	if (process.left > 0 || co_task_count(sim.loop) == 0)
		return;
	sim_fail("%zu tasks are left", co_task_count(sim.loop));
	if (sim.tracing)
		co_task_dump(sim.loop, stdout);
}

static void name_members(void)
{
	for (unsigned i = 0; i < process.options.members; i++) {
		char *name = process.seats[i].instance;

		if (process.options.new_name_each_time)
			snprintf(name, sizeof process.seats[i].instance, "node%c-%u", 'a' + (int)i, sim.incarnation);
		else
			snprintf(name, sizeof process.seats[i].instance, "node%c", 'a' + (int)i);
	}
}

enum process_end process_live(const struct process_options *options)
{
	bool stopped;
	size_t blocks;

	process = (struct process){ .options = *options };
	sim.incarnation++;
	name_members();
	sim_trace("process: incarnation %u starts", sim.incarnation);
	sim.alive = true;
	sim.loop = co_loop_new();
	CHECK(sim.loop != NULL);
	co_loop_on_unretrieved(sim.loop, on_unretrieved, NULL);
	stopped = co_run(sim.loop, process_body, NULL, "process") == 0 && sim.alive;
	if (stopped)
		check_tasks();
	co_loop_abandon(sim.loop);
	sim.loop = NULL;
	blocks = sim_arena_drop();
	if (stopped && process.left == 0 && blocks > 0)
		sim_fail("%zu blocks of memory are left", blocks);
	sim_trace("process: %s", stopped ? "stopped" : "dead");
	sim.alive = false;
	kafka_sim_crashed(sim.kafka);
	return stopped ? PROCESS_STOPPED : PROCESS_CRASHED;
}
