/*
 * app.c: the daemon's life: events come in (signals, the admin API, its own watch), the lifecycle's table says what follows, and this
 * file does it. Control thread. Decisions are lifecycle.c's; whatever waits is a task.
 */
#include "daemon/app.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumer/kafka_sink.h"
#include "daemon/app_inside.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/exit_code.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/signals.h"
#include "dispatch/dispatch.h"
#include "dispatch/worker.h"

enum { TICK_MS = 500, FATAL_LINGER_MS = 10000, QUIET_MS = 3000, DRAIN_SLACK_MS = 5000 };

/* ---- tasks that the end waits for ---- */

struct spawn {
	struct app *app;
	int (*body)(void *arg);
	void *arg;
};

static int spawn_body(void *arg)
{
	struct spawn *s = arg;
	int rc = s->body(s->arg);

	if (--s->app->spawned == 0)
		co_event_set(&s->app->quiet);
	mem_free(s);
	return rc;
}

struct co_future *app_spawn_future(struct app *app, int (*body)(void *arg), void *arg, const char *name)
{
	struct spawn *s = mem_alloc(sizeof *s);
	struct co_future *task;

	if (s == NULL)
		return NULL;
	*s = (struct spawn){ app, body, arg };
	task = co_task_new_static(spawn_body, s, name);
	if (task == NULL) {
		mem_free(s);
		return NULL;
	}
	app->spawned++;
	co_event_clear(&app->quiet);
	return task;
}

int app_spawn(struct app *app, int (*body)(void *arg), void *arg, const char *name)
{
	struct co_future *task;

	if (app->state == LIFECYCLE_STOPPING)
		return -ESHUTDOWN;
	task = app_spawn_future(app, body, arg, name);
	co_unref(task);
	return task != NULL ? 0 : -ENOMEM;
}

/* What signals ask for, one of a kind at a time: `pending` says that one is on its way, and covers what is asked meanwhile. */
static void spawn_once(struct app *app, bool *pending, int (*body)(void *arg), const char *name)
{
	int rc;

	if (pending != NULL && *pending)
		return;
	rc = app_spawn(app, body, app, name);
	if (rc < 0)
		log_warn("a request is dropped", LOG_STR("what", name), LOG_STR("why", rc == -ENOMEM ? "out of memory" : "stopping"));
	else if (pending != NULL)
		*pending = true;
}

/* ---- concurrency ---- */

struct inflight_order {
	struct worker *worker;
	unsigned share;
};

static void on_inflight(void *arg)
{
	struct inflight_order *order = arg;

	dispatch_set_inflight(worker_dispatch(order->worker), order->share);
	mem_free(order);
}

void app_apply_inflight(struct app *app, unsigned inflight)
{
	for (unsigned i = 0; i < app->n_workers; i++) {
		struct inflight_order *order = mem_alloc(sizeof *order);

		if (order != NULL)
			*order = (struct inflight_order){ app->workers[i], app_share(inflight, i, app->n_workers) };
		if (order == NULL || worker_post(app->workers[i], on_inflight, order) < 0) {
			log_warn("concurrency is not changed everywhere: out of memory", LOG_UINT("worker", i));
			mem_free(order);
		}
	}
	log_info("concurrency is changed", LOG_UINT("from", app->inflight), LOG_UINT("to", inflight));
	app->inflight = inflight;
}

int app_set_inflight(struct app *app, unsigned inflight, char *err, size_t err_len)
{
	unsigned max = limits_inflight_max(app->boot, app->config, app->files);

	if (inflight < app->n_workers || inflight > max) {
		snprintf(err, err_len, "should be a number from %u (a message per worker) to %u (what the limit of %llu open files allows)",
			 app->n_workers, max, (unsigned long long)app->files);
		return -ERANGE;
	}
	app_apply_inflight(app, inflight);
	return 0;
}

static void step_inflight(struct app *app, bool up)
{
	unsigned max = limits_inflight_max(app->boot, app->config, app->files);
	unsigned next = up ? lifecycle_step_up(app->inflight, max) : lifecycle_step_down(app->inflight, app->n_workers);

	if (next == app->inflight)
		log_info("concurrency stays: it is at its bound", LOG_UINT("inflight", next));
	else
		app_apply_inflight(app, next);
}

