/*
 * job.h: one message on its way, from its Kafka record to its settled state. One heap block: the struct and every string it points
 * to. Made by consumer/record.c, owned by the worker's dispatch from dispatch_submit() to the settled callback.
 */
#ifndef DISPATCH_JOB_H
#define DISPATCH_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/store.h"

struct provider;
struct intake_partition;

/* Limits of the job record (the table in README.md of consumer/). */
enum { JOB_ID_MAX = 128, JOB_CAMPAIGN_MAX = 64, JOB_META_MAX = 1024, JOB_PARTS_MAX = STORE_PARTS_MAX };

struct job {
	struct store_message msg;               /* id, campaign, position, times, policy */
	const char *to, *text, *from, *provider, *meta;        /* NUL-terminated; from, provider, meta: NULL where absent */
	uint16_t to_len, from_len, provider_len, meta_len;
	uint32_t text_len;
	struct intake_partition *source;        /* whose offset it is; opaque here */
	uint64_t ticket;                        /* which of that partition's offsets; the source's own */
	struct send *send;                      /* dispatch's own state of it, NULL outside */
};

/* The last three digits of a number, the rest masked: the only form in which one is ever logged. `ret` holds 24 bytes. */
const char *job_mask_number(const char *number, char ret[24]);

void job_free(struct job *job);                 /* takes NULL */

#endif
