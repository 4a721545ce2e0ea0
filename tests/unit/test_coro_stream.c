/* dispatch/coro/stream.c, over socket pairs and pipes; names of CPython's test_streams.py where one checks the same. */
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch/coro/stream.h"
#include "tests/unit/test_coro.h"

enum { LIMIT = 64 };

static struct co_stream *a, *b;

static void open_pair(void)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	a = co_stream_new(ends[0], LIMIT);
	b = co_stream_new(ends[1], LIMIT);
	CHECK(a != NULL && b != NULL);
}

static void close_pair(void)
{
	co_stream_free(a);
	co_stream_free(b);
}

static void say(const char *words)
{
	EXPECT_INT(co_stream_write(a, words, strlen(words), CLOCK_NEVER), 0);
	EXPECT_INT(co_stream_drain(a, CLOCK_NEVER), 0);
}

/* test_read, test_read_eof */
TEST(test_coro_stream_read)
{
	char buf[8];

	open_pair();
	say("hello world");
	EXPECT_INT(co_stream_read(b, buf, 8, CLOCK_NEVER), 8);
	EXPECT(memcmp(buf, "hello wo", 8) == 0);
	EXPECT_INT(co_stream_read(b, buf, 8, CLOCK_NEVER), 3);
	EXPECT_INT(co_stream_read(b, buf, 8, co_in_ms(1)), -ETIMEDOUT);
	co_stream_free(a);
	a = NULL;
	EXPECT_INT(co_stream_read(b, buf, 8, CLOCK_NEVER), 0);
	EXPECT_INT(co_stream_read(b, buf, 8, CLOCK_NEVER), 0);
	EXPECT(co_stream_write(b, "x", 1, CLOCK_NEVER) == 0 && co_stream_drain(b, CLOCK_NEVER) == -EPIPE);
	EXPECT_INT(co_stream_write(b, "x", 1, CLOCK_NEVER), -EPIPE);
	close_pair();
	return 0;
}

static int says_slowly(void *arg)
{
	for (const char *c = arg; *c != '\0'; c++) {
		char one[2] = { *c, '\0' };

		say(one);
		yield_times(2);
	}
	return 0;
}

static void expect_line(const char *want)
{
	const char *line = "";
	int n = co_stream_read_until(b, '\n', &line, CLOCK_NEVER);

	EXPECT_INT(n, strlen(want));
	EXPECT(n == (int)strlen(want) && memcmp(line, want, (size_t)n) == 0);
}

/* test_readuntil_separator, test_readline: lines come whole however they arrive, past the buffer's end too */
TEST(test_coro_stream_read_until)
{
	struct co_future *t;

	open_pair();
	t = spawn(says_slowly, WORD("one\ntwo\n"));
	expect_line("one\n");
	expect_line("two\n");
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	for (int i = 0; i < 40; i++) {
		say("a line of some length that goes around\n\nx");
		expect_line(i == 0 ? "a line of some length that goes around\n" : "xa line of some length that goes around\n");
		expect_line("\n");
	}
	close_pair();
	return 0;
}

/* test_readuntil_limit.., test_readline_eof, test_readexactly, test_readexactly_eof */
TEST(test_coro_stream_limits)
{
	const char *line;
	char buf[LIMIT + 1];

	open_pair();
	for (int i = 0; i < LIMIT; i++)
		say("-");
	EXPECT_INT(co_stream_read_until(b, '\n', &line, CLOCK_NEVER), -EMSGSIZE);
	EXPECT_INT(co_stream_read_exactly(b, buf, LIMIT + 1, CLOCK_NEVER), -EMSGSIZE);
	EXPECT_INT(co_stream_read_exactly(b, buf, 10, CLOCK_NEVER), 10);
	say("0123456789");
	EXPECT_INT(co_stream_read_exactly(b, buf, LIMIT, CLOCK_NEVER), LIMIT);
	EXPECT(memcmp(buf + LIMIT - 10, "0123456789", 10) == 0);
	say("rest");
	co_stream_free(a);
	a = NULL;
	EXPECT_INT(co_stream_read_exactly(b, buf, 5, CLOCK_NEVER), -ENODATA);
	EXPECT_INT(co_stream_read_until(b, '\n', &line, CLOCK_NEVER), -ENODATA);
	EXPECT_INT(co_stream_read(b, buf, sizeof buf, CLOCK_NEVER), 4);
	close_pair();
	return 0;
}

