/* Unit tests of metrics/store on a real redis-server: who may send, what becomes of it, what is counted. */
#include "tests/unit/store_fixture.h"

static int fresh_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("m-1", 7);
	struct store_claim c;
	int64_t boot = clock_boot_ms();

	(void)arg;
	c = claim_for(s, &m, 1000);
	assert_int_equal(c.answer, STORE_GO);
	assert_false(c.taken_over);
	assert_int_equal(c.attempts, 0);
	assert_in_range(c.lease_boot_ms, boot + 5900, boot + 6100);
	assert_string_equal(state_of(s, "m-1"), "sending");
	/* The reply was lost, or another attempt: the same token goes on, and counts no second time. */
	assert_int_equal(claim(s, &m), STORE_GO);
	m.last = (struct store_claimed){ 0 };
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(counted("", "accepted"), 1);
	settle(s, &m, STORE_SENT, "p-1");
	settle(s, &m, STORE_SENT, "p-1");
	assert_string_equal(state_of(s, "m-1"), "sent");
	assert_int_equal(counted("acme", "sent"), 1);
	assert_int_equal(counted_ends(), 1);
	assert_true(exists("sms:{*}:x:acme:p-1"));
	store_free(s);
	return 0;
}

static void test_store_claim_of_nothing_goes_and_counts_once(void **state)
{
	(void)state;
	run(fresh_body);
}

static int duplicate_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("m-2", 7), again = message("m-2", 7), other = message("m-2", 8);
	struct store_claim c;
	struct store_counters counters;

	(void)arg;
	assert_int_equal(claim(s, &m), STORE_GO);
	/* Another position is a duplicate even while the first is on its way. */
	c = claim_for(s, &other, 1000);
	assert_int_equal(c.answer, STORE_DUPLICATE);
	assert_int_equal(c.state, STORE_SENDING);
	assert_false(c.redelivery);
	settle(s, &m, STORE_SENT, "p-2");
	tell("DEL sms:{0}:x:acme:p-2 sms:{1}:x:acme:p-2 sms:{2}:x:acme:p-2 sms:{3}:x:acme:p-2 sms:{4}:x:acme:p-2 sms:{5}:x:acme:p-2 "
	     "sms:{6}:x:acme:p-2 sms:{7}:x:acme:p-2 sms:{8}:x:acme:p-2 sms:{9}:x:acme:p-2 sms:{10}:x:acme:p-2 sms:{11}:x:acme:p-2 "
	     "sms:{12}:x:acme:p-2 sms:{13}:x:acme:p-2 sms:{14}:x:acme:p-2 sms:{15}:x:acme:p-2");
	/* Our own position settled: a redelivery, not counted, mapped again. */
	again.epoch = 2;
	c = claim_for(s, &again, 1000);
	assert_int_equal(c.answer, STORE_DUPLICATE);
	assert_int_equal(c.state, STORE_SENT);
	assert_true(c.redelivery);
	assert_true(exists("sms:{*}:x:acme:p-2"));
	/* The other position read again: it was counted. */
	other.last = (struct store_claimed){ 0 };
	other.epoch = 2;
	assert_int_equal(claim(s, &other), STORE_DUPLICATE);
	other.offset = 9;
	assert_int_equal(claim(s, &other), STORE_DUPLICATE);
	assert_int_equal(counted("", "duplicates"), 2);
	store_counters(s, &counters);
	assert_int_equal(counters.duplicates_total, 2);
	assert_int_equal(counted("", "accepted"), 1);
	assert_int_equal(counted(NULL, "sent"), 1);
	store_free(s);
	return 0;
}

static void test_store_claim_of_a_known_id_is_a_duplicate(void **state)
{
	(void)state;
	run(duplicate_body);
}

static int busy_body(void *arg)
{
	struct store *a = ready_store("a", 1), *b = ready_store("b", 2);
	struct store_message m = message("m-3", 7), n = message("m-3", 7);
	struct store_claim c;

	(void)arg;
	assert_int_equal(claim(a, &m), STORE_GO);
	n.epoch = 2;
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_BUSY);
	assert_in_range(c.wait_ms, 5000, 6000);
	/* The same process under another epoch is another token, too. */
	n.last = (struct store_claimed){ 0 };
	assert_int_equal(claim(a, &n), STORE_BUSY);
	assert_int_equal(counted(NULL, "uncertain"), 0);
	store_free(a);
	store_free(b);
	return 0;
}

