/*
 * counters.c: the cells of each thread and their sums. A thread that counts for the first time links a block of cells into a list
 * that is only ever pushed to; a block whose thread has ended is handed to the next new thread with its counts, so there are never
 * more blocks than threads lived at once. Refuses nothing and never fails visibly: without memory a thread counts into one shared
 * spare block, where updates may be lost.
 */
#include "metrics/counters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"

#define KIND_TOTAL COUNTERS_TOTAL
#define KIND_GAUGE COUNTERS_GAUGE
#define KIND_SECONDS COUNTERS_SECONDS
static const struct {
	const char *name, *help;
	enum counters_kind kind;
} table[] = {
#define X(id, name_, kind_, help_) { name_, help_, KIND_##kind_ },
#include "metrics/counters_table.h"
#undef X
};

/* Histograms have their cells apart: an index of their own for each. */
#define SLOT_TOTAL(id)
#define SLOT_GAUGE(id)
#define SLOT_SECONDS(id) SLOT_##id,
enum slot {
#define X(id, name, kind, help) SLOT_##kind(id)
#include "metrics/counters_table.h"
#undef X
	SLOT_COUNT
};
#define INDEX_TOTAL(id) 0
#define INDEX_GAUGE(id) 0
#define INDEX_SECONDS(id) SLOT_##id
static const uint8_t slots[] = {
#define X(id, name, kind, help) INDEX_##kind(id),
#include "metrics/counters_table.h"
#undef X
};

struct block {
	struct block *next;
	atomic_bool taken;
	_Atomic uint64_t cells[COUNTER_COUNT];
	struct {
		_Atomic uint64_t buckets[COUNTERS_BUCKETS];
		_Atomic uint64_t sum_us;
	} histograms[SLOT_COUNT];
};

static _Atomic(struct block *) blocks;
static struct block spare;
static _Thread_local struct block *own;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *arg)
{
	struct block *b = arg;

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (table[i].kind == COUNTERS_GAUGE)
			atomic_store_explicit(&b->cells[i], 0, memory_order_relaxed);
	own = NULL;
	atomic_store_explicit(&b->taken, false, memory_order_release);
}

static void make_key(void)
{
	CHECK(pthread_key_create(&key, on_thread_end) == 0);
	atomic_store(&spare.taken, true);
	spare.next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &spare.next, &spare))
		;
}

static struct block *take_block(void)
{
	struct block *b;
	bool taken;

	for (b = atomic_load(&blocks); b != NULL; b = b->next) {
		taken = false;
		if (atomic_compare_exchange_strong(&b->taken, &taken, true))
			return b;
	}
	b = calloc(1, sizeof *b); /* not mem_zalloc: it outlives what the simulation drops in a crash */
	if (b == NULL)
		return NULL;
	atomic_store(&b->taken, true);
	b->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
		;
	return b;
}

static __attribute__((noinline, cold)) struct block *first_use(void)
{
	struct block *b;

	CHECK(pthread_once(&once, make_key) == 0);
	b = take_block();
	if (b == NULL)
		return &spare;
	if (pthread_setspecific(key, b) != 0) {
		atomic_store(&b->taken, false);
		return &spare;
	}
	own = b;
	return b;
}

