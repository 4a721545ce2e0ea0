/*
 * kafka_client_private.h: what the files of the Kafka port (kafka_client*.c) share: the only ones that see librdkafka (>= 2.0.2).
 */
#ifndef CONSUMER_KAFKA_CLIENT_PRIVATE_H
#define CONSUMER_KAFKA_CLIENT_PRIVATE_H

#include <event2/event.h>
#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "consumer/kafka_client.h"
#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"

struct kafka_client {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;        /* everything that isn't a record */
	int fd;
	struct event *readable, *tick;
	struct co_queue *rebalances;    /* NULL in it: closed */
	struct list commits;            /* under way */
	rd_kafka_event_t *unread;       /* a rebalance that memory was too short for */
	_Atomic(const char *) link, access, fatal;      /* what is wrong, by what makes it right again */
	_Atomic unsigned users;         /* calls under way */
	bool member, closing, probing;
	bool astray;                    /* a record was lost to us: nothing is committed any more */
};

/* One of kafka_client.h's errors, or 0. */
int kafka_client_errno(rd_kafka_resp_err_t err);
/* Logs it and keeps it as the client's trouble where it is one. From any thread. */
void kafka_client_note(struct kafka_client *c, rd_kafka_resp_err_t err, const char *text);
/* An eventfd that the queue writes to when it fills, with a persistent event on this thread's loop: the fd, -errno. */
int kafka_client_watch(rd_kafka_queue_t *queue, event_callback_fn fn, void *arg, struct event **ret_event) MUST_CHECK;
void kafka_client_unwatch(rd_kafka_queue_t *queue, int fd, struct event *ev);
void kafka_client_clear_eventfd(int fd);

/* kafka_client_conf.c: NULL with words in err. */
rd_kafka_conf_t *kafka_client_configure(const struct kafka_options *options, bool consumer, char *err, size_t err_len) MUST_CHECK;

/* kafka_client_group.c */
void kafka_client_on_rebalance(struct kafka_client *c, rd_kafka_event_t *ev);   /* takes the event over */
void kafka_client_on_commit(rd_kafka_event_t *ev);
void kafka_client_drop_commits(struct kafka_client *c);

/* kafka_client_ask.c: [suspends] asks whether a broker answers; clears `link` if so. */
int kafka_client_probe(struct kafka_client *c, int64_t deadline_us);
rd_kafka_topic_partition_list_t *kafka_client_list(const struct kafka_part *parts, size_t n);

/* kafka_client_queue.c */
void kafka_client_on_delivered(rd_kafka_event_t *ev);

#endif
