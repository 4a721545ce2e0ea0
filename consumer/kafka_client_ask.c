/* kafka_client_ask.c: questions that librdkafka only answers by a blocking call, asked in the offload pool. */
#include <errno.h>
#include <string.h>

#include "consumer/kafka_client_private.h"
#include "daemon/base/alloc.h"

enum { ASK_TIMEOUT_MS = 5000 };

struct ask {
	struct kafka_client *client;
	rd_kafka_topic_partition_list_t *list;
	struct kafka_part *parts;       /* its own copy, for low and high */
	const char *topic;
	int timeout_ms;
	_Atomic unsigned refs;          /* the asking task and the pool */
};

static void ask_unref(void *arg)
{
	struct ask *ask = arg;

	if (--ask->refs > 0)
		return;
	if (ask->list != NULL)
		rd_kafka_topic_partition_list_destroy(ask->list);
	ask->client->users--;
	mem_free(ask->parts);
	mem_free(ask);
}

static struct ask *ask_new(struct kafka_client *c, int64_t deadline_us)
{
	struct ask *ask = mem_zalloc(sizeof *ask);
	int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;

	if (ask == NULL)
		return NULL;
	ask->client = c;
	ask->timeout_ms = left_ms < 1 ? 1 : left_ms > ASK_TIMEOUT_MS ? ASK_TIMEOUT_MS : (int)left_ms;
	ask->refs = 2;
	c->users++;
	return ask;
}

static int ask_offload(struct ask *ask, co_body_fn *body)
{
	int rc = co_offload(body, ask, ask_unref, clock_mono_us() + (int64_t)ask->timeout_ms * 2000);

	if (rc >= 0)
		ask->client->link = NULL;
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

static int partitions_body(void *arg)
{
	struct ask *ask = arg;
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(ask->client->rk, ask->topic, NULL);
	rd_kafka_resp_err_t err;
	int rc;

	if (topic == NULL)
		return -ENOENT;
	err = rd_kafka_metadata(ask->client->rk, 0, topic, &md, ask->timeout_ms);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && md->topic_cnt == 1)
		err = md->topics[0].err;
	rc = kafka_client_errno(err);
	if (rc == 0)
		rc = md != NULL && md->topic_cnt == 1 && md->topics[0].partition_cnt > 0 ? md->topics[0].partition_cnt : -EAGAIN;
	if (md != NULL)
		rd_kafka_metadata_destroy(md);
	rd_kafka_topic_destroy(topic);
	return rc;
}

int kafka_client_partitions(struct kafka_client *client, const char *topic, int64_t deadline_us)
{
	struct ask *ask = ask_new(client, deadline_us);
	int rc;

	if (ask == NULL)
		return -ENOMEM;
	ask->topic = topic;
	rc = ask_offload(ask, partitions_body);
	ask_unref(ask);
	return rc;
}

rd_kafka_topic_partition_list_t *kafka_client_list(const struct kafka_part *parts, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++) {
		rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, parts[i].topic, parts[i].partition);

		p->offset = parts[i].offset;
	}
	return list;
}

static int offsets_body(void *arg)
{
	struct ask *ask = arg;
	rd_kafka_resp_err_t err = rd_kafka_committed(ask->client->rk, ask->list, ask->timeout_ms);

	for (int i = 0; i < ask->list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		const rd_kafka_topic_partition_t *p = &ask->list->elems[i];

		ask->parts[i].committed = p->offset >= 0 ? p->offset : -1;
		err = p->err != RD_KAFKA_RESP_ERR_NO_ERROR ? p->err :
							     rd_kafka_query_watermark_offsets(ask->client->rk, p->topic, p->partition,
											      &ask->parts[i].low, &ask->parts[i].high,
											      ask->timeout_ms);
	}
	return kafka_client_errno(err);
}

int kafka_client_offsets(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	struct ask *ask = ask_new(client, deadline_us);
	int rc;

	if (ask == NULL)
		return -ENOMEM;
	ask->list = kafka_client_list(parts, n);
	ask->parts = mem_zalloc(n * sizeof *parts);
	if (ask->parts == NULL) {
		ask->refs = 1;
		ask_unref(ask);
		return -ENOMEM;
	}
	rc = ask_offload(ask, offsets_body);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		parts[i].committed = ask->parts[i].committed;
		parts[i].low = ask->parts[i].low;
		parts[i].high = ask->parts[i].high;
	}
	ask_unref(ask);
	return rc;
}
static int probe_body(void *arg)
{
	struct ask *ask = arg;
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t err = rd_kafka_metadata(ask->client->rk, 0, NULL, &md, ask->timeout_ms);

	if (md != NULL)
		rd_kafka_metadata_destroy(md);
	return kafka_client_errno(err);
}

int kafka_client_probe(struct kafka_client *c, int64_t deadline_us)
{
	struct ask *ask = ask_new(c, deadline_us);
	int rc;

	if (ask == NULL)
		return -ENOMEM;
	rc = ask_offload(ask, probe_body);
	ask_unref(ask);
	return rc;
}
