/*
 * redis_sim.h: one simulated Redis server: its keys, its scripts, whether it runs. What connects to it is in port_redis.c; both sides of
 * a connection talk through redis_sim_execute(), a command at a time, in the order of arrival.
 */
#ifndef SIM_REDIS_SIM_H
#define SIM_REDIS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/redis_value.h"

struct keyspace;
struct redis_lua;

struct redis_sim {
	struct keyspace *keys;
	struct redis_lua *lua;
	bool up;
	char run_id[41];
	unsigned break_permille;        /* of the batches: the connection breaks after one of its commands */
	int64_t slow_until_us, slow_us; /* what each way takes longer until then */
	enum redis_client_fsync fsync;
	bool loses;                     /* everysec: a restart loses what was written within the last second */
	int64_t safe_us;                /* but not what came before the last WAITAOF */
	uint64_t commands_total;
};

struct redis_sim *redis_sim_new(enum redis_client_fsync fsync);
void redis_sim_free(struct redis_sim *r);

/* The process behind the port goes away, and comes back with the same data (or almost), another run id and no scripts. */
void redis_sim_stop(struct redis_sim *r);
void redis_sim_start(struct redis_sim *r);

/* The first command of RESP bytes; *ret_len is how many it took. */
struct redis_value redis_sim_execute(struct redis_sim *r, const char *resp, size_t len, size_t *ret_len);

/* One way over the wire. */
int64_t redis_sim_latency_us(const struct redis_sim *r);

/* port_redis.c: breaks all connections of the process; what was on the way may still arrive. */
void port_redis_lose_all(const char *reason);

#endif
