/* demo_report.h: what the demo found out, its verdict and how it is written. Pure: figures in, text or JSON out. */
#ifndef CTL_DEMO_REPORT_H
#define CTL_DEMO_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/ctl/demo_provider.h"

enum { DEMO_REASONS_MAX = 12 };

struct demo_result {
	uint64_t messages;              /* asked for */
	uint64_t produced;              /* taken by Kafka */
	/* as the daemon counts */
	uint64_t accepted, settled, sent, refused, failed, lapsed, held, open;
	uint64_t uncertain, extra_sends, duplicates, dead;
	/* as the provider counts: ids taken once, more than once, and its requests */
	uint64_t ids_once, ids_more;
	struct demo_ledger ledger;
	double p50_s, p90_s, p99_s;     /* accepted to sent; negative: nothing was sent */
	uint64_t warm_up;               /* settled before the clock started */
	int64_t elapsed_us;             /* from the clock's start to the last outcome */
	int64_t cpu_us, peak_bytes;     /* of the daemon, while messages flowed */
	unsigned rate;                  /* offered, a second */
	unsigned n_reasons;
	struct demo_reason {
		char state[16], error[48];
		uint64_t count;
	} reasons[DEMO_REASONS_MAX];    /* of those not sent, as their records in Redis have it */
	uint64_t reasons_more;          /* not sent, and neither counted above nor looked up */
	bool interrupted, cut;          /* cut: interrupted again, what was in flight was not waited for */
	int daemon_exit;
};

void demo_result_reason(struct demo_result *r, const char *state, const char *error);
/* Takes the ends other than `sent` from the reasons, which the records in Redis gave: for when every message not sent was looked up. */
void demo_result_take_ends(struct demo_result *r);

/* Whether all that was promised held; each thing that didn't is a line in `why`. Of a run that was cut nothing can be said: it holds. */
bool demo_result_holds(const struct demo_result *r, struct buf *why);

void demo_report(const struct demo_result *r, bool colour, struct buf *out);
json_t *demo_report_json(const struct demo_result *r);

/* One line of progress, without its end: a bar of `width` columns in all on a terminal, words where width is 0. */
struct demo_progress {
	uint64_t total, settled, sent, inflight;
	double rate;
};
void demo_progress_line(const struct demo_progress *p, unsigned width, bool colour, struct buf *out);

#endif
