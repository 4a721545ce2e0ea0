/* cmd_settings.c: the commands that change how the daemon runs, or check what it would run with: reload, reopen-logs, set, store, check. */
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/commands.h"

/* The daemon answers once it is done, with --wait and without: its report is a line for each value that changed. */
int cmd_settings_reload(struct cli *cli)
{
	json_t *reply = NULL, *report;
	int rc = call_json(cli, "POST", "/v1/reload", json_pack("{s:b}", "wait", 1), &reply);

	if (rc != CTL_OK)
		return rc;
	if (cli_has(cli, CLI_JSON)) {
		call_print_json(reply);
	} else {
		puts("reloaded");
		report = json_object_get(reply, "report");
		for (size_t i = 0; i < json_array_size(report); i++)
			printf("  %s\n", call_str_at(report, i));
	}
	json_decref(reply);
	return CTL_OK;
}

int cmd_settings_reopen_logs(struct cli *cli)
{
	return call_change(cli, "POST", "/v1/logs/reopen", NULL, "logs reopened");
}

int cmd_settings_set(struct cli *cli)
{
	char said[80];
	int64_t n;

	if (strcmp(cli->args[0], "inflight") != 0) {
		fprintf(stderr, "smstrack: set: there is no '%.40s' to set; there is: inflight\n", cli->args[0]);
		return CTL_USAGE;
	}
	if (cli_parse_number(cli->args[1], 1, 1000000, &n) < 0) {
		fprintf(stderr, "smstrack: set inflight: '%.40s' is not a number from 1 to 1000000\n", cli->args[1]);
		return CTL_USAGE;
	}
	snprintf(said, sizeof said, "inflight is %lld now", (long long)n);
	return call_change(cli, "PUT", "/v1/inflight", json_pack("{s:I}", "value", (json_int_t)n), said);
}

int cmd_settings_store(struct cli *cli)
{
	if (strcmp(cli->args[0], "init") != 0) {
		fprintf(stderr, "smstrack: store: there is no 'store %.40s'; there is: init\n", cli->args[0]);
		return CTL_USAGE;
	}
	return call_change(cli, "POST", "/v1/store/init", NULL, "the empty store is used from now on");
}

/* Config's own words, each of which names file, line and key. */
static void print_check(const struct cli *cli, const char *path, bool ok, const struct buf *errors)
{
	json_t *json;

	if (!cli_has(cli, CLI_JSON)) {
		fprintf(stderr, "%.*s", (int)errors->len, errors->len > 0 ? errors->data : "");
		if (ok)
			printf("%s: good\n", path);
		return;
	}
	json = json_pack("{s:s, s:b, s:s%}", "file", path, "ok", ok, "messages", errors->len > 0 ? errors->data : "", errors->len);
	call_print_json(json);
	json_decref(json);
}

int cmd_settings_check(struct cli *cli)
{
	const char *path = cli->args[0];
	struct buf errors = { 0 };
	struct config *config = config_load(path, &errors);
	bool ok = config != NULL;

	print_check(cli, path, ok, &errors);
	config_free(config);
	buf_fini(&errors);
	return ok ? CTL_OK : CTL_CONFIG;
}
