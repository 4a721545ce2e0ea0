/* Futures and their callbacks: CPython's test_futures.py. */
#include "tests/conformance/conformance.h"

/* ---- states: what each way of completing leaves behind, and what a second try does ---- */

struct state_row {
	const char *name;
	int rc;                         /* completed with; 1: left pending */
	enum co_state state;
	bool cancel_again;
};

static const struct state_row states[] = {
	{ "future_initial_state", 1, CO_PENDING, true },                /* test_initial_state */
	{ "future_result", 42, CO_DONE, false },                        /* test_result */
	{ "future_result_zero", 0, CO_DONE, false },                    /* test_result */
	{ "future_exception", -EIO, CO_FAILED, false },                 /* test_exception */
	{ "future_cancelled", -ECANCELED, CO_CANCELLED, false },        /* test_cancel */
};

ROWS(run_state, struct state_row)
{
	struct co_future *f = row->rc == 1 ? future_new() : done_future(row->rc);

	EXPECT_INT(co_state(f), row->state);
	EXPECT(co_done(f) == (row->state != CO_PENDING));
	if (co_done(f))
		EXPECT_INT(co_result(f), row->rc);
	EXPECT(co_cancel(f) == row->cancel_again);
	EXPECT_INT(co_state(f), row->cancel_again ? CO_CANCELLED : row->state);
	co_unref(f);
}

/* ---- awaiting: a done future gives its outcome without a yield, a pending one wakes in the turn after its completion ---- */

struct await_row {
	const char *name;
	bool before;                    /* done before it is awaited */
	int rc;
};

static const struct await_row awaits[] = {
	{ "await_done_result", true, 5, },                      /* test_result, test_iter: done means no step */
	{ "await_done_error", true, -EIO },                     /* test_exception */
	{ "await_done_cancelled", true, -ECANCELED },           /* test_cancel: result() raises CancelledError */
	{ "await_pending_result", false, 7 },                   /* test_yield_from_twice */
	{ "await_pending_error", false, -EPERM },               /* test_exception */
	{ "await_pending_cancelled", false, -ECANCELED },       /* test_tasks: test_cancel_inner_future */
};

struct awaiter {
	struct co_future *f;
	int rc;
};

static int await_and_note(void *arg)
{
	struct awaiter *a = arg;

	note("before");
	a->rc = co_await(a->f);
	note("after");
	return 0;
}

ROWS(run_await, struct await_row)
{
	struct awaiter a = { row->before ? done_future(row->rc) : future_new(), 1 };
	struct co_future *task = spawn(await_and_note, &a);

	yield_times(1);
	EXPECT_TRACE(row->before ? "before after" : "before");
	if (!row->before) {
		if (row->rc == -ECANCELED)
			co_cancel(a.f);
		else if (row->rc < 0)
			co_set_error(a.f, row->rc);
		else
			co_set_result(a.f, row->rc);
		EXPECT_TRACE("");
		yield_times(1);
		EXPECT_TRACE("after");
	}
	EXPECT_INT(a.rc, row->rc);
	co_unref(a.f);
	co_unref(task);
}

/* ---- done-callbacks ---- */

/* BaseFutureDoneCallbackTests: what is left runs in order, when the loop comes to it */
struct removal_row {
	const char *name;
	const char *remove;             /* letters, of a to d */
	const char *want;
};

static const struct removal_row removals[] = {
	{ "callbacks_none_removed", "", "a b c d" },            /* test_callbacks_invoked_on_set_result */
	{ "callbacks_remove_first", "a", "b c d" },             /* test_callbacks_remove_first_callback */
	{ "callbacks_remove_first_and_second", "ab", "c d" },   /* test_callbacks_remove_first_and_second_callback */
	{ "callbacks_remove_third", "c", "a b d" },             /* test_callbacks_remove_third_callback */
	{ "callbacks_remove_last", "d", "a b c" },              /* test_remove_done_callback */
	{ "callbacks_remove_all", "abcd", "" },                 /* test_remove_done_callback */
	{ "callbacks_remove_twice", "aa", "b c d" },            /* test_remove_done_callback: the second time removes 0 */
};

ROWS(run_removal, struct removal_row)
{
	struct co_done_node n[4];
	struct co_future *f = future_new();

	for (int i = 0; i < 4; i++)
		co_done_add(f, &n[i], note_done, letter(i));
	for (const char *r = row->remove; *r != '\0'; r++)
		co_done_remove(&n[*r - 'a']);
	co_set_result(f, 1);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE(row->want);
	co_unref(f);
}

/* test_callbacks_invoked_on_set_exception */
TEST(callbacks_on_error)
{
	struct co_done_node n;
	struct co_future *f = future_new();

	co_done_add(f, &n, note_done, WORD("called"));
	co_set_error(f, -EIO);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("called");
	EXPECT_INT(co_result(f), -EIO);
	co_unref(f);
	return 0;
}

