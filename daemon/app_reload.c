/*
 * app_reload.c: HUP and POST /v1/reload: the whole new configuration is checked before anything of it is used; then what is marked
 * reloadable switches over in one turn. A broken file changes nothing and says why. Control thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/app_inside.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "dispatch/route.h"
#include "dispatch/throttle.h"
#include "dispatch/worker.h"

struct changes {
	struct app *app;
	struct buf *report;
	bool restart;           /* this pass looks for what needs one; else for what is reloadable */
	unsigned n;
};

static void name_of(const struct config_value *v, struct buf *out)
{
	buf_printf(out, "[%s%s%s] %s", config_value_section(v), *v->name ? " " : "", v->name, v->key);
}

static bool shown_alike(const struct config_value *a, const struct config_value *b)
{
	struct buf one = { 0 }, other = { 0 };
	bool alike;

	config_value_show(a, &one);
	config_value_show(b, &other);
	alike = one.len == other.len && (one.len == 0 || memcmp(one.data, other.data, one.len) == 0);
	buf_fini(&one);
	buf_fini(&other);
	return alike;
}

static void put_shown(const struct config_value *v, struct buf *out)
{
	size_t from = out->len;

	config_value_show(v, out);
	if (out->len == from)
		buf_puts(out, "(not set)");
}

/* What is reloadable and has another value now. A provider that one of the files lacks runs by what it started with meanwhile; one that
 * it didn't start with doesn't run. False: nothing to say. */
static bool report_change(struct changes *c, const struct config_value *was, const struct config_value *is)
{
	if (was == NULL)
		was = config_value_find(c->app->boot, is);
	else if (is == NULL)
		is = config_value_find(c->app->boot, was);
	if (was == NULL || is == NULL || shown_alike(was, is))
		return false;
	name_of(is, c->report);
	buf_puts(c->report, ": ");
	put_shown(was, c->report);
	buf_puts(c->report, " -> ");
	put_shown(is, c->report);
	return true;
}

/* A provider that has come or gone is one line, not one for each of its keys. */
static bool report_section(struct changes *c, const struct config_value *v, const char *what)
{
	if (v->option == NULL || !v->option->required)
		return false;
	buf_printf(c->report, "[%s %s]: %s", config_value_section(v), v->name, what);
	return true;
}

/* What differs from the start and needs another one. */
static bool report_restart(struct changes *c, const struct config_value *was, const struct config_value *is)
{
	if (was == NULL && *is->name)
		return report_section(c, is, "new in the file, runs after a restart");
	if (is == NULL && *was->name)
		return report_section(c, was, "gone from the file, runs as it started until a restart");
	name_of(is ? is : was, c->report);
	buf_puts(c->report, ": changed in the file, holds after a restart");
	return true;
}

static void on_change(const struct config_value *was, const struct config_value *is, void *arg)
{
	struct changes *c = arg;
	const struct config_value *v = is ? is : was;
	bool reloadable = v->option != NULL && v->option->reloadable;
	size_t from = c->report->len;

	if (reloadable == c->restart)
		return;
	if (c->restart ? !report_restart(c, was, is) : !report_change(c, was, is))
		return;
	c->n++;
	if (!c->report->oom)
		log_info(c->restart ? "reload: needs a restart" : "reload: changed", LOG_STRN("what", c->report->data + from, c->report->len - from));
	buf_putc(c->report, '\n');
}

/* What may fail comes first: 0, or -EINVAL with a line in the report. */
static int switch_log(struct app *app, const struct config *next, struct buf *report)
{
	const char *was = app->config->daemon.log_file, *is = next->daemon.log_file;
	int rc = 0;

	if ((was == NULL) != (is == NULL) || (was != NULL && strcmp(was, is) != 0))
		rc = log_open(is);
	if (rc < 0)
		buf_printf(report, "[daemon] log_file: %s: %s\n", is, strerror(-rc));
	return rc < 0 ? -EINVAL : 0;
}

static int check_inflight(const struct app *app, const struct config *next, struct buf *report)
{
	unsigned max = limits_inflight_max(app->boot, next, app->files);
	/* what TTIN and the API have set stays, unless the file says something new */
	unsigned inflight = next->daemon.inflight != app->config->daemon.inflight ? next->daemon.inflight : app->inflight;

	if (inflight <= max && inflight >= app->n_workers)
		return 0;
	buf_printf(report, "[daemon] inflight = %u: should be a number from %u (a message per worker) to %u (what the limit of %llu open files allows, "
			   "a connection per message at each provider up to its max_inflight)\n",
		   inflight, app->n_workers, max, (unsigned long long)app->files);
	return -EINVAL;
}

/* ---- providers ---- */

/* What one worker is told of all providers. The worker ends it. */
struct provider_order {
	struct worker *worker;
	size_t n;
	struct {
		struct provider_options options;        /* numbers and switches: no pointer of it is followed */
		char *allow_to;                         /* the route's, once it is told */
	} providers[];
};

static void order_free(struct provider_order *order)
{
	for (size_t i = 0; order != NULL && i < order->n; i++)
		mem_free(order->providers[i].allow_to);
	mem_free(order);
}

