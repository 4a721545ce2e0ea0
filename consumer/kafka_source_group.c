/*
 * kafka_source_group.c: partitions come, are lent to workers, and go. A task of the control thread, a straight line: the group waits
 * while a rebalance is answered; commits (kafka_source_commit.c) go on meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consumer/kafka_source_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/worker.h"
#include "metrics/counters.h"

enum {
	ASK_TIMEOUT_MS = 5000, COMMIT_TIMEOUT_MS = 5000, DRAINED_COMMIT_MS = 1000, RETRY_MS = 500, NO_MEMORY_MS = 100,
};

/* ---- places ---- */

struct place *kafka_source_find_place(const struct kafka_source *s, const char *topic, int32_t partition)
{
	list_each(node, &s->places) {
		struct place *place = list_entry(node, struct place, node);

		if (place->partition == partition && strcmp(place->topic, topic) == 0)
			return place;
	}
	return NULL;
}

static struct place *get_place(struct kafka_source *s, const char *topic, int32_t partition)
{
	struct place *place = kafka_source_find_place(s, topic, partition);

	if (place != NULL)
		return place;
	place = mem_zalloc(sizeof *place);
	if (place == NULL)
		return NULL;
	place->topic = mem_strdup(topic);
	if (place->topic == NULL) {
		mem_free(place);
		return NULL;
	}
	place->partition = partition;
	list_append(&s->places, &place->node);
	return place;
}

void kafka_source_free_places(struct kafka_source *s)
{
	struct list *node;

	while ((node = list_pop(&s->places)) != NULL) {
		struct place *place = list_entry(node, struct place, node);

		CHECK(!place->owned, "%s is still lent", place->topic);
		mem_free(place->topic);
		mem_free(place);
	}
}

static struct kafka_source_seat *least_loaded(struct kafka_source *s)
{
	struct kafka_source_seat *least = &s->seats[0];

	for (unsigned i = 1; i < s->n_seats; i++)
		if (s->seats[i].owned < least->owned)
			least = &s->seats[i];
	return least;
}

static unsigned count_owned(const struct kafka_source *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_seats; i++)
		n += s->seats[i].owned;
	return n;
}

/* ---- asking all workers at once ---- */

struct errand {
	struct kafka_source_seat *seat;
	int (*body)(void *seat);
};

static int run_errand(void *arg)
{
	struct errand *e = arg;

	return worker_call(e->seat->worker, e->body, e->seat) == -ECANCELED ? -ECANCELED : 0;
}

/* With no memory for tasks, one after the other. */
static void each_seat_in_turn(struct kafka_source *s, unsigned from, int (*body)(void *seat))
{
	for (unsigned i = from; i < s->n_seats; i++)
		while (worker_call(s->seats[i].worker, body, &s->seats[i]) == -ENOMEM)
			if (co_sleep_ms(NO_MEMORY_MS) < 0)
				return;
}

void kafka_source_each_seat(struct kafka_source *s, int (*body)(void *seat))
{
	struct co_future **tasks = mem_zalloc(s->n_seats * sizeof *tasks);
	struct errand *errands = mem_alloc(s->n_seats * sizeof *errands);
	unsigned n = 0;

	if (tasks != NULL && errands != NULL) {
		for (; n < s->n_seats; n++) {
			errands[n] = (struct errand){ &s->seats[n], body };
			tasks[n] = co_task_new_static(run_errand, &errands[n], "kafka errand");
			if (tasks[n] == NULL)
				break;
		}
	}
	each_seat_in_turn(s, n, body);
	for (unsigned i = 0; i < n; i++) {
		(void)co_await_through(tasks[i]);
		co_unref(tasks[i]);
	}
	mem_free(tasks);
	mem_free(errands);
}

/* ---- where to start ---- */

/* [suspends] The parts of all topics, asked until known; NULL when cancelled. */
static struct kafka_part *all_parts(struct kafka_source *s, size_t *ret_n)
{
	struct kafka_part *parts = NULL, *more;
	size_t n = 0;

