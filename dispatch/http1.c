/*
 * http1.c: reads HTTP/1.x replies as RFC 9112 has them and nothing looser: what others repair (bare LF, folded fields, a second
 * Content-Length) is a malformed reply here, since a reply that two readers read differently tells nothing certain about a message.
 * Any thread. It refuses content codings, upgrades and pipelining.
 */
#include "dispatch/http1.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/buf.h"

enum state { S_STATUS = 1, S_FIELD, S_LENGTH, S_CLOSE, S_CHUNK_LINE, S_CHUNK, S_CHUNK_END, S_TRAILER, S_DONE };

/* What a byte may be in: a token (RFC 9110, 5.6.2), a field's value or a reason (5.5), a request target. */
enum { C_TOKEN = 1, C_VALUE = 2, C_TARGET = 4 };
static const uint8_t class_of[256] = {
	['\t'] = C_VALUE, [' '] = C_VALUE, ['!'] = 7, ['"'] = 6, ['#' ... '\''] = 7, ['(' ... ')'] = 6, ['*' ... '+'] = 7, [','] = 6,
	['-' ... '.'] = 7, ['/'] = 6, ['0' ... '9'] = 7, [':' ... '@'] = 6, ['A' ... 'Z'] = 7, ['[' ... ']'] = 6, ['^' ... 'z'] = 7,
	['{'] = 6, ['|'] = 7, ['}'] = 6, ['~'] = 7, [0x80 ... 0xff] = C_VALUE,
};

static bool all_of(unsigned class, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((class_of[(unsigned char)s[i]] & class) == 0)
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes spaces and tabs off both ends. */
static const char *trim(const char *s, size_t *len)
{
	while (*len > 0 && is_blank(s[*len - 1]))
		--*len;
	while (*len > 0 && is_blank(*s)) {
		s++;
		--*len;
	}
	return s;
}

void http1_reader_init(struct http1_reader *r, size_t limit)
{
	*r = (struct http1_reader){ .limit = limit, .state = S_STATUS };
}

/* The next line without its CRLF: DONE, and pos is behind it; MORE where its end isn't there yet. */
static enum http1_result take_line(struct http1_reader *r, const char *data, size_t len, size_t max, size_t *ret_start, size_t *ret_len)
{
	const char *lf = r->scan < len ? memchr(data + r->scan, '\n', len - r->scan) : NULL;
	size_t end;

	if (lf == NULL) {
		r->scan = len;
		return len - r->pos > max ? HTTP1_BIG : HTTP1_MORE;
	}
	end = (size_t)(lf - data);
	if (end - r->pos > max)
		return HTTP1_BIG;
	if (end == r->pos || data[end - 1] != '\r')
		return HTTP1_BAD;
	*ret_start = r->pos;
	*ret_len = end - 1 - r->pos;
	r->pos = r->scan = end + 1;
	return HTTP1_DONE;
}

/* "HTTP/1.1 200 OK"; the space behind the status may be missing where the reason is, as some servers have it. */
static enum http1_result take_status(struct http1_reader *r, const char *s, size_t len)
{
	unsigned status = 0;

	if (len < 12 || memcmp(s, "HTTP/1.", 7) != 0 || (s[7] != '0' && s[7] != '1') || s[8] != ' ')
		return HTTP1_BAD;
	for (size_t i = 9; i < 12; i++) {
		if (s[i] < '0' || s[i] > '9')
			return HTTP1_BAD;
		status = status * 10 + (unsigned)(s[i] - '0');
	}
	if (status < 100 || status > 599 || status == 101)      /* we ask for no other protocol */
		return HTTP1_BAD;
	if (len > 12 && (s[12] != ' ' || !all_of(C_VALUE, s + 13, len - 13)))
		return HTTP1_BAD;
	r->status = (uint16_t)status;
	r->http10 = s[7] == '0';
	r->fields = r->pos;
	r->state = S_FIELD;
	return HTTP1_DONE;
}

/* Where garbage is told from the first bytes, it needn't be waited for. */
static enum http1_result peek_status(const struct http1_reader *r, const char *data, size_t len)
{
	static const char start[] = "HTTP/1.";
	size_t n = len - r->pos < sizeof start - 1 ? len - r->pos : sizeof start - 1;

	return memcmp(data + r->pos, start, n) == 0 ? HTTP1_MORE : HTTP1_BAD;
}

/* Digits alone; a second one is refused even where it says the same. */
static enum http1_result take_length(struct http1_reader *r, const char *value, size_t len)
{
	size_t n = 0;

	if (r->has_length || len == 0)
		return HTTP1_BAD;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return HTTP1_BAD;
		if (n < SIZE_MAX / 16)          /* beyond that it is over any limit, and stays so */
			n = n * 10 + (size_t)(value[i] - '0');
	}
	r->has_length = true;
	r->left = n;
	return HTTP1_DONE;
}