/* Only the owner writes a cell, so a plain load and store will do: no locked instruction. */
static inline void bump(_Atomic uint64_t *cell, uint64_t n)
{
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline struct block *mine(void)
{
	return own != NULL ? own : first_use();
}

void counters_add(enum counter id, uint64_t n)
{
	CHECK(table[id].kind == COUNTERS_TOTAL);
	bump(&mine()->cells[id], n);
}

void counters_set(enum counter id, int64_t value)
{
	CHECK(table[id].kind == COUNTERS_GAUGE);
	atomic_store_explicit(&mine()->cells[id], (uint64_t)value, memory_order_relaxed);
}

/* Bucket 0 ends at 1 ms; then octave k runs from 2^k to 2^(k+1) ms in COUNTERS_STEPS equal steps; upper bounds are inclusive. */
static unsigned bucket_of(int64_t value_us)
{
	uint64_t ms_up, octave, step;

	if (value_us <= 1000)
		return 0;
	ms_up = (uint64_t)value_us - 1;
	octave = 63 - (unsigned)__builtin_clzll(ms_up / 1000);
	if (octave >= COUNTERS_OCTAVES)
		return COUNTERS_BUCKETS - 1;
	step = (ms_up - ((uint64_t)1000 << octave)) * COUNTERS_STEPS / ((uint64_t)1000 << octave);
	return (unsigned)(1 + octave * COUNTERS_STEPS + step);
}

int64_t counters_bound_us(unsigned bucket)
{
	unsigned octave, step;

	if (bucket == 0)
		return 1000;
	if (bucket >= COUNTERS_BUCKETS - 1)
		return INT64_MAX;
	octave = (bucket - 1) / COUNTERS_STEPS;
	step = (bucket - 1) % COUNTERS_STEPS + 1;
	return ((int64_t)1000 << octave) + (((int64_t)1000 << octave) * step) / COUNTERS_STEPS;
}

void counters_observe(enum counter id, int64_t value_us)
{
	struct block *b = mine();

	CHECK(table[id].kind == COUNTERS_SECONDS);
	if (value_us < 0)
		value_us = 0;
	bump(&b->histograms[slots[id]].buckets[bucket_of(value_us)], 1);
	bump(&b->histograms[slots[id]].sum_us, (uint64_t)value_us);
}

static uint64_t sum(enum counter id)
{
	uint64_t n = 0;

	for (struct block *b = atomic_load(&blocks); b != NULL; b = b->next)
		n += atomic_load_explicit(&b->cells[id], memory_order_relaxed);
	return n;
}

uint64_t counters_total(enum counter id)
{
	CHECK(table[id].kind == COUNTERS_TOTAL);
	return sum(id);
}

int64_t counters_gauge(enum counter id)
{
	CHECK(table[id].kind == COUNTERS_GAUGE);
	return (int64_t)sum(id);
}

void counters_histogram(enum counter id, struct counters_histogram *ret)
{
	uint64_t n;

	CHECK(table[id].kind == COUNTERS_SECONDS);
	memset(ret, 0, sizeof *ret);
	for (struct block *b = atomic_load(&blocks); b != NULL; b = b->next) {
		for (unsigned i = 0; i < COUNTERS_BUCKETS; i++) {
			n = atomic_load_explicit(&b->histograms[slots[id]].buckets[i], memory_order_relaxed);
			ret->buckets[i] += n;
			ret->count += n;
		}
		ret->sum_us += atomic_load_explicit(&b->histograms[slots[id]].sum_us, memory_order_relaxed);
	}
}

int64_t counters_quantile_us(const struct counters_histogram *h, double q)
{
	double rank = q * (double)h->count, below = 0;
	int64_t low, high;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < COUNTERS_BUCKETS; i++) {
		if (h->buckets[i] == 0 || below + (double)h->buckets[i] < rank) {
			below += (double)h->buckets[i];
			continue;
		}
		low = i == 0 ? 0 : counters_bound_us(i - 1);
		high = counters_bound_us(i);
		if (high == INT64_MAX)
			return low;
		return low + (int64_t)((double)(high - low) * (rank - below) / (double)h->buckets[i]);
	}
	return counters_bound_us(COUNTERS_BUCKETS - 2);
}

const char *counters_name(enum counter id)
{
	return table[id].name;
}

const char *counters_help(enum counter id)
{
	return table[id].help;
}

enum counters_kind counters_kind(enum counter id)
{
	return table[id].kind;
}

void counters_reset(void)
{
	for (struct block *b = atomic_load(&blocks); b != NULL; b = b->next) {
		for (unsigned i = 0; i < COUNTER_COUNT; i++)
			atomic_store(&b->cells[i], 0);
		for (unsigned i = 0; i < SLOT_COUNT; i++) {
			for (unsigned k = 0; k < COUNTERS_BUCKETS; k++)
				atomic_store(&b->histograms[i].buckets[k], 0);
			atomic_store(&b->histograms[i].sum_us, 0);
		}
	}
}
