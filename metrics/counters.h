/*
 * counters.h: what the process counts. Each counter is one line of counters_table.h and appears in /metrics from there.
 * Any thread adds to cells of its own, without locks or shared cache lines; a reader sums them up. Counts of threads that have
 * ended stay; their gauges go back to zero.
 */
#ifndef METRICS_COUNTERS_H
#define METRICS_COUNTERS_H

#include <stdint.h>

enum counters_kind { COUNTERS_TOTAL = 1, COUNTERS_GAUGE, COUNTERS_SECONDS };

enum counter {
#define X(id, name, kind, help) id,
#include "metrics/counters_table.h"
#undef X
	COUNTER_COUNT
};

/* Histogram bounds, log-linear: COUNTERS_STEPS linear steps in each octave from 1 ms up, about 1,049 s at the end, then +Inf. */
enum { COUNTERS_STEPS = 4, COUNTERS_OCTAVES = 20, COUNTERS_BUCKETS = COUNTERS_STEPS * COUNTERS_OCTAVES + 2 };

struct counters_histogram {
	uint64_t buckets[COUNTERS_BUCKETS];     /* not cumulative */
	uint64_t count, sum_us;
};

/* From any thread. */
void counters_add(enum counter id, uint64_t n);                 /* TOTAL */
void counters_set(enum counter id, int64_t value);              /* GAUGE: this thread's share of it */
void counters_observe(enum counter id, int64_t value_us);       /* SECONDS; below zero counts as zero */

/* From any thread: sums over all threads; not a snapshot, each cell is read at its own moment. */
uint64_t counters_total(enum counter id);
int64_t counters_gauge(enum counter id);
void counters_histogram(enum counter id, struct counters_histogram *ret);
/* The q-quantile (0..1) in us, interpolated within its bucket; 0 of an empty one. */
int64_t counters_quantile_us(const struct counters_histogram *h, double q);
/* Upper bound of bucket i in us, inclusive; INT64_MAX for the last. */
int64_t counters_bound_us(unsigned bucket);

const char *counters_name(enum counter id);
const char *counters_help(enum counter id);
enum counters_kind counters_kind(enum counter id);

/* Sets everything to zero: for tests and between runs of the simulation. No other thread may be counting. */
void counters_reset(void);

#endif
