/*
 * http_client_fixture.h: what the tests of the HTTP client share: a client in a task against a scripted server, and what plain and
 * TLS connections must do alike. Included by one test file each, so its functions live here.
 */
#ifndef TESTS_HTTP_CLIENT_FIXTURE_H
#define TESTS_HTTP_CLIENT_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "dispatch/coro/coro.h"
#include "dispatch/http_client.h"
#include "tests/unit/http_scripts.h"

static struct server server;
static struct http_client_options options;
static struct http_client *client;
static char err[256];

/* What one request came to. */
struct result {
	enum http_failure failure;
	bool written, asked, veto;
	int status;
	size_t body_len;
	char body[256];
};

static inline void on_reply(const struct http_reply *reply, void *arg)
{
	struct result *r = arg;

	r->status = reply->status;
	r->body_len = reply->body_len;
	memcpy(r->body, reply->body, reply->body_len < sizeof r->body ? reply->body_len : sizeof r->body - 1);
}

static inline bool may_write(void *arg)
{
	struct result *r = arg;

	r->asked = true;
	return !r->veto;
}

static inline void send_sized(struct result *r, int64_t deadline_us, const char *body, size_t len)
{
	const struct http_request q = { .method = "POST", .path = "/send", .path_len = 5, .body = body, .body_len = len, .on_reply = on_reply,
		.may_write = may_write, .arg = r };

	r->failure = http_client_send(client, &q, deadline_us, &r->written);
}

static inline void send_one(struct result *r, int64_t ms)
{
	*r = (struct result){ .failure = HTTP_OK };
	send_sized(r, co_in_ms(ms), "{}", 2);
}

static inline struct http_client_counters counters(void)
{
	struct http_client_counters c;

	http_client_counters(client, &c);
	return c;
}

/* Runs `body` as a task with a client of the (changed) options against the server with this script. */
struct run {
	co_body_fn *body;
	void (*script)(struct server_conn *c);
	SSL_CTX *tls;
};

static inline int run_body(void *arg)
{
	const struct run *run = arg;
	int rc;

	client = http_client_new(&options, err, sizeof err);
	assert_non_null(client);
	rc = run->body(NULL);
	http_client_free(client);
	return rc;
}

static inline void run(co_body_fn *body, void (*script)(struct server_conn *c), SSL_CTX *tls)
{
	struct run r = { body, script, tls };
	struct co_loop *loop = co_loop_new();

	assert_non_null(loop);
	if (script != NULL) {
		server_start(&server, script, loop, tls);
		options.port = server.port;
	}
	assert_int_equal(co_run(loop, run_body, &r, "test"), 0);
	if (script != NULL)
		server_stop(&server);
	co_loop_free(loop);
}

static inline int set_up(void **state)
{
	(void)state;
	options = (struct http_client_options){ .host = "127.0.0.1", .max_connections = 8, .max_connecting = 4, .connect_timeout_ms = 5000,
		.idle_ms = 5000, .reply_max = 65536 };
	return 0;
}

/* ---- what goes alike over both ---- */

static inline int body_reuses(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
		assert_true(r.written && r.asked);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.body, "{\"id\":\"p-1\"}");
	}
	assert_int_equal(counters().connects_total, 1);
	assert_int_equal(counters().idle, 1);
	assert_int_equal(counters().requests_total, 5);
	return 0;
}

static inline int body_expect_closed_each(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
		assert_string_equal(r.body, "ok");
		while (counters().connections > 0)      /* the server's end comes on its own */
			co_sleep_ms(1);
	}
	assert_int_equal(counters().connects_total, 5);
	return 0;
}

static enum http_failure expected;

static inline int body_fails_written(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 300);
	assert_int_equal(r.failure, expected);
	assert_true(r.written);
	assert_int_equal(r.status, 0);
	assert_int_equal(counters().connections, 0);
	return 0;
}

static inline int body_slow(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_string_equal(r.body, "slow-loris");
	assert_int_equal(counters().connects_total, 1);
	return 0;
}

static inline int body_until_close(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_string_equal(r.body, "until the end");
	return 0;
}

static inline void script_reads_late(struct server_conn *c)
{
	static char sink[65536];
	size_t want = 3 << 20, got = 0;

	while (got < want) {
		ssize_t n = server_read(c, sink, sizeof sink);

		if (n <= 0)
			return;
		got += (size_t)n;
	}
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	while (server_read(c, sink, sizeof sink) > 0)
		;
}

static inline int body_large(void *arg)
{
	struct result r = { .failure = HTTP_OK };
	size_t len = (3 << 20) - 64;    /* with its head a little over 3 MB */
	char *body = calloc(1, len);

	(void)arg;
	send_sized(&r, co_in_ms(10000), body, len);
	free(body);
	assert_int_equal(r.failure, HTTP_OK);
	assert_string_equal(r.body, "ok");
	return 0;
}

static inline int body_named(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
	}
	return 0;
}

#endif
