/* test_http_client.c: the client against a server that behaves, and against one that doesn't. */
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
#include "tests/unit/http_server.h"

static struct server server;
static struct http_client_options options;
static struct http_client *client;
static char err[256], tls_dir[] = "/tmp/test_http_client.XXXXXX";

/* What one request came to. */
struct result {
	enum http_failure failure;
	bool written, asked, veto;
	int status;
	size_t body_len;
	char body[256];
};

static void on_reply(const struct http_reply *reply, void *arg)
{
	struct result *r = arg;

	r->status = reply->status;
	r->body_len = reply->body_len;
	memcpy(r->body, reply->body, reply->body_len < sizeof r->body ? reply->body_len : sizeof r->body - 1);
}

static bool may_write(void *arg)
{
	struct result *r = arg;

	r->asked = true;
	return !r->veto;
}

static int64_t in_ms(int64_t ms)
{
	return clock_mono_us() + ms * 1000;
}

static void send_sized(struct result *r, int64_t deadline_us, const char *body, size_t len)
{
	const struct http_request q = { .method = "POST", .path = "/send", .path_len = 5, .body = body, .body_len = len, .on_reply = on_reply,
		.may_write = may_write, .arg = r };

	r->failure = http_client_send(client, &q, deadline_us, &r->written);
}

static void send_one(struct result *r, int64_t ms)
{
	*r = (struct result){ .failure = HTTP_OK };
	send_sized(r, in_ms(ms), "{}", 2);
}

static struct http_client_counters counters(void)
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

static int run_body(void *arg)
{
	const struct run *run = arg;
	int rc;

	client = http_client_new(&options, err, sizeof err);
	assert_non_null(client);
	rc = run->body(NULL);
	http_client_free(client);
	return rc;
}

static void run(co_body_fn *body, void (*script)(struct server_conn *c), SSL_CTX *tls)
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

static int set_up(void **state)
{
	(void)state;
	options = (struct http_client_options){ .host = "127.0.0.1", .max_connections = 8, .max_connecting = 4, .connect_timeout_ms = 5000,
		.idle_ms = 5000, .reply_max = 65536 };
	return 0;
}

/* ---- scripts ---- */

static void script_answers(struct server_conn *c)
{
	while (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"p-1\"}");
}

static void script_closes_after_each(struct server_conn *c)
{
	if (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void script_resets(struct server_conn *c)
{
	server_request(c);
	server_reset(c);
}

static void script_resets_amid(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	server_reset(c);
}

static void script_closes_amid(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
}

static void script_garbage(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "\x16\x03\x01 what?\r\n\r\n");
	server_request(c);
}

static void script_megabyte(struct server_conn *c)
{
	static const char zeros[4096];

	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\n");
	for (int i = 0; i < 256; i++)
		server_write(c, zeros, sizeof zeros);
	server_request(c);
}

static void script_hangs(struct server_conn *c)
{
	while (server_request(c))
		;
}

static void script_one_byte_at_a_time(struct server_conn *c)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n5\r\n-lori\r\n1\r\ns\r\n0\r\n\r\n";
	int one = 1;

	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
	while (server_request(c)) {
		for (size_t i = 0; i < sizeof reply - 1; i++)
			server_write(c, reply + i, 1);
	}
}

static void script_until_close(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\nuntil ");
	server_puts(c, "the end");
	if (c->ssl != NULL)
		SSL_shutdown(c->ssl);
}

static void script_cut(struct server_conn *c)
{
	server_request(c);
	server_puts(c, "HTTP/1.1 200 OK\r\n\r\nuntil it is cut");
}

static void script_talks_on(struct server_conn *c)
{
	while (server_request(c))
		server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Stale\r\nContent-Length: 0\r\n\r\n");
}

/* ---- tests ---- */

static int body_reuses(void *arg)
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

static void test_http_client_keeps_its_connection(void **state)
{
	(void)state;
	run(body_reuses, script_answers, NULL);
	assert_int_equal(server.requests, 5);
}

static int body_expect_closed_each(void *arg)
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

static void test_http_client_notices_an_idle_connection_end(void **state)
{
	(void)state;
	run(body_expect_closed_each, script_closes_after_each, NULL);
}

