/* dispatch/coro/loop.c: a program's beginning and end, and its deadlines; co_loop_cancel_all() has test_coro_run_end.c. */
#include <event2/event.h>
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

#include "tests/unit/test_coro.h"

/* Regression: a sleep of INT64_MAX ms was over at once. */
TEST(test_coro_run_deadlines_saturate)
{
	struct co_timer timer;
	struct co_future *f = spawn(sleep_forever, NULL);

	EXPECT(co_in_ms(INT64_MAX) == CLOCK_NEVER && co_in_ms(INT64_MAX / 1000) == CLOCK_NEVER);
	EXPECT(co_in_ms(INT64_MIN) == clock_mono_us() && co_in_ms(0) == clock_mono_us());
	EXPECT_INT(co_in_ms(1000) - clock_mono_us(), 1000000);
	co_timer_init(&timer, NULL, NULL);
	EXPECT_INT(co_timer_start_ms(&timer, INT64_MAX), 0);
	EXPECT(!co_timer_started(&timer));
	co_cancel(f);
	co_unref(f);
	EXPECT_INT(co_sleep_ms(INT64_MIN), 0);
	return 0;
}

/* ---- names and posts at the end ---- */

static int stops_and_sleeps(void *arg)
{
	(void)arg;
	co_loop_stop(co_loop_current());
	return co_sleep_until(CLOCK_NEVER);
}

static void keep_name(const struct co_task_info *info, void *arg)
{
	snprintf(arg, 16, "%s", info->name);
}

/* Regression: the task of a run that was stopped kept a name that was the caller's. */
static void test_coro_run_copies_the_name(void **state)
{
	struct co_loop *loop = co_loop_new();
	char name[] = "request 17", seen[16] = "";

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, stops_and_sleeps, NULL, name), -ESHUTDOWN);
	memset(name, '?', sizeof name - 1);
	co_task_each(loop, keep_name, seen);
	assert_string_equal(seen, "request 17");
	assert_int_equal(co_loop_cancel_all(loop), 0);
	co_loop_free(loop);
}

static int post_rc;

static void posts(void *arg)
{
	post_rc = co_post(arg, posts, arg);
}

static int returns_zero(void *arg)
{
	(void)arg;
	return 0;
}

static sem_t may_end;

static int ends_when_it_may(void *arg)
{
	(void)arg;
	return sem_wait(&may_end);
}

static int offloads(void *arg)
{
	return co_offload(ends_when_it_may, arg, posts, CLOCK_NEVER);
}

static int leaves_an_offload(void *arg)
{
	co_unref(spawn(offloads, arg));
	return co_yield();
}

/* Regression: what a release posted while its loop ended was lost, with its memory. */
static void test_coro_run_end_takes_no_post(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	post_rc = 1;
	sem_init(&may_end, 0, 0);
	assert_int_equal(co_run(loop, leaves_an_offload, loop, "main"), 0);
	sem_post(&may_end);             /* its end is on its way when the loop ends */
	co_loop_abandon(loop);
	assert_int_equal(post_rc, -ESHUTDOWN);
	sem_destroy(&may_end);
}

/* ---- between runs ---- */

static void fires(void *arg)
{
	*(int64_t *)arg = clock_mono_exact_us();
}

static int waits_for_timer(void *arg)
{
	while (co_timer_started(arg))
		if (co_yield() < 0)
			return -ECANCELED;
	return 0;
}

static int64_t busy_until(int64_t us)
{
	int64_t at_us = clock_mono_exact_us() + us;

	while (clock_mono_exact_us() < at_us)
		;
	return at_us;
}

/* Regression: after a run the clock stood still, and a timer started then was due too soon. */
static void test_coro_run_clock_goes_on_outside(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_timer timer;
	int64_t fired_us = 0, start_us;

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, returns_zero, NULL, "main"), 0);
	start_us = busy_until(20000);
	co_timer_init(&timer, fires, &fired_us);
	assert_int_equal(co_timer_start_ms(&timer, 10), 0);
	assert_int_equal(co_run(loop, waits_for_timer, &timer, "main"), 0);
	assert_true(fired_us >= start_us + 10000);
	co_loop_free(loop);
}

static void starts_late(struct co_loop *loop)
{
	struct co_timer other, timer;
	int64_t fired_us = 0, start_us;

	co_timer_init(&other, NULL, NULL);
	co_timer_init(&timer, fires, &fired_us);
	EXPECT_INT(co_timer_start_ms(&other, 100000), 0);       /* reads the clock, as co_task_new() does */
	start_us = busy_until(20000);
	EXPECT_INT(co_timer_start_ms(&timer, 10), 0);
	EXPECT_INT(co_run(loop, waits_for_timer, &timer, "main"), 0);
	EXPECT(fired_us >= start_us + 10000);
	co_timer_stop(&other);
}