/* test_cancel: cancelling schedules the callbacks too */
TEST(callbacks_on_cancel)
{
	struct co_done_node n;
	struct co_future *f = future_new();

	co_done_add(f, &n, note_done, WORD("called"));
	co_cancel(f);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("called");
	co_unref(f);
	return 0;
}

/* test_callbacks_invoked_on_set_result: of a done future it is called soon, not at once */
TEST(callback_added_to_a_done_future)
{
	struct co_done_node n;
	struct co_future *f = done_future(1);

	co_done_add(f, &n, note_done, WORD("called"));
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("called");
	co_unref(f);
	return 0;
}

/* test_remove_done_callback: added twice runs twice */
TEST(callback_added_twice)
{
	struct co_done_node n[2];
	struct co_future *f = future_new();

	co_done_add(f, &n[0], note_done, WORD("x"));
	co_done_add(f, &n[1], note_done, WORD("x"));
	co_set_result(f, 1);
	yield_times(1);
	EXPECT_TRACE("x x");
	co_unref(f);
	return 0;
}

struct remover {
	struct co_done_node node;
	struct co_done_node *other;
};

static void remove_other(struct co_future *f, void *arg)
{
	(void)f;
	note("remove");
	co_done_remove(((struct remover *)arg)->other);
}

/* test_remove_done_callbacks_list_mutation; here also one that is scheduled already can be taken back (README.md) */
TEST(callback_removed_by_an_earlier_one)
{
	struct co_done_node other;
	struct remover r = { .other = &other };
	struct co_future *f = future_new();

	co_done_add(f, &r.node, remove_other, &r);
	co_done_add(f, &other, note_done, WORD("other"));
	co_set_result(f, 1);
	settle();
	EXPECT_TRACE("remove");
	co_unref(f);
	return 0;
}

static void add_again(struct co_future *f, void *arg)
{
	note("first");
	co_done_add(f, arg, note_done, WORD("second"));
}

/* test_schedule_callbacks_list_mutation_1: what a callback adds runs in a later turn */
TEST(callback_adds_a_callback)
{
	struct co_done_node n, again;
	struct co_future *f = future_new();

	co_done_add(f, &n, add_again, &again);
	co_set_result(f, 1);
	yield_times(1);
	EXPECT_TRACE("first");
	yield_times(1);
	EXPECT_TRACE("second");
	co_unref(f);
	return 0;
}

static void set_other(struct co_future *f, void *arg)
{
	(void)f;
	note("set");
	co_set_result(arg, 1);
}

/* test_schedule_callbacks_list_mutation_2: a completion from within a callback reaches its callbacks a turn later */
TEST(callback_completes_another_future)
{
	struct co_done_node n[2];
	struct co_future *f = future_new(), *other = future_new();

	co_done_add(f, &n[0], set_other, other);
	co_done_add(other, &n[1], note_done, WORD("other"));
	co_set_result(f, 1);
	yield_times(1);
	EXPECT_TRACE("set");
	yield_times(1);
	EXPECT_TRACE("other");
	co_unref(f);
	co_unref(other);
	return 0;
}

/* test_callbacks_invoked_on_set_result: callbacks and awaiting tasks wake in the order in which they came */
TEST(callbacks_and_tasks_in_one_order)
{
	struct co_done_node n;
	struct awaiter a = { .f = future_new() };
	struct co_future *task = spawn(await_and_note, &a);

	yield_times(1);
	co_done_add(a.f, &n, note_done, WORD("callback"));
	co_set_result(a.f, 1);
	yield_times(1);
	EXPECT_TRACE("before after callback");
	co_unref(a.f);
	co_unref(task);
	return 0;
}

/* test_result: a value of any kind is the result */
TEST(future_value_is_a_pointer)
{
	int x = 3;
	struct co_future *f = future_new();

	co_set_value(f, &x);
	EXPECT_INT(co_await(f), 0);
	EXPECT(co_value(f) == &x);
	co_unref(f);
	return 0;
}

/* test_cancel: two who await one future are both told */
TEST(future_cancel_reaches_all_awaiters)
{
	struct awaiter a = { .f = future_new() }, b = { .f = a.f };
	struct co_future *tasks[] = { spawn(await_and_note, &a), spawn(await_and_note, &b) };

	yield_times(1);
	co_cancel(a.f);
	settle();
	EXPECT_INT(a.rc, -ECANCELED);
	EXPECT_INT(b.rc, -ECANCELED);
	co_unref(a.f);
	end_all(tasks, 2);
	return 0;
}

/* ---- an error nobody looked at is reported once; every way of looking counts ---- */

enum look { LOOK_NOT, LOOK_RESULT, LOOK_AWAIT, LOOK_CANCEL, LOOK_STATE, LOOK_WAIT, LOOK_WAIT_FIRST_EXCEPTION, LOOK_GATHER, LOOK_SHIELD };

struct look_row {
	const char *name;
	enum look look;
	unsigned reports;
};

