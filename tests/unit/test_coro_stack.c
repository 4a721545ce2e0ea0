/* dispatch/coro/stack.c, pool.c, context: memory under the tasks. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch/coro/context.h"
#include "dispatch/coro/pool.h"
#include "dispatch/coro/runtime.h"
#include "dispatch/coro/stack.h"
#include "tests/unit/test_coro.h"

static struct co_stack *get(struct co_stacks *s)
{
	assert_int_equal(co_stack_promise(s), 0);
	return co_stack_get(s);
}

/* The last one given back is the next handed out, for it is warm. */
static void test_coro_stack_reuse(void **state)
{
	struct co_stacks s;
	struct co_stack *a, *b;

	(void)state;
	co_stacks_init(&s);
	a = get(&s);
	b = get(&s);
	assert_ptr_not_equal(a, b);
	memset(a->bottom, 1, (size_t)(a->top - a->bottom));
	memset(b->top - 100, 1, 100);
	co_stack_put(&s, b, "b");
	assert_ptr_equal(get(&s), b);
	assert_int_equal(s.n_free, s.n_total - 2);
	assert_int_equal(s.n_promised, 0);
	co_stacks_fini(&s);
}

static void test_coro_stack_promise(void **state)
{
	struct co_stacks s;
	size_t n;

	(void)state;
	co_stacks_init(&s);
	assert_int_equal(co_stack_promise(&s), 0);
	n = s.n_total;
	for (size_t i = 1; i < n; i++)
		assert_int_equal(co_stack_promise(&s), 0);
	assert_int_equal(s.n_total, n);
	assert_int_equal(co_stack_promise(&s), 0);
	assert_int_equal(s.n_total, 2 * n);
	for (size_t i = 0; i <= n; i++)
		co_stack_unpromise(&s);
	assert_int_equal(s.n_promised, 0);
	co_stacks_fini(&s);
}

/* Tops lie apart, at least 48 KiB are there to use, and all is 64-byte aligned. */
static void test_coro_stack_colours(void **state)
{
	struct co_stacks s;
	unsigned char seen[64] = { 0 };
	unsigned n_colours = 0;

	(void)state;
	co_stacks_init(&s);
	for (int i = 0; i < 200; i++) {
		struct co_stack *stack = get(&s);
		unsigned colour = (unsigned)((uintptr_t)stack->top % 4096 / 64);

		assert_int_equal((uintptr_t)stack->top % 64, 0);
		assert_true(stack->top - stack->bottom >= 48 * 1024);
		n_colours += !seen[colour];
		seen[colour] = 1;
	}
	assert_int_equal(n_colours, 48);
	co_stacks_fini(&s);
}

static int overflow(int n)
{
	volatile char page[4096];

	page[n & 4095] = (char)n;
	return n > 0 ? overflow(n - 1) + page[n & 4095] : page[0];
}

static int overflows(void *arg)
{
	return overflow(*(int *)arg);
}

/* An overflow ends the process at the guard and does not reach the neighbour. */
static void test_coro_stack_overflow_is_caught(void **state)
{
	int depth = 1000, status;
	pid_t pid;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		struct co_loop *loop = co_loop_new();

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		co_run(loop, overflows, &depth, "deep");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* Where there is no guard, the words at the bottom tell. */
static void test_coro_stack_zero_words(void **state)
{
	struct co_stacks s;
	struct co_stack *stack;
	int status;
	pid_t pid;

	(void)state;
#if CO_TSAN
	skip();
#endif
	co_stacks_init(&s);
	stack = get(&s);
	stack->guard = CO_STACK_UNGUARDED;
	co_stack_put(&s, stack, "fine");
	stack = get(&s);
	memset(stack->bottom, 1, 64);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		co_stack_put(&s, stack, "deep");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	co_stacks_fini(&s);
}

/* Thousands of tasks at once, twice: the second time on the first one's stacks, of which the cold ones gave their memory back. */
#if CO_TSAN
enum { CROWD = 1000 };          /* TSan dies above 8,128 fibers */
#else
enum { CROWD = 5000 };
#endif

static int crowd(void *arg)
{
	static struct co_future *t[CROWD];

	(void)arg;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CROWD; i++)
			t[i] = spawn(sleep_forever, NULL);
		yield_times(1);
		EXPECT_INT(co_task_count(co_loop_current()), CROWD + 1);
		for (int i = 0; i < CROWD; i++)
			EXPECT(co_cancel(t[i]));
		for (int i = 0; i < CROWD; i++) {
			EXPECT_INT(co_await(t[i]), -ECANCELED);
			co_unref(t[i]);
		}
	}
	return 0;
}

static void test_coro_stack_crowd(void **state)
{
	(void)state;
	in_loop(crowd);
}

