/* Timeout scopes: CPython's test_timeouts.py. */
#include "tests/conformance/conformance.h"

/* One scope around one child; another cancel may come from outside. */
struct scope_row {
	const char *name;
	int timeout_ms;                 /* CLOCK_NEVER: -1; past: below */
	struct child child;             /* ms 0: the body doesn't suspend */
	int cancel_ms;                  /* 0: no cancel from outside */
	int rc;
	bool expired;
	int64_t at_ms;
	unsigned left;                  /* cancelling() afterwards */
};

static const struct scope_row scopes[] = {
	{ "timeout_basic", 5, { 10, 1 }, 0, -ETIMEDOUT, true, 5 },              /* test_timeout_basic, test_timeout_at_basic */
	{ "timeout_not_called", 10, { 5, 1 }, 0, 1, false, 5 },                 /* test_timeout_not_called */
	{ "timeout_disabled", -1, { 5, 1 }, 0, 1, false, 5 },                   /* test_timeout_disabled, test_timeout_at_disabled */
	{ "timeout_zero", 0, { 10, 1 }, 0, -ETIMEDOUT, true, 0 },               /* test_timeout_zero */
	{ "timeout_in_the_past", -3, { 10, 1 }, 0, -ETIMEDOUT, true, 0 },       /* test_timeout_in_the_past_sleep_zero */
	{ "timeout_zero_without_a_wait", 0, { 0, 1 }, 0, 1, false, 0 },         /* test_timeout_zero: nothing to interrupt */
	{ "timeout_foreign_exception_passed", 10, { 5, -EIO }, 0, -EIO, false, 5 },     /* test_foreign_exception_passed */
	{ "timeout_foreign_exception_on_timeout", 5, { 10, 1, -EIO }, 0, -EIO, true, 5 },       /* test_foreign_exception_on_timeout */
	/* test_foreign_exception_on_timeout_2 */
	{ "timeout_foreign_exception_on_timeout_late", 5, { 10, 1, -EIO, 9 }, 0, -EIO, true, 14 },
	/* test_timeout_exception_context's cleanup */
	{ "timeout_waits_for_the_inner", 5, { 10, 1, -ECANCELED, 9 }, 0, -ETIMEDOUT, true, 14 },
	{ "timeout_swallowed", 5, { 10, 1, 7 }, 0, 7, true, 5 },                /* test_timeout_expired: the body's own end wins */
	{ "timeout_foreign_cancel", 10, { 9, 1 }, 5, -ECANCELED, false, 5, 1 }, /* test_foreign_cancel_doesnt_timeout_if_not_expired */
	{ "timeout_disabled_cancelled", -1, { 9, 1 }, 5, -ECANCELED, false, 5, 1 },     /* test_waiter_cancelled */
	/* test_cancel_in_timeout_after_cancellation's order */
	{ "timeout_then_foreign_cancel", 5, { 20, 1, -ECANCELED, 9 }, 7, -ECANCELED, true, 7, 1 },
	{ "timeout_and_cancel_at_once", 5, { 20, 1 }, 5, -ECANCELED, true, 5, 1 },      /* test_outer_task_is_not_cancelled's opposite */
};

struct scope_run {
	const struct scope_row *row;
	bool expired;
	int rc;
	unsigned left;
};

static int scope_body(void *arg)
{
	struct scope_run *r = arg;
	struct child c = r->row->child;
	struct co_timeout t;
	int ms = r->row->timeout_ms;

	EXPECT_INT(co_timeout_enter(&t, ms == -1 ? CLOCK_NEVER : co_in_ms(ms)), 0);
	r->rc = co_timeout_leave(&t, child_body(&c));
	r->expired = t.expired;
	r->left = co_task_cancelling(co_task_current());
	return 0;
}

static void cancel_arg(void *arg)
{
	co_cancel(arg);
}

