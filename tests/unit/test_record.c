/* Every rule of the job table and every reject of consumer/record.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/record.h"
#include "dispatch/job.h"
#include "metrics/shard.h"

enum { NOW_MS = 1700000000 };
static const int64_t now_ms = (int64_t)NOW_MS * 1000;

static const struct record_options options = { .default_ttl_s = 3600, .on_uncertain = STORE_RESEND, .shards = 16 };

static struct record_position position(void)
{
	return (struct record_position){ .topic = "sms.outbound", .partition = 3, .offset = 42, .epoch = 7, .timestamp_ms = now_ms - 5000 };
}

static struct job *parse(const char *json)
{
	struct record_position at = position();
	struct record_fault fault = { .text = "" };
	struct job *job = NULL;

	if (record_parse(&options, &at, json, strlen(json), now_ms, &job, &fault) < 0)
		fail_msg("%s: %s", json, fault.text);
	return job;
}

static void rejects_bytes(enum record_reject why, const void *value, size_t len)
{
	struct record_position at = position();
	struct record_fault fault = { .text = "" };
	struct job *job = NULL;

	assert_int_equal(record_parse(&options, &at, value, len, now_ms, &job, &fault), -EBADMSG);
	assert_null(job);
	assert_string_equal(record_reject_name(fault.reject), record_reject_name(why));
	assert_true(strlen(fault.text) > 5);
	assert_null(strstr(fault.text, "+4917"));
	assert_null(strstr(fault.text, "secret"));
}

static void rejects(enum record_reject why, const char *json)
{
	rejects_bytes(why, json, strlen(json));
}

/* The members of a good record, with `extra` behind them. */
static const char *with(const char *extra)
{
	static char json[4096];

	snprintf(json, sizeof json, "{\"id\":\"m1\",\"to\":\"+491701234567\",\"text\":\"secret\"%s}", extra);
	return json;
}

static void rejects_with(enum record_reject why, const char *extra)
{
	rejects(why, with(extra));
}

static void accepts_with(const char *extra)
{
	job_free(parse(with(extra)));
}

static void test_record_minimal(void **state)
{
	struct job *job = parse("{\"id\":\"m1\",\"to\":\"+491701234567\",\"text\":\"hello\"}");

	(void)state;
	assert_string_equal(job->msg.id, "m1");
	assert_int_equal(job->msg.id_len, 2);
	assert_string_equal(job->to, "+491701234567");
	assert_int_equal(job->to_len, 13);
	assert_string_equal(job->text, "hello");
	assert_int_equal(job->text_len, 5);
	assert_null(job->from);
	assert_null(job->provider);
	assert_null(job->meta);
	assert_string_equal(job->msg.campaign, "default");
	assert_int_equal(job->msg.campaign_len, 7);
	assert_string_equal(job->msg.country, "49");
	assert_string_equal(job->msg.topic, "sms.outbound");
	assert_int_equal(job->msg.topic_len, 12);
	assert_int_equal(job->msg.partition, 3);
	assert_int_equal(job->msg.offset, 42);
	assert_int_equal(job->msg.epoch, 7);
	assert_int_equal(job->msg.parts, 1);
	assert_int_equal(job->msg.shard, shard_of("m1", 2, 16));
	assert_int_equal(job->msg.on_uncertain, STORE_RESEND);
	assert_int_equal(job->msg.accepted_ms, now_ms - 5000);
	assert_int_equal(job->msg.expires_ms, now_ms - 5000 + 3600000);
	assert_null(job->source);
	job_free(job);
}

