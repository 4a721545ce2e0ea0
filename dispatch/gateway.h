/*
 * gateway.h: the one interface to a provider, whatever it speaks. A gateway belongs to one worker and is called on its thread.
 * A new protocol is one file that fills a struct gateway_ops.
 */
#ifndef DISPATCH_GATEWAY_H
#define DISPATCH_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum gateway_verdict {
	GATEWAY_ACCEPTED = 1,   /* the provider took it; provider_id is set if it named one */
	GATEWAY_REFUSED,        /* a no for good: another attempt would get the same */
	GATEWAY_THROTTLED,      /* not now: the whole provider pauses for retry_after_ms */
	GATEWAY_TRANSIENT,      /* not taken, certainly: another attempt may do */
	GATEWAY_UNCERTAIN,      /* written, and the answer never came or doesn't tell */
	GATEWAY_UNSENT,         /* cancelled, or its deadline passed, before the first byte was written */
};

enum { GATEWAY_ID_MAX = 64, GATEWAY_REASON_MAX = 48 };

struct gateway_outcome {
	enum gateway_verdict verdict;
	int code;                               /* HTTP status or SMPP command_status; 0: none */
	int64_t retry_after_ms;                 /* THROTTLED: 0 where the provider didn't say */
	uint8_t provider_id_len;
	char provider_id[GATEWAY_ID_MAX + 1];
	char reason[GATEWAY_REASON_MAX];        /* a stable word or three for logs and records: "connect_refused", "http_500" */
};

/* One part to send; everything it points to outlives the call. */
struct gateway_part {
	const char *id, *to, *from, *text;      /* UTF-8; `text` is this part's, or the whole message's where split = provider */
	size_t id_len, to_len, from_len, text_len;
	unsigned part, parts;                   /* from 1 */
	uint8_t udh[8];                         /* the concatenation header (3GPP TS 23.040, 9.2.3.24.1), for protocols that take it */
	uint8_t udh_len;                        /* 0: none */
	bool ucs2;                              /* needs UCS-2; else it fits GSM 03.38 */
};

struct gateway_counters {
	uint64_t requests_total, bytes_out_total, bytes_in_total, connects_total, connect_errors_total, malformed_replies_total;
	uint64_t connections, idle;             /* gauges */
};

struct gateway;
struct provider_options;

typedef bool(gateway_may_write_fn)(void *arg);

struct gateway_ops {
	/* [suspends] Sends one part and returns when its outcome is known, or can't be. Always fills *ret_outcome. After the
	 * first byte is written a cancel of the calling task no longer stops it (it is delivered when this returns): what is
	 * written runs to `deadline_us`, and past that it is UNCERTAIN. No byte is written after `deadline_us`.
	 * `may_write(arg)` is asked in the turn of the first byte, before it is written: false (the lease is over, the message
	 * has expired) makes it UNSENT. */
	void (*send)(struct gateway *gw, const struct gateway_part *part, int64_t deadline_us, gateway_may_write_fn *may_write,
		     void *arg, struct gateway_outcome *ret_outcome);
	void (*counters)(const struct gateway *gw, struct gateway_counters *ret);
	/* Other limits and times from now on (a reload); what can't change while it runs isn't looked at. Shared out as at the start. */
	void (*set_limits)(struct gateway *gw, const struct provider_options *options, unsigned worker_share_count);
	/* Takes NULL; closes its connections. No send may be under way. */
	void (*free)(struct gateway *gw);
};

/* Embedded first in each implementation. */
struct gateway {
	const struct gateway_ops *ops;
	const char *name;                       /* the provider's, as configured; lives as long as the gateway */
};

#endif
