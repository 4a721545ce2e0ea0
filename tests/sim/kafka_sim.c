/* kafka_sim.c: logs and the group's coordinator. Refuses commits of members that the group has gone on without. */
#include "tests/sim/kafka_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/verify.h"

enum { SESSION_US = 10 * 1000000, REBALANCE_US = 45 * 1000000 };

struct kafka_sim *kafka_sim_new(unsigned n_partitions)
{
	struct kafka_sim *k = sim_alloc(sizeof *k);

	k->n_partitions = n_partitions;
	for (unsigned i = 0; i < n_partitions; i++)
		k->logs[i].committed = -1;
	k->up = true;
	return k;
}

/* ---- logs ---- */

static void record_fini(struct kafka_sim_record *r)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		free(r->headers[i].name);
		free(r->headers[i].value);
	}
	free(r->headers);
	free(r->key);
	free(r->value);
}

static void log_fini(struct kafka_sim_log *log)
{
	for (size_t i = 0; i < log->n; i++)
		record_fini(&log->records[i]);
	free(log->records);
}

void kafka_sim_free(struct kafka_sim *k)
{
	for (unsigned i = 0; i < k->n_partitions; i++)
		log_fini(&k->logs[i]);
	log_fini(&k->dead);
	free(k);
}

/* Growing a log moves its records, but not their keys and values, which is what readers hold on to. */
int64_t kafka_sim_append(struct kafka_sim *k, struct kafka_sim_log *log, const struct kafka_sim_record *record, int64_t gap)
{
	struct kafka_sim_record *to;

	log->records = sim_resize(log->records, (log->n + 1) * sizeof *log->records);
	to = &log->records[log->n++];
	*to = *record;
	to->offset = log->end + gap;
	log->end = to->offset + 1;
	to->key = record->key != NULL ? sim_copy(record->key, record->key_len) : NULL;
	to->value = record->value != NULL ? sim_copy(record->value, record->value_len) : NULL;
	to->headers = sim_alloc((record->n_headers + 1) * sizeof *to->headers);
	for (size_t i = 0; i < record->n_headers; i++) {
		const struct kafka_sim_header *h = &record->headers[i];

		to->headers[i] = (struct kafka_sim_header){ sim_copy(h->name, strlen(h->name)), sim_copy(h->value, h->len), h->len };
	}
	if (log != &k->dead)
		port_kafka_appended((unsigned)(log - k->logs));
	return to->offset;
}

const struct kafka_sim_record *kafka_sim_at(const struct kafka_sim_log *log, int64_t offset)
{
	for (size_t i = 0; i < log->n; i++)
		if (log->records[i].offset >= offset)
			return &log->records[i];
	return NULL;
}

const char *kafka_sim_header_of(const struct kafka_sim_record *record, const char *name)
{
	for (size_t i = 0; i < record->n_headers; i++)
		if (strcmp(record->headers[i].name, name) == 0)
			return record->headers[i].value;
	return NULL;
}

int64_t kafka_sim_latency_us(void)
{
	return sim_between(200, sim_chance(5) ? 60000 : 3000);
}

/* ---- the group ---- */

static void finish_rebalance(struct kafka_sim *k);

static void kick(struct kafka_sim *k, struct kafka_sim_member *m, const char *why)
{
	if (!m->in_group)
		return;
	sim_trace("kafka: member %u out: %s", m->id, why);
	m->in_group = m->owes_revoke = false;
	m->assigned = 0;
	if (k->rebalancing)
		finish_rebalance(k);
	else
		kafka_sim_rebalance(k, why);
}

struct session {
	struct kafka_sim_member *member;
	unsigned id;
	uint64_t timer;
};

static void on_session(void *arg)
{
	struct session *s = arg;
	struct kafka_sim_member *m = s->member;

	if (m->id == s->id && m->timer == s->timer && m->in_group && (m->owes_revoke || !sim_same(m->incarnation))) {
		port_kafka_revoke(m, true);
		kick(sim.kafka, m, "session over");
	}
	free(s);
}

static void start_session(struct kafka_sim_member *m, int64_t life_us)
{
	struct session *s = sim_alloc(sizeof *s);

	*s = (struct session){ m, m->id, ++m->timer };
	sim_after(life_us, on_session, s);
}

void kafka_sim_rebalance(struct kafka_sim *k, const char *why)
{
	if (k->rebalancing) {
		k->again = true;
		return;
	}
	sim_trace("kafka: rebalance: %s", why);
	k->rebalancing = true;
	k->rebalances_total++;
	for (size_t i = 0; i < k->n_members; i++) {
		struct kafka_sim_member *m = &k->members[i];

		if (!m->in_group || m->phantom || m->assigned == 0)
			continue;
		m->owes_revoke = true;
		start_session(m, sim_same(m->incarnation) ? REBALANCE_US : SESSION_US);
		port_kafka_revoke(m, false);
	}
	finish_rebalance(k);
}

