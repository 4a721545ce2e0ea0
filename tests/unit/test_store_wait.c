/* Unit tests of metrics/store: waiting for it, and what is cancelled while Redis takes its time. */
#include "tests/unit/store_fixture.h"

/* Enough waits to become durable to claim nothing more: that is found out by who waits, without a word from anybody. */
static int too_much_retained_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	uint64_t before;

	(void)arg;
	before = s->n_retained;
	s->n_retained = STORE_RETAINED_MAX;
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 50000), -ETIMEDOUT);
	assert_int_equal(store_wait_writable(s, clock_mono_us() + 50000), 0);
	s->n_retained = before;
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 50000), 0);
	store_free(s);
	return 0;
}

static void test_store_wait_suspends_where_too_much_is_retained(void **state)
{
	(void)state;
	run(too_much_retained_body);
}

struct claimer {
	struct store *s;
	struct store_message m;
	struct co_future *task;
};

static int claimer_body(void *arg)
{
	struct claimer *c = arg;
	struct store_claim answer;

	return store_claim(c->s, &c->m, clock_mono_us() + 1000000, &answer);
}

/* Three turns, a claim each: one call is under way, so the others are held back; there the third is cancelled, and released. */
static int release_held_claim_body(void *arg)
{
	static const char *const ids[] = { "h-1", "h-2", "h-3" };
	struct claimer c[3];
	struct store *s = ready_store("a", 1);
	struct store_outcome release = outcome(STORE_RELEASE, 0, NULL);
	struct store_message first = message("h-0", 9);

	(void)arg;
	assert_int_equal(claim(s, &first), STORE_GO);   /* which makes sms:meta */
	kill(server.pid, SIGSTOP);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct claimer){ .s = s, .m = message(ids[i], i) };
		c[i].m.shard = store_shard(s, ids[i], 3);
		c[i].task = co_task_new_static(claimer_body, &c[i], ids[i]);
		assert_non_null(c[i].task);
		assert_int_equal(co_sleep_ms(2), 0);
	}
	assert_non_null(s->open[BATCH_CLAIM]);
	assert_int_equal(s->under_way[BATCH_CLAIM], STORE_CLAIM_CALLS);
	co_cancel(c[2].task);
	assert_int_equal(co_await(c[2].task), -ECANCELED);
	kill(server.pid, SIGCONT);
	assert_int_equal(store_outcome(s, &c[2].m, &release, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(co_await(c[i].task), 0);
	for (int i = 0; i < 3; i++)
		co_unref(c[i].task);
	assert_string_equal(state_of(s, "h-2"), "sending");
	assert_string_equal(state_of(s, "h-3"), "queued");
	store_free(s);
	return 0;
}

static void test_store_release_comes_behind_a_claim_that_was_held_back(void **state)
{
	(void)state;
	run(release_held_claim_body);
}

/* What another process wrote just before it died is no safer than what we write. */
static int found_body(void *arg)
{
	struct store_options o = options("a", 3);
	struct store *s;
	struct store_message m = message("d-1", 1), again = message("d-1", 1);
	int64_t from_us;

	(void)arg;
	tell("CONFIG SET appendonly yes");
	tell("CONFIG SET appendfsync everysec");
	s = ready_store("a", 1);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_REFUSED, NULL);
	store_free(s);
	s = ready_store("a", 2);
	assert_int_equal(claim(s, &again), STORE_DUPLICATE);
	assert_int_equal(store_barrier(s, clock_mono_us() + 100000), -EAGAIN);
	from_us = clock_mono_us();
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	assert_in_range(clock_mono_us() - from_us, 1500000, 2500000);
	assert_int_equal(store_barrier(s, clock_mono_us()), 0);
	store_free(s);
	tell("CONFIG SET appendonly no");
	o.durability = STORE_REPLICAS;
	o.replicas = 1;
	o.command_timeout_ms = 300;
	s = open_store(&o);
	assert_int_equal(store_wait_ready(s, CLOCK_NEVER), 0);
	again = message("d-1", 1);
	assert_int_equal(claim(s, &again), STORE_DUPLICATE);
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), -EAGAIN);
	s->o.replicas = 0;
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	store_free(s);
	return 0;
}

static void test_store_barrier_covers_what_others_wrote(void **state)
{
	(void)state;
	run(found_body);
}

enum { N_FOUND = 12 };

