/*
 * dispatch.h: takes jobs, runs each as a send task, hands each back once its outcome is in Redis. One a worker, on its thread.
 */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct dispatch;
struct intake_partition;
struct job;
struct route;
struct store;

enum dispatch_end {
	DISPATCH_SETTLED = 1,   /* its outcome is in Redis: its offset is done (to be committed behind the barrier) */
	DISPATCH_ABANDONED,     /* not written and not settled (revoke, drain): its offset stays open */
};

/* The one callback upstream: the job is the callee's again. */
typedef void(dispatch_end_fn)(struct job *job, enum dispatch_end end, void *arg);
/* There is room again after dispatch_room() was 0. */
typedef void(dispatch_room_fn)(void *arg);

struct dispatch_options {
	unsigned inflight;              /* jobs at once, this worker's share */
	unsigned max_attempts;          /* sends of one message that certainly failed, 8 */
	unsigned backoff_ms, backoff_max_ms;
	const char *default_from;       /* NULL: none */
	const char *allow_to;           /* prefixes, space separated; NULL: all */
	bool dry_run;
};

struct dispatch *dispatch_new(const struct dispatch_options *options, struct store *store, struct route *route) MUST_CHECK;
/* [suspends] until the tracker has ended, which is when no send is left. Takes NULL. */
void dispatch_free(struct dispatch *d);
void dispatch_on_end(struct dispatch *d, dispatch_end_fn *on_end, dispatch_room_fn *on_room, void *arg);

/* How many jobs may be submitted now. */
unsigned dispatch_room(const struct dispatch *d);
/* Takes the job; it comes back through on_end. 0, -ENOMEM (the job is still the caller's). */
int dispatch_submit(struct dispatch *d, struct job *job) MUST_CHECK;
void dispatch_set_inflight(struct dispatch *d, unsigned inflight);
/* Cancels what is not written yet, of one partition or (NULL) of all; it comes back as ABANDONED, what is written runs on. */
void dispatch_cancel_unwritten(struct dispatch *d, const struct intake_partition *source);
/* [suspends] until nothing is in flight, acknowledgements included. 0, -ETIMEDOUT, -ECANCELED. */
int dispatch_wait_idle(struct dispatch *d, int64_t deadline_us);

struct dispatch_status {
	unsigned inflight, inflight_max, waiting_busy, written;
};
void dispatch_status(const struct dispatch *d, struct dispatch_status *ret);

#endif
