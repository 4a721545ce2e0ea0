/* body.h: the JSON object of a request. The one file of the daemon that knows jansson, beside consumer/record.c. */
#ifndef ADMIN_BODY_H
#define ADMIN_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/check.h"

struct body;

/* An object, no key twice; an empty text is an empty object. NULL with words in err. */
struct body *body_parse(const char *text, size_t len, char *err, size_t err_len) MUST_CHECK;
void body_free(struct body *body);              /* takes NULL */

/* False with words in err where a member is not among the `n` names. */
bool body_has_only(const struct body *body, const char *const *names, size_t n, char *err, size_t err_len);
bool body_has(const struct body *body, const char *name);
/* A member's string, or NULL where it is missing or no string. */
const char *body_str(const struct body *body, const char *name);
/* False where it is missing or no whole number; of booleans: no boolean. */
bool body_int(const struct body *body, const char *name, int64_t *ret);
bool body_bool(const struct body *body, const char *name, bool *ret);

int body_set_str(struct body *body, const char *name, const char *value) MUST_CHECK;    /* -ENOMEM */
/* Compact, in the order of the members. */
void body_print(const struct body *body, struct buf *out);

#endif
