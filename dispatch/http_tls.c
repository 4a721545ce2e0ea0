/*
 * http_tls.c: wraps OpenSSL's client side. Runs on its loop's thread. Bytes pass through a BIO of our own that points into the caller's
 * buffers: no copy waits in between, and an idle connection holds no buffer (36 KB with OpenSSL's own). It refuses renegotiation,
 * compression, early data and TLS below 1.2.
 */
#include "dispatch/http_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/buf.h"

struct http_tls_ctx {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	SSL_SESSION *session;           /* the newest; resumed by the next connection */
	char *host;
	bool is_address, insecure;
};

struct http_tls {
	struct http_tls_ctx *ctx;
	SSL *ssl;
	const char *in;
	size_t in_len;
	struct buf *out;                /* during a call only */
	const char *error;
};

/* ---- the BIO: between OpenSSL and the caller's buffers ---- */

static int bio_read(BIO *bio, char *to, int len)
{
	struct http_tls *t = BIO_get_data(bio);
	size_t n = t->in_len < (size_t)len ? t->in_len : (size_t)len;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(to, t->in, n);
	t->in += n;
	t->in_len -= n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct http_tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (t->out == NULL || len < 0)
		return -1;
	buf_put(t->out, data, (size_t)len);
	return t->out->oom ? -1 : len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP ? 1 : 0;
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "smstrackd");

	if (m != NULL && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) && BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- the context ---- */

/* Keeps the newest session (a ticket of TLS 1.3 comes after the handshake). 1: the reference is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct http_tls *t = SSL_get_app_data(ssl);

	SSL_SESSION_free(t->ctx->session);
	t->ctx->session = session;
	return 1;
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static bool configure(struct http_tls_ctx *ctx)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	SSL_CTX *c = ctx->ctx;

	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(c, ctx->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, on_session);
	return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 && SSL_CTX_set_alpn_protos(c, alpn, sizeof alpn - 1) == 0;
}

/* Reads the certificates that are trusted. */
static bool load_trust(struct http_tls_ctx *ctx, const char *ca_file, char *err, size_t err_len)
{
	ERR_clear_error();
	if (ca_file == NULL) {
		if (SSL_CTX_set_default_verify_paths(ctx->ctx) == 1)
			return true;
		snprintf(err, err_len, "the system's certificate store can't be read; name a ca_file");
		return false;
	}
	if (SSL_CTX_load_verify_file(ctx->ctx, ca_file) == 1)
		return true;
	snprintf(err, err_len, "ca_file: %s can't be read as PEM certificates: %s", ca_file, ERR_reason_error_string(ERR_peek_last_error()));
	return false;
}

struct http_tls_ctx *http_tls_ctx_new(const char *host, const char *ca_file, bool insecure, char *err, size_t err_len)
{
	struct http_tls_ctx *ctx = mem_zalloc(sizeof *ctx);

	if (ctx == NULL)
		goto no_memory;
	ctx->host = mem_strdup(host);
	ctx->is_address = is_address(host);
	ctx->insecure = insecure;
	ctx->ctx = SSL_CTX_new(TLS_client_method());
	ctx->method = bio_method_new();
	if (ctx->host == NULL || ctx->ctx == NULL || ctx->method == NULL || !configure(ctx))
		goto no_memory;
	if (!load_trust(ctx, ca_file, err, err_len))
		goto fail;
	return ctx;
no_memory:
	snprintf(err, err_len, "TLS can't be set up: out of memory");
fail:
	http_tls_ctx_free(ctx);
	return NULL;
}

void http_tls_ctx_free(struct http_tls_ctx *ctx)
{
	if (ctx == NULL)
		return;
	SSL_SESSION_free(ctx->session);
	SSL_CTX_free(ctx->ctx);
	BIO_meth_free(ctx->method);
	mem_free(ctx->host);
	mem_free(ctx);
}

/* ---- a connection ---- */

/* Whom the certificate must name, and the name sent in clear (not for addresses: RFC 6066, 3). */
static bool set_host(SSL *ssl, const struct http_tls_ctx *ctx)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (ctx->is_address)
		return ctx->insecure || X509_VERIFY_PARAM_set1_ip_asc(param, ctx->host) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, ctx->host) == 1 && (ctx->insecure || SSL_set1_host(ssl, ctx->host) == 1);
}

struct http_tls *http_tls_new(struct http_tls_ctx *ctx)
{
	struct http_tls *t = mem_zalloc(sizeof *t);
	BIO *bio;

	if (t == NULL)
		return NULL;
	t->ctx = ctx;
	t->ssl = SSL_new(ctx->ctx);
	bio = t->ssl != NULL ? BIO_new(ctx->method) : NULL;
	if (bio == NULL) {
		http_tls_free(t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	if (!set_host(t->ssl, ctx)) {
		http_tls_free(t);
		return NULL;
	}
	if (ctx->session != NULL)
		SSL_set_session(t->ssl, ctx->session);
	return t;
}

void http_tls_free(struct http_tls *t)
{
	if (t == NULL)
		return;
	if (t->ssl != NULL && SSL_is_init_finished(t->ssl))     /* else OpenSSL takes the session for broken and never resumes it */
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	mem_free(t);
}

void http_tls_feed(struct http_tls *t, const char *data, size_t len)
{
	CHECK(t->in_len == 0);
	t->in = data;
	t->in_len = len;
}

/* What a call that returned `rc` means: 0 closed, -EAGAIN, -EPROTO, -ENOMEM. */
static int result_of(struct http_tls *t, int rc, const struct buf *out)
{
	int why = SSL_get_error(t->ssl, rc);
	long verify = SSL_get_verify_result(t->ssl);
	const char *words;

	if (out->oom)
		return -ENOMEM;
	if (why == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	words = ERR_reason_error_string(ERR_peek_error());
	if (verify != X509_V_OK && !t->ctx->insecure)
		words = X509_verify_cert_error_string(verify);
	t->error = words != NULL ? words : "connection lost";
	ERR_clear_error();
	t->in_len = 0;
	return -EPROTO;
}

int http_tls_handshake(struct http_tls *t, struct buf *out)
{
	int rc;

	ERR_clear_error();
	t->out = out;
	rc = SSL_do_handshake(t->ssl);
	t->out = NULL;
	if (rc == 1)
		return out->oom ? -ENOMEM : 1;
	rc = result_of(t, rc, out);
	return rc == -EAGAIN ? 0 : rc == 0 ? -EPROTO : rc;
}

ssize_t http_tls_read(struct http_tls *t, char *to, size_t cap, struct buf *out)
{
	int rc;

	ERR_clear_error();
	t->out = out;
	rc = SSL_read(t->ssl, to, cap > INT_MAX ? INT_MAX : (int)cap);
	t->out = NULL;
	return rc > 0 ? rc : result_of(t, rc, out);
}

int http_tls_write(struct http_tls *t, const char *data, size_t len, struct buf *out)
{
	size_t done = 0;
	int rc;

	ERR_clear_error();
	t->out = out;
	rc = SSL_write_ex(t->ssl, data, len, &done);
	t->out = NULL;
	if (rc == 1)
		return done == len ? 0 : -EPROTO;
	rc = result_of(t, rc, out);
	return rc == -ENOMEM ? rc : -EPROTO;
}

const char *http_tls_error(const struct http_tls *t)
{
	return t->error != NULL ? t->error : "none";
}

bool http_tls_resumed(const struct http_tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}
