/*
 * send.h: what dispatch keeps of one job while it is on its way: shared by dispatch.c, send_task.c, tracker.c and ack_task.c, nobody
 * else. Pooled; one owner at a time: the send task, then the tracker, then the acknowledgement.
 */
#ifndef DISPATCH_SEND_H
#define DISPATCH_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"
#include "dispatch/dispatch.h"
#include "dispatch/gateway.h"
#include "dispatch/job.h"
#include "dispatch/retry.h"
#include "metrics/store.h"

struct route_provider;

/* What is left to do in Redis when the send task has ended. */
enum send_final {
	SEND_NOTHING = 1,       /* the claim never stood: the record's offset stays open */
	SEND_SETTLED,           /* the claim's own answer settled it (duplicate, lapsed, held, ...) */
	SEND_SETTLE,            /* write `outcome`, which ends it */
	SEND_RELEASE,           /* claimed, certainly not sent: give the claim back */
	SEND_UNCERTAIN,         /* cancelled while nobody knows: count it, ask the policy */
};

struct send_part {
	struct send *send;
	struct gateway_part part;
	struct gateway_outcome result;          /* of the attempt; of an earlier one where it was accepted then */
	struct co_future *task;                 /* NULL: not sent in this attempt */
};

struct send {
	struct list node;                       /* in dispatch's list of all */
	struct dispatch *dispatch;
	struct job *job;
	struct co_future *target;               /* a cancel goes here: the send task, later the shield over its acknowledgement */
	enum send_final final;
	bool in_slot;                           /* counts against inflight; not while it waits for another owner's lease */
	bool written;                           /* the current attempt's first byte is out */
	uint8_t attempts;
	unsigned failures;
	uint16_t accepted_parts;                /* bit n: part n + 1 */
	uint8_t cut_parts;                      /* what the text has where we split it; a provider that splits makes msg.parts 1 */
	uint8_t admitted_parts, taken_parts;    /* of this attempt: what the provider's limits were asked for; accepted of several */
	int64_t lease_boot_ms, deadline_us;     /* of the attempt */
	int64_t at_ms;                          /* when the outcome was seen (tracker; first failing part) */
	struct route_provider *provider;        /* of the attempt under way, its place held; NULL between attempts */
	uint32_t ticket;                        /* of that place */
	struct route_provider *last_provider;
	const char *why;                        /* a literal: why no provider may take it */
	struct store_outcome outcome;
	struct gateway_outcome result;          /* of the attempt; several parts: of the decisive one */
	struct send_part *parts;                /* several parts: heap, n_parts of them; kept until it ends */
	unsigned n_parts;
};

struct dispatch {
	struct dispatch_options options;
	struct retry_limits retry;
	struct store *store;
	struct route *route;
	dispatch_end_fn *on_end;
	dispatch_room_fn *on_room;
	void *arg;
	struct list all;                        /* every struct send on its way */
	struct list pool;                       /* and the spare ones */
	size_t n_all;
	unsigned inflight;                      /* of them in a slot */
	unsigned waiting_busy;                  /* and outside, for another owner's lease */
	struct list wanting;                    /* of those: done waiting, in the queue for a slot: freed ones go there first */
	bool full;                              /* room was 0 when last asked: on_room is owed */
	struct co_waitset *sends;               /* the tracker's: every send task */
	struct co_future *tracker;
	struct co_event idle;
};

int send_task(void *send);                      /* the body of one message's task: from admission to outcome */
int send_parts(struct send *s);                 /* [suspends] a message of several parts; fills s->result. 0, -ENOMEM */
const char *send_from(const struct send *s);    /* the sender: the job's, the provider's, ours; NULL: none */
bool send_may_write(void *send);                /* gateway's question before the first byte */
int tracker_task(void *dispatch);
int ack_task(void *send);
/* [suspends] Writes one accepted part, whatever is cancelled meanwhile; a cancel is delivered afterwards. */
int ack_part(struct send *s, const struct send_part *p);

/* Slots, for the send task that waits outside of one. enter [suspends]: 0, -ECANCELED. */
void dispatch_slot_leave(struct send *s);
int dispatch_slot_enter(struct send *s);
/* The end of a send: hands the job back and the struct to the pool. */
void dispatch_ended(struct send *s, enum dispatch_end end);

#endif
