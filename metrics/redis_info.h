/* redis_info.h: what Redis' own words mean, and those of a connect: INFO texts, error replies, errno. Pure. */
#ifndef METRICS_REDIS_INFO_H
#define METRICS_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "metrics/redis_client.h"

struct redis_info {
	struct redis_client_server server;
	bool loading, replica, link_down;
};

/* Adds what one INFO section says; unknown lines are skipped. */
void redis_info_parse(struct redis_info *info, const char *text, size_t len);

/* A reason for /readyz (a literal) where this error reply means that the whole connection is of no use for now; else NULL.
 * *ret_refused: waiting won't cure it. */
const char *redis_info_reason(const char *error, bool *ret_refused);

/* The same for a connect that failed with this errno; never NULL. */
const char *redis_info_connect_reason(int err);

#endif
