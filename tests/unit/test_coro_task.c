/* dispatch/coro/task.c; each test names the one of CPython's test_tasks.py that checks the same, where there is one. */
#include <stdlib.h>

#include "tests/unit/test_coro.h"

static int note_arg(void *arg)
{
	note(arg);
	return 0;
}

/* test_create_task: runs on a later turn, never inside */
TEST(test_coro_task_starts_later)
{
	struct co_future *t = spawn(note_arg, WORD("child"));

	note("created");
	EXPECT_INT(co_await(t), 0);
	EXPECT_TRACE("created child");
	co_unref(t);
	return 0;
}

/* Detached: the loop keeps it. */
TEST(test_coro_task_detached)
{
	co_unref(spawn(note_arg, WORD("ran")));
	yield_times(2);
	EXPECT_TRACE("ran");
	return 0;
}

/* test_task_basics, test_set_exception..: result, error, cancelled by what the body returns */
TEST(test_coro_task_outcomes)
{
	struct co_future *t = spawn(return_arg, (void *)7);

	EXPECT_INT(co_await(t), 7);
	EXPECT_INT(co_state(t), CO_DONE);
	co_unref(t);
	t = spawn(return_arg, (void *)-EIO);
	EXPECT_INT(co_await(t), -EIO);
	EXPECT_INT(co_state(t), CO_FAILED);
	co_unref(t);
	t = spawn(return_arg, (void *)-ECANCELED);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(co_state(t), CO_CANCELLED);
	co_unref(t);
	EXPECT_INT(unretrieved, 0);
	return 0;
}

/* test_log_traceback: the error of a task that nobody awaits */
TEST(test_coro_task_error_unretrieved)
{
	co_unref(spawn(return_arg, (void *)-EIO));
	yield_times(3);
	EXPECT_INT(unretrieved, 1);
	return 0;
}

static int turns(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(arg);
		co_yield();
	}
	return 0;
}

/* sleep(0) yields exactly once: two tasks take turns */
TEST(test_coro_task_yield_takes_turns)
{
	struct co_future *a = spawn(turns, WORD("a")), *b = spawn(turns, WORD("b"));

	co_await(b);
	EXPECT_TRACE("a b a b a b");
	co_unref(a);
	co_unref(b);
	return 0;
}

/* Awaiting a future that is done does not yield. */
TEST(test_coro_task_await_done_goes_on)
{
	struct co_future *f = future_new();

	co_unref(spawn(note_arg, WORD("other")));
	co_set_result(f, 1);
	for (int i = 0; i < 5; i++)
		EXPECT_INT(co_await(f), 1);
	note("me");
	yield_times(1);
	EXPECT_TRACE("me other");
	co_unref(f);
	return 0;
}

/* test_current_task */
static int is_current(void *arg)
{
	struct co_future **t = arg;

	EXPECT(co_task_current() == *t);
	co_yield();
	EXPECT(co_task_current() == *t);
	return 0;
}

TEST(test_coro_task_current)
{
	struct co_future *t = NULL, *me = co_task_current();

	t = spawn(is_current, &t);
	co_await(t);
	EXPECT(co_task_current() == me);
	EXPECT(strcmp(co_task_name(me), "test") == 0);
	co_unref(t);
	return 0;
}

/* test_task_set_name..: formatted at once, cut at 47 */
TEST(test_coro_task_name)
{
	char word[] = "part";
	struct co_future *t = co_task_new(note_arg, WORD("x"), "%s %d of %s", word, 3, "0123456789012345678901234567890123456789");

	CHECK(t != NULL);
	word[0] = 'X';
	EXPECT(strcmp(co_task_name(t), "part 3 of 0123456789012345678901234567890123456") == 0);
	EXPECT_INT(strlen(co_task_name(t)), 47);
	co_await(t);
	co_unref(t);
	return 0;
}

static int sets_errno(void *arg)
{
	errno = (int)(intptr_t)arg;
	for (int i = 0; i < 3; i++) {
		co_yield();
		EXPECT_INT(errno, (intptr_t)arg);
		co_sleep_ms(1);
		EXPECT_INT(errno, (intptr_t)arg);
	}
	return 0;
}

