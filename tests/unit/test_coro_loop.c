/* dispatch/coro/loop.c, timer.c, post.c: turns, calls, timers, hooks, posts from other threads, figures, the end. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "daemon/base/random.h"
#include "tests/unit/test_coro.h"

static void note_call(void *arg)
{
	note(arg);
}

/* ---- calls ---- */

TEST(test_coro_loop_call_soon)
{
	struct co_call a, b, c;

	co_call_init(&a, note_call, WORD("a"));
	co_call_init(&b, note_call, WORD("b"));
	co_call_init(&c, note_call, WORD("c"));
	co_call_soon(&a);
	co_call_soon(&b);
	co_call_soon(&a);       /* scheduled already: keeps its place */
	co_call_soon(&c);
	co_call_cancel(&b);
	co_call_cancel(&b);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("a c");
	co_call_soon(&a);
	yield_times(1);
	EXPECT_TRACE("a");
	return 0;
}

struct again {
	struct co_call call;
	int left;
};

static void call_again(void *arg)
{
	struct again *a = arg;

	note("call");
	if (--a->left > 0)
		co_call_soon(&a->call);
}

/* What a callback makes ready runs in the next turn, not in this one. */
TEST(test_coro_loop_call_from_call)
{
	struct again a = { .left = 3 };

	co_call_init(&a.call, call_again, &a);
	co_call_soon(&a.call);
	for (int i = 0; i < 3; i++) {
		yield_times(1);
		note("task");
	}
	EXPECT_TRACE("call task call task call task");
	return 0;
}

/* ---- timers ---- */

TEST(test_coro_loop_timers_in_order)
{
	struct co_timer t[4];
	int64_t at_us = co_in_ms(2);

	for (int i = 0; i < 4; i++)
		co_timer_init(&t[i], note_call, letter(i));
	EXPECT_INT(co_timer_start(&t[0], at_us + 1000), 0);
	EXPECT_INT(co_timer_start(&t[1], at_us), 0);
	EXPECT_INT(co_timer_start(&t[2], at_us), 0);
	EXPECT_INT(co_timer_start(&t[3], CLOCK_NEVER), 0);
	EXPECT(co_timer_started(&t[0]));
	EXPECT(!co_timer_started(&t[3]));
	co_sleep_until(at_us + 1500);
	EXPECT_TRACE("b c a");
	EXPECT(!co_timer_started(&t[0]));
	return 0;
}

TEST(test_coro_loop_timer_restart_moves)
{
	struct co_timer a, b;
	int64_t at_us = co_in_ms(1);

	co_timer_init(&a, note_call, WORD("a"));
	co_timer_init(&b, note_call, WORD("b"));
	EXPECT_INT(co_timer_start(&a, at_us), 0);
	EXPECT_INT(co_timer_start(&b, at_us + 500), 0);
	EXPECT_INT(co_timer_start(&a, at_us + 1000), 0);
	co_sleep_until(at_us + 1500);
	EXPECT_TRACE("b a");
	return 0;
}

struct stop_other {
	struct co_timer first, second;
};

static void stop_second(void *arg)
{
	struct stop_other *s = arg;

	note("first");
	EXPECT(co_timer_started(&s->second));
	co_timer_stop(&s->second);
	EXPECT(!co_timer_started(&s->second));
}

/* Both are due in one turn: the first still stops the second. */
TEST(test_coro_loop_timer_stopped_when_due)
{
	struct stop_other s;

	co_timer_init(&s.first, stop_second, &s);
	co_timer_init(&s.second, note_call, WORD("second"));
	EXPECT_INT(co_timer_start(&s.first, 1), 0);
	EXPECT_INT(co_timer_start(&s.second, 1), 0);
	yield_times(2);
	EXPECT_TRACE("first");
	co_timer_stop(&s.first);
	return 0;
}

/* A past deadline fires in the next turn, after what is ready already. */
TEST(test_coro_loop_timer_past)
{
	struct co_timer t;
	struct co_call c;

	co_timer_init(&t, note_call, WORD("timer"));
	co_call_init(&c, note_call, WORD("call"));
	EXPECT_INT(co_timer_start(&t, 1), 0);
	co_call_soon(&c);
	yield_times(2);
	EXPECT_TRACE("call timer");
	return 0;
}

