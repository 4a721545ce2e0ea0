/* config_print.c: shows a configuration and compares two. Control thread. It refuses to show a secret. */
#include <string.h>
#include <strings.h>

#include "daemon/config.h"
#include "daemon/options.h"

const char *config_value_section(const struct config_value *value)
{
	return value->option ? value->option->section : "kafka";
}

/* Keys of librdkafka's whose value is a secret (its CONFIGURATION.md marks them sensitive). */
static bool is_secret(const struct config_value *v)
{
	size_t len = strlen(v->key);

	if (v->option != NULL || (len > 5 && strcmp(v->key + len - 5, "_file") == 0))
		return false;
	return strcasestr(v->key, "password") || strcasestr(v->key, "secret") || strcasestr(v->key, "oauthbearer.config") || strcasestr(v->key, ".pem") ||
	       strcasestr(v->key, "token");
}

void config_value_show(const struct config_value *value, struct buf *out)
{
	const char *text = value->text ? value->text : value->option ? value->option->def : NULL;
	size_t query;

	if (text == NULL)
		return;
	if (is_secret(value)) {
		buf_puts(out, "(hidden)");
		return;
	}
	query = value->option && strcmp(value->option->section, "provider") == 0 && strcmp(value->key, "url") == 0 ? strcspn(text, "?") : strlen(text);
	buf_put(out, text, query);
	if (text[query] == '?')
		buf_puts(out, "?(hidden)");
}

static void print_value(const struct config_value *v, struct buf *out)
{
	const char *text = v->text ? v->text : v->option ? v->option->def : NULL;
	bool quoted;

	if (text == NULL)
		return;
	quoted = *text == '\0' || *text == '"' || *text == ' ' || strpbrk(text, ";#") != NULL;
	buf_printf(out, "%s = ", v->key);
	if (!quoted) {
		config_value_show(v, out);
	} else {
		size_t from = out->len;
		struct buf shown = { 0 };

		config_value_show(v, &shown);
		buf_putc(out, '"');
		for (size_t i = 0; i < shown.len; i++) {
			if (shown.data[i] == '"' || shown.data[i] == '\\')
				buf_putc(out, '\\');
			buf_putc(out, shown.data[i]);
		}
		buf_putc(out, '"');
		out->oom = out->oom || shown.oom || out->len < from;
		buf_fini(&shown);
	}
	buf_puts(out, v->text ? "\n" : "    ; default\n");
}

static void print_section(const struct config *c, const char *section, const char *name, struct buf *out)
{
	buf_printf(out, "%s[%s%s%s]\n", out->len ? "\n" : "", section, *name ? " " : "", name);
	for (size_t i = 0; i < c->n_values; i++)
		if (strcmp(config_value_section(&c->values[i]), section) == 0 && strcmp(c->values[i].name, name) == 0)
			print_value(&c->values[i], out);
}

void config_print(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < options_sections_count; i++) {
		if (!options_sections[i].named)
			print_section(config, options_sections[i].name, "", out);
		for (size_t j = 0; options_sections[i].named && j < config->n_providers; j++)
			print_section(config, options_sections[i].name, config->providers[j].name, out);
	}
}

/* ---- comparison ---- */

const struct config_value *config_value_find(const struct config *config, const struct config_value *like)
{
	for (size_t i = 0; i < config->n_values; i++) {
		const struct config_value *v = &config->values[i];

		if (v->option == like->option && strcmp(v->key, like->key) == 0 && strcmp(v->name, like->name) == 0)
			return v;
	}
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* A value that is spelled out and the same by default are no difference. */
static bool same(const struct config_value *a, const struct config_value *b)
{
	const char *def = a->option ? a->option->def : NULL;

	return same_text(a->text ? a->text : def, b->text ? b->text : def) && same_text(a->content, b->content);
}

void config_compare(const struct config *was, const struct config *is, config_change_fn *visit, void *arg)
{
	for (size_t i = 0; i < was->n_values; i++) {
		const struct config_value *other = config_value_find(is, &was->values[i]);

		if (other == NULL ? was->values[i].text != NULL : !same(&was->values[i], other))
			visit(&was->values[i], other, arg);
	}
	for (size_t i = 0; i < is->n_values; i++)
		if (is->values[i].text != NULL && config_value_find(was, &is->values[i]) == NULL)
			visit(NULL, &is->values[i], arg);
}
