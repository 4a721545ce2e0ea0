/* store_record.h: the delivery record's bytes: what this side proposes to the scripts, and a stored one as JSON. Pure. */
#ifndef METRICS_STORE_RECORD_H
#define METRICS_STORE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct buf;
struct store_message;
struct store_options;
struct store_outcome;

/* Elements of the record, from 1; README.md has them for others. */
enum { STORE_RECORD_SENT_ELEMENTS = 17, STORE_RECORD_END_ELEMENTS = 19, STORE_RECORD_SENDING_ELEMENTS = 21, STORE_LEASE_BYTES = 9 };

/* Room that a record of this message may take. */
size_t store_record_max(const struct store_options *o, const struct store_message *m, const struct store_outcome *outcome);

/* What a claim writes, without its lease, at `p`; returns the end. The token has `claims`. */
char *store_record_put_claim(char *p, const struct store_options *o, const struct store_message *m, uint16_t claims, uint8_t attempts,
			     uint8_t uncertain);
/* What an outcome proposes. *ret_token_len: the bytes up to the token's end, which a claim of the same token shares, save the state. */
char *store_record_put_outcome(char *p, const struct store_options *o, const struct store_message *m, const struct store_outcome *outcome,
			       size_t *ret_token_len);

/* A stored record as one JSON object. 0, -EBADMSG. */
int store_record_json(struct buf *out, const char *id, size_t id_len, const char *record, size_t len) MUST_CHECK;

#endif
