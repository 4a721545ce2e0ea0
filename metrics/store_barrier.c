/*
 * store_barrier.c: says when what Redis has acknowledged is durable, and asks questions of one reply. On the store's thread; what
 * suspends here waits with a request of its own on the heap, since a cancelled asker leaves before its answer comes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "metrics/resp.h"
#include "metrics/store_private.h"
#include "metrics/store_record.h"

enum { EVERYSEC_US = 2000000 };         /* what appendfsync everysec may lose: one second, and one more while a fsync is late */

int store_command(struct store *s, redis_client_reply_fn *fn, void *arg, unsigned argc, const char *const *argv)
{
	size_t need = 16;
	char *p, *start;

	for (unsigned i = 0; i < argc; i++)
		need += resp_bulk_max(strlen(argv[i]));
	buf_reset(&s->out);
	p = start = buf_room(&s->out, need);
	if (p == NULL)
		return -EAGAIN;
	p = resp_put_head(p, '*', argc);
	for (unsigned i = 0; i < argc; i++)
		p = resp_put_bulk(p, argv[i], strlen(argv[i]));
	return redis_client_command(s->client, start, (size_t)(p - start), fn, arg);
}

/* ---- one question, one answer ---- */

struct question {
	struct co_event answered;
	struct store *store;
	bool abandoned, lost;
	int64_t integer;        /* an integer, or the first of an array of them; -1: none */
	char *text;             /* a string, copied */
	size_t text_len;
	bool nil, meta;
};

static void question_free(struct question *q)
{
	mem_free(q->text);
	mem_free(q);
}

static void take_text(struct question *q, const struct redis_value *v)
{
	q->text = mem_alloc(v->len + 1);
	if (q->text == NULL) {
		q->lost = true;
		return;
	}
	memcpy(q->text, v->str, v->len);
	q->text[v->len] = '\0';
	q->text_len = v->len;
}

static void on_reply(const struct redis_value *v, void *arg)
{
	struct question *q = arg;

	if (q->abandoned) {
		question_free(q);
		return;
	}
	if (v == NULL || v->type == REDIS_VALUE_ERROR)
		q->lost = true;
	else if (q->meta)
		store_check_meta(q->store, v);
	else if (v->type == REDIS_VALUE_STRING)
		take_text(q, v);
	else if (v->type == REDIS_VALUE_INTEGER)
		q->integer = v->integer;
	else if (v->type == REDIS_VALUE_ARRAY && v->n > 0 && v->items[0].type == REDIS_VALUE_INTEGER)
		q->integer = v->items[0].integer;
	else
		q->nil = true;
	co_event_set(&q->answered);
}

/* [suspends] 0 with the question, to be freed; -EAGAIN, -ECANCELED. */
static int ask(struct store *s, bool meta, unsigned argc, const char *const *argv, struct question **ret)
{
	struct question *q = mem_zalloc(sizeof *q);
	int rc;

	if (q == NULL)
		return -EAGAIN;
	co_event_init(&q->answered);
	q->store = s;
	q->meta = meta;
	q->integer = -1;
	if (store_command(s, on_reply, q, argc, argv) != 0) {
		question_free(q);
		return -EAGAIN;
	}
	rc = co_event_wait(&q->answered, CLOCK_NEVER);
	if (rc != 0) {
		if (q->answered.set)
			question_free(q);
		else
			q->abandoned = true;
		return rc;
	}
	if (q->lost) {
		question_free(q);
		return -EAGAIN;
	}
	*ret = q;
	return 0;
}

/* ---- the barrier ---- */

/* [suspends] */
static int meta_is_there(struct store *s)
{
	struct question *q;
	int rc = ask(s, true, 4, (const char *const[]){ "HMGET", "sms:meta", "format", "shards" }, &q);

	if (rc != 0)
		return rc;
	question_free(q);
	store_look_ready(s);
	return s->meta == META_OK || s->meta == META_MISSING ? 0 : -EAGAIN;
}

/* [suspends] Before the first commit, even of records that were never claimed: the next start finds commits and looks for it. */
static int make_meta(struct store *s)
{
	if (!store_is_writable(s))
		return -EAGAIN;
	if (s->meta == META_MISSING)
		store_create_meta(s);
	return meta_is_there(s);
}

