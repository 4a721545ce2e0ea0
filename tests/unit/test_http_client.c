/* test_http_client.c: the client against a server that behaves, and against one that doesn't. */
#include "tests/unit/http_client_fixture.h"

static void test_http_client_keeps_its_connection(void **state)
{
	(void)state;
	run(body_reuses, script_answers, NULL);
	assert_int_equal(server.requests, 5);
}

static void test_http_client_notices_an_idle_connection_end(void **state)
{
	(void)state;
	run(body_expect_closed_each, script_closes_after_each, NULL);
}

static int body_refused(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_CONNECT_REFUSED);
	assert_false(r.written || r.asked);
	assert_int_equal(counters().connect_errors_total, 1);
	assert_int_equal(counters().connections, 0);
	return 0;
}

static void test_http_client_is_refused(void **state)
{
	int fd = server_listen(1, &options.port);

	(void)state;
	close(fd);
	run(body_refused, NULL, NULL);
}

static void expect_failure(void (*script)(struct server_conn *c), enum http_failure failure)
{
	expected = failure;
	run(body_fails_written, script, NULL);
}

static void test_http_client_tells_what_went_wrong_after_writing(void **state)
{
	(void)state;
	expect_failure(script_resets, HTTP_RESET);
	expect_failure(script_resets_amid, HTTP_RESET);
	expect_failure(script_closes_amid, HTTP_CLOSED);
	expect_failure(script_garbage, HTTP_MALFORMED);
	expect_failure(script_megabyte, HTTP_TOO_LARGE);
	expect_failure(script_hangs, HTTP_TIMEOUT);
}

static void test_http_client_takes_a_reply_byte_by_byte(void **state)
{
	(void)state;
	run(body_slow, script_one_byte_at_a_time, NULL);
}

static void test_http_client_reads_until_close(void **state)
{
	(void)state;
	run(body_until_close, script_until_close, NULL);
}

static int body_talks_on(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 5000);
		assert_int_equal(r.failure, HTTP_OK);
		assert_int_equal(r.status, 200);
	}
	assert_int_equal(counters().connects_total, 3);
	return 0;
}

static void test_http_client_never_takes_a_stale_reply_for_its_own(void **state)
{
	(void)state;
	run(body_talks_on, script_talks_on, NULL);
}

static int send_task(void *arg)
{
	send_one(arg, 5000);
	return 0;
}

static int body_limit(void *arg)
{
	static struct result results[50];
	struct co_future *tasks[50];

	(void)arg;
	for (int i = 0; i < 50; i++)
		tasks[i] = co_task_new(send_task, &results[i], "send %d", i);
	assert_int_equal(co_wait(tasks, 50, CO_ALL_COMPLETED, CLOCK_NEVER), 50);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(results[i].failure, HTTP_OK);
		co_unref(tasks[i]);
	}
	assert_true(counters().connections <= 3);
	assert_int_equal(counters().waiting, 0);
	return 0;
}

static void test_http_client_holds_its_limit(void **state)
{
	(void)state;
	options.max_connections = 3;
	run(body_limit, script_answers, NULL);
	assert_true(server.open_max <= 3);
	assert_int_equal(server.requests, 50);
}

static int send_short_task(void *arg)
{
	send_one(arg, 1500);            /* also under valgrind all have connected by then */
	return 0;
}

/* A connect that ended made room for the next only once a reply came: a slow provider saw its connections double a reply at a time. */
static int body_connects_go_on(void *arg)
{
	static struct result results[20];
	struct co_future *tasks[20];

	(void)arg;
	for (int i = 0; i < 20; i++)
		tasks[i] = co_task_new(send_short_task, &results[i], "send %d", i);
	assert_int_equal(co_wait(tasks, 20, CO_ALL_COMPLETED, CLOCK_NEVER), 20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(results[i].failure, HTTP_TIMEOUT);
		co_unref(tasks[i]);
	}
	return 0;
}

static void test_http_client_connects_on_while_replies_are_slow(void **state)
{
	(void)state;
	options.max_connections = 20;
	options.max_connecting = 2;
	run(body_connects_go_on, script_hangs, NULL);
	assert_int_equal(server.requests, 20);
}

/* More connections are there for who waits already; a shorter idle time holds for who idles already. */
static int body_other_limits(void *arg)
{
	struct result first, second;
	struct co_future *a = co_task_new(send_short_task, &first, "first"), *b;

	(void)arg;
	while (server.requests == 0)
		co_sleep_ms(1);
	b = co_task_new(send_short_task, &second, "second");
	co_yield();
	assert_int_equal(counters().waiting, 1);
	options.max_connections = 2;
	http_client_set_limits(client, &options);
	assert_int_equal(counters().connections, 2);
	assert_int_equal(co_await(a), 0);
	assert_int_equal(co_await(b), 0);
	assert_int_equal(second.failure, HTTP_TIMEOUT);
	assert_true(second.written);
	co_unref(a);
	co_unref(b);
	return 0;
}