static void test_record_full(void **state)
{
	struct job *job = parse("{\"meta\" : { \"a\" : [1.10, \"}\\\"{\"] } , \"id\":\"x\",\"to\":\"+15551234567\",\"text\":\"caf\\u00e9\","
				"\"from\":\"ACME\",\"campaign\":\"otp:a.b_c-1\",\"provider\":\"acme\",\"ttl_s\":60,\"on_uncertain\":\"hold\","
				"\"unknown\":{\"kept\":true}}");

	(void)state;
	assert_string_equal(job->text, "caf\xc3\xa9");
	assert_string_equal(job->from, "ACME");
	assert_int_equal(job->from_len, 4);
	assert_string_equal(job->msg.campaign, "otp:a.b_c-1");
	assert_string_equal(job->provider, "acme");
	assert_int_equal(job->provider_len, 4);
	assert_string_equal(job->meta, "{ \"a\" : [1.10, \"}\\\"{\"] }");
	assert_int_equal(job->meta_len, strlen(job->meta));
	assert_string_equal(job->msg.country, "1");
	assert_int_equal(job->msg.on_uncertain, STORE_HOLD);
	assert_int_equal(job->msg.expires_ms, now_ms - 5000 + 60000);
	job_free(job);
}

static void test_record_meta_untouched_wherever_it_stands(void **state)
{
	struct job *job = parse(with(",\"m\\u0065ta\":\t{\"k\":\"v , }\"}\n"));

	(void)state;
	assert_string_equal(job->meta, "{\"k\":\"v , }\"}");
	job_free(job);
	job = parse("{\"x\":[1,{\"meta\":{\"no\":1}}],\"y\":\"\\\\\",\"id\":\"m\",\"meta\":{},\"to\":\"+491701234567\",\"text\":\"\"}");
	assert_string_equal(job->meta, "{}");
	job_free(job);
}

static void test_record_no_value(void **state)
{
	(void)state;
	rejects_bytes(RECORD_TOMBSTONE, NULL, 0);
	rejects(RECORD_EMPTY, "");
}

static void test_record_size(void **state)
{
	static char json[RECORD_SIZE_MAX + 2];
	const char *head = "{\"id\":\"m1\",\"to\":\"+491701234567\",\"text\":\"hi\",\"pad\":\"";
	struct record_position at = position();
	struct record_fault fault;
	struct job *job = NULL;

	(void)state;
	memset(json, 'x', sizeof json);
	memcpy(json, head, strlen(head));
	memcpy(json + RECORD_SIZE_MAX - 2, "\"}", 2);
	assert_int_equal(record_parse(&options, &at, json, RECORD_SIZE_MAX, now_ms, &job, &fault), 0);
	job_free(job);
	json[RECORD_SIZE_MAX - 2] = 'x';
	memcpy(json + RECORD_SIZE_MAX - 1, "\"}", 2);
	rejects_bytes(RECORD_TOO_LARGE, json, RECORD_SIZE_MAX + 1);
}

static void nested(char *json, unsigned depth)
{
	char extra[512] = ",\"x\":";

	for (unsigned i = 1; i < depth; i++)
		strcat(extra, "[");
	strcat(extra, "\"[[[[[[[[[[[[[[[[[[[\\\"{\"");
	for (unsigned i = 1; i < depth; i++)
		strcat(extra, "]");
	strcpy(json, with(extra));
}

static void test_record_depth(void **state)
{
	static char json[60001];
	char small[1024];

	(void)state;
	nested(small, RECORD_DEPTH_MAX);
	job_free(parse(small));
	nested(small, RECORD_DEPTH_MAX + 1);
	rejects(RECORD_TOO_DEEP, small);
	nested(small, 100);
	rejects(RECORD_TOO_DEEP, small);
	memset(json, '[', sizeof json - 1);
	rejects(RECORD_TOO_DEEP, json);
	accepts_with(",\"a\":[],\"b\":[],\"c\":[],\"d\":[],\"e\":[],\"f\":[],\"g\":[],\"h\":[],\"i\":[{},{},{},{},{},{},{},{},{},{}]");
}