static void test_store_claim_of_a_living_owners_is_busy(void **state)
{
	(void)state;
	run(busy_body);
}

static int dead_process_body(void *arg)
{
	struct store *a = ready_store("a", 1), *b = ready_store("a", 2);
	struct store_message m = message("m-4", 7), n = message("m-4", 7);
	struct store_claim c;
	struct store_counters counters;

	(void)arg;
	assert_int_equal(claim(a, &m), STORE_GO);
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_GO);
	assert_true(c.taken_over);
	assert_int_equal(c.attempts, 1);
	assert_int_equal(counted("", "uncertain"), 1);
	/* Both were taken in the end: the second one is an extra send, counted once, mapped. */
	settle(b, &n, STORE_SENT, "p-b");
	settle(a, &m, STORE_SENT, "p-a");
	settle(a, &m, STORE_SENT, "p-a");
	settle(b, &n, STORE_SENT, "p-b");
	assert_int_equal(counted("acme", "extra_sends"), 1);
	assert_int_equal(counted("acme", "sent"), 1);
	assert_int_equal(counted("", "accepted"), 1);
	assert_true(exists("sms:{*}:x:acme:p-a"));
	store_counters(b, &counters);
	assert_int_equal(counters.taken_over_total, 1);
	assert_int_equal(counters.uncertain_total, 1);
	store_counters(a, &counters);
	assert_int_equal(counters.extra_sends_total, 1);
	store_free(a);
	store_free(b);
	return 0;
}

static void test_store_claim_of_a_dead_process_is_taken_over_at_once(void **state)
{
	(void)state;
	run(dead_process_body);
}

static int older_word_body(void *arg)
{
	struct store *a = ready_store("a", 1), *b = ready_store("a", 2);
	struct store_message m = message("m-5", 7), n = message("m-5", 7);

	(void)arg;
	/* The older send's word comes while the newer is under way: it settles; the newer's is the extra one. */
	assert_int_equal(claim(a, &m), STORE_GO);
	assert_int_equal(claim(b, &n), STORE_GO);
	settle(a, &m, STORE_REFUSED, NULL);
	assert_string_equal(state_of(b, "m-5"), "sending");
	settle(a, &m, STORE_SENT, "p-a");
	assert_string_equal(state_of(b, "m-5"), "sent");
	settle(b, &n, STORE_FAILED, NULL);
	assert_string_equal(state_of(b, "m-5"), "sent");
	settle(b, &n, STORE_SENT, "p-b");
	assert_int_equal(counted("acme", "extra_sends"), 1);
	assert_int_equal(counted_ends(), 1);
	store_free(a);
	store_free(b);
	return 0;
}

static void test_store_outcome_of_an_older_token_is_kept(void **state)
{
	(void)state;
	run(older_word_body);
}

static int lapsed_lease_body(void *arg)
{
	struct store_options o = options("a", 1);
	struct store *a, *b = ready_store("b", 2);
	struct store_message m = message("m-6", 7), n = message("m-6", 7);
	struct store_claim c;

	(void)arg;
	o.lease_slack_ms = 1;
	a = open_store(&o);
	assert_int_equal(store_wait_ready(a, CLOCK_NEVER), 0);
	assert_int_equal(claim_for(a, &m, 0).answer, STORE_GO);
	assert_int_equal(co_sleep_ms(20), 0);
	/* We are not long enough on this server: a living owner may not have been able to write. */
	n.epoch = 2;
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_BUSY);
	assert_in_range(c.wait_ms, 4000, 5300);
	b->up_us -= 6000000;
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_GO);
	assert_true(c.taken_over);
	assert_int_equal(counted(NULL, "uncertain"), 1);
	store_free(a);
	store_free(b);
	return 0;
}

