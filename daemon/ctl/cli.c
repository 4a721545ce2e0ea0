/*
 * cli.c: reads the command line and writes --help, both from the same tables. Pure apart from printing. It refuses what it doesn't
 * know, with the nearest known word, and never guesses.
 */
#include "daemon/ctl/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct option_spec {
	char letter;                    /* 0: none */
	const char *name, *value;       /* value NULL: a flag */
	const char *help;
};

static const struct option_spec option_table[CLI_OPTIONS] = {
	[CLI_SOCKET] = { 's', "socket", "PATH", "the daemon's admin socket" },
	[CLI_CONFIG] = { 'f', "config", "FILE", "take the socket from this configuration" },
	[CLI_JSON] = { 'j', "json", NULL, "print JSON, as the daemon gives it" },
	[CLI_TIMEOUT] = { 't', "timeout", "SECONDS", "wait that long for an answer (10)" },
	[CLI_HELP] = { 'h', "help", NULL, "this text; after a command, that command's" },
	[CLI_VERSION] = { 'V', "version", NULL, "print the version" },
	[CLI_WAIT] = { 'w', "wait", NULL, "return when it is done, not when it was asked for" },
	[CLI_TO] = { 0, "to", "NUMBER", "recipient, E.164: +4915112345678" },
	[CLI_TEXT] = { 0, "text", "TEXT", "what to send, UTF-8; - reads stdin" },
	[CLI_FROM] = { 0, "from", "SENDER", "number, short code or up to 11 letters" },
	[CLI_CAMPAIGN] = { 0, "campaign", "NAME", "which rates it counts in" },
	[CLI_ID] = { 0, "id", "ID", "its identity; else the daemon makes one" },
	[CLI_TTL] = { 0, "ttl", "SECONDS", "not sent after that" },
	[CLI_LIMIT] = { 'l', "limit", "N", "show that many rows (30)" },
	[CLI_COUNT] = { 'n', "messages", "N", "how many messages (10000)" },
	[CLI_RATE] = { 'r', "rate", "N", "put N a second on the topic (2500)" },
	[CLI_INFLIGHT] = { 0, "inflight", "N", "messages in flight at once (500)" },
	[CLI_HOLD] = { 0, "hold", NULL, "keep it all running until Ctrl-C" },
	[CLI_DAEMON] = { 0, "daemon", "PATH", "which smstrackd to run" },
};

/* Optimal string alignment distance, cut to rows of 64: how many typing slips apart two words are. */
static unsigned slips(const char *a, const char *b)
{
	enum { MAX = 64 };
	unsigned row[3][MAX + 1], *before = row[0], *above = row[1], *here = row[2];
	size_t la = strnlen(a, MAX), lb = strnlen(b, MAX);

	for (size_t j = 0; j <= lb; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *oldest = before;

		here[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (best > above[j] + 1)
				best = above[j] + 1;
			if (best > here[j - 1] + 1)
				best = here[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && best > before[j - 2] + 1)
				best = before[j - 2] + 1;
			here[j] = best;
		}
		before = above;
		above = here;
		here = oldest;
	}
	return above[lb];
}

const char *cli_nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned best_slips = 0, limit = (unsigned)strlen(word) / 3 + 1;

	for (size_t i = 0; i < n; i++) {
		unsigned d = slips(word, words[i]);

		if (d > limit || (best != NULL && d >= best_slips))
			continue;
		best = words[i];
		best_slips = d;
	}
	return best;
}

