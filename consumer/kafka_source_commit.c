/*
 * kafka_source_commit.c: what the workers have published is committed: once an interval, at a revoke, at the end. On the control
 * thread; it decides nothing of what may be committed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consumer/kafka_source_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/counters.h"

enum {
	ASK_TIMEOUT_MS = 5000, COMMIT_TIMEOUT_MS = 5000,
	TROUBLED_COMMITS = 3,           /* in a row, before readiness says so */
};

/* What a place has to commit; after a rejected commit the last one again, to learn whether we are still in. */
static int64_t due_offset(const struct kafka_source *s, const struct place *place)
{
	int64_t committable = atomic_load_explicit(&place->shared.committable, memory_order_acquire);

	if (!place->owned || committable < 0)
		return -1;
	return s->rejected || committable != atomic_load(&place->shared.committed) ? committable : -1;
}

unsigned kafka_source_uncommitted(const struct kafka_source *s)
{
	unsigned n = 0;

	list_each(node, &s->places)
		n += due_offset(s, list_entry(node, struct place, node)) >= 0;
	return n;
}

static struct kafka_part *list_due(const struct kafka_source *s, size_t *ret_n)
{
	size_t n = kafka_source_uncommitted(s);
	struct kafka_part *parts = mem_alloc((n + 1) * sizeof *parts);

	if (parts == NULL)
		return NULL;
	*ret_n = 0;
	list_each(node, &s->places) {
		const struct place *place = list_entry(node, struct place, node);
		int64_t offset = due_offset(s, place);

		if (offset >= 0 && *ret_n < n)
			parts[(*ret_n)++] = (struct kafka_part){ .topic = place->topic, .partition = place->partition, .offset = offset };
	}
	return parts;
}

static void on_part(struct place *place, const struct kafka_part *part)
{
	if (part->err == 0) {
		atomic_store_explicit(&place->shared.committed, part->offset, memory_order_release);
		place->commit_failures = 0;
		return;
	}
	place->commit_err = part->err;
	if (place->commit_failures++ == 0)
		log_error("offset not committed", LOG_STR("topic", place->topic), LOG_INT("partition", place->partition),
			  LOG_INT("offset", part->offset), LOG_INT("errno", -part->err));
}

/* The group has answered: part by part. 0, -EAGAIN where another try may do, or what a part failed of. */
static int on_answered(struct kafka_source *s, const struct kafka_part *parts, size_t n, uint32_t epoch)
{
	size_t failed = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		struct place *place = kafka_source_find_place(s, parts[i].topic, parts[i].partition);

		if (place->epoch <= epoch)      /* not lent anew meanwhile */
			on_part(place, &parts[i]);
		failed += parts[i].err < 0;
		if (parts[i].err < 0 && rc != -EAGAIN)
			rc = parts[i].err;
	}
	s->commit_failures = 0;
	counters_add(COUNTER_COMMIT_ERRORS, failed > 0);
	if (failed == n)
		return rc;
	counters_add(COUNTER_COMMITS, 1);
	if (s->rejected)
		kafka_source_set_stopped(s, false);
	else
		kafka_source_kick(s);
	return rc;
}

static void on_commit_failed(struct kafka_source *s, int rc)
{
	counters_add(COUNTER_COMMIT_ERRORS, 1);
	if (rc == -ESTALE && !s->rejected) {
		log_warn("commit rejected: the group went on without us, reading stops");
		kafka_source_set_stopped(s, true);
	}
	s->commit_failures++;
}

/* Readiness names what can't be committed for long, while the other partitions go on. */
static void say_commit_trouble(struct kafka_source *s)
{
	s->commit_trouble[0] = '\0';
	if (s->commit_failures >= TROUBLED_COMMITS)
		snprintf(s->commit_trouble, sizeof s->commit_trouble, "kafka: offsets can't be committed");
	list_each(node, &s->places) {
		const struct place *place = list_entry(node, struct place, node);

		if (!place->owned || place->commit_failures < TROUBLED_COMMITS)
			continue;
		snprintf(s->commit_trouble, sizeof s->commit_trouble, "kafka: offsets of %s/%" PRId32 " can't be committed: %s",
			 place->topic, place->partition,
			 place->commit_err == -ENOENT ? "no such topic or partition" :
			 place->commit_err == -EACCES ? "not authorised" : "not taken");
		return;
	}
}

int kafka_source_commit(struct kafka_source *s, int64_t deadline_us)
{
	struct kafka_part *parts;
	uint32_t epoch;
	size_t n = 0;
	int rc = co_semaphore_acquire(&s->committing, deadline_us);

	if (rc < 0)
		return rc == -ETIMEDOUT ? -EAGAIN : rc;
	epoch = s->epoch;
	parts = s->client != NULL ? list_due(s, &n) : NULL;
	if (n > 0) {
		rc = kafka_client_commit(s->client, parts, n, deadline_us);
		if (rc == 0)
			rc = on_answered(s, parts, n, epoch);
		else if (rc != -ECANCELED)
			on_commit_failed(s, rc);
	}
	say_commit_trouble(s);
	mem_free(parts);
	co_semaphore_release(&s->committing);
	return rc;
}

/* A jump of offsets is compaction's, a transaction's, or records that Kafka deleted before we read them: the log's start tells. */
static int check_gap(struct kafka_source *s, struct place *place)
{
	struct kafka_part part = { .topic = place->topic, .partition = place->partition, .offset = -1 };
	int64_t from = atomic_load(&place->shared.gap_from), to = atomic_load(&place->shared.gap_to), end;

	int rc = to > 0 ? kafka_client_offsets(s->client, &part, 1, kafka_source_deadline(ASK_TIMEOUT_MS)) : -EAGAIN;

	if (rc < 0)
		return rc;
	atomic_store(&place->shared.gap_to, 0);
	end = part.low < to ? part.low : to;
	if (end <= from)
		return 0;
	log_error("records were deleted before they were read", LOG_STR("topic", place->topic), LOG_INT("partition", place->partition),
		  LOG_INT("expected", from), LOG_INT("log_start", part.low), LOG_INT("missing", end - from));
	counters_add(COUNTER_RECORDS_MISSING, (uint64_t)(end - from));
	return 0;
}

int kafka_source_commit_body(void *arg)
{
	struct kafka_source *s = arg;
	int64_t interval_us = (int64_t)s->options.commit_interval_ms * 1000;

	for (;;) {
		int rc = co_event_wait(&s->commit_due, clock_mono_us() + interval_us);

		if (rc == -ENOMEM)
			rc = co_yield();        /* no memory for the timer: others must come to run */
		if (rc == -ECANCELED)
			return rc;
		co_event_clear(&s->commit_due);
		rc = kafka_source_commit(s, kafka_source_deadline(COMMIT_TIMEOUT_MS)) == -ECANCELED ? -ECANCELED : 0;
		list_each(node, &s->places)
			if (rc >= 0 && list_entry(node, struct place, node)->owned)
				rc = check_gap(s, list_entry(node, struct place, node)) == -ECANCELED ? -ECANCELED : 0;
		if (rc == -ECANCELED)
			return rc;
	}
}
