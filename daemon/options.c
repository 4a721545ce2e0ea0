/* options.c: the table of options, look-ups in it, and the reading of one value. Pure; the files made from it: options_print.c. */
#include "daemon/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

#define IN(member) .offset = offsetof(struct config, member), .size = sizeof(((struct config *)0)->member)
#define IN_PROVIDER(member) .offset = offsetof(struct provider_options, member), .size = sizeof(((struct provider_options *)0)->member)

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_S = 24 * 3600 };

const struct option_section options_sections[] = {
	{ "daemon", false, "The process: threads, limits, log." },
	{ "kafka", false, "Where jobs come from. A key that is not listed goes to librdkafka as it is (security.protocol, sasl.*, ssl.*, ...); "
			  "KEY_file = PATH sets KEY to the first line of that file, for secrets." },
	{ "redis", false, "Where the delivery records live." },
	{ "send", false, "How messages are sent, whatever the provider." },
	{ "admin", false, "The admin API, which smstrack speaks." },
	{ "provider", true, "A provider; as many sections as there are providers, each with its name." },
};
const size_t options_sections_count = ARRAY_LEN(options_sections);

const struct options_entry options_table[] = {
	{ "daemon", "instance", OPTION_STRING, IN(daemon.instance), .min = 1, .max = 64, .example = "sms-1",
	  .help = "Name of this instance; no two may share it. Without it a name is made at the first start and kept in run_dir." },
	{ "daemon", "run_dir", OPTION_PATH, IN(daemon.run_dir), .def = "/run/smstrackd",
	  .help = "Directory of the lock, the instance's name and the admin socket; one daemon each." },
	{ "daemon", "workers", OPTION_UINT, IN(daemon.workers), .def = "auto", .zero = "auto", .min = 0, .max = 256, .unit = "threads",
	  .help = "Threads that send, each with its own Redis and provider connections; auto: one per core." },
	{ "daemon", "inflight", OPTION_UINT, IN(daemon.inflight), .def = "2000", .min = 1, .max = 1000000, .unit = "messages", .reloadable = true,
	  .help = "Messages in flight at once, all workers together. File descriptors are raised to fit, or the start is refused." },
	{ "daemon", "drain_ms", OPTION_UINT, IN(daemon.drain_ms), .def = "30000", .min = 0, .max = HOUR_MS, .unit = "ms", .reloadable = true,
	  .help = "How long a drain waits for what is in flight before it leaves the rest to the next start (exit code 75)." },
	{ "daemon", "log_level", OPTION_ENUM, IN(daemon.log_level), .def = "info", .choices = "debug info warn error", .reloadable = true,
	  .help = "The least level that is written." },
	{ "daemon", "log_format", OPTION_ENUM, IN(daemon.log_format), .def = "kv", .choices = "kv json", .reloadable = true,
	  .help = "kv: key=value (logfmt); json: one object per line." },
	{ "daemon", "log_file", OPTION_PATH, IN(daemon.log_file), .example = "/var/log/smstrackd/smstrackd.log", .reloadable = true,
	  .help = "Log file, opened again on USR1; without it the log goes to stderr, in the journal's form where that is the journal." },

	{ "kafka", "brokers", OPTION_STRING, IN(kafka.source.brokers), .min = 1, .max = 4096, .required = true, .example = "127.0.0.1:9092",
	  .help = "Bootstrap brokers, comma separated." },
	{ "kafka", "topics", OPTION_STRING, IN(kafka.topics), .def = "sms.outbound", .min = 1, .max = 4096,
	  .help = "Topics that jobs are read from, comma separated." },
	{ "kafka", "group.id", OPTION_STRING, IN(kafka.source.group_id), .def = "smstrackd", .min = 1, .max = 249, .help = "Consumer group." },
	{ "kafka", "group.instance.id", OPTION_STRING, IN(kafka.group_instance_id), .min = 1, .max = 249, .example = "sms-1",
	  .help = "Static membership: after a crash the same name gets its partitions back at once instead of after session.timeout.ms. "
		  "Recommended; unique within the group." },
	{ "kafka", "client.id", OPTION_STRING, IN(kafka.client_id), .def = "smstrackd", .min = 1, .max = 249,
	  .help = "How the brokers' logs and quotas name this client." },
	{ "kafka", "start", OPTION_ENUM, IN(kafka.source.start), .def = "error", .choices = "error earliest latest",
	  .help = "Where a group without any offsets begins; error: it doesn't, and says so, since either answer could be wrong." },
	{ "kafka", "dead_topic", OPTION_STRING, IN(kafka.dead_topic), .def = "sms.dead", .min = 1, .max = 249,
	  .help = "Topic for records that are no valid job. It must exist." },
	{ "kafka", "max_commit_skew", OPTION_UINT, IN(kafka.source.max_commit_skew), .def = "10000", .min = 1, .max = 10000000, .unit = "records",
	  .help = "How far a partition is read past its committed offset." },
	{ "kafka", "prefetch_kb", OPTION_UINT, IN(kafka.source.prefetch_kb), .def = "32768", .min = 64, .max = 2097151, .unit = "KiB",
	  .help = "Memory for records that are fetched ahead, all partitions together." },
	{ "kafka", "commit_interval_ms", OPTION_UINT, IN(kafka.source.commit_interval_ms), .def = "1000", .min = 10, .max = MINUTE_MS, .unit = "ms",
	  .help = "Time between commits." },
	{ "kafka", "revoke_drain_ms", OPTION_UINT, IN(kafka.source.revoke_drain_ms), .def = "10000", .min = 0, .max = 5 * MINUTE_MS, .unit = "ms",
	  .help = "How long a revoked partition is kept for what is already written; below max.poll.interval.ms." },

	{ "redis", "url", OPTION_STRING, IN(store.url), .def = "redis://127.0.0.1:6379/0", .min = 1, .max = 1024,
	  .help = "redis://HOST:PORT/DB or unix:///PATH?db=N. No password in it: password_file." },
	{ "redis", "user", OPTION_STRING, IN(store.user), .min = 1, .max = 256, .example = "smstrackd", .help = "ACL user." },
	{ "redis", "password_file", OPTION_SECRET, IN(store.password), .example = "redis.password",
	  .help = "File whose first line is the password. A relative path is looked up in $CREDENTIALS_DIRECTORY (systemd's "
		  "LoadCredential), else beside this file. Not to be readable by others." },
	{ "redis", "shards", OPTION_UINT, IN(store.shards), .def = "16", .min = 1, .max = 16,
	  .help = "Hash tags that keys are spread over; fixed for the store's life." },
	{ "redis", "durability", OPTION_DURABILITY, .def = "local",
	  .help = "What Redis must have done before an offset is committed. local: the server's own fsync policy; aof: WAITAOF (Redis >= "
		  "7.2); replicas:N: WAIT for N replicas." },
	{ "redis", "retention_s", OPTION_UINT, IN(store.retention_s), .def = "604800", .min = 2 * DAY_S, .max = 366 * DAY_S, .unit = "s",
	  .help = "How long a message's record lives. A job that is older than this less one day is not sent." },
	{ "redis", "rates_retention_s", OPTION_UINT, IN(store.rates_retention_s), .def = "3024000", .min = DAY_S, .max = 3660LL * DAY_S, .unit = "s",
	  .help = "How long the counts of a minute live." },
	{ "redis", "receipt_deadline_s", OPTION_UINT, IN(store.receipt_deadline_s), .def = "259200", .min = 60, .max = 30 * DAY_S, .unit = "s",
	  .help = "How long a delivery receipt is waited for; less than retention_s." },
	{ "redis", "command_timeout_ms", OPTION_UINT, IN(store.command_timeout_ms), .def = "2000", .min = 50, .max = MINUTE_MS, .unit = "ms",
	  .help = "Deadline of each command." },
	{ "redis", "reconnect_max_ms", OPTION_UINT, IN(store.reconnect_ms_max), .def = "2000", .min = 50, .max = MINUTE_MS, .unit = "ms",
	  .help = "The longest pause between two attempts to connect." },
	{ "redis", "allow_eviction", OPTION_BOOL, IN(store.allow_eviction), .def = "no",
	  .help = "Start although the server may evict keys (maxmemory-policy other than noeviction). What it evicts may be sent twice." },

	{ "send", "default_ttl_s", OPTION_UINT, IN(send.default_ttl_s), .def = "3600", .min = 1, .max = 7 * DAY_S, .unit = "s",
	  .help = "A job that names neither expires_at nor ttl_s is not sent later than this after its Kafka timestamp." },
	{ "send", "default_from", OPTION_STRING, IN(dispatch.default_from), .min = 1, .max = 16, .example = "Example",
	  .help = "Sender of jobs that name none, where the provider has no default of its own." },
	{ "send", "on_uncertain", OPTION_ENUM, IN(send.on_uncertain), .def = "resend", .choices = "resend hold fail",
	  .help = "What becomes of a message when nobody can know whether the provider took it, and its job doesn't say." },
	{ "send", "max_resends", OPTION_UINT, IN(store.max_resends), .def = "3", .min = 0, .max = 100,
	  .help = "Uncertain sends of one message that are repeated; then it is held." },
	{ "send", "max_attempts", OPTION_UINT, IN(dispatch.max_attempts), .def = "8", .min = 1, .max = 100,
	  .help = "Attempts that certainly failed before a message is given up." },
	{ "send", "backoff_ms", OPTION_UINT, IN(dispatch.backoff_ms), .def = "200", .min = 1, .max = HOUR_MS, .unit = "ms",
	  .help = "First pause between attempts; doubles, with full jitter." },
	{ "send", "backoff_max_ms", OPTION_UINT, IN(dispatch.backoff_max_ms), .def = "30000", .min = 1, .max = HOUR_MS, .unit = "ms",
	  .help = "The longest pause between attempts." },
	{ "send", "allow_to", OPTION_STRING, IN(dispatch.allow_to), .min = 1, .max = 4096, .example = "+49 +43 +41",
	  .help = "Prefixes of numbers that may be sent to, space separated; without it all." },
	{ "send", "dry_run", OPTION_BOOL, IN(dispatch.dry_run), .def = "no",
	  .help = "Do everything but send: each message counts as accepted by its provider." },

	{ "admin", "listen", OPTION_STRING, IN(admin.listen), .min = 1, .max = 512, .example = "unix:/run/smstrackd/admin.sock",
	  .help = "unix:PATH (mode 0660, checked by peer credentials) or HOST:PORT, which needs token_file. Without it: admin.sock in "
		  "run_dir." },
	{ "admin", "token_file", OPTION_SECRET, IN(admin.token), .example = "admin.token",
	  .help = "File whose first line is the bearer token that every request over TCP needs; at least 16 characters." },

	{ "provider", "type", OPTION_CHOICE, IN_PROVIDER(type), .def = "http", .choices = "http", .help = "Protocol." },
	{ "provider", "preset", OPTION_CHOICE, IN_PROVIDER(preset), .def = "generic", .choices = "generic twilio kannel",
	  .help = "Form of requests and replies, and what a status means." },
	{ "provider", "url", OPTION_STRING, IN_PROVIDER(url), .min = 1, .max = 2048, .required = true, .example = "http://127.0.0.1:8080/send",
	  .help = "http(s)://HOST[:PORT]/PATH. No user or password in it." },
	{ "provider", "method", OPTION_CHOICE, IN_PROVIDER(method), .choices = "GET POST PUT", .example = "POST",
	  .help = "HTTP method, where not the preset's." },
	{ "provider", "user", OPTION_STRING, IN_PROVIDER(user), .min = 1, .max = 256, .example = "acme-user",
	  .help = "Account at the provider (twilio: the account SID)." },
	{ "provider", "password_file", OPTION_SECRET, IN_PROVIDER(password), .example = "acme.password",
	  .help = "File whose first line is the account's password or token; see [redis] password_file." },
	{ "provider", "ca_file", OPTION_PATH, IN_PROVIDER(ca_file), .example = "/etc/ssl/certs/ca-certificates.crt",
	  .help = "Certificates that the provider's chain must end at; without it the system's." },
	{ "provider", "insecure_skip_verify", OPTION_BOOL, IN_PROVIDER(insecure_skip_verify), .def = "no",
	  .help = "Talk TLS to whoever answers. Never in production." },
	{ "provider", "allow_plaintext", OPTION_BOOL, IN_PROVIDER(allow_plaintext), .def = "no",
	  .help = "Allow http:// to another host than this one: texts and credentials are readable on the way." },
	{ "provider", "from", OPTION_STRING, IN_PROVIDER(from), .min = 1, .max = 16, .example = "Example",
	  .help = "Sender of jobs that name none." },
	{ "provider", "allow_to", OPTION_STRING, IN_PROVIDER(allow_to), .min = 1, .max = 4096, .example = "+49", .reloadable = true,
	  .help = "Prefixes of numbers that this provider may be given, space separated; without it all." },
	{ "provider", "id_path", OPTION_STRING, IN_PROVIDER(id_path), .min = 1, .max = 256, .example = "messages.0.id",
	  .help = "JSON path of the message id in a reply, where not the preset's." },
	{ "provider", "error_path", OPTION_STRING, IN_PROVIDER(error_path), .min = 1, .max = 256, .example = "error.code",
	  .help = "JSON path of the error code in a reply, where not the preset's." },
	{ "provider", "split", OPTION_CHOICE, IN_PROVIDER(split_provider), .def = "us", .choices = "us provider", .reloadable = true,
	  .help = "Who cuts long texts into parts." },
	{ "provider", "dry_run", OPTION_BOOL, IN_PROVIDER(dry_run), .def = "no", .reloadable = true, .help = "As [send] dry_run, for this provider alone." },
	{ "provider", "weight", OPTION_UINT, IN_PROVIDER(weight), .def = "100", .min = 1, .max = 1000, .reloadable = true,
	  .help = "Share of the messages, among the providers that may take one." },
	{ "provider", "max_inflight", OPTION_UINT, IN_PROVIDER(max_inflight), .def = "1000", .min = 1, .max = 1000000, .unit = "messages",
	  .reloadable = true, .help = "Messages at this provider at once, all workers together; over HTTP/1.1 as many connections." },
	{ "provider", "rate", OPTION_UINT, IN_PROVIDER(rate), .def = "0", .min = 0, .max = 1000000, .unit = "parts/s", .reloadable = true,
	  .help = "Parts sent a second; 0: no limit." },
	{ "provider", "daily_cap", OPTION_UINT, IN_PROVIDER(daily_cap), .def = "0", .min = 0, .max = 1000000000000LL, .unit = "parts",
	  .reloadable = true, .help = "Parts sent per UTC day by this process; 0: no cap, and nothing is counted." },
	{ "provider", "timeout_ms", OPTION_UINT, IN_PROVIDER(timeout_ms), .def = "10000", .min = 10, .max = 10 * MINUTE_MS, .unit = "ms",
	  .reloadable = true, .help = "Deadline of one request, connecting included. What was written and not answered by then is uncertain." },
	{ "provider", "connect_timeout_ms", OPTION_UINT, IN_PROVIDER(connect_timeout_ms), .def = "3000", .min = 10, .max = 10 * MINUTE_MS,
	  .unit = "ms", .reloadable = true, .help = "Deadline for connecting, TLS included." },
	{ "provider", "max_connecting", OPTION_UINT, IN_PROVIDER(max_connecting), .def = "64", .min = 1, .max = 10000, .unit = "connections",
	  .reloadable = true, .help = "Connections that are being made at once." },
	{ "provider", "idle_ms", OPTION_UINT, IN_PROVIDER(idle_ms), .def = "15000", .min = 100, .max = HOUR_MS, .unit = "ms",
	  .reloadable = true, .help = "An idle connection is closed after this; keep it below the provider's own limit." },
	{ "provider", "reply_max", OPTION_UINT, IN_PROVIDER(reply_max), .def = "65536", .min = 1024, .max = 16 << 20, .unit = "bytes",
	  .help = "Longest reply that is read; a longer one is malformed." },
	{ "provider", "breaker_failures", OPTION_UINT, IN_PROVIDER(breaker_failures), .def = "20", .min = 0, .max = 100000,
	  .reloadable = true, .help = "Failures in a row, per worker, that open the circuit breaker; 0: none." },
	{ "provider", "breaker_open_ms", OPTION_UINT, IN_PROVIDER(breaker_open_ms), .def = "5000", .min = 10, .max = HOUR_MS, .unit = "ms",
	  .reloadable = true, .help = "How long an open breaker waits before one probe." },
};
const size_t options_count = ARRAY_LEN(options_table);

