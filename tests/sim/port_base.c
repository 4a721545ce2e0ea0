/* port_base.c: clock.h and random.h on the world's time and dice. */
#include "daemon/base/clock.h"
#include "daemon/base/random.h"
#include "tests/sim/sim.h"

/* As the real one: a turn sees the time that its loop read. 0: not read. */
static int64_t turn_mono_us, turn_wall_ms;

void clock_update(void)
{
	turn_mono_us = sim.now_us;
	turn_wall_ms = sim_wall_us() / 1000;
}

void clock_forget(void)
{
	turn_mono_us = 0;
}

/* Who measures finds that what it did took time: often so much that the loop looks outside before its next turn, and what comes from
 * there falls between any two of them. */
int64_t clock_mono_exact_us(void)
{
	sim.now_us += (int64_t)(sim_chance(50) ? sim_below(20) : sim_below(400));
	return sim.now_us;
}

int64_t clock_mono_us(void)
{
	return turn_mono_us != 0 ? turn_mono_us : clock_mono_exact_us();
}

int64_t clock_wall_ms(void)
{
	return turn_mono_us != 0 ? turn_wall_ms : sim_wall_us() / 1000;
}

int64_t clock_wall_exact_ms(void)
{
	return sim_wall_us() / 1000;
}

int64_t clock_boot_ms(void)
{
	return sim.now_us / 1000;
}

int64_t clock_thread_cpu_us(void)
{
	return 0;
}

uint64_t random_u64(void)
{
	return sim_roll(&sim.product_dice);
}

uint64_t random_below(uint64_t bound)
{
	return bound > 0 ? random_u64() % bound : 0;
}
