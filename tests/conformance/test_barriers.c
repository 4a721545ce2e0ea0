/* Barriers: CPython's test_locks.py, BarrierTests. */
#include <ctype.h>

#include "tests/conformance/conformance.h"

/*
 * A script: `+` one more task waits (it notes its place, or "broken", "cut"), `!x` task x is cancelled, `R` a task resets it, `A` a task
 * aborts it, `.` a turn, `,` enough turns for all to settle.
 */
struct barrier_row {
	const char *name;
	unsigned parties;
	const char *script, *want;
	enum co_barrier_state state;
	unsigned waiting;
};

static const struct barrier_row barriers[] = {
	{ "barrier_one", 1, "+,", "0", CO_BARRIER_FILLING, 0 },                         /* test_filling_one_task */
	{ "barrier_one_twice", 1, "+,+,", "0 0", CO_BARRIER_FILLING, 0 },               /* test_filling_one_task_twice */
	{ "barrier_not_full", 3, "++,", "", CO_BARRIER_FILLING, 2 },                    /* test_barrier_parties */
	{ "barrier_full", 3, "+++,", "2 0 1", CO_BARRIER_FILLING, 0 },                  /* test_barrier, test_filling_tasks_check_return_value */
	{ "barrier_task_by_task", 3, "+,+,+,", "2 0 1", CO_BARRIER_FILLING, 0 },        /* test_filling_task_by_task */
	{ "barrier_wait_twice", 2, "++,++,", "1 0 1 0", CO_BARRIER_FILLING, 0 },        /* test_filling_tasks_wait_twice */
	{ "barrier_one_left_over", 2, "+++,", "1 0", CO_BARRIER_FILLING, 1 },           /* test_blocking_tasks_while_draining */
	{ "barrier_two_rounds_at_once", 2, "++++,", "1 0 1 0", CO_BARRIER_FILLING, 0 }, /* test_blocking_tasks_while_draining */
	{ "barrier_cancel_one", 2, "+,!a,", "cut", CO_BARRIER_FILLING, 0 },             /* test_filling_tasks_cancel_one */
	{ "barrier_cancel_one_then_fill", 2, "+,!a,++,", "cut 1 0", CO_BARRIER_FILLING, 0 },    /* test_filling_tasks_cancel_one */
	{ "barrier_reset", 3, "R,", "", CO_BARRIER_FILLING, 0 },                        /* test_reset_barrier */
	{ "barrier_reset_while_waiting", 3, "++,R,", "broken broken", CO_BARRIER_FILLING, 0 },  /* test_reset_barrier_while_tasks_waiting */
	{ "barrier_reset_then_again", 2, "+,R,++,", "broken 1 0", CO_BARRIER_FILLING, 0 },      /* test_reset_barrier_while_tasks_waiting_and_waiting_again */
	{ "barrier_abort", 2, "A,", "", CO_BARRIER_BROKEN, 0 },                         /* test_abort_barrier */
	{ "barrier_abort_while_waiting", 3, "++,A,", "broken broken", CO_BARRIER_BROKEN, 0 },   /* test_abort_barrier */
	{ "barrier_abort_then_wait", 2, "A,++,", "broken broken", CO_BARRIER_BROKEN, 0 },       /* test_abort_barrier */
	{ "barrier_abort_then_reset", 2, "A,R,++,", "1 0", CO_BARRIER_FILLING, 0 },     /* test_abort_barrier_when_exception_then_resetting */
};

static struct co_barrier barrier;

static int wait_body(void *arg)
{
	int rc = co_barrier_wait(&barrier, CLOCK_NEVER);
	char word[] = { (char)('0' + rc), '\0' };

	(void)arg;
	note(rc >= 0 ? word : rc == -EPIPE ? "broken" : "cut");
	return rc;
}

static int change_body(void *arg)
{
	return arg != NULL ? co_barrier_reset(&barrier) : co_barrier_abort(&barrier);
}

ROWS(run_barrier, struct barrier_row)
{
	struct co_future *t[8];
	size_t n = 0;

	co_barrier_init(&barrier, row->parties);
	for (const char *c = row->script; *c != '\0'; c++) {
		if (*c == '+')
			t[n++] = spawn(wait_body, NULL);
		else if (*c == 'R' || *c == 'A')
			t[n++] = spawn(change_body, *c == 'R' ? WORD("reset") : NULL);
		else if (*c == '!')
			co_cancel(t[*++c - 'a']);
		else
			yield_times(*c == ',' ? 20 : 1);
	}
	EXPECT_TRACE(row->want);
	EXPECT_INT(barrier.state, row->state);
	EXPECT_INT(co_barrier_waiting(&barrier), row->waiting);
	end_all(t, n);
}

/* test_filling_tasks_cancel_one, with wait_for: the deadline is built in, and who gives up leaves its place */
TEST(barrier_deadline)
{
	co_barrier_init(&barrier, 2);
	EXPECT_INT(co_barrier_wait(&barrier, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(now_ms(), 5);
	EXPECT_INT(co_barrier_waiting(&barrier), 0);
	return 0;
}

int main(void)
{
	static struct suite suite;
	const struct CMUnitTest cases[] = { T(barrier_deadline) };

	ADD_ROWS(&suite, barriers, run_barrier);
	ADD_CASES(&suite, cases);
	return RUN_SUITE(suite);
}