/* A burst's slabs are prepared as a whole, each stack with its guard; what it leaves is given back as a whole too, and the guards stay. */
static void test_coro_stack_burst(void **state)
{
	enum { N = 4096 };
	static struct co_stack *stack[N];
	struct co_stacks s;
	size_t n_cold = 0;

	(void)state;
	co_stacks_init(&s);
	for (int round = 0; round < 2; round++) {
		enum co_stack_guard guard;

		for (int i = 0; i < N; i++)
			assert_int_equal(co_stack_promise(&s), 0);
		for (int i = 0; i < N; i++)
			stack[i] = co_stack_get(&s);
		guard = stack[0]->guard;
		for (int i = 0; i < N; i++) {
			assert_true(stack[i]->guard == guard || stack[i]->guard == CO_STACK_UNGUARDED);
			if (round == 1)
				n_cold += stack[i]->top[-1] == 0;
			stack[i]->top[-1] = 1;
			assert_int_equal(stack[i]->bottom[0], 0);
		}
		/* In the second round no neighbours follow each other. */
		for (int i = 0; i < N; i++)
			co_stack_put(&s, stack[round == 0 ? i : i * 2 % N + i * 2 / N], "burst");
	}
	assert_true(n_cold > N / 2 && n_cold < N);
	assert_int_equal(s.n_free, s.n_total);
	assert_int_equal(s.n_promised, 0);
	co_stacks_trim(&s, true);
	assert_true(s.n_total < N);
	co_stacks_fini(&s);
}

/* The guards of a slab that was prepared as a whole and gave its memory back. */
static void test_coro_stack_burst_guards(void **state)
{
	struct co_stack *stack[64];
	struct co_stacks s;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	co_stacks_init(&s);
	for (int i = 0; i < 64; i++)
		assert_int_equal(co_stack_promise(&s), 0);
	for (int i = 0; i < 64; i++)
		stack[i] = co_stack_get(&s);
	for (int i = 0; i < 64; i++)
		co_stack_put(&s, stack[i], "burst");
	/* All but one slab's memory, the guards between included in the pieces given back. */
	co_stacks_trim(&s, true);
	stack[0] = get(&s);
	if (stack[0]->guard == CO_STACK_UNGUARDED)
		skip();
	fflush(NULL);
	for (size_t at = 1; at <= co_guard_bytes(); at += co_guard_bytes() - 1) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct rlimit none = { 0, 0 };

			setrlimit(RLIMIT_CORE, &none);
			signal(SIGSEGV, SIG_DFL);
			((volatile char *)stack[0]->bottom)[-(long)at] = 1;
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSEGV);
	}
	co_stacks_fini(&s);
}

/* Regression: LSan, which reads parked stacks for what they know of, ran into their guards and died: in any program that ends beside a loop. */
static void test_coro_stack_is_read_by_lsan(void **state)
{
	(void)state;
#if CO_ASAN
	struct co_stacks s;

	co_stacks_init(&s);
	assert_non_null(get(&s));
	assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
	co_stacks_fini(&s);
#else
	skip();
#endif
}

/* Regression: memory that ran short for one call made every later burst ask page by page, for good. */
static void test_coro_guard_asks_again_after_a_shortage(void **state)
{
	size_t page = co_guard_bytes();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct co_pages pages[] = { { p, page }, { p + page, page } };

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	if (!co_guard_install_many(pages, 2)) {
		munmap(p, 2 * page);
		print_message("no guards by the many here\n");
		skip();
	}
	munmap(p, 2 * page);
	assert_false(co_guard_install_many(pages, 2));          /* ENOMEM: nothing is mapped there */
	assert_ptr_not_equal(mmap(p, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	assert_true(co_guard_install_many(pages, 2));
	munmap(p, 2 * page);
}

/* ---- pool ---- */

static void test_coro_pool_sizes(void **state)
{
	struct co_pool p;
	char *kept[40][2];

	(void)state;
	co_pool_init(&p);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 40; i++) {
			size_t size = 1 + i * 33;

			for (int k = 0; k < 2; k++) {
				kept[i][k] = co_pool_alloc(&p, size);
				assert_non_null(kept[i][k]);
				assert_int_equal((uintptr_t)kept[i][k] % 16, 0);
				memset(kept[i][k], (int)(i * 2) + k, size);
			}
		}
		for (size_t i = 0; i < 40; i++) {
			for (int k = 0; k < 2; k++) {
				for (size_t b = 0; b < 1 + i * 33; b++)
					assert_int_equal((unsigned char)kept[i][k][b], i * 2 + (size_t)k);
				if (round < 2)
					co_pool_release(&p, kept[i][k], 1 + i * 33);
			}
		}
	}
	co_pool_fini(&p);       /* with objects still out: they go too */
}

