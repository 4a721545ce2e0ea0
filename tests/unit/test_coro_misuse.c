/* dispatch/coro: what must not be done ends the process in words that name the task: who did it, and who is hurt. */
#include <pthread.h>

#include "dispatch/coro/runtime.h"
#include "tests/unit/test_coro_misuse.h"

/* ---- completing ---- */

/* test_futures: set_result and set_exception of a done future raise InvalidStateError */
MISUSE(test_coro_misuse_result_twice, "\"future\" is done already")
{
	struct co_future *f = future_new();

	co_set_result(f, 1);
	co_set_result(f, 2);
	return 0;
}

MISUSE(test_coro_misuse_error_after_cancel, "\"future\" is done already")
{
	struct co_future *f = future_new();

	co_cancel(f);
	co_set_error(f, -EIO);
	return 0;
}

/* test_tasks: test_task_set_methods */
MISUSE(test_coro_misuse_result_of_a_task, "only its body completes task \"child\"")
{
	co_set_result(spawn(sleep_forever, NULL), 1);
	return 0;
}

MISUSE(test_coro_misuse_error_as_result, "-5 is no result: errors are for co_set_error()")
{
	co_set_result(future_new(), -EIO);
	return 0;
}

MISUSE(test_coro_misuse_result_as_error, "5 is no error: a negative errno is")
{
	co_set_error(future_new(), EIO);
	return 0;
}

MISUSE(test_coro_misuse_result_of_a_pending_one, "result of a future that is not done")
{
	return co_result(future_new());
}

/* What an await holds is let go on the loop's side, in the task's name. */
static void loses_count(void *arg)
{
	struct co_future *f = arg;

	co_set_result(f, 7);
	f->refs = 0;            /* as an unref too many leaves it */
}

MISUSE(test_coro_misuse_unref_too_often, "a reference is dropped once too often")
{
	static struct co_call call;
	struct co_future *f = future_new();

	co_call_init(&call, loses_count, f);
	co_call_soon(&call);
	return co_await(f);
}

MISUSE(test_coro_misuse_group_left_by_another, "a task group is left by the task that entered it")
{
	static struct co_group g;

	g.parent = spawn(sleep_forever, NULL);
	return co_group_leave(&g, 0);
}

MISUSE(test_coro_misuse_ends_inside_a_timeout, "task \"culprit\" ends inside a timeout or a group")
{
	static struct co_timeout t;

	return co_timeout_enter(&t, co_in_ms(1000));
}

MISUSE(test_coro_misuse_ends_inside_a_group, "task \"culprit\" ends inside a timeout or a group")
{
	static struct co_group g;

	co_group_enter(&g);
	return 0;
}

static int leaves_for_another(void *arg)
{
	return co_timeout_leave(arg, 0);
}

MISUSE(test_coro_misuse_timeout_left_by_another, "a timeout is left by the task that entered it (in task \"child\"")
{
	static struct co_timeout t;
	int rc = co_timeout_enter(&t, co_in_ms(1000));

	return rc < 0 ? rc : co_await(spawn(leaves_for_another, &t));
}

MISUSE(test_coro_misuse_lock_not_locked, "a lock is released that is not locked")
{
	struct co_lock l;

	co_lock_init(&l);
	co_lock_release(&l);
	return 0;
}

MISUSE(test_coro_misuse_task_done_too_often, "more items of a queue are done than were put")
{
	co_queue_task_done(co_queue_new(0));
	return 0;
}

/* ---- waiting ---- */

/* test_tasks: test_task_awaits_itself (RuntimeError: Task cannot await on itself) */
MISUSE(test_coro_misuse_awaits_itself, "task \"culprit\" awaits itself")
{
	return co_await(co_task_current());
}

MISUSE(test_coro_misuse_awaits_nothing, "no future: was there memory for it?")
{
	return co_await(NULL);
}

MISUSE(test_coro_misuse_no_mode, "0 is no mode of co_wait()")
{
	struct co_future *f = future_new();

	return co_wait(&f, 1, 0, CLOCK_NEVER);
}

MISUSE(test_coro_misuse_loop_freed_inside, "a loop is freed while it runs")
{
	co_loop_free(co_loop_current());
	return 0;
}

static struct co_future *first, *second;

static int awaits_second(void *arg)
{
	(void)arg;
	return co_await(second);
}

static int awaits_first(void *arg)
{
	(void)arg;
	return co_await(first);
}

MISUSE(test_coro_misuse_cancels_a_circle, "awaits itself in a circle")
{
	first = spawn(awaits_second, NULL);
	second = spawn(awaits_first, NULL);
	yield_times(2);
	co_cancel(first);
	return 0;
}

static void awaits_in_a_callback(void *arg)
{
	(void)co_await(arg);
}

static int schedules_an_await(void *arg)
{
	static struct co_call call;

	(void)arg;
	co_call_init(&call, awaits_in_a_callback, spawn(sleep_forever, NULL));
	co_call_soon(&call);
	return co_yield();
}

static struct co_future *through_gather;

