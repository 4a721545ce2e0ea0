/* The service manager's side, played by a datagram socket: what is said, and what becomes of it while nobody reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/notify.h"
#include "metrics/counters.h"

static int fd = -1;
static char said[512];

/* Binds the manager's socket, with '@' in the abstract space, and tells the daemon. */
static void manage(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

	memcpy(address.sun_path, name, strlen(name));
	if (*name == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void manage_abstract(void)
{
	char name[64];

	snprintf(name, sizeof name, "@smstrack-test-notify-%d", (int)getpid());
	manage(name);
}

static int end(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (fd >= 0)
		close(fd);
	fd = -1;
	return 0;
}

/* The next datagram, "" where there is none. */
static const char *next(void)
{
	ssize_t n = recv(fd, said, sizeof said - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	return said;
}

/* Fills the manager's queue; how many it takes. */
static unsigned fill(void)
{
	uint64_t before = counters_total(COUNTER_NOTIFY_DROPPED);
	unsigned n = 0;

	while (counters_total(COUNTER_NOTIFY_DROPPED) == before && n < 100000) {
		notify_extend_ms(1);
		n++;
	}
	return n - 1;
}

static void test_notify_without_a_manager_does_nothing(void **state)
{
	uint64_t before = counters_total(COUNTER_NOTIFY_DROPPED);

	(void)state;
	notify_ready();
	notify_status("x");
	assert_int_equal(setenv("NOTIFY_SOCKET", "vsock:2:1", 1), 0);
	notify_ready();
	assert_true(counters_total(COUNTER_NOTIFY_DROPPED) == before);
}

static void test_notify_speaks_to_a_path(void **state)
{
	char dir[] = "/tmp/smstrack-test-notify-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/notify", dir);
	manage(path);
	notify_ready();
	assert_string_equal(next(), "READY=1");
	notify_stopping();
	assert_string_equal(next(), "STOPPING=1");
	unlink(path);
	rmdir(dir);
}

static void test_notify_speaks_to_an_abstract_name(void **state)
{
	(void)state;
	manage_abstract();
	notify_reloading();
	assert_memory_equal(next(), "RELOADING=1\nMONOTONIC_USEC=", 27);
	assert_in_range(strtoll(said + 27, NULL, 10), clock_mono_exact_us() - 10000000, clock_mono_exact_us());
	notify_extend_ms(1500);
	assert_string_equal(next(), "EXTEND_TIMEOUT_USEC=1500000");
}

static void test_notify_says_a_status_once(void **state)
{
	(void)state;
	manage_abstract();
	notify_status("%d in flight", 7);
	assert_string_equal(next(), "STATUS=7 in flight");
	notify_status("%d in flight", 7);
	assert_string_equal(next(), "");
	notify_status("%0300d", 7);
	assert_int_equal(strlen(next()), 7 + 255);
}

static void test_notify_feeds_a_watchdog_that_is_asked_for(void **state)
{
	char pid[16];

	(void)state;
	manage_abstract();
	notify_watchdog();
	assert_string_equal(next(), "");
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_watchdog();
	assert_string_equal(next(), "WATCHDOG=1");
	setenv("WATCHDOG_PID", "1", 1);
	notify_watchdog();
	assert_string_equal(next(), "");
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_watchdog();
	assert_string_equal(next(), "WATCHDOG=1");
}

/* A manager that reads nothing held the control thread up: sd_notify() waits for room. */
static void test_notify_never_waits_for_the_manager(void **state)
{
	unsigned n;

	(void)state;
	manage_abstract();
	alarm(20);
	n = fill();
	notify_status("lost");
	notify_reloading();
	notify_ready();
	notify_watchdog();
	alarm(0);
	while (n-- > 0)
		assert_string_equal(next(), "EXTEND_TIMEOUT_USEC=1000");
	assert_string_equal(next(), "");
	/* what it must know comes with the next word, in order; and a status that was lost is not taken for said */
	notify_status("lost");
	assert_memory_equal(next(), "RELOADING=1", 11);
	assert_string_equal(next(), "READY=1");
	assert_string_equal(next(), "STATUS=lost");
	assert_string_equal(next(), "");
}

static void test_notify_keeps_the_last_four_words(void **state)
{
	unsigned n;

	(void)state;
	manage_abstract();
	n = fill();
	notify_ready();
	for (int i = 0; i < 3; i++)
		notify_reloading();
	notify_stopping();
	while (n-- > 0)
		next();
	notify_status("again");
	for (int i = 0; i < 3; i++)
		assert_memory_equal(next(), "RELOADING=1", 11);
	assert_string_equal(next(), "STOPPING=1");
	assert_string_equal(next(), "STATUS=again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_notify_without_a_manager_does_nothing, end),
		cmocka_unit_test_teardown(test_notify_speaks_to_a_path, end),
		cmocka_unit_test_teardown(test_notify_speaks_to_an_abstract_name, end),
		cmocka_unit_test_teardown(test_notify_says_a_status_once, end),
		cmocka_unit_test_teardown(test_notify_feeds_a_watchdog_that_is_asked_for, end),
		cmocka_unit_test_teardown(test_notify_never_waits_for_the_manager, end),
		cmocka_unit_test_teardown(test_notify_keeps_the_last_four_words, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
