/* lua_msgpack.h: the `cmsgpack` that Redis' Lua has, pack and unpack, with its choice of encodings. */
#ifndef SIM_LUA_MSGPACK_H
#define SIM_LUA_MSGPACK_H

struct lua_State;

/* Sets the global. */
void lua_msgpack_open(struct lua_State *l);

#endif
