/*
 * config.c: reads a file into struct config by the table of options, and finds every error of it in one go. Control thread. It never
 * prints a value that might be a secret: those come from files, and what stands in their place is not echoed.
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/config_build.h"
#include "daemon/ini.h"
#include "daemon/options.h"

struct config_strings {
	struct config_strings *next;
	char s[];
};

enum { PROVIDERS_MAX = 64, PROVIDER_NAME_MAX = 32, EXTRA_MAX = 256 };

/* ---- errors and memory ---- */

static void complain(struct config_build *b, const char *kind, int line, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof text, fmt, ap);
	buf_puts(b->errors, b->config->path);
	if (line > 0)
		buf_printf(b->errors, ":%d", line);
	buf_printf(b->errors, ": %s%s\n", kind, text);
}

void config_build_error(struct config_build *b, int line, const char *fmt, ...)
{
	va_list ap;

	if (b->n_errors++ >= CONFIG_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	complain(b, "", line, fmt, ap);
	va_end(ap);
}

void config_build_warn(struct config_build *b, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(b, "warning: ", line, fmt, ap);
	va_end(ap);
}

const char *config_build_string(struct config_build *b, const char *s)
{
	size_t len = strlen(s) + 1;
	struct config_strings *block = mem_alloc(sizeof *block + len);

	if (block == NULL) {
		b->oom = true;
		return NULL;
	}
	memcpy(block->s, s, len);
	block->next = b->config->strings;
	b->config->strings = block;
	return block->s;
}

static struct config_value *add_value(struct config_build *b, const struct options_entry *option, const char *key)
{
	struct config *c = b->config;
	struct config_value *grown = mem_resize(c->values, (c->n_values + 1) * sizeof *grown);
	const char *name = config_build_string(b, b->name);

	if (grown != NULL)
		c->values = grown;
	if (grown == NULL || name == NULL) {
		b->oom = true;
		return NULL;
	}
	grown[c->n_values] = (struct config_value){ .option = option, .key = key, .name = name };
	return &grown[c->n_values++];
}

/* ---- sections ---- */

/* A place in config->values for every option of the section that begins. */
static void open_values(struct config_build *b)
{
	b->first_value = b->config->n_values;
	for (size_t i = 0; i < options_count && !b->oom; i++)
		if (strcmp(options_table[i].section, b->section->name) == 0)
			add_value(b, &options_table[i], options_table[i].key);
}

static bool is_provider_name(const char *name)
{
	/* part of Redis keys and of metrics' labels, so nothing that separates there */
	return strlen(name) <= PROVIDER_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name);
}

static void open_provider(struct config_build *b, const char *name, int line)
{
	struct config *c = b->config;
	struct provider_options *grown;

	if (*name == '\0' || !is_provider_name(name)) {
		config_build_error(b, line, "[provider %s]: a provider needs a name of 1 to %d letters, digits, '-' and '_': [provider acme]", name,
				   PROVIDER_NAME_MAX);
		return;
	}
	for (size_t i = 0; i < c->n_providers; i++) {
		if (strcmp(c->providers[i].name, name) == 0) {
			config_build_error(b, line, "[provider %s]: there is one of that name already", name);
			return;
		}
	}
	if (c->n_providers == PROVIDERS_MAX) {
		config_build_error(b, line, "[provider %s]: at most %d providers", name, PROVIDERS_MAX);
		return;
	}
	grown = mem_resize(c->providers, (c->n_providers + 1) * sizeof *grown);
	if (grown == NULL) {
		b->oom = true;
		return;
	}
	c->providers = grown;
	b->provider = &grown[c->n_providers++];
	*b->provider = (struct provider_options){ .name = config_build_string(b, name) };
	snprintf(b->name, sizeof b->name, "%s", name);
	b->skipping = false;
	open_values(b);
}

/* Defaults for what the section left out, and complaints about what it may not leave out. */
static void close_section(struct config_build *b)
{
	char err[256];

	if (b->section == NULL || b->skipping || b->again || b->oom)
		return;
	for (size_t i = b->first_value; i < b->config->n_values; i++) {
		const struct options_entry *o = b->config->values[i].option;

		if (o == NULL || b->config->values[i].line > 0)
			continue;
		if (o->required)
			config_build_error(b, b->section_line, "[%s%s%s] needs %s = ..., for example %s", o->section, *b->name ? " " : "", b->name, o->key,
					   o->example);
		else if (o->def != NULL)
			CHECK(options_set(o, b->provider ? (void *)b->provider : (void *)b->config, o->def, err, sizeof err), "default of %s: %s",
			      o->key, err);
	}
}

