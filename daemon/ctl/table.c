/* table.c: see table.h. Widths are counted in code points, which is right for what the daemon says (names, hosts, digits). */
#include "daemon/ctl/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/base/check.h"

void table_init(struct table *t, const struct table_column *columns, unsigned n_columns)
{
	CHECK(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);
	*t = (struct table){ .columns = columns, .n_columns = n_columns };
}

void table_fini(struct table *t)
{
	buf_fini(&t->cells);
}

void table_put(struct table *t, const char *cell)
{
	for (; *cell != '\0'; cell++) {
		unsigned char c = (unsigned char)*cell;

		buf_putc(&t->cells, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
	buf_putc(&t->cells, '\0');
	t->n_rows++;
}

void table_put_int(struct table *t, int64_t n)
{
	char text[28];

	table_put(t, format_count(n, text));
}

static unsigned text_width(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* Makes the widest column that may shrink narrower by one, until all fit. */
static void fit(const struct table *t, unsigned width, unsigned *widths)
{
	unsigned total = 0;

	for (unsigned c = 0; c < t->n_columns; c++)
		total += widths[c] + (c > 0 ? 2 : 0);
	while (total > width) {
		unsigned widest = t->n_columns;

		for (unsigned c = 0; c < t->n_columns; c++)
			if (t->columns[c].shrink && widths[c] > 4 && (widest == t->n_columns || widths[c] > widths[widest]))
				widest = c;
		if (widest == t->n_columns)
			return;
		widths[widest]--;
		total--;
	}
}

static void put_cell(struct buf *out, const char *cell, unsigned width, bool right, bool last)
{
	unsigned w = text_width(cell);

	for (unsigned i = w; right && i < width; i++)
		buf_putc(out, ' ');
	if (w <= width) {
		buf_puts(out, cell);
	} else {
		for (unsigned n = 0; *cell != '\0'; cell++) {
			n += ((unsigned char)*cell & 0xc0) != 0x80;
			if (n >= width)
				break;
			buf_putc(out, *cell);
		}
		buf_putc(out, '~');
	}
	for (unsigned i = w; !right && !last && i < width; i++)
		buf_putc(out, ' ');
	buf_puts(out, last ? "" : "  ");
}

void table_render(struct table *t, unsigned width, bool colour, struct buf *out)
{
	unsigned widths[TABLE_COLUMNS_MAX];
	const char *cell = t->cells.data;

	CHECK(t->n_columns > 0);
	for (unsigned c = 0; c < t->n_columns; c++)
		widths[c] = text_width(t->columns[c].title);
	for (size_t i = 0; i < t->n_rows && !t->cells.oom; i++, cell += strlen(cell) + 1) {
		unsigned w = text_width(cell);

		if (w > widths[i % t->n_columns])
			widths[i % t->n_columns] = w;
	}
	fit(t, width, widths);
	buf_puts(out, paint(colour, PAINT_BOLD));
	for (unsigned c = 0; c < t->n_columns; c++)
		put_cell(out, t->columns[c].title, widths[c], t->columns[c].right, c + 1 == t->n_columns);
	buf_puts(out, paint(colour, PAINT_OFF));
	buf_putc(out, '\n');
	cell = t->cells.data;
	for (size_t i = 0; i < t->n_rows && !t->cells.oom; i++, cell += strlen(cell) + 1) {
		unsigned c = (unsigned)(i % t->n_columns);

		put_cell(out, cell, widths[c], t->columns[c].right, c + 1 == t->n_columns);
		if (c + 1 == t->n_columns)
			buf_putc(out, '\n');
	}
}

const char *paint(bool colour, enum paint p)
{
	if (!colour)
		return "";
	switch (p) {
	case PAINT_BOLD:
		return "\033[1m";
	case PAINT_GOOD:
		return "\033[32m";
	case PAINT_WARN:
		return "\033[33m";
	case PAINT_BAD:
		return "\033[31m";
	case PAINT_DIM:
		return "\033[2m";
	case PAINT_OFF:
		return "\033[0m";
	}
	return "";
}

const char *format_count(int64_t n, char ret[28])
{
	char digits[24];
	uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	int len = snprintf(digits, sizeof digits, "%" PRIu64, u);
	char *p = ret;

	if (n < 0)
		*p++ = '-';
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return ret;
}

const char *format_us(int64_t us, char ret[28])
{
	int64_t s = us / 1000000;

	if (us == 0)
		snprintf(ret, 28, "0");
	else if (us < 1000)
		snprintf(ret, 28, "%" PRId64 "us", us);
	else if (us < 1000000)
		snprintf(ret, 28, "%.*fms", us < 100000 ? 1 : 0, (double)us / 1e3);
	else if (s < 60)
		snprintf(ret, 28, "%.2fs", (double)us / 1e6);
	else if (s < 3600)
		snprintf(ret, 28, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(ret, 28, "%" PRId64 "h %02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(ret, 28, "%" PRId64 "d %02" PRId64 "h", s / 86400, s / 3600 % 24);
	return ret;
}

const char *format_bytes(int64_t bytes, char ret[28])
{
	static const char units[] = "kMGTP";
	double n = (double)bytes;
	int i = -1;

	while (n >= 999.5 && i < 4) {
		n /= 1000;
		i++;
	}
	if (i < 0)
		snprintf(ret, 28, "%" PRId64 " B", bytes);
	else
		snprintf(ret, 28, "%.*f %cB", n < 99.95 ? 1 : 0, n, units[i]);
	return ret;
}

const char *format_stamp(int64_t ms, char ret[28])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	localtime_r(&s, &tm);
	n = strftime(ret, 28, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(ret + n, 28 - n, ".%03d", (int)(ms % 1000));
	return ret;
}
