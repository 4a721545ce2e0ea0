/* coro_bench.c: what the runtime's own mechanisms cost: a bare switch, a task's life through the scheduler, a completion in a waitset of
 * 1,000 and of 100,000 members. Prints `metric value` lines; the least of several rounds, for neighbours only ever add. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "dispatch/coro/context.h"
#include "dispatch/coro/coro.h"

static double best(double (*run)(void), int rounds)
{
	double least = 1e9;

	for (int i = 0; i < rounds; i++) {
		double ns = run();

		if (ns < least)
			least = ns;
	}
	return least;
}

static double ns_each(int64_t start_us, double n)
{
	return (double)(clock_mono_exact_us() - start_us) * 1000 / n;
}

/* ---- bare switch ---- */

static struct co_context here, there;

static void bounce(void *arg)
{
	(void)arg;
	for (;;)
		co_context_switch(&there, &here, 0);
}

static double bare_switch(void)
{
	static _Alignas(64) char stack[65536];
	int64_t start_us = clock_mono_exact_us();
	enum { N = 50000 };

	co_context_make(&there, stack, stack + sizeof stack, bounce, NULL);
	for (int i = 0; i < N; i++)
		co_context_switch(&here, &there, 0);
	return ns_each(start_us, N * 2.0);
}

/* ---- tasks ---- */

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static double spawn_await(void)
{
	int64_t start_us = clock_mono_exact_us();
	enum { N = 5000 };

	for (int i = 0; i < N; i++) {
		struct co_future *t = co_task_new_static(nothing, NULL, "bench");

		CHECK(t != NULL);
		co_await(t);
		co_unref(t);
	}
	return ns_each(start_us, N);
}

static double spawn_many(void)
{
	int64_t start_us = clock_mono_exact_us();
	enum { N = 1000, TIMES = 20 };

	for (int k = 0; k < TIMES; k++) {
		struct co_future *last = NULL;

		for (int i = 0; i < N; i++) {
			co_unref(last);
			last = co_task_new_static(nothing, NULL, "bench");
			CHECK(last != NULL);
		}
		co_await(last);
		co_unref(last);
	}
	return ns_each(start_us, (double)N * TIMES);
}

static int yield_often(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++)
		co_yield();
	return 0;
}

static double yield_round(void)
{
	enum { N = 1000 };
	int times = 40;
	struct co_future **t = calloc(N, sizeof *t);
	int64_t start_us;
	double ns;

	CHECK(t != NULL);
	start_us = clock_mono_exact_us();
	for (int i = 0; i < N; i++)
		CHECK((t[i] = co_task_new_static(yield_often, &times, "bench")) != NULL);
	for (int i = 0; i < N; i++) {
		co_await(t[i]);
		co_unref(t[i]);
	}
	ns = ns_each(start_us, (double)N * times);
	free(t);
	return ns;
}

/* ---- waitset ---- */

static double waitset(int members)
{
	enum { N = 50000 };
	struct co_waitset *ws = co_waitset_new();
	struct co_future **pending = calloc((size_t)members, sizeof *pending), *f;
	int64_t start_us;
	double ns;

	CHECK(ws != NULL && pending != NULL);
	for (int i = 0; i < members; i++) {
		CHECK((pending[i] = co_future_new()) != NULL);
		CHECK(co_waitset_add(ws, co_ref(pending[i]), NULL) == 0);
	}
	start_us = clock_mono_exact_us();
	for (int i = 0; i < N; i++) {
		int k = (int)((unsigned)i * 2654435761u % (unsigned)members);

		co_set_result(pending[k], 1);
		f = co_waitset_next(ws, NULL);
		co_unref(f);
		co_unref(pending[k]);
		CHECK((pending[k] = co_future_new()) != NULL);
		CHECK(co_waitset_add(ws, co_ref(pending[k]), NULL) == 0);
	}
	ns = ns_each(start_us, N);
	co_waitset_free(ws);
	for (int i = 0; i < members; i++)
		co_unref(pending[i]);
	free(pending);
	return ns;
}

static double waitset_1k(void)
{
	return waitset(1000);
}

static double waitset_100k(void)
{
	return waitset(100000);
}

static int run_all(void *arg)
{
	(void)arg;
	printf("switch_ns %.1f\n", best(bare_switch, 200));
	printf("spawn_finish_ns %.1f\n", best(spawn_await, 300));
	printf("spawn_finish_burst_1000_ns %.1f\n", best(spawn_many, 100));
	printf("yield_1000_tasks_ns %.1f\n", best(yield_round, 60));
	printf("waitset_1k_ns %.1f\n", best(waitset_1k, 60));
	printf("waitset_100k_ns %.1f\n", best(waitset_100k, 10));
	return 0;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc;

	CHECK(loop != NULL);
	rc = co_run(loop, run_all, NULL, "bench");
	co_loop_free(loop);
	return rc;
}
