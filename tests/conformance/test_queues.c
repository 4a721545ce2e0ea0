/* Queues in their three kinds: CPython's test_queues.py. */
#include <ctype.h>

#include "tests/conformance/conformance.h"

/*
 * A script on one queue of ints; what is got, and what tasks note, makes the trace:
 *	1..9	put that item without waiting ("full", "shut")
 *	g	get without waiting: the item, "empty", "shut"
 *	+	a task begins to get; it notes the item, "cut" when it was cancelled, "shut"
 *	p5	a task begins to put that item; it notes "p5", "cut", "shut"
 *	j	a task begins to join; it notes "joined"
 *	d	task_done
 *	!x	the x-th task (a, b, ...) is cancelled
 *	s, S	shutdown, at once
 *	. ,	one turn; enough for all to settle
 */
struct queue_row {
	const char *name;
	char kind;                      /* f, l, p */
	size_t maxsize;
	const char *script, *want;
	int left;                       /* items at the end */
};

static const struct queue_row queues[] = {
	/* QueueBasicTests */
	{ "queue_order", 'f', 0, "132ggg", "1 3 2", 0 },                        /* test_order */
	{ "queue_lifo_order", 'l', 0, "132ggg", "2 3 1", 0 },                   /* LifoQueueTests.test_order */
	{ "queue_priority_order", 'p', 0, "132ggg", "1 2 3", 0 },               /* PriorityQueueTests.test_order */
	{ "queue_priority_many", 'p', 0, "948271ggg5gggg", "1 2 4 5 7 8 9", 0 },        /* PriorityQueueTests.test_order */
	{ "queue_empty", 'f', 0, "g1gg", "empty 1 empty", 0 },                  /* test_empty */
	{ "queue_full", 'f', 2, "123g4", "full 1", 2 },                         /* test_full */
	{ "queue_maxsize_zero_is_never_full", 'f', 0, "123456789", "", 9 },     /* test_full */
	{ "queue_lifo_full", 'l', 1, "12g", "full 1", 0 },                      /* test_full */
	{ "queue_maxsize_put_waits", 'f', 2, "12p3,g,", "1 p3", 2 },            /* test_maxsize */
	/* QueueGetTests */
	{ "get_blocking", 'f', 0, "1+,", "1", 0 },                              /* test_blocking_get */
	{ "get_with_putters", 'f', 1, "1p2,+,", "1 p2", 1 },                    /* test_get_with_putters */
	{ "get_blocking_wait", 'f', 0, "+,1,", "1", 0 },                        /* test_blocking_get_wait */
	{ "get_nonblocking", 'f', 0, "1g", "1", 0 },                            /* test_nonblocking_get */
	{ "get_nonblocking_exception", 'f', 0, "g", "empty", 0 },               /* test_nonblocking_get_exception */
	{ "get_cancelled_race", 'f', 0, "++,!a1,", "cut 1", 0 },                /* test_get_cancelled_race */
	{ "get_cancelled_after_wake", 'f', 0, "++,1!a,", "cut 1", 0 },          /* test_get_cancelled_race: its wake-up goes on to the next */
	{ "get_with_waiting_putters", 'f', 1, "p1p2,++,", "p1 1 p2 2", 0 },     /* test_get_with_waiting_putters */
	{ "get_waiters_fifo", 'f', 0, "+++,123,", "1 2 3", 0 },                 /* test_why_are_getters_waiting */
	{ "get_one_wakes_one", 'f', 0, "+++,1,", "1", 0 },                      /* test_why_are_getters_waiting */
	{ "get_cancelled_is_forgotten", 'f', 0, "+,!a,1,", "cut", 1 },          /* test_cancelled_getters_not_being_held_in_self_getters */
	{ "get_overtaken_waits_on", 'f', 0, "+,1g,2,", "1 2", 0 },              /* test_why_are_getters_waiting: it was quicker */
	/* QueuePutTests */
	{ "put_blocking", 'f', 1, "p1,", "p1", 1 },                             /* test_blocking_put */
	{ "put_blocking_wait", 'f', 1, "1p2,g,", "1 p2", 1 },                   /* test_blocking_put_wait */
	{ "put_nonblocking", 'f', 0, "1g", "1", 0 },                            /* test_nonblocking_put */
	{ "put_nonblocking_exception", 'f', 1, "12", "full", 1 },               /* test_nonblocking_put_exception */
	{ "get_cancel_drop_one", 'f', 0, "++,!a1,", "cut 1", 0 },               /* test_get_cancel_drop_one_pending_reader */
	{ "get_cancel_drop_many", 'f', 0, "++++,!a!b!c1,", "cut cut cut 1", 0 },        /* test_get_cancel_drop_many_pending_readers */
	{ "put_cancel_drop", 'f', 1, "1p2p3,!ag,", "1 cut p3", 1 },             /* test_put_cancel_drop */
	{ "put_cancelled", 'f', 1, "1p2,!a,", "cut", 1 },                       /* test_put_cancelled */
	{ "put_cancelled_race", 'f', 1, "1p2p3p4,!ag,g,", "1 cut p3 3 p4", 1 }, /* test_put_cancelled_race */
	{ "put_cancelled_after_wake", 'f', 1, "1p2p3,g!a,", "1 cut p3", 1 },    /* test_put_cancelled_race */
	{ "put_with_waiting_getters", 'f', 0, "+,p1,", "p1 1", 0 },             /* test_put_with_waiting_getters */
	{ "put_waiters_fifo", 'f', 1, "1p2p3,g,g,g", "1 p2 2 p3 3", 0 },        /* test_why_are_putters_waiting */
	{ "put_cancelled_is_forgotten", 'f', 1, "1p2,!a,gp3,", "cut 1 p3", 1 }, /* test_cancelled_puts_not_being_held_in_self_putters */
	{ "put_cancelled_in_a_full_queue", 'f', 1, "1p2p3,g4!a,", "1 cut", 1 }, /* test_cancelled_put_silence_value_error_exception */
	/* join */
	{ "join_empty", 'f', 0, "j,", "joined", 0 },                            /* test_join_empty_queue */
	{ "join_lifo_empty", 'l', 0, "j,", "joined", 0 },                       /* LifoQueueJoinTests: test_join_empty_queue */
	{ "join_waits", 'f', 0, "12j,gg,d,", "1 2", 0 },                        /* test_task_done */
	{ "join_all_done", 'f', 0, "12j,gg,dd,", "1 2 joined", 0 },             /* test_task_done */
	{ "join_priority_all_done", 'p', 0, "21j,ggdd,", "1 2 joined", 0 },     /* PriorityQueueJoinTests: test_task_done */
	{ "join_twice", 'f', 0, "1jj,gd,", "1 joined joined", 0 },              /* test_task_done */
	{ "join_again", 'f', 0, "j,1j,gd,", "joined 1 joined", 0 },             /* test_join_empty_queue */
	{ "join_counts_what_waited", 'f', 1, "1p2,j,g,dgd,", "1 p2 2 joined", 0 },      /* test_task_done */
	/* shutdown */
	{ "shutdown_empty", 'f', 0, "s1g", "shut shut", 0 },                    /* test_shutdown_empty */
	{ "shutdown_nonempty", 'f', 0, "1s2gg", "shut 1 shut", 0 },             /* test_shutdown_nonempty */
	{ "shutdown_nonempty_lifo", 'l', 0, "12s3ggg", "shut 2 1 shut", 0 },    /* LifoQueueShutdownTests: test_shutdown_nonempty */
	{ "shutdown_immediate", 'f', 0, "12Sg3", "shut shut", 0 },              /* test_shutdown_immediate */
	{ "shutdown_immediate_joins", 'f', 0, "12j,S,", "joined", 0 },          /* test_shutdown_immediate */
	{ "shutdown_immediate_with_unfinished", 'f', 0, "12g,j,S,d,", "1 joined", 0 },  /* test_shutdown_immediate_with_unfinished */
	{ "shutdown_wakes_getters", 'f', 0, "++,s,", "shut shut", 0 },          /* test_shutdown_empty */
	{ "shutdown_wakes_putters", 'f', 1, "1p2p3,s,", "shut shut", 1 },       /* test_shutdown_nonempty */
	{ "shutdown_twice", 'f', 0, "1ssS", "", 0 },                            /* test_shutdown_immediate */
};