static void take_connection(struct http1_reader *r, const char *value, size_t len)
{
	while (len > 0) {
		const char *comma = memchr(value, ',', len);
		size_t n = comma != NULL ? (size_t)(comma - value) : len, token_len = n;
		const char *token = trim(value, &token_len);

		if (token_len == 5 && strncasecmp(token, "close", 5) == 0)
			r->says_close = true;
		else if (token_len == 10 && strncasecmp(token, "keep-alive", 10) == 0)
			r->says_keep = true;
		if (comma == NULL)
			break;
		value += n + 1;
		len -= n + 1;
	}
}

/* Splits "name: value". False: not a field (folded lines and a space before the colon included). */
static bool split_field(const char *line, size_t len, size_t *ret_name_len, const char **ret_value, size_t *ret_value_len)
{
	size_t n = 0;

	while (n < len && (class_of[(unsigned char)line[n]] & C_TOKEN) != 0)
		n++;
	if (n == 0 || n == len || line[n] != ':')
		return false;
	*ret_name_len = n;
	*ret_value_len = len - n - 1;
	*ret_value = trim(line + n + 1, ret_value_len);
	return all_of(C_VALUE, *ret_value, *ret_value_len);
}

static enum http1_result take_field(struct http1_reader *r, const char *line, size_t len)
{
	size_t name_len, value_len;
	const char *value;

	if (!split_field(line, len, &name_len, &value, &value_len))
		return HTTP1_BAD;
	if (++r->n_fields > HTTP1_FIELDS_MAX)
		return HTTP1_BIG;
	if (name_len == 14 && strncasecmp(line, "content-length", 14) == 0)
		return take_length(r, value, value_len);
	if (name_len == 17 && strncasecmp(line, "transfer-encoding", 17) == 0) {
		if (r->chunked || value_len != 7 || strncasecmp(value, "chunked", 7) != 0)
			return HTTP1_BAD;       /* no other coding was asked for */
		r->chunked = true;
	} else if (name_len == 10 && strncasecmp(line, "connection", 10) == 0) {
		take_connection(r, value, value_len);
	}
	return HTTP1_DONE;
}

static enum http1_result finish(struct http1_reader *r)
{
	r->state = S_DONE;
	r->keep_alive = !r->says_close && (!r->http10 || r->says_keep);
	return HTTP1_DONE;
}

/* The empty line: what comes now (RFC 9112, 6.3)? */
static enum http1_result end_head(struct http1_reader *r)
{
	size_t limit = r->limit, pos = r->pos;

	if (r->status < 200) {          /* an interim reply: the next one may be it */
		http1_reader_init(r, limit);
		r->pos = r->scan = r->head = pos;
		return HTTP1_MORE;
	}
	r->body = pos;
	if (r->status == 204 || r->status == 304)
		return finish(r);
	if (r->chunked) {
		if (r->has_length || r->http10)
			return HTTP1_BAD;
		r->state = S_CHUNK_LINE;
	} else if (r->has_length) {
		if (r->left > limit || pos > limit - r->left)
			return HTTP1_BIG;
		r->body_len = r->left;
		r->state = S_LENGTH;
	} else {
		r->state = S_CLOSE;
	}
	return HTTP1_MORE;
}

static enum http1_result read_head(struct http1_reader *r, const char *data, size_t len)
{
	enum http1_result rc = HTTP1_MORE;
	size_t start, n, used;

