/* member.c: the options of a small, hurried daemon, and its parts. */
#include "tests/sim/member.h"

#include <stdio.h>

#include "consumer/kafka_sink.h"
#include "daemon/base/random.h"
#include "dispatch/coro/coro.h"
#include "dispatch/worker.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/sim.h"

enum { DRAIN_US = 8 * 1000000, CLOSE_US = 3 * 1000000 };

/* ---- options ---- */

static void fill_providers(struct member *m)
{
	for (unsigned i = 0; i < SMSC_PROVIDERS; i++) {
		snprintf(m->urls[i], sizeof m->urls[i], "http://%s.example/send", smsc_names[i]);
		m->providers[i] = (struct provider_options){
			.name = smsc_names[i], .type = "http", .preset = "generic", .url = m->urls[i], .allow_plaintext = true,
			.weight = i + 1, .max_inflight = MEMBER_INFLIGHT, .timeout_ms = m->options.timeout_ms,
			.connect_timeout_ms = 1000, .max_connecting = 8, .idle_ms = 10000, .reply_max = 4096,
			.breaker_failures = 5, .breaker_open_ms = 1000, .rate = i == 0 ? 40 : 0,
		};
	}
}

static void fill_source(struct member *m)
{
	static const char *const topics[] = { KAFKA_SIM_TOPIC };

	m->setting = (struct kafka_setting){ "group.instance.id", m->instance };
	m->source_options = (struct kafka_source_options){
		.brokers = "sim", .group_id = "smstrackd", .topics = topics, .n_topics = 1, .start = KAFKA_START_EARLIEST,
		.strategy = "range", .settings = &m->setting, .n_settings = m->options.fixed, .prefetch_kb = 1024,
		.max_commit_skew = MEMBER_SKEW_MAX, .commit_interval_ms = 1000, .revoke_drain_ms = 3000, .max_rejects = 4,
		.record = { .default_ttl_s = 3600, .max_age_ms = INT64_C(6) * 86400 * 1000, .on_uncertain = STORE_RESEND,
			    .shards = MEMBER_SHARDS },
	};
}

static struct worker_options worker_options(const struct member *m, unsigned index, uint64_t incarnation)
{
	return (struct worker_options){
		.index = index, .count = m->options.workers, .providers = m->providers, .n_providers = SMSC_PROVIDERS,
		.store = {
			.url = "redis://127.0.0.1:6379/0", .command_timeout_ms = 1500, .reconnect_ms_max = 2000, .shards = MEMBER_SHARDS,
			.durability = m->options.waits_for_aof ? STORE_AOF : STORE_LOCAL, .retention_s = 7 * 86400,
			.rates_retention_s = 35 * 86400, .receipt_deadline_s = 86400, .lease_slack_ms = 5000, .max_resends = 3,
			.instance = m->instance, .incarnation = incarnation,
		},
		.dispatch = { .inflight = MEMBER_INFLIGHT / m->options.workers, .max_attempts = 8, .backoff_ms = 100, .backoff_max_ms = 2000 },
	};
}

/* ---- life ---- */

void member_start(struct member *m, const struct member_options *options, const char *instance)
{
	struct kafka_sink_options sink = { .brokers = "sim", .dead_topic = KAFKA_SIM_DEAD, .backoff_ms = 100, .backoff_max_ms = 1000 };
	uint64_t incarnation = random_u64();
	char err[256] = "";

	*m = (struct member){ .options = *options };
	snprintf(m->instance, sizeof m->instance, "%s", instance);
	sim_trace("%s: starts", m->instance);
	fill_providers(m);
	fill_source(m);
	for (unsigned i = 0; i < options->workers; i++) {
		struct worker_options o = worker_options(m, i, incarnation);

		m->workers[i] = worker_start_here(&o, err, sizeof err);
		CHECK(m->workers[i] != NULL, "%s", err);
	}
	m->sink = kafka_sink_new(&sink, err, sizeof err);
	CHECK(m->sink != NULL, "%s", err);
	m->source = kafka_source_start(&m->source_options, m->sink, m->workers, options->workers, err, sizeof err);
	CHECK(m->source != NULL, "%s", err);
}

unsigned member_stop(struct member *m)
{
	unsigned left;

	sim_trace("%s: drains", m->instance);
	left = kafka_source_drain(m->source, clock_mono_us() + DRAIN_US);
	sim_trace("%s: drained, %u left", m->instance, left);
	kafka_source_free(m->source);
	kafka_sink_close(m->sink, clock_mono_us() + CLOSE_US);
	for (unsigned i = m->options.workers; i > 0; i--) {
		worker_stop(m->workers[i - 1]);
		m->workers[i - 1] = NULL;
	}
	return left;
}