struct shot {
	struct co_timer timer;
	int64_t at_us, *last_us;
	bool stopped;
};

static void shoot(void *arg)
{
	struct shot *s = arg;

	EXPECT(!s->stopped);
	EXPECT(*s->last_us <= s->at_us);
	EXPECT(clock_mono_us() >= s->at_us);
	*s->last_us = s->at_us;
}

/* The heap against chance: thousands started, moved, stopped; the rest fire in order of time. */
TEST(test_coro_loop_timer_heap)
{
	enum { N = 5000 };
	static struct shot s[N];
	int64_t base_us = clock_mono_us(), last_us = 0;

	for (int i = 0; i < N; i++) {
		s[i] = (struct shot){ .at_us = base_us + (int64_t)random_below(3000), .last_us = &last_us };
		co_timer_init(&s[i].timer, shoot, &s[i]);
		EXPECT_INT(co_timer_start(&s[i].timer, s[i].at_us), 0);
	}
	for (int i = 0; i < N; i++) {
		struct shot *any = &s[random_below(N)];

		if (random_below(2) && !any->stopped) {
			any->at_us = base_us + (int64_t)random_below(3000);
			EXPECT_INT(co_timer_start(&any->timer, any->at_us), 0);
		} else {
			co_timer_stop(&any->timer);
			any->stopped = true;
		}
	}
	co_sleep_until(base_us + 3001);
	for (int i = 0; i < N; i++)
		EXPECT(!co_timer_started(&s[i].timer));
	EXPECT(last_us > base_us);
	return 0;
}

/* ---- hooks ---- */

struct hooked {
	struct co_turn_hook hook, *victim;
	const char *word;
};

static void on_turn(void *arg)
{
	struct hooked *h = arg;

	note(h->word);
	if (h->victim != NULL)
		co_turn_hook_remove(h->victim);
	h->victim = NULL;
}

/* A millisecond's sleep takes a turn or, on a slow machine, some more: the first turn's words, then those of each that follows. */
static void expect_turns(const char *first, const char *next)
{
	const char *p = trace;

	co_sleep_ms(1);
	EXPECT(strncmp(p, first, strlen(first)) == 0);
	p += strlen(first);
	while (*p != '\0' && *next != '\0' && strncmp(p, next, strlen(next)) == 0)
		p += strlen(next);
	EXPECT(*p == '\0');
	trace[0] = '\0';
}

/* Before the loop sleeps, in the order of adding; a hook may remove itself and others. */
TEST(test_coro_loop_hooks)
{
	struct hooked a = { .word = "a" }, b = { .word = "b" }, c = { .word = "c" };

	co_turn_hook_add(&a.hook, on_turn, &a);
	co_turn_hook_add(&b.hook, on_turn, &b);
	co_turn_hook_add(&c.hook, on_turn, &c);
	note("task");
	expect_turns("task a b c", " a b c");
	a.victim = &b.hook;
	expect_turns("a c", " a c");
	c.victim = &c.hook;
	expect_turns("a c", " a");
	expect_turns("a", " a");
	co_turn_hook_remove(&a.hook);
	expect_turns("", "");
	return 0;
}

static void count(void *arg)
{
	++*(int *)arg;
}

/* Tasks that are always ready don't starve what is outside, nor does each of their turns pay for it. */
TEST(test_coro_loop_hooks_are_rationed)
{
	struct co_turn_hook hook;
	int n = 0;

	co_turn_hook_add(&hook, count, &n);
	yield_times(10000);
	EXPECT(n >= 10000 / 128);
	co_turn_hook_remove(&hook);
	return 0;
}

static void wake_it(void *arg)
{
	struct co_event *event = arg;

	co_event_set(event);
}

/* What a hook makes ready keeps the loop from sleeping. */
TEST(test_coro_loop_hook_makes_ready)
{
	struct co_turn_hook hook;
	struct co_event event;

	co_event_init(&event);
	co_turn_hook_add(&hook, wake_it, &event);
	EXPECT_INT(co_event_wait(&event, CLOCK_NEVER), 0);
	co_turn_hook_remove(&hook);
	return 0;
}

/* ---- posts ---- */

enum { SENDERS = 4, POSTS = 5000 };

