/* dispatch/coro: the words that go with errors and cancels, through what stands between (test_tasks: test_cancel_message_*), and results
 * that nobody is left to read. */
#include "tests/unit/test_coro.h"

static void expect_words(const char *file, int line, struct co_future *f, const char *want)
{
	if (strcmp(co_error_text(f), want) == 0)
		return;
	expect_failures++;
	fprintf(stderr, "%s:%d: words are \"%s\", expected \"%s\"\n", file, line, co_error_text(f), want);
}
#define EXPECT_WORDS(f, want) expect_words(__FILE__, __LINE__, f, want)

static int fails_with_words(void *arg)
{
	(void)arg;
	return co_yield() < 0 ? -ECANCELED : co_fail(-EPROTO, "no id in the reply");
}

/* Regression: neither the gather's child nor who awaits it heard of them. */
TEST(test_coro_words_of_a_cancel_through_gather)
{
	struct co_future *child = spawn(sleep_forever, NULL), *g = co_gather(&child, 1, false, NULL), *waiter = spawn(await_arg, g);

	CHECK(g != NULL);
	yield_times(2);
	EXPECT(co_cancel_text(waiter, "no time left"));
	EXPECT_INT(co_await(waiter), -ECANCELED);
	EXPECT_WORDS(child, "no time left");
	EXPECT_WORDS(g, "no time left");
	EXPECT_WORDS(waiter, "no time left");
	co_unref(child);
	co_unref(g);
	co_unref(waiter);
	return 0;
}

/* Regression: strerror's, where the inner had better ones. */
TEST(test_coro_words_of_an_error_through_gather_and_shield)
{
	struct co_future *t = spawn(fails_with_words, NULL), *g = co_gather(&t, 1, false, NULL), *s = co_shield(t);

	CHECK(g != NULL && s != NULL);
	EXPECT_INT(co_await(g), -EPROTO);
	EXPECT_INT(co_await(s), -EPROTO);
	EXPECT_WORDS(g, "no id in the reply");
	EXPECT_WORDS(s, "no id in the reply");
	co_unref(t);
	co_unref(g);
	co_unref(s);
	return 0;
}

/* Regression: an error got the words of a cancel that came too late for it. */
TEST(test_coro_words_of_the_error_not_of_the_cancel)
{
	struct co_future *pair[] = { spawn(fails_with_words, NULL), future_new() }, *g = co_gather(pair, 2, false, NULL);

	CHECK(g != NULL);
	yield_times(2);
	EXPECT(co_cancel_text(g, "no time left"));
	EXPECT_INT(co_await(g), -EPROTO);
	EXPECT_WORDS(g, "no id in the reply");
	co_unref(pair[0]);
	co_unref(pair[1]);
	co_unref(g);
	return 0;
}

/* Regression: a later cancel without words kept the earlier one's. */
TEST(test_coro_words_of_the_last_cancel)
{
	struct co_future *t = spawn(sleep_forever, NULL);

	co_cancel_text(t, "first");
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_WORDS(t, "");
	co_unref(t);
	return 0;
}

static int gets_over_one(void *arg)
{
	(void)arg;
	(void)co_fail(-EPROTO, "no id in the reply");
	return -EIO;
}

/* Regression: words for one error were given to another. */
TEST(test_coro_words_of_an_error_that_was_got_over)
{
	struct co_future *t = spawn(gets_over_one, NULL);

	EXPECT_INT(co_await(t), -EIO);
	EXPECT_WORDS(t, strerror(EIO));
	co_unref(t);
	return 0;
}

static int fails_and_ends_a_helper(void *arg)
{
	struct co_future *helper = spawn(sleep_forever, NULL);
	int rc = co_fail(-EPROTO, "no id in the reply");

	(void)arg;
	yield_times(1);
	co_cancel_text(helper, "not needed");
	EXPECT_INT(co_await(helper), -ECANCELED);
	co_unref(helper);
	return rc;
}

/* Regression: what it heard on its way out replaced what it had to say. */
TEST(test_coro_words_are_not_anothers)
{
	struct co_future *t = spawn(fails_and_ends_a_helper, NULL);
	struct co_group g;

	EXPECT_INT(co_await(t), -EPROTO);
	EXPECT_WORDS(t, "no id in the reply");
	co_unref(t);
	co_group_enter(&g);
	(void)co_fail(-EIO, "was got over");
	EXPECT_INT(co_group_leave(&g, -EPROTO), -EPROTO);
	EXPECT(g.texts[0] == NULL);
	return 0;
}

static int fails_when_cancelled(void *arg)
{
	(void)arg;
	EXPECT_INT(co_sleep_until(CLOCK_NEVER), -ECANCELED);
	return co_fail(-EPROTO, "no id in the reply");
}