static struct co_queue *queue;

static void note_item(intptr_t item)
{
	char word[] = { (char)('0' + item), '\0' };

	note(word);
}

static void note_code(int rc, const char *ok)
{
	if (rc == -EAGAIN)
		note(ok);
	else if (rc == -ESHUTDOWN)
		note("shut");
	else if (rc == -ECANCELED)
		note("cut");
	else if (rc < 0)
		note("?");
}

static int getter(void *arg)
{
	void *item;
	int rc = co_queue_get(queue, &item, CLOCK_NEVER);

	(void)arg;
	note_code(rc, "?");
	if (rc == 0)
		note_item((intptr_t)item);
	return rc;
}

static int putter(void *arg)
{
	int rc = co_queue_put(queue, arg, CLOCK_NEVER);
	char word[] = { 'p', (char)('0' + (intptr_t)arg), '\0' };

	note_code(rc, "?");
	if (rc == 0)
		note(word);
	return rc;
}

static int joiner(void *arg)
{
	int rc = co_queue_join(queue, CLOCK_NEVER);

	(void)arg;
	note(rc == 0 ? "joined" : "cut");
	return rc;
}

static bool less(const void *a, const void *b)
{
	return (intptr_t)a < (intptr_t)b;
}

static void try_get(void)
{
	void *item;
	int rc = co_queue_try_get(queue, &item);

	note_code(rc, "empty");
	if (rc == 0)
		note_item((intptr_t)item);
}

