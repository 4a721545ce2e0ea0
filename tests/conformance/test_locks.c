/* Lock, Event, Condition, Semaphore: CPython's test_locks.py; Barrier is in the next file. */
#include <ctype.h>

#include "tests/conformance/conformance.h"

/*
 * A script on one thing, with tasks a, b, c, ... that wait for it:
 *	+	one more task begins to wait; it notes its letter when it is through, its capital when it was cancelled
 *	!x	task x is cancelled
 *	r, R	release / set / notify one; notify all
 *	t	try without waiting: notes "yes" or "no"
 *	x	clear the event
 *	.	one turn
 *	,	enough turns for all to settle
 */
enum thing_kind { LOCK = 1, SEMAPHORE, EVENT, CONDITION };

struct thing_row {
	const char *name;
	enum thing_kind kind;
	size_t value;                   /* semaphore's; lock: 0 begins locked */
	const char *script, *want;
	int left;                       /* value, locked or set at the end */
};

static struct co_lock lock;
static struct co_semaphore sem;
static struct co_event event;
static struct co_condition cond;

static int wait_condition(void)
{
	int rc = co_lock_acquire(&lock, CLOCK_NEVER);

	if (rc < 0)
		return rc;
	rc = co_condition_wait(&cond, CLOCK_NEVER);
	EXPECT(lock.locked);
	co_lock_release(&lock);
	return rc;
}

static int wait_for_thing(enum thing_kind kind)
{
	switch (kind) {
	case LOCK:
		return co_lock_acquire(&lock, CLOCK_NEVER);
	case SEMAPHORE:
		return co_semaphore_acquire(&sem, CLOCK_NEVER);
	case EVENT:
		return co_event_wait(&event, CLOCK_NEVER);
	case CONDITION:
		return wait_condition();
	}
	return -EINVAL;
}

static void signal_thing(enum thing_kind kind, size_t n)
{
	switch (kind) {
	case LOCK:
		co_lock_release(&lock);
		break;
	case SEMAPHORE:
		co_semaphore_release(&sem);
		break;
	case EVENT:
		co_event_set(&event);
		break;
	case CONDITION:
		EXPECT(co_lock_try(&lock));
		co_condition_notify(&cond, n);
		co_lock_release(&lock);
		break;
	}
}

struct script_task {
	enum thing_kind kind;
	char name;
};

static int script_body(void *arg)
{
	struct script_task *s = arg;
	int rc = wait_for_thing(s->kind);
	char word[] = { rc < 0 ? (char)toupper(s->name) : s->name, '\0' };

	note(word);
	return rc;
}

static int left(enum thing_kind kind)
{
	switch (kind) {
	case LOCK:
	case CONDITION:
		return lock.locked;
	case SEMAPHORE:
		return (int)sem.value;
	case EVENT:
		return event.set;
	}
	return -1;
}

static void run_script(const struct thing_row *row, struct co_future **t, struct script_task *s, int *n)
{
	for (const char *c = row->script; *c != '\0'; c++) {
		switch (*c) {
		case '+':
			s[*n] = (struct script_task){ row->kind, (char)('a' + *n) };
			t[*n] = spawn(script_body, &s[*n]);
			++*n;
			break;
		case '!':
			co_cancel(t[*++c - 'a']);
			break;
		case 'r':
		case 'R':
			signal_thing(row->kind, *c == 'r' ? 1 : SIZE_MAX);
			break;
		case 't':
			note((row->kind == LOCK ? co_lock_try(&lock) : co_semaphore_try(&sem)) ? "yes" : "no");
			break;
		case 'x':
			co_event_clear(&event);
			break;
		case '.':
			yield_times(1);
			break;
		case ',':
			settle();
			break;
		}
	}
}

ROWS(run_thing, struct thing_row)
{
	struct co_future *t[8];
	struct script_task s[8];
	int n = 0;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	co_semaphore_init(&sem, row->value);
	co_event_init(&event);
	if (row->kind == LOCK && row->value == 0)
		EXPECT(co_lock_try(&lock));
	run_script(row, t, s, &n);
	settle();
	EXPECT_INT(left(row->kind), row->left);
	EXPECT_TRACE(row->want);
	end_all(t, (size_t)n);
}

