/* main.c: smstrack, the command line of smstrackd: the table of its commands, and nothing else. */
#include <stdio.h>

#include "daemon/ctl/commands.h"

static const struct cli_command commands[] = {
	{ "status", "", 0, 0, 0, "State, load, Redis, Kafka and providers at a glance", cmd_state_status },
	{ "tasks", "", 0, 0, CLI_BIT(CLI_LIMIT), "What runs now: the oldest tasks first", cmd_live_tasks },
	{ "providers", "", 0, 0, 0, "Each provider's state, load and outcomes", cmd_live_providers },
	{ "partitions", "", 0, 0, 0, "Each partition's offsets and lag", cmd_live_partitions },
	{ "pause", "[PROVIDER]", 0, 1, 0, "Take nothing new; what is in flight goes on", cmd_state_pause },
	{ "resume", "[PROVIDER]", 0, 1, 0, "Take messages again", cmd_state_resume },
	{ "drain", "", 0, 0, CLI_BIT(CLI_WAIT), "Finish what is in flight, commit and end", cmd_state_drain },
	{ "reload", "", 0, 0, CLI_BIT(CLI_WAIT), "Read the configuration again", cmd_settings_reload },
	{ "reopen-logs", "", 0, 0, 0, "Open the log file again, after it was moved", cmd_settings_reopen_logs },
	{ "set", "inflight N", 2, 2, 0, "Messages in flight at once", cmd_settings_set },
	{ "store", "init", 1, 1, 0, "Use a Redis that is empty though the group has commits", cmd_settings_store },
	{ "check", "FILE", 1, 1, 0, "Check a configuration; exit 78 names each error", cmd_settings_check },
	{ "send", "", 0, 0,
	  CLI_BIT(CLI_TO) | CLI_BIT(CLI_TEXT) | CLI_BIT(CLI_FROM) | CLI_BIT(CLI_CAMPAIGN) | CLI_BIT(CLI_ID) | CLI_BIT(CLI_TTL),
	  "Put a message on the topic; prints its id", cmd_message_send },
	{ "show", "ID", 1, 1, 0, "One message's timeline", cmd_message_show },
	{ "demo", "", 0, 0, CLI_BIT(CLI_COUNT) | CLI_BIT(CLI_RATE) | CLI_BIT(CLI_INFLIGHT) | CLI_BIT(CLI_HOLD) | CLI_BIT(CLI_DAEMON),
	  "All of it on this machine, Kafka and providers too", demo_command },
	{ 0 },
};

int main(int argc, char **argv)
{
	struct cli cli = { .colour = cli_wants_colour(stdout) };
	char err[200];
	int rc;

	if (cli_parse(argc - 1, argv + 1, commands, &cli, err, sizeof err) < 0) {
		fprintf(stderr, "smstrack: %s\n", err);
		fputs("smstrack: `smstrack --help` lists what there is\n", stderr);
		return CTL_USAGE;
	}
	if (cli_has(&cli, CLI_VERSION)) {
		puts("smstrack " VERSION);
		return CTL_OK;
	}
	if (cli_has(&cli, CLI_HELP)) {
		cli_help(stdout, commands, cli.command);
		return CTL_OK;
	}
	rc = cli.command->run(&cli);
	if (fflush(stdout) != 0 && rc == CTL_OK) {
		perror("smstrack: writing the answer");
		rc = CTL_BUG;
	}
	return rc;
}
