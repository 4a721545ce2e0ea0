/* Routing and admission; no byte is sent: outcomes are made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/base/alloc.h"
#include "daemon/options.h"
#include "dispatch/coro/coro.h"
#include "dispatch/route.h"

static const struct gateway_outcome accepted = { .verdict = GATEWAY_ACCEPTED }, transient = { .verdict = GATEWAY_TRANSIENT },
				    unsent = { .verdict = GATEWAY_UNSENT },
				    throttled = { .verdict = GATEWAY_THROTTLED, .retry_after_ms = 50 };

static struct provider_options provider(const char *name, unsigned weight, unsigned max_inflight)
{
	return (struct provider_options){
		.name = name, .type = "http", .preset = "generic", .url = "http://127.0.0.1:9/send", .weight = weight,
		.max_inflight = max_inflight, .timeout_ms = 1000, .connect_timeout_ms = 1000, .max_connecting = 4, .idle_ms = 1000,
		.reply_max = 65536, .breaker_failures = 2, .breaker_open_ms = 30,
	};
}

static struct route *make(const struct provider_options *providers, size_t n)
{
	char err[256] = "";
	struct route *r = route_new(providers, n, 0, 1, err, sizeof err);

	if (r == NULL)
		fail_msg("%s", err);
	return r;
}

static struct route_request to(const char *number)
{
	return (struct route_request){ .to = number, .parts = 1 };
}

/* Runs a test body as a task. */
static void run(co_body_fn *body)
{
	struct co_loop *loop = co_loop_new();

	assert_non_null(loop);
	assert_int_equal(co_run(loop, body, NULL, "test"), 0);
	co_loop_free(loop);
}

static int body_weights(void *arg)
{
	struct provider_options options[] = { provider("a", 3, 10000), provider("b", 1, 10000) };
	struct route *r = make(options, 2);
	struct route_request req = to("+491701");
	struct route_provider *p;
	const char *why;
	uint32_t ticket;
	unsigned n_a = 0;

	(void)arg;
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
		n_a += strcmp(route_options(p)->name, "a") == 0;
		route_done(r, p, ticket, &accepted, 1);
	}
	assert_in_range(n_a, 2800, 3200);
	route_free(r);
	return 0;
}

static void test_route_shares_by_weight(void **state)
{
	(void)state;
	run(body_weights);
}

static int body_pinned(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1), provider("b", 1, 1) };
	struct route_request req = { .to = "+491701", .parts = 1, .pinned = "b", .pinned_len = 1 };
	struct route_provider *p;
	const char *why = NULL;
	uint32_t ticket;
	struct route *r;

	(void)arg;
	options[1].allow_to = "+43 +49";
	r = make(options, 2);
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	assert_string_equal(route_options(p)->name, "b");
	/* It is full; the other is not, but the job is pinned. */
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), -ETIMEDOUT);
	route_done(r, p, ticket, &accepted, 1);
	req.to = "+1202555";
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), -ENOENT);
	assert_string_equal(why, "not_allowed");
	req.pinned = "c";
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), -ENOENT);
	assert_string_equal(why, "no_such_provider");
	route_free(r);
	return 0;
}

static void test_route_keeps_to_the_pinned_provider(void **state)
{
	(void)state;
	run(body_pinned);
}

struct asker {
	struct route *r;
	struct route_provider *p;
	uint32_t ticket;
	int rc, order;
};
static int next_order;

static int ask(void *arg)
{
	struct asker *a = arg;
	struct route_request req = to("+491701");
	const char *why;

	a->rc = route_admit(a->r, &req, CLOCK_NEVER, &a->p, &a->ticket, &why);
	a->order = ++next_order;
	return 0;
}

