/* Unit tests of metrics/store and redis_client on a redis-server that dies, pauses, forgets and refuses. */
#include "tests/unit/store_fixture.h"

#include "metrics/redis_url.h"

static const char *reason_of(const struct store *s)
{
	const char *reason = "ready";

	return store_ready(s, &reason) ? "ready" : reason;
}

/* Turns the loop until the reason is this one; a test's own time limit ends it otherwise. */
static void wait_reason(const struct store *s, const char *reason)
{
	for (int i = 0; i < 2000 && strcmp(reason_of(s), reason) != 0; i++)
		assert_int_equal(co_sleep_ms(5), 0);
	assert_string_equal(reason_of(s), reason);
}

/* Like a send task: again and again, until Redis has it. */
static void insist(struct store *s, struct store_message *m, const struct store_outcome *o)
{
	while (store_outcome(s, m, o, NULL) != 0)
		assert_int_equal(store_wait_writable(s, clock_mono_us() + 10000000), 0);
}

static int refused_url_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store *s;
	char err[256];

	(void)arg;
	o.url = "unix:///nonexistent/redis.sock";
	s = open_store(&o);
	wait_reason(s, "redis: no such socket");
	store_free(s);
	o.url = "redis://127.0.0.1:1/0";
	s = open_store(&o);
	wait_reason(s, "redis: connection refused");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 50000), -ETIMEDOUT);
	store_free(s);
	o.url = "redis://no-such-host.invalid/0";
	s = open_store(&o);
	wait_reason(s, "redis: host not found");
	store_free(s);
	o.url = "http://x";
	assert_null(store_new(&o, err, sizeof err));
	assert_non_null(strstr(err, "redis://"));
	return 0;
}

static void test_store_reasons_name_what_is_wrong_with_the_address(void **state)
{
	(void)state;
	run(refused_url_body);
}

static int noscript_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("n-1", 1), n = message("n-2", 2);

	(void)arg;
	tell("SCRIPT FLUSH");
	assert_int_equal(claim(s, &m), STORE_GO);
	tell("SCRIPT FLUSH");
	settle(s, &m, STORE_SENT, "p");
	assert_int_equal(claim(s, &n), STORE_GO);
	assert_string_equal(state_of(s, "n-1"), "sent");
	store_free(s);
	return 0;
}

static void test_store_loads_a_script_that_is_gone(void **state)
{
	(void)state;
	run(noscript_body);
}

static int pause_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store *s;
	struct store_message m = message("z-1", 1);
	struct store_claim c;
	int64_t from;

	(void)arg;
	o.command_timeout_ms = 200;
	s = open_store(&o);
	assert_int_equal(store_wait_ready(s, CLOCK_NEVER), 0);
	m.shard = store_shard(s, m.id, m.id_len);
	kill(server.pid, SIGSTOP);
	from = clock_mono_us();
	assert_int_equal(store_claim(s, &m, clock_mono_us() + 1000000, &c), -EAGAIN);
	assert_in_range(clock_mono_us() - from, 150000, 1000000);
	assert_string_equal(reason_of(s), "redis: no reply");
	assert_int_equal(co_sleep_ms(300), 0);
	assert_string_equal(reason_of(s), "redis: no reply");
	kill(server.pid, SIGCONT);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	/* Whether the first one ran, nobody knows: claiming again is harmless. */
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(counted(NULL, "accepted"), 1);
	store_free(s);
	return 0;
}

static void test_store_paused_redis_costs_its_deadline_only(void **state)
{
	(void)state;
	run(pause_body);
}

static void restart(void)
{
	redis_server_kill(&server);
	redis_server_start(&server);
}

