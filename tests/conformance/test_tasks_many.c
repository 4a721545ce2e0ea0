/* What stands on many tasks at once: wait, gather, as_completed: CPython's test_tasks.py. */
#include "tests/conformance/conformance.h"

enum { MEMBERS = 4 };

/* Members of a row: when, and how they end; -ECANCELED: by a cancel at that time. A member with `ms` 0 is done before. */
struct member_row {
	int ms, rc;
};

static void cancel_arg(void *arg)
{
	co_cancel(arg);
}

struct members {
	struct co_future *f[MEMBERS];
	struct co_timer cancel[MEMBERS];
	struct child child[MEMBERS];
	size_t n;
};

static void members_new(struct members *m, const struct member_row *rows)
{
	for (m->n = 0; m->n < MEMBERS && (rows[m->n].ms != 0 || rows[m->n].rc != 0); m->n++) {
		const struct member_row *row = &rows[m->n];

		m->child[m->n] = (struct child){ .ms = row->rc == -ECANCELED ? 1000 : row->ms, .rc = row->rc };
		m->f[m->n] = row->ms == 0 ? done_future(row->rc) : spawn(child_body, &m->child[m->n]);
		co_timer_init(&m->cancel[m->n], cancel_arg, m->f[m->n]);
		if (row->rc == -ECANCELED && row->ms > 0)
			EXPECT_INT(co_timer_start(&m->cancel[m->n], co_in_ms(row->ms)), 0);
	}
}

static void members_free(struct members *m)
{
	for (size_t i = 0; i < m->n; i++)
		co_timer_stop(&m->cancel[i]);
	end_all(m->f, m->n);
}

/* ---- wait ---- */

struct wait_row {
	const char *name;
	enum co_wait_mode mode;
	int timeout_ms;                 /* -1: none */
	struct member_row members[MEMBERS];
	const char *done;               /* '1' for each that is done then */
	int64_t at_ms;
};

#define OK(ms) { ms, 1 }
#define BAD(ms) { ms, -EIO }
#define CUT(ms) { ms, -ECANCELED }

