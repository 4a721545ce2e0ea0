/* demo_jobs.h: the messages of the demo. Pure. */
#ifndef CTL_DEMO_JOBS_H
#define CTL_DEMO_JOBS_H

#include <stddef.h>

#include "daemon/base/buf.h"

/* The job record of message `n` as JSON, in place of what is in `out`. One in fifty takes two parts, one in five is no GSM alphabet, one
 * in ten is a password that must not come twice (on_uncertain: fail); numbers run through all endings. */
void demo_jobs_make(size_t n, struct buf *out);

#endif