static int awaits_gather(void *arg)
{
	(void)arg;
	return co_await(through_gather);
}

MISUSE(test_coro_misuse_cancels_a_circle_through_a_gather, "awaits itself in a circle")
{
	first = spawn(awaits_second, NULL);
	second = spawn(awaits_gather, NULL);
	through_gather = co_gather(&first, 1, false, NULL);
	yield_times(2);
	co_cancel(first);
	return 0;
}

static int cancels_a_circle_with_words(void *arg)
{
	(void)arg;
	first = spawn(awaits_second, NULL);
	second = spawn(awaits_first, NULL);
	yield_times(2);
	co_cancel_text(first, "words");
	return 0;
}

/* Regression: with words it went round for ever. */
static void test_coro_misuse_cancels_a_circle_with_words(void **state)
{
	(void)state;
	aborts(cancels_a_circle_with_words, "awaits itself in a circle");
}

static void test_coro_misuse_await_outside_a_task(void **state)
{
	(void)state;
	aborts(schedules_an_await, "\"child\" is awaited outside a task");
	assert_null(strstr(text, "(in task"));
}

/* Told on whatever stack the last reference goes: suspending would be another's end there. */
static void suspends_when_told(const char *name, int err, void *arg)
{
	(void)name, (void)err, (void)arg;
	(void)co_yield();
}

static int drops_an_error(void *arg)
{
	struct co_future *f = future_new();

	(void)arg;
	co_loop_on_unretrieved(co_loop_current(), suspends_when_told, NULL);
	co_set_error(f, -EIO);
	co_unref(f);
	return 0;
}

static void test_coro_misuse_suspends_when_told_of_an_error(void **state)
{
	(void)state;
	aborts(drops_an_error, "a yield outside a task");
}

static void sleeps_in_a_callback(void *arg)
{
	(void)arg;
	(void)co_sleep_ms(1);
}

static int schedules_a_sleep(void *arg)
{
	static struct co_call call;

	(void)arg;
	co_call_init(&call, sleeps_in_a_callback, NULL);
	co_call_soon(&call);
	return co_yield();
}

static void test_coro_misuse_sleep_outside_a_task(void **state)
{
	(void)state;
	aborts(schedules_a_sleep, "\"sleep\" is awaited outside a task");
}

/* ---- references ---- */

MISUSE(test_coro_misuse_unref_of_a_living_task, "the last reference of task \"child\" is dropped while it is not done")
{
	struct co_future *t = spawn(sleep_forever, NULL);

	co_unref(t);
	co_unref(t);
	return 0;
}

MISUSE(test_coro_misuse_unref_of_what_is_awaited, "\"future\" lost its last reference while task \"child\" waits for it")
{
	struct co_future *f = future_new();

	(void)spawn(await_arg, f);
	yield_times(1);
	co_unref(f);
	co_unref(f);
	return 0;
}

static int waits_for_arg(void *arg)
{
	struct co_future *f = arg;

	return co_wait(&f, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
}

MISUSE(test_coro_misuse_unref_of_what_is_waited_for, "\"future\" lost its last reference while task \"child\" waits for it")
{
	struct co_future *f = future_new();

	(void)spawn(waits_for_arg, f);
	yield_times(1);
	co_unref(f);
	co_unref(f);
	return 0;
}

static int takes(void *arg)
{
	return co_waitset_next(arg, NULL) != NULL;
}

MISUSE(test_coro_misuse_waitset_freed, "a waitset is freed while task \"child\" waits on it")
{
	struct co_waitset *ws = co_waitset_new();

	CHECK(ws != NULL);
	(void)spawn(takes, ws);
	yield_times(1);
	co_waitset_free(ws);
	return 0;
}

/* ---- threads ---- */

/* `fn` in a thread that has no loop, unless it makes one. */
static int in_a_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, fn, arg) == 0);
	pthread_join(thread, NULL);
	return 0;
}

static void *awaits_without_a_loop(void *arg)
{
	(void)co_await(arg);
	return NULL;
}

static int awaited_from_a_bare_thread(void *arg)
{
	(void)arg;
	return in_a_thread(awaits_without_a_loop, future_new());
}

static void *awaits_in_its_own_loop(void *arg)
{
	struct co_loop *loop = co_loop_new();

	CHECK(loop != NULL);
	(void)co_run(loop, await_arg, arg, "stranger");
	return NULL;
}

static int awaited_from_another_loop(void *arg)
{
	(void)arg;
	return in_a_thread(awaits_in_its_own_loop, future_new());
}