ROWS(run_scope, struct scope_row)
{
	struct scope_run r = { .row = row };
	struct co_future *t = spawn(scope_body, &r);
	struct co_timer cancel;

	co_timer_init(&cancel, cancel_arg, t);
	if (row->cancel_ms > 0)
		EXPECT_INT(co_timer_start(&cancel, co_in_ms(row->cancel_ms)), 0);
	co_await(t);
	EXPECT_INT(r.rc, row->rc);
	EXPECT(r.expired == row->expired);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT_INT(r.left, row->left);
	co_timer_stop(&cancel);
	co_unref(t);
}

/* Two scopes around one sleep. */
struct nested_row {
	const char *name;
	int outer_ms, inner_ms, sleep_ms;
	int inner_rc, outer_rc;
	int64_t at_ms;
};

static const struct nested_row nested[] = {
	{ "timeout_nested_inner", 10, 5, 20, -ETIMEDOUT, -ETIMEDOUT, 5 },       /* test_nested_timeouts: the inner's error goes on */
	{ "timeout_nested_outer", 5, 10, 20, -ECANCELED, -ETIMEDOUT, 5 },       /* test_nested_timeouts */
	{ "timeout_nested_none", 20, 10, 5, 0, 0, 5 },                          /* test_nested_timeouts */
	{ "timeout_nested_concurrent", 5, 5, 20, -ECANCELED, -ETIMEDOUT, 5 },   /* test_nested_timeouts_concurrent: the outer claims it */
	{ "timeout_nested_zero", 0, 0, 20, -ECANCELED, -ETIMEDOUT, 0 },         /* test_nested_timeouts_loop_busy */
	{ "timeout_nested_outer_zero", 0, 10, 20, -ECANCELED, -ETIMEDOUT, 0 },  /* test_nested_timeouts_loop_busy */
};

ROWS(run_nested, struct nested_row)
{
	struct co_timeout outer, inner;
	int rc;

	EXPECT_INT(co_timeout_enter(&outer, co_in_ms(row->outer_ms)), 0);
	EXPECT_INT(co_timeout_enter(&inner, co_in_ms(row->inner_ms)), 0);
	rc = co_timeout_leave(&inner, co_sleep_ms(row->sleep_ms));
	EXPECT_INT(rc, row->inner_rc);
	EXPECT_INT(co_timeout_leave(&outer, rc), row->outer_rc);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
}

/* A scope that is moved once, at 2 ms, with a sleep of 20. */
struct move_row {
	const char *name;
	int first_ms, then_ms;          /* -1: never */
	int rc;
	int64_t at_ms;
};

static const struct move_row moves[] = {
	{ "reschedule_later", 5, 8, -ETIMEDOUT, 10 },           /* test_reschedule */
	{ "reschedule_earlier", 10, 1, -ETIMEDOUT, 3 },         /* test_reschedule */
	{ "reschedule_to_never", 5, -1, 0, 22 },                /* test_reschedule: None */
	{ "reschedule_from_never", -1, 5, -ETIMEDOUT, 7 },      /* test_reschedule */
	{ "reschedule_to_now", 10, 0, -ETIMEDOUT, 2 },          /* test_timeout_zero */
};

ROWS(run_move, struct move_row)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, row->first_ms < 0 ? CLOCK_NEVER : co_in_ms(row->first_ms)), 0);
	EXPECT_INT(co_sleep_ms(2), 0);
	EXPECT_INT(co_timeout_reschedule(&t, row->then_ms < 0 ? CLOCK_NEVER : co_in_ms(row->then_ms)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(20)), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
}

/* test_timeout_zero_sleep_zero: a sleep of 0 is interrupted too */
TEST(timeout_zero_sleep_zero)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(0)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_yield()), -ETIMEDOUT);
	return 0;
}

/* test_nested_timeout_in_finally: a scope within the way out of an expired one */
TEST(timeout_nested_in_cleanup)
{
	struct co_timeout outer, inner;
	int rc;

	EXPECT_INT(co_timeout_enter(&outer, co_in_ms(1)), 0);
	rc = co_sleep_ms(5);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_timeout_enter(&inner, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_leave(&inner, co_sleep_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_timeout_leave(&outer, rc), -ETIMEDOUT);
	EXPECT_INT(now_ms(), 3);
	return 0;
}

static int timeout_while_cancelled(void *arg)
{
	struct co_timeout t;

	EXPECT_INT(co_sleep_ms(9), -ECANCELED);
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(9)), (int)(intptr_t)arg);
	return 3;
}