static void test_record_utf8(void **state)
{
	(void)state;
	rejects_with(RECORD_NOT_UTF8, ",\"x\":\"\xff\"");
	rejects_with(RECORD_NOT_UTF8, ",\"x\":\"\xc0\xaf\"");         /* overlong */
	rejects_with(RECORD_NOT_UTF8, ",\"x\":\"\xed\xa0\x80\"");     /* a surrogate */
	rejects_with(RECORD_NOT_UTF8, ",\"x\":\"\xf4\x90\x80\x80\""); /* beyond U+10FFFF */
	rejects_with(RECORD_NOT_UTF8, ",\"x\":\"\xe2\x82\"");         /* cut short */
	rejects(RECORD_NOT_UTF8, "\xff\xfe");
	accepts_with(",\"x\":\"\xf0\x9f\x98\x80 \xc3\xa9\"");
}

static void test_record_json(void **state)
{
	/* Found by fuzzing: it went through and cut `meta` short. */
	static const char nul[] = "{\"id\":\"m1\",\"to\":\"+491701234567\",\"text\":\"hi\",\"meta\":{\"a\":[1.1\0,2]}}";

	(void)state;
	rejects_bytes(RECORD_BAD_JSON, nul, sizeof nul - 1);
	rejects(RECORD_BAD_JSON, "secret +4917");
	rejects(RECORD_BAD_JSON, "{\"id\":\"m1\"");
	rejects(RECORD_BAD_JSON, "{\"id\":\"secret},");
	rejects(RECORD_BAD_JSON, "{} secret");
	rejects(RECORD_BAD_JSON, "{'id':1}");
	rejects(RECORD_BAD_JSON, "42");
	rejects_with(RECORD_BAD_JSON, ",\"x\":\"\\u0000\"");
	rejects_with(RECORD_BAD_JSON, ",\"x\":\"\\ud800\"");
	rejects_with(RECORD_BAD_JSON, ",\"x\\u0000\":1");
	rejects_with(RECORD_BAD_JSON, ",\"x\":99999999999999999999");
	rejects_with(RECORD_BAD_JSON, ",");
	rejects_bytes(RECORD_BAD_JSON, "{}\0", 3);
	rejects(RECORD_NOT_OBJECT, "[]");
}

static void test_record_duplicate_keys(void **state)
{
	(void)state;
	rejects_with(RECORD_DUPLICATE_KEY, ",\"id\":\"m1\"");
	rejects_with(RECORD_DUPLICATE_KEY, ",\"x\":{\"a\":1,\"a\":2}");
	rejects_with(RECORD_DUPLICATE_KEY, ",\"i\\u0064\":\"m2\"");
}

static void test_record_id(void **state)
{
	char json[512], id[130];

	(void)state;
	memset(id, 'i', sizeof id - 1);
	id[129] = '\0';
	snprintf(json, sizeof json, "{\"id\":\"%s\",\"to\":\"+491701234567\",\"text\":\"\"}", id);
	rejects(RECORD_BAD_ID, json);
	id[128] = '\0';
	snprintf(json, sizeof json, "{\"id\":\"%s\",\"to\":\"+491701234567\",\"text\":\"\"}", id);
	job_free(parse(json));
	rejects(RECORD_MISSING_ID, "{\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":\"\",\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":\"a b\",\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":\"a\\u007f\",\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":\"\xc3\xa9\",\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":7,\"to\":\"+491701234567\",\"text\":\"\"}");
	rejects(RECORD_BAD_ID, "{\"id\":null,\"to\":\"+491701234567\",\"text\":\"\"}");
}

static void test_record_to(void **state)
{
	static const char *const bad[] = { "491701234567", "+123456", "+1234567890123456", "+49170x23456", "", "+", "+49 170 123456" };
	static const char *const good[] = { "+1234567", "+123456789012345" };
	char json[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(json, sizeof json, "{\"id\":\"m\",\"to\":\"%s\",\"text\":\"\"}", bad[i]);
		rejects(RECORD_BAD_TO, json);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(json, sizeof json, "{\"id\":\"m\",\"to\":\"%s\",\"text\":\"\"}", good[i]);
		job_free(parse(json));
	}
	rejects(RECORD_MISSING_TO, "{\"id\":\"m\",\"text\":\"\"}");
	rejects(RECORD_BAD_TO, "{\"id\":\"m\",\"to\":491701234567,\"text\":\"\"}");
}

