/*
 * dispatch/coro when the system refuses: mappings, guards, threads, descriptors, locks. This program brings its own of the C library's
 * calls, each of which refuses when told to; guards by MADV_GUARD_INSTALL never are there, and few by mprotect(2) are allowed.
 */
#include <dlfcn.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dispatch/coro/runtime.h"
#include "dispatch/coro/stream.h"
#include "tests/unit/test_coro.h"

/* ---- the system ---- */

/* How many calls still do, then one is refused; below zero: all do. */
static atomic_int refuse_mmap, refuse_mprotect, refuse_thread, refuse_eventfd, refuse_timerfd, refuse_mutex, refuse_cond, refuse_fcntl,
	refuse_event;

enum { GUARD_INSTALL = 102, MAPS_MAX = 40, GUARDS_MAX = 18 };           /* 45 % of MAPS_MAX */

static bool refuses(atomic_int *left)
{
	return atomic_load(left) >= 0 && atomic_fetch_sub(left, 1) == 0;
}

static void refuse_nothing(void)
{
	atomic_int *all[] = { &refuse_mmap, &refuse_mprotect, &refuse_thread, &refuse_eventfd,
			      &refuse_timerfd, &refuse_mutex, &refuse_cond, &refuse_fcntl, &refuse_event };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		atomic_store(all[i], -1);
}

#define REAL(name) ((__typeof__(&(name)))(uintptr_t)dlsym(RTLD_NEXT, #name))
#define REFUSE(left, err, value) \
	do { \
		if (refuses(left)) { \
			errno = (err); \
			return (value); \
		} \
	} while (0)

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	REFUSE(&refuse_mmap, ENOMEM, MAP_FAILED);
	return REAL(mmap)(addr, size, prot, flags, fd, offset);
}

int mprotect(void *addr, size_t size, int prot)
{
	REFUSE(&refuse_mprotect, ENOMEM, -1);
	return REAL(mprotect)(addr, size, prot);
}

int madvise(void *addr, size_t size, int advice)
{
	if (advice == GUARD_INSTALL) {
		errno = EINVAL;
		return -1;
	}
	return REAL(madvise)(addr, size, advice);
}

/* A kernel before 6.13 for advice to many pages at once, too. */
long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	if (number == SYS_process_madvise) {
		errno = EBADF;
		return -1;
	}
	va_start(ap, number);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	if (refuses(&refuse_thread))
		return EAGAIN;
	return REAL(pthread_create)(thread, attr, start, arg);
}

int pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attr)
{
	if (refuses(&refuse_mutex))
		return ENOMEM;
	return REAL(pthread_mutex_init)(lock, attr);
}

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	if (refuses(&refuse_cond))
		return ENOMEM;
	return REAL(pthread_cond_init)(cond, attr);
}

int eventfd(unsigned start, int flags)
{
	REFUSE(&refuse_eventfd, EMFILE, -1);
	return REAL(eventfd)(start, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
	REFUSE(&refuse_timerfd, EMFILE, -1);
	return REAL(timerfd_create)(clock, flags);
}

int fcntl(int fd, int what, ...)
{
	va_list ap;
	long arg;

	va_start(ap, what);
	arg = va_arg(ap, long);
	va_end(ap);
	REFUSE(&refuse_fcntl, EBADF, -1);
	return REAL(fcntl)(fd, what, arg);
}

/* As libevent refuses past 65,535 waiters of one descriptor: without a word in errno. */
int event_add(struct event *ev, const struct timeval *timeout)
{
	if (refuses(&refuse_event))
		return -1;
	return REAL(event_add)(ev, timeout);
}

/* A system of few mappings. */
int open(const char *path, int flags, ...)
{
	unsigned mode;
	va_list ap;
	int ends[2];

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	if (strcmp(path, "/proc/sys/vm/max_map_count") != 0)
		return REAL(open)(path, flags, mode);
	CHECK(pipe(ends) == 0 && dprintf(ends[1], "%d\n", MAPS_MAX) > 0);
	close(ends[1]);
	return ends[0];
}

/* ---- stacks ---- */

static struct co_stack *get(struct co_stacks *s)
{
	assert_int_equal(co_stack_promise(s), 0);
	return co_stack_get(s);
}

/* Up to its share of the system's mappings by mprotect(2), then by words that must stay zero; what ends gives its part back. */
static void test_coro_refused_guards(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct co_stack *stack[GUARDS_MAX + 4], *large;
		struct co_stacks s;

		co_stacks_init(&s);
		for (int i = 0; i < GUARDS_MAX + 4; i++) {
			stack[i] = get(&s);
			assert_int_equal(stack[i]->guard, i < GUARDS_MAX ? CO_STACK_PROTECTED : CO_STACK_UNGUARDED);
		}
		assert_int_equal(s.n_unguarded, 4);
		large = co_stack_map(&s, 1000000);
		assert_non_null(large);
		assert_int_equal(large->guard, CO_STACK_UNGUARDED);
		memset(large->bottom + 1024, 1, 1000000 - 1024);
		co_stack_put(&s, large, "large");
		for (int i = 0; i < GUARDS_MAX + 4; i++)
			co_stack_put(&s, stack[i], "small");
		co_stacks_fini(&s);
	}
}

