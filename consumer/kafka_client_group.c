/*
 * kafka_client_group.c: the group's events turned into calls that suspend: the next rebalance, its answer, a commit and its result.
 * On the control thread.
 */
#include <errno.h>
#include <string.h>

#include "consumer/kafka_client_private.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"

struct commit {
	struct list node;
	unsigned refs;                  /* who waits, and librdkafka */
	struct co_future *future;       /* its result: the errno, positive */
	struct kafka_part *parts;       /* of who waits; NULL: gone meanwhile */
	size_t n;
};

static struct kafka_rebalance *copy_rebalance(struct kafka_client *c, rd_kafka_event_t *ev)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);
	size_t size = sizeof(struct kafka_rebalance) + (size_t)list->cnt * sizeof(struct kafka_part);
	struct kafka_rebalance *r;
	char *names;

	for (int i = 0; i < list->cnt; i++)
		size += strlen(list->elems[i].topic) + 1;
	r = mem_zalloc(size);
	if (r == NULL)
		return NULL;
	r->kind = rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? KAFKA_ASSIGN :
		  rd_kafka_assignment_lost(c->rk)				   ? KAFKA_LOST :
										     KAFKA_REVOKE;
	r->n = (size_t)list->cnt;
	r->parts = (struct kafka_part *)(r + 1);
	names = (char *)(r->parts + r->n);
	for (size_t i = 0; i < r->n; i++) {
		r->parts[i] = (struct kafka_part){ .topic = strcpy(names, list->elems[i].topic),
						   .partition = list->elems[i].partition, .offset = -1, .committed = -1 };
		names += strlen(names) + 1;
	}
	return r;
}

/* Takes the event over. Without memory it is kept and tried again: the group waits for us as long. */
void kafka_client_on_rebalance(struct kafka_client *c, rd_kafka_event_t *ev)
{
	struct kafka_rebalance *r = copy_rebalance(c, ev);

	if (r == NULL || co_queue_try_put(c->rebalances, r) < 0) {
		mem_free(r);
		c->unread = ev;
		return;
	}
	c->access = NULL;
	rd_kafka_event_destroy(ev);
}

static void commit_unref(struct commit *commit)
{
	if (--commit->refs > 0)
		return;
	co_unref(commit->future);
	mem_free(commit);
}

static void commit_end(struct commit *commit, int rc)
{
	list_remove(&commit->node);
	if (!co_done(commit->future))
		co_set_result(commit->future, -rc);
	commit_unref(commit);
}

void kafka_client_drop_commits(struct kafka_client *c)
{
	list_each(node, &c->commits)
		commit_end(list_entry(node, struct commit, node), -ESHUTDOWN);
}

/* Tells each part what the answer says of it: one topic that is gone must not hold the others' offsets back. `rc` is librdkafka's sum of
 * it, an error where all have failed. 0, or the error of all. */
static int fill_results(struct commit *commit, const rd_kafka_topic_partition_list_t *list, int rc)
{
	bool told = false;

	for (size_t i = 0; i < commit->n; i++) {
		struct kafka_part *p = &commit->parts[i];
		const rd_kafka_topic_partition_t *answer = rd_kafka_topic_partition_list_find(list, p->topic, p->partition);
		int err = answer != NULL ? kafka_client_errno(answer->err) : -EAGAIN;

		if (err == -ESTALE || (answer != NULL && answer->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED))
			return err;             /* the group's word, which is about all */
		told = told || err < 0;
		p->err = err < 0 ? err : rc;
	}
	return told ? 0 : rc;
}

void kafka_client_on_commit(rd_kafka_event_t *ev)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);
	struct commit *commit = rd_kafka_event_opaque(ev);
	int rc = kafka_client_errno(rd_kafka_event_error(ev));

	if (list != NULL && commit != NULL && commit->parts != NULL)
		rc = fill_results(commit, list, rc);
	if (rc < 0)
		log_warn("offset commit failed", LOG_STR("error", rd_kafka_err2name(rd_kafka_event_error(ev))), LOG_INT("errno", -rc));
	if (commit != NULL)
		commit_end(commit, rc);
}

