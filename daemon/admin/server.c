/*
 * server.c: the only file that knows evhttp. Each request becomes a task that runs api_handle(); here it is read, its sender is judged,
 * and its reply is written. Control thread. Requests at once, their size and their time are bounded.
 */
#include "daemon/admin/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/admin/api.h"
#include "daemon/app.h"
#include "daemon/base/alloc.h"
#include "daemon/base/log.h"
#include "daemon/run_dir.h"
#include "dispatch/coro/coro.h"

enum { BACKLOG = 64, CALLS_MAX = 64, HEAD_MAX = 16 * 1024, BODY_HARD_MAX = 1024 * 1024, IDLE_S = 60, GROUPS_MAX = 256 };

struct admin_server {
	struct app *app;
	struct evhttp *http;
	const char *token;              /* NULL: a UNIX socket */
	char *path;                     /* of the socket; NULL: TCP */
	unsigned calls;
};

/* One request, from its arrival to its reply. */
struct call {
	struct admin_server *server;
	struct evhttp_request *req;     /* NULL once its connection is gone */
	struct api_call api;
	char *path, *body;
};

/* ---- replies ---- */

static void reply(struct evhttp_request *req, const struct api_call *api)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", api->content_type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	if (api->allow != NULL)
		evhttp_add_header(headers, "Allow", api->allow);
	if (api->status == 401)
		evhttp_add_header(headers, "WWW-Authenticate", "Bearer");
	if (body != NULL && api->out.len > 0)
		evbuffer_add(body, api->out.data, api->out.len);
	evhttp_send_reply(req, api->status, api_status_title(api->status), body);
	if (body != NULL)
		evbuffer_free(body);
}

static void refuse(struct evhttp_request *req, int status, const char *why)
{
	struct api_call api = { .path = "" };

	api_problem(&api, status, "%s", why);
	reply(req, &api);
	buf_fini(&api.out);
}

/* ---- who asks ---- */

static int fd_of(struct evhttp_request *req)
{
	return bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(req)));
}

/* The socket's mode lets in whom it should; this holds where somebody has loosened it: root, our own user, our own group's members. */
static bool peer_allowed(int fd, struct api_call *api)
{
	struct ucred peer;
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	api->peer_pid = peer.pid;
	api->peer_uid = peer.uid;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid())
		return true;
	len = sizeof groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof *groups; i++)
		if (groups[i] == getegid())
			return true;
	return false;
}

/* Takes the same time wherever the two differ. */
static bool same_secret(const char *given, const char *token)
{
	size_t n = strlen(token), given_len = strlen(given);
	unsigned char differs = given_len != n;

	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(token[i] ^ given[given_len > 0 ? i % given_len : 0]);
	return differs == 0;
}

static bool token_allowed(struct evhttp_request *req, const char *token)
{
	const char *given = evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization");

	return given != NULL && strncasecmp(given, "Bearer ", 7) == 0 && same_secret(given + 7, token);
}

/* 0, or the status that says no. */
static int judge(const struct admin_server *s, struct evhttp_request *req, struct api_call *api)
{
	api->peer_pid = -1;
	if (s->path == NULL)
		return token_allowed(req, s->token) ? 0 : 401;
	return peer_allowed(fd_of(req), api) ? 0 : 403;
}

/* ---- a request's life ---- */

static const char *method_of(struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET: return "GET";
	case EVHTTP_REQ_HEAD: return "HEAD";
	case EVHTTP_REQ_POST: return "POST";
	case EVHTTP_REQ_PUT: return "PUT";
	case EVHTTP_REQ_DELETE: return "DELETE";
	case EVHTTP_REQ_OPTIONS: return "OPTIONS";
	case EVHTTP_REQ_PATCH: return "PATCH";
	case EVHTTP_REQ_TRACE: return "TRACE";
	case EVHTTP_REQ_CONNECT: return "CONNECT";
	}
	return "?";
}

static void call_free(struct call *c)
{
	buf_fini(&c->api.out);
	mem_free(c->path);
	mem_free(c->body);
	mem_free(c);
}

static struct call *call_new(struct admin_server *s, struct evhttp_request *req, const struct api_call *judged)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(in);
	struct call *c = mem_zalloc(sizeof *c);

	if (c == NULL)
		return NULL;
	c->path = mem_strdup(path != NULL && *path != '\0' ? path : "/");
	c->body = mem_alloc(len + 1);
	if (c->path == NULL || c->body == NULL) {
		call_free(c);
		return NULL;
	}
	evbuffer_copyout(in, c->body, len);
	c->body[len] = '\0';
	c->server = s;
	c->req = req;
	c->api = *judged;
	c->api.app = s->app;
	c->api.method = method_of(req);
	c->api.path = c->path;
	c->api.body = c->body;
	c->api.body_len = len;
	return c;
}

