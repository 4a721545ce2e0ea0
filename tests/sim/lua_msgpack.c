/*
 * lua_msgpack.c: MessagePack (its specification of 2013, with str8) from and to Lua values. Numbers that are whole are integers in the
 * shortest form, others floats where exact, else doubles; a table is an array where its keys are 1..n, else a map; false and nil are
 * themselves. Unpacking takes every value that the bytes hold and fails on a rest. Nesting ends at 16, as in Redis.
 */
#include "tests/sim/lua_msgpack.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <string.h>

enum { NESTING_MAX = 16 };

/* ---- packing ---- */

static void put_be(luaL_Buffer *b, unsigned char head, uint64_t n, unsigned bytes)
{
	luaL_addchar(b, (char)head);
	for (unsigned i = bytes; i > 0; i--)
		luaL_addchar(b, (char)(n >> (8 * (i - 1))));
}

static void put_integer(luaL_Buffer *b, int64_t n)
{
	if (n >= 0) {
		uint64_t u = (uint64_t)n;

		if (u <= 127)
			luaL_addchar(b, (char)u);
		else if (u <= 0xff)
			put_be(b, 0xcc, u, 1);
		else if (u <= 0xffff)
			put_be(b, 0xcd, u, 2);
		else if (u <= 0xffffffff)
			put_be(b, 0xce, u, 4);
		else
			put_be(b, 0xcf, u, 8);
	} else if (n >= -32) {
		luaL_addchar(b, (char)n);
	} else if (n >= INT8_MIN) {
		put_be(b, 0xd0, (uint64_t)n, 1);
	} else if (n >= INT16_MIN) {
		put_be(b, 0xd1, (uint64_t)n, 2);
	} else if (n >= INT32_MIN) {
		put_be(b, 0xd2, (uint64_t)n, 4);
	} else {
		put_be(b, 0xd3, (uint64_t)n, 8);
	}
}

static void put_number(luaL_Buffer *b, double n)
{
	float f = (float)n;
	uint32_t u32;
	uint64_t u64;

	if (n >= -9223372036854775808.0 && n < 9223372036854775808.0 && (double)(int64_t)n == n) {
		put_integer(b, (int64_t)n);
	} else if ((double)f == n) {
		memcpy(&u32, &f, sizeof u32);
		put_be(b, 0xca, u32, 4);
	} else {
		memcpy(&u64, &n, sizeof u64);
		put_be(b, 0xcb, u64, 8);
	}
}

static void put_string(luaL_Buffer *b, const char *s, size_t len)
{
	if (len < 32)
		luaL_addchar(b, (char)(0xa0 | len));
	else if (len <= 0xff)
		put_be(b, 0xd9, len, 1);
	else if (len <= 0xffff)
		put_be(b, 0xda, len, 2);
	else
		put_be(b, 0xdb, len, 4);
	luaL_addlstring(b, s, len);
}

static void put_size(luaL_Buffer *b, unsigned char fix, unsigned char head16, size_t n)
{
	if (n <= 15)
		luaL_addchar(b, (char)(fix | n));
	else if (n <= 0xffff)
		put_be(b, head16, n, 2);
	else
		put_be(b, (unsigned char)(head16 + 1), n, 4);
}

/* An array where the keys are whole numbers from 1 to their count; how many pairs. */
static size_t is_array(lua_State *l, int at, int *ret_array)
{
	size_t n = 0, most = 0;

	*ret_array = 1;
	lua_pushnil(l);
	while (lua_next(l, at) != 0) {
		lua_Number key = lua_type(l, -2) == LUA_TNUMBER ? lua_tonumber(l, -2) : 0;

		if (key < 1 || key != (lua_Number)(size_t)key)
			*ret_array = 0;
		else if ((size_t)key > most)
			most = (size_t)key;
		n++;
		lua_pop(l, 1);
	}
	if (most != n)
		*ret_array = 0;
	return n;
}

/* Packs the value at `at` as a string on the stack; luaL_Buffer uses the stack, so each level has one of its own. */
static void pack(lua_State *l, int at, int depth);

static void pack_table(lua_State *l, int at, int depth)
{
	int array, base;
	size_t n = is_array(l, at, &array), pieces = 1;
	luaL_Buffer b;

	if (depth >= NESTING_MAX)
		luaL_error(l, "cmsgpack: nested too deep");
	luaL_checkstack(l, (int)(2 * n) + 20, "cmsgpack: too large");
	luaL_buffinit(l, &b);
	put_size(&b, array ? 0x90 : 0x80, array ? 0xdc : 0xde, n);
	luaL_pushresult(&b);
	base = lua_gettop(l);
	if (array) {
		for (size_t i = 1; i <= n; i++, pieces++) {
			lua_rawgeti(l, at, (int)i);
			pack(l, lua_gettop(l), depth + 1);
			lua_remove(l, -2);
		}
	} else {
		lua_pushnil(l);
		while (lua_next(l, at) != 0) {          /* key, value -> packed key, packed value, key */
			pack(l, lua_gettop(l) - 1, depth + 1);
			pack(l, lua_gettop(l) - 1, depth + 1);
			lua_remove(l, -3);
			lua_pushvalue(l, -3);
			lua_remove(l, -4);
			pieces += 2;
		}
	}
	lua_concat(l, (int)pieces);
	(void)base;
}

static void pack(lua_State *l, int at, int depth)
{
	luaL_Buffer b;
	size_t len;
	const char *s;

	if (lua_type(l, at) == LUA_TTABLE) {
		pack_table(l, at, depth);
		return;
	}
	luaL_buffinit(l, &b);
	switch (lua_type(l, at)) {
	case LUA_TNUMBER:
		put_number(&b, lua_tonumber(l, at));
		break;
	case LUA_TBOOLEAN:
		luaL_addchar(&b, (char)(lua_toboolean(l, at) ? 0xc3 : 0xc2));
		break;
	case LUA_TSTRING:
		s = lua_tolstring(l, at, &len);
		put_string(&b, s, len);
		break;
	default:
		luaL_addchar(&b, (char)0xc0);
	}
	luaL_pushresult(&b);
}

