/* cmd_state.c: the commands about the daemon's state: status shows it; pause, resume and drain change it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/commands.h"
#include "daemon/ctl/table.h"

static int print_state(const struct cli *cli, const json_t *state)
{
	struct buf out = { 0 };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)state, key, value) {
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		buf_printf(&out, "%s%-16s%s %s\n", paint(cli->colour, PAINT_BOLD), key, paint(cli->colour, PAINT_OFF), text);
		free(text);
	}
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
	return rc;
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
