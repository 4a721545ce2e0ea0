/* Tasks, cancelling, sleep: CPython's test_tasks.py; its wait, gather and as_completed are in test_tasks_many.c, shield in test_shield.c. */
#include "tests/conformance/conformance.h"

/* ---- start and end ---- */

static int note_arg(void *arg)
{
	note(arg);
	return 0;
}

/* test_task_basics: create schedules, the body runs in a later turn, in the order of creating */
TEST(task_starts_in_a_later_turn)
{
	struct co_future *t[] = { spawn(note_arg, WORD("a")), spawn(note_arg, WORD("b")) };

	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("a b");
	end_all(t, 2);
	return 0;
}

struct end_row {
	const char *name;
	int rc;
	enum co_state state;
};

static const struct end_row ends[] = {
	{ "task_result", 5, CO_DONE },                          /* test_task_basics */
	{ "task_error", -EIO, CO_FAILED },                      /* test_exception_marking: an exception of a body */
	{ "task_raises_cancelled", -ECANCELED, CO_CANCELLED },  /* test_baseexception_during_cancel's sibling: CancelledError ends as cancelled */
	{ "task_raises_timeout", -ETIMEDOUT, CO_FAILED },       /* test_wait_with_exception */
};

ROWS(run_end, struct end_row)
{
	struct co_future *t = CHILD(.rc = row->rc);

	EXPECT_INT(co_await(t), row->rc);
	EXPECT_INT(co_state(t), row->state);
	EXPECT(!co_cancel(t));
	EXPECT_INT(co_task_cancelling(t), 0);
	co_unref(t);
}

/* test_current_task */
static int current_is_me(void *arg)
{
	(void)arg;
	return strcmp(co_task_name(co_task_current()), "child 7") == 0;
}

/* test_bare_create_named_task, test_current_task */
TEST(task_has_a_name_and_is_current)
{
	struct co_future *t = co_task_new(current_is_me, NULL, "child %d", 7);

	EXPECT(co_task_current() != t);
	EXPECT_INT(co_await(t), 1);
	co_unref(t);
	return 0;
}

static int yield_and_look(void *arg)
{
	struct co_future *me = co_task_current();

	(void)arg;
	for (int i = 0; i < 3; i++)
		if (co_yield() < 0 || co_task_current() != me)
			return -EIO;
	return 0;
}

/* test_current_task_with_interleaving_tasks */
TEST(task_current_with_interleaving_tasks)
{
	struct co_future *t[] = { spawn(yield_and_look, NULL), spawn(yield_and_look, NULL) };

	EXPECT_INT(co_await(t[0]), 0);
	EXPECT_INT(co_await(t[1]), 0);
	end_all(t, 2);
	return 0;
}

static int awaits_twice(void *arg)
{
	int rc = co_await(arg);

	return rc < 0 ? rc : rc + co_await(arg);
}

/* test_step_result_future: a result can be had any number of times, by any number of tasks */
TEST(task_awaited_twice_and_by_two)
{
	struct co_future *c = CHILD(5, 4), *t[] = { spawn(awaits_twice, c), spawn(awaits_twice, c) };

	EXPECT_INT(co_await(t[0]), 8);
	EXPECT_INT(co_await(t[1]), 8);
	end_all(t, 2);
	co_unref(c);
	return 0;
}

/* ---- cancel ---- */

struct cancel_row {
	const char *name;
	struct child child;
	int begin, cancels, rc;         /* yields before, how often, how it ends */
	int64_t at_ms;
};

static const struct cancel_row cancels[] = {
	{ "cancel_before_start", { 10, 1, 7 }, 0, 1, -ECANCELED, 0 },   /* test_cancel_with_message_before_starting_task: the body never runs */
	{ "cancel_twice_before_start", { 10, 1, 7 }, 0, 2, -ECANCELED, 0 },     /* the same */
	{ "cancel_sleeping", { 10, 1 }, 1, 1, -ECANCELED, 0 },          /* test_cancel, test_task_cancel_sleeping_task */
	{ "cancel_caught", { 10, 1, 7 }, 1, 1, 7, 0 },                  /* test_cancel_task_catching */
	{ "cancel_turned_into_an_error", { 10, 1, -EIO }, 1, 1, -EIO, 0 },      /* test_baseexception_during_cancel */
	{ "cancel_ignored_a_while", { 10, 1, 7, 20 }, 1, 1, 7, 20 },    /* test_cancel_task_ignoring */
	{ "cancel_twice_parked_is_one_delivery", { 10, 1, 7 }, 1, 2, 7, 0 },    /* test_cancel_both_task_and_inner_future */
	{ "cancel_during_cleanup", { 10, 1, 7, 20 }, 1, 3, 7, 20 },     /* several requests while parked: one delivery */
};

