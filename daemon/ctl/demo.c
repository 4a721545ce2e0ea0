/*
 * demo.c: `smstrack demo`: the main job on embedded defaults, from messages on a topic to a report. Main thread. The first Ctrl-C
 * pauses the daemon, waits for what is in flight and still reports; the second ends it all at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/commands.h"
#include "daemon/ctl/demo_jobs.h"
#include "daemon/ctl/demo_kafka.h"
#include "daemon/ctl/demo_look.h"
#include "daemon/ctl/demo_report.h"
#include "daemon/ctl/demo_world.h"
#include "daemon/ctl/table.h"

enum {
	TICK_MS = 10,
	OTHER_FILES = 240,              /* beside connections to providers, in each process */
	DRAW_US = 100000,               /* on a terminal */
	LINE_US = 2000000,              /* elsewhere */
	LOOK_US = 100000,               /* between two looks at /metrics */
	WARM_UP = 16,                   /* messages before the clock starts: a consumer's first fetch takes Kafka a second */
	WARM_UP_US = 10000000,          /* at most */
	OPEN_MAX = 10000,               /* on the topic and not settled: the mock cluster's memory is small */
	SETTLE_US = 30000000,           /* without any progress */
	ECHO_US = 300000,
	PAUSE_US = 15000000,            /* for what is in flight when interrupted */
};

struct demo {
	struct cli *cli;
	FILE *out;                      /* where people read: stderr with --json */
	bool terminal, colour;
	int signals;
	unsigned interrupts;
	size_t rate;
	struct demo_world world;
	struct demo_result result;
	size_t put;                     /* given to the producer */
	struct demo_seen seen;
	int64_t first_us, last_us;      /* the clock's start, 0 during the warm-up; the last progress seen */
	int64_t cpu_before_us, drawn_us, looked_us, interrupted_us;
	uint64_t drawn_settled;
};

static void say(const struct demo *d, const char *what, const char *text)
{
	fprintf(d->out, "  %s%-10s%s %s\n", paint(d->colour, PAINT_BOLD), what, paint(d->colour, PAINT_OFF), text);
	fflush(d->out);
}

/* Signals come through a descriptor, in every thread's stead: hence before the first thread. */
static int open_signals(sigset_t *ret_before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, ret_before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* As many messages in flight as the files we may open allow, up to `inflight`: each may take a connection to both providers. */
static unsigned fit_inflight(unsigned inflight)
{
	struct rlimit limit;
	rlim_t fits;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return inflight;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	fits = limit.rlim_max > OTHER_FILES ? (limit.rlim_max - OTHER_FILES) / 2 : 1;
	if (fits >= inflight)
		return inflight;
	fprintf(stderr, "smstrack: demo: %u messages in flight at once, for no more than %llu files may be open (ulimit -Hn)\n", (unsigned)fits,
		(unsigned long long)limit.rlim_max);
	return (unsigned)fits;
}

/* Signals in short order are one: what runs us (timeout, make) may pass on what the terminal has sent already. */
static bool interrupted(void *arg)
{
	struct demo *d = arg;
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof info) == sizeof info) {
		int64_t now_us = clock_mono_exact_us();

		if (d->interrupts == 0 || now_us - d->interrupted_us > ECHO_US)
			d->interrupts++;
		d->interrupted_us = now_us;
	}
	return d->interrupts > 0;
}

/* ---- the run ---- */

/* Puts as many on the topic as are due by now. */
static void feed(struct demo *d, int64_t now_us, struct buf *job)
{
	struct demo_result *r = &d->result;
	uint64_t refused;
	size_t due = WARM_UP;

	if (d->first_us > 0)
		due += (size_t)((double)(now_us - d->first_us) * (double)d->rate / 1e6) + 1;
	for (; d->put < due && d->put < r->messages && d->put < r->settled + OPEN_MAX; d->put++) {
		char key[32];
		int len = snprintf(key, sizeof key, "%zu", d->put);

		demo_jobs_make(d->put, job);
		if (job->oom || demo_kafka_put(d->world.kafka, key, (size_t)len, job->data, job->len) < 0)
			break;
	}
	demo_kafka_poll(d->world.kafka, &r->produced, &refused);
}

