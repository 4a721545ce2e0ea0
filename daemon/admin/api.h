/*
 * api.h: what the admin API answers. A request comes in as plain values and is answered by straight-line code on a task; HTTP itself is
 * server.c's. A handler that asks a worker suspends.
 */
#ifndef ADMIN_API_H
#define ADMIN_API_H

#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/buf.h"

struct app;

enum { API_BODY_MAX = 64 * 1024 };

struct api_call {
	struct app *app;
	/* the request */
	const char *method, *path;      /* the path without its query, still escaped */
	const char *rest;               /* what follows the route's own path: an id, a name */
	const char *body;
	size_t body_len;
	pid_t peer_pid;                 /* who asks, by the UNIX socket's credentials; -1: over TCP */
	uid_t peer_uid;
	/* the reply */
	int status;
	const char *content_type;
	const char *allow;              /* of a 405 */
	struct buf out;
};

/* [suspends] Fills the reply. */
void api_handle(struct api_call *call);

/* A reply with an error: application/problem+json (RFC 9457). */
void api_problem(struct api_call *call, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *api_status_title(int status);

/* ---- the handlers, by file ---- */

/* api_look.c */
void api_livez(struct api_call *call);
void api_readyz(struct api_call *call);
void api_get_state(struct api_call *call);
void api_get_tasks(struct api_call *call);
void api_get_providers(struct api_call *call);
void api_get_partitions(struct api_call *call);
void api_get_config(struct api_call *call);
/* api_metrics.c */
void api_metrics(struct api_call *call);
/* api_change.c */
void api_put_state(struct api_call *call);
void api_put_inflight(struct api_call *call);
void api_put_provider(struct api_call *call);
void api_post_reload(struct api_call *call);
void api_post_reopen(struct api_call *call);
void api_post_store_init(struct api_call *call);
/* api_message.c */
void api_get_message(struct api_call *call);
void api_post_message(struct api_call *call);

#endif
