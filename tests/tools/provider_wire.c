/* provider_wire.c: requests in, replies out, for the simulated provider. Pure. Refuses chunked requests: the daemon sends none. */
#include "tests/tools/provider_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Copies a JSON string's or a query value's characters up to its end; an escaped character stands for itself. */
static void copy_value(const char *from, const char *end, const char *stops, char *out, size_t size)
{
	size_t n = 0;

	while (from < end && n + 1 < size && !strchr(stops, *from)) {
		if (*from == '\\' && from + 1 < end)
			from++;
		out[n++] = *from++;
	}
	out[n] = 0;
}

static const char *find(const char *in, size_t len, const char *what)
{
	return memmem(in, len, what, strlen(what));
}

static unsigned number_after(const char *in, size_t len, const char *what)
{
	const char *at = find(in, len, what);
	unsigned n = 0;

	if (!at)
		return 0;
	for (at += strlen(what); at < in + len && *at == ' ';)
		at++;
	for (; at < in + len && *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (unsigned)(*at - '0');
	return n;
}

static void identify_json(struct provider_request *r)
{
	const char *at = find(r->body, r->body_len, "\"id\":");

	if (!at)
		return;
	at += 5;
	while (at < r->body + r->body_len && *at == ' ')
		at++;
	if (at < r->body + r->body_len && *at == '"')
		copy_value(at + 1, r->body + r->body_len, "\"", r->id, sizeof(r->id));
	r->part = number_after(r->body, r->body_len, "\"part\":");
}

/* Twilio and Kannel carry no id of ours: tests make it the first word of the text. */
static void identify_text(struct provider_request *r, const char *in, size_t len, const char *key)
{
	const char *at = find(in, len, key);

	if (at)
		copy_value(at + strlen(key), in + len, "&+% ", r->id, sizeof(r->id));
	r->part = 1;
}

static void identify(struct provider_request *r)
{
	strcpy(r->id, "-");
	r->part = 1;
	r->style = PROVIDER_GENERIC;
	if (find(r->path, r->path_len, "/Messages.json")) {
		r->style = PROVIDER_TWILIO;
		identify_text(r, r->body, r->body_len, "Body=");
	} else if (find(r->path, r->path_len, "/sendsms")) {
		r->style = PROVIDER_KANNEL;
		identify_text(r, r->path, r->path_len, "text=");
	} else
		identify_json(r);
	if (!r->id[0])
		strcpy(r->id, "-");
	for (char *c = r->id; *c; c++) {        /* a ledger line has no space in a word */
		if (*c <= ' ')
			*c = '_';
	}
	if (!r->part)
		r->part = 1;
}

static bool parse_head(const char *data, const char *end, struct provider_request *r)
{
	const char *sp1 = memchr(data, ' ', (size_t)(end - data)), *sp2;

	if (!sp1)
		return false;
	sp2 = memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1));
	if (!sp2)
		return false;
	r->method = data;
	r->method_len = (size_t)(sp1 - data);
	r->path = sp1 + 1;
	r->path_len = (size_t)(sp2 - sp1 - 1);
	return true;
}

static size_t parse_fields(const char *line, const char *end, struct provider_request *r)
{
	size_t content = 0;

	while (line && line < end) {
		if ((line[0] | 32) == 'c' && end - line > 15) {
			if (strncasecmp(line, "content-length:", 15) == 0)
				content = strtoul(line + 15, NULL, 10);
			else if (strncasecmp(line, "connection: close", 17) == 0)
				r->close = true;
		}
		line = memchr(line, '\n', (size_t)(end - line));
		if (line)
			line++;
	}
	return content;
}

