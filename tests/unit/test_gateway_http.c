/* test_gateway_http.c: what each preset writes, and what its provider's answers are taken for. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "dispatch/coro/coro.h"
#include "dispatch/gateway.h"
#include "dispatch/gateway_http.h"
#include "dispatch/provider.h"
#include "metrics/counters.h"
#include "tests/unit/http_server.h"

static struct server server;
static struct provider_options options;
static struct gateway *gw;
static struct gateway_outcome outcome;
static char err[512], url[128], seen[65536];
static const char *reply;
static bool refuse_write;
static unsigned asked;

static const struct gateway_part sample = {
	.id = "m-1", .id_len = 3, .to = "+491701234567", .to_len = 13, .from = "Shop", .from_len = 4,
	.text = "Gr\xc3\xbc\xc3\x9f \"x\"\n&=+", .text_len = 14,
	.part = 1, .parts = 1,
};

/* Answers each request with `reply`; an empty one resets. */
static void script(struct server_conn *c)
{
	while (server_request(c)) {
		memcpy(seen, c->request, c->request_len + 1);
		if (*reply == '\0') {
			server_reset(c);
			return;
		}
		server_puts(c, reply);
		if (strstr(reply, "Content-Length") == NULL && strstr(reply, " 204 ") == NULL)
			return;
	}
}

static bool may_write(void *arg)
{
	(void)arg;
	asked++;
	return !refuse_write;
}

static int body(void *arg)
{
	const struct gateway_part *part = arg;

	gw = gateway_http_new(&options, 2, err, sizeof err);
	assert_non_null(gw);
	memset(&outcome, 0x5a, sizeof outcome);
	gw->ops->send(gw, part, clock_mono_us() + 2000000, may_write, NULL, &outcome);
	gw->ops->free(gw);
	return 0;
}

/* Sends one part through the preset; the provider answers with this. */
static void send_part(const char *path, const char *answer, const struct gateway_part *part)
{
	struct co_loop *loop = co_loop_new();

	reply = answer;
	seen[0] = '\0';
	asked = 0;
	server_start(&server, script, NULL, NULL);
	snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server.port, path);
	options.url = url;
	assert_int_equal(co_run(loop, body, (void *)(uintptr_t)part, "test"), 0);
	server_stop(&server);
	co_loop_free(loop);
}

static int set_up(void **state)
{
	(void)state;
	refuse_write = false;
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	options = (struct provider_options){ .name = "acme", .type = "http", .preset = "generic", .max_inflight = 10, .max_connecting = 4,
		.connect_timeout_ms = 2000, .idle_ms = 1000, .reply_max = 65536, .weight = 1, .timeout_ms = 2000 };
	return 0;
}

