/*
 * tracker.c: sees every send end, in completion order, in the turn in which it ends: wait(FIRST_COMPLETED) in a loop, O(1) each. It
 * stamps the outcome and starts its acknowledgement; it never waits for Redis itself. Runs on the worker's thread.
 */
#include "daemon/base/log.h"
#include "dispatch/send.h"
#include "metrics/counters.h"

static void stamp(struct send *s)
{
	if (s->at_ms == 0)
		s->at_ms = clock_wall_ms();
	if (s->final == SEND_SETTLE && s->outcome.state == STORE_SENT)
		counters_observe(COUNTER_ACCEPTED_TO_SENT, (s->at_ms - s->job->msg.accepted_ms) * 1000);
}

/* From here on a cancel meets the shield: the acknowledgement outlives it. */
static int acknowledge(struct send *s)
{
	struct co_future *ack = co_task_new_static(ack_task, s, "acknowledgement"), *shield;

	if (ack == NULL)
		return -1;
	shield = co_shield(ack);
	co_unref(s->target);
	s->target = shield;             /* NULL: no memory for one; then nothing can be cancelled, which is as good */
	co_unref(ack);
	return 0;
}

int tracker_task(void *arg)
{
	struct dispatch *d = arg;
	struct co_future *f;
	void *tag;

	while ((f = co_waitset_next(d->sends, &tag)) != NULL) {
		struct send *s = tag;

		/* A task that was cancelled before its first turn never ran: nothing is claimed. */
		if (s->final == 0)
			s->final = SEND_NOTHING;
		stamp(s);
		while (acknowledge(s) != 0) {
			log_error("no memory for an acknowledgement, trying again", LOG_STR("id", s->job->msg.id));
			(void)!co_sleep_ms(1000);
		}
		co_unref(f);
	}
	return 0;
}
