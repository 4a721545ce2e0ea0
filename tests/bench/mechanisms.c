/*
 * mechanisms.c: what the runtime's larger mechanisms cost: two queues' ping-pong, gather, timers, wake-ups from another thread. The same
 * is done by asyncio, uvloop, Go and threads in rivals/runtime. Prints `metric value` lines; the least of several rounds.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "dispatch/coro/coro.h"

static int64_t start_us;

static void begin(void)
{
	start_us = clock_mono_exact_us();
}

static double ns_each(double n)
{
	return (double)(clock_mono_exact_us() - start_us) * 1000 / n;
}

static void print_best(const char *metric, double (*run)(void), int rounds, double scale)
{
	double least = 1e12;

	for (int i = 0; i < rounds; i++) {
		double ns = run();

		if (ns < least)
			least = ns;
	}
	printf("%s %.1f\n", metric, least / scale);
	fflush(stdout);
}

/* ---- queues ---- */

enum { PINGS = 20000 };

static struct co_queue *there, *back;

static int pong(void *arg)
{
	void *item;

	for (int i = 0; i < PINGS; i++)
		if (co_queue_get(there, &item, CLOCK_NEVER) < 0 || co_queue_put(back, item, CLOCK_NEVER) < 0)
			return -1;
	return *(int *)arg;
}

/* A round trip through two queues of one place. */
static double queue_pingpong(void)
{
	int zero = 0;
	struct co_future *t;
	double ns;
	void *item;

	there = co_queue_new(1);
	back = co_queue_new(1);
	CHECK(there != NULL && back != NULL);
	t = co_task_new_static(pong, &zero, "pong");
	CHECK(t != NULL);
	begin();
	for (int i = 0; i < PINGS; i++)
		CHECK(co_queue_put(there, &zero, CLOCK_NEVER) == 0 && co_queue_get(back, &item, CLOCK_NEVER) == 0);
	ns = ns_each(PINGS);
	CHECK(co_await(t) == 0);
	co_unref(t);
	co_queue_free(there);
	co_queue_free(back);
	return ns;
}

/* ---- gather ---- */

static int yields_once(void *arg)
{
	(void)arg;
	return co_yield();
}

static double gather_1000(void)
{
	enum { N = 1000 };
	struct co_future *t[N], *g;
	double ns;

	begin();
	for (int i = 0; i < N; i++)
		CHECK((t[i] = co_task_new_static(yields_once, NULL, "gathered")) != NULL);
	g = co_gather(t, N, false, NULL);
	CHECK(g != NULL && co_await(g) == 0);
	co_unref(g);
	for (int i = 0; i < N; i++)
		co_unref(t[i]);
	ns = ns_each(1);
	return ns;
}

/* ---- timers ---- */

enum { ARMED = 1000000, FIRING = 10000 };

static struct co_timer *timers;
static int n_fired;

static void fire(void *arg)
{
	(void)arg;
	n_fired++;
}

static void arm(int i, int64_t at_us)
{
	co_timer_init(&timers[i], fire, NULL);
	CHECK(co_timer_start(&timers[i], at_us) == 0);
}

static double timers_arm_1m(void)
{
	int64_t far_us = clock_mono_us() + 3600000000;

	begin();
	for (int i = 0; i < ARMED; i++)
		arm(i, far_us + (int64_t)((unsigned)i * 2654435761u % 1000000));
	return ns_each(ARMED);
}

/* Among the million. */
static double timers_fire_10k(void)
{
	int64_t now_us = clock_mono_us();

	n_fired = 0;
	begin();
	for (int i = 0; i < FIRING; i++)
		arm(ARMED + i, now_us - FIRING + (int64_t)((unsigned)i * 2654435761u % FIRING));
	while (n_fired < FIRING)
		co_yield();
	return ns_each(FIRING);
}

static double timers_stop_1m(void)
{
	begin();
	for (int i = 0; i < ARMED; i++)
		co_timer_stop(&timers[i]);
	return ns_each(ARMED);
}

/* ---- another thread ---- */

enum { WAKES = 3000 };

struct waker {
	struct co_loop *loop;
	struct co_event done;
	sem_t answered;
	int n;
};

static void answer(void *arg)
{
	struct waker *w = arg;

	sem_post(&w->answered);
	if (++w->n == WAKES)
		co_event_set(&w->done);
}

static void *wakes(void *arg)
{
	struct waker *w = arg;

	for (int i = 0; i < WAKES; i++) {
		CHECK(co_post(w->loop, answer, w) == 0);
		sem_wait(&w->answered);
	}
	return NULL;
}

/* From call_soon_threadsafe in a thread to its callback in the loop, and back by a semaphore. */
static double wake(void)
{
	struct waker w = { .loop = co_loop_current() };
	pthread_t thread;
	double ns;

	co_event_init(&w.done);
	sem_init(&w.answered, 0, 0);
	begin();
	CHECK(pthread_create(&thread, NULL, wakes, &w) == 0);
	CHECK(co_event_wait(&w.done, CLOCK_NEVER) == 0);
	ns = ns_each(WAKES);
	pthread_join(thread, NULL);
	sem_destroy(&w.answered);
	return ns;
}

static int run_all(void *arg)
{
	(void)arg;
	print_best("queue_pingpong_ns", queue_pingpong, 20, 1);
	print_best("gather_1000_us", gather_1000, 50, 1000);
	timers = malloc((ARMED + FIRING) * sizeof *timers);
	CHECK(timers != NULL);
	print_best("timers_arm_1m_ns", timers_arm_1m, 1, 1);
	print_best("timers_fire_10k_ns", timers_fire_10k, 5, 1);
	print_best("timers_stop_1m_ns", timers_stop_1m, 1, 1);
	free(timers);
	print_best("wake_us", wake, 3, 1000);
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
