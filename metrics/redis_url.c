/* redis_url.c: reads redis:// and unix:// urls. Pure; refuses what it would have to guess, and passwords. */
#include "metrics/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int wrong(char *err, size_t err_len, const char *words)
{
	snprintf(err, err_len, "%s; right would be redis://[user@]host[:port][/db] or unix:///path[?db=n]", words);
	return -EINVAL;
}

/* Digits to the end of the string; -EINVAL where there is anything else, or more than `max`. */
static int number(const char *s, unsigned max, unsigned *ret)
{
	unsigned n = 0;

	if (*s == '\0')
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(*s - '0');
		if (n > max)
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

static int copy(char *to, size_t size, const char *s, size_t len)
{
	if (len >= size)
		return -EINVAL;
	memcpy(to, s, len);
	to[len] = '\0';
	return 0;
}

static int parse_unix(const char *s, struct redis_url *u, char *err, size_t err_len)
{
	const char *query = strchr(s, '?');
	size_t len = query != NULL ? (size_t)(query - s) : strlen(s);

	if (s[0] != '/' || len < 2 || copy(u->path, sizeof u->path, s, len) != 0)
		return wrong(err, err_len, "a socket's path is absolute and shorter than 108 bytes");
	if (query == NULL)
		return 0;
	if (strncmp(query, "?db=", 4) != 0 || number(query + 4, 1 << 20, &u->db) != 0)
		return wrong(err, err_len, "behind the path only ?db=number is known");
	return 0;
}

static int parse_host(const char *s, size_t len, struct redis_url *u)
{
	const char *end = s + len, *colon;
	char port[8];

	if (*s == '[') {
		const char *close = memchr(s, ']', len);

		if (close == NULL || copy(u->host, sizeof u->host, s + 1, (size_t)(close - s - 1)) != 0)
			return -EINVAL;
		s = close + 1;
	} else {
		colon = memchr(s, ':', len);
		if (copy(u->host, sizeof u->host, s, colon != NULL ? (size_t)(colon - s) : len) != 0)
			return -EINVAL;
		s += strlen(u->host);
	}
	if (u->host[0] == '\0')
		return -EINVAL;
	if (s == end)
		return 0;
	if (*s != ':' || copy(port, sizeof port, s + 1, (size_t)(end - s - 1)) != 0)
		return -EINVAL;
	return number(port, 65535, &u->port) != 0 || u->port == 0 ? -EINVAL : 0;
}

static int parse_tcp(const char *s, struct redis_url *u, char *err, size_t err_len)
{
	const char *slash = strchr(s, '/'), *end = slash != NULL ? slash : s + strlen(s);
	const char *at = memchr(s, '@', (size_t)(end - s));

	if (at != NULL) {
		if (memchr(s, ':', (size_t)(at - s)) != NULL)
			return wrong(err, err_len, "no password in a url: use password_file");
		if (copy(u->user, sizeof u->user, s, (size_t)(at - s)) != 0)
			return wrong(err, err_len, "the user's name is too long");
		s = at + 1;
	}
	if (parse_host(s, (size_t)(end - s), u) != 0)
		return wrong(err, err_len, "no valid host and port");
	if (slash != NULL && slash[1] != '\0' && number(slash + 1, 1 << 20, &u->db) != 0)
		return wrong(err, err_len, "behind the host comes the database's number");
	return 0;
}

int redis_url_parse(const char *url, struct redis_url *ret, char *err, size_t err_len)
{
	struct redis_url u = { .port = 6379 };
	int rc;

	if (strncmp(url, "unix://", 7) == 0)
		rc = parse_unix(url + 7, &u, err, err_len);
	else if (strncmp(url, "redis://", 8) == 0)
		rc = parse_tcp(url + 8, &u, err, err_len);
	else if (strncmp(url, "rediss://", 9) == 0)
		rc = wrong(err, err_len, "TLS to Redis needs hiredis >= 1.0 and is not built in");
	else
		rc = wrong(err, err_len, "neither a redis:// nor a unix:// url");
	if (rc == 0)
		*ret = u;
	return rc;
}
