/*
 * send_task.c: one message from admission to outcome, as a task on its partition's worker. It may be cancelled at every suspension
 * until its first byte is written; what is left to say in Redis then is in s->final, and the acknowledgement says it.
 *
 * The order is the design's: room at a provider first, then the claim, then the first byte at once, so that a lease never waits in a
 * queue of ours.
 */
#include <errno.h>
#include <string.h>

#include "daemon/base/log.h"
#include "dispatch/route.h"
#include "dispatch/send.h"
#include "metrics/counters.h"

enum { AGAIN = 1, END = 2 };                    /* beside 0: go on to the next step */

enum { NO_MEMORY_PAUSE_MS = 1000, REDIS_PAUSE_MS = 100, LEASE_MARGIN_MS = 500 };

static bool cancelled(void)
{
	return co_task_cancelling(co_task_current()) > 0;
}

static int end(struct send *s, enum send_final final)
{
	s->final = final;
	return END;
}

static int settle(struct send *s, enum store_state state, const char *error)
{
	s->outcome.step = STORE_SETTLE;
	s->outcome.state = state;
	s->outcome.error = error;
	s->outcome.provider = s->last_provider != NULL ? route_options(s->last_provider)->name : NULL;
	return end(s, SEND_SETTLE);
}

/* Gives the place at the provider back; `result` says how it went there. */
static void leave_provider(struct send *s, const struct gateway_outcome *result)
{
	struct route_provider *p = s->provider;

	s->provider = NULL;
	if (p != NULL)
		route_done(s->dispatch->route, p, s->ticket, result, s->admitted_parts - s->taken_parts);
}

static void leave_unsent(struct send *s)
{
	static const struct gateway_outcome unsent = { .verdict = GATEWAY_UNSENT };

	leave_provider(s, &unsent);
}

/* ---- admission ---- */

/* A record may name any time: one that is further away than a clock counts is never. */
static int64_t expiry_us(const struct job *job)
{
	int64_t now_us = clock_mono_us(), left_ms = job->msg.expires_ms - clock_wall_ms();

	return left_ms < (CLOCK_NEVER - now_us) / 1000 ? now_us + left_ms * 1000 : CLOCK_NEVER;
}

/* [suspends] until a provider has room. Without one (none may take it, or it lapsed here) the claim still comes: it decides. */
static int admit(struct send *s)
{
	struct job *job = s->job;
	struct route_request req = { .to = job->to, .pinned = job->provider, .pinned_len = job->provider_len,
				     .parts = s->cut_parts - (unsigned)__builtin_popcount(s->accepted_parts),
				     .avoid = s->failures > 0 ? s->last_provider : NULL };
	int rc;

	s->admitted_parts = (uint8_t)req.parts;
	s->taken_parts = 0;

	s->why = NULL;
	if (!route_prefix_allows(s->dispatch->options.allow_to, job->to)) {
		s->why = "not_allowed";
		return 0;
	}
	rc = route_admit(s->dispatch->route, &req, expiry_us(job), &s->provider, &s->ticket, &s->why);
	if (rc == -ECANCELED)
		return end(s, SEND_NOTHING);
	if (rc == -ENOMEM)
		return co_sleep_ms(NO_MEMORY_PAUSE_MS) == 0 ? AGAIN : end(s, SEND_NOTHING);
	if (s->provider != NULL) {
		s->last_provider = s->provider;
		job->msg.parts = route_options(s->provider)->split_provider && s->accepted_parts == 0 ? 1 : s->cut_parts;
	}
	return 0;
}

/* ---- the claim ---- */

/* Another owner lives: waits out its lease, outside of inflight. */
static int wait_busy(struct send *s, int64_t wait_ms)
{
	int rc;

	leave_unsent(s);
	counters_add(COUNTER_CLAIM_BUSY, 1);
	dispatch_slot_leave(s);
	rc = co_sleep_ms(wait_ms);
	if (rc == 0)
		rc = dispatch_slot_enter(s);
	return rc == 0 ? AGAIN : end(s, SEND_NOTHING);
}

