/*
 * http_server.h: a tiny scripted server for the tests of the HTTP client: a thread a connection, each runs the test's script on a
 * blocking socket. Plain or TLS. Included by one test file, so its functions live here.
 */
#ifndef TESTS_HTTP_SERVER_H
#define TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/check.h"

enum { SERVER_CONNS_MAX = 512 };

struct server;

struct server_conn {
	struct server *server;
	pthread_t thread;
	int fd;
	unsigned index;                 /* from 0, in the order of accepting */
	SSL *ssl;
	size_t request_len;
	char request[65536];            /* the last one, NUL-terminated */
};

struct server {
	void (*script)(struct server_conn *c);
	void *arg;
	int fd;
	uint16_t port;
	SSL_CTX *tls;
	pthread_t thread;
	unsigned n_conns;
	atomic_uint open, open_max, requests, resumed;
	struct server_conn *conns[SERVER_CONNS_MAX];
};

static inline ssize_t server_read(struct server_conn *c, void *to, size_t len)
{
	return c->ssl != NULL ? SSL_read(c->ssl, to, (int)len) : read(c->fd, to, len);
}

static inline void server_write(struct server_conn *c, const char *data, size_t len)
{
	if (c->ssl != NULL)
		(void)!SSL_write(c->ssl, data, (int)len);
	else
		(void)!send(c->fd, data, len, MSG_NOSIGNAL);
}

static inline void server_puts(struct server_conn *c, const char *s)
{
	server_write(c, s, strlen(s));
}

/* Reads one request whole. False: the client has closed. */
static inline bool server_request(struct server_conn *c)
{
	const char *end, *length;
	size_t want;

	c->request_len = 0;
	for (;;) {
		ssize_t n = server_read(c, c->request + c->request_len, sizeof c->request - 1 - c->request_len);

		if (n <= 0)
			return false;
		c->request_len += (size_t)n;
		c->request[c->request_len] = '\0';
		end = strstr(c->request, "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(c->request, "content-length: ");
		want = (size_t)(end + 4 - c->request) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
		if (c->request_len >= want)
			break;
	}
	atomic_fetch_add(&c->server->requests, 1);
	return true;
}

/* The next close sends a reset. */
static inline void server_reset(struct server_conn *c)
{
	const struct linger l = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static inline bool server_handshake(struct server_conn *c)
{
	if (c->server->tls == NULL)
		return true;
	c->ssl = SSL_new(c->server->tls);
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_accept(c->ssl) != 1)
		return false;
	if (SSL_session_reused(c->ssl))
		atomic_fetch_add(&c->server->resumed, 1);
	return true;
}

static inline void *server_conn_main(void *arg)
{
	struct server_conn *c = arg;
	unsigned now = atomic_fetch_add(&c->server->open, 1) + 1, max = atomic_load(&c->server->open_max);

	while (now > max && !atomic_compare_exchange_weak(&c->server->open_max, &max, now))
		;
	if (server_handshake(c))
		c->server->script(c);
	atomic_fetch_sub(&c->server->open, 1);
	SSL_free(c->ssl);
	close(c->fd);
	return NULL;
}

static inline void *server_main(void *arg)
{
	struct server *s = arg;

	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		struct server_conn *c;

		if (fd < 0)
			return NULL;            /* server_stop() shut it down */
		CHECK(s->n_conns < SERVER_CONNS_MAX);
		c = calloc(1, sizeof *c);
		c->server = s;
		c->fd = fd;
		c->index = s->n_conns;
		s->conns[s->n_conns++] = c;
		pthread_create(&c->thread, NULL, server_conn_main, c);
	}
}

static inline int server_listen(int backlog, uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, backlog) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static inline void server_start(struct server *s, void (*script)(struct server_conn *c), void *arg, SSL_CTX *tls)
{
	memset(s, 0, sizeof *s);
	s->script = script;
	s->arg = arg;
	s->tls = tls;
	s->fd = server_listen(256, &s->port);
	pthread_create(&s->thread, NULL, server_main, s);
}

/* Ends it when its connections have: the client's side must be closed before. */
static inline void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->n_conns; i++) {
		pthread_join(s->conns[i]->thread, NULL);
		free(s->conns[i]);
	}
	close(s->fd);
}

#endif
