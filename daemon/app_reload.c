/*
 * app_reload.c: HUP and POST /v1/reload: the whole new configuration is checked before anything of it is used; then what is marked
 * reloadable switches over in one turn. A broken file changes nothing and says why. Control thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/app_inside.h"
#include "daemon/base/log.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/options.h"

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

static void on_change(const struct config_value *was, const struct config_value *is, void *arg)
{
	struct changes *c = arg;
	const struct config_value *v = is ? is : was;
	bool reloadable = v->option != NULL && v->option->reloadable;
	size_t from = c->report->len;

	if (reloadable == c->restart)
		return;
	c->n++;
	name_of(v, c->report);
	if (c->restart) {
		buf_puts(c->report, ": changed in the file, holds after a restart");
	} else {
		buf_puts(c->report, ": ");
		config_value_show(was, c->report);
		buf_puts(c->report, " -> ");
		config_value_show(is, c->report);
	}
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
	unsigned max = limits_inflight_max(app->boot, app->files);

	if (next->daemon.inflight <= max && next->daemon.inflight >= app->n_workers)
		return 0;
	buf_printf(report, "[daemon] inflight = %u: should be a number from %u (a message per worker) to %u (what the limit of %llu open files allows)\n",
		   next->daemon.inflight, app->n_workers, max, (unsigned long long)app->files);
	return -EINVAL;
}

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

	if (next != NULL && check_inflight(app, next, report) == 0 && switch_log(app, next, report) == 0) {
		switch_over(app, next, report);
		return 0;
	}
	config_free(next);
	say_refused(report);
	return -EINVAL;
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
