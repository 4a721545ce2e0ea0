/*
 * process.h: one life of the simulated process, from start to a clean stop or a crash, with one member of the group in it or two, of
 * which the second comes and goes.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdbool.h>

#include "tests/sim/member.h"

enum { PROCESS_MEMBERS_MAX = 2, PROCESS_DISPATCHES_MAX = PROCESS_MEMBERS_MAX * MEMBER_WORKERS_MAX };

struct dispatch;

/* What a seed decides about it, once. */
struct process_options {
	struct member_options member;
	unsigned members;
	bool new_name_each_time;        /* another instance after a crash: leases must run out */
};

enum process_end { PROCESS_CRASHED = 1, PROCESS_STOPPED };

/* Runs the loop until either end; the next incarnation begins with the next call. */
enum process_end process_live(const struct process_options *options);
/* Asks it to drain and stop, as TERM does. */
void process_stop(void);
/* The same for the second member alone, which starts again after a while. */
void process_bounce(void);
/* The n-th worker's dispatch while the process lives, or NULL. */
struct dispatch *process_dispatch(unsigned nth);

#endif
