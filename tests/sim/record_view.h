/* record_view.h: a delivery record (metrics/README.md has its format) taken apart, for verify.c. */
#ifndef SIM_RECORD_VIEW_H
#define SIM_RECORD_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_view {
	uint64_t state, claims, partition, offset, attempts, uncertain, parts;
	int64_t accepted_ms, claimed_ms, sent_ms, ended_ms;     /* absolute; -1: none */
	char topic[32], campaign[64], country[8], provider[32], error[64];
	unsigned accepted_parts;        /* bits */
	unsigned n_extras, n_duplicates;
};

/* Reads the record of a message; false: there is none. A record that isn't one fails the run. */
bool record_view_get(const char *id, struct record_view *ret);
bool record_view_parse(const char *bytes, size_t len, struct record_view *ret);

#endif
