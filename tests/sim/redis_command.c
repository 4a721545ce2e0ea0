/* redis_command.c: see its header. Each handler reads as the command's page in Redis' documentation. */
#include "tests/sim/redis_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/sim/keyspace.h"
#include "tests/sim/sim.h"

static const char wrong_type[] = "WRONGTYPE Operation against a key holding the wrong kind of value";

static int64_t now_ms(void)
{
	return sim_server_us() / 1000;
}

bool redis_arg_is(const struct redis_arg *arg, const char *word)
{
	return arg->len == strlen(word) && strncasecmp(arg->s, word, arg->len) == 0;
}

bool redis_arg_integer(const struct redis_arg *arg, int64_t *ret)
{
	char text[24], *end;
	int64_t n;

	if (arg->len == 0 || arg->len >= sizeof text)
		return false;
	memcpy(text, arg->s, arg->len);
	text[arg->len] = '\0';
	errno = 0;
	n = strtoll(text, &end, 10);
	if (*end != '\0' || errno != 0)
		return false;
	*ret = n;
	return true;
}

static struct redis_value syntax_error(const struct redis_arg *arg)
{
	sim_fail("redis: the simulation has no %.*s here", (int)arg->len, arg->s);
	return redis_value_error("ERR syntax error");
}

static struct redis_value get(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());

	(void)n;
	if (key == NULL)
		return redis_value_nil();
	return key->type == KEY_STRING ? redis_value_string(key->value, key->value_len) : redis_value_error(wrong_type);
}

struct set_options {
	bool nx, xx, get, keep;
	int64_t expires_ms;
};

static bool set_options(const struct redis_arg *args, size_t n, struct set_options *ret, struct redis_value *ret_error)
{
	for (size_t i = 3; i < n; i++) {
		int64_t life;

		if (redis_arg_is(&args[i], "NX")) {
			ret->nx = true;
		} else if (redis_arg_is(&args[i], "XX")) {
			ret->xx = true;
		} else if (redis_arg_is(&args[i], "GET")) {
			ret->get = true;
		} else if (redis_arg_is(&args[i], "KEEPTTL")) {
			ret->keep = true;
		} else if ((redis_arg_is(&args[i], "EX") || redis_arg_is(&args[i], "PX")) && i + 1 < n &&
			   redis_arg_integer(&args[i + 1], &life) && life > 0) {
			ret->expires_ms = now_ms() + life * (redis_arg_is(&args[i], "EX") ? 1000 : 1);
			i++;
		} else {
			*ret_error = syntax_error(&args[i]);
			return false;
		}
	}
	return true;
}

static struct redis_value set(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct set_options o = { 0 };
	struct redis_value reply;
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());

	if (!set_options(args, n, &o, &reply))
		return reply;
	if (o.get && key != NULL && key->type != KEY_STRING)
		return redis_value_error(wrong_type);
	reply = !o.get ? redis_value_status("OK") : key != NULL ? redis_value_string(key->value, key->value_len) : redis_value_nil();
	if ((o.nx && key != NULL) || (o.xx && key == NULL)) {
		if (!o.get) {
			redis_value_free(&reply);
			return redis_value_nil();
		}
		return reply;
	}
	key = keyspace_make(keys, args[1].s, args[1].len, KEY_STRING, now_ms());
	keyspace_set_string(key, args[2].s, args[2].len);
	if (!o.keep)
		key->expires_ms = o.expires_ms;
	return reply;
}

static struct redis_value del(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	int64_t gone = 0;

	for (size_t i = 1; i < n; i++) {
		struct key *key = keyspace_find(keys, args[i].s, args[i].len, now_ms());

		if (key != NULL) {
			keyspace_delete(key);
			gone++;
		}
	}
	return redis_value_integer(gone);
}

static struct redis_value exists(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	int64_t there = 0;

	for (size_t i = 1; i < n; i++)
		there += keyspace_find(keys, args[i].s, args[i].len, now_ms()) != NULL;
	return redis_value_integer(there);
}

static struct redis_value expire(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());
	bool nx = n > 3 && redis_arg_is(&args[3], "NX");
	int64_t life;

	if (!redis_arg_integer(&args[2], &life) || (n > 3 && !nx))
		return syntax_error(&args[n - 1]);
	if (key == NULL || (nx && key->expires_ms != 0))
		return redis_value_integer(0);
	key->expires_ms = now_ms() + life * (redis_arg_is(&args[0], "EXPIRE") ? 1000 : 1);
	return redis_value_integer(1);
}

static struct redis_value ttl(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());
	int64_t left;

	(void)n;
	if (key == NULL || key->expires_ms == 0)
		return redis_value_integer(key == NULL ? -2 : -1);
	left = key->expires_ms - now_ms();
	return redis_value_integer(redis_arg_is(&args[0], "TTL") ? (left + 500) / 1000 : left);
}

static struct redis_value hget(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());
	struct key_field *f;

	(void)n;
	if (key != NULL && key->type != KEY_HASH)
		return redis_value_error(wrong_type);
	f = key != NULL ? keyspace_field(key, args[2].s, args[2].len) : NULL;
	return f != NULL ? redis_value_string(f->value, f->value_len) : redis_value_nil();
}

