/* app_json.c: see app_json.h. The names are the admin API's (etc/openapi.yaml) and don't change. */
#include "daemon/app_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "consumer/kafka_source.h"
#include "daemon/app.h"
#include "daemon/config.h"
#include "dispatch/route.h"
#include "metrics/counters.h"

struct totals {
	unsigned inflight, waiting_busy, waiting_provider, written, partitions;
	int64_t lag;            /* -1: of none is it known */
	int64_t oldest_ms;
};

static void add_partition(const struct kafka_source_partition *p, void *arg)
{
	struct totals *t = arg;

	t->partitions++;
	if (p->lag >= 0)
		t->lag = (t->lag < 0 ? 0 : t->lag) + p->lag;
	if (p->oldest_ms > t->oldest_ms)
		t->oldest_ms = p->oldest_ms;
}

static struct totals sum_up(const struct app *app)
{
	struct totals t = { .lag = -1 };

	for (unsigned i = 0; i < app_worker_count(app); i++) {
		const struct app_worker *w = app_worker(app, i);

		t.inflight += w->inflight;
		t.waiting_busy += w->waiting_busy;
		t.waiting_provider += w->waiting_provider;
		t.written += w->written;
	}
	if (app_source(app) != NULL)
		kafka_source_each(app_source(app), add_partition, &t);
	return t;
}

static void put_ready(struct json_out *o, const struct app *app)
{
	struct app_reasons reasons;

	json_out_bool(o, "ready", app_ready(app, &reasons));
	json_out_begin(o, "reasons", '[');
	for (unsigned i = 0; i < reasons.n; i++)
		json_out_str(o, NULL, reasons.text[i]);
	json_out_end(o, ']');
}

static void put_messages(struct json_out *o)
{
	json_out_begin(o, "messages", '{');
	json_out_uint(o, "sent", counters_total(COUNTER_SENT));
	json_out_uint(o, "refused", counters_total(COUNTER_REFUSED));
	json_out_uint(o, "failed", counters_total(COUNTER_FAILED));
	json_out_uint(o, "lapsed", counters_total(COUNTER_LAPSED));
	json_out_uint(o, "uncertain", counters_total(COUNTER_STORE_UNCERTAIN));
	json_out_uint(o, "duplicates", counters_total(COUNTER_STORE_DUPLICATES));
	json_out_end(o, '}');
}

void app_json_state(struct json_out *o, const char *key, const struct app *app)
{
	struct totals t = sum_up(app);
	char incarnation[20];

	snprintf(incarnation, sizeof incarnation, "%016" PRIx64, app_incarnation(app));
	json_out_begin(o, key, '{');
	json_out_str(o, "state", lifecycle_state_name(app_state(app)));
	put_ready(o, app);
	json_out_str(o, "version", VERSION);
	json_out_str(o, "instance", app_instance(app));
	json_out_str(o, "incarnation", incarnation);
	json_out_int(o, "pid", getpid());
	json_out_int(o, "uptime_ms", app_uptime_ms(app));
	json_out_str(o, "config", app_config(app)->path);
	json_out_uint(o, "workers", app_worker_count(app));
	json_out_uint(o, "inflight", t.inflight);
	json_out_uint(o, "inflight_max", app_inflight_max(app));
	json_out_uint(o, "written", t.written);
	json_out_uint(o, "waiting_provider", t.waiting_provider);
	json_out_uint(o, "waiting_busy", t.waiting_busy);
	json_out_uint(o, "partitions", t.partitions);
	if (t.lag >= 0)
		json_out_int(o, "lag", t.lag);
	else
		json_out_str(o, "lag", NULL);
	json_out_int(o, "oldest_uncommitted_ms", t.oldest_ms);
	put_messages(o);
	json_out_end(o, '}');
}

void app_json_worker(struct json_out *o, const char *key, const struct app *app, unsigned index)
{
	const struct app_worker *w = app_worker(app, index);

	json_out_begin(o, key, '{');
	json_out_uint(o, "index", index);
	json_out_uint(o, "inflight", w->inflight);
	json_out_uint(o, "inflight_max", w->inflight_max);
	json_out_uint(o, "written", w->written);
	json_out_uint(o, "waiting_provider", w->waiting_provider);
	json_out_uint(o, "waiting_busy", w->waiting_busy);
	json_out_uint(o, "tasks", w->tasks);
	json_out_bool(o, "redis_ready", w->redis_ready);
	json_out_str(o, "redis_reason", w->redis_ready ? NULL : w->redis_reason);
	json_out_int(o, "age_ms", w->at_us > 0 ? (clock_mono_exact_us() - w->at_us) / 1000 : -1);
	json_out_end(o, '}');
}

static const char *provider_state(const struct route_status *s)
{
	if (s->paused)
		return "paused";
	if (s->throttled_us > 0)
		return "throttled";
	return s->breaker[0] == 'c' ? "running" : "broken";
}

void app_json_provider(struct json_out *o, const char *key, const struct app *app, size_t index)
{
	struct route_status s;

	json_out_begin(o, key, '{');
	json_out_str(o, "name", app_provider_name(app, index));
	if (app_provider(app, index, &s)) {
		json_out_str(o, "state", provider_state(&s));
		json_out_str(o, "breaker", s.breaker);
		json_out_uint(o, "inflight", s.inflight);
		json_out_uint(o, "inflight_max", s.inflight_max);
		json_out_uint(o, "weight", s.weight);
		json_out_uint(o, "rate", s.rate);
		json_out_uint(o, "daily_cap", s.daily_cap);
		json_out_int(o, "throttled_ms", s.throttled_us / 1000);
		json_out_uint(o, "day_used", s.day_used);
		json_out_uint(o, "accepted_total", s.accepted_total);
		json_out_uint(o, "refused_total", s.refused_total);
		json_out_uint(o, "throttled_total", s.throttled_total);
		json_out_uint(o, "transient_total", s.transient_total);
		json_out_uint(o, "uncertain_total", s.uncertain_total);
		json_out_uint(o, "unsent_total", s.unsent_total);
		json_out_uint(o, "requests_total", s.gateway.requests_total);
		json_out_uint(o, "connects_total", s.gateway.connects_total);
		json_out_uint(o, "connect_errors_total", s.gateway.connect_errors_total);
		json_out_uint(o, "malformed_replies_total", s.gateway.malformed_replies_total);
		json_out_uint(o, "connections", s.gateway.connections);
		json_out_uint(o, "idle", s.gateway.idle);
	}
	json_out_end(o, '}');
}

void app_json_partition(struct json_out *o, const char *key, const struct kafka_source_partition *p)
{
	json_out_begin(o, key, '{');
	json_out_str(o, "topic", p->topic);
	json_out_int(o, "partition", p->partition);
	json_out_uint(o, "worker", p->worker);
	json_out_uint(o, "epoch", p->epoch);
	json_out_int(o, "position", p->position);
	json_out_int(o, "committed", p->committed);
	json_out_int(o, "lag", p->lag);
	json_out_uint(o, "open", p->inflight);
	json_out_int(o, "oldest_ms", p->oldest_ms);
	json_out_end(o, '}');
}
