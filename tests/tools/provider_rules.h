/*
 * provider_rules.h: which request the simulated provider answers how. Rules are lines of text, tried in order, the first that fits
 * and isn't used up decides; without one the answer is `ok`.
 *
 *   <id prefix | *> <action> [percent=P] [times=N] [delay=MS] [jitter=MS] [retry_after=S] [retry_after_date=S]
 *
 * Actions: ok, a status (400, 429, 500, 503, ...), hang, reset (before the reply), reset_mid (amid it), close (FIN without a reply),
 * cut (FIN amid the reply), garbage, big (1 MB of reply), slow (a byte a second), chunked, empty (204).
 */
#ifndef TESTS_TOOLS_PROVIDER_RULES_H
#define TESTS_TOOLS_PROVIDER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum provider_action {
	PROVIDER_OK = 1, PROVIDER_STATUS, PROVIDER_HANG, PROVIDER_RESET, PROVIDER_RESET_MID, PROVIDER_CLOSE, PROVIDER_CUT,
	PROVIDER_GARBAGE, PROVIDER_BIG, PROVIDER_SLOW, PROVIDER_CHUNKED, PROVIDER_EMPTY,
};

/* What to do with one request. */
struct provider_verdict {
	enum provider_action action;
	int status;                     /* PROVIDER_STATUS */
	int delay_ms, jitter_ms;        /* -1: as configured for all */
	int retry_after_s;              /* -1: no such header */
	bool retry_after_date;
};

struct provider_rules;

/* NULL: out of memory. `seed` feeds the percentages. */
struct provider_rules *provider_rules_new(uint64_t seed);
void provider_rules_free(struct provider_rules *rules);

/* Appends a rule of `len` bytes. 0, or -EINVAL with nothing changed. Any thread. */
int provider_rules_add(struct provider_rules *rules, const char *text, size_t len);
/* Any thread. */
void provider_rules_clear(struct provider_rules *rules);

/* Decides about a request for `id`, and counts the rule as used. Any thread. */
void provider_rules_decide(struct provider_rules *rules, const char *id, struct provider_verdict *ret);

/* The word the ledger uses: "200", "429", "hang", ... */
const char *provider_verdict_name(const struct provider_verdict *verdict, char scratch[static 12]);

/* Uniform in [0, below), from the same seed; 0 for 0. Any thread. */
unsigned provider_rules_random(struct provider_rules *rules, unsigned below);

#endif
