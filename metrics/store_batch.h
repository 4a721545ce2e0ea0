/*
 * store_batch.h: script calls in the making: the messages of a turn, gathered as finished RESP, at most STORE_BATCH a call. What was
 * acknowledged stays as it is until the barrier, ready to be sent once more. Private to store*.c; on the store's thread.
 */
#ifndef METRICS_STORE_BATCH_H
#define METRICS_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/list.h"
#include "metrics/store.h"

struct store;
struct store_call;

enum batch_kind { BATCH_CLAIM = 1, BATCH_OUTCOME, BATCH_MAP };
enum { BATCH_KINDS = 4, BATCH_HEAD_MAX = 8 };

/* Every message of a batch: where its key and its arguments begin, and who waits for it (NULL: nobody). */
struct batch_entry {
	struct store_call *call;
	uint32_t key_at, args_at;
};

struct batch {
	struct list node;
	struct store *store;
	enum batch_kind kind;
	unsigned n, n_cohorts, n_labels, loads;
	unsigned n_repeats;             /* of n: what others wrote, found settled */
	int64_t boot_ms;                /* when the first message was added: leases count from no earlier */
	int64_t acked_us;               /* when Redis answered last */
	uint64_t ack;                   /* the store's count of answers then */
	struct buf keys, args, labels;
	struct {
		uint32_t minute;
		uint8_t shard;
	} cohorts[STORE_BATCH];
	uint32_t label_at[STORE_BATCH];
	struct batch_entry entries[STORE_BATCH];
};

/* What of a message goes into the call's tables; index bytes (from 1) are written into the head. */
struct batch_label {
	const char *provider, *campaign, *country;      /* provider NULL: claims, whose labels have none */
	size_t campaign_len;
	bool with_provider;
};

struct batch *batch_new(struct store *store, enum batch_kind kind);
void batch_free(struct batch *b);
void batch_reset(struct batch *b, enum batch_kind kind);

/* Index (from 1) of a cohort or label in this batch, added if it is new. */
uint8_t batch_cohort(struct batch *b, uint8_t shard, uint32_t minute);
uint8_t batch_label(struct batch *b, const struct batch_label *label);
/* Opens the next entry, with its key `sms:{shard}:m:<id>`; its arguments are then appended to b->args. */
void batch_add_record(struct batch *b, struct store_call *call, uint8_t shard, const char *id, size_t id_len);
/* The same of a mapping `sms:{shard}:x:<provider>:<pid>`, whose argument is our id. */
void batch_add_map(struct batch *b, struct store_call *call, uint8_t shard, const char *provider, const char *pid, size_t pid_len,
		   const char *id, size_t id_len);
/* An entry of another outcome batch once more, for another minute's cohort. */
void batch_add_again(struct batch *b, struct store_call *call, const struct batch *from, unsigned i, uint32_t minute);
/* A settled record as the claim `i` of `from` found it, to be written again as an outcome of its own cohort and label. */
void batch_add_repeat(struct batch *b, struct store_call *call, const struct batch *from, unsigned i, uint32_t minute,
		      const struct batch_label *label, const char *record, size_t len);
/* The id within an entry's key. */
const char *batch_id(const struct batch *b, unsigned i, size_t *ret_len);

/* The whole command into `out`: EVALSHA with the constant arguments given as finished bulk strings. */
struct batch_constants {
	const char *sha;                /* 40 hex digits */
	const char *args;               /* bulk strings, `n_args` of them: what follows the number of messages and the time */
	size_t args_len;
	unsigned n_args;
	int64_t quiet_ms;               /* claims */
	int64_t now_ms;
};
void batch_format(const struct batch *b, const struct batch_constants *k, struct buf *out);

#endif
