/* app_inside.h: struct app, shared by the files of the app alone: app.c (life), app_start.c (parts), app_status.c (looking), app_reload.c. */
#ifndef DAEMON_APP_INSIDE_H
#define DAEMON_APP_INSIDE_H

#include "consumer/kafka_source.h"
#include "daemon/app.h"
#include "daemon/config.h"
#include "daemon/run_dir.h"
#include "dispatch/coro/coro.h"

struct admin_server;
struct kafka_sink;
struct throttle_pool;
struct worker;

struct app_view {
	struct worker *worker;
	struct app_worker now, next;    /* `next` is being filled by the worker while `refresh` is pending */
	struct co_future *refresh;      /* NULL: none under way */
	struct app *app;
};

struct app {
	struct config *boot;            /* what workers and clients point into: lives as long as they; holds but for what is reloadable */
	struct config *config;          /* read last; what is reloadable holds from here */
	struct run_dir run_dir;
	uint64_t files;                 /* descriptors that may be open */
	int64_t started_us;
	int64_t longest_call_us;        /* thread CPU of the control loop's longest callback */

	enum lifecycle_state state;
	bool ready_said;
	bool dumping, logging_state, reload_queued;     /* signals' requests that are on their way */
	int exit_code;
	unsigned inflight;              /* of all workers; moved by signals, the API and reloads */
	int64_t fatal_us;               /* since when Kafka's client is broken for good; 0: it isn't */
	struct co_event ending;         /* the end may begin */

	struct app_view *views;
	struct throttle_pool *pools;    /* of each provider, shared by the workers */
	struct worker **workers;
	unsigned n_workers;
	struct kafka_sink *sink;
	struct kafka_source *source;
	struct admin_server *admin;
	bool drained;                   /* the source has been drained: kafka_source_drain() is called once */

	struct co_semaphore reload;     /* one at a time */
	unsigned spawned;               /* tasks that the end waits for */
	struct co_event quiet;          /* set while there are none */
	struct co_future *ticker, *signal_reader;
	int signal_fd;
};

/* app_start.c: makes and ends the parts. An exit code other than 0 with words in err. */
int app_start_parts(struct app *app, char *err, size_t err_len) MUST_CHECK;
/* [suspends] In the reverse order; takes the half-started. */
void app_end_parts(struct app *app);
/* That worker's part of `inflight`. */
unsigned app_share(unsigned inflight, unsigned index, unsigned count);

/* app.c */
/* As app_spawn(), whatever the state; the future, or NULL: out of memory. */
struct co_future *app_spawn_future(struct app *app, int (*body)(void *arg), void *arg, const char *name) MUST_CHECK;
void app_event(struct app *app, enum lifecycle_event event);
void app_apply_inflight(struct app *app, unsigned inflight);

/* app_status.c */
int app_views_new(struct app *app) MUST_CHECK;
void app_views_free(struct app *app);
/* USR2, QUIT: bodies of tasks, `arg` is the app. */
int app_log_state(void *arg);
int app_dump_tasks(void *arg);

/* app_reload.c: HUP's task body. */
int app_reload_task(void *arg);

#endif
