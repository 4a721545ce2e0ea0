/* call.h: what the commands share: where the daemon is, asking it, and saying on stderr what went wrong, each with its exit code. */
#ifndef CTL_CALL_H
#define CTL_CALL_H

#include <jansson.h>

#include "daemon/base/buf.h"
#include "daemon/ctl/cli.h"

/* The path of the admin socket. CTL_OK, or an exit code, words on stderr. */
int call_socket(struct cli *cli, char *ret, size_t ret_len) MUST_CHECK;

/* Asks the daemon. CTL_OK with its JSON (the caller's; NULL where `ret` is NULL), or an exit code, words on stderr. `body` is
 * consumed, NULL for none. */
int call_json(struct cli *cli, const char *method, const char *target, json_t *body, json_t **ret) MUST_CHECK;

/* GET, then --json prints it and *ret stays NULL. */
int call_show(struct cli *cli, const char *target, json_t **ret) MUST_CHECK;
/* A change: prints the daemon's answer with --json, else the line `said`. */
int call_change(struct cli *cli, const char *method, const char *target, json_t *body, const char *said) MUST_CHECK;

void call_print_json(const json_t *json);
/* Writes the buffer to stdout and frees it; CTL_OK, or CTL_BUG where memory was short. */
int call_print(struct buf *out) MUST_CHECK;

/* A member's number, or `fallback`; its string, or "-". */
int64_t call_int(const json_t *object, const char *name, int64_t fallback);
const char *call_str(const json_t *object, const char *name);
/* The string at that place of a list, or "?". */
const char *call_str_at(const json_t *array, size_t index);

#endif