/* Regression: a gather that was cancelled took the words of its last child, whatever had become of that. */
TEST(test_coro_words_of_a_cancelled_gather)
{
	for (int fails = 0; fails < 2; fails++) {
		struct co_future *t = spawn(fails ? fails_when_cancelled : stubborn, (void *)5), *g = co_gather(&t, 1, true, NULL);

		CHECK(g != NULL);
		yield_times(2);
		EXPECT(co_cancel_text(g, "stop"));
		EXPECT_INT(co_await(g), -ECANCELED);
		EXPECT_WORDS(g, "");
		EXPECT_INT(co_result(t), fails ? -EPROTO : 5);
		EXPECT_WORDS(t, fails ? "no id in the reply" : "");
		co_unref(g);
		co_unref(t);
	}
	return 0;
}

/* ---- results ---- */

enum { UNTOUCHED = 99 };

static int results[2];

static int fails_soon(void *arg)
{
	(void)arg;
	return co_yield() < 0 ? -ECANCELED : -EIO;
}

static int sleeps_then_seven(void *arg)
{
	(void)arg;
	return co_sleep_ms(2) < 0 ? -ECANCELED : 7;
}

/* Regression: a gather inside another that had failed wrote its results when nobody had it any more. */
TEST(test_coro_gather_unread_inside_a_gather)
{
	struct co_future *slow = spawn(sleeps_then_seven, NULL), *inner = co_gather(&slow, 1, false, results);
	struct co_future *pair[] = { inner, spawn(fails_soon, NULL) }, *outer = co_gather(pair, 2, false, NULL);

	CHECK(inner != NULL && outer != NULL);
	results[0] = UNTOUCHED;
	EXPECT_INT(co_await(outer), -EIO);
	co_unref(outer);
	co_unref(inner);
	co_unref(pair[1]);
	EXPECT_INT(co_await(slow), 7);
	yield_times(3);
	EXPECT_INT(results[0], UNTOUCHED);
	co_unref(slow);
	return 0;
}

TEST(test_coro_gather_unread_inside_a_shield)
{
	struct co_future *slow = spawn(sleeps_then_seven, NULL), *inner = co_gather(&slow, 1, false, results), *s = co_shield(inner);

	CHECK(inner != NULL && s != NULL);
	results[0] = UNTOUCHED;
	co_unref(s);
	co_unref(inner);
	EXPECT_INT(co_await(slow), 7);
	yield_times(3);
	EXPECT_INT(results[0], UNTOUCHED);
	co_unref(slow);
	return 0;
}

/* Regression: a shield that was cancelled, and not told of yet, counted as a reader. */
TEST(test_coro_gather_unread_behind_a_cancelled_shield)
{
	struct co_future *f = future_new(), *inner = co_gather(&f, 1, false, results), *s = co_shield(inner);

	CHECK(inner != NULL && s != NULL);
	results[0] = UNTOUCHED;
	co_set_result(f, 7);
	co_cancel(s);
	co_unref(s);
	co_unref(inner);
	yield_times(3);
	EXPECT_INT(results[0], UNTOUCHED);
	co_unref(f);
	return 0;
}

/* Regression: a cancelled shield that was held counted as a reader, and wrote where the caller had something else by then. */
TEST(test_coro_gather_unread_behind_a_held_shield)
{
	for (int told = 0; told < 2; told++) {
		struct co_future *f = future_new(), *inner = co_gather(&f, 1, true, results), *s = co_shield(inner);

		CHECK(inner != NULL && s != NULL);
		co_cancel(s);
		yield_times(told);
		co_unref(inner);
		results[0] = UNTOUCHED;
		co_set_result(f, 7);
		yield_times(4);
		EXPECT_INT(results[0], UNTOUCHED);
		co_unref(s);
		co_unref(f);
	}
	return 0;
}

/* Regression: so did a gather that had failed and was held. */
TEST(test_coro_gather_unread_inside_a_held_gather)
{
	struct co_future *slow = future_new(), *inner = co_gather(&slow, 1, true, results);
	struct co_future *pair[] = { spawn(fails_soon, NULL), inner }, *outer = co_gather(pair, 2, false, NULL);

	CHECK(inner != NULL && outer != NULL);
	yield_times(4);                 /* who awaits it lets go of it, and that would do */
	EXPECT_INT(co_result(outer), -EIO);
	co_unref(inner);
	results[0] = UNTOUCHED;
	co_set_result(slow, 7);
	yield_times(4);
	EXPECT_INT(results[0], UNTOUCHED);
	co_unref(outer);
	co_unref(pair[0]);
	co_unref(slow);
	return 0;
}

static void note_results(struct co_future *f, void *arg)
{
	EXPECT_INT(co_result(f), 0);
	EXPECT(co_value(f) == arg);
	note(results[0] == 7 ? "seven" : "nothing");
}