/* Every kind of end, written by a process that is then dead: one of two parts, one with a duplicate, one held after it was uncertain. */
static void write_and_die(struct store_message m[N_FOUND], char ids[N_FOUND][8])
{
	struct store *s = ready_store("a", 1);
	struct store_outcome two = outcome(STORE_SETTLE, STORE_SENT, "pid-1");
	struct store_message dup;

	two.n_ids = 2;
	two.ids[1] = (struct store_provider_id){ "pid-2", 5 };
	for (int i = 0; i < N_FOUND; i++) {
		snprintf(ids[i], sizeof ids[i], "f-%d", i);
		m[i] = message(ids[i], i);
		m[i].on_uncertain = i == 2 ? STORE_HOLD : STORE_RESEND;
		m[i].parts = i == 3 ? 2 : 1;
		assert_int_equal(claim(s, &m[i]), STORE_GO);
		if (i == 2)
			assert_int_equal(uncertain(s, &m[i]), STORE_IS_HELD);
		else if (i == 3)
			assert_int_equal(store_outcome(s, &m[i], &two, NULL), 0);
		else
			settle(s, &m[i], i % 2 == 0 ? STORE_SENT : STORE_REFUSED, i % 2 == 0 ? ids[i] : NULL);
	}
	dup = message("f-1", 500);
	assert_int_equal(claim(s, &dup), STORE_DUPLICATE);
	store_free(s);
}

static void assert_all_counted(void)
{
	assert_int_equal(counted(NULL, "accepted"), N_FOUND);
	assert_int_equal(counted("acme", "sent"), 6);
	assert_int_equal(counted("acme", "refused"), 5);
	assert_int_equal(counted(NULL, "held"), 1);
	assert_int_equal(counted(NULL, "uncertain"), 1);
	assert_int_equal(counted(NULL, "duplicates"), 1);
	assert_int_equal(counted(NULL, "extra_sends"), 0);
}

/* Regression: who wrote an end was dead, and Redis lost it after the next process had found it there and before its barrier. */
static int found_and_lost_body(void *arg)
{
	struct store_message m[N_FOUND];
	char ids[N_FOUND][8];
	struct store_counters counters;
	struct store *s;

	(void)arg;
	write_and_die(m, ids);
	s = ready_store("a", 2);
	for (int i = 0; i < N_FOUND; i++) {
		m[i].last = (struct store_claimed){ 0 };
		assert_int_equal(claim(s, &m[i]), STORE_DUPLICATE);
	}
	assert_all_counted();
	store_counters(s, &counters);
	assert_int_equal(counters.outcomes_total, 0);
	assert_int_equal(counters.retained, N_FOUND + 7);       /* the ends, and the mappings of the sent */
	redis_server_kill(&server);
	redis_server_start(&server);
	assert_int_equal(co_sleep_ms(20), 0);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_all_counted();
	assert_string_equal(state_of(s, "f-0"), "sent");
	assert_string_equal(state_of(s, "f-1"), "refused");
	assert_string_equal(state_of(s, "f-2"), "held");
	assert_true(exists("sms:{*}:x:acme:pid-2"));
	m[1].last = (struct store_claimed){ 0 };
	assert_int_equal(claim(s, &m[1]), STORE_DUPLICATE);
	assert_all_counted();
	store_free(s);
	return 0;
}

static void test_store_writes_again_what_it_only_found(void **state)
{
	(void)state;
	run(found_and_lost_body);
}

/* Redis has what the last SAVE saw, as after a fail-over; its answers are written again. */
static void fall_back(void)
{
	tell("DEBUG RELOAD NOSAVE");
}

static void write_again(struct store *s)
{
	store_rewrite_all(s);
	store_pump_rewrites(s);
	store_look_ready(s);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
}

static void assert_extra_and_duplicate(struct store *s)
{
	assert_string_equal(state_of(s, "x-1"), "sent");
	assert_int_equal(counted(NULL, "accepted"), 1);
	assert_int_equal(counted("acme", "sent"), 1);
	assert_int_equal(counted(NULL, "uncertain"), 1);
	assert_int_equal(counted("acme", "extra_sends"), 1);
	assert_int_equal(counted(NULL, "duplicates"), 1);
}

