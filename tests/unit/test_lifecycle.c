/* Every event in every state, against a second writing of the table: the operator's, as the manual has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/check.h"
#include "daemon/lifecycle.h"

/* One row an event; columns: starting, running, paused, draining, stopping. "state:action", "-" for neither. */
static const struct {
	enum lifecycle_event event;
	const char *want[5];
} manual[] = {
	{ LIFECYCLE_TERM, { "draining:drain", "draining:drain", "draining:drain", "stopping:exit now", "stopping:exit now" } },
	{ LIFECYCLE_INT, { "draining:drain", "draining:drain", "draining:drain", "stopping:exit now", "stopping:exit now" } },
	{ LIFECYCLE_QUIT, { "starting:dump tasks", "running:dump tasks", "paused:dump tasks", "draining:dump tasks", "stopping:dump tasks" } },
	{ LIFECYCLE_HUP, { "starting:reload", "running:reload", "paused:reload", "draining:refuse reload", "stopping:refuse reload" } },
	{ LIFECYCLE_USR1, { "starting:reopen logs", "running:reopen logs", "paused:reopen logs", "draining:reopen logs", "stopping:reopen logs" } },
	{ LIFECYCLE_USR2, { "starting:log state", "running:log state", "paused:log state", "draining:log state", "stopping:log state" } },
	{ LIFECYCLE_TSTP, { "paused:pause", "paused:pause", "-", "-", "-" } },
	{ LIFECYCLE_CONT, { "-", "-", "starting:resume", "-", "-" } },
	{ LIFECYCLE_TTIN, { "starting:more", "running:more", "paused:more", "-", "-" } },
	{ LIFECYCLE_TTOU, { "starting:less", "running:less", "paused:less", "-", "-" } },
	{ LIFECYCLE_READY, { "running:say ready", "-", "paused:say ready", "-", "-" } },
	{ LIFECYCLE_DRAINED, { "-", "-", "-", "stopping:end", "-" } },
	{ LIFECYCLE_DEADLINE, { "-", "-", "-", "stopping:end", "-" } },
	{ LIFECYCLE_FATAL, { "draining:drain", "draining:drain", "draining:drain", "-", "-" } },
};

static void test_lifecycle_every_event_in_every_state(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_LEN(manual), LIFECYCLE_EVENTS - 1);
	for (size_t i = 0; i < ARRAY_LEN(manual); i++) {
		for (int s = LIFECYCLE_STARTING; s < LIFECYCLE_STATES; s++) {
			struct lifecycle_step step = lifecycle_step((enum lifecycle_state)s, manual[i].event);
			char is[64], want[64];

			snprintf(is, sizeof is, "%s:%s", lifecycle_state_name(step.next), lifecycle_action_name(step.action));
			if (strcmp(manual[i].want[s - 1], "-") == 0)
				snprintf(want, sizeof want, "%s:nothing", lifecycle_state_name((enum lifecycle_state)s));
			else
				snprintf(want, sizeof want, "%s", manual[i].want[s - 1]);
			if (strcmp(is, want) != 0)
				fail_msg("%s in %s: %s, should be %s", lifecycle_event_name(manual[i].event),
					 lifecycle_state_name((enum lifecycle_state)s), is, want);
		}
	}
}

/* No sequence of events leaves `stopping`, and none but a resume leaves `draining` backwards: a drain can't be undone. */
static void test_lifecycle_never_goes_back_from_the_end(void **state)
{
	(void)state;
	for (int e = 1; e < LIFECYCLE_EVENTS; e++) {
		assert_int_equal(lifecycle_step(LIFECYCLE_STOPPING, (enum lifecycle_event)e).next, LIFECYCLE_STOPPING);
		assert_true(lifecycle_step(LIFECYCLE_DRAINING, (enum lifecycle_event)e).next >= LIFECYCLE_DRAINING);
	}
}

static void test_lifecycle_steps_of_concurrency(void **state)
{
	(void)state;
	assert_int_equal(lifecycle_step_up(2000, 1000000), 2200);
	assert_int_equal(lifecycle_step_up(1, 100), 2);
	assert_int_equal(lifecycle_step_up(95, 100), 100);
	assert_int_equal(lifecycle_step_up(100, 100), 100);
	assert_int_equal(lifecycle_step_up(200, 100), 100);
	assert_int_equal(lifecycle_step_down(2000, 1), 1800);
	assert_int_equal(lifecycle_step_down(5, 1), 4);
	assert_int_equal(lifecycle_step_down(1, 1), 1);
	assert_int_equal(lifecycle_step_down(3, 2), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifecycle_every_event_in_every_state),
		cmocka_unit_test(test_lifecycle_never_goes_back_from_the_end),
		cmocka_unit_test(test_lifecycle_steps_of_concurrency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
