/*
 * notify.c: the service manager's protocol, a datagram of KEY=VALUE lines to $NOTIFY_SOCKET (sd_notify(3), "Notes"). Control thread.
 * libsystemd's own function waits while the manager's queue is full, and with it the loop would: this one never does. What is dropped is
 * counted; what the manager must not miss is kept and said with the next word.
 */
#include "daemon/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "metrics/counters.h"

enum { STATUS_MAX = 256, KEPT_MAX = 4, KEPT_LEN = 64 };

static char last_status[STATUS_MAX];    /* what the manager was told last */
static char kept[KEPT_MAX][KEPT_LEN];   /* what it still has to be told, the oldest first */
static unsigned n_kept;

/* The manager's address; its length, 0: there is none. A path, or with '@' a name in Linux' abstract space (unix(7)). */
static socklen_t manager(struct sockaddr_un *ret)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || len >= sizeof ret->sun_path || (path[0] != '/' && path[0] != '@'))
		return 0;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, len);
	if (path[0] == '@')
		ret->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* False: it was not said. True also where there is no manager. */
static bool say(const char *words)
{
	struct sockaddr_un to;
	socklen_t to_len = manager(&to);
	ssize_t n = -1;
	int fd;

	if (to_len == 0)
		return true;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		n = sendto(fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
		close(fd);
	}
	if (n < 0)
		counters_add(COUNTER_NOTIFY_DROPPED, 1);
	return n >= 0;
}

/* In order: while the oldest can't be said, no other is. */
static bool say_kept(void)
{
	while (n_kept > 0) {
		if (!say(kept[0]))
			return false;
		memmove(kept[0], kept[1], sizeof kept[0] * --n_kept);
	}
	return true;
}

static void must_say(const char *words)
{
	if (say_kept() && say(words))
		return;
	if (n_kept == KEPT_MAX)
		memmove(kept[0], kept[1], sizeof kept[0] * --n_kept);
	snprintf(kept[n_kept++], KEPT_LEN, "%s", words);
}

void notify_ready(void)
{
	must_say("READY=1");
}

void notify_reloading(void)
{
	char words[KEPT_LEN];

	snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_exact_us());
	must_say(words);
}

void notify_stopping(void)
{
	must_say("STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
	static const char key[] = "STATUS=";
	char words[sizeof key + STATUS_MAX];
	char *status = words + sizeof key - 1;
	va_list ap;

	memcpy(words, key, sizeof key);
	va_start(ap, fmt);
	vsnprintf(status, STATUS_MAX, fmt, ap);
	va_end(ap);
	if (!say_kept() || strcmp(status, last_status) == 0)
		return;
	if (say(words))
		memcpy(last_status, status, strlen(status) + 1);
}

/* sd_watchdog_enabled(3): WATCHDOG_PID, where it is set, says whom the manager means. */
static bool watched(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	return us != NULL && strtoll(us, NULL, 10) > 0 && (pid == NULL || strtoll(pid, NULL, 10) == getpid());
}

void notify_watchdog(void)
{
	if (watched())
		(void)!say("WATCHDOG=1");
}

void notify_extend_ms(int64_t ms)
{
	char words[KEPT_LEN];

	snprintf(words, sizeof words, "EXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
	(void)!say(words);
}
