/*
 * record.c: the one place where a job's JSON is read. The tree that jansson builds lives only within record_parse(); what a job keeps
 * is copied into the job's own block. It never guesses: what breaks a rule is a reject, what is unknown is ignored.
 */
#include "consumer/record.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "dispatch/country.h"
#include "dispatch/gsm7.h"
#include "dispatch/job.h"
#include "metrics/shard.h"

enum field { F_ID, F_TO, F_TEXT, F_FROM, F_CAMPAIGN, F_PROVIDER, F_EXPIRES_AT, F_TTL_S, F_ON_UNCERTAIN, F_META, F_COUNT };

static const char *const field_names[F_COUNT] = {
	"id", "to", "text", "from", "campaign", "provider", "expires_at", "ttl_s", "on_uncertain", "meta",
};

/* What each field should have been, for the words of a reject. */
static const char *const field_rules[F_COUNT] = {
	"1 to 128 printable ASCII characters without a space",
	"a string of + and 7 to 15 digits (E.164)",
	"a string",
	"a string: + and 7 to 15 digits, or up to 11 letters and digits",
	"a string of up to 64 of A-Z a-z 0-9 . _ : -",
	"a string",
	"an integer: milliseconds since 1970",
	"an integer: seconds from the record's timestamp",
	"\"resend\", \"hold\" or \"fail\"",
	"an object of at most 1024 bytes",
};

static const enum record_reject field_rejects[F_COUNT] = {
	RECORD_BAD_ID, RECORD_BAD_TO, RECORD_BAD_TEXT, RECORD_BAD_FROM, RECORD_BAD_CAMPAIGN, RECORD_BAD_PROVIDER,
	RECORD_BAD_EXPIRES_AT, RECORD_BAD_TTL_S, RECORD_BAD_ON_UNCERTAIN, RECORD_BAD_META,
};

/* A record while it is read: strings point into jansson's tree or into the record itself. */
struct draft {
	const struct record_options *options;
	const struct record_position *at;
	const char *value;
	size_t len;
	int64_t now_ms;
	json_t *member[F_COUNT];        /* borrowed from the tree; NULL: absent */
	unsigned meta_index;            /* the member's place among its siblings */
	const char *meta;
	size_t meta_len, campaign_len;
	int64_t accepted_ms, expires_ms;
	enum store_policy on_uncertain;
	unsigned parts;
	struct record_fault *fault;
};

const char *record_reject_name(enum record_reject reject)
{
	switch (reject) {
	case RECORD_TOMBSTONE: return "tombstone";
	case RECORD_EMPTY: return "empty";
	case RECORD_TOO_LARGE: return "too_large";
	case RECORD_TOO_DEEP: return "too_deep";
	case RECORD_NOT_UTF8: return "not_utf8";
	case RECORD_BAD_JSON: return "bad_json";
	case RECORD_DUPLICATE_KEY: return "duplicate_key";
	case RECORD_NOT_OBJECT: return "not_object";
	case RECORD_MISSING_ID: return "missing_id";
	case RECORD_BAD_ID: return "bad_id";
	case RECORD_MISSING_TO: return "missing_to";
	case RECORD_BAD_TO: return "bad_to";
	case RECORD_MISSING_TEXT: return "missing_text";
	case RECORD_BAD_TEXT: return "bad_text";
	case RECORD_TOO_MANY_PARTS: return "too_many_parts";
	case RECORD_BAD_FROM: return "bad_from";
	case RECORD_BAD_CAMPAIGN: return "bad_campaign";
	case RECORD_BAD_PROVIDER: return "bad_provider";
	case RECORD_BAD_EXPIRES_AT: return "bad_expires_at";
	case RECORD_BAD_TTL_S: return "bad_ttl_s";
	case RECORD_BAD_ON_UNCERTAIN: return "bad_on_uncertain";
	case RECORD_BAD_META: return "bad_meta";
	case RECORD_TOO_OLD: return "too_old";
	}
	CHECK(false, "reject %d", (int)reject);
	return NULL;
}

