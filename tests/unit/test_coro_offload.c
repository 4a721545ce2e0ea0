/* dispatch/coro/offload.c, offload_threads.c, poll_libevent.c: bodies on other threads, descriptors. */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "tests/unit/test_coro.h"

/* A body that holds until it is told to go on; no sleeping. */
struct gate {
	int pipe[2];
	atomic_int entered, left, released;
};

static void gate_open(struct gate *g)
{
	*g = (struct gate){ .entered = 0 };
	CHECK(pipe2(g->pipe, O_CLOEXEC) == 0);
}

static void gate_let(struct gate *g, int n)
{
	while (n-- > 0)
		CHECK(write(g->pipe[1], "x", 1) == 1);
}

static void gate_close(struct gate *g)
{
	close(g->pipe[0]);
	close(g->pipe[1]);
}

static int hold(void *arg)
{
	struct gate *g = arg;
	char c;

	atomic_fetch_add(&g->entered, 1);
	CHECK(read(g->pipe[0], &c, 1) == 1);
	atomic_fetch_add(&g->left, 1);
	return 21;
}

static void release(void *arg)
{
	struct gate *g = arg;

	atomic_fetch_add(&g->released, 1);
}

static void wait_until(atomic_int *n, int want)
{
	while (atomic_load(n) < want)
		EXPECT_INT(co_sleep_ms(1), 0);
}

static int thread_differs(void *arg)
{
	return !pthread_equal(*(pthread_t *)arg, pthread_self());
}

TEST(test_coro_offload_runs_elsewhere)
{
	pthread_t me = pthread_self();

	EXPECT_INT(co_offload(thread_differs, &me, NULL, CLOCK_NEVER), 1);
	EXPECT_INT(co_offload(return_arg, (void *)-EIO, NULL, CLOCK_NEVER), -EIO);
	return 0;
}

static int offloads_hold(void *arg)
{
	return co_offload(hold, arg, release, CLOCK_NEVER);
}

/* The loop runs on meanwhile, and several bodies run at once. */
TEST(test_coro_offload_in_parallel)
{
	struct gate g;
	struct co_future *t[3];

	gate_open(&g);
	for (int i = 0; i < 3; i++)
		t[i] = spawn(offloads_hold, &g);
	wait_until(&g.entered, 3);
	gate_let(&g, 3);
	for (int i = 0; i < 3; i++) {
		EXPECT_INT(co_await(t[i]), 21);
		co_unref(t[i]);
	}
	EXPECT_INT(g.released, 3);
	gate_close(&g);
	return 0;
}

