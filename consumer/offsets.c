/* offsets.c: see offsets.h. One partition's, on its worker's thread. Decides what may be committed and nothing else: it never talks
 * to Kafka and never looks at a clock. */
#include "consumer/offsets.h"

#include <errno.h>
#include <string.h>

#include "daemon/base/alloc.h"

enum { OFFSETS_SIZE_MIN = 64 };

static struct offsets_slot *slot_of(const struct offsets *o, uint64_t ticket)
{
	return &o->ring[ticket & (o->size - 1)];
}

static bool is_done(const struct offsets_slot *slot)
{
	return slot->offset < 0;
}

static int64_t offset_of(const struct offsets_slot *slot)
{
	return is_done(slot) ? ~slot->offset : slot->offset;
}

void offsets_init(struct offsets *o, uint32_t limit)
{
	CHECK(limit > 0 && limit <= 1u << 30);
	*o = (struct offsets){ .limit = limit, .last = -1, .committable = -1 };
}

void offsets_fini(struct offsets *o)
{
	mem_free(o->ring);
	o->ring = NULL;
	o->size = 0;
}

static int grow(struct offsets *o)
{
	uint32_t size = o->size > 0 ? o->size * 2 : OFFSETS_SIZE_MIN;
	struct offsets_slot *ring = mem_alloc(size * sizeof *ring);

	if (ring == NULL)
		return -ENOMEM;
	for (uint64_t t = o->tail; t != o->head; t++)
		ring[t & (size - 1)] = *slot_of(o, t);
	mem_free(o->ring);
	o->ring = ring;
	o->size = size;
	return 0;
}

int offsets_reserve(struct offsets *o, int64_t offset)
{
	CHECK(offset >= 0);
	if (offset <= o->last)
		return -EINVAL;
	if (offsets_skew(o) >= o->limit)
		return -ENOSPC;
	return offsets_skew(o) == o->size ? grow(o) : 0;
}

uint64_t offsets_add(struct offsets *o, int64_t offset, void *item)
{
	CHECK(offset > o->last && offsets_skew(o) < o->size);
	*slot_of(o, o->head) = (struct offsets_slot){ .offset = offset, .item = item };
	o->last = offset;
	o->open++;
	return o->head++;
}

void offsets_done(struct offsets *o, uint64_t ticket)
{
	struct offsets_slot *slot;

	CHECK(ticket >= o->prefix && ticket < o->head, "ticket %llu", (unsigned long long)ticket);
	slot = slot_of(o, ticket);
	CHECK(!is_done(slot), "offset %lld is done twice", (long long)offset_of(slot));
	slot->offset = ~slot->offset;
	slot->item = NULL;
	o->open--;
	for (; o->prefix != o->head && is_done(slot_of(o, o->prefix)); o->prefix++)
		o->committable = offset_of(slot_of(o, o->prefix)) + 1;
}

void *offsets_item(const struct offsets *o, uint64_t ticket)
{
	CHECK(ticket >= o->tail && ticket < o->head, "ticket %llu", (unsigned long long)ticket);
	return slot_of(o, ticket)->item;
}

void offsets_set_item(struct offsets *o, uint64_t ticket, void *item)
{
	CHECK(ticket >= o->prefix && ticket < o->head, "ticket %llu", (unsigned long long)ticket);
	slot_of(o, ticket)->item = item;
}

bool offsets_find(const struct offsets *o, int64_t offset, uint64_t *ret_ticket)
{
	uint64_t low = o->prefix, high = o->head;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (offset_of(slot_of(o, mid)) < offset)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == o->head || slot_of(o, low)->offset != offset)
		return false;
	*ret_ticket = low;
	return true;
}

void offsets_committed(struct offsets *o, int64_t offset)
{
	while (o->tail != o->prefix && offset_of(slot_of(o, o->tail)) < offset)
		o->tail++;
}