static int lost_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m[40], open_one = message("open", 100), dup = message("k-0", 999), late = message("k-late", 200);
	char ids[40][8];
	struct store_counters counters;

	(void)arg;
	for (int i = 0; i < 40; i++) {
		snprintf(ids[i], sizeof ids[i], "k-%d", i);
		m[i] = message(ids[i], i);
		assert_int_equal(claim(s, &m[i]), STORE_GO);
		if (i % 4 == 3) {
			assert_int_equal(uncertain(s, &m[i]), STORE_GO);
			assert_int_equal(claim(s, &m[i]), STORE_GO);
		}
		settle(s, &m[i], i % 2 == 0 ? STORE_SENT : STORE_REFUSED, i % 2 == 0 ? ids[i] : NULL);
	}
	assert_int_equal(claim(s, &open_one), STORE_GO);
	assert_int_equal(claim(s, &dup), STORE_DUPLICATE);
	late.expires_ms = clock_wall_ms() - 1;
	assert_int_equal(claim(s, &late), STORE_IS_LAPSED);
	/* No AOF: all of it is gone, and none of it was behind a barrier. */
	restart();
	assert_int_equal(co_sleep_ms(20), 0);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_int_equal(counted(NULL, "sent"), 20);
	assert_int_equal(counted(NULL, "refused"), 20);
	assert_int_equal(counted(NULL, "lapsed"), 1);
	assert_int_equal(counted(NULL, "uncertain"), 10);
	assert_int_equal(counted(NULL, "duplicates"), 1);
	assert_int_equal(counted(NULL, "accepted"), 41);
	assert_true(exists("sms:{*}:x:acme:k-38"));
	/* What was under way and is settled now is made anew as well. */
	settle(s, &open_one, STORE_SENT, "p-open");
	assert_int_equal(counted(NULL, "accepted"), 42);
	assert_int_equal(counted_ends(), 42);
	store_counters(s, &counters);
	assert_true(counters.rewritten_total >= 40);
	/* Written again on a server that lost nothing, all of it changes nothing. */
	store_rewrite_all(s);
	store_pump_rewrites(s);
	store_look_ready(s);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_int_equal(counted(NULL, "accepted"), 42);
	assert_int_equal(counted(NULL, "uncertain"), 10);
	assert_int_equal(counted(NULL, "duplicates"), 1);
	assert_int_equal(counted(NULL, "extra_sends"), 0);
	assert_int_equal(counted_ends(), 42);
	store_free(s);
	return 0;
}

static void test_store_writes_again_what_a_new_run_may_have_lost(void **state)
{
	(void)state;
	run(lost_body);
}

static int killed_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("a-1", 1), n = message("a-2", 2), o = message("a-3", 3);
	struct store_outcome sent = outcome(STORE_SETTLE, STORE_SENT, "pid");
	struct store_claim c;

	(void)arg;
	tell("CONFIG SET appendonly yes");
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(claim(s, &n), STORE_GO);
	settle(s, &m, STORE_SENT, "p-1");
	/* Dead while the outcome of the second comes in. */
	redis_server_kill(&server);
	while (store_is_writable(s))
		assert_int_equal(co_sleep_ms(1), 0);
	assert_int_equal(store_outcome(s, &n, &sent, NULL), -EAGAIN);
	o.shard = store_shard(s, o.id, o.id_len);
	assert_int_equal(store_claim(s, &o, clock_mono_us() + 1000000, &c), -EAGAIN);
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), -EAGAIN);
	assert_non_null(strstr(reason_of(s), "redis: connection"));
	server.options[0] = "--appendonly";
	server.options[1] = "yes";
	redis_server_start(&server);
	insist(s, &n, &sent);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_string_equal(state_of(s, "a-1"), "sent");
	assert_string_equal(state_of(s, "a-2"), "sent");
	assert_int_equal(counted(NULL, "sent"), 2);
	assert_int_equal(counted(NULL, "accepted"), 2);
	store_free(s);
	return 0;
}

static void test_store_survives_kill_9_of_redis(void **state)
{
	(void)state;
	run(killed_body);
}