/* ---- look-ups ---- */

const struct options_entry *options_find(const char *section, const char *key)
{
	for (size_t i = 0; i < options_count; i++)
		if (strcmp(options_table[i].section, section) == 0 && strcmp(options_table[i].key, key) == 0)
			return &options_table[i];
	return NULL;
}

const struct option_section *options_find_section(const char *name)
{
	for (size_t i = 0; i < options_sections_count; i++)
		if (strcmp(options_sections[i].name, name) == 0)
			return &options_sections[i];
	return NULL;
}

enum { NEAR_MAX = 40 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

static char folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' || c == '.' ? '_' : c;
}

/* Edits between two words: insert, delete, replace, swap neighbours (optimal string alignment; Damerau 1964). */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[3][NEAR_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NEAR_MAX || nb > NEAR_MAX)
		return NEAR_MAX;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *row = d[i % 3], *above = d[(i - 1) % 3], *above2 = d[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			bool same = folded(a[i - 1]) == folded(b[j - 1]);

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]) && above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return d[na % 3][nb];
}

const char *options_nearest(const char *section, const char *key)
{
	const char *word = key ? key : section, *best = NULL;
	unsigned limit = (unsigned)(strlen(word) / 3), best_distance;

	best_distance = (limit < 1 ? 1 : limit > 3 ? 3 : limit) + 1;
	for (size_t i = 0; i < (key ? options_count : options_sections_count); i++) {
		const char *known = key ? options_table[i].key : options_sections[i].name;
		unsigned d;

		if (key && strcmp(options_table[i].section, section) != 0)
			continue;
		d = distance(word, known);
		if (strlen(word) >= 4 && strncmp(known, word, strlen(word)) == 0)
			d = 1;          /* "password" for "password_file" */
		if (d < best_distance) {
			best_distance = d;
			best = known;
		}
	}
	return best;
}