enum { MUCH = 1000000 };

static int writes_much(void *arg)
{
	char buf[100];

	(void)arg;
	for (int i = 0; i < MUCH / 100; i++) {
		int rc;

		memset(buf, i & 127, sizeof buf);
		rc = co_stream_write(a, buf, sizeof buf, CLOCK_NEVER);
		if (rc < 0)
			return rc;
	}
	return co_stream_drain(a, CLOCK_NEVER);
}

/* test_drain..: who writes more than is read waits */
TEST(test_coro_stream_back_pressure)
{
	struct co_future *t;
	size_t got = 0, wrong = 0;
	char buf[77];
	int n;

	open_pair();
	t = spawn(writes_much, NULL);
	yield_times(20);
	EXPECT(!co_done(t));
	while (got < MUCH && (n = co_stream_read(b, buf, sizeof buf, CLOCK_NEVER)) > 0)
		for (int i = 0; i < n; i++)
			wrong += buf[i] != (char)(got++ / 100 & 127);
	EXPECT_INT(got, MUCH);
	EXPECT_INT(wrong, 0);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	t = spawn(writes_much, NULL);
	yield_times(20);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	close_pair();
	return 0;
}

TEST(test_coro_stream_pipe)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	b = co_stream_new(ends[0], LIMIT);
	a = co_stream_new(ends[1], LIMIT);
	CHECK(a != NULL && b != NULL);
	say("through\n");
	expect_line("through\n");
	close_pair();
	EXPECT(co_stream_new(-1, LIMIT) == NULL);
	return 0;
}

/* On a thread of its own, until the other end is closed. */
static void *writes_on(void *arg)
{
	static char much[65536];

	while (send(*(int *)arg, much, sizeof much, MSG_NOSIGNAL) > 0)
		;
	close(*(int *)arg);
	return NULL;
}

/* Regression: where the peer keeps up, a reader never waited, and no timeout, cancel or other task had a turn. */
TEST(test_coro_stream_gives_way)
{
	struct co_timeout t;
	pthread_t thread;
	int ends[2], rc = 0;
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	b = co_stream_new(ends[1], 1);          /* each byte a look at the descriptor */
	CHECK(b != NULL && pthread_create(&thread, NULL, writes_on, &ends[0]) == 0);
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	while (rc >= 0)
		rc = co_stream_read(b, &c, 1, CLOCK_NEVER);
	EXPECT_INT(co_timeout_leave(&t, rc), -ETIMEDOUT);
	co_stream_free(b);
	pthread_join(thread, NULL);
	return 0;
}

/* Regression: one look in sixteen was too late, where the deadline was past and something was there. */
TEST(test_coro_stream_what_is_there_is_had)
{
	static const char much[40];
	int ends[2];
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[0], much, sizeof much) == sizeof much);
	b = co_stream_new(ends[1], 1);
	CHECK(b != NULL);
	for (size_t i = 0; i < sizeof much; i++)
		EXPECT_INT(co_stream_read(b, &c, 1, 0), 1);
	EXPECT_INT(co_stream_read(b, &c, 1, 0), -ETIMEDOUT);
	co_stream_free(b);
	close(ends[0]);
	return 0;
}

/* Regression: a write that failed for want of room left its beginning in the buffer. */
TEST(test_coro_stream_write_all_or_nothing)
{
	char much[LIMIT], got[4 * LIMIT];
	int n = 0, rc, whole = 0;

	open_pair();
	memset(much, 'x', sizeof much);
	for (; (rc = co_stream_write(a, much, LIMIT - 8, co_in_ms(1))) == 0; whole++)
		;
	EXPECT_INT(rc, -ETIMEDOUT);
	for (int want = whole * (LIMIT - 8); n < want; n += rc) {
		rc = co_stream_read(b, got, sizeof got, CLOCK_NEVER);
		EXPECT(rc > 0);
		EXPECT_INT(co_stream_drain(a, co_in_ms(1000)), 0);
	}
	EXPECT_INT(co_stream_read(b, got, sizeof got, co_in_ms(1)), -ETIMEDOUT);
	EXPECT_INT(n, whole * (LIMIT - 8));
	close_pair();
	return 0;
}