/* ---- the drain ---- */

static unsigned written(const struct app *app)
{
	unsigned n = 0;

	for (unsigned i = 0; i < app->n_workers; i++)
		n += app_worker(app, i)->written;
	return n;
}

static void say_left(struct app *app, unsigned left)
{
	(void)!app_refresh(app, clock_mono_us() + 1000000);
	log_warn("drain ended with work left: it is read again by the next start", LOG_UINT("records", left),
		 LOG_UINT("uncertain_sends", written(app)));
	if (app->exit_code == EXIT_CODE_OK)
		app->exit_code = EXIT_CODE_TEMPFAIL;
}

static int drain_task(void *arg)
{
	struct app *app = arg;
	int64_t began_us = clock_mono_us();
	unsigned left = kafka_source_drain(app->source, began_us + app->config->daemon.drain_ms * (int64_t)1000);

	app->drained = true;
	if (left > 0)
		say_left(app, left);
	else
		log_info("drained", LOG_INT("ms", (clock_mono_us() - began_us) / 1000));
	app_event(app, left > 0 ? LIFECYCLE_DEADLINE : LIFECYCLE_DRAINED);
	return 0;
}

static void begin_drain(struct app *app)
{
	log_info("draining", LOG_UINT("drain_ms", app->config->daemon.drain_ms));
	notify_stopping();
	notify_extend_ms(DRAIN_SLACK_MS);       /* and again with every tick */
	spawn_once(app, NULL, drain_task, "drain");
}

static _Noreturn void exit_now(void)
{
	log_warn("ending at once: what is not acknowledged is read again by the next start");
	_exit(EXIT_CODE_TEMPFAIL);
}

/* ---- events ---- */

static void say_ready(struct app *app)
{
	if (app->ready_said)
		return;
	app->ready_said = true;
	notify_ready();
	log_info("ready", LOG_STR("instance", app->run_dir.instance), LOG_UINT("workers", app->n_workers), LOG_UINT("inflight", app->inflight),
		 LOG_INT("ms", app_uptime_ms(app)));
}

static void act(struct app *app, enum lifecycle_action action)
{
	switch (action) {
	case LIFECYCLE_NOTHING:
		break;
	case LIFECYCLE_SAY_READY:
		say_ready(app);
		break;
	case LIFECYCLE_PAUSE:
		kafka_source_pause(app->source);
		break;
	case LIFECYCLE_RESUME:
		kafka_source_resume(app->source);
		if (app->ready_said)
			app_event(app, LIFECYCLE_READY);
		break;
	case LIFECYCLE_DRAIN:
		begin_drain(app);
		break;
	case LIFECYCLE_END:
		co_event_set(&app->ending);
		break;
	case LIFECYCLE_EXIT_NOW:
		exit_now();
	case LIFECYCLE_DUMP_TASKS:
		spawn_once(app, &app->dumping, app_dump_tasks, "task dump");
		break;
	case LIFECYCLE_REOPEN_LOGS:
		(void)!app_reopen_logs(app);
		break;
	case LIFECYCLE_LOG_STATE:
		spawn_once(app, &app->logging_state, app_log_state, "state to the log");
		break;
	case LIFECYCLE_RELOAD:
		spawn_once(app, &app->reload_queued, app_reload_task, "reload");
		break;
	case LIFECYCLE_REFUSE_RELOAD:
		log_warn("not reloading: the daemon is ending");
		break;
	case LIFECYCLE_MORE:
	case LIFECYCLE_LESS:
		step_inflight(app, action == LIFECYCLE_MORE);
		break;
	case LIFECYCLE_ACTIONS:
		CHECK(false);
	}
}

void app_event(struct app *app, enum lifecycle_event event)
{
	enum lifecycle_state before = app->state;
	struct lifecycle_step step = lifecycle_step(before, event);

	log_info("event", LOG_STR("event", lifecycle_event_name(event)), LOG_STR("state", lifecycle_state_name(before)),
		 LOG_STR("next", lifecycle_state_name(step.next)), LOG_STR("action", lifecycle_action_name(step.action)));
	app->state = step.next;
	act(app, step.action);
}