struct sender {
	struct co_loop *loop;
	pthread_t thread;
	int next;               /* what the loop expects of it */
	struct mail {
		struct sender *from;
		int n;
	} mail[POSTS];
};

static int received;

static void receive(void *arg)
{
	struct mail *m = arg;

	EXPECT_INT(m->n, m->from->next++);
	received++;
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < POSTS; i++) {
		s->mail[i] = (struct mail){ s, i };
		CHECK(co_post(s->loop, receive, &s->mail[i]) == 0);
	}
	return NULL;
}

/* From several threads: nothing is lost, each sender's in order. */
TEST(test_coro_loop_post_from_threads)
{
	static struct sender s[SENDERS];

	received = 0;
	for (int i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){ .loop = co_loop_current() };
		CHECK(pthread_create(&s[i].thread, NULL, send_all, &s[i]) == 0);
	}
	while (received < SENDERS * POSTS)
		EXPECT_INT(co_sleep_ms(1), 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(s[i].thread, NULL);
	return 0;
}

static void set_event(void *arg)
{
	co_event_set(arg);
}

struct poster {
	struct co_loop *loop;
	struct co_event event;
};

static void *post_once(void *arg)
{
	struct poster *p = arg;

	CHECK(co_post(p->loop, set_event, &p->event) == 0);
	return NULL;
}

/* A loop that sleeps without a deadline is woken. */
TEST(test_coro_loop_post_wakes)
{
	struct poster p = { .loop = co_loop_current() };
	pthread_t thread;

	for (int i = 0; i < 200; i++) {
		co_event_init(&p.event);
		CHECK(pthread_create(&thread, NULL, post_once, &p) == 0);
		EXPECT_INT(co_event_wait(&p.event, CLOCK_NEVER), 0);
		pthread_join(thread, NULL);
	}
	return 0;
}

TEST(test_coro_loop_post_to_itself)
{
	EXPECT_INT(co_post(co_loop_current(), note_call, WORD("posted")), 0);
	EXPECT_TRACE("");
	yield_times(1);
	EXPECT_TRACE("posted");
	return 0;
}

static void never(void *arg)
{
	(void)arg;
	expect_failures++;
}

/* Posts that never ran are dropped with the loop. */
static void test_coro_loop_free_with_posts(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(co_post(loop, never, NULL), 0);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

/* ---- running and ending ---- */

static int stops_loop(void *arg)
{
	note("stop");
	co_loop_stop(arg);
	co_yield();
	note("again");
	return 3;
}

/* stop: the turn is completed; co_run says so, and the task goes on in the next run. */
static void test_coro_loop_stop(void **state)
{
	struct co_loop *loop = co_loop_new();
	struct co_call call;

	(void)state;
	assert_non_null(loop);
	expect_failures = 0;
	co_call_init(&call, note_call, WORD("call"));
	assert_int_equal(co_run(loop, stops_loop, loop, "stops"), -ESHUTDOWN);
	EXPECT_TRACE("stop");
	co_call_soon(&call);
	co_loop_stop(loop);
	co_loop_run(loop);
	EXPECT_TRACE("again call");
	assert_int_equal(co_task_count(loop), 0);
	co_loop_free(loop);
	assert_int_equal(expect_failures, 0);
}

TEST(test_coro_loop_current)
{
	EXPECT(co_loop_current() != NULL);
	EXPECT(co_loop_base(co_loop_current()) != NULL);
	return 0;
}

static int returns_error(void *arg)
{
	(void)arg;
	return -EIO;
}

static void test_coro_loop_run_returns(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, return_arg, (void *)5, "five"), 5);
	assert_int_equal(co_run(loop, returns_error, NULL, "error"), -EIO);
	co_loop_free(loop);
	co_loop_free(NULL);
	assert_null(co_loop_current());
}

/* The memory a parked task holds is not ours to free: a crash forgets it. Here it lies on the stack that goes. */
static int parks(void *arg)
{
	struct co_future *f = future_new(), *inner = spawn(sleep_forever, NULL), *both[] = { f, inner }, *g, *s = co_shield(f);
	struct co_timeout t;

	(void)arg;
	CHECK(s != NULL && co_timeout_enter(&t, co_in_ms(100000)) == 0);
	g = co_gather(both, 2, false, NULL);
	CHECK(g != NULL);
	co_await(g);
	expect_failures++;      /* it came back */
	return 0;
}

