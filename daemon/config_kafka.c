/*
 * config_kafka.c: the [kafka] section as options of the consumer: which of librdkafka's keys are ours to set, secrets from files, the
 * list of topics; librdkafka itself judges the rest. Control thread, at start and reload; opens no connection.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/config_build.h"

enum { MAX_REJECTS = 256, DAY_MS = 24 * 3600 * 1000 };

const char *config_check_kafka_key(const char *key)
{
	static const struct {
		const char *key, *why;
	} taken[] = {
		{ "bootstrap.servers", "its name here is \"brokers\"" },
		{ "metadata.broker.list", "its name here is \"brokers\"" },
		{ "auto.offset.reset", "its name here is \"start\"" },
		{ "enable.auto.commit", "offsets are committed by smstrackd alone, behind Redis" },
		{ "enable.auto.offset.store", "offsets are committed by smstrackd alone, behind Redis" },
		{ "auto.commit.interval.ms", "its name here is \"commit_interval_ms\"" },
		{ "queued.max.messages.kbytes", "its name here is \"prefetch_kb\", for all partitions together" },
		{ "log_level", "its name here is \"log_level\" in [daemon]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcmp(key, taken[i].key) == 0)
			return taken[i].why;
	return NULL;
}

static void add_setting(struct config_build *b, const char *key, const char *value)
{
	struct config_kafka *k = &b->config->kafka;

	if (key != NULL && value != NULL)
		k->settings[k->source.n_settings++] = (struct kafka_setting){ key, value };
}

/* `sasl.password_file = PATH` is `sasl.password` from that file. */
static void add_from_file(struct config_build *b, struct config_value *v)
{
	char key[256];

	snprintf(key, sizeof key, "%.*s", (int)(strlen(v->key) - strlen("_file")), v->key);
	v->content = config_check_secret(b, v);
	if (v->content != NULL)
		add_setting(b, config_build_string(b, key), v->content);
}

static void collect_settings(struct config_build *b)
{
	struct config *c = b->config;

	c->kafka.settings = mem_alloc((c->n_values + 2) * sizeof *c->kafka.settings);
	if (c->kafka.settings == NULL) {
		b->oom = true;
		return;
	}
	add_setting(b, "group.instance.id", c->kafka.group_instance_id);
	add_setting(b, "client.id", c->kafka.client_id);
	for (size_t i = 0; i < c->n_values; i++) {
		struct config_value *v = &c->values[i];
		size_t len = strlen(v->key);

		if (v->option != NULL || v->text == NULL)
			continue;
		if (len > 5 && strcmp(v->key + len - 5, "_file") == 0)
			add_from_file(b, v);
		else if (strcmp(v->key, "partition.assignment.strategy") == 0)
			c->kafka.source.strategy = v->text;
		else
			add_setting(b, v->key, v->text);
	}
	c->kafka.source.settings = c->kafka.settings;
}

static void list_topics(struct config_build *b)
{
	struct config_kafka *k = &b->config->kafka;
	char *s = (char *)(uintptr_t)config_build_string(b, k->topics), *save = NULL;
	size_t most = 1;

	for (const char *p = k->topics; *p != '\0'; p++)
		most += *p == ',';
	k->topic_list = mem_alloc(most * sizeof *k->topic_list);
	if (k->topic_list == NULL || s == NULL) {
		b->oom = true;
		return;
	}
	for (s = strtok_r(s, ", ", &save); s != NULL; s = strtok_r(NULL, ", ", &save))
		k->topic_list[k->source.n_topics++] = s;
	k->source.topics = k->topic_list;
	if (k->source.n_topics == 0)
		config_build_error(b, config_check_line(b->config, "kafka", "", "topics"), "[kafka] topics: should be names, comma separated");
}

/* What librdkafka complains of, at the line of its key, without the value: a misspelt sasl.password holds a secret too. */
static void complain_for_librdkafka(struct config_build *b, const char *err)
{
	const struct config *c = b->config;

	for (size_t i = 0; i < c->n_values; i++) {
		const struct config_value *v = &c->values[i];
		const char *key, *value;

		if (v->option != NULL || v->text == NULL || (key = strstr(err, v->key)) == NULL)
			continue;
		value = *v->text ? strstr(key + strlen(v->key), v->text) : NULL;
		if (value != NULL)
			config_build_error(b, v->line, "[kafka] %.*s...%s", (int)(value - err), err, value + strlen(v->text));
		else
			config_build_error(b, v->line, "[kafka] %s", err);
		return;
	}
	config_build_error(b, b->lines[1], "[kafka] %s", err);
}

void config_check_kafka(struct config_build *b)
{
	struct config *c = b->config;
	struct kafka_source_options *source = &c->kafka.source;
	char err[512];

	source->strategy = "range";
	source->max_rejects = MAX_REJECTS;
	collect_settings(b);
	if (c->kafka.topics != NULL)
		list_topics(b);
	source->record = (struct record_options){
		.default_ttl_s = c->send.default_ttl_s,
		/* a record that is older may have lost its dedupe (metrics/README.md) */
		.max_age_ms = c->store.retention_s * 1000 - DAY_MS,
		.on_uncertain = c->send.on_uncertain,
		.shards = c->store.shards,
	};
	if (b->n_errors == 0 && !b->oom && kafka_source_check(source, err, sizeof err) < 0)
		complain_for_librdkafka(b, err);
}
