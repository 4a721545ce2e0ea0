/* verify.c: what must hold at each step, and at the end of each message's way. Reads, never writes. */
#include "tests/sim/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatch.h"
#include "tests/sim/kafka_sim.h"
#include "tests/sim/process.h"
#include "tests/sim/record_view.h"
#include "tests/sim/sim.h"
#include "tests/sim/smsc.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"

static size_t settled_prefix[KAFKA_PARTITIONS_MAX];     /* records known to be settled, from the start of each log */

/* ---- settled: what may be committed ---- */

static bool is_end(uint64_t state)
{
	return state >= STORE_SENT && state <= STORE_HELD;
}

/* Its message has ended, or is another place's to end; or it is a dead letter. */
static bool is_settled(unsigned partition, size_t nth)
{
	const struct workload_place *place = &sim.workload->places[partition][nth];
	int64_t offset = sim.kafka->logs[partition].records[nth].offset;
	struct record_view r;

	if (place->message->poison)
		return place->dead;
	if (!record_view_get(place->message->id, &r))
		return false;
	return is_end(r.state) || (r.topic[0] != '\0' && (r.partition != partition || (int64_t)r.offset != offset));
}

void verify_commit(unsigned partition)
{
	const struct kafka_sim_log *log = &sim.kafka->logs[partition];
	size_t *prefix = &settled_prefix[partition];

	while (*prefix < log->n && log->records[*prefix].offset < log->committed) {
		if (!is_settled(partition, *prefix)) {
			sim_fail("partition %u is committed at %" PRId64 ", but %s at %" PRId64 " is not settled", partition, log->committed,
				 sim.workload->places[partition][*prefix].message->id, log->records[*prefix].offset);
			return;
		}
		++*prefix;
	}
	if (log->committed > log->end)
		sim_fail("partition %u is committed at %" PRId64 ", past its end", partition, log->committed);
}

static struct workload_message *message_of(const char *id)
{
	for (size_t i = 0; i < sim.workload->n; i++)
		if (strcmp(sim.workload->messages[i].id, id) == 0)
			return &sim.workload->messages[i];
	return NULL;
}

/* All that is committed must still be settled. How often such a message is sent is outside of what is promised. */
void verify_lost(const char *key)
{
	const char *id = strstr(key, ":m:");
	struct workload_message *m = id != NULL ? message_of(id + 3) : NULL;

	memset(settled_prefix, 0, sizeof settled_prefix);
	if (m != NULL)
		m->lost = true;
}

void verify_dead(const struct kafka_sim_record *letter)
{
	const char *reason = kafka_sim_header_of(letter, "reason"), *partition = kafka_sim_header_of(letter, "partition"),
		   *offset = kafka_sim_header_of(letter, "offset");
	struct workload_place *place = NULL;

	if (reason != NULL && partition != NULL && offset != NULL)
		place = workload_place_at(sim.workload, (unsigned)strtoul(partition, NULL, 10), strtoll(offset, NULL, 10));
	if (place == NULL || !place->message->poison) {
		sim_fail("dead letter of %s/%s, reason %s: nothing bad lies there", partition, offset, reason);
		return;
	}
	sim_trace("dead letter: %s %s/%s", reason, partition, offset);
	place->dead = true;
}

/* ---- each step ---- */

static void check_limits(void)
{
	for (unsigned w = 0; w < PROCESS_DISPATCHES_MAX; w++) {
		const struct dispatch *d = process_dispatch(w);
		struct dispatch_status s;

		if (d == NULL)
			continue;
		dispatch_status(d, &s);
		if (s.inflight > MEMBER_INFLIGHT || s.written > s.inflight)
			sim_fail("worker %u has %u in flight, %u written, of %u", w, s.inflight, s.written, MEMBER_INFLIGHT);
	}
}

void verify_step(void)
{
	for (unsigned p = 0; p < sim.kafka->n_partitions; p++)
		verify_commit(p);
	if (sim.alive)
		check_limits();
}

