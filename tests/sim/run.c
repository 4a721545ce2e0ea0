/* run.c: makes the world of a seed, brings the process to life again and again, and judges. */
#include "tests/sim/run.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "tests/sim/faults.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/process.h"
#include "tests/sim/redis_sim.h"
#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"
#include "tests/sim/verify.h"
#include "tests/sim/workload.h"

enum { LOOK_US = 200000, CONVERGE_US = 10 * 60 * 1000000 };

/* ---- the daemon's log, in memory ---- */

static int open_log(void)
{
	char path[64];
	int fd = memfd_create("log", MFD_CLOEXEC);

	CHECK(fd >= 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(log_open(path) == 0);
	log_set_level(LOG_LEVEL_DEBUG);
	return fd;
}

static char *read_log(int fd, size_t *ret_len)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = sim_alloc((size_t)len + 1);

	CHECK(pread(fd, text, (size_t)len, 0) == len);
	close(fd);
	*ret_len = (size_t)len;
	return text;
}

/* ---- a run ---- */

/* From the healing on: done once everything is where it belongs, failed where it isn't after a while. */
static void look(void *arg)
{
	(void)arg;
	if (sim.healed && sim.alive && verify_is_drained()) {
		process_stop();
		return;
	}
	if (sim.healed && sim.now_us > sim.faults->heal_us + CONVERGE_US)
		sim_fail("not drained %d minutes after healing", CONVERGE_US / 60000000);
	sim_after(LOOK_US, look, NULL);
}

static struct process_options draw_options(void)
{
	struct process_options o = {
		.member = { .workers = 1 + (unsigned)sim_below(MEMBER_WORKERS_MAX), .timeout_ms = (unsigned)sim_between(1000, 4000),
			    .fixed = sim_chance(60), .waits_for_aof = sim_chance(30) },
		.members = sim_chance(30) ? 2 : 1, .new_name_each_time = sim_chance(30),
	};

	if (o.new_name_each_time)
		o.member.fixed = false;
	return o;
}

static void rest(int64_t until_us)
{
	while (sim.now_us < until_us && !sim_failed())
		sim_advance(until_us);
}

static void live_and_die(void)
{
	struct process_options options = draw_options();
	enum process_end end;

	for (;;) {
		faults_arm(sim.faults);
		end = process_live(&options);
		if (sim_failed() || (end == PROCESS_STOPPED && sim.healed && verify_is_drained()))
			return;
		rest(sim.now_us + faults_rest_us(sim.faults));
	}
}

static void make_world(unsigned messages)
{
	int64_t span_us = sim_between(5, 30) * 1000000;

	json_set_alloc_funcs(mem_alloc, mem_free);
	json_object_seed(1);
	sim.kafka = kafka_sim_new(1 + (unsigned)sim_below(4));
	sim.redis = redis_sim_new(sim_chance(50) ? REDIS_FSYNC_ALWAYS : REDIS_FSYNC_EVERYSEC);
	sim.smsc = smsc_new();
	sim.faults = faults_new(sim.now_us + span_us + sim_between(5, 20) * 1000000);
	sim.workload = workload_new(messages, span_us);
	sim_after(LOOK_US, look, NULL);
}

void run_seed(uint64_t seed, unsigned messages, bool tracing, struct run_result *ret)
{
	int fd = open_log();
	size_t len;
	char *log;

	sim_init(seed, tracing);
	make_world(messages);
	live_and_die();
	log = read_log(fd, &len);
	if (tracing)
		fwrite(log, 1, len, stdout);
	if (!sim_failed())
		verify_end(log, len);
	*ret = (struct run_result){ .hash = sim.hash, .steps = sim.steps, .incarnations = sim.incarnation,
				    .rebalances = (unsigned)sim.kafka->rebalances_total, .commits = (unsigned)sim.kafka->commits_total,
				    .requests = (unsigned)sim.smsc->n, .simulated_ms = sim.now_us / 1000 };
	snprintf(ret->failure, sizeof ret->failure, "%s", sim.failure);
	free(log);
}
