/*
 * port_kafka.c: kafka_client.h against the simulated cluster: a client's life and its group (queues and producing are in
 * port_kafka_queue.c). A client, its queues and what it has prefetched are the process' memory; requests and answers on the way are
 * the world's. As librdkafka: rebalances are told one after the other and wait for their answer, a queue tells of records once, when
 * it was empty, and a produce answers exactly once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/port_kafka.h"
#include "tests/sim/sim.h"

unsigned port_kafka_partition_of(const char *topic, int32_t partition)
{
	CHECK(strcmp(topic, KAFKA_SIM_TOPIC) == 0 && partition >= 0 && (unsigned)partition < sim.kafka->n_partitions);
	return (unsigned)partition;
}

struct kafka_client *port_kafka_client(const struct port_kafka_handle *handle)
{
	return sim_same(handle->incarnation) ? handle->client : NULL;
}

/* ---- a question that the broker answers after a while: 0, or as it went there; -EAGAIN where nothing came back in time ---- */

struct request {
	unsigned incarnation;
	struct co_future *future;               /* the process'; touched only while that lives and waits */
	bool waiting, on_way, answered;         /* freed when neither of the first two is so; a process that died waits no more */
	int rc;
	void (*at_broker)(struct request *r);
	struct kafka_client *client;            /* for at_broker(): who asks, as it was when it asked */
	struct kafka_sim_member *member;
	unsigned member_id, generation;
	size_t n;
	struct kafka_part parts[KAFKA_PARTITIONS_MAX];
};

static void on_answer(void *arg)
{
	struct request *r = arg;

	r->on_way = false;
	if (!sim_same(r->incarnation) || !r->waiting) {
		free(r);
	} else if (!co_done(r->future) && sim_effect("kafka answer")) {
		r->answered = true;
		co_set_result(r->future, 0);
	}
}

static void on_request(void *arg)
{
	struct request *r = arg;
	bool lost = !sim.healed && sim_below(1000) < sim.kafka->lose_permille;

	r->rc = -EAGAIN;
	if (sim.kafka->up && !(lost && sim_chance(50))) {
		r->rc = 0;
		r->at_broker(r);
	}
	if (lost)
		r->rc = -EAGAIN;
	sim_after(lost ? 5 * 1000000 : kafka_sim_latency_us(), on_answer, r);
}