static void test_store_claim_past_its_lease_waits_for_a_settled_server(void **state)
{
	(void)state;
	run(lapsed_lease_body);
}

/* Claims with a new process again and again, none of which says what became of it. */
static enum store_answer crash_times(const char *id, enum store_policy policy, int times)
{
	enum store_answer answer = 0;

	for (int i = 0; i < times; i++) {
		struct store *s = ready_store("a", 100 + (uint64_t)i);
		struct store_message m = message(id, 7);

		m.on_uncertain = policy;
		answer = claim(s, &m);
		store_free(s);
	}
	return answer;
}

static int takeover_policies_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("hold", 7), fail = message("fail", 7);

	(void)arg;
	assert_int_equal(crash_times("hold", STORE_HOLD, 2), STORE_IS_HELD);
	assert_string_equal(state_of(s, "hold"), "held");
	assert_int_equal(crash_times("fail", STORE_FAIL, 2), STORE_IS_FAILED);
	assert_string_equal(state_of(s, "fail"), "failed");
	/* The first claim, three resends, then held. */
	assert_int_equal(crash_times("resend", STORE_RESEND, 4), STORE_GO);
	assert_int_equal(crash_times("resend", STORE_RESEND, 1), STORE_IS_HELD);
	assert_int_equal(counted(NULL, "uncertain"), 6);
	assert_int_equal(counted(NULL, "held"), 2);
	assert_int_equal(counted(NULL, "failed"), 1);
	assert_int_equal(counted(NULL, "accepted"), 3);
	/* What the lost owner says in the end settles them. */
	s->o.incarnation = 100;
	m.last = fail.last = (struct store_claimed){ .accepted_ms = clock_wall_ms(), .claimed_ms = clock_wall_ms(), .claims = 1 };
	m.shard = store_shard(s, m.id, m.id_len);
	fail.shard = store_shard(s, fail.id, fail.id_len);
	settle(s, &m, STORE_SENT, "p-hold");
	settle(s, &fail, STORE_REFUSED, NULL);
	assert_string_equal(state_of(s, "hold"), "sent");
	assert_string_equal(state_of(s, "fail"), "refused");
	assert_int_equal(counted(NULL, "held"), 1);
	assert_int_equal(counted(NULL, "failed"), 0);
	assert_int_equal(counted(NULL, "sent"), 1);
	assert_int_equal(counted(NULL, "refused"), 1);
	assert_int_equal(counted_ends(), 3);
	store_free(s);
	return 0;
}

static void test_store_takeover_asks_the_policy(void **state)
{
	(void)state;
	run(takeover_policies_body);
}

static int uncertain_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("u-1", 7), hold = message("u-2", 8), fail = message("u-3", 9);
	struct store_claim c;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		c = claim_for(s, &m, 1000);
		assert_int_equal(c.answer, STORE_GO);
		assert_int_equal(c.attempts, i == 0 ? 0 : 1);
		assert_int_equal(uncertain(s, &m), STORE_GO);
		/* The reply was lost: the same again. */
		m.last.uncertain--;
		assert_int_equal(uncertain(s, &m), STORE_GO);
		assert_string_equal(state_of(s, "u-1"), "queued");
	}
	assert_int_equal(counted("acme", "uncertain"), 3);
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(uncertain(s, &m), STORE_IS_HELD);
	assert_int_equal(uncertain(s, &m), STORE_IS_HELD);
	assert_int_equal(counted("acme", "uncertain"), 4);
	assert_int_equal(counted("acme", "held"), 1);
	hold.on_uncertain = STORE_HOLD;
	fail.on_uncertain = STORE_FAIL;
	assert_int_equal(claim(s, &hold), STORE_GO);
	assert_int_equal(claim(s, &fail), STORE_GO);
	assert_int_equal(uncertain(s, &hold), STORE_IS_HELD);
	assert_int_equal(uncertain(s, &fail), STORE_IS_FAILED);
	/* The answer came after all. */
	settle(s, &m, STORE_SENT, "late");
	assert_string_equal(state_of(s, "u-1"), "sent");
	assert_int_equal(counted(NULL, "held"), 1);
	assert_int_equal(counted(NULL, "accepted"), 3);
	assert_int_equal(counted_ends(), 3);
	store_free(s);
	return 0;
}

