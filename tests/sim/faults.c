/* faults.c: the plan of a run, and its events. */
#include "tests/sim/faults.h"

#include <stdlib.h>

#include "dispatch/dispatch.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/process.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"

enum {
	CANCEL_US_MAX = 2000,           /* some turns of the loop */
	LOSS_US_MAX = 50000,            /* an outcome is in Redis by then, and not behind the barrier */
};

/* ---- Redis ---- */

static void redis_lost(void *arg)
{
	(void)arg;
	if (!sim.healed)
		port_redis_lose_all("redis: connection lost");
}

static void redis_up(void *arg)
{
	(void)arg;
	redis_sim_start(sim.redis);
}

static void redis_restart(void *arg)
{
	(void)arg;
	if (sim.healed)
		return;
	redis_sim_stop(sim.redis);
	sim_after(sim_chance(30) ? sim_between(5000000, 15000000) : sim_between(1000, 2000000), redis_up, NULL);
}

static void redis_slow(void *arg)
{
	(void)arg;
	if (sim.healed)
		return;
	sim.redis->slow_us = sim_between(10000, 3000000);
	sim.redis->slow_until_us = sim.now_us + sim_between(100000, 8000000);
	sim_trace("redis: slow by %lld us", (long long)sim.redis->slow_us);
}

/* ---- Kafka ---- */

static void kafka_up(void *arg)
{
	(void)arg;
	if (!sim.kafka->up)
		sim_trace("kafka: back");
	sim.kafka->up = true;
}

static void kafka_away(void *arg)
{
	(void)arg;
	if (sim.healed)
		return;
	sim_trace("kafka: away");
	sim.kafka->up = false;
	sim_after(sim_between(100000, 20000000), kafka_up, NULL);
}

static void kafka_rebalance(void *arg)
{
	(void)arg;
	if (!sim.healed)
		kafka_sim_rebalance(sim.kafka, "because");
}

static void other_leaves(void *arg)
{
	(void)arg;
	kafka_sim_phantom(sim.kafka, false);
}

static void other_joins(void *arg)
{
	(void)arg;
	if (sim.healed)
		return;
	kafka_sim_phantom(sim.kafka, true);
	sim_after(sim_between(1000, 12000000), other_leaves, NULL);
}

/* The next life finds what this one has just written, and then Redis loses it. */
static void crash_and_lose(void *arg)
{
	struct faults *f = arg;

	if (sim.healed || !sim.alive)
		return;
	f->hurry = true;
	sim_after(sim_between(30000, 900000), redis_restart, NULL);
	sim_crash("a kill, and Redis will lose");
}

/* Cancels what is unwritten, as a drain's deadline does, and takes the partitions away, so that it is read again. */
static void cancel_all(void *arg)
{
	struct dispatch *d;

	(void)arg;
	if (sim.healed || !sim.alive)
		return;
	sim_trace("cancels what is unwritten");
	for (unsigned i = 0; i < PROCESS_DISPATCHES_MAX; i++)
		if ((d = process_dispatch(i)) != NULL)
			dispatch_cancel_unwritten(d, NULL);
	kafka_sim_rebalance(sim.kafka, "because of the cancel");
}

void faults_on_reply(struct faults *f)
{
	if (f->cancels_left > 0 && sim_chance(8)) {
		f->cancels_left--;
		sim_after(sim_between(0, CANCEL_US_MAX), cancel_all, NULL);
	}
	if (f->losses_left > 0 && sim.redis->loses && sim_chance(4)) {
		f->losses_left--;
		sim_after(sim_between(500, LOSS_US_MAX), crash_and_lose, f);
	}
}

/* ---- providers ---- */

static const struct smsc_mood good_mood = { .delay_us_max = 300000 };

static void good_again(void *arg)
{
	struct smsc_mood *mood = arg;

	*mood = good_mood;
}

static void bad_mood(void *arg)
{
	unsigned nth = (unsigned)sim_below(SMSC_PROVIDERS);
	struct smsc_mood *mood = &sim.smsc->moods[nth];

	(void)arg;
	if (sim.healed)
		return;
	*mood = good_mood;
	switch (sim_below(7)) {
	case 0: mood->refuse_connect = 500 + (unsigned)sim_below(501); break;
	case 1: mood->hang = 300; break;
	case 2: mood->throttled = 500; break;
	case 3: mood->reset_taken = mood->reset_untaken = mood->reset_early = 200; break;
	case 4: mood->broken = 400; break;
	case 5: mood->delay_us_max = 6000000; break;
	default: mood->garbage = 200; break;
	}
	sim_trace("%s: in a bad mood", smsc_names[nth]);
	sim_after(sim_between(500000, 10000000), good_again, mood);
}

