/*
 * gateway_http_presets.c: the providers whose HTTP API is known. A new one is a table here. Constant, any thread.
 * What no table names is UNCERTAIN: the request was read, and what became of it isn't known.
 */
#include <stddef.h>
#include <string.h>

#include "dispatch/gateway_http_preset.h"

/*
 * Ours (README.md). 408 says that the request never arrived whole (RFC 9110, 15.5.9), so it isn't a no for good as the other 4xx are;
 * it comes from servers that close an idle connection while we write. 401 and 407 speak of our credentials, not of the message: a wrong
 * password must not use up a whole backlog, so they hold the provider until somebody has mended it. 3xx: a message is never sent to where a reply points.
 */
static const struct gateway_http_status generic_statuses[] = {
	{ 200, 299, GATEWAY_ACCEPTED }, { 300, 399, GATEWAY_REFUSED }, { 401, 401, GATEWAY_THROTTLED }, { 407, 407, GATEWAY_THROTTLED },
	{ 408, 408, GATEWAY_TRANSIENT }, { 429, 429, GATEWAY_THROTTLED }, { 400, 499, GATEWAY_REFUSED }, { 503, 503, GATEWAY_THROTTLED }, { 0 },
};

static const struct gateway_http_field generic_fields[] = {
	{ "id", GATEWAY_HTTP_ID, NULL }, { "to", GATEWAY_HTTP_TO, NULL }, { "from", GATEWAY_HTTP_FROM, NULL },
	{ "text", GATEWAY_HTTP_TEXT, NULL }, { "part", GATEWAY_HTTP_PART, NULL }, { "parts", GATEWAY_HTTP_PARTS, NULL }, { 0 },
};

/* Twilio, Programmable Messaging, "Create a Message resource"; 429 is its error 20429. */
static const struct gateway_http_field twilio_fields[] = {
	{ "To", GATEWAY_HTTP_TO, NULL }, { "From", GATEWAY_HTTP_FROM, NULL }, { "Body", GATEWAY_HTTP_TEXT, NULL }, { 0 },
};

/*
 * Kannel user's guide, "SMS-push": 202 with "0: Accepted for delivery" or "3: Queued for later delivery", 4xx for what can't be
 * delivered in any circumstances, 503 for a temporal failure: of one SMSC, so the provider as a whole isn't paused.
 */
static const struct gateway_http_status kannel_statuses[] = {
	{ 200, 299, GATEWAY_ACCEPTED }, { 300, 399, GATEWAY_REFUSED }, { 401, 401, GATEWAY_THROTTLED }, { 407, 407, GATEWAY_THROTTLED },
	{ 408, 408, GATEWAY_TRANSIENT }, { 429, 429, GATEWAY_THROTTLED }, { 400, 499, GATEWAY_REFUSED }, { 503, 503, GATEWAY_TRANSIENT }, { 0 },
};

static const struct gateway_http_field kannel_fields[] = {
	{ "username", GATEWAY_HTTP_USER, NULL }, { "password", GATEWAY_HTTP_PASSWORD, NULL }, { "charset", GATEWAY_HTTP_LITERAL, "UTF-8" },
	{ "to", GATEWAY_HTTP_TO, NULL }, { "from", GATEWAY_HTTP_FROM, NULL }, { "coding", GATEWAY_HTTP_CODING, NULL },
	{ "udh", GATEWAY_HTTP_UDH, NULL }, { "text", GATEWAY_HTTP_TEXT, NULL }, { 0 },
};

static const struct gateway_http_preset presets[] = {
	{
		.name = "generic", .methods = "POST PUT", .form = GATEWAY_HTTP_JSON, .fields = generic_fields, .default_path = "/",
		.authorization = true, .idempotency_key = true, .id_expected = true, .id_path = "id", .error_path = "code",
		.statuses = generic_statuses,
	},
	{
		.name = "twilio", .methods = "POST", .form = GATEWAY_HTTP_FORM, .fields = twilio_fields, .default_path = "",
		.path_before_user = "/2010-04-01/Accounts/", .path_after_user = "/Messages.json", .needs_user = true, .authorization = true,
		.id_expected = true, .id_path = "sid", .error_path = "code", .statuses = generic_statuses,
	},
	{
		.name = "kannel", .methods = "GET", .form = GATEWAY_HTTP_QUERY, .fields = kannel_fields, .default_path = "/cgi-bin/sendsms",
		.needs_user = true, .kannel_text = true, .statuses = kannel_statuses,
	},
};

const struct gateway_http_preset *gateway_http_preset(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(presets); i++) {
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
	}
	return NULL;
}

const char *gateway_http_preset_names(void)
{
	return "generic, twilio, kannel";
}

enum gateway_verdict gateway_http_preset_verdict(const struct gateway_http_preset *preset, unsigned status)
{
	for (const struct gateway_http_status *s = preset->statuses; s->from != 0; s++) {
		if (status >= s->from && status <= s->to)
			return s->verdict;
	}
	return GATEWAY_UNCERTAIN;
}