/* ---- one value ---- */

/* The place of `text` in the list, from 1; 0: not in it. */
static int choice_index(const char *choices, const char *text)
{
	size_t len = strlen(text);
	int index = 1;

	for (const char *p = choices; *p != '\0'; index++) {
		size_t n = strcspn(p, " ");

		if (n == len && memcmp(p, text, n) == 0)
			return index;
		p += n;
		p += strspn(p, " ");
	}
	return 0;
}

static bool set_uint(const struct options_entry *o, void *field, const char *text, char *err, size_t err_len)
{
	char *end = NULL;
	long long n;

	errno = 0;
	n = o->zero != NULL && strcmp(text, o->zero) == 0 ? 0 : strtoll(text, &end, 10);
	if ((end != NULL && (*end != '\0' || end == text || text[0] < '0' || text[0] > '9')) || errno != 0 || n < o->min || n > o->max) {
		snprintf(err, err_len, "%s%sa number from %lld to %lld%s%s", o->zero ? o->zero : "", o->zero ? ", or " : "", (long long)o->min,
			 (long long)o->max, o->unit ? " " : "", o->unit ? o->unit : "");
		return false;
	}
	if (o->size == sizeof(uint64_t))
		*(uint64_t *)field = (uint64_t)n;
	else
		*(unsigned *)field = (unsigned)n;
	return true;
}

