/* dispatch/coro/group.c and co_as_completed(); each test names the one of CPython's test_taskgroups.py (or test_tasks.py) that checks the
 * same, where there is one. */
#include "tests/unit/test_coro.h"

static int fails(void *arg)
{
	int rc = co_yield();

	return rc < 0 ? rc : (int)(intptr_t)arg;
}

static int notes_cancel(void *arg)
{
	int rc = co_sleep_until(CLOCK_NEVER);

	if (rc == -ECANCELED)
		note(arg);
	return rc;
}

/* Fails in its own way where it is cancelled. */
static int fails_when_cancelled(void *arg)
{
	(void)co_sleep_until(CLOCK_NEVER);
	return (int)(intptr_t)arg;
}

static void add(struct co_group *g, struct co_future **ret_task, co_body_fn *body, void *arg)
{
	EXPECT_INT(co_group_spawn(g, ret_task, body, arg, "member"), 0);
}

/* test_taskgroup_01, _02: waits for all */
TEST(test_coro_group_waits)
{
	struct co_future *a, *b;
	struct co_group g;

	co_group_enter(&g);
	add(&g, &a, fails, (void *)42);
	add(&g, &b, return_arg, (void *)11);
	EXPECT_INT(co_group_leave(&g, 7), 7);
	EXPECT_INT(co_result(a), 42);
	EXPECT_INT(co_result(b), 11);
	co_unref(a);
	co_unref(b);
	co_group_enter(&g);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	return 0;
}

/* test_taskgroup_03: a member that is cancelled by itself is no error */
TEST(test_coro_group_cancelled_member)
{
	struct co_future *a;
	struct co_group g;

	co_group_enter(&g);
	add(&g, &a, sleep_forever, NULL);
	add(&g, NULL, return_arg, (void *)1);
	yield_times(1);
	co_cancel(a);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	co_unref(a);
	return 0;
}

/* test_taskgroup_05, _06: the first error cancels siblings and body, and the cancel is not seen outside */
TEST(test_coro_group_first_error)
{
	struct co_group g;
	int rc;

	co_group_enter(&g);
	add(&g, NULL, notes_cancel, WORD("a"));
	add(&g, NULL, fails, (void *)-EIO);
	rc = co_sleep_until(CLOCK_NEVER);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_group_leave(&g, rc), -EIO);
	EXPECT_INT(g.n_errors, 1);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
	EXPECT_TRACE("a");
	EXPECT_INT(co_yield(), 0);
	return 0;
}

/* test_taskgroup_07, _08: the body's own error ends the members, and counts last */
TEST(test_coro_group_body_fails)
{
	struct co_group g;

	co_group_enter(&g);
	add(&g, NULL, notes_cancel, WORD("a"));
	add(&g, NULL, fails_when_cancelled, (void *)-EPIPE);
	yield_times(1);
	EXPECT_INT(co_group_leave(&g, -EIO), -EPIPE);
	EXPECT_INT(g.n_errors, 2);
	EXPECT_INT(g.errors[1], -EIO);
	EXPECT_TRACE("a");
	return 0;
}

/* test_taskgroup_21: members that fail while they are cancelled add up, beyond what is kept too */
TEST(test_coro_group_errors_add_up)
{
	struct co_group g;

	co_group_enter(&g);
	for (int i = 0; i < 20; i++)
		add(&g, NULL, fails_when_cancelled, (void *)(intptr_t)(-1 - i));
	add(&g, NULL, fails, (void *)-EIO);
	EXPECT_INT(co_group_leave(&g, 0), -EIO);
	EXPECT_INT(g.n_errors, 21);
	EXPECT_INT(g.errors[1], -1);
	EXPECT_INT(g.errors[CO_GROUP_ERRORS - 1], -(CO_GROUP_ERRORS - 1));
	return 0;
}

static int fails_with_words(void *arg)
{
	return co_fail(-EPROTO, arg);
}

TEST(test_coro_group_keeps_the_words)
{
	struct co_group g;

	co_group_enter(&g);
	add(&g, NULL, fails_with_words, WORD("no id in the reply"));
	add(&g, NULL, fails_with_words, NULL);
	EXPECT_INT(co_group_leave(&g, 0), -EPROTO);
	EXPECT_INT(g.n_errors, 2);
	EXPECT(strcmp(g.texts[0], "no id in the reply") == 0 && g.texts[1] == NULL);
	co_group_enter(&g);
	EXPECT_INT(co_group_leave(&g, co_fail(-EPIPE, "the body's")), -EPIPE);
	EXPECT(strcmp(g.texts[0], "the body's") == 0);
	return 0;
}

static int group_of_sleepers(void *arg)
{
	struct co_group g;
	int rc;

	co_group_enter(&g);
	add(&g, NULL, notes_cancel, WORD("a"));
	add(&g, NULL, notes_cancel, WORD("b"));
	rc = arg != NULL ? co_sleep_until(CLOCK_NEVER) : 0;
	rc = co_group_leave(&g, rc);
	note(rc == -ECANCELED ? "out" : "?");
	return rc;
}

/* test_taskgroup_09, _11, _12: cancelled from outside, in leave and in the body */
TEST(test_coro_group_cancelled_outside)
{
	for (intptr_t in_body = 0; in_body < 2; in_body++) {
		struct co_future *t = spawn(group_of_sleepers, (void *)in_body);

		yield_times(2);
		co_cancel(t);
		EXPECT_INT(co_await(t), -ECANCELED);
		EXPECT_INT(co_state(t), CO_CANCELLED);
		EXPECT_INT(co_task_cancelling(t), 1);
		EXPECT_TRACE("a b out");
		co_unref(t);
	}
	return 0;
}

