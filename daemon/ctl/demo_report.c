/* demo_report.c: see demo_report.h. */
#include "daemon/ctl/demo_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ctl/table.h"

void demo_result_reason(struct demo_result *r, const char *state, const char *error)
{
	unsigned i = 0;

	while (i < r->n_reasons && (strcmp(r->reasons[i].state, state) != 0 || strcmp(r->reasons[i].error, error) != 0))
		i++;
	if (i == DEMO_REASONS_MAX) {
		r->reasons_more++;
		return;
	}
	if (i == r->n_reasons) {
		snprintf(r->reasons[i].state, sizeof r->reasons[i].state, "%s", state);
		snprintf(r->reasons[i].error, sizeof r->reasons[i].error, "%s", error);
		r->n_reasons++;
	}
	r->reasons[i].count++;
}

void demo_result_take_ends(struct demo_result *r)
{
	const struct {
		const char *state;
		uint64_t *count;
	} ends[] = { { "refused", &r->refused }, { "failed", &r->failed }, { "lapsed", &r->lapsed }, { "held", &r->held } };

	for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
		*ends[e].count = 0;
		for (unsigned i = 0; i < r->n_reasons; i++)
			if (strcmp(r->reasons[i].state, ends[e].state) == 0)
				*ends[e].count += r->reasons[i].count;
	}
}

bool demo_result_holds(const struct demo_result *r, struct buf *why)
{
	size_t before = why->len;
	uint64_t ends = r->sent + r->refused + r->failed + r->lapsed + r->held;

	if (r->cut)
		return true;
	if (r->produced < r->messages && !r->interrupted)
		buf_printf(why, "only %" PRIu64 " of %" PRIu64 " messages reached the topic\n", r->produced, r->messages);
	if (!r->interrupted && r->open > 0)
		buf_printf(why, "%" PRIu64 " messages were not settled in time\n", r->open);
	if (ends != r->settled)
		buf_printf(why, "%" PRIu64 " messages were settled, but %" PRIu64 " ends are known\n", r->settled, ends);
	if (r->ids_once + r->ids_more != r->sent)
		buf_printf(why, "the daemon counts %" PRIu64 " sent, the provider's ledger has %" PRIu64 " ids\n", r->sent,
			   r->ids_once + r->ids_more);
	if (r->ids_more > r->uncertain)
		buf_printf(why, "%" PRIu64 " ids were taken more than once, with %" PRIu64 " uncertain sends to explain it\n", r->ids_more,
			   r->uncertain);
	if (r->daemon_exit != 0)
		buf_printf(why, "smstrackd ended with exit code %d\n", r->daemon_exit);
	return why->len == before;
}

struct writer {
	struct buf *out;
	bool colour;
};

static void title(const struct writer *w, const char *text)
{
	buf_printf(w->out, "\n%s%s%s\n", paint(w->colour, PAINT_BOLD), text, paint(w->colour, PAINT_OFF));
}

/* "  sent           9,780   97.8 %" and what it means */
static void funnel_row(const struct writer *w, const char *name, uint64_t n, uint64_t of, enum paint p, const char *means)
{
	char count[28], share[16] = "";

	if (of > 0)
		snprintf(share, sizeof share, "%.1f %%", 100.0 * (double)n / (double)of);
	buf_printf(w->out, "  %-12s %s%10s%s  %8s  %s\n", name, n > 0 ? paint(w->colour, p) : "", format_count((int64_t)n, count),
		   n > 0 ? paint(w->colour, PAINT_OFF) : "", share, means);
}

static void funnel(const struct writer *w, const struct demo_result *r)
{
	title(w, "Funnel");
	funnel_row(w, "accepted", r->accepted, r->messages, PAINT_BOLD, "records read from Kafka that are jobs");
	funnel_row(w, "sent", r->sent, r->messages, PAINT_GOOD, "the provider took it");
	funnel_row(w, "refused", r->refused, r->messages, PAINT_WARN, "the provider said no, for good");
	funnel_row(w, "failed", r->failed, r->messages, PAINT_BAD, "given up");
	if (r->lapsed > 0)
		funnel_row(w, "lapsed", r->lapsed, r->messages, PAINT_BAD, "too late to send");
	if (r->held > 0)
		funnel_row(w, "held", r->held, r->messages, PAINT_WARN, "uncertain, waits for a person");
	funnel_row(w, "open", r->open, r->messages, r->interrupted ? PAINT_WARN : PAINT_BAD,
		   r->interrupted ? "left on the topic" : "not settled");
	funnel_row(w, "uncertain", r->uncertain, 0, PAINT_WARN, "sends nobody can know of: resent, or failed");
}

