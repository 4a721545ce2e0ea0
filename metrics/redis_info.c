/* redis_info.c: reads INFO sections and error replies. Pure; refuses nothing: what it doesn't know it leaves as it was. */
#include "metrics/redis_info.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool take(const char *line, size_t len, const char *key, const char **ret_value, size_t *ret_len)
{
	size_t n = strlen(key);

	if (len <= n || memcmp(line, key, n) != 0 || line[n] != ':')
		return false;
	*ret_value = line + n + 1;
	*ret_len = len - n - 1;
	return true;
}

static void copy(char *to, size_t size, const char *s, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, s, len);
	to[len] = '\0';
}

static bool is(const char *value, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(value, word, len) == 0;
}

static void parse_version(struct redis_client_server *s, const char *value, size_t len)
{
	char text[24], *end;

	copy(text, sizeof text, value, len);
	s->major = (unsigned)strtoul(text, &end, 10);
	s->minor = *end == '.' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
}

static void parse_line(struct redis_info *info, const char *line, size_t len)
{
	struct redis_client_server *s = &info->server;
	const char *v;
	size_t n;

	if (take(line, len, "run_id", &v, &n))
		copy(s->run_id, sizeof s->run_id, v, n);
	else if (take(line, len, "master_replid", &v, &n))
		copy(s->replication_id, sizeof s->replication_id, v, n);
	else if (take(line, len, "redis_version", &v, &n))
		parse_version(s, v, n);
	else if (take(line, len, "aof_enabled", &v, &n))
		s->aof = is(v, n, "1");
	else if (take(line, len, "maxmemory_policy", &v, &n))
		s->noeviction = is(v, n, "noeviction");
	else if (take(line, len, "loading", &v, &n))
		info->loading = is(v, n, "1");
	else if (take(line, len, "role", &v, &n))
		info->replica = is(v, n, "slave");
	else if (take(line, len, "master_link_status", &v, &n))
		info->link_down = is(v, n, "down");
}

void redis_info_parse(struct redis_info *info, const char *text, size_t len)
{
	const char *end = text + len, *eol;

	for (; text < end; text = eol + 1) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		parse_line(info, text, (size_t)(eol - text) - (eol > text && eol[-1] == '\r' ? 1 : 0));
	}
}

const char *redis_info_reason(const char *error, bool *ret_refused)
{
	static const struct {
		const char *prefix, *reason;
		bool refused;
	} known[] = {
		{ "LOADING", "redis: LOADING", false },
		{ "READONLY", "redis: READONLY", false },
		{ "MASTERDOWN", "redis: MASTERDOWN", false },
		{ "OOM", "redis: OOM", false },
		{ "MISCONF", "redis: MISCONF", false },
		{ "NOREPLICAS", "redis: NOREPLICAS", false },
		{ "BUSY", "redis: BUSY", false },
		{ "TRYAGAIN", "redis: TRYAGAIN", false },
		{ "CLUSTERDOWN", "redis: CLUSTERDOWN", false },
		{ "MOVED", "redis: MOVED", false },
		{ "ASK", "redis: ASK", false },
		{ "NOPERM", "redis: NOPERM", true },
		{ "NOAUTH", "redis: NOAUTH", true },
		{ "WRONGPASS", "redis: WRONGPASS", true },
		{ "ERR max number of clients", "redis: too many clients", false },
		{ "ERR DB index", "redis: no such database", true },
		{ "ERR AUTH", "redis: AUTH refused", true },
		{ "ERR Client sent AUTH", "redis: AUTH refused", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].prefix);

		if (strncmp(error, known[i].prefix, n) != 0 || (error[n] != ' ' && error[n] != '\0'))
			continue;
		*ret_refused = known[i].refused;
		return known[i].reason;
	}
	return NULL;
}

const char *redis_info_connect_reason(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "redis: connection refused";
	case ENOENT:
		return "redis: no such socket";
	case EACCES:
		return "redis: no access to the socket";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "redis: host unreachable";
	case ETIMEDOUT:
		return "redis: connect timed out";
	}
	return "redis: connect failed";
}