	while (rc == HTTP1_MORE && (r->state == S_STATUS || r->state == S_FIELD)) {
		if (r->state == S_STATUS && peek_status(r, data, len) == HTTP1_BAD)
			return HTTP1_BAD;
		used = r->pos - r->head;
		rc = take_line(r, data, len, used < HTTP1_HEAD_MAX ? HTTP1_HEAD_MAX - used : 0, &start, &n);
		if (rc != HTTP1_DONE)
			return rc;
		if (r->state == S_FIELD && n == 0)
			rc = end_head(r);
		else
			rc = r->state == S_STATUS ? take_status(r, data + start, n) : take_field(r, data + start, n);
		if (rc == HTTP1_DONE && r->state != S_DONE)
			rc = HTTP1_MORE;
	}
	return rc;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1f;extension": extensions are read over (RFC 9112, 7.1.1). */
static enum http1_result take_chunk_line(struct http1_reader *r, const char *line, size_t len)
{
	size_t size = 0, n = 0;

	while (n < len && hex_digit(line[n]) >= 0) {
		if (n == 15)
			return HTTP1_BIG;
		size = size << 4 | (size_t)hex_digit(line[n++]);
	}
	if (n == 0)
		return HTTP1_BAD;
	while (n < len && is_blank(line[n]))
		n++;
	if (n < len && (line[n] != ';' || !all_of(C_VALUE, line + n, len - n)))
		return HTTP1_BAD;
	if (n == len && is_blank(line[len - 1]))
		return HTTP1_BAD;
	if (size > r->limit || r->pos > r->limit - size)
		return HTTP1_BIG;
	r->left = size;
	r->state = size > 0 ? S_CHUNK : S_TRAILER;
	return HTTP1_MORE;
}

/* Trailers are checked and dropped: nothing here acts on them. */
static enum http1_result take_trailer(struct http1_reader *r, const char *line, size_t len)
{
	size_t name_len, value_len;
	const char *value;

	if (len == 0)
		return finish(r);
	if (!split_field(line, len, &name_len, &value, &value_len))
		return HTTP1_BAD;
	return r->n_fields + ++r->n_trailers > HTTP1_FIELDS_MAX ? HTTP1_BIG : HTTP1_MORE;
}

static enum http1_result read_chunk(struct http1_reader *r, char *data, size_t len)
{
	size_t n = len - r->pos < r->left ? len - r->pos : r->left;

	memmove(data + r->body + r->body_len, data + r->pos, n);
	r->body_len += n;
	r->pos += n;
	r->left -= n;
	if (r->left == 0)
		r->state = S_CHUNK_END;
	return HTTP1_MORE;
}

static enum http1_result read_chunk_end(struct http1_reader *r, const char *data, size_t len)
{
	if (data[r->pos] != '\r' || (len - r->pos > 1 && data[r->pos + 1] != '\n'))
		return HTTP1_BAD;
	if (len - r->pos < 2)
		return HTTP1_MORE;
	r->pos += 2;
	r->scan = r->pos;
	r->state = S_CHUNK_LINE;
	return HTTP1_MORE;
}

static enum http1_result read_chunked(struct http1_reader *r, char *data, size_t len)
{
	enum http1_result rc = HTTP1_MORE;
	size_t start, n, was;

	do {
		was = r->pos;
		if (r->state == S_CHUNK) {
			rc = read_chunk(r, data, len);
		} else if (r->state == S_CHUNK_END) {
			rc = read_chunk_end(r, data, len);
		} else {
			rc = take_line(r, data, len, HTTP1_CHUNK_LINE_MAX, &start, &n);
			if (rc != HTTP1_DONE)
				return rc;
			rc = r->state == S_TRAILER ? take_trailer(r, data + start, n) : take_chunk_line(r, data + start, n);
		}
	} while (rc == HTTP1_MORE && r->pos < len && r->pos != was);
	return rc;
}

static enum http1_result read_length(struct http1_reader *r, size_t len)
{
	if (len - r->body < r->body_len)
		return HTTP1_MORE;
	r->pos = r->body + r->body_len;
	return finish(r);
}

enum http1_result http1_read(struct http1_reader *r, char *data, size_t len)
{
	enum http1_result rc = HTTP1_MORE;