static int body_refused(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_CONNECT_REFUSED);
	assert_false(r.written || r.asked);
	assert_int_equal(counters().connect_errors_total, 1);
	assert_int_equal(counters().connections, 0);
	return 0;
}

static void test_http_client_is_refused(void **state)
{
	int fd = server_listen(1, &options.port);

	(void)state;
	close(fd);
	run(body_refused, NULL, NULL);
}

static enum http_failure expected;

static int body_fails_written(void *arg)
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

static void expect_failure(void (*script)(struct server_conn *c), enum http_failure failure)
{
	expected = failure;
	run(body_fails_written, script, NULL);
}

static void test_http_client_tells_what_went_wrong_after_writing(void **state)
{
	(void)state;
	expect_failure(script_resets, HTTP_RESET);
	expect_failure(script_resets_amid, HTTP_RESET);
	expect_failure(script_closes_amid, HTTP_CLOSED);
	expect_failure(script_garbage, HTTP_MALFORMED);
	expect_failure(script_megabyte, HTTP_TOO_LARGE);
	expect_failure(script_hangs, HTTP_TIMEOUT);
}

static int body_slow(void *arg)
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

static void test_http_client_takes_a_reply_byte_by_byte(void **state)
{
	(void)state;
	run(body_slow, script_one_byte_at_a_time, NULL);
}

static int body_until_close(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_string_equal(r.body, "until the end");
	return 0;
}

static void test_http_client_reads_until_close(void **state)
{
	(void)state;
	run(body_until_close, script_until_close, NULL);
}

static int body_talks_on(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
		assert_int_equal(r.status, 200);
	}
	assert_int_equal(counters().connects_total, 3);
	return 0;
}

static void test_http_client_never_takes_a_stale_reply_for_its_own(void **state)
{
	(void)state;
	run(body_talks_on, script_talks_on, NULL);
}

static int send_task(void *arg)
{
	send_one(arg, 5000);
	return 0;
}

static int body_limit(void *arg)
{
	static struct result results[50];
	struct co_future *tasks[50];

	(void)arg;
	for (int i = 0; i < 50; i++)
		tasks[i] = co_task_new(send_task, &results[i], "send %d", i);
	assert_int_equal(co_wait(tasks, 50, CO_ALL_COMPLETED, CLOCK_NEVER), 50);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(results[i].failure, HTTP_OK);
		co_unref(tasks[i]);
	}
	assert_true(counters().connections <= 3);
	assert_int_equal(counters().waiting, 0);
	return 0;
}

static void test_http_client_holds_its_limit(void **state)
{
	(void)state;
	options.max_connections = 3;
	run(body_limit, script_answers, NULL);
	assert_true(server.open_max <= 3);
	assert_int_equal(server.requests, 50);
}

static int send_short_task(void *arg)
{
	send_one(arg, 300);
	return 0;
}

static int body_pool_timeout(void *arg)
{
	struct result first, second = { .failure = HTTP_OK };
	struct co_future *task = co_task_new(send_short_task, &first, "first");

	(void)arg;
	while (server.requests == 0)
		co_sleep_ms(1);
	send_sized(&second, in_ms(50), "{}", 2);
	assert_int_equal(second.failure, HTTP_POOL_TIMEOUT);
	assert_false(second.written || second.asked);
	assert_int_equal(co_await(task), 0);
	assert_int_equal(first.failure, HTTP_TIMEOUT);
	assert_true(first.written);
	co_unref(task);
	return 0;
}

static void test_http_client_gives_up_waiting_at_the_deadline(void **state)
{
	(void)state;
	options.max_connections = 1;
	run(body_pool_timeout, script_hangs, NULL);
}

