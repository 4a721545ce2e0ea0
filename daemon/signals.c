/*
 * signals.c: see signals.h; signalfd(2). Control thread. The kernel keeps one pending signal of a kind, and drops a pending CONT when a
 * TSTP comes (and the other way round), so of those the last one counts.
 */
#include "daemon/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dispatch/coro/coro.h"

static const struct {
	int number;
	enum lifecycle_event event;
} ours[] = {
	{ SIGTERM, LIFECYCLE_TERM }, { SIGINT, LIFECYCLE_INT }, { SIGQUIT, LIFECYCLE_QUIT }, { SIGHUP, LIFECYCLE_HUP },
	{ SIGUSR1, LIFECYCLE_USR1 }, { SIGUSR2, LIFECYCLE_USR2 }, { SIGTSTP, LIFECYCLE_TSTP }, { SIGCONT, LIFECYCLE_CONT },
	{ SIGTTIN, LIFECYCLE_TTIN }, { SIGTTOU, LIFECYCLE_TTOU },
};

const enum lifecycle_event signals_order[] = {
	LIFECYCLE_USR1, LIFECYCLE_USR2, LIFECYCLE_QUIT, LIFECYCLE_HUP, LIFECYCLE_TTIN, LIFECYCLE_TTOU, LIFECYCLE_TSTP, LIFECYCLE_CONT,
	LIFECYCLE_INT, LIFECYCLE_TERM, (enum lifecycle_event)0,
};

static void fill(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sigaddset(set, ours[i].number);
}

void signals_block(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	fill(&set);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	sigaction(SIGPIPE, &ignore, NULL);
	/* a daemon started from a script may inherit ignored ones; ignored signals don't reach a signalfd */
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		signal(ours[i].number, SIG_DFL);
}

int signals_open(void)
{
	sigset_t set;
	int fd;

	fill(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static uint32_t bit_of(uint32_t signo)
{
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if ((uint32_t)ours[i].number == signo)
			return 1u << ours[i].event;
	return 0;
}

/* All that is pending now. */
static uint32_t take_all(int fd)
{
	struct signalfd_siginfo info;
	uint32_t batch = 0;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
		batch |= bit_of(info.ssi_signo);
	if (batch & (1u << LIFECYCLE_TERM))
		batch &= ~(1u << LIFECYCLE_INT);
	return batch;
}

int signals_wait(int fd, uint32_t *ret_batch)
{
	uint32_t batch = take_all(fd);

	while (batch == 0) {
		int rc = co_fd_wait(fd, EV_READ, CLOCK_NEVER);

		if (rc < 0)
			return rc;
		batch = take_all(fd);
	}
	*ret_batch = batch;
	return 0;
}

static int release_code;

static void on_release(int signo)
{
	(void)signo;
	_exit(release_code);
}

void signals_release(int code)
{
	struct sigaction act = { .sa_handler = on_release };
	sigset_t set;

	release_code = code;
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
