/*
 * redis_client.h: one connection to Redis that heals itself. Commands come preformatted (RESP 2) and leave once a turn, in one write;
 * replies come back in order, each to its callback, on the loop's stack. Belongs to one loop and is called on its thread.
 * When the connection is lost, every command without a reply is answered with NULL: whether Redis ran it, nobody knows.
 * The simulation links another implementation in this one's place.
 */
#ifndef METRICS_REDIS_CLIENT_H
#define METRICS_REDIS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum redis_value_type {
	REDIS_VALUE_NIL = 1, REDIS_VALUE_INTEGER, REDIS_VALUE_STRING, REDIS_VALUE_STATUS, REDIS_VALUE_ERROR, REDIS_VALUE_ARRAY,
};

/* A reply, good during its callback only. */
struct redis_value {
	enum redis_value_type type;
	int64_t integer;
	const char *str;                        /* STRING, STATUS, ERROR: NUL-terminated, may hold NULs too */
	size_t len;
	const struct redis_value *items;        /* ARRAY */
	size_t n;
};

/* What the server said of itself when this connection was made. */
struct redis_client_server {
	char run_id[44], replication_id[44];
	unsigned major, minor;
	bool aof, noeviction;
	enum redis_client_fsync { REDIS_FSYNC_UNKNOWN = 1, REDIS_FSYNC_ALWAYS, REDIS_FSYNC_EVERYSEC, REDIS_FSYNC_NO } fsync;
};

struct redis_client_options {
	const char *url;                        /* redis://[user@]host:port/db, unix:///path?db=0 */
	const char *user, *password;            /* NULL: none; `user` beats the url's */
	const char *probe_key;                  /* a key that is written (and expires) before a connection counts as usable */
	unsigned connect_timeout_ms, command_timeout_ms, reconnect_ms_max;
	unsigned pending_max;                   /* commands without a reply; more are refused */
	bool allow_eviction;                    /* else a server whose maxmemory-policy isn't noeviction is refused */
};

/* The connection became usable (`up`; commands may be queued from here), or was lost, or an attempt to make one failed. */
typedef void(redis_client_state_fn)(bool up, void *arg);
/* NULL: the connection was lost, or Redis refuses all commands for now (LOADING, READONLY, OOM, ...). */
typedef void(redis_client_reply_fn)(const struct redis_value *reply, void *arg);

struct redis_client;

/* Connects in the background. NULL with words in err: the url is wrong, or out of memory. Everything is copied. */
struct redis_client *redis_client_new(const struct redis_client_options *options, redis_client_state_fn *on_state, void *arg,
				      char *err, size_t err_len) MUST_CHECK;
/* Commands without a reply are answered with NULL. Takes NULL. */
void redis_client_free(struct redis_client *c);

/* Usable now; if not, *ret_reason is a literal: "redis: connection refused", "redis: LOADING", "redis: no reply". */
bool redis_client_ready(const struct redis_client *c, const char **ret_reason);
/* The reason is one that waiting won't cure: wrong version, eviction, wrong password. */
bool redis_client_refused(const struct redis_client *c);
/* Of the last connection that got so far. */
const struct redis_client_server *redis_client_server(const struct redis_client *c);

/* Queues one command; the bytes are copied. 0, or -EAGAIN: not usable now, or pending_max are waiting; then fn is not called. */
int redis_client_command(struct redis_client *c, const char *resp, size_t len, redis_client_reply_fn *fn, void *arg) MUST_CHECK;
/* Gives the connection up, for a reason (a literal) that /readyz shows, and makes a new one after a backoff. */
void redis_client_reconnect(struct redis_client *c, const char *reason);
size_t redis_client_pending(const struct redis_client *c);

#endif