bool verify_is_drained(void)
{
	struct record_view r;

	if (sim.workload->to_make > 0)
		return false;
	for (unsigned p = 0; p < sim.kafka->n_partitions; p++)
		if (sim.kafka->logs[p].n > 0 && sim.kafka->logs[p].committed != sim.kafka->logs[p].end)
			return false;
	for (size_t i = 0; i < sim.workload->n; i++) {
		const struct workload_message *m = &sim.workload->messages[i];

		if (!m->poison && !(record_view_get(m->id, &r) && is_end(r.state)))
			return false;
	}
	return true;
}

/* ---- each message, at the end ---- */

static void check_sends(const struct workload_message *m, const struct record_view *r)
{
	for (unsigned part = 1; part <= m->parts; part++) {
		struct smsc_tally t = smsc_tally(sim.smsc, m->id, part);

		if (!m->lost && (t.taken > 1 + r->uncertain || t.maybe > 1 + r->uncertain))
			sim_fail("%s/%u was sent %u times (%u taken), with %" PRIu64 " uncertain", m->id, part, t.maybe, t.taken, r->uncertain);
		if (r->state == STORE_SENT && t.taken == 0)
			sim_fail("%s/%u is sent, and no provider took it", m->id, part);
		if (r->state == STORE_LAPSED && t.maybe > 0 && !m->lost)
			sim_fail("%s/%u lapsed, and was written", m->id, part);
		if (m->parts == 1 && r->state == STORE_FAILED && r->uncertain == 0 && t.maybe > 0 && !m->lost)
			sim_fail("%s failed for certain, and was written", m->id);
		if (m->pinned != NULL && strcmp(m->pinned, "nobody") == 0 && t.read > 0)
			sim_fail("%s asked for a provider that isn't there, and was sent", m->id);
	}
}

static void check_record(const struct workload_message *m, const struct record_view *r)
{
	if (r->state == STORE_HELD && (r->uncertain == 0 || m->policy == STORE_FAIL))
		sim_fail("%s is held with %" PRIu64 " uncertain", m->id, r->uncertain);
	if (r->state == STORE_REFUSED && strstr(m->id, "-bad") == NULL)
		sim_fail("%s is refused, and no provider did so", m->id);
	if (r->state == STORE_SENT && (r->sent_ms < r->claimed_ms || r->claimed_ms < r->accepted_ms))
		sim_fail("%s has stamps out of order", m->id);
	if (r->parts == m->parts && r->state == STORE_SENT && r->accepted_parts != (1u << m->parts) - 1)
		sim_fail("%s is sent, but has parts %x", m->id, r->accepted_parts);
	if (r->n_duplicates > m->places - 1 || (m->ttl_s == 0 && !m->lost && r->n_duplicates != m->places - 1))
		sim_fail("%s lies in %u places and has %u duplicates", m->id, m->places, r->n_duplicates);
}

static void check_messages(void)
{
	struct record_view r;

	for (size_t i = 0; i < sim.workload->n; i++) {
		const struct workload_message *m = &sim.workload->messages[i];

		if (m->poison)
			continue;
		if (!record_view_get(m->id, &r)) {
			sim_fail("%s has no record", m->id);
			return;
		}
		check_sends(m, &r);
		if (is_end(r.state))
			check_record(m, &r);
		tally_expect(m->id, &r);
	}
}

static void check_places(void)
{
	for (unsigned p = 0; p < sim.kafka->n_partitions; p++)
		for (size_t i = 0; i < sim.kafka->logs[p].n; i++)
			if (!is_settled(p, i))
				sim_fail("what lies at %u/%" PRId64 " is not settled at the end", p, sim.kafka->logs[p].records[i].offset);
}

/* ---- the log: no number, no text ---- */

static void check_log(const char *log, size_t len)
{
	for (size_t i = 0; i < sim.workload->n; i++) {
		const struct workload_message *m = &sim.workload->messages[i];

		if (memmem(log, len, m->to + 1, strlen(m->to) - 4) != NULL)
			sim_fail("the log has the number of %s", m->id);
		if (memmem(log, len, m->mark, strlen(m->mark)) != NULL)
			sim_fail("the log has the text of %s", m->id);
	}
}

void verify_end(const char *log, size_t log_len)
{
	check_places();
	tally_reset();
	check_messages();
	if (!sim_failed())
		tally_compare();
	check_log(log, log_len);
}
