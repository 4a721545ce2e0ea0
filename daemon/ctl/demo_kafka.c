/* demo_kafka.c: see demo_kafka.h. The only file outside consumer/ that knows librdkafka: its mock cluster is no part of the product. */
#include "daemon/ctl/demo_kafka.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"

static const char jobs_topic[] = "sms.outbound";

struct demo_kafka {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	uint64_t taken, refused;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct demo_kafka *k = opaque;

	(void)rk;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		k->taken++;
	else
		k->refused++;
}

/* What the cluster says of its own connections would be noise amid the progress. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

static rd_kafka_t *producer_new(struct demo_kafka *k, char *err, size_t err_len)
{
	static const char *const settings[][2] = {
		{ "client.id", "smstrack-demo" },
		{ "linger.ms", "5" },
		{ "message.timeout.ms", "20000" },
		{ "queue.buffering.max.messages", "20000" },
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], err, err_len) == RD_KAFKA_CONF_OK)
			continue;
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, err_len);
	if (rk == NULL)
		rd_kafka_conf_destroy(conf);
	return rk;
}

static int create_topics(struct demo_kafka *k, int partitions, char *err, size_t err_len)
{
	const struct {
		const char *name;
		int partitions;
	} topics[] = { { jobs_topic, partitions }, { "sms.delivery", 1 }, { "sms.dead", 1 } };

	for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
		rd_kafka_resp_err_t rc = rd_kafka_mock_topic_create(k->cluster, topics[i].name, topics[i].partitions, 1);

		if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
			continue;
		snprintf(err, err_len, "can't create topic %s in the embedded Kafka: %s", topics[i].name, rd_kafka_err2str(rc));
		return -EIO;
	}
	return 0;
}

int demo_kafka_start(int partitions, struct demo_kafka **ret, char *err, size_t err_len)
{
	struct demo_kafka *k = mem_zalloc(sizeof *k);
	int rc = -ENOMEM;

	snprintf(err, err_len, "can't start the embedded Kafka");
	if (k == NULL)
		return rc;
	k->rk = producer_new(k, err, err_len);
	if (k->rk == NULL) {
		rc = -EIO;
		goto failed;
	}
	k->cluster = rd_kafka_mock_cluster_new(k->rk, 1);
	if (k->cluster == NULL)
		goto failed;
	if (rd_kafka_brokers_add(k->rk, rd_kafka_mock_cluster_bootstraps(k->cluster)) == 0)
		goto failed;
	rc = create_topics(k, partitions, err, err_len);
	if (rc < 0)
		goto failed;
	*ret = k;
	return 0;

failed:
	demo_kafka_stop(k);
	return rc;
}

const char *demo_kafka_brokers(const struct demo_kafka *k)
{
	return rd_kafka_mock_cluster_bootstraps(k->cluster);
}

int demo_kafka_put(struct demo_kafka *k, const char *key, size_t key_len, const char *value, size_t value_len)
{
	rd_kafka_resp_err_t rc = rd_kafka_producev(k->rk, RD_KAFKA_V_TOPIC(jobs_topic), RD_KAFKA_V_KEY(key, key_len),
						   RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_len),
						   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);

	if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return rc == RD_KAFKA_RESP_ERR__QUEUE_FULL ? -EAGAIN : -EIO;
}

void demo_kafka_poll(struct demo_kafka *k, uint64_t *ret_taken, uint64_t *ret_refused)
{
	rd_kafka_poll(k->rk, 0);
	*ret_taken = k->taken;
	*ret_refused = k->refused;
}

void demo_kafka_stop(struct demo_kafka *k)
{
	if (k == NULL)
		return;
	if (k->rk != NULL)
		rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	if (k->cluster != NULL)
		rd_kafka_mock_cluster_destroy(k->cluster);
	if (k->rk != NULL)
		rd_kafka_destroy(k->rk);
	mem_free(k);
}