/* ---- faults ---- */

__attribute__((format(printf, 3, 4), cold)) static int reject(struct record_fault *fault, enum record_reject why, const char *fmt, ...)
{
	va_list ap;

	fault->reject = why;
	va_start(ap, fmt);
	vsnprintf(fault->text, sizeof fault->text, fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

static const char *type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "another string";
	case JSON_INTEGER: return "another integer";
	case JSON_REAL: return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE: return "a boolean";
	case JSON_NULL: return "null";
	}
	return "something else";
}

/* The member breaks its rule; its value isn't shown, for it may be a number or a text. */
__attribute__((cold)) static int reject_field(const struct draft *d, enum field f)
{
	const json_t *v = d->member[f];

	if (json_is_string(v))
		return reject(d->fault, field_rejects[f], "%s: %zu bytes that don't fit the rule; it should be %s", field_names[f],
			      json_string_length(v), field_rules[f]);
	return reject(d->fault, field_rejects[f], "%s: %s; it should be %s", field_names[f], type_name(v), field_rules[f]);
}

/* jansson's own words quote the record, so they are not used: only where it stopped, and why. */
__attribute__((cold)) static int reject_json(struct record_fault *fault, const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_out_of_memory:
		return -ENOMEM;
	case json_error_invalid_utf8:
		return reject(fault, RECORD_NOT_UTF8, "byte %d: not UTF-8", e->position);
	case json_error_duplicate_key:
		return reject(fault, RECORD_DUPLICATE_KEY, "line %d, column %d: a key that the same object has already", e->line, e->column);
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return reject(fault, RECORD_BAD_JSON, "line %d, column %d: \\u0000 in a string", e->line, e->column);
	case json_error_numeric_overflow:
		return reject(fault, RECORD_BAD_JSON, "line %d, column %d: a number beyond 64 bits", e->line, e->column);
	case json_error_premature_end_of_input:
		return reject(fault, RECORD_BAD_JSON, "line %d, column %d: the JSON ends too early", e->line, e->column);
	case json_error_end_of_input_expected:
		return reject(fault, RECORD_BAD_JSON, "line %d, column %d: bytes behind the JSON object", e->line, e->column);
	default:
		return reject(fault, RECORD_BAD_JSON, "line %d, column %d: not JSON (RFC 8259)", e->line, e->column);
	}
}

/* ---- before jansson ---- */

/* jansson recurses 2,048 deep, on a task's stack of 64 KiB: so the depth is measured first. Counting all brackets answers for
 * nearly every record in one pass that the compiler makes wide; only what has more of them is walked. */