static void test_coro_pool_reuse(void **state)
{
	struct co_pool p;
	void *a, *b;

	(void)state;
	co_pool_init(&p);
	a = co_pool_alloc(&p, 100);
	co_pool_release(&p, a, 100);
	b = co_pool_alloc(&p, 128);
	assert_ptr_equal(a, b);
	co_pool_fini(&p);
}

/* What is idle goes back; what is lent stays, and cells around it are handed out as before. Also as ASan and valgrind have it. */
static void test_coro_pool_trim(void **state)
{
	(void)state;
	for (int watched = 0; watched < 2; watched++) {
		struct co_pool p;
		void *cell[1000], *kept;

		co_pool_init(&p);
		co_pool_trim(&p);
		p.watched |= watched;
		for (int round = 0; round < 2; round++) {
			for (int i = 0; i < 1000; i++)
				assert_non_null(cell[i] = co_pool_alloc(&p, 100 + (size_t)(i % 3) * 100));
			kept = co_pool_alloc(&p, 200);
			assert_non_null(kept);
			memset(kept, 7, 200);
			for (int i = 1000; i-- > 0;)
				co_pool_release(&p, cell[i], 100 + (size_t)(i % 3) * 100);
			co_pool_trim(&p);
			assert_non_null(p.chunks);
			for (int i = 0; i < 200; i++)
				assert_int_equal(((char *)kept)[i], 7);
			co_pool_release(&p, kept, 200);
		}
		co_pool_trim(&p);
		assert_null(p.chunks);
		co_pool_fini(&p);
	}
}

/* ---- context ---- */

static struct co_context here, there;
static int bounced;

static void bounce(void *arg)
{
	int given = 1;

	for (;;) {
		bounced += *(int *)arg * given;
		given = co_context_switch(&there, &here, -bounced);
	}
}

static void test_coro_context_switch(void **state)
{
	struct co_stacks s;
	struct co_stack *stack;
	int step = 3;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();                 /* bare switches that they are not told of */
#endif
	co_stacks_init(&s);
	stack = get(&s);
	bounced = 0;
	co_context_make(&there, stack->bottom, stack->top, bounce, &step);
	for (int i = 1; i <= 1000; i++) {
		int answer = co_context_switch(&here, &there, i);       /* the first begins it: the value is lost */

		assert_int_equal(answer, -bounced);
	}
	assert_int_equal(bounced, 3 * (1000 * 1001 / 2));
	co_stacks_fini(&s);
}

/* A suspending call leaves nothing of itself on the stack: its last act is a jump to the switch. What code after the switch would cost no
 * other test would notice: a third cache line a task, and a mispredicted return each time. The body here has no frame either. */
#if defined(__x86_64__) && !defined(CO_UCONTEXT) && !CO_ASAN && !CO_TSAN
__attribute__((noinline)) static char *frame(void)
{
	return __builtin_frame_address(0);
}

__attribute__((noinline)) static char *frame_of_the_last_call(void)
{
	return frame();
}

static struct co_future *parked_on;

static int park(void *arg)
{
	(void)arg;
	return co_await(parked_on);
}

static int two_lines(void *arg)
{
	struct co_future *t;

	(void)arg;
	parked_on = co_future_new();
	t = co_task_new_static(park, NULL, "parked");
	co_yield();
	EXPECT(co_task_of(t)->stack->top - (char *)co_task_of(t)->context.sp <= 128);
	co_set_result(parked_on, 7);
	EXPECT_INT(co_await(t), 7);
	co_unref(t);
	co_unref(parked_on);
	return 0;
}

static void test_coro_context_parked_is_two_cache_lines(void **state)
{
	(void)state;
	if (frame_of_the_last_call() != frame())
		skip();         /* a build whose last calls are no jumps */
	in_loop(two_lines);
}
#else
static void test_coro_context_parked_is_two_cache_lines(void **state)
{
	(void)state;
	skip();                 /* by another switch, or with more to do after it */
}
#endif

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_stack_reuse),
		cmocka_unit_test(test_coro_stack_promise),
		cmocka_unit_test(test_coro_stack_colours),
		cmocka_unit_test(test_coro_stack_overflow_is_caught),
		cmocka_unit_test(test_coro_stack_zero_words),
		cmocka_unit_test(test_coro_stack_crowd),
		cmocka_unit_test(test_coro_stack_burst),
		cmocka_unit_test(test_coro_stack_burst_guards),
		cmocka_unit_test(test_coro_stack_is_read_by_lsan),
		cmocka_unit_test(test_coro_guard_asks_again_after_a_shortage),
		cmocka_unit_test(test_coro_pool_sizes),
		cmocka_unit_test(test_coro_pool_reuse),
		cmocka_unit_test(test_coro_pool_trim),
		cmocka_unit_test(test_coro_context_switch),
		cmocka_unit_test(test_coro_context_parked_is_two_cache_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
