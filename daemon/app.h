/*
 * app.h: the daemon as one object: it owns the workers, Kafka's source and sink, the admin server, and the lifecycle. Everything here is
 * called on the control thread. What the admin API does, it does through these calls, and so do the signals.
 */
#ifndef DAEMON_APP_H
#define DAEMON_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/check.h"
#include "daemon/lifecycle.h"
#include "dispatch/coro/coro.h"

struct app;
struct config;
struct kafka_source;
struct route_status;
struct run_dir;

/* Runs the daemon until it ends, on the calling thread; an enum exit_code. Takes over the configuration. `files`: descriptors that
 * may be open. */
int app_run(struct config *config, const struct run_dir *run_dir, uint64_t files);

/* ---- what it is at ---- */

enum lifecycle_state app_state(const struct app *app);
/* The configuration that it started with, and the one that was read last. Of the latter only what is marked reloadable holds. */
const struct config *app_boot_config(const struct app *app);
const struct config *app_config(const struct app *app);
const char *app_instance(const struct app *app);
uint64_t app_incarnation(const struct app *app);
int64_t app_uptime_ms(const struct app *app);
unsigned app_inflight_max(const struct app *app);
const struct kafka_source *app_source(const struct app *app);

/* What a worker said of itself, by itself, a moment ago. */
struct app_worker {
	int64_t at_us;                  /* 0: never yet */
	bool redis_ready, redis_refused;        /* refused: waiting won't cure it */
	const char *redis_reason;       /* NULL where it is ready */
	unsigned inflight, inflight_max, waiting_busy, waiting_provider, written;
	size_t tasks;
	int64_t longest_call_us;        /* thread CPU of its longest callback since the start */
	struct route_status *providers; /* as many as are configured, in that order */
};

/* [suspends] Asks all workers; those that don't answer by the deadline keep what they said before. 0, -ECANCELED. */
int app_refresh(struct app *app, int64_t deadline_us);
unsigned app_worker_count(const struct app *app);
const struct app_worker *app_worker(const struct app *app, unsigned index);
/* Thread CPU of the control loop's longest callback since the start. */
int64_t app_longest_call_us(struct app *app);
size_t app_provider_count(const struct app *app);
const char *app_provider_name(const struct app *app, size_t index);
/* Of all workers together; false: none has answered yet. */
bool app_provider(const struct app *app, size_t index, struct route_status *ret);

enum { APP_REASONS_MAX = 16 };
struct app_reasons {
	unsigned n;
	const char *text[APP_REASONS_MAX];      /* "kafka: ...", "redis: ...", "state: paused": good until control suspends */
};
/* Whether it takes and sends messages now; if not, why. From what is known: app_refresh() first. */
bool app_ready(const struct app *app, struct app_reasons *ret);

/* ---- what it can be asked to do ---- */

/* As the signal of that state: RUNNING (CONT), PAUSED (TSTP), DRAINING (TERM, but never twice). -EBUSY: it ends already; -EINVAL. */
int app_set_state(struct app *app, enum lifecycle_state wanted) MUST_CHECK;
/* -ERANGE with words in err: too many for the descriptors that there are. */
int app_set_inflight(struct app *app, unsigned inflight, char *err, size_t err_len) MUST_CHECK;
/* [suspends] Reloads; `report` says what became of it, a line each. 0; -EINVAL: nothing was changed; -EBUSY: it ends already. */
int app_reload(struct app *app, struct buf *report) MUST_CHECK;
int app_reopen_logs(struct app *app) MUST_CHECK;
/* [suspends] -ENOENT. */
int app_pause_provider(struct app *app, const char *name, bool paused) MUST_CHECK;
/* [suspends] A message's record as JSON text (heap, the caller's). -ENOENT, -EAGAIN. */
int app_show_message(struct app *app, const char *id, size_t len, char **ret) MUST_CHECK;
/* [suspends] `smstrack store init`: the empty store is meant to be empty, and is made. 0; -EEXIST: it isn't empty; -EAGAIN with words in
 * err: Redis can't be used now; -ENOMEM and the like: not all workers could be told. */
int app_store_init(struct app *app, char *err, size_t err_len) MUST_CHECK;
struct app_job {
	const char *id, *key, *json;
	size_t json_len;
};
/* [suspends] until it is in Kafka. 0; -EBADMSG with words in err: no valid job; kafka_client.h's errors, -ETIMEDOUT. */
int app_produce(struct app *app, const struct app_job *job, int32_t *ret_partition, int64_t *ret_offset, char *err, size_t err_len) MUST_CHECK;

/* [suspends] Calls visit for every task of every loop; `worker` -1: the control thread's. Workers that don't answer by the deadline are
 * left out: how many those are. */
typedef void(app_task_fn)(int worker, const struct co_task_info *info, void *arg);
unsigned app_tasks(struct app *app, app_task_fn *visit, void *arg, int64_t deadline_us);

/* Starts a task that the end waits for (a request, a dump). -ENOMEM; -ESHUTDOWN: it ends already. */
int app_spawn(struct app *app, int (*body)(void *arg), void *arg, const char *name) MUST_CHECK;

#endif
