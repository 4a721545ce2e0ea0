/* A whole dispatch on a Redis and a provider of the test's own: what becomes of jobs that it is given. */
#include "tests/unit/store_fixture.h"

#include "dispatch/dispatch.h"
#include "dispatch/job.h"
#include "dispatch/route.h"
#include "tests/unit/http_scripts.h"

/* Three parts in GSM 03.38. */
#define LONG_TEXT                                                                                                                        \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"                          \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"                          \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"                          \
	"0123456789"

static struct server http;
static struct store *store;
static struct route *route;
static struct dispatch *dispatch;
static char url[64];
static unsigned n_settled, n_abandoned;

static void on_end(struct job *job, enum dispatch_end end, void *arg)
{
	(void)arg;
	n_settled += end == DISPATCH_SETTLED;
	n_abandoned += end == DISPATCH_ABANDONED;
	job_free(job);
}

static void on_room(void *arg)
{
	(void)arg;
}

static struct provider_options provider(const char *name)
{
	return (struct provider_options){
		.name = name, .type = "http", .preset = "generic", .url = url, .weight = 1, .max_inflight = 10, .timeout_ms = 2000,
		.connect_timeout_ms = 1000, .max_connecting = 4, .idle_ms = 1000, .reply_max = 65536,
	};
}

static void open_all(const struct provider_options *providers, size_t n)
{
	const struct dispatch_options o = { .inflight = 100, .max_attempts = 5, .backoff_ms = 1, .backoff_max_ms = 1 };
	char err[256] = "";

	n_settled = n_abandoned = 0;
	store = ready_store("a", 1);
	route = route_new(providers, n, 0, 1, err, sizeof err);
	assert_string_equal(err, "");
	dispatch = dispatch_new(&o, store, route);
	assert_non_null(dispatch);
	dispatch_on_end(dispatch, on_end, on_room, NULL);
}

static void close_all(void)
{
	dispatch_free(dispatch);
	route_free(route);
	store_free(store);
}

static void submit(const char *id, int64_t offset, const char *text, unsigned parts, int64_t expires_ms)
{
	struct job *job = mem_zalloc(sizeof *job);

	assert_non_null(job);
	job->msg = message(id, offset);
	job->msg.shard = store_shard(store, id, strlen(id));
	job->msg.parts = (uint8_t)parts;
	job->msg.expires_ms = expires_ms;
	job->to = "+491701234567";
	job->to_len = 13;
	job->text = text;
	job->text_len = (uint32_t)strlen(text);
	assert_int_equal(dispatch_submit(dispatch, job), 0);
}

static void wait_idle(void)
{
	assert_int_equal(dispatch_wait_idle(dispatch, clock_mono_us() + 10000000), 0);
}

static void run_with_provider(co_body_fn *body)
{
	server_start(&http, script_answers, loop, NULL);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/send", http.port);
	run(body);
	server_stop(&http);
}

/* One that never expires is no worse off in the queue for a provider than others. */
static int never_expires_body(void *arg)
{
	struct provider_options o = provider("acme");

	(void)arg;
	o.max_inflight = 1;
	open_all(&o, 1);
	submit("f-1", 1, "hi", 1, INT64_MAX);
	submit("f-2", 2, "hi", 1, INT64_MAX);
	submit("f-3", 3, "hi", 1, INT64_MAX / 1000);
	wait_idle();
	assert_int_equal(n_settled, 3);
	assert_string_equal(state_of(store, "f-1"), "sent");
	assert_string_equal(state_of(store, "f-2"), "sent");
	assert_string_equal(state_of(store, "f-3"), "sent");
	assert_int_equal(counted("acme", "sent"), 3);
	close_all();
	return 0;
}

static void test_dispatch_sends_what_never_expires(void **state)
{
	(void)state;
	run_with_provider(never_expires_body);
}

/* It is first offered to a provider that splits by itself and can't be reached; the other gets it in parts. */
static int split_body(void *arg)
{
	struct provider_options o[] = { provider("splits"), provider("acme") };

	(void)arg;
	o[0].split_provider = true;
	o[0].url = "http://127.0.0.1:1/send";
	o[0].weight = 1000;
	open_all(o, 2);
	for (int i = 0; i < 5; i++)
		submit((const char *[]){ "s-1", "s-2", "s-3", "s-4", "s-5" }[i], i, LONG_TEXT, 3, clock_wall_ms() + 60000);
	wait_idle();
	assert_int_equal(n_settled, 5);
	assert_int_equal(counted("acme", "sent"), 5);
	assert_int_equal(atomic_load(&http.requests), 15);
	close_all();
	return 0;
}

static void test_dispatch_splits_anew_for_another_provider(void **state)
{
	(void)state;
	run_with_provider(split_body);
}