static int body_other_idle(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(counters().idle, 1);
	options.idle_ms = 10;
	http_client_set_limits(client, &options);
	while (counters().connections > 0)
		co_sleep_ms(1);
	return 0;
}

static void test_http_client_goes_by_other_limits(void **state)
{
	(void)state;
	options.max_connections = 1;
	run(body_other_limits, script_hangs, NULL);
	options.idle_ms = 3600 * 1000;
	run(body_other_idle, script_answers, NULL);
}

static int body_pool_timeout(void *arg)
{
	struct result first, second = { .failure = HTTP_OK };
	struct co_future *task = co_task_new(send_short_task, &first, "first");

	(void)arg;
	while (server.requests == 0)
		co_sleep_ms(1);
	send_sized(&second, co_in_ms(50), "{}", 2);
	assert_int_equal(second.failure, HTTP_POOL_TIMEOUT);
	assert_false(second.written || second.asked);
	assert_int_equal(co_await(task), 0);
	assert_int_equal(first.failure, HTTP_TIMEOUT);
	assert_true(first.written);
	co_unref(task);
	return 0;
}

static void test_http_client_gives_up_waiting_at_the_deadline(void **state)
{
	(void)state;
	options.max_connections = 1;
	run(body_pool_timeout, script_hangs, NULL);
}

static int body_cancel_waiting(void *arg)
{
	struct result first, second, third;
	struct co_future *a = co_task_new(send_short_task, &first, "first"), *b;

	(void)arg;
	while (server.requests == 0)
		co_sleep_ms(1);
	b = co_task_new(send_task, &second, "second");
	co_yield();
	assert_int_equal(counters().waiting, 1);
	co_cancel(b);
	co_wait(&b, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	assert_int_equal(second.failure, HTTP_CANCELLED);
	assert_false(second.written || second.asked);
	assert_int_equal(counters().waiting, 0);
	co_wait(&a, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	assert_int_equal(first.failure, HTTP_TIMEOUT);
	send_one(&third, 100);
	assert_int_equal(third.failure, HTTP_TIMEOUT);
	co_unref(a);
	co_unref(b);
	return 0;
}

static void test_http_client_cancels_what_waits(void **state)
{
	(void)state;
	options.max_connections = 1;
	run(body_cancel_waiting, script_hangs, NULL);
}

/* A task to be cancelled once the server has its request. */
static struct co_future *victim;
static struct result victim_result;
static int victim_next;
static unsigned victim_cancelling;

static void cancel_victim(void *arg)
{
	(void)arg;
	co_cancel(victim);
}

static void script_cancels_then_answers(struct server_conn *c)
{
	CHECK(server_request(c));
	CHECK(co_post(c->server->arg, cancel_victim, NULL) == 0);
	CHECK(co_post(c->server->arg, cancel_victim, NULL) == 0);
	usleep(20000);          /* whether it comes before or after the cancel, the outcome is the same */
	server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	server_request(c);
}

static int victim_body(void *arg)
{
	(void)arg;
	send_one(&victim_result, 5000);
	victim_cancelling = co_task_cancelling(co_task_current());
	victim_next = co_sleep_ms(1000);
	return 0;
}

static int body_cancel_written(void *arg)
{
	(void)arg;
	victim = co_task_new(victim_body, NULL, "victim");
	assert_int_equal(co_await(victim), 0);
	assert_int_equal(victim_result.failure, HTTP_OK);
	assert_int_equal(victim_result.status, 200);
	assert_int_equal(victim_cancelling, 2);
	assert_int_equal(victim_next, -ECANCELED);
	co_unref(victim);
	return 0;
}

static void test_http_client_cancel_waits_for_what_is_written(void **state)
{
	(void)state;
	run(body_cancel_written, script_cancels_then_answers, NULL);
}

static int body_veto(void *arg)
{
	struct result r = { .veto = true };

	(void)arg;
	send_sized(&r, co_in_ms(5000), "{}", 2);
	assert_int_equal(r.failure, HTTP_FORBIDDEN);
	assert_true(r.asked && !r.written);
	assert_int_equal(counters().idle, 1);
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().connects_total, 1);
	return 0;
}

static void test_http_client_asks_before_the_first_byte(void **state)
{
	(void)state;
	run(body_veto, script_answers, NULL);
	assert_int_equal(server.requests, 1);
}

static int body_invalid(void *arg)
{
	struct result r = { .failure = HTTP_OK };
	const struct http_header bad = { "A", "b\r\nC: d", 7 };
	const struct http_request q = { .method = "POST", .path = "/", .path_len = 1, .headers = &bad, .n_headers = 1, .on_reply = on_reply,
		.arg = &r };

	(void)arg;
	assert_int_equal(http_client_send(client, &q, co_in_ms(5000), &r.written), HTTP_INVALID);
	assert_false(r.written);
	return 0;
}

static void test_http_client_writes_no_smuggled_header(void **state)
{
	(void)state;
	run(body_invalid, script_answers, NULL);
	assert_int_equal(server.requests, 0);
}

static int body_idle(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().idle, 1);
	while (counters().connections > 0)
		co_sleep_ms(1);
	while (server.open > 0)
		co_sleep_ms(1);
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_OK);
	assert_int_equal(counters().connects_total, 2);
	return 0;
}

