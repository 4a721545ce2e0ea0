/* intake_private.h: what intake.c (leases, reading), intake_sync.c (barriers) and intake_partition.c (records, jobs,
 * orphans) share. */
#ifndef CONSUMER_INTAKE_PRIVATE_H
#define CONSUMER_INTAKE_PRIVATE_H

#include "consumer/intake.h"
#include "consumer/kafka_client.h"
#include "consumer/offsets.h"
#include "daemon/base/list.h"
#include "dispatch/coro/coro.h"
#include "dispatch/dispatch.h"

enum {
	INTAKE_BATCH = 64,
	INTAKE_SYNCS = 4,               /* barriers under way at once */
	BARRIER_TIMEOUT_MS = 5000,
};

/* A prefix that is done, and durable once the barrier has passed that was begun after it. */
struct intake_mark {
	struct intake_partition *partition;
	int64_t committable;
};

/* A barrier under way, with a task of its own. */
struct intake_sync {
	struct intake *in;
	struct co_future *task;         /* NULL or done: free */
	struct intake_mark *marks;
	unsigned n;
	int64_t began_us;
};

struct intake {
	struct intake_options options;
	struct dispatch *dispatch;
	struct store *store;
	struct list leases;             /* in reading order: the first is read next */
	struct list orphans;            /* partitions given back with jobs that still run */
	struct list waiting;            /* struct join whose record must be submitted anew */
	struct co_event wake;           /* there may be something to read, and room */
	struct co_event ended;          /* a job or a reject of a partition has ended */
	struct co_event sync_due;
	struct co_future *reader, *syncer;
	struct intake_sync syncs[INTAKE_SYNCS];
	int64_t barrier_us;             /* how long the last one took */
	unsigned rejects;               /* under way */
	unsigned open;                  /* offsets taken and not done, orphans' not counted */
	bool draining, closed;
};

/* One assignment's offsets and running jobs: job->source. It outlives its lease while jobs run, and is an orphan then. */
struct intake_partition {
	struct list node;               /* among the orphans */
	struct intake *in;
	struct lease *lease;            /* NULL: orphan */
	char *topic;
	int32_t partition;
	uint32_t epoch;
	struct offsets ring;            /* an open slot's item: its job, while the dispatch has it */
	unsigned running;               /* jobs in the dispatch, rejects and joins under way */
	unsigned refs;                  /* running, lease and barriers */
	struct list rejects;            /* struct reject */
	struct list joins;              /* struct join: records of later assignments that wait for a job of this one */
};

/* A queue while it is lent. */
struct lease {
	struct list node;
	struct intake *in;
	struct kafka_queue *queue;
	struct intake_shared *shared;
	struct intake_partition *partition;
	bool readable, revoking;
	int64_t expected;               /* the next offset, were there no gaps */
	int64_t published;
	int64_t marked;                 /* the newest prefix with a barrier begun */
	uint64_t oldest_ticket;
	struct kafka_record batch[INTAKE_BATCH];        /* read, and not yet taken from batch_pos on */
	unsigned batch_pos, batch_n;
};

/* A ring that fills up asks for a barrier before its time. */
static inline bool intake_nearly_full(const struct lease *lease)
{
	return offsets_skew(&lease->partition->ring) > lease->in->options.max_commit_skew / 2;
}

static inline bool intake_wants_sync(const struct lease *lease)
{
	return intake_nearly_full(lease) && offsets_committable(&lease->partition->ring) != lease->marked;
}

void intake_publish_progress(struct lease *lease);

/* [suspends] Everything that is done now is published once it is durable. 0; less: not now, -ECANCELED. */
int intake_sync(struct intake *in);
int intake_sync_body(void *arg);
/* [suspends] Cancels the barriers under way, after the syncer has ended. */
void intake_sync_stop(struct intake *in);

/* NULL: out of memory. */
struct intake_partition *intake_partition_new(struct intake *in, const char *topic, int32_t partition, uint32_t epoch) MUST_CHECK;
void intake_partition_ref(struct intake_partition *p);
void intake_partition_unref(struct intake_partition *p);

/* Takes the lease's next record: 0; -EAGAIN, -ENOMEM: not now, it stays. Frees the record or passes it on. */
int intake_partition_take(struct lease *lease, struct kafka_record *record);
/* Submits what waits in in->waiting, as far as there is room. */
void intake_partition_resubmit(struct intake *in);
/* [suspends] Cancels its dead letters and waits for their end. */
void intake_partition_end_rejects(struct intake_partition *p);
/* Its lease has ended: what waits for others' jobs is let go, the rest runs on as an orphan. */
void intake_partition_orphan(struct intake_partition *p);
/* Dispatch's callback. */
void intake_partition_on_end(struct job *job, enum dispatch_end end, void *arg);

#endif
