/*
 * config_check.c: judges a configuration as a whole once its values are read: files with secrets, what is worked out from other
 * values, and what doesn't go together. Control thread, at start and reload; it reads files and opens no connection.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/config_build.h"
#include "daemon/ini.h"
#include "daemon/options.h"

enum { SECRET_MAX = 4096, TOKEN_MIN = 16 };

/* ---- secrets ---- */

/* An absolute path as it is; others in systemd's credentials directory, else beside the configuration. */
static void secret_path(const struct config *c, const char *text, struct buf *out)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *slash = strrchr(c->path, '/');

	buf_reset(out);
	if (text[0] != '/' && dir != NULL && *dir != '\0')
		buf_printf(out, "%s/", dir);
	else if (text[0] != '/' && slash != NULL)
		buf_put(out, c->path, (size_t)(slash - c->path) + 1);
	buf_puts(out, text);
	buf_putc(out, '\0');
}

static const char *secret_first_line(struct config_build *b, const struct config_value *v, struct buf *data)
{
	char *eol;

	buf_putc(data, '\0');
	if (data->oom)
		return NULL;
	if (strlen(data->data) != data->len - 1) {
		config_build_error(b, v->line, "%s: the file holds a NUL byte; its first line should be the secret", v->key);
		return NULL;
	}
	eol = data->data + strcspn(data->data, "\r\n");
	*eol = '\0';
	if (*data->data == '\0') {
		config_build_error(b, v->line, "%s: the file's first line is empty; it should be the secret", v->key);
		return NULL;
	}
	return config_build_string(b, data->data);
}

/* The first line of the file that v names, or NULL after a complaint. */
const char *config_check_secret(struct config_build *b, const struct config_value *v)
{
	struct buf path = { 0 }, data = { 0 };
	const char *secret = NULL;
	struct stat st;
	int err;

	secret_path(b->config, v->text, &path);
	if (path.oom) {
		b->oom = true;
	} else if (stat(path.data, &st) < 0) {
		config_build_error(b, v->line, "%s: %s: %s", v->key, path.data, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		config_build_error(b, v->line, "%s: %s: should be a file", v->key, path.data);
	} else if (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) {
		config_build_error(b, v->line, "%s: %s: mode %04o lets others at it; should be 0600 or 0640", v->key, path.data, st.st_mode & 07777);
	} else {
		err = ini_read_file(path.data, SECRET_MAX, &data);
		if (err < 0)
			config_build_error(b, v->line, "%s: %s: %s", v->key, path.data, strerror(-err));
		else
			secret = secret_first_line(b, v, &data);
	}
	if (data.data != NULL)
		explicit_bzero(data.data, data.cap);
	buf_fini(&data);
	buf_fini(&path);
	return secret;
}

static struct provider_options *find_provider(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_providers; i++)
		if (strcmp(c->providers[i].name, name) == 0)
			return &c->providers[i];
	return NULL;
}

const struct provider_options *config_provider(const struct config *config, const char *name)
{
	return find_provider(config, name);
}

static void read_secrets(struct config_build *b)
{
	struct config *c = b->config;

	for (size_t i = 0; i < c->n_values; i++) {
		struct config_value *v = &c->values[i];
		void *base = *v->name ? (void *)find_provider(c, v->name) : (void *)c;

		if (v->option == NULL || v->option->type != OPTION_SECRET || v->text == NULL)
			continue;
		v->content = config_check_secret(b, v);
		*(const char **)((char *)base + v->option->offset) = v->content;
	}
}

/* ---- what goes together ---- */

int config_check_line(const struct config *c, const char *section, const char *name, const char *key)
{
	for (size_t i = 0; i < c->n_values; i++) {
		const struct config_value *v = &c->values[i];

		if (v->option != NULL && strcmp(v->option->section, section) == 0 && strcmp(v->name, name) == 0 && strcmp(v->key, key) == 0)
			return v->line;
	}
	return 0;
}

static bool is_local_host(const char *host, size_t len)
{
	/* 127.0.0.1.example.com is another host */
	return (len == 9 && strncmp(host, "localhost", 9) == 0) || (len == 5 && strncmp(host, "[::1]", 5) == 0) ||
	       (len > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len);
}

static void check_url(struct config_build *b, const struct provider_options *p)
{
	int line = config_check_line(b->config, "provider", p->name, "url");
	bool tls = strncmp(p->url, "https://", 8) == 0, plain = strncmp(p->url, "http://", 7) == 0;
	const char *host = p->url + (tls ? 8 : 7);
	size_t len, host_len;

	if (!tls && !plain) {
		config_build_error(b, line, "[provider %s] url: should be http://HOST[:PORT]/PATH or https://...", p->name);
		return;
	}
	len = strcspn(host, "/?#");
	host_len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	if (memchr(host, '@', len) != NULL)
		config_build_error(b, line, "[provider %s] url: no user or password in it; use user and password_file", p->name);
	else if (host_len == 0 || host_len > len || strpbrk(host, " \t#") != NULL)
		config_build_error(b, line, "[provider %s] url: should be http://HOST[:PORT]/PATH or https://...", p->name);
	else if (plain && !p->allow_plaintext && !is_local_host(host, host_len))
		config_build_error(b, line, "[provider %s] url: http:// to another host shows texts and credentials on the way; use https://, or say "
					    "allow_plaintext = yes", p->name);
}

static void check_prefixes(struct config_build *b, const char *section, const char *name, const char *prefixes)
{
	if (prefixes != NULL && strspn(prefixes, "+0123456789 ") != strlen(prefixes))
		config_build_error(b, config_check_line(b->config, section, name, "allow_to"),
				   "[%s%s%s] allow_to: should be prefixes of numbers, space separated: +49 +43", section, *name ? " " : "", name);
}

