/*
 * exposition.h: Prometheus' text format 0.0.4: all counters of the process, and families with labels that others hold (providers,
 * partitions). Pure: writes into a buffer, called where /metrics is answered.
 */
#ifndef METRICS_EXPOSITION_H
#define METRICS_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "metrics/counters.h"

struct buf;

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Every line of counters_table.h, zeros included. */
void exposition_counters(struct buf *out);

/* A family of labelled samples: first its head (TOTAL or GAUGE; units are base units), then a line per sample. */
struct exposition_label {
	const char *name, *value;       /* the value is escaped here; never an id, a number or a text */
};
void exposition_family(struct buf *out, const char *name, enum counters_kind kind, const char *help);
void exposition_u64(struct buf *out, const char *name, const struct exposition_label *labels, size_t n_labels, uint64_t value);
void exposition_seconds(struct buf *out, const char *name, const struct exposition_label *labels, size_t n_labels, int64_t value_us);

#endif
