/* config_build.h: what the files of config share while one is made: config.c reads, config_check.c judges the whole. Internal to them. */
#ifndef DAEMON_CONFIG_BUILD_H
#define DAEMON_CONFIG_BUILD_H

#include <stdbool.h>

#include "daemon/config.h"

struct options_entry;
struct option_section;

struct config_build {
	struct config *config;
	struct buf *errors;
	unsigned n_errors;
	bool oom;
	/* where the reader is */
	const struct option_section *section;   /* NULL: none yet, or an unknown one, whose keys are passed over */
	bool skipping, again;                   /* again: it stood before, which is an error */
	int section_line;
	char name[64];
	struct provider_options *provider;
	size_t first_value;                     /* of this section in config->values */
	/* of each section of the table that has no name: where it began (0: it didn't), and its values */
	int lines[64];
	size_t first_values[64];
};

enum { CONFIG_ERRORS_MAX = 50 };

/* A complaint: file, line (0: none), and the text. */
void config_build_error(struct config_build *b, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void config_build_warn(struct config_build *b, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A copy that lives as long as the configuration; NULL marks the build out of memory. */
const char *config_build_string(struct config_build *b, const char *s);

/* Reads the secrets' files, works out what has no plain default, and judges how the values go together. */
void config_check(struct config_build *b);
/* The first line of the file that `value` names, or NULL after a complaint. */
const char *config_check_secret(struct config_build *b, const struct config_value *value);
/* Where a key was set; 0: nowhere. */
int config_check_line(const struct config *config, const char *section, const char *name, const char *key);
/* config_kafka.c: makes the source's options, librdkafka's settings among them, and has them judged by it. */
void config_check_kafka(struct config_build *b);
/* What is to be said about a key of [kafka] that isn't in the table: NULL where it may go to librdkafka. */
const char *config_check_kafka_key(const char *key);

#endif