static void test_coro_refused_mprotect(void **state)
{
	struct co_stacks s;
	struct co_stack *a, *b;

	(void)state;
	co_stacks_init(&s);
	atomic_store(&refuse_mprotect, 0);
	a = get(&s);
	b = get(&s);
	assert_int_equal(a->guard, CO_STACK_UNGUARDED);
	assert_int_equal(b->guard, CO_STACK_PROTECTED);
	assert_int_equal(s.n_unguarded, 1);
	co_stack_put(&s, a, "a");
	co_stack_put(&s, b, "b");
	co_stacks_fini(&s);
}

/* Without address space a task is refused, large or not; who is there goes on. */
TEST(test_coro_refused_mmap)
{
	struct co_stacks *s = &co_loop_current()->stacks;
	struct co_future *t[200], *large;
	int n;

	atomic_store(&refuse_mmap, 0);
	large = co_task_new_sized(256, return_arg, NULL, "large");
	EXPECT(large == NULL);
	atomic_store(&refuse_mmap, 0);
	for (n = 0; n < 200; n++) {
		t[n] = co_task_new_static(return_arg, (void *)(intptr_t)n, "small");
		if (t[n] == NULL)
			break;
	}
	EXPECT(n > 0 && n < 200);
	EXPECT_INT(s->n_promised, n);
	for (int i = 0; i < n; i++) {
		EXPECT_INT(co_await(t[i]), i);
		co_unref(t[i]);
	}
	t[0] = co_task_new_static(return_arg, NULL, "again");
	EXPECT(t[0] != NULL && co_await(t[0]) == 0);
	co_unref(t[0]);
	return 0;
}

/* ---- the loop ---- */

static void test_coro_refused_loop(void **state)
{
	atomic_int *needed[] = { &refuse_eventfd, &refuse_timerfd, &refuse_mutex };
	struct co_loop *loop;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		atomic_store(needed[i], 0);
		loop = co_loop_new();
		assert_null(loop);
		assert_null(co_loop_current());
		refuse_nothing();
	}
	loop = co_loop_new();
	assert_non_null(loop);
	assert_int_equal(co_run(loop, return_arg, (void *)3, "after all"), 3);
	co_loop_free(loop);
}

TEST(test_coro_refused_stream)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	for (int i = 0; i < 2; i++) {
		atomic_store(&refuse_fcntl, i);
		EXPECT(co_stream_new(ends[0], 10) == NULL);
		EXPECT_INT(write(ends[1], "x", 1), 1);  /* it is open still */
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* ---- threads ---- */

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(test_coro_refused_offload)
{
	atomic_int released = 0, *needed[] = { &refuse_mutex, &refuse_cond, &refuse_thread };
	int want[] = { -ENOMEM, -ENOMEM, -EAGAIN };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		atomic_store(needed[i], 0);
		EXPECT_INT(co_offload(return_arg, &released, count, CLOCK_NEVER), want[i]);
		EXPECT_INT(released, i + 1);
	}
	EXPECT(co_offload(return_arg, NULL, NULL, CLOCK_NEVER) == 0);
	return 0;
}

/* A body that holds until `let`. */
struct held {
	atomic_int entered, let, released;
};

static int hold(void *arg)
{
	struct held *h = arg;

	atomic_fetch_add(&h->entered, 1);
	while (atomic_load(&h->let) == 0)
		usleep(100);
	return 9;
}

