/*
 * app_start.c: makes the daemon's parts in the order in which they need each other, and ends them in the reverse. Control thread. It
 * takes no record: the source does, once it is in its group.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "consumer/kafka_sink.h"
#include "daemon/admin/server.h"
#include "daemon/app_inside.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/exit_code.h"
#include "dispatch/throttle.h"
#include "dispatch/worker.h"

enum { SINK_BACKOFF_MS = 200, SINK_BACKOFF_MAX_MS = 10000, SINK_CLOSE_MS = 3000 };

unsigned app_share(unsigned inflight, unsigned index, unsigned count)
{
	return inflight / count + (index < inflight % count ? 1 : 0);
}

/* One batch for the whole process, as far as a call's fixed cost allows: that is what a crash leaves claimed and unwritten. */
static unsigned claim_batch(unsigned n_workers)
{
	enum { CLAIM_BATCH_MIN = 16 };
	unsigned share = STORE_BATCH / n_workers;

	return share > CLAIM_BATCH_MIN ? share : CLAIM_BATCH_MIN;
}

static struct worker_options worker_options_of(const struct app *app, unsigned index)
{
	const struct config *c = app->boot;
	struct worker_options o = {
		.index = index,
		.count = c->daemon.workers,
		.store = c->store,
		.dispatch = c->dispatch,
		.providers = c->providers,
		.n_providers = c->n_providers,
	};

	o.store.instance = app->run_dir.instance;
	o.store.incarnation = app->run_dir.incarnation;
	o.store.claim_batch = claim_batch(c->daemon.workers);
	o.dispatch.inflight = app_share(c->daemon.inflight, index, c->daemon.workers);
	return o;
}

/* ---- start ---- */

/* Rates and daily caps are the process's: all workers borrow from the same pools. */
static int make_pools(struct app *app)
{
	struct config *c = app->boot;

	app->pools = mem_zalloc((c->n_providers + 1) * sizeof *app->pools);
	if (app->pools == NULL)
		return EXIT_CODE_OSERR;
	for (size_t i = 0; i < c->n_providers; i++) {
		throttle_pool_init(&app->pools[i], c->providers[i].rate, c->providers[i].daily_cap);
		c->providers[i].pool = &app->pools[i];
	}
	return 0;
}

static int start_workers(struct app *app, char *err, size_t err_len)
{
	unsigned n = app->boot->daemon.workers;

	app->workers = mem_zalloc(n * sizeof *app->workers);
	if (app->workers == NULL)
		return EXIT_CODE_OSERR;
	for (unsigned i = 0; i < n; i++) {
		struct worker_options options = worker_options_of(app, i);

		app->workers[i] = worker_start(&options, err, err_len);
		if (app->workers[i] == NULL)
			return EXIT_CODE_CONFIG;
		app->n_workers++;
	}
	return app_views_new(app) == 0 ? 0 : EXIT_CODE_OSERR;
}

static int start_kafka(struct app *app, char *err, size_t err_len)
{
	const struct config *c = app->boot;
	struct kafka_sink_options sink = {
		.brokers = c->kafka.source.brokers,
		.settings = c->kafka.source.settings,
		.n_settings = c->kafka.source.n_settings,
		.dead_topic = c->kafka.dead_topic,
		.backoff_ms = SINK_BACKOFF_MS,
		.backoff_max_ms = SINK_BACKOFF_MAX_MS,
	};

	app->sink = kafka_sink_new(&sink, err, err_len);
	if (app->sink == NULL)
		return EXIT_CODE_CONFIG;
	app->source = kafka_source_start(&c->kafka.source, app->sink, app->workers, app->n_workers, err, err_len);
	return app->source != NULL ? 0 : EXIT_CODE_CONFIG;
}

int app_start_parts(struct app *app, char *err, size_t err_len)
{
	const struct admin_options admin = { .listen = app->boot->admin.listen, .token = app->boot->admin.token };
	int code;

	snprintf(err, err_len, "out of memory");
	/* first, since it finds out whether another daemon sits there; it answers once the loop turns */
	app->admin = admin_server_start(app, &admin, err, err_len);
	if (app->admin == NULL)
		return EXIT_CODE_CANTCREAT;
	code = make_pools(app);
	if (code == 0)
		code = start_workers(app, err, err_len);
	if (code == 0)
		code = start_kafka(app, err, err_len);
	return code;
}

/* ---- end ---- */

void app_end_parts(struct app *app)
{
	admin_server_stop(app->admin);
	app->admin = NULL;
	kafka_source_free(app->source);
	app->source = NULL;
	kafka_sink_close(app->sink, clock_mono_us() + SINK_CLOSE_MS * 1000);
	app->sink = NULL;
	while (app->n_workers > 0)
		worker_stop(app->workers[--app->n_workers]);
	app_views_free(app);
	mem_free(app->workers);
	app->workers = NULL;
	mem_free(app->pools);
	app->pools = NULL;
}
