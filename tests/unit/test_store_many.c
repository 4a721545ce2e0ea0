/* Unit tests of metrics/store on a real redis-server: many messages at once, what they cost in scripts and in bytes. */
#include "tests/unit/store_fixture.h"

enum { MANY = 2000 };
static struct store *shared;
static char many_ids[MANY][40];
static struct store_message many[MANY];

static int many_task(void *arg)
{
	struct store_message *m = arg;
	char pid[20];

	snprintf(pid, sizeof pid, "%016llx", (unsigned long long)m->offset * 2654435761u);
	assert_int_equal(claim(shared, m), STORE_GO);
	settle(shared, m, STORE_SENT, pid);
	return 0;
}

static long long memory_of(const char *pattern)
{
	redisReply *keys = look("KEYS %s", pattern);
	long long n = 0;

	for (size_t i = 0; i < keys->elements; i++) {
		redisReply *r = look("MEMORY USAGE %s", keys->element[i]->str);

		n += r->integer;
		freeReplyObject(r);
	}
	freeReplyObject(keys);
	return n;
}

static int many_body(void *arg)
{
	struct co_future *tasks[64];
	struct store_counters counters;
	long long bytes;

	(void)arg;
	shared = ready_store("smstrackd-1", 1);
	for (int i = 0; i < MANY; i += 50) {
		for (int k = 0; k < 50; k++) {
			snprintf(many_ids[i + k], sizeof many_ids[0], "%08x-0000-4000-8000-%012x", i + k, (i + k) * 7919);
			many[i + k] = message(many_ids[i + k], 1000000 + i + k);
			tasks[k] = co_task_new_static(many_task, &many[i + k], "one of many");
			assert_non_null(tasks[k]);
		}
		for (int k = 0; k < 50; k++) {
			assert_int_equal(co_await(tasks[k]), 0);
			co_unref(tasks[k]);
		}
	}
	store_counters(shared, &counters);
	assert_int_equal(counters.claims_total, MANY);
	assert_int_equal(counters.outcomes_total, MANY);
	assert_true(counters.scripts_total < MANY);
	assert_int_equal(counters.errors_total, 0);
	assert_int_equal(counters.pending, 0);
	assert_int_equal(counters.retained, 2 * MANY);
	assert_int_equal(counted("", "accepted"), MANY);
	assert_int_equal(counted("acme", "sent"), MANY);
	/* The design's bar is 400 bytes for a delivered message: its receipt still adds to this. */
	bytes = memory_of("sms:{*}:m:*") + memory_of("sms:{*}:x:*");
	print_message("%lld bytes a message, %llu scripts for %d messages\n", bytes / MANY, (unsigned long long)counters.scripts_total, MANY);
	assert_true(bytes / MANY <= 380);
	store_free(shared);
	return 0;
}

static void test_store_many_travel_together_in_400_bytes(void **state)
{
	(void)state;
	run(many_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_many_travel_together_in_400_bytes),
	};
	int rc;

	if (!redis_server_installed()) {
		printf("SKIPPED test_store_many: no redis-server installed\n");
		return 0;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_end(&server);
	return rc;
}
