/* dispatch/coro: what is said and to whom: errors that nobody retrieved, faults that are others', stacks as text, marks of many sites. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch/coro/backtrace.h"
#include "dispatch/coro/runtime.h"
#include "tests/unit/test_coro.h"

static char text[8192];

/* ---- stderr ---- */

static int stderr_pipe[2], stderr_before;

static void catch_stderr(void)
{
	fflush(stderr);
	CHECK(pipe2(stderr_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
	stderr_before = dup(STDERR_FILENO);
	CHECK(stderr_before >= 0 && dup2(stderr_pipe[1], STDERR_FILENO) >= 0);
}

static void caught_stderr(void)
{
	ssize_t n;

	fflush(stderr);
	CHECK(dup2(stderr_before, STDERR_FILENO) >= 0);
	n = read(stderr_pipe[0], text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	close(stderr_before);
	close(stderr_pipe[0]);
	close(stderr_pipe[1]);
}

static int fails_io(void *arg)
{
	(void)arg;
	return co_fail(-EIO, "the disk is gone");
}

static int fails_later(void *arg)
{
	(void)arg;
	co_yield();
	return -EPROTO;
}

/* A task's, a future's, a gather's and a shield's. */
static int leaves_errors(void *arg)
{
	struct co_future *t = spawn(fails_io, NULL), *late = spawn(fails_later, NULL), *f = future_new(), *g, *s;

	(void)arg;
	co_set_error(f, -5000);
	g = co_gather(&late, 1, false, NULL);
	s = co_shield(late);
	CHECK(g != NULL && s != NULL);
	yield_times(5);
	co_unref(t);
	co_unref(f);
	co_unref(g);
	co_unref(s);
	co_unref(late);
	return 0;
}

/* test_log_traceback, test_future_exception_never_retrieved */
static void test_coro_report_unretrieved(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	catch_stderr();
	co_run(loop, leaves_errors, NULL, "parent");
	caught_stderr();
	assert_string_equal(text, "coro: error 5 of \"child\" was never retrieved: the disk is gone\n"
				  "coro: error 5000 of \"future\" was never retrieved: no words for it\n"
				  "coro: error 71 of \"gather\" was never retrieved: Protocol error\n"
				  "coro: error 71 of \"shield\" was never retrieved: Protocol error\n");
	co_loop_free(loop);
}

/* ---- faults ---- */

static void with_info(int sig, siginfo_t *info, void *ucontext)
{
	(void)ucontext;
	_exit(sig == SIGSEGV && info->si_addr == (void *)64 ? 34 : 1);
}

static void overflow_told(int sig)
{
	(void)sig;
	_exit(35);
}

static volatile int *volatile nowhere = (int *)64;

static int reads_nowhere(void *arg)
{
	(void)arg;
	return *nowhere;
}

__attribute__((noinline)) static int deep(int n)
{
	volatile char page[4096];

	page[n & 4095] = (char)n;
	return n > 0 ? deep(n - 1) + page[n & 4095] : page[0];
}

static int overflows(void *arg)
{
	(void)arg;
	return deep(1000);
}

static int status_of(const struct sigaction *before, co_body_fn *body)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		sigaction(SIGSEGV, before, NULL);
		co_run(co_loop_new(), body, NULL, "faulty");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A handler that was there gets what is no overflow with all that is known, and an overflow once it is told. */
static void test_coro_report_faults_of_others(void **state)
{
	struct sigaction info = { .sa_sigaction = with_info, .sa_flags = SA_SIGINFO };
	struct sigaction plain = { .sa_handler = overflow_told, .sa_flags = SA_ONSTACK };
	struct sigaction ignored = { .sa_handler = SIG_IGN };
	int status;

	(void)state;
#if CO_ASAN || CO_TSAN
	skip();
#endif
	if (RUNNING_ON_VALGRIND)
		skip();
	status = status_of(&info, reads_nowhere);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 34);
	status = status_of(&plain, overflows);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 35);
	status = status_of(&ignored, reads_nowhere);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* A thread that has a stack for its handlers keeps it. */
static void test_coro_report_keeps_signal_stack(void **state)
{
	static _Alignas(16) char mine[65536];
	stack_t stack = { .ss_sp = mine, .ss_size = sizeof mine }, before, now;
	struct co_loop *loop;

	(void)state;
	assert_int_equal(sigaltstack(&stack, &before), 0);
	loop = co_loop_new();
	assert_non_null(loop);
	assert_null(loop->handler_stack);
	co_loop_free(loop);
	assert_int_equal(sigaltstack(NULL, &now), 0);
	assert_ptr_equal(now.ss_sp, mine);
	sigaltstack(&before, NULL);
}

/* ---- stacks as text ---- */

static void test_coro_report_backtrace_text(void **state)
{
	char words[600], place[CO_FRAME_TEXT];
	int ends[2];
	ssize_t n;

	(void)state;
	co_walk_describe((const void *)16, place, sizeof place);
	assert_string_equal(place, "0x10");
	co_walk_describe((const void *)(uintptr_t)co_walk_describe, place, sizeof place);
	assert_string_equal(place, "co_walk_describe+0x0");
	/* A static function's name is in no table: the file's then. */
	co_walk_describe((const char *)(uintptr_t)fails_io + 1, place, sizeof place);
	assert_true(strstr(place, "fails_io") != NULL || strstr(place, "+0x") != NULL);

	memset(words, 'x', sizeof words);
	words[sizeof words - 1] = '\0';
	assert_int_equal(pipe(ends), 0);
	co_write_text(ends[1], "%s", words);
	n = read(ends[0], text, sizeof text);
	assert_int_equal(n, 511);
	close(ends[0]);
	close(ends[1]);
	co_write_text(ends[1], "nobody reads this");
	co_write_text(ends[1], "%s", "");
}

/* A frame pointer that leads nowhere ends the walk: out of the stack, not aligned, or back. */
static void test_coro_report_walk_ends(void **state)
{
	void *stack[8] = { 0 };
	struct co_walk walk = { .frame = (void *const *)&stack[0], .low = (char *)stack, .high = (char *)(stack + 8) };

	(void)state;
	stack[0] = &stack[4];
	stack[1] = (void *)0x1111;
	stack[4] = &stack[2];           /* back down */
	stack[5] = (void *)0x5555;
	assert_ptr_equal(co_walk_next(&walk), (void *)0x1111);
	assert_ptr_equal(co_walk_next(&walk), (void *)0x5555);
	assert_null(co_walk_next(&walk));
	walk = (struct co_walk){ .frame = (void *const *)&stack[7], .low = (char *)stack, .high = (char *)(stack + 8) };
	assert_null(co_walk_next(&walk));
	walk.frame = (void *const *)((uintptr_t)&stack[0] + 1);
	assert_null(co_walk_next(&walk));
	walk = (struct co_walk){ .pc = (void *)0x7777, .frame = NULL, .low = (char *)stack, .high = (char *)(stack + 8) };
	assert_ptr_equal(co_walk_next(&walk), (void *)0x7777);
	assert_null(co_walk_next(&walk));
}

/* ---- marks ---- */

static void count_mark(const struct co_stack_mark *mark, void *arg)
{
	EXPECT_INT(mark->tasks, 2);
	EXPECT(mark->high_bytes > 0 && mark->high_bytes <= mark->size_bytes);
	++*(int *)arg;
}

/* Sites beyond the table's end are not measured, those in it all are; without a table there is nothing to visit. */
TEST(test_coro_report_marks_of_many_sites)
{
	static struct co_site site[300];
	int n = 0;

	co_loop_stack_marks(co_loop_current(), count_mark, &n);
	EXPECT_INT(n, 0);
	EXPECT_INT(co_loop_measure_stacks(co_loop_current()), 0);
	for (int i = 0; i < 600; i++) {
		struct co_future *t;

		site[i % 300] = (struct co_site){ .file = "many", .line = (unsigned)i % 300 };
		t = co_task_new_static_at(&site[i % 300], return_arg, NULL, "one of many");
		CHECK(t != NULL);
		EXPECT_INT(co_await(t), 0);
		co_unref(t);
	}
	co_loop_stack_marks(co_loop_current(), count_mark, &n);
	EXPECT_INT(n, 256);
	return 0;
}

/* ---- the dump's words ---- */

static void keep_state(const struct co_task_info *info, void *arg)
{
	const char **states = arg;

	EXPECT(info->age_us >= 0 && info->site != NULL);
	if (strcmp(info->name, "child") == 0)
		*states = info->state;
}

/* Not begun, waiting, and woken but not yet run. */
TEST(test_coro_report_states)
{
	struct co_future *f = future_new(), *t = spawn(await_arg, f);
	const char *found = NULL;

	co_task_each(co_loop_current(), keep_state, &found);
	EXPECT(found != NULL && strcmp(found, "ready") == 0);
	yield_times(1);
	co_task_each(co_loop_current(), keep_state, &found);
	EXPECT(strcmp(found, "waiting") == 0);
	co_set_result(f, 0);
	co_task_each(co_loop_current(), keep_state, &found);
	EXPECT(strcmp(found, "ready") == 0);
	EXPECT_INT(co_await(t), 0);
	co_unref(t);
	co_unref(f);
	return 0;
}

static int awaits_wait_for(void *arg)
{
	return co_wait_for(arg, 1);
}

static int stubborn_three(void *arg)
{
	EXPECT_INT(co_await(arg), -ECANCELED);
	return co_await_through(arg) == -ECANCELED ? co_sleep_ms(2) : 1;
}

/* Who waits for the end of a task that it has cancelled stands above it in the tree. */
TEST(test_coro_report_dump_of_wait_for)
{
	struct co_future *f = future_new(), *inner = co_task_new(stubborn_three, f, "inner");
	struct co_future *outer = co_task_new(awaits_wait_for, inner, "outer");
	FILE *out = fmemopen(text, sizeof text, "w");

	CHECK(inner != NULL && outer != NULL && out != NULL);
	yield_times(3);
	co_task_dump(co_loop_current(), out);
	fclose(out);
	EXPECT(strstr(text, "\n  outer: waiting, awaits end of a cancelled future, age ") != NULL);
	EXPECT(strstr(text, "\n    inner: waiting, awaits sleep, age ") != NULL);
	EXPECT_INT(co_await(outer), 0);
	EXPECT_INT(co_await(inner), 0);
	co_unref(outer);
	co_unref(inner);
	co_unref(f);
	return 0;
}

/* Nobody's tasks: a loop without any. */
static void test_coro_report_dump_of_none(void **state)
{
	struct co_loop *loop = co_loop_new();
	FILE *out = fmemopen(text, sizeof text, "w");

	(void)state;
	assert_true(loop != NULL && out != NULL);
	co_task_dump(loop, out);
	fclose(out);
	assert_string_equal(text, "0 tasks\n");
	co_loop_free(loop);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_coro_report_unretrieved),
		cmocka_unit_test(test_coro_report_faults_of_others),
		cmocka_unit_test(test_coro_report_keeps_signal_stack),
		cmocka_unit_test(test_coro_report_backtrace_text),
		cmocka_unit_test(test_coro_report_walk_ends),
		cmocka_unit_test(test_coro_report_marks_of_many_sites),
		cmocka_unit_test(test_coro_report_states),
		cmocka_unit_test(test_coro_report_dump_of_wait_for),
		cmocka_unit_test(test_coro_report_dump_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