	for (size_t i = 0; i < s->options.n_topics; i++) {
		int count = kafka_client_partitions(s->client, s->options.topics[i], kafka_source_deadline(ASK_TIMEOUT_MS));

		more = count > 0 ? mem_resize(parts, (n + (size_t)count) * sizeof *parts) : NULL;
		if (more == NULL) {
			mem_free(parts);
			return NULL;
		}
		parts = more;
		for (int p = 0; p < count; p++)
			parts[n++] = (struct kafka_part){ .topic = s->options.topics[i], .partition = p, .offset = -1 };
	}
	*ret_n = n;
	return parts;
}

static bool any_committed(const struct kafka_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].committed >= 0)
			return true;
	return false;
}

/* An offset of 0 may be a group's that has taken nothing yet. */
static void note_commits(struct kafka_source *s, const struct kafka_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->has_commits = s->has_commits || parts[i].committed > 0;
}

static int begin_store(void *arg)
{
	return intake_begin_store(arg);
}

/* [suspends] The group has no offsets at all and starts at the logs' ends: that is written down for every partition, so that those of
 * other members, and ours after a crash, don't start at the beginning. 0, -EAGAIN and the like. */
static int commit_latest(struct kafka_source *s, struct kafka_part *all, size_t n)
{
	int rc = worker_call(s->seats[0].worker, begin_store, s->seats[0].intake);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		all[i].offset = all[i].high;
	rc = kafka_client_commit(s->client, all, n, kafka_source_deadline(COMMIT_TIMEOUT_MS));
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = all[i].err;
	return rc;
}

static void start_at(struct kafka_part *parts, size_t n, enum kafka_start start)
{
	for (size_t i = 0; i < n; i++)
		parts[i].offset = start == KAFKA_START_LATEST ? parts[i].high : parts[i].low;
}

/* [suspends] None of our partitions has an offset: does the group have any elsewhere? 0 with offsets set, or try again. */
static int start_new_group(struct kafka_source *s, struct kafka_part *parts, size_t n)
{
	size_t n_all = 0;
	struct kafka_part *all = all_parts(s, &n_all);
	int rc;

	if (all == NULL)
		return -EAGAIN;
	rc = kafka_client_offsets(s->client, all, n_all, kafka_source_deadline(ASK_TIMEOUT_MS));
	if (rc == 0 && any_committed(all, n_all)) {
		note_commits(s, all, n_all);
		start_at(parts, n, KAFKA_START_EARLIEST);       /* ours were added later */
	} else if (rc == 0) {
		log_info("group has no offsets", LOG_STR("group", s->options.group_id), LOG_INT("start", s->options.start));
		if (s->options.start == KAFKA_START_LATEST)
			rc = commit_latest(s, all, n_all);
		if (s->options.start == KAFKA_START_ERROR)
			snprintf(s->fatal, sizeof s->fatal,
				 "kafka: group %s has no offsets yet: say where it begins with start = earliest or start = latest",
				 s->options.group_id);
		else
			start_at(parts, n, s->options.start);
	}
	mem_free(all);
	return rc;
}

static void start_at_committed(struct kafka_part *p)
{
	if (p->committed < 0) {
		p->offset = p->low;
	} else if (p->committed < p->low) {
		log_error("records were deleted before they were read", LOG_STR("topic", p->topic), LOG_INT("partition", p->partition),
			  LOG_INT("committed", p->committed), LOG_INT("log_start", p->low), LOG_INT("missing", p->low - p->committed));
		counters_add(COUNTER_RECORDS_MISSING, (uint64_t)(p->low - p->committed));
		p->offset = p->low;
	} else if (p->committed > p->high) {
		/* records may have been written anew below the committed offset; what was sent already is found in Redis */
		log_error("log went back, read from its start", LOG_STR("topic", p->topic), LOG_INT("partition", p->partition),
			  LOG_INT("committed", p->committed), LOG_INT("log_end", p->high));
		counters_add(COUNTER_LOGS_WENT_BACK, 1);
		p->offset = p->low;
	} else {
		p->offset = p->committed;
	}
}