/* ---- looking on ---- */

/* 0, or the errno of a daemon that doesn't answer. */
static int look(struct demo *d, int64_t now_us)
{
	uint64_t before = d->result.settled;
	int rc = demo_look(&d->world, &d->seen, &d->result);

	d->looked_us = now_us;
	if (d->result.settled != before)
		d->last_us = now_us;
	return rc;
}

static unsigned terminal_width(const struct demo *d)
{
	struct winsize size;

	if (ioctl(fileno(d->out), TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		return TABLE_WIDTH - 1;
	return size.ws_col > 100 ? 100 : size.ws_col - 1u;
}

static void draw(struct demo *d, int64_t now_us, bool last)
{
	int64_t since_us = now_us - d->drawn_us;
	struct demo_progress p = { .total = d->result.messages, .settled = d->result.settled, .inflight = d->seen.inflight };
	struct buf line = { 0 };

	if (!last && since_us < (d->terminal ? DRAW_US : LINE_US))
		return;
	if (d->first_us > 0 && now_us > d->first_us)
		p.rate = (double)(p.settled - d->result.warm_up) * 1e6 / (double)(now_us - d->first_us);
	demo_progress_line(&p, d->terminal ? terminal_width(d) : 0, d->colour, &line);
	fprintf(d->out, "%s%.*s%s", d->terminal ? "\r\033[K" : "  ", (int)line.len, line.data, !d->terminal || last ? "\n" : "");
	fflush(d->out);
	buf_fini(&line);
	d->drawn_us = now_us;
}

/* ---- the run ---- */

static int start_servers(struct demo *d, const struct demo_world_options *options, char err[DEMO_WORLD_ERR_MAX])
{
	struct demo_world *w = &d->world;
	char text[200];
	int rc = demo_world_redis(w, err);

	if (rc != CTL_OK)
		return rc;
	say(d, "redis", "a private redis-server on a UNIX socket");
	rc = demo_world_servers(w, options, err);
	if (rc != CTL_OK)
		return rc;
	snprintf(text, sizeof text, "librdkafka's own, in this process: %d partitions at %s", DEMO_PARTITIONS, demo_kafka_brokers(w->kafka));
	say(d, "kafka", text);
	snprintf(text, sizeof text, "acme and bulk at 127.0.0.1:%u: slow (20-80 ms, some 900),", demo_provider_port(w->provider));
	say(d, "providers", text);
	say(d, "", "2 % of numbers refused, 1 % failing, acme busy now and then");
	return CTL_OK;
}

static int start(struct demo *d, const struct demo_world_options *options)
{
	struct demo_world *w = &d->world;
	char err[DEMO_WORLD_ERR_MAX], text[DEMO_PATH_MAX + 100], n[28];
	int rc;

	fprintf(d->out, "smstrack demo: %s messages from Kafka through smstrackd to a provider\n\n",
		format_count((int64_t)d->result.messages, n));
	rc = start_servers(d, options, err);
	if (rc == CTL_OK)
		rc = demo_world_daemon(w, options, err);
	if (rc == CTL_OK) {
		snprintf(text, sizeof text, "%s, process %d; joins its consumer group (3 s)", w->daemon_path, (int)w->daemon.pid);
		say(d, "smstrackd", text);
		snprintf(text, sizeof text, "%s -s %s status", program_invocation_name, w->admin);
		say(d, "look on", text);
		rc = demo_world_wait_ready(w, interrupted, d, err);
	}
	fputc('\n', d->out);
	fflush(d->out);
	if (rc != CTL_OK)
		fprintf(stderr, "smstrack: demo: %s\n", err);
	return rc;
}

/* Nothing new is taken; what is in flight is waited for. */
static void pause_daemon(struct demo *d)
{
	char err[ADMIN_ERR_MAX];
	struct admin_reply reply;

	if (d->terminal)
		fputs("\r\033[K", d->out);
	fputs("interrupted: finishing what is in flight (Ctrl-C again ends at once)\n", d->out);
	fflush(d->out);
	d->result.interrupted = true;
	if (admin_call(d->world.admin, "PUT", "/v1/state", "{\"state\":\"paused\"}", 5000, &reply, err) == 0)
		admin_reply_fini(&reply);
	else
		fprintf(stderr, "smstrack: demo: %s\n", err);
}

/* The clock starts once the first few are through. */
static void start_clock(struct demo *d, int64_t now_us, int64_t began_us)
{
	struct demo_result *r = &d->result;
	int64_t peak;

	if (r->settled < WARM_UP && r->settled < r->messages && now_us - began_us < WARM_UP_US)
		return;
	r->warm_up = r->settled;
	d->first_us = d->last_us = d->drawn_us = now_us;
	if (demo_child_usage(&d->world.daemon, &d->cpu_before_us, &peak) < 0)
		d->cpu_before_us = 0;
}

/* Whether there is nothing more to wait for. */
static bool is_over(struct demo *d, int64_t now_us, int64_t paused_us)
{
	const struct demo_result *r = &d->result;

	if (d->interrupts > 1)
		return true;
	if (paused_us > 0)
		return now_us - paused_us > PAUSE_US || (d->looked_us > paused_us + 3LL * LOOK_US && d->seen.quiet >= 2);
	if (r->settled >= r->messages && d->seen.quiet >= 2)
		return true;
	return now_us - d->last_us > SETTLE_US;
}

/* Whether what the demo stands on still does; if not, the words that say what fell. */
static bool stands(struct demo *d)
{
	const char *name = !demo_child_alive(&d->world.daemon) ? "smstrackd" : !demo_child_alive(&d->world.redis) ? "redis-server" : NULL;

	if (name == NULL)
		return true;
	fprintf(d->out, "%s", d->terminal ? "\n" : "");
	fflush(d->out);
	fprintf(stderr, "smstrack: demo: %s ended in the middle\n", name);
	demo_child_print_log(strcmp(name, "smstrackd") == 0 ? &d->world.daemon : &d->world.redis, name, 12);
	return false;
}

static int flow(struct demo *d)
{
	struct buf job = { 0 };
	int64_t now_us = clock_mono_exact_us(), began_us = now_us, paused_us = 0;
	int rc = CTL_OK;

	d->last_us = d->drawn_us = now_us;
	while (!is_over(d, now_us, paused_us)) {
		struct pollfd p = { .fd = d->signals, .events = POLLIN };

		if (d->first_us == 0)
			start_clock(d, now_us, began_us);
		if (paused_us == 0)
			feed(d, now_us, &job);
		poll(&p, 1, TICK_MS);
		now_us = clock_mono_exact_us();
		if (interrupted(d) && paused_us == 0) {
			pause_daemon(d);
			paused_us = now_us;
		}
		if (now_us - d->looked_us >= LOOK_US) {
			look(d, now_us);
			if (!stands(d)) {
				rc = CTL_REFUSED;
				break;
			}
		}
		draw(d, now_us, false);
	}
	if (rc == CTL_OK)
		draw(d, now_us, true);
	buf_fini(&job);
	return rc;
}

/* ---- what came out ---- */

static bool interrupted_again(void *arg)
{
	struct demo *d = arg;

	interrupted(d);
	return d->interrupts > (d->result.interrupted ? 1 : 0);
}

static void collect(struct demo *d)
{
	struct demo_result *r = &d->result;
	int64_t cpu_us, peak_bytes;
	uint64_t unused;

	look(d, clock_mono_exact_us());
	demo_kafka_poll(d->world.kafka, &r->produced, &unused);
	r->open = r->produced > r->settled ? r->produced - r->settled : 0;
	r->elapsed_us = d->first_us > 0 ? d->last_us - d->first_us : 0;
	r->cut = d->interrupts > 1;
	if (demo_child_usage(&d->world.daemon, &cpu_us, &peak_bytes) == 0) {
		r->cpu_us = cpu_us - d->cpu_before_us;
		r->peak_bytes = peak_bytes;
	}
	if (!r->cut)
		demo_look_up(&d->world, d->put, interrupted_again, d, r);
}

/* Last words: what to type next, with the names that this program goes by here. */
static void what_next(struct buf *out)
{
	const char *self = program_invocation_name, *slash = strrchr(self, '/');
	int dir = slash != NULL ? (int)(slash + 1 - self) : 0;

	buf_puts(out, "\nNothing is left of it. What to type next:\n");
	buf_printf(out, "  %s demo -n 50000 -r 10000\n      more of it, faster\n", self);
	buf_printf(out, "  %s demo --hold\n      keep it running, to try status, tasks, pause, set, show, send on it\n", self);
	buf_printf(out, "  %.*ssmstrackd --check-config FILE\n      your own configuration; a sample is etc/smstrackd.conf\n", dir, self);
	if (access("tests/unit", X_OK) == 0)
		buf_puts(out, "  make check\n      every test, on a real Kafka and a real Redis\n");
	buf_printf(out, "  %s --help\n      what an operator can say\n", self);
}

static int report(struct demo *d)
{
	struct buf text = { 0 }, why = { 0 };
	bool holds = demo_result_holds(&d->result, &why);
	json_t *json;

	buf_fini(&why);
	if (cli_has(d->cli, CLI_JSON)) {
		json = demo_report_json(&d->result);
		call_print_json(json);
		json_decref(json);
		return holds ? CTL_OK : CTL_REFUSED;
	}
	demo_report(&d->result, d->colour, &text);
	what_next(&text);
	if (call_print(&text) != CTL_OK)
		return CTL_BUG;
	return holds ? CTL_OK : CTL_REFUSED;
}

static void hold(struct demo *d)
{
	struct pollfd p = { .fd = d->signals, .events = POLLIN };

	fprintf(d->out, "\nheld; Ctrl-C ends it. Meanwhile: export SMSTRACK_SOCKET=unix:%s\n", d->world.admin);
	fflush(d->out);
	while (!interrupted(d) && demo_child_alive(&d->world.daemon))
		poll(&p, 1, 1000);
}

static int run(struct demo *d, const struct demo_world_options *options)
{
	int rc = start(d, options);

	if (rc != CTL_OK)
		return rc;
	rc = flow(d);
	if (rc != CTL_OK)
		return rc;
	collect(d);
	if (cli_has(d->cli, CLI_HOLD) && d->interrupts == 0)
		hold(d);
	d->result.daemon_exit = demo_world_end_daemon(&d->world, d->result.cut ? 500 : 20000);
	demo_look_ledger(&d->world, d->put, &d->result);
	return report(d);
}

int demo_command(struct cli *cli)
{
	struct demo d = { .cli = cli, .out = cli_has(cli, CLI_JSON) ? stderr : stdout };
	struct demo_world_options options = { .daemon = cli->value[CLI_DAEMON] };
	int64_t n, rate, inflight;
	sigset_t before;
	int rc;

	if (cli_number(cli, CLI_COUNT, 1, 1000000, 10000, &n) < 0 || cli_number(cli, CLI_RATE, 1, 100000, 2500, &rate) < 0 ||
	    cli_number(cli, CLI_INFLIGHT, 1, 2000, 500, &inflight) < 0)
		return CTL_USAGE;
	d.result.messages = (uint64_t)n;
	d.result.rate = (unsigned)rate;
	d.rate = (size_t)rate;
	d.terminal = isatty(fileno(d.out));
	d.colour = cli_wants_colour(d.out);
	options.n_ids = (size_t)n;
	options.inflight = fit_inflight((unsigned)inflight);
	signal(SIGPIPE, SIG_IGN);       /* nobody reads on: all the same, nothing may be left behind */
	d.signals = open_signals(&before);
	if (d.signals < 0) {
		fprintf(stderr, "smstrack: demo: no signal descriptor: %s\n", strerror(errno));
		return CTL_BUG;
	}
	rc = run(&d, &options);
	demo_world_end(&d.world);
	interrupted(&d);
	close(d.signals);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}
