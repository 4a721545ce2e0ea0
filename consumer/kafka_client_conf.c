/* kafka_client_conf.c: librdkafka's settings: ours, then the operator's, which win; those that would break a promise are refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "consumer/kafka_client_private.h"

static int set(rd_kafka_conf_t *conf, const char *key, const char *value, char *err, size_t err_len)
{
	return rd_kafka_conf_set(conf, key, value, err, err_len) == RD_KAFKA_CONF_OK ? 0 : -EINVAL;
}

/* Ours: changing them would commit what isn't durable, or hide what librdkafka says. */
static const char *const fixed_settings[] = { "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "log.queue",
					      "auto.offset.reset", "queued.max.messages.kbytes" };

static int set_verbatim(rd_kafka_conf_t *conf, const struct kafka_options *o, char *err, size_t err_len)
{
	char why[256];

	for (size_t i = 0; i < o->n_settings; i++) {
		const struct kafka_setting *s = &o->settings[i];

		for (size_t j = 0; j < ARRAY_LEN(fixed_settings); j++) {
			if (strcmp(s->key, fixed_settings[j]) == 0) {
				snprintf(err, err_len, "%s: can't be changed: smstrackd needs it as it is", s->key);
				return -EINVAL;
			}
		}
		if (set(conf, s->key, s->value, why, sizeof why) < 0) {
			snprintf(err, err_len, "%s = %s: %s", s->key, s->value, why);
			return -EINVAL;
		}
	}
	return 0;
}

rd_kafka_conf_t *kafka_client_configure(const struct kafka_options *o, bool consumer, char *err, size_t err_len)
{
	/* A refusal of one dead letter must not take others of its batch along: one record a batch. The broker says what is too large. */
	static const char *const producer[] = { "message.max.bytes", "67108864", "batch.num.messages", "1", "linger.ms", "0",
						"message.timeout.ms", "30000", "queue.buffering.max.messages", "10000" };
	/* auto.offset.reset is for a log that is cut under our feet; where to start is decided by kafka_source.c */
	static const char *const member[] = { "enable.auto.commit", "false", "enable.auto.offset.store", "false",
					      "auto.offset.reset", "earliest", "queued.min.messages", "20000" };
	static const char *const both[] = { "client.id", "smstrackd", "log.queue", "true", "log.connection.close", "false",
					    "reconnect.backoff.max.ms", "2000", "socket.keepalive.enable", "true" };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char kb[16];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(both); i += 2)
		rc = set(conf, both[i], both[i + 1], err, err_len);
	for (size_t i = 0; rc == 0 && consumer && i < ARRAY_LEN(member); i += 2)
		rc = set(conf, member[i], member[i + 1], err, err_len);
	for (size_t i = 0; rc == 0 && !consumer && i < ARRAY_LEN(producer); i += 2)
		rc = set(conf, producer[i], producer[i + 1], err, err_len);
	if (rc == 0)
		rc = set(conf, "bootstrap.servers", o->brokers, err, err_len);
	if (rc == 0 && consumer && o->group_id != NULL)
		rc = set(conf, "group.id", o->group_id, err, err_len);
	if (rc == 0 && consumer && o->strategy != NULL)
		rc = set(conf, "partition.assignment.strategy", o->strategy, err, err_len);
	if (rc == 0 && consumer && o->queue_kb > 0) {
		snprintf(kb, sizeof kb, "%u", o->queue_kb);
		rc = set(conf, "queued.max.messages.kbytes", kb, err, err_len);
	}
	if (rc == 0)
		rc = set_verbatim(conf, o, err, err_len);
	if (rc == 0) {
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR |
						       RD_KAFKA_EVENT_LOG | (consumer ? 0 : RD_KAFKA_EVENT_DR));
		return conf;
	}
	rd_kafka_conf_destroy(conf);
	return NULL;
}

int kafka_client_check(const struct kafka_options *options, char *err, size_t err_len)
{
	rd_kafka_conf_t *conf = kafka_client_configure(options, true, err, err_len);

	if (conf == NULL)
		return -EINVAL;
	rd_kafka_conf_destroy(conf);
	return 0;
}