static int choose_once(struct kafka_source *s, struct kafka_part *parts, size_t n)
{
	int rc = kafka_client_offsets(s->client, parts, n, kafka_source_deadline(ASK_TIMEOUT_MS));

	if (rc < 0)
		return rc;
	if (!any_committed(parts, n))
		return start_new_group(s, parts, n);
	note_commits(s, parts, n);
	for (size_t i = 0; i < n; i++)
		start_at_committed(&parts[i]);
	return 0;
}

/* [suspends] Sets where each part starts, however long Kafka needs to say; leaves them at -1 when draining or with a fatal error. */
static void choose_offsets(struct kafka_source *s, struct kafka_part *parts, size_t n)
{
	int rc;

	while (!s->draining && (rc = choose_once(s, parts, n)) < 0) {
		kafka_source_trouble(s, "kafka: offsets of group %s can't be read", s->options.group_id);
		log_warn("waiting for committed offsets", LOG_INT("errno", -rc));
		if (co_sleep_ms(RETRY_MS) < 0)
			break;
	}
	s->trouble[0] = '\0';
}

/* ---- assigned ---- */

struct lending {
	struct kafka_source_seat *seat;
	struct intake_grant grant;
};

static int lend_body(void *arg)
{
	struct lending *l = arg;

	return intake_lend(l->seat->intake, &l->grant);
}

static void reset_shared(struct intake_shared *shared, int64_t committed)
{
	atomic_store(&shared->committable, -1);
	atomic_store(&shared->position, -1);
	atomic_store(&shared->open, 0);
	atomic_store(&shared->oldest_us, 0);
	atomic_store(&shared->gap_from, 0);
	atomic_store(&shared->gap_to, 0);
	atomic_store(&shared->committed, committed);
	atomic_store(&shared->stopped, false);
}

/* [suspends] 0, -ENOMEM, -EMFILE. */
static int lend(struct kafka_source *s, const struct kafka_part *part)
{
	struct place *place = get_place(s, part->topic, part->partition);
	struct lending l;
	int rc;

	if (place == NULL)
		return -ENOMEM;
	if (place->owned)               /* the group gives what we have: keep it */
		return 0;
	if (place->seat == NULL)
		place->seat = least_loaded(s);
	l.seat = place->seat;
	l.grant = (struct intake_grant){ .shared = &place->shared, .topic = place->topic, .partition = place->partition,
					 .epoch = s->epoch, .start = part->offset, .has_commits = s->has_commits };
	l.grant.queue = kafka_queue_open(s->client, part->topic, part->partition);
	if (l.grant.queue == NULL)
		return -ENOMEM;
	reset_shared(&place->shared, part->committed);
	rc = worker_call(place->seat->worker, lend_body, &l);
	if (rc < 0) {
		kafka_queue_close(l.grant.queue);
		return rc;
	}
	place->epoch = s->epoch;
	place->commit_failures = 0;
	place->owned = true;
	place->seat->owned++;
	return 0;
}

void kafka_source_set_stopped(struct kafka_source *s, bool stopped)
{
	s->rejected = stopped;
	list_each(node, &s->places)
		atomic_store(&list_entry(node, struct place, node)->shared.stopped, stopped);
	if (!stopped)
		kafka_source_kick(s);
}

static void on_assign(struct kafka_source *s, struct kafka_rebalance *r)
{
	int rc;

	s->epoch++;
	if (r->n > 0)
		choose_offsets(s, r->parts, r->n);
	for (size_t i = 0; i < r->n; i++) {
		while (r->parts[i].offset >= 0 && (rc = lend(s, &r->parts[i])) < 0) {
			log_error("partition not lent yet", LOG_STR("topic", r->parts[i].topic),
				  LOG_INT("partition", r->parts[i].partition), LOG_INT("errno", -rc));
			if (s->draining || co_sleep_ms(NO_MEMORY_MS) < 0)
				r->parts[i].offset = -1;
		}
	}
	log_info("partitions assigned", LOG_UINT("given", r->n), LOG_UINT("owned", count_owned(s)), LOG_UINT("epoch", s->epoch));
	s->joined = true;
	if (s->rejected)
		kafka_source_set_stopped(s, false);
	kafka_client_answer(s->client, r);
}

/* ---- revoked ---- */