static int barrier_body(void *arg)
{
	struct store *s;
	struct store_message m = message("w-1", 1), n = message("w-2", 2);
	struct store_counters counters;
	int64_t from;

	(void)arg;
	tell("CONFIG SET appendonly yes");
	tell("CONFIG SET appendfsync everysec");
	s = ready_store("a", 1);
	/* Nothing is written but sms:meta, which a first commit needs. */
	assert_int_equal(store_barrier(s, clock_mono_us()), -EAGAIN);
	assert_true(exists("sms:meta"));
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	assert_int_equal(store_barrier(s, clock_mono_us()), 0);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_SENT, "p");
	assert_int_equal(store_barrier(s, clock_mono_us() + 100000), -EAGAIN);
	from = clock_mono_us();
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	assert_in_range(clock_mono_us() - from, 1500000, 2500000);
	store_counters(s, &counters);
	assert_int_equal(counters.retained, 0);
	/* The connection changes while it waits. */
	assert_int_equal(claim(s, &n), STORE_GO);
	settle(s, &n, STORE_SENT, "p2");
	tell("CLIENT KILL TYPE normal SKIPME yes");
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), -EAGAIN);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	tell("CONFIG SET appendfsync always");
	tell("CLIENT KILL TYPE normal SKIPME yes");
	while (store_is_writable(s))
		assert_int_equal(co_sleep_ms(1), 0);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	from = clock_mono_us();
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	assert_true(clock_mono_us() - from < 500000);
	store_free(s);
	tell("CONFIG SET appendonly no");
	return 0;
}

static void test_store_barrier_waits_for_the_servers_fsync(void **state)
{
	(void)state;
	run(barrier_body);
}

static int remote_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store *s;
	struct store_message m = message("v-1", 1);

	(void)arg;
	o.durability = STORE_REPLICAS;
	o.replicas = 1;
	o.command_timeout_ms = 300;
	s = open_store(&o);
	assert_int_equal(store_wait_ready(s, CLOCK_NEVER), 0);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_SENT, "p");
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), -EAGAIN);
	s->o.replicas = 0;
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	store_free(s);
	o.durability = STORE_AOF;
	s = open_store(&o);
	for (int i = 0; i < 1000 && !store_refused(s); i++)
		assert_int_equal(co_sleep_ms(5), 0);
	/* Redis 7.0 has no WAITAOF. */
	if (redis_client_server(s->client)->major == 7 && redis_client_server(s->client)->minor < 2)
		assert_true(store_refused(s));
	store_free(s);
	return 0;
}

static void test_store_barrier_asks_replicas_and_the_aof(void **state)
{
	(void)state;
	run(remote_body);
}

static int emptied_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("e-1", 1), n = message("e-2", 2);

	(void)arg;
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(claim(s, &n), STORE_GO);
	settle(s, &m, STORE_SENT, "p");
	assert_true(exists("sms:meta"));
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), 0);
	tell("FLUSHALL");
	settle(s, &n, STORE_SENT, "p2");
	/* The barrier notices; the outcome that is not behind one is written again, and nothing is claimed. */
	assert_int_equal(store_barrier(s, clock_mono_us() + 5000000), -EAGAIN);
	wait_reason(s, "redis: store is empty though the group has commits");
	assert_false(exists("sms:meta"));
	assert_string_equal(state_of(s, "e-2"), "sent");
	assert_int_equal(store_accept_empty(s), 0);
	assert_string_equal(reason_of(s), "ready");
	m.last = (struct store_claimed){ 0 };
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_true(exists("sms:meta"));
	assert_int_equal(store_accept_empty(s), -EEXIST);
	store_free(s);
	/* A new process is told by its consumer. What another makes is seen; what is accepted is there at once. */
	tell("FLUSHALL");
	s = ready_store("a", 2);
	store_expect_existing(s);
	assert_string_equal(reason_of(s), "redis: store is empty though the group has commits");
	tell("HSET sms:meta format 1 shards 16 created 1");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	store_free(s);
	tell("FLUSHALL");
	s = ready_store("a", 3);
	store_expect_existing(s);
	assert_int_equal(store_accept_empty(s), 0);
	for (int i = 0; i < 1000 && !exists("sms:meta"); i++)
		assert_int_equal(co_sleep_ms(1), 0);
	assert_true(exists("sms:meta"));
	store_free(s);
	return 0;
}

static void test_store_emptied_is_not_claimed_from(void **state)
{
	(void)state;
	run(emptied_body);
}

