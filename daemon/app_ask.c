/* app_ask.c: what the admin API asks of the layers below: a provider's pause, an empty store's use, one message's record, a job for the
 * topic. Control thread, but for what says so. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "consumer/kafka_sink.h"
#include "consumer/record.h"
#include "daemon/app_inside.h"
#include "daemon/base/log.h"
#include "dispatch/job.h"
#include "dispatch/route.h"
#include "dispatch/worker.h"
#include "metrics/store.h"

enum { PRODUCE_MS = 8000 };

/* ---- a provider's pause ---- */

struct pause_order {
	struct worker *worker;
	const char *name;
	bool paused;
};

/* On the worker's thread. */
static int pause_body(void *arg)
{
	struct pause_order *o = arg;

	return route_pause(worker_route(o->worker), o->name, o->paused);
}

int app_pause_provider(struct app *app, const char *name, bool paused)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < app->n_workers; i++) {
		struct pause_order order = { app->workers[i], name, paused };

		rc = worker_call(app->workers[i], pause_body, &order);
	}
	if (rc == 0)
		log_info(paused ? "provider is paused" : "provider runs again", LOG_STR("provider", name));
	return rc;
}

/* ---- an emptied store ---- */

/* On the worker's thread. */
static int accept_body(void *arg)
{
	return store_accept_empty(worker_store(arg));
}

/* A worker may not know yet what another has just made: it is empty if any of them says so. */
int app_store_init(struct app *app, char *err, size_t err_len)
{
	int sum = -EEXIST;

	for (unsigned i = 0; i < app->n_workers; i++) {
		int rc = worker_call(app->workers[i], accept_body, app->workers[i]);

		if (rc == -EAGAIN) {
			const char *why = app_worker_count(app) > 0 ? app_worker(app, i)->redis_reason : NULL;

			snprintf(err, err_len, "%s", why ? why : "redis: not ready");
		}
		if (rc < 0 && rc != -EEXIST)
			return rc;
		if (rc == 0)
			sum = 0;
	}
	if (sum == 0)
		log_warn("the empty store is taken as it is: what was sent before and is read again is sent again");
	return sum;
}

/* ---- one message ---- */

struct show_order {
	struct worker *worker;
	const char *id;
	size_t len;
	char *json;
};

/* On the worker's thread. */
static int show_body(void *arg)
{
	struct show_order *o = arg;

	return store_show(worker_store(o->worker), o->id, o->len, &o->json);
}

int app_show_message(struct app *app, const char *id, size_t len, char **ret)
{
	struct show_order order = { app->workers[0], id, len, NULL };
	int rc;

	if (!app_worker(app, 0)->redis_ready)
		return -EAGAIN;
	rc = worker_call(order.worker, show_body, &order);
	if (rc == 0)
		*ret = order.json;
	return rc;
}

/* ---- a job ---- */

int app_produce(struct app *app, const struct app_job *job, int32_t *ret_partition, int64_t *ret_offset, char *err, size_t err_len)
{
	const struct kafka_source_options *source = &app->boot->kafka.source;
	const struct record_position at = { .topic = source->topics[0], .timestamp_ms = clock_wall_ms() };
	const struct kafka_message message = {
		.topic = source->topics[0], .key = job->key, .key_len = strlen(job->key), .value = job->json, .value_len = job->json_len,
		.timestamp_ms = -1,
	};
	struct record_fault fault;
	struct job *parsed = NULL;
	int rc = record_parse(&source->record, &at, job->json, job->json_len, clock_wall_ms(), &parsed, &fault);

	if (rc == -EBADMSG) {
		snprintf(err, err_len, "%s: %s", record_reject_name(fault.reject), fault.text);
		return rc;
	}
	job_free(parsed);
	if (rc < 0)
		return rc;
	rc = kafka_sink_produce(app->sink, &message, clock_mono_us() + PRODUCE_MS * 1000LL, ret_partition, ret_offset);
	if (rc == 0)
		log_info("job is taken by the admin API", LOG_STR("topic", message.topic), LOG_INT("partition", *ret_partition),
			 LOG_INT("offset", *ret_offset), LOG_STR("id", job->id));
	return rc;
}
