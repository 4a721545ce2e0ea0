/* redis_sim.c: reads RESP commands, knows those that are about the server itself, hands the others to keys and scripts. */
#include "tests/sim/redis_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/keyspace.h"
#include "tests/sim/redis_command.h"
#include "tests/sim/redis_lua.h"
#include "tests/sim/sim.h"
#include "tests/sim/verify.h"

enum { UNSAFE_US = 1000000 };           /* fsync(2) once a second, and what a slow one adds is left out */

struct redis_sim *redis_sim_new(enum redis_client_fsync fsync)
{
	struct redis_sim *r = sim_alloc(sizeof *r);

	r->fsync = fsync;
	r->loses = fsync == REDIS_FSYNC_EVERYSEC;
	r->keys = keyspace_new();
	r->lua = redis_lua_new(r->keys);
	redis_sim_start(r);
	return r;
}

void redis_sim_free(struct redis_sim *r)
{
	redis_lua_free(r->lua);
	keyspace_free(r->keys);
	free(r);
}

static void on_lost(const struct key *key, void *arg)
{
	(void)arg;
	verify_lost(key->name);
}

static void lose_tail(struct redis_sim *r)
{
	int64_t back_us = sim.now_us - (int64_t)sim_below(UNSAFE_US);

	if (back_us < r->safe_us)
		back_us = r->safe_us;
	sim_trace("redis: loses what it wrote after %lld", (long long)back_us);
	keyspace_undo(r->keys, back_us, on_lost, NULL);
}

void redis_sim_stop(struct redis_sim *r)
{
	if (!r->up)
		return;
	sim_trace("redis: stops");
	r->up = false;
	port_redis_lose_all("redis: connection lost");
	if (r->loses && sim_chance(70))
		lose_tail(r);
}

void redis_sim_start(struct redis_sim *r)
{
	if (r->up)
		return;
	r->up = true;
	redis_lua_forget(r->lua);
	for (size_t i = 0; i < sizeof r->run_id - 1; i++)
		r->run_id[i] = "0123456789abcdef"[sim_below(16)];
	sim_trace("redis: runs as %.8s", r->run_id);
}

int64_t redis_sim_latency_us(const struct redis_sim *r)
{
	int64_t us = sim_between(50, sim_chance(5) ? 5000 : 600);

	return sim.now_us < r->slow_until_us ? us + sim_between(0, r->slow_us) : us;
}

/* ---- reading a command ---- */

static bool take_number(const char **at, const char *end, char kind, size_t *ret)
{
	const char *p = *at;
	size_t n = 0;

	if (p == end || *p++ != kind)
		return false;
	while (p < end && *p >= '0' && *p <= '9')
		n = n * 10 + (size_t)(*p++ - '0');
	if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
		return false;
	*at = p + 2;
	*ret = n;
	return true;
}

static size_t read_command(const char *resp, size_t len, struct redis_arg *args, size_t *ret_n)
{
	const char *at = resp, *end = resp + len;
	size_t n, size;

	CHECK(take_number(&at, end, '*', &n) && n > 0 && n <= REDIS_ARGS_MAX, "not RESP: %.*s", (int)(len < 40 ? len : 40), resp);
	for (size_t i = 0; i < n; i++) {
		CHECK(take_number(&at, end, '$', &size) && (size_t)(end - at) >= size + 2 && at[size] == '\r');
		args[i] = (struct redis_arg){ at, size };
		at += size + 2;
	}
	*ret_n = n;
	return (size_t)(at - resp);
}

/* ---- commands about the server ---- */

static struct redis_value evalsha(struct redis_sim *r, const struct redis_arg *args, size_t n)
{
	char sha[41];
	int64_t n_keys;

	if (n < 3 || args[1].len != 40 || !redis_arg_integer(&args[2], &n_keys) || n_keys < 0 || (size_t)n_keys > n - 3)
		return redis_value_error("ERR wrong number of arguments for 'evalsha' command");
	memcpy(sha, args[1].s, 40);
	sha[40] = '\0';
	return redis_lua_run(r->lua, sha, args + 3, (size_t)n_keys, args + 3 + n_keys, n - 3 - (size_t)n_keys);
}

/* No replicas here; a local AOF that has everything. */
static struct redis_value waitaof(struct redis_sim *r)
{
	struct redis_value reply = redis_value_array(2);

	r->safe_us = sim.now_us;
	*redis_value_item(&reply, 0) = redis_value_integer(1);
	*redis_value_item(&reply, 1) = redis_value_integer(0);
	return reply;
}

static struct redis_value run(struct redis_sim *r, const struct redis_arg *args, size_t n)
{
	if (redis_arg_is(&args[0], "EVALSHA"))
		return evalsha(r, args, n);
	if (redis_arg_is(&args[0], "SCRIPT") && n == 3 && redis_arg_is(&args[1], "LOAD"))
		return redis_lua_load(r->lua, args[2].s, args[2].len);
	if (redis_arg_is(&args[0], "PING"))
		return redis_value_status("PONG");
	if (redis_arg_is(&args[0], "WAIT"))
		return redis_value_integer(0);
	if (redis_arg_is(&args[0], "WAITAOF"))
		return waitaof(r);
	return redis_command_run(r->keys, args, n, r->loses);
}

struct redis_value redis_sim_execute(struct redis_sim *r, const char *resp, size_t len, size_t *ret_len)
{
	static struct redis_arg args[REDIS_ARGS_MAX];
	size_t n;

	*ret_len = read_command(resp, len, args, &n);
	r->commands_total++;
	if (r->loses)
		keyspace_forget(r->keys, sim.now_us - UNSAFE_US);
	return run(r, args, n);
}
