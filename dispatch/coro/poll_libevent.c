/*
 * poll_libevent.c: the loop's eyes, on libevent; the only file of the folder that includes it. The loop's own deadline is a timerfd,
 * for libevent's timers run on the coarse clock and in whole milliseconds; it is set anew only where a nearer deadline asks for it.
 */
#include "dispatch/coro/poll.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

struct co_poll {
	struct event_base *base;
	struct event *alarm_event, *wake_event;
	int alarm_fd, wake_fd;
	int probe_fd;                   /* an epoll that nobody waits on: asked whether a descriptor can be watched */
	int64_t alarm_us;               /* CLOCK_NEVER: not set */
};

/* Edge-triggered, so that nothing need be read: each write and each expiry wakes once. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct co_poll *p = arg;

	(void)fd, (void)what;
	p->alarm_us = CLOCK_NEVER;
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	/* One thread, and changes of a turn in one go; the changelist is wrong only for descriptors that were dup'd. Where epoll can't be
	 * had (no memory, no descriptor) libevent would go on with poll(2), which knows no edges: no base then. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0 &&
	    event_config_require_features(config, EV_FEATURE_ET) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static struct event *watch(struct co_poll *p, int fd, event_callback_fn fn)
{
	struct event *ev = event_new(p->base, fd, EV_READ | EV_PERSIST | EV_ET, fn, p);

	if (ev != NULL && event_add(ev, NULL) == 0)
		return ev;
	if (ev != NULL)
		event_free(ev);
	return NULL;
}

void co_poll_free(struct co_poll *p)
{
	if (p->alarm_event != NULL)
		event_free(p->alarm_event);
	if (p->wake_event != NULL)
		event_free(p->wake_event);
	if (p->base != NULL)
		event_base_free(p->base);
	if (p->alarm_fd >= 0)
		close(p->alarm_fd);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	if (p->probe_fd >= 0)
		close(p->probe_fd);
	mem_free(p);
}

struct co_poll *co_poll_new(void)
{
	struct co_poll *p = mem_zalloc(sizeof *p);

	if (p == NULL)
		return NULL;
	p->alarm_us = CLOCK_NEVER;
	p->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->probe_fd = epoll_create1(EPOLL_CLOEXEC);
	p->base = base_new();
	if (p->base != NULL && p->alarm_fd >= 0 && p->wake_fd >= 0 && p->probe_fd >= 0) {
		p->alarm_event = watch(p, p->alarm_fd, on_alarm);
		p->wake_event = watch(p, p->wake_fd, on_wake);
	}
	if (p->alarm_event == NULL || p->wake_event == NULL) {
		co_poll_free(p);
		return NULL;
	}
	return p;
}

struct event_base *co_poll_base(struct co_poll *p)
{
	return p->base;
}

static void set_alarm(struct co_poll *p, int64_t at_us)
{
	struct itimerspec when = { .it_value = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 } };

	/* An alarm that is too early only costs a turn, so a later deadline leaves it as it is. */
	if (at_us >= p->alarm_us)
		return;
	CHECK(timerfd_settime(p->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
	p->alarm_us = at_us;
}

void co_poll_wait(struct co_poll *p, int64_t deadline_us)
{
	/* Without ONCE libevent looks again and again as long as it finds something, and tasks that are ready would wait for a busy descriptor. */
	int flags = EVLOOP_ONCE;

	if (deadline_us <= clock_mono_us())
		flags |= EVLOOP_NONBLOCK;
	else
		set_alarm(p, deadline_us);
	clock_forget();
	event_base_loop(p->base, flags);
}

void co_poll_wake(struct co_poll *p)
{
	uint64_t one = 1;

	/* Fails only where the counter is full, and then the loop is awake. */
	while (write(p->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Two are its own. */
bool co_poll_watches(const struct co_poll *p)
{
	return event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED) > 2;
}

/* ---- waiting for a descriptor ---- */

struct fd_wait {
	struct co_waiter waiter;
	struct event event;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct fd_wait *w = arg;

	(void)fd;
	co_future_release(&w->waiter.future, what);
}

/* The changelist asks epoll only at the end of the turn, and nobody would hear its refusal: it is foreseen. Sockets and pipes it takes,
 * but for what was opened with O_PATH; files and devices differ (a message queue of POSIX is a file, too) and are tried. */
static int refusal(struct co_poll *p, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!(flags & O_PATH) && (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)))
		return 0;
	if (epoll_ctl(p->probe_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		return errno == EEXIST ? 0 : -errno;
	(void)epoll_ctl(p->probe_fd, EPOLL_CTL_DEL, fd, &ev);   /* fails where another thread closed it meanwhile */
	return 0;
}

int co_poll_fd_wait(struct co_poll *p, int fd, short what, int64_t deadline_us)
{
	struct fd_wait w;
	int rc = refusal(p, fd);

	if (rc < 0)
		return rc;
	if (deadline_us <= clock_mono_us())
		co_loop_look_soon(co_loop_get());       /* what can be had at once is had: the look comes before the timer is due */
	co_waiter_init(&w.waiter);
	errno = 0;
	if (event_assign(&w.event, p->base, fd, what & (EV_READ | EV_WRITE | EV_CLOSED), on_ready, &w) != 0 ||
	    event_add(&w.event, NULL) != 0)
		return errno > 0 ? -errno : -EAGAIN;    /* past 65,535 waiters of one descriptor libevent doesn't say why */
	rc = co_waiter_wait(&w.waiter, deadline_us, "fd");
	event_del(&w.event);
	return rc;
}
