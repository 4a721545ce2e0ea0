/* wait_for: CPython's test_waitfor.py. */
#include "tests/conformance/conformance.h"

struct wait_for_row {
	const char *name;
	struct child child;
	int timeout_ms;                 /* -1: none */
	int rc;
	int64_t at_ms;
	enum co_state state;            /* the inner's, afterwards */
};

static const struct wait_for_row rows[] = {
	{ "wait_for_none_result", { 5, 3 }, -1, 3, 5, CO_DONE },                /* test_wait_for_blocking */
	{ "wait_for_none_error", { 5, -EIO }, -1, -EIO, 5, CO_FAILED },         /* test_wait_for_blocking, by an exception */
	{ "wait_for_in_time", { 5, 3 }, 10, 3, 5, CO_DONE },                    /* test_asyncio_wait_for_timeout */
	{ "wait_for_error_in_time", { 5, -EIO }, 10, -EIO, 5, CO_FAILED },      /* test_asyncio_wait_for_timeout, by an exception */
	{ "wait_for_no_wait_result", { 0, 3 }, 10, 3, 0, CO_DONE },             /* test_wait_for_race_condition */
	{ "wait_for_timeout", { 10, 3 }, 5, -ETIMEDOUT, 5, CO_CANCELLED },      /* test_wait_for */
	/* test_wait_for_waits_for_task_cancellation */
	{ "wait_for_waits_for_the_end", { 10, 3, -ECANCELED, 20 }, 5, -ETIMEDOUT, 25, CO_CANCELLED },
	{ "wait_for_stubborn_result", { 10, 3, 7 }, 5, 7, 5, CO_DONE },         /* test_wait_for_cancel_suppressed */
	{ "wait_for_stubborn_late_result", { 10, 3, 7, 20 }, 5, 7, 25, CO_DONE },       /* test_wait_for_cancel_suppressed, later */
	{ "wait_for_error_on_cancel", { 10, 3, -EIO }, 5, -EIO, 5, CO_FAILED }, /* test_wait_for_reraises_exception_during_cancellation */
	{ "wait_for_late_error_on_cancel", { 10, 3, -EIO, 9 }, 5, -EIO, 14, CO_FAILED },        /* the same, later */
	{ "wait_for_zero", { 10, 3 }, 0, -ETIMEDOUT, 0, CO_CANCELLED },         /* test_wait_for_timeout_less_then_0_or_0 */
	{ "wait_for_past", { 10, 3 }, -7, -ETIMEDOUT, 0, CO_CANCELLED },        /* test_wait_for_timeout_less_then_0_or_0: -1 */
	/* test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started */
	{ "wait_for_zero_is_never_begun", { 0, 3, 9 }, 0, -ETIMEDOUT, 0, CO_CANCELLED },
};