static void test_store_uncertain_asks_the_policy_once(void **state)
{
	(void)state;
	run(uncertain_body);
}

static int release_body(void *arg)
{
	struct store *s = ready_store("a", 1), *b = ready_store("b", 2);
	struct store_message m = message("r-1", 7), n = message("r-1", 7);
	struct store_outcome o = outcome(STORE_RELEASE, 0, NULL);
	struct store_claim c;

	(void)arg;
	assert_int_equal(claim(s, &m), STORE_GO);
	o.attempts = 2;
	assert_int_equal(store_outcome(s, &m, &o, NULL), 0);
	assert_string_equal(state_of(s, "r-1"), "queued");
	/* Anybody may go on; attempts and cohort are kept. */
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_GO);
	assert_false(c.taken_over);
	assert_int_equal(c.attempts, 2);
	/* A stale release takes nothing away. */
	assert_int_equal(store_outcome(s, &m, &o, NULL), 0);
	assert_string_equal(state_of(s, "r-1"), "sending");
	settle(b, &n, STORE_REFUSED, NULL);
	assert_int_equal(counted("", "accepted"), 1);
	assert_int_equal(counted("acme", "refused"), 1);
	store_free(s);
	store_free(b);
	return 0;
}

static void test_store_release_queues_and_keeps_the_cohort(void **state)
{
	(void)state;
	run(release_body);
}

static int lapsed_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("l-1", 7), n = message("l-2", 8), u = message("l-3", 9);

	(void)arg;
	m.expires_ms = clock_wall_ms() - 1;
	assert_int_equal(claim(s, &m), STORE_IS_LAPSED);
	assert_string_equal(state_of(s, "l-1"), "lapsed");
	m.last = (struct store_claimed){ 0 };
	assert_int_equal(claim(s, &m), STORE_DUPLICATE);
	/* Settled by its owner, never claimed. */
	n.shard = store_shard(s, n.id, n.id_len);
	settle(s, &n, STORE_LAPSED, NULL);
	settle(s, &n, STORE_LAPSED, NULL);
	/* What may have been written is not `lapsed`. */
	assert_int_equal(claim(s, &u), STORE_GO);
	assert_int_equal(uncertain(s, &u), STORE_GO);
	u.expires_ms = clock_wall_ms() - 1;
	assert_int_equal(claim(s, &u), STORE_IS_FAILED);
	assert_string_equal(state_of(s, "l-3"), "failed");
	assert_int_equal(counted(NULL, "accepted"), 3);
	assert_int_equal(counted(NULL, "lapsed"), 2);
	assert_int_equal(counted(NULL, "failed"), 1);
	assert_int_equal(counted_ends(), 3);
	store_free(s);
	return 0;
}

static void test_store_claim_too_late_is_lapsed(void **state)
{
	(void)state;
	run(lapsed_body);
}

static int parts_body(void *arg)
{
	struct store *s = ready_store("a", 1), *b = ready_store("a", 2);
	struct store_message m = message("p-3", 7), n = message("p-3", 7);
	struct store_outcome o = outcome(STORE_PART, 0, "part-2"), all = outcome(STORE_SETTLE, STORE_SENT, "part-1");
	struct store_claim c;
	char *json = NULL;

	(void)arg;
	m.parts = n.parts = 3;
	assert_int_equal(claim(s, &m), STORE_GO);
	o.part = 2;
	assert_int_equal(store_outcome(s, &m, &o, NULL), 0);
	assert_int_equal(store_outcome(s, &m, &o, NULL), 0);
	assert_string_equal(state_of(s, "p-3"), "sending");
	assert_true(exists("sms:{*}:x:acme:part-2"));
	c = claim_for(b, &n, 1000);
	assert_int_equal(c.answer, STORE_GO);
	assert_int_equal(c.accepted_parts, 1 << 1);
	/* The lost owner had sent the third, too; and the second again by us would be one too many. */
	o.part = 3;
	o.ids[0].s = "part-3";
	assert_int_equal(store_outcome(s, &m, &o, NULL), 0);
	o.part = 2;
	o.ids[0].s = "part-x";
	assert_int_equal(store_outcome(b, &n, &o, NULL), 0);
	all.n_ids = 3;
	all.ids[1] = all.ids[2] = (struct store_provider_id){ "", 0 };
	assert_int_equal(store_outcome(b, &n, &all, NULL), 0);
	assert_int_equal(store_show(s, "p-3", 3, &json), 0);
	assert_non_null(strstr(json, "\"provider_ids\":[\"part-1\",\"part-2\",\"part-3\"]"));
	mem_free(json);
	assert_int_equal(counted("acme", "sent"), 1);
	assert_int_equal(counted_ends(), 1);
	store_free(s);
	store_free(b);
	return 0;
}