/* Regression: a record that was found with an extra send and a duplicate in it, and came back as it was before them, lost their counts. */
static int extras_lost_body(void *arg)
{
	struct store *s = ready_store("a", 1), *taker;
	struct store_message m = message("x-1", 1), over = message("x-1", 1), dup = message("x-1", 77), again = message("x-1", 1);
	char dump[96];

	(void)arg;
	assert_int_equal(claim(s, &m), STORE_GO);
	taker = ready_store("a", 2);
	assert_int_equal(claim(taker, &over), STORE_GO);        /* from a dead process: uncertain */
	tell("SAVE");
	settle(taker, &over, STORE_SENT, "p-2");
	settle(s, &m, STORE_SENT, "p-1");
	assert_int_equal(claim(s, &dup), STORE_DUPLICATE);
	assert_extra_and_duplicate(s);
	store_free(s);
	s = ready_store("a", 3);
	assert_int_equal(claim(s, &again), STORE_DUPLICATE);
	fall_back();
	write_again(s);
	assert_extra_and_duplicate(s);
	/* Once more, where whose `sent` came second the first time comes first. */
	fall_back();
	settle(taker, &over, STORE_SENT, "p-2");
	write_again(s);
	assert_extra_and_duplicate(s);
	fall_back();
	store_free(taker);
	taker = ready_store("a", 1);
	settle(taker, &m, STORE_SENT, "p-1");
	write_again(s);
	assert_extra_and_duplicate(s);
	store_free(taker);
	store_free(s);
	snprintf(dump, sizeof dump, "%s/dump.rdb", server.dir);
	assert_int_equal(unlink(dump), 0);
	return 0;
}

static void test_store_writes_again_the_extra_sends_it_found(void **state)
{
	(void)state;
	run(extras_lost_body);
}

static struct store *batch_store;

static int batch_claim_body(void *arg)
{
	return claim(batch_store, arg) == STORE_GO ? 0 : -EIO;
}

/* What a crash may leave claimed and unwritten is the caller's to choose. */
static int claim_batch_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store_message m[40];
	struct co_future *tasks[40];
	struct store_counters before, after;
	char ids[40][8];

	(void)arg;
	o.claim_batch = 16;
	batch_store = open_store(&o);
	assert_int_equal(store_wait_ready(batch_store, clock_mono_us() + 5000000), 0);
	m[0] = message("meta", 1000);
	assert_int_equal(claim(batch_store, &m[0]), STORE_GO);
	store_counters(batch_store, &before);
	for (int i = 0; i < 40; i++) {
		snprintf(ids[i], sizeof ids[i], "b-%d", i);
		m[i] = message(ids[i], i);
		tasks[i] = co_task_new_static(batch_claim_body, &m[i], "claim");
		assert_non_null(tasks[i]);
	}
	for (int i = 0; i < 40; i++) {
		assert_int_equal(co_await(tasks[i]), 0);
		co_unref(tasks[i]);
	}
	store_counters(batch_store, &after);
	assert_int_equal(after.scripts_total - before.scripts_total, 3);
	store_free(batch_store);
	return 0;
}

static void test_store_claims_so_many_a_call(void **state)
{
	(void)state;
	run(claim_batch_body);
}

static int stop_body(void *arg)
{
	(void)arg;
	assert_int_equal(co_sleep_ms(300), 0);
	kill(server.pid, SIGSTOP);
	return 0;
}

/* A server that is gone without a word while its fsync is waited for: nothing is safe. */
static int silent_death_body(void *arg)
{
	struct store *s;
	struct store_message m = message("e-1", 1);
	struct co_future *stop;
	int rc;

	(void)arg;
	tell("CONFIG SET appendonly yes");
	tell("CONFIG SET appendfsync everysec");
	s = ready_store("a", 1);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_SENT, "p");
	stop = co_task_new_static(stop_body, NULL, "stop");
	assert_non_null(stop);
	rc = store_barrier(s, clock_mono_us() + 5000000);
	kill(server.pid, SIGCONT);
	assert_int_equal(rc, -EAGAIN);
	co_unref(stop);
	store_free(s);
	tell("CONFIG SET appendonly no");
	return 0;
}

static void test_store_barrier_fails_where_the_server_went_silent(void **state)
{
	(void)state;
	run(silent_death_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_wait_suspends_where_too_much_is_retained),
		STORE_TEST(test_store_release_comes_behind_a_claim_that_was_held_back),
		STORE_TEST(test_store_barrier_covers_what_others_wrote),
		STORE_TEST(test_store_writes_again_what_it_only_found),
		STORE_TEST(test_store_writes_again_the_extra_sends_it_found),
		STORE_TEST(test_store_claims_so_many_a_call),
		STORE_TEST(test_store_barrier_fails_where_the_server_went_silent),
	};
	int rc;

	if (!redis_server_installed()) {
		printf("SKIPPED test_store_wait: no redis-server installed\n");
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_end(&server);
	return rc;
}