static void released(void *arg)
{
	atomic_fetch_add(&((struct held *)arg)->released, 1);
}

static int offloads_hold(void *arg)
{
	return co_offload(hold, arg, released, CLOCK_NEVER);
}

/* With one thread there the next job waits for it, if no second one can be had. */
TEST(test_coro_refused_second_thread)
{
	struct held h = { .let = 0 };
	struct co_future *t[2];

	t[0] = spawn(offloads_hold, &h);
	while (atomic_load(&h.entered) < 1)
		EXPECT_INT(co_sleep_ms(1), 0);
	atomic_store(&refuse_thread, 0);
	t[1] = spawn(offloads_hold, &h);
	yield_times(2);
	EXPECT_INT(h.entered, 1);
	atomic_store(&h.let, 1);
	for (int i = 0; i < 2; i++) {
		EXPECT_INT(co_await(t[i]), 9);
		co_unref(t[i]);
	}
	EXPECT_INT(h.released, 2);
	return 0;
}

static int enters_hold(void *arg)
{
	struct held *h = arg;

	co_unref(spawn(offloads_hold, arg));
	while (atomic_load(&h->entered) < 1)
		EXPECT_INT(co_sleep_ms(1), 0);
	return 0;
}

/* A body that hangs doesn't keep a loop from ending; when it ends after all its argument is released. */
static void test_coro_refused_end_of_a_body(void **state)
{
	static struct held h;
	struct co_loop *loop = co_loop_new();

	(void)state;
	assert_non_null(loop);
	assert_int_equal(co_run(loop, enters_hold, &h, "parent"), 0);
	co_loop_abandon(loop);
	assert_int_equal(atomic_load(&h.released), 0);
	atomic_store(&h.let, 1);
	while (atomic_load(&h.released) == 0)
		usleep(100);
}

TEST(test_coro_refused_watchdog)
{
	struct co_loop *loop = co_loop_current();

	atomic_store(&refuse_thread, 0);
	EXPECT_INT(co_watchdog_start(loop, 1000, STDERR_FILENO), -EAGAIN);
	EXPECT(loop->watchdog == NULL);
	EXPECT_INT(co_watchdog_start(loop, 1000, STDERR_FILENO), 0);
	co_watchdog_stop(loop);
	return 0;
}

/* A mailbox that is closed takes nothing: as a loop that another thread is ending. */
TEST(test_coro_refused_post)
{
	struct co_loop other = { .mailbox = co_mailbox_new(co_loop_current()->poll) };
	atomic_int n = 0;

	CHECK(other.mailbox != NULL);
	EXPECT_INT(co_post(&other, count, &n), 0);
	co_mailbox_close(other.mailbox);
	EXPECT_INT(co_post(&other, count, &n), -ESHUTDOWN);
	EXPECT_INT(n, 0);
	co_mailbox_unref(other.mailbox);
	return 0;
}

/* Regression: it was 0, which no `while ((rc = co_fd_wait(..)) >= 0)` leaves. */
TEST(test_coro_refused_fd_wait)
{
	int p[2];

	CHECK(pipe2(p, O_CLOEXEC) == 0);
	errno = ENOENT;
	atomic_store(&refuse_event, 0);
	EXPECT_INT(co_fd_wait(p[1], EV_WRITE, CLOCK_NEVER), -EAGAIN);
	EXPECT_INT(co_fd_wait(p[1], EV_WRITE, CLOCK_NEVER), EV_WRITE);
	close(p[0]);
	close(p[1]);
	return 0;
}

static int calm(void **state)
{
	(void)state;
	refuse_nothing();
	return 0;
}

#define ALONE(name) cmocka_unit_test_setup_teardown(name, calm, calm)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ALONE(test_coro_refused_guards),
		ALONE(test_coro_refused_mprotect),
		ALONE(test_coro_refused_mmap),
		ALONE(test_coro_refused_loop),
		ALONE(test_coro_refused_stream),
		ALONE(test_coro_refused_offload),
		ALONE(test_coro_refused_second_thread),
		ALONE(test_coro_refused_end_of_a_body),
		ALONE(test_coro_refused_watchdog),
		ALONE(test_coro_refused_post),
		ALONE(test_coro_refused_fd_wait),
	};

	refuse_nothing();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
