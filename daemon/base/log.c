/*
 * log.c: formats a line in a buffer of the thread and writes it at once. Runs on any thread. It takes no lock, keeps no queue and
 * refuses to wait: what can't be written is counted as lost. File descriptors are swapped by dup2(), which writers never notice.
 */
#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "daemon/base/utf8.h"

enum { VALUE_MAX = 1024, TAIL = 48 };   /* bytes of one value; room kept for what ends a line */

_Atomic int log_level_now = LOG_LEVEL_INFO;
static _Atomic int format_now = LOG_FORMAT_KV;
static _Atomic int out_fd = STDERR_FILENO;
static _Atomic bool to_journal;
static char *out_path;                  /* control thread only */
static struct log_site *_Atomic listed_sites;
static _Atomic uint64_t lines_total, suppressed_total, lost_total;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_ERROR] = "error",
};

struct line {
	char *data;
	size_t len;
	bool json, cut;
};

static _Thread_local char line_data[LOG_LINE_MAX];

/* ---- bounded writing ---- */

static void put(struct line *l, const char *s, size_t n)
{
	if (l->len + n > LOG_LINE_MAX - TAIL) {
		l->cut = true;
		return;
	}
	memcpy(l->data + l->len, s, n);
	l->len += n;
}

static void puts_line(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void put_number(struct line *l, uint64_t n, bool negative)
{
	char digits[21];
	size_t i = sizeof digits;

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	if (negative)
		digits[--i] = '-';
	put(l, digits + i, sizeof digits - i);
}

/* Between quotes, escaped as JSON; logfmt readers take the same escapes. Bytes that are no UTF-8 become U+FFFD. */
static void put_quoted(struct line *l, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";

	puts_line(l, "\"");
	for (size_t i = 0, len; i < n; i += len) {
		len = utf8_len(s + i, n - i);
		if (len == 0) {
			puts_line(l, "\\ufffd");
			len = 1;
		} else if (s[i] == '"' || s[i] == '\\') {
			put(l, (char[]){ '\\', s[i] }, 2);
		} else if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
			put(l, (char[]){ '\\', 'u', '0', '0', hex[s[i] >> 4], hex[s[i] & 15] }, 6);
		} else {
			put(l, s + i, len);
		}
	}
	/* counted in TAIL, so that a cut line is still well-formed */
	l->data[l->len++] = '"';
}

static bool is_bare(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f || s[i] == '"' || s[i] == '=' || s[i] == '\\')
			return false;
	return n > 0;
}

static void put_str(struct line *l, const char *s, size_t n)
{
	bool cut = n > VALUE_MAX;

	if (cut)
		n = VALUE_MAX;
	if (!l->json && !cut && is_bare(s, n)) {
		put(l, s, n);
		return;
	}
	put_quoted(l, s, n);
	if (cut)
		l->cut = true;
}

static void put_phone(struct line *l, const char *s, size_t n)
{
	char masked[24];

	if (n > sizeof masked)
		n = sizeof masked;
	for (size_t i = 0; i < n; i++)
		masked[i] = i + 3 < n && s[i] != '+' ? '*' : s[i];
	if (n <= 3)
		memset(masked, '*', n);
	put_str(l, masked, n);
}

/* ---- a line ---- */

static void put_stamp(struct line *l)
{
	int64_t ms = clock_wall_exact_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char stamp[40];

	gmtime_r(&s, &tm);
	snprintf(stamp, sizeof stamp, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, (int)(ms % 1000));
	puts_line(l, stamp);
}

static void put_key(struct line *l, const char *key)
{
	puts_line(l, l->json ? ",\"" : " ");
	puts_line(l, key);
	puts_line(l, l->json ? "\":" : "=");
}

static void put_field(struct line *l, const struct log_field *f)
{
	size_t before = l->len;
	bool cut_before = l->cut;

	l->cut = false;
	put_key(l, f->key);
	switch (f->kind) {
	case LOG_KIND_STR:
	case LOG_KIND_PHONE:
		if (f->s == NULL)
			puts_line(l, l->json ? "null" : "-");
		else if (f->kind == LOG_KIND_STR)
			put_str(l, f->s, f->len == SIZE_MAX ? strlen(f->s) : f->len);
		else
			put_phone(l, f->s, f->len == SIZE_MAX ? strlen(f->s) : f->len);
		break;
	case LOG_KIND_INT:
		put_number(l, f->i < 0 ? 0 - (uint64_t)f->i : (uint64_t)f->i, f->i < 0);
		break;
	case LOG_KIND_UINT:
		put_number(l, f->u, false);
		break;
	case LOG_KIND_BOOL:
		puts_line(l, f->u ? "true" : "false");
		break;
	}
	/* a field that doesn't fit is left out whole; one that was only shortened stays */
	if (l->cut && l->len + VALUE_MAX + TAIL > LOG_LINE_MAX)
		l->len = before;
	l->cut = l->cut || cut_before;
}

static void put_head(struct line *l, enum log_level level, const char *msg)
{
	/* sd-daemon(3): a priority in front of a line that goes to the journal */
	static const char *const priorities[] = {
		[LOG_LEVEL_DEBUG] = "<7>", [LOG_LEVEL_INFO] = "<6>", [LOG_LEVEL_WARN] = "<4>", [LOG_LEVEL_ERROR] = "<3>",
	};

	if (atomic_load_explicit(&to_journal, memory_order_relaxed))
		puts_line(l, priorities[level]);
	puts_line(l, l->json ? "{\"ts\":\"" : "ts=");
	put_stamp(l);
	puts_line(l, l->json ? "\",\"level\":\"" : " level=");
	puts_line(l, level_names[level]);
	puts_line(l, l->json ? "\",\"msg\":" : " msg=");
	put_str(l, msg, strlen(msg));
}

