/* dispatch/coro/queue.c, stream.c: what must not be done to a queue or a stream at which tasks are. */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch/coro/stream.h"
#include "tests/unit/test_coro_misuse.h"

/* ---- queues ---- */

static int gets(void *arg)
{
	void *item;

	return co_queue_get(arg, &item, CLOCK_NEVER);
}

MISUSE(test_coro_misuse_queue_freed_under_a_getter, "a queue is freed while task \"child\" waits to get from it")
{
	struct co_queue *q = co_queue_new(1);

	CHECK(q != NULL);
	(void)spawn(gets, q);
	yield_times(1);
	co_queue_free(q);
	return 0;
}

static int puts_two(void *arg)
{
	return co_queue_put(arg, arg, CLOCK_NEVER) < 0 ? -1 : co_queue_put(arg, arg, CLOCK_NEVER);
}

MISUSE(test_coro_misuse_queue_freed_under_a_putter, "a queue is freed while task \"child\" waits to put into it")
{
	struct co_queue *q = co_queue_new(1);

	CHECK(q != NULL);
	(void)spawn(puts_two, q);
	yield_times(1);
	co_queue_free(q);
	return 0;
}

MISUSE(test_coro_misuse_queue_freed_under_a_woken_getter, "a queue is freed while a task that it woke has still to look at it")
{
	struct co_queue *q = co_queue_new(1);

	CHECK(q != NULL);
	(void)spawn(gets, q);
	yield_times(1);
	co_queue_shutdown(q, true, NULL);
	co_queue_free(q);
	return 0;
}

static int joins(void *arg)
{
	return co_queue_join(arg, CLOCK_NEVER);
}

MISUSE(test_coro_misuse_queue_freed_in_its_join, "a queue is freed while task \"child\" waits in its join")
{
	struct co_queue *q = co_queue_new(1);

	CHECK(q != NULL && co_queue_try_put(q, q) == 0);
	(void)spawn(joins, q);
	yield_times(1);
	co_queue_free(q);
	return 0;
}

/* Made before there is a loop. */
static struct co_queue *early_queue;

static int frees_queue_under_a_getter(void *arg)
{
	(void)arg;
	(void)spawn(gets, early_queue);
	yield_times(1);
	co_queue_free(early_queue);
	return 0;
}

static int frees_queue_in_its_join(void *arg)
{
	(void)arg;
	CHECK(co_queue_try_put(early_queue, early_queue) == 0);
	(void)spawn(joins, early_queue);
	yield_times(1);
	co_queue_free(early_queue);
	return 0;
}

/* Regression: who had made a queue said whose loop it is, and one made before the loop was nobody's: freed under whoever waited. */
static void test_coro_misuse_queue_older_than_its_loop(void **state)
{
	(void)state;
	early_queue = co_queue_new(1);
	assert_non_null(early_queue);
	aborts_in_a_task(frees_queue_under_a_getter, "a queue is freed while task \"child\" waits to get from it");
	aborts_in_a_task(frees_queue_in_its_join, "a queue is freed while task \"child\" waits in its join");
	co_queue_free(early_queue);             /* here nobody ever waited */
}

/* Regression: the thread without a loop was taken for the loop's end, and the getter never heard of the item. */
static void *puts_without_a_loop(void *arg)
{
	(void)!co_queue_try_put(arg, arg);
	return NULL;
}

static int gives_a_queue_to_a_thread(void *arg)
{
	struct co_queue *q = co_queue_new(1);
	pthread_t thread;

	(void)arg;
	CHECK(q != NULL);
	(void)spawn(gets, q);
	yield_times(1);
	CHECK(pthread_create(&thread, NULL, puts_without_a_loop, q) == 0);
	pthread_join(thread, NULL);
	return 0;
}

static void test_coro_misuse_queue_of_another_thread(void **state)
{
	(void)state;
	aborts(gives_a_queue_to_a_thread, "a queue of another thread's loop is used: use co_post()");
}

/* ---- streams ---- */

static int reads(void *arg)
{
	char c;

	return co_stream_read(arg, &c, 1, CLOCK_NEVER);
}

static int ends[2];             /* the stream's, and its peer */

static struct co_stream *stream_of_a_pair(void)
{
	struct co_stream *s;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	s = co_stream_new(ends[0], 64);
	CHECK(s != NULL);
	return s;
}

MISUSE(test_coro_misuse_stream_freed, "a stream is freed while task \"child\" is at a read")
{
	struct co_stream *s = stream_of_a_pair();

	(void)spawn(reads, s);
	yield_times(1);
	co_stream_free(s);
	return 0;
}

/* test_streams: RuntimeError, read() called while another coroutine is already waiting */
MISUSE(test_coro_misuse_stream_read_by_two, "task \"child\" is at this stream in the same direction already")
{
	struct co_stream *s = stream_of_a_pair();

	(void)spawn(reads, s);
	yield_times(1);
	return reads(s);
}

static int reads_a_line(void *arg)
{
	const char *line;

	return co_stream_read_until(arg, '\n', &line, CLOCK_NEVER);
}

