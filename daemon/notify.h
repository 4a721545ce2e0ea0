/* notify.h: words to the service manager (sd_notify(3)); nothing where there is none. It never waits for the manager. Control thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* What the manager has no room for is said again with the words that follow, in this order; the last four are kept. */
void notify_ready(void);
void notify_reloading(void);            /* notify_ready() ends it */
void notify_stopping(void);
/* For people: dropped where there is no room, and said by the next call. */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The watchdog is fed where the manager asked for one: only call it when work moves. */
void notify_watchdog(void);
/* This stage may take that much longer from now. */
void notify_extend_ms(int64_t ms);

#endif
