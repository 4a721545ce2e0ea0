/*
 * fuzz_record.c: records of any bytes. The parser stays within them, a reject has words without the record's own, and a job keeps every
 * rule of the job table. Built with -DFUZZ_MAIN it runs over the files it is given, for compilers without libFuzzer.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/record.h"
#include "daemon/base/check.h"
#include "dispatch/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void check_string(const char *s, size_t len)
{
	CHECK(strlen(s) == len);
}

static void check_job(const struct job *job, const char *value, size_t size)
{
	check_string(job->msg.id, job->msg.id_len);
	CHECK(job->msg.id_len >= 1 && job->msg.id_len <= JOB_ID_MAX);
	for (size_t i = 0; i < job->msg.id_len; i++)
		CHECK(job->msg.id[i] > ' ' && job->msg.id[i] < 0x7f);
	check_string(job->to, job->to_len);
	CHECK(job->to[0] == '+' && strspn(job->to + 1, "0123456789") == job->to_len - 1u && job->to_len >= 8 && job->to_len <= 16);
	check_string(job->text, job->text_len);
	check_string(job->msg.campaign, job->msg.campaign_len);
	CHECK(job->msg.campaign_len >= 1 && job->msg.campaign_len <= JOB_CAMPAIGN_MAX);
	CHECK(job->msg.parts >= 1 && job->msg.parts <= JOB_PARTS_MAX && job->msg.shard < 16);
	CHECK(job->msg.accepted_ms <= 2000000 && job->msg.expires_ms >= 0);
	if (job->from != NULL)
		check_string(job->from, job->from_len);
	if (job->provider != NULL)
		check_string(job->provider, job->provider_len);
	if (job->meta != NULL) {
		check_string(job->meta, job->meta_len);
		CHECK(job->meta_len >= 2 && job->meta_len <= JOB_META_MAX && job->meta[0] == '{' && job->meta[job->meta_len - 1] == '}');
		CHECK(memmem(value, size, job->meta, job->meta_len) != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct record_options options = { .default_ttl_s = 3600, .on_uncertain = STORE_HOLD, .shards = 16 };
	struct record_position at = { .topic = "jobs", .partition = 1, .offset = 2, .epoch = 3, .timestamp_ms = 1000000 };
	struct record_fault fault = { .text = "" };
	struct job *job = NULL;
	char *value = malloc(size > 0 ? size : 1);      /* of exactly the record's size, so that a step beyond is seen */
	int rc;

	CHECK(value != NULL);
	memcpy(value, input, size);
	rc = record_parse(&options, &at, value, size, 2000000, &job, &fault);
	CHECK(rc == 0 || rc == -EBADMSG);
	if (rc == 0) {
		check_job(job, value, size);
	} else {
		CHECK(job == NULL && fault.text[0] != '\0');
		check_string(record_reject_name(fault.reject), strlen(record_reject_name(fault.reject)));
	}
	job_free(job);
	free(value);
	return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		size_t n;

		CHECK(f != NULL, "%s", argv[i]);
		n = fread(bytes, 1, sizeof bytes, f);
		fclose(f);
		LLVMFuzzerTestOneInput(bytes, n);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
#endif
