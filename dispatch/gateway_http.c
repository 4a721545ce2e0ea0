/*
 * gateway_http.c: sends parts as HTTP requests and tells from the answer what became of them. On its worker's thread. The request is
 * built when a connection is there, into memory that all sends share, so what waits for one costs nothing. Whether a failed send may
 * have reached the provider is taken from http_client.h, never guessed. It logs neither numbers nor texts, ids of providers or secrets.
 */
#include "dispatch/gateway_http.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "dispatch/gateway.h"
#include "dispatch/gateway_http_preset.h"
#include "dispatch/gateway_http_template.h"
#include "dispatch/gateway_http_url.h"
#include "dispatch/gateway_reply.h"
#include "dispatch/http_client.h"
#include "dispatch/provider.h"
#include "metrics/counters.h"

enum { CREDENTIALS_PAUSE_MS = 30000 };

struct gateway_http {
	struct gateway gateway;
	struct http_client *client;
	struct gateway_http_template template;
	struct gateway_reply_path id_path, error_path;
	struct buf request, key;                /* of the request that is being written just now */
};

/* One send; on its task's stack. */
struct gateway_http_send {
	struct gateway_http *gw;
	const struct gateway_part *part;
	gateway_may_write_fn *may_write;
	void *arg;
	struct gateway_outcome *outcome;
	struct http_request request;
	struct http_header key;
	bool no_memory;
};

static struct gateway_http *gateway_http_of(struct gateway *gw)
{
	return container_of(gw, struct gateway_http, gateway);
}

/* ---- the request ---- */

/* `Idempotency-Key: <id>/<part>`: the same whenever this part is sent again. */
static void put_key(struct gateway_http_send *s)
{
	struct buf *key = &s->gw->key;

	buf_reset(key);
	buf_put(key, s->part->id, s->part->id_len);
	buf_putc(key, '/');
	buf_put_u64(key, s->part->part);
	s->key = (struct http_header){ "Idempotency-Key", key->data, key->len };
	s->request.headers = &s->key;
	s->request.n_headers = 1;
}

/* In the turn of the first byte: may it still go? Then the request is filled in. */
static bool on_may_write(void *arg)
{
	struct gateway_http_send *s = arg;
	struct gateway_http *gw = s->gw;
	struct buf *out = &gw->request;

	if (s->may_write != NULL && !s->may_write(s->arg))
		return false;
	buf_reset(out);
	gateway_http_template_put(&gw->template, s->part, out);
	if (gw->template.preset->idempotency_key)
		put_key(s);
	if (gw->template.preset->form == GATEWAY_HTTP_QUERY) {
		s->request.path = out->data;
		s->request.path_len = out->len;
	} else {
		s->request.body = out->data;
		s->request.body_len = out->len;
	}
	s->no_memory = out->oom || gw->key.oom;
	return !s->no_memory;
}

/* ---- the reply ---- */

static void put_reason(struct gateway_outcome *o, const char *word)
{
	size_t n = strlen(word);

	if (n >= GATEWAY_REASON_MAX)
		n = GATEWAY_REASON_MAX - 1;
	memcpy(o->reason, word, n);
	o->reason[n] = '\0';
}

/* "http_400", "http_400:21211" with the provider's error code, "http_302_redirect". */
static void put_status_reason(struct gateway_http *gw, struct gateway_outcome *o, const struct http_reply *reply)
{
	char *p = o->reason;
	size_t n;

	memcpy(p, "http_", 5);
	p[5] = (char)('0' + reply->status / 100);
	p[6] = (char)('0' + reply->status / 10 % 10);
	p[7] = (char)('0' + reply->status % 10);
	p[8] = '\0';
	if (reply->status / 100 == 3) {
		memcpy(p + 8, "_redirect", 10);
		return;
	}
	n = gateway_reply_code(&gw->error_path, reply->body, reply->body_len, p + 9);
	if (n > 0)
		p[8] = ':';
}

static void put_id(struct gateway_http *gw, struct gateway_outcome *o, const struct http_reply *reply)
{
	const struct gateway_http_preset *preset = gw->template.preset;
	size_t n;

	if (preset->kannel_text && gw->id_path.n == 0)
		n = gateway_reply_kannel_id(reply->body, reply->body_len, o->provider_id, GATEWAY_ID_MAX);
	else
		n = gateway_reply_id(&gw->id_path, reply->body, reply->body_len, o->provider_id, GATEWAY_ID_MAX);
	o->provider_id_len = (uint8_t)n;
	if (n == 0 && preset->id_expected)
		counters_add(COUNTER_REPLIES_WITHOUT_ID, 1);
}