static void test_store_part_is_written_when_accepted(void **state)
{
	(void)state;
	run(parts_body);
}

static char *put_falses(char *p, int n)
{
	while (n-- > 0)
		p = msgpack_put_false(p);
	return p;
}

/* A record that was never claimed: the API's, or a cancel's tombstone. */
static void put_unclaimed(const struct store *s, const char *id, enum store_state state)
{
	char bytes[256], key[160], *p = msgpack_put_array(bytes, 17);

	p = msgpack_put_uint(p, state);
	p = put_falses(msgpack_put_uint(msgpack_put_uint(msgpack_put_uint(p, 0), 0), 0), 3);
	p = msgpack_put_uint(msgpack_put_uint(msgpack_put_uint(p, 0), 0), (uint64_t)clock_wall_ms() - 50);
	p = msgpack_put_str(msgpack_put_str(msgpack_put_false(p), "spring", 6), "49", 2);
	p = put_falses(msgpack_put_uint(p, 1), 3);
	record_key(s, id, key);
	freeReplyObject(look("SET %s %b", key, bytes, (size_t)(p - bytes)));
}

static int unclaimed_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m = message("q-1", 7), n = message("q-2", 8), other = message("q-2", 9);

	(void)arg;
	put_unclaimed(s, "q-1", STORE_QUEUED);
	put_unclaimed(s, "q-2", STORE_CANCELLED);
	assert_int_equal(claim(s, &m), STORE_GO);
	assert_int_equal(counted("", "accepted"), 1);
	settle(s, &m, STORE_SENT, "p");
	assert_int_equal(claim(s, &n), STORE_IS_CANCELLED);
	assert_int_equal(claim(s, &n), STORE_IS_CANCELLED);
	assert_int_equal(claim(s, &other), STORE_DUPLICATE);
	assert_int_equal(counted("", "accepted"), 2);
	assert_int_equal(counted(NULL, "cancelled"), 1);
	assert_int_equal(counted_ends(), 2);
	store_free(s);
	return 0;
}

static void test_store_claim_of_queued_goes_of_cancelled_not(void **state)
{
	(void)state;
	run(unclaimed_body);
}

static int bad_body(void *arg)
{
	struct store *s = ready_store("a", 1);
	struct store_message m[6];
	static const char *const ids[] = { "b-0", "b-1", "b-2", "b-3", "b-4", "b-5" };
	char key[160];
	redisReply *r;

	(void)arg;
	for (int i = 0; i < 6; i++)
		m[i] = message(ids[i], i);
	record_key(s, "b-1", key);
	freeReplyObject(look("SET %s garbage", key));
	record_key(s, "b-2", key);
	freeReplyObject(look("LPUSH %s x", key));
	record_key(s, "b-3", key);
	freeReplyObject(look("SET %s %b", key, "\x91\xa1z", (size_t)3));
	assert_int_equal(claim(s, &m[0]), STORE_GO);
	assert_int_equal(claim(s, &m[1]), STORE_BAD_RECORD);
	assert_int_equal(claim(s, &m[2]), STORE_BAD_RECORD);
	assert_int_equal(claim(s, &m[3]), STORE_BAD_RECORD);
	assert_int_equal(counted(NULL, "accepted"), 1);
	/* An outcome for a record that went bad is left: nothing is written over it. */
	record_key(s, "b-0", key);
	freeReplyObject(look("SET %s garbage", key));
	settle(s, &m[0], STORE_SENT, "p");
	r = look("GET %s", key);
	assert_string_equal(r->str, "garbage");
	freeReplyObject(r);
	/* Counters of a wrong type: the message gets an error, and no record. */
	m[4].shard = store_shard(s, "b-4", 3);
	m[4].last.claimed_ms = clock_wall_ms();
	freeReplyObject(look("SET sms:{%d}:r:%lld x", m[4].shard, (long long)(clock_wall_ms() / 60000)));
	freeReplyObject(look("SET sms:{%d}:r:%lld x", m[4].shard, (long long)(clock_wall_ms() / 60000 + 1)));
	assert_int_equal(claim(s, &m[4]), STORE_BAD_RECORD);
	assert_string_equal(state_of(s, "b-4"), "");
	tell("FLUSHALL");
	store_free(s);
	return 0;
}

