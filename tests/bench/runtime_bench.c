/*
 * runtime_bench.c: the runtime under many tasks: wait(FIRST_COMPLETED) in a loop and a waitset over 8,000 tasks, a cancel of n tasks that
 * wait for one future, parked tasks' memory beside a bare loop that maps, guards and touches stacks, and the switch and the life of a
 * thread and a ucontext beside. Prints `subject metric value` lines. Without arguments the waits, ucontext and threads; `storms`, each
 * right after parking and, `_waited`, after other work; `parked N`, `bare N`; `waitset N`, `cancel N` once, for callgrind; `hold MB`,
 * see there.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "dispatch/coro/coro.h"

enum { STORM_ROUNDS = 7, STORM_TASKS = 100000, OTHER_WORK_MB = 256 };

static int64_t start_us;

static void print(const char *subject, const char *metric, double value)
{
	printf("%s %s %.4g\n", subject, metric, value);
	fflush(stdout);
}

static void begin(void)
{
	start_us = clock_mono_exact_us();
}

static double took_us(void)
{
	return (double)(clock_mono_exact_us() - start_us);
}

/* User and system time: what neighbours take of the machine does not count. */
static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Metrics "park_N_s", by the clock, and "park_N_cpu_s". */
static void print_park(const char *subject, int n, double start_cpu_us)
{
	double us = took_us(), busy_us = cpu_us() - start_cpu_us;
	char metric[32];

	snprintf(metric, sizeof metric, "park_%d_s", n);
	print(subject, metric, us / 1e6);
	snprintf(metric, sizeof metric, "park_%d_cpu_s", n);
	print(subject, metric, busy_us / 1e6);
}

/* VmRSS and VmPTE. */
static double memory_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	double kb = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
			kb += strtod(line + 6, NULL);
	if (f != NULL)
		fclose(f);
	return kb * 1024;
}

static int await_arg(void *arg)
{
	return co_await(arg);
}

static struct co_future **spawn_all(int n, co_body_fn *body, void *arg)
{
	struct co_future **t = malloc((size_t)n * sizeof *t);

	CHECK(t != NULL);
	for (int i = 0; i < n; i++)
		CHECK((t[i] = co_task_new_static(body, arg, "parked")) != NULL);
	return t;
}

static void unref_all(struct co_future **t, int n)
{
	for (int i = 0; i < n; i++)
		co_unref(t[i]);
	free(t);
}

/* ---- waiting ---- */

/* As in asyncio's `while pending: done, pending = await wait(pending, FIRST_COMPLETED)`; each turn completes one. CPU time. */
static int wait_first(void *arg)
{
	int n = *(int *)arg, left = n;
	struct co_future **f = malloc((size_t)n * sizeof *f);
	double start_cpu_us;

	CHECK(f != NULL);
	for (int i = 0; i < n; i++)
		CHECK((f[i] = co_future_new()) != NULL);
	start_cpu_us = cpu_us();
	while (left > 0) {
		co_set_result(f[left - 1], 0);
		CHECK(co_wait(f, (size_t)left, CO_FIRST_COMPLETED, CLOCK_NEVER) == 1);
		left--;
	}
	print("coro", "wait_first_8000_s", (cpu_us() - start_cpu_us) / 1e6);
	unref_all(f, n);
	return 0;
}

static int waitset(void *arg)
{
	int n = *(int *)arg;
	struct co_future **f = malloc((size_t)n * sizeof *f);
	struct co_waitset *ws = co_waitset_new();

	CHECK(f != NULL && ws != NULL);
	for (int i = 0; i < n; i++) {
		CHECK((f[i] = co_future_new()) != NULL);
		CHECK(co_waitset_add(ws, co_ref(f[i]), NULL) == 0);
	}
	begin();
	for (int i = n; i-- > 0;) {
		co_set_result(f[i], 0);
		co_unref(co_waitset_next(ws, NULL));
	}
	print("coro", "waitset_s", took_us() / 1e6);
	co_waitset_free(ws);
	unref_all(f, n);
	return 0;
}

/* ---- cancelling ---- */

static struct co_future *shared;
static struct co_event event;

static int awaits_shared(void *arg)
{
	(void)arg;
	return co_await(shared);
}

