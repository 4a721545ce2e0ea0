/*
 * provider_sim.h: an SMS provider over HTTP(S), simulated, on a thread of its own. Serves the demo, the tests and the benchmarks.
 * It answers `POST /send` and the like as its rules say (provider_rules.h), and keeps a ledger: a line for every request that was
 * read in full, written before anything is answered:   <ms since 1970> <id> <part> <status or fault> <provider's id>
 *
 * Control, on either port: GET /control/stats; POST /control with lines of  rule <RULE> | clear | delay <MS> <JITTER MS> |
 * listen on|off (off: connects are refused) | drop (every connection is reset).
 */
#ifndef TESTS_TOOLS_PROVIDER_SIM_H
#define TESTS_TOOLS_PROVIDER_SIM_H

#include <stddef.h>
#include <stdint.h>

struct provider_sim_options {
	uint16_t port, control_port;    /* on 127.0.0.1; 0: chosen */
	unsigned delay_ms, jitter_ms;   /* a reply takes delay + [0, jitter) */
	const char *ledger;             /* appended to; NULL: none */
	const char *cert_file, *key_file;       /* both: HTTPS */
	const char *rules;              /* lines; NULL: none */
	uint64_t seed;
};

struct provider_sim_stats {
	uint64_t requests, replies, accepted, faults;   /* accepted: 2xx; faults: everything else */
	uint64_t connections;                           /* ever */
	uint64_t open, in_progress, in_progress_max;    /* now, now, at most */
};

struct provider_sim;

/* NULL with words in err. Listens when it returns. */
struct provider_sim *provider_sim_start(const struct provider_sim_options *options, char *err, size_t err_len);
/* Ends the thread, closes everything. Takes NULL. */
void provider_sim_stop(struct provider_sim *sim);

uint16_t provider_sim_port(const struct provider_sim *sim);
uint16_t provider_sim_control_port(const struct provider_sim *sim);
/* Any thread. */
void provider_sim_stats(const struct provider_sim *sim, struct provider_sim_stats *ret);
/* Adds rules, a line each; 0 or -EINVAL. Any thread. */
int provider_sim_rules(struct provider_sim *sim, const char *lines);

#endif