static void test_record_text(void **state)
{
	char json[2048], text[1600];

	(void)state;
	rejects(RECORD_MISSING_TEXT, "{\"id\":\"m\",\"to\":\"+491701234567\"}");
	rejects(RECORD_BAD_TEXT, "{\"id\":\"m\",\"to\":\"+491701234567\",\"text\":{}}");
	memset(text, 'a', sizeof text);
	text[1530] = '\0';              /* 10 parts of 153 septets */
	snprintf(json, sizeof json, "{\"id\":\"m\",\"to\":\"+491701234567\",\"text\":\"%s\"}", text);
	{
		struct job *job = parse(json);

		assert_int_equal(job->msg.parts, 10);
		job_free(job);
	}
	text[1530] = 'a';
	text[1531] = '\0';
	snprintf(json, sizeof json, "{\"id\":\"m\",\"to\":\"+491701234567\",\"text\":\"%s\"}", text);
	rejects(RECORD_TOO_MANY_PARTS, json);
}

static void test_record_from(void **state)
{
	(void)state;
	accepts_with(",\"from\":\"+491701234567\"");
	accepts_with(",\"from\":\"12345\"");
	accepts_with(",\"from\":\"Abcdefghij1\"");
	rejects_with(RECORD_BAD_FROM, ",\"from\":\"Abcdefghij12\"");
	rejects_with(RECORD_BAD_FROM, ",\"from\":\"AC ME\"");
	rejects_with(RECORD_BAD_FROM, ",\"from\":\"\"");
	rejects_with(RECORD_BAD_FROM, ",\"from\":\"+12\"");
	rejects_with(RECORD_BAD_FROM, ",\"from\":12345");
	rejects_with(RECORD_BAD_FROM, ",\"from\":null");
}

static void test_record_campaign(void **state)
{
	char extra[128] = ",\"campaign\":\"";

	(void)state;
	memset(extra + 13, 'c', 64);
	strcpy(extra + 13 + 64, "\"");
	accepts_with(extra);
	strcpy(extra + 13 + 64, "c\"");
	rejects_with(RECORD_BAD_CAMPAIGN, extra);
	rejects_with(RECORD_BAD_CAMPAIGN, ",\"campaign\":\"\"");
	rejects_with(RECORD_BAD_CAMPAIGN, ",\"campaign\":\"a|b\"");
	rejects_with(RECORD_BAD_CAMPAIGN, ",\"campaign\":[]");
	rejects_with(RECORD_BAD_PROVIDER, ",\"provider\":7");
}

static void expires(const char *extra, int64_t expected_ms)
{
	struct job *job = parse(with(extra));

	assert_int_equal(job->msg.expires_ms, expected_ms);
	job_free(job);
}

static void test_record_times(void **state)
{
	(void)state;
	expires(",\"expires_at\":1700000000500", 1700000000500);
	expires(",\"expires_at\":1", 1);
	expires(",\"ttl_s\":0", now_ms - 5000);
	expires(",\"ttl_s\":10,\"expires_at\":1700000099999", now_ms + 5000);
	expires(",\"ttl_s\":1000,\"expires_at\":1700000000001", 1700000000001);
	expires(",\"ttl_s\":9223372036854775807", INT64_MAX);
	rejects_with(RECORD_BAD_TTL_S, ",\"ttl_s\":-1");
	rejects_with(RECORD_BAD_TTL_S, ",\"ttl_s\":1.5");
	rejects_with(RECORD_BAD_TTL_S, ",\"ttl_s\":\"60\"");
	rejects_with(RECORD_BAD_EXPIRES_AT, ",\"expires_at\":-1");
	rejects_with(RECORD_BAD_EXPIRES_AT, ",\"expires_at\":1e12");
	rejects_with(RECORD_BAD_EXPIRES_AT, ",\"expires_at\":true");
}