	if (r->pos >= len && r->state != S_LENGTH)
		return HTTP1_MORE;
	if (r->state == S_STATUS || r->state == S_FIELD)
		rc = read_head(r, data, len);
	if (rc == HTTP1_MORE && r->state == S_LENGTH)
		rc = read_length(r, len);
	else if (rc == HTTP1_MORE && r->state >= S_CHUNK_LINE && r->pos < len)
		rc = read_chunked(r, data, len);
	if ((rc == HTTP1_MORE && len > r->limit) || (rc == HTTP1_DONE && r->pos > r->limit))
		rc = HTTP1_BIG;
	return rc;
}

enum http1_result http1_read_end(struct http1_reader *r, size_t len)
{
	if (r->state != S_CLOSE)
		return HTTP1_BAD;
	r->body_len = len - r->body;
	r->pos = len;
	r->says_close = true;
	return finish(r);
}

void http1_reply(const struct http1_reader *r, char *data, struct http_header headers[HTTP1_FIELDS_MAX], struct http_reply *ret)
{
	char *line = data + r->fields;

	CHECK(r->state == S_DONE);
	for (size_t i = 0; i < r->n_fields; i++) {
		char *lf = memchr(line, '\n', (size_t)(data + r->body - line));
		size_t name_len;
		bool ok = split_field(line, (size_t)(lf - 1 - line), &name_len, &headers[i].value, &headers[i].value_len);

		CHECK(ok);
		line[name_len] = '\0';
		headers[i].name = line;
		line = lf + 1;
	}
	*ret = (struct http_reply){ r->status, headers, r->n_fields, data + r->body, r->body_len };
}

static char *put(char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return p + len;
}

static char *put_length(char *p, size_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	p = put(p, "Content-Length: ", 16);
	p = put(p, digits + i, sizeof digits - i);
	return put(p, "\r\n", 2);
}

/* Bytes that the request takes at most; 0 where it can't be written. */
static size_t request_size(const struct http_request *q, size_t host_len)
{
	size_t method_len = strlen(q->method), n = method_len + q->path_len + q->head_len + host_len + q->body_len + 80;

	if (method_len == 0 || q->path_len == 0 || !all_of(C_TOKEN, q->method, method_len) || !all_of(C_TARGET, q->path, q->path_len))
		return 0;
	for (size_t i = 0; i < q->n_headers; i++) {
		const struct http_header *h = &q->headers[i];
		size_t name_len = strlen(h->name);

		if (name_len == 0 || !all_of(C_TOKEN, h->name, name_len) || !all_of(C_VALUE, h->value, h->value_len))
			return 0;
		n += name_len + h->value_len + 4;
	}
	return n;
}

int http1_put_request(struct buf *out, const struct http_request *q, const char *host, size_t host_len)
{
	size_t size = request_size(q, host_len);
	char *start, *p;

	if (size == 0)
		return -EINVAL;
	start = p = buf_room(out, size);
	if (p == NULL)
		return -ENOMEM;
	p = put(p, q->method, strlen(q->method));
	*p++ = ' ';
	p = put(p, q->path, q->path_len);
	p = put(p, " HTTP/1.1\r\nHost: ", 17);
	p = put(p, host, host_len);
	p = put(p, "\r\n", 2);
	if (q->head_len > 0)
		p = put(p, q->head, q->head_len);
	for (size_t i = 0; i < q->n_headers; i++) {
		p = put(p, q->headers[i].name, strlen(q->headers[i].name));
		p = put(p, ": ", 2);
		p = put(p, q->headers[i].value, q->headers[i].value_len);
		p = put(p, "\r\n", 2);
	}
	if (q->body_len > 0 || strcmp(q->method, "GET") != 0)
		p = put_length(p, q->body_len);
	p = put(p, "\r\n", 2);
	if (q->body_len > 0)
		p = put(p, q->body, q->body_len);
	buf_add(out, (size_t)(p - start));
	return 0;
}
