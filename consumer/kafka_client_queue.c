/* kafka_client_queue.c: records in, on the worker's thread, and records out, from any. */
#include <errno.h>
#include <string.h>

#include "consumer/kafka_client_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"

enum { READ_BATCH = 64 };

struct kafka_queue {
	struct kafka_client *client;
	rd_kafka_queue_t *queue;
	int fd;
	struct event *readable;
	void (*on_readable)(void *arg);
	void *arg;
};

struct sent {
	kafka_sent_fn *fn;
	void *arg;
};

/* ---- a partition's queue ---- */

struct kafka_queue *kafka_queue_open(struct kafka_client *client, const char *topic, int32_t partition)
{
	struct kafka_queue *q = mem_zalloc(sizeof *q);

	if (q == NULL)
		return NULL;
	q->client = client;
	q->fd = -1;
	q->queue = rd_kafka_queue_get_partition(client->rk, topic, partition);
	if (q->queue == NULL) {
		mem_free(q);
		return NULL;
	}
	rd_kafka_queue_forward(q->queue, NULL);
	return q;
}

static void on_queue_readable(evutil_socket_t fd, short what, void *arg)
{
	struct kafka_queue *q = arg;

	(void)what;
	kafka_client_clear_eventfd(fd);
	q->on_readable(q->arg);
}

int kafka_queue_attach(struct kafka_queue *queue, void (*on_readable)(void *arg), void *arg)
{
	int fd;

	queue->on_readable = on_readable;
	queue->arg = arg;
	fd = kafka_client_watch(queue->queue, on_queue_readable, queue, &queue->readable);
	if (fd < 0)
		return fd;
	queue->fd = fd;
	return 0;
}

static void take(struct kafka_record *record, rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;

	record->offset = m->offset;
	record->timestamp_ms = rd_kafka_message_timestamp(m, &type);
	record->key = m->key;
	record->key_len = m->key_len;
	record->value = m->payload;
	record->value_len = m->len;
	record->handle = m;
}

unsigned kafka_queue_read(struct kafka_queue *queue, struct kafka_record *ret_records, unsigned max)
{
	rd_kafka_message_t *batch[READ_BATCH];
	unsigned taken = 0;

	while (taken < max) {
		unsigned want = max - taken < READ_BATCH ? max - taken : READ_BATCH;
		ssize_t n = rd_kafka_consume_batch_queue(queue->queue, 0, batch, want);

		for (ssize_t i = 0; i < n; i++) {
			if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
				take(&ret_records[taken++], batch[i]);
				continue;
			}
			kafka_client_note(queue->client, batch[i]->err, rd_kafka_message_errstr(batch[i]));
			rd_kafka_message_destroy(batch[i]);
		}
		if (n < (ssize_t)want)
			break;
	}
	if (taken > 0 && atomic_load_explicit(&queue->client->access, memory_order_relaxed) != NULL)
		queue->client->access = NULL;
	return taken;
}

void kafka_queue_close(struct kafka_queue *queue)
{
	if (queue == NULL)
		return;
	if (queue->fd >= 0)
		kafka_client_unwatch(queue->queue, queue->fd, queue->readable);
	rd_kafka_queue_destroy(queue->queue);
	mem_free(queue);
}

void kafka_record_free(struct kafka_record *record)
{
	rd_kafka_message_destroy(record->handle);
	record->handle = NULL;
}

bool kafka_record_header(const struct kafka_record *record, const char *name, const void **ret_value, size_t *ret_len)
{
	rd_kafka_headers_t *headers;

	return rd_kafka_message_headers(record->handle, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
	       rd_kafka_header_get_last(headers, name, ret_value, ret_len) == RD_KAFKA_RESP_ERR_NO_ERROR;
}
/* ---- producing ---- */

static rd_kafka_headers_t *copy_headers(const struct kafka_message *message)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(message->n_headers);

	for (size_t i = 0; i < message->n_headers; i++)
		rd_kafka_header_add(headers, message->headers[i].name, -1, message->headers[i].value, (ssize_t)message->headers[i].len);
	return headers;
}

int kafka_client_produce(struct kafka_client *client, const struct kafka_message *message, kafka_sent_fn *on_sent, void *arg)
{
	struct sent *sent = mem_alloc(sizeof *sent);
	rd_kafka_headers_t *headers = copy_headers(message);
	rd_kafka_resp_err_t err;

	if (sent == NULL) {
		rd_kafka_headers_destroy(headers);
		return -ENOMEM;
	}
	*sent = (struct sent){ on_sent, arg };
	err = rd_kafka_producev(client->rk, RD_KAFKA_V_TOPIC(message->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
				RD_KAFKA_V_KEY(message->key, message->key_len),
				RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->value_len),
				RD_KAFKA_V_TIMESTAMP(message->timestamp_ms < 0 ? 0 : message->timestamp_ms), RD_KAFKA_V_HEADERS(headers),
				RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	rd_kafka_headers_destroy(headers);
	mem_free(sent);
	return kafka_client_errno(err);
}

void kafka_client_on_delivered(rd_kafka_event_t *ev)
{
	const rd_kafka_message_t *m;

	while ((m = rd_kafka_event_message_next(ev)) != NULL) {
		struct sent *sent = m->_private;

		if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			log_warn("record not taken by kafka", LOG_STR("error", rd_kafka_err2name(m->err)));
		sent->fn(kafka_client_errno(m->err), m->partition, m->offset, sent->arg);
		mem_free(sent);
	}
}
