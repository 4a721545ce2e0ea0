/* outside.c: what comes from outside: a call that blocks, on a thread of the pool and under a deadline; another thread; a signal. */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dispatch/coro/coro.h"

/* ---- what blocks ---- */

static int block(void *arg)
{
	poll(NULL, 0, *(int *)arg);             /* getaddrinfo(), say */
	return 7;
}

static int call_what_blocks(void)
{
	static int soon_ms = 1, late_ms = 300;  /* must outlive a call that is given up */
	int rc = co_offload(block, &soon_ms, NULL, co_in_ms(5000));

	printf("in time: %d\n", rc);
	rc = co_offload(block, &late_ms, NULL, co_in_ms(10));
	printf("too late: %s\n", rc == -ETIMEDOUT ? "timed out" : "?");
	return 0;
}

/* ---- another thread ---- */

struct news {
	struct co_loop *loop;
	struct co_event come;
	int value;
};

static void on_news(void *arg)
{
	struct news *news = arg;

	news->value = 42;                       /* on the loop's thread */
	co_event_set(&news->come);
}

static void *thread_main(void *arg)
{
	struct news *news = arg;

	if (co_post(news->loop, on_news, news) < 0)
		fprintf(stderr, "outside: no memory for a post\n");
	return NULL;
}

static int hear_of_a_thread(void)
{
	struct news news = { .loop = co_loop_current() };
	pthread_t thread;
	int rc;

	co_event_init(&news.come);
	rc = pthread_create(&thread, NULL, thread_main, &news);
	if (rc != 0)
		return -rc;
	rc = co_event_wait(&news.come, co_in_ms(5000));
	pthread_join(thread, NULL);
	printf("from a thread: %d\n", news.value);
	return rc;
}

/* ---- a signal ---- */

static int hear_of_a_signal(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd, rc;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before there are threads, in a real program */
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	kill(getpid(), SIGUSR1);
	rc = co_fd_wait(fd, EV_READ, co_in_ms(5000));
	if (rc > 0 && read(fd, &info, sizeof info) == sizeof info)
		printf("signal: %s\n", info.ssi_signo == SIGUSR1 ? "USR1" : "?");
	close(fd);
	return rc < 0 ? rc : 0;
}

static int outside(void *arg)
{
	int rc = hear_of_a_signal();

	(void)arg;
	if (rc == 0)
		rc = call_what_blocks();
	return rc == 0 ? hear_of_a_thread() : rc;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int rc = loop != NULL ? co_run(loop, outside, NULL, "outside") : -ENOMEM;

	co_loop_free(loop);
	return rc == 0 ? 0 : 1;
}
