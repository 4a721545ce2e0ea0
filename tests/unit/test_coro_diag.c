/* dispatch/coro/coro_diag.h: overflows that name the task, the dump's tree, the watchdog, deadlocks, leaks, high-water marks, what goes
 * back after a spike. */
#include <fcntl.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch/coro/runtime.h"
#include "tests/unit/test_coro.h"
#include "tests/unit/test_coro_child.h"

static void dump_text(void)
{
	FILE *out = fmemopen(text, sizeof text, "w");

	CHECK(out != NULL);
	co_task_dump(co_loop_current(), out);
	fclose(out);
}

/* ---- overflow ---- */

__attribute__((noinline)) static int overflow(int n)
{
	volatile char page[4096];

	page[n & 4095] = (char)n;
	return n > 0 ? overflow(n - 1) + page[n & 4095] : page[0];
}

static int overflows(void *arg)
{
	return overflow((int)(intptr_t)arg);
}

static int spawn_line;

static int spawns_deep(void *arg)
{
	struct co_future *t;

	(void)arg;
	spawn_line = __LINE__ + 1;
	t = co_task_new(overflows, (void *)1000, "deep %d", 7);
	return t != NULL ? co_await(t) : -ENOMEM;
}

static void child_overflows(void)
{
	spawn_line = 0;
	co_run(co_loop_new(), spawns_deep, NULL, "parent");
}

static void test_coro_diag_overflow_names_the_task(void **state)
{
	int status;

	(void)state;
#if CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	status = stderr_of(child_overflows);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	says("coro: task \"deep 7\", spawned at tests/unit/test_coro_diag.c:");
	says("overflowed its stack of ");
}

static void child_null(void)
{
	volatile int *nothing = NULL;
	struct co_loop *loop = co_loop_new();

	(void)loop;
	raise(SIGURG);
	*nothing = 1;
}

static int touches_nothing(void *arg)
{
	volatile int *nothing = arg;

	co_yield();
	return *nothing;
}

static void child_null_in_a_task(void)
{
	struct co_loop *loop = co_loop_new();

	(void)co_run(loop, touches_nothing, (void *)8, "careless");
}

static void child_sent(void)
{
	struct co_loop *loop = co_loop_new();

	(void)loop;
	kill(getpid(), SIGSEGV);
}

static void others_handler(int sig)
{
	(void)sig;
	_exit(33);
}

static void child_others(void)
{
	signal(SIGSEGV, others_handler);
	child_null();
}

/* Other faults end the process as they would, or go to who was there before. */
static void test_coro_diag_other_faults(void **state)
{
	int status;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	status = stderr_of(child_null_in_a_task);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	says("coro: task \"careless\", spawned at tests/unit/test_coro_diag.c:");
	says(", touched 0x8\n    ");
	status = stderr_of(child_null);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_null(strstr(text, "coro:"));
	status = stderr_of(child_sent);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = stderr_of(child_others);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 33);
}

static int goes_deep(void *arg)
{
	return overflow((int)(intptr_t)arg) >= -1000000 ? 5 : 0;
}

/* Where 64 KiB do not do, 1 MiB does; cancelled before it ran it is given back too. */
TEST(test_coro_diag_sized_stack)
{
	struct co_future *t = co_task_new_sized(1024, goes_deep, (void *)180, "large");
	struct co_loop *loop = co_loop_current();

	CHECK(t != NULL);
	EXPECT_INT(co_await(t), 5);
	co_unref(t);
	t = co_task_new_sized(1024, goes_deep, (void *)180, "large");
	CHECK(t != NULL);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	EXPECT(list_empty(&loop->stacks.mapped));
	EXPECT_INT(loop->stacks.n_promised, 0);
	return 0;
}

/* ---- dump ---- */

static int waits_for_all(void *arg)
{
	return co_wait(arg, 2, CO_ALL_COMPLETED, CLOCK_NEVER) == 2 ? 0 : -ECANCELED;
}

static int gathers(void *arg)
{
	struct co_future *g = co_gather(arg, 2, false, NULL);
	int rc = co_await(g);

	co_unref(g);
	return rc;
}

static int shields(void *arg)
{
	struct co_future *s = co_shield(arg);
	int rc = co_await(s);

	co_unref(s);
	return rc;
}

