/* port_kafka.h: what the two files of the port share: the process' side of a client and of a queue. */
#ifndef SIM_PORT_KAFKA_H
#define SIM_PORT_KAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include "consumer/kafka_client.h"
#include "daemon/base/list.h"

struct co_queue;
struct fetch;

/* How the world names a client, for longer than that lives: the world's, and never freed (a few of them a run). */
struct port_kafka_handle {
	unsigned incarnation;
	struct kafka_client *client;            /* NULL: closed */
};

struct kafka_client {
	struct port_kafka_handle *handle;
	struct kafka_sim_member *member;        /* NULL: not one */
	unsigned member_id;
	unsigned generation;
	struct co_queue *rebalances;            /* of struct kafka_rebalance; NULL in it: closed */
	struct list queues;
	bool closing;
	unsigned users, producing;
	int64_t told_us;                        /* when the last thing it was told arrives: order is kept */
};

struct kafka_queue {
	struct list node;
	struct kafka_client *client;
	struct fetch *fetch;
	unsigned partition;
	bool reading;                           /* the assignment was answered */
	int64_t position, fetched;              /* what was handed out; what is here; next offsets */
	void (*on_readable)(void *arg);
	void *arg;
};

unsigned port_kafka_partition_of(const char *topic, int32_t partition);
/* NULL where it was closed, or its process has died. */
struct kafka_client *port_kafka_client(const struct port_kafka_handle *handle);
/* There may be something for the queue: it comes after a while. */
void port_kafka_fetch(struct kafka_queue *q);

#endif
