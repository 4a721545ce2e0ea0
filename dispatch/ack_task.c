/*
 * ack_task.c: says in Redis what became of a message, and then that its offset is done. Runs under a shield: neither a cancel of the
 * send (operator, revoke, drain) nor of the tracker stops it half-way. Bounded in memory (its send holds a slot), not in time: it
 * tries until its outcome is written or the process ends.
 */
#include <errno.h>

#include "daemon/base/log.h"
#include "dispatch/route.h"
#include "dispatch/send.h"
#include "metrics/counters.h"

enum { RETRY_MS = 200 };

/* [suspends] until Redis has it. It may say -EAGAIN for other reasons than being away (a full queue, no memory): hence the pause. */
static enum store_answer write_until_done(struct send *s, const struct store_outcome *outcome)
{
	struct store *store = s->dispatch->store;
	enum store_answer answer = 0;
	int rc;

	while ((rc = store_outcome(store, &s->job->msg, outcome, &answer)) != 0) {
		counters_add(COUNTER_ACK_RETRIES, 1);
		if (rc != -EAGAIN)
			log_error("outcome can't be written, trying again", LOG_INT("errno", -rc), LOG_STR("topic", s->job->msg.topic),
				  LOG_INT("partition", s->job->msg.partition), LOG_INT("offset", s->job->msg.offset),
				  LOG_STR("id", s->job->msg.id));
		(void)!co_sleep_ms(RETRY_MS);
		(void)!store_wait_writable(store, CLOCK_NEVER);
	}
	return answer;
}

/* `state` 0: it was counted when it ended. */
static void count_settled(enum store_state state)
{
	static const enum counter counters[] = {
		[STORE_SENT] = COUNTER_SENT, [STORE_REFUSED] = COUNTER_REFUSED, [STORE_FAILED] = COUNTER_FAILED,
		[STORE_LAPSED] = COUNTER_LAPSED, [STORE_CANCELLED] = COUNTER_CANCELLED, [STORE_HELD] = COUNTER_HELD,
	};

	if (state != 0)
		counters_add(counters[state], 1);
}

/* Cancelled while nobody knew: now the policy has its say. */
static enum dispatch_end settle_uncertain(struct send *s)
{
	enum store_answer answer;

	s->outcome.step = STORE_UNCERTAIN;
	answer = write_until_done(s, &s->outcome);
	if (answer == STORE_GO)
		return DISPATCH_ABANDONED;
	count_settled(answer == STORE_IS_HELD ? STORE_HELD : STORE_FAILED);
	return DISPATCH_SETTLED;
}

static enum dispatch_end finish(struct send *s)
{
	s->outcome.at_ms = s->at_ms;
	s->outcome.attempts = s->attempts;
	switch (s->final) {
	case SEND_NOTHING:
		return DISPATCH_ABANDONED;
	case SEND_SETTLED:
		count_settled(s->outcome.state);
		return DISPATCH_SETTLED;
	case SEND_SETTLE:
		write_until_done(s, &s->outcome);
		count_settled(s->outcome.state);
		return DISPATCH_SETTLED;
	case SEND_RELEASE:
		s->outcome.step = STORE_RELEASE;
		write_until_done(s, &s->outcome);
		return DISPATCH_ABANDONED;
	case SEND_UNCERTAIN:
		return settle_uncertain(s);
	}
	return DISPATCH_ABANDONED;
}

int ack_task(void *arg)
{
	struct send *s = arg;

	dispatch_ended(s, finish(s));
	return 0;
}

/* ---- one part of several ---- */

struct part_ack {
	struct send *send;
	struct store_outcome outcome;
};

static int part_ack_task(void *arg)
{
	struct part_ack *a = arg;

	write_until_done(a->send, &a->outcome);
	return 0;
}

int ack_part(struct send *s, const struct send_part *p)
{
	struct part_ack a = { .send = s, .outcome = { .step = STORE_PART, .part = (uint8_t)p->part.part, .attempts = s->attempts,
			      .at_ms = clock_wall_ms(), .provider = route_options(s->provider)->name, .n_ids = 1 } };
	struct co_future *ack;

	a.outcome.ids[0].s = p->result.provider_id;
	a.outcome.ids[0].len = p->result.provider_id_len;
	ack = co_task_new_static(part_ack_task, &a, "acknowledgement of a part");
	if (ack == NULL)
		return 0;               /* the message's own outcome says it again */
	(void)!co_await_through(ack);
	co_unref(ack);
	return 0;
}
