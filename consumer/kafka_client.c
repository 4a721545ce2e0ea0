/*
 * kafka_client.c: a client's life and its main queue, which the control thread serves: woken by an eventfd when it fills, and by a
 * timer, because a main queue that nobody serves makes an idle member leave its group (max.poll.interval.ms). It never pauses a
 * partition: that would drop the prefetch.
 */
#include "consumer/kafka_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "consumer/kafka_client_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"

enum { SERVE_INTERVAL_MS = 500, PROBE_TIMEOUT_MS = 2000, DESTROY_TIMEOUT_MS = 2000 };

/* ---- what is wrong ---- */

/* Groups and transactions apart, only a handful of librdkafka's codes mean something else than "try again". */
int kafka_client_errno(rd_kafka_resp_err_t err)
{
	switch ((int)err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR__NO_OFFSET:
		return 0;
	case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
	case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
		return -ESTALE;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return -EACCES;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		return -ENOENT;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return -EMSGSIZE;
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
	case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
		return -EINVAL;
	default:
		return -EAGAIN;
	}
}

void kafka_client_note(struct kafka_client *c, rd_kafka_resp_err_t err, const char *text)
{
	const char *trouble = NULL;
	int rc = kafka_client_errno(err);

	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		trouble = "kafka: no broker answers";
	else if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
		trouble = "kafka: authentication failed";
	else if (rc == -EACCES)
		trouble = "kafka: not authorised";
	else if (rc == -ENOENT)
		trouble = "kafka: a topic is missing";
	if (trouble != NULL && rc == -EAGAIN)
		c->link = trouble;
	else if (trouble != NULL)
		c->access = trouble;
	if (trouble != NULL)
		log_warn(trouble, LOG_STR("client", c->member ? "consumer" : "producer"), LOG_STR("error", rd_kafka_err2name(err)),
			 LOG_STR("text", text));
	else                            /* librdkafka has logged it itself */
		log_debug("kafka error", LOG_STR("error", rd_kafka_err2name(err)), LOG_STR("text", text));
}

const char *kafka_client_trouble(const struct kafka_client *client)
{
	const char *fatal = client->fatal, *link = client->link;

	return fatal != NULL ? fatal : link != NULL ? link : client->access;
}

bool kafka_client_cooperative_is_safe(void)
{
	return rd_kafka_version() >= 0x020a0000;
}

int kafka_client_watch(rd_kafka_queue_t *queue, event_callback_fn fn, void *arg, struct event **ret_event)
{
	static const uint64_t one = 1;
	struct event_base *base = co_loop_base(co_loop_current());
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct event *ev;

	if (fd < 0)
		return -errno;
	ev = event_new(base, fd, EV_READ | EV_PERSIST, fn, arg);
	if (ev == NULL || event_add(ev, NULL) < 0) {
		if (ev != NULL)
			event_free(ev);
		close(fd);
		return -ENOMEM;
	}
	rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof one);
	*ret_event = ev;
	return fd;
}

void kafka_client_unwatch(rd_kafka_queue_t *queue, int fd, struct event *ev)
{
	rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
	event_free(ev);
	close(fd);
}

/* ---- events of the main queue ---- */

static void on_error(struct kafka_client *c, rd_kafka_event_t *ev)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
	char text[256];

	if (err == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(ev)) {
		err = rd_kafka_fatal_error(c->rk, text, sizeof text);
		log_error("kafka client is dead", LOG_STR("error", rd_kafka_err2name(err)), LOG_STR("text", text));
		c->fatal = err == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? "kafka: fatal: another member has our group.instance.id" :
									 "kafka: fatal client error";
		return;
	}
	kafka_client_note(c, err, rd_kafka_event_error_string(ev));
}

/* A record came past its partition's queue and is lost to this client: nothing is committed past it, and a new process reads it again. */
static void on_astray(struct kafka_client *c, rd_kafka_event_t *ev)
{
	const rd_kafka_message_t *m = rd_kafka_event_message_next(ev);

	if (m == NULL)
		return;
	log_error("record past its partition's queue", LOG_STR("topic", rd_kafka_topic_name(m->rkt)), LOG_INT("partition", m->partition),
		  LOG_INT("offset", m->offset), LOG_UINT("records", rd_kafka_event_message_count(ev)));
	c->astray = true;
	c->fatal = "kafka: fatal: a record came past its partition's queue";
}

