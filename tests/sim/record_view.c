/* record_view.c: reads records from the keyspace, by the public description of their format and no other knowledge. */
#include "tests/sim/record_view.h"

#include <stdio.h>
#include <string.h>

#include "metrics/msgpack.h"
#include "metrics/shard.h"
#include "tests/sim/keyspace.h"
#include "tests/sim/process.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"

struct reading {
	struct msgpack_reader r;
	uint64_t left;
	bool bad;
};

static struct msgpack_item next(struct reading *r)
{
	struct msgpack_item item = { .type = MSGPACK_FALSE };

	if (r->left == 0)
		return item;
	r->left--;
	if (msgpack_next(&r->r, &item) != 0)
		r->bad = true;
	return item;
}

static uint64_t number(struct reading *r)
{
	struct msgpack_item item = next(r);

	if (item.type != MSGPACK_UINT)
		r->bad = true;
	return item.n;
}

static void word(struct reading *r, char *to, size_t size)
{
	struct msgpack_item item = next(r);

	to[0] = '\0';
	if (item.type == MSGPACK_STR && item.n < size)
		snprintf(to, size, "%.*s", (int)item.n, item.s);
	else if (item.type != MSGPACK_FALSE)
		r->bad = true;
}

static int64_t stamp(struct reading *r, int64_t from_ms)
{
	struct msgpack_item item = next(r);

	if (item.type == MSGPACK_FALSE)
		return -1;
	if (item.type != MSGPACK_UINT)
		r->bad = true;
	return from_ms + (int64_t)item.n;
}

/* A list of strings or false: the bits of those that are there. */
static unsigned list(struct reading *r)
{
	struct msgpack_item item = next(r);
	unsigned bits = 0;

	if (item.type == MSGPACK_STR)
		return 1;
	for (uint64_t i = 0, n = item.type == MSGPACK_ARRAY ? item.n : 0; i < n; i++) {
		if (msgpack_next(&r->r, &item) != 0 || item.type == MSGPACK_ARRAY)
			r->bad = true;
		bits |= item.type == MSGPACK_STR ? 1u << i : 0;
	}
	return bits;
}

bool record_view_parse(const char *bytes, size_t len, struct record_view *ret)
{
	struct reading r = { .r = { bytes, bytes + len }, .left = 1 };
	struct msgpack_item head = next(&r);

	*ret = (struct record_view){ 0 };
	if (r.bad || head.type != MSGPACK_ARRAY)
		return false;
	r.left = head.n;
	ret->state = number(&r);
	number(&r);                     /* incarnation, epoch */
	number(&r);
	ret->claims = number(&r);
	word(&r, ret->topic, sizeof ret->topic);
	ret->partition = number(&r);
	ret->offset = number(&r);
	ret->attempts = number(&r);
	ret->uncertain = number(&r);
	ret->accepted_ms = (int64_t)number(&r);
	ret->claimed_ms = stamp(&r, ret->accepted_ms);
	word(&r, ret->campaign, sizeof ret->campaign);
	word(&r, ret->country, sizeof ret->country);
	ret->parts = number(&r);
	word(&r, ret->provider, sizeof ret->provider);
	ret->sent_ms = stamp(&r, ret->accepted_ms);
	ret->accepted_parts = list(&r);
	word(&r, ret->error, sizeof ret->error);
	ret->ended_ms = stamp(&r, ret->accepted_ms);
	next(&r);                       /* instance, lease */
	next(&r);
	ret->n_extras = (unsigned)__builtin_popcount(list(&r));
	ret->n_duplicates = (unsigned)__builtin_popcount(list(&r));
	return !r.bad && r.left == 0;
}

bool record_view_get(const char *id, struct record_view *ret)
{
	char name[96];
	int n = snprintf(name, sizeof name, "sms:{%u}:m:%s", shard_of(id, strlen(id), MEMBER_SHARDS), id);
	const struct key *key = keyspace_find(sim.redis->keys, name, (size_t)n, sim_server_us() / 1000);

	if (key == NULL)
		return false;
	if (key->type != KEY_STRING || !record_view_parse(key->value, key->value_len, ret))
		sim_fail("the record of %s can't be read", id);
	return true;
}
