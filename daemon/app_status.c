/*
 * app_status.c: how the control thread looks into its workers: it asks them, by tasks on their loops, and keeps what they said with
 * the time. A worker that doesn't answer holds up nobody. Control thread, but for the functions that say so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer/kafka_sink.h"
#include "daemon/app_inside.h"
#include "daemon/app_json.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/dispatch.h"
#include "dispatch/route.h"
#include "dispatch/worker.h"

enum { SILENT_MS = 5000, ASK_MS = 2000, LINES_A_TURN = 50 };

/* ---- views ---- */

int app_views_new(struct app *app)
{
	size_t n = app->boot->n_providers;

	app->views = mem_zalloc(app->n_workers * sizeof *app->views);
	if (app->views == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < app->n_workers; i++) {
		struct app_view *v = &app->views[i];

		v->worker = app->workers[i];
		v->app = app;
		v->now.redis_reason = v->next.redis_reason = "redis: not connected yet";
		v->now.providers = mem_zalloc(n * sizeof *v->now.providers);
		v->next.providers = mem_zalloc(n * sizeof *v->next.providers);
		if (v->now.providers == NULL || v->next.providers == NULL)
			return -ENOMEM;
	}
	return 0;
}

void app_views_free(struct app *app)
{
	for (unsigned i = 0; app->views != NULL && i < app->boot->daemon.workers; i++) {
		co_unref(app->views[i].refresh);
		mem_free(app->views[i].now.providers);
		mem_free(app->views[i].next.providers);
	}
	mem_free(app->views);
	app->views = NULL;
}

struct provider_fill {
	struct route_status *at, *end;
};

/* On the worker's thread. */
static void fill_provider(const struct route_status *status, void *arg)
{
	struct provider_fill *f = arg;

	if (f->at < f->end)
		*f->at++ = *status;
}

/* On the worker's thread, as a task: nobody else touches `next` meanwhile. */
static int fill_view(void *arg)
{
	struct app_view *v = arg;
	struct dispatch_status d;
	struct provider_fill f = { v->next.providers, v->next.providers + v->app->boot->n_providers };
	struct co_loop_stats loop;

	co_loop_stats(worker_loop(v->worker), &loop);
	if (loop.longest_call_us > v->next.longest_call_us)
		v->next.longest_call_us = loop.longest_call_us;
	dispatch_status(worker_dispatch(v->worker), &d);
	v->next.inflight = d.inflight;
	v->next.inflight_max = d.inflight_max;
	v->next.waiting_busy = d.waiting_busy;
	v->next.written = d.written;
	v->next.waiting_provider = (unsigned)route_waiting(worker_route(v->worker));
	v->next.redis_reason = NULL;
	v->next.redis_ready = store_ready(worker_store(v->worker), &v->next.redis_reason);
	v->next.redis_refused = store_refused(worker_store(v->worker));
	v->next.tasks = co_task_count(worker_loop(v->worker));
	route_status(worker_route(v->worker), fill_provider, &f);
	return 0;
}

static int refresh_task(void *arg)
{
	struct app_view *v = arg;

	if (worker_call(v->worker, fill_view, v) == 0) {
		struct route_status *spare = v->now.providers;

		v->now = v->next;
		v->next.providers = spare;
		v->now.at_us = clock_mono_us();
	}
	return 0;
}

int app_refresh(struct app *app, int64_t deadline_us)
{
	struct co_future *pending[256];
	unsigned n = 0;
	int rc = 0;

	CHECK(app->n_workers <= ARRAY_LEN(pending));
	for (unsigned i = 0; app->views != NULL && i < app->n_workers; i++) {
		struct app_view *v = &app->views[i];

		if (v->refresh != NULL && co_done(v->refresh)) {
			co_unref(v->refresh);
			v->refresh = NULL;
		}
		if (v->refresh == NULL)
			v->refresh = app_spawn_future(app, refresh_task, v, "look at a worker");
		if (v->refresh != NULL)
			pending[n++] = co_ref(v->refresh);
	}
	if (n > 0)
		rc = co_wait(pending, n, CO_ALL_COMPLETED, deadline_us);
	for (unsigned i = 0; i < n; i++)
		co_unref(pending[i]);
	return rc == -ECANCELED ? rc : 0;
}

