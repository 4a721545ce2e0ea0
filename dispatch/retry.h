/* retry.h: what follows an attempt's outcome. Pure. */
#ifndef DISPATCH_RETRY_H
#define DISPATCH_RETRY_H

#include <stdint.h>

#include "dispatch/gateway.h"
#include "metrics/store.h"

enum retry_next {
	RETRY_SETTLE = 1,       /* it ends: in `state` */
	RETRY_LATER,            /* certainly not sent: give the claim back, wait `delay_us`, claim again */
	RETRY_ASK_POLICY,       /* nobody knows: the message's policy decides, in Redis */
};

struct retry_limits {
	unsigned max_attempts;          /* transient failures of one message */
	unsigned backoff_ms, backoff_max_ms;
};

struct retry_decision {
	enum retry_next next;
	enum store_state state;         /* SETTLE */
	int64_t delay_us;               /* LATER */
};

/* `failures` counts the attempts that failed, this one included. Expiry is not looked at here: a retry that comes too late is
 * lapsed by its claim. */
struct retry_decision retry_decide(const struct retry_limits *limits, enum gateway_verdict verdict, unsigned failures);

/* Exponential backoff with full jitter: uniform in [0, min(max, base * 2^(n-1))] (Brooker, "Exponential Backoff And Jitter", 2015). */
int64_t retry_backoff_us(const struct retry_limits *limits, unsigned failures);

#endif