static void everyday_moods(unsigned rate)
{
	for (unsigned i = 0; i < SMSC_PROVIDERS; i++) {
		struct smsc_mood *m = &sim.smsc->moods[i];

		*m = good_mood;
		m->refuse_connect = 10 * rate;
		m->hang = m->reset_taken = m->reset_untaken = m->reset_early = m->broken = m->garbage = 4 * rate;
		m->throttled = m->unavailable = 3 * rate;
	}
}

/* ---- the process and its clock ---- */

static void step_clock(void *arg)
{
	int64_t by_us = sim_between(-30000000, 30000000);

	(void)arg;
	if (sim.healed)
		return;
	sim_trace("wall clock steps by %lld us", (long long)by_us);
	sim.wall_offset_us += by_us;
}

static void crash_now(void *arg)
{
	struct faults *f = arg;

	if (sim.healed || !sim.alive)
		return;
	if (f->crashes_left > 0) {
		f->crashes_left--;
		sim_crash("a kill");
	}
}

static void stop_now(void *arg)
{
	(void)arg;
	if (!sim.healed && sim.alive)
		process_stop();
}

static void bounce(void *arg)
{
	(void)arg;
	if (!sim.healed)
		process_bounce();
}

/* After a restart mostly soon: starting up is where little else is tested. */
void faults_arm(struct faults *f)
{
	sim.crash_at_effect = 0;
	if (sim.healed || f->crashes_left == 0)
		return;
	f->crashes_left--;
	sim.crash_at_effect = sim.effects + 1 + sim_below(sim_chance(30) ? 40 : 900);
}

int64_t faults_rest_us(struct faults *f)
{
	if (f->hurry) {
		f->hurry = false;
		return sim_between(1000, 50000);
	}
	return sim_chance(15) ? sim_between(5000000, 25000000) : sim_between(1000, 3000000);
}

/* ---- the plan ---- */

static void heal(void *arg)
{
	(void)arg;
	sim_trace("heals");
	sim.healed = true;
	sim.crash_at_effect = 0;
	sim.redis->break_permille = 0;
	sim.redis->slow_until_us = 0;
	redis_up(NULL);
	kafka_up(NULL);
	other_leaves(NULL);
	for (unsigned i = 0; i < SMSC_PROVIDERS; i++)
		sim.smsc->moods[i] = good_mood;
}

static void plan(const struct faults *f, sim_fn *fn, unsigned most)
{
	for (uint64_t n = sim_below(most * f->rate + 1); n > 0; n--)
		sim_at(sim_between(sim.now_us, f->heal_us - 1), fn, (void *)(uintptr_t)f);
}

struct faults *faults_new(int64_t heal_us)
{
	struct faults *f = sim_alloc(sizeof *f);

	f->heal_us = heal_us;
	f->rate = (unsigned)sim_below(4);
	f->crashes_left = f->rate > 0 ? (unsigned)sim_below(2 * f->rate + 1) : 0;
	f->cancels_left = (unsigned)sim_below(6 * f->rate + 1);
	f->losses_left = (unsigned)sim_below(2 * f->rate + 1);
	everyday_moods(f->rate);
	sim.grid_us = sim_chance(30) ? sim_between(2000, 50000) : 0;
	sim.redis->break_permille = 4 * f->rate;
	sim.kafka->lose_permille = 10 * f->rate;
	plan(f, redis_lost, 2);
	plan(f, redis_restart, 1);
	plan(f, redis_slow, 1);
	plan(f, kafka_away, 1);
	plan(f, kafka_rebalance, 2);
	plan(f, other_joins, 1);
	plan(f, bad_mood, 3);
	plan(f, step_clock, 1);
	plan(f, crash_now, 1);
	plan(f, bounce, 1);
	if (sim_chance(20))
		plan(f, stop_now, 1);
	sim_at(heal_us, heal, NULL);
	return f;
}

void faults_free(struct faults *f)
{
	free(f);
}