/* Regression: outside of runs the clock stood still from its first reading on, and a timer started later was due too soon. */
static void test_coro_run_clock_is_not_kept_outside(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	starts_late(loop);              /* before the first run */
	starts_late(loop);              /* between two */
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

struct again {
	struct co_turn_hook hook;
	int n;
};

static void adds_itself_again(void *arg)
{
	struct again *a = arg;

	CHECK(++a->n < 1000, "a round of hooks never ends");
	co_turn_hook_remove(&a->hook);
	co_turn_hook_add(&a->hook, adds_itself_again, a);
}

static int ends_at_once(void *arg)
{
	struct again *a = arg;

	EXPECT_INT(a->n, 1);
	return 0;
}

/* Regression: what was gathered before the run lay there while the loop slept; and hooks that add themselves again went on for ever. */
static void test_coro_run_hooks_first_and_each_once(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct again a[3] = { { .n = 0 } };

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	for (int i = 0; i < 3; i++)
		co_turn_hook_add(&a[i].hook, adds_itself_again, &a[i]);
	assert_int_equal(co_run(loop, ends_at_once, &a[0], "main"), 0);
	assert_int_equal(a[0].n, a[2].n);
	for (int i = 0; i < 3; i++)
		co_turn_hook_remove(&a[i].hook);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

static void note_word(void *arg)
{
	note(arg);
}

struct changing {
	struct co_turn_hook hook, *gone, *come;
};

/* Itself goes, one comes, and the next in line goes, which was the round's last. */
static void goes_adds_removes(void *arg)
{
	struct changing *b = arg;

	note("b");
	co_turn_hook_remove(&b->hook);
	co_turn_hook_add(b->come, note_word, WORD("d"));
	co_turn_hook_remove(b->gone);
}

static void yield_until_noted(char word)
{
	for (int i = 0; i < 100000 && strchr(trace, word) == NULL; i++)
		yield_times(1);
}

/* Regression: a round's end was known by its last hook; where that and the running one were gone, one that was added had its turn in the same
 * round, and hooks that add others went on for ever. */
TEST(test_coro_run_hooks_change_in_one_round)
{
	struct co_turn_hook a, c, d;
	struct changing b = { .gone = &c, .come = &d };
	struct co_call end;

	co_turn_hook_add(&a, note_word, WORD("a"));
	co_turn_hook_add(&b.hook, goes_adds_removes, &b);
	co_turn_hook_add(&c, note_word, WORD("c"));
	co_call_init(&end, note_word, WORD("|"));
	yield_until_noted('b');
	EXPECT_TRACE("a b");
	co_call_soon(&end);             /* runs before the next round, whenever that is */
	yield_until_noted('d');
	EXPECT_TRACE("| a d");
	co_turn_hook_remove(&a);
	co_turn_hook_remove(&d);
	return 0;
}

static void counts(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	CHECK(++*(int *)arg < 1000000, "nobody else has a turn");
}

/* Regression: while tasks were ready, libevent was left looking as long as it found something, and a descriptor that always is kept them
 * from running. */
TEST(test_coro_run_busy_descriptor_starves_nobody)
{
	struct event *ev;
	int ends[2], n = 0;

	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && write(ends[1], "x", 1) == 1);
	ev = event_new(co_loop_base(co_loop_current()), ends[0], EV_READ | EV_PERSIST, counts, &n);
	CHECK(ev != NULL && event_add(ev, NULL) == 0);
	yield_times(2000);
	EXPECT(n > 0);
	event_free(ev);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* ---- things that outlive the loop ---- */

static int gets(void *arg)
{
	void *item;

	return co_queue_get(arg, &item, CLOCK_NEVER);
}

static int leaves_a_getter(void *arg)
{
	co_unref(spawn(gets, arg));
	return co_yield();
}

/* Regression: a queue could not be freed once the loop of those who waited was gone. */
static void test_coro_run_queue_outlives_it(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_queue *q = co_queue_new(1);

	(void)state;
	assert_true(loop != NULL && q != NULL);
	assert_int_equal(co_run(loop, leaves_a_getter, q, "main"), 0);
	co_loop_abandon(loop);
	co_queue_free(q);
	loop = co_loop_new();
	assert_non_null(loop);
	co_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_run_deadlines_saturate),
		cmocka_unit_test(test_coro_run_copies_the_name),
		cmocka_unit_test(test_coro_run_end_takes_no_post),
		cmocka_unit_test(test_coro_run_clock_goes_on_outside),
		cmocka_unit_test(test_coro_run_clock_is_not_kept_outside),
		cmocka_unit_test(test_coro_run_hooks_first_and_each_once),
		cmocka_unit_test(test_coro_run_hooks_change_in_one_round),
		cmocka_unit_test(test_coro_run_busy_descriptor_starves_nobody),
		cmocka_unit_test(test_coro_run_queue_outlives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