static const char *format_s(double s, char ret[28])
{
	if (s < 0)
		return strcpy(ret, "-");
	return format_us((int64_t)(s * 1e6), ret);
}

static void figures(const struct writer *w, const struct demo_result *r)
{
	char a[28], b[28], c[28];
	uint64_t timed = r->settled > r->warm_up ? r->settled - r->warm_up : 0;
	double per_s = r->elapsed_us > 0 ? (double)timed * 1e6 / (double)r->elapsed_us : 0;
	int64_t each_us = timed > 0 ? r->cpu_us / (int64_t)timed : 0;

	title(w, "Figures");
	buf_printf(w->out, "  accepted to sent   p50 %s   p90 %s   p99 %s\n", format_s(r->p50_s, a), format_s(r->p90_s, b), format_s(r->p99_s, c));
	buf_printf(w->out, "  throughput         %s a second (offered: %s), all settled in %s\n", format_count((int64_t)per_s, a),
		   format_count(r->rate, c), format_us(r->elapsed_us, b));
	buf_printf(w->out, "  CPU                %" PRId64 " us a message: one core would carry %s a second\n", each_us,
		   each_us > 0 ? format_count(1000000 / each_us, a) : "-");
	buf_printf(w->out, "  peak memory        %s\n", format_bytes(r->peak_bytes, a));
}

static void reasons(const struct writer *w, const struct demo_result *r)
{
	static const struct table_column columns[] = { { "state", false, false }, { "why", false, true }, { "messages", true, false } };
	struct table t;
	struct buf text = { 0 };

	title(w, "What was not sent, and why");
	if (r->n_reasons == 0) {
		buf_puts(w->out, "  nothing\n");
		return;
	}
	table_init(&t, columns, ARRAY_LEN(columns));
	for (unsigned i = 0; i < r->n_reasons; i++) {
		table_put(&t, r->reasons[i].state);
		table_put(&t, r->reasons[i].error);
		table_put_int(&t, (int64_t)r->reasons[i].count);
	}
	table_render(&t, TABLE_WIDTH - 2, w->colour, &text);
	table_fini(&t);
	for (size_t i = 0; i < text.len; i++) {
		if (i == 0 || text.data[i - 1] == '\n')
			buf_puts(w->out, "  ");
		buf_putc(w->out, text.data[i]);
	}
	buf_fini(&text);
	if (r->reasons_more > 0)
		buf_printf(w->out, "  and %" PRIu64 " more\n", r->reasons_more);
}

static void ledger(const struct writer *w, const struct demo_result *r)
{
	char a[28], b[28], c[28], d[28];
	const struct demo_ledger *l = &r->ledger;

	title(w, "The provider's own ledger");
	buf_printf(w->out, "  %s requests on %s connections: %s parts taken, %s refused,\n", format_count((int64_t)l->requests, a),
		   format_count((int64_t)l->connections, b), format_count((int64_t)l->taken, c), format_count((int64_t)l->refused, d));
	buf_printf(w->out, "  %s failed (500), %s busy (503)\n", format_count((int64_t)l->failed, a), format_count((int64_t)l->busy, b));
	buf_printf(w->out, "  %s messages taken once, %s more than once; the daemon counts %s sent\n", format_count((int64_t)r->ids_once, a),
		   format_count((int64_t)r->ids_more, b), format_count((int64_t)r->sent, c));
}

