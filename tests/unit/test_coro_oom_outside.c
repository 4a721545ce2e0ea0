/* dispatch/coro when memory is short: what reaches outside of the loop: descriptors, streams, threads, posts, diagnostics. Every
 * allocation of each scenario fails once (test_coro_oom.h). */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch/coro/stream.h"
#include "tests/unit/test_coro_oom.h"

/* ---- descriptors ---- */

OOM_TEST(test_coro_oom_fd_wait)
{
	int ends[2], rc;

	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	rc = co_fd_wait(ends[1], EV_WRITE, far());
	EXPECT(is(rc, EV_WRITE));
	if (rc > 0) {
		rc = co_fd_wait(ends[0], EV_READ, clock_mono_us() + 20);
		EXPECT(is(rc, -ETIMEDOUT));
	}
	close(ends[0]);
	close(ends[1]);
	return rc == -ETIMEDOUT ? 0 : rc;
}

enum { MUCH = 40000, LIMIT = 4096 };

struct writer {
	struct co_stream *s;
	int fd;
};

static int writes_much(void *arg)
{
	static const char zeros[1000];
	struct writer *w = arg;
	int rc = 0;

	for (size_t n = 0; n < MUCH && rc == 0; n += sizeof zeros)
		rc = co_stream_write(w->s, zeros, sizeof zeros, far());
	if (rc == 0)
		rc = co_stream_write(w->s, "x\n", 2, far());
	if (rc == 0)
		rc = co_stream_drain(w->s, far());
	EXPECT(rc == -ECANCELED || is(rc, 0));
	shutdown(w->fd, SHUT_WR);       /* who reads is not to wait for what does not come */
	return rc;
}

static int reads_much(struct co_stream *s)
{
	char buf[1000];
	const char *line;
	int rc = 0;

	for (size_t n = 0; n < MUCH && rc >= 0; n += sizeof buf)
		rc = co_stream_read_exactly(s, buf, sizeof buf, far());
	if (rc >= 0)
		rc = co_stream_read_until(s, '\n', &line, far());
	if (rc >= 0)
		rc = memcmp(line, "x\n", 2);
	return rc;
}

static struct co_stream *stream_of(int fd)
{
	struct co_stream *s = co_stream_new(fd, LIMIT);

	if (s == NULL)
		close(fd);              /* still ours */
	return s;
}

OOM_TEST(test_coro_oom_stream)
{
	struct co_stream *a, *b;
	struct co_future *t = NULL;
	struct writer w;
	int ends[2], small = 4096, rc = -ENOMEM, wrote = -ENOMEM;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
	a = stream_of(ends[0]);
	b = stream_of(ends[1]);
	w = (struct writer){ a, ends[0] };
	if (a != NULL && b != NULL)
		t = co_task_new(writes_much, &w, "writer");
	if (t != NULL) {
		rc = reads_much(b);
		co_cancel(t);           /* unless it is through */
		wrote = co_await(t);
		EXPECT(rc == 0 || rc == -ENODATA || is(rc, 0));
		EXPECT(wrote == -ECANCELED || is(wrote, 0));
		co_unref(t);
	}
	co_stream_free(a);
	co_stream_free(b);
	return rc == 0 && wrote == 0 ? 0 : -ENOMEM;
}

/* ---- threads ---- */

static void released(void *arg)
{
	++*(int *)arg;
}

static int returns_seven(void *arg)
{
	(void)arg;
	return 7;
}

/* `release` is called once in whatever way it ends. */
OOM_TEST(test_coro_oom_offload)
{
	int n_released = 0, rc = 0, n = 0;

	for (int i = 0; i < 3 && rc >= 0; i++, n++)
		rc = co_offload(returns_seven, &n_released, released, i == 1 ? CLOCK_NEVER : far());
	EXPECT(is(rc, 7));
	/* Where there was no memory for the deadline's timer the body is on its way all the same. */
	while (n_released < n)
		EXPECT_INT(co_yield(), 0);
	EXPECT_INT(n_released, n);
	return rc == 7 ? 0 : rc;
}

struct post {
	struct co_loop *loop;
	int n_run, rc;
};

static void count_run(void *arg)
{
	((struct post *)arg)->n_run++;
}

static void *post_from_thread(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < 3; i++)
		p->rc = co_post(p->loop, count_run, p) < 0 ? -ENOMEM : p->rc;
	return NULL;
}

OOM_TEST(test_coro_oom_post)
{
	struct post p = { .loop = co_loop_current() };
	int here = co_post(p.loop, count_run, &p);
	pthread_t thread;

	EXPECT(is(here, 0));
	CHECK(pthread_create(&thread, NULL, post_from_thread, &p) == 0);
	pthread_join(thread, NULL);
	yield_times(200);
	EXPECT(p.n_run == 4 || here < 0 || p.rc < 0);
	return here < 0 ? here : p.rc;
}

/* ---- diagnostics ---- */

static void no_visit(const struct co_task_info *info, void *arg)
{
	EXPECT(info->name != NULL);
	++*(int *)arg;
}

static void no_mark(const struct co_stack_mark *mark, void *arg)
{
	(void)mark;
	++*(int *)arg;
}

/* A dump without memory for its tree is a list. */
OOM_TEST(test_coro_oom_diag)
{
	static char text[16384];
	struct co_loop *loop = co_loop_current();
	struct co_future *t[3];
	int rc = co_watchdog_start(loop, 1000, STDERR_FILENO), n = 0, n_visits = 0, marks = co_loop_measure_stacks(loop);
	FILE *out = fmemopen(text, sizeof text, "w");

	CHECK(out != NULL);
	EXPECT(is(rc, 0));
	EXPECT(is(marks, 0));
	n = spawn_some(t, 3, sleep_forever, NULL);
	yield_times(2);
	co_task_dump(loop, out);
	fclose(out);
	EXPECT(strstr(text, "\n  scenario: running") != NULL);
	co_task_each(loop, no_visit, &n_visits);
	EXPECT_INT(n_visits, n + 1);
	co_loop_trim(loop);
	cancel_all(t, n);
	end_all(t, n);
	n_visits = 0;
	co_loop_stack_marks(loop, no_mark, &n_visits);
	EXPECT(n_visits == (marks == 0 && n > 0));
	co_watchdog_stop(loop);
	return n < 3 ? -ENOMEM : rc < 0 ? rc : marks;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_oom_fd_wait),
		cmocka_unit_test(test_coro_oom_stream),
		cmocka_unit_test(test_coro_oom_offload),
		cmocka_unit_test(test_coro_oom_post),
		cmocka_unit_test(test_coro_oom_diag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