static int body_queue(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1) };
	struct route *r = make(options, 1);
	struct route_request req = to("+491701");
	struct asker askers[3] = { { .r = r, .rc = 1 }, { .r = r, .rc = 1 }, { .r = r, .rc = 1 } };
	struct co_future *tasks[3];
	struct route_provider *p;
	const char *why;
	uint32_t ticket;

	(void)arg;
	next_order = 0;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	for (int i = 0; i < 3; i++)
		tasks[i] = co_task_new(ask, &askers[i], "asker %d", i);
	while (route_waiting(r) < 3)
		co_yield();
	co_cancel(tasks[1]);
	assert_int_equal(co_wait(&tasks[1], 1, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
	assert_int_equal(askers[1].rc, -ECANCELED);
	assert_int_equal(route_waiting(r), 2);
	route_done(r, p, ticket, &accepted, 1);
	assert_int_equal(co_await(tasks[0]), 0);
	assert_int_equal(askers[0].rc, 0);
	assert_int_equal(route_waiting(r), 1);
	route_done(r, askers[0].p, askers[0].ticket, &accepted, 1);
	assert_int_equal(co_await(tasks[2]), 0);
	assert_true(askers[0].order < askers[2].order);
	route_done(r, askers[2].p, askers[2].ticket, &accepted, 1);
	for (int i = 0; i < 3; i++)
		co_unref(tasks[i]);
	route_free(r);
	return 0;
}

static void test_route_queues_first_come_first_served(void **state)
{
	(void)state;
	run(body_queue);
}

/* A place that is given in the very turn in which its taker is cancelled goes to the next. */
static int body_given_and_cancelled(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1) };
	struct route *r = make(options, 1);
	struct route_request req = to("+491701");
	struct asker askers[2] = { { .r = r, .rc = 1 }, { .r = r, .rc = 1 } };
	struct co_future *tasks[2];
	struct route_provider *p;
	const char *why;
	uint32_t ticket;

	(void)arg;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	for (int i = 0; i < 2; i++)
		tasks[i] = co_task_new(ask, &askers[i], "asker %d", i);
	while (route_waiting(r) < 2)
		co_yield();
	route_done(r, p, ticket, &accepted, 1);
	co_cancel(tasks[0]);
	assert_int_equal(co_await(tasks[1]), 0);
	assert_int_equal(askers[1].rc, 0);
	assert_true(askers[0].rc == -ECANCELED);
	route_done(r, askers[1].p, askers[1].ticket, &accepted, 1);
	co_unref(tasks[0]);
	co_unref(tasks[1]);
	route_free(r);
	return 0;
}

static void test_route_passes_on_what_a_cancelled_waiter_got(void **state)
{
	(void)state;
	run(body_given_and_cancelled);
}

static int body_fail_over(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 10), provider("b", 1, 10) };
	struct route *r = make(options, 2);
	struct route_request req = to("+491701");
	struct route_provider *p, *first;
	const char *why;
	uint32_t ticket;
	int64_t from_us;

	(void)arg;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &first, &ticket, &why), 0);
	route_done(r, first, ticket, &transient, 1);
	req.avoid = first;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
		assert_ptr_not_equal(p, first);
		route_done(r, p, ticket, &accepted, 1);
	}
	/* The second failure opens the first one's breaker: nobody goes there now. */
	req.avoid = p;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	assert_ptr_equal(p, first);
	route_done(r, p, ticket, &transient, 1);
	req.avoid = NULL;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
		assert_ptr_not_equal(p, first);
		route_done(r, p, ticket, &accepted, 1);
	}
	/* And a throttled one holds everybody back for as long as it said. */
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	from_us = clock_mono_us();
	route_done(r, p, ticket, &throttled, 1);
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	assert_true(clock_mono_us() - from_us >= 25000);
	route_done(r, p, ticket, &accepted, 1);
	route_free(r);
	return 0;
}

static void test_route_fails_over(void **state)
{
	(void)state;
	run(body_fail_over);
}

/* Opens the breaker of the only provider: two sends that were admitted before are still out, and end later. */
static void open_breaker(struct route *r, struct asker late[2])
{
	struct route_request req = to("+491701");
	struct route_provider *p;
	uint32_t ticket;
	const char *why;

	for (int i = 0; i < 2; i++)
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &late[i].p, &late[i].ticket, &why), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
		route_done(r, p, ticket, &transient, 1);
	}
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), -ETIMEDOUT);
}