static void take_day(const struct route_status *status, void *arg)
{
	*(uint64_t *)arg = status->day_used;
}

/* What was counted against the day's cap and not sent is given back whole. */
static int day_body(void *arg)
{
	struct provider_options o = provider("splits");
	uint64_t used = 99;

	(void)arg;
	o.split_provider = true;
	o.daily_cap = 100;
	open_all(&o, 1);
	submit("d-1", 1, LONG_TEXT, 3, clock_wall_ms() + 60000);
	assert_int_equal(co_yield(), 0);
	route_status(route, take_day, &used);
	assert_int_equal(used, 3);
	dispatch_cancel_unwritten(dispatch, NULL);
	wait_idle();
	assert_int_equal(n_abandoned, 1);
	assert_int_equal(atomic_load(&http.requests), 0);
	route_status(route, take_day, &used);
	assert_int_equal(used, 0);
	assert_string_not_equal(state_of(store, "d-1"), "sending");
	close_all();
	return 0;
}

static void test_dispatch_returns_the_share_of_the_day(void **state)
{
	(void)state;
	run_with_provider(day_body);
}

/* Nor does what could not even be connected, however often it was tried. */
static int day_down_body(void *arg)
{
	struct provider_options o = provider("down");
	uint64_t used = 99;

	(void)arg;
	o.url = "http://127.0.0.1:1/send";
	o.daily_cap = 4;
	open_all(&o, 1);
	submit("n-1", 1, "hi", 1, clock_wall_ms() + 60000);
	submit("n-2", 2, LONG_TEXT, 3, clock_wall_ms() + 60000);
	wait_idle();
	assert_string_equal(state_of(store, "n-1"), "failed");
	assert_string_equal(state_of(store, "n-2"), "failed");
	route_status(route, take_day, &used);
	assert_int_equal(used, 0);
	close_all();
	return 0;
}

static void test_dispatch_counts_no_failed_connect_against_the_day(void **state)
{
	(void)state;
	run_with_provider(day_down_body);
}

/* The first part is taken, the second throttled, the third not written: one counts, and in the end three do. */
static void script_throttles_second(struct server_conn *c)
{
	while (server_request(c)) {
		if (atomic_load(&http.requests) == 2)
			server_puts(c, "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
		else
			server_puts(c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"p-1\"}");
	}
}

static int day_parts_body(void *arg)
{
	struct provider_options o = provider("acme");
	uint64_t used = 99;

	(void)arg;
	o.daily_cap = 3;
	open_all(&o, 1);
	submit("p-1", 1, LONG_TEXT, 3, clock_wall_ms() + 60000);
	wait_idle();
	assert_string_equal(state_of(store, "p-1"), "sent");
	route_status(route, take_day, &used);
	assert_int_equal(used, 3);
	assert_int_equal(atomic_load(&http.requests), 4);
	close_all();
	return 0;
}

static void test_dispatch_counts_each_part_once_against_the_day(void **state)
{
	(void)state;
	server_start(&http, script_throttles_second, loop, NULL);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/send", http.port);
	run(day_parts_body);
	server_stop(&http);
}

/* A revoke under load: whatever each of them was just doing, what wasn't written leaves no claim behind and no place taken. */
static int cancelled_body(void *arg)
{
	static char ids[60][8];
	struct provider_options o = provider("acme");

	(void)arg;
	o.max_inflight = 20;
	open_all(&o, 1);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(ids[i], sizeof ids[i], "c-%u", i);
		submit(ids[i], i, "hi", 1, clock_wall_ms() + 60000);
		if (i % 7 == 0)
			assert_int_equal(co_yield(), 0);
	}
	dispatch_cancel_unwritten(dispatch, NULL);
	wait_idle();
	assert_int_equal(n_settled + n_abandoned, 60);
	assert_true(n_abandoned > 0);
	assert_int_equal(dispatch_room(dispatch), 100);
	for (unsigned i = 0; i < 60; i++)
		assert_string_not_equal(state_of(store, ids[i]), "sending");
	assert_int_equal(counted("acme", "sent"), n_settled);
	close_all();
	return 0;
}

static void test_dispatch_leaves_nothing_when_cancelled(void **state)
{
	(void)state;
	run_with_provider(cancelled_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_dispatch_sends_what_never_expires),
		STORE_TEST(test_dispatch_splits_anew_for_another_provider),
		STORE_TEST(test_dispatch_returns_the_share_of_the_day),
		STORE_TEST(test_dispatch_counts_no_failed_connect_against_the_day),
		STORE_TEST(test_dispatch_counts_each_part_once_against_the_day),
		STORE_TEST(test_dispatch_leaves_nothing_when_cancelled),
	};
	int failed;

	if (!redis_server_installed()) {
		printf("SKIPPED test_dispatch: no redis-server installed\n");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_end(&server);
	return failed;
}