static const struct look_row looks[] = {
	{ "unretrieved_abandoned", LOOK_NOT, 1 },               /* test_tb_logger_exception_unretrieved */
	{ "unretrieved_result_looks", LOOK_RESULT, 0 },         /* test_tb_logger_exception_result_retrieved */
	{ "unretrieved_await_looks", LOOK_AWAIT, 0 },           /* test_tb_logger_exception_retrieved */
	{ "unretrieved_late_cancel_looks", LOOK_CANCEL, 0 },    /* test_log_traceback: cancel() clears it */
	{ "unretrieved_state_does_not_look", LOOK_STATE, 1 },   /* test_tb_logger_exception_unretrieved: done() is no look */
	{ "unretrieved_wait_does_not_look", LOOK_WAIT, 1 },     /* test_tasks: test_wait_with_exception */
	{ "unretrieved_wait_for_error_looks", LOOK_WAIT_FIRST_EXCEPTION, 0 },   /* test_tasks: test_wait_first_exception_in_wait */
	{ "unretrieved_gather_looks", LOOK_GATHER, 0 },         /* test_tasks: GatherTestsBase.test_one_exception */
	{ "unretrieved_shield_looks", LOOK_SHIELD, 0 },         /* test_tasks: test_shield_exception */
};

static void look_at(struct co_future *f, enum look how)
{
	struct co_future *fs[] = { f, future_new() }, *stand_in = NULL;

	switch (how) {
	case LOOK_NOT:
		break;
	case LOOK_RESULT:
		co_result(f);
		break;
	case LOOK_AWAIT:
		co_await(f);
		break;
	case LOOK_CANCEL:
		EXPECT(!co_cancel(f));
		break;
	case LOOK_STATE:
		EXPECT_INT(co_state(f), CO_FAILED);
		break;
	case LOOK_WAIT:
		EXPECT_INT(co_wait(fs, 1, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
		break;
	case LOOK_WAIT_FIRST_EXCEPTION:
		EXPECT_INT(co_wait(fs, 2, CO_FIRST_EXCEPTION, CLOCK_NEVER), 1);
		break;
	case LOOK_GATHER:
		stand_in = co_gather(fs, 1, false, NULL);
		break;
	case LOOK_SHIELD:
		stand_in = co_shield(f);
		break;
	}
	if (stand_in != NULL)
		EXPECT_INT(co_await(stand_in), -EIO);
	co_unref(stand_in);
	co_unref(fs[1]);
}

ROWS(run_look, struct look_row)
{
	struct co_future *f = done_future(-EIO);

	look_at(f, row->look);
	EXPECT_INT(unretrieved, 0);
	co_unref(f);
	EXPECT_INT(unretrieved, row->reports);
}

/* test_tb_logger_not_called_after_cancel */
TEST(unretrieved_cancelled_is_no_error)
{
	co_unref(done_future(-ECANCELED));
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_tb_logger_result_unretrieved */
TEST(unretrieved_result_is_no_error)
{
	co_unref(done_future(3));
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_future_exception_never_retrieved: of a task likewise, once its last reference goes */
TEST(unretrieved_task)
{
	co_unref(CHILD(.rc = -EIO));
	settle();
	EXPECT_INT(unretrieved, 1);
	return 0;
}

/* ---- shared and dropped references ---- */

/* test_future_del_collect: an awaiting task keeps the future; the maker may drop it */
TEST(reference_held_by_the_awaiter)
{
	struct awaiter a = { .f = future_new() };
	struct co_future *task = spawn(await_and_note, &a), *mine = a.f;

	yield_times(1);
	co_set_result(mine, 4);
	co_unref(mine);
	settle();
	EXPECT_INT(a.rc, 4);
	co_unref(task);
	return 0;
}

/* test_tb_logger_abandoned: dropped while pending, its callbacks never run */
TEST(reference_dropped_while_pending)
{
	struct co_done_node n;
	struct co_future *f = future_new();

	co_done_add(f, &n, note_done, WORD("never"));
	co_unref(f);
	settle();
	EXPECT_TRACE("");
	co_done_remove(&n);
	return 0;
}

int main(void)
{
	static struct suite futures;
	const struct CMUnitTest cases[] = {
		T(callbacks_on_error), T(callbacks_on_cancel), T(callback_added_to_a_done_future), T(callback_added_twice),
		T(callback_removed_by_an_earlier_one), T(callback_adds_a_callback), T(callback_completes_another_future),
		T(callbacks_and_tasks_in_one_order), T(future_value_is_a_pointer), T(future_cancel_reaches_all_awaiters),
		T(unretrieved_cancelled_is_no_error), T(unretrieved_result_is_no_error), T(unretrieved_task),
		T(reference_held_by_the_awaiter), T(reference_dropped_while_pending),
	};

	ADD_ROWS(&futures, states, run_state);
	ADD_ROWS(&futures, awaits, run_await);
	ADD_ROWS(&futures, removals, run_removal);
	ADD_ROWS(&futures, looks, run_look);
	ADD_CASES(&futures, cases);
	return RUN_SUITE(futures);
}