static int meta_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store *s;

	(void)arg;
	tell("HSET sms:meta format 1 shards 8 created 1");
	s = open_store(&o);
	wait_reason(s, "redis: another format or number of shards in sms:meta");
	assert_true(store_refused(s));
	store_free(s);
	tell("HSET sms:meta format 2 shards 16");
	s = open_store(&o);
	wait_reason(s, "redis: another format or number of shards in sms:meta");
	store_free(s);
	tell("HSET sms:meta format 1");
	s = ready_store("a", 1);
	store_free(s);
	return 0;
}

static void test_store_meta_of_another_store_is_refused(void **state)
{
	(void)state;
	run(meta_body);
}

static int refusing_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("o-1", 1);
	struct store_claim c;

	(void)arg;
	m.shard = store_shard(s, m.id, m.id_len);
	tell("CONFIG SET maxmemory 1");
	assert_int_equal(store_claim(s, &m, clock_mono_us() + 1000000, &c), -EAGAIN);
	wait_reason(s, "redis: OOM");
	tell("CONFIG SET maxmemory 0");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_string_equal(state_of(s, "o-1"), "");
	tell("CONFIG SET min-replicas-to-write 1");
	assert_int_equal(store_claim(s, &m, clock_mono_us() + 1000000, &c), -EAGAIN);
	wait_reason(s, "redis: NOREPLICAS");
	tell("CONFIG SET min-replicas-to-write 0");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	tell("REPLICAOF 127.0.0.1 1");
	assert_int_equal(store_claim(s, &m, clock_mono_us() + 1000000, &c), -EAGAIN);
	wait_reason(s, "redis: READONLY");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 300000), -ETIMEDOUT);
	tell("REPLICAOF NO ONE");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	tell("CONFIG SET maxmemory-policy allkeys-lru");
	tell("CLIENT KILL TYPE normal SKIPME yes");
	wait_reason(s, "redis: maxmemory-policy is not noeviction");
	assert_true(store_refused(s));
	tell("CONFIG SET maxmemory-policy noeviction");
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_false(store_refused(s));
	assert_int_equal(claim(s, &m), STORE_GO);
	store_free(s);
	return 0;
}

static void test_store_reasons_are_redis_own_words(void **state)
{
	(void)state;
	run(refusing_body);
}

static int access_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store_message m = message("s-1", 1);
	struct store *s;

	(void)arg;
	tell("CONFIG SET requirepass geheim");
	s = open_store(&o);
	wait_reason(s, "redis: NOAUTH");
	store_free(s);
	o.password = "falsch";
	s = open_store(&o);
	wait_reason(s, "redis: WRONGPASS");
	assert_true(store_refused(s));
	store_free(s);
	/* The least that an ACL user needs, as the README says it; CONFIG is not among it. */
	tell("ACL SETUSER smstrack on >pass ~sms:* resetchannels -@all +set +get +hget +hmget +hsetnx +hincrby +expire +time +info +select +auth "
	     "+evalsha +script|load +wait");
	o.user = "smstrack";
	o.password = "pass";
	s = open_store(&o);
	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_SENT, "p");
	assert_string_equal(state_of(s, "s-1"), "sent");
	assert_int_equal(redis_client_server(s->client)->fsync, REDIS_FSYNC_UNKNOWN);
	tell("ACL SETUSER smstrack -set");
	tell("CLIENT KILL USER smstrack");
	wait_reason(s, "redis: NOPERM");
	store_free(s);
	tell("ACL DELUSER smstrack");
	freeReplyObject(look("CONFIG SET requirepass %s", ""));
	return 0;
}

static void test_store_user_needs_few_rights(void **state)
{
	(void)state;
	run(access_body);
}

static struct store *cancelled_store;
static struct store_message cancelled_message;

static int cancelled_claim(void *arg)
{
	struct store_claim c;

	(void)arg;
	return store_claim(cancelled_store, &cancelled_message, clock_mono_us() + 1000000, &c);
}

