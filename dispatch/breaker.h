/*
 * breaker.h: a provider's circuit breaker, per worker. Pure: it takes `now` and waits for nothing. Each send takes a ticket and ends
 * with it: what was admitted in an earlier state (before the breaker opened, say) says nothing about this one and changes nothing.
 */
#ifndef DISPATCH_BREAKER_H
#define DISPATCH_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED = 1, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
	unsigned failures_max;          /* consecutive failures that open it; 0: it never opens */
	int64_t open_us;                /* how long it stays open before a probe */
	enum breaker_state state;
	unsigned failures;
	bool probing;                   /* HALF_OPEN: one probe is out, and `ticket` is its */
	uint32_t ticket;                /* what is admitted now; another one after each change of state, and for each probe */
	int64_t until_us;               /* OPEN: when a probe may go */
	uint64_t opened_total;
};

void breaker_init(struct breaker *b, unsigned failures_max, int64_t open_us);
/* Other limits from now on: an open one rests no longer than it would under them, and without a limit it closes. */
void breaker_set(struct breaker *b, unsigned failures_max, int64_t open_us, int64_t now_us);
/* Whether a send may go now. Half open, only one: breaker_take() makes it the probe. */
bool breaker_allows(const struct breaker *b, int64_t now_us);
/* The ticket of the send that goes now. */
uint32_t breaker_take(struct breaker *b, int64_t now_us);
/* How the send of that ticket ended: the provider answered (any answer), it didn't, or nothing was tried. */
void breaker_success(struct breaker *b, uint32_t ticket);
void breaker_failure(struct breaker *b, uint32_t ticket, int64_t now_us);
void breaker_untried(struct breaker *b, uint32_t ticket);
/* When breaker_allows() may change by time alone; CLOCK_NEVER: not. */
int64_t breaker_next_us(const struct breaker *b);
const char *breaker_state_name(enum breaker_state state);

#endif
