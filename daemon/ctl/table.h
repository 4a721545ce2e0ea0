/* table.h: text tables that fit a width: cells are cut, never lines broken; and the few ways in which numbers are written. Pure. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"

enum { TABLE_WIDTH = 80, TABLE_COLUMNS_MAX = 10 };

struct table_column {
	const char *title;
	bool right;             /* numbers */
	bool shrink;            /* may be cut to fit the width, with a ~ at the cut */
};

struct table {
	const struct table_column *columns;
	unsigned n_columns;
	size_t n_rows;
	struct buf cells;       /* NUL-terminated, row by row */
};

/* `columns` lives as long as the table. */
void table_init(struct table *t, const struct table_column *columns, unsigned n_columns);
void table_fini(struct table *t);
/* The next cell, left to right and row by row; copied. Control bytes become '?', so that no reply writes to the terminal's state. */
void table_put(struct table *t, const char *cell);
void table_put_int(struct table *t, int64_t n);
/* Appends header and rows, no line wider than `width`; the header bold where colour is on. */
void table_render(struct table *t, unsigned width, bool colour, struct buf *out);

enum paint { PAINT_BOLD = 1, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_DIM, PAINT_OFF };
/* The terminal's sequence, or "" without colour. */
const char *paint(bool colour, enum paint p);

/* Each writes into `ret` and returns it. 12,345,678 */
const char *format_count(int64_t n, char ret[28]);
/* The two leading units: 950us, 12.3ms, 4.56s, 3m 07s, 2h 05m, 3d 04h */
const char *format_us(int64_t us, char ret[28]);
/* 812 kB, 34.1 MB (powers of 1000) */
const char *format_bytes(int64_t bytes, char ret[28]);
/* 2026-05-01 09:30:00.123 in local time */
const char *format_stamp(int64_t ms, char ret[28]);

#endif
