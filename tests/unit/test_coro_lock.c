/* dispatch/coro/lock.c and barrier.c; each test names the one of CPython's test_locks.py that checks the same, where there is one. */
#include "tests/unit/test_coro.h"

static struct co_lock lock;
static struct co_condition cond;
static struct co_barrier barrier;

static int locks(void *arg)
{
	int rc = co_lock_acquire(&lock, CLOCK_NEVER);

	note(rc == 0 ? arg : WORD("-"));
	return rc;
}

static int locks_and_releases(void *arg)
{
	int rc = locks(arg);

	if (rc == 0)
		co_lock_release(&lock);
	return rc;
}

/* LockTests.test_acquire: first come, first served, and nobody overtakes */
TEST(test_coro_lock_fifo)
{
	struct co_future *a, *b;

	co_lock_init(&lock);
	EXPECT_INT(co_lock_acquire(&lock, CLOCK_NEVER), 0);
	EXPECT(!co_lock_try(&lock));
	a = spawn(locks_and_releases, letter(0));
	b = spawn(locks_and_releases, letter(1));
	yield_times(1);
	co_lock_release(&lock);
	EXPECT(!co_lock_try(&lock));
	EXPECT_INT(co_await(b), 0);
	EXPECT_TRACE("a b");
	EXPECT(!lock.locked);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* test_cancel_race, test_cancel_release_race: woken and cancelled in one turn, the next one gets it */
TEST(test_coro_lock_cancel_race)
{
	struct co_future *a, *b;

	co_lock_init(&lock);
	EXPECT(co_lock_try(&lock));
	a = spawn(locks_and_releases, letter(0));
	b = spawn(locks_and_releases, letter(1));
	yield_times(1);
	co_lock_release(&lock);
	co_cancel(a);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_INT(co_await(b), 0);
	EXPECT_TRACE("- b");
	co_unref(a);
	co_unref(b);
	return 0;
}

/* test_acquire_cancel, test_cancel_..: one that was cancelled in line is no obstacle */
TEST(test_coro_lock_cancelled_waiter)
{
	struct co_future *a;

	co_lock_init(&lock);
	EXPECT(co_lock_try(&lock));
	a = spawn(locks, letter(0));
	yield_times(1);
	co_cancel(a);
	co_lock_release(&lock);
	EXPECT(co_lock_try(&lock));
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT(lock.locked);
	co_unref(a);
	EXPECT_INT(co_lock_acquire(&lock, co_in_ms(1)), -ETIMEDOUT);
	return 0;
}

/* ---- condition ---- */

static int waits(void *arg)
{
	int rc = co_lock_acquire(&lock, CLOCK_NEVER);

	if (rc < 0)
		return rc;
	rc = co_condition_wait(&cond, CLOCK_NEVER);
	EXPECT(lock.locked);
	note(rc == 0 ? arg : WORD("-"));
	co_lock_release(&lock);
	return rc;
}

static void notify(size_t n)
{
	EXPECT_INT(co_lock_acquire(&lock, CLOCK_NEVER), 0);
	co_condition_notify(&cond, n);
	co_lock_release(&lock);
}

/* ConditionTests.test_wait, test_notify, test_notify_all */
TEST(test_coro_condition_notify)
{
	struct co_future *t[4];

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	for (int i = 0; i < 4; i++)
		t[i] = spawn(waits, letter(i));
	yield_times(2);
	notify(1);
	yield_times(3);
	EXPECT_TRACE("a");
	notify(SIZE_MAX);
	for (int i = 0; i < 4; i++) {
		EXPECT_INT(co_await(t[i]), 0);
		co_unref(t[i]);
	}
	EXPECT_TRACE("b c d");
	return 0;
}

/* test_wait_cancel, test_wait_cancel_contested: has the lock again when it is told */
TEST(test_coro_condition_cancel)
{
	struct co_future *a;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	a = spawn(waits, letter(0));
	yield_times(1);
	EXPECT(co_lock_try(&lock));
	co_cancel(a);
	yield_times(3);
	EXPECT(!co_done(a));
	co_cancel(a);           /* also while it waits for the lock */
	yield_times(2);
	co_lock_release(&lock);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_TRACE("-");
	co_unref(a);
	return 0;
}

/* test_wait_cancel_after_notify: what was meant for one that left goes to the next */
TEST(test_coro_condition_cancel_after_notify)
{
	struct co_future *a, *b;

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	a = spawn(waits, letter(0));
	b = spawn(waits, letter(1));
	yield_times(2);
	notify(1);
	co_cancel(a);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_INT(co_await(b), 0);
	EXPECT_TRACE("- b");
	co_unref(a);
	co_unref(b);
	return 0;
}

static bool is_set(void *arg)
{
	return *(bool *)arg;
}

static int sets(void *arg)
{
	notify(1);              /* for nothing */
	yield_times(3);
	*(bool *)arg = true;
	notify(1);
	return 0;
}

/* test_wait_for */
TEST(test_coro_condition_wait_for)
{
	bool flag = false;
	struct co_future *t = spawn(sets, &flag);

	co_lock_init(&lock);
	co_condition_init(&cond, &lock);
	EXPECT(co_lock_try(&lock));
	EXPECT_INT(co_condition_wait_for(&cond, is_set, &flag, CLOCK_NEVER), 0);
	flag = false;
	EXPECT_INT(co_condition_wait_for(&cond, is_set, &flag, co_in_ms(1)), -ETIMEDOUT);
	EXPECT(lock.locked);
	co_lock_release(&lock);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	return 0;
}

/* ---- barrier ---- */

static int meets(void *arg)
{
	int rc = co_barrier_wait(&barrier, CLOCK_NEVER);

	note(rc >= 0 ? arg : rc == -EPIPE ? WORD("broken") : WORD("-"));
	return rc;
}

/* BarrierTests.test_simple_with_barrier, test_draining_state: places are handed out, a second round fills after the first has left */
TEST(test_coro_barrier_rounds)
{
	struct co_future *t[6];
	bool seen[3] = { false };

	co_barrier_init(&barrier, 3);
	for (int i = 0; i < 6; i++)
		t[i] = spawn(meets, letter(i));
	yield_times(2);
	for (int i = 0; i < 6; i++) {
		int place = co_await(t[i]);

		EXPECT(place >= 0 && place < 3);
		if (i < 3)
			seen[place] = true;
		co_unref(t[i]);
	}
	EXPECT(seen[0] && seen[1] && seen[2]);
	EXPECT_INT(co_barrier_waiting(&barrier), 0);
	EXPECT_INT(barrier.state, CO_BARRIER_FILLING);
	return 0;
}

/* test_abort_barrier, test_reset_barrier */
TEST(test_coro_barrier_reset_and_abort)
{
	struct co_future *a, *b;

	co_barrier_init(&barrier, 3);
	a = spawn(meets, letter(0));
	b = spawn(meets, letter(1));
	yield_times(2);
	EXPECT_INT(co_barrier_waiting(&barrier), 2);
	EXPECT_INT(co_barrier_reset(&barrier), 0);
	EXPECT_INT(co_await(a), -EPIPE);
	EXPECT_INT(co_await(b), -EPIPE);
	EXPECT_INT(barrier.state, CO_BARRIER_FILLING);
	EXPECT_INT(co_barrier_reset(&barrier), 0);
	co_unref(a);
	a = spawn(meets, letter(0));
	yield_times(2);
	EXPECT_INT(co_barrier_abort(&barrier), 0);
	EXPECT_INT(co_await(a), -EPIPE);
	EXPECT_INT(co_barrier_wait(&barrier, CLOCK_NEVER), -EPIPE);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* test_wait_task_cancelled: one that leaves does not break it */
TEST(test_coro_barrier_cancel)
{
	struct co_future *a, *b;

	co_barrier_init(&barrier, 2);
	a = spawn(meets, letter(0));
	yield_times(2);
	co_cancel(a);
	EXPECT_INT(co_await(a), -ECANCELED);
	EXPECT_INT(co_barrier_wait(&barrier, co_in_ms(1)), -ETIMEDOUT);
	b = spawn(meets, letter(1));
	EXPECT(co_barrier_wait(&barrier, CLOCK_NEVER) >= 0);
	EXPECT(co_await(b) >= 0);
	co_unref(a);
	co_unref(b);
	return 0;
}

static int changes(void *arg)
{
	return arg != NULL ? co_barrier_reset(&barrier) : co_barrier_abort(&barrier);
}

/* Who is cancelled before it is inside, at the lock or while others drain, leaves nothing behind. */
TEST(test_coro_barrier_cancelled_at_the_door)
{
	struct co_future *t[3] = { NULL };

	co_barrier_init(&barrier, 1);
	EXPECT_INT(co_lock_acquire(&barrier.lock, CLOCK_NEVER), 0);
	t[0] = spawn(meets, letter(0));
	t[1] = spawn(changes, NULL);
	t[2] = spawn(changes, letter(0));
	yield_times(2);
	for (int i = 0; i < 3; i++)
		co_cancel(t[i]);
	for (int i = 0; i < 3; i++) {
		EXPECT_INT(co_await(t[i]), -ECANCELED);
		co_unref(t[i]);
	}
	barrier.state = CO_BARRIER_DRAINING;
	co_lock_release(&barrier.lock);
	EXPECT_INT(co_barrier_wait(&barrier, co_in_ms(1)), -ETIMEDOUT);
	barrier.state = CO_BARRIER_FILLING;
	EXPECT_INT(co_barrier_wait(&barrier, co_in_ms(1)), 0);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_lock_fifo),
		cmocka_unit_test(test_coro_lock_cancel_race),
		cmocka_unit_test(test_coro_lock_cancelled_waiter),
		cmocka_unit_test(test_coro_condition_notify),
		cmocka_unit_test(test_coro_condition_cancel),
		cmocka_unit_test(test_coro_condition_cancel_after_notify),
		cmocka_unit_test(test_coro_condition_wait_for),
		cmocka_unit_test(test_coro_barrier_rounds),
		cmocka_unit_test(test_coro_barrier_reset_and_abort),
		cmocka_unit_test(test_coro_barrier_cancel),
		cmocka_unit_test(test_coro_barrier_cancelled_at_the_door),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
