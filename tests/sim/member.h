/*
 * member.h: one daemon's parts, as daemon/app_start.c makes and ends them: workers, sink, source. A simulated process runs one, or two
 * side by side that share nothing but their loop: two instances of the group. Everything here is process memory.
 */
#ifndef SIM_MEMBER_H
#define SIM_MEMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "consumer/kafka_source.h"
#include "dispatch/provider.h"
#include "tests/sim/smsc.h"

enum { MEMBER_SHARDS = 4, MEMBER_INFLIGHT = 40, MEMBER_WORKERS_MAX = 2, MEMBER_SKEW_MAX = 60 };

struct kafka_sink;
struct worker;

struct member_options {
	unsigned workers, timeout_ms;
	bool fixed;                     /* group.instance.id */
	bool waits_for_aof;             /* durability = aof; else local */
};

/* Embedded; it does not move while it lives. */
struct member {
	struct member_options options;
	char instance[32];
	struct kafka_setting setting;
	struct provider_options providers[SMSC_PROVIDERS];
	char urls[SMSC_PROVIDERS][48];
	struct kafka_source_options source_options;
	struct worker *workers[MEMBER_WORKERS_MAX];
	struct kafka_sink *sink;
	struct kafka_source *source;
};

void member_start(struct member *m, const struct member_options *options, const char *instance);
/* [suspends] Drains and ends it; how many records it leaves behind. */
unsigned member_stop(struct member *m);

#endif