/* One step of a script; how many characters it took. */
static size_t step(const char *c, struct co_future **t, size_t *n)
{
	switch (*c) {
	case 'g':
		try_get();
		return 1;
	case '+':
		t[(*n)++] = spawn(getter, NULL);
		return 1;
	case 'p':
		t[(*n)++] = spawn(putter, (void *)(intptr_t)(c[1] - '0'));
		return 2;
	case 'j':
		t[(*n)++] = spawn(joiner, NULL);
		return 1;
	case 'd':
		co_queue_task_done(queue);
		return 1;
	case '!':
		co_cancel(t[c[1] - 'a']);
		return 2;
	case 's':
	case 'S':
		co_queue_shutdown(queue, *c == 'S', NULL);
		return 1;
	case '.':
		yield_times(1);
		return 1;
	case ',':
		settle();
		return 1;
	}
	EXPECT(isdigit(*c));
	note_code(co_queue_try_put(queue, (void *)(intptr_t)(*c - '0')), "full");
	return 1;
}

ROWS(run_queue, struct queue_row)
{
	struct co_future *t[8];
	size_t n = 0;

	if (row->kind == 'l')
		queue = co_queue_new_lifo(row->maxsize);
	else
		queue = row->kind == 'p' ? co_queue_new_priority(row->maxsize, less) : co_queue_new(row->maxsize);
	for (const char *c = row->script; *c != '\0';)
		c += step(c, t, &n);
	EXPECT_TRACE(row->want);
	EXPECT_INT(co_queue_size(queue), row->left);
	end_all(t, n);
	co_queue_free(queue);
}

/* test_blocking_get_wait, with wait_for: the deadline is built in */
TEST(get_deadline)
{
	void *item;

	queue = co_queue_new(1);
	EXPECT_INT(co_queue_get(queue, &item, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(now_ms(), 5);
	co_queue_free(queue);
	return 0;
}

/* test_blocking_put_wait, with wait_for */
TEST(put_deadline)
{
	queue = co_queue_new(1);
	EXPECT_INT(co_queue_try_put(queue, WORD("x")), 0);
	EXPECT_INT(co_queue_put(queue, WORD("y"), co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(co_queue_size(queue), 1);
	EXPECT_INT(now_ms(), 5);
	co_queue_free(queue);
	return 0;
}

/* test_task_done, with wait_for */
TEST(join_deadline)
{
	queue = co_queue_new(1);
	EXPECT_INT(co_queue_try_put(queue, WORD("x")), 0);
	EXPECT_INT(co_queue_join(queue, co_in_ms(5)), -ETIMEDOUT);
	EXPECT_INT(now_ms(), 5);
	co_queue_free(queue);
	return 0;
}

int main(void)
{
	static struct suite queue_suite;
	const struct CMUnitTest cases[] = { T(get_deadline), T(put_deadline), T(join_deadline) };

	ADD_ROWS(&queue_suite, queues, run_queue);
	ADD_CASES(&queue_suite, cases);
	return RUN_SUITE(queue_suite);
}
