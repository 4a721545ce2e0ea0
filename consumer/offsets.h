/*
 * offsets.h: the offsets of one partition that are taken and not yet committed, in a ring. They are done in any order; what may be
 * committed is the end of the contiguous done prefix. Pure; every call is O(1) amortised but offsets_find().
 */
#ifndef CONSUMER_OFFSETS_H
#define CONSUMER_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct offsets_slot {
	int64_t offset;                 /* ~offset once it is done */
	void *item;                     /* the caller's: the work that is under way; NULL: none */
};

/* Tickets count the offsets taken; [tail, prefix) are done, [prefix, head) hold the open ones. */
struct offsets {
	struct offsets_slot *ring;
	uint32_t size;                  /* a power of two, grown on demand */
	uint32_t limit;                 /* taken past the committed offset at most */
	uint32_t open;
	uint64_t tail, prefix, head;
	int64_t last;                   /* the newest offset taken; -1: none */
	int64_t committable;            /* -1: nothing yet */
};

void offsets_init(struct offsets *o, uint32_t limit);
void offsets_fini(struct offsets *o);

/* Whether offsets_add() will take it, with memory made ready: 0; -EINVAL: not greater than the last; -ENOSPC: at the limit, commit
 * first; -ENOMEM. */
int offsets_reserve(struct offsets *o, int64_t offset) MUST_CHECK;
/* Takes an offset that was reserved, greater than all before (gaps are normal: compaction, transactions). Its ticket. */
uint64_t offsets_add(struct offsets *o, int64_t offset, void *item);
/* Its work is done and durable. Twice is a bug. */
void offsets_done(struct offsets *o, uint64_t ticket);
/* The item of an offset that is not committed. */
void *offsets_item(const struct offsets *o, uint64_t ticket);
void offsets_set_item(struct offsets *o, uint64_t ticket, void *item);
/* Looks an open offset up (binary search): its ticket, or false. */
bool offsets_find(const struct offsets *o, int64_t offset, uint64_t *ret_ticket);

/* The offset to commit: the one after the last of the contiguous done prefix; -1: nothing was done yet. */
static inline int64_t offsets_committable(const struct offsets *o)
{
	return o->committable;
}

/* Everything below `offset` is committed: its room is free again. */
void offsets_committed(struct offsets *o, int64_t offset);

/* Taken and not committed. */
static inline uint32_t offsets_skew(const struct offsets *o)
{
	return (uint32_t)(o->head - o->tail);
}

/* How many may be taken before a commit is needed. */
static inline uint32_t offsets_room(const struct offsets *o)
{
	return o->limit - offsets_skew(o);
}

/* The ticket of the oldest open offset; false: none is open. */
static inline bool offsets_oldest(const struct offsets *o, uint64_t *ret_ticket)
{
	if (o->prefix == o->head)
		return false;
	*ret_ticket = o->prefix;
	return true;
}

#endif
