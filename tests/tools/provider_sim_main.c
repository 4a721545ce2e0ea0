/* provider_sim_main.c: the simulated provider as a program, until TERM or INT. Prints `port=N control=N` once it listens. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/tools/provider_sim.h"

static const char usage[] =
	"usage: provider_sim [-p PORT] [-c CONTROL_PORT] [-d DELAY_MS] [-j JITTER_MS] [-l LEDGER] [-C CERT -K KEY] [-r RULE]... [-s SEED]\n"
	"Rules: '<id prefix|*> <action> [percent=P] [times=N] [delay=MS] [retry_after=S]'; see provider_rules.h.\n";

static void raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int parse_options(int argc, char **argv, struct provider_sim_options *o, char *rules, size_t size)
{
	int c;

	while ((c = getopt(argc, argv, "p:c:d:j:l:C:K:r:s:")) != -1) {
		switch (c) {
		case 'p': o->port = (uint16_t)atoi(optarg); break;
		case 'c': o->control_port = (uint16_t)atoi(optarg); break;
		case 'd': o->delay_ms = (unsigned)atoi(optarg); break;
		case 'j': o->jitter_ms = (unsigned)atoi(optarg); break;
		case 'l': o->ledger = optarg; break;
		case 'C': o->cert_file = optarg; break;
		case 'K': o->key_file = optarg; break;
		case 's': o->seed = strtoull(optarg, NULL, 10); break;
		case 'r':
			if (strlen(rules) + strlen(optarg) + 2 > size)
				return -1;
			strcat(strcat(rules, optarg), "\n");
			break;
		default: return -1;
		}
	}
	return optind == argc && !o->cert_file == !o->key_file ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct provider_sim_options o = { 0 };
	char rules[8192] = "", err[256];
	struct provider_sim *sim;
	sigset_t wait;
	int got;

	if (parse_options(argc, argv, &o, rules, sizeof(rules)) != 0) {
		fputs(usage, stderr);
		return 64;
	}
	o.rules = rules;
	raise_nofile();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&wait);
	sigaddset(&wait, SIGTERM);
	sigaddset(&wait, SIGINT);
	sigprocmask(SIG_BLOCK, &wait, NULL);
	sim = provider_sim_start(&o, err, sizeof(err));
	if (!sim) {
		fprintf(stderr, "provider_sim: %s\n", err);
		return 69;
	}
	printf("port=%u control=%u\n", provider_sim_port(sim), provider_sim_control_port(sim));
	fflush(stdout);
	sigwait(&wait, &got);
	provider_sim_stop(sim);
	return 0;
}