static const struct thing_row things[] = {
	/* LockTests */
	{ "lock_free", LOCK, 1, "+,", "a", 1 },                                 /* test_lock */
	{ "lock_try", LOCK, 1, "trt", "yes yes", 1 },                           /* test_lock_by_with_statement */
	{ "lock_try_locked", LOCK, 0, "trt", "no yes", 1 },                     /* test_lock */
	{ "lock_fifo", LOCK, 0, "+++,r,r,r,", "a b c", 1 },                     /* test_acquire */
	{ "lock_one_at_a_time", LOCK, 0, "+++,r,", "a", 1 },                    /* test_acquire */
	{ "lock_wakes_in_the_next_turn", LOCK, 0, "+,r.", "a", 1 },             /* test_acquire */
	{ "lock_is_not_overtaken", LOCK, 0, "+,rt,", "no a", 1 },               /* test_cancel_release_race: who waits has a right to it */
	{ "lock_cancel_waiting", LOCK, 0, "++,!a,r,", "A b", 1 },               /* test_acquire_cancel */
	{ "lock_cancel_the_last", LOCK, 0, "+,!a,", "A", 1 },                   /* test_acquire_cancel */
	{ "lock_cancel_race", LOCK, 0, "++,r!a,", "A b", 1 },                   /* test_cancel_race: woken and cancelled at once */
	{ "lock_cancel_release_race", LOCK, 0, "++,!ar,", "A b", 1 },           /* test_cancel_release_race */
	{ "lock_cancelled_waiter_blocks_nobody", LOCK, 0, "+,r!a.t", "A yes", 1 },      /* test_finished_waiter_cancelled */
	{ "lock_two_cancelled", LOCK, 0, "+++,!a!br,", "A B c", 1 },            /* test_acquire_cancel */
	{ "lock_all_cancelled_is_free", LOCK, 0, "++,r!a!b,", "A B", 0 },       /* test_finished_waiter_cancelled */
	{ "lock_release_no_waiters", LOCK, 0, "r", "", 0 },                     /* test_release_no_waiters */
	/* EventTests */
	{ "event_wait", EVENT, 0, "+++,r,", "a b c", 1 },                       /* test_wait */
	{ "event_wait_unset", EVENT, 0, "++,", "", 0 },                         /* test_wait */
	{ "event_wait_on_set", EVENT, 0, "r+.", "a", 1 },                       /* test_wait_on_set */
	{ "event_wait_cancel", EVENT, 0, "+,!a,", "A", 0 },                     /* test_wait_cancel */
	{ "event_wait_cancel_others", EVENT, 0, "++,!ar,", "A b", 1 },          /* test_wait_cancel */
	{ "event_clear", EVENT, 0, "rx+,", "", 0 },                             /* test_clear */
	{ "event_clear_with_waiters", EVENT, 0, "+,rx,", "a", 0 },              /* test_clear_with_waiters */
	{ "event_clear_between_waiters", EVENT, 0, "+,rx+,", "a", 0 },          /* test_clear_with_waiters */
	{ "event_set_twice", EVENT, 0, "+,rr,", "a", 1 },                       /* test_wait */
	{ "event_set_and_cancel", EVENT, 0, "+,r!a,", "A", 1 },                 /* test_wait_cancel */
	/* SemaphoreTests */
	{ "semaphore_initial_value_zero", SEMAPHORE, 0, "t", "no", 0 },         /* test_initial_value_zero */
	{ "semaphore_value", SEMAPHORE, 4, "tttt", "yes yes yes yes", 0 },      /* test_semaphore_value */
	{ "semaphore_exhausted", SEMAPHORE, 2, "ttt", "yes yes no", 0 },        /* test_semaphore_value */
	{ "semaphore_acquire", SEMAPHORE, 2, "+++++,", "a b", 0 },              /* test_acquire */
	{ "semaphore_release_wakes_one", SEMAPHORE, 0, "+++,r,", "a", 0 },      /* test_acquire */
	{ "semaphore_release_wakes_as_many", SEMAPHORE, 0, "+++,rr,", "a b", 0 },       /* test_acquire */
	{ "semaphore_release_no_waiters", SEMAPHORE, 1, "tr", "yes", 1 },       /* test_release_no_waiters */
	{ "semaphore_release_beyond", SEMAPHORE, 1, "rr", "", 3 },              /* test_release_not_acquired: only BoundedSemaphore minds */
	{ "semaphore_acquire_cancel", SEMAPHORE, 0, "++,!a,r,", "A b", 0 },     /* test_acquire_cancel */
	{ "semaphore_cancel_before_awoken", SEMAPHORE, 0, "++++,rr!a!b,", "A B c d", 0 },       /* test_acquire_cancel_before_awoken */
	{ "semaphore_cancelled_leaves_its_unit", SEMAPHORE, 0, "+,r!a,", "A", 1 },      /* test_acquire_hang */
	{ "semaphore_cancelled_first", SEMAPHORE, 0, "++,!ar,", "A b", 0 },     /* test_acquire_no_hang */
	{ "semaphore_fifo", SEMAPHORE, 1, "+++,r,r,", "a b c", 0 },             /* test_acquire_fifo_order */
	{ "semaphore_is_not_overtaken", SEMAPHORE, 0, "+,rt,", "no a", 0 },     /* test_acquire_fifo_order_2 */
	{ "semaphore_fifo_with_late_comer", SEMAPHORE, 0, "++,rr+,r,", "a b c", 0 },    /* test_acquire_fifo_order_3 */
	{ "semaphore_fifo_cancelled_between", SEMAPHORE, 0, "+++,!b,rr,", "B a c", 0 }, /* test_acquire_fifo_order_4 */
	{ "semaphore_late_comer_takes_what_is_left", SEMAPHORE, 0, "+,rr,+,", "a b", 0 },       /* test_acquire_fifo_order_2 */
	/* ConditionTests */
	{ "condition_wait", CONDITION, 0, "++,", "", 0 },                       /* test_wait */
	{ "condition_notify", CONDITION, 0, "+++,r,r,", "a b", 0 },             /* test_notify */
	{ "condition_notify_all", CONDITION, 0, "+++,R,", "a b c", 0 },         /* test_notify_all */
	{ "condition_notify_nobody", CONDITION, 0, "r+,", "", 0 },              /* test_notify: it isn't kept */
	{ "condition_wait_cancel", CONDITION, 0, "++,!a,r,", "A b", 0 },        /* test_wait_cancel */
	{ "condition_wait_cancel_after_notify", CONDITION, 0, "+,r!a,", "A", 0 },       /* test_wait_cancel_after_notify */
	{ "condition_cancelled_wakeup", CONDITION, 0, "++,r!a,", "A b", 0 },    /* test_cancelled_wakeup: the notification goes on to the next */
	{ "condition_cancel_of_the_second", CONDITION, 0, "++,r!b,", "a B", 0 },        /* test_cancelled_error_wakeup */
	{ "condition_cancel_before_notify", CONDITION, 0, "++,!ar,", "A b", 0 },        /* test_cancelled_error_wakeup */
};