static int do_pack(lua_State *l)
{
	int n = lua_gettop(l);

	if (n == 0)
		return luaL_error(l, "MessagePack pack needs input.");
	luaL_checkstack(l, n + 20, "cmsgpack: too large");
	for (int i = 1; i <= n; i++)
		pack(l, i, 0);
	lua_concat(l, n);
	return 1;
}

/* ---- unpacking ---- */

struct cursor {
	const unsigned char *p;
	size_t left;
};

static const unsigned char *take(lua_State *l, struct cursor *c, size_t n)
{
	const unsigned char *p = c->p;

	if (n > c->left)
		luaL_error(l, "Missing bytes in input.");
	c->p += n;
	c->left -= n;
	return p;
}

static uint64_t take_be(lua_State *l, struct cursor *c, unsigned bytes)
{
	const unsigned char *p = take(l, c, bytes);
	uint64_t n = 0;

	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

static void unpack(lua_State *l, struct cursor *c, int depth);

static void unpack_string(lua_State *l, struct cursor *c, size_t len)
{
	lua_pushlstring(l, (const char *)take(l, c, len), len);
}

static void unpack_array(lua_State *l, struct cursor *c, size_t n, int depth)
{
	lua_newtable(l);
	for (size_t i = 1; i <= n; i++) {
		unpack(l, c, depth + 1);
		lua_rawseti(l, -2, (int)i);
	}
}

static void unpack_map(lua_State *l, struct cursor *c, size_t n, int depth)
{
	lua_newtable(l);
	for (size_t i = 0; i < n; i++) {
		unpack(l, c, depth + 1);
		unpack(l, c, depth + 1);
		lua_rawset(l, -3);
	}
}

static void unpack_float(lua_State *l, struct cursor *c, int is_double)
{
	uint64_t u64 = take_be(l, c, is_double ? 8 : 4);
	uint32_t u32 = (uint32_t)u64;
	double d;
	float f;

	memcpy(&d, &u64, sizeof d);
	memcpy(&f, &u32, sizeof f);
	lua_pushnumber(l, is_double ? d : (double)f);
}

static void unpack_head(lua_State *l, struct cursor *c, unsigned char head, int depth)
{
	switch (head) {
	case 0xc0: lua_pushnil(l); break;
	case 0xc2: lua_pushboolean(l, 0); break;
	case 0xc3: lua_pushboolean(l, 1); break;
	case 0xca: unpack_float(l, c, 0); break;
	case 0xcb: unpack_float(l, c, 1); break;
	case 0xcc: lua_pushnumber(l, (double)take_be(l, c, 1)); break;
	case 0xcd: lua_pushnumber(l, (double)take_be(l, c, 2)); break;
	case 0xce: lua_pushnumber(l, (double)take_be(l, c, 4)); break;
	case 0xcf: lua_pushnumber(l, (double)take_be(l, c, 8)); break;
	case 0xd0: lua_pushnumber(l, (int8_t)take_be(l, c, 1)); break;
	case 0xd1: lua_pushnumber(l, (int16_t)take_be(l, c, 2)); break;
	case 0xd2: lua_pushnumber(l, (int32_t)take_be(l, c, 4)); break;
	case 0xd3: lua_pushnumber(l, (double)(int64_t)take_be(l, c, 8)); break;
	case 0xc4: case 0xd9: unpack_string(l, c, take_be(l, c, 1)); break;
	case 0xc5: case 0xda: unpack_string(l, c, take_be(l, c, 2)); break;
	case 0xc6: case 0xdb: unpack_string(l, c, take_be(l, c, 4)); break;
	case 0xdc: unpack_array(l, c, take_be(l, c, 2), depth); break;
	case 0xdd: unpack_array(l, c, take_be(l, c, 4), depth); break;
	case 0xde: unpack_map(l, c, take_be(l, c, 2), depth); break;
	case 0xdf: unpack_map(l, c, take_be(l, c, 4), depth); break;
	default: luaL_error(l, "Bad data format in input.");
	}
}

static void unpack(lua_State *l, struct cursor *c, int depth)
{
	unsigned char head = *take(l, c, 1);

	if (depth > NESTING_MAX)
		luaL_error(l, "cmsgpack: nested too deep");
	luaL_checkstack(l, 20, "cmsgpack: too deep");
	if (head <= 0x7f)
		lua_pushnumber(l, head);
	else if (head <= 0x8f)
		unpack_map(l, c, head & 0x0f, depth);
	else if (head <= 0x9f)
		unpack_array(l, c, head & 0x0f, depth);
	else if (head <= 0xbf)
		unpack_string(l, c, head & 0x1f);
	else if (head >= 0xe0)
		lua_pushnumber(l, (int8_t)head);
	else
		unpack_head(l, c, head, depth);
}

static int do_unpack(lua_State *l)
{
	struct cursor c;
	int n = 0;

	c.p = (const unsigned char *)luaL_checklstring(l, 1, &c.left);
	while (c.left > 0) {
		luaL_checkstack(l, 20, "cmsgpack: too large");
		unpack(l, &c, 0);
		n++;
	}
	return n;
}

void lua_msgpack_open(lua_State *l)
{
	static const luaL_Reg functions[] = { { "pack", do_pack }, { "unpack", do_unpack }, { NULL, NULL } };

	luaL_register(l, "cmsgpack", functions);
	lua_pop(l, 1);
}