static int body_cancel_waiting(void *arg)
{
	struct result first, second, third;
	struct co_future *a = co_task_new(send_short_task, &first, "first"), *b;

	(void)arg;
	while (server.requests == 0)
		co_sleep_ms(1);
	b = co_task_new(send_task, &second, "second");
	co_yield();
	assert_int_equal(counters().waiting, 1);
	co_cancel(b);
	co_wait(&b, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	assert_int_equal(second.failure, HTTP_CANCELLED);
	assert_false(second.written || second.asked);
	assert_int_equal(counters().waiting, 0);
	co_wait(&a, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	assert_int_equal(first.failure, HTTP_TIMEOUT);
	send_one(&third, 100);
	assert_int_equal(third.failure, HTTP_TIMEOUT);
	co_unref(a);
	co_unref(b);
	return 0;
}

static void test_http_client_cancels_what_waits(void **state)
{
	(void)state;
	options.max_connections = 1;
	run(body_cancel_waiting, script_hangs, NULL);
}

/* A task to be cancelled once the server has its request. */
static struct co_future *victim;
static struct result victim_result;
static int victim_next;
static unsigned victim_cancelling;

static void cancel_victim(void *arg)
{
	(void)arg;
	co_cancel(victim);
}

static void script_cancels_then_answers(struct server_conn *c)
{
	CHECK(server_request(c));
	CHECK(co_post(c->server->arg, cancel_victim, NULL) == 0);
	CHECK(co_post(c->server->arg, cancel_victim, NULL) == 0);
	usleep(20000);          /* whether it comes before or after the cancel, the outcome is the same */
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	server_request(c);
}

static int victim_body(void *arg)
{
	(void)arg;
	send_one(&victim_result, 5000);
	victim_cancelling = co_task_cancelling(co_task_current());
	victim_next = co_sleep_ms(1000);
	return 0;
}

static int body_cancel_written(void *arg)
{
	(void)arg;
	victim = co_task_new(victim_body, NULL, "victim");
	assert_int_equal(co_await(victim), 0);
	assert_int_equal(victim_result.failure, HTTP_OK);
	assert_int_equal(victim_result.status, 200);
	assert_int_equal(victim_cancelling, 2);
	assert_int_equal(victim_next, -ECANCELED);
	co_unref(victim);
	return 0;
}

static void test_http_client_cancel_waits_for_what_is_written(void **state)
{
	(void)state;
	run(body_cancel_written, script_cancels_then_answers, NULL);
}

static int body_veto(void *arg)
{
	struct result r = { .veto = true };

	(void)arg;
	send_sized(&r, in_ms(5000), "{}", 2);
	assert_int_equal(r.failure, HTTP_FORBIDDEN);
	assert_true(r.asked && !r.written);
	assert_int_equal(counters().idle, 1);
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().connects_total, 1);
	return 0;
}

static void test_http_client_asks_before_the_first_byte(void **state)
{
	(void)state;
	run(body_veto, script_answers, NULL);
	assert_int_equal(server.requests, 1);
}

static int body_invalid(void *arg)
{
	struct result r = { .failure = HTTP_OK };
	const struct http_header bad = { "A", "b\r\nC: d", 7 };
	const struct http_request q = { .method = "POST", .path = "/", .path_len = 1, .headers = &bad, .n_headers = 1, .on_reply = on_reply,
		.arg = &r };

	(void)arg;
	assert_int_equal(http_client_send(client, &q, in_ms(5000), &r.written), HTTP_INVALID);
	assert_false(r.written);
	return 0;
}

static void test_http_client_writes_no_smuggled_header(void **state)
{
	(void)state;
	run(body_invalid, script_answers, NULL);
	assert_int_equal(server.requests, 0);
}

static int body_idle(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().idle, 1);
	while (counters().connections > 0)
		co_sleep_ms(1);
	while (server.open > 0)
		co_sleep_ms(1);
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().connects_total, 2);
	return 0;
}

static void test_http_client_closes_what_idles(void **state)
{
	(void)state;
	options.idle_ms = 20;
	run(body_idle, script_answers, NULL);
}

static void script_reads_late(struct server_conn *c)
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

static int body_large(void *arg)
{
	struct result r = { .failure = HTTP_OK };
	size_t len = (3 << 20) - 64;    /* with its head a little over 3 MB */
	char *body = calloc(1, len);

	(void)arg;
	send_sized(&r, in_ms(10000), body, len);
	free(body);
	assert_int_equal(r.failure, HTTP_OK);
	assert_string_equal(r.body, "ok");
	return 0;
}

static void test_http_client_writes_more_than_a_socket_takes(void **state)
{
	(void)state;
	run(body_large, script_reads_late, NULL);
}

