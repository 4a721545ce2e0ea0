/* fcontext.c: Boost.Context's make_fcontext() and jump_fcontext(): the switch, and the life of a context on a stack that is there already
 * (no scheduler). Prints `metric value` lines; the least of several rounds. The library's C symbols are declared here: its header is C++. */
#include <stddef.h>
#include <stdio.h>
#include <time.h>

struct transfer {
	void *from, *data;
};
void *make_fcontext(void *top, size_t size, void (*entry)(struct transfer));
struct transfer jump_fcontext(void *to, void *data);

static _Alignas(64) char stack[65536];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bounce(struct transfer t)
{
	for (;;)
		t = jump_fcontext(t.from, t.data);
}

static void once(struct transfer t)
{
	jump_fcontext(t.from, NULL);
}

static double switches(void)
{
	enum { N = 50000 };
	struct transfer t = { make_fcontext(stack + sizeof stack, sizeof stack, bounce), NULL };
	double start = now_ns();

	for (int i = 0; i < N; i++)
		t = jump_fcontext(t.from, NULL);
	return (now_ns() - start) / (2.0 * N);
}

static double lives(void)
{
	enum { N = 50000 };
	double start = now_ns();

	for (int i = 0; i < N; i++)
		jump_fcontext(make_fcontext(stack + sizeof stack, sizeof stack, once), NULL);
	return (now_ns() - start) / N;
}

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

int main(void)
{
	printf("switch_ns %.1f\n", best(switches, 200));
	printf("spawn_finish_bare_ns %.1f\n", best(lives, 200));
	return 0;
}
