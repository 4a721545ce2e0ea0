/* store_record.c: writes and shows delivery records. Pure, any thread; refuses to guess at a record that it can't read. */
#include "metrics/store_record.h"

#include <errno.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "metrics/msgpack.h"
#include "metrics/store.h"

/* A 48-bit number is exact in Redis' Lua, whose numbers are doubles, and needs one form only. */
static uint64_t incarnation(const struct store_options *o)
{
	return (o->incarnation & UINT64_C(0xffffffffffff)) | UINT64_C(0x800000000000);
}

size_t store_record_max(const struct store_options *o, const struct store_message *m, const struct store_outcome *outcome)
{
	size_t n = 256 + m->topic_len + m->campaign_len + strlen(o->instance);

	if (outcome == NULL)
		return n;
	if (outcome->provider != NULL)
		n += strlen(outcome->provider);
	if (outcome->error != NULL)
		n += strlen(outcome->error);
	for (unsigned i = 0; i < outcome->n_ids; i++)
		n += MSGPACK_STR_HEAD_MAX + outcome->ids[i].len;
	return n;
}

static uint64_t after(const struct store_message *m, int64_t at_ms, int64_t not_before_ms)
{
	if (at_ms < not_before_ms)
		at_ms = not_before_ms;
	return (uint64_t)(at_ms - m->last.accepted_ms);
}

static char *put_token(char *p, const struct store_options *o, const struct store_message *m, enum store_state state, uint16_t claims)
{
	p = msgpack_put_uint(p, state);
	p = msgpack_put_uint(p, incarnation(o));
	p = msgpack_put_uint(p, m->epoch);
	p = msgpack_put_uint(p, claims);
	p = msgpack_put_str(p, m->topic, m->topic_len);
	p = msgpack_put_uint(p, (uint64_t)m->partition);
	return msgpack_put_uint(p, (uint64_t)m->offset);
}

/* Elements 8 to 14. */
static char *put_middle(char *p, const struct store_message *m, uint8_t attempts, uint8_t uncertain)
{
	p = msgpack_put_uint(p, attempts);
	p = msgpack_put_uint(p, uncertain);
	p = msgpack_put_uint(p, (uint64_t)m->last.accepted_ms);
	p = msgpack_put_uint(p, after(m, m->last.claimed_ms, m->last.accepted_ms));
	p = msgpack_put_str(p, m->campaign, m->campaign_len);
	p = msgpack_put_str(p, m->country, strlen(m->country));
	return msgpack_put_uint(p, m->parts);
}

char *store_record_put_claim(char *p, const struct store_options *o, const struct store_message *m, uint16_t claims, uint8_t attempts,
			     uint8_t uncertain)
{
	p = msgpack_put_array(p, STORE_RECORD_SENDING_ELEMENTS);
	p = put_token(p, o, m, STORE_SENDING, claims);
	p = put_middle(p, m, attempts, uncertain);
	for (unsigned i = 15; i < 20; i++)
		p = msgpack_put_false(p);
	return msgpack_put_str(p, o->instance, strlen(o->instance));
}

/* One part: its id; several: an array with false for those that were not accepted. */
static char *put_ids(char *p, const struct store_message *m, const struct store_outcome *outcome)
{
	unsigned first = outcome->step == STORE_PART ? outcome->part - 1u : 0;

	if (outcome->n_ids == 0 && outcome->state != STORE_SENT)
		return msgpack_put_false(p);
	if (m->parts <= 1)
		return msgpack_put_str(p, outcome->ids[0].s, outcome->n_ids > 0 ? outcome->ids[0].len : 0);
	p = msgpack_put_array(p, m->parts);
	for (unsigned i = 0; i < m->parts; i++) {
		if (i >= first && i - first < outcome->n_ids)
			p = msgpack_put_str(p, outcome->ids[i - first].s, outcome->ids[i - first].len);
		else if (outcome->step == STORE_SETTLE && outcome->state == STORE_SENT)
			p = msgpack_put_str(p, NULL, 0);
		else
			p = msgpack_put_false(p);
	}
	return p;
}

static char *put_word(char *p, const char *word)
{
	return word != NULL ? msgpack_put_str(p, word, strlen(word)) : msgpack_put_false(p);
}

char *store_record_put_outcome(char *p, const struct store_options *o, const struct store_message *m, const struct store_outcome *outcome,
			       size_t *ret_token_len)
{
	bool settles = outcome->step == STORE_SETTLE, sent = settles && outcome->state == STORE_SENT;
	uint64_t at = after(m, outcome->at_ms, m->last.claimed_ms);
	char *start = p;

	p = msgpack_put_array(p, sent ? STORE_RECORD_SENT_ELEMENTS : STORE_RECORD_END_ELEMENTS);
	p = put_token(p, o, m, settles ? outcome->state : STORE_QUEUED, m->last.claims);
	*ret_token_len = (size_t)(p - start);
	p = put_middle(p, m, outcome->attempts, m->last.uncertain);
	p = put_word(p, outcome->provider);
	p = sent ? msgpack_put_uint(p, at) : msgpack_put_false(p);
	p = put_ids(p, m, outcome);
	if (sent)
		return p;
	p = put_word(p, outcome->error);
	return msgpack_put_uint(p, at);
}