static void see_breaker(const struct route_status *status, void *arg)
{
	*(const char **)arg = status->breaker;
}

static const char *breaker_of(struct route *r)
{
	const char *name = NULL;

	route_status(r, see_breaker, &name);
	return name;
}

/* Answers to sends from before it opened, of whatever kind, let no second probe out and decide nothing. */
static int body_one_probe(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 10) };
	struct route *r = make(options, 1);
	struct route_request req = to("+491701");
	struct route_provider *p, *second;
	struct asker late[2];
	const char *why;
	uint32_t ticket, second_ticket;

	(void)arg;
	open_breaker(r, late);
	assert_int_equal(route_admit(r, &req, co_in_ms(1000), &p, &ticket, &why), 0);
	route_done(r, late[0].p, late[0].ticket, &accepted, 1);
	assert_string_equal(breaker_of(r), "half-open");
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &second, &second_ticket, &why), -ETIMEDOUT);
	route_done(r, late[1].p, late[1].ticket, &transient, 1);
	assert_string_equal(breaker_of(r), "half-open");
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &second, &second_ticket, &why), -ETIMEDOUT);
	route_done(r, p, ticket, &accepted, 1);
	assert_string_equal(breaker_of(r), "closed");
	route_free(r);
	return 0;
}

static void test_route_has_one_probe_out_at_a_time(void **state)
{
	(void)state;
	run(body_one_probe);
}

/* The probe is cancelled before its first byte: the next in the queue is the probe. An old one that was never written is nobody. */
static int body_probe_given_back(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 10) };
	struct route *r = make(options, 1);
	struct asker asker = { .r = r, .rc = 1 }, late[2];
	struct route_request req = to("+491701");
	struct co_future *task;
	struct route_provider *p;
	const char *why;
	uint32_t ticket;

	(void)arg;
	open_breaker(r, late);
	assert_int_equal(route_admit(r, &req, co_in_ms(1000), &p, &ticket, &why), 0);
	task = co_task_new(ask, &asker, "asker");
	while (route_waiting(r) < 1)
		co_yield();
	route_done(r, late[0].p, late[0].ticket, &unsent, 1);
	assert_int_equal(co_wait(&task, 1, CO_ALL_COMPLETED, co_in_ms(5)), 0);
	route_done(r, p, ticket, &unsent, 1);
	assert_int_equal(co_await(task), 0);
	assert_int_equal(asker.rc, 0);
	route_done(r, late[1].p, late[1].ticket, &unsent, 1);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), -ETIMEDOUT);
	route_done(r, asker.p, asker.ticket, &accepted, 1);
	assert_string_equal(breaker_of(r), "closed");
	co_unref(task);
	route_free(r);
	return 0;
}

static void test_route_gives_an_unsent_probe_to_the_next(void **state)
{
	(void)state;
	run(body_probe_given_back);
}

static void reload(struct route *r, size_t index, const struct provider_options *options, char *allow_to)
{
	route_reconfigure(r, index, options, allow_to);
	route_reconfigured(r);
}

