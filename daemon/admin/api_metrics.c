/* api_metrics.c: GET /metrics: the counters of the process, and families per provider, partition and worker. Control thread. */
#include <stdio.h>
#include <unistd.h>

#include "consumer/kafka_source.h"
#include "daemon/admin/api.h"
#include "daemon/app.h"
#include "daemon/base/log.h"
#include "dispatch/route.h"
#include "metrics/exposition.h"

enum { ASK_MS = 1000 };

/* ---- providers ---- */

static uint64_t accepted(const struct route_status *s) { return s->accepted_total; }
static uint64_t refused(const struct route_status *s) { return s->refused_total; }
static uint64_t throttled(const struct route_status *s) { return s->throttled_total; }
static uint64_t transient(const struct route_status *s) { return s->transient_total; }
static uint64_t uncertain(const struct route_status *s) { return s->uncertain_total; }
static uint64_t unsent(const struct route_status *s) { return s->unsent_total; }
static uint64_t inflight(const struct route_status *s) { return s->inflight; }
static uint64_t is_paused(const struct route_status *s) { return s->paused; }
static uint64_t is_broken(const struct route_status *s) { return s->breaker[0] != 'c'; }
static uint64_t day_used(const struct route_status *s) { return s->day_used; }
static uint64_t requests(const struct route_status *s) { return s->gateway.requests_total; }
static uint64_t bytes_out(const struct route_status *s) { return s->gateway.bytes_out_total; }
static uint64_t bytes_in(const struct route_status *s) { return s->gateway.bytes_in_total; }
static uint64_t connects(const struct route_status *s) { return s->gateway.connects_total; }
static uint64_t connect_errors(const struct route_status *s) { return s->gateway.connect_errors_total; }
static uint64_t malformed(const struct route_status *s) { return s->gateway.malformed_replies_total; }
static uint64_t connections(const struct route_status *s) { return s->gateway.connections; }

static const struct {
	const char *name, *outcome;     /* outcome: one label more; its family is a run of lines of the same name */
	enum counters_kind kind;
	uint64_t (*value)(const struct route_status *s);
	const char *help;
} provider_families[] = {
	{ "smstrack_provider_outcomes_total", "accepted", COUNTERS_TOTAL, accepted, "Outcomes of attempts, by provider and kind." },
	{ "smstrack_provider_outcomes_total", "refused", COUNTERS_TOTAL, refused, "" },
	{ "smstrack_provider_outcomes_total", "throttled", COUNTERS_TOTAL, throttled, "" },
	{ "smstrack_provider_outcomes_total", "transient", COUNTERS_TOTAL, transient, "" },
	{ "smstrack_provider_outcomes_total", "uncertain", COUNTERS_TOTAL, uncertain, "" },
	{ "smstrack_provider_outcomes_total", "unsent", COUNTERS_TOTAL, unsent, "" },
	{ "smstrack_provider_inflight", NULL, COUNTERS_GAUGE, inflight, "Messages at the provider now." },
	{ "smstrack_provider_paused", NULL, COUNTERS_GAUGE, is_paused, "1 while an operator holds the provider back." },
	{ "smstrack_provider_broken", NULL, COUNTERS_GAUGE, is_broken, "1 while a circuit breaker of the provider is not closed." },
	{ "smstrack_provider_day_parts", NULL, COUNTERS_GAUGE, day_used, "Parts sent this UTC day, where a daily cap is set." },
	{ "smstrack_provider_requests_total", NULL, COUNTERS_TOTAL, requests, "Requests written to the provider." },
	{ "smstrack_provider_sent_bytes_total", NULL, COUNTERS_TOTAL, bytes_out, "Bytes written to the provider." },
	{ "smstrack_provider_received_bytes_total", NULL, COUNTERS_TOTAL, bytes_in, "Bytes read from the provider." },
	{ "smstrack_provider_connects_total", NULL, COUNTERS_TOTAL, connects, "Connections made to the provider." },
	{ "smstrack_provider_connect_errors_total", NULL, COUNTERS_TOTAL, connect_errors, "Connections that could not be made." },
	{ "smstrack_provider_malformed_replies_total", NULL, COUNTERS_TOTAL, malformed, "Replies that could not be read." },
	{ "smstrack_provider_connections", NULL, COUNTERS_GAUGE, connections, "Connections to the provider now." },
};

static void put_providers(struct app *app, struct buf *out)
{
	for (size_t f = 0; f < ARRAY_LEN(provider_families); f++) {
		if (*provider_families[f].help)
			exposition_family(out, provider_families[f].name, provider_families[f].kind, provider_families[f].help);
		for (size_t i = 0; i < app_provider_count(app); i++) {
			const struct exposition_label labels[] = { { "provider", app_provider_name(app, i) }, { "outcome", provider_families[f].outcome } };
			struct route_status status;

			if (app_provider(app, i, &status))
				exposition_u64(out, provider_families[f].name, labels, provider_families[f].outcome ? 2 : 1,
					       provider_families[f].value(&status));
		}
	}
}

/* ---- partitions ---- */

enum partition_family { PARTITION_LAG = 1, PARTITION_OPEN, PARTITION_OLDEST };

struct partition_out {
	struct buf *out;
	enum partition_family family;
};

