/*
 * workload.h: what is produced during a run: messages of every kind, some twice, some no messages at all; and the book that says, for
 * each place in Kafka's log, what lies there.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/store.h"
#include "tests/sim/kafka_sim.h"

enum { WORKLOAD_TEXT_MARK = 24 };

struct workload_message {
	char id[40], to[20], mark[WORKLOAD_TEXT_MARK];  /* mark: begins its text, stands in no other */
	unsigned parts, ttl_s;                          /* ttl_s 0: the default */
	const char *pinned;                             /* NULL: none */
	enum store_policy policy;
	bool poison;
	bool lost;                                      /* Redis has forgotten something of it */
	unsigned places;                                /* how often it lies in the log */
	int64_t made_us;
};

struct workload_place {
	struct workload_message *message;
	bool dead;                                      /* a dead letter of this place was taken */
};

struct workload {
	struct workload_message *messages;              /* never moves: sized at the start */
	size_t n, n_max;
	struct workload_place *places[KAFKA_PARTITIONS_MAX];    /* the n-th record's */
	unsigned to_make;
	int64_t span_us;
};

/* Schedules `n` records over `span_us`. */
struct workload *workload_new(unsigned n, int64_t span_us);
void workload_free(struct workload *w);
/* The place of a dead letter's origin; NULL: there is none. */
struct workload_place *workload_place_at(struct workload *w, unsigned partition, int64_t offset);

#endif