int app_set_state(struct app *app, enum lifecycle_state wanted)
{
	if (wanted != LIFECYCLE_RUNNING && wanted != LIFECYCLE_PAUSED && wanted != LIFECYCLE_DRAINING)
		return -EINVAL;
	if (app->state >= LIFECYCLE_DRAINING)
		return wanted == LIFECYCLE_DRAINING ? 0 : -EBUSY;       /* a second request must not be a second TERM */
	app_event(app, wanted == LIFECYCLE_RUNNING ? LIFECYCLE_CONT : wanted == LIFECYCLE_PAUSED ? LIFECYCLE_TSTP : LIFECYCLE_TERM);
	return 0;
}

int app_reopen_logs(struct app *app)
{
	int rc = log_reopen();

	if (rc < 0)
		log_error("the log can't be opened again; the old file is written on", LOG_STR("file", app->config->daemon.log_file),
			  LOG_STR("why", strerror(-rc)));
	else
		log_info("log is opened again");
	return rc;
}

/* ---- what it does by itself ---- */

static int signal_reader(void *arg)
{
	struct app *app = arg;
	uint32_t batch;
	int rc;

	while ((rc = signals_wait(app->signal_fd, &batch)) == 0)
		for (size_t i = 0; signals_order[i] != 0; i++)
			if (batch & (1u << signals_order[i]))
				app_event(app, signals_order[i]);
	return rc;
}

static void give_up(struct app *app, const char *why, int exit_code)
{
	log_error("no way on", LOG_STR("why", why), LOG_INT("exit_code", exit_code));
	app->exit_code = exit_code;
	app_event(app, LIFECYCLE_FATAL);
}

/* A group that may not begin is the operator's to settle: 78. A client that broke for good (fenced, for one) does better in a new
 * process: 69, though not before /readyz has had the time to say why. */
static void watch_fatal(struct app *app)
{
	static const char broken[] = "kafka: fatal";
	const char *why = kafka_source_fatal(app->source);
	int64_t now = clock_mono_us();

	if (app->state >= LIFECYCLE_DRAINING)
		return;
	if (why != NULL) {
		give_up(app, why, EXIT_CODE_CONFIG);
		return;
	}
	if (kafka_source_ready(app->source, &why) || strncmp(why, broken, sizeof broken - 1) != 0)
		app->fatal_us = 0;
	else if (app->fatal_us == 0)
		app->fatal_us = now;
	else if (now - app->fatal_us > FATAL_LINGER_MS * 1000LL)
		give_up(app, why, EXIT_CODE_UNAVAILABLE);
}

/* A start on a Redis that waiting won't cure is the operator's to settle: 78. Once it was ready, it waits for the cure all the same:
 * what was sent keeps its outcome in memory. */
static void watch_refused(struct app *app)
{
	for (unsigned i = 0; i < app->n_workers && !app->ready_said && app->state < LIFECYCLE_DRAINING; i++) {
		const struct app_worker *w = app_worker(app, i);

		if (w->redis_refused && w->redis_reason != NULL)
			give_up(app, w->redis_reason, EXIT_CODE_CONFIG);
	}
}

static bool redis_ready(const struct app *app)
{
	for (unsigned i = 0; i < app->n_workers; i++)
		if (!app_worker(app, i)->redis_ready)
			return false;
	return app->n_workers > 0;
}

static void say_status(struct app *app)
{
	unsigned inflight = 0;
	struct app_reasons reasons;

	for (unsigned i = 0; i < app->n_workers; i++)
		inflight += app_worker(app, i)->inflight;
	if (app->state == LIFECYCLE_DRAINING) {
		notify_status("draining: %u in flight", inflight);
		notify_extend_ms(DRAIN_SLACK_MS);
	} else if (app_ready(app, &reasons)) {
		notify_status("%s: %u of %u in flight", lifecycle_state_name(app->state), inflight, app->inflight);
	} else {
		notify_status("%s: %s", lifecycle_state_name(app->state), reasons.text[0]);
	}
}

/* Workers that answer are progress enough: each answer has been through a turn of its loop. */
static void feed_watchdog(const struct app *app, int64_t since_us)
{
	for (unsigned i = 0; i < app->n_workers; i++)
		if (app_worker(app, i)->at_us < since_us)
			return;
	notify_watchdog();
}

