/* exposition.c: writes Prometheus text. Owns nothing, runs on any thread, refuses to invent labels or units. */
#include "metrics/exposition.h"

#include "daemon/base/buf.h"

/* HELP: backslash and line feed are escaped; a label's value also escapes the quote (Prometheus, text format 0.0.4). */
static void put_escaped(struct buf *out, const char *s, char quote)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			buf_puts(out, "\\n");
			continue;
		}
		if (*s == '\\' || (quote != '\0' && *s == quote))
			buf_putc(out, '\\');
		buf_putc(out, *s);
	}
}

void exposition_family(struct buf *out, const char *name, enum counters_kind kind, const char *help)
{
	static const char *const words[] = { [COUNTERS_TOTAL] = "counter", [COUNTERS_GAUGE] = "gauge", [COUNTERS_SECONDS] = "histogram" };

	buf_puts(out, "# HELP ");
	buf_puts(out, name);
	buf_putc(out, ' ');
	put_escaped(out, help, '\0');
	buf_puts(out, "\n# TYPE ");
	buf_puts(out, name);
	buf_putc(out, ' ');
	buf_puts(out, words[kind]);
	buf_putc(out, '\n');
}

static void put_head(struct buf *out, const char *name, const struct exposition_label *labels, size_t n_labels)
{
	buf_puts(out, name);
	for (size_t i = 0; i < n_labels; i++) {
		buf_putc(out, i == 0 ? '{' : ',');
		buf_puts(out, labels[i].name);
		buf_puts(out, "=\"");
		put_escaped(out, labels[i].value, '"');
		buf_putc(out, '"');
	}
	if (n_labels > 0)
		buf_putc(out, '}');
	buf_putc(out, ' ');
}

/* Seconds with just the digits that microseconds need: no float, no locale. */
static void put_seconds(struct buf *out, uint64_t us)
{
	char digits[7] = { '.', '0', '0', '0', '0', '0', '0' };
	size_t len = 7;

	buf_put_u64(out, us / 1000000);
	us %= 1000000;
	for (size_t i = 6; i > 0; i--, us /= 10)
		digits[i] = (char)('0' + us % 10);
	while (len > 0 && (digits[len - 1] == '0' || digits[len - 1] == '.'))
		len--;
	buf_put(out, digits, len);
}

void exposition_u64(struct buf *out, const char *name, const struct exposition_label *labels, size_t n_labels, uint64_t value)
{
	put_head(out, name, labels, n_labels);
	buf_put_u64(out, value);
	buf_putc(out, '\n');
}

void exposition_seconds(struct buf *out, const char *name, const struct exposition_label *labels, size_t n_labels, int64_t value_us)
{
	put_head(out, name, labels, n_labels);
	if (value_us < 0)
		buf_putc(out, '-');
	put_seconds(out, value_us < 0 ? 0 - (uint64_t)value_us : (uint64_t)value_us);
	buf_putc(out, '\n');
}

static void put_histogram(struct buf *out, const char *name, enum counter id)
{
	struct counters_histogram h;
	uint64_t cumulative = 0;

	counters_histogram(id, &h);
	for (unsigned i = 0; i < COUNTERS_BUCKETS; i++) {
		cumulative += h.buckets[i];
		buf_puts(out, name);
		buf_puts(out, "_bucket{le=\"");
		if (counters_bound_us(i) == INT64_MAX)
			buf_puts(out, "+Inf");
		else
			put_seconds(out, (uint64_t)counters_bound_us(i));
		buf_puts(out, "\"} ");
		buf_put_u64(out, cumulative);
		buf_putc(out, '\n');
	}
	buf_puts(out, name);
	buf_puts(out, "_sum ");
	put_seconds(out, h.sum_us);
	buf_putc(out, '\n');
	buf_puts(out, name);
	buf_puts(out, "_count ");
	buf_put_u64(out, h.count);
	buf_putc(out, '\n');
}

void exposition_counters(struct buf *out)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		enum counter id = (enum counter)i;
		const char *name = counters_name(id);

		exposition_family(out, name, counters_kind(id), counters_help(id));
		switch (counters_kind(id)) {
		case COUNTERS_TOTAL:
			exposition_u64(out, name, NULL, 0, counters_total(id));
			break;
		case COUNTERS_GAUGE:
			buf_puts(out, name);
			buf_putc(out, ' ');
			buf_put_i64(out, counters_gauge(id));
			buf_putc(out, '\n');
			break;
		case COUNTERS_SECONDS:
			put_histogram(out, name, id);
			break;
		}
	}
}