ssize_t provider_request_parse(const char *data, size_t len, struct provider_request *r)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	const char *fields;
	size_t head, content;

	if (!end)
		return len >= PROVIDER_REQUEST_MAX ? -1 : 0;
	*r = (struct provider_request){ 0 };
	if (!parse_head(data, end, r))
		return -1;
	head = (size_t)(end - data) + 4;
	fields = memchr(data, '\n', head);
	content = parse_fields(fields + 1, end + 2, r);
	if (content > PROVIDER_REQUEST_MAX - head)
		return -1;
	if (len < head + content)
		return 0;
	r->body = data + head;
	r->body_len = content;
	identify(r);
	return (ssize_t)(head + content);
}

static const char *status_words(int status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 202: return "Accepted";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 429: return "Too Many Requests";
	case 500: return "Internal Server Error";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static int good_body(enum provider_style style, const char *pid, char *body, size_t size, int *ret_status)
{
	switch (style) {
	case PROVIDER_TWILIO:
		*ret_status = 201;
		return snprintf(body, size, "{\"sid\":\"SM%s\",\"status\":\"queued\",\"error_code\":null}", pid);
	case PROVIDER_KANNEL:
		*ret_status = 202;
		return snprintf(body, size, "0: Accepted for delivery");
	case PROVIDER_GENERIC:
		break;
	}
	*ret_status = 200;
	return snprintf(body, size, "{\"id\":\"%s\"}", pid);
}

static int bad_body(enum provider_style style, int status, char *body, size_t size)
{
	if (style == PROVIDER_TWILIO)
		return snprintf(body, size, "{\"code\":%d,\"message\":\"simulated\",\"status\":%d}", 20000 + status, status);
	if (style == PROVIDER_KANNEL)
		return snprintf(body, size, "4: simulated %d", status);
	return snprintf(body, size, "{\"error\":{\"code\":\"sim_%d\",\"message\":\"simulated\"}}", status);
}

/* Retry-After in either form (RFC 9110, 10.2.3). */
static int retry_after(const struct provider_verdict *v, char *out, size_t size)
{
	char date[64];
	time_t at;
	struct tm tm;

	if (v->retry_after_s < 0)
		return snprintf(out, size, "%s", "");
	if (!v->retry_after_date)
		return snprintf(out, size, "Retry-After: %d\r\n", v->retry_after_s);
	at = time(NULL) + v->retry_after_s;
	gmtime_r(&at, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return snprintf(out, size, "Retry-After: %s\r\n", date);
}

size_t provider_reply_format(const struct provider_verdict *v, enum provider_style style, const char *pid, char *out, size_t size)
{
	char body[256], again[96];
	int status = v->status, n;

	if (v->action == PROVIDER_EMPTY)
		return (size_t)snprintf(out, size, "HTTP/1.1 204 No Content\r\n\r\n");
	if (v->action == PROVIDER_STATUS && (status < 200 || status > 299))
		n = bad_body(style, status, body, sizeof(body));
	else
		n = good_body(style, pid, body, sizeof(body), &status);
	if (v->action == PROVIDER_STATUS)
		status = v->status;
	if (v->action == PROVIDER_CHUNKED)
		return (size_t)snprintf(out, size,
					"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
					"3;x=y\r\n%.3s\r\n%x\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n",
					status, status_words(status), body, (unsigned)n - 3, body + 3);
	retry_after(v, again, sizeof(again));
	return (size_t)snprintf(out, size, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
				status, status_words(status), again, n, body);
}

size_t provider_reply_plain(int status, const char *body, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				status, status_words(status), strlen(body), body);
}

char *provider_reply_big(size_t *ret_len)
{
	char *out = malloc(PROVIDER_BIG_BYTES + 256);
	size_t head;

	if (!out)
		return NULL;
	head = (size_t)sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"id\":\"big\",\"pad\":\"",
			       PROVIDER_BIG_BYTES);
	memset(out + head, 'x', PROVIDER_BIG_BYTES);
	*ret_len = (size_t)((char *)memmem(out, head, "\r\n\r\n", 4) - out) + 4 + PROVIDER_BIG_BYTES;
	memcpy(out + *ret_len - 2, "\"}", 2);
	return out;
}
