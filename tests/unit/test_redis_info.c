/* Unit tests of metrics/redis_info and redis_handshake, without a server. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/redis_handshake.h"

static void test_redis_info_reads_its_sections(void **state)
{
	static const char text[] = "# Server\r\nredis_version:7.2.11\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\nloading:1\r\n"
				   "role:slave\r\nmaster_link_status:down\r\nmaster_replid:fedc\r\naof_enabled:1\r\nmaxmemory_policy:noeviction";
	static const char cut[] = "role:master\nmaxmemory_policy:allkeys-lru\nrun_id";
	struct redis_info info = { 0 };

	(void)state;
	redis_info_parse(&info, text, sizeof text - 1);
	assert_int_equal(info.server.major, 7);
	assert_int_equal(info.server.minor, 2);
	assert_string_equal(info.server.run_id, "0123456789abcdef0123456789abcdef01234567");
	assert_string_equal(info.server.replication_id, "fedc");
	assert_true(info.loading && info.replica && info.link_down && info.server.aof && info.server.noeviction);
	redis_info_parse(&info, cut, sizeof cut - 1);
	assert_false(info.replica || info.server.noeviction);
}

static void test_redis_info_reasons_are_literal(void **state)
{
	static const struct {
		const char *error, *reason;
		bool refused;
	} cases[] = {
		{ "LOADING Redis is loading the dataset in memory", "redis: LOADING", false },
		{ "MASTERDOWN Link with MASTER is down", "redis: MASTERDOWN", false },
		{ "OOM command not allowed", "redis: OOM", false },
		{ "MISCONF Redis is configured to save RDB snapshots", "redis: MISCONF", false },
		{ "READONLY You can't write", "redis: READONLY", false },
		{ "NOREPLICAS Not enough good replicas", "redis: NOREPLICAS", false },
		{ "NOPERM this user has no permissions", "redis: NOPERM", true },
		{ "NOAUTH Authentication required.", "redis: NOAUTH", true },
		{ "ERR max number of clients reached", "redis: too many clients", false },
	};
	bool refused;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_string_equal(redis_info_reason(cases[i].error, &refused), cases[i].reason);
		assert_int_equal(refused, cases[i].refused);
	}
	assert_null(redis_info_reason("NOSCRIPT No matching script", &refused));
	assert_null(redis_info_reason("OOMPH", &refused));
	assert_string_equal(redis_info_connect_reason(ECONNREFUSED), "redis: connection refused");
	assert_string_equal(redis_info_connect_reason(0), "redis: connect failed");
}

/* ---- the handshake, its owner played by the test ---- */

static char said[2048];
static redis_client_reply_fn *answers[16];
static size_t n_said;
static const char *end_reason;
static bool end_refused;
static int ended;

static int take(void *arg, const char *resp, size_t len, redis_client_reply_fn *fn, void *fn_arg)
{
	(void)arg;
	(void)fn_arg;
	answers[n_said++] = fn;
	strncat(said, resp, len);
	return 0;
}

static void end(void *arg, const char *reason, bool refused)
{
	(void)arg;
	ended++;
	end_reason = reason;
	end_refused = refused;
}

static void shake(struct redis_handshake *h, const char *version_and_policy, const struct redis_value *probe)
{
	const struct redis_value ok = { .type = REDIS_VALUE_STATUS, .str = "OK", .len = 2 };
	const struct redis_value info = { .type = REDIS_VALUE_STRING, .str = version_and_policy, .len = strlen(version_and_policy) };

	said[0] = '\0';
	n_said = 0;
	ended = 0;
	*h = (struct redis_handshake){ .user = "u", .password = "p", .probe_key = "k", .db = 3, .send = take, .done = end };
	redis_handshake_start(h);
	assert_int_equal(n_said, 8);
	for (size_t i = 0; i < n_said; i++)
		answers[i](i < 2 ? &ok : i < 6 ? &info : i == 6 ? NULL : probe, h);
}

static void test_redis_handshake_ends_once_with_a_reason(void **state)
{
	const struct redis_value ok = { .type = REDIS_VALUE_STATUS, .str = "OK", .len = 2 };
	const struct redis_value no = { .type = REDIS_VALUE_ERROR, .str = "NOPERM no", .len = 9 };
	struct redis_handshake h;

	(void)state;
	shake(&h, "redis_version:7.0.15\nmaxmemory_policy:noeviction\n", &ok);
	assert_int_equal(ended, 1);
	assert_null(end_reason);
	assert_int_equal(h.info.server.fsync, REDIS_FSYNC_UNKNOWN);
	assert_ptr_equal(strstr(said, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$4\r\nINFO\r\n"), said);
	shake(&h, "redis_version:6.2.0\nmaxmemory_policy:noeviction\n", &ok);
	assert_string_equal(end_reason, "redis: version below 7");
	assert_true(end_refused);
	shake(&h, "redis_version:7.0.15\nmaxmemory_policy:allkeys-lfu\n", &ok);
	assert_string_equal(end_reason, "redis: maxmemory-policy is not noeviction");
	shake(&h, "redis_version:7.0.15\nmaxmemory_policy:noeviction\nloading:1\n", &ok);
	assert_string_equal(end_reason, "redis: LOADING");
	assert_false(end_refused);
	shake(&h, "redis_version:7.0.15\nmaxmemory_policy:noeviction\n", &no);
	assert_string_equal(end_reason, "redis: NOPERM");
	assert_int_equal(ended, 1);
	/* Lost on the way: its owner knows. */
	shake(&h, "redis_version:7.0.15\nmaxmemory_policy:noeviction\n", NULL);
	assert_int_equal(ended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redis_info_reads_its_sections),
		cmocka_unit_test(test_redis_info_reasons_are_literal),
		cmocka_unit_test(test_redis_handshake_ends_once_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