ROWS(run_cancel, struct cancel_row)
{
	struct child c = row->child;
	struct co_future *t = spawn(child_body, &c);

	yield_times(row->begin);
	for (int i = 0; i < row->cancels; i++)
		EXPECT(co_cancel(t));
	EXPECT_INT(co_task_cancelling(t), row->cancels);
	EXPECT_INT(co_await(t), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT(c.saw_cancel == (row->begin > 0));
	co_unref(t);
}

/* test_cancel_yield: between two turns, delivered where it yields */
static int count_yields(void *arg)
{
	int *n = arg, rc;

	while ((rc = co_yield()) == 0)
		++*n;
	return rc;
}

TEST(cancel_a_yielding_task)
{
	int n = 0;
	struct co_future *t = spawn(count_yields, &n);

	yield_times(3);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(n, 2);
	co_unref(t);
	return 0;
}

/* test_cancel_inner_future: who awaits it is cancelled, by an error like any other */
TEST(cancel_inner_future)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_cancel(f);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	EXPECT_INT(co_task_cancelling(t), 0);
	co_unref(f);
	co_unref(t);
	return 0;
}

/* test_cancel_both_task_and_inner_future */
TEST(cancel_task_and_inner_future)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	EXPECT(co_cancel(f));
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(f), CO_CANCELLED);
	co_unref(f);
	co_unref(t);
	return 0;
}

/* test_yield_future_passes_cancel: forwarded to what is awaited, along the chain to its end */
TEST(cancel_passes_along_a_chain)
{
	struct co_future *f = future_new(), *b = spawn(await_arg, f), *a = spawn(await_arg, b);

	yield_times(2);
	EXPECT(co_cancel(a));
	EXPECT_INT(co_state(f), CO_CANCELLED);
	EXPECT_INT(co_task_cancelling(b), 1);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_INT(co_state(b), CO_CANCELLED);
	co_unref(f);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* test_cancel_awaited_task: the inner may answer the forwarded cancel with a result; then the outer has that */
TEST(cancel_swallowed_by_the_awaited_task)
{
	struct co_future *b = CHILD(10, 1, 7), *a = spawn(await_arg, b);

	yield_times(2);
	EXPECT(co_cancel(a));
	EXPECT_INT(co_await(a), 7);
	EXPECT_INT(co_task_cancelling(a), 1);
	co_unref(a);
	co_unref(b);
	return 0;
}

static int cancel_self_then(void *arg)
{
	EXPECT(co_cancel(co_task_current()));
	return arg != NULL ? co_sleep_ms(10) : 3;
}

/* test_cancel_current_task: delivered at its next await */
TEST(cancel_current_task)
{
	struct co_future *t = spawn(cancel_self_then, WORD("sleep"));

	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(now_ms(), 0);
	co_unref(t);
	return 0;
}

/* test_cancel_at_end: a result that a cancel came too late to stop is lost to it */
TEST(cancel_at_end)
{
	struct co_future *t = spawn(cancel_self_then, NULL);

	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	return 0;
}

static int cancel_self_and_fail(void *arg)
{
	(void)arg;
	co_cancel(co_task_current());
	return -EIO;
}

/* test_cancel_at_end, by an exception: that is not lost */
TEST(cancel_at_end_of_a_failing_body)
{
	struct co_future *t = spawn(cancel_self_and_fail, NULL);

	EXPECT_INT(co_await(t), -EIO);
	co_unref(t);
	return 0;
}

/* test_cancel_traceback_for_future_result: the future was done, the task not yet resumed: the cancel wins */
TEST(cancel_between_completion_and_resume)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_set_result(f, 3);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(f), CO_DONE);
	co_unref(f);
	co_unref(t);
	return 0;
}

/* test_cancel_traceback_for_future_exception: also over the future's error */
TEST(cancel_between_failure_and_resume)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);

	yield_times(1);
	co_set_error(f, -EIO);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(f);
	co_unref(t);
	return 0;
}

static int await_done_then_sleep(void *arg)
{
	int rc;

	co_cancel(co_task_current());
	rc = co_await(arg);
	return rc < 0 ? rc : co_sleep_ms(10) == -ECANCELED ? 100 + rc : rc;
}

/* test_cancel_current_task: awaiting a done future is no suspension, so the cancel isn't delivered there */
TEST(cancel_is_not_delivered_by_a_done_future)
{
	struct co_future *f = done_future(3), *t = spawn(await_done_then_sleep, f);

	EXPECT_INT(co_await(t), 103);
	co_unref(f);
	co_unref(t);
	return 0;
}

/* ---- uncancel ---- */

struct uncancel_row {
	const char *name;
	int cancels, uncancels, left;
	bool delivered;                 /* both before its next await */
};

static const struct uncancel_row uncancels[] = {
	{ "uncancel_none", 0, 1, 0, false },                    /* test_uncancel_basic: not below zero */
	{ "uncancel_of_none_asked", 1, 0, 1, true },            /* test_cancelling */
	{ "uncancel_last", 1, 1, 0, false },                    /* test_uncancel_resets_must_cancel: 3.13 doesn't deliver */
	{ "uncancel_one_of_two", 2, 1, 1, true },               /* test_uncancel_basic */
	{ "uncancel_two_of_two", 2, 2, 0, false },              /* test_uncancel_resets_must_cancel */
	{ "uncancel_more_than_asked", 1, 3, 0, false },         /* test_uncancel_basic */
};

