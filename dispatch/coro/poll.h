/*
 * poll.h: the port between the loop and what tells it that something happened outside. poll_libevent.c is the real one; the simulation
 * links a file of its own that moves simulated time on to the deadline. All but co_poll_wake() on the loop's thread.
 */
#ifndef CORO_POLL_H
#define CORO_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct co_poll;
struct event_base;

/* NULL: out of memory or descriptors. */
struct co_poll *co_poll_new(void) MUST_CHECK;
void co_poll_free(struct co_poll *p);
struct event_base *co_poll_base(struct co_poll *p);     /* NULL in the simulation */
/* Runs the callbacks of what is ready; where nothing is, waits for the deadline or co_poll_wake(). A deadline that is past (0) looks
 * and does not wait. Callbacks see a clock no older than the wait (clock_forget); the loop updates it afterwards. */
void co_poll_wait(struct co_poll *p, int64_t deadline_us);
/* From any thread: ends the wait that is under way or the next one. */
void co_poll_wake(struct co_poll *p);
/* Whether it watches descriptors of anybody's; optional: a port without says no. */
bool co_poll_watches(const struct co_poll *p);
/* co_fd_wait(), on a task. */
int co_poll_fd_wait(struct co_poll *p, int fd, short what, int64_t deadline_us);

#endif