int64_t app_longest_call_us(struct app *app)
{
	struct co_loop_stats loop;

	co_loop_stats(co_loop_current(), &loop);
	if (loop.longest_call_us > app->longest_call_us)
		app->longest_call_us = loop.longest_call_us;
	return app->longest_call_us;
}

unsigned app_worker_count(const struct app *app)
{
	return app->views != NULL ? app->n_workers : 0;
}

const struct app_worker *app_worker(const struct app *app, unsigned index)
{
	return &app->views[index].now;
}

size_t app_provider_count(const struct app *app)
{
	return app->boot->n_providers;
}

const char *app_provider_name(const struct app *app, size_t index)
{
	return app->boot->providers[index].name;
}

static void add_provider(struct route_status *sum, const struct route_status *one)
{
	sum->paused = sum->paused && one->paused;
	sum->inflight += one->inflight;
	sum->inflight_max += one->inflight_max;
	if (one->throttled_us > sum->throttled_us)
		sum->throttled_us = one->throttled_us;
	if (one->day_used > sum->day_used)
		sum->day_used = one->day_used;          /* of the process already */
	if (strcmp(sum->breaker, one->breaker) != 0)
		sum->breaker = strcmp(sum->breaker, "closed") == 0 ? one->breaker : sum->breaker;
	sum->accepted_total += one->accepted_total;
	sum->refused_total += one->refused_total;
	sum->throttled_total += one->throttled_total;
	sum->transient_total += one->transient_total;
	sum->uncertain_total += one->uncertain_total;
	sum->unsent_total += one->unsent_total;
	sum->gateway.requests_total += one->gateway.requests_total;
	sum->gateway.bytes_out_total += one->gateway.bytes_out_total;
	sum->gateway.bytes_in_total += one->gateway.bytes_in_total;
	sum->gateway.connects_total += one->gateway.connects_total;
	sum->gateway.connect_errors_total += one->gateway.connect_errors_total;
	sum->gateway.malformed_replies_total += one->gateway.malformed_replies_total;
	sum->gateway.connections += one->gateway.connections;
	sum->gateway.idle += one->gateway.idle;
}

bool app_provider(const struct app *app, size_t index, struct route_status *ret)
{
	bool any = false;

	for (unsigned i = 0; i < app_worker_count(app); i++) {
		const struct app_worker *w = app_worker(app, i);

		if (w->at_us == 0)
			continue;
		if (any)
			add_provider(ret, &w->providers[index]);
		else
			*ret = w->providers[index];
		any = true;
	}
	return any;
}

/* ---- readiness ---- */

static void add_reason(struct app_reasons *r, const char *text)
{
	for (unsigned i = 0; i < r->n; i++)
		if (strcmp(r->text[i], text) == 0)
			return;
	if (r->n < APP_REASONS_MAX)
		r->text[r->n++] = text;
}

static void add_state_reason(const struct app *app, struct app_reasons *r)
{
	switch (app->state) {
	case LIFECYCLE_RUNNING:
		break;
	case LIFECYCLE_STARTING:
		add_reason(r, "state: starting");
		break;
	case LIFECYCLE_PAUSED:
		add_reason(r, "state: paused");
		break;
	case LIFECYCLE_DRAINING:
		add_reason(r, "state: draining");
		break;
	case LIFECYCLE_STOPPING:
		add_reason(r, "state: stopping");
		break;
	case LIFECYCLE_STATES:
		CHECK(false);
	}
}