static void on_log(rd_kafka_event_t *ev)
{
	const char *facility, *text;
	int level;

	if (rd_kafka_event_log(ev, &facility, &text, &level) < 0)
		return;
	/* a setting of the consumer's that the producer gets too is no news */
	if (level >= 7 || strcmp(facility, "CONFWARN") == 0)
		log_debug("librdkafka", LOG_STR("facility", facility), LOG_STR("text", text));
	else if (level >= 5)
		log_info("librdkafka", LOG_STR("facility", facility), LOG_STR("text", text));
	else
		log_warn("librdkafka", LOG_STR("facility", facility), LOG_STR("text", text));
}

static void on_event(struct kafka_client *c, rd_kafka_event_t *ev)
{
	switch (rd_kafka_event_type(ev)) {
	case RD_KAFKA_EVENT_REBALANCE:
		kafka_client_on_rebalance(c, ev);
		return;
	case RD_KAFKA_EVENT_OFFSET_COMMIT:
		kafka_client_on_commit(ev);
		break;
	case RD_KAFKA_EVENT_ERROR:
		on_error(c, ev);
		break;
	case RD_KAFKA_EVENT_LOG:
		on_log(ev);
		break;
	case RD_KAFKA_EVENT_DR:
		kafka_client_on_delivered(ev);
		break;
	case RD_KAFKA_EVENT_FETCH:
		on_astray(c, ev);
		break;
	}
	rd_kafka_event_destroy(ev);
}

static void serve(struct kafka_client *c)
{
	rd_kafka_event_t *ev = c->unread;

	c->unread = NULL;
	if (ev != NULL)
		kafka_client_on_rebalance(c, ev);
	while (c->unread == NULL && (ev = rd_kafka_queue_poll(c->queue, 0)) != NULL)
		on_event(c, ev);
}

void kafka_client_clear_eventfd(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof n) > 0)
		;
}

static void on_main_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	kafka_client_clear_eventfd(fd);
	serve(arg);
}

/* The link was down: asks whether it still is. A task of its own, at most one. */
static int probe(void *arg)
{
	struct kafka_client *c = arg;

	if (kafka_client_probe(c, clock_mono_us() + PROBE_TIMEOUT_MS * 1000) == 0)
		log_info("kafka answers again");
	c->probing = false;
	c->users--;
	return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct kafka_client *c = arg;
	struct co_future *task;

	(void)fd;
	(void)what;
	serve(c);
	if (c->link == NULL || c->probing || c->closing)
		return;
	task = co_task_new_static(probe, c, "kafka probe");
	if (task != NULL) {
		c->probing = true;
		c->users++;
		co_unref(task);
	}
}

/* ---- start ---- */

/* All but librdkafka's own part, which it returns: ending that may take its time. */
static rd_kafka_t *free_client(struct kafka_client *c)
{
	rd_kafka_t *rk = c->rk;

	if (c->fd >= 0)
		kafka_client_unwatch(c->queue, c->fd, c->readable);
	if (c->tick != NULL)
		event_free(c->tick);
	if (c->rebalances != NULL)
		co_queue_free(c->rebalances);
	if (c->queue != NULL)
		rd_kafka_queue_destroy(c->queue);
	mem_free(c);
	return rk;
}

static int destroy_body(void *arg)
{
	rd_kafka_destroy_flags(arg, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return 0;
}

static int watch(struct kafka_client *c)
{
	struct timeval interval = { 0, SERVE_INTERVAL_MS * 1000 };

	c->rebalances = co_queue_new(0);
	c->tick = event_new(co_loop_base(co_loop_current()), -1, EV_PERSIST, on_tick, c);
	if (c->rebalances == NULL || c->tick == NULL || event_add(c->tick, &interval) < 0)
		return -ENOMEM;
	c->fd = kafka_client_watch(c->queue, on_main_readable, c, &c->readable);
	return c->fd < 0 ? c->fd : 0;
}

static int subscribe(struct kafka_client *c, const struct kafka_options *o)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)o->n_topics);
	rd_kafka_resp_err_t err;

	for (size_t i = 0; i < o->n_topics; i++)
		rd_kafka_topic_partition_list_add(list, o->topics[i], RD_KAFKA_PARTITION_UA);
	err = rd_kafka_subscribe(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -EINVAL;
}

