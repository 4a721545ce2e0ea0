/* dispatch/coro/stream.c, over socket pairs and pipes; names of CPython's test_streams.py where one checks the same. */
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_stream_read),
		cmocka_unit_test(test_coro_stream_read_until),
		cmocka_unit_test(test_coro_stream_limits),
		cmocka_unit_test(test_coro_stream_back_pressure),
		cmocka_unit_test(test_coro_stream_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