/* Cancelled or timed out: the task goes on, the body runs to its end, then the argument is released. */
TEST(test_coro_offload_cancelled)
{
	struct gate g;
	struct co_future *t;

	gate_open(&g);
	t = spawn(offloads_hold, &g);
	wait_until(&g.entered, 1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(g.released, 0);
	EXPECT_INT(co_offload(hold, &g, release, co_in_ms(2)), -ETIMEDOUT);
	gate_let(&g, 2);
	wait_until(&g.released, 2);
	EXPECT_INT(g.left, g.entered);
	co_unref(t);
	gate_close(&g);
	return 0;
}

/* More than there are threads: the rest waits its turn; one that is cancelled before never runs, and is released all the same. */
TEST(test_coro_offload_queued)
{
	enum { N = 8 };
	struct gate g;
	struct co_future *t[N];

	gate_open(&g);
	for (int i = 0; i < N; i++)
		t[i] = spawn(offloads_hold, &g);
	wait_until(&g.entered, 4);
	EXPECT_INT(g.entered, 4);
	co_cancel(t[N - 1]);
	EXPECT_INT(co_await(t[N - 1]), -ECANCELED);
	gate_let(&g, N - 1);
	for (int i = 0; i < N - 1; i++)
		EXPECT_INT(co_await(t[i]), 21);
	wait_until(&g.released, N);
	EXPECT_INT(g.left, N - 1);
	for (int i = 0; i < N; i++)
		co_unref(t[i]);
	gate_close(&g);
	return 0;
}

/* A bounded queue: one too many is refused, and released. */
TEST(test_coro_offload_full)
{
	enum { N = 4 + 256 };
	static struct co_future *t[N];
	struct gate g;

	gate_open(&g);
	for (int i = 0; i < 4; i++)
		t[i] = spawn(offloads_hold, &g);
	wait_until(&g.entered, 4);
	for (int i = 4; i < N; i++)
		t[i] = spawn(offloads_hold, &g);
	yield_times(2);
	EXPECT_INT(co_offload(hold, &g, release, CLOCK_NEVER), -EAGAIN);
	EXPECT_INT(g.released, 1);
	gate_let(&g, N);
	for (int i = 0; i < N; i++) {
		EXPECT_INT(co_await(t[i]), 21);
		co_unref(t[i]);
	}
	EXPECT_INT(g.released, N + 1);
	gate_close(&g);
	return 0;
}

static int lets_task_park(void *arg)
{
	struct gate *g = arg;

	for (int i = 0; i < 6; i++)
		co_unref(spawn(offloads_hold, g));
	wait_until(&g->entered, 4);
	gate_let(g, 4);
	wait_until(&g->left, 4);
	return 0;
}

/* The loop ends while bodies run, are queued or are on their way home: all are released, nobody is woken. */
static void test_coro_offload_loop_ends(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct gate g;

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	gate_open(&g);
	assert_int_equal(co_run(loop, lets_task_park, &g, "test"), 0);
	gate_let(&g, 2);
	co_loop_abandon(loop);
	assert_int_equal(g.released, 6);
	gate_close(&g);
	assert_int_equal(expect_failures, 0);
}

struct left_body {
	struct gate gate;
	struct co_semaphore one;
	struct co_timer timer;
};

static void lets_body_end(void *arg)
{
	struct left_body *l = arg;

	gate_let(&l->gate, 1);
}

static void gives_back(void *arg)
{
	struct left_body *l = arg;

	co_semaphore_release(&l->one);
}

static int holds_gate(void *arg)
{
	struct left_body *l = arg;

	return hold(&l->gate);
}

/* Regression: with nobody waiting for the body any more, the loop took its sleep for a deadlock, though release() ends it. The body goes on
 * only after a timer, so that it alone is left. */
TEST(test_coro_offload_left_is_no_deadlock)
{
	struct left_body l;

	gate_open(&l.gate);
	co_semaphore_init(&l.one, 1);
	co_timer_init(&l.timer, lets_body_end, &l);
	co_loop_detect_deadlock(co_loop_current(), stderr);
	EXPECT_INT(co_semaphore_acquire(&l.one, CLOCK_NEVER), 0);
	EXPECT_INT(co_offload(holds_gate, &l, gives_back, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_timer_start_ms(&l.timer, 1), 0);
	EXPECT_INT(co_semaphore_acquire(&l.one, CLOCK_NEVER), 0);
	gate_close(&l.gate);
	return 0;
}

/* ---- descriptors ---- */

TEST(test_coro_fd_wait)
{
	int p[2];
	char c;

	CHECK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	EXPECT_INT(co_fd_wait(p[1], EV_WRITE, CLOCK_NEVER), EV_WRITE);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, co_in_ms(2)), -ETIMEDOUT);
	EXPECT_INT(write(p[1], "x", 1), 1);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, CLOCK_NEVER), EV_READ);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, co_in_ms(1000)), EV_READ);
	EXPECT_INT(read(p[0], &c, 1), 1);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, 1), -ETIMEDOUT);
	close(p[0]);
	close(p[1]);
	return 0;
}

static int yields_until(void *arg)
{
	const bool *stop = arg;

	while (!*stop)
		co_yield();
	return 0;
}

/* A deadline that is past takes what is ready, however busy the loop: looks outside are rationed, the timer was due before one came. */
TEST(test_coro_fd_wait_past_deadline_beside_others)
{
	bool stop = false;
	struct co_future *busy = spawn(yields_until, &stop);
	int p[2], bad = 0;

	CHECK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	for (int i = 0; i < 10; i++)
		bad += co_fd_wait(p[0], EV_READ, 1) != -ETIMEDOUT;
	EXPECT_INT(write(p[1], "x", 1), 1);
	for (int i = 0; i < 100; i++)
		bad += co_fd_wait(p[0], EV_READ, i % 2 ? 1 : co_in_ms(0)) != EV_READ;
	EXPECT_INT(bad, 0);
	stop = true;
	EXPECT_INT(co_await(busy), 0);
	co_unref(busy);
	close(p[0]);
	close(p[1]);
	return 0;
}

static int waits_for_read(void *arg)
{
	return co_fd_wait(*(int *)arg, EV_READ, CLOCK_NEVER);
}

TEST(test_coro_fd_wait_cancelled)
{
	struct co_future *t;
	int p[2];

	CHECK(pipe2(p, O_CLOEXEC | O_NONBLOCK) == 0);
	t = spawn(waits_for_read, &p[0]);
	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	EXPECT_INT(write(p[1], "x", 1), 1);
	t = spawn(waits_for_read, &p[0]);
	EXPECT_INT(co_await(t), EV_READ);
	co_unref(t);
	close(p[0]);
	close(p[1]);
	return 0;
}

TEST(test_coro_fd_wait_bad)
{
	int p[2];

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	close(p[0]);
	close(p[1]);
	/* Regression: the changelist asks epoll when nobody listens any more, and the wait hung. */
	EXPECT_INT(co_fd_wait(p[0], EV_READ, CLOCK_NEVER), -EBADF);
	EXPECT_INT(co_fd_wait(-1, EV_READ, CLOCK_NEVER), -EBADF);
	p[0] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK(p[0] >= 0);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, CLOCK_NEVER), -EPERM);
	close(p[0]);
	p[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(p[0] >= 0);
	EXPECT_INT(co_fd_wait(p[0], EV_READ, CLOCK_NEVER), -EPERM);
	close(p[0]);
	return 0;
}

