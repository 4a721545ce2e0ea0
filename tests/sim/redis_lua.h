/* redis_lua.h: the scripts of the simulated Redis, run by the same Lua (5.1) with redis.call and its kin over the keyspace. */
#ifndef SIM_REDIS_LUA_H
#define SIM_REDIS_LUA_H

#include <stdbool.h>

#include "tests/sim/redis_command.h"

struct redis_lua;

struct redis_lua *redis_lua_new(struct keyspace *keys);
void redis_lua_free(struct redis_lua *lua);

/* SCRIPT LOAD: its SHA-1 in hex, or an error. */
struct redis_value redis_lua_load(struct redis_lua *lua, const char *text, size_t len);
/* EVALSHA: keys and argv as given; NOSCRIPT where it was not loaded. */
struct redis_value redis_lua_run(struct redis_lua *lua, const char *sha, const struct redis_arg *keys, size_t n_keys,
				 const struct redis_arg *argv, size_t n_argv);
/* SCRIPT FLUSH, and what a restart forgets. */
void redis_lua_forget(struct redis_lua *lua);

#endif
