/* Shield: CPython's test_tasks.py. */
#include "tests/conformance/conformance.h"

struct shield_row {
	const char *name;
	struct child child;
	int cancel_outer_ms, cancel_inner_ms;   /* -1: not */
	int rc;
	enum co_state outer, inner;
};

static const struct shield_row shields[] = {
	{ "shield_result", { 5, 3 }, -1, -1, 3, CO_DONE, CO_DONE },             /* test_shield_result */
	{ "shield_exception", { 5, -EIO }, -1, -1, -EIO, CO_FAILED, CO_FAILED },        /* test_shield_exception */
	{ "shield_cancel_inner", { 5, 3 }, -1, 2, -ECANCELED, CO_CANCELLED, CO_CANCELLED },     /* test_shield_cancel_inner */
	{ "shield_cancel_outer", { 5, 3 }, 2, -1, -ECANCELED, CO_CANCELLED, CO_DONE },  /* test_shield_cancel_outer */
	{ "shield_cancel_both", { 5, 3 }, 2, 3, -ECANCELED, CO_CANCELLED, CO_CANCELLED },       /* test_shield_effect */
	{ "shield_cancel_outer_of_failing", { 5, -EIO }, 2, -1, -ECANCELED, CO_CANCELLED, CO_FAILED },  /* test_shield_cancel_outer */
};

ROWS(run_shield, struct shield_row)
{
	struct child c = row->child;
	struct co_future *inner = spawn(child_body, &c), *outer = co_shield(inner);

	EXPECT(outer != inner);
	for (int ms = 0; ms < 10; ms++) {
		co_sleep_until(ms * INT64_C(1000));
		if (ms == row->cancel_outer_ms)
			EXPECT(co_cancel(outer));
		if (ms == row->cancel_inner_ms)
			EXPECT(co_cancel(inner));
	}
	EXPECT_INT(co_await(outer), row->rc);
	EXPECT_INT(co_state(outer), row->outer);
	EXPECT_INT(co_state(inner), row->inner);
	co_unref(outer);
	co_unref(inner);
	EXPECT_INT(unretrieved, row->inner == CO_FAILED && row->outer == CO_CANCELLED);
}

/* test_shield_shortcut: of a done inner the inner itself */
TEST(shield_shortcut)
{
	struct co_future *f = done_future(3), *s = co_shield(f);

	EXPECT(s == f);
	EXPECT_INT(co_await(s), 3);
	co_unref(s);
	co_unref(f);
	return 0;
}

static int await_shield(void *arg)
{
	struct co_future *s = co_shield(arg);
	int rc = co_await(s);

	co_unref(s);
	return rc;
}

/* test_shield_effect: cancelling who awaits the shield leaves the inner alone */
TEST(shield_effect)
{
	struct co_future *inner = CHILD(5, 3), *t = spawn(await_shield, inner);

	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(inner), CO_PENDING);
	EXPECT_INT(co_await(inner), 3);
	EXPECT_INT(co_task_cancelling(inner), 0);
	co_unref(t);
	co_unref(inner);
	return 0;
}

/* test_shield_gather: the gather behind it runs on */
TEST(shield_of_a_gather)
{
	struct co_future *c[] = { CHILD(2, 1), CHILD(3, 2) };
	int results[2];
	struct co_future *g = co_gather(c, 2, false, results), *s = co_shield(g);

	yield_times(1);
	co_cancel(s);
	EXPECT_INT(co_await(s), -ECANCELED);
	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(results[0] * 10 + results[1], 12);
	co_unref(s);
	co_unref(g);
	end_all(c, 2);
	return 0;
}

/* test_gather_shield: cancelling the gather cancels the shields, not what they stand for */
TEST(gather_of_shields)
{
	struct co_future *c[] = { CHILD(2, 1), CHILD(3, 2) }, *s[] = { co_shield(c[0]), co_shield(c[1]) };
	struct co_future *g = co_gather(s, 2, false, NULL);

	yield_times(1);
	EXPECT(co_cancel(g));
	EXPECT_INT(co_await(g), -ECANCELED);
	EXPECT_INT(co_state(s[0]), CO_CANCELLED);
	EXPECT_INT(co_await(c[0]), 1);
	EXPECT_INT(co_await(c[1]), 2);
	co_unref(g);
	end_all(s, 2);
	end_all(c, 2);
	return 0;
}

/* test_yield_wait_does_not_shield_cancel's opposite: a shield in a shield */
TEST(shield_of_a_shield)
{
	struct co_future *inner = CHILD(5, 3), *s = co_shield(inner), *outer = co_shield(s);

	yield_times(1);
	co_cancel(outer);
	EXPECT_INT(co_await(s), 3);
	EXPECT_INT(co_state(outer), CO_CANCELLED);
	co_unref(outer);
	co_unref(s);
	co_unref(inner);
	return 0;
}

int main(void)
{
	static struct suite shield;
	const struct CMUnitTest cases[] = {
		T(shield_shortcut), T(shield_effect), T(shield_of_a_gather), T(gather_of_shields), T(shield_of_a_shield),
	};

	ADD_ROWS(&shield, shields, run_shield);
	ADD_CASES(&shield, cases);
	return RUN_SUITE(shield);
}