/* [suspends] until Redis may be asked again. It also refuses while it is ready (a full queue, no memory): hence the pause. */
static int redis_back(struct send *s)
{
	int rc = co_sleep_ms(REDIS_PAUSE_MS);

	return rc == 0 ? store_wait_ready(s->dispatch->store, CLOCK_NEVER) : rc;
}

/* A claim whose answer was lost may stand. */
static int wait_redis(struct send *s)
{
	leave_unsent(s);
	if (redis_back(s) == 0)
		return AGAIN;
	return end(s, s->job->msg.last.unconfirmed ? SEND_RELEASE : SEND_NOTHING);
}

/* The store has ended it, in `state`; 0: it had ended before, or its record can't be read. */
static int settled(struct send *s, enum store_state state)
{
	leave_unsent(s);
	s->outcome.state = state;
	return end(s, SEND_SETTLED);
}

/* The attempt's time runs from the grant: a slow Redis must not use it up. It ends before the lease does, whose slack pays for that. */
static void set_deadline(struct send *s)
{
	int64_t left_us = (s->lease_boot_ms - clock_boot_ms() - LEASE_MARGIN_MS) * 1000;
	int64_t timeout_us = route_options(s->provider)->timeout_ms * INT64_C(1000);

	s->deadline_us = clock_mono_us() + (timeout_us < left_us ? timeout_us : left_us);
}

static int granted(struct send *s, const struct store_claim *claim)
{
	s->lease_boot_ms = claim->lease_boot_ms;
	s->accepted_parts |= claim->accepted_parts;
	if (s->accepted_parts != 0)             /* the others go as parts too, whoever splits here otherwise */
		s->job->msg.parts = s->cut_parts;
	if (claim->attempts > s->attempts)
		s->attempts = claim->attempts;
	if (s->provider != NULL) {
		set_deadline(s);
		return 0;
	}
	if (s->why != NULL)
		return settle(s, STORE_FAILED, s->why);
	return settle(s, STORE_LAPSED, "expired");
}

/* [suspends] 0: ours to send. */
static int claim(struct send *s)
{
	struct store_claim answer = { 0 };
	int rc = store_claim(s->dispatch->store, &s->job->msg, s->deadline_us, &answer);

	if (rc == -ECANCELED) {                 /* it may stand */
		leave_unsent(s);
		return end(s, SEND_RELEASE);
	}
	if (rc != 0)
		return wait_redis(s);
	switch (answer.answer) {
	case STORE_GO:
		return granted(s, &answer);
	case STORE_BUSY:
		return wait_busy(s, answer.wait_ms);
	case STORE_BAD_RECORD:
		log_error("delivery record can't be read, message not sent", LOG_STR("topic", s->job->msg.topic),
			  LOG_INT("partition", s->job->msg.partition), LOG_INT("offset", s->job->msg.offset),
			  LOG_STR("id", s->job->msg.id));
		return settled(s, 0);
	case STORE_DUPLICATE:
		return settled(s, 0);
	case STORE_IS_CANCELLED:
		return settled(s, STORE_CANCELLED);
	case STORE_IS_LAPSED:
		return settled(s, STORE_LAPSED);
	case STORE_IS_HELD:
		return settled(s, STORE_HELD);
	case STORE_IS_FAILED:
		return settled(s, STORE_FAILED);
	}
	CHECK(false, "claim answered %d", (int)answer.answer);
	return END;
}

/* ---- the send ---- */

bool send_may_write(void *arg)
{
	struct send *s = arg;

	if (clock_boot_ms() >= s->lease_boot_ms || clock_wall_ms() >= s->job->msg.expires_ms)
		return false;
	s->written = true;
	return true;
}

const char *send_from(const struct send *s)
{
	const struct provider_options *o = route_options(s->provider);

	return s->job->from != NULL ? s->job->from : o->from != NULL ? o->from : s->dispatch->options.default_from;
}

static void send_single(struct send *s)
{
	const struct job *job = s->job;
	const char *from = send_from(s);
	struct gateway_part part = {
		.id = job->msg.id, .id_len = job->msg.id_len, .to = job->to, .to_len = job->to_len, .text = job->text,
		.text_len = job->text_len, .from = from, .from_len = from != NULL ? strlen(from) : 0, .part = 1, .parts = 1,
	};
	struct gateway *gw = route_gateway(s->provider);

	gw->ops->send(gw, &part, s->deadline_us, send_may_write, s, &s->result);
	if (s->result.verdict == GATEWAY_ACCEPTED) {
		s->outcome.n_ids = 1;
		s->outcome.ids[0].s = s->result.provider_id;
		s->outcome.ids[0].len = s->result.provider_id_len;
	}
}