static bool too_deep(const char *s, size_t len)
{
	unsigned opened = 0, depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++)
		opened += (s[i] | 0x20) == '{';         /* `[` is 0x5b, `{` 0x7b */
	if (opened <= RECORD_DEPTH_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
		} else if (s[i] == '"') {
			in_string = true;
		} else if (s[i] == '{' || s[i] == '[') {
			if (++depth > RECORD_DEPTH_MAX)
				return true;
		} else if ((s[i] == '}' || s[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

static int check_bytes(const struct draft *d)
{
	const char *nul;

	if (d->value == NULL)
		return reject(d->fault, RECORD_TOMBSTONE, "no value (a tombstone); a job is a JSON object");
	if (d->len == 0)
		return reject(d->fault, RECORD_EMPTY, "0 bytes; a job is a JSON object");
	if (d->len > RECORD_SIZE_MAX)
		return reject(d->fault, RECORD_TOO_LARGE, "%zu bytes; at most %d", d->len, RECORD_SIZE_MAX);
	if (too_deep(d->value, d->len))
		return reject(d->fault, RECORD_TOO_DEEP, "nested deeper than %d", RECORD_DEPTH_MAX);
	nul = memchr(d->value, '\0', d->len);   /* no JSON has one (RFC 8259), but jansson passes over it behind a number */
	if (nul != NULL)
		return reject(d->fault, RECORD_BAD_JSON, "byte %zu: a NUL", (size_t)(nul - d->value));
	return 0;
}

/* ---- members ---- */

static enum field field_of(const char *key)
{
	enum field f = F_COUNT;

	switch (key[0]) {
	case 'i': f = F_ID; break;
	case 't': f = key[1] == 'o' ? F_TO : key[1] == 'e' ? F_TEXT : F_TTL_S; break;
	case 'f': f = F_FROM; break;
	case 'c': f = F_CAMPAIGN; break;
	case 'p': f = F_PROVIDER; break;
	case 'e': f = F_EXPIRES_AT; break;
	case 'o': f = F_ON_UNCERTAIN; break;
	case 'm': f = F_META; break;
	}
	return f != F_COUNT && strcmp(key, field_names[f]) == 0 ? f : F_COUNT;
}

static void collect(struct draft *d, json_t *root)
{
	unsigned index = 0;

	for (void *it = json_object_iter(root); it != NULL; it = json_object_iter_next(root, it), index++) {
		enum field f = field_of(json_object_iter_key(it));

		if (f == F_COUNT)
			continue;
		d->member[f] = json_object_iter_value(it);
		if (f == F_META)
			d->meta_index = index;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* ITU-T E.164, 6.1: at most 15 digits. */
static bool is_e164(const char *s, size_t len)
{
	if (len < 8 || len > 16 || s[0] != '+')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_digit(s[i]))
			return false;
	return true;
}

static bool is_id(const char *s, size_t len)
{
	if (len < 1 || len > JOB_ID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] >= 0x7f)
			return false;
	return true;
}

/* An alphanumeric sender has at most 11 characters (3GPP TS 23.040, 9.1.2.5); a short code is one of digits. */
static bool is_sender(const char *s, size_t len)
{
	if (is_e164(s, len))
		return true;
	if (len < 1 || len > 11)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]))
			return false;
	return true;
}

static bool is_campaign(const char *s, size_t len)
{
	if (len < 1 || len > JOB_CAMPAIGN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != ':' && s[i] != '-')
			return false;
	return true;
}

static bool is_any(const char *s, size_t len)
{
	(void)s;
	(void)len;
	return true;
}

typedef bool(string_rule_fn)(const char *s, size_t len);

static int check_string(const struct draft *d, enum field f, string_rule_fn *rule)
{
	const json_t *v = d->member[f];

	if (v == NULL)
		return 0;
	return json_is_string(v) && rule(json_string_value(v), json_string_length(v)) ? 0 : reject_field(d, f);
}

static int check_required(const struct draft *d)
{
	static const enum record_reject missing[] = { RECORD_MISSING_ID, RECORD_MISSING_TO, RECORD_MISSING_TEXT };

	for (enum field f = F_ID; f <= F_TEXT; f++)
		if (d->member[f] == NULL)
			return reject(d->fault, missing[f], "%s: missing; it should be %s", field_names[f], field_rules[f]);
	return 0;
}

static int check_strings(struct draft *d)
{
	const json_t *text = d->member[F_TEXT];
	int rc;

	if ((rc = check_string(d, F_ID, is_id)) < 0 || (rc = check_string(d, F_TO, is_e164)) < 0 ||
	    (rc = check_string(d, F_TEXT, is_any)) < 0 || (rc = check_string(d, F_FROM, is_sender)) < 0 ||
	    (rc = check_string(d, F_CAMPAIGN, is_campaign)) < 0 || (rc = check_string(d, F_PROVIDER, is_any)) < 0)
		return rc;
	d->parts = gsm7_parts(json_string_value(text), json_string_length(text));
	if (d->parts > JOB_PARTS_MAX)
		return reject(d->fault, RECORD_TOO_MANY_PARTS, "text: %u parts; at most %d", d->parts, JOB_PARTS_MAX);
	return 0;
}

