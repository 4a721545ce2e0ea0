/*
 * kafka_source.c: the member of the group, as tasks on the control thread: one starts it (topics first), one answers rebalances, one
 * commits what the workers publish. It reads no record. A commit covers only what a worker has published behind its durability barrier.
 */
#include "consumer/kafka_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consumer/intake.h"
#include "consumer/kafka_sink.h"
#include "consumer/kafka_source_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "dispatch/worker.h"
#include "metrics/counters.h"

enum {
	ASK_TIMEOUT_MS = 5000, RETRY_MS = 500, COMMIT_TIMEOUT_MS = 5000, CLOSE_TIMEOUT_MS = 10000,
	HOPELESS_MS = 1000,             /* for a last try where no broker answers */
	QUEUE_KB_MIN = 64, ANSWER_LOOK_MS = 5,
};

int64_t kafka_source_deadline(int64_t ms)
{
	return clock_mono_us() + ms * 1000;
}

/* ---- what is wrong ---- */

__attribute__((format(printf, 2, 3))) void kafka_source_trouble(struct kafka_source *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->trouble, sizeof s->trouble, fmt, ap);
	va_end(ap);
}

bool kafka_source_joined(const struct kafka_source *source)
{
	return source->joined;
}

const char *kafka_source_fatal(const struct kafka_source *source)
{
	return source->fatal[0] != '\0' ? source->fatal : NULL;
}

bool kafka_source_ready(const struct kafka_source *source, const char **ret_reason)
{
	const struct kafka_client *client = source->client != NULL ? source->client : source->prober;
	const char *reason = kafka_source_fatal(source);

	if (reason == NULL && client != NULL)
		reason = kafka_client_trouble(client);
	if (reason == NULL && source->trouble[0] != '\0')
		reason = source->trouble;
	if (reason == NULL && source->commit_trouble[0] != '\0')
		reason = source->commit_trouble;
	if (reason == NULL)
		reason = kafka_sink_trouble(source->sink);
	if (reason == NULL && !source->joined)
		reason = "kafka: not in the group yet";
	if (reason != NULL)
		*ret_reason = reason;
	return reason == NULL;
}

/* ---- start: topics first, then the group ---- */

static struct kafka_options client_options(const struct kafka_source_options *o)
{
	return (struct kafka_options){
		.brokers = o->brokers, .settings = o->settings, .n_settings = o->n_settings,
		.group_id = o->group_id, .topics = o->topics, .n_topics = o->n_topics, .strategy = o->strategy,
	};
}

int kafka_source_check(const struct kafka_source_options *options, char *err, size_t err_len)
{
	struct kafka_options client = client_options(options);

	return kafka_client_check(&client, err, err_len);
}

/* [suspends] How many partitions a topic has, however long it takes to say. -ECANCELED. */
static int ask_partitions(struct kafka_source *s, const char *topic)
{
	for (;;) {
		int rc = kafka_client_partitions(s->prober, topic, kafka_source_deadline(ASK_TIMEOUT_MS));

		if (rc >= 0 || rc == -ECANCELED)
			return rc;
		if (rc == -ENOENT)
			kafka_source_trouble(s, "kafka: topic %s does not exist", topic);
		else if (rc == -EACCES)
			kafka_source_trouble(s, "kafka: not authorised for topic %s", topic);
		else
			kafka_source_trouble(s, "kafka: no broker answers");
		log_warn("waiting for kafka", LOG_STR("topic", topic), LOG_STR("reason", s->trouble));
		if ((rc = co_sleep_ms(RETRY_MS)) < 0)
			return rc;
	}
}

static int ask_topics(struct kafka_source *s)
{
	unsigned partitions = 0;
	int rc;

	for (size_t i = 0; i < s->options.n_topics; i++) {
		if ((rc = ask_partitions(s, s->options.topics[i])) < 0)
			return rc;
		partitions += (unsigned)rc;
	}
	if ((rc = ask_partitions(s, kafka_sink_dead_topic(s->sink))) < 0)
		return rc;
	s->trouble[0] = '\0';
	return (int)partitions;
}

