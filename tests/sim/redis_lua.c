/*
 * redis_lua.c: a Lua state with Redis' names in it and none of its own beside the standard ones; globals can't be made, as in Redis.
 * Values cross as its manual says ("Lua API reference": conversions): numbers are cut to integers, false is nil, an array ends at nil,
 * {ok=} and {err=} are a status and an error.
 */
#include "tests/sim/redis_lua.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/lua_msgpack.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"

enum { SCRIPTS_MAX = 32 };

struct redis_lua {
	lua_State *l;
	struct keyspace *keys;
	struct script {
		char sha[41];
		int ref;
	} scripts[SCRIPTS_MAX];
	size_t n;
	const struct redis_arg *declared;       /* the running call's keys: no other may be touched */
	size_t n_declared;
};

/* ---- values ---- */

static void push_value(lua_State *l, const struct redis_value *v)
{
	luaL_checkstack(l, 8, "reply too deep");
	switch (v->type) {
	case REDIS_VALUE_NIL:
		lua_pushboolean(l, 0);
		break;
	case REDIS_VALUE_INTEGER:
		lua_pushnumber(l, (lua_Number)v->integer);
		break;
	case REDIS_VALUE_STRING:
		lua_pushlstring(l, v->str, v->len);
		break;
	case REDIS_VALUE_STATUS:
	case REDIS_VALUE_ERROR:
		lua_newtable(l);
		lua_pushlstring(l, v->str, v->len);
		lua_setfield(l, -2, v->type == REDIS_VALUE_STATUS ? "ok" : "err");
		break;
	case REDIS_VALUE_ARRAY:
		lua_createtable(l, (int)v->n, 0);
		for (size_t i = 0; i < v->n; i++) {
			push_value(l, &v->items[i]);
			lua_rawseti(l, -2, (int)i + 1);
		}
		break;
	}
}

static struct redis_value value_of(lua_State *l, int at);

static bool word_of(lua_State *l, int at, const char *field, struct redis_value *ret, enum redis_value_type type)
{
	size_t len;
	const char *s;
	bool is;

	lua_getfield(l, at, field);
	is = lua_type(l, -1) == LUA_TSTRING;
	if (is) {
		s = lua_tolstring(l, -1, &len);
		*ret = redis_value_string(s, len);
		ret->type = type;
	}
	lua_pop(l, 1);
	return is;
}

static struct redis_value table_of(lua_State *l, int at)
{
	struct redis_value v;
	size_t n = 0;

	if (word_of(l, at, "err", &v, REDIS_VALUE_ERROR) || word_of(l, at, "ok", &v, REDIS_VALUE_STATUS))
		return v;
	for (;; n++) {
		lua_rawgeti(l, at, (int)n + 1);
		if (lua_isnil(l, -1))
			break;
		lua_pop(l, 1);
	}
	lua_pop(l, 1);
	v = redis_value_array(n);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(l, at, (int)i + 1);
		*redis_value_item(&v, i) = value_of(l, lua_gettop(l));
		lua_pop(l, 1);
	}
	return v;
}

static struct redis_value value_of(lua_State *l, int at)
{
	size_t len;
	const char *s;

	luaL_checkstack(l, 8, "reply too deep");
	switch (lua_type(l, at)) {
	case LUA_TNUMBER:
		return redis_value_integer((int64_t)lua_tonumber(l, at));
	case LUA_TSTRING:
		s = lua_tolstring(l, at, &len);
		return redis_value_string(s, len);
	case LUA_TBOOLEAN:
		return lua_toboolean(l, at) ? redis_value_integer(1) : redis_value_nil();
	case LUA_TTABLE:
		return table_of(l, at);
	default:
		return redis_value_nil();
	}
}

/* ---- redis.* ---- */

static struct redis_lua *self(lua_State *l)
{
	struct redis_lua *lua;

	lua_getfield(l, LUA_REGISTRYINDEX, "sim");
	lua = lua_touserdata(l, -1);
	lua_pop(l, 1);
	return lua;
}

/* A cluster would refuse it, so it is a bug wherever it runs. */
static void check_declared(struct redis_lua *lua, const struct redis_arg *args, size_t n)
{
	if (n < 2)
		return;
	for (size_t i = 0; i < lua->n_declared; i++)
		if (lua->declared[i].len == args[1].len && memcmp(lua->declared[i].s, args[1].s, args[1].len) == 0)
			return;
	sim_fail("redis: a script touches a key that it didn't declare: %.*s", (int)args[1].len, args[1].s);
}

static int call(lua_State *l, bool protect)
{
	struct redis_lua *lua = self(l);
	struct redis_arg args[16];
	struct redis_value v;
	int n = lua_gettop(l);

	if (n < 1 || n > (int)ARRAY_LEN(args))
		return luaL_error(l, "Please specify at least one argument for this redis.call() call");
	for (int i = 0; i < n; i++) {
		if (!lua_isstring(l, i + 1))
			return luaL_error(l, "Lua redis lib command arguments must be strings or integers");
		args[i].s = lua_tolstring(l, i + 1, &args[i].len);
	}
	check_declared(lua, args, (size_t)n);
	v = redis_command_run(lua->keys, args, (size_t)n, sim.redis->loses);
	push_value(l, &v);
	if (v.type == REDIS_VALUE_ERROR && !protect) {
		redis_value_free(&v);
		return lua_error(l);
	}
	redis_value_free(&v);
	return 1;
}

static int redis_call(lua_State *l)
{
	return call(l, false);
}

static int redis_pcall(lua_State *l)
{
	return call(l, true);
}

