/* http_scripts.h: what the scripted server of the HTTP client's tests may do to a connection. Included by one test file each. */
#ifndef TESTS_HTTP_SCRIPTS_H
#define TESTS_HTTP_SCRIPTS_H

#include "tests/unit/http_server.h"

static inline void script_answers(struct server_conn *c)
{
	while (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"p-1\"}");
}

static inline void script_closes_after_each(struct server_conn *c)
{
	if (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static inline void script_resets(struct server_conn *c)
{
	server_request(c);
	server_reset(c);
}

static inline void script_resets_amid(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	server_reset(c);
}

static inline void script_closes_amid(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
}

static inline void script_garbage(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "\x16\x03\x01 what?\r\n\r\n");
	server_request(c);
}

static inline void script_megabyte(struct server_conn *c)
{
	static const char zeros[4096];

	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < 256; i++)
		server_write(c, zeros, sizeof zeros);
	server_request(c);
}

static inline void script_hangs(struct server_conn *c)
{
	while (server_request(c))
		;
}

static inline void script_one_byte_at_a_time(struct server_conn *c)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n5\r\n-lori\r\n1\r\ns\r\n0\r\n\r\n";
	int one = 1;

	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
	while (server_request(c)) {
		for (size_t i = 0; i < sizeof reply - 1; i++)
			server_write(c, reply + i, 1);
	}
}

static inline void script_until_close(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\nuntil ");
	server_puts(c, "the end");
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
}

static inline void script_cut(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\nuntil it is cut");
}

static inline void script_talks_on(struct server_conn *c)
{
	while (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Stale\r\nContent-Length: 0\r\n\r\n");
}

#endif