/* Ranges, in the order of the members. */
static void assign(struct kafka_sim *k)
{
	unsigned n = 0, nth = 0;

	for (size_t i = 0; i < k->n_members; i++)
		n += k->members[i].in_group;
	for (size_t i = 0; i < k->n_members; i++) {
		struct kafka_sim_member *m = &k->members[i];
		unsigned from, to;

		if (!m->in_group)
			continue;
		from = nth * k->n_partitions / n;
		to = (nth + 1) * k->n_partitions / n;
		nth++;
		m->generation = k->generation;
		m->assigned = (1u << to) - (1u << from);
		sim_trace("kafka: generation %u: member %u has %x", k->generation, m->id, m->assigned);
		if (!m->phantom)
			port_kafka_assign(m);
	}
}

static void finish_rebalance(struct kafka_sim *k)
{
	for (size_t i = 0; i < k->n_members; i++)
		if (k->members[i].in_group && k->members[i].owes_revoke)
			return;
	k->rebalancing = false;
	k->generation++;
	assign(k);
	if (k->again) {
		k->again = false;
		kafka_sim_rebalance(k, "once more");
	}
}

void kafka_sim_answered(struct kafka_sim *k, struct kafka_sim_member *m)
{
	if (!m->owes_revoke)
		return;
	m->owes_revoke = false;
	m->timer++;
	m->assigned = 0;
	if (k->rebalancing)
		finish_rebalance(k);
}

static struct kafka_sim_member *slot(struct kafka_sim *k)
{
	for (size_t i = 0; i < k->n_members; i++)
		if (!k->members[i].in_group && (k->members[i].client == NULL || !sim_same(k->members[i].incarnation)))
			return &k->members[i];
	CHECK(k->n_members < KAFKA_MEMBERS_MAX);
	return &k->members[k->n_members++];
}

/* A static member that comes back takes over what it had, without a rebalance (KIP-345). */
static struct kafka_sim_member *come_back(struct kafka_sim *k, const char *instance)
{
	for (size_t i = 0; i < k->n_members; i++) {
		struct kafka_sim_member *m = &k->members[i];

		if (m->in_group && instance[0] != '\0' && strcmp(m->instance, instance) == 0)
			return m;
	}
	return NULL;
}

struct kafka_sim_member *kafka_sim_join(struct kafka_sim *k, const char *instance, struct kafka_client *client)
{
	struct kafka_sim_member *m = come_back(k, instance);
	bool back = m != NULL;
	bool owes = back && m->owes_revoke;

	if (!back) {
		m = slot(k);
		*m = (struct kafka_sim_member){ .in_group = true, .timer = m->timer };
		snprintf(m->instance, sizeof m->instance, "%s", instance);
	}
	m->id = ++k->next_id;
	m->timer++;
	m->incarnation = sim.incarnation;
	m->client = client;
	sim_trace("kafka: member %u %s", m->id, back ? "is back" : "joins");
	if (owes)
		kafka_sim_answered(k, m);
	else if (back && !k->rebalancing)
		port_kafka_assign(m);
	else if (!back)
		kafka_sim_rebalance(k, "a member joins");
	return m;
}

void kafka_sim_leave(struct kafka_sim *k, struct kafka_sim_member *m, uint32_t had)
{
	m->client = NULL;
	if (m->instance[0] != '\0' && m->in_group) {
		sim_trace("kafka: member %u goes and stays in the group", m->id);
		if (m->owes_revoke)
			kafka_sim_answered(k, m);
		if (!k->rebalancing && m->assigned == 0)
			m->assigned = had;              /* it leaves nothing to others */
		return;
	}
	kick(k, m, "it leaves");
}

void kafka_sim_phantom(struct kafka_sim *k, bool here)
{
	struct kafka_sim_member *m = NULL;

	for (size_t i = 0; i < k->n_members; i++)
		if (k->members[i].phantom && k->members[i].in_group)
			m = &k->members[i];
	if (here == (m != NULL))
		return;
	if (!here) {
		kick(k, m, "the other one leaves");
		return;
	}
	m = slot(k);
	*m = (struct kafka_sim_member){ .id = ++k->next_id, .in_group = true, .phantom = true };
	kafka_sim_rebalance(k, "another one joins");
}

void kafka_sim_crashed(struct kafka_sim *k)
{
	for (size_t i = 0; i < k->n_members; i++)
		if (k->members[i].in_group && !k->members[i].phantom)
			start_session(&k->members[i], SESSION_US);
}

bool kafka_sim_may_commit(const struct kafka_sim *k, const struct kafka_sim_member *m, unsigned id, unsigned generation)
{
	return m->id == id && m->in_group && generation == k->generation;
}

void kafka_sim_commit(struct kafka_sim *k, unsigned partition, int64_t offset)
{
	struct kafka_sim_log *log = &k->logs[partition];

	sim_trace("kafka: commit %u at %lld, was %lld", partition, (long long)offset, (long long)log->committed);
	k->commits_total++;
	log->committed = offset;
	verify_commit(partition);
}