/* The other ways to wait for it; each would write to what the other thread has without locks. */
static int waits(void *arg)
{
	struct co_future *f = arg;

	return co_wait(&f, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
}

/* Behind one that is done and its own. */
static int waits_for_the_first(void *arg)
{
	struct co_future *fs[] = { future_new(), future_new(), future_new(), future_new(), arg };

	co_set_result(fs[0], 1);
	return co_wait(fs, 5, CO_FIRST_COMPLETED, CLOCK_NEVER);
}

static int gathers(void *arg)
{
	struct co_future *f = arg;
	int result;

	co_unref(co_gather(&f, 1, true, &result));
	return 0;
}

static int shields(void *arg)
{
	co_unref(co_shield(arg));
	return 0;
}

static int adds_to_a_waitset(void *arg)
{
	struct co_waitset *ws = co_waitset_new();

	CHECK(ws != NULL);
	return co_waitset_add(ws, co_ref(arg), NULL);
}

static int takes_as_completed(void *arg)
{
	struct co_future *f = arg;

	co_waitset_free(co_as_completed(&f, 1));
	return 0;
}

static int adds_a_callback(void *arg)
{
	struct co_done_node node;

	co_done_add(arg, &node, NULL, NULL);
	return 0;
}

static co_body_fn *strangers_body;

static void *runs_a_stranger(void *arg)
{
	struct co_loop *loop = co_loop_new();

	CHECK(loop != NULL);
	(void)co_run(loop, strangers_body, arg, "stranger");
	return NULL;
}

/* Marked as the stranger's first wait marks what it counted: regression, it was left out as a duplicate and not looked at. */
static int given_to_a_stranger(void *arg)
{
	struct co_future *f = future_new();

	(void)arg;
	f->mark = 1;
	return in_a_thread(runs_a_stranger, f);
}

static void *completes(void *arg)
{
	co_set_result(arg, 1);
	return NULL;
}

static int completed_from_a_thread(void *arg)
{
	(void)arg;
	return in_a_thread(completes, future_new());
}

static void *cancels(void *arg)
{
	co_cancel(arg);
	return NULL;
}

static int cancelled_from_a_thread(void *arg)
{
	(void)arg;
	return in_a_thread(cancels, spawn(sleep_forever, NULL));
}

static void test_coro_misuse_await_from_the_wrong_thread(void **state)
{
	(void)state;
	aborts(awaited_from_a_bare_thread, "\"future\" of another thread's loop is awaited");
	aborts(awaited_from_another_loop, "\"future\" of another thread's loop is awaited");
	says("(in task \"stranger\", spawned at tests/unit/test_coro_misuse.c:");
}

static void test_coro_misuse_wait_from_the_wrong_thread(void **state)
{
	co_body_fn *bodies[] = { waits, waits_for_the_first, gathers, shields, adds_to_a_waitset, takes_as_completed, adds_a_callback };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		strangers_body = bodies[i];
		aborts(given_to_a_stranger, "\"future\" of another thread's loop is awaited");
		says("(in task \"stranger\"");
	}
}

static void test_coro_misuse_change_from_the_wrong_thread(void **state)
{
	(void)state;
	aborts(completed_from_a_thread, "a future of another thread's loop is completed: use co_post()");
	aborts(cancelled_from_a_thread, "\"child\" of another thread's loop is cancelled: use co_post()");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_misuse_result_twice),
		cmocka_unit_test(test_coro_misuse_error_after_cancel),
		cmocka_unit_test(test_coro_misuse_result_of_a_task),
		cmocka_unit_test(test_coro_misuse_error_as_result),
		cmocka_unit_test(test_coro_misuse_result_as_error),
		cmocka_unit_test(test_coro_misuse_result_of_a_pending_one),
		cmocka_unit_test(test_coro_misuse_unref_too_often),
		cmocka_unit_test(test_coro_misuse_group_left_by_another),
		cmocka_unit_test(test_coro_misuse_ends_inside_a_timeout),
		cmocka_unit_test(test_coro_misuse_ends_inside_a_group),
		cmocka_unit_test(test_coro_misuse_timeout_left_by_another),
		cmocka_unit_test(test_coro_misuse_lock_not_locked),
		cmocka_unit_test(test_coro_misuse_task_done_too_often),
		cmocka_unit_test(test_coro_misuse_awaits_itself),
		cmocka_unit_test(test_coro_misuse_awaits_nothing),
		cmocka_unit_test(test_coro_misuse_no_mode),
		cmocka_unit_test(test_coro_misuse_loop_freed_inside),
		cmocka_unit_test(test_coro_misuse_cancels_a_circle),
		cmocka_unit_test(test_coro_misuse_cancels_a_circle_through_a_gather),
		cmocka_unit_test(test_coro_misuse_cancels_a_circle_with_words),
		cmocka_unit_test(test_coro_misuse_await_outside_a_task),
		cmocka_unit_test(test_coro_misuse_suspends_when_told_of_an_error),
		cmocka_unit_test(test_coro_misuse_sleep_outside_a_task),
		cmocka_unit_test(test_coro_misuse_unref_of_a_living_task),
		cmocka_unit_test(test_coro_misuse_unref_of_what_is_awaited),
		cmocka_unit_test(test_coro_misuse_unref_of_what_is_waited_for),
		cmocka_unit_test(test_coro_misuse_waitset_freed),
		cmocka_unit_test(test_coro_misuse_await_from_the_wrong_thread),
		cmocka_unit_test(test_coro_misuse_wait_from_the_wrong_thread),
		cmocka_unit_test(test_coro_misuse_change_from_the_wrong_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