static void test_store_bad_record_is_its_own_error(void **state)
{
	(void)state;
	run(bad_body);
}

/* A record that an owner of an earlier minute left: its counters are that minute's. */
static int cohort_body(void *arg)
{
	struct store *s = ready_store("a", 2);
	struct store_message m = message("c-1", 7), n = message("c-1", 7);
	char field[64];
	int64_t minute = clock_wall_ms() / 60000 - 5;
	redisReply *r;

	(void)arg;
	m.accepted_ms = minute * 60000;
	m.shard = store_shard(s, m.id, m.id_len);
	m.last = (struct store_claimed){ .accepted_ms = minute * 60000, .claimed_ms = minute * 60000 + 1000, .claims = 1 };
	s->o.incarnation = 1;
	assert_int_equal(claim(s, &m), STORE_GO);
	s->o.incarnation = 2;
	assert_int_equal(claim(s, &n), STORE_GO);
	assert_int_equal(n.last.claimed_ms, minute * 60000 + 1000);
	n.last.claimed_ms += 120000;    /* as if forgotten */
	n.last.sending_len = 0;
	settle(s, &n, STORE_REFUSED, NULL);
	snprintf(field, sizeof field, "sms:{%u}:r:%lld", m.shard, (long long)minute);
	r = look("HVALS %s", field);
	assert_int_equal(r->elements, 3);
	for (size_t i = 0; i < r->elements; i++)
		assert_string_equal(r->element[i]->str, "1");
	freeReplyObject(r);
	r = look("TTL %s", field);
	assert_in_range(r->integer, 3023000, 3024000);
	freeReplyObject(r);
	assert_int_equal(counted(NULL, "accepted"), 1);
	assert_int_equal(counted(NULL, "uncertain"), 1);
	assert_int_equal(counted(NULL, "refused"), 1);
	store_free(s);
	return 0;
}

static void test_store_counts_go_to_the_cohort_of_the_first_claim(void **state)
{
	(void)state;
	run(cohort_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_claim_of_nothing_goes_and_counts_once),
		STORE_TEST(test_store_claim_of_a_known_id_is_a_duplicate),
		STORE_TEST(test_store_claim_of_a_living_owners_is_busy),
		STORE_TEST(test_store_claim_of_a_dead_process_is_taken_over_at_once),
		STORE_TEST(test_store_outcome_of_an_older_token_is_kept),
		STORE_TEST(test_store_claim_past_its_lease_waits_for_a_settled_server),
		STORE_TEST(test_store_takeover_asks_the_policy),
		STORE_TEST(test_store_uncertain_asks_the_policy_once),
		STORE_TEST(test_store_release_queues_and_keeps_the_cohort),
		STORE_TEST(test_store_claim_too_late_is_lapsed),
		STORE_TEST(test_store_part_is_written_when_accepted),
		STORE_TEST(test_store_claim_of_queued_goes_of_cancelled_not),
		STORE_TEST(test_store_bad_record_is_its_own_error),
		STORE_TEST(test_store_counts_go_to_the_cohort_of_the_first_claim),
	};
	int rc;

	if (!redis_server_installed()) {
		printf("SKIPPED test_store: no redis-server installed\n");
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_end(&server);
	return rc;
}