/* Every option that the table calls reloadable is taken over, and no other. */
static int body_reloadable(void *arg)
{
	struct provider_options was[] = { provider("a", 1, 10) };
	struct route *r = make(was, 1);
	struct route_request req = to("+491701");
	struct route_provider *p;
	const char *why;
	uint32_t ticket;
	unsigned n = 0;
	char err[128];

	(void)arg;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	for (size_t i = 0; i < options_count; i++) {
		const struct options_entry *o = &options_table[i];
		struct provider_options is = was[0];
		const char *text = o->type == OPTION_UINT ? "15000" : o->type == OPTION_BOOL ? "yes" : "provider";
		bool changed;

		if (strcmp(o->section, "provider") != 0 || strcmp(o->key, "allow_to") == 0)
			continue;
		if (o->type == OPTION_UINT && o->max < 15000)
			text = "777";
		if (o->type == OPTION_UINT || o->type == OPTION_BOOL || (o->type == OPTION_CHOICE && o->size == sizeof(bool)))
			assert_true(options_set(o, &is, text, err, sizeof err));
		else
			*(const char **)(void *)((char *)&is + o->offset) = "other";
		assert_memory_not_equal((char *)&is + o->offset, (char *)&was[0] + o->offset, o->size);
		reload(r, 0, &is, NULL);
		changed = memcmp((const char *)route_options(p) + o->offset, (char *)&is + o->offset, o->size) == 0;
		if (changed != o->reloadable)
			fail_msg("%s: %s", o->key, changed ? "is taken over, the table says that it is not" : "is not taken over");
		n += o->reloadable;
	}
	assert_int_equal(n, 12);
	route_done(r, p, ticket, &accepted, 1);
	route_free(r);
	return 0;
}

static void test_route_takes_over_what_is_reloadable(void **state)
{
	(void)state;
	run(body_reloadable);
}

/* More room is given out at once; less of it holds for those who come, what is admitted stays. */
static int body_reload_limits(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1) };
	struct route *r = make(options, 1);
	struct asker asker = { .r = r, .rc = 1 };
	struct route_request req = to("+491701");
	struct route_provider *p, *again;
	struct co_future *task;
	const char *why;
	uint32_t ticket, ticket_again;

	(void)arg;
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	task = co_task_new(ask, &asker, "asker");
	while (route_waiting(r) < 1)
		co_yield();
	options[0].max_inflight = 2;
	reload(r, 0, &options[0], NULL);
	assert_int_equal(co_await(task), 0);
	assert_int_equal(asker.rc, 0);
	options[0].max_inflight = 1;
	reload(r, 0, &options[0], NULL);
	route_done(r, asker.p, asker.ticket, &accepted, 1);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &again, &ticket_again, &why), -ETIMEDOUT);
	route_done(r, p, ticket, &accepted, 1);
	/* one a second, and the second waits for that; not any more when there is no limit */
	options[0].rate = 1;
	reload(r, 0, &options[0], NULL);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), 0);
	route_done(r, p, ticket, &accepted, 1);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &again, &ticket_again, &why), -ETIMEDOUT);
	options[0].rate = 0;
	reload(r, 0, &options[0], NULL);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), 0);
	route_done(r, p, ticket, &accepted, 1);
	co_unref(task);
	route_free(r);
	return 0;
}

static void test_route_goes_by_other_limits(void **state)
{
	(void)state;
	run(body_reload_limits);
}

/* Who waits for a provider that may not take it any more doesn't wait on. */
static int body_reload_allow_to(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1), provider("b", 1, 1) };
	struct route *r = make(options, 2);
	struct route_request req = { .to = "+431", .parts = 1 }, pinned = { .to = "+431", .parts = 1, .pinned = "b", .pinned_len = 1 };
	struct asker asker = { .r = r, .rc = 1 };
	struct route_provider *p[2];
	struct co_future *task;
	const char *why = NULL;
	uint32_t ticket[2];

	(void)arg;
	for (int i = 0; i < 2; i++)
		assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p[i], &ticket[i], &why), 0);
	task = co_task_new(ask, &asker, "asker");       /* to +491701 */
	while (route_waiting(r) < 1)
		co_yield();
	reload(r, 1, &options[1], mem_strdup("+43"));
	assert_int_equal(route_waiting(r), 1);
	reload(r, 0, &options[0], mem_strdup("+43"));
	assert_int_equal(co_await(task), 0);
	assert_int_equal(asker.rc, -ENOENT);
	assert_int_equal(route_waiting(r), 0);
	for (int i = 0; i < 2; i++)
		route_done(r, p[i], ticket[i], &accepted, 1);
	req.to = "+491701";
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p[0], &ticket[0], &why), -ENOENT);
	assert_string_equal(why, "not_allowed");
	reload(r, 1, &options[1], NULL);
	pinned.to = req.to;
	assert_int_equal(route_admit(r, &pinned, CLOCK_NEVER, &p[0], &ticket[0], &why), 0);
	route_done(r, p[0], ticket[0], &accepted, 1);
	co_unref(task);
	route_free(r);
	return 0;
}