/* ---- what no script tells ---- */

/* Deadlines: asyncio writes wait_for(lock.acquire(), t); here they are built in. */
struct deadline_row {
	const char *name;
	enum thing_kind kind;
};

static const struct deadline_row deadlines[] = {
	{ "lock_deadline", LOCK },                              /* test_timeout_in_block's shape, for each */
	{ "semaphore_deadline", SEMAPHORE },                    /* test_timeout_in_block */
	{ "event_deadline", EVENT },                            /* test_timeout_in_block */
	{ "condition_deadline", CONDITION },                    /* test_timeout_in_block */
};

ROWS(run_deadline, struct deadline_row)
{
	int rc = 0;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	co_semaphore_init(&sem, 0);
	co_event_init(&event);
	EXPECT(co_lock_try(&lock));
	switch (row->kind) {
	case LOCK:
		rc = co_lock_acquire(&lock, co_in_ms(5));
		break;
	case SEMAPHORE:
		rc = co_semaphore_acquire(&sem, co_in_ms(5));
		break;
	case EVENT:
		rc = co_event_wait(&event, co_in_ms(5));
		break;
	case CONDITION:
		rc = co_condition_wait(&cond, co_in_ms(5));
		EXPECT(lock.locked);
		break;
	}
	EXPECT_INT(rc, -ETIMEDOUT);
	EXPECT_INT(now_ms(), 5);
	co_semaphore_release(&sem);
	EXPECT(co_semaphore_try(&sem));
}