static int waits_for_shared(void *arg)
{
	(void)arg;
	return co_wait(&shared, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
}

static int awaits_event(void *arg)
{
	(void)arg;
	return co_event_wait(&event, CLOCK_NEVER);
}

/*
 * What was parked right before is in the caches still, if it fits: 10,000 tasks do, 100,000 don't, and neighbours decide how many would.
 * Tasks that have waited while other work was done are found in memory, however few: the same state for any n.
 */
static void other_work(void)
{
	static unsigned char *memory;
	static unsigned char round;

	if (memory == NULL)
		memory = malloc((size_t)OTHER_WORK_MB << 20);
	CHECK(memory != NULL);
	memset(memory, ++round, (size_t)OTHER_WORK_MB << 20);
}

/* CPU ms to cancel n tasks that wait for one thing, the last first, and to see each end. */
static double storm(int n, co_body_fn *body, bool waited)
{
	struct co_future **t;
	double from_us, ms;

	co_event_init(&event);
	shared = co_future_new();
	CHECK(shared != NULL);
	t = spawn_all(n, body, NULL);
	co_yield();
	if (waited)
		other_work();
	from_us = cpu_us();
	for (int i = n; i-- > 0;)
		co_cancel(t[i]);
	for (int i = 0; i < n; i++)
		CHECK(co_await(t[i]) == -ECANCELED);
	ms = (cpu_us() - from_us) / 1000;
	unref_all(t, n);
	co_unref(shared);
	return ms;
}

/*
 * What the memory alone takes for the same: n records of a task's size, three lines of n stacks; written once from the last to the first,
 * as they are cancelled, once with the stacks, which go back to the system 128 at a time, and once more. No switch, no queue, no call.
 */
struct record {
	_Alignas(256) char line[4][64];
};

static double floor_storm(int n, bool waited)
{
	enum { STACK = 65536, TOP = STACK - 1024, MANY = 128 };
	char *stacks = mmap(NULL, (size_t)n * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct record *task = aligned_alloc(sizeof *task, (size_t)n * sizeof *task);
	double from_us, ms;

	CHECK(stacks != MAP_FAILED && task != NULL);
	madvise(stacks, (size_t)n * STACK, MADV_NOHUGEPAGE);
	memset(task, 1, (size_t)n * sizeof *task);
	for (int i = 0; i < n; i++)
		memset(stacks + (size_t)i * STACK + TOP, 1, 3 * 64);
	if (waited)
		other_work();
	from_us = cpu_us();
	for (int i = n; i-- > 0;)
		task[i].line[0][0] = task[i].line[1][0]++;
	for (int i = 0, given = 0; i < n; i++) {
		for (int k = 0; k < 3; k++) {
			task[i].line[k][0]++;
			stacks[(size_t)i * STACK + TOP + k * 64]++;
		}
		if (i + 1 - given == MANY || i + 1 == n) {
			madvise(stacks + (size_t)given * STACK, (size_t)(i + 1 - given) * STACK, MADV_DONTNEED);
			given = i + 1;
		}
	}
	for (int i = 0; i < n; i++)
		task[i].line[0][0]++;
	ms = (cpu_us() - from_us) / 1000;
	munmap(stacks, (size_t)n * STACK);
	free(task);
	return ms;
}

/* ms of one storm: the least of several rounds, for neighbours and cold memory only ever add. A round lasts as long for few tasks as for
 * many: a short one would slip between the neighbours' turns more often, and the many look worse than they are. */
static double least_storm(int n, co_body_fn *body, bool waited)        /* NULL: the floor's */
{
	int each = n < STORM_TASKS ? STORM_TASKS / n : 1;
	double least_ms = 1e9;

	for (int i = 0; i < STORM_ROUNDS; i++) {
		double ms = 0;

		for (int k = 0; k < each; k++)
			ms += body != NULL ? storm(n, body, waited) : floor_storm(n, waited);
		least_ms = ms < least_ms ? ms : least_ms;
	}
	return least_ms / each;
}

static void print_storms(const char *subject, const char *what, co_body_fn *body, bool waited)
{
	char metric[32];

	for (int n = STORM_TASKS / 10; n <= STORM_TASKS; n *= 10) {
		snprintf(metric, sizeof metric, "%s%s_%dk_ms", what, waited ? "_waited" : "", n / 1000);
		print(subject, metric, least_storm(n, body, waited));
	}
}

static int storms(void *arg)
{
	(void)arg;
	for (int waited = 0; waited < 2; waited++) {
		print_storms("coro", "cancel", awaits_shared, waited);
		print_storms("coro", "unwait", waits_for_shared, waited);
		print_storms("coro", "leave", awaits_event, waited);
		print_storms("floor", "cancel", NULL, waited);
	}
	return 0;
}

static int one_storm(void *arg)
{
	print("coro", "cancel_ms", storm(*(int *)arg, awaits_shared, false));
	return 0;
}

/* ---- memory ---- */

static int parked(void *arg)
{
	int n = *(int *)arg;
	struct co_future *f = co_future_new(), **t;
	double before = memory_bytes(), start_cpu_us = cpu_us();
	char metric[32];

	CHECK(f != NULL);
	begin();
	t = spawn_all(n, await_arg, f);
	co_yield();
	print_park("coro", n, start_cpu_us);
	snprintf(metric, sizeof metric, "parked_%d_bytes", n);
	print("coro", metric, (memory_bytes() - before) / n);
	co_set_result(f, 0);
	for (int i = 0; i < n; i++)
		co_await(t[i]);
	unref_all(t, n);
	co_unref(f);
	co_loop_trim(co_loop_current());
	print("coro", "after_trim_mb", (memory_bytes() - before) / 1e6);
	return 0;
}

/* What the system alone takes for as many stacks: slabs of 32 mapped, each stack guarded and touched at its top. */
static void bare_stacks(int n)
{
	enum { STACK = 65536, SLAB = 32 };
	char **slab = malloc((size_t)n / SLAB * sizeof *slab);
	double start_cpu_us = cpu_us();

	CHECK(slab != NULL);
	begin();
	for (int i = 0; i < n / SLAB; i++) {
		slab[i] = mmap(NULL, (size_t)STACK * SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
		CHECK(slab[i] != MAP_FAILED);
		madvise(slab[i], (size_t)STACK * SLAB, MADV_NOHUGEPAGE);
		for (int k = 0; k < SLAB; k++) {
			madvise(slab[i] + k * STACK, 4096, 102);        /* MADV_GUARD_INSTALL */
			slab[i][(k + 1) * STACK - 1] = 1;
		}
	}
	print_park("bare", n, start_cpu_us);
	for (int i = 0; i < n / SLAB; i++)
		munmap(slab[i], (size_t)STACK * SLAB);
	free(slab);
}

/*
 * A virtual machine gives free memory back to its host (virtio-balloon, free page reporting: blocks of 2 MB), and who touches it next pays
 * for it again, several times what clearing a page costs. So that this is no part of what is compared: touches as much memory, frees it
 * but for a page in every 2 MB, so that no free block is whole, prints `ready` and stays until its input ends.
 */
static void hold(size_t mb)
{
	enum { PAGE = 4096, BLOCK = 2 << 20 };
	size_t bytes = mb << 20;
	char *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), end;

	CHECK(all != MAP_FAILED);
	madvise(all, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += PAGE)
		all[at] = 1;
	for (size_t at = 0; at < bytes; at += BLOCK)
		CHECK(madvise(all + at + PAGE, (bytes - at < BLOCK ? bytes - at : BLOCK) - PAGE, MADV_DONTNEED) == 0);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
}

/* ---- rivals in C ---- */

static ucontext_t u_here, u_there;

static void u_bounce(void)
{
	for (;;)
		swapcontext(&u_there, &u_here);
}

static void ucontext_switch(void)
{
	enum { N = 100000 };
	static char stack[65536];

	getcontext(&u_there);
	u_there.uc_stack.ss_sp = stack;
	u_there.uc_stack.ss_size = sizeof stack;
	makecontext(&u_there, u_bounce, 0);
	begin();
	for (int i = 0; i < N; i++)
		swapcontext(&u_here, &u_there);
	print("ucontext", "switch_ns", took_us() * 1000 / (2.0 * N));
}

static void *return_at_once(void *arg)
{
	return arg;
}

static void threads(void)
{
	enum { N = 2000 };
	pthread_t t;

	begin();
	for (int i = 0; i < N; i++) {
		CHECK(pthread_create(&t, NULL, return_at_once, NULL) == 0);
		pthread_join(t, NULL);
	}
	print("threads", "spawn_finish_ns", took_us() * 1000 / N);
}

int main(int argc, char **argv)
{
	struct co_loop *loop = co_loop_new();
	int n = argc > 2 ? atoi(argv[2]) : 0;
	static int few = 8000;

	CHECK(loop != NULL);
	if (argc < 2) {
		co_run(loop, wait_first, &few, "wait");
		co_run(loop, waitset, &few, "waitset");
		ucontext_switch();
		threads();
	} else if (strcmp(argv[1], "waitset") == 0 && n > 0) {
		co_run(loop, waitset, &n, "waitset");
	} else if (strcmp(argv[1], "wait") == 0 && n > 0) {
		co_run(loop, wait_first, &n, "wait");
	} else if (strcmp(argv[1], "storms") == 0) {
		co_run(loop, storms, NULL, "storms");
	} else if (strcmp(argv[1], "cancel") == 0 && n > 0) {
		co_run(loop, one_storm, &n, "storm");
	} else if (strcmp(argv[1], "parked") == 0 && n > 0) {
		co_run(loop, parked, &n, "parked");
	} else if (strcmp(argv[1], "bare") == 0 && n > 0) {
		bare_stacks(n);
	} else if (strcmp(argv[1], "hold") == 0 && n > 0) {
		hold((size_t)n);
	}
	co_loop_free(loop);
	return 0;
}