static int join_group(struct kafka_source *s, unsigned partitions)
{
	struct kafka_options client = client_options(&s->options);
	char err[256];

	client.queue_kb = s->options.prefetch_kb / (partitions > 0 ? partitions : 1);
	if (client.queue_kb < QUEUE_KB_MIN)
		client.queue_kb = QUEUE_KB_MIN;
	s->client = kafka_client_new_consumer(&client, err, sizeof err);
	if (s->client == NULL) {
		snprintf(s->fatal, sizeof s->fatal, "kafka: %s", err);
		return -EINVAL;
	}
	s->group = co_task_new_static(kafka_source_group_body, s, "kafka group");
	s->committer = co_task_new_static(kafka_source_commit_body, s, "kafka commits");
	if (s->group != NULL && s->committer != NULL)
		return 0;
	snprintf(s->fatal, sizeof s->fatal, "kafka: out of memory");
	return -ENOMEM;
}

static int start_body(void *arg)
{
	struct kafka_source *s = arg;
	struct kafka_client *prober;
	int rc = ask_topics(s);

	prober = s->prober;
	s->prober = NULL;
	if (rc >= 0)
		rc = join_group(s, (unsigned)rc);
	kafka_client_close(prober, kafka_source_deadline(CLOSE_TIMEOUT_MS));
	return rc == -ECANCELED ? rc : 0;
}

/* ---- a worker's intake, made and ended on its thread ---- */

static void set_commit_due(void *arg)
{
	struct kafka_source *s = arg;

	atomic_store(&s->commit_posted, false);
	co_event_set(&s->commit_due);
}

/* On a worker's thread. */
static void on_commit_due(void *arg)
{
	struct kafka_source *s = arg;

	if (!atomic_exchange(&s->commit_posted, true) && co_post(s->loop, set_commit_due, s) < 0)
		atomic_store(&s->commit_posted, false);
}

static int open_seat(void *arg)
{
	struct kafka_source_seat *seat = arg;
	struct kafka_source *s = seat->source;
	struct intake_options options = {
		.record = s->options.record, .max_commit_skew = s->options.max_commit_skew,
		.commit_interval_ms = s->options.commit_interval_ms, .revoke_drain_ms = s->options.revoke_drain_ms,
		.max_rejects = s->options.max_rejects, .sink = s->sink, .paused = &s->paused,
		.on_commit_due = on_commit_due, .arg = s,
	};

	seat->intake = intake_new(&options, worker_dispatch(seat->worker), worker_store(seat->worker));
	return seat->intake != NULL ? 0 : -ENOMEM;
}

static int close_seat(void *arg)
{
	struct kafka_source_seat *seat = arg;

	intake_free(seat->intake);
	seat->intake = NULL;
	return 0;
}

static void kick_seat(void *arg)
{
	struct kafka_source_seat *seat = arg;

	if (seat->intake != NULL)
		intake_kick(seat->intake);
}

void kafka_source_kick(struct kafka_source *s)
{
	for (unsigned i = 0; i < s->n_seats; i++)
		if (worker_post(s->seats[i].worker, kick_seat, &s->seats[i]) < 0)
			log_debug("worker not kicked");         /* its own tick looks again */
}

/* ---- life ---- */

static int open_seats(struct kafka_source *s)
{
	int rc = 0;

	for (unsigned i = 0; i < s->n_seats && rc == 0; i++)
		rc = worker_call(s->seats[i].worker, open_seat, &s->seats[i]);
	return rc;
}

static int run_body(void *arg)
{
	struct kafka_source *s = arg;
	int rc = open_seats(s);

	if (rc == -ECANCELED)
		return rc;
	if (rc < 0) {
		snprintf(s->fatal, sizeof s->fatal, "kafka: out of memory");
		return 0;
	}
	return start_body(s);
}

struct kafka_source *kafka_source_start(const struct kafka_source_options *options, struct kafka_sink *sink,
					struct worker *const *workers, unsigned n_workers, char *err, size_t err_len)
{
	struct kafka_options client = client_options(options);
	struct kafka_source *s = mem_zalloc(sizeof *s + n_workers * sizeof *s->seats);

