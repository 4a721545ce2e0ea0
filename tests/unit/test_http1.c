/* test_http1.c: which replies are taken, how they are framed, and what a request looks like on the wire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/base/buf.h"
#include "dispatch/http1.h"

static char data[200000];
static struct http1_reader reader;
static struct http_header headers[HTTP1_FIELDS_MAX];
static struct http_reply reply;

/* Reads the text in pieces of `step` bytes; with `end`, the peer closes then. */
static enum http1_result read_pieces(const char *text, size_t len, size_t step, bool end)
{
	enum http1_result rc = HTTP1_MORE;
	size_t got = 0;

	http1_reader_init(&reader, 65536);
	while (rc == HTTP1_MORE && got < len) {
		size_t n = len - got < step ? len - got : step;

		memcpy(data + got, text + got, n);
		got += n;
		rc = http1_read(&reader, data, got);
	}
	if (rc == HTTP1_MORE && end)
		rc = http1_read_end(&reader, got);
	if (rc == HTTP1_DONE)
		http1_reply(&reader, data, headers, &reply);
	return rc;
}

static void expect_failure(const char *text, enum http1_result want)
{
	size_t len = strlen(text);

	assert_int_equal(read_pieces(text, len, len, false), want);
	assert_int_equal(read_pieces(text, len, 1, false), want);
}

static void expect_bad(const char *text)
{
	expect_failure(text, HTTP1_BAD);
}

static void expect_reply(const char *text, bool end, int status, const char *body, bool keep_alive)
{
	size_t len = strlen(text);

	for (size_t step = 1; step <= len; step++) {
		assert_int_equal(read_pieces(text, len, step, end), HTTP1_DONE);
		assert_int_equal(reply.status, status);
		assert_int_equal(reply.body_len, strlen(body));
		assert_memory_equal(reply.body, body, reply.body_len);
		assert_int_equal(reader.keep_alive, keep_alive);
	}
}

static void test_http1_reads_a_body_of_known_length(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello", false, 200, "hello", true);
	assert_int_equal(reply.n_headers, 2);
	assert_string_equal(reply.headers[0].name, "Content-Type");
	assert_int_equal(http_reply_header(&reply, "content-TYPE")->value_len, 10);
	assert_memory_equal(http_reply_header(&reply, "content-TYPE")->value, "text/plain", 10);
	assert_null(http_reply_header(&reply, "content"));
	expect_reply("HTTP/1.1 201\r\nContent-Length:0\r\n\r\n", false, 201, "", true);
	expect_reply("HTTP/1.1 500 \r\ncontent-length: \t 2 \t\r\n\r\nxy", false, 500, "xy", true);
}

static void test_http1_leaves_what_follows_alone(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n";

	(void)state;
	assert_int_equal(read_pieces(text, sizeof text - 1, sizeof text, false), HTTP1_DONE);
	assert_int_equal(reader.pos, 39);
}

static void test_http1_joins_chunks(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0A;x=\"y\"\r\n, wide wor\r\n2 ;z\r\nld\r\n0\r\n\r\n",
		     false, 200, "hello, wide world", true);
	expect_reply("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nContent-Length: 77\r\n\r\n", false, 200, "", true);
	assert_int_equal(reply.n_headers, 1);
}

static void test_http1_knows_replies_without_body(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true);
	expect_reply("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", false, 204, "", true);
	expect_reply("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, "", true);
}

static void test_http1_skips_interim_replies(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
		     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		     false, 200, "ok", true);
	assert_int_equal(reply.n_headers, 1);
	expect_bad("HTTP/1.1 101 Switching Protocols\r\n");
}

static void test_http1_tells_whether_the_connection_lives(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false, 200, "", false);
	expect_reply("HTTP/1.1 200 OK\r\nConnection: x , CLOSE\r\nContent-Length: 0\r\n\r\n", false, 200, "", false);
	expect_reply("HTTP/1.1 200 OK\r\nConnection: closed, keep-alive\r\nContent-Length: 0\r\n\r\n", false, 200, "", true);
	expect_reply("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "", false);
	expect_reply("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", false, 200, "", true);
	expect_reply("HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n", false, 200, "", false);
}