void demo_report(const struct demo_result *r, bool colour, struct buf *out)
{
	struct writer w = { .out = out, .colour = colour };
	struct buf why = { 0 };
	bool holds = demo_result_holds(r, &why);

	funnel(&w, r);
	figures(&w, r);
	reasons(&w, r);
	ledger(&w, r);
	buf_putc(out, '\n');
	if (r->cut)
		buf_puts(out, "Cut short: what was in flight is not accounted for.\n");
	else if (holds)
		buf_printf(out, "%sNothing lost, nothing counted twice%s%s.\n", paint(colour, PAINT_GOOD),
			   r->interrupted ? ", of what was taken before the interruption" : "", paint(colour, PAINT_OFF));
	else
		buf_printf(out, "%sThat is not as promised:%s\n%.*s", paint(colour, PAINT_BAD), paint(colour, PAINT_OFF), (int)why.len, why.data);
	buf_fini(&why);
}

static json_t *reasons_json(const struct demo_result *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n_reasons; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "state", r->reasons[i].state, "error", r->reasons[i].error, "count",
						      (json_int_t)r->reasons[i].count));
	return list;
}

json_t *demo_report_json(const struct demo_result *r)
{
	struct buf why = { 0 };
	bool holds = demo_result_holds(r, &why);
	json_t *json = json_pack(
		"{s:b, s:b, s:s%, s:I, s:I, s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}, s:{s:f,s:f,s:f}, s:f, s:I, s:I}", "holds", holds, "interrupted",
		r->interrupted, "why", why.len > 0 ? why.data : "", why.len, "messages", (json_int_t)r->messages, "produced",
		(json_int_t)r->produced, "funnel", "accepted", (json_int_t)r->accepted, "sent", (json_int_t)r->sent, "refused",
		(json_int_t)r->refused, "failed", (json_int_t)r->failed, "lapsed", (json_int_t)r->lapsed, "held", (json_int_t)r->held, "open",
		(json_int_t)r->open, "uncertain", (json_int_t)r->uncertain, "accepted_to_sent_seconds", "p50", r->p50_s, "p90", r->p90_s,
		"p99", r->p99_s, "elapsed_seconds", (double)r->elapsed_us / 1e6, "cpu_us", (json_int_t)r->cpu_us, "peak_rss_bytes",
		(json_int_t)r->peak_bytes);
	json_t *provider = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "requests", (json_int_t)r->ledger.requests, "taken",
				     (json_int_t)r->ledger.taken, "refused", (json_int_t)r->ledger.refused, "failed",
				     (json_int_t)r->ledger.failed, "busy", (json_int_t)r->ledger.busy, "ids_once", (json_int_t)r->ids_once,
				     "ids_more", (json_int_t)r->ids_more);

	buf_fini(&why);
	if (json != NULL) {
		json_object_set_new(json, "not_sent", reasons_json(r));
		json_object_set_new(json, "provider", provider);
	}
	return json;
}

void demo_progress_line(const struct demo_progress *p, unsigned width, bool colour, struct buf *out)
{
	char settled[28], total[28], rate[28], inflight[28], words[120];
	unsigned bar, full;
	int n;

	format_count((int64_t)p->settled, settled);
	format_count((int64_t)p->total, total);
	format_count((int64_t)p->rate, rate);
	format_count((int64_t)p->inflight, inflight);
	if (width == 0) {
		buf_printf(out, "%s of %s settled, %s/s, %s in flight", settled, total, rate, inflight);
		return;
	}
	n = snprintf(words, sizeof words, "%*s/%s  %6s/s  %5s in flight", (int)strlen(total), settled, total, rate, inflight);
	bar = width > (unsigned)n + 14 ? width - (unsigned)n - 4 : 10;
	full = p->total > 0 ? (unsigned)((double)bar * (double)p->settled / (double)p->total) : 0;
	buf_printf(out, "[%s", paint(colour, PAINT_GOOD));
	for (unsigned i = 0; i < bar; i++) {
		if (i == full)
			buf_printf(out, "%s%s", paint(colour, PAINT_OFF), paint(colour, PAINT_DIM));
		buf_putc(out, i < full ? '#' : '.');
	}
	buf_printf(out, "%s] %s", paint(colour, PAINT_OFF), words);
}