bool app_ready(const struct app *app, struct app_reasons *ret)
{
	const char *why = NULL;

	ret->n = 0;
	if (app->source != NULL && (why = kafka_source_fatal(app->source)) != NULL)
		add_reason(ret, why);
	else if (app->source != NULL && !kafka_source_ready(app->source, &why))
		add_reason(ret, why);
	if (app->sink != NULL && (why = kafka_sink_trouble(app->sink)) != NULL)
		add_reason(ret, why);
	for (unsigned i = 0; i < app_worker_count(app); i++) {
		const struct app_worker *w = app_worker(app, i);

		if (!w->redis_ready)
			add_reason(ret, w->redis_reason ? w->redis_reason : "redis: not ready");
		if (w->at_us > 0 && clock_mono_us() - w->at_us > SILENT_MS * 1000LL)
			add_reason(ret, "worker: doesn't answer");
	}
	/* last, so that the first line names a cause where there is one */
	add_state_reason(app, ret);
	return ret->n == 0;
}

/* ---- questions that each worker answers with bytes ---- */

struct ask {
	struct worker *worker;
	void (*fill)(struct co_loop *loop, struct buf *out);    /* on the worker's thread */
	struct buf out;
	unsigned refs;
};

static void ask_unref(struct ask *a)
{
	if (--a->refs > 0)
		return;
	buf_fini(&a->out);
	mem_free(a);
}

/* On the worker's thread. */
static int ask_body(void *arg)
{
	struct ask *a = arg;

	a->fill(worker_loop(a->worker), &a->out);
	return a->out.oom ? -ENOMEM : 0;
}

static int ask_task(void *arg)
{
	struct ask *a = arg;
	int rc = worker_call(a->worker, ask_body, a);

	ask_unref(a);
	return rc;
}

static struct co_future *ask_start(struct app *app, struct worker *worker, void (*fill)(struct co_loop *, struct buf *), struct ask **ret)
{
	struct ask *a = mem_zalloc(sizeof *a);
	struct co_future *task;

	if (a == NULL)
		return NULL;
	*a = (struct ask){ .worker = worker, .fill = fill, .refs = 2 };
	task = app_spawn_future(app, ask_task, a, "ask a worker");
	if (task == NULL) {
		mem_free(a);
		return NULL;
	}
	*ret = a;
	return task;
}

/* [suspends] Asks each worker and hands `take` the bytes of those that answered in time; how many didn't. */
static unsigned ask_all(struct app *app, void (*fill)(struct co_loop *, struct buf *), void (*take)(int worker, const struct buf *out, void *arg),
			void *arg, int64_t deadline_us)
{
	struct ask **asks = mem_zalloc(app->n_workers * sizeof *asks);
	struct co_future **tasks = mem_zalloc(app->n_workers * sizeof *tasks);
	unsigned silent = 0;

	for (unsigned i = 0; asks != NULL && tasks != NULL && i < app->n_workers; i++)
		tasks[i] = ask_start(app, app->workers[i], fill, &asks[i]);
	for (unsigned i = 0; asks != NULL && tasks != NULL && i < app->n_workers; i++) {
		if (tasks[i] != NULL && co_wait(&tasks[i], 1, CO_ALL_COMPLETED, deadline_us) == 1 && co_result(tasks[i]) == 0)
			take((int)i, &asks[i]->out, arg);
		else
			silent++;
		co_unref(tasks[i]);
		if (asks[i] != NULL)
			ask_unref(asks[i]);
	}
	mem_free(asks);
	mem_free(tasks);
	return silent;
}

/* ---- tasks ---- */

static void put_cstring(struct buf *out, const char *s)
{
	buf_puts(out, s ? s : "");
	buf_putc(out, '\0');
}

/* On the worker's thread: age, then three strings. */
static void put_task(const struct co_task_info *info, void *arg)
{
	struct buf *out = arg;

	buf_put(out, &info->age_us, sizeof info->age_us);
	put_cstring(out, info->name);
	put_cstring(out, info->state);
	put_cstring(out, info->awaits);
}