static const struct wait_row waits[] = {
	{ "wait_all", CO_ALL_COMPLETED, -1, { OK(1), OK(3), OK(2) }, "111", 3 },                /* test_wait */
	{ "wait_all_errors", CO_ALL_COMPLETED, -1, { BAD(1), OK(3) }, "11", 3 },                /* test_wait_with_exception */
	{ "wait_all_cancelled", CO_ALL_COMPLETED, -1, { CUT(1), OK(3) }, "11", 3 },             /* test_wait: cancelled is done */
	{ "wait_all_done_before", CO_ALL_COMPLETED, -1, { OK(0), OK(0) }, "11", 0 },            /* test_wait */
	{ "wait_all_timeout", CO_ALL_COMPLETED, 2, { OK(1), OK(3) }, "10", 2 },                 /* test_wait_with_timeout */
	{ "wait_all_timeout_zero", CO_ALL_COMPLETED, 0, { OK(1), OK(0) }, "01", 0 },            /* test_wait_with_timeout */
	{ "wait_all_in_time", CO_ALL_COMPLETED, 5, { OK(1), OK(3) }, "11", 3 },                 /* test_wait_with_timeout */
	/* test_wait_concurrent_complete: its timer is older */
	{ "wait_all_at_the_timeout", CO_ALL_COMPLETED, 3, { OK(1), OK(3) }, "10", 3 },
	{ "wait_all_error_timeout", CO_ALL_COMPLETED, 2, { BAD(1), OK(3) }, "10", 2 },          /* test_wait_with_exception */
	{ "wait_one", CO_ALL_COMPLETED, -1, { OK(2) }, "1", 2 },                                /* test_wait */
	{ "wait_first", CO_FIRST_COMPLETED, -1, { OK(3), OK(1) }, "01", 1 },                    /* test_wait_first_completed */
	{ "wait_first_error", CO_FIRST_COMPLETED, -1, { OK(3), BAD(1) }, "01", 1 },             /* test_wait_first_completed */
	/* test_wait_first_completed: a cancelled one too */
	{ "wait_first_cancelled", CO_FIRST_COMPLETED, -1, { OK(3), CUT(1) }, "01", 1 },
	{ "wait_first_done_before", CO_FIRST_COMPLETED, -1, { OK(3), OK(0) }, "01", 0 },        /* test_wait_really_done */
	/* test_wait_really_done: more than the trigger */
	{ "wait_first_several", CO_FIRST_COMPLETED, -1, { OK(1), OK(3), OK(1) }, "101", 1 },
	{ "wait_first_timeout", CO_FIRST_COMPLETED, 1, { OK(3), OK(2) }, "00", 1 },             /* test_wait_with_timeout */
	{ "wait_exception", CO_FIRST_EXCEPTION, -1, { OK(3), BAD(1), OK(2) }, "010", 1 },       /* test_wait_first_exception */
	{ "wait_exception_later", CO_FIRST_EXCEPTION, -1, { OK(1), BAD(2), OK(3) }, "110", 2 }, /* test_wait_first_exception_in_wait */
	{ "wait_exception_none", CO_FIRST_EXCEPTION, -1, { OK(1), OK(2), OK(3) }, "111", 3 },   /* test_wait_first_exception: like all */
	/* _wait: a cancelled one only counts down */
	{ "wait_exception_cancelled", CO_FIRST_EXCEPTION, -1, { OK(3), CUT(1) }, "11", 3 },
	{ "wait_exception_all_cancelled", CO_FIRST_EXCEPTION, -1, { CUT(2), CUT(1) }, "11", 2 },        /* the same, to the last */
	/* the same, then an error */
	{ "wait_exception_cancelled_and_error", CO_FIRST_EXCEPTION, -1, { OK(9), CUT(1), BAD(2) }, "011", 2 },
	{ "wait_exception_done_before", CO_FIRST_EXCEPTION, -1, { OK(3), BAD(0) }, "01", 0 },   /* test_wait_first_exception_in_wait */
	{ "wait_exception_last", CO_FIRST_EXCEPTION, -1, { OK(1), BAD(3) }, "11", 3 },          /* test_wait_first_exception */
	{ "wait_exception_timeout", CO_FIRST_EXCEPTION, 2, { OK(1), BAD(3) }, "10", 2 },        /* test_wait_with_timeout */
	{ "wait_exception_several", CO_FIRST_EXCEPTION, -1, { BAD(1), OK(3), OK(1) }, "101", 1 },       /* test_wait_really_done */
};

ROWS(run_wait, struct wait_row)
{
	struct members m;
	char done[MEMBERS + 1] = "";
	int n = 0;

	members_new(&m, row->members);
	for (const char *d = row->done; *d != '\0'; d++)
		n += *d == '1';
	EXPECT_INT(co_wait(m.f, m.n, row->mode, row->timeout_ms < 0 ? CLOCK_NEVER : co_in_ms(row->timeout_ms)), n);
	EXPECT_INT(now_ms(), row->at_ms);
	for (size_t i = 0; i < m.n; i++) {
		done[i] = co_done(m.f[i]) ? '1' : '0';
		if (done[i] == '0')
			EXPECT_INT(co_task_cancelling(m.f[i]), 0);
	}
	EXPECT(strcmp(done, row->done) == 0);
	members_free(&m);
}

/* test_wait_invalid_args */
TEST(wait_of_nothing)
{
	EXPECT_INT(co_wait(NULL, 0, CO_ALL_COMPLETED, CLOCK_NEVER), -EINVAL);
	return 0;
}

/* test_wait_duplicate_coroutines: they collapse */
TEST(wait_duplicates)
{
	struct co_future *a = CHILD(2, 1), *b = CHILD(3, 1), *f[] = { a, b, a, a };

	EXPECT_INT(co_wait(f, 4, CO_ALL_COMPLETED, CLOCK_NEVER), 2);
	EXPECT_INT(now_ms(), 3);
	co_unref(a);
	co_unref(b);
	return 0;
}

struct wait_task {
	struct co_future *f[2];
	int rc;
};

