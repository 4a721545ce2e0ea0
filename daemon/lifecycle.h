/*
 * lifecycle.h: which event means what in which state: the table of signals in README.md, as data. Pure: it is asked and answers; the
 * app does what it says. The admin API's requests are the same events as the signals.
 */
#ifndef DAEMON_LIFECYCLE_H
#define DAEMON_LIFECYCLE_H

enum lifecycle_state {
	LIFECYCLE_STARTING = 1, /* not in the group yet, or Redis not written to yet */
	LIFECYCLE_RUNNING,
	LIFECYCLE_PAUSED,       /* takes nothing new; in the group */
	LIFECYCLE_DRAINING,     /* finishes what is in flight, up to drain_ms */
	LIFECYCLE_STOPPING,     /* drained, or out of time: leaves, frees, ends */
	LIFECYCLE_STATES,
};

enum lifecycle_event {
	LIFECYCLE_TERM = 1, LIFECYCLE_INT, LIFECYCLE_QUIT, LIFECYCLE_HUP, LIFECYCLE_USR1, LIFECYCLE_USR2, LIFECYCLE_TSTP, LIFECYCLE_CONT,
	LIFECYCLE_TTIN, LIFECYCLE_TTOU,
	LIFECYCLE_READY,        /* in the group and Redis answers, for the first time */
	LIFECYCLE_DRAINED,      /* nothing is in flight and all is committed */
	LIFECYCLE_DEADLINE,     /* drain_ms is over and something still is */
	LIFECYCLE_FATAL,        /* what only a person can mend */
	LIFECYCLE_EVENTS,
};

enum lifecycle_action {
	LIFECYCLE_NOTHING = 1,
	LIFECYCLE_SAY_READY,    /* to systemd, and the log */
	LIFECYCLE_PAUSE, LIFECYCLE_RESUME,
	LIFECYCLE_DRAIN,        /* begin it */
	LIFECYCLE_END,          /* stop what is left, orderly: leave the group, free all */
	LIFECYCLE_EXIT_NOW,     /* at once, without another word to anybody */
	LIFECYCLE_DUMP_TASKS, LIFECYCLE_REOPEN_LOGS, LIFECYCLE_LOG_STATE,
	LIFECYCLE_RELOAD,
	LIFECYCLE_REFUSE_RELOAD,        /* says that it ends anyway */
	LIFECYCLE_MORE, LIFECYCLE_LESS, /* concurrency, a step */
	LIFECYCLE_ACTIONS,
};

struct lifecycle_step {
	enum lifecycle_state next;
	enum lifecycle_action action;
};

/* Every pair has an answer. */
struct lifecycle_step lifecycle_step(enum lifecycle_state state, enum lifecycle_event event);

const char *lifecycle_state_name(enum lifecycle_state state);   /* "running": literals, part of the admin API */
const char *lifecycle_event_name(enum lifecycle_event event);   /* "TERM", "ready" */
const char *lifecycle_action_name(enum lifecycle_action action);

/* Concurrency after a step of TTIN or TTOU: a tenth of it, at least 1, within [min, max]. */
unsigned lifecycle_step_up(unsigned inflight, unsigned max);
unsigned lifecycle_step_down(unsigned inflight, unsigned min);

#endif
