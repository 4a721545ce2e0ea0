/*
 * process.h: one life of the simulated process: the real sink, source and workers on one loop, as daemon/app_start.c makes and ends
 * them, from start to a clean stop or a crash.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdbool.h>

enum { PROCESS_SHARDS = 4, PROCESS_INFLIGHT = 40, PROCESS_WORKERS_MAX = 2, PROCESS_SKEW_MAX = 60 };

struct dispatch;

/* What a seed decides about it, once. */
struct process_options {
	unsigned workers, timeout_ms;
	bool waits_for_aof;             /* durability = aof; else local */
	bool fixed_member;              /* group.instance.id */
	bool new_name_each_time;        /* another instance after a crash: leases must run out */
};

enum process_end { PROCESS_CRASHED = 1, PROCESS_STOPPED };

/* Runs the loop until either end; the next incarnation begins with the next call. */
enum process_end process_live(const struct process_options *options);
/* Asks it to drain and stop, as TERM does. */
void process_stop(void);
/* The dispatch of a worker while the process lives, or NULL. */
struct dispatch *process_dispatch(unsigned worker);

#endif
