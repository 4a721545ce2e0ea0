/*
 * http1.h: HTTP/1.1 on the wire (RFC 9112): a strict reader of replies and a writer of requests. Pure: bytes in, bytes out; it knows no
 * socket, keeps no memory of its own, and what it reads lies in its caller's buffer.
 */
#ifndef DISPATCH_HTTP1_H
#define DISPATCH_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "dispatch/http_client.h"

struct buf;

/* Fields of one head (trailers included), bytes of one head, bytes of a line of the chunked coding. */
enum { HTTP1_FIELDS_MAX = 64, HTTP1_HEAD_MAX = 16384, HTTP1_CHUNK_LINE_MAX = 256 };

enum http1_result {
	HTTP1_MORE = 1, /* not complete yet */
	HTTP1_DONE,     /* complete: it ends at reader.pos; what lies behind it is none of its business */
	HTTP1_BAD,      /* not HTTP/1.x as RFC 9112 has it, or framed in a way that two readers could read differently */
	HTTP1_BIG,      /* more than HTTP1_HEAD_MAX, HTTP1_FIELDS_MAX or the reader's own limit */
};

/* One reply, as far as it came. Embedded; offsets only, so its buffer may move between two calls. */
struct http1_reader {
	size_t pos;             /* read up to here */
	size_t scan;            /* no line ends between pos and here */
	size_t limit;           /* bytes of a reply, framing and interim replies included */
	size_t head, fields;    /* where the final reply's status line and its fields begin */
	size_t body, body_len;  /* chunks are joined at body */
	size_t left;            /* of the body, or of the chunk */
	uint16_t status, n_fields, n_trailers;
	uint8_t state;
	bool http10, chunked, has_length, says_close, says_keep;
	bool keep_alive;        /* when done: the connection may carry another request */
};

void http1_reader_init(struct http1_reader *r, size_t limit);

/* Reads on. `data[0..len)` is all that came since the reply began, the bytes of earlier calls first, as this function left them: it
 * joins chunks in place. Answers the same however the bytes are cut. After DONE, BAD or BIG the reader is through. */
enum http1_result http1_read(struct http1_reader *r, char *data, size_t len) MUST_CHECK;

/* The peer has closed after these bytes (of which http1_read() wanted more): DONE where that is how the body ends, else BAD. */
enum http1_result http1_read_end(struct http1_reader *r, size_t len) MUST_CHECK;

/* The reply of a reader that is done, pointing into `data` (names get their NUL there, so: once) and into `headers`. */
void http1_reply(const struct http1_reader *r, char *data, struct http_header headers[HTTP1_FIELDS_MAX], struct http_reply *ret);

/* Appends the request; `host` is the Host field's value. 0, -EINVAL (a byte in method, path or a field that would break the framing:
 * nothing is appended), -ENOMEM. */
int http1_put_request(struct buf *out, const struct http_request *request, const char *host, size_t host_len) MUST_CHECK;

#endif
