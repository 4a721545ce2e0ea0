/*
 * demo_world.h: everything the demo needs to be there: a temporary directory, a private redis-server, Kafka and providers inside this
 * process, and the real smstrackd, configured to use them. All of it goes away in demo_world_end(), however far it came.
 */
#ifndef CTL_DEMO_WORLD_H
#define CTL_DEMO_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ctl/demo_child.h"

struct demo_kafka;
struct demo_provider;

enum { DEMO_PARTITIONS = 8, DEMO_WORLD_ERR_MAX = 400 };

struct demo_world {
	char dir[DEMO_PATH_MAX], admin[DEMO_PATH_MAX + 16], daemon_path[DEMO_PATH_MAX];
	struct demo_child redis, daemon;
	struct demo_kafka *kafka;
	struct demo_provider *provider;
};

struct demo_world_options {
	const char *daemon;             /* which smstrackd; NULL: beside this program, else on PATH */
	size_t n_ids;
	unsigned inflight;
};

/* Whether the caller wants to stop: asked while a start waits. */
typedef bool(demo_stop_fn)(void *arg);

/* Each step returns CTL_OK or an exit code with words in err; `w` starts zeroed. In this order. */
int demo_world_redis(struct demo_world *w, char err[DEMO_WORLD_ERR_MAX]) MUST_CHECK;
int demo_world_servers(struct demo_world *w, const struct demo_world_options *options, char err[DEMO_WORLD_ERR_MAX]) MUST_CHECK;
int demo_world_daemon(struct demo_world *w, const struct demo_world_options *options, char err[DEMO_WORLD_ERR_MAX]) MUST_CHECK;
/* Until /readyz says yes. CTL_TIMEOUT with what it says instead, CTL_REFUSED where the daemon ended or `stop` says so. */
int demo_world_wait_ready(struct demo_world *w, demo_stop_fn *stop, void *arg, char err[DEMO_WORLD_ERR_MAX]) MUST_CHECK;

/* Ends the daemon by TERM, which drains, within timeout_ms; its exit code. */
int demo_world_end_daemon(struct demo_world *w, int timeout_ms);
/* Ends and removes all that is left. */
void demo_world_end(struct demo_world *w);

#endif