/* [suspends] `r` is taken over; its answer's data, if any, is copied to ret_parts. */
static int ask(struct request *r, int64_t deadline_us, struct kafka_part *ret_parts)
{
	struct kafka_client *c = r->client;
	int rc;

	r->incarnation = sim.incarnation;
	r->member = c->member;
	r->member_id = c->member_id;
	r->generation = c->generation;
	r->future = co_future_new();
	r->waiting = true;
	CHECK(r->future != NULL);
	r->on_way = sim_effect("kafka request");
	if (r->on_way)
		sim_after(kafka_sim_latency_us(), on_request, r);
	c->users++;
	rc = co_wait_for(r->future, deadline_us);
	c->users--;
	co_unref(r->future);
	r->waiting = false;
	if (r->answered && rc != -ECANCELED)
		rc = r->rc;
	if (rc == 0 && ret_parts != NULL)
		memcpy(ret_parts, r->parts, r->n * sizeof *ret_parts);
	if (!r->on_way)
		free(r);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

/* ---- a client's life ---- */

int kafka_client_check(const struct kafka_options *options, char *err, size_t err_len)
{
	(void)options;
	(void)err;
	(void)err_len;
	return 0;
}

static const char *setting(const struct kafka_options *o, const char *key)
{
	for (size_t i = 0; i < o->n_settings; i++)
		if (strcmp(o->settings[i].key, key) == 0)
			return o->settings[i].value;
	return "";
}

struct joining {
	struct port_kafka_handle *handle;
	char instance[32];
};

static void on_join(void *arg)
{
	struct joining *j = arg;
	struct kafka_client *c = port_kafka_client(j->handle);

	if (c != NULL && !c->closing && !sim.kafka->up) {
		sim_after(500000, on_join, j);
		return;
	}
	if (c != NULL && !c->closing) {
		c->member = kafka_sim_join(sim.kafka, j->instance, c);
		c->member_id = c->member->id;
	}
	free(j);
}

static struct kafka_client *client_new(char *err, size_t err_len)
{
	struct kafka_client *c = mem_zalloc(sizeof *c);

	if (c == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	c->rebalances = co_queue_new(0);
	CHECK(c->rebalances != NULL);
	list_init(&c->queues);
	c->handle = sim_alloc(sizeof *c->handle);
	*c->handle = (struct port_kafka_handle){ sim.incarnation, c };
	return c;
}

struct kafka_client *kafka_client_new_consumer(const struct kafka_options *options, char *err, size_t err_len)
{
	struct kafka_client *c = client_new(err, err_len);
	struct joining *j;

	if (c == NULL || options->n_topics == 0)
		return c;
	j = sim_alloc(sizeof *j);
	j->handle = c->handle;
	snprintf(j->instance, sizeof j->instance, "%s", setting(options, "group.instance.id"));
	sim_after(10 * kafka_sim_latency_us(), on_join, j);
	return c;
}

struct kafka_client *kafka_client_new_producer(const struct kafka_options *options, char *err, size_t err_len)
{
	(void)options;
	return client_new(err, err_len);
}

void kafka_client_close(struct kafka_client *client, int64_t deadline_us)
{
	struct kafka_client *c = client;

	if (c == NULL)
		return;
	if (c->member != NULL && c->member->client == c && c->member->id == c->member_id) {
		uint32_t had = c->member->assigned;

		if (c->member->in_group && had != 0 && !c->member->owes_revoke) {
			c->member->owes_revoke = true;
			port_kafka_revoke(c->member, false);
		}
		while (c->member->owes_revoke && clock_mono_us() < deadline_us && co_sleep_ms(5) == 0)
			;
		kafka_sim_leave(sim.kafka, c->member, had);
	}
	while (c->producing > 0 && clock_mono_us() < deadline_us && co_sleep_ms(5) == 0)
		;
	c->closing = true;
	CHECK(co_queue_try_put(c->rebalances, NULL) == 0);
	while (c->users > 0 && co_sleep_ms(5) == 0)
		;
	if (sim.alive && (!list_empty(&c->queues) || c->users > 0 || c->producing > 0))
		sim_fail("kafka client closed with %s", c->users > 0 ? "calls under way" : c->producing > 0 ? "records unsent" : "queues open");
	c->handle->client = NULL;
	co_queue_free(c->rebalances);
	mem_free(c);
}

const char *kafka_client_trouble(const struct kafka_client *client)
{
	(void)client;
	return sim.kafka->up ? NULL : "kafka: no broker answers";
}

bool kafka_client_cooperative_is_safe(void)
{
	return false;
}

static void at_nothing(struct request *r)
{
	(void)r;
}

int kafka_client_partitions(struct kafka_client *client, const char *topic, int64_t deadline_us)
{
	struct request *r = sim_alloc(sizeof *r);
	int rc;

	r->client = client;
	r->at_broker = at_nothing;
	rc = ask(r, deadline_us, NULL);
	if (rc != 0)
		return rc;
	if (strcmp(topic, KAFKA_SIM_TOPIC) == 0)
		return (int)sim.kafka->n_partitions;
	return strcmp(topic, KAFKA_SIM_DEAD) == 0 ? 1 : -ENOENT;
}

/* ---- the group ---- */

struct notice {
	struct port_kafka_handle *handle;
	unsigned member_id, generation;
	enum kafka_rebalance_kind kind;
	uint32_t partitions;
};

static struct kafka_rebalance *rebalance_of(const struct notice *n)
{
	unsigned count = (unsigned)__builtin_popcount(n->partitions);
	struct kafka_rebalance *r = mem_zalloc(sizeof *r + count * sizeof *r->parts);

	CHECK(r != NULL);
	r->kind = n->kind;
	r->parts = (struct kafka_part *)(r + 1);
	for (unsigned p = 0; p < sim.kafka->n_partitions; p++)
		if (n->partitions >> p & 1)
			r->parts[r->n++] = (struct kafka_part){ .topic = KAFKA_SIM_TOPIC, .partition = (int32_t)p, .offset = -1,
								.committed = -1 };
	return r;
}

static void on_notice(void *arg)
{
	struct notice *n = arg;
	struct kafka_client *c = port_kafka_client(n->handle);

	if (c != NULL && !c->closing && c->member_id == n->member_id && sim_effect("kafka rebalance")) {
		if (n->kind == KAFKA_ASSIGN)
			c->generation = n->generation;
		CHECK(co_queue_try_put(c->rebalances, rebalance_of(n)) == 0);
	}
	free(n);
}

static void tell(struct kafka_sim_member *m, enum kafka_rebalance_kind kind)
{
	struct notice *n;

	if (!sim_same(m->incarnation) || m->client == NULL)
		return;
	n = sim_alloc(sizeof *n);
	*n = (struct notice){ m->client->handle, m->id, m->generation, kind, m->assigned };
	m->client->told_us = (m->client->told_us > sim.now_us ? m->client->told_us : sim.now_us) + kafka_sim_latency_us();
	sim_at(sim_on_grid(m->client->told_us), on_notice, n);
}

void port_kafka_revoke(struct kafka_sim_member *m, bool lost)
{
	tell(m, lost ? KAFKA_LOST : KAFKA_REVOKE);
}

void port_kafka_assign(struct kafka_sim_member *m)
{
	/* A join that is answered at once: its client doesn't know its member yet. */
	if (m->client != NULL && sim_same(m->incarnation))
		m->client->member_id = m->id;
	tell(m, KAFKA_ASSIGN);
}

int kafka_client_next(struct kafka_client *client, struct kafka_rebalance **ret)
{
	void *item = NULL;
	int rc;

	client->users++;                /* until it is answered */
	rc = co_queue_get(client->rebalances, &item, CLOCK_NEVER);
	if (rc < 0 || item == NULL) {
		client->users--;
		return rc < 0 ? rc : -ESHUTDOWN;
	}
	*ret = item;
	return 0;
}

static void start_reading(struct kafka_client *c, const struct kafka_part *part)
{
	list_each(node, &c->queues) {
		struct kafka_queue *q = list_entry(node, struct kafka_queue, node);

		if (q->partition == (unsigned)part->partition && !q->reading) {
			q->reading = true;
			q->position = q->fetched = part->offset;
			sim_trace("kafka: reads %u from %lld", q->partition, (long long)part->offset);
			port_kafka_fetch(q);
			return;
		}
	}
}

static void on_answered(void *arg)
{
	struct notice *n = arg;
	struct kafka_client *c = port_kafka_client(n->handle);

	if (c != NULL && !c->closing && c->member != NULL && c->member->id == n->member_id)
		kafka_sim_answered(sim.kafka, c->member);
	free(n);
}

/* Lost: out of the group, which it joins again at once. */
static void rejoin(struct kafka_client *c)
{
	struct joining *j = sim_alloc(sizeof *j);

	*j = (struct joining){ .handle = c->handle };
	memcpy(j->instance, c->member->instance, sizeof j->instance);
	c->member->client = NULL;
	sim_after(kafka_sim_latency_us(), on_join, j);
}

void kafka_client_answer(struct kafka_client *client, struct kafka_rebalance *rebalance)
{
	struct notice *n;

	sim_trace("kafka: member %u answers %d", client->member_id, (int)rebalance->kind);
	for (size_t i = 0; i < rebalance->n && rebalance->kind == KAFKA_ASSIGN; i++)
		if (rebalance->parts[i].offset >= 0)
			start_reading(client, &rebalance->parts[i]);
	if (rebalance->kind != KAFKA_ASSIGN && sim_effect("kafka rebalance answer")) {
		list_each(node, &client->queues)
			list_entry(node, struct kafka_queue, node)->reading = false;
		if (rebalance->kind == KAFKA_LOST) {
			rejoin(client);
		} else {
			n = sim_alloc(sizeof *n);
			*n = (struct notice){ .handle = client->handle, .member_id = client->member_id };
			sim_after(kafka_sim_latency_us(), on_answered, n);
		}
	}
	mem_free(rebalance);
	client->users--;
}

static void offsets_at_broker(struct request *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct kafka_sim_log *log = &sim.kafka->logs[port_kafka_partition_of(r->parts[i].topic, r->parts[i].partition)];

		r->parts[i].committed = log->committed;
		r->parts[i].low = 0;
		r->parts[i].high = log->end;
	}
}

int kafka_client_offsets(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	struct request *r = sim_alloc(sizeof *r);

	CHECK(n <= KAFKA_PARTITIONS_MAX);
	r->client = client;
	r->at_broker = offsets_at_broker;
	r->n = n;
	memcpy(r->parts, parts, n * sizeof *parts);
	return ask(r, deadline_us, parts);
}

static void commit_at_broker(struct request *r)
{
	if (r->member == NULL || !kafka_sim_may_commit(sim.kafka, r->member, r->member_id, r->generation)) {
		sim_trace("kafka: commit of member %u refused", r->member_id);
		sim.kafka->refused_total++;
		r->rc = -ESTALE;
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		kafka_sim_commit(sim.kafka, port_kafka_partition_of(r->parts[i].topic, r->parts[i].partition), r->parts[i].offset);
}

int kafka_client_commit(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	struct request *r = sim_alloc(sizeof *r);

	CHECK(n <= KAFKA_PARTITIONS_MAX);
	r->client = client;
	r->at_broker = commit_at_broker;
	r->n = n;
	memcpy(r->parts, parts, n * sizeof *parts);
	for (size_t i = 0; i < n; i++)
		r->parts[i].topic = KAFKA_SIM_TOPIC;    /* the caller's may be gone when it arrives */
	return ask(r, deadline_us, NULL);
}

bool kafka_client_bounds(struct kafka_client *client, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_high)
{
	(void)client;
	*ret_low = 0;
	*ret_high = sim.kafka->logs[port_kafka_partition_of(topic, partition)].end;
	return true;
}
