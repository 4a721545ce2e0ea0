/* workload.c: makes records by the world's dice and remembers each. */
#include "tests/sim/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"

static void produce_next(void *arg);

struct workload *workload_new(unsigned n, int64_t span_us)
{
	struct workload *w = sim_alloc(sizeof *w);

	w->messages = sim_alloc(n * sizeof *w->messages);
	w->n_max = w->to_make = n;
	w->span_us = span_us;
	for (unsigned i = 0; i < n; i++)
		sim_after(sim_between(0, span_us), produce_next, w);
	return w;
}

void workload_free(struct workload *w)
{
	for (unsigned p = 0; p < KAFKA_PARTITIONS_MAX; p++)
		free(w->places[p]);
	free(w->messages);
	free(w);
}

struct workload_place *workload_place_at(struct workload *w, unsigned partition, int64_t offset)
{
	const struct kafka_sim_log *log = &sim.kafka->logs[partition];

	for (size_t i = 0; i < log->n; i++)
		if (log->records[i].offset == offset)
			return &w->places[partition][i];
	return NULL;
}

static void append(struct workload *w, struct workload_message *m, const char *value, size_t len)
{
	unsigned partition = (unsigned)sim_below(sim.kafka->n_partitions);
	struct kafka_sim_log *log = &sim.kafka->logs[partition];
	struct kafka_sim_record record = { .timestamp_ms = sim_wall_us() / 1000, .key = m->to, .key_len = strlen(m->to),
					   .value = (char *)(uintptr_t)value, .value_len = len };

	w->places[partition] = sim_resize(w->places[partition], (log->n + 1) * sizeof *w->places[partition]);
	w->places[partition][log->n] = (struct workload_place){ .message = m };
	m->places++;
	m->made_us = m->made_us != 0 ? m->made_us : sim.now_us;
	kafka_sim_append(sim.kafka, log, &record, sim_chance(5) ? sim_between(1, 3) : 0);
	sim_trace("produced: %s%s to %u at %lld", m->id, m->poison ? " (poison)" : "", partition, (long long)log->end - 1);
}

/* A long text is made of its mark, over and over: the daemon cuts it. */
static void append_message(struct workload *w, struct workload_message *m)
{
	static char value[4000];
	size_t len = (size_t)snprintf(value, sizeof value, "{\"id\":\"%s\",\"to\":\"%s\",\"campaign\":\"c%zu\"", m->id, m->to,
				      (size_t)(m - w->messages) % 3);

	if (m->ttl_s > 0)
		len += (size_t)snprintf(value + len, sizeof value - len, ",\"ttl_s\":%u", m->ttl_s);
	if (m->pinned != NULL)
		len += (size_t)snprintf(value + len, sizeof value - len, ",\"provider\":\"%s\"", m->pinned);
	if (m->policy != STORE_RESEND)
		len += (size_t)snprintf(value + len, sizeof value - len, ",\"on_uncertain\":\"%s\"",
					m->policy == STORE_HOLD ? "hold" : "fail");
	len += (size_t)snprintf(value + len, sizeof value - len, ",\"text\":\"");
	for (size_t i = 0; i < (m->parts > 1 ? m->parts * 150 - 20u : 20u); i++)
		value[len++] = m->mark[i % strlen(m->mark)];
	len += (size_t)snprintf(value + len, sizeof value - len, "\"}");
	append(w, m, value, len);
}

static void append_poison(struct workload *w, struct workload_message *m)
{
	static char value[5000];
	size_t len = 0;

	switch (sim_below(6)) {
	case 0:
		append(w, m, NULL, 0);
		return;
	case 1:
		len = (size_t)snprintf(value, sizeof value, "{\"id\":\"%s\",\"to\":\"%s\",", m->id, m->to);
		break;
	case 2:
		len = (size_t)snprintf(value, sizeof value, "{\"id\":\"%s\",\"to\":\"%.8s\",\"text\":\"%s\",\"to\":\"%s\"}", m->id, m->to,
				       m->mark, m->to);
		break;
	case 3:
		len = (size_t)snprintf(value, sizeof value, "{\"to\":\"%s\",\"text\":\"%s\"}", m->to, m->mark);
		break;
	case 4:
		len = (size_t)snprintf(value, sizeof value, "{\"id\":\"%s\",\"to\":\"00%s\",\"text\":\"%s\"}", m->id, m->to + 1, m->mark);
		break;
	default:                                        /* more than the broker takes as a dead letter */
		memset(value, 'x', sizeof value);
		len = sizeof value;
	}
	append(w, m, value, len);
}

static void draw(struct workload_message *m, size_t nth)
{
	unsigned dice = (unsigned)sim_below(100);

	m->parts = 1;
	m->policy = STORE_RESEND;
	snprintf(m->to, sizeof m->to, "+49%010llu", (unsigned long long)(1510000000 + sim_below(1000000000)));
	snprintf(m->mark, sizeof m->mark, "t%zuq%llu", nth, (unsigned long long)sim_below(1000000));
	snprintf(m->id, sizeof m->id, "m-%zu-%06llx%s", nth, (unsigned long long)sim_below(1 << 24), dice < 4 ? "-bad" : "");
	if (dice >= 4 && dice < 9)
		m->poison = true;
	else if (dice < 18)
		m->parts = 2 + (unsigned)sim_below(3);
	else if (dice < 21)
		m->pinned = "nobody";
	else if (dice < 26)
		m->pinned = smsc_names[sim_below(SMSC_PROVIDERS)];
	else if (dice < 30)
		m->ttl_s = 1 + (unsigned)sim_below(8);
	dice = (unsigned)sim_below(100);
	if (dice < 20)
		m->policy = dice < 10 ? STORE_HOLD : STORE_FAIL;
}

/* Now and then one that was produced before, again, as it was. */
static struct workload_message *again(struct workload *w)
{
	struct workload_message *m;

	if (w->n == 0 || !sim_chance(5))
		return NULL;
	m = &w->messages[sim_below(w->n)];
	return m->poison ? NULL : m;
}

static void produce_next(void *arg)
{
	struct workload *w = arg;
	struct workload_message *m = again(w);

	w->to_make--;
	if (m != NULL) {
		append_message(w, m);
		return;
	}
	m = &w->messages[w->n++];
	draw(m, w->n);
	if (m->poison)
		append_poison(w, m);
	else
		append_message(w, m);
}