static int send_message(struct send *s)
{
	s->written = false;
	if (s->attempts < UINT8_MAX)
		s->attempts++;
	if (s->dispatch->options.dry_run || route_options(s->provider)->dry_run) {
		s->result = (struct gateway_outcome){ .verdict = GATEWAY_ACCEPTED, .reason = "dry_run" };
		return 0;
	}
	if (s->job->msg.parts > 1)
		return send_parts(s);
	send_single(s);
	return 0;
}

/* ---- what follows ---- */

/* [suspends] Certainly not sent: gives the claim back (so that a crash from here on is not taken for an unknown outcome), waits. */
static int later(struct send *s, int64_t delay_us)
{
	struct store_outcome release = { .step = STORE_RELEASE, .attempts = s->attempts, .at_ms = clock_wall_ms() };
	int rc = -ECANCELED;

	s->written = false;
	if (!cancelled())
		rc = store_outcome(s->dispatch->store, &s->job->msg, &release, NULL);
	if (rc != -ECANCELED && delay_us > 0)
		rc = co_sleep_until(clock_mono_us() + delay_us);
	return rc == -ECANCELED ? end(s, SEND_RELEASE) : AGAIN;
}

/* [suspends] Nobody knows whether it was sent: the policy decides, in Redis, where it is counted. */
static int ask_policy(struct send *s)
{
	enum store_answer answer = 0;
	int rc;

	s->outcome.step = STORE_UNCERTAIN;
	s->outcome.attempts = s->attempts;
	s->outcome.error = s->result.reason;
	s->outcome.at_ms = clock_wall_ms();
	s->outcome.provider = route_options(s->last_provider)->name;
	do {
		if (cancelled())
			return end(s, SEND_UNCERTAIN);
		rc = store_outcome(s->dispatch->store, &s->job->msg, &s->outcome, &answer);
		if (rc == -EAGAIN)
			rc = redis_back(s) == 0 ? -EAGAIN : -ECANCELED;
	} while (rc == -EAGAIN);
	if (rc == -ECANCELED)
		return end(s, SEND_UNCERTAIN);
	if (answer != STORE_GO)
		return settled(s, answer == STORE_IS_HELD ? STORE_HELD : STORE_FAILED);
	return co_sleep_until(clock_mono_us() + retry_backoff_us(&s->dispatch->retry, s->attempts)) == 0 ? AGAIN : end(s, SEND_NOTHING);
}

static int follow(struct send *s)
{
	struct retry_decision decision;

	if (s->result.verdict == GATEWAY_TRANSIENT)
		s->failures++;
	decision = retry_decide(&s->dispatch->retry, s->result.verdict, s->failures);
	switch (decision.next) {
	case RETRY_SETTLE:
		return settle(s, decision.state, decision.state == STORE_SENT ? NULL : s->result.reason);
	case RETRY_LATER:
		return later(s, decision.delay_us);
	case RETRY_ASK_POLICY:
		return ask_policy(s);
	}
	return END;
}

/* One attempt. AGAIN or END. */
static int attempt(struct send *s)
{
	int rc;

	s->at_ms = 0;
	rc = admit(s);
	if (rc != 0)
		return rc;
	s->deadline_us = clock_mono_us() + (s->provider != NULL ? route_options(s->provider)->timeout_ms : 1000) * INT64_C(1000);
	rc = claim(s);
	if (rc != 0)
		return rc;
	if (send_message(s) != 0) {
		leave_unsent(s);
		return later(s, NO_MEMORY_PAUSE_MS * 1000);
	}
	s->written = false;
	leave_provider(s, &s->result);
	return follow(s);
}

int send_task(void *arg)
{
	struct send *s = arg;
	int rc;

	do
		rc = attempt(s);
	while (rc == AGAIN);
	return 0;
}