/* a + b * scale, for a, b >= 0, held at the end of the range instead of overflowing. */
static int64_t add_scaled(int64_t a, int64_t b, int64_t scale)
{
	int64_t product, sum;

	if (__builtin_mul_overflow(b, scale, &product) || __builtin_add_overflow(a, product, &sum))
		return INT64_MAX;
	return sum;
}

static int check_times(struct draft *d)
{
	int64_t stamp = d->at->timestamp_ms >= 0 ? d->at->timestamp_ms : d->now_ms, age;
	const json_t *at = d->member[F_EXPIRES_AT], *ttl = d->member[F_TTL_S];

	if (at != NULL && (!json_is_integer(at) || json_integer_value(at) < 0))
		return reject_field(d, F_EXPIRES_AT);
	if (ttl != NULL && (!json_is_integer(ttl) || json_integer_value(ttl) < 0))
		return reject_field(d, F_TTL_S);
	age = d->now_ms - stamp;
	if (d->options->max_age_ms > 0 && age > d->options->max_age_ms)
		return reject(d->fault, RECORD_TOO_OLD, "%" PRId64 " s old; at most %" PRId64 ": its dedupe record is gone", age / 1000,
			      d->options->max_age_ms / 1000);
	d->accepted_ms = stamp < d->now_ms ? stamp : d->now_ms;
	d->expires_ms = at != NULL ? json_integer_value(at) : INT64_MAX;
	if (ttl != NULL || at == NULL) {
		int64_t end = add_scaled(stamp, ttl != NULL ? json_integer_value(ttl) : d->options->default_ttl_s, 1000);

		if (end < d->expires_ms)
			d->expires_ms = end;
	}
	return 0;
}

static int check_policy(struct draft *d)
{
	const char *word;

	d->on_uncertain = d->options->on_uncertain;
	if (d->member[F_ON_UNCERTAIN] == NULL)
		return 0;
	word = json_string_value(d->member[F_ON_UNCERTAIN]);
	if (word != NULL && strcmp(word, "resend") == 0)
		d->on_uncertain = STORE_RESEND;
	else if (word != NULL && strcmp(word, "hold") == 0)
		d->on_uncertain = STORE_HOLD;
	else if (word != NULL && strcmp(word, "fail") == 0)
		d->on_uncertain = STORE_FAIL;
	else
		return reject_field(d, F_ON_UNCERTAIN);
	return 0;
}

/* ---- meta: its bytes as they stand in the record ---- */

