/* gateway_http_preset.h: what a provider's HTTP API looks like: which fields go where, and what its answers mean. Constant tables. */
#ifndef DISPATCH_GATEWAY_HTTP_PRESET_H
#define DISPATCH_GATEWAY_HTTP_PRESET_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/gateway.h"

/* Where a field's value comes from: the configuration (known at start), or the part that is sent. */
enum gateway_http_source {
	GATEWAY_HTTP_LITERAL = 1, GATEWAY_HTTP_USER, GATEWAY_HTTP_PASSWORD,
	GATEWAY_HTTP_ID, GATEWAY_HTTP_TO, GATEWAY_HTTP_FROM, GATEWAY_HTTP_TEXT,
	GATEWAY_HTTP_PART, GATEWAY_HTTP_PARTS,          /* numbers */
	GATEWAY_HTTP_CODING,                            /* Kannel's: 0 GSM 03.38, 2 UCS-2 */
	GATEWAY_HTTP_UDH,                               /* bytes; left out where the message has one part */
};

struct gateway_http_field {
	const char *name;                       /* NULL ends the list */
	enum gateway_http_source source;
	const char *literal;
};

enum gateway_http_form { GATEWAY_HTTP_JSON = 1, GATEWAY_HTTP_FORM, GATEWAY_HTTP_QUERY };

struct gateway_http_status {
	uint16_t from, to;                      /* 0 ends the list; what is in none is UNCERTAIN */
	enum gateway_verdict verdict;
};

struct gateway_http_preset {
	const char *name;
	const char *methods;                    /* allowed, space separated; the first is the default */
	enum gateway_http_form form;
	const struct gateway_http_field *fields;
	const char *default_path;               /* where the URL has none */
	const char *path_before_user, *path_after_user; /* appended to the URL's with the user between; NULL: nothing is */
	bool needs_user, authorization;         /* user and password must be there; they travel in an Authorization header */
	bool idempotency_key;
	bool id_expected;                       /* an accepting reply without id is odd, and counted */
	bool kannel_text;                       /* the id is in Kannel's text, not in JSON */
	const char *id_path, *error_path;       /* NULL: none */
	const struct gateway_http_status *statuses;
};

/* NULL: there is none of that name. */
const struct gateway_http_preset *gateway_http_preset(const char *name);
/* All names, for messages: "generic, twilio, kannel". */
const char *gateway_http_preset_names(void);
enum gateway_verdict gateway_http_preset_verdict(const struct gateway_http_preset *preset, unsigned status);

#endif