static struct kafka_client *new_client(const struct kafka_options *o, bool consumer, char *err, size_t err_len)
{
	rd_kafka_conf_t *conf = kafka_client_configure(o, consumer, err, err_len);
	struct kafka_client *c;

	if (conf == NULL)
		return NULL;
	c = mem_zalloc(sizeof *c);
	if (c == NULL) {
		rd_kafka_conf_destroy(conf);
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	c->fd = -1;
	list_init(&c->commits);
	c->rk = rd_kafka_new(consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, err, err_len);
	if (c->rk == NULL) {
		rd_kafka_conf_destroy(conf);
		mem_free(c);
		return NULL;
	}
	c->member = consumer && o->n_topics > 0;
	if (c->member)
		rd_kafka_poll_set_consumer(c->rk);
	c->queue = c->member ? rd_kafka_queue_get_consumer(c->rk) : rd_kafka_queue_get_main(c->rk);
	rd_kafka_set_log_queue(c->rk, c->queue);
	if (watch(c) == 0 && (!c->member || subscribe(c, o) == 0))
		return c;
	snprintf(err, err_len, "kafka: no memory, no file descriptor or a bad topic name");
	destroy_body(free_client(c));
	return NULL;
}

struct kafka_client *kafka_client_new_consumer(const struct kafka_options *options, char *err, size_t err_len)
{
	return new_client(options, true, err, err_len);
}

struct kafka_client *kafka_client_new_producer(const struct kafka_options *options, char *err, size_t err_len)
{
	return new_client(options, false, err, err_len);
}

/* ---- the end ---- */

/* The group asks for no partition any more, but their queues must not outlive the client: a last rebalance takes them back. */
static void lose_all(struct kafka_client *c)
{
	struct kafka_rebalance *r;

	log_warn("left the group without a goodbye");
	while ((r = mem_zalloc(sizeof *r)) == NULL)
		if (co_sleep_ms(5) < 0)
			return;
	*r = (struct kafka_rebalance){ .kind = KAFKA_LOST, .all = true };
	while (co_queue_try_put(c->rebalances, r) < 0) {
		if (co_sleep_ms(5) < 0) {
			mem_free(r);
			return;
		}
	}
}

static void leave_group(struct kafka_client *c, int64_t deadline_us)
{
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, c->queue);

	if (error != NULL) {            /* a client that broke for good is refused: no revocation comes */
		log_warn("kafka refused to close the member", LOG_STR("error", rd_kafka_err2name(rd_kafka_error_code(error))));
		rd_kafka_error_destroy(error);
		lose_all(c);
		return;
	}
	while (!rd_kafka_consumer_closed(c->rk) && clock_mono_us() < deadline_us) {
		serve(c);
		if (co_sleep_ms(5) < 0)
			break;
	}
	if (!rd_kafka_consumer_closed(c->rk))
		lose_all(c);
}

static void send_rest(struct kafka_client *c, int64_t deadline_us)
{
	while (rd_kafka_outq_len(c->rk) > 0 && clock_mono_us() < deadline_us && co_sleep_ms(5) == 0)
		;
	if (rd_kafka_outq_len(c->rk) == 0)
		return;
	log_warn("records given up at the end", LOG_INT("records", rd_kafka_outq_len(c->rk)));
	rd_kafka_purge(c->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	for (int i = 0; i < 200 && rd_kafka_outq_len(c->rk) > 0; i++)
		if (co_sleep_ms(5) < 0)
			break;
	serve(c);
}

void kafka_client_close(struct kafka_client *client, int64_t deadline_us)
{
	struct kafka_client *c = client;
	rd_kafka_t *rk;

	if (c == NULL)
		return;
	if (c->member)
		leave_group(c, deadline_us);
	else
		send_rest(c, deadline_us);
	c->closing = true;
	kafka_client_drop_commits(c);
	while (co_queue_try_put(c->rebalances, NULL) < 0 && co_sleep_ms(5) == 0)
		;
	while (c->users > 0 && co_sleep_ms(5) == 0)
		;
	if (c->users > 0) {
		log_warn("kafka client left behind", LOG_UINT("users", c->users));
		return;
	}
	rk = free_client(c);
	if (co_offload(destroy_body, rk, NULL, clock_mono_us() + DESTROY_TIMEOUT_MS * 1000) < 0)
		log_warn("kafka client left behind");
}