static struct redis_value hmget(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());
	struct redis_value reply;

	if (key != NULL && key->type != KEY_HASH)
		return redis_value_error(wrong_type);
	reply = redis_value_array(n - 2);
	for (size_t i = 2; i < n; i++) {
		struct key_field *f = key != NULL ? keyspace_field(key, args[i].s, args[i].len) : NULL;

		if (f != NULL)
			*redis_value_item(&reply, i - 2) = redis_value_string(f->value, f->value_len);
	}
	return reply;
}

static struct redis_value hsetnx(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_make(keys, args[1].s, args[1].len, KEY_HASH, now_ms());

	(void)n;
	if (key->type != KEY_HASH)
		return redis_value_error(wrong_type);
	if (keyspace_field(key, args[2].s, args[2].len) != NULL)
		return redis_value_integer(0);
	keyspace_set_field(key, args[2].s, args[2].len, args[3].s, args[3].len);
	return redis_value_integer(1);
}

static struct redis_value hincrby(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_make(keys, args[1].s, args[1].len, KEY_HASH, now_ms());
	struct key_field *f;
	int64_t was = 0, by;
	char text[24];

	(void)n;
	if (key->type != KEY_HASH)
		return redis_value_error(wrong_type);
	f = keyspace_field(key, args[2].s, args[2].len);
	if (!redis_arg_integer(&args[3], &by) || (f != NULL && !redis_arg_integer(&(struct redis_arg){ f->value, f->value_len }, &was)))
		return redis_value_error("ERR value is not an integer or out of range");
	snprintf(text, sizeof text, "%lld", (long long)(was + by));
	keyspace_set_field(key, args[2].s, args[2].len, text, strlen(text));
	return redis_value_integer(was + by);
}

static struct redis_value hgetall(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct key *key = keyspace_find(keys, args[1].s, args[1].len, now_ms());
	struct redis_value reply;

	(void)n;
	if (key != NULL && key->type != KEY_HASH)
		return redis_value_error(wrong_type);
	reply = redis_value_array(key != NULL ? key->n_fields * 2 : 0);
	for (size_t i = 0; i < reply.n / 2; i++) {
		*redis_value_item(&reply, 2 * i) = redis_value_string(key->fields[i].name, key->fields[i].name_len);
		*redis_value_item(&reply, 2 * i + 1) = redis_value_string(key->fields[i].value, key->fields[i].value_len);
	}
	return reply;
}

/* Seconds and the microseconds beside them, both as strings. */
static struct redis_value time_of_day(struct keyspace *keys, const struct redis_arg *args, size_t n)
{
	struct redis_value reply = redis_value_array(2);
	char text[24];

	(void)keys;
	(void)args;
	(void)n;
	snprintf(text, sizeof text, "%lld", (long long)(sim_server_us() / 1000000));
	*redis_value_item(&reply, 0) = redis_value_string(text, strlen(text));
	snprintf(text, sizeof text, "%lld", (long long)(sim_server_us() % 1000000));
	*redis_value_item(&reply, 1) = redis_value_string(text, strlen(text));
	return reply;
}

struct redis_value redis_command_run(struct keyspace *keys, const struct redis_arg *args, size_t n, bool notes)
{
	static const struct {
		const char *name;
		struct redis_value (*run)(struct keyspace *keys, const struct redis_arg *args, size_t n);
		size_t least, most;
		size_t writes;                  /* how many of the arguments are keys that it writes; SIZE_MAX: all */
	} commands[] = {
		{ "GET", get, 2, 2, 0 }, { "SET", set, 3, 8, 1 }, { "DEL", del, 2, REDIS_ARGS_MAX, SIZE_MAX },
		{ "UNLINK", del, 2, REDIS_ARGS_MAX, SIZE_MAX }, { "EXISTS", exists, 2, REDIS_ARGS_MAX, 0 }, { "EXPIRE", expire, 3, 4, 1 },
		{ "PEXPIRE", expire, 3, 4, 1 }, { "TTL", ttl, 2, 2, 0 }, { "PTTL", ttl, 2, 2, 0 }, { "HGET", hget, 3, 3, 0 },
		{ "HMGET", hmget, 3, 16, 0 }, { "HSETNX", hsetnx, 4, 4, 1 }, { "HINCRBY", hincrby, 4, 4, 1 }, { "HGETALL", hgetall, 2, 2, 0 },
		{ "TIME", time_of_day, 1, 1, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!redis_arg_is(&args[0], commands[i].name) || n < commands[i].least || n > commands[i].most)
			continue;
		for (size_t key = 1; notes && key < n && key <= commands[i].writes; key++)
			keyspace_note(keys, args[key].s, args[key].len, sim.now_us);
		return commands[i].run(keys, args, n);
	}
	sim_fail("redis: the simulation has no command %.*s with %zu arguments", (int)args[0].len, args[0].s, n - 1);
	return redis_value_error("ERR unknown command '%.*s'", (int)args[0].len, args[0].s);
}
