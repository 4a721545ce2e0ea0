/* The run directory: one daemon at a time, a name that stays, sockets that are stale or alive. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/run_dir.h"

static char base[] = "/tmp/test_run_dir.XXXXXX";
static char dir[64], sock[96], err[512];

static int setup(void **state)
{
	(void)state;
	strcpy(base + sizeof base - 7, "XXXXXX");
	if (mkdtemp(base) == NULL)
		return -1;
	snprintf(dir, sizeof dir, "%s/run", base);
	snprintf(sock, sizeof sock, "%s/admin.sock", base);
	err[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const files[] = { "run/lock", "run/instance", "admin.sock" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", base, files[i]);
		unlink(path);
	}
	rmdir(dir);
	return rmdir(base);
}

static void test_run_dir_one_daemon_at_a_time(void **state)
{
	(void)state;
	struct run_dir first, second = { .lock_fd = 77 };
	char pid[32];

	assert_int_equal(run_dir_open(dir, NULL, &first, err, sizeof err), 0);
	assert_int_equal(run_dir_open(dir, NULL, &second, err, sizeof err), -EBUSY);
	assert_int_equal(second.lock_fd, 77);
	snprintf(pid, sizeof pid, "pid %d", (int)getpid());
	assert_non_null(strstr(err, pid));
	run_dir_close(&first);
	run_dir_close(&first);
	assert_int_equal(run_dir_open(dir, NULL, &second, err, sizeof err), 0);
	run_dir_close(&second);
}

static void test_run_dir_keeps_the_name_and_not_the_incarnation(void **state)
{
	(void)state;
	struct run_dir first, second;

	assert_int_equal(run_dir_open(dir, NULL, &first, err, sizeof err), 0);
	run_dir_close(&first);
	assert_int_equal(run_dir_open(dir, NULL, &second, err, sizeof err), 0);
	run_dir_close(&second);
	assert_string_equal(first.instance, second.instance);
	assert_true(strlen(first.instance) > 9);
	assert_true(first.incarnation != second.incarnation && first.incarnation != 0);
}

static void test_run_dir_configured_name_wins_and_is_kept(void **state)
{
	(void)state;
	struct run_dir d;

	assert_int_equal(run_dir_open(dir, "sms-1", &d, err, sizeof err), 0);
	assert_string_equal(d.instance, "sms-1");
	run_dir_close(&d);
	assert_int_equal(run_dir_open(dir, NULL, &d, err, sizeof err), 0);
	assert_string_equal(d.instance, "sms-1");
	run_dir_close(&d);
	assert_int_equal(run_dir_open(dir, "with space", &d, err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "printable"));
}

static void test_run_dir_damaged_name_is_replaced(void **state)
{
	(void)state;
	struct run_dir d;
	char path[128];
	FILE *f;

	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(path, sizeof path, "%s/instance", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("\x01 nonsense", f);
	fclose(f);
	assert_int_equal(run_dir_open(dir, NULL, &d, err, sizeof err), 0);
	assert_null(strstr(d.instance, "nonsense"));
	run_dir_close(&d);
}

static void test_run_dir_that_cannot_be_made(void **state)
{
	(void)state;
	struct run_dir d;

	assert_int_equal(run_dir_open("/proc/nowhere", NULL, &d, err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, "/proc/nowhere"));
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_run_dir_socket_live_is_refused_stale_is_removed(void **state)
{
	(void)state;
	int fd;

	assert_int_equal(run_dir_clear_socket(sock, err, sizeof err), 0);
	fd = listen_at(sock);
	assert_int_equal(run_dir_clear_socket(sock, err, sizeof err), -EADDRINUSE);
	assert_non_null(strstr(err, sock));
	assert_int_equal(access(sock, F_OK), 0);
	close(fd);
	assert_int_equal(run_dir_clear_socket(sock, err, sizeof err), 0);
	assert_int_equal(access(sock, F_OK), -1);
}

static void test_run_dir_file_in_the_sockets_place_is_left_alone(void **state)
{
	(void)state;
	FILE *f = fopen(sock, "w");

	assert_non_null(f);
	fclose(f);
	assert_int_equal(run_dir_clear_socket(sock, err, sizeof err), -EEXIST);
	assert_int_equal(access(sock, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_run_dir_one_daemon_at_a_time),
		TEST(test_run_dir_keeps_the_name_and_not_the_incarnation),
		TEST(test_run_dir_configured_name_wins_and_is_kept),
		TEST(test_run_dir_damaged_name_is_replaced),
		TEST(test_run_dir_that_cannot_be_made),
		TEST(test_run_dir_socket_live_is_refused_stale_is_removed),
		TEST(test_run_dir_file_in_the_sockets_place_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
