/*
 * kafka_sim.h: the simulated Kafka: the job topic's partitions and the dead letters as logs, one consumer group with its members,
 * generation and committed offsets. All of it outlives the process. The clients' side is port_kafka.c.
 *
 * The group follows the classic protocol, eager: a rebalance revokes from all, waits for their answers (or their session's end), then
 * assigns by ranges under a new generation. A member beside ours is played by nobody: it holds partitions and reads nothing.
 */
#ifndef SIM_KAFKA_SIM_H
#define SIM_KAFKA_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KAFKA_PARTITIONS_MAX = 8, KAFKA_MEMBERS_MAX = 64 };

#define KAFKA_SIM_TOPIC "sms.outbound"
#define KAFKA_SIM_DEAD "sms.dead"

struct kafka_client;

struct kafka_sim_header {
	char *name, *value;
	size_t len;
};

struct kafka_sim_record {
	int64_t offset, timestamp_ms;
	char *key, *value;              /* NULL: none */
	size_t key_len, value_len;
	struct kafka_sim_header *headers;
	size_t n_headers;
};

struct kafka_sim_log {
	struct kafka_sim_record *records;
	size_t n;
	int64_t end;                    /* offsets have gaps: the next one's */
	int64_t committed;              /* -1: none */
};

/* A member of the group; the world's, it may outlive its process. */
struct kafka_sim_member {
	unsigned id;                    /* counts up; a static one that comes back gets a new one */
	bool in_group, phantom;
	char instance[32];              /* group.instance.id; empty: not static */
	unsigned incarnation;           /* of its process */
	struct kafka_client *client;    /* NULL: closed */
	unsigned generation;            /* the last it was assigned under */
	uint32_t assigned;              /* bits of partitions */
	bool owes_revoke;               /* the group waits for its answer */
	uint64_t timer;                 /* of its session or its answer: the last started counts */
};

struct kafka_sim {
	unsigned n_partitions;
	struct kafka_sim_log logs[KAFKA_PARTITIONS_MAX], dead;
	struct kafka_sim_member members[KAFKA_MEMBERS_MAX];
	size_t n_members;
	unsigned generation, next_id;
	bool rebalancing, again;
	bool up;
	unsigned lose_permille;         /* of requests: done, but the answer is lost, or not done */
	uint64_t commits_total, refused_total, rebalances_total;
};

struct kafka_sim *kafka_sim_new(unsigned n_partitions);
void kafka_sim_free(struct kafka_sim *k);

/* Appends; `gap` offsets are left out before. Who reads the partition hears of it. */
int64_t kafka_sim_append(struct kafka_sim *k, struct kafka_sim_log *log, const struct kafka_sim_record *record, int64_t gap);
/* The record at the offset or the next there is; NULL: none yet. */
const struct kafka_sim_record *kafka_sim_at(const struct kafka_sim_log *log, int64_t offset);
const char *kafka_sim_header_of(const struct kafka_sim_record *record, const char *name);

/* ---- the group ---- */

struct kafka_sim_member *kafka_sim_join(struct kafka_sim *k, const char *instance, struct kafka_client *client);
/* A static one stays in the group, and keeps what it `had`. */
void kafka_sim_leave(struct kafka_sim *k, struct kafka_sim_member *m, uint32_t had);
void kafka_sim_answered(struct kafka_sim *k, struct kafka_sim_member *m);
void kafka_sim_rebalance(struct kafka_sim *k, const char *why);
/* Somebody else joins, or leaves. */
void kafka_sim_phantom(struct kafka_sim *k, bool here);
/* The process is gone: its members' sessions run out after a while. */
void kafka_sim_crashed(struct kafka_sim *k);
/* Whether this member may commit under that generation. */
bool kafka_sim_may_commit(const struct kafka_sim *k, const struct kafka_sim_member *m, unsigned id, unsigned generation);
void kafka_sim_commit(struct kafka_sim *k, unsigned partition, int64_t offset);

/* One way over the wire. */
int64_t kafka_sim_latency_us(void);

/* ---- port_kafka.c: what the group and the logs tell a client; it sees it some time later ---- */
void port_kafka_revoke(struct kafka_sim_member *m, bool lost);
void port_kafka_assign(struct kafka_sim_member *m);
void port_kafka_appended(unsigned partition);

#endif
