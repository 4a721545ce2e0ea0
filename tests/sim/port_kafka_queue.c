/* port_kafka_queue.c: kafka_client.h against the simulated cluster: records to the process, and records from it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/port_kafka.h"
#include "tests/sim/sim.h"
#include "tests/sim/verify.h"

enum { VALUE_MAX_BYTES = 4096 };        /* of the simulated broker: more is refused for good */

/* The way from the broker to one queue. */
struct fetch {
	unsigned refs, incarnation;
	struct kafka_queue *queue;              /* NULL: closed */
	bool under_way;
};

/* ---- a partition's queue ---- */

static void fetch_unref(struct fetch *f)
{
	if (--f->refs == 0)
		free(f);
}

static void on_fetch(void *arg)
{
	struct fetch *f = arg;
	struct kafka_queue *q = sim_same(f->incarnation) ? f->queue : NULL;
	int64_t end, was;

	f->under_way = false;
	if (q != NULL && q->reading && !sim.kafka->up) {
		port_kafka_fetch(q);
	} else if (q != NULL && q->reading && sim_effect("kafka records")) {
		end = sim.kafka->logs[q->partition].end;
		was = q->fetched;
		q->fetched = was + sim_between(1, 32);
		if (q->fetched > end)
			q->fetched = end;
		if (q->fetched < was)
			q->fetched = was;
		if (was == q->position && q->fetched > was && q->on_readable != NULL)
			q->on_readable(q->arg);
		if (q->fetched < end)
			port_kafka_fetch(q);
	}
	fetch_unref(f);
}

void port_kafka_fetch(struct kafka_queue *q)
{
	if (q->fetch->under_way)
		return;
	q->fetch->under_way = true;
	q->fetch->refs++;
	sim_after(sim.kafka->up ? kafka_sim_latency_us() : 500000, on_fetch, q->fetch);
}

/* Fetch requests wait at the broker: whoever reads the partition, dead or alive, is found through its client. */
void port_kafka_appended(unsigned partition)
{
	for (size_t i = 0; i < sim.kafka->n_members; i++) {
		struct kafka_sim_member *m = &sim.kafka->members[i];

		if (m->client == NULL || !sim_same(m->incarnation))
			continue;
		list_each(node, &m->client->queues) {
			struct kafka_queue *q = list_entry(node, struct kafka_queue, node);

			if (q->partition == partition && q->reading)
				port_kafka_fetch(q);
		}
	}
}

struct kafka_queue *kafka_queue_open(struct kafka_client *client, const char *topic, int32_t partition)
{
	struct kafka_queue *q = mem_zalloc(sizeof *q);

	if (q == NULL)
		return NULL;
	q->client = client;
	q->partition = port_kafka_partition_of(topic, partition);
	q->fetch = sim_alloc(sizeof *q->fetch);
	*q->fetch = (struct fetch){ .refs = 1, .incarnation = sim.incarnation, .queue = q };
	list_append(&client->queues, &q->node);
	return q;
}

int kafka_queue_attach(struct kafka_queue *queue, void (*on_readable)(void *arg), void *arg)
{
	queue->on_readable = on_readable;
	queue->arg = arg;
	return 0;
}

unsigned kafka_queue_read(struct kafka_queue *queue, struct kafka_record *ret_records, unsigned max)
{
	const struct kafka_sim_log *log = &sim.kafka->logs[queue->partition];
	unsigned n = 0;

	while (n < max && queue->position < queue->fetched) {
		const struct kafka_sim_record *r = kafka_sim_at(log, queue->position);

		if (r == NULL || r->offset >= queue->fetched) {
			queue->position = queue->fetched;
			break;
		}
		ret_records[n++] = (struct kafka_record){ .offset = r->offset, .timestamp_ms = r->timestamp_ms, .key = r->key, .value = r->value,
							  .key_len = r->key_len, .value_len = r->value_len, .handle = (void *)1 };
		queue->position = r->offset + 1;
	}
	if (queue->reading && queue->fetched < log->end)
		port_kafka_fetch(queue);
	return n;
}

void kafka_queue_close(struct kafka_queue *queue)
{
	if (queue == NULL)
		return;
	queue->fetch->queue = NULL;
	fetch_unref(queue->fetch);
	list_remove(&queue->node);
	mem_free(queue);
}

void kafka_record_free(struct kafka_record *record)
{
	CHECK(record->handle != NULL, "freed twice");
	record->handle = NULL;
}

bool kafka_record_header(const struct kafka_record *record, const char *name, const void **ret_value, size_t *ret_len)
{
	(void)record;
	(void)name;
	(void)ret_value;
	(void)ret_len;
	return false;
}

/* ---- producing ---- */

struct produce {
	struct port_kafka_handle *handle;
	struct kafka_sim_record record;
	bool dead_topic;
	kafka_sent_fn *on_sent;
	void *arg;
	int rc;
	int64_t offset;
};

static void produce_free(struct produce *p)
{
	for (size_t i = 0; i < p->record.n_headers; i++) {
		free(p->record.headers[i].name);
		free(p->record.headers[i].value);
	}
	free(p->record.headers);
	free(p->record.key);
	free(p->record.value);
	free(p);
}

static void on_produced(void *arg)
{
	struct produce *p = arg;

	struct kafka_client *c = port_kafka_client(p->handle);

	if (c != NULL && sim_effect("kafka delivery report")) {
		c->producing--;
		p->on_sent(p->rc, 0, p->offset, p->arg);
	}
	produce_free(p);
}

static void on_produce(void *arg)
{
	struct produce *p = arg;
	bool lost = !sim.healed && sim_below(1000) < sim.kafka->lose_permille;

	if (!p->dead_topic)
		p->rc = -ENOENT;
	else if (p->record.value_len > VALUE_MAX_BYTES)
		p->rc = -EMSGSIZE;
	else if (!sim.kafka->up || (lost && sim_chance(50)))
		p->rc = -EAGAIN;
	if (p->rc == 0) {
		p->offset = kafka_sim_append(sim.kafka, &sim.kafka->dead, &p->record, 0);
		verify_dead(&p->record);
	}
	if (lost)
		p->rc = -EAGAIN;
	sim_after(kafka_sim_latency_us(), on_produced, p);
}

int kafka_client_produce(struct kafka_client *client, const struct kafka_message *message, kafka_sent_fn *on_sent, void *arg)
{
	struct produce *p = sim_alloc(sizeof *p);
	struct kafka_sim_record *r = &p->record;

	*p = (struct produce){ .handle = client->handle, .on_sent = on_sent, .arg = arg,
			       .dead_topic = strcmp(message->topic, KAFKA_SIM_DEAD) == 0 };
	r->timestamp_ms = message->timestamp_ms;
	r->key = message->key != NULL ? sim_copy(message->key, message->key_len) : NULL;
	r->key_len = message->key_len;
	r->value = message->value != NULL ? sim_copy(message->value, message->value_len) : NULL;
	r->value_len = message->value_len;
	r->headers = sim_alloc((message->n_headers + 1) * sizeof *r->headers);
	r->n_headers = message->n_headers;
	for (size_t i = 0; i < message->n_headers; i++) {
		const struct kafka_header *h = &message->headers[i];

		r->headers[i] = (struct kafka_sim_header){ sim_copy(h->name, strlen(h->name)), sim_copy(h->value, h->len), h->len };
	}
	client->producing++;
	if (sim_effect("kafka produce"))
		sim_after(kafka_sim_latency_us(), on_produce, p);
	else
		produce_free(p);
	return 0;
}