static int word(lua_State *l, const char *field)
{
	luaL_checkstring(l, 1);
	lua_newtable(l);
	lua_pushvalue(l, 1);
	lua_setfield(l, -2, field);
	return 1;
}

static int redis_error_reply(lua_State *l)
{
	return word(l, "err");
}

static int redis_status_reply(lua_State *l)
{
	return word(l, "ok");
}

/* ---- the state ---- */

static int no_global(lua_State *l)
{
	return luaL_error(l, "Script attempted to access nonexistent global variable '%s'", lua_tostring(l, 2));
}

static void protect_globals(lua_State *l)
{
	lua_newtable(l);
	lua_pushcfunction(l, no_global);
	lua_setfield(l, -2, "__index");
	lua_pushcfunction(l, no_global);
	lua_setfield(l, -2, "__newindex");
	lua_setmetatable(l, LUA_GLOBALSINDEX);
}

static void open_libraries(lua_State *l)
{
	static const luaL_Reg libraries[] = { { "", luaopen_base }, { LUA_TABLIBNAME, luaopen_table }, { LUA_STRLIBNAME, luaopen_string },
					      { LUA_MATHLIBNAME, luaopen_math }, { NULL, NULL } };
	static const luaL_Reg functions[] = { { "call", redis_call }, { "pcall", redis_pcall }, { "error_reply", redis_error_reply },
					      { "status_reply", redis_status_reply }, { NULL, NULL } };

	for (const luaL_Reg *r = libraries; r->func != NULL; r++) {
		lua_pushcfunction(l, r->func);
		lua_pushstring(l, r->name);
		lua_call(l, 1, 0);
	}
	luaL_register(l, "redis", functions);
	lua_pop(l, 1);
	lua_msgpack_open(l);
}

struct redis_lua *redis_lua_new(struct keyspace *keys)
{
	struct redis_lua *lua = sim_alloc(sizeof *lua);

	lua->keys = keys;
	lua->l = luaL_newstate();
	CHECK(lua->l != NULL);
	open_libraries(lua->l);
	protect_globals(lua->l);
	lua_pushlightuserdata(lua->l, lua);
	lua_setfield(lua->l, LUA_REGISTRYINDEX, "sim");
	return lua;
}

void redis_lua_free(struct redis_lua *lua)
{
	lua_close(lua->l);
	free(lua);
}

void redis_lua_forget(struct redis_lua *lua)
{
	for (size_t i = 0; i < lua->n; i++)
		luaL_unref(lua->l, LUA_REGISTRYINDEX, lua->scripts[i].ref);
	lua->n = 0;
}

static struct script *find(struct redis_lua *lua, const char *sha)
{
	for (size_t i = 0; i < lua->n; i++)
		if (strcmp(lua->scripts[i].sha, sha) == 0)
			return &lua->scripts[i];
	return NULL;
}

static void sha_of(const char *text, size_t len, char ret[41])
{
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1((const unsigned char *)text, len, digest);
	for (int i = 0; i < SHA_DIGEST_LENGTH; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* The first line, `#!lua flags=...`, is Redis' own: comes off, but counts in the SHA-1. */
static const char *body_of(const char *text)
{
	return strncmp(text, "#!", 2) == 0 ? strchr(text, '\n') : text;
}

struct redis_value redis_lua_load(struct redis_lua *lua, const char *text, size_t len)
{
	const char *body = body_of(text);
	struct redis_value error;
	struct script *s;
	char sha[41];

	sha_of(text, len, sha);
	if (find(lua, sha) != NULL)
		return redis_value_string(sha, 40);
	CHECK(lua->n < SCRIPTS_MAX && body != NULL);
	if (luaL_loadbuffer(lua->l, body, len - (size_t)(body - text), "@user_script") != 0) {
		error = redis_value_error("ERR Error compiling script: %s", lua_tostring(lua->l, -1));
		sim_fail("redis: %s", error.str);
		lua_pop(lua->l, 1);
		return error;
	}
	s = &lua->scripts[lua->n++];
	memcpy(s->sha, sha, sizeof s->sha);
	s->ref = luaL_ref(lua->l, LUA_REGISTRYINDEX);
	return redis_value_string(sha, 40);
}

static void set_list(lua_State *l, const char *name, const struct redis_arg *args, size_t n)
{
	lua_pushstring(l, name);
	lua_createtable(l, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		lua_pushlstring(l, args[i].s, args[i].len);
		lua_rawseti(l, -2, (int)i + 1);
	}
	lua_rawset(l, LUA_GLOBALSINDEX);
}

struct redis_value redis_lua_run(struct redis_lua *lua, const char *sha, const struct redis_arg *keys, size_t n_keys,
				 const struct redis_arg *argv, size_t n_argv)
{
	struct script *s = find(lua, sha);
	lua_State *l = lua->l;
	struct redis_value v;

	if (s == NULL)
		return redis_value_error("NOSCRIPT No matching script. Please use EVAL.");
	set_list(l, "KEYS", keys, n_keys);
	set_list(l, "ARGV", argv, n_argv);
	lua->declared = keys;
	lua->n_declared = n_keys;
	lua_rawgeti(l, LUA_REGISTRYINDEX, s->ref);
	if (lua_pcall(l, 0, 1, 0) == 0) {
		v = value_of(l, lua_gettop(l));
	} else {
		if (lua_type(l, -1) == LUA_TTABLE)
			lua_getfield(l, -1, "err");
		v = redis_value_error("ERR %s", lua_tostring(l, -1));
		sim_fail("redis: a script fails: %s", v.str);
	}
	lua_settop(l, 0);
	lua->n_declared = 0;
	return v;
}