static int cancel_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_outcome release = outcome(STORE_RELEASE, 0, NULL);
	struct co_future *task;

	(void)arg;
	cancelled_store = s;
	cancelled_message = message("x-1", 1);
	cancelled_message.shard = store_shard(s, "x-1", 3);
	/* The claim of before, released: so that this one's count isn't 1. */
	assert_int_equal(claim(s, &cancelled_message), STORE_GO);
	assert_int_equal(store_outcome(s, &cancelled_message, &release, NULL), 0);
	task = co_task_new_static(cancelled_claim, NULL, "claim");
	assert_int_equal(co_yield(), 0);
	assert_true(co_cancel(task));
	assert_int_equal(co_await(task), -ECANCELED);
	co_unref(task);
	assert_int_equal(store_outcome(s, &cancelled_message, &release, NULL), 0);
	assert_string_equal(state_of(s, "x-1"), "queued");
	assert_int_equal(counted(NULL, "accepted"), 1);
	store_free(s);
	return 0;
}

static void test_store_cancelled_claim_can_be_released(void **state)
{
	(void)state;
	run(cancel_body);
}

static int show_body(void *arg)
{
	struct store *s = ready_store("a", 0x123456789abc);
	struct store_message m = message("show \"me\"", 1);
	char *json = NULL;

	(void)arg;
	assert_int_equal(store_show(s, "nothing", 7, &json), -ENOENT);
	assert_int_equal(claim(s, &m), STORE_GO);
	settle(s, &m, STORE_SENT, "p-1");
	assert_int_equal(store_show(s, m.id, m.id_len, &json), 0);
	assert_non_null(strstr(json, "{\"id\":\"show \\\"me\\\"\",\"state\":\"sent\","));
	assert_non_null(strstr(json, "\"topic\":\"sms.outbound\",\"partition\":3,\"offset\":1,\"attempts\":1,"));
	assert_non_null(strstr(json, "\"campaign\":\"spring\",\"country\":\"49\",\"parts\":1,\"provider\":\"acme\""));
	assert_non_null(strstr(json, "\"provider_ids\":[\"p-1\"]}"));
	mem_free(json);
	store_free(s);
	return 0;
}

static void test_store_show_is_json(void **state)
{
	(void)state;
	run(show_body);
}

static void test_redis_url_says_what_would_be_right(void **state)
{
	struct redis_url u;
	char err[256];
	static const char *const bad[] = { "", "redis://", "redis://:pw@h", "redis://u:pw@h", "redis://h:0", "redis://h:x", "redis://h:99999",
					   "redis://h/x", "unix://rel", "unix:///p?x=1", "unix:///p?db=", "rediss://h", "redis://[::1" };

	(void)state;
	assert_int_equal(redis_url_parse("redis://me@db.example:6380/3", &u, err, sizeof err), 0);
	assert_string_equal(u.host, "db.example");
	assert_string_equal(u.user, "me");
	assert_int_equal(u.port, 6380);
	assert_int_equal(u.db, 3);
	assert_int_equal(redis_url_parse("redis://[::1]", &u, err, sizeof err), 0);
	assert_string_equal(u.host, "::1");
	assert_int_equal(u.port, 6379);
	assert_int_equal(redis_url_parse("unix:///run/redis.sock?db=2", &u, err, sizeof err), 0);
	assert_string_equal(u.path, "/run/redis.sock");
	assert_int_equal(u.db, 2);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(redis_url_parse(bad[i], &u, err, sizeof err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redis_url_says_what_would_be_right),
		STORE_TEST(test_store_reasons_name_what_is_wrong_with_the_address),
		STORE_TEST(test_store_loads_a_script_that_is_gone),
		STORE_TEST(test_store_paused_redis_costs_its_deadline_only),
		STORE_TEST(test_store_writes_again_what_a_new_run_may_have_lost),
		STORE_TEST(test_store_survives_kill_9_of_redis),
		STORE_TEST(test_store_barrier_waits_for_the_servers_fsync),
		STORE_TEST(test_store_barrier_asks_replicas_and_the_aof),
		STORE_TEST(test_store_emptied_is_not_claimed_from),
		STORE_TEST(test_store_meta_of_another_store_is_refused),
		STORE_TEST(test_store_reasons_are_redis_own_words),
		STORE_TEST(test_store_user_needs_few_rights),
		STORE_TEST(test_store_cancelled_claim_can_be_released),
		STORE_TEST(test_store_show_is_json),
	};
	int rc;

	if (!redis_server_installed()) {
		printf("SKIPPED test_store_faults: no redis-server installed\n");
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_end(&server);
	return rc;
}
