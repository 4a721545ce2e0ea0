/*
 * signals.h: signals as events of the control loop. They are blocked in every thread and read from a descriptor by a task, so nothing
 * ever runs in a handler; what comes in one turn is one batch, in which each signal counts once.
 */
#ifndef DAEMON_SIGNALS_H
#define DAEMON_SIGNALS_H

#include <stdint.h>

#include "daemon/base/check.h"
#include "daemon/lifecycle.h"

/* First thing in main(), before any thread: blocks what is ours, ignores SIGPIPE. */
void signals_block(void);
/* The descriptor to read from, or a negative errno. */
int signals_open(void) MUST_CHECK;
/* [suspends] until some came. The batch: bit n is lifecycle event n; TERM and INT together are one TERM. A negative errno. */
int signals_wait(int fd, uint32_t *ret_batch) MUST_CHECK;

/* The events of a batch in the order in which they are to be handled: looking before changing, ending last. 0 ends the list. */
extern const enum lifecycle_event signals_order[];

/* From now on TERM and INT end the process at once with `code`, whatever the loop is at. For the very end. */
void signals_release(int code);

#endif
