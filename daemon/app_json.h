/* app_json.h: the daemon's state as JSON, for the admin API and for USR2's lines in the log. Control thread; nothing suspends. */
#ifndef DAEMON_APP_JSON_H
#define DAEMON_APP_JSON_H

#include <stddef.h>

#include "daemon/json_out.h"

struct app;
struct kafka_source_partition;

/* An object each; `key` as json_out_begin(). From what is known: app_refresh() first. */
void app_json_state(struct json_out *o, const char *key, const struct app *app);
void app_json_worker(struct json_out *o, const char *key, const struct app *app, unsigned index);
void app_json_provider(struct json_out *o, const char *key, const struct app *app, size_t index);
void app_json_partition(struct json_out *o, const char *key, const struct kafka_source_partition *partition);

#endif