/* [suspends] until the server's own fsync has passed over it. */
static int wait_local(struct store *s, int64_t deadline_us)
{
	const struct redis_client_server *server = redis_client_server(s->client);
	int64_t at_us = s->acked_us + EVERYSEC_US;

	if (!server->aof || server->fsync == REDIS_FSYNC_ALWAYS)
		return 0;
	if (at_us <= clock_mono_us())
		return 0;
	if (at_us > deadline_us)
		return co_sleep_until(deadline_us) == 0 ? -EAGAIN : -ECANCELED;
	return co_sleep_until(at_us);
}

/* [suspends] WAIT looks no further than its own connection's last write: where another's is meant, one of ours goes before it. */
static int write_mark(struct store *s)
{
	struct question *q;
	int rc = ask(s, false, 5, (const char *const[]){ "SET", store_probe_key, "1", "EX", "60" }, &q);

	if (rc == 0)
		question_free(q);
	return rc;
}

/* [suspends] WAIT or WAITAOF on the connection that wrote; Redis answers at half the commands' deadline at the latest. */
static int wait_remote(struct store *s)
{
	char replicas[12], timeout_ms[12];
	struct question *q;
	int64_t want = s->o.durability == STORE_AOF ? 1 : s->o.replicas;
	int rc;

	if (s->found != s->found_durable && (rc = write_mark(s)) != 0)
		return rc;
	snprintf(replicas, sizeof replicas, "%u", s->o.replicas);
	snprintf(timeout_ms, sizeof timeout_ms, "%u", s->o.command_timeout_ms / 2 + 1);
	if (s->o.durability == STORE_AOF)
		rc = ask(s, false, 4, (const char *const[]){ "WAITAOF", "1", "0", timeout_ms }, &q);
	else
		rc = ask(s, false, 3, (const char *const[]){ "WAIT", replicas, timeout_ms }, &q);
	if (rc != 0)
		return rc;
	rc = q->integer >= want ? 0 : -EAGAIN;
	if (rc != 0)
		log_warn("outcomes are not durable yet", LOG_INT("have", q->integer), LOG_INT("want", want));
	question_free(q);
	return rc;
}

static bool all_acknowledged(const struct store *s)
{
	return store_is_writable(s) && list_empty(&s->rewriting) && s->rewriting_under_way == 0;
}

static void let_go(struct store *s, uint64_t ack)
{
	while (!list_empty(&s->retained)) {
		struct batch *b = list_entry(s->retained.next, struct batch, node);

		if (b->ack > ack)
			break;
		list_remove(&b->node);
		s->n_retained -= b->n;
		store_recycle_batch(s, b);
	}
}

int store_barrier(struct store *s, int64_t deadline_us)
{
	uint64_t generation = s->generation, ack, found;
	int rc = s->meta == META_OK || s->expect_existing ? 0 : make_meta(s);

	if (rc != 0)
		return rc;
	ack = s->acks;
	found = s->found;
	if (s->n_retained == 0 && found == s->found_durable)
		return 0;
	if (!all_acknowledged(s))
		return -EAGAIN;
	rc = s->o.durability == STORE_LOCAL ? wait_local(s, deadline_us) : wait_remote(s);
	if (rc == 0)
		rc = meta_is_there(s);  /* last: its answer says that the server has lived until then */
	if (rc != 0)
		return rc;
	if (s->generation != generation || !all_acknowledged(s))
		return -EAGAIN;
	let_go(s, ack);
	s->found_durable = found;
	s->expect_existing = true;
	store_look_ready(s);
	return 0;
}

bool store_barriers_overlap(const struct store *store)
{
	return store->o.durability == STORE_LOCAL;
}

/* ---- show ---- */

int store_show(struct store *s, const char *id, size_t id_len, char **ret)
{
	char key[160];
	struct question *q;
	struct buf out = { 0 };
	int rc;

	if (id_len > 128)
		return -ENOENT;
	snprintf(key, sizeof key, "sms:{%u}:m:%.*s", store_shard(s, id, id_len), (int)id_len, id);
	rc = ask(s, false, 2, (const char *const[]){ "GET", key }, &q);
	if (rc != 0)
		return rc;
	if (q->text == NULL) {
		question_free(q);
		return -ENOENT;
	}
	rc = store_record_json(&out, id, id_len, q->text, q->text_len);
	question_free(q);
	buf_putc(&out, '\0');
	if (rc == 0 && out.oom)
		rc = -EAGAIN;
	if (rc != 0) {
		buf_fini(&out);
		return rc;
	}
	*ret = out.data;
	return 0;
}
