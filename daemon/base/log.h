/*
 * log.h: one line per event, as key=value (logfmt) or JSON, to stderr or a file. From any thread and any layer; a line is one
 * write(2), so lines never mix. Never a message's text, never a whole phone number: LOG_PHONE is the only way in for a number.
 *
 *	log_warn("redis is away", LOG_STR("url", url), LOG_INT("retry_ms", ms));
 *
 * The message is a stable, short, lower-case phrase (people grep for it and alert on it); what varies goes into fields. A line
 * about a record bears topic, partition, offset and id. Each call site may write LOG_BURST lines per LOG_WINDOW_MS: what is above
 * is counted, and the count follows as `suppressed` with that site's next line or by log_tick().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum log_level { LOG_LEVEL_DEBUG = 1, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_KV = 1, LOG_FORMAT_JSON };
enum { LOG_BURST = 20, LOG_WINDOW_MS = 10000, LOG_LINE_MAX = 4096 };

struct log_field {
	const char *key;
	enum log_kind { LOG_KIND_STR = 1, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_BOOL, LOG_KIND_PHONE } kind;
	size_t len;                     /* of s */
	union {
		const char *s;          /* NULL: null */
		int64_t i;
		uint64_t u;
	};
};

/* LOG_STRN takes bytes that are no C string; LOG_PHONE shows the last three digits and masks the rest. */
#define LOG_STR(k, v) ((struct log_field){ .key = (k), .kind = LOG_KIND_STR, .len = SIZE_MAX, .s = (v) })
#define LOG_STRN(k, v, n) ((struct log_field){ .key = (k), .kind = LOG_KIND_STR, .len = (n), .s = (v) })
#define LOG_INT(k, v) ((struct log_field){ .key = (k), .kind = LOG_KIND_INT, .i = (int64_t)(v) })
#define LOG_UINT(k, v) ((struct log_field){ .key = (k), .kind = LOG_KIND_UINT, .u = (uint64_t)(v) })
#define LOG_BOOL(k, v) ((struct log_field){ .key = (k), .kind = LOG_KIND_BOOL, .u = (v) ? 1 : 0 })
#define LOG_PHONE(k, v) ((struct log_field){ .key = (k), .kind = LOG_KIND_PHONE, .len = SIZE_MAX, .s = (v) })

#define log_debug(msg, ...) LOG_AT(LOG_LEVEL_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...) LOG_AT(LOG_LEVEL_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) LOG_AT(LOG_LEVEL_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) LOG_AT(LOG_LEVEL_ERROR, msg, ##__VA_ARGS__)
/* What an operator asked for (dumps, state): as info, but never suppressed, whatever the level. */
#define log_report(msg, ...) \
	log_write(NULL, LOG_LEVEL_INFO, msg, (const struct log_field[]){ { .key = NULL }, ##__VA_ARGS__ } + 1, LOG_COUNT(__VA_ARGS__))

/* ---- set-up: the process starts with kv lines of level info on stderr ---- */

/* Where lines go: a file, opened for append, or (NULL) stderr. On failure (negative errno) nothing changes. */
int log_open(const char *path) MUST_CHECK;
/* Opens the file again by its name, after a rotation. Lines written meanwhile go to one of the two. 0 also on stderr. */
int log_reopen(void) MUST_CHECK;
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
/* 0 or -EINVAL: "debug", "info", "warn", "error". */
int log_level_parse(const char *name, enum log_level *ret) MUST_CHECK;
/* Says what was suppressed by sites that fell silent since; the control thread calls it now and then. */
void log_tick(void);

struct log_counters {
	uint64_t lines_total, suppressed_total, lost_total;     /* lost: the write failed (disk full, closed pipe) */
};
void log_counters(struct log_counters *ret);

/* ---- what the macros stand on ---- */

struct log_site {
	_Atomic int64_t window_us;
	_Atomic uint32_t count, suppressed;
	_Atomic bool listed;
	const char *msg;                /* these two are set before it is listed */
	struct log_site *next;
};

extern _Atomic int log_level_now;

static inline bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* site NULL: no limit. */
void log_write(struct log_site *site, enum log_level level, const char *msg, const struct log_field *fields, size_t n_fields);

#define LOG_COUNT(...) (sizeof((const struct log_field[]){ { .key = NULL }, ##__VA_ARGS__ }) / sizeof(struct log_field) - 1)
#define LOG_AT(level, msg, ...) \
	do { \
		static struct log_site log_site_; \
		if (log_enabled(level)) \
			log_write(&log_site_, level, msg, \
				  (const struct log_field[]){ { .key = NULL }, ##__VA_ARGS__ } + 1, LOG_COUNT(__VA_ARGS__)); \
	} while (0)

#endif