/* The connection went away while the request was worked on: the work goes on, its reply doesn't. */
static void on_gone(struct evhttp_connection *connection, void *arg)
{
	struct call *c = arg;

	(void)connection;
	c->req = NULL;
}

static int call_task(void *arg)
{
	struct call *c = arg;

	api_handle(&c->api);
	c->server->calls--;
	if (c->req != NULL) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(c->req), NULL, NULL);
		reply(c->req, &c->api);
	}
	call_free(c);
	return 0;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct admin_server *s = arg;
	struct api_call judged = { 0 };
	int refused = judge(s, req, &judged);
	struct call *c;

	if (refused != 0) {
		log_warn("admin request is refused", LOG_INT("status", refused), LOG_INT("pid", judged.peer_pid));
		refuse(req, refused, refused == 401 ? "a bearer token is needed" : "this socket is for root, the daemon's user and its group");
		return;
	}
	if (evbuffer_get_length(evhttp_request_get_input_buffer(req)) > API_BODY_MAX) {
		refuse(req, 413, "a body has at most 65536 bytes");
		return;
	}
	if (s->calls >= CALLS_MAX) {
		refuse(req, 503, "too many requests at once");
		return;
	}
	c = call_new(s, req, &judged);
	if (c == NULL || app_spawn(s->app, call_task, c, "admin request") < 0) {
		if (c != NULL)
			call_free(c);
		refuse(req, 503, "the daemon is stopping, or short of memory");
		return;
	}
	s->calls++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_gone, c);
}

/* ---- listening ---- */

static int listen_unix(const char *path, char *err, size_t err_len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	CHECK(strlen(path) < sizeof addr.sun_path);     /* config_check.c */
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (run_dir_clear_socket(path, err, err_len) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		snprintf(err, err_len, "admin socket: %s", strerror(errno));
		return -1;
	}
	mask = umask(0117);     /* 0660 from its first moment; no other thread makes files yet */
	rc = bind(fd, (struct sockaddr *)&addr, sizeof addr);
	umask(mask);
	if (rc == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	snprintf(err, err_len, "admin socket %s: %s", path, strerror(errno));
	close(fd);
	return -1;
}

static int start_unix(struct admin_server *s, const char *path, char *err, size_t err_len)
{
	int fd = listen_unix(path, err, err_len);

	if (fd < 0)
		return -1;
	s->path = mem_strdup(path);
	if (s->path != NULL && evhttp_accept_socket(s->http, fd) == 0)
		return 0;
	snprintf(err, err_len, "admin socket %s: out of memory", path);
	unlink(path);
	close(fd);
	return -1;
}

static int start_tcp(struct admin_server *s, const char *listen_at, char *err, size_t err_len)
{
	const char *colon = strrchr(listen_at, ':');
	char host[256];
	int port = 0;

	CHECK(colon != NULL && s->token != NULL);       /* config_check.c */
	/* [::1]:80 */
	snprintf(host, sizeof host, "%.*s", (int)(colon - listen_at) - (*listen_at == '[' ? 2 : 0), listen_at + (*listen_at == '['));
	for (const char *p = colon + 1; *p != '\0'; p++)
		port = port * 10 + (*p - '0');
	if (evhttp_bind_socket(s->http, host, (ev_uint16_t)port) == 0)
		return 0;
	snprintf(err, err_len, "admin API: can't listen at %s: %s", listen_at, strerror(errno));
	return -1;
}

struct admin_server *admin_server_start(struct app *app, const struct admin_options *options, char *err, size_t err_len)
{
	struct admin_server *s = mem_zalloc(sizeof *s);
	int rc = -1;

	if (s != NULL)
		s->http = evhttp_new(co_loop_base(co_loop_current()));
	if (s == NULL || s->http == NULL) {
		snprintf(err, err_len, "admin API: out of memory");
		mem_free(s);
		return NULL;
	}
	s->app = app;
	s->token = options->token;
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(s->http, HEAD_MAX);
	evhttp_set_max_body_size(s->http, BODY_HARD_MAX);       /* past it evhttp answers 413 by itself, in HTML: README.md */
	evhttp_set_timeout(s->http, IDLE_S);
	evhttp_set_gencb(s->http, on_request, s);
	if (strncmp(options->listen, "unix:", 5) == 0)
		rc = start_unix(s, options->listen + 5, err, err_len);
	else
		rc = start_tcp(s, options->listen, err, err_len);
	if (rc == 0) {
		log_info("admin API listens", LOG_STR("at", options->listen));
		return s;
	}
	admin_server_stop(s);
	return NULL;
}

void admin_server_stop(struct admin_server *s)
{
	if (s == NULL)
		return;
	CHECK(s->calls == 0);
	if (s->path != NULL)
		unlink(s->path);
	evhttp_free(s->http);
	mem_free(s->path);
	mem_free(s);
}