static void expect_seen(const char *head, const char *text)
{
	const char *end = strstr(seen, "\r\n\r\n");

	assert_memory_equal(seen, head, strlen(head));
	assert_non_null(end);
	assert_string_equal(end + 4, text);
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"p-1\"}";

static void test_gateway_http_generic_writes_json(void **state)
{
	struct gateway_part part = sample;

	(void)state;
	send_part("/send?v=1", ok, &part);
	expect_seen("POST /send?v=1 HTTP/1.1\r\nHost: 127.0.0.1:", "{\"id\":\"m-1\",\"to\":\"+491701234567\",\"from\":\"Shop\","
						       "\"text\":\"Gr\xc3\xbc\xc3\x9f \\\"x\\\"\\u000a&=+\",\"part\":1,\"parts\":1}");
	assert_non_null(strstr(seen, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(seen, "\r\nIdempotency-Key: m-1/1\r\n"));
	assert_null(strstr(seen, "Authorization"));
	assert_int_equal(asked, 1);
	assert_int_equal(outcome.verdict, GATEWAY_ACCEPTED);
	assert_int_equal(outcome.code, 200);
	assert_string_equal(outcome.provider_id, "p-1");
	assert_int_equal(outcome.provider_id_len, 3);
	assert_string_equal(outcome.reason, "");
	part.from = NULL;
	part.from_len = 0;
	part.part = 2;
	part.parts = 3;
	part.text_len = 0;
	options.method = "PUT";
	options.user = "Aladdin";
	options.password = "open sesame";
	send_part("", ok, &part);
	expect_seen("PUT / HTTP/1.1\r\n", "{\"id\":\"m-1\",\"to\":\"+491701234567\",\"text\":\"\",\"part\":2,\"parts\":3}");
	assert_non_null(strstr(seen, "\r\nIdempotency-Key: m-1/2\r\n"));
	assert_non_null(strstr(seen, "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	options.user = NULL;
	send_part("", ok, &part);
	assert_non_null(strstr(seen, "\r\nAuthorization: Bearer open sesame\r\n"));
}

struct answer {
	const char *reply;
	enum gateway_verdict verdict;
	const char *reason;
	int64_t retry_after_ms;
	const char *id;
};

static void expect_answers(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		send_part("/", answers[i].reply, &sample);
		assert_int_equal(outcome.verdict, answers[i].verdict);
		assert_string_equal(outcome.reason, answers[i].reason);
		assert_int_equal(outcome.retry_after_ms, answers[i].retry_after_ms);
		assert_string_equal(outcome.provider_id, answers[i].id != NULL ? answers[i].id : "");
		assert_int_equal(outcome.provider_id_len, strlen(outcome.provider_id));
	}
}

#define EMPTY "\r\nContent-Length: 0\r\n\r\n"

static void test_gateway_http_generic_reads_answers(void **state)
{
	static const struct answer answers[] = {
		{ "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\n{\"id\":7}", GATEWAY_ACCEPTED, "", 0, "7" },
		{ "HTTP/1.1 200 OK" EMPTY, GATEWAY_ACCEPTED, "", 0, NULL },
		{ "HTTP/1.1 204 No Content\r\n\r\n", GATEWAY_ACCEPTED, "", 0, NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>?!?", GATEWAY_ACCEPTED, "", 0, NULL },
		{ "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", GATEWAY_REFUSED, "http_302_redirect", 0, NULL },
		{ "HTTP/1.1 400 Bad\r\nContent-Length: 14\r\n\r\n{\"code\":\"E12\"}", GATEWAY_REFUSED, "http_400:E12", 0, NULL },
		{ "HTTP/1.1 401 Unauthorized" EMPTY, GATEWAY_THROTTLED, "http_401", 30000, NULL },
		{ "HTTP/1.1 404 Not Found" EMPTY, GATEWAY_REFUSED, "http_404", 0, NULL },
		{ "HTTP/1.1 408 Request Timeout" EMPTY, GATEWAY_TRANSIENT, "http_408", 0, NULL },
		{ "HTTP/1.1 429 Slow\r\nRetry-After: 3" EMPTY, GATEWAY_THROTTLED, "http_429", 3000, NULL },
		{ "HTTP/1.1 429 Slow\r\nDate: Sun, 06 Nov 1994 08:49:07 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT" EMPTY,
		  GATEWAY_THROTTLED, "http_429", 30000, NULL },
		{ "HTTP/1.1 503 Busy" EMPTY, GATEWAY_THROTTLED, "http_503", 0, NULL },
		{ "HTTP/1.1 500 Oops" EMPTY, GATEWAY_UNCERTAIN, "http_500", 0, NULL },
		{ "HTTP/1.1 501 Oops" EMPTY, GATEWAY_UNCERTAIN, "http_501", 0, NULL },
		{ "HTTP/1.1 502 Oops" EMPTY, GATEWAY_UNCERTAIN, "http_502", 0, NULL },
		{ "HTTP/1.1 504 Oops" EMPTY, GATEWAY_UNCERTAIN, "http_504", 0, NULL },
		{ "", GATEWAY_UNCERTAIN, "reset", 0, NULL },
		{ "garbage", GATEWAY_UNCERTAIN, "malformed_reply", 0, NULL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", GATEWAY_UNCERTAIN, "reply_too_large", 0, NULL },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", GATEWAY_UNCERTAIN, "closed", 0, NULL },
	};
	uint64_t before = counters_total(COUNTER_REPLIES_WITHOUT_ID);

	(void)state;
	expect_answers(answers, ARRAY_LEN(answers));
	assert_int_equal(counters_total(COUNTER_REPLIES_WITHOUT_ID) - before, 3);
	options.id_path = "data.0.msg";
	options.error_path = "error.name";
	expect_answers(&(struct answer){ "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"data\":[{\"msg\":\"x\"}]}", GATEWAY_ACCEPTED, "", 0,
		"x" }, 1);
	expect_answers(&(struct answer){ "HTTP/1.1 422 No\r\nContent-Length: 28\r\n\r\n{\"error\":{\"name\":\"blocked\"}}", GATEWAY_REFUSED,
		"http_422:blocked", 0, NULL }, 1);
}

static void test_gateway_http_speaks_twilio(void **state)
{
	static const struct answer answers[] = {
		{ "HTTP/1.1 201 CREATED\r\nContent-Length: 35\r\n\r\n{\"status\": \"queued\", \"sid\": \"SM12\"}", GATEWAY_ACCEPTED, "", 0, "SM12" },
		{ "HTTP/1.1 400 BAD REQUEST\r\nContent-Length: 31\r\n\r\n{\"code\": 21211, \"status\": 400 }", GATEWAY_REFUSED, "http_400:21211", 0,
		  NULL },
		{ "HTTP/1.1 429 TOO MANY REQUESTS\r\nContent-Length: 15\r\n\r\n{\"code\": 20429}", GATEWAY_THROTTLED, "http_429:20429", 0, NULL },
	};

	(void)state;
	options.preset = "twilio";
	options.user = "AC0/1";
	options.password = "token";
	expect_answers(answers, ARRAY_LEN(answers));
	expect_seen("POST /2010-04-01/Accounts/AC0%2F1/Messages.json HTTP/1.1\r\n",
		    "To=%2B491701234567&From=Shop&Body=Gr%C3%BC%C3%9F%20%22x%22%0A%26%3D%2B");
	assert_non_null(strstr(seen, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(seen, "\r\nAuthorization: Basic QUMwLzE6dG9rZW4=\r\n"));
	assert_null(strstr(seen, "Idempotency-Key"));
}

static void test_gateway_http_speaks_kannel(void **state)
{
	static const struct answer answers[] = {
		{ "HTTP/1.1 202 Accepted\r\nContent-Length: 24\r\n\r\n0: Accepted for delivery", GATEWAY_ACCEPTED, "", 0, NULL },
		{ "HTTP/1.1 202 Accepted\r\nContent-Length: 30\r\n\r\n0: Accepted for delivery: ab-1", GATEWAY_ACCEPTED, "", 0, "ab-1" },
		{ "HTTP/1.1 202 Accepted\r\nContent-Length: 28\r\n\r\n3: Queued for later delivery", GATEWAY_ACCEPTED, "", 0, NULL },
		{ "HTTP/1.1 403 Forbidden\r\nContent-Length: 31\r\n\r\nNot routable. Do not try again.", GATEWAY_REFUSED, "http_403", 0, NULL },
		{ "HTTP/1.1 503 No\r\nContent-Length: 34\r\n\r\nTemporal failure, try again later.", GATEWAY_TRANSIENT, "http_503", 0, NULL },
	};
	struct gateway_part part = sample;
	uint64_t before = counters_total(COUNTER_REPLIES_WITHOUT_ID);

	(void)state;
	options.preset = "kannel";
	options.user = "us er";
	options.password = "p&w";
	expect_answers(answers, ARRAY_LEN(answers));
	assert_int_equal(counters_total(COUNTER_REPLIES_WITHOUT_ID), before);
	expect_seen("GET /cgi-bin/sendsms?username=us%20er&password=p%26w&charset=UTF-8&to=%2B491701234567&from=Shop&coding=0"
		    "&text=Gr%C3%BC%C3%9F%20%22x%22%0A%26%3D%2B HTTP/1.1\r\n", "");
	assert_null(strstr(seen, "Authorization"));
	assert_null(strstr(seen, "Content-Length"));
	part.ucs2 = true;
	memcpy(part.udh, "\x05\x00\x03\x7a\x02\x01", 6);
	part.udh_len = 6;
	part.text = "\xd1\x8f";
	part.text_len = 2;
	part.from = NULL;
	part.from_len = 0;
	send_part("/sms?smsc=a", answers[0].reply, &part);
	expect_seen("GET /sms?smsc=a&username=us%20er&password=p%26w&charset=UTF-8&to=%2B491701234567&coding=2&udh=%05%00%03z%02%01"
		    "&text=%D1%8F HTTP/1.1\r\n", "");
}

static void test_gateway_http_tells_what_was_not_sent(void **state)
{
	struct gateway_part part = sample;
	uint16_t port;
	int fd;
	struct co_loop *loop;

	(void)state;
	refuse_write = true;
	send_part("/", ok, &sample);
	assert_int_equal(outcome.verdict, GATEWAY_UNSENT);
	assert_string_equal(outcome.reason, "stopped");
	assert_int_equal(server.requests, 0);
	refuse_write = false;
	part.id = "a\r\nX: y";
	part.id_len = 7;
	send_part("/", ok, &part);
	assert_int_equal(outcome.verdict, GATEWAY_REFUSED);
	assert_string_equal(outcome.reason, "invalid_request");
	assert_int_equal(server.requests, 0);
	fd = server_listen(1, &port);
	close(fd);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
	loop = co_loop_new();
	assert_int_equal(co_run(loop, body, (void *)(uintptr_t)&sample, "test"), 0);
	co_loop_free(loop);
	assert_int_equal(outcome.verdict, GATEWAY_TRANSIENT);
	assert_string_equal(outcome.reason, "connect_refused");
	assert_int_equal(outcome.code, 0);
}

static int cancelled_body(void *arg)
{
	(void)arg;
	gw->ops->send(gw, &sample, clock_mono_us() + 5000000, NULL, NULL, &outcome);
	return 0;
}

static int body_cancel(void *arg)
{
	struct co_future *task;
	struct gateway_counters c;

	(void)arg;
	gw = gateway_http_new(&options, 1, err, sizeof err);
	assert_non_null(gw);
	task = co_task_new(cancelled_body, NULL, "cancelled");
	co_yield();
	co_cancel(task);
	co_wait(&task, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	co_unref(task);
	assert_int_equal(outcome.verdict, GATEWAY_UNSENT);
	assert_string_equal(outcome.reason, "cancelled");
	gw->ops->counters(gw, &c);
	assert_int_equal(c.requests_total, 1);
	gw->ops->free(gw);
	return 0;
}

static void test_gateway_http_cancels_before_the_first_byte(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	reply = ok;
	options.url = "http://localhost:1/";    /* its name is being resolved when the cancel comes */
	assert_int_equal(co_run(loop, body_cancel, NULL, "test"), 0);
	co_loop_free(loop);
}

static void expect_error(const char *word)
{
	gw = gateway_http_new(&options, 1, err, sizeof err);
	assert_null(gw);
	assert_memory_equal(err, "provider acme: ", 15);
	assert_non_null(strstr(err, word));
	assert_null(strstr(err, "geheim"));
	set_up(NULL);
	options.url = "http://127.0.0.1/";
}

static void test_gateway_http_explains_its_configuration(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	expect_error("url: must be set");
	options.url = "gopher://x";
	expect_error("url: must begin");
	options.url = "http://sms.example.com/send?key=geheim";
	expect_error("allow_plaintext");
	options.preset = "foo";
	expect_error("generic, twilio, kannel");
	options.preset = "twilio";
	expect_error("password_file");
	options.preset = "kannel";
	options.user = "u";
	expect_error("password_file");
	options.preset = "kannel";
	options.user = "u";
	options.password = "geheim";
	options.method = "POST";
	expect_error("method: preset = kannel takes one of: GET");
	options.method = "POS";
	expect_error("method");
	options.user = "a:b";
	options.password = "geheim";
	expect_error("colon");
	options.password = "geheim\r\nX: y";
	expect_error("one line");
	options.id_path = "a..b";
	expect_error("id_path");
	options.error_path = ".";
	expect_error("error_path");
	options.preset = "twilio";
	options.user = "AC";
	options.password = "geheim";
	options.url = "http://127.0.0.1/?x=y";
	expect_error("query");
	options.url = "https://127.0.0.1/";
	options.ca_file = "/nonexistent.pem";
	expect_error("/nonexistent.pem");
	options.connect_timeout_ms = 0;
	expect_error("connect_timeout_ms");
	options.url = "http://sms.example.com/";
	options.allow_plaintext = true;
	gw = gateway_http_new(&options, 1, err, sizeof err);
	assert_non_null(gw);
	gw->ops->free(gw);
	co_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_gateway_http_generic_writes_json, set_up),
		cmocka_unit_test_setup(test_gateway_http_generic_reads_answers, set_up),
		cmocka_unit_test_setup(test_gateway_http_speaks_twilio, set_up),
		cmocka_unit_test_setup(test_gateway_http_speaks_kannel, set_up),
		cmocka_unit_test_setup(test_gateway_http_tells_what_was_not_sent, set_up),
		cmocka_unit_test_setup(test_gateway_http_cancels_before_the_first_byte, set_up),
		cmocka_unit_test_setup(test_gateway_http_explains_its_configuration, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
