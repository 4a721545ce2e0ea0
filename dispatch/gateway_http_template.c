/*
 * gateway_http_template.c: builds requests. Any thread. On the hot path it only copies and escapes: names, separators and what comes from
 * the configuration were joined at start.
 */
#include "dispatch/gateway_http_template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dispatch/provider.h"

/* Unreserved bytes stay, all else becomes %XX: right in a query (RFC 3986, 2.3) and in a form (its + for a space isn't needed). */
static void put_percent(struct buf *out, const char *s, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	static const bool plain[256] = { ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,
		['_'] = true, ['~'] = true };
	char *p = buf_room(out, len * 3), *start = p;

	if (p == NULL)
		return;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (plain[c]) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	buf_add(out, (size_t)(p - start));
}

static void put_text(struct buf *out, enum gateway_http_form form, const char *s, size_t len)
{
	if (form == GATEWAY_HTTP_JSON)
		buf_put_json(out, s, len);
	else
		put_percent(out, s, len);
}

/* RFC 4648. */
static void put_base64(struct buf *out, const char *text, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)s[i] << 16 | (n > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (n > 2 ? s[i + 2] : 0);

		buf_putc(out, digits[v >> 18]);
		buf_putc(out, digits[v >> 12 & 63]);
		buf_putc(out, n > 1 ? digits[v >> 6 & 63] : '=');
		buf_putc(out, n > 2 ? digits[v & 63] : '=');
	}
}

/* ---- at start ---- */

static bool is_clean(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

/* With a user: Basic (RFC 7617); with a password alone: Bearer (RFC 6750). */
static void put_authorization(struct buf *head, const struct provider_options *o)
{
	struct buf pair = { 0 };

	if (o->password == NULL)
		return;
	if (o->user == NULL) {
		buf_puts(head, "Authorization: Bearer ");
		buf_puts(head, o->password);
	} else {
		buf_puts(&pair, o->user);
		buf_putc(&pair, ':');
		buf_puts(&pair, o->password);
		head->oom |= pair.oom;
		buf_puts(head, "Authorization: Basic ");
		put_base64(head, pair.data, pair.len);
		buf_fini(&pair);
	}
	buf_puts(head, "\r\n");
}

static void put_head(struct gateway_http_template *t, const struct provider_options *o)
{
	struct buf *head = &t->head;

	buf_puts(head, "User-Agent: smstrackd/" VERSION "\r\n");
	if (t->preset->form == GATEWAY_HTTP_JSON)
		buf_puts(head, "Content-Type: application/json\r\n");
	else if (t->preset->form == GATEWAY_HTTP_FORM)
		buf_puts(head, "Content-Type: application/x-www-form-urlencoded\r\n");
	if (t->preset->id_path != NULL)
		buf_puts(head, "Accept: application/json\r\n");
	if (t->preset->authorization)
		put_authorization(head, o);
}

static void put_path(struct gateway_http_template *t, const struct provider_options *o, const char *path)
{
	const struct gateway_http_preset *p = t->preset;
	size_t len = strlen(path);

	if (len == 0 || (len == 1 && p->form == GATEWAY_HTTP_QUERY)) {
		path = p->default_path;
		len = strlen(path);
	}
	if (p->path_before_user != NULL) {
		while (len > 0 && path[len - 1] == '/')
			len--;
		buf_put(&t->path, path, len);
		buf_puts(&t->path, p->path_before_user);
		put_percent(&t->path, o->user, strlen(o->user));
		buf_puts(&t->path, p->path_after_user);
		return;
	}
	buf_put(&t->path, path, len);
	if (p->form == GATEWAY_HTTP_QUERY)
		buf_putc(&t->path, memchr(path, '?', len) != NULL ? '&' : '?');
}

/* The value, where the configuration knows it. */
static const char *constant_value(const struct gateway_http_field *f, const struct provider_options *o)
{
	switch (f->source) {
	case GATEWAY_HTTP_LITERAL: return f->literal;
	case GATEWAY_HTTP_USER: return o->user;
	case GATEWAY_HTTP_PASSWORD: return o->password;
	case GATEWAY_HTTP_ID: case GATEWAY_HTTP_TO: case GATEWAY_HTTP_FROM: case GATEWAY_HTTP_TEXT: case GATEWAY_HTTP_PART:
	case GATEWAY_HTTP_PARTS: case GATEWAY_HTTP_CODING: case GATEWAY_HTTP_UDH: break;
	}
	return NULL;
}

/* Optional ones are left out where they have no value; the first field of a preset never is. */
static void compile_fields(struct gateway_http_template *t, const struct provider_options *o)
{
	enum gateway_http_form form = t->preset->form;
	struct buf *c = &t->constant;
	size_t start = 0;

	for (const struct gateway_http_field *f = t->preset->fields; f->name != NULL; f++) {
		const char *value = constant_value(f, o);
		bool first = f == t->preset->fields;

		if (form == GATEWAY_HTTP_JSON) {
			buf_putc(c, first ? '{' : ',');
			buf_put_json(c, f->name, strlen(f->name));
			buf_putc(c, ':');
		} else {
			if (!first)
				buf_putc(c, '&');
			buf_puts(c, f->name);
			buf_putc(c, '=');
		}
		if (value != NULL) {
			put_text(c, form, value, strlen(value));
			continue;
		}
		CHECK(t->n_fields < GATEWAY_HTTP_FIELDS_MAX);
		t->fields[t->n_fields].start = start;
		t->fields[t->n_fields].len = c->len - start;
		t->fields[t->n_fields++].source = f->source;
		start = c->len;
	}
	if (form == GATEWAY_HTTP_JSON)
		buf_putc(c, '}');
	t->fields[t->n_fields].start = start;
	t->fields[t->n_fields].len = c->len - start;
}

/* The configured method, if the preset allows it. */
static const char *choose_method(const struct gateway_http_preset *p, const char *wanted, char *err, size_t err_len)
{
	static const char *const methods[] = { "GET", "POST", "PUT" };
	size_t first = strcspn(p->methods, " ");

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (wanted == NULL ? strncmp(p->methods, methods[i], first) == 0 && strlen(methods[i]) == first :
				     strcmp(wanted, methods[i]) == 0 && strstr(p->methods, wanted) != NULL)
			return methods[i];
	}
	snprintf(err, err_len, "method: preset = %s takes one of: %s", p->name, p->methods);
	return NULL;
}