/* test_timeout_after_cancellation: an earlier cancel, caught, doesn't count against the scope */
TEST(timeout_after_cancellation)
{
	struct co_future *t = spawn(timeout_while_cancelled, (void *)(intptr_t)-ETIMEDOUT);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), 3);
	EXPECT_INT(co_task_cancelling(t), 1);
	EXPECT_INT(now_ms(), 2);
	co_unref(t);
	return 0;
}

/* test_cancel_in_timeout_after_cancellation: a new one within it does */
TEST(cancel_in_timeout_after_cancellation)
{
	struct co_future *t = spawn(timeout_while_cancelled, (void *)(intptr_t)-ECANCELED);

	yield_times(1);
	co_cancel(t);
	co_sleep_ms(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), 3);
	EXPECT_INT(co_task_cancelling(t), 2);
	co_unref(t);
	return 0;
}

static int timeout_in_a_task(void *arg)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	return co_timeout_leave(&t, co_await(arg));
}

/* test_outer_task_is_not_cancelled: a timeout error within a task is an error to who awaits it */
TEST(timeout_outer_task_is_not_cancelled)
{
	struct co_future *f = future_new(), *t = spawn(timeout_in_a_task, f);

	EXPECT_INT(co_await(t), -ETIMEDOUT);
	EXPECT_INT(co_state(t), CO_FAILED);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	EXPECT_INT(co_task_cancelling(t), 0);
	co_unref(t);
	co_unref(f);
	return 0;
}

/* test_timeout_finished: once left, it fires no more */
TEST(timeout_finished)
{
	struct co_timeout t;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_leave(&t, 0), 0);
	EXPECT_INT(co_sleep_ms(5), 0);
	EXPECT(!t.expired);
	return 0;
}

/* test_timeout_expiring: expired from the moment it cancels, before the body knows */
static void note_expired(void *arg)
{
	note(((struct co_timeout *)arg)->expired ? "expired" : "not");
}

TEST(timeout_expiring)
{
	struct co_timeout t;
	struct co_timer before, after;

	co_timer_init(&before, note_expired, &t);
	co_timer_init(&after, note_expired, &t);
	EXPECT_INT(co_timer_start(&before, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	EXPECT_INT(co_timer_start(&after, co_in_ms(2)), 0);
	EXPECT_INT(co_timeout_leave(&t, co_sleep_ms(5)), -ETIMEDOUT);
	EXPECT_TRACE("not expired");
	return 0;
}

/* test_timeout_taskgroup: the group's members are cancelled and waited for */
TEST(timeout_taskgroup)
{
	struct co_timeout t;
	struct co_group g;
	struct child slow = { .ms = 50 };
	int rc;

	EXPECT_INT(co_timeout_enter(&t, co_in_ms(2)), 0);
	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &slow, "slow"), 0);
	rc = co_group_leave(&g, 0);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_timeout_leave(&t, rc), -ETIMEDOUT);
	EXPECT(slow.saw_cancel);
	EXPECT_INT(now_ms(), 2);
	return 0;
}

int main(void)
{
	static struct suite timeouts;
	const struct CMUnitTest cases[] = {
		T(timeout_zero_sleep_zero), T(timeout_nested_in_cleanup), T(timeout_after_cancellation), T(cancel_in_timeout_after_cancellation),
		T(timeout_outer_task_is_not_cancelled), T(timeout_finished), T(timeout_expiring), T(timeout_taskgroup),
	};

	ADD_ROWS(&timeouts, scopes, run_scope);
	ADD_ROWS(&timeouts, nested, run_nested);
	ADD_ROWS(&timeouts, moves, run_move);
	ADD_CASES(&timeouts, cases);
	return RUN_SUITE(timeouts);
}
