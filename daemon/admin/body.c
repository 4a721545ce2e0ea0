/* body.c: see body.h. A struct body is a json_t in disguise: nobody else needs to know. */
#include "daemon/admin/body.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *json_of(const struct body *body)
{
	return (json_t *)(uintptr_t)body;
}

struct body *body_parse(const char *text, size_t len, char *err, size_t err_len)
{
	json_error_t error;
	json_t *json;

	if (len == 0)
		json = json_object();
	else
		json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL && len > 0) {
		snprintf(err, err_len, "the body is no JSON: %s (line %d, column %d)", error.text, error.line, error.column);
		return NULL;
	}
	if (!json_is_object(json)) {
		snprintf(err, err_len, json ? "the body should be a JSON object" : "out of memory");
		json_decref(json);
		return NULL;
	}
	return (struct body *)json;
}

void body_free(struct body *body)
{
	json_decref(json_of(body));
}

bool body_has_only(const struct body *body, const char *const *names, size_t n, char *err, size_t err_len)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_of(body), key, value) {
		size_t i = 0;

		while (i < n && strcmp(names[i], key) != 0)
			i++;
		if (i < n)
			continue;
		snprintf(err, err_len, "unknown member \"%.64s\"; known: %s%s%s", key, names[0], n > 1 ? ", " : "", n > 1 ? names[1] : "");
		return false;
	}
	return true;
}

bool body_has(const struct body *body, const char *name)
{
	return json_object_get(json_of(body), name) != NULL;
}

const char *body_str(const struct body *body, const char *name)
{
	return json_string_value(json_object_get(json_of(body), name));
}

bool body_int(const struct body *body, const char *name, int64_t *ret)
{
	const json_t *value = json_object_get(json_of(body), name);

	if (!json_is_integer(value))
		return false;
	*ret = json_integer_value(value);
	return true;
}

bool body_bool(const struct body *body, const char *name, bool *ret)
{
	const json_t *value = json_object_get(json_of(body), name);

	if (!json_is_boolean(value))
		return false;
	*ret = json_is_true(value);
	return true;
}

int body_set_str(struct body *body, const char *name, const char *value)
{
	return json_object_set_new(json_of(body), name, json_string(value)) == 0 ? 0 : -ENOMEM;
}

static int put(const char *data, size_t len, void *arg)
{
	buf_put(arg, data, len);
	return 0;
}

void body_print(const struct body *body, struct buf *out)
{
	if (json_dump_callback(json_of(body), put, out, JSON_COMPACT) < 0)
		out->oom = true;
}
