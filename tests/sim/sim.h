/*
 * sim.h: the simulated world: its time, its one queue of events, its dice, its trace. Everything that outlives a crash of the simulated
 * process (Kafka's log, Redis, the providers' ledgers) lives in it and takes turns by events; the product's code runs in between, on
 * the real runtime, in the same thread.
 *
 * One world per operating system process (main.c forks for each seed), so it is the one global: the ports that it stands behind take
 * no argument either.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct co_loop;
struct faults;
struct kafka_sim;
struct redis_sim;
struct smsc;
struct workload;

struct sim_dice {
	uint64_t state;
};

/* Events of one moment run in the order of their making. */
typedef void(sim_fn)(void *arg);
struct sim_event {
	int64_t at_us;
	uint64_t seq;
	sim_fn *fn;
	void *arg;
};

struct sim {
	uint64_t seed;
	struct sim_dice dice;           /* the world's */
	struct sim_dice product_dice;   /* what daemon/base/random.h hands out */
	int64_t now_us;                 /* monotonic, never goes back */
	int64_t wall_offset_us;         /* the wall clock steps by changing this */
	struct sim_event *heap;
	size_t n_events, cap_events;
	uint64_t seq, steps, hash;
	int64_t grid_us;                /* of sim_on_grid(); 0: none */
	bool tracing;
	bool healed;                    /* no fault any more from here on */

	/* the simulated process */
	unsigned incarnation;           /* 1, 2, ...; counts up with each start */
	bool alive;                     /* it runs and what it does has effects */
	struct co_loop *loop;
	uint64_t effects;               /* of all incarnations */
	uint64_t crash_at_effect;       /* the one that doesn't happen any more; 0: none */

	struct kafka_sim *kafka;
	struct redis_sim *redis;
	struct smsc *smsc;
	struct workload *workload;
	struct faults *faults;
	char failure[512];              /* the first; empty: none */
};

extern struct sim sim;

void sim_init(uint64_t seed, bool tracing);
void sim_fini(void);

/* ---- dice: [0, below), and yes in `percent` of a hundred ---- */
uint64_t sim_roll(struct sim_dice *dice);
uint64_t sim_below(uint64_t below);
int64_t sim_between(int64_t low, int64_t high);         /* both included */
bool sim_chance(unsigned percent);

/* ---- events ---- */
void sim_at(int64_t at_us, sim_fn *fn, void *arg);
void sim_after(int64_t delay_us, sim_fn *fn, void *arg);
/* In some worlds much happens at the same moment: the next point of the grid, where there is one. */
int64_t sim_on_grid(int64_t at_us);
/* Moves time on to the next event or the deadline and runs what is due; sim_fail() where neither will ever come. */
void sim_advance(int64_t deadline_us);

/* ---- the process ---- */

/* Asked before each thing that the process does to the outside and each that reaches it: here it may die. False: it is dead already
 * or dies now, and what was about to happen doesn't. What it does afterwards, up to the end of the loop's turn, nobody sees. */
bool sim_effect(const char *what);
void sim_crash(const char *why);
/* Whether the process that asks later is still the one that asked then. */
bool sim_same(unsigned incarnation);

/* ---- what is found ---- */

/* One line: goes into the hash, and to stdout where tracing. */
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Keeps the first failure and ends the run at the end of the loop's turn. */
void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline bool sim_failed(void)
{
	return sim.failure[0] != '\0';
}

/* The wall clock, and Redis' own, which doesn't step. */
int64_t sim_wall_us(void);
int64_t sim_server_us(void);

/* Memory of the world's, which never runs out; zeroed. */
void *sim_alloc(size_t size);
void *sim_resize(void *ptr, size_t size);
void *sim_copy(const void *data, size_t len);           /* with a NUL behind */

/* port_alloc.c: forgets all that the process has allocated; how many blocks that were. */
size_t sim_arena_drop(void);
size_t sim_arena_blocks(void);

#endif