static void test_http1_reads_until_close(void **state)
{
	(void)state;
	expect_reply("HTTP/1.1 200 OK\r\n\r\nuntil the end", true, 200, "until the end", false);
	expect_reply("HTTP/1.0 404 No\r\nConnection: keep-alive\r\n\r\n", true, 404, "", false);
	assert_int_equal(read_pieces("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 41, 99, true), HTTP1_BAD);
	assert_int_equal(read_pieces("HTTP/1.1 200 OK\r\n", 17, 99, true), HTTP1_BAD);
	assert_int_equal(read_pieces("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 53, 99, true), HTTP1_BAD);
	assert_int_equal(read_pieces("", 0, 1, true), HTTP1_BAD);
}

static void test_http1_refuses_bad_status_lines(void **state)
{
	static const char *const bad[] = { "X", "HTTP/2 200 OK\r\n", "HTTP/1.2 200 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 OK\r\n", "HTTP/1.1 600 X\r\n", "HTTP/1.1 099 X\r\n", "HTTP/1.1 200 O\x01K\r\n", "HTTP/1.1 200 OK\n",
		"http/1.1 200 OK\r\n", "\r\nHTTP/1.1 200 OK\r\n", "HTTP/1.1 200 a\rb\r\n", "ICY 200 OK\r\n", "<html>" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_bad(bad[i]);
}

static void test_http1_refuses_bad_fields(void **state)
{
	static const char *const bad[] = { "A : b\r\n", " A: b\r\n", ": b\r\n", "A\r\n", "A: b\n", "A: b\r\n folded\r\n", "A: b\rc\r\n",
		"A: \x02\r\n", "A(: b\r\n", "Content-Length: +5\r\n", "Content-Length: 5, 5\r\n", "Content-Length: \r\n",
		"Content-Length: 0x5\r\n", "Content-Length: -1\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\nContent-Length: 6\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked, chunked\r\n",
		"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "\n" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s", bad[i]);
		expect_bad(text);
	}
	expect_bad("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void test_http1_refuses_bad_chunks(void **state)
{
	static const char *const bad[] = { "\r\n", "g\r\n", "5\nhello\r\n", "5\r\nhelloX", "5\r\nhello\rX", "-1\r\n", " 5\r\n",
		"5 \r\n", "5;\x01\r\n",
		"0\r\nbad trailer\r\n", "0x5\r\n" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", bad[i]);
		expect_bad(text);
	}
}

static void test_http1_holds_its_limits(void **state)
{
	static char text[100000];
	size_t n;

	(void)state;
	expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", HTTP1_BIG);
	expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n", HTTP1_BIG);
	expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n", HTTP1_BIG);
	expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", HTTP1_BIG);
	memset(text, 'a', sizeof text);
	memcpy(text, "HTTP/1.1 200 ", 13);
	text[HTTP1_HEAD_MAX + 2] = '\0';
	expect_failure(text, HTTP1_BIG);
	n = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i <= HTTP1_FIELDS_MAX; i++)
		n += (size_t)sprintf(text + n, "a: b\r\n");
	expect_failure(text, HTTP1_BIG);
	memset(text, 'a', sizeof text);
	memcpy(text, "HTTP/1.1 200 \r\n\r\n", 17);
	text[65537] = '\0';
	expect_failure(text, HTTP1_BIG);        /* until close, and too much */
	for (n = 0; n < 70000; n += 25)
		memcpy(text + n, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	text[70000] = '\0';
	expect_failure(text, HTTP1_BIG);
}

static void test_http1_waits_with_less_than_a_reply(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++) {
		assert_int_equal(read_pieces(text, n, 99, false), HTTP1_MORE);
		assert_int_equal(read_pieces(text, n, 1, false), HTTP1_MORE);
	}
}

static void expect_request(const struct http_request *q, const char *want)
{
	struct buf out = { 0 };

	assert_int_equal(http1_put_request(&out, q, "h:81", 4), 0);
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.data, want, out.len);
	buf_fini(&out);
}

static void test_http1_writes_requests(void **state)
{
	const struct http_header h = { "Idempotency-Key", "a/1xx", 3 };
	struct http_request q = { .method = "POST", .path = "/send?x=1", .path_len = 9, .head = "A: b\r\n", .head_len = 6, .headers = &h,
		.n_headers = 1, .body = "{}", .body_len = 2 };

	(void)state;
	expect_request(&q, "POST /send?x=1 HTTP/1.1\r\nHost: h:81\r\nA: b\r\nIdempotency-Key: a/1\r\nContent-Length: 2\r\n\r\n{}");
	q.body_len = 0;
	q.n_headers = 0;
	expect_request(&q, "POST /send?x=1 HTTP/1.1\r\nHost: h:81\r\nA: b\r\nContent-Length: 0\r\n\r\n");
	q.method = "GET";
	expect_request(&q, "GET /send?x=1 HTTP/1.1\r\nHost: h:81\r\nA: b\r\n\r\n");
}

static void test_http1_writes_no_request_that_breaks_framing(void **state)
{
	struct http_header h = { "A", "b\r\nC: d", 7 };
	struct http_request q = { .method = "POST", .path = "/", .path_len = 1, .headers = &h, .n_headers = 1 };
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(http1_put_request(&out, &q, "h", 1), -EINVAL);
	h = (struct http_header){ "A b", "c", 1 };
	assert_int_equal(http1_put_request(&out, &q, "h", 1), -EINVAL);
	q.n_headers = 0;
	q.path = "/a b";
	q.path_len = 4;
	assert_int_equal(http1_put_request(&out, &q, "h", 1), -EINVAL);
	q.path_len = 0;
	assert_int_equal(http1_put_request(&out, &q, "h", 1), -EINVAL);
	q.path_len = 2;
	q.method = "GE T";
	assert_int_equal(http1_put_request(&out, &q, "h", 1), -EINVAL);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http1_reads_a_body_of_known_length),
		cmocka_unit_test(test_http1_leaves_what_follows_alone),
		cmocka_unit_test(test_http1_joins_chunks),
		cmocka_unit_test(test_http1_knows_replies_without_body),
		cmocka_unit_test(test_http1_skips_interim_replies),
		cmocka_unit_test(test_http1_tells_whether_the_connection_lives),
		cmocka_unit_test(test_http1_reads_until_close),
		cmocka_unit_test(test_http1_refuses_bad_status_lines),
		cmocka_unit_test(test_http1_refuses_bad_fields),
		cmocka_unit_test(test_http1_refuses_bad_chunks),
		cmocka_unit_test(test_http1_holds_its_limits),
		cmocka_unit_test(test_http1_waits_with_less_than_a_reply),
		cmocka_unit_test(test_http1_writes_requests),
		cmocka_unit_test(test_http1_writes_no_request_that_breaks_framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
