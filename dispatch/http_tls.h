/*
 * http_tls.h: TLS as a transformer of bytes: what came from the socket goes in, what shall go to it comes out; it never touches the
 * socket, so that who writes knows exactly what was written. The one file that knows OpenSSL.
 */
#ifndef DISPATCH_HTTP_TLS_H
#define DISPATCH_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/check.h"

struct buf;
struct http_tls;
struct http_tls_ctx;

/* What all connections to one host share: trust, and the last session to resume. TLS 1.2 or later; chain and host name (or address)
 * are verified unless `insecure`. ca_file NULL: the system's store. NULL with words in err. */
struct http_tls_ctx *http_tls_ctx_new(const char *host, const char *ca_file, bool insecure, char *err, size_t err_len) MUST_CHECK;
void http_tls_ctx_free(struct http_tls_ctx *ctx);      /* takes NULL; its connections must be gone */

/* One connection. NULL: out of memory. */
struct http_tls *http_tls_new(struct http_tls_ctx *ctx) MUST_CHECK;
void http_tls_free(struct http_tls *t);                /* takes NULL */

/* Gives it what came from the socket; good until it is used up by the next two, which must be called before the memory goes. */
void http_tls_feed(struct http_tls *t, const char *data, size_t len);

/* Goes on with the handshake; appends to `out` what to write. 1: done, 0: more must come, -EPROTO (http_tls_error() tells), -ENOMEM. */
int http_tls_handshake(struct http_tls *t, struct buf *out) MUST_CHECK;

/* Plain bytes into `to`; call it until -EAGAIN (more must come). 0: the peer has closed properly; -EPROTO, -ENOMEM. May append to out. */
ssize_t http_tls_read(struct http_tls *t, char *to, size_t cap, struct buf *out) MUST_CHECK;

/* Appends to `out` the records that carry these bytes. 0, -EPROTO, -ENOMEM. */
int http_tls_write(struct http_tls *t, const char *data, size_t len, struct buf *out) MUST_CHECK;

/* Why it failed, in OpenSSL's words ("certificate has expired"). */
const char *http_tls_error(const struct http_tls *t);
bool http_tls_resumed(const struct http_tls *t);

#endif