static int wait_body(void *arg)
{
	struct wait_task *w = arg;

	w->rc = co_wait(w->f, 2, CO_ALL_COMPLETED, CLOCK_NEVER);
	return w->rc;
}

/* test_yield_wait_does_not_shield_cancel: the waiter is cancelled, members are untouched */
TEST(wait_cancelled)
{
	struct wait_task w = { .f = { CHILD(2, 1), CHILD(3, 1) } };
	struct co_future *t = spawn(wait_body, &w);

	yield_times(2);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_task_cancelling(w.f[0]), 0);
	EXPECT_INT(co_await(w.f[1]), 1);
	co_unref(t);
	end_all(w.f, 2);
	return 0;
}

/* test_wait_concurrent_complete: members that complete in the turn in which the wait is cancelled don't save it */
TEST(wait_cancelled_in_the_turn_of_completion)
{
	struct wait_task w = { .f = { future_new(), done_future(1) } };
	struct co_future *t = spawn(wait_body, &w);

	yield_times(3);
	co_set_result(w.f[0], 1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	co_unref(t);
	end_all(w.f, 2);
	return 0;
}

/* ---- gather ---- */

struct gather_row {
	const char *name;
	bool return_exceptions;
	struct member_row members[MEMBERS];
	int rc, results[MEMBERS];
	int64_t at_ms;
	enum co_state state;
};

static const struct gather_row gathers[] = {
	{ "gather_success", false, { { 1, 5 }, { 3, 6 }, { 2, 7 } }, 0, { 5, 6, 7 }, 3, CO_DONE },      /* test_success */
	{ "gather_of_done", false, { { 0, 5 }, { 0, 6 } }, 0, { 5, 6 }, 0, CO_DONE },                   /* test_success */
	{ "gather_of_one", false, { { 2, 5 } }, 0, { 5 }, 2, CO_DONE },                                 /* test_success */
	{ "gather_one_exception", false, { { 1, 5 }, BAD(2), { 9, 6 } }, -EIO, { 0 }, 2, CO_FAILED },   /* test_one_exception */
	{ "gather_two_exceptions", false, { BAD(2), { 1, -EPERM } }, -EPERM, { 0 }, 1, CO_FAILED },     /* test_exception_marking */
	{ "gather_exception_done_before", false, { { 9, 5 }, BAD(0) }, -EIO, { 0 }, 0, CO_FAILED },     /* test_one_exception */
	/* test_one_cancellation: a cancelled error */
	{ "gather_one_cancellation", false, { { 9, 5 }, CUT(2) }, -ECANCELED, { 0 }, 2, CO_FAILED },
	/* test_return_exceptions */
	{ "gather_return_exceptions", true, { { 1, 5 }, BAD(2), { 3, -EPERM } }, 0, { 5, -EIO, -EPERM }, 3, CO_DONE },
	{ "gather_return_all_exceptions", true, { BAD(1), BAD(1) }, 0, { -EIO, -EIO }, 1, CO_DONE },    /* test_return_exceptions */
	{ "gather_return_success", true, { { 1, 5 }, { 2, 6 } }, 0, { 5, 6 }, 2, CO_DONE },             /* test_result_exception_success */
	/* test_result_exception_one_cancellation */
	{ "gather_return_one_cancellation", true, { { 1, 5 }, CUT(2) }, 0, { 5, -ECANCELED }, 2, CO_DONE },
};

ROWS(run_gather, struct gather_row)
{
	struct members m;
	int results[MEMBERS] = { 0 };
	struct co_future *g;

	members_new(&m, row->members);
	g = co_gather(m.f, m.n, row->return_exceptions, results);
	EXPECT_INT(co_await(g), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
	EXPECT_INT(co_state(g), row->state);
	for (size_t i = 0; i < m.n && row->rc == 0; i++)
		EXPECT_INT(results[i], row->results[i]);
	for (size_t i = 0; i < m.n; i++)
		if (!co_done(m.f[i]))
			EXPECT_INT(co_task_cancelling(m.f[i]), 0);
	members_free(&m);
	co_unref(g);
	EXPECT_INT(unretrieved, 0);
}

/* test_constructor_empty_sequence_use_running_loop */
TEST(gather_of_nothing)
{
	struct co_future *g = co_gather(NULL, 0, false, NULL);

	EXPECT(co_done(g));
	EXPECT_INT(co_await(g), 0);
	co_unref(g);
	return 0;
}

/* test_duplicate_coroutines: results repeat */
TEST(gather_duplicates)
{
	struct co_future *a = CHILD(2, 1), *b = CHILD(3, 2), *f[] = { a, b, a, a };
	int r[4];
	struct co_future *g = co_gather(f, 4, false, r);

	EXPECT_INT(co_await(g), 0);
	EXPECT_INT(r[0] * 1000 + r[1] * 100 + r[2] * 10 + r[3], 1211);
	co_unref(g);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* Cancelling the outer cancels every child; it ends when all have. */
struct gather_cancel_row {
	const char *name;
	bool return_exceptions;
	struct child child[2];
	int rc;
	int64_t at_ms;
};

static const struct gather_cancel_row gather_cancels[] = {
	/* test_cancellation_broadcast, test_cancel_gather_1 */
	{ "gather_cancel", false, { { 9, 1 }, { 9, 2 } }, -ECANCELED, 1 },
	{ "gather_cancel_waits_for_all", true, { { 9, 1, -ECANCELED, 5 }, { 9, 2 } }, -ECANCELED, 6 },  /* test_cancel_gather_2 */
	/* test_issue46672: cancelled all the same */
	{ "gather_cancel_return_exceptions", true, { { 9, 1 }, { 9, 2 } }, -ECANCELED, 1 },
	/* the first cancelled child ends the outer */
	{ "gather_cancel_one_stubborn", false, { { 9, 1, 7, 5 }, { 9, 2 } }, -ECANCELED, 1 },
	/* test_cancel_gather_2: results are lost */
	{ "gather_cancel_all_stubborn", false, { { 9, 1, 7, 5 }, { 9, 2, 8 } }, -ECANCELED, 6 },
	{ "gather_cancel_into_an_error", false, { { 9, 1, -EIO }, { 9, 2, 3, 5 } }, -EIO, 1 },  /* test_exception_marking */
};

ROWS(run_gather_cancel, struct gather_cancel_row)
{
	struct child c[] = { row->child[0], row->child[1] };
	struct co_future *f[] = { spawn(child_body, &c[0]), spawn(child_body, &c[1]) };
	struct co_future *g = co_gather(f, 2, row->return_exceptions, NULL), *t = spawn(await_arg, g);

	co_sleep_ms(1);
	EXPECT(co_cancel(t));
	EXPECT_INT(co_task_cancelling(f[0]), 1);
	EXPECT_INT(co_task_cancelling(f[1]), 1);
	EXPECT_INT(co_await(t), row->rc);
	EXPECT_INT(now_ms(), row->at_ms);
	co_sleep_ms(10);
	co_unref(t);
	co_unref(g);
	end_all(f, 2);
	EXPECT_INT(unretrieved, 0);
}

/* test_cancellation_broadcast: of a done one, and of one whose children are all done: false */
TEST(gather_cancel_too_late)
{
	struct co_future *f[] = { future_new() }, *g = co_gather(f, 1, false, NULL);

	co_set_result(f[0], 1);
	EXPECT(!co_done(g));
	EXPECT(!co_cancel(g));
	EXPECT_INT(co_await(g), 0);
	EXPECT(!co_cancel(g));
	co_unref(g);
	co_unref(f[0]);
	return 0;
}

/* test_exception_marking: an outer's error that nobody reads is reported, the children's count as read */
TEST(gather_dropped_with_an_error)
{
	struct co_future *f[] = { CHILD(1, -EIO), CHILD(2, -EPERM) }, *g = co_gather(f, 2, false, NULL);

	co_sleep_ms(5);
	co_unref(g);
	EXPECT_INT(unretrieved, 1);
	end_all(f, 2);
	EXPECT_INT(unretrieved, 1);
	return 0;
}

/* ---- as_completed ---- */

static void expect_next(struct co_waitset *ws, int rc, int result, int64_t at_ms, int64_t deadline_us)
{
	struct co_future *f = NULL;

	EXPECT_INT(co_waitset_take(ws, &f, NULL, deadline_us), rc);
	EXPECT_INT(now_ms(), at_ms);
	if (rc == 0)
		EXPECT_INT(co_result(f), result);
	if (rc == 0)
		co_unref(f);
}

/* test_as_completed, test_as_completed_same_tasks_in_as_out */
TEST(as_completed_in_order)
{
	struct co_future *f[] = { CHILD(3, 30), CHILD(1, 10), CHILD(2, 20) };
	struct co_waitset *ws = co_as_completed(f, 3);

	expect_next(ws, 0, 10, 1, CLOCK_NEVER);
	expect_next(ws, 0, 20, 2, CLOCK_NEVER);
	expect_next(ws, 0, 30, 3, CLOCK_NEVER);
	expect_next(ws, -ENOENT, 0, 3, CLOCK_NEVER);
	co_waitset_free(ws);
	end_all(f, 3);
	return 0;
}

/* test_as_completed_with_timeout */
TEST(as_completed_with_timeout)
{
	struct co_future *f[] = { CHILD(1, 10), CHILD(9, 90) };
	struct co_waitset *ws = co_as_completed(f, 2);

	expect_next(ws, 0, 10, 1, 5000);
	expect_next(ws, -ETIMEDOUT, 0, 5, 5000);
	EXPECT_INT(co_state(f[1]), CO_PENDING);
	co_waitset_free(ws);
	end_all(f, 2);
	return 0;
}

/* test_as_completed_with_unused_timeout */
TEST(as_completed_with_unused_timeout)
{
	struct co_future *f[] = { CHILD(1, 10) };
	struct co_waitset *ws = co_as_completed(f, 1);

	expect_next(ws, 0, 10, 1, 5000);
	expect_next(ws, -ENOENT, 0, 1, 5000);
	co_waitset_free(ws);
	end_all(f, 1);
	return 0;
}

/* test_as_completed_duplicate_coroutines */
TEST(as_completed_duplicates)
{
	struct co_future *a = CHILD(1, 10), *f[] = { a, a, a };
	struct co_waitset *ws = co_as_completed(f, 3);

	expect_next(ws, 0, 10, 1, CLOCK_NEVER);
	expect_next(ws, -ENOENT, 0, 1, CLOCK_NEVER);
	co_waitset_free(ws);
	co_unref(a);
	return 0;
}

/* test_as_completed_concurrent: errors and cancels come out as any other */
TEST(as_completed_errors)
{
	struct co_future *f[] = { CHILD(2, -EIO), CHILD(9, 1), done_future(3) };
	struct co_waitset *ws = co_as_completed(f, 3);

	yield_times(1);
	co_cancel(f[1]);
	expect_next(ws, 0, 3, 0, CLOCK_NEVER);
	expect_next(ws, 0, -ECANCELED, 0, CLOCK_NEVER);
	expect_next(ws, 0, -EIO, 2, CLOCK_NEVER);
	expect_next(ws, -ENOENT, 0, 2, CLOCK_NEVER);
	co_waitset_free(ws);
	end_all(f, 3);
	return 0;
}

int main(void)
{
	static struct suite tasks_many;
	const struct CMUnitTest cases[] = {
		T(wait_of_nothing), T(wait_duplicates), T(wait_cancelled), T(wait_cancelled_in_the_turn_of_completion), T(gather_of_nothing),
		T(gather_duplicates), T(gather_cancel_too_late), T(gather_dropped_with_an_error), T(as_completed_in_order),
		T(as_completed_with_timeout), T(as_completed_with_unused_timeout), T(as_completed_duplicates), T(as_completed_errors),
	};

	ADD_ROWS(&tasks_many, waits, run_wait);
	ADD_ROWS(&tasks_many, gathers, run_gather);
	ADD_ROWS(&tasks_many, gather_cancels, run_gather_cancel);
	ADD_CASES(&tasks_many, cases);
	return RUN_SUITE(tasks_many);
}
