/* run.h: one seed, from an empty world to the verdict. Once per operating system process. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct run_result {
	uint64_t hash, steps;
	unsigned incarnations, rebalances, commits, requests;
	int64_t simulated_ms;
	char failure[512];              /* empty: passed */
};

void run_seed(uint64_t seed, unsigned messages, bool tracing, struct run_result *ret);

#endif
