/* process.c: builds the daemon's parts on simulated ports, lets them run, and takes them apart or drops them. */
#include "tests/sim/process.h"

#include <stdio.h>

#include "consumer/kafka_sink.h"
#include "consumer/kafka_source.h"
#include "daemon/base/random.h"
#include "dispatch/coro/coro.h"
#include "dispatch/provider.h"
#include "dispatch/worker.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"

enum { DRAIN_US = 8 * 1000000, CLOSE_US = 3 * 1000000 };

/* Reset with each incarnation; what they point to dies with it. */
static struct process {
	struct process_options options;
	char instance[32];
	struct kafka_setting settings[1];
	struct provider_options providers[SMSC_PROVIDERS];
	char urls[SMSC_PROVIDERS][48];
	struct worker *workers[PROCESS_WORKERS_MAX];
	struct kafka_sink *sink;
	struct kafka_source *source;
	struct co_event stop;
	unsigned left;
} process;

/* ---- options ---- */

static void fill_providers(void)
{
	for (unsigned i = 0; i < SMSC_PROVIDERS; i++) {
		snprintf(process.urls[i], sizeof process.urls[i], "http://%s.example/send", smsc_names[i]);
		process.providers[i] = (struct provider_options){
			.name = smsc_names[i], .type = "http", .preset = "generic", .url = process.urls[i], .allow_plaintext = true,
			.weight = i + 1, .max_inflight = PROCESS_INFLIGHT, .timeout_ms = process.options.timeout_ms,
			.connect_timeout_ms = 1000, .max_connecting = 8, .idle_ms = 10000, .reply_max = 4096,
			.breaker_failures = 5, .breaker_open_ms = 1000, .rate = i == 0 ? 40 : 0,
		};
	}
}

static struct worker_options worker_options(unsigned index, uint64_t incarnation)
{
	return (struct worker_options){
		.index = index, .count = process.options.workers, .providers = process.providers, .n_providers = SMSC_PROVIDERS,
		.store = {
			.url = "redis://127.0.0.1:6379/0", .command_timeout_ms = 1500, .reconnect_ms_max = 2000, .shards = PROCESS_SHARDS,
			.durability = process.options.waits_for_aof ? STORE_AOF : STORE_LOCAL, .retention_s = 7 * 86400, .rates_retention_s = 35 * 86400,
			.receipt_deadline_s = 86400, .lease_slack_ms = 5000, .max_resends = 3, .instance = process.instance,
			.incarnation = incarnation,
		},
		.dispatch = { .inflight = PROCESS_INFLIGHT / process.options.workers, .max_attempts = 8, .backoff_ms = 100,
			      .backoff_max_ms = 2000 },
	};
}

static struct kafka_source_options source_options(void)
{
	static const char *const topics[] = { KAFKA_SIM_TOPIC };

	process.settings[0] = (struct kafka_setting){ "group.instance.id", process.instance };
	return (struct kafka_source_options){
		.brokers = "sim", .group_id = "smstrackd", .topics = topics, .n_topics = 1, .start = KAFKA_START_EARLIEST,
		.strategy = "range", .settings = process.settings, .n_settings = process.options.fixed_member, .prefetch_kb = 1024,
		.max_commit_skew = PROCESS_SKEW_MAX, .commit_interval_ms = 1000, .revoke_drain_ms = 3000, .max_rejects = 4,
		.record = { .default_ttl_s = 3600, .max_age_ms = INT64_C(6) * 86400 * 1000, .on_uncertain = STORE_RESEND,
			    .shards = PROCESS_SHARDS },
	};
}

/* ---- a life ---- */

static void start_parts(void)
{
	static struct kafka_source_options source;      /* outlives its user */
	struct kafka_sink_options sink = { .brokers = "sim", .dead_topic = KAFKA_SIM_DEAD, .backoff_ms = 100, .backoff_max_ms = 1000 };
	uint64_t incarnation = random_u64();
	char err[256] = "";

	for (unsigned i = 0; i < process.options.workers; i++) {
		struct worker_options o = worker_options(i, incarnation);

		process.workers[i] = worker_start_here(&o, err, sizeof err);
		CHECK(process.workers[i] != NULL, "%s", err);
	}
	process.sink = kafka_sink_new(&sink, err, sizeof err);
	CHECK(process.sink != NULL, "%s", err);
	source = source_options();
	process.source = kafka_source_start(&source, process.sink, process.workers, process.options.workers, err, sizeof err);
	CHECK(process.source != NULL, "%s", err);
}

static void end_parts(void)
{
	kafka_source_free(process.source);
	kafka_sink_close(process.sink, clock_mono_us() + CLOSE_US);
	for (unsigned i = process.options.workers; i > 0; i--) {
		worker_stop(process.workers[i - 1]);
		process.workers[i - 1] = NULL;
	}
}

static int process_body(void *arg)
{
	(void)arg;
	co_event_init(&process.stop);
	start_parts();
	(void)!co_event_wait(&process.stop, CLOCK_NEVER);
	sim_trace("process: drains");
	process.left = kafka_source_drain(process.source, clock_mono_us() + DRAIN_US);
	sim_trace("process: drained, %u left", process.left);
	end_parts();
	return 0;
}

void process_stop(void)
{
	if (sim.alive && !process.stop.set)
		co_event_set(&process.stop);
}

struct dispatch *process_dispatch(unsigned worker)
{
	return sim.alive && process.workers[worker] != NULL ? worker_dispatch(process.workers[worker]) : NULL;
}

static void on_unretrieved(const char *name, int err, void *arg)
{
	(void)arg;
	if (sim.alive)
		sim_fail("error %d of %s was never retrieved", err, name);
}

/* A clean end leaves nothing behind, unless the drain's deadline cut it short. */
static void check_nothing_left(void)
{
	if (process.left > 0)
		return;
	if (co_task_count(sim.loop) > 0) {
		sim_fail("%zu tasks are left", co_task_count(sim.loop));
		if (sim.tracing)
			co_task_dump(sim.loop, stdout);
	}
}

enum process_end process_live(const struct process_options *options)
{
	size_t blocks;
	int rc;

	process = (struct process){ .options = *options };
	sim.incarnation++;
	snprintf(process.instance, sizeof process.instance, options->new_name_each_time ? "node-%u" : "node", sim.incarnation);
	fill_providers();
	sim_trace("process: incarnation %u starts as %s", sim.incarnation, process.instance);
	sim.loop = NULL;
	sim.alive = true;
	sim.loop = co_loop_new();
	CHECK(sim.loop != NULL);
	co_loop_on_unretrieved(sim.loop, on_unretrieved, NULL);
	rc = co_run(sim.loop, process_body, NULL, "process");
	if (rc == 0 && sim.alive)
		check_nothing_left();
	co_loop_abandon(sim.loop);
	sim.loop = NULL;
	blocks = sim_arena_drop();
	if (rc == 0 && sim.alive && process.left == 0 && blocks > 0)
		sim_fail("%zu blocks of memory are left", blocks);
	sim_trace("process: %s", sim.alive ? "stopped" : "dead");
	rc = sim.alive && rc == 0 ? 0 : -1;
	sim.alive = false;
	kafka_sim_crashed(sim.kafka);
	return rc == 0 ? PROCESS_STOPPED : PROCESS_CRASHED;
}