int kafka_client_next(struct kafka_client *client, struct kafka_rebalance **ret)
{
	void *item = NULL;
	int rc;

	client->users++;                /* until it is answered */
	rc = co_queue_get(client->rebalances, &item, CLOCK_NEVER);
	if (rc < 0 || item == NULL) {
		client->users--;
		return rc < 0 ? rc : -ESHUTDOWN;
	}
	*ret = item;
	return 0;
}

static void tell_group(struct kafka_client *client, const struct kafka_rebalance *r)
{
	bool cooperative = strcmp(rd_kafka_rebalance_protocol(client->rk), "COOPERATIVE") == 0;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->n);
	rd_kafka_error_t *error = NULL;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (size_t i = 0; i < r->n; i++) {
		if (r->kind != KAFKA_ASSIGN || r->parts[i].offset >= 0)
			rd_kafka_topic_partition_list_add(list, r->parts[i].topic, r->parts[i].partition)->offset = r->parts[i].offset;
	}
	if (r->kind == KAFKA_ASSIGN && cooperative)
		error = rd_kafka_incremental_assign(client->rk, list);
	else if (r->kind == KAFKA_ASSIGN)
		err = rd_kafka_assign(client->rk, list);
	else if (cooperative)
		error = rd_kafka_incremental_unassign(client->rk, list);
	else
		err = rd_kafka_assign(client->rk, NULL);
	if (error != NULL) {
		err = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		log_error("kafka assignment refused", LOG_STR("error", rd_kafka_err2name(err)));
	rd_kafka_topic_partition_list_destroy(list);
}

void kafka_client_answer(struct kafka_client *client, struct kafka_rebalance *r)
{
	if (!r->all)
		tell_group(client, r);
	mem_free(r);
	client->users--;
}

static int commit_once(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	struct commit *commit;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;
	int rc;

	if (client->astray)
		return -ESTALE;
	if (!list_empty(&client->commits))
		return -EAGAIN;         /* one that nobody waits for any more: sent after ours, it would turn the offsets back */
	commit = mem_zalloc(sizeof *commit);
	if (commit == NULL || (commit->future = co_future_new()) == NULL) {
		mem_free(commit);
		return -ENOMEM;
	}
	list = kafka_client_list(parts, n);
	commit->refs = 2;
	commit->parts = parts;
	commit->n = n;
	list_append(&client->commits, &commit->node);
	err = rd_kafka_commit_queue(client->rk, list, client->queue, NULL, commit);
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		commit_end(commit, kafka_client_errno(err));
	client->users++;
	rc = co_wait_for(commit->future, deadline_us);
	client->users--;
	commit->parts = NULL;           /* the answer may come yet, and ours be gone by then */
	if (rc >= 0)
		rc = -rc;
	commit_unref(commit);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

static bool refused(const struct kafka_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].err == -ENOENT || parts[i].err == -EACCES)
			return true;
	return false;
}

/* librdkafka (2.0.2 for one) gives one partition's error to all of its list, though the broker has taken the others: which one it was is
 * found by halves. What is committed twice by that is the same. */
int kafka_client_commit(struct kafka_client *client, struct kafka_part *parts, size_t n, int64_t deadline_us)
{
	int rc = commit_once(client, parts, n, deadline_us);

	if (rc < 0 || n < 2 || !refused(parts, n))
		return rc;
	for (size_t i = 0; i < n; i++)
		parts[i].err = 0;
	rc = kafka_client_commit(client, parts, n / 2, deadline_us);
	return rc < 0 ? rc : kafka_client_commit(client, parts + n / 2, n - n / 2, deadline_us);
}

bool kafka_client_bounds(struct kafka_client *client, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_high)
{
	int64_t low, high;

	if (rd_kafka_get_watermark_offsets(client->rk, topic, partition, &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
		return false;
	*ret_low = low < 0 ? 0 : low;
	*ret_high = high;
	return true;
}
