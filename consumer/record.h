/*
 * record.h: the bytes of a Kafka record to a job, or the reason why not. The rules are the job table in README.md of this folder.
 * Pure: it takes the time and reads nothing else. Runs on the worker's thread, once a record.
 */
#ifndef CONSUMER_RECORD_H
#define CONSUMER_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"
#include "metrics/store.h"

struct job;

enum { RECORD_SIZE_MAX = 64 * 1024, RECORD_DEPTH_MAX = 16, RECORD_TEXT_MAX = 160 };

/* Why a record is no job. The words that record_reject_name() gives are public: they travel in dead letters. */
enum record_reject {
	RECORD_TOMBSTONE = 1, RECORD_EMPTY, RECORD_TOO_LARGE, RECORD_TOO_DEEP, RECORD_NOT_UTF8, RECORD_BAD_JSON,
	RECORD_DUPLICATE_KEY, RECORD_NOT_OBJECT, RECORD_MISSING_ID, RECORD_BAD_ID, RECORD_MISSING_TO, RECORD_BAD_TO,
	RECORD_MISSING_TEXT, RECORD_BAD_TEXT, RECORD_TOO_MANY_PARTS, RECORD_BAD_FROM, RECORD_BAD_CAMPAIGN, RECORD_BAD_PROVIDER,
	RECORD_BAD_EXPIRES_AT, RECORD_BAD_TTL_S, RECORD_BAD_ON_UNCERTAIN, RECORD_BAD_META, RECORD_TOO_OLD,
};
const char *record_reject_name(enum record_reject reject);      /* a literal: "bad_to" */

struct record_options {
	int64_t default_ttl_s;          /* of a job that names neither expires_at nor ttl_s */
	int64_t max_age_ms;             /* older ones are too_old: their dedupe is gone (redis.md); 0: no limit */
	enum store_policy on_uncertain; /* of a job that doesn't say */
	unsigned shards;
};

/* Where the record lies, and when Kafka says it was made. */
struct record_position {
	const char *topic;
	int32_t partition;
	int64_t offset;
	uint32_t epoch;                 /* of the assignment */
	int64_t timestamp_ms;           /* < 0: it has none */
};

struct record_fault {
	enum record_reject reject;
	char text[RECORD_TEXT_MAX];     /* what is wrong, where, what would be right; bears no number and no text of the record */
};

/*
 * Makes a job of one heap block (job_free). `value` NULL is a tombstone; it isn't kept. 0; -EBADMSG: a reject, *ret_fault says why;
 * -ENOMEM: try again.
 */
int record_parse(const struct record_options *options, const struct record_position *at, const void *value, size_t len, int64_t now_ms,
		 struct job **ret_job, struct record_fault *ret_fault) MUST_CHECK;

#endif