static void on_section(const char *section, const char *name, int line, void *arg)
{
	struct config_build *b = arg;
	const char *near;
	size_t index;

	close_section(b);
	b->again = false;
	b->provider = NULL;
	b->name[0] = '\0';
	b->section_line = line;
	b->skipping = true;
	b->section = options_find_section(section);
	if (b->section == NULL) {
		near = options_nearest(section, NULL);
		config_build_error(b, line, "[%s]: unknown section%s%s%s", section, near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
		return;
	}
	if (b->section->named) {
		open_provider(b, name, line);
		return;
	}
	if (*name != '\0') {
		config_build_error(b, line, "[%s %s]: this section has no name: [%s]", section, name, section);
		return;
	}
	b->skipping = false;
	index = (size_t)(b->section - options_sections);
	if (b->lines[index] > 0) {
		config_build_error(b, line, "[%s]: stands at line %d already; put its keys there", section, b->lines[index]);
		b->first_value = b->first_values[index];        /* its keys are looked at all the same */
		b->again = true;
		return;
	}
	b->lines[index] = line;
	open_values(b);
	b->first_values[index] = b->first_value;
}

/* ---- values ---- */

/* For "[%s%s%s]": the section as it stands in the file. */
#define TITLE(b) (b)->section->name, (b)->name[0] != '\0' ? " " : "", (b)->name

static struct config_value *find_value(struct config_build *b, const char *key)
{
	for (size_t i = b->first_value; i < b->config->n_values; i++)
		if (strcmp(b->config->values[i].key, key) == 0 && strcmp(config_value_section(&b->config->values[i]), b->section->name) == 0)
			return &b->config->values[i];
	return NULL;
}

/* A key of [kafka] that is librdkafka's: kept as it is. */
static void take_kafka_key(struct config_build *b, const char *key, const char *value, int line)
{
	const char *why = config_check_kafka_key(key), *near = options_nearest("kafka", key);
	struct config_value *v;

	if (why == NULL && strchr(key, '.') == NULL && near != NULL)
		config_build_error(b, line, "[kafka] %s: unknown key; did you mean \"%s\"?", key, near);
	else if (why != NULL)
		config_build_error(b, line, "[kafka] %s: %s", key, why);
	else if (b->config->n_values - b->first_value > EXTRA_MAX)
		config_build_error(b, line, "[kafka] %s: at most %d keys", key, EXTRA_MAX);
	else if ((key = config_build_string(b, key)) != NULL && (v = add_value(b, NULL, key)) != NULL) {
		v->text = config_build_string(b, value);
		v->line = line;
	}
}

static void on_value(const char *key, const char *text, int line, void *arg)
{
	struct config_build *b = arg;
	struct config_value *v;
	const char *near;
	char err[256];

	if (b->section == NULL && !b->skipping)
		config_build_error(b, line, "%s: stands before the first [section]", key);
	if (b->section == NULL || b->skipping || b->oom)
		return;
	v = find_value(b, key);
	if (v == NULL && strcmp(b->section->name, "kafka") == 0) {
		take_kafka_key(b, key, text, line);
		return;
	}
	if (v == NULL) {
		near = options_nearest(b->section->name, key);
		config_build_error(b, line, "[%s%s%s] %s: unknown key%s%s%s", TITLE(b), key, near ? "; did you mean \"" : "", near ? near : "",
				   near ? "\"?" : "");
		return;
	}
	if (v->line > 0) {
		config_build_error(b, line, "[%s%s%s] %s: is set at line %d already", TITLE(b), key, v->line);
		return;
	}
	v->line = line;
	v->text = config_build_string(b, text);
	if (v->text != NULL && v->option != NULL &&
	    !options_set(v->option, b->provider ? (void *)b->provider : (void *)b->config, v->text, err, sizeof err))
		config_build_error(b, line, "[%s%s%s] %s = %.64s: should be %s", TITLE(b), key, text, err);
}

static void on_error(int line, const char *what, void *arg)
{
	config_build_error(arg, line, "%s", what);
}

/* ---- the whole ---- */

/* Sections that the file left out hold their defaults too. */
static void add_missing_sections(struct config_build *b)
{
	close_section(b);
	b->provider = NULL;
	b->name[0] = '\0';
	b->skipping = b->again = false;
	b->section_line = 0;
	for (size_t i = 0; i < options_sections_count; i++) {
		b->section = &options_sections[i];
		if (b->section->named || b->lines[i] > 0)
			continue;
		open_values(b);
		close_section(b);
	}
}

struct config *config_parse(const char *path, const char *data, size_t len, struct buf *errors)
{
	struct config_build b = { .config = mem_zalloc(sizeof *b.config), .errors = errors };
	const struct ini_handler handler = { on_section, on_value, on_error, &b };

	CHECK(options_sections_count <= ARRAY_LEN(b.lines));
	if (b.config == NULL) {
		buf_puts(errors, "out of memory\n");
		return NULL;
	}
	b.config->path = path;
	b.config->path = config_build_string(&b, path);
	if (b.config->path == NULL || ini_parse(data, len, &handler) == -ENOMEM)
		b.oom = true;
	if (!b.oom)
		add_missing_sections(&b);
	if (!b.oom)
		config_check(&b);
	if (b.oom)
		buf_puts(errors, "out of memory\n");
	if (b.n_errors > CONFIG_ERRORS_MAX)
		buf_printf(errors, "%s: and %u more errors\n", path, b.n_errors - CONFIG_ERRORS_MAX);
	if (b.oom || b.n_errors > 0) {
		config_free(b.config);
		return NULL;
	}
	return b.config;
}

struct config *config_load(const char *path, struct buf *errors)
{
	struct buf data = { 0 };
	struct config *config = NULL;
	int err = ini_read_file(path, INI_FILE_MAX, &data);

	if (err == -EFBIG)
		buf_printf(errors, "%s: longer than %d bytes\n", path, INI_FILE_MAX);
	else if (err < 0)
		buf_printf(errors, "%s: %s\n", path, strerror(-err));
	else
		config = config_parse(path, data.data ? data.data : "", data.len, errors);
	buf_fini(&data);
	return config;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (struct config_strings *s = config->strings, *next; s != NULL; s = next) {
		next = s->next;
		explicit_bzero(s->s, strlen(s->s));     /* secrets are among them */
		mem_free(s);
	}
	mem_free(config->kafka.topic_list);
	mem_free(config->kafka.settings);
	mem_free(config->providers);
	mem_free(config->values);
	mem_free(config);
}
