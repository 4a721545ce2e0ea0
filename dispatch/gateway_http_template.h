/*
 * gateway_http_template.h: a preset and a configuration, compiled to what is the same in every request and what changes with the part.
 * Escapes each value for where it goes. Pure but for memory.
 */
#ifndef DISPATCH_GATEWAY_HTTP_TEMPLATE_H
#define DISPATCH_GATEWAY_HTTP_TEMPLATE_H

#include <stddef.h>

#include "daemon/base/buf.h"
#include "dispatch/gateway_http_preset.h"

struct provider_options;

enum { GATEWAY_HTTP_FIELDS_MAX = 16 };

struct gateway_http_template {
	const struct gateway_http_preset *preset;
	const char *method;
	struct buf head;                /* constant header fields; holds the credentials */
	struct buf path;                /* of QUERY: up to and with the ? or & */
	struct buf constant;            /* what stands before each value, and behind the last */
	struct {
		size_t start, len;      /* in constant */
		enum gateway_http_source source;        /* 0: nothing follows */
	} fields[GATEWAY_HTTP_FIELDS_MAX + 1];
	size_t n_fields;
};

/* `path` is the URL's, user and password may be NULL. 0, -EINVAL with words in err, -ENOMEM. Fini in any case. */
int gateway_http_template_init(struct gateway_http_template *t, const struct gateway_http_preset *preset,
			       const struct provider_options *options, const char *path, char *err, size_t err_len) MUST_CHECK;
void gateway_http_template_fini(struct gateway_http_template *t);

/* Appends the body (JSON, FORM), or the whole path with its query (QUERY). */
void gateway_http_template_put(const struct gateway_http_template *t, const struct gateway_part *part, struct buf *out);

#endif