static void test_route_goes_by_another_allow_to(void **state)
{
	(void)state;
	run(body_reload_allow_to);
}

/* Regression: numbers that go from one provider to another were refused half-way, by the first one's change. */
static int body_reload_moves_numbers(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 1), provider("b", 1, 1) };
	struct route *r = make(options, 2);
	struct route_request req = { .to = "+491701", .parts = 1 };
	struct asker asker = { .r = r, .rc = 1 };
	struct route_provider *p;
	struct co_future *task;
	const char *why = NULL;
	uint32_t ticket;

	(void)arg;
	reload(r, 1, &options[1], mem_strdup("+43"));
	assert_int_equal(route_admit(r, &req, CLOCK_NEVER, &p, &ticket, &why), 0);
	task = co_task_new(ask, &asker, "asker");       /* to +491701 */
	while (route_waiting(r) < 1)
		co_yield();
	route_reconfigure(r, 0, &options[0], mem_strdup("+43"));
	route_reconfigure(r, 1, &options[1], mem_strdup("+49"));
	route_reconfigured(r);
	assert_int_equal(co_await(task), 0);
	assert_int_equal(asker.rc, 0);
	assert_string_equal(route_options(asker.p)->name, "b");
	route_done(r, asker.p, asker.ticket, &accepted, 1);
	route_done(r, p, ticket, &accepted, 1);
	co_unref(task);
	route_free(r);
	return 0;
}

static void test_route_moves_numbers_between_providers(void **state)
{
	(void)state;
	run(body_reload_moves_numbers);
}

static int body_pause(void *arg)
{
	struct provider_options options[] = { provider("a", 1, 10) };
	struct route *r = make(options, 1);
	struct route_request req = to("+491701");
	struct route_provider *p;
	const char *why;
	uint32_t ticket;

	(void)arg;
	assert_int_equal(route_pause(r, "zz", true), -ENOENT);
	assert_int_equal(route_pause(r, "a", true), 0);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), -ETIMEDOUT);
	assert_int_equal(route_pause(r, NULL, false), 0);
	assert_int_equal(route_admit(r, &req, co_in_ms(5), &p, &ticket, &why), 0);
	route_done(r, p, ticket, &accepted, 1);
	route_free(r);
	return 0;
}

static void test_route_pauses_and_resumes(void **state)
{
	(void)state;
	run(body_pause);
}

static void test_route_prefixes(void **state)
{
	(void)state;
	assert_true(route_prefix_allows(NULL, "+49170"));
	assert_true(route_prefix_allows("", "+49170"));
	assert_true(route_prefix_allows("+43 +49", "+49170"));
	assert_true(route_prefix_allows("43, 49", "+49170"));
	assert_false(route_prefix_allows("+43 +1", "+49170"));
	assert_false(route_prefix_allows("+", "+49170"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route_shares_by_weight),
		cmocka_unit_test(test_route_keeps_to_the_pinned_provider),
		cmocka_unit_test(test_route_queues_first_come_first_served),
		cmocka_unit_test(test_route_passes_on_what_a_cancelled_waiter_got),
		cmocka_unit_test(test_route_fails_over),
		cmocka_unit_test(test_route_has_one_probe_out_at_a_time),
		cmocka_unit_test(test_route_gives_an_unsent_probe_to_the_next),
		cmocka_unit_test(test_route_takes_over_what_is_reloadable),
		cmocka_unit_test(test_route_goes_by_other_limits),
		cmocka_unit_test(test_route_goes_by_another_allow_to),
		cmocka_unit_test(test_route_moves_numbers_between_providers),
		cmocka_unit_test(test_route_pauses_and_resumes),
		cmocka_unit_test(test_route_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
