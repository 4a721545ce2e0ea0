/* test_demo_provider.c: the demo's provider on its real socket: what it answers, and what its ledger says. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/ctl/demo_provider.h"

static int dial(const struct demo_provider *p)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(demo_provider_port(p)) };
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

/* Sends one request and returns its reply's status; 0: the connection was closed. */
static int ask(int fd, const char *path, const char *body)
{
	char text[1024];
	ssize_t n;
	int len = snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: x\r\ncontent-length: %zu\r\n\r\n%s", path, strlen(body), body);

	assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
	n = recv(fd, text, sizeof text - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	assert_memory_equal(text, "HTTP/1.1 ", 9);
	return atoi(text + 9);
}

static struct demo_provider *start(size_t n_ids)
{
	struct demo_provider *p = NULL;
	char err[200];

	assert_int_equal(demo_provider_start(n_ids, &p, err, sizeof err), 0);
	return p;
}

static void test_demo_provider_keeps_a_ledger(void **state)
{
	struct demo_provider *p = start(100);
	struct demo_ledger l;
	int fd = dial(p);

	(void)state;
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000001\",\"to\":\"+491500000001\"}"), 200);
	assert_int_equal(ask(fd, "/bulk", "{\"id\":\"demo-000001\",\"to\":\"+491500000001\"}"), 200);
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000013\",\"to\":\"+491500000013\"}"), 400);
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000050\",\"to\":\"+491500000050\"}"), 500);
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000050\",\"to\":\"+491500000050\"}"), 200);
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"other\",\"to\":\"+491500000050\"}"), 200);
	assert_int_equal(ask(fd, "/acme", "{\"id\":"), 400);
	assert_int_equal(ask(fd, "/nowhere", "{}"), 400);
	assert_int_equal(demo_provider_taken(p, 1), 2);
	assert_int_equal(demo_provider_taken(p, 13), 0);
	assert_int_equal(demo_provider_taken(p, 50), 1);
	assert_int_equal(demo_provider_taken(p, 1000), 0);
	demo_provider_ledger(p, &l);
	assert_int_equal(l.requests, 8);
	assert_int_equal(l.taken, 4);
	assert_int_equal(l.refused, 1);
	assert_int_equal(l.failed, 1);
	assert_int_equal(l.malformed, 2);
	assert_int_equal(l.connections, 1);
	close(fd);
	demo_provider_stop(p);
}

/* A part of a message counts once in the ledger: its first. */
static void test_demo_provider_counts_a_message_by_its_first_part(void **state)
{
	struct demo_provider *p = start(100);
	int fd = dial(p);

	(void)state;
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000002\",\"to\":\"+491500000002\",\"part\":1,\"parts\":2}"), 200);
	assert_int_equal(ask(fd, "/acme", "{\"id\":\"demo-000002\",\"to\":\"+491500000002\",\"part\":2,\"parts\":2}"), 200);
	assert_int_equal(demo_provider_taken(p, 2), 1);
	close(fd);
	demo_provider_stop(p);
}

static void test_demo_provider_closes_on_what_is_no_request(void **state)
{
	struct demo_provider *p = start(1);
	char junk[9000];
	int fd = dial(p);

	(void)state;
	memset(junk, 'x', sizeof junk);
	assert_true(send(fd, junk, sizeof junk, MSG_NOSIGNAL) > 0);
	assert_true(recv(fd, junk, sizeof junk, 0) <= 0);
	close(fd);
	fd = dial(p);
	assert_int_equal(send(fd, "POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n", 43, MSG_NOSIGNAL), 43);
	assert_true(recv(fd, junk, sizeof junk, 0) <= 0);
	close(fd);
	demo_provider_stop(p);
	demo_provider_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demo_provider_keeps_a_ledger),
		cmocka_unit_test(test_demo_provider_counts_a_message_by_its_first_part),
		cmocka_unit_test(test_demo_provider_closes_on_what_is_no_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
