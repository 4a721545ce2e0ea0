/*
 * config.h: the configuration as typed fields, read from one file by the table in options.c. Immutable once loaded: a reload loads
 * another and compares. Control thread; workers get copies of what they need.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consumer/kafka_source.h"
#include "daemon/base/buf.h"
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "dispatch/dispatch.h"
#include "dispatch/provider.h"
#include "metrics/store.h"

#define CONFIG_DEFAULT_PATH "/etc/smstrackd/smstrackd.conf"

struct options_entry;

/* A value as the file has it: for --print-config, /v1/config and the comparison on reload. */
struct config_value {
	const struct options_entry *option;            /* NULL: a key of librdkafka's */
	const char *key, *text;                 /* text NULL: not set, the default holds */
	const char *name;                       /* the section's: "acme" of [provider acme], else "" */
	const char *content;                    /* of a file that was named: a secret; NULL: none */
	int line;                               /* 0: not in the file */
};

struct config {
	const char *path;
	struct config_daemon {
		const char *instance, *run_dir, *log_file;      /* instance NULL: kept in run_dir; log_file NULL: stderr */
		unsigned workers;                       /* never 0 once loaded */
		unsigned inflight, drain_ms;
		enum log_level log_level;
		enum log_format log_format;
	} daemon;
	struct config_kafka {
		const char *topics, *group_instance_id, *client_id, *dead_topic;
		struct kafka_source_options source;     /* its lists are the configuration's */
		const char **topic_list;
		struct kafka_setting *settings;         /* for librdkafka; group.instance.id and client.id among them */
	} kafka;
	struct store_options store;                     /* instance and incarnation are the app's to fill */
	struct dispatch_options dispatch;               /* inflight: of the process; the app shares it out */
	struct config_send {
		unsigned default_ttl_s;
		enum store_policy on_uncertain;
	} send;                                         /* goes into kafka.source.record too */
	struct config_admin {
		const char *listen;                     /* unix:PATH or HOST:PORT; never NULL once loaded */
		const char *token;                      /* NULL: none; a secret */
	} admin;
	struct provider_options *providers;
	size_t n_providers;

	struct config_value *values;                    /* all options of all sections, in the table's order, librdkafka's keys last */
	size_t n_values;
	struct config_strings *strings;                 /* owns what the pointers above point to */
};

/* Reads, checks and completes the configuration. NULL where anything is wrong: then `errors` holds a line for each, with file, line,
 * key and what would be right; `errors` may also hold warnings where it succeeds ("warning: ..."). */
struct config *config_load(const char *path, struct buf *errors) MUST_CHECK;
/* The same from memory; relative paths in it are looked up beside `path`. */
struct config *config_parse(const char *path, const char *data, size_t len, struct buf *errors) MUST_CHECK;
void config_free(struct config *config);        /* takes NULL */

/* The effective configuration in the file's own form, secrets hidden. */
void config_print(const struct config *config, struct buf *out);
/* Appends a value, or the default that holds in its place, as it may be shown: secrets, and a URL's query, are hidden. */
void config_value_show(const struct config_value *value, struct buf *out);
/* The provider of that name, or NULL. */
const struct provider_options *config_provider(const struct config *config, const char *name);
/* The value of the same section, name and key, or NULL. */
const struct config_value *config_value_find(const struct config *config, const struct config_value *like);
/* The section a value belongs to: "kafka" for librdkafka's keys. */
const char *config_value_section(const struct config_value *value);

/* Calls visit for each value that differs between the two; NULL for the side that has no such section (provider) or key (librdkafka). */
typedef void(config_change_fn)(const struct config_value *was, const struct config_value *is, void *arg);
void config_compare(const struct config *was, const struct config *is, config_change_fn *visit, void *arg);

#endif