static void fill_tasks(struct co_loop *loop, struct buf *out)
{
	co_task_each(loop, put_task, out);
}

struct task_take {
	app_task_fn *visit;
	void *arg;
};

static const char *next_cstring(const char **p)
{
	const char *s = *p;

	*p += strlen(s) + 1;
	return s;
}

static void take_tasks(int worker, const struct buf *out, void *arg)
{
	struct task_take *t = arg;
	const char *p = out->data, *end = p + out->len;

	while (p < end) {
		struct co_task_info info;

		memcpy(&info.age_us, p, sizeof info.age_us);
		p += sizeof info.age_us;
		info.name = next_cstring(&p);
		info.state = next_cstring(&p);
		info.awaits = next_cstring(&p);
		t->visit(worker, &info, t->arg);
	}
}

unsigned app_tasks(struct app *app, app_task_fn *visit, void *arg, int64_t deadline_us)
{
	struct task_take t = { visit, arg };
	struct buf own = { 0 };

	fill_tasks(co_loop_current(), &own);
	take_tasks(-1, &own, &t);
	buf_fini(&own);
	return ask_all(app, fill_tasks, take_tasks, &t, deadline_us);
}

/* ---- QUIT: all tasks with their stacks, to the log ---- */

static void fill_dump(struct co_loop *loop, struct buf *out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return;
	co_task_dump(loop, f);
	fclose(f);
	buf_put(out, text, len);
	free(text);
}

static void log_dump(int worker, const struct buf *out, void *arg)
{
	const char *line = out->data, *end = line + out->len;
	unsigned n = 0;

	(void)arg;
	while (line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		if (eol == NULL)
			eol = end;
		log_report("task", LOG_INT("worker", worker), LOG_STRN("at", line, (size_t)(eol - line)));
		line = eol + 1;
		if (++n % LINES_A_TURN == 0)
			(void)!co_yield();      /* a dump of thousands holds nobody up */
	}
}

int app_dump_tasks(void *arg)
{
	struct app *app = arg;
	struct buf own = { 0 };
	unsigned silent;

	fill_dump(co_loop_current(), &own);
	log_dump(-1, &own, NULL);
	buf_fini(&own);
	silent = ask_all(app, fill_dump, log_dump, NULL, clock_mono_us() + ASK_MS * 1000);
	log_report("task dump is complete", LOG_UINT("workers_silent", silent));
	app->dumping = false;
	return 0;
}

/* ---- USR2: the state, to the log, an object a line ---- */

static void log_json(const char *msg, struct buf *json)
{
	if (!json->oom)
		log_report(msg, LOG_STRN("json", json->data, json->len));
	buf_reset(json);
}

struct log_partition {
	struct app *app;
	struct buf json;
};

static void log_partition(const struct kafka_source_partition *partition, void *arg)
{
	struct log_partition *l = arg;
	struct json_out o = json_out_to(&l->json);

	app_json_partition(&o, NULL, partition);
	log_json("state of partition", &l->json);
}

int app_log_state(void *arg)
{
	struct app *app = arg;
	struct log_partition l = { .app = app };
	struct json_out o = json_out_to(&l.json);

	(void)!app_refresh(app, clock_mono_us() + ASK_MS * 1000);
	app_json_state(&o, NULL, app);
	log_json("state", &l.json);
	for (unsigned i = 0; i < app_worker_count(app); i++) {
		o = json_out_to(&l.json);
		app_json_worker(&o, NULL, app, i);
		log_json("state of worker", &l.json);
	}
	for (size_t i = 0; i < app_provider_count(app); i++) {
		o = json_out_to(&l.json);
		app_json_provider(&o, NULL, app, i);
		log_json("state of provider", &l.json);
	}
	kafka_source_each(app->source, log_partition, &l);
	buf_fini(&l.json);
	app->logging_state = false;
	return 0;
}
