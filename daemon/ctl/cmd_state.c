/* cmd_state.c: the commands about the daemon's state: status shows it; pause, resume and drain change it. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/commands.h"
#include "daemon/ctl/table.h"

static void put_row(const struct cli *cli, struct buf *out, const char *name)
{
	buf_printf(out, "  %s%-10s%s ", paint(cli->colour, PAINT_BOLD), name, paint(cli->colour, PAINT_OFF));
}

/* "demo: running, ready" and, where it isn't, a line for each reason. */
static void put_readiness(const struct cli *cli, const json_t *state, struct buf *out)
{
	bool ready = json_is_true(json_object_get(state, "ready"));
	const json_t *reasons = json_object_get(state, "reasons");
	const char *off = paint(cli->colour, PAINT_OFF);
	char uptime[28];

	buf_printf(out, "smstrackd %s, instance %s, pid %lld, up for %s\n", call_str(state, "version"), call_str(state, "instance"),
		   (long long)call_int(state, "pid", 0), format_us(call_int(state, "uptime_ms", 0) * 1000, uptime));
	put_row(cli, out, "state");
	buf_printf(out, "%s%s, %s%s\n", paint(cli->colour, ready ? PAINT_GOOD : PAINT_BAD), call_str(state, "state"), ready ? "ready" : "not ready",
		   off);
	for (size_t i = 0; i < json_array_size(reasons); i++) {
		put_row(cli, out, i == 0 ? "because" : "");
		buf_printf(out, "%s\n", call_str_at(reasons, i));
	}
}

static void put_load(const struct cli *cli, const json_t *state, struct buf *out)
{
	const json_t *m = json_object_get(state, "messages");
	int64_t lag = call_int(state, "lag", -1);
	char a[28], b[28], c[28], d[28], e[28];

	put_row(cli, out, "in flight");
	buf_printf(out, "%s of %s: %s written, %s for a provider, %s for a lease\n", format_count(call_int(state, "inflight", 0), a),
		   format_count(call_int(state, "inflight_max", 0), b), format_count(call_int(state, "written", 0), c),
		   format_count(call_int(state, "waiting_provider", 0), d), format_count(call_int(state, "waiting_busy", 0), e));
	put_row(cli, out, "kafka");
	buf_printf(out, "%lld partitions, %s records behind, oldest open for %s\n", (long long)call_int(state, "partitions", 0),
		   lag < 0 ? "?" : format_count(lag, a), format_us(call_int(state, "oldest_uncommitted_ms", 0) * 1000, b));
	put_row(cli, out, "messages");
	buf_printf(out, "%s sent, %s refused, %s failed, %s lapsed\n", format_count(call_int(m, "sent", 0), a),
		   format_count(call_int(m, "refused", 0), b), format_count(call_int(m, "failed", 0), c),
		   format_count(call_int(m, "lapsed", 0), d));
	put_row(cli, out, "");
	buf_printf(out, "%s uncertain sends, %s duplicates\n", format_count(call_int(m, "uncertain", 0), a),
		   format_count(call_int(m, "duplicates", 0), b));
}

/* One line where all is well, else one a worker that misses it. */
static void put_redis(const struct cli *cli, const json_t *state, struct buf *out)
{
	const json_t *workers = json_object_get(state, "workers_detail");
	size_t ready = 0, n = json_array_size(workers);

	for (size_t i = 0; i < n; i++)
		ready += json_is_true(json_object_get(json_array_get(workers, i), "redis_ready"));
	put_row(cli, out, "redis");
	buf_printf(out, "ready for %zu of %zu workers\n", ready, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *w = json_array_get(workers, i);

		if (json_is_true(json_object_get(w, "redis_ready")))
			continue;
		put_row(cli, out, "");
		buf_printf(out, "worker %lld: %s\n", (long long)call_int(w, "index", -1), call_str(w, "redis_reason"));
	}
}

static int print_state(const struct cli *cli, const json_t *state)
{
	struct buf out = { 0 };

	put_readiness(cli, state, &out);
	put_load(cli, state, &out);
	put_redis(cli, state, &out);
	put_row(cli, &out, "config");
	buf_printf(&out, "%s\n\n", call_str(state, "config"));
	return call_print(&out);
}

int cmd_state_status(struct cli *cli)
{
	json_t *state = NULL;
	int rc = call_show(cli, "/v1/state", &state);

	if (state == NULL)
		return rc;
	rc = print_state(cli, state);
	json_decref(state);
	return rc == CTL_OK ? cmd_live_providers(cli) : rc;
}

/* Of the daemon, or of the one provider that is named. */
static int change(struct cli *cli, const char *state, const char *said)
{
	char target[128], words[160];
	const char *provider = cli->n_args > 0 ? cli->args[0] : NULL;

	if (provider == NULL)
		return call_change(cli, "PUT", "/v1/state", json_pack("{s:s}", "state", state), said);
	if (strlen(provider) > 64 || strspn(provider, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") != strlen(provider)) {
		fprintf(stderr, "smstrack: '%.64s' is no name of a provider\n", provider);
		return CTL_USAGE;
	}
	snprintf(target, sizeof target, "/v1/providers/%s", provider);
	snprintf(words, sizeof words, "provider %s: %s", provider, said);
	return call_change(cli, "PUT", target, json_pack("{s:s}", "state", state), words);
}

int cmd_state_pause(struct cli *cli)
{
	return change(cli, "paused", "paused");
}

int cmd_state_resume(struct cli *cli)
{
	return change(cli, "running", "running");
}

/* Until nobody answers at the socket any more. */
static int wait_for_end(struct cli *cli)
{
	char path[256], err[ADMIN_ERR_MAX];
	int64_t timeout_s, deadline_us;
	int rc = call_socket(cli, path, sizeof path);

	if (rc == CTL_OK && cli_number(cli, CLI_TIMEOUT, 1, 3600, 60, &timeout_s) < 0)
		rc = CTL_USAGE;
	if (rc != CTL_OK)
		return rc;
	deadline_us = clock_mono_exact_us() + timeout_s * 1000000;
	while (clock_mono_exact_us() < deadline_us) {
		struct admin_reply reply;

		rc = admin_call(path, "GET", "/livez", NULL, 2000, &reply, err);
		if (rc == -ENOENT || rc == -ECONNREFUSED) {
			puts("drained");
			return CTL_OK;
		}
		if (rc == 0)
			admin_reply_fini(&reply);
		poll(NULL, 0, 100);
	}
	fputs("smstrack: drain: it still runs; its drain_ms may be longer than --timeout\n", stderr);
	return CTL_TIMEOUT;
}

int cmd_state_drain(struct cli *cli)
{
	int rc = change(cli, "draining", "draining");

	return rc == CTL_OK && cli_has(cli, CLI_WAIT) ? wait_for_end(cli) : rc;
}