/* Regression: a second reader was noticed only where it had to wait; one that took what was there already let the first look behind it. */
MISUSE(test_coro_misuse_stream_read_by_two_from_the_buffer, "task \"child\" is at this stream in the same direction already")
{
	struct co_stream *s = stream_of_a_pair();
	char got[3];
	int n_unread = 3;

	(void)spawn(reads_a_line, s);
	CHECK(write(ends[1], "abc", 3) == 3);
	for (int i = 0; i < 100000 && n_unread > 0; i++) {
		yield_times(1);
		CHECK(ioctl(ends[0], FIONREAD, &n_unread) == 0);
	}
	return co_stream_read(s, got, 3, CLOCK_NEVER);
}

static const char much[64];

static int drains(void *arg)
{
	int rc = 0;

	while (rc == 0) {
		rc = co_stream_write(arg, much, 1, CLOCK_NEVER);
		if (rc == 0)
			rc = co_stream_drain(arg, CLOCK_NEVER);
	}
	return rc;
}

/* The other direction: there is room in the buffer, none in the socket. */
MISUSE(test_coro_misuse_stream_written_by_two_into_the_buffer, "task \"child\" is at this stream in the same direction already")
{
	struct co_stream *s = stream_of_a_pair();

	while (send(ends[0], much, sizeof much, MSG_DONTWAIT) > 0)
		;
	(void)spawn(drains, s);
	yield_times(1);
	return co_stream_write(s, much, 1, CLOCK_NEVER);
}

/* A stream of a byte's buffer whose peer has sent much: each byte is a look at the descriptor, and one in sixteen gives way. */
static struct co_stream *stream_that_keeps_up(void)
{
	struct co_stream *s;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[1], much, sizeof much) == sizeof much);
	s = co_stream_new(ends[0], 1);
	CHECK(s != NULL);
	return s;
}

static int reads_on(void *arg)
{
	int rc = 1;
	char c;

	while (rc > 0)
		rc = co_stream_read(arg, &c, 1, CLOCK_NEVER);
	return rc;
}

/* Until "child" gives way, which is the first time that it suspends; 16 bytes are read then, 48 left. */
static void let_it_read(struct co_stream *s)
{
	(void)spawn(reads_on, s);
	yield_times(1);
}

/* Regression: a reader that gave way was not at the stream, which was freed under it. */
MISUSE(test_coro_misuse_stream_freed_while_it_gives_way, "a stream is freed while task \"child\" is at a read")
{
	struct co_stream *s = stream_that_keeps_up();

	let_it_read(s);
	co_stream_free(s);
	yield_times(1);
	return 0;
}

/* Regression: nor was it in a second reader's way: both filled the room that the first had found, and wrote past the buffer. */
MISUSE(test_coro_misuse_stream_read_while_it_gives_way, "task \"child\" is at this stream in the same direction already")
{
	struct co_stream *s = stream_that_keeps_up();
	char c;

	let_it_read(s);
	return co_stream_read(s, &c, 1, CLOCK_NEVER);   /* something is there: it need not wait */
}

/* The other direction: the system takes each byte at once. */
MISUSE(test_coro_misuse_stream_freed_while_a_writer_gives_way, "a stream is freed while task \"child\" is at a write")
{
	struct co_stream *s = stream_that_keeps_up();

	(void)spawn(drains, s);
	yield_times(1);
	co_stream_free(s);
	yield_times(1);
	return 0;
}

static struct co_stream *early_stream;

static int frees_stream_under_a_reader(void *arg)
{
	(void)arg;
	(void)spawn(reads, early_stream);
	yield_times(1);
	co_stream_free(early_stream);
	return 0;
}

/* Regression: as with a queue, one made before the loop was nobody's. */
static void test_coro_misuse_stream_older_than_its_loop(void **state)
{
	(void)state;
	early_stream = stream_of_a_pair();
	aborts_in_a_task(frees_stream_under_a_reader, "a stream is freed while task \"child\" is at a read");
	co_stream_free(early_stream);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_misuse_queue_freed_under_a_getter),
		cmocka_unit_test(test_coro_misuse_queue_freed_under_a_putter),
		cmocka_unit_test(test_coro_misuse_queue_freed_under_a_woken_getter),
		cmocka_unit_test(test_coro_misuse_queue_freed_in_its_join),
		cmocka_unit_test(test_coro_misuse_queue_older_than_its_loop),
		cmocka_unit_test(test_coro_misuse_queue_of_another_thread),
		cmocka_unit_test(test_coro_misuse_stream_freed),
		cmocka_unit_test(test_coro_misuse_stream_read_by_two),
		cmocka_unit_test(test_coro_misuse_stream_read_by_two_from_the_buffer),
		cmocka_unit_test(test_coro_misuse_stream_written_by_two_into_the_buffer),
		cmocka_unit_test(test_coro_misuse_stream_freed_while_it_gives_way),
		cmocka_unit_test(test_coro_misuse_stream_read_while_it_gives_way),
		cmocka_unit_test(test_coro_misuse_stream_freed_while_a_writer_gives_way),
		cmocka_unit_test(test_coro_misuse_stream_older_than_its_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