static bool set_bool(bool *field, const char *text, char *err, size_t err_len)
{
	int index = choice_index("yes true on 1 no false off 0", text);

	if (index == 0) {
		snprintf(err, err_len, "yes or no");
		return false;
	}
	*field = index <= 4;
	return true;
}

static bool set_choice(const struct options_entry *o, void *field, const char *text, char *err, size_t err_len)
{
	int index = choice_index(o->choices, text);

	if (index == 0) {
		snprintf(err, err_len, "one of: %s", o->choices);
		return false;
	}
	if (o->type == OPTION_ENUM)
		*(int *)field = index;
	else if (o->size == sizeof(bool))
		*(bool *)field = index == 2;    /* a pair of words in place of no and yes */
	else
		*(const char **)field = text;
	return true;
}

static bool set_string(const struct options_entry *o, void *field, const char *text, char *err, size_t err_len)
{
	size_t len = strlen(text);

	if (o->type == OPTION_STRING && ((int64_t)len < o->min || (int64_t)len > o->max)) {
		snprintf(err, err_len, "%lld to %lld characters", (long long)o->min, (long long)o->max);
		return false;
	}
	if (o->type == OPTION_PATH && text[0] != '/') {
		snprintf(err, err_len, "an absolute path");
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			snprintf(err, err_len, "text without control characters");
			return false;
		}
	}
	*(const char **)field = text;
	return true;
}

