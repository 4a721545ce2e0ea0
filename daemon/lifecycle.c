/* lifecycle.c: the [state][event] table. Pure; whoever wants to know what a signal does reads it here and nowhere else. */
#include "daemon/lifecycle.h"

#include "daemon/base/check.h"

/* The file's own short names, so that a state is a column that can be read down. */
#define STARTING LIFECYCLE_STARTING
#define RUNNING LIFECYCLE_RUNNING
#define PAUSED LIFECYCLE_PAUSED
#define DRAINING LIFECYCLE_DRAINING
#define STOPPING LIFECYCLE_STOPPING
#define DO(next, action) { next, LIFECYCLE_##action }

static const struct lifecycle_step table[LIFECYCLE_STATES][LIFECYCLE_EVENTS] = {
	[STARTING] = {
		[LIFECYCLE_TERM] = DO(DRAINING, DRAIN),
		[LIFECYCLE_INT] = DO(DRAINING, DRAIN),
		[LIFECYCLE_QUIT] = DO(STARTING, DUMP_TASKS),
		[LIFECYCLE_HUP] = DO(STARTING, RELOAD),
		[LIFECYCLE_USR1] = DO(STARTING, REOPEN_LOGS),
		[LIFECYCLE_USR2] = DO(STARTING, LOG_STATE),
		[LIFECYCLE_TSTP] = DO(PAUSED, PAUSE),
		[LIFECYCLE_CONT] = DO(STARTING, NOTHING),
		[LIFECYCLE_TTIN] = DO(STARTING, MORE),
		[LIFECYCLE_TTOU] = DO(STARTING, LESS),
		[LIFECYCLE_READY] = DO(RUNNING, SAY_READY),
		[LIFECYCLE_DRAINED] = DO(STARTING, NOTHING),
		[LIFECYCLE_DEADLINE] = DO(STARTING, NOTHING),
		[LIFECYCLE_FATAL] = DO(DRAINING, DRAIN),
	},
	[RUNNING] = {
		[LIFECYCLE_TERM] = DO(DRAINING, DRAIN),
		[LIFECYCLE_INT] = DO(DRAINING, DRAIN),
		[LIFECYCLE_QUIT] = DO(RUNNING, DUMP_TASKS),
		[LIFECYCLE_HUP] = DO(RUNNING, RELOAD),
		[LIFECYCLE_USR1] = DO(RUNNING, REOPEN_LOGS),
		[LIFECYCLE_USR2] = DO(RUNNING, LOG_STATE),
		[LIFECYCLE_TSTP] = DO(PAUSED, PAUSE),
		[LIFECYCLE_CONT] = DO(RUNNING, NOTHING),
		[LIFECYCLE_TTIN] = DO(RUNNING, MORE),
		[LIFECYCLE_TTOU] = DO(RUNNING, LESS),
		[LIFECYCLE_READY] = DO(RUNNING, NOTHING),
		[LIFECYCLE_DRAINED] = DO(RUNNING, NOTHING),
		[LIFECYCLE_DEADLINE] = DO(RUNNING, NOTHING),
		[LIFECYCLE_FATAL] = DO(DRAINING, DRAIN),
	},
	[PAUSED] = {
		[LIFECYCLE_TERM] = DO(DRAINING, DRAIN),
		[LIFECYCLE_INT] = DO(DRAINING, DRAIN),
		[LIFECYCLE_QUIT] = DO(PAUSED, DUMP_TASKS),
		[LIFECYCLE_HUP] = DO(PAUSED, RELOAD),
		[LIFECYCLE_USR1] = DO(PAUSED, REOPEN_LOGS),
		[LIFECYCLE_USR2] = DO(PAUSED, LOG_STATE),
		[LIFECYCLE_TSTP] = DO(PAUSED, NOTHING),
		/* whether it has ever been ready the table can't know: the app says READY at once where it has */
		[LIFECYCLE_CONT] = DO(STARTING, RESUME),
		[LIFECYCLE_TTIN] = DO(PAUSED, MORE),
		[LIFECYCLE_TTOU] = DO(PAUSED, LESS),
		/* paused before it was ready: systemd waits for the word all the same, and it holds the group */
		[LIFECYCLE_READY] = DO(PAUSED, SAY_READY),
		[LIFECYCLE_DRAINED] = DO(PAUSED, NOTHING),
		[LIFECYCLE_DEADLINE] = DO(PAUSED, NOTHING),
		[LIFECYCLE_FATAL] = DO(DRAINING, DRAIN),
	},
	[DRAINING] = {
		[LIFECYCLE_TERM] = DO(STOPPING, EXIT_NOW),
		[LIFECYCLE_INT] = DO(STOPPING, EXIT_NOW),
		[LIFECYCLE_QUIT] = DO(DRAINING, DUMP_TASKS),
		[LIFECYCLE_HUP] = DO(DRAINING, REFUSE_RELOAD),
		[LIFECYCLE_USR1] = DO(DRAINING, REOPEN_LOGS),
		[LIFECYCLE_USR2] = DO(DRAINING, LOG_STATE),
		[LIFECYCLE_TSTP] = DO(DRAINING, NOTHING),
		[LIFECYCLE_CONT] = DO(DRAINING, NOTHING),
		/* more or less room matters to nobody: nothing is taken */
		[LIFECYCLE_TTIN] = DO(DRAINING, NOTHING),
		[LIFECYCLE_TTOU] = DO(DRAINING, NOTHING),
		[LIFECYCLE_READY] = DO(DRAINING, NOTHING),
		[LIFECYCLE_DRAINED] = DO(STOPPING, END),
		[LIFECYCLE_DEADLINE] = DO(STOPPING, END),
		[LIFECYCLE_FATAL] = DO(DRAINING, NOTHING),
	},
	[STOPPING] = {
		[LIFECYCLE_TERM] = DO(STOPPING, EXIT_NOW),
		[LIFECYCLE_INT] = DO(STOPPING, EXIT_NOW),
		[LIFECYCLE_QUIT] = DO(STOPPING, DUMP_TASKS),
		[LIFECYCLE_HUP] = DO(STOPPING, REFUSE_RELOAD),
		[LIFECYCLE_USR1] = DO(STOPPING, REOPEN_LOGS),
		[LIFECYCLE_USR2] = DO(STOPPING, LOG_STATE),
		[LIFECYCLE_TSTP] = DO(STOPPING, NOTHING),
		[LIFECYCLE_CONT] = DO(STOPPING, NOTHING),
		[LIFECYCLE_TTIN] = DO(STOPPING, NOTHING),
		[LIFECYCLE_TTOU] = DO(STOPPING, NOTHING),
		[LIFECYCLE_READY] = DO(STOPPING, NOTHING),
		[LIFECYCLE_DRAINED] = DO(STOPPING, NOTHING),
		[LIFECYCLE_DEADLINE] = DO(STOPPING, NOTHING),
		[LIFECYCLE_FATAL] = DO(STOPPING, NOTHING),
	},
};

