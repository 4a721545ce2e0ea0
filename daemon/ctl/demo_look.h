/* demo_look.h: what the demo sees of the daemon, through its admin API, and of the provider, in its ledger. Main thread. */
#ifndef CTL_DEMO_LOOK_H
#define CTL_DEMO_LOOK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "daemon/ctl/demo_world.h"

struct demo_result;

struct demo_seen {
	uint64_t inflight;
	unsigned quiet;                 /* looks in a row that found nothing open: counters are no snapshot, so one may be wrong */
};

/* Reads /metrics into what it knows of the result. 0, or the errno of a daemon that doesn't answer. */
int demo_look(const struct demo_world *w, struct demo_seen *seen, struct demo_result *r);
/* Why those of the first `n_put` messages that the provider didn't take were not sent, as their own records in Redis say; and the ends
 * counted from there, where all could be looked up. It gives up when `stop` says so or after a while. */
void demo_look_up(const struct demo_world *w, size_t n_put, demo_stop_fn *stop, void *arg, struct demo_result *r);
/* The ledger, once the daemon has ended. */
void demo_look_ledger(const struct demo_world *w, size_t n_put, struct demo_result *r);

#endif