ROWS(run_wait_for, struct wait_for_row)
{
	struct child c = row->child;
	struct co_future *f = spawn(child_body, &c);

	EXPECT_INT(co_wait_for(f, row->timeout_ms == -1 ? CLOCK_NEVER : co_in_ms(row->timeout_ms)), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT_INT(co_state(f), row->state);
	EXPECT_INT(co_task_cancelling(co_task_current()), 0);
	co_unref(f);
}

/* What is begun before a wait_for of 0 gets its cancel as any other. */
struct begun_row {
	const char *name;
	struct child child;
	int rc;
	int64_t at_ms;
};

static const struct begun_row begun[] = {
	{ "wait_for_zero_of_a_begun_task", { 10, 3 }, -ETIMEDOUT, 0 },          /* test_wait_for_waits_for_task_cancellation_w_timeout_0 */
	/* test_wait_for_waits_for_task_cancellation_w_timeout_0 */
	{ "wait_for_zero_waits_for_the_end", { 10, 3, -ECANCELED, 8 }, -ETIMEDOUT, 8 },
	{ "wait_for_zero_stubborn", { 10, 3, 7 }, 7, 0 },                       /* test_wait_for_cancel_suppressed */
	{ "wait_for_zero_error", { 10, 3, -EIO }, -EIO, 0 },                    /* test_wait_for_reraises_exception_during_cancellation */
};

ROWS(run_begun, struct begun_row)
{
	struct child c = row->child;
	struct co_future *f = spawn(child_body, &c);

	yield_times(1);
	EXPECT_INT(co_wait_for(f, co_in_ms(0)), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT(c.saw_cancel);
	co_unref(f);
}

/* Of what is done already, the outcome, without a yield, whatever the timeout. */
struct done_row {
	const char *name;
	int rc, timeout_ms;
};

static const struct done_row done[] = {
	{ "wait_for_done_result_zero", 3, 0 },          /* test_wait_for_timeout_less_then_0_or_0_future_done */
	{ "wait_for_done_result_later", 3, 5 },         /* test_wait_for_timeout_less_then_0_or_0_future_done */
	{ "wait_for_done_error_zero", -EIO, 0 },        /* the same, by an exception */
	{ "wait_for_done_error_later", -EIO, 5 },       /* the same, by an exception */
	{ "wait_for_done_cancelled_zero", -ECANCELED, 0 },      /* test_asyncio_wait_for_cancelled */
	{ "wait_for_done_cancelled_later", -ECANCELED, 5 },     /* the same, later */
};

ROWS(run_done, struct done_row)
{
	struct co_future *f = done_future(row->rc), *other = spawn(return_arg, NULL);

	EXPECT_INT(co_wait_for(f, co_in_ms(row->timeout_ms)), row->rc);
	EXPECT(!co_done(other));
	settle();
	co_unref(f);
	co_unref(other);
}

/* ---- who waits is cancelled ---- */

struct waiter {
	struct co_future *f;
	int timeout_ms, rc;
};

static int wait_for_body(void *arg)
{
	struct waiter *w = arg;

	w->rc = co_wait_for(w->f, w->timeout_ms < 0 ? CLOCK_NEVER : co_in_ms(w->timeout_ms));
	return w->rc;
}

struct cancel_row {
	const char *name;
	struct child child;
	int timeout_ms;
	int cancel_ms[2];               /* -1: no such cancel */
	int rc;
	enum co_state state, inner;
};

static const struct cancel_row cancels[] = {
	{ "wait_for_cancelled", { 10, 3 }, 20, { 5, -1 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },     /* test_cancel_wait_for */
	/* test_cancel_blocking_wait_for */
	{ "wait_for_none_cancelled", { 10, 3 }, -1, { 5, -1 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },
	/* test_wait_for_cancel_suppressed */
	{ "wait_for_cancelled_stubborn_inner", { 10, 3, 7 }, 20, { 5, -1 }, 7, CO_DONE, CO_DONE },
	/* test_wait_for_reraises_exception_during_cancellation */
	{ "wait_for_cancelled_failing_inner", { 10, 3, -EIO }, 20, { 5, -1 }, -EIO, CO_FAILED, CO_FAILED },
	/* test_cancel_blocking_wait_for */
	{ "wait_for_timeout_then_cancel", { 30, 3, -ECANCELED, 20 }, 5, { 10, -1 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },
	/* test_wait_for_cancellation_race_condition: a real cancel wins */
	{ "wait_for_cancel_at_the_timeout", { 30, 3 }, 5, { 5, -1 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },
	/* test_wait_for_cancellation_race_condition */
	{ "wait_for_cancelled_at_its_end", { 5, 3 }, 20, { 5, -1 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },
	/* test_cancel_blocking_wait_for, twice */
	{ "wait_for_cancelled_twice", { 30, 3, -ECANCELED, 20 }, 40, { 5, 6 }, -ECANCELED, CO_CANCELLED, CO_CANCELLED },
};

ROWS(run_cancel, struct cancel_row)
{
	struct child c = row->child;
	struct waiter w = { spawn(child_body, &c), row->timeout_ms, 1 };
	struct co_future *task = spawn(wait_for_body, &w);

	for (int i = 0; i < 2 && row->cancel_ms[i] >= 0; i++) {
		co_sleep_until(row->cancel_ms[i] * INT64_C(1000));
		EXPECT(co_cancel(task));
	}
	EXPECT_INT(co_wait(&task, 1, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
	EXPECT_INT(w.rc, row->rc);
	EXPECT_INT(co_state(task), row->state);
	EXPECT_INT(co_state(w.f), row->inner);
	co_unref(w.f);
	co_unref(task);
}

/* WaitForShieldTests.test_shielded_timeout: what is shielded runs on past the timeout */
TEST(wait_for_of_a_shield)
{
	struct co_future *inner = CHILD(10, 3), *f = co_shield(inner);

	EXPECT_INT(co_wait_for(f, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_state(inner), CO_PENDING);
	EXPECT_INT(co_await(inner), 3);
	EXPECT_INT(now_ms(), 10);
	co_unref(f);
	co_unref(inner);
	return 0;
}

/* test_wait_for: of a plain future: it is cancelled */
TEST(wait_for_of_a_future)
{
	struct co_future *f = future_new();

	EXPECT_INT(co_wait_for(f, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_unref(f);
	return 0;
}

static int inner_wait_for(void *arg)
{
	struct co_future *f = CHILD(30, 3);
	int rc = co_wait_for(f, co_in_ms((int)(intptr_t)arg));

	co_unref(f);
	return rc;
}

/* test_wait_for_issue86296's shape: the inner timeout first, an error to the outer */
TEST(wait_for_nested_inner_first)
{
	struct co_future *f = spawn(inner_wait_for, (void *)5);

	EXPECT_INT(co_wait_for(f, co_in_ms(10)), -ETIMEDOUT);
	EXPECT_INT(co_state(f), CO_FAILED);
	EXPECT_INT(now_ms(), 5);
	co_unref(f);
	return 0;
}

/* test_wait_for_issue86296's shape: the outer timeout first, which cancels the inner wait */
TEST(wait_for_nested_outer_first)
{
	struct co_future *f = spawn(inner_wait_for, (void *)10);

	EXPECT_INT(co_wait_for(f, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	EXPECT_INT(now_ms(), 5);
	co_unref(f);
	return 0;
}

/* WaitForShieldTests.test_zero_timeout: the shield is cancelled, what it stands for is not */
TEST(wait_for_zero_of_a_shield)
{
	struct co_future *inner = CHILD(10, 3), *f = co_shield(inner);

	EXPECT_INT(co_wait_for(f, co_in_ms(0)), -ETIMEDOUT);
	EXPECT_INT(co_await(inner), 3);
	co_unref(f);
	co_unref(inner);
	return 0;
}

/* WaitForShieldTests.test_none_timeout */
TEST(wait_for_none_of_a_shield)
{
	struct co_future *inner = CHILD(10, 3), *f = co_shield(inner);

	EXPECT_INT(co_wait_for(f, CLOCK_NEVER), 3);
	co_unref(f);
	co_unref(inner);
	return 0;
}

/* WaitForShieldTests.test_none_timeout: a cancel inside is one outside */
TEST(wait_for_of_a_shield_cancelled_inside)
{
	struct co_future *inner = CHILD(10, 3), *f = co_shield(inner);

	co_cancel(inner);
	EXPECT_INT(co_wait_for(f, co_in_ms(5)), -ECANCELED);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_unref(f);
	co_unref(inner);
	return 0;
}

/* test_wait_for_waits_for_task_cancellation: the inner task's cancel count says that it was asked once */
TEST(wait_for_asks_the_inner_once)
{
	struct child c = { .ms = 10, .rc = 3, .stubborn = -ECANCELED, .late_ms = 5 };
	struct co_future *f = spawn(child_body, &c);

	EXPECT_INT(co_wait_for(f, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_task_cancelling(f), 1);
	co_unref(f);
	return 0;
}

int main(void)
{
	static struct suite wait_for;
	const struct CMUnitTest cases[] = {
		T(wait_for_of_a_shield), T(wait_for_of_a_future), T(wait_for_nested_inner_first), T(wait_for_nested_outer_first),
		T(wait_for_zero_of_a_shield), T(wait_for_none_of_a_shield), T(wait_for_of_a_shield_cancelled_inside),
		T(wait_for_asks_the_inner_once),
	};

	ADD_ROWS(&wait_for, rows, run_wait_for);
	ADD_ROWS(&wait_for, begun, run_begun);
	ADD_ROWS(&wait_for, done, run_done);
	ADD_ROWS(&wait_for, cancels, run_cancel);
	ADD_CASES(&wait_for, cases);
	return RUN_SUITE(wait_for);
}
