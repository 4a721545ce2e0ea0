/*
 * sim.c: the world's time, events, dice and trace. One thread. It knows nothing of what it simulates: Kafka, Redis, providers and faults
 * are files of their own that put events here.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/coro/coro.h"
#include "tests/sim/verify.h"

enum {
	STEPS_MAX = 3000000,            /* a run needs some 20,000 */
	TURN_US_MAX = 40,               /* what a turn of the loop costs at most */
};

/* Where time begins: a minute after boot, on 2026-01-01T00:00:30Z, so that minutes end during a run. */
static const int64_t start_mono_us = INT64_C(60000000), start_wall_us = INT64_C(1767225630000000);

struct sim sim;

/* ---- memory ---- */

void *sim_resize(void *ptr, size_t size)
{
	ptr = realloc(ptr, size);
	CHECK(ptr != NULL);
	return ptr;
}

void *sim_alloc(size_t size)
{
	return memset(sim_resize(NULL, size), 0, size);
}

void *sim_copy(const void *data, size_t len)
{
	char *copy = sim_resize(NULL, len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

void sim_init(uint64_t seed, bool tracing)
{
	sim = (struct sim){ .seed = seed, .tracing = tracing, .now_us = start_mono_us, .wall_offset_us = start_wall_us - start_mono_us,
			    .hash = UINT64_C(0xcbf29ce484222325) };
	sim.dice.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim.product_dice.state = seed ^ UINT64_C(0xd1b54a32d192ed03);
}

void sim_fini(void)
{
	free(sim.heap);
	sim.heap = NULL;
	sim.n_events = sim.cap_events = 0;
}

/* ---- dice: splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) ---- */

uint64_t sim_roll(struct sim_dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_below(uint64_t below)
{
	return below > 0 ? sim_roll(&sim.dice) % below : 0;
}

int64_t sim_between(int64_t low, int64_t high)
{
	return low + (int64_t)sim_below((uint64_t)(high - low) + 1);
}

bool sim_chance(unsigned percent)
{
	return sim_below(100) < percent;
}

/* ---- events ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->seq < b->seq);
}

void sim_at(int64_t at_us, sim_fn *fn, void *arg)
{
	struct sim_event e = { at_us, sim.seq++, fn, arg };
	size_t i = sim.n_events++;

	if (sim.n_events > sim.cap_events) {
		sim.cap_events = sim.cap_events > 0 ? sim.cap_events * 2 : 256;
		sim.heap = sim_resize(sim.heap, sim.cap_events * sizeof *sim.heap);
	}
	for (; i > 0 && before(&e, &sim.heap[(i - 1) / 2]); i = (i - 1) / 2)
		sim.heap[i] = sim.heap[(i - 1) / 2];
	sim.heap[i] = e;
}

void sim_after(int64_t delay_us, sim_fn *fn, void *arg)
{
	sim_at(sim.now_us + delay_us, fn, arg);
}

int64_t sim_on_grid(int64_t at_us)
{
	return sim.grid_us > 0 ? (at_us + sim.grid_us - 1) / sim.grid_us * sim.grid_us : at_us;
}

static struct sim_event take_first(void)
{
	struct sim_event first = sim.heap[0], last = sim.heap[--sim.n_events];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= sim.n_events)
			break;
		if (child + 1 < sim.n_events && before(&sim.heap[child + 1], &sim.heap[child]))
			child++;
		if (!before(&sim.heap[child], &last))
			break;
		sim.heap[i] = sim.heap[child];
		i = child;
	}
	sim.heap[i] = last;
	return first;
}

/* Runs what is due, at least one; stops after any of them by chance, so that the process comes to see them one by one or together. */
static bool run_due(void)
{
	bool ran = false;

	while (sim.n_events > 0 && sim.heap[0].at_us <= sim.now_us && !sim_failed()) {
		struct sim_event e = take_first();

		e.fn(e.arg);
		ran = true;
		if (sim_chance(50))
			break;
	}
	return ran;
}

void sim_advance(int64_t deadline_us)
{
	int64_t next_us;

	if (++sim.steps > STEPS_MAX)
		sim_fail("no end after %d steps", STEPS_MAX);
	sim.now_us += 1 + (int64_t)sim_below(TURN_US_MAX);
	while (!run_due() && !sim_failed() && deadline_us > sim.now_us) {
		next_us = sim.n_events > 0 ? sim.heap[0].at_us : CLOCK_NEVER;
		if (deadline_us < next_us)
			next_us = deadline_us;
		if (next_us == CLOCK_NEVER)
			sim_fail("nothing will ever happen again");
		else
			sim.now_us = next_us;
	}
	verify_step();
}

/* ---- the process ---- */

void sim_crash(const char *why)
{
	if (!sim.alive)
		return;
	sim_trace("crash: %s", why);
	sim.alive = false;
	co_loop_stop(sim.loop);
}

bool sim_effect(const char *what)
{
	if (sim.alive && ++sim.effects == sim.crash_at_effect)
		sim_crash(what);
	return sim.alive;
}

bool sim_same(unsigned incarnation)
{
	return sim.alive && incarnation == sim.incarnation;
}

/* ---- what is found ---- */

/* FNV-1a, 64 bit. */
static void hash(const char *s)
{
	for (; *s; s++)
		sim.hash = (sim.hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
}

void sim_trace(const char *fmt, ...)
{
	char line[400];
	int n = snprintf(line, 24, "%.6f ", (double)sim.now_us / 1e6);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	hash(line);
	if (sim.tracing)
		puts(line);
}

void sim_fail(const char *fmt, ...)
{
	va_list ap;

	if (sim_failed())
		return;
	va_start(ap, fmt);
	vsnprintf(sim.failure, sizeof sim.failure, fmt, ap);
	va_end(ap);
	sim_trace("FAIL: %s", sim.failure);
	if (sim.loop != NULL)
		co_loop_stop(sim.loop);
}

int64_t sim_wall_us(void)
{
	return sim.now_us + sim.wall_offset_us;
}

int64_t sim_server_us(void)
{
	return sim.now_us + start_wall_us - start_mono_us;
}
