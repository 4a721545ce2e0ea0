/* test_cli.c: the command line: what is understood, what is refused and with which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/ctl/cli.h"

static int run_nothing(struct cli *cli)
{
	(void)cli;
	return 0;
}

static const struct cli_command commands[] = {
	{ "status", "", 0, 0, 0, "Show", run_nothing },
	{ "reload", "", 0, 0, CLI_BIT(CLI_WAIT), "Reload", run_nothing },
	{ "set", "inflight N", 2, 2, 0, "Set", run_nothing },
	{ 0 },
};

static char err[200];

static int parse(struct cli *ret, const char *line)
{
	static char copy[200];
	char *argv[16], *save = NULL;
	int argc = 0;

	memset(ret, 0, sizeof *ret);
	snprintf(copy, sizeof copy, "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return cli_parse(argc, argv, commands, ret, err, sizeof err);
}

static void test_cli_takes_options_anywhere(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "--json set -s /a.sock inflight --timeout=3 50"), 0);
	assert_string_equal(cli.command->name, "set");
	assert_true(cli_has(&cli, CLI_JSON));
	assert_string_equal(cli.value[CLI_SOCKET], "/a.sock");
	assert_string_equal(cli.value[CLI_TIMEOUT], "3");
	assert_int_equal(cli.n_args, 2);
	assert_string_equal(cli.args[1], "50");
	assert_int_equal(parse(&cli, "-s/b status"), 0);
	assert_string_equal(cli.value[CLI_SOCKET], "/b");
	assert_int_equal(parse(&cli, "set -- inflight -5"), 0);
	assert_string_equal(cli.args[1], "-5");
}

static void test_cli_refuses_with_the_nearest_word(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "stauts"), -EINVAL);
	assert_string_equal(err, "unknown command 'stauts'; did you mean 'status'?");
	assert_int_equal(parse(&cli, "xyzzy"), -EINVAL);
	assert_string_equal(err, "unknown command 'xyzzy'");
	assert_int_equal(parse(&cli, "reload --wiat"), -EINVAL);
	assert_string_equal(err, "unknown option --wiat; did you mean --wait?");
	assert_int_equal(parse(&cli, "status -Z"), -EINVAL);
	assert_int_equal(parse(&cli, "status --wait"), -EINVAL);
	assert_string_equal(err, "status takes no --wait");
}

static void test_cli_refuses_too_few_and_too_many(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, ""), -EINVAL);
	assert_int_equal(parse(&cli, "set inflight"), -EINVAL);
	assert_int_equal(parse(&cli, "set inflight 1 2"), -EINVAL);
	assert_int_equal(parse(&cli, "status --socket"), -EINVAL);
	assert_int_equal(parse(&cli, "status --json=yes"), -EINVAL);
	assert_int_equal(parse(&cli, "set a b c d e f g"), -EINVAL);
}

static void test_cli_help_needs_no_more(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "--help"), 0);
	assert_null(cli.command);
	assert_int_equal(parse(&cli, "set --help"), 0);
	assert_string_equal(cli.command->name, "set");
}

static void test_cli_help_fits_80_columns(void **state)
{
	char *text = NULL, *save = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	cli_help(out, commands, NULL);
	cli_help(out, commands, &commands[1]);
	fclose(out);
	assert_non_null(strstr(text, "set inflight N"));
	assert_non_null(strstr(text, "--wait"));
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strlen(line) > 80)
			fail_msg("too long: %s", line);
	free(text);
}

static void test_cli_numbers_are_whole_and_within_limits(void **state)
{
	int64_t n = 7;

	(void)state;
	assert_int_equal(cli_parse_number("12", 1, 100, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(cli_parse_number("0", 1, 100, &n), -EINVAL);
	assert_int_equal(cli_parse_number("101", 1, 100, &n), -EINVAL);
	assert_int_equal(cli_parse_number("5x", 1, 100, &n), -EINVAL);
	assert_int_equal(cli_parse_number("", 1, 100, &n), -EINVAL);
	assert_int_equal(cli_parse_number("99999999999999999999", 1, INT64_MAX, &n), -EINVAL);
	assert_int_equal(n, 12);
}

static void test_cli_nearest_counts_slips(void **state)
{
	static const char *const words[] = { "pause", "partitions", "providers" };

	(void)state;
	assert_string_equal(cli_nearest("puase", words, 3), "pause");
	assert_string_equal(cli_nearest("provider", words, 3), "providers");
	assert_string_equal(cli_nearest("partition", words, 3), "partitions");
	assert_null(cli_nearest("zz", words, 3));
	assert_null(cli_nearest("", words, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cli_takes_options_anywhere),
		cmocka_unit_test(test_cli_refuses_with_the_nearest_word),
		cmocka_unit_test(test_cli_refuses_too_few_and_too_many),
		cmocka_unit_test(test_cli_help_needs_no_more),
		cmocka_unit_test(test_cli_help_fits_80_columns),
		cmocka_unit_test(test_cli_numbers_are_whole_and_within_limits),
		cmocka_unit_test(test_cli_nearest_counts_slips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