TEST(test_coro_task_keeps_errno)
{
	struct co_future *a = spawn(sets_errno, (void *)EIO), *b = spawn(sets_errno, (void *)EPERM);

	co_await(a);
	co_await(b);
	co_unref(a);
	co_unref(b);
	return 0;
}

/* Callee-saved registers and the stack itself, across many switches. */
static int sums(void *arg)
{
	volatile double x = 0.5;
	uint64_t a = (uintptr_t)arg, b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13;

	for (int i = 0; i < 100; i++) {
		co_yield();
		a += b, b += c, c += d, d += e, e += f, f += a;
		x = x * 1.5 + (double)(a & 7);
	}
	return (int)((a ^ b ^ c ^ d ^ e ^ f ^ (uint64_t)(int64_t)(x / 1e18)) & 0xffff);
}

TEST(test_coro_task_keeps_registers)
{
	struct co_future *t[20], *again;

	for (int i = 0; i < 20; i++)
		t[i] = spawn(sums, (void *)(intptr_t)(i % 10 + 1));
	for (int i = 0; i < 20; i++)
		co_await(t[i]);
	for (int i = 0; i < 10; i++) {
		again = spawn(sums, (void *)(intptr_t)(i + 1));
		EXPECT_INT(co_await(again), co_result(t[i]));
		EXPECT_INT(co_result(t[i]), co_result(t[i + 10]));
		co_unref(again);
	}
	for (int i = 0; i < 20; i++)
		co_unref(t[i]);
	return 0;
}

TEST(test_coro_task_count)
{
	struct co_loop *loop = co_loop_current();
	struct co_future *t = spawn(sleep_forever, NULL);

	EXPECT_INT(co_task_count(loop), 2);
	co_cancel(t);
	co_await(t);
	EXPECT_INT(co_task_count(loop), 1);
	co_unref(t);
	return 0;
}

struct seen {
	unsigned n, running, waiting, ready;
	char awaits[64];
};

static void see(const struct co_task_info *info, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->running += strcmp(info->state, "running") == 0;
	s->waiting += strcmp(info->state, "waiting") == 0;
	s->ready += strcmp(info->state, "ready") == 0;
	EXPECT(info->age_us >= 0);
	if (strcmp(info->name, "outer") == 0)
		snprintf(s->awaits, sizeof s->awaits, "%s", info->awaits);
}

TEST(test_coro_task_each)
{
	struct seen s = { 0 };
	struct co_future *inner = spawn(sleep_forever, NULL), *outer = co_task_new_static(await_arg, inner, "outer"), *fresh;

	CHECK(outer != NULL);
	yield_times(1);
	fresh = spawn(note_arg, WORD("x"));
	co_task_each(co_loop_current(), see, &s);
	EXPECT_INT(s.n, 4);
	EXPECT_INT(s.running, 1);
	EXPECT_INT(s.waiting, 2);
	EXPECT_INT(s.ready, 1);
	EXPECT(strcmp(s.awaits, "child") == 0);
	co_cancel(outer);
	co_await(outer);
	co_await(fresh);
	co_unref(inner);
	co_unref(outer);
	co_unref(fresh);
	return 0;
}

TEST(test_coro_task_dump)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct co_future *t = spawn(sleep_forever, NULL);

	CHECK(out != NULL);
	yield_times(1);
	co_task_dump(co_loop_current(), out);
	fclose(out);
	EXPECT(strstr(text, "2 tasks\n") != NULL);
	EXPECT(strstr(text, "test: running") != NULL);
	EXPECT(strstr(text, "child: waiting, awaits sleep") != NULL);
	free(text);
	co_cancel(t);
	co_await(t);
	co_unref(t);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_task_starts_later),
		cmocka_unit_test(test_coro_task_detached),
		cmocka_unit_test(test_coro_task_outcomes),
		cmocka_unit_test(test_coro_task_error_unretrieved),
		cmocka_unit_test(test_coro_task_yield_takes_turns),
		cmocka_unit_test(test_coro_task_await_done_goes_on),
		cmocka_unit_test(test_coro_task_current),
		cmocka_unit_test(test_coro_task_name),
		cmocka_unit_test(test_coro_task_keeps_errno),
		cmocka_unit_test(test_coro_task_keeps_registers),
		cmocka_unit_test(test_coro_task_count),
		cmocka_unit_test(test_coro_task_each),
		cmocka_unit_test(test_coro_task_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
