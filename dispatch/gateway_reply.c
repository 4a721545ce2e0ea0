/*
 * gateway_reply.c: the one file of dispatch/ that knows jansson. Any thread. A reply that isn't JSON, names a key twice or holds no
 * usable value says nothing: that is for the caller to count, never an error that changes an outcome.
 */
#include "dispatch/gateway_reply.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

enum { DIGITS_MAX = 7 };        /* in a row, in an error code: eight may be a number somebody is called by */

int gateway_reply_path_init(struct gateway_reply_path *path, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	*path = (struct gateway_reply_path){ .n = 0 };
	if (len == 0)
		return 0;
	if (len > GATEWAY_REPLY_PATH_MAX)
		return -EINVAL;
	memcpy(path->text, text, len + 1);
	for (size_t at = 0; at <= len;) {
		size_t n = strcspn(path->text + at, ".");

		if (n == 0 || path->n == GATEWAY_REPLY_STEPS_MAX)
			return -EINVAL;
		path->steps[path->n++] = (uint8_t)at;
		path->text[at + n] = '\0';
		at += n + 1;
	}
	return 0;
}

static bool is_id_byte(char c)
{
	return c > ' ' && c < 0x7f;
}

static size_t copy_id(const char *s, size_t len, char *ret, size_t max)
{
	if (len == 0 || len > max)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!is_id_byte(s[i]))
			return 0;
	}
	memcpy(ret, s, len);
	ret[len] = '\0';
	return len;
}

/* {"id":"..."} and nothing else, no escape: what `generic` answers, read without building a tree. 0: not so simple. */
static size_t simple_id(const char *key, const char *body, size_t len, char *ret, size_t max)
{
	size_t key_len = strlen(key), head = key_len + 5;
	const char *id = body + head;

	if (len < head + 3 || memcmp(body, "{\"", 2) != 0 || memcmp(body + 2, key, key_len) != 0 ||
	    memcmp(body + 2 + key_len, "\":\"", 3) != 0 || memcmp(body + len - 2, "\"}", 2) != 0)
		return 0;
	len -= head + 2;
	if (memchr(id, '"', len) != NULL || memchr(id, '\\', len) != NULL)
		return 0;
	return copy_id(id, len, ret, max);
}

/* The value at the path, borrowed from the root; NULL: none. */
static json_t *follow(const struct gateway_reply_path *path, json_t *value)
{
	for (unsigned i = 0; i < path->n && value != NULL; i++) {
		const char *step = path->text + path->steps[i];
		size_t index = 0;

		if (!json_is_array(value)) {
			value = json_object_get(value, step);
			continue;
		}
		for (const char *p = step; *p != '\0'; p++) {
			if (!isdigit((unsigned char)*p) || index > 100000)
				return NULL;
			index = index * 10 + (size_t)(*p - '0');
		}
		value = json_array_get(value, index);
	}
	return value;
}

/* A whole number as its digits, NUL-terminated. */
static size_t put_integer(json_int_t n, char ret[24])
{
	unsigned long long u = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
	char digits[24];
	size_t i = sizeof digits, len = 0;

	do
		digits[--i] = (char)('0' + u % 10);
	while (u /= 10);
	if (n < 0)
		digits[--i] = '-';
	len = sizeof digits - i;
	memcpy(ret, digits + i, len);
	ret[len] = '\0';
	return len;
}

size_t gateway_reply_id(const struct gateway_reply_path *path, const char *body, size_t len, char *ret, size_t max)
{
	size_t n = path->n == 1 ? simple_id(path->text, body, len, ret, max) : 0;
	char digits[24];
	json_t *root, *value;

	if (n > 0 || path->n == 0)
		return n;
	root = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	value = follow(path, root);
	if (json_is_string(value))
		n = copy_id(json_string_value(value), json_string_length(value), ret, max);
	else if (json_is_integer(value))
		n = copy_id(digits, put_integer(json_integer_value(value), digits), ret, max);
	json_decref(root);
	return n;
}

size_t gateway_reply_kannel_id(const char *body, size_t len, char *ret, size_t max)
{
	static const char accepted[] = ": Accepted for delivery: ";
	size_t n = sizeof accepted - 1;

	if (len < 1 + n || body[0] != '0' || memcmp(body + 1, accepted, n) != 0)
		return 0;
	body += 1 + n;
	len -= 1 + n;
	while (len > 0 && !is_id_byte(body[len - 1]))
		len--;
	return copy_id(body, len, ret, max);
}

static bool is_code(const char *s, size_t len)
{
	size_t digits = 0;

	if (len == 0 || len > GATEWAY_REPLY_CODE_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)s[i]) && strchr("_.-", s[i]) == NULL)
			return false;
		digits = isdigit((unsigned char)s[i]) ? digits + 1 : 0;
		if (digits > DIGITS_MAX)
			return false;
	}
	return true;
}

size_t gateway_reply_code(const struct gateway_reply_path *path, const char *body, size_t len, char ret[GATEWAY_REPLY_CODE_MAX + 1])
{
	json_t *root = path->n > 0 ? json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL) : NULL, *value = follow(path, root);
	const char *s = NULL;
	char digits[24];
	size_t n = 0;

	if (json_is_string(value)) {
		s = json_string_value(value);
		n = json_string_length(value);
	} else if (json_is_integer(value)) {
		s = digits;
		n = put_integer(json_integer_value(value), digits);
	}
	if (s != NULL && is_code(s, n)) {
		memcpy(ret, s, n);
		ret[n] = '\0';
	} else {
		n = 0;
	}
	json_decref(root);
	return n;
}