/* A pair over TCP, for only there a peer can reset. */
static void open_tcp_pair(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2];

	CHECK(server >= 0 && bind(server, (struct sockaddr *)&at, len) == 0 && listen(server, 1) == 0);
	CHECK(getsockname(server, (struct sockaddr *)&at, &len) == 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(ends[0] >= 0 && connect(ends[0], (struct sockaddr *)&at, len) == 0);
	ends[1] = accept(server, NULL, NULL);
	CHECK(ends[1] >= 0);
	close(server);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger)) == 0);
	a = co_stream_new(ends[0], LIMIT);
	b = co_stream_new(ends[1], LIMIT);
	CHECK(a != NULL && b != NULL);
}

/* Regression: after a reset the next read told of a clean end. */
TEST(test_coro_stream_errors_stay)
{
	const char *line;
	char c;

	open_tcp_pair();
	co_stream_free(a);
	a = NULL;
	for (int i = 0; i < 3; i++)
		EXPECT_INT(co_stream_read(b, &c, 1, co_in_ms(1000)), -ECONNRESET);
	EXPECT_INT(co_stream_read_until(b, '\n', &line, co_in_ms(1000)), -ECONNRESET);
	close_pair();
	return 0;
}

static int reads_one(void *arg)
{
	char c;

	(void)arg;
	return co_stream_read(b, &c, 1, CLOCK_NEVER);
}

/* Each at its own end of the pair: b's reader finds nothing, a's writer no room. */
static int leaves_a_reader(void *arg)
{
	open_pair();
	co_unref(spawn(reads_one, arg));
	return co_yield();
}

static int leaves_a_writer(void *arg)
{
	struct co_future *t;

	open_pair();
	t = spawn(writes_much, arg);
	yield_times(20);
	EXPECT(!co_done(t));
	co_unref(t);
	return 0;
}

static int says_and_reads(void *arg)
{
	char c = '-';

	(void)arg;
	say("x");
	EXPECT_INT(co_stream_read(b, &c, 1, co_in_ms(10000)), 1);
	EXPECT_INT(c, 'x');
	return 0;
}

static int reads_and_drains(void *arg)
{
	char buf[77];
	int rc;

	(void)arg;
	while ((rc = co_stream_read(b, buf, sizeof buf, 0)) > 0)
		;
	EXPECT_INT(rc, -ETIMEDOUT);
	EXPECT_INT(co_stream_drain(a, co_in_ms(10000)), 0);
	return 0;
}

/* Regression: who had waited under a loop that was abandoned was in the way of who came under the next. */
static void test_coro_stream_under_the_next_loop(void **state)
{
	static co_body_fn *const first[] = { leaves_a_reader, leaves_a_writer }, *const next[] = { says_and_reads, reads_and_drains };

	(void)state;
	expect_failures = 0;
	for (int i = 0; i < 2; i++) {
		struct co_loop *loop = co_loop_new();

		assert_non_null(loop);
		EXPECT_INT(co_run(loop, first[i], NULL, "first"), 0);
		co_loop_abandon(loop);
		loop = co_loop_new();
		assert_non_null(loop);
		EXPECT_INT(co_run(loop, next[i], NULL, "next"), 0);
		close_pair();
		co_loop_free(loop);
	}
	assert_int_equal(expect_failures, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_stream_read),
		cmocka_unit_test(test_coro_stream_read_until),
		cmocka_unit_test(test_coro_stream_limits),
		cmocka_unit_test(test_coro_stream_back_pressure),
		cmocka_unit_test(test_coro_stream_pipe),
		cmocka_unit_test(test_coro_stream_gives_way),
		cmocka_unit_test(test_coro_stream_what_is_there_is_had),
		cmocka_unit_test(test_coro_stream_write_all_or_nothing),
		cmocka_unit_test(test_coro_stream_errors_stay),
		cmocka_unit_test(test_coro_stream_under_the_next_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
