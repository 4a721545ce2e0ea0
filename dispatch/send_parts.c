/*
 * send_parts.c: a message of several parts: a task a part under wait(FIRST_EXCEPTION). The first failing part is stamped in the turn
 * in which it fails and stops those that are not written yet; what is written runs to its end. Accepted parts are written to
 * Redis one by one, so that a resend covers only the others.
 */
#include <errno.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/gsm7.h"
#include "dispatch/route.h"
#include "dispatch/send.h"

/* Any outcome but accepted fails the task: that is what FIRST_EXCEPTION waits for. */
static int part_task(void *arg)
{
	struct send_part *p = arg;
	struct send *s = p->send;
	struct gateway *gw = route_gateway(s->provider);

	gw->ops->send(gw, &p->part, s->deadline_us, send_may_write, s, &p->result);
	if (p->result.verdict != GATEWAY_ACCEPTED)
		return -EIO;
	s->accepted_parts |= (uint16_t)(1u << (p->part.part - 1));
	s->taken_parts++;
	return ack_part(s, p);          /* through any cancel: what was accepted is written */
}

static void part_init(struct send *s, unsigned i, const struct gsm7_slice *slice, bool ucs2)
{
	const struct job *job = s->job;
	struct send_part *p = &s->parts[i];
	const char *from = send_from(s);

	p->send = s;
	p->part = (struct gateway_part){
		.id = job->msg.id, .id_len = job->msg.id_len, .to = job->to, .to_len = job->to_len, .text = job->text + slice->start,
		.text_len = slice->len, .from = from, .from_len = from != NULL ? strlen(from) : 0, .part = i + 1,
		.parts = s->n_parts, .ucs2 = ucs2,
	};
	p->part.udh_len = (uint8_t)gsm7_udh(job->msg.id, job->msg.id_len, GSM7_REF8, i + 1, s->n_parts, p->part.udh);
}

/* Cuts the text once; another attempt, maybe through another provider, sends the same parts under the same reference. */
static int cut(struct send *s)
{
	struct gsm7_slice slices[JOB_PARTS_MAX];
	unsigned n = s->job->msg.parts;
	bool ucs2;

	if (s->parts == NULL) {
		s->parts = mem_zalloc(sizeof *s->parts * n);
		if (s->parts == NULL)
			return -ENOMEM;
		s->n_parts = n;
	}
	CHECK(gsm7_split(s->job->text, s->job->text_len, GSM7_REF8, slices, JOB_PARTS_MAX, &ucs2) == n);
	for (unsigned i = 0; i < n; i++)
		part_init(s, i, &slices[i], ucs2);
	return 0;
}

/* Starts those that were not accepted before. */
static int start(struct send *s)
{
	for (unsigned i = 0; i < s->n_parts; i++) {
		struct send_part *p = &s->parts[i];

		if (s->accepted_parts >> i & 1)
			continue;
		/* Where its body never runs, this is how it went. */
		p->result = (struct gateway_outcome){ .verdict = GATEWAY_UNSENT, .reason = "stopped" };
		p->task = co_task_new(part_task, p, "part %u of %s", i + 1, s->job->msg.id);
		if (p->task == NULL)
			return -ENOMEM;
	}
	return 0;
}

static size_t running(const struct send *s, struct co_future **ret_tasks)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->n_parts; i++)
		if (s->parts[i].task != NULL)
			ret_tasks[n++] = s->parts[i].task;
	return n;
}

static void stop_unwritten(const struct send *s)
{
	for (unsigned i = 0; i < s->n_parts; i++)
		if (s->parts[i].task != NULL && !co_done(s->parts[i].task))
			co_cancel(s->parts[i].task);
}

/* [suspends] until every part has ended, whatever is cancelled or out of memory meanwhile: they live on what is ours. */
static void wait_all(struct co_future *const *tasks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)!co_await_through(tasks[i]);
}

/* A no for good outweighs all; then what nobody knows; then what pauses the provider. */
static unsigned weight(enum gateway_verdict verdict)
{
	static const uint8_t weights[] = {
		[GATEWAY_ACCEPTED] = 0, [GATEWAY_UNSENT] = 1, [GATEWAY_TRANSIENT] = 2, [GATEWAY_THROTTLED] = 3, [GATEWAY_UNCERTAIN] = 4,
		[GATEWAY_REFUSED] = 5,
	};

	return weights[verdict];
}

static void judge(struct send *s)
{
	struct gateway_outcome *result = &s->result;

	*result = (struct gateway_outcome){ .verdict = GATEWAY_ACCEPTED };
	s->outcome.n_ids = (uint8_t)s->n_parts;
	for (unsigned i = 0; i < s->n_parts; i++) {
		struct send_part *p = &s->parts[i];
		bool accepted = s->accepted_parts >> i & 1;

		s->outcome.ids[i].s = p->result.provider_id;
		s->outcome.ids[i].len = accepted ? p->result.provider_id_len : 0;
		if (!accepted && weight(p->result.verdict) > weight(result->verdict))
			*result = p->result;
		if (p->task != NULL)
			(void)!co_result(p->task);      /* p->result says more; so it counts as retrieved */
		co_unref(p->task);
		p->task = NULL;
	}
}

int send_parts(struct send *s)
{
	struct co_future *tasks[JOB_PARTS_MAX];
	size_t n;
	int rc = cut(s);

	if (rc != 0)
		return rc;
	rc = start(s);
	n = running(s, tasks);
	if (n > 0) {
		if (rc != 0)
			stop_unwritten(s);
		else
			(void)!co_wait(tasks, n, CO_FIRST_EXCEPTION, CLOCK_NEVER);
		s->at_ms = clock_wall_ms();     /* of the first that failed, or of the last that was accepted */
		stop_unwritten(s);
		wait_all(tasks, n);
	}
	judge(s);
	return 0;
}
