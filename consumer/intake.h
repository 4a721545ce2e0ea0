/*
 * intake.h: the worker's side of taking records: reads the queues of the partitions that are lent to it, hands jobs to the dispatch,
 * sends rejects to the dead-letter topic, and publishes what may be committed. One a worker; all calls on its thread.
 */
#ifndef CONSUMER_INTAKE_H
#define CONSUMER_INTAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "consumer/record.h"

struct dispatch;
struct intake;
struct kafka_queue;
struct kafka_sink;
struct store;

/* What the control thread and the worker both see of a lent partition; each field has one writer. Outlives the lending. */
struct intake_shared {
	/* the worker's */
	_Atomic int64_t committable;    /* durable behind the barrier; -1: nothing yet */
	_Atomic int64_t position;       /* the next record to take; -1: none yet */
	_Atomic uint32_t open;          /* taken and not done */
	_Atomic int64_t oldest_us;      /* since when (clock_mono_us) the same open record holds the commit back; 0: none */
	_Atomic int64_t gap_from, gap_to;       /* a jump of offsets that may be records lost to retention; 0, 0: none. Cleared by control */
	/* the control thread's */
	_Atomic int64_t committed;      /* Kafka has it; -1: nothing yet */
	_Atomic bool stopped;           /* a commit was rejected: read no further */
};

struct intake_options {
	struct record_options record;
	unsigned max_commit_skew, commit_interval_ms, revoke_drain_ms;
	unsigned max_rejects;           /* dead letters under way */
	struct kafka_sink *sink;
	const _Atomic bool *paused;     /* the control thread's; intake_kick() after it is cleared */
	void (*on_commit_due)(void *arg);       /* on the worker's thread: a partition nears its max_commit_skew */
	void *arg;
};

/* Starts its tasks. NULL: out of memory. */
struct intake *intake_new(const struct intake_options *options, struct dispatch *dispatch, struct store *store) MUST_CHECK;
/* [suspends] All partitions must be taken back. Jobs that still run keep what they need alive until they end. Takes NULL. */
void intake_free(struct intake *in);

struct intake_grant {
	struct kafka_queue *queue;      /* the intake's from now on */
	struct intake_shared *shared;   /* stays the lender's, and names the lease */
	const char *topic;
	int32_t partition;
	uint32_t epoch;
	int64_t start;                  /* the offset that reading starts at */
	bool has_commits;               /* the group: an empty store isn't a new one then, and nothing is claimed there */
};
/* 0, -ENOMEM, -EMFILE: nothing was taken over. */
int intake_lend(struct intake *in, const struct intake_grant *grant) MUST_CHECK;

/* [suspends] For a group's first commit, before it: 0 once the store says durably that there is one; -EAGAIN, -ECANCELED. */
int intake_begin_store(struct intake *in) MUST_CHECK;

/* [suspends] Stops reading them, cancels what is unwritten, gives what is written revoke_drain_ms to end, publishes what is then done
 * behind a last barrier, and lets go. `lost`: at once, and publishes nothing. Jobs that still run write their outcome later; if the
 * partition comes back, their records join them. */
void intake_revoke(struct intake *in, struct intake_shared *const *shared, unsigned n, bool lost);

/* [suspends] Takes nothing more, waits until all that was taken is done; at the deadline cancels what is unwritten. How many records
 * stay open. */
unsigned intake_drain(struct intake *in, int64_t deadline_us);

/* Something has changed (a commit, a resume): look again. */
void intake_kick(struct intake *in);

#endif