static int parks_on_queue(void *arg)
{
	void *item;

	(void)!co_queue_get(arg, &item, co_in_ms(100000));
	expect_failures++;      /* it came back */
	return 0;
}

/* A crash at a suspension point: parked tasks are abandoned, bodies not unwound; the thread can start anew. */
static void test_coro_loop_abandon(void **state)
{
	(void)state;
	expect_failures = 0;
	for (int i = 0; i < 20; i++) {
		struct co_loop *loop = co_loop_new();
		struct co_queue *q = co_queue_new(0);

		assert_non_null(loop);
		assert_non_null(q);
		for (int k = 0; k < 50; k++) {
			co_unref(spawn(parks, NULL));
			co_unref(spawn(parks_on_queue, q));
		}
		if (i % 2)
			co_run(loop, return_arg, NULL, "some turns");
		co_loop_abandon(loop);
		assert_null(co_loop_current());
		free(q);
	}
	assert_int_equal(expect_failures, 0);
}

/* ---- figures ---- */

static void burn(void *arg)
{
	int64_t until_us = clock_thread_cpu_us() + *(int64_t *)arg;

	while (clock_thread_cpu_us() < until_us)
		;
}

/* The longest callback by CPU time, about a millisecond coarse; asking starts anew. */
TEST(test_coro_loop_stats)
{
	struct co_loop_stats stats;
	int64_t burn_us = 20000;
	struct co_call call;

	co_call_init(&call, burn, &burn_us);
	yield_times(100);
	co_loop_stats(co_loop_current(), &stats);
	EXPECT(stats.turns_total >= 100);
	EXPECT(stats.switches_total >= 100);
	EXPECT_INT(stats.tasks, 1);
	co_call_soon(&call);
	yield_times(2);
	co_loop_stats(co_loop_current(), &stats);
	EXPECT(stats.longest_call_us >= 19000);
	EXPECT(stats.longest_call_us < 30000);
	yield_times(50);
	co_loop_stats(co_loop_current(), &stats);
	EXPECT(stats.longest_call_us < 19000);
	return 0;
}

/* Sleeping is no work. */
TEST(test_coro_loop_stats_not_of_sleep)
{
	struct co_loop_stats stats;

	co_loop_stats(co_loop_current(), &stats);
	co_sleep_ms(30);
	yield_times(2);
	co_loop_stats(co_loop_current(), &stats);
	EXPECT(stats.longest_call_us < 20000);
	return 0;
}

/* A long sleep must not show callbacks that end it the time before it. */
TEST(test_coro_loop_clock_is_fresh)
{
	int64_t at_us = co_in_ms(20);

	co_sleep_until(at_us);
	EXPECT(clock_mono_us() >= at_us);
	EXPECT(clock_mono_exact_us() - clock_mono_us() < 10000000);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_loop_call_soon),
		cmocka_unit_test(test_coro_loop_call_from_call),
		cmocka_unit_test(test_coro_loop_timers_in_order),
		cmocka_unit_test(test_coro_loop_timer_restart_moves),
		cmocka_unit_test(test_coro_loop_timer_stopped_when_due),
		cmocka_unit_test(test_coro_loop_timer_past),
		cmocka_unit_test(test_coro_loop_timer_heap),
		cmocka_unit_test(test_coro_loop_hooks),
		cmocka_unit_test(test_coro_loop_hooks_are_rationed),
		cmocka_unit_test(test_coro_loop_hook_makes_ready),
		cmocka_unit_test(test_coro_loop_post_from_threads),
		cmocka_unit_test(test_coro_loop_post_wakes),
		cmocka_unit_test(test_coro_loop_post_to_itself),
		cmocka_unit_test(test_coro_loop_free_with_posts),
		cmocka_unit_test(test_coro_loop_stop),
		cmocka_unit_test(test_coro_loop_current),
		cmocka_unit_test(test_coro_loop_run_returns),
		cmocka_unit_test(test_coro_loop_abandon),
		cmocka_unit_test(test_coro_loop_stats),
		cmocka_unit_test(test_coro_loop_stats_not_of_sleep),
		cmocka_unit_test(test_coro_loop_clock_is_fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
