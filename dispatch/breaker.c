/*
 * breaker.c: consecutive failures open it at once, time makes it half open, one probe decides. Runs on its provider's worker; it knows
 * nothing of providers, clocks or loops.
 */
#include "dispatch/breaker.h"

#include "daemon/base/check.h"
#include "daemon/base/clock.h"

void breaker_init(struct breaker *b, unsigned failures_max, int64_t open_us)
{
	*b = (struct breaker){ .failures_max = failures_max, .open_us = open_us, .state = BREAKER_CLOSED };
}

bool breaker_allows(const struct breaker *b, int64_t now_us)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		return true;
	case BREAKER_OPEN:
		return now_us >= b->until_us;
	case BREAKER_HALF_OPEN:
		return !b->probing;
	}
	return false;
}

/* A state begins: tickets of the one before are void. */
static void enter(struct breaker *b, enum breaker_state state)
{
	b->state = state;
	b->probing = false;
	b->ticket++;
}

void breaker_set(struct breaker *b, unsigned failures_max, int64_t open_us, int64_t now_us)
{
	b->failures_max = failures_max;
	b->open_us = open_us;
	if (b->state == BREAKER_OPEN && b->until_us > now_us + open_us)
		b->until_us = now_us + open_us;
	if (failures_max == 0 && b->state != BREAKER_CLOSED) {
		b->failures = 0;
		enter(b, BREAKER_CLOSED);
	}
}

uint32_t breaker_take(struct breaker *b, int64_t now_us)
{
	CHECK(breaker_allows(b, now_us));
	if (b->state != BREAKER_CLOSED) {
		enter(b, BREAKER_HALF_OPEN);
		b->probing = true;
	}
	return b->ticket;
}

void breaker_success(struct breaker *b, uint32_t ticket)
{
	if (ticket != b->ticket)
		return;
	b->failures = 0;
	if (b->state == BREAKER_HALF_OPEN)
		enter(b, BREAKER_CLOSED);
}

void breaker_failure(struct breaker *b, uint32_t ticket, int64_t now_us)
{
	if (b->failures_max == 0 || ticket != b->ticket)
		return;
	b->failures++;
	if (b->state == BREAKER_CLOSED && b->failures < b->failures_max)
		return;
	enter(b, BREAKER_OPEN);
	b->until_us = now_us + b->open_us;
	b->opened_total++;
}

void breaker_untried(struct breaker *b, uint32_t ticket)
{
	if (ticket == b->ticket)
		b->probing = false;
}

int64_t breaker_next_us(const struct breaker *b)
{
	return b->state == BREAKER_OPEN ? b->until_us : CLOCK_NEVER;
}

const char *breaker_state_name(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half-open";
	}
	return "?";
}