/* What provider number i runs by from now on. */
static const struct provider_options *provider_of(const struct app *app, const struct config *next, size_t i)
{
	const struct provider_options *p = config_provider(next, app->boot->providers[i].name);

	return p != NULL ? p : &app->boot->providers[i];
}

static struct provider_order *order_new(const struct app *app, const struct config *next, struct worker *worker)
{
	size_t n = app->boot->n_providers;
	struct provider_order *order = mem_zalloc(sizeof *order + n * sizeof order->providers[0]);

	if (order == NULL)
		return NULL;
	order->worker = worker;
	for (; order->n < n; order->n++) {
		const struct provider_options *p = provider_of(app, next, order->n);

		order->providers[order->n].options = *p;
		if (p->allow_to != NULL && (order->providers[order->n].allow_to = mem_strdup(p->allow_to)) == NULL) {
			order_free(order);
			return NULL;
		}
	}
	return order;
}

static void orders_free(struct provider_order **orders, unsigned n)
{
	for (unsigned i = 0; orders != NULL && i < n; i++)
		order_free(orders[i]);
	mem_free(orders);
}

/* One for each worker, made before anything is switched; NULL: out of memory. */
static struct provider_order **orders_new(const struct app *app, const struct config *next, struct buf *report)
{
	struct provider_order **orders = mem_zalloc(app->n_workers * sizeof *orders);
	unsigned n = 0;

	while (orders != NULL && n < app->n_workers && (orders[n] = order_new(app, next, app->workers[n])) != NULL)
		n++;
	if (orders != NULL && n == app->n_workers)
		return orders;
	orders_free(orders, n);
	buf_puts(report, "out of memory\n");
	return NULL;
}

/* On the worker's thread. */
static void on_provider_order(void *arg)
{
	struct provider_order *order = arg;

	for (size_t i = 0; i < order->n; i++) {
		route_reconfigure(worker_route(order->worker), i, &order->providers[i].options, order->providers[i].allow_to);
		order->providers[i].allow_to = NULL;
	}
	route_reconfigured(worker_route(order->worker));
	order_free(order);
}

static void switch_providers(struct app *app, const struct config *next, struct provider_order **orders)
{
	for (size_t i = 0; i < app->boot->n_providers; i++) {
		const struct provider_options *p = provider_of(app, next, i);

		throttle_pool_set(&app->pools[i], p->rate, p->daily_cap);
	}
	for (unsigned i = 0; i < app->n_workers; i++) {
		if (worker_post(app->workers[i], on_provider_order, orders[i]) == 0)
			orders[i] = NULL;
		else
			log_warn("providers are not changed everywhere: out of memory, reload again", LOG_UINT("worker", i));
	}
}

/* ---- all of it ---- */

static void switch_over(struct app *app, struct config *next, struct buf *report)
{
	struct changes changes = { .app = app, .report = report };
	struct changes later = { .app = app, .report = report, .restart = true };
	struct config *old = app->config;

	log_set_level(next->daemon.log_level);
	log_set_format(next->daemon.log_format);
	config_compare(old, next, on_change, &changes);
	config_compare(app->boot, next, on_change, &later);
	/* what TTIN and the API have set stays, unless the file says something new */
	if (old->daemon.inflight != next->daemon.inflight)
		app_apply_inflight(app, next->daemon.inflight);
	app->config = next;
	if (old != app->boot)
		config_free(old);
	if (changes.n + later.n == 0)
		buf_puts(report, "nothing has changed\n");
	log_info("configuration is reloaded", LOG_STR("file", next->path), LOG_UINT("changed", changes.n), LOG_UINT("after_restart", later.n));
}

static void say_refused(const struct buf *report)
{
	const char *line = report->data, *end = line + report->len;

	log_error("configuration is refused: nothing is changed");
	while (line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		if (eol == NULL)
			eol = end;
		log_error("configuration is wrong", LOG_STRN("why", line, (size_t)(eol - line)));
		line = eol + 1;
	}
}

static int reload(struct app *app, struct buf *report)
{
	struct config *next = config_load(app->config->path, report);

	struct provider_order **orders = NULL;
	int rc = -EINVAL;

	if (next != NULL && check_inflight(app, next, report) == 0 && (orders = orders_new(app, next, report)) != NULL)
		rc = switch_log(app, next, report);
	if (rc == 0) {
		switch_providers(app, next, orders);
		switch_over(app, next, report);
	} else {
		config_free(next);
		say_refused(report);
	}
	orders_free(orders, app->n_workers);
	return rc;
}

int app_reload(struct app *app, struct buf *report)
{
	int rc = co_semaphore_acquire(&app->reload, CLOCK_NEVER);

	if (rc < 0)
		return rc;
	if (app->state >= LIFECYCLE_DRAINING) {
		rc = -EBUSY;
	} else {
		/* before the first READY the manager waits for just that */
		if (app->ready_said)
			notify_reloading();
		rc = reload(app, report);
		if (app->ready_said)
			notify_ready();
	}
	co_semaphore_release(&app->reload);
	return rc;
}

int app_reload_task(void *arg)
{
	struct app *app = arg;
	struct buf report = { 0 };

	app->reload_queued = false;
	(void)!app_reload(app, &report);        /* said in the log */
	buf_fini(&report);
	return 0;
}