static int ticker(void *arg)
{
	struct app *app = arg;
	int rc = 0;

	while (rc == 0) {
		int64_t now = clock_mono_us();

		if (app_refresh(app, now + 2 * TICK_MS * 1000) < 0)
			break;
		feed_watchdog(app, now);
		watch_fatal(app);
		watch_refused(app);
		if (!app->ready_said && kafka_source_joined(app->source) && redis_ready(app))
			app_event(app, LIFECYCLE_READY);
		say_status(app);
		log_tick();
		rc = co_sleep_ms(app->ready_said ? TICK_MS : TICK_MS / 10);
	}
	return rc;
}

/* ---- life ---- */

static void end_task(struct co_future *task)
{
	if (task == NULL)
		return;
	co_cancel(task);
	(void)!co_await(task);
	co_unref(task);
}

/* The orderly end; where something doesn't end in time, the process does without it. */
static int end(struct app *app)
{
	signals_release(EXIT_CODE_TEMPFAIL);
	notify_extend_ms(2 * DRAIN_SLACK_MS);
	end_task(app->signal_reader);
	end_task(app->ticker);
	if (app->spawned > 0 && co_event_wait(&app->quiet, clock_mono_us() + QUIET_MS * 1000) < 0) {
		log_warn("requests under way are cut off", LOG_UINT("count", app->spawned));
		log_tick();
		_exit(app->exit_code ? app->exit_code : EXIT_CODE_TEMPFAIL);
	}
	if (app->source != NULL && !app->drained)
		(void)!kafka_source_drain(app->source, clock_mono_us());
	app_end_parts(app);
	close(app->signal_fd);
	log_info("stopped", LOG_INT("exit_code", app->exit_code));
	return app->exit_code;
}

static int app_body(void *arg)
{
	struct app *app = arg;
	char err[512];
	int code;

	co_event_init(&app->ending);
	co_event_init(&app->quiet);
	co_event_set(&app->quiet);
	co_semaphore_init(&app->reload, 1);
	code = app_start_parts(app, err, sizeof err);
	if (code != 0) {
		log_error("can't start", LOG_STR("why", err), LOG_INT("exit_code", code));
		app->exit_code = code;
		return end(app);
	}
	app->signal_reader = co_task_new_static(signal_reader, app, "signals");
	app->ticker = co_task_new_static(ticker, app, "watch");
	if (app->signal_reader == NULL || app->ticker == NULL)
		return end(app);
	(void)!co_event_wait(&app->ending, CLOCK_NEVER);
	return end(app);
}

int app_run(struct config *config, const struct run_dir *run_dir, uint64_t files)
{
	struct app app = {
		.boot = config, .config = config, .run_dir = *run_dir, .files = files, .state = LIFECYCLE_STARTING,
		.inflight = config->daemon.inflight, .started_us = clock_mono_exact_us(), .exit_code = EXIT_CODE_OK,
	};
	struct co_loop *loop = co_loop_new();
	int code = EXIT_CODE_OSERR;

	app.signal_fd = signals_open();
	if (loop != NULL && app.signal_fd >= 0)
		code = co_run(loop, app_body, &app, "app");
	else
		log_error("can't start", LOG_STR("why", loop == NULL ? "out of memory" : strerror(-app.signal_fd)));
	if (loop != NULL)
		co_loop_free(loop);
	if (app.config != app.boot)
		config_free(app.config);
	config_free(app.boot);
	return code;
}

/* ---- looking ---- */

enum lifecycle_state app_state(const struct app *app)
{
	return app->state;
}

const struct config *app_boot_config(const struct app *app)
{
	return app->boot;
}

const struct config *app_config(const struct app *app)
{
	return app->config;
}

const char *app_instance(const struct app *app)
{
	return app->run_dir.instance;
}

uint64_t app_incarnation(const struct app *app)
{
	return app->run_dir.incarnation;
}

int64_t app_uptime_ms(const struct app *app)
{
	return (clock_mono_exact_us() - app->started_us) / 1000;
}

unsigned app_inflight_max(const struct app *app)
{
	return app->inflight;
}

const struct kafka_source *app_source(const struct app *app)
{
	return app->source;
}