static void test_http_client_closes_what_idles(void **state)
{
	(void)state;
	options.idle_ms = 20;
	run(body_idle, script_answers, NULL);
}

static void test_http_client_writes_more_than_a_socket_takes(void **state)
{
	(void)state;
	run(body_large, script_reads_late, NULL);
}

static void test_http_client_resolves_names(void **state)
{
	(void)state;
	options.host = "localhost";
	run(body_named, script_answers, NULL);
}

static int body_unknown(void *arg)
{
	struct result r;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		send_one(&r, 15000);
		assert_int_equal(r.failure, HTTP_DNS_FAILED);
		assert_false(r.written);
	}
	return 0;
}

static void test_http_client_tells_an_unknown_name(void **state)
{
	(void)state;
	options.host = "no-such-host.invalid";
	options.port = 80;
	run(body_unknown, NULL, NULL);
}

static int body_leave_while_resolving(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 0);
	assert_int_equal(r.failure, HTTP_POOL_TIMEOUT);
	return 0;
}

static void test_http_client_may_go_while_it_resolves(void **state)
{
	(void)state;
	options.host = "localhost";
	options.port = 80;
	run(body_leave_while_resolving, NULL, NULL);
}

static int body_connect_timeout(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 10000);
	assert_int_equal(r.failure, HTTP_CONNECT_TIMEOUT);
	assert_false(r.written);
	return 0;
}

static void test_http_client_gives_up_a_connect(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = server_listen(0, &options.port), fill[4];

	(void)state;
	a.sin_port = htons(options.port);
	for (int i = 0; i < 4; i++) {           /* a full queue: Linux drops further SYNs */
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
	}
	options.connect_timeout_ms = 200;
	run(body_connect_timeout, NULL, NULL);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(fd);
}

static void test_http_client_explains_wrong_options(void **state)
{
	struct co_loop *loop = co_loop_new();

	(void)state;
	options.port = 1;
	options.host = "a b";
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "host"));
	options.host = "h";
	options.max_connecting = 0;
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "max_connecting"));
	options.max_connecting = 1;
	options.tls = true;
	options.ca_file = "/nonexistent.pem";
	assert_null(http_client_new(&options, err, sizeof err));
	assert_non_null(strstr(err, "/nonexistent.pem"));
	co_loop_free(loop);
}

static int quiet(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_http_client_keeps_its_connection, set_up),
		cmocka_unit_test_setup(test_http_client_notices_an_idle_connection_end, set_up),
		cmocka_unit_test_setup(test_http_client_is_refused, set_up),
		cmocka_unit_test_setup(test_http_client_tells_what_went_wrong_after_writing, set_up),
		cmocka_unit_test_setup(test_http_client_takes_a_reply_byte_by_byte, set_up),
		cmocka_unit_test_setup(test_http_client_reads_until_close, set_up),
		cmocka_unit_test_setup(test_http_client_never_takes_a_stale_reply_for_its_own, set_up),
		cmocka_unit_test_setup(test_http_client_holds_its_limit, set_up),
		cmocka_unit_test_setup(test_http_client_connects_on_while_replies_are_slow, set_up),
		cmocka_unit_test_setup(test_http_client_goes_by_other_limits, set_up),
		cmocka_unit_test_setup(test_http_client_gives_up_waiting_at_the_deadline, set_up),
		cmocka_unit_test_setup(test_http_client_cancels_what_waits, set_up),
		cmocka_unit_test_setup(test_http_client_cancel_waits_for_what_is_written, set_up),
		cmocka_unit_test_setup(test_http_client_asks_before_the_first_byte, set_up),
		cmocka_unit_test_setup(test_http_client_writes_no_smuggled_header, set_up),
		cmocka_unit_test_setup(test_http_client_closes_what_idles, set_up),
		cmocka_unit_test_setup(test_http_client_writes_more_than_a_socket_takes, set_up),
		cmocka_unit_test_setup(test_http_client_resolves_names, set_up),
		cmocka_unit_test_setup(test_http_client_tells_an_unknown_name, set_up),
		cmocka_unit_test_setup(test_http_client_may_go_while_it_resolves, set_up),
		cmocka_unit_test_setup(test_http_client_gives_up_a_connect, set_up),
		cmocka_unit_test_setup(test_http_client_explains_wrong_options, set_up),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