/* Our credentials are wrong: nothing was sent, and asking every second won't mend it. */
static void hold_for_credentials(const struct gateway_http *gw, struct gateway_outcome *o)
{
	o->retry_after_ms = CREDENTIALS_PAUSE_MS;
	log_error("provider refuses our credentials, it is held", LOG_STR("provider", gw->gateway.name), LOG_INT("status", o->code),
		  LOG_INT("pause_ms", CREDENTIALS_PAUSE_MS));
}

static void on_reply(const struct http_reply *reply, void *arg)
{
	struct gateway_http_send *s = arg;
	struct gateway_outcome *o = s->outcome;

	o->verdict = gateway_http_preset_verdict(s->gw->template.preset, (unsigned)reply->status);
	o->code = reply->status;
	if (o->verdict == GATEWAY_ACCEPTED) {
		put_id(s->gw, o, reply);
		return;
	}
	put_status_reason(s->gw, o, reply);
	if (o->verdict == GATEWAY_THROTTLED && (o->code == 401 || o->code == 407))
		hold_for_credentials(s->gw, o);
	else if (o->verdict == GATEWAY_THROTTLED)
		o->retry_after_ms = http_reply_retry_after_ms(reply, clock_wall_ms());
}

/* ---- no reply ---- */

static enum gateway_verdict verdict_of(enum http_failure failure, bool written, bool no_memory)
{
	if (written)
		return GATEWAY_UNCERTAIN;
	switch (failure) {
	case HTTP_POOL_TIMEOUT: case HTTP_CANCELLED: case HTTP_TIMEOUT:
		return GATEWAY_UNSENT;
	case HTTP_FORBIDDEN:
		return no_memory ? GATEWAY_TRANSIENT : GATEWAY_UNSENT;
	case HTTP_INVALID:
		return GATEWAY_REFUSED;
	case HTTP_OK: case HTTP_CONNECT_REFUSED: case HTTP_CONNECT_FAILED: case HTTP_CONNECT_TIMEOUT: case HTTP_DNS_FAILED:
	case HTTP_TLS_FAILED: case HTTP_RESET: case HTTP_MALFORMED: case HTTP_TOO_LARGE: case HTTP_CLOSED: case HTTP_NO_MEMORY:
		return GATEWAY_TRANSIENT;
	}
	return GATEWAY_TRANSIENT;
}

static void gateway_http_send(struct gateway *gateway, const struct gateway_part *part, int64_t deadline_us,
			      gateway_may_write_fn *may_write, void *arg, struct gateway_outcome *ret_outcome)
{
	struct gateway_http *gw = gateway_http_of(gateway);
	struct gateway_http_send s = {
		.gw = gw, .part = part, .may_write = may_write, .arg = arg, .outcome = ret_outcome,
		.request = {
			.method = gw->template.method, .path = gw->template.path.data, .path_len = gw->template.path.len,
			.head = gw->template.head.data, .head_len = gw->template.head.len,
			.on_reply = on_reply, .may_write = on_may_write, .arg = &s,
		},
	};
	enum http_failure failure;
	bool written;

	ret_outcome->verdict = GATEWAY_UNSENT;
	ret_outcome->code = 0;
	ret_outcome->retry_after_ms = 0;
	ret_outcome->provider_id_len = 0;
	ret_outcome->provider_id[0] = ret_outcome->reason[0] = '\0';
	failure = http_client_send(gw->client, &s.request, deadline_us, &written);
	if (failure == HTTP_OK)
		return;                 /* on_reply has told */
	ret_outcome->verdict = verdict_of(failure, written, s.no_memory);
	put_reason(ret_outcome, s.no_memory ? "no_memory" : failure == HTTP_FORBIDDEN ? "stopped" : http_failure_name(failure));
}

static void gateway_http_counters(const struct gateway *gateway, struct gateway_counters *ret)
{
	const struct gateway_http *gw = (const struct gateway_http *)(const void *)gateway;
	struct http_client_counters c;

	http_client_counters(gw->client, &c);
	*ret = (struct gateway_counters){
		.requests_total = c.requests_total, .bytes_out_total = c.bytes_out_total, .bytes_in_total = c.bytes_in_total,
		.connects_total = c.connects_total, .connect_errors_total = c.connect_errors_total,
		.malformed_replies_total = c.malformed_total, .connections = c.connections, .idle = c.idle,
	};
}

