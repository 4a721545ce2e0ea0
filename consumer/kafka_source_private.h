/* kafka_source_private.h: what kafka_source.c (its life), kafka_source_group.c (partitions) and kafka_source_commit.c share. */
#ifndef CONSUMER_KAFKA_SOURCE_PRIVATE_H
#define CONSUMER_KAFKA_SOURCE_PRIVATE_H

#include <stdarg.h>

#include "consumer/intake.h"
#include "consumer/kafka_source.h"
#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"

/* A worker, and its intake. */
struct kafka_source_seat {
	struct kafka_source *source;
	struct worker *worker;
	struct intake *intake;          /* the worker's thread's */
	unsigned owned;                 /* places lent to it */
	int64_t deadline_us;            /* of a drain */
	unsigned left;                  /* what a drain left open */
	/* of a revocation */
	struct intake_shared **revoked;
	unsigned n_revoked;
	bool lost;
};

/* A partition that is or was ours; kept, so that it returns to the same worker. */
struct place {
	struct list node;
	char *topic;
	int32_t partition;
	uint32_t epoch;
	struct kafka_source_seat *seat;
	struct intake_shared shared;
	unsigned commit_failures;       /* in a row */
	int commit_err;                 /* the last one's */
	bool owned;
};

struct kafka_source {
	struct kafka_source_options options;
	struct kafka_sink *sink;
	struct co_loop *loop;
	struct kafka_client *prober, *client;   /* one after the other */
	struct co_future *starter, *group, *committer;
	struct co_event commit_due;
	struct co_semaphore committing;         /* one commit at a time */
	struct list places;
	uint32_t epoch;
	unsigned commit_failures;               /* in a row */
	bool answering;                         /* a rebalance is under way in the group's task */
	bool joined, draining, rejected;        /* rejected: the last commit was; nothing is read until one is taken */
	bool has_commits;                       /* the group, made before this start or by others */
	_Atomic bool paused, commit_posted;
	char trouble[160], commit_trouble[360], fatal[300];
	unsigned n_seats;
	struct kafka_source_seat seats[];
};

int64_t kafka_source_deadline(int64_t ms);
void kafka_source_trouble(struct kafka_source *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wakes the workers' readers. */
void kafka_source_kick(struct kafka_source *s);
/* [suspends] Runs body(seat) on every worker, all at once, and waits for all. */
void kafka_source_each_seat(struct kafka_source *s, int (*body)(void *seat));

/* NULL: it was never ours. */
struct place *kafka_source_find_place(const struct kafka_source *s, const char *topic, int32_t partition);
/* A rejected commit stops all reading until one is taken. */
void kafka_source_set_stopped(struct kafka_source *s, bool stopped);
int kafka_source_group_body(void *arg);
int kafka_source_commit_body(void *arg);
/* [suspends] Commits what is published. 0, or kafka_client_commit()'s errors. */
int kafka_source_commit(struct kafka_source *s, int64_t deadline_us);
/* How many partitions have something published that isn't committed. */
unsigned kafka_source_uncommitted(const struct kafka_source *s);
void kafka_source_free_places(struct kafka_source *s);

#endif
