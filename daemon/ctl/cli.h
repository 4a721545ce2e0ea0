/* cli.h: the command line of smstrack: one table of options, commands that name which of them they take, and --help made of both. */
#ifndef CTL_CLI_H
#define CTL_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/base/check.h"

/* What smstrack ends with; sysexits.h where it has a word for it. --help lists them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,        /* the daemon (or a check) said no */
	CTL_USAGE = 64,
	CTL_UNREACHABLE = 69,   /* no daemon at the socket, or a program that is needed is missing */
	CTL_BUG = 70,
	CTL_TIMEOUT = 75,
	CTL_PROTOCOL = 76,      /* an answer that is none of smstrackd's */
	CTL_NOPERM = 77,
	CTL_CONFIG = 78,
};

enum cli_option {
	CLI_SOCKET = 1, CLI_CONFIG, CLI_JSON, CLI_TIMEOUT, CLI_HELP, CLI_VERSION,
	CLI_WAIT, CLI_TO, CLI_TEXT, CLI_FROM, CLI_CAMPAIGN, CLI_ID, CLI_TTL, CLI_LIMIT,
	CLI_COUNT, CLI_RATE, CLI_INFLIGHT, CLI_HOLD, CLI_DAEMON,
	CLI_OPTIONS,
};
#define CLI_BIT(o) (1u << (o))
/* What every command takes. */
#define CLI_GLOBAL (CLI_BIT(CLI_SOCKET) | CLI_BIT(CLI_CONFIG) | CLI_BIT(CLI_JSON) | CLI_BIT(CLI_TIMEOUT) | CLI_BIT(CLI_HELP) | \
		    CLI_BIT(CLI_VERSION))

enum { CLI_ARGS_MAX = 4 };

struct cli;

struct cli_command {
	const char *name, *args;        /* "set", "inflight N": for help; "" where it takes none */
	unsigned args_min, args_max;
	uint32_t options;               /* besides CLI_GLOBAL */
	const char *help;               /* one line */
	int (*run)(struct cli *cli);    /* an enum ctl_exit */
};

/* A command line that was understood. Values point into argv; NULL: not given; flags hold "". */
struct cli {
	const struct cli_command *command;
	const char *value[CLI_OPTIONS];
	const char *args[CLI_ARGS_MAX];
	unsigned n_args;
	bool colour;                    /* stdout is a terminal that wants it */
};

static inline bool cli_has(const struct cli *cli, enum cli_option option)
{
	return cli->value[option] != NULL;
}

/* Reads argv (without argv[0]) against the table, which ends with a NULL name. Options may stand anywhere before "--".
 * 0, or -EINVAL with what is wrong, and the nearest right word, in err. With --help or --version the rest is not checked. */
int cli_parse(int argc, char **argv, const struct cli_command *table, struct cli *ret, char *err, size_t err_len) MUST_CHECK;

/* The value as a number within [min, max]; `fallback` where it was not given. -EINVAL with words on stderr. */
int cli_number(const struct cli *cli, enum cli_option option, int64_t min, int64_t max, int64_t fallback, int64_t *ret) MUST_CHECK;
int cli_parse_number(const char *s, int64_t min, int64_t max, int64_t *ret) MUST_CHECK;

/* A terminal that can, and nobody said NO_COLOR (no-color.org). */
bool cli_wants_colour(FILE *out);

/* All commands, or one where `command` is not NULL. */
void cli_help(FILE *out, const struct cli_command *table, const struct cli_command *command);

/* Which of n words is nearest to `word`, or NULL where none is near: for "did you mean". */
const char *cli_nearest(const char *word, const char *const *words, size_t n);

#endif