/* ---- showing one ---- */

struct shown {
	struct buf *out;
	struct msgpack_reader r;
	uint64_t left;          /* elements not read yet */
	uint64_t accepted_ms;
	bool bad;
};

static struct msgpack_item next(struct shown *s)
{
	struct msgpack_item item = { .type = MSGPACK_FALSE };

	if (s->left == 0 || s->bad)
		return item;
	s->left--;
	if (msgpack_next(&s->r, &item) != 0) {
		s->bad = true;
		item.type = MSGPACK_FALSE;
	}
	return item;
}

static void key(struct shown *s, const char *name)
{
	buf_putc(s->out, ',');
	buf_put_json(s->out, name, strlen(name));
	buf_putc(s->out, ':');
}

static void show_uint(struct shown *s, const char *name)
{
	struct msgpack_item item = next(s);

	if (item.type != MSGPACK_UINT && item.type != MSGPACK_FALSE)
		s->bad = true;
	if (item.type != MSGPACK_UINT)
		return;
	key(s, name);
	buf_put_u64(s->out, item.n);
}

static void show_str(struct shown *s, const char *name)
{
	struct msgpack_item item = next(s);

	if (item.type != MSGPACK_STR && item.type != MSGPACK_FALSE)
		s->bad = true;
	if (item.type != MSGPACK_STR)
		return;
	key(s, name);
	buf_put_json(s->out, item.s, item.n);
}

/* Stamps are kept as ms after `accepted`. */
static void show_stamp(struct shown *s, const char *name)
{
	struct msgpack_item item = next(s);

	if (item.type != MSGPACK_UINT)
		return;
	key(s, name);
	buf_put_u64(s->out, s->accepted_ms + item.n);
}

static void show_list(struct shown *s, const char *name, const struct msgpack_item *list)
{
	struct msgpack_item item;

	key(s, name);
	buf_putc(s->out, '[');
	for (uint64_t i = 0; i < list->n && !s->bad; i++) {
		if (i > 0)
			buf_putc(s->out, ',');
		if (msgpack_next(&s->r, &item) != 0 || item.type == MSGPACK_ARRAY)
			s->bad = true;
		else if (item.type == MSGPACK_STR)
			buf_put_json(s->out, item.s, item.n);
		else
			buf_puts(s->out, "null");
	}
	buf_putc(s->out, ']');
}

static void show_strings(struct shown *s, const char *name)
{
	struct msgpack_item item = next(s);

	if (item.type == MSGPACK_ARRAY) {
		show_list(s, name, &item);
	} else if (item.type == MSGPACK_STR) {
		key(s, name);
		buf_putc(s->out, '[');
		buf_put_json(s->out, item.s, item.n);
		buf_putc(s->out, ']');
	}
}

static void show_state(struct shown *s, const char *id, size_t id_len)
{
	struct msgpack_item state = next(s);
	const char *name = state.type == MSGPACK_UINT && state.n <= STORE_HELD ? store_state_name((enum store_state)state.n) : NULL;

	buf_puts(s->out, "{\"id\":");
	buf_put_json(s->out, id, id_len);
	if (name == NULL) {
		s->bad = true;
		return;
	}
	key(s, "state");
	buf_put_json(s->out, name, strlen(name));
}

static void show_accepted(struct shown *s)
{
	struct msgpack_item item = next(s);

	s->accepted_ms = item.n;
	key(s, "accepted_at");
	buf_put_u64(s->out, item.n);
}

int store_record_json(struct buf *out, const char *id, size_t id_len, const char *record, size_t len)
{
	struct shown s = { .out = out, .r = { record, record + len } };
	struct msgpack_item array;

	if (msgpack_next(&s.r, &array) != 0 || array.type != MSGPACK_ARRAY)
		return -EBADMSG;
	s.left = array.n;
	show_state(&s, id, id_len);
	show_uint(&s, "incarnation");
	show_uint(&s, "epoch");
	show_uint(&s, "claims");
	show_str(&s, "topic");
	show_uint(&s, "partition");
	show_uint(&s, "offset");
	show_uint(&s, "attempts");
	show_uint(&s, "uncertain");
	show_accepted(&s);
	show_stamp(&s, "claimed_at");
	show_str(&s, "campaign");
	show_str(&s, "country");
	show_uint(&s, "parts");
	show_str(&s, "provider");
	show_stamp(&s, "sent_at");
	show_strings(&s, "provider_ids");
	show_str(&s, "error");
	show_stamp(&s, "ended_at");
	show_str(&s, "instance");
	show_uint(&s, "lease_until");
	show_strings(&s, "extra_sends");
	show_strings(&s, "duplicates");
	buf_putc(out, '}');
	return s.bad ? -EBADMSG : out->oom ? -ENOMEM : 0;
}
