/* port_base.c: clock.h and random.h on the world's time and dice. */
#include "daemon/base/clock.h"
#include "daemon/base/random.h"
#include "tests/sim/sim.h"

void clock_update(void)
{
}

void clock_forget(void)
{
}

int64_t clock_mono_us(void)
{
	return sim.now_us;
}

int64_t clock_mono_exact_us(void)
{
	return sim.now_us;
}

int64_t clock_wall_ms(void)
{
	return sim_wall_us() / 1000;
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