static void check_providers(struct config_build *b)
{
	const struct config *c = b->config;

	if (c->n_providers == 0)
		config_build_error(b, 0, "no provider: needs at least one section [provider NAME] with url = ...");
	for (size_t i = 0; i < c->n_providers; i++) {
		const struct provider_options *p = &c->providers[i];

		if (p->url == NULL)
			continue;
		check_url(b, p);
		check_prefixes(b, "provider", p->name, p->allow_to);
		if (p->ca_file != NULL && access(p->ca_file, R_OK) < 0)
			config_build_error(b, config_check_line(c, "provider", p->name, "ca_file"), "[provider %s] ca_file: %s: %s", p->name, p->ca_file,
					   strerror(errno));
		if (p->insecure_skip_verify)
			config_build_warn(b, config_check_line(c, "provider", p->name, "insecure_skip_verify"),
					  "[provider %s] insecure_skip_verify: whoever answers is believed", p->name);
		if (p->connect_timeout_ms > p->timeout_ms && config_check_line(c, "provider", p->name, "connect_timeout_ms") > 0)
			config_build_error(b, config_check_line(c, "provider", p->name, "connect_timeout_ms"),
					   "[provider %s] connect_timeout_ms: should be at most timeout_ms (%u)", p->name, p->timeout_ms);
		if (strcmp(p->preset, "twilio") == 0 && (p->user == NULL || p->password == NULL))
			config_build_error(b, config_check_line(c, "provider", p->name, "preset"),
					   "[provider %s] preset = twilio needs user (the account SID) and password_file (its token)", p->name);
	}
}

static void check_redis(struct config_build *b)
{
	const struct config *c = b->config;
	const char *url = c->store.url;
	int line = config_check_line(c, "redis", "", "url");
	const char *host, *at;

	if (c->store.receipt_deadline_s >= c->store.retention_s)
		config_build_error(b, config_check_line(c, "redis", "", "receipt_deadline_s"),
				   "[redis] receipt_deadline_s: should be less than retention_s (%lld)", (long long)c->store.retention_s);
	if (url == NULL)
		return;
	if (strncmp(url, "rediss://", 9) == 0) {
		config_build_error(b, line, "[redis] url: rediss:// is not supported by this build; use a UNIX socket or a TLS tunnel on this host");
		return;
	}
	if (strncmp(url, "redis://", 8) != 0 && strncmp(url, "unix:///", 8) != 0) {
		config_build_error(b, line, "[redis] url: should be redis://HOST:PORT/DB or unix:///PATH?db=N");
		return;
	}
	host = url + 8;
	at = memchr(host, '@', strcspn(host, "/"));
	if (url[0] == 'r' && at != NULL && memchr(host, ':', (size_t)(at - host)) != NULL)
		config_build_error(b, line, "[redis] url: no password in it; use password_file");
}

static void check_admin(struct config_build *b)
{
	struct config *c = b->config;
	int line = config_check_line(c, "admin", "", "listen");
	char listen[512];
	const char *colon;

	if (c->admin.listen == NULL) {
		snprintf(listen, sizeof listen, "unix:%s/admin.sock", c->daemon.run_dir);
		c->admin.listen = config_build_string(b, listen);
		if (c->admin.listen == NULL)
			return;
	}
	if (strncmp(c->admin.listen, "unix:", 5) == 0) {
		if (c->admin.listen[5] != '/')
			config_build_error(b, line, "[admin] listen: should be unix:/ABSOLUTE/PATH");
		else if (strlen(c->admin.listen + 5) >= sizeof((struct sockaddr_un *)0)->sun_path)
			config_build_error(b, line, "[admin] listen: a socket's path has at most %zu bytes (%s)",
					   sizeof((struct sockaddr_un *)0)->sun_path - 1, c->admin.listen + 5);
		return;
	}
	colon = strrchr(c->admin.listen, ':');
	if (colon == NULL || colon == c->admin.listen || strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535 || colon[1] == '\0')
		config_build_error(b, line, "[admin] listen: should be unix:/PATH or HOST:PORT");
	else if (config_check_line(c, "admin", "", "token_file") == 0)
		config_build_error(b, line, "[admin] listen: HOST:PORT needs token_file; without one only unix:/PATH");
}

static unsigned cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

void config_check(struct config_build *b)
{
	struct config *c = b->config;

	read_secrets(b);
	config_check_kafka(b);
	if (c->daemon.workers == 0)
		c->daemon.workers = cores();
	if (b->n_errors == 0 && c->daemon.inflight < c->daemon.workers)
		c->daemon.workers = c->daemon.inflight;
	c->dispatch.inflight = c->daemon.inflight;
	c->store.lease_slack_ms = 5000;         /* metrics/README.md: a lease is the attempt's deadline and this */
	if (c->admin.token != NULL && strlen(c->admin.token) < TOKEN_MIN)
		config_build_error(b, config_check_line(c, "admin", "", "token_file"), "[admin] token_file: a token has at least %d characters", TOKEN_MIN);
	if (c->dispatch.backoff_max_ms < c->dispatch.backoff_ms)
		config_build_error(b, config_check_line(c, "send", "", "backoff_max_ms"), "[send] backoff_max_ms: should be at least backoff_ms (%u)",
				   c->dispatch.backoff_ms);
	check_prefixes(b, "send", "", c->dispatch.allow_to);
	check_redis(b);
	check_admin(b);
	check_providers(b);
}
