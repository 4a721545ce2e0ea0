/*
 * intake_partition.c: one assignment's records on their way: to a job or a dead letter, to its end, to a done offset. An assignment that
 * has ended moves no offset any more, but its jobs write their outcome; a record that is read again while such a job runs joins it
 * instead of making another. On the worker's thread.
 */
#include <errno.h>
#include <string.h>

#include "consumer/intake_private.h"
#include "consumer/kafka_sink.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/job.h"
#include "metrics/counters.h"

/* A dead letter under way, with its task. */
struct reject {
	struct list node;
	struct intake_partition *partition;
	uint64_t ticket;
	struct kafka_record record;
	const char *reason;
	struct co_future *task;
};

/* A record whose job waits for the job that an earlier assignment made of the same record. */
struct join {
	struct list node;               /* in the orphan's joins, or in in->waiting */
	uint64_t orphan_ticket;
	struct job *job;                /* of the record's own partition; not submitted */
};

/* ---- life ---- */

struct intake_partition *intake_partition_new(struct intake *in, const char *topic, int32_t partition, uint32_t epoch)
{
	struct intake_partition *p = mem_zalloc(sizeof *p);

	if (p == NULL)
		return NULL;
	p->topic = mem_strdup(topic);
	if (p->topic == NULL) {
		mem_free(p);
		return NULL;
	}
	list_init(&p->node);
	list_init(&p->rejects);
	list_init(&p->joins);
	p->in = in;
	p->partition = partition;
	p->epoch = epoch;
	p->refs = 1;
	offsets_init(&p->ring, in->options.max_commit_skew);
	return p;
}

void intake_partition_ref(struct intake_partition *p)
{
	p->refs++;
}

void intake_partition_unref(struct intake_partition *p)
{
	struct intake *in = p->in;

	if (--p->refs > 0)
		return;
	CHECK(p->running == 0 && list_empty(&p->joins) && list_empty(&p->rejects));
	list_remove(&p->node);
	offsets_fini(&p->ring);
	mem_free(p->topic);
	mem_free(p);
	if (in->closed && list_empty(&in->orphans))
		mem_free(in);
}

static void start_one(struct intake_partition *p)
{
	p->running++;
	p->refs++;
}

/* The opposite of start_one(). */
static void end_one(struct intake_partition *p)
{
	p->running--;
	co_event_set(&p->in->ended);
	intake_partition_unref(p);
}

static void offset_done(struct intake_partition *p, uint64_t ticket)
{
	offsets_done(&p->ring, ticket);
	if (p->lease != NULL)
		p->in->open--;
}

/* ---- rejects ---- */

static int reject_body(void *arg)
{
	struct reject *r = arg;
	struct intake_partition *p = r->partition;
	struct intake *in = p->in;
	struct kafka_sink_origin from = { p->topic, p->partition };
	int rc = kafka_sink_dead_letter(in->options.sink, &from, &r->record, r->reason);

	if (rc == 0)
		offset_done(p, r->ticket);
	kafka_record_free(&r->record);
	list_remove(&r->node);
	co_unref(r->task);
	mem_free(r);
	in->rejects--;
	co_event_set(&in->wake);
	end_one(p);
	return rc;
}

