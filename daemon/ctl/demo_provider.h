/*
 * demo_provider.h: the HTTP provider of the demo, on a thread of its own: speaks the `generic` preset on 127.0.0.1, answers slowly,
 * fails now and then, and keeps a ledger of what it took that the demo's report is checked against.
 * It plays two providers by path, /acme and /bulk; only the first is busy (503) now and then.
 */
#ifndef CTL_DEMO_PROVIDER_H
#define CTL_DEMO_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

/* The ids it keeps count of: this and a number from 0, six digits at least. Others are answered and counted as one. */
#define DEMO_ID_PREFIX "demo-"

struct demo_provider;

struct demo_ledger {
	uint64_t requests;              /* fully read */
	uint64_t taken;                 /* answered 200 */
	uint64_t refused, failed, busy; /* answered 400, 500, 503 */
	uint64_t malformed;             /* requests that were none, or of no known form */
	uint64_t connections;           /* taken in all */
	uint64_t open;                  /* requests waiting for their answer now */
};

/* Starts the thread; `n_ids` ids are kept count of. 0, or a negative errno with words in err. */
int demo_provider_start(size_t n_ids, struct demo_provider **ret, char *err, size_t err_len) MUST_CHECK;
uint16_t demo_provider_port(const struct demo_provider *p);
/* May be called at any time, from any thread. */
void demo_provider_ledger(const struct demo_provider *p, struct demo_ledger *ret);
/* How often the id of that number was taken (up to 255); exact once the daemon has ended. */
unsigned demo_provider_taken(const struct demo_provider *p, size_t number);
/* Closes all and frees. Takes NULL. */
void demo_provider_stop(struct demo_provider *p);

#endif