static void put_end(struct line *l, uint32_t suppressed)
{
	static const char cut_json[] = ",\"cut\":true", cut_kv[] = " cut=true";

	if (suppressed > 0) {
		put_key(l, "suppressed");
		put_number(l, suppressed, false);
	}
	if (l->cut) {
		memcpy(l->data + l->len, l->json ? cut_json : cut_kv, l->json ? sizeof cut_json - 1 : sizeof cut_kv - 1);
		l->len += l->json ? sizeof cut_json - 1 : sizeof cut_kv - 1;
	}
	if (l->json)
		l->data[l->len++] = '}';
	l->data[l->len++] = '\n';
}

static void write_line(const struct line *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(atomic_load_explicit(&out_fd, memory_order_relaxed), l->data + done, l->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			atomic_fetch_add_explicit(&lost_total, 1, memory_order_relaxed);
			return;
		}
		done += (size_t)n;
	}
	atomic_fetch_add_explicit(&lines_total, 1, memory_order_relaxed);
}

static void emit(enum log_level level, const char *msg, const struct log_field *fields, size_t n_fields, uint32_t suppressed)
{
	struct line l = { .data = line_data, .json = atomic_load_explicit(&format_now, memory_order_relaxed) == LOG_FORMAT_JSON };
	int saved = errno;

	put_head(&l, level, msg);
	for (size_t i = 0; i < n_fields; i++)
		put_field(&l, &fields[i]);
	put_end(&l, suppressed);
	write_line(&l);
	errno = saved;
}

/* ---- the limit per call site ---- */

static void list_site(struct log_site *site, const char *msg)
{
	bool no = false;

	if (!atomic_compare_exchange_strong(&site->listed, &no, true))
		return;
	site->msg = msg;
	site->next = atomic_load(&listed_sites);
	while (!atomic_compare_exchange_weak(&listed_sites, &site->next, site))
		;
}

static bool admit(struct log_site *site, const char *msg, uint32_t *ret_suppressed)
{
	int64_t now = clock_mono_exact_us(), began = atomic_load(&site->window_us);

	if (began == 0 || now - began >= LOG_WINDOW_MS * (int64_t)1000)
		if (atomic_compare_exchange_strong(&site->window_us, &began, now))
			atomic_store(&site->count, 0);
	if (atomic_fetch_add(&site->count, 1) >= LOG_BURST) {
		atomic_fetch_add(&site->suppressed, 1);
		atomic_fetch_add_explicit(&suppressed_total, 1, memory_order_relaxed);
		list_site(site, msg);
		return false;
	}
	*ret_suppressed = atomic_exchange(&site->suppressed, 0);
	return true;
}

void log_write(struct log_site *site, enum log_level level, const char *msg, const struct log_field *fields, size_t n_fields)
{
	uint32_t suppressed = 0;

	if (site == NULL || level == LOG_LEVEL_DEBUG || admit(site, msg, &suppressed))
		emit(level, msg, fields, n_fields, suppressed);
}

void log_tick(void)
{
	int64_t now = clock_mono_exact_us();

	for (struct log_site *site = atomic_load(&listed_sites); site != NULL; site = site->next) {
		uint32_t n;

		if (now - atomic_load(&site->window_us) < LOG_WINDOW_MS * (int64_t)1000)
			continue;
		n = atomic_exchange(&site->suppressed, 0);
		if (n > 0)
			log_report("lines suppressed", LOG_STR("of", site->msg), LOG_UINT("count", n));
	}
}

/* ---- set-up ---- */

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of the stream to the journal. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char want[64];

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(want, sizeof want, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, want) == 0;
}

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

int log_open(const char *path)
{
	char *copy = NULL;
	int fd = STDERR_FILENO, old = atomic_load(&out_fd);

	if (path != NULL) {
		fd = open_path(path);
		if (fd < 0)
			return fd;
		copy = mem_strdup(path);
		if (copy == NULL) {
			close(fd);
			return -ENOMEM;
		}
	}
	atomic_store(&to_journal, path == NULL && stderr_is_journal());
	if (old != STDERR_FILENO && fd != STDERR_FILENO) {
		/* in place, so that no thread writes to a closed descriptor */
		if (dup3(fd, old, O_CLOEXEC) < 0) {
			int err = -errno;

			close(fd);
			mem_free(copy);
			return err;
		}
		close(fd);
	} else {
		atomic_store(&out_fd, fd);      /* a file left for stderr stays open: a thread may be in write() */
	}
	mem_free(out_path);
	out_path = copy;
	return 0;
}

int log_reopen(void)
{
	int fd;

	if (out_path == NULL)
		return 0;
	fd = open_path(out_path);
	if (fd < 0)
		return fd;
	if (dup3(fd, atomic_load(&out_fd), O_CLOEXEC) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	close(fd);
	return 0;
}

void log_set_level(enum log_level level)
{
	atomic_store(&log_level_now, (int)level);
}

void log_set_format(enum log_format format)
{
	atomic_store(&format_now, (int)format);
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_counters(struct log_counters *ret)
{
	*ret = (struct log_counters){
		.lines_total = atomic_load(&lines_total),
		.suppressed_total = atomic_load(&suppressed_total),
		.lost_total = atomic_load(&lost_total),
	};
}
