/* clock.c: the system's clocks, and what each thread last read of them. Any thread. */
#include "daemon/base/clock.h"

#include <time.h>

static _Thread_local int64_t turn_mono_us;
static _Thread_local int64_t turn_wall_ms;

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_update(void)
{
	turn_mono_us = read_us(CLOCK_MONOTONIC);
	turn_wall_ms = read_us(CLOCK_REALTIME) / 1000;
}

void clock_forget(void)
{
	turn_mono_us = 0;
	turn_wall_ms = 0;
}

int64_t clock_mono_us(void)
{
	return turn_mono_us != 0 ? turn_mono_us : clock_mono_exact_us();
}

int64_t clock_wall_ms(void)
{
	return turn_wall_ms != 0 ? turn_wall_ms : clock_wall_exact_ms();
}

int64_t clock_mono_exact_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_exact_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_boot_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t clock_thread_cpu_us(void)
{
	return read_us(CLOCK_THREAD_CPUTIME_ID);
}