static int uncancel_body(void *arg)
{
	const struct uncancel_row *row = arg;
	struct co_future *me = co_task_current();

	for (int i = 0; i < row->cancels; i++)
		co_cancel(me);
	EXPECT_INT(co_task_cancelling(me), row->cancels);
	for (int i = 0; i < row->uncancels; i++)
		EXPECT(co_task_uncancel(me) == (i + 1 >= row->cancels));
	EXPECT_INT(co_task_cancelling(me), row->left);
	return co_yield() == -ECANCELED;
}

ROWS(run_uncancel, struct uncancel_row)
{
	struct co_future *t = spawn(uncancel_body, (void *)(uintptr_t)row);

	EXPECT_INT(co_await(t), row->delivered);
	co_unref(t);
}

static int catch_and_uncancel(void *arg)
{
	int rc = co_sleep_ms(10);

	(void)arg;
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	EXPECT(co_task_uncancel(co_task_current()));
	return co_sleep_ms(10) == 0 ? 5 : -EIO;
}

/* test_uncancel_structured_blocks: who takes it back goes on unharmed */
TEST(uncancel_after_catching)
{
	struct co_future *t = spawn(catch_and_uncancel, NULL);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), 5);
	EXPECT_INT(now_ms(), 10);
	co_unref(t);
	return 0;
}

/* test_uncancel_basic: a request once delivered to the future stays delivered, whatever is taken back from outside */
TEST(uncancel_from_outside_is_too_late)
{
	struct co_future *t = CHILD(10, 1);

	yield_times(1);
	co_cancel(t);
	EXPECT(co_task_uncancel(t));
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	return 0;
}

/* test_uncancel_resets_must_cancel, before the first run: the body runs after all */
TEST(uncancel_before_start)
{
	struct co_future *t = CHILD(.rc = 4);

	co_cancel(t);
	EXPECT(co_task_uncancel(t));
	EXPECT_INT(co_await(t), 4);
	co_unref(t);
	return 0;
}

/* ---- sleep ---- */

static int sleep_and_note(void *arg)
{
	const char *word = arg;
	int rc = co_sleep_ms(word[0] - '0');

	note(rc < 0 ? "cancelled" : word);
	return rc;
}

/* test_sleep: by time, and of equal times in the order of asking */
TEST(sleep_order)
{
	struct co_future *t[] = { spawn(sleep_and_note, WORD("3a")), spawn(sleep_and_note, WORD("1")), spawn(sleep_and_note, WORD("3b")),
				  spawn(sleep_and_note, WORD("2")) };

	co_sleep_ms(5);
	EXPECT_TRACE("1 2 3a 3b");
	EXPECT_INT(now_ms(), 5);
	end_all(t, 4);
	return 0;
}

/* test_sleep_cancel: its timer goes with it */
TEST(sleep_cancel)
{
	struct co_future *t = spawn(sleep_and_note, WORD("9"));

	yield_times(1);
	co_cancel(t);
	settle();
	EXPECT_TRACE("cancelled");
	EXPECT_INT(now_ms(), 0);
	co_unref(t);
	return 0;
}

/* SleepTests.test_sleep_zero: exactly one turn */
TEST(sleep_zero_yields_once)
{
	struct co_future *t = spawn(sleep_and_note, WORD("0"));

	yield_times(1);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("0");
	co_unref(t);
	return 0;
}

/* SleepTests.test_sleep_zero: a time that is past is no other */
TEST(sleep_negative_yields_once)
{
	struct co_future *t = spawn(note_arg, WORD("other"));

	EXPECT_INT(co_sleep_ms(-5), 0);
	EXPECT_TRACE("other");
	EXPECT_INT(now_ms(), 0);
	co_unref(t);
	return 0;
}

int main(void)
{
	static struct suite tasks;
	const struct CMUnitTest cases[] = {
		T(task_starts_in_a_later_turn), T(task_has_a_name_and_is_current), T(task_current_with_interleaving_tasks),
		T(task_awaited_twice_and_by_two), T(cancel_a_yielding_task), T(cancel_inner_future), T(cancel_task_and_inner_future),
		T(cancel_passes_along_a_chain), T(cancel_swallowed_by_the_awaited_task), T(cancel_current_task), T(cancel_at_end),
		T(cancel_at_end_of_a_failing_body), T(cancel_between_completion_and_resume), T(cancel_between_failure_and_resume),
		T(cancel_is_not_delivered_by_a_done_future), T(uncancel_after_catching), T(uncancel_from_outside_is_too_late),
		T(uncancel_before_start), T(sleep_order), T(sleep_cancel), T(sleep_zero_yields_once), T(sleep_negative_yields_once),
	};

	ADD_ROWS(&tasks, ends, run_end);
	ADD_ROWS(&tasks, cancels, run_cancel);
	ADD_ROWS(&tasks, uncancels, run_uncancel);
	ADD_CASES(&tasks, cases);
	return RUN_SUITE(tasks);
}