static int body_named(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
	}
	return 0;
}

static void test_http_client_resolves_names(void **state)
{
	(void)state;
	options.host = "localhost";
	run(body_named, script_answers, NULL);
}

static int body_unknown(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 15000);
		assert_int_equal(r.failure, HTTP_DNS_FAILED);
		assert_false(r.written);
	}
	return 0;
}

static void test_http_client_tells_an_unknown_name(void **state)
{
	(void)state;
	options.host = "no-such-host.invalid";
	options.port = 80;
	run(body_unknown, NULL, NULL);
}

static int body_leave_while_resolving(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 0);
	assert_int_equal(r.failure, HTTP_POOL_TIMEOUT);
	return 0;
}

static void test_http_client_may_go_while_it_resolves(void **state)
{
	(void)state;
	options.host = "localhost";
	options.port = 80;
	run(body_leave_while_resolving, NULL, NULL);
}

static int body_connect_timeout(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 10000);
	assert_int_equal(r.failure, HTTP_CONNECT_TIMEOUT);
	assert_false(r.written);
	return 0;
}

static void test_http_client_gives_up_a_connect(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = server_listen(0, &options.port), fill[4];

	(void)state;
	a.sin_port = htons(options.port);
	for (int i = 0; i < 4; i++) {           /* a full queue: Linux drops further SYNs */
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
	}
	options.connect_timeout_ms = 200;
	run(body_connect_timeout, NULL, NULL);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void test_http_client_explains_wrong_options(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	options.port = 1;
	options.host = "a b";
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "host"));
	options.host = "h";
	options.max_connecting = 0;
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "max_connecting"));
	options.max_connecting = 1;
	options.tls = true;
	options.ca_file = "/nonexistent.pem";
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "/nonexistent.pem"));
	co_loop_free(loop);
}

/* ---- TLS ---- */

static const char *tls_path(const char *name)
{
	static char paths[4][64];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof paths[0], "%s/%s", tls_dir, name);
	return p;
}

