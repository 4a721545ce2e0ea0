/* store_private.h: what the files of the store share. store.c: the calls; store_flush.c: batches out, answers in; store_link.c: the
 * connection's life and what must be written again; store_barrier.c: durability, and questions of one reply. */
#ifndef METRICS_STORE_PRIVATE_H
#define METRICS_STORE_PRIVATE_H

#include "daemon/base/buf.h"
#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"
#include "metrics/redis_client.h"
#include "metrics/store.h"
#include "metrics/store_batch.h"

enum {
	STORE_CLAIM_CALLS = 1,          /* calls of a kind without an answer; more messages wait and fill the next one. One of claims: */
	STORE_OUTCOME_CALLS = 2,        /* what a crash leaves claimed and unwritten is a batch at most */
	STORE_REWRITE_CALLS = 4,        /* rewritten batches under way at once */
	STORE_RETAINED_MAX = 400000,    /* outcomes kept until the barrier; past that nothing is claimed */
	STORE_SPARE_MAX = 64,           /* emptied batches kept for the next turns */
	STORE_PENDING_MAX = 4096,       /* commands without a reply */
	STORE_FORMAT = 1,
	STORE_DUPLICATED = 5,           /* a step of our own, behind those of enum store_step */
	STORE_COHORT = 9,               /* an answer that only this side sees: another minute's counters are meant */
};

/* One waiting store_claim() or store_outcome(): pooled, since a cancelled caller leaves before its answer comes. */
struct store_call {
	struct list node;
	struct co_event answered;
	unsigned open;                  /* entries in batches without an answer */
	bool abandoned;
	int rc;
	uint8_t answer;                 /* enum store_answer, STORE_COHORT; 0: as proposed */
	bool facts, taken_over, redelivery;
	uint8_t attempts, uncertain, state;
	uint16_t claims, accepted_parts;
	int64_t accepted_ms, claimed_ms, wait_ms, boot_ms;
};

enum store_meta { META_UNKNOWN = 1, META_MISSING, META_CREATING, META_OK, META_WRONG };

struct store {
	struct store_options o;         /* strings are our own */
	struct redis_client *client;
	bool connected, unfit;          /* unfit: this server can't do what `durability` asks */
	unsigned starting;              /* replies that a new connection still waits for before it is used */
	enum store_meta meta;
	bool expect_existing;
	bool meta_seen;                 /* as it should be, when last looked at */
	int64_t meta_asked_us;          /* when a store that should not be empty was last looked at */
	int64_t up_us;                  /* when the connection became usable */
	uint64_t generation;            /* of connections: grows when one is lost */
	uint64_t connections;
	char run_id[44], replication_id[44];

	struct batch *open[BATCH_KINDS];        /* being filled */
	struct list full[BATCH_KINDS];          /* filled, to be sent in order when the calls under way allow */
	unsigned under_way[BATCH_KINDS];
	char sha[BATCH_KINDS][41];
	struct buf args[BATCH_KINDS];   /* the constant arguments, as bulk strings */
	struct list spare;
	unsigned n_spare;
	struct buf out;
	struct co_turn_hook turn_hook;

	struct list retained;           /* batches that Redis has taken and may still lose, in order of their answers */
	struct list rewriting;          /* those that it may have lost: to be sent again, in order */
	unsigned rewriting_under_way;
	uint64_t n_retained;            /* messages in both, and under way between them */
	uint64_t found, found_durable;  /* settled records that claims have found: another's writes, which the barrier covers too */
	uint64_t acks;
	int64_t acked_us;

	struct list calls, unused_calls;
	struct co_event ready, writable;
	struct store_counters counters;
};

/* store.c */
void store_call_answered(struct store *s, struct store_call *call);

/* store_flush.c */
struct batch *store_open_batch(struct store *s, enum batch_kind kind);  /* one with room; NULL: out of memory */
void store_send_open(struct store *s, enum batch_kind kind);            /* all that is gathered, at once */
void store_on_turn_end(void *store);
void store_send_batch(struct store *s, struct batch *b);
void store_fail_open(struct store *s);          /* what is gathered and not sent: -EAGAIN */
void store_recycle_batch(struct store *s, struct batch *b);

/* store_link.c */
extern const char store_probe_key[];            /* may be written at any time; nobody reads it */
int store_link_start(struct store *s, char *err, size_t err_len) MUST_CHECK;
bool store_is_writable(const struct store *s);
bool store_is_claimable(const struct store *s, const char **ret_reason);
void store_look_ready(struct store *s);         /* something changed: tells who waits */
void store_load_script(struct store *s, enum batch_kind kind);
void store_retain(struct store *s, struct batch *b);
void store_rewrite_later(struct store *s, struct batch *b);     /* it was under way and was not answered */
void store_rewrite_all(struct store *s);
void store_pump_rewrites(struct store *s);
void store_create_meta(struct store *s);
void store_look_again(struct store *s);         /* emptied: whether somebody has made it meanwhile, asked now and then */
void store_check_meta(struct store *s, const struct redis_value *v);

/* store_barrier.c: formats and sends a command of words, for its one reply */
int store_command(struct store *s, redis_client_reply_fn *fn, void *arg, unsigned argc, const char *const *argv) MUST_CHECK;

#endif