/* Past a string that starts at `p` (on its quote). The JSON is known to be valid. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p + 1;
}

/* Past the value at `p`: to the comma or bracket that ends it, blanks before that included. */
static const char *skip_value(const char *p)
{
	unsigned depth = 0;

	for (;;) {
		if (*p == '"') {
			p = skip_string(p);
			continue;
		}
		if (depth == 0 && (*p == ',' || *p == '}' || *p == ']'))
			return p;
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Members keep their order in jansson's tree, so the index there finds the bytes here, however the key is escaped. */
static void find_meta(struct draft *d)
{
	const char *p = strchr(d->value, '{') + 1, *end;

	for (unsigned i = 0;; i++) {
		while (*p != '"')
			p++;
		p = skip_string(p);
		while (*p != ':')
			p++;
		end = skip_value(p + 1);
		if (i == d->meta_index)
			break;
		p = end;
	}
	for (p++; is_blank(*p); p++)
		;
	while (is_blank(end[-1]))
		end--;
	d->meta = p;
	d->meta_len = (size_t)(end - p);
}

static int check_meta(struct draft *d)
{
	if (d->member[F_META] == NULL)
		return 0;
	if (!json_is_object(d->member[F_META]))
		return reject_field(d, F_META);
	find_meta(d);
	if (d->meta_len > JOB_META_MAX)
		return reject(d->fault, RECORD_BAD_META, "meta: %zu bytes; it should be %s", d->meta_len, field_rules[F_META]);
	return 0;
}

/* ---- the job ---- */

static size_t string_room(const json_t *v)
{
	return v != NULL ? json_string_length(v) + 1 : 0;
}

static const char *put(char **p, const char *s, size_t len)
{
	char *start = *p;

	memcpy(start, s, len);
	start[len] = '\0';
	*p = start + len + 1;
	return start;
}

static const char *put_string(char **p, const json_t *v)
{
	return v != NULL ? put(p, json_string_value(v), json_string_length(v)) : NULL;
}

static uint16_t length_of(const json_t *v)
{
	return v != NULL ? (uint16_t)json_string_length(v) : 0;
}

static void fill_message(const struct draft *d, struct store_message *m, const char *to)
{
	m->shard = shard_of(m->id, m->id_len, d->options->shards);
	m->parts = (uint8_t)d->parts;
	country_code(to, m->country);
	m->partition = d->at->partition;
	m->offset = d->at->offset;
	m->epoch = d->at->epoch;
	m->accepted_ms = d->accepted_ms;
	m->expires_ms = d->expires_ms;
	m->on_uncertain = d->on_uncertain;
}

static struct job *build(const struct draft *d)
{
	static const char default_campaign[] = "default";
	json_t *const *v = d->member;
	size_t topic_len = strlen(d->at->topic), size = sizeof(struct job) + topic_len + 1 + sizeof default_campaign + d->meta_len + 1;
	struct job *job;
	char *p;

	for (enum field f = F_ID; f <= F_PROVIDER; f++)
		size += string_room(v[f]);
	job = mem_alloc(size);
	if (job == NULL)
		return NULL;
	memset(job, 0, sizeof *job);
	p = (char *)(job + 1);
	job->msg.id = put_string(&p, v[F_ID]);
	job->msg.id_len = length_of(v[F_ID]);
	job->to = put_string(&p, v[F_TO]);
	job->to_len = length_of(v[F_TO]);
	job->text = put_string(&p, v[F_TEXT]);
	job->text_len = (uint32_t)json_string_length(v[F_TEXT]);
	job->from = put_string(&p, v[F_FROM]);
	job->from_len = length_of(v[F_FROM]);
	job->provider = put_string(&p, v[F_PROVIDER]);
	job->provider_len = length_of(v[F_PROVIDER]);
	job->msg.campaign = v[F_CAMPAIGN] != NULL ? put_string(&p, v[F_CAMPAIGN]) : put(&p, default_campaign, sizeof default_campaign - 1);
	job->msg.campaign_len = v[F_CAMPAIGN] != NULL ? length_of(v[F_CAMPAIGN]) : sizeof default_campaign - 1;
	job->msg.topic = put(&p, d->at->topic, topic_len);
	job->msg.topic_len = (uint16_t)topic_len;
	if (d->meta != NULL) {
		job->meta = put(&p, d->meta, d->meta_len);
		job->meta_len = (uint16_t)d->meta_len;
	}
	fill_message(d, &job->msg, job->to);
	return job;
}

static int read_object(struct draft *d, json_t *root, struct job **ret_job)
{
	struct job *job;
	int rc;

	if (!json_is_object(root))
		return reject(d->fault, RECORD_NOT_OBJECT, "an array; a job is a JSON object");
	collect(d, root);
	if ((rc = check_required(d)) < 0 || (rc = check_strings(d)) < 0 || (rc = check_policy(d)) < 0 || (rc = check_meta(d)) < 0 ||
	    (rc = check_times(d)) < 0)
		return rc;
	job = build(d);
	if (job == NULL)
		return -ENOMEM;
	*ret_job = job;
	return 0;
}

int record_parse(const struct record_options *options, const struct record_position *at, const void *value, size_t len, int64_t now_ms,
		 struct job **ret_job, struct record_fault *ret_fault)
{
	struct draft d = { .options = options, .at = at, .value = value, .len = len, .now_ms = now_ms, .fault = ret_fault };
	json_error_t error;
	json_t *root;
	int rc = check_bytes(&d);

	if (rc < 0)
		return rc;
	root = json_loadb(value, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return reject_json(ret_fault, &error);
	rc = read_object(&d, root, ret_job);
	json_decref(root);
	return rc;
}