struct lifecycle_step lifecycle_step(enum lifecycle_state state, enum lifecycle_event event)
{
	CHECK(state > 0 && state < LIFECYCLE_STATES, "state %d", (int)state);
	CHECK(event > 0 && event < LIFECYCLE_EVENTS, "event %d", (int)event);
	return table[state][event];
}

const char *lifecycle_state_name(enum lifecycle_state state)
{
	static const char *const names[] = {
		[STARTING] = "starting", [RUNNING] = "running", [PAUSED] = "paused", [DRAINING] = "draining", [STOPPING] = "stopping",
	};

	return names[state];
}

const char *lifecycle_event_name(enum lifecycle_event event)
{
	static const char *const names[] = {
		[LIFECYCLE_TERM] = "TERM", [LIFECYCLE_INT] = "INT", [LIFECYCLE_QUIT] = "QUIT", [LIFECYCLE_HUP] = "HUP",
		[LIFECYCLE_USR1] = "USR1", [LIFECYCLE_USR2] = "USR2", [LIFECYCLE_TSTP] = "TSTP", [LIFECYCLE_CONT] = "CONT",
		[LIFECYCLE_TTIN] = "TTIN", [LIFECYCLE_TTOU] = "TTOU", [LIFECYCLE_READY] = "ready", [LIFECYCLE_DRAINED] = "drained",
		[LIFECYCLE_DEADLINE] = "deadline", [LIFECYCLE_FATAL] = "fatal",
	};

	return names[event];
}

const char *lifecycle_action_name(enum lifecycle_action action)
{
	static const char *const names[] = {
		[LIFECYCLE_NOTHING] = "nothing", [LIFECYCLE_SAY_READY] = "say ready", [LIFECYCLE_PAUSE] = "pause", [LIFECYCLE_RESUME] = "resume",
		[LIFECYCLE_DRAIN] = "drain", [LIFECYCLE_END] = "end", [LIFECYCLE_EXIT_NOW] = "exit now", [LIFECYCLE_DUMP_TASKS] = "dump tasks",
		[LIFECYCLE_REOPEN_LOGS] = "reopen logs", [LIFECYCLE_LOG_STATE] = "log state", [LIFECYCLE_RELOAD] = "reload",
		[LIFECYCLE_REFUSE_RELOAD] = "refuse reload", [LIFECYCLE_MORE] = "more", [LIFECYCLE_LESS] = "less",
	};

	return names[action];
}

unsigned lifecycle_step_up(unsigned inflight, unsigned max)
{
	unsigned step = inflight / 10 ? inflight / 10 : 1;

	return inflight >= max || max - inflight <= step ? max : inflight + step;
}

unsigned lifecycle_step_down(unsigned inflight, unsigned min)
{
	unsigned step = inflight / 10 ? inflight / 10 : 1;

	return inflight <= min || inflight - min <= step ? min : inflight - step;
}