/* Files that can be written to and directories are always ready, too, and epoll takes none: said at once, where the wait once hung. */
TEST(test_coro_fd_wait_files)
{
	char path[] = "/tmp/test_coro_XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	unlink(path);
	EXPECT_INT(co_fd_wait(fd, EV_READ, co_in_ms(10000)), -EPERM);
	EXPECT_INT(co_fd_wait(fd, EV_WRITE, co_in_ms(10000)), -EPERM);
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	EXPECT_INT(co_fd_wait(fd, EV_READ, co_in_ms(10000)), -EPERM);
	close(fd);
	return 0;
}

/* Regression: fstat(2) calls what was opened with O_PATH a FIFO, epoll calls it no descriptor, and the wait hung. */
TEST(test_coro_fd_wait_o_path)
{
	char path[64];
	int p[2], fd;

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	fd = open(path, O_PATH | O_CLOEXEC);
	CHECK(fd >= 0);
	EXPECT_INT(co_fd_wait(fd, EV_READ, co_in_ms(1000)), -EBADF);
	close(fd);
	close(p[0]);
	close(p[1]);
	return 0;
}

/* Regression: whether a descriptor can be watched was asked of an epoll made for it, and where none was left the wait failed. */
TEST(test_coro_fd_wait_with_no_descriptor_left)
{
	struct rlimit before, lowered;
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), rc;

	CHECK(fd >= 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
	lowered = (struct rlimit){ (rlim_t)fd + 1, before.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &lowered) == 0);
	EXPECT(dup(fd) < 0 && errno == EMFILE);
	rc = co_fd_wait(fd, EV_READ, co_in_ms(10000));
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	EXPECT_INT(rc, EV_READ);
	close(fd);
	return 0;
}

static mqd_t mqueue;

static int sends_to_mqueue(void *arg)
{
	(void)arg;
	yield_times(2);
	EXPECT_INT(mq_send(mqueue, "x", 1, 0), 0);
	return 0;
}

static int waits_for_mqueue(void *arg)
{
	struct co_future *t;
	char got[8];

	(void)arg;
	EXPECT_INT(co_fd_wait(mqueue, EV_WRITE, co_in_ms(10000)), EV_WRITE);
	EXPECT_INT(co_fd_wait(mqueue, EV_READ, co_in_ms(2)), -ETIMEDOUT);
	t = spawn(sends_to_mqueue, NULL);
	EXPECT_INT(co_fd_wait(mqueue, EV_READ, co_in_ms(10000)), EV_READ);
	EXPECT_INT(mq_receive(mqueue, got, sizeof got, NULL), 1);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	return 0;
}

/* Regression: fstat(2) calls a message queue of POSIX a file, which it is not for epoll; a wait for one was refused. */
static void test_coro_fd_wait_mqueue(void **state)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];

	(void)state;
	snprintf(name, sizeof name, "/test_coro_%ld", (long)getpid());
	mqueue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &attr);
	if (mqueue < 0) {
		print_message("no message queue: %s\n", strerror(errno));
		skip();
	}
	mq_unlink(name);
	in_loop(waits_for_mqueue);
	mq_close(mqueue);
}

static int ping(void *arg)
{
	int *fd = arg;
	char c;

	for (int i = 0; i < 1000; i++) {
		EXPECT_INT(co_fd_wait(fd[0], EV_READ, co_in_ms(10000)), EV_READ);
		EXPECT_INT(read(fd[0], &c, 1), 1);
		EXPECT_INT(write(fd[1], &c, 1), 1);
	}
	return 0;
}

TEST(test_coro_fd_ping_pong)
{
	int a[2], b[2], one[2], other[2];
	struct co_future *t[2];

	CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	one[0] = a[0], one[1] = b[1];
	other[0] = b[0], other[1] = a[1];
	t[0] = spawn(ping, one);
	t[1] = spawn(ping, other);
	EXPECT_INT(write(a[1], "x", 1), 1);
	for (int i = 0; i < 2; i++) {
		co_await(t[i]);
		co_unref(t[i]);
	}
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_offload_runs_elsewhere),
		cmocka_unit_test(test_coro_offload_in_parallel),
		cmocka_unit_test(test_coro_offload_cancelled),
		cmocka_unit_test(test_coro_offload_queued),
		cmocka_unit_test(test_coro_offload_full),
		cmocka_unit_test(test_coro_offload_loop_ends),
		cmocka_unit_test(test_coro_offload_left_is_no_deadlock),
		cmocka_unit_test(test_coro_fd_wait),
		cmocka_unit_test(test_coro_fd_wait_past_deadline_beside_others),
		cmocka_unit_test(test_coro_fd_wait_cancelled),
		cmocka_unit_test(test_coro_fd_wait_bad),
		cmocka_unit_test(test_coro_fd_wait_files),
		cmocka_unit_test(test_coro_fd_wait_o_path),
		cmocka_unit_test(test_coro_fd_wait_with_no_descriptor_left),
		cmocka_unit_test(test_coro_fd_wait_mqueue),
		cmocka_unit_test(test_coro_fd_ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