static int revoke_body(void *arg)
{
	struct kafka_source_seat *seat = arg;

	if (seat->n_revoked > 0)
		intake_revoke(seat->intake, seat->revoked, seat->n_revoked, seat->lost);
	return 0;
}

static bool is_taken(const struct kafka_rebalance *r, const struct place *place)
{
	bool taken = r->all;

	for (size_t i = 0; i < r->n && !taken; i++)
		taken = r->parts[i].partition == place->partition && strcmp(r->parts[i].topic, place->topic) == 0;
	return place->owned && taken;
}

static void list_revoked(struct kafka_source *s, const struct kafka_rebalance *r, struct intake_shared **room)
{
	for (unsigned i = 0; i < s->n_seats; i++) {
		struct kafka_source_seat *seat = &s->seats[i];

		seat->lost = r->kind == KAFKA_LOST;
		seat->revoked = room;
		seat->n_revoked = 0;
		list_each(node, &s->places) {
			struct place *place = list_entry(node, struct place, node);

			if (place->seat == seat && is_taken(r, place))
				seat->revoked[seat->n_revoked++] = &place->shared;
		}
		room += seat->n_revoked;
	}
}

static void on_revoke(struct kafka_source *s, struct kafka_rebalance *r)
{
	struct intake_shared **room;
	unsigned taken = 0;

	while ((room = mem_alloc((count_owned(s) + 1) * sizeof *room)) == NULL)
		if (co_sleep_ms(NO_MEMORY_MS) < 0)
			return;
	list_revoked(s, r, room);
	kafka_source_each_seat(s, revoke_body);
	mem_free(room);
	if (r->kind != KAFKA_LOST && kafka_source_commit(s, kafka_source_deadline(s->draining ? DRAINED_COMMIT_MS : COMMIT_TIMEOUT_MS)) < 0)
		log_warn("last commit of revoked partitions failed: they count as lost");
	list_each(node, &s->places) {
		struct place *place = list_entry(node, struct place, node);

		if (!is_taken(r, place))
			continue;
		place->owned = false;
		place->seat->owned--;
		taken++;
	}
	if (r->kind == KAFKA_LOST)
		counters_add(COUNTER_PARTITIONS_LOST, taken);
	log_info("partitions revoked", LOG_UINT("taken", taken), LOG_UINT("owned", count_owned(s)), LOG_BOOL("lost", r->kind == KAFKA_LOST));
	kafka_client_answer(s->client, r);
}

int kafka_source_group_body(void *arg)
{
	struct kafka_source *s = arg;
	struct kafka_rebalance *r;
	int rc;

	while ((rc = kafka_client_next(s->client, &r)) == 0) {
		counters_add(COUNTER_REBALANCES, 1);
		s->answering = true;
		switch (r->kind) {
		case KAFKA_ASSIGN:
			on_assign(s, r);
			break;
		case KAFKA_REVOKE:
		case KAFKA_LOST:
			on_revoke(s, r);
			break;
		}
		s->answering = false;
		counters_set(COUNTER_PARTITIONS, count_owned(s));
	}
	return rc == -ECANCELED ? rc : 0;
}

/* ---- for the operator ---- */

void kafka_source_each(const struct kafka_source *source, kafka_source_visit_fn *visit, void *arg)
{
	list_each(node, &source->places) {
		const struct place *place = list_entry(node, struct place, node);
		const struct intake_shared *shared = &place->shared;
		struct kafka_source_partition info = { .topic = place->topic, .partition = place->partition, .epoch = place->epoch, .lag = -1 };
		int64_t low, high, behind, since_us = atomic_load(&shared->oldest_us);

		if (!place->owned)
			continue;
		info.worker = worker_index(place->seat->worker);
		info.committed = atomic_load(&shared->committed);
		info.position = atomic_load(&shared->position);
		info.inflight = atomic_load(&shared->open);
		info.oldest_ms = since_us > 0 ? (clock_mono_us() - since_us) / 1000 : 0;
		behind = info.committed >= 0 ? info.committed : info.position;
		if (source->client != NULL && kafka_client_bounds(source->client, place->topic, place->partition, &low, &high) &&
		    behind >= 0)
			info.lag = high > behind ? high - behind : 0;
		visit(&info, arg);
	}
}
