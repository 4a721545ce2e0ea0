/* scripts.h: the Lua scripts that metrics/store runs in Redis, as they stand in metrics/scripts/ (scripts_embed.S). */
#ifndef METRICS_SCRIPTS_H
#define METRICS_SCRIPTS_H

extern const char scripts_claim_text[], scripts_outcome_text[], scripts_map_text[];

#endif