	if (s == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	s->options = *options;
	s->sink = sink;
	s->loop = co_loop_current();
	s->n_seats = n_workers;
	for (unsigned i = 0; i < n_workers; i++)
		s->seats[i] = (struct kafka_source_seat){ .source = s, .worker = workers[i] };
	list_init(&s->places);
	co_event_init(&s->commit_due);
	co_semaphore_init(&s->committing, 1);
	if (strncmp(options->strategy, "cooperative", 11) == 0 && !kafka_client_cooperative_is_safe())
		log_warn("cooperative rebalances can lose an assignment in librdkafka below 2.10: use range",
			 LOG_STR("strategy", options->strategy));
	client.n_topics = 0;            /* asks about topics, joins nothing */
	s->prober = kafka_client_new_consumer(&client, err, err_len);
	if (s->prober == NULL) {
		mem_free(s);
		return NULL;
	}
	s->starter = co_task_new_static(run_body, s, "kafka start");
	if (s->starter == NULL) {
		snprintf(err, err_len, "out of memory");
		kafka_client_close(s->prober, clock_mono_us());
		mem_free(s);
		return NULL;
	}
	return s;
}

void kafka_source_pause(struct kafka_source *source)
{
	atomic_store(&source->paused, true);
}

void kafka_source_resume(struct kafka_source *source)
{
	atomic_store(&source->paused, false);
	kafka_source_kick(source);
}

/* [suspends] */
static void end_task(struct co_future **task, bool cancel)
{
	if (*task == NULL)
		return;
	if (cancel)
		co_cancel(*task);
	(void)co_wait(task, 1, CO_ALL_COMPLETED, CLOCK_NEVER);
	co_unref(*task);
	*task = NULL;
}

static int drain_seat(void *arg)
{
	struct kafka_source_seat *seat = arg;

	seat->left = seat->intake != NULL ? intake_drain(seat->intake, seat->deadline_us) : 0;
	return 0;
}

/* [suspends] The last commit, tried until it is taken or there is no hope. */
static void commit_rest(struct kafka_source *s)
{
	int64_t patience_ms = s->client != NULL && kafka_client_trouble(s->client) != NULL ? HOPELESS_MS : COMMIT_TIMEOUT_MS;
	int64_t deadline_us = kafka_source_deadline(patience_ms);

	while (kafka_source_commit(s, deadline_us) == -EAGAIN && clock_mono_us() < deadline_us)
		if (co_sleep_ms(RETRY_MS) < 0)
			return;
}

/* [suspends] librdkafka is not asked to close while it waits for our answer to an assignment: the answer would come to a group that is
 * being left, which version 2.0.2 has been seen not to survive. */
static void let_answer(const struct kafka_source *s)
{
	bool hopeless = s->client != NULL && kafka_client_trouble(s->client) != NULL;
	int64_t deadline_us = kafka_source_deadline(hopeless ? HOPELESS_MS : CLOSE_TIMEOUT_MS);

	while (s->answering && clock_mono_us() < deadline_us && co_sleep_ms(ANSWER_LOOK_MS) == 0)
		;
}

static void close_clients(struct kafka_source *s)
{
	struct kafka_client *client = s->client;

	let_answer(s);
	if (client != NULL)
		kafka_client_close(client, kafka_source_deadline(kafka_client_trouble(client) != NULL ? HOPELESS_MS : CLOSE_TIMEOUT_MS));
	end_task(&s->group, client == NULL);
	s->client = NULL;
	kafka_client_close(s->prober, kafka_source_deadline(HOPELESS_MS));
	s->prober = NULL;
}

unsigned kafka_source_drain(struct kafka_source *source, int64_t deadline_us)
{
	struct kafka_source *s = source;
	unsigned left = 0;

	s->draining = true;
	atomic_store(&s->paused, true);
	end_task(&s->starter, true);
	for (unsigned i = 0; i < s->n_seats; i++)
		s->seats[i].deadline_us = deadline_us;
	kafka_source_each_seat(s, drain_seat);
	for (unsigned i = 0; i < s->n_seats; i++)
		left += s->seats[i].left;
	end_task(&s->committer, true);
	commit_rest(s);
	left += kafka_source_uncommitted(s);
	close_clients(s);
	return left;
}

void kafka_source_free(struct kafka_source *source)
{
	if (source == NULL)
		return;
	kafka_source_each_seat(source, close_seat);
	kafka_source_free_places(source);
	mem_free(source);
}