static int groups(void *arg)
{
	struct co_group g;
	int rc;

	co_group_enter(&g);
	rc = co_group_spawn(&g, NULL, await_arg, arg, "member");
	return co_group_leave(&g, rc);
}

static int takes(void *arg)
{
	co_unref(co_waitset_next(arg, NULL));
	return 0;
}

static struct co_future *named(co_body_fn *body, void *arg, const char *name)
{
	struct co_future *t = co_task_new(body, arg, "%s", name);

	CHECK(t != NULL);
	return t;
}

static void expect_line(const char *line)
{
	if (strstr(text, line) == NULL) {
		expect_failures++;
		fprintf(stderr, "no \"%s\" in:\n%s", line, text);
	}
}

TEST(test_coro_diag_dump_is_a_tree)
{
	struct co_future *f = future_new(), *leaf[2] = { named(await_arg, f, "leaf0"), named(await_arg, f, "leaf1") };
	struct co_future *wait = named(waits_for_all, leaf, "wait"), *top = named(await_arg, wait, "top");
	struct co_future *other[2] = { named(await_arg, f, "other0"), named(shields, f, "other1") };
	struct co_future *gather = named(gathers, other, "gather"), *group = named(groups, f, "group");
	struct co_waitset *ws = co_waitset_new();
	struct co_future *taker = named(takes, ws, "taker"), *taken = named(await_arg, f, "taken");
	struct co_future *all[] = { leaf[0], leaf[1], wait, top, other[0], other[1], gather, group, taker, taken };

	CHECK(co_waitset_add(ws, co_ref(taken), NULL) == 0);
	yield_times(3);
	dump_text();
	expect_line("\n  top: waiting, awaits wait, age ");
	expect_line("\n    wait: waiting, awaits wait, age ");
	expect_line("\n      leaf0: waiting, awaits future, age ");
	expect_line("\n      leaf1: waiting, awaits future, age ");
	expect_line("\n  gather: waiting, awaits gather, age ");
	expect_line("\n    other0: waiting, awaits future, age ");
	expect_line("\n    other1: waiting, awaits shield, age ");
	expect_line("\n  group: waiting, awaits task group, age ");
	expect_line("\n    member: waiting, awaits future, age ");
	expect_line("\n    taken: waiting, awaits future, age ");
	expect_line("\n  test: running, ");
	expect_line(" ms, spawned at tests/unit/test_coro_diag.c:");
	co_set_result(f, 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		EXPECT_INT(co_await(all[i]), 0);
		co_unref(all[i]);
	}
	co_waitset_free(ws);
	co_unref(f);
	return 0;
}

static struct co_future *circle[2];

static int awaits_next(void *arg)
{
	return co_await(circle[(intptr_t)arg]);
}

/* Tasks that await each other hang below nobody and are printed all the same. */
TEST(test_coro_diag_dump_of_a_circle)
{
	struct co_future *shield, *waiter;

	circle[0] = named(awaits_next, (void *)1, "left");
	circle[1] = named(sleep_forever, NULL, "right");
	shield = co_shield(circle[0]);
	waiter = named(await_arg, shield, "waiter");
	yield_times(2);
	/* As if the right one had come to await the left one. */
	list_remove(&co_task_of(circle[1])->wake.node);
	list_append(&circle[0]->done, &co_task_of(circle[1])->wake.node);
	dump_text();
	expect_line("left: waiting, awaits right");
	expect_line("right: ");
	list_remove(&co_task_of(circle[1])->wake.node);
	list_append(&co_task_of(circle[1])->awaiting->done, &co_task_of(circle[1])->wake.node);
	co_cancel(circle[1]);
	EXPECT_INT(co_await(waiter), -ECANCELED);
	co_unref(waiter);
	co_unref(shield);
	co_unref(circle[0]);
	co_unref(circle[1]);
	return 0;
}

static int leaves_one(void *arg)
{
	co_unref(spawn(sleep_forever, arg));
	return co_yield();
}

static void child_leaks(void)
{
	struct co_loop *loop = co_loop_new();

	co_run(loop, leaves_one, NULL, "parent");
	co_loop_free(loop);
}

