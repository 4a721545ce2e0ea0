/* provider.h: what is configured of a provider; filled by daemon/config, read by route (limits, weight) and its gateway (the rest). */
#ifndef DISPATCH_PROVIDER_H
#define DISPATCH_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct throttle_pool;

/* Strings live as long as the process. What a reload may change while the provider runs: route_reconfigure(). */
struct provider_options {
	const char *name;
	const char *type;               /* "http" */
	const char *preset;             /* "generic", "twilio", "kannel" */
	const char *url;                /* http(s)://host[:port]/path; `twilio` appends its own path */
	const char *method;             /* NULL: the preset's */
	const char *user, *password;    /* read from password_file; NULL: none */
	const char *ca_file;            /* NULL: the system's store */
	bool insecure_skip_verify, allow_plaintext;
	const char *from;               /* default sender; NULL: none */
	const char *allow_to;           /* prefixes, space separated; NULL: all */
	const char *id_path, *error_path;       /* JSON path in the reply ("id", "messages.0.sid"); NULL: the preset's */
	bool split_provider;            /* split = provider: the provider segments long texts */
	bool dry_run;
	unsigned weight;                /* share among those that may take a message, 1..1000 */
	unsigned max_inflight;          /* of the process; shared out to workers */
	unsigned rate;                  /* parts a second, of the process; 0: no limit */
	uint64_t daily_cap;             /* parts a UTC day, of the process; 0: none */
	unsigned timeout_ms, connect_timeout_ms, max_connecting, idle_ms;
	size_t reply_max;
	unsigned breaker_failures;      /* consecutive failures that open the breaker; 0: no breaker */
	unsigned breaker_open_ms;       /* how long it stays open before a probe */
	struct throttle_pool *pool;     /* rate and daily cap, shared by the workers; NULL: this route's own (throttle.h) */
};

#endif