static bool set_durability(struct config *config, const char *text, char *err, size_t err_len)
{
	unsigned n = 0;
	int used = 0;

	if (strcmp(text, "local") == 0) {
		config->store.durability = STORE_LOCAL;
	} else if (strcmp(text, "aof") == 0) {
		config->store.durability = STORE_AOF;
	} else if (sscanf(text, "replicas:%3u%n", &n, &used) == 1 && text[used] == '\0' && n >= 1 && n <= 100) {
		config->store.durability = STORE_REPLICAS;
		config->store.replicas = n;
	} else {
		snprintf(err, err_len, "local, aof, or replicas:N with N from 1 to 100");
		return false;
	}
	return true;
}

bool options_set(const struct options_entry *option, void *base, const char *text, char *err, size_t err_len)
{
	void *field = (char *)base + option->offset;

	switch (option->type) {
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_SECRET:
		return set_string(option, field, text, err, err_len);
	case OPTION_CHOICE:
	case OPTION_ENUM:
		return set_choice(option, field, text, err, err_len);
	case OPTION_UINT:
		return set_uint(option, field, text, err, err_len);
	case OPTION_BOOL:
		return set_bool(field, text, err, err_len);
	case OPTION_DURABILITY:
		return set_durability(base, text, err, err_len);
	}
	CHECK(false, "option %s has no type", option->key);
	return false;
}