static void test_record_accepted_is_never_ahead(void **state)
{
	struct record_position at = position();
	struct record_fault fault;
	struct job *job = NULL;
	const char *json = with("");

	(void)state;
	at.timestamp_ms = now_ms + 60000;
	assert_int_equal(record_parse(&options, &at, json, strlen(json), now_ms, &job, &fault), 0);
	assert_int_equal(job->msg.accepted_ms, now_ms);
	assert_int_equal(job->msg.expires_ms, now_ms + 60000 + 3600000);
	job_free(job);
	at.timestamp_ms = -1;
	assert_int_equal(record_parse(&options, &at, json, strlen(json), now_ms, &job, &fault), 0);
	assert_int_equal(job->msg.accepted_ms, now_ms);
	assert_int_equal(job->msg.expires_ms, now_ms + 3600000);
	job_free(job);
}

static void test_record_too_old(void **state)
{
	struct record_options o = options;
	struct record_position at = position();
	struct record_fault fault;
	struct job *job = NULL;
	const char *json = with("");

	(void)state;
	o.max_age_ms = 5000;
	assert_int_equal(record_parse(&o, &at, json, strlen(json), now_ms, &job, &fault), 0);
	job_free(job);
	at.timestamp_ms--;
	assert_int_equal(record_parse(&o, &at, json, strlen(json), now_ms, &job, &fault), -EBADMSG);
	assert_int_equal(fault.reject, RECORD_TOO_OLD);
}

static void test_record_policy_and_meta(void **state)
{
	char extra[1200] = ",\"meta\":{\"a\":\"";
	size_t head = strlen(extra);

	(void)state;
	accepts_with(",\"on_uncertain\":\"resend\"");
	accepts_with(",\"on_uncertain\":\"fail\"");
	rejects_with(RECORD_BAD_ON_UNCERTAIN, ",\"on_uncertain\":\"Hold\"");
	rejects_with(RECORD_BAD_ON_UNCERTAIN, ",\"on_uncertain\":1");
	rejects_with(RECORD_BAD_META, ",\"meta\":\"x\"");
	rejects_with(RECORD_BAD_META, ",\"meta\":[]");
	memset(extra + head, 'm', 1024 - 8);
	strcpy(extra + head + 1024 - 8, "\"}");
	accepts_with(extra);
	strcpy(extra + head + 1024 - 8, "m\"}");
	rejects_with(RECORD_BAD_META, extra);
}

static void test_record_names_are_all_different(void **state)
{
	(void)state;
	for (int a = RECORD_TOMBSTONE; a <= RECORD_TOO_OLD; a++)
		for (int b = RECORD_TOMBSTONE; b < a; b++)
			assert_string_not_equal(record_reject_name((enum record_reject)a), record_reject_name((enum record_reject)b));
}

static void test_record_masks_numbers(void **state)
{
	char masked[24];

	(void)state;
	assert_string_equal(job_mask_number("+491701234567", masked), "**********567");
	assert_string_equal(job_mask_number("567", masked), "***");
	assert_string_equal(job_mask_number("", masked), "");
	assert_int_equal(strlen(job_mask_number("+4917012345671234567890123456789", masked)), 23);
	job_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_minimal),
		cmocka_unit_test(test_record_full),
		cmocka_unit_test(test_record_meta_untouched_wherever_it_stands),
		cmocka_unit_test(test_record_no_value),
		cmocka_unit_test(test_record_size),
		cmocka_unit_test(test_record_depth),
		cmocka_unit_test(test_record_utf8),
		cmocka_unit_test(test_record_json),
		cmocka_unit_test(test_record_duplicate_keys),
		cmocka_unit_test(test_record_id),
		cmocka_unit_test(test_record_to),
		cmocka_unit_test(test_record_text),
		cmocka_unit_test(test_record_from),
		cmocka_unit_test(test_record_campaign),
		cmocka_unit_test(test_record_times),
		cmocka_unit_test(test_record_accepted_is_never_ahead),
		cmocka_unit_test(test_record_too_old),
		cmocka_unit_test(test_record_policy_and_meta),
		cmocka_unit_test(test_record_names_are_all_different),
		cmocka_unit_test(test_record_masks_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