static const char *wrong_credentials(const struct gateway_http_preset *p, const struct provider_options *o)
{
	if (p->needs_user && (o->user == NULL || *o->user == '\0' || o->password == NULL))
		return "user and password_file: this preset needs both";
	if (o->user != NULL && o->password == NULL)
		return "password_file: a user needs a password";
	if (o->user != NULL && (!is_clean(o->user) || (p->authorization && strchr(o->user, ':') != NULL)))
		return "user: can't hold control characters, nor a colon (RFC 7617)";
	if (o->password != NULL && (!is_clean(o->password) || *o->password == '\0'))
		return "password_file: must hold one line of text";
	return NULL;
}

int gateway_http_template_init(struct gateway_http_template *t, const struct gateway_http_preset *preset,
			       const struct provider_options *o, const char *path, char *err, size_t err_len)
{
	const char *wrong = wrong_credentials(preset, o);

	*t = (struct gateway_http_template){ .preset = preset };
	if (wrong != NULL) {
		snprintf(err, err_len, "%s", wrong);
		return -EINVAL;
	}
	if (preset->path_before_user != NULL && strchr(path, '?') != NULL) {
		snprintf(err, err_len, "url: preset = %s appends its own path, so it can't have a query", preset->name);
		return -EINVAL;
	}
	t->method = choose_method(preset, o->method, err, err_len);
	if (t->method == NULL)
		return -EINVAL;
	put_head(t, o);
	put_path(t, o, path);
	compile_fields(t, o);
	if (!t->head.oom && !t->path.oom && !t->constant.oom)
		return 0;
	snprintf(err, err_len, "out of memory");
	return -ENOMEM;
}

void gateway_http_template_fini(struct gateway_http_template *t)
{
	buf_fini(&t->head);
	buf_fini(&t->path);
	buf_fini(&t->constant);
}

/* ---- for each part ---- */

static bool is_absent(enum gateway_http_source source, const struct gateway_part *part)
{
	return (source == GATEWAY_HTTP_FROM && part->from_len == 0) || (source == GATEWAY_HTTP_UDH && part->udh_len == 0);
}

static void put_value(struct buf *out, enum gateway_http_form form, enum gateway_http_source source, const struct gateway_part *part)
{
	switch (source) {
	case GATEWAY_HTTP_ID:
		put_text(out, form, part->id, part->id_len);
		break;
	case GATEWAY_HTTP_TO:
		put_text(out, form, part->to, part->to_len);
		break;
	case GATEWAY_HTTP_FROM:
		put_text(out, form, part->from, part->from_len);
		break;
	case GATEWAY_HTTP_TEXT:
		put_text(out, form, part->text, part->text_len);
		break;
	case GATEWAY_HTTP_PART:
		buf_put_u64(out, part->part);
		break;
	case GATEWAY_HTTP_PARTS:
		buf_put_u64(out, part->parts);
		break;
	case GATEWAY_HTTP_CODING:
		buf_putc(out, part->ucs2 ? '2' : '0');
		break;
	case GATEWAY_HTTP_UDH:
		put_text(out, form, (const char *)part->udh, part->udh_len);
		break;
	case GATEWAY_HTTP_LITERAL: case GATEWAY_HTTP_USER: case GATEWAY_HTTP_PASSWORD:
		break;
	}
}

void gateway_http_template_put(const struct gateway_http_template *t, const struct gateway_part *part, struct buf *out)
{
	enum gateway_http_form form = t->preset->form;

	if (form == GATEWAY_HTTP_QUERY)
		buf_put(out, t->path.data, t->path.len);
	for (size_t i = 0; i <= t->n_fields; i++) {
		enum gateway_http_source source = i < t->n_fields ? t->fields[i].source : GATEWAY_HTTP_LITERAL;

		if (is_absent(source, part))
			continue;
		buf_put(out, t->constant.data + t->fields[i].start, t->fields[i].len);
		put_value(out, form, source, part);
	}
}
