/*
 * clock.h: the only source of time. The simulation links its own clock.c in this one's place.
 * Durations and deadlines are monotonic microseconds (`_us`); stamps are wall-clock milliseconds (`_ms`).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* A deadline that never comes. */
#define CLOCK_NEVER INT64_MAX

/* Reads the clocks now and stores them for clock_mono_us() and clock_wall_ms() of this thread; a loop does so once a turn. */
void clock_update(void);

/* From here to the next clock_update() this thread's clock_mono_us() and clock_wall_ms() read anew each time: a loop does so before it
 * sleeps, for callbacks that run right after the sleep must not see the time before it, and when its run ends. */
void clock_forget(void);

/* CLOCK_MONOTONIC as this thread's loop read it for its turn; read anew outside of turns and on threads without a loop. */
int64_t clock_mono_us(void);

/* Milliseconds since 1970, read as clock_mono_us() is; a step of the system's clock shows here. */
int64_t clock_wall_ms(void);

/* CLOCK_MONOTONIC, read anew: for measuring within a turn. */
int64_t clock_mono_exact_us(void);

/* CLOCK_REALTIME in ms, read anew: for lines of the log, which also come from threads without a loop. */
int64_t clock_wall_exact_ms(void);

/* CLOCK_BOOTTIME in ms, read anew; it runs on while the machine sleeps, so leases are held against it. */
int64_t clock_boot_ms(void);

/* CPU time of the calling thread, us. */
int64_t clock_thread_cpu_us(void);

#endif