static unsigned share_of(unsigned total, unsigned n)
{
	unsigned share = n > 0 ? (total + n - 1) / n : total;

	return share > 0 ? share : 1;
}

static struct http_client_options limits_of(const struct provider_options *o, unsigned n)
{
	return (struct http_client_options){
		.max_connections = share_of(o->max_inflight, n), .max_connecting = share_of(o->max_connecting, n),
		.connect_timeout_ms = o->connect_timeout_ms, .idle_ms = o->idle_ms,
	};
}

static void gateway_http_set_limits(struct gateway *gateway, const struct provider_options *o, unsigned worker_share_count)
{
	const struct http_client_options limits = limits_of(o, worker_share_count);

	http_client_set_limits(gateway_http_of(gateway)->client, &limits);
}

static void gateway_http_free(struct gateway *gateway)
{
	struct gateway_http *gw;

	if (gateway == NULL)
		return;
	gw = gateway_http_of(gateway);
	http_client_free(gw->client);
	gateway_http_template_fini(&gw->template);
	buf_fini(&gw->request);
	buf_fini(&gw->key);
	mem_free(gw);
}

/* ---- set-up ---- */

static const struct gateway_ops gateway_http_ops = {
	.send = gateway_http_send, .counters = gateway_http_counters, .set_limits = gateway_http_set_limits, .free = gateway_http_free,
};

static int check_url(const struct provider_options *o, struct gateway_http_url *url, char *err, size_t err_len)
{
	if (o->url == NULL) {
		snprintf(err, err_len, "url: must be set, as in url = https://sms.example.com/send");
		return -1;
	}
	if (gateway_http_url_parse(o->url, url, err, err_len) != 0)
		return -1;
	if (url->tls || o->allow_plaintext || gateway_http_url_is_local(url))
		return 0;
	snprintf(err, err_len, "url: http:// to another host shows texts, numbers and credentials on the way: use https://, or "
			       "allow_plaintext = yes");
	return -1;
}

static int init_paths(struct gateway_http *gw, const struct gateway_http_preset *p, const struct provider_options *o, char *err,
		      size_t err_len)
{
	const char *wrong = NULL;

	if (gateway_reply_path_init(&gw->id_path, o->id_path != NULL ? o->id_path : p->id_path) != 0)
		wrong = "id_path";
	if (gateway_reply_path_init(&gw->error_path, o->error_path != NULL ? o->error_path : p->error_path) != 0)
		wrong = "error_path";
	if (wrong == NULL)
		return 0;
	snprintf(err, err_len, "%s: must be up to 8 keys or indexes with dots between, as in messages.0.sid", wrong);
	return -1;
}

static int init_client(struct gateway_http *gw, const struct gateway_http_url *url, const struct provider_options *o, unsigned n, char *err,
		       size_t err_len)
{
	struct http_client_options options = limits_of(o, n);

	options.host = url->host;
	options.port = url->port;
	options.tls = url->tls;
	options.tls_insecure = o->insecure_skip_verify;
	options.ca_file = o->ca_file;
	options.reply_max = o->reply_max;
	gw->client = http_client_new(&options, err, err_len);
	return gw->client != NULL ? 0 : -1;
}

static int init(struct gateway_http *gw, const struct provider_options *o, unsigned n, char *err, size_t err_len)
{
	const char *name = o->preset != NULL ? o->preset : "generic";
	const struct gateway_http_preset *preset = gateway_http_preset(name);
	struct gateway_http_url url;

	if (preset == NULL) {
		snprintf(err, err_len, "preset: %s is unknown; there are %s", name, gateway_http_preset_names());
		return -1;
	}
	if (check_url(o, &url, err, err_len) != 0 || init_paths(gw, preset, o, err, err_len) != 0)
		return -1;
	if (gateway_http_template_init(&gw->template, preset, o, url.path, err, err_len) != 0)
		return -1;
	return init_client(gw, &url, o, n, err, err_len);
}

struct gateway *gateway_http_new(const struct provider_options *o, unsigned worker_share_count, char *err, size_t err_len)
{
	struct gateway_http *gw = mem_zalloc(sizeof *gw);
	char why[256] = "out of memory";

	if (gw != NULL) {
		gw->gateway = (struct gateway){ &gateway_http_ops, o->name };
		if (init(gw, o, worker_share_count, why, sizeof why) == 0)
			return &gw->gateway;
		gateway_http_free(&gw->gateway);
	}
	snprintf(err, err_len, "provider %s: %s", o->name, why);
	return NULL;
}