static int unknown_option(const char *word, size_t len, char *err, size_t err_len)
{
	const char *names[CLI_OPTIONS], *near;
	char cut[64];
	size_t n = 0;

	snprintf(cut, sizeof cut, "%.*s", (int)(len < 63 ? len : 63), word);
	for (int i = 1; i < CLI_OPTIONS; i++)
		names[n++] = option_table[i].name;
	near = cli_nearest(cut, names, n);
	snprintf(err, err_len, "unknown option --%s%s%s%s", cut, near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
	return -EINVAL;
}

static int unknown_command(const char *word, const struct cli_command *table, char *err, size_t err_len)
{
	const char *names[64], *near;
	size_t n = 0;

	for (; n < ARRAY_LEN(names) && table[n].name != NULL; n++)
		names[n] = table[n].name;
	near = cli_nearest(word, names, n);
	snprintf(err, err_len, "unknown command '%.40s'%s%s%s", word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return -EINVAL;
}

/* Which option a word that begins with "--" or "-x" is; its inline value, if any, into *ret_value. 0: none. */
static enum cli_option option_of(const char *word, const char **ret_value)
{
	*ret_value = NULL;
	for (int i = 1; i < CLI_OPTIONS; i++) {
		const struct option_spec *o = &option_table[i];
		size_t len = strlen(o->name);

		if (word[1] != '-') {
			if (o->letter == 0 || word[1] != o->letter)
				continue;
			*ret_value = word[2] != '\0' ? word + 2 : NULL;
			return (enum cli_option)i;
		}
		if (strncmp(word + 2, o->name, len) != 0 || (word[2 + len] != '\0' && word[2 + len] != '='))
			continue;
		*ret_value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
		return (enum cli_option)i;
	}
	return 0;
}

/* Takes argv[i], an option, and its value; how many words that were, or -EINVAL. */
static int take_option(int argc, char **argv, int i, struct cli *cli, char *err, size_t err_len)
{
	const char *value;
	enum cli_option option = option_of(argv[i], &value);
	const struct option_spec *spec;

	if (option == 0) {
		if (argv[i][1] == '-')
			return unknown_option(argv[i] + 2, strcspn(argv[i] + 2, "="), err, err_len);
		snprintf(err, err_len, "unknown option %.40s", argv[i]);
		return -EINVAL;
	}
	spec = &option_table[option];
	if (spec->value == NULL) {
		if (value != NULL) {
			snprintf(err, err_len, "--%s takes no value", spec->name);
			return -EINVAL;
		}
		cli->value[option] = "";
		return 1;
	}
	if (value == NULL && i + 1 >= argc) {
		snprintf(err, err_len, "--%s wants a value: %s", spec->name, spec->value);
		return -EINVAL;
	}
	cli->value[option] = value != NULL ? value : argv[i + 1];
	return value != NULL ? 1 : 2;
}

static int take_word(const char *word, const struct cli_command *table, struct cli *cli, char *err, size_t err_len)
{
	if (cli->command != NULL) {
		if (cli->n_args >= CLI_ARGS_MAX || cli->n_args >= cli->command->args_max) {
			snprintf(err, err_len, "%s: unexpected '%.40s'; usage: smstrack %s %s", cli->command->name, word,
				 cli->command->name, cli->command->args);
			return -EINVAL;
		}
		cli->args[cli->n_args++] = word;
		return 0;
	}
	for (const struct cli_command *c = table; c->name != NULL; c++)
		if (strcmp(c->name, word) == 0)
			cli->command = c;
	return cli->command != NULL ? 0 : unknown_command(word, table, err, err_len);
}

/* The command is there, with as many words as it wants and no option that isn't its. */
static int check_parsed(const struct cli *cli, char *err, size_t err_len)
{
	if (cli_has(cli, CLI_HELP) || cli_has(cli, CLI_VERSION))
		return 0;
	if (cli->command == NULL) {
		snprintf(err, err_len, "no command given");
		return -EINVAL;
	}
	if (cli->n_args < cli->command->args_min) {
		snprintf(err, err_len, "%s wants more; usage: smstrack %s %s", cli->command->name, cli->command->name, cli->command->args);
		return -EINVAL;
	}
	for (int i = 1; i < CLI_OPTIONS; i++) {
		if (cli->value[i] == NULL || ((CLI_GLOBAL | cli->command->options) & CLI_BIT(i)))
			continue;
		snprintf(err, err_len, "%s takes no --%s", cli->command->name, option_table[i].name);
		return -EINVAL;
	}
	return 0;
}

int cli_parse(int argc, char **argv, const struct cli_command *table, struct cli *ret, char *err, size_t err_len)
{
	struct cli cli = { .colour = ret->colour };
	bool words_only = false;
	int rc;

	for (int i = 0; i < argc;) {
		if (!words_only && strcmp(argv[i], "--") == 0) {
			words_only = true;
			i++;
			continue;
		}
		if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0') {
			rc = take_option(argc, argv, i, &cli, err, err_len);
			if (rc < 0)
				return rc;
			i += rc;
			continue;
		}
		rc = take_word(argv[i++], table, &cli, err, err_len);
		if (rc < 0)
			return rc;
	}
	rc = check_parsed(&cli, err, err_len);
	if (rc < 0)
		return rc;
	*ret = cli;
	return 0;
}

int cli_parse_number(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || n < min || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

int cli_number(const struct cli *cli, enum cli_option option, int64_t min, int64_t max, int64_t fallback, int64_t *ret)
{
	if (!cli_has(cli, option)) {
		*ret = fallback;
		return 0;
	}
	if (cli_parse_number(cli->value[option], min, max, ret) == 0)
		return 0;
	fprintf(stderr, "smstrack: --%s: '%s' is not a number from %lld to %lld\n", option_table[option].name, cli->value[option],
		(long long)min, (long long)max);
	return -EINVAL;
}

bool cli_wants_colour(FILE *out)
{
	const char *term = getenv("TERM");

	return isatty(fileno(out)) && getenv("NO_COLOR") == NULL && (term == NULL || strcmp(term, "dumb") != 0);
}

static void help_options(FILE *out, uint32_t mask)
{
	for (int i = 1; i < CLI_OPTIONS; i++) {
		const struct option_spec *o = &option_table[i];
		char left[40], letter[5] = "    ";

		if (!(mask & CLI_BIT(i)))
			continue;
		if (o->letter != 0)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
		fprintf(out, "  %-24s %s\n", left, o->help);
	}
}

static const char help_tail[] =
	"\nThe socket: --socket, else the [admin] listen of --config, else SMSTRACK_SOCKET,\n"
	"else unix:/run/smstrackd/admin.sock.\n"
	"\nExit codes:\n"
	"   0  done                      70  a bug in smstrack\n"
	"   1  the daemon said no        75  no answer in time\n"
	"  64  wrong usage               76  that was no smstrackd\n"
	"  69  no daemon there, or a     77  no permission for the socket\n"
	"      program missing           78  a configuration that is wrong\n";

void cli_help(FILE *out, const struct cli_command *table, const struct cli_command *command)
{
	if (command != NULL) {
		fprintf(out, "usage: smstrack [options] %s %s\n\n%s.\n", command->name, command->args, command->help);
		if (command->options != 0)
			fputs("\nOptions of this command:\n", out);
		help_options(out, command->options);
		fputs("\nOptions of all:\n", out);
		help_options(out, CLI_GLOBAL);
		return;
	}
	fputs("usage: smstrack [options] COMMAND [...]\n\nThe command line of smstrackd.\n\nCommands:\n", out);
	for (const struct cli_command *c = table; c->name != NULL; c++) {
		char left[40];

		snprintf(left, sizeof left, "%s %s", c->name, c->args);
		fprintf(out, "  %-24s %s\n", left, c->help);
	}
	fputs("\nOptions (smstrack COMMAND --help lists a command's own):\n", out);
	help_options(out, CLI_GLOBAL);
	fputs(help_tail, out);
}
