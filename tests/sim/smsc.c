/* smsc.c: decides, keeps the ledger, and never forgets. Speaks the `generic` preset: {"id": ..., "part": ...} in, {"id": ...} out. */
#include "tests/sim/smsc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

const char *const smsc_names[SMSC_PROVIDERS] = { "acme", "bolt" };

struct smsc *smsc_new(void)
{
	return sim_alloc(sizeof(struct smsc));
}

void smsc_free(struct smsc *s)
{
	free(s->ledger);
	free(s);
}

static void read_id(const char *body, size_t len, char ret[SMSC_ID_MAX])
{
	static const char name[] = "\"id\":\"";
	const char *at = memmem(body, len, name, sizeof name - 1), *end;

	CHECK(at != NULL, "a request without an id: %.*s", (int)len, body);
	at += sizeof name - 1;
	end = memchr(at, '"', len - (size_t)(at - body));
	CHECK(end != NULL && end - at < SMSC_ID_MAX);
	memcpy(ret, at, (size_t)(end - at));
	ret[end - at] = '\0';
}

static unsigned read_part(const char *body, size_t len)
{
	static const char name[] = "\"part\":";
	const char *at = memmem(body, len, name, sizeof name - 1);

	CHECK(at != NULL && at + sizeof name - 1 < body + len);
	return (unsigned)strtoul(at + sizeof name - 1, NULL, 10);
}

/* A message whose id says so gets the same no, whenever it comes. */
static bool is_refused(const char *id)
{
	return strstr(id, "-bad") != NULL;
}

static bool falls(unsigned *dice, unsigned permille)
{
	bool yes = *dice < permille;

	*dice = yes ? 1000 : *dice - permille;
	return yes;
}

static enum smsc_word decide(const struct smsc_mood *m, const char *id, bool *ret_taken)
{
	unsigned dice = (unsigned)sim_below(1000);

	*ret_taken = false;
	if (falls(&dice, m->throttled + m->unavailable))
		return SMSC_SAYS_LATER;
	if (falls(&dice, m->reset_untaken))
		return SMSC_RESETS;
	if (is_refused(id))
		return SMSC_SAYS_NO;
	if (falls(&dice, m->hang)) {
		*ret_taken = sim_chance(50);
		return SMSC_HANGS;
	}
	if (falls(&dice, m->broken)) {
		*ret_taken = sim_chance(50);
		return SMSC_SAYS_BROKEN;
	}
	*ret_taken = true;
	if (falls(&dice, m->reset_taken))
		return SMSC_RESETS;
	return falls(&dice, m->garbage) ? SMSC_SAYS_GARBAGE : SMSC_SAYS_YES;
}

static void answer(const struct smsc_entry *e, size_t nth, struct smsc_reply *r)
{
	*r = (struct smsc_reply){ .word = e->word };
	switch (e->word) {
	case SMSC_SAYS_YES:
		r->status = 200;
		snprintf(r->body, sizeof r->body, "{\"id\":\"%s%zu\"}", smsc_names[e->provider], nth);
		break;
	case SMSC_SAYS_NO:
		r->status = 400;
		snprintf(r->body, sizeof r->body, "{\"error\":\"no such number\"}");
		break;
	case SMSC_SAYS_LATER:
		r->status = sim_chance(50) ? 429 : 503;
		r->retry_after_s = (unsigned)sim_below(4);
		break;
	case SMSC_SAYS_BROKEN:
		r->status = 500;
		break;
	case SMSC_SAYS_GARBAGE:
	case SMSC_RESETS:
	case SMSC_HANGS:
		break;
	}
}

int64_t smsc_receive(struct smsc *s, unsigned provider, const char *body, size_t len, struct smsc_reply *ret_reply)
{
	struct smsc_entry *e;

	s->ledger = sim_resize(s->ledger, (s->n + 1) * sizeof *s->ledger);
	e = &s->ledger[s->n++];
	*e = (struct smsc_entry){ .provider = provider, .at_us = sim.now_us };
	read_id(body, len, e->id);
	e->part = read_part(body, len);
	e->word = decide(&s->moods[provider], e->id, &e->taken);
	answer(e, s->n, ret_reply);
	sim_trace("%s: %s/%u %s, says %d %d", smsc_names[provider], e->id, e->part, e->taken ? "taken" : "not taken", (int)e->word,
		  ret_reply->status);
	return sim_between(1000, s->moods[provider].delay_us_max);
}

struct smsc_tally smsc_tally(const struct smsc *s, const char *id, unsigned part)
{
	struct smsc_tally t = { 0 };

	for (size_t i = 0; i < s->n; i++) {
		const struct smsc_entry *e = &s->ledger[i];

		if (strcmp(e->id, id) != 0 || e->part != part)
			continue;
		t.read++;
		t.taken += e->taken;
		t.refused += e->word == SMSC_SAYS_NO;
		t.maybe += e->word != SMSC_SAYS_NO && e->word != SMSC_SAYS_LATER;
	}
	return t;
}