/* A key and certificates that expire in a day: for 127.0.0.1 and localhost, for another name, and one long expired. */
static int make_certificates(void **state)
{
	char cmd[1024];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	assert_non_null(mkdtemp(tls_dir));
	snprintf(cmd, sizeof cmd,
		 "cd %s && exec 2>err && openssl ecparam -genkey -name prime256v1 -noout -out key.pem && "
		 "openssl req -x509 -new -key key.pem -days 1 -subj /CN=good -addext subjectAltName=IP:127.0.0.1,DNS:localhost -out good.pem && "
		 "openssl req -x509 -new -key key.pem -days 1 -subj /CN=other -addext subjectAltName=DNS:other.example -out other.pem && "
		 "openssl req -new -key key.pem -subj /CN=old -addext subjectAltName=IP:127.0.0.1 -out old.csr && "
		 "openssl x509 -req -in old.csr -signkey key.pem -days -1 -out old.pem",
		 tls_dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static int remove_certificates(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof cmd, "rm -rf %s", tls_dir);
	return system(cmd);
}

static SSL_CTX *tls_server(const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate_file(ctx, tls_path(cert), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, tls_path("key.pem"), SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	return ctx;
}

static void run_tls(co_body_fn *body, void (*script)(struct server_conn *c), const char *cert, const char *ca)
{
	SSL_CTX *ctx = tls_server(cert);

	options.tls = true;
	options.ca_file = ca != NULL ? tls_path(ca) : NULL;
	run(body, script, ctx);
	SSL_CTX_free(ctx);
}

static void test_http_client_speaks_tls(void **state)
{
	(void)state;
	run_tls(body_reuses, script_answers, "good.pem", "good.pem");
	assert_int_equal(server.requests, 5);
	run_tls(body_slow, script_one_byte_at_a_time, "good.pem", "good.pem");
	run_tls(body_until_close, script_until_close, "good.pem", "good.pem");
	run_tls(body_large, script_reads_late, "good.pem", "good.pem");
	options.host = "localhost";
	run_tls(body_named, script_answers, "good.pem", "good.pem");
}

static void test_http_client_resumes_tls_sessions(void **state)
{
	(void)state;
	run_tls(body_expect_closed_each, script_closes_after_each, "good.pem", "good.pem");
	assert_int_equal(server.resumed, 4);
}

static void test_http_client_tells_what_went_wrong_under_tls(void **state)
{
	(void)state;
	expected = HTTP_CLOSED;
	run_tls(body_fails_written, script_closes_amid, "good.pem", "good.pem");
	run_tls(body_fails_written, script_cut, "good.pem", "good.pem");        /* no goodbye: it may have been cut */
	expected = HTTP_MALFORMED;
	run_tls(body_fails_written, script_garbage, "good.pem", "good.pem");
	expected = HTTP_TOO_LARGE;
	run_tls(body_fails_written, script_megabyte, "good.pem", "good.pem");
	expected = HTTP_TIMEOUT;
	run_tls(body_fails_written, script_hangs, "good.pem", "good.pem");
}

static int body_tls_fails(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_TLS_FAILED);
	assert_false(r.written || r.asked);
	assert_int_equal(counters().connections, 0);
	return 0;
}

static void test_http_client_refuses_a_bad_certificate(void **state)
{
	(void)state;
	run_tls(body_tls_fails, script_answers, "good.pem", NULL);              /* unknown issuer */
	run_tls(body_tls_fails, script_answers, "other.pem", "other.pem");      /* another host's */
	run_tls(body_tls_fails, script_answers, "old.pem", "old.pem");          /* expired */
	assert_int_equal(server.requests, 0);
	options.tls_insecure = true;
	run_tls(body_named, script_answers, "other.pem", NULL);
}

static void script_plain(struct server_conn *c)
{
	char byte;

	if (server_read(c, &byte, 1) == 1)
		server_puts(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void test_http_client_needs_tls_on_the_other_side(void **state)
{
	(void)state;
	options.tls = true;
	options.tls_insecure = true;
	run(body_tls_fails, script_plain, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_http_client_keeps_its_connection, set_up),
		cmocka_unit_test_setup(test_http_client_notices_an_idle_connection_end, set_up),
		cmocka_unit_test_setup(test_http_client_is_refused, set_up),
		cmocka_unit_test_setup(test_http_client_tells_what_went_wrong_after_writing, set_up),
		cmocka_unit_test_setup(test_http_client_takes_a_reply_byte_by_byte, set_up),
		cmocka_unit_test_setup(test_http_client_reads_until_close, set_up),
		cmocka_unit_test_setup(test_http_client_never_takes_a_stale_reply_for_its_own, set_up),
		cmocka_unit_test_setup(test_http_client_holds_its_limit, set_up),
		cmocka_unit_test_setup(test_http_client_gives_up_waiting_at_the_deadline, set_up),
		cmocka_unit_test_setup(test_http_client_cancels_what_waits, set_up),
		cmocka_unit_test_setup(test_http_client_cancel_waits_for_what_is_written, set_up),
		cmocka_unit_test_setup(test_http_client_asks_before_the_first_byte, set_up),
		cmocka_unit_test_setup(test_http_client_writes_no_smuggled_header, set_up),
		cmocka_unit_test_setup(test_http_client_closes_what_idles, set_up),
		cmocka_unit_test_setup(test_http_client_writes_more_than_a_socket_takes, set_up),
		cmocka_unit_test_setup(test_http_client_resolves_names, set_up),
		cmocka_unit_test_setup(test_http_client_tells_an_unknown_name, set_up),
		cmocka_unit_test_setup(test_http_client_may_go_while_it_resolves, set_up),
		cmocka_unit_test_setup(test_http_client_gives_up_a_connect, set_up),
		cmocka_unit_test_setup(test_http_client_explains_wrong_options, set_up),
		cmocka_unit_test_setup(test_http_client_speaks_tls, set_up),
		cmocka_unit_test_setup(test_http_client_resumes_tls_sessions, set_up),
		cmocka_unit_test_setup(test_http_client_tells_what_went_wrong_under_tls, set_up),
		cmocka_unit_test_setup(test_http_client_refuses_a_bad_certificate, set_up),
		cmocka_unit_test_setup(test_http_client_needs_tls_on_the_other_side, set_up),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