static void test_coro_diag_leaked_task(void **state)
{
	(void)state;
	assert_int_equal(stderr_of(child_leaks), 0);
	says("coro: task \"child\", spawned at ./tests/unit/test_coro.h:");
	says("was not done when its loop ended (sleep)");
}

/* ---- watchdog ---- */

static int watch_pipe[2];

static ssize_t read_pipe(void)
{
	ssize_t n = read(watch_pipe[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* Until the watchdog has written something, or 5 s. */
__attribute__((noinline)) static bool spin_until_told(void)
{
	int64_t end_us = clock_mono_exact_us() + 5000000;

	while (clock_mono_exact_us() < end_us) {
		usleep(100);            /* TSan delivers signals in calls that it knows */
		if (read_pipe() > 0)
			return true;
	}
	return false;
}

static int blocks(void *arg)
{
	(void)arg;
	EXPECT(spin_until_told());
	expect_line("coro: task \"blocker\", spawned at tests/unit/test_coro_diag.c:");
	expect_line(" blocks its loop, for ");
	return 0;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	EXPECT(spin_until_told());
	expect_line("coro: a callback blocks its loop, for ");
	*(bool *)arg = true;
}

TEST(test_coro_diag_watchdog)
{
	struct co_loop *loop = co_loop_current();
	struct co_future *t;
	bool done = false, quiet = false;

	CHECK(pipe2(watch_pipe, O_NONBLOCK | O_CLOEXEC) == 0);
	EXPECT_INT(co_watchdog_start(loop, 20, watch_pipe[1]), 0);
	EXPECT_INT(co_watchdog_start(loop, 20, watch_pipe[1]), -EBUSY);
	t = named(blocks, NULL, "blocker");
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	/* Sleeping is not blocking: of a few naps one is quiet, even where the machine has no time for this thread. An emulator's system
	 * calls are not those that the program made. */
	for (int i = 0; i < 20 && !quiet; i++) {
		while (read_pipe() > 0)
			;
		EXPECT_INT(co_sleep_ms(60), 0);
		quiet = read_pipe() < 0;
	}
	EXPECT(quiet || getenv("TEST_EMULATED") != NULL);
	EXPECT_INT(event_base_once(co_loop_base(loop), -1, EV_TIMEOUT, on_event, &done, NULL), 0);
	while (!done)
		EXPECT_INT(co_sleep_ms(1), 0);
	co_watchdog_stop(loop);
	co_watchdog_stop(loop);
	EXPECT_INT(co_watchdog_start(loop, 1000, watch_pipe[1]), 0);   /* ends with the loop */
	close(watch_pipe[0]);
	close(watch_pipe[1]);
	return 0;
}

/* ---- deadlock ---- */

static int waits_for_nothing(void *arg)
{
	struct co_future *f = co_future_new();

	(void)arg;
	return co_await(f);
}

static int sleeps_then_fd(void *arg)
{
	int ends[2], rc;

	(void)arg;
	CHECK(pipe(ends) == 0);
	rc = co_sleep_ms(1);
	if (rc == 0)
		rc = co_fd_wait(ends[0], EV_READ, co_in_ms(5)) == -ETIMEDOUT ? 0 : -1;
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static void test_coro_diag_deadlock(void **state)
{
	struct co_loop *loop = co_loop_new();
	FILE *out = fmemopen(text, sizeof text, "w");

	(void)state;
	assert_non_null(loop);
	assert_non_null(out);
	co_loop_detect_deadlock(loop, out);
	assert_int_equal(co_run(loop, sleeps_then_fd, NULL, "fine"), 0);
	assert_int_equal(co_run(loop, waits_for_nothing, NULL, "stuck"), -EDEADLK);
	fclose(out);
	says("coro: deadlock: nothing can wake the tasks that are left\n1 tasks\n  stuck: waiting, awaits future");
	co_loop_abandon(loop);
}

/* ---- high-water marks ---- */

static struct co_stack_mark deepest;

static void take_deepest(const struct co_stack_mark *mark, void *arg)
{
	(void)arg;
	if (mark->high_bytes > deepest.high_bytes)
		deepest = *mark;
}

TEST(test_coro_diag_stack_marks)
{
	struct co_loop *loop = co_loop_current();

	EXPECT_INT(co_loop_measure_stacks(loop), 0);
	EXPECT_INT(co_loop_measure_stacks(loop), 0);
	for (int i = 0; i < 3; i++) {
		struct co_future *t = named(goes_deep, (void *)(intptr_t)(i * 3), "measured");

		EXPECT_INT(co_await(t), 5);
		co_unref(t);
	}
	deepest = (struct co_stack_mark){ 0 };
	co_loop_stack_marks(loop, take_deepest, NULL);
	EXPECT(deepest.high_bytes > 6 * 4096 && deepest.high_bytes < deepest.size_bytes);
	EXPECT_INT(deepest.tasks, 3);
	EXPECT(strcmp(deepest.site->file, "tests/unit/test_coro_diag.c") == 0);
	return 0;
}

static int sleeps_a_little(void *arg)
{
	(void)arg;
	return co_sleep_ms(2);
}

/* Regression: who had begun before was charged with what the stack had seen before. */
TEST(test_coro_diag_stack_marks_of_what_began_later)
{
	struct co_loop *loop = co_loop_current();
	struct co_future *t = named(goes_deep, (void *)(intptr_t)6, "deep");

	EXPECT_INT(co_await(t), 5);
	co_unref(t);
	t = named(sleeps_a_little, NULL, "shallow");
	yield_times(1);
	EXPECT_INT(co_loop_measure_stacks(loop), 0);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	deepest = (struct co_stack_mark){ 0 };
	co_loop_stack_marks(loop, take_deepest, NULL);
	EXPECT_INT(deepest.tasks, 0);
	return 0;
}

/* ---- after a spike ---- */

static void spike(int n)
{
	struct co_future **t = calloc((size_t)n, sizeof *t);

	CHECK(t != NULL);
	for (int i = 0; i < n; i++)
		t[i] = spawn(sleep_forever, NULL);
	yield_times(1);
	for (int i = 0; i < n; i++)
		co_cancel(t[i]);
	for (int i = 0; i < n; i++) {
		co_await(t[i]);
		co_unref(t[i]);
	}
	free(t);
}

TEST(test_coro_diag_trim)
{
	struct co_loop *loop = co_loop_current();
	struct co_future *kept, *f = future_new();

	for (int round = 0; round < 2; round++) {
		spike(3000);
		EXPECT(loop->stacks.n_total >= 3000);
		kept = named(await_arg, f, "kept");
		yield_times(1);
		co_loop_trim(loop);
		EXPECT(loop->stacks.n_total <= 128);
		EXPECT_INT(loop->stacks.n_total - loop->stacks.n_free, 2);
		co_cancel(kept);
		EXPECT_INT(co_await(kept), -ECANCELED);
		co_unref(kept);
		co_unref(f);
		f = future_new();
	}
	co_unref(f);
	co_loop_trim(loop);
	spike(100);
	return 0;
}

/* By itself, a piece at a time: what nobody needed between two trims. */
TEST(test_coro_diag_trim_by_and_by)
{
	struct co_stacks *s = &co_loop_current()->stacks;
	size_t n;

	n = 0;
	for (int tries = 0; n <= 900 && tries < 10; tries++) {  /* on a slow machine the loop's own trim may come in between */
		spike(1000);
		co_stacks_trim(s, false);
		n = s->n_warm;
	}
	EXPECT(n > 900);
	for (int i = 0; i < 5; i++)
		co_stacks_trim(s, false);
	EXPECT_INT(s->n_warm, 0);
	EXPECT(s->n_total <= 128);
	spike(100);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_diag_overflow_names_the_task),
		cmocka_unit_test(test_coro_diag_other_faults),
		cmocka_unit_test(test_coro_diag_sized_stack),
		cmocka_unit_test(test_coro_diag_dump_is_a_tree),
		cmocka_unit_test(test_coro_diag_dump_of_a_circle),
		cmocka_unit_test(test_coro_diag_leaked_task),
		cmocka_unit_test(test_coro_diag_watchdog),
		cmocka_unit_test(test_coro_diag_deadlock),
		cmocka_unit_test(test_coro_diag_stack_marks),
		cmocka_unit_test(test_coro_diag_stack_marks_of_what_began_later),
		cmocka_unit_test(test_coro_diag_trim),
		cmocka_unit_test(test_coro_diag_trim_by_and_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