static void put_partition(const struct kafka_source_partition *p, void *arg)
{
	const struct partition_out *o = arg;
	char number[16];
	const struct exposition_label labels[] = { { "topic", p->topic }, { "partition", number } };

	snprintf(number, sizeof number, "%d", (int)p->partition);
	switch (o->family) {
	case PARTITION_LAG:
		if (p->lag >= 0)
			exposition_u64(o->out, "smstrack_partition_lag", labels, 2, (uint64_t)p->lag);
		break;
	case PARTITION_OPEN:
		exposition_u64(o->out, "smstrack_partition_open", labels, 2, p->inflight);
		break;
	case PARTITION_OLDEST:
		exposition_seconds(o->out, "smstrack_partition_oldest_open_seconds", labels, 2, p->oldest_ms * 1000);
		break;
	}
}

static void put_partitions(struct app *app, struct buf *out)
{
	struct partition_out o = { out, PARTITION_LAG };

	exposition_family(out, "smstrack_partition_lag", COUNTERS_GAUGE, "Records behind the end of the log, of the partitions held here.");
	kafka_source_each(app_source(app), put_partition, &o);
	o.family = PARTITION_OPEN;
	exposition_family(out, "smstrack_partition_open", COUNTERS_GAUGE, "Records taken and not done.");
	kafka_source_each(app_source(app), put_partition, &o);
	o.family = PARTITION_OLDEST;
	exposition_family(out, "smstrack_partition_oldest_open_seconds", COUNTERS_GAUGE, "For how long the oldest record has held back the commit.");
	kafka_source_each(app_source(app), put_partition, &o);
}

/* ---- the process ---- */

static void put_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	exposition_family(out, name, COUNTERS_GAUGE, help);
	exposition_u64(out, name, NULL, 0, value);
}

static void put_total(struct buf *out, const char *name, const char *help, uint64_t value)
{
	exposition_family(out, name, COUNTERS_TOTAL, help);
	exposition_u64(out, name, NULL, 0, value);
}

static void put_states(struct app *app, struct buf *out)
{
	exposition_family(out, "smstrack_state", COUNTERS_GAUGE, "1 for the state that the daemon is in.");
	for (int s = LIFECYCLE_STARTING; s < LIFECYCLE_STATES; s++) {
		const struct exposition_label label = { "state", lifecycle_state_name((enum lifecycle_state)s) };

		exposition_u64(out, "smstrack_state", &label, 1, app_state(app) == (enum lifecycle_state)s);
	}
}

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &pages, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_callbacks(struct app *app, struct buf *out)
{
	static const char name[] = "smstrack_callback_cpu_seconds_max";
	struct exposition_label label = { "loop", "control" };
	char number[24];

	exposition_family(out, name, COUNTERS_GAUGE, "Thread CPU of the longest single callback of a loop since the start.");
	exposition_seconds(out, name, &label, 1, app_longest_call_us(app));
	for (unsigned i = 0; i < app_worker_count(app); i++) {
		snprintf(number, sizeof number, "worker%u", i);
		label.value = number;
		exposition_seconds(out, name, &label, 1, app_worker(app, i)->longest_call_us);
	}
}

static void put_process(struct app *app, struct buf *out)
{
	const struct exposition_label version = { "version", VERSION };
	unsigned in_flight = 0, written = 0, waiting = 0, busy = 0;
	struct log_counters log;
	struct app_reasons reasons;
	size_t tasks = 0;

	for (unsigned i = 0; i < app_worker_count(app); i++) {
		const struct app_worker *w = app_worker(app, i);

		in_flight += w->inflight;
		written += w->written;
		waiting += w->waiting_provider;
		busy += w->waiting_busy;
		tasks += w->tasks;
	}
	log_counters(&log);
	exposition_family(out, "smstrack_build_info", COUNTERS_GAUGE, "1, with the version as its label.");
	exposition_u64(out, "smstrack_build_info", &version, 1, 1);
	put_states(app, out);
	put_gauge(out, "smstrack_ready", "1 while messages are taken and sent.", app_ready(app, &reasons));
	put_gauge(out, "smstrack_inflight", "Messages in flight.", in_flight);
	put_gauge(out, "smstrack_inflight_max", "How many may be.", app_inflight_max(app));
	put_gauge(out, "smstrack_written", "Messages that are written and not answered.", written);
	put_gauge(out, "smstrack_waiting_provider", "Messages that wait for room at a provider.", waiting);
	put_gauge(out, "smstrack_waiting_busy", "Messages that wait for another owner's lease.", busy);
	put_gauge(out, "smstrack_tasks", "Tasks of the workers.", tasks);
	put_callbacks(app, out);
	put_gauge(out, "smstrack_resident_memory_bytes", "Resident memory of the process.", resident_bytes());
	put_total(out, "smstrack_log_lines_total", "Lines written to the log.", log.lines_total);
	put_total(out, "smstrack_log_suppressed_total", "Lines left out because their cause had too many.", log.suppressed_total);
	put_total(out, "smstrack_log_lost_total", "Lines that could not be written.", log.lost_total);
	exposition_family(out, "smstrack_uptime_seconds", COUNTERS_GAUGE, "Since the start of the process.");
	exposition_seconds(out, "smstrack_uptime_seconds", NULL, 0, app_uptime_ms(app) * 1000);
}

void api_metrics(struct api_call *call)
{
	(void)!app_refresh(call->app, clock_mono_us() + ASK_MS * 1000);
	call->content_type = EXPOSITION_CONTENT_TYPE;
	exposition_counters(&call->out);
	put_process(call->app, &call->out);
	put_providers(call->app, &call->out);
	put_partitions(call->app, &call->out);
}
