/*
 * demo_kafka.h: the demo's Kafka: librdkafka's mock cluster inside this process, with the topics of smstrackd, and a producer of jobs.
 * Its limits (consumer/README.md): in memory, a partition keeps 5 MiB, the first join takes 3 s, sessions of 4 s at least, no static
 * membership.
 */
#ifndef CTL_DEMO_KAFKA_H
#define CTL_DEMO_KAFKA_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct demo_kafka;

/* 0, or a negative errno with words in err. `partitions` of the topic of jobs. */
int demo_kafka_start(int partitions, struct demo_kafka **ret, char *err, size_t err_len) MUST_CHECK;
/* "host:port,...": lives as long as the cluster. */
const char *demo_kafka_brokers(const struct demo_kafka *k);
/* Puts one job on the topic; copied. 0, -EAGAIN (its queue is full: poll), or another errno. */
int demo_kafka_put(struct demo_kafka *k, const char *key, size_t key_len, const char *value, size_t value_len) MUST_CHECK;
/* Serves deliveries, without waiting. How many jobs the cluster has taken, how many it refused. */
void demo_kafka_poll(struct demo_kafka *k, uint64_t *ret_taken, uint64_t *ret_refused);
/* Takes NULL. */
void demo_kafka_stop(struct demo_kafka *k);

#endif