/* Its task is scheduled; a cancel before the body has run would skip it, so cancelling waits for the first run (end_rejects). */
static int start_reject(struct intake_partition *p, struct kafka_record *record, const struct record_fault *fault)
{
	struct intake *in = p->in;
	struct reject *r;

	if (in->rejects >= in->options.max_rejects)
		return -EAGAIN;
	r = mem_zalloc(sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	r->task = co_task_new_static(reject_body, r, "dead letter");
	if (r->task == NULL) {
		mem_free(r);
		return -ENOMEM;
	}
	r->partition = p;
	r->record = *record;
	r->reason = record_reject_name(fault->reject);
	r->ticket = offsets_add(&p->ring, record->offset, NULL);
	list_append(&p->rejects, &r->node);
	in->rejects++;
	start_one(p);
	counters_add(COUNTER_RECORDS_REJECTED, 1);
	log_warn("record rejected", LOG_STR("topic", p->topic), LOG_INT("partition", p->partition), LOG_INT("offset", record->offset),
		 LOG_STR("reason", r->reason), LOG_STR("text", fault->text));
	return 0;
}

void intake_partition_end_rejects(struct intake_partition *p)
{
	if (list_empty(&p->rejects) || co_yield() < 0)
		return;
	list_each(node, &p->rejects)
		co_cancel(list_entry(node, struct reject, node)->task);
	while (!list_empty(&p->rejects)) {
		co_event_clear(&p->in->ended);
		if (co_event_wait(&p->in->ended, CLOCK_NEVER) < 0)
			return;
	}
}

/* ---- joining a job that still runs ---- */

/* The same bytes at the same place of the same log have the same id; a log made anew may hold another message there. */
static struct intake_partition *find_running(struct intake *in, const struct job *job, uint64_t *ret_ticket)
{
	list_each(node, &in->orphans) {
		struct intake_partition *o = list_entry(node, struct intake_partition, node);
		const struct job *running;

		if (o->partition != job->msg.partition || strcmp(o->topic, job->msg.topic) != 0 ||
		    !offsets_find(&o->ring, job->msg.offset, ret_ticket))
			continue;
		running = offsets_item(&o->ring, *ret_ticket);
		if (running != NULL && running->msg.id_len == job->msg.id_len &&
		    memcmp(running->msg.id, job->msg.id, job->msg.id_len) == 0)
			return o;
	}
	return NULL;
}

static int join(struct intake_partition *o, uint64_t orphan_ticket, struct job *job)
{
	struct join *j = mem_alloc(sizeof *j);

	if (j == NULL)
		return -ENOMEM;
	j->orphan_ticket = orphan_ticket;
	j->job = job;
	list_append(&o->joins, &j->node);
	counters_add(COUNTER_RECORDS_JOINED, 1);
	return 0;
}

static void free_join(struct join *j)
{
	list_remove(&j->node);
	job_free(j->job);
	mem_free(j);
}

/* The job of an orphan has ended: so has what joined it, or it must be sent itself. */
static void end_joins(struct intake_partition *o, uint64_t ticket, enum dispatch_end end)
{
	list_each(node, &o->joins) {
		struct join *j = list_entry(node, struct join, node);
		struct intake_partition *p = j->job->source;

		if (j->orphan_ticket != ticket)
			continue;
		if (end == DISPATCH_SETTLED) {
			offset_done(p, j->job->ticket);
			free_join(j);
			end_one(p);
		} else {
			list_remove(&j->node);
			list_append(&o->in->waiting, &j->node);
			co_event_set(&o->in->wake);
		}
	}
}

void intake_partition_resubmit(struct intake *in)
{
	list_each(node, &in->waiting) {
		struct join *j = list_entry(node, struct join, node);
		struct job *job = j->job;

		if (dispatch_room(in->dispatch) == 0 || dispatch_submit(in->dispatch, job) < 0)
			return;
		offsets_set_item(&job->source->ring, job->ticket, job);
		list_remove(&j->node);
		mem_free(j);
	}
}

static void drop_joins_of(const struct intake_partition *p, struct list *joins)
{
	list_each(node, joins) {
		struct join *j = list_entry(node, struct join, node);
		struct intake_partition *source = j->job->source;

		if (source != p)
			continue;
		free_join(j);
		end_one(source);
	}
}

void intake_partition_orphan(struct intake_partition *p)
{
	struct intake *in = p->in;

	in->open -= p->ring.open;
	p->lease = NULL;
	drop_joins_of(p, &in->waiting);
	list_each(node, &in->orphans)
		drop_joins_of(p, &list_entry(node, struct intake_partition, node)->joins);
	list_append(&in->orphans, &p->node);
	intake_partition_unref(p);      /* the lease's; the last one where nothing runs */
}

/* ---- a record in, a job out ---- */

/* The log has gone back: cut by an unclean election, or made anew. What runs becomes an orphan, and offsets start afresh. */
static int start_afresh(struct lease *lease, int64_t offset)
{
	struct intake_partition *old = lease->partition;
	struct intake_partition *p = intake_partition_new(lease->in, old->topic, old->partition, old->epoch);

	if (p == NULL)
		return -ENOMEM;
	log_error("log went back", LOG_STR("topic", p->topic), LOG_INT("partition", p->partition), LOG_INT("expected", lease->expected),
		  LOG_INT("found", offset));
	counters_add(COUNTER_LOGS_WENT_BACK, 1);
	p->lease = lease;
	lease->partition = p;
	lease->published = lease->marked = -1;
	lease->expected = offset;
	atomic_store(&lease->shared->committable, -1);
	intake_partition_orphan(old);
	return 0;
}

static int submit(struct intake_partition *p, struct job *job)
{
	struct intake *in = p->in;
	uint64_t orphan_ticket = 0;
	struct intake_partition *orphan = list_empty(&in->orphans) ? NULL : find_running(in, job, &orphan_ticket);
	int rc = orphan != NULL ? join(orphan, orphan_ticket, job) : dispatch_submit(in->dispatch, job);

	if (rc < 0)
		return rc;
	job->source = p;
	job->ticket = offsets_add(&p->ring, job->msg.offset, orphan != NULL ? NULL : job);
	start_one(p);
	return 0;
}

static int take(struct intake_partition *p, struct kafka_record *record)
{
	struct record_position at = {
		.topic = p->topic, .partition = p->partition, .offset = record->offset, .epoch = p->epoch,
		.timestamp_ms = record->timestamp_ms,
	};
	struct record_fault fault;
	struct job *job;
	int rc = record_parse(&p->in->options.record, &at, record->value, record->value_len, clock_wall_ms(), &job, &fault);

	if (rc == -EBADMSG)
		return start_reject(p, record, &fault);
	if (rc < 0)
		return rc;
	rc = submit(p, job);
	if (rc < 0) {
		job_free(job);
		return rc;
	}
	kafka_record_free(record);
	return 0;
}

int intake_partition_take(struct lease *lease, struct kafka_record *record)
{
	int64_t offset = record->offset;
	int rc;

	if (dispatch_room(lease->in->dispatch) == 0)
		return -EAGAIN;
	if (offset < lease->expected && (rc = start_afresh(lease, offset)) < 0)
		return rc;
	rc = offsets_reserve(&lease->partition->ring, offset);
	if (rc == 0)
		rc = take(lease->partition, record);
	if (rc < 0)
		return rc;
	lease->in->open++;
	return 0;
}

void intake_partition_on_end(struct job *job, enum dispatch_end end, void *arg)
{
	struct intake_partition *p = job->source;
	uint64_t ticket = job->ticket;

	(void)arg;
	switch (end) {
	case DISPATCH_SETTLED:
		offset_done(p, ticket);
		break;
	case DISPATCH_ABANDONED:
		offsets_set_item(&p->ring, ticket, NULL);
		break;
	}
	job_free(job);
	if (!list_empty(&p->joins))
		end_joins(p, ticket, end);
	end_one(p);
}