/* Regression: a callback that was still to come did not count as a reader where no reference was left. */
TEST(test_coro_gather_read_by_a_callback)
{
	for (int shielded = 0; shielded < 2; shielded++) {
		struct co_future *f = future_new(), *g = co_gather(&f, 1, true, results), *last = shielded ? co_shield(g) : co_ref(g);
		struct co_done_node node;

		CHECK(g != NULL && last != NULL);
		results[0] = UNTOUCHED;
		co_done_add(last, &node, note_results, results);
		co_unref(g);
		co_unref(last);
		co_set_result(f, 7);
		yield_times(5);
		EXPECT_TRACE("seven");
		co_unref(f);
	}
	return 0;
}

/* Nor is there one any more where the last callback is taken back. */
TEST(test_coro_gather_unread_without_its_callback)
{
	for (int shielded = 0; shielded < 2; shielded++) {
		struct co_future *f = future_new(), *g = co_gather(&f, 1, true, results), *last = shielded ? co_shield(g) : co_ref(g);
		struct co_done_node node;

		CHECK(g != NULL && last != NULL);
		co_done_add(last, &node, note_results, results);
		co_unref(g);
		co_unref(last);
		yield_times(1);
		co_done_remove(&node);
		results[0] = UNTOUCHED;
		co_set_result(f, 7);
		yield_times(5);
		EXPECT_INT(results[0], UNTOUCHED);
		EXPECT_TRACE("");
		co_unref(f);
	}
	return 0;
}

/* The outer is awaited, so the inner's results still have a reader, whoever dropped the inner. */
TEST(test_coro_gather_read_through_the_outer)
{
	struct co_future *slow = spawn(sleeps_then_seven, NULL), *inner = co_gather(&slow, 1, false, results), *s = co_shield(inner);
	struct co_future *outer = co_gather(&s, 1, false, &results[1]);

	CHECK(inner != NULL && s != NULL && outer != NULL);
	results[0] = UNTOUCHED;
	co_unref(inner);
	co_unref(s);
	EXPECT_INT(co_await(outer), 0);
	EXPECT_INT(results[0], 7);
	EXPECT_INT(results[1], 0);
	co_unref(outer);
	co_unref(slow);
	return 0;
}

/* ---- depth ---- */

static struct co_future *awaited_by_next;

static int awaits_the_next(void *arg)
{
	(void)arg;
	return co_await(awaited_by_next);
}

/* Regression: each gather between two tasks cost the canceller's stack some 80 bytes; hundreds were too many. */
TEST(test_coro_gather_cancel_of_a_deep_chain)
{
	enum { DEPTH = 1500 };
	struct co_future *chain[2 * DEPTH + 1];
	size_t n = 0;

	chain[n++] = future_new();
	for (int i = 0; i < DEPTH; i++) {
		awaited_by_next = chain[n - 1];
		chain[n++] = spawn(awaits_the_next, NULL);
		yield_times(1);
		chain[n] = co_gather(&chain[n - 1], 1, false, NULL);
		CHECK(chain[n] != NULL);
		n++;
	}
	co_cancel(chain[n - 1]);
	EXPECT_INT(co_await(chain[n - 1]), -ECANCELED);
	EXPECT_INT(co_state(chain[1]), CO_CANCELLED);
	while (n > 0)
		co_unref(chain[--n]);
	return 0;
}

/* Regression: the last reference of a gather of gathers went inside one another's. */
TEST(test_coro_gather_end_of_a_deep_one)
{
	enum { DEPTH = 3000 };
	struct co_future *inmost = future_new(), *g = co_ref(inmost);

	for (int i = 0; i < DEPTH; i++) {
		struct co_future *outer = co_gather(&g, 1, false, NULL);

		CHECK(outer != NULL);
		co_unref(g);
		g = outer;
	}
	co_set_result(inmost, 0);
	EXPECT_INT(co_await(g), 0);
	co_unref(inmost);
	co_unref(g);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_words_of_a_cancel_through_gather),
		cmocka_unit_test(test_coro_words_of_an_error_through_gather_and_shield),
		cmocka_unit_test(test_coro_words_of_the_error_not_of_the_cancel),
		cmocka_unit_test(test_coro_words_of_the_last_cancel),
		cmocka_unit_test(test_coro_words_of_an_error_that_was_got_over),
		cmocka_unit_test(test_coro_words_are_not_anothers),
		cmocka_unit_test(test_coro_words_of_a_cancelled_gather),
		cmocka_unit_test(test_coro_gather_unread_inside_a_gather),
		cmocka_unit_test(test_coro_gather_unread_behind_a_cancelled_shield),
		cmocka_unit_test(test_coro_gather_unread_inside_a_shield),
		cmocka_unit_test(test_coro_gather_unread_behind_a_held_shield),
		cmocka_unit_test(test_coro_gather_unread_inside_a_held_gather),
		cmocka_unit_test(test_coro_gather_read_by_a_callback),
		cmocka_unit_test(test_coro_gather_unread_without_its_callback),
		cmocka_unit_test(test_coro_gather_read_through_the_outer),
		cmocka_unit_test(test_coro_gather_cancel_of_a_deep_chain),
		cmocka_unit_test(test_coro_gather_end_of_a_deep_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