static int group_fails_when_cancelled(void *arg)
{
	struct co_group g;
	int rc;

	(void)arg;
	co_group_enter(&g);
	add(&g, NULL, fails_when_cancelled, (void *)-EIO);
	rc = co_group_leave(&g, co_sleep_until(CLOCK_NEVER));
	EXPECT_INT(rc, -EIO);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return co_yield();              /* the cancel is not swallowed */
}

/* test_cancellation_in_body.., test_taskgroup_cancel_parent..: errors go first, the outer cancel comes at the next suspension */
TEST(test_coro_group_error_and_outer_cancel)
{
	struct co_future *t = spawn(group_fails_when_cancelled, NULL);

	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	return 0;
}

static int spawns_late(void *arg)
{
	struct co_group *g = arg;
	int rc = co_sleep_until(CLOCK_NEVER);

	EXPECT_INT(co_group_spawn(g, NULL, return_arg, NULL, "late"), -ESHUTDOWN);
	return rc;
}

static int spawns_another(void *arg)
{
	add(arg, NULL, notes_cancel, WORD("other"));
	return -EIO;
}

/* test_taskgroup_10, create_task after abort and after the end; a member may add members while the group waits */
TEST(test_coro_group_no_spawn_after_abort)
{
	struct co_group g;

	co_group_enter(&g);
	add(&g, NULL, spawns_late, &g);
	add(&g, NULL, spawns_another, &g);
	EXPECT_INT(co_group_leave(&g, 0), -EIO);
	EXPECT_INT(co_group_spawn(&g, NULL, return_arg, NULL, "late"), -ESHUTDOWN);
	/* It ran before the group was told of the error, as it does in CPython. */
	EXPECT_TRACE("other");
	return 0;
}

static int inner_group_fails(void *arg)
{
	struct co_group g;

	co_group_enter(&g);
	add(&g, NULL, fails, arg);
	return co_group_leave(&g, co_sleep_until(CLOCK_NEVER));
}

/* test_taskgroup_15, nested: an inner group's error is the outer's */
TEST(test_coro_group_nested)
{
	struct co_group g;

	co_group_enter(&g);
	add(&g, NULL, notes_cancel, WORD("a"));
	add(&g, NULL, inner_group_fails, (void *)-EDOM);
	EXPECT_INT(co_group_leave(&g, 0), -EDOM);
	EXPECT_TRACE("a");
	return 0;
}

/* test_taskgroup_with timeout: the scope outside cancels, and turns it into its own error */
TEST(test_coro_group_in_timeout)
{
	struct co_timeout t;
	struct co_group g;
	int rc;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(1)), 0);
	co_group_enter(&g);
	add(&g, NULL, notes_cancel, WORD("a"));
	rc = co_group_leave(&g, 0);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_timeout_leave(&t, rc), -ETIMEDOUT);
	EXPECT(co_timeout_expired(&t));
	EXPECT_TRACE("a");
	return 0;
}

/* ---- as_completed ---- */

static int sleeps_ms(void *arg)
{
	int rc = co_sleep_ms((intptr_t)arg);

	return rc < 0 ? rc : (int)(intptr_t)arg;
}

/* test_as_completed, _reverse_wait, _duplicate_coroutines */
TEST(test_coro_as_completed_order)
{
	struct co_future *t[] = { spawn(sleeps_ms, (void *)6), spawn(sleeps_ms, (void *)1), spawn(sleeps_ms, (void *)3) }, *f = NULL;
	struct co_future *twice[] = { t[0], t[1], t[2], t[1] };
	struct co_waitset *ws = co_as_completed(twice, 4);
	static const int want[] = { 1, 3, 6 };
	void *tag = NULL;

	CHECK(ws != NULL);
	for (int i = 0; i < 3; i++) {
		EXPECT_INT(co_waitset_take(ws, &f, &tag, CLOCK_NEVER), 0);
		EXPECT(tag == f);
		EXPECT_INT(co_result(f), want[i]);
		co_unref(f);
	}
	EXPECT_INT(co_waitset_take(ws, &f, NULL, CLOCK_NEVER), -ENOENT);
	co_waitset_free(ws);
	for (int i = 0; i < 3; i++)
		co_unref(t[i]);
	return 0;
}

/* test_as_completed_with_timeout; members are left alone */
TEST(test_coro_as_completed_timeout)
{
	struct co_future *never = future_new(), *f = NULL;
	struct co_waitset *ws = co_as_completed(&never, 1);

	CHECK(ws != NULL);
	EXPECT_INT(co_waitset_take(ws, &f, NULL, co_in_ms(1)), -ETIMEDOUT);
	EXPECT(!co_done(never));
	EXPECT_INT(co_waitset_size(ws), 1);
	co_waitset_free(ws);
	co_unref(never);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_group_waits),
		cmocka_unit_test(test_coro_group_cancelled_member),
		cmocka_unit_test(test_coro_group_first_error),
		cmocka_unit_test(test_coro_group_body_fails),
		cmocka_unit_test(test_coro_group_errors_add_up),
		cmocka_unit_test(test_coro_group_keeps_the_words),
		cmocka_unit_test(test_coro_group_cancelled_outside),
		cmocka_unit_test(test_coro_group_error_and_outer_cancel),
		cmocka_unit_test(test_coro_group_no_spawn_after_abort),
		cmocka_unit_test(test_coro_group_nested),
		cmocka_unit_test(test_coro_group_in_timeout),
		cmocka_unit_test(test_coro_as_completed_order),
		cmocka_unit_test(test_coro_as_completed_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