static int predicate_at;

static bool predicate(void *arg)
{
	return ++*(int *)arg >= predicate_at;
}

static int wait_for_predicate(void *arg)
{
	int rc = co_lock_acquire(&lock, CLOCK_NEVER);

	if (rc == 0)
		rc = co_condition_wait_for(&cond, predicate, arg, CLOCK_NEVER);
	co_lock_release(&lock);
	return rc;
}

/* ConditionTests.test_wait_for: asked first, then at each notification */
TEST(condition_wait_for)
{
	int asked = 0;
	struct co_future *t;

	predicate_at = 3;
	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	t = spawn(wait_for_predicate, &asked);
	settle();
	EXPECT_INT(asked, 1);
	signal_thing(CONDITION, 1);
	settle();
	EXPECT_INT(asked, 2);
	signal_thing(CONDITION, 1);
	EXPECT_INT(co_await(t), 0);
	EXPECT_INT(asked, 3);
	co_unref(t);
	return 0;
}

/* ConditionTests.test_wait_for: true at once, no wait */
TEST(condition_wait_for_true_at_once)
{
	int asked = 0;

	predicate_at = 1;
	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	EXPECT_INT(wait_for_predicate(&asked), 0);
	EXPECT_INT(asked, 1);
	return 0;
}

static int wait_with_lock(void *arg)
{
	int rc = co_lock_acquire(&lock, CLOCK_NEVER);

	(void)arg;
	EXPECT_INT(rc, 0);
	rc = co_condition_wait(&cond, CLOCK_NEVER);
	EXPECT(lock.locked);
	note(rc == 0 ? "notified" : "cancelled");
	co_lock_release(&lock);
	return rc;
}

/* ConditionTests.test_wait_cancel_contested: the cancel is told when the lock is back */
TEST(condition_cancel_contested)
{
	struct co_future *t;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	t = spawn(wait_with_lock, NULL);
	settle();
	EXPECT(co_lock_try(&lock));
	co_cancel(t);
	settle();
	EXPECT_TRACE("");
	co_lock_release(&lock);
	settle();
	EXPECT_TRACE("cancelled");
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	return 0;
}

/* ConditionTests.test_cancelled_error_re_aquire, test_cancelled_wakeup_relock: cancelled while it waits for the lock after its notification */
TEST(condition_cancel_while_relocking)
{
	struct co_future *t[2];

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	t[0] = spawn(wait_with_lock, NULL);
	t[1] = spawn(wait_with_lock, NULL);
	settle();
	EXPECT(co_lock_try(&lock));
	co_condition_notify(&cond, 1);
	settle();
	co_cancel(t[0]);
	settle();
	EXPECT_TRACE("");
	co_lock_release(&lock);
	settle();
	EXPECT_TRACE("cancelled notified");
	end_all(t, 2);
	return 0;
}

/* ConditionTests.test_explicit_lock: two conditions on one lock */
TEST(condition_shared_lock)
{
	struct co_condition other;
	struct co_future *t;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	co_condition_init(&other, &lock);
	t = spawn(wait_with_lock, NULL);
	settle();
	EXPECT(co_lock_try(&lock));
	co_condition_notify(&other, SIZE_MAX);
	co_lock_release(&lock);
	settle();
	EXPECT_TRACE("");
	signal_thing(CONDITION, SIZE_MAX);
	settle();
	EXPECT_TRACE("notified");
	co_unref(t);
	return 0;
}

int main(void)
{
	static struct suite locks;
	const struct CMUnitTest cases[] = {
		T(condition_wait_for), T(condition_wait_for_true_at_once), T(condition_cancel_contested), T(condition_cancel_while_relocking),
		T(condition_shared_lock),
	};

	ADD_ROWS(&locks, things, run_thing);
	ADD_ROWS(&locks, deadlines, run_deadline);
	ADD_CASES(&locks, cases);
	return RUN_SUITE(locks);
}
