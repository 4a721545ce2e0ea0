/* test_admin_client.c: one request over a UNIX socket, against a server that says what each test wants. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/ctl/admin_client.h"

struct server {
	char dir[64], path[80];
	int listener;
	pthread_t thread;
	const char *answer;             /* NULL: none, the connection is held */
	char got[1024];
};

/* Takes one request, to the end of its body, answers and closes. */
static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	size_t len = 0;
	char byte;

	while (len < sizeof s->got - 1 && (len < 6 || memcmp(s->got + len - 6, "\r\n\r\n{}", 6) != 0)) {
		ssize_t n = recv(fd, s->got + len, 1, 0);

		if (n <= 0)
			break;
		len++;
	}
	if (s->answer != NULL)
		assert_int_equal(send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL), (int)strlen(s->answer));
	else
		while (recv(fd, &byte, 1, 0) > 0)
			;
	close(fd);
	return NULL;
}

static void start(struct server *s, const char *answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof *s);
	s->answer = answer;
	strcpy(s->dir, "/tmp/test_admin_client.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof s->path, "%s/s", s->dir);
	strcpy(addr.sun_path, s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
	unlink(s->path);
	rmdir(s->dir);
}

static int call(const char *answer, int timeout_ms, struct admin_reply *ret, char *err)
{
	struct server s;
	int rc;

	start(&s, answer);
	rc = admin_call(s.path, "PUT", "/v1/state", "{}", timeout_ms, ret, err);
	stop(&s);
	assert_non_null(strstr(s.got, "PUT /v1/state HTTP/1.1\r\n"));
	assert_non_null(strstr(s.got, "Content-Length: 2\r\n"));
	return rc;
}

static void test_admin_client_reads_a_reply(void **state)
{
	struct admin_reply reply;
	char err[ADMIN_ERR_MAX];

	(void)state;
	assert_int_equal(call("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5000, &reply, err), 0);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "hello");
	assert_int_equal(reply.body_len, 5);
	admin_reply_fini(&reply);
	assert_int_equal(call("HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 5000, &reply, err), 0);
	assert_int_equal(reply.status, 409);
	assert_string_equal(reply.body, "abc");
	admin_reply_fini(&reply);
	assert_int_equal(call("HTTP/1.1 204 No Content\r\n\r\n", 5000, &reply, err), 0);
	assert_string_equal(reply.body, "");
	admin_reply_fini(&reply);
}

static void test_admin_client_refuses_what_is_no_reply(void **state)
{
	struct admin_reply reply;
	char err[ADMIN_ERR_MAX];

	(void)state;
	assert_int_equal(call("220 mail.example ESMTP\r\n\r\n", 5000, &reply, err), -EPROTO);
	assert_int_equal(call("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", 5000, &reply, err), -EPROTO);
	assert_int_equal(call("", 5000, &reply, err), -EPROTO);
	assert_non_null(strstr(err, "doesn't speak as smstrackd does"));
}

static void test_admin_client_has_a_deadline(void **state)
{
	struct admin_reply reply;
	char err[ADMIN_ERR_MAX];

	(void)state;
	assert_int_equal(call(NULL, 50, &reply, err), -ETIMEDOUT);
	assert_non_null(strstr(err, "no answer from "));
}

static void test_admin_client_says_who_is_not_there(void **state)
{
	struct admin_reply reply;
	char err[ADMIN_ERR_MAX], path[300];

	(void)state;
	assert_int_equal(admin_call("/nonexistent/socket", "GET", "/livez", NULL, 1000, &reply, err), -ENOENT);
	assert_non_null(strstr(err, "is smstrackd running?"));
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(admin_call(path, "GET", "/livez", NULL, 1000, &reply, err), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_admin_client_reads_a_reply),
		cmocka_unit_test(test_admin_client_refuses_what_is_no_reply),
		cmocka_unit_test(test_admin_client_has_a_deadline),
		cmocka_unit_test(test_admin_client_says_who_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
