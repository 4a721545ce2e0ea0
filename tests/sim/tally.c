/*
 * tally.c: a list of (hash, field, count). States are counted under the record's provider; `accepted`, `uncertain`, `extra_sends` and
 * `duplicates` are compared summed over providers, since the record doesn't say which one each of them was.
 */
#include "tests/sim/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/shard.h"
#include "metrics/store.h"
#include "tests/sim/keyspace.h"
#include "tests/sim/process.h"
#include "tests/sim/record_view.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"

enum { COUNTS_MAX = 1024 };

static struct count {
	char key[48], field[160];
	long n;
} counts[COUNTS_MAX];
static size_t n_counts;

void tally_reset(void)
{
	n_counts = 0;
}

static void add(const char *key, const char *field, long n)
{
	for (size_t i = 0; i < n_counts; i++) {
		if (strcmp(counts[i].key, key) == 0 && strcmp(counts[i].field, field) == 0) {
			counts[i].n += n;
			return;
		}
	}
	CHECK(n_counts < COUNTS_MAX);
	counts[n_counts].n = n;
	snprintf(counts[n_counts].key, sizeof counts->key, "%s", key);
	snprintf(counts[n_counts].field, sizeof counts->field, "%s", field);
	n_counts++;
}

static void expect(const char *key, const char *provider, const struct record_view *r, const char *name, long n)
{
	char field[160];

	snprintf(field, sizeof field, "%s|%s|%s|%s", provider, r->campaign, r->country, name);
	if (n != 0)
		add(key, field, n);
}

void tally_expect(const char *id, const struct record_view *r)
{
	char key[48];

	snprintf(key, sizeof key, "sms:{%u}:r:%lld", shard_of(id, strlen(id), MEMBER_SHARDS), (long long)(r->claimed_ms / 60000));
	expect(key, "*", r, "accepted", 1);
	if (r->state >= STORE_SENT)
		expect(key, r->provider, r, store_state_name((enum store_state)r->state), 1);
	expect(key, "*", r, "uncertain", (long)r->uncertain);
	expect(key, "*", r, "extra_sends", (long)r->n_extras);
	expect(key, "*", r, "duplicates", (long)r->n_duplicates);
}

static void subtract(const struct key *key, const struct key_field *f)
{
	static const char *const summed[] = { "accepted", "uncertain", "extra_sends", "duplicates" };
	const char *rest = strchr(f->name, '|'), *name = strrchr(f->name, '|');
	char field[160];

	if (rest == NULL) {
		sim_fail("%s has a field %s", key->name, f->name);
		return;
	}
	snprintf(field, sizeof field, "%s", f->name);
	for (size_t i = 0; i < ARRAY_LEN(summed); i++)
		if (strcmp(name + 1, summed[i]) == 0)
			snprintf(field, sizeof field, "*%s", rest);
	add(key->name, field, -strtol(f->value, NULL, 10));
}

static void on_key(const struct key *key, void *arg)
{
	(void)arg;
	if (key->type != KEY_HASH || strstr(key->name, ":r:") == NULL)
		return;
	for (size_t i = 0; i < key->n_fields; i++)
		subtract(key, &key->fields[i]);
}

void tally_compare(void)
{
	keyspace_each(sim.redis->keys, sim_server_us() / 1000, on_key, NULL);
	for (size_t i = 0; i < n_counts; i++)
		if (counts[i].n != 0)
			sim_fail("%s counts %ld too %s: %s", counts[i].key, labs(counts[i].n), counts[i].n > 0 ? "few" : "many", counts[i].field);
}
