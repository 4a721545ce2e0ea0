/*
 * main.c: the command line: runs seeds, each in a process of its own and twice, so that the second run must leave the same trace hash and
 * a seed that dies (an assertion) fails alone.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/run.h"

enum { MESSAGES = 100, JOBS_MAX = 16, SEED_SECONDS = 60 };

struct options {
	uint64_t first, last;
	unsigned messages, jobs;
	bool tracing, once, until_found, verbose;
};

struct job {
	pid_t pid;              /* 0: free */
	int fd;
	uint64_t seed;
	bool second;
	uint64_t hash;          /* of the first run */
};

struct totals {
	unsigned passed, failed;
	uint64_t steps, incarnations, rebalances, commits, requests;
	uint64_t first_failed;
};

static const char usage[] =
	"usage: sim [--seeds FIRST-LAST | --seed N [--trace]] [--messages N] [--jobs N] [--once] [--until-found] [--verbose]\n"
	"  --trace        print what happens, and the daemon's log\n"
	"  --once         don't run each seed twice to compare their hashes\n"
	"  --until-found  stop at the first failure and exit 0, with 1 where there is none: for mutants\n";

/* ---- one run, in a child ---- */

static void child(const struct options *o, const struct job *job, int fd)
{
	struct run_result result;

	alarm(SEED_SECONDS);
	run_seed(job->seed, o->messages, false, &result);
	if (write(fd, &result, sizeof result) != (ssize_t)sizeof result)
		_exit(2);
	_exit(0);
}

static void start(const struct options *o, struct job *job, uint64_t seed, bool second, uint64_t hash)
{
	int fds[2];

	*job = (struct job){ .seed = seed, .second = second, .hash = hash };
	if (pipe(fds) < 0 || (job->pid = fork()) < 0) {
		perror("sim");
		exit(2);
	}
	if (job->pid == 0) {
		close(fds[0]);
		child(o, job, fds[1]);
	}
	close(fds[1]);
	job->fd = fds[0];
}

static void read_result(const struct job *job, int status, struct run_result *ret)
{
	ssize_t n = read(job->fd, ret, sizeof *ret);

	close(job->fd);
	if (n == (ssize_t)sizeof *ret)
		return;
	*ret = (struct run_result){ .hash = 0 };
	if (WIFSIGNALED(status))
		snprintf(ret->failure, sizeof ret->failure, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(ret->failure, sizeof ret->failure, "ended with %d", WEXITSTATUS(status));
}

/* ---- many ---- */

static void count(struct totals *t, const struct options *o, uint64_t seed, const struct run_result *r)
{
	if (r->failure[0] == '\0') {
		t->passed++;
	} else {
		if (t->failed++ == 0 || seed < t->first_failed)
			t->first_failed = seed;
		printf("seed %" PRIu64 " failed: %s\n", seed, r->failure);
	}
	if (o->verbose)
		printf("seed %" PRIu64 ": hash %016" PRIx64 ", %" PRIu64 " steps, %u lives, %u rebalances, %u commits, %u requests, %" PRId64
		       " ms\n",
		       seed, r->hash, r->steps, r->incarnations, r->rebalances, r->commits, r->requests, r->simulated_ms);
	t->steps += r->steps;
	t->incarnations += r->incarnations;
	t->rebalances += r->rebalances;
	t->commits += r->commits;
	t->requests += r->requests;
}

/* A job has ended: counts it, or starts its second run. */
static void on_end(const struct options *o, struct totals *t, struct job *job, int status)
{
	struct run_result r;

	job->pid = 0;
	read_result(job, status, &r);
	if (job->second && r.failure[0] == '\0' && r.hash != job->hash)
		snprintf(r.failure, sizeof r.failure, "hash %016" PRIx64 ", then %016" PRIx64, job->hash, r.hash);
	if (o->once || job->second || r.failure[0] != '\0')
		count(t, o, job->seed, &r);
	else
		start(o, job, job->seed, true, r.hash);
}

static unsigned running(const struct job *jobs)
{
	unsigned n = 0;

	for (unsigned i = 0; i < JOBS_MAX; i++)
		n += jobs[i].pid != 0;
	return n;
}

static void wait_one(const struct options *o, struct totals *t, struct job *jobs)
{
	int status;
	pid_t pid = wait(&status);

	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (jobs[i].pid == pid && pid > 0)
			on_end(o, t, &jobs[i], status);
}

static void run_all(const struct options *o, struct totals *t)
{
	struct job jobs[JOBS_MAX] = { 0 };
	uint64_t next = o->first;

	for (;;) {
		bool more = next <= o->last && !(o->until_found && t->failed > 0);

		for (unsigned i = 0; more && i < o->jobs; i++) {
			if (jobs[i].pid == 0) {
				start(o, &jobs[i], next++, false, 0);
				break;
			}
		}
		if (running(jobs) == 0)
			return;
		if (!more || running(jobs) == o->jobs)
			wait_one(o, t, jobs);
	}
}

static int trace(const struct options *o)
{
	struct run_result r;

	run_seed(o->first, o->messages, true, &r);
	printf("hash %016" PRIx64 ", %" PRIu64 " steps, %u lives\n%s\n", r.hash, r.steps, r.incarnations,
	       r.failure[0] != '\0' ? r.failure : "passed");
	return r.failure[0] != '\0';
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seeds", required_argument, NULL, 's' }, { "seed", required_argument, NULL, 'n' }, { "messages", required_argument, NULL, 'm' },
		{ "jobs", required_argument, NULL, 'j' }, { "trace", no_argument, NULL, 't' }, { "once", no_argument, NULL, 'o' },
		{ "until-found", no_argument, NULL, 'u' }, { "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			if (sscanf(optarg, "%" SCNu64 "-%" SCNu64, &o->first, &o->last) != 2)
				return -EINVAL;
			break;
		case 'n':
			o->first = o->last = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			o->messages = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'j':
			o->jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't': o->tracing = true; break;
		case 'o': o->once = true; break;
		case 'u': o->until_found = true; break;
		case 'v': o->verbose = true; break;
		default:
			return -EINVAL;
		}
	}
	return o->jobs < 1 || o->jobs > JOBS_MAX || o->messages < 1 || optind != argc ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .last = 500, .messages = MESSAGES, .jobs = 2 };
	struct totals t = { 0 };

	if (parse(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (o.tracing)
		return trace(&o);
	run_all(&o, &t);
	printf("%" PRIu64 " lives, %" PRIu64 " steps, %" PRIu64 " rebalances, %" PRIu64 " commits, %" PRIu64 " requests\n", t.incarnations, t.steps,
	       t.rebalances, t.commits, t.requests);
	if (o.until_found && t.failed > 0)
		printf("found by seed %" PRIu64 "\n", t.first_failed);
	printf("%u passed, %u failed, 0 skipped\n", t.passed, t.failed);
	return o.until_found ? t.failed == 0 : t.failed > 0;
}
