/*
 * main.c: the boot, from top to bottom. It never forks: whoever wants a daemon in the background has a service manager for that.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/app.h"
#include "daemon/base/log.h"
#include "daemon/config.h"
#include "daemon/exit_code.h"
#include "daemon/limits.h"
#include "daemon/options.h"
#include "daemon/run_dir.h"
#include "daemon/signals.h"

enum command { COMMAND_RUN = 1, COMMAND_CHECK, COMMAND_PRINT_CONFIG };

struct arguments {
	enum command command;
	const char *file;
};

static const char usage[] =
	"usage: smstrackd [-f FILE]\n"
	"       smstrackd --check-config [FILE]\n"
	"       smstrackd --print-config [-f FILE]\n"
	"\n"
	"Reads SMS jobs from Kafka, sends them through providers, tracks them in Redis.\n"
	"\n"
	"  -f, --config FILE     the configuration (" CONFIG_DEFAULT_PATH ")\n"
	"      --check-config    say what is wrong with it, and end: 0 good, 78 not\n"
	"      --print-config    print what holds, defaults included, secrets hidden\n"
	"      --print-sample    print a configuration with every option and its default\n"
	"      --version\n"
	"  -h, --help\n"
	"\n"
	"It stays in the foreground. Signals: TERM drains and ends, HUP reloads, USR1\n"
	"reopens the log, USR2 logs its state, QUIT logs all tasks, TSTP and CONT pause\n"
	"and resume, TTIN and TTOU change the concurrency. See smstrackd(8), smstrack(1).\n";

static _Noreturn void print_and_exit(struct buf *out)
{
	if (out->oom)
		exit(EXIT_CODE_OSERR);
	fwrite(out->data, 1, out->len, stdout);
	exit(fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_CANTCREAT);
}

static _Noreturn void print_sample(void)
{
	struct buf out = { 0 };

	options_print_sample(&out);
	print_and_exit(&out);
}

static _Noreturn void print_man(void)
{
	struct buf out = { 0 };

	options_print_man(&out);
	print_and_exit(&out);
}

static _Noreturn void print_version(void)
{
	puts("smstrackd " VERSION);
	exit(EXIT_CODE_OK);
}

static struct arguments read_arguments(int argc, char **argv)
{
	enum { CHECK_CONFIG = 256, PRINT_CONFIG, PRINT_SAMPLE, PRINT_MAN, SHOW_VERSION };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'f' }, { "check-config", no_argument, NULL, CHECK_CONFIG },
		{ "print-config", no_argument, NULL, PRINT_CONFIG }, { "print-sample", no_argument, NULL, PRINT_SAMPLE },
		{ "print-man", no_argument, NULL, PRINT_MAN }, { "version", no_argument, NULL, SHOW_VERSION },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct arguments args = { COMMAND_RUN, CONFIG_DEFAULT_PATH };
	int c;

	while ((c = getopt_long(argc, argv, "f:h", options, NULL)) != -1) {
		switch (c) {
		case 'f': args.file = optarg; break;
		case CHECK_CONFIG: args.command = COMMAND_CHECK; break;
		case PRINT_CONFIG: args.command = COMMAND_PRINT_CONFIG; break;
		case PRINT_SAMPLE: print_sample();
		case PRINT_MAN: print_man();
		case SHOW_VERSION: print_version();
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_CODE_OK);
		default:
			fputs(usage, stderr);
			exit(EXIT_CODE_USAGE);
		}
	}
	/* `--check-config FILE` and `--check-config -f FILE` alike: both are what people type. */
	if (optind < argc && args.command == COMMAND_CHECK)
		args.file = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "smstrackd: what is '%s'?\n%s", argv[optind], usage);
		exit(EXIT_CODE_USAGE);
	}
	return args;
}

/* Complaints and warnings go to stderr as they are: the log is not set up, and a person may be watching. */
static struct config *load_config(const char *file)
{
	struct buf errors = { 0 };
	struct config *config = config_load(file, &errors);

	if (errors.len > 0)
		fwrite(errors.data, 1, errors.len, stderr);
	buf_fini(&errors);
	if (config == NULL)
		exit(EXIT_CODE_CONFIG);
	return config;
}

static _Noreturn void print_config(struct config *config)
{
	struct buf out = { 0 };

	config_print(config, &out);
	print_and_exit(&out);
}

static void set_up_log(const struct config *config)
{
	int rc = log_open(config->daemon.log_file);

	if (rc < 0) {
		fprintf(stderr, "smstrackd: %s: %s\n", config->daemon.log_file, strerror(-rc));
		exit(EXIT_CODE_CANTCREAT);
	}
	log_set_format(config->daemon.log_format);
	log_set_level(config->daemon.log_level);
}

/* Refuses what can't work on this machine before a record is taken. */
static uint64_t set_limits(const struct config *config)
{
	uint64_t files = limits_raise_files(), needed = limits_files_needed(config, config, config->daemon.inflight);

	if (needed <= files)
		return files;
	log_error("inflight doesn't fit the limit of open files", LOG_UINT("inflight", config->daemon.inflight), LOG_UINT("needed", needed),
		  LOG_UINT("limit", files), LOG_UINT("inflight_that_fits", limits_inflight_max(config, config, files)),
		  LOG_STR("hint", "raise it (ulimit -Hn, LimitNOFILE=), or lower [daemon] inflight or the providers' max_inflight"));
	exit(EXIT_CODE_CONFIG);
}

static void take_run_dir(const struct config *config, struct run_dir *ret)
{
	char err[512];

	if (run_dir_open(config->daemon.run_dir, config->daemon.instance, ret, err, sizeof err) == 0)
		return;
	log_error("can't start", LOG_STR("why", err), LOG_INT("exit_code", EXIT_CODE_CANTCREAT));
	exit(EXIT_CODE_CANTCREAT);
}

int main(int argc, char **argv)
{
	struct arguments args = read_arguments(argc, argv);
	struct config *config = load_config(args.file);
	struct run_dir run_dir;
	uint64_t files;
	int code;

	if (args.command == COMMAND_CHECK) {
		printf("%s: good\n", args.file);
		config_free(config);
		return EXIT_CODE_OK;
	}
	if (args.command == COMMAND_PRINT_CONFIG)
		print_config(config);

	signals_block();
	set_up_log(config);
	files = set_limits(config);
	take_run_dir(config, &run_dir);
	log_info("smstrackd starts", LOG_STR("version", VERSION), LOG_STR("config", config->path), LOG_STR("instance", run_dir.instance),
		 LOG_INT("pid", getpid()), LOG_UINT("files", files));
	code = app_run(config, &run_dir, files);
	run_dir_close(&run_dir);
	/* tasks were abandoned then, not unwound: what they hold is no leak that a checker should speak of */
	if (code == EXIT_CODE_TEMPFAIL)
		_exit(code);
	return code;
}
