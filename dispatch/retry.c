/* retry.c: the decision after an attempt, apart from the task that carries it out. */
#include "dispatch/retry.h"

#include "daemon/base/random.h"

struct retry_decision retry_decide(const struct retry_limits *limits, enum gateway_verdict verdict, unsigned failures)
{
	switch (verdict) {
	case GATEWAY_ACCEPTED:
		return (struct retry_decision){ .next = RETRY_SETTLE, .state = STORE_SENT };
	case GATEWAY_REFUSED:
		return (struct retry_decision){ .next = RETRY_SETTLE, .state = STORE_REFUSED };
	case GATEWAY_UNCERTAIN:
		return (struct retry_decision){ .next = RETRY_ASK_POLICY };
	case GATEWAY_TRANSIENT:
		if (failures >= limits->max_attempts)
			return (struct retry_decision){ .next = RETRY_SETTLE, .state = STORE_FAILED };
		return (struct retry_decision){ .next = RETRY_LATER, .delay_us = retry_backoff_us(limits, failures) };
	case GATEWAY_THROTTLED:
	case GATEWAY_UNSENT:
		/* Not the message's fault: admission holds it back, its own expiry ends it. */
		return (struct retry_decision){ .next = RETRY_LATER };
	}
	return (struct retry_decision){ .next = RETRY_ASK_POLICY };
}

int64_t retry_backoff_us(const struct retry_limits *limits, unsigned failures)
{
	uint64_t ceiling_us = (uint64_t)limits->backoff_ms * 1000, max_us = (uint64_t)limits->backoff_max_ms * 1000;

	for (unsigned i = 1; i < failures && ceiling_us < max_us; i++)
		ceiling_us *= 2;
	if (ceiling_us > max_us)
		ceiling_us = max_us;
	return (int64_t)random_below(ceiling_us + 1);
}
