/*
 * provider_sim.c: the simulated provider's life: listeners, thread, control calls, counters. Start, stop, stats and rules are for any
 * thread; the rest runs on its own.
 */
#include "tests/tools/provider_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/provider_conn.h"

enum { BACKLOG = 16384, ACCEPTS_A_TURN = 256 };

static bool control_line(struct conn *c, const char *line, size_t len)
{
	struct provider_sim *sim = c->sim;
	char text[64];

	if (len > 5 && memcmp(line, "rule ", 5) == 0)
		return provider_rules_add(sim->rules, line + 5, len - 5) == 0;
	snprintf(text, sizeof(text), "%.*s", (int)(len < 63 ? len : 63), line);
	if (strcmp(text, "clear") == 0)
		provider_rules_clear(sim->rules);
	else if (strcmp(text, "listen off") == 0)       /* the port stays ours, and refuses */
		return shutdown(sim->listener.fd, SHUT_RD) == 0;
	else if (strcmp(text, "listen on") == 0)
		return listen(sim->listener.fd, BACKLOG) == 0;
	else if (strcmp(text, "drop") == 0) {
		for (struct conn *o = sim->head.next, *next; o != &sim->head; o = next) {
			next = o->next;
			if (o != c && !o->control)
				conn_kill(o, true);
		}
	} else
		return sscanf(text, "delay %u %u", &sim->delay_ms, &sim->jitter_ms) == 2;
	return true;
}

void control_request(struct conn *c, const struct provider_request *r)
{
	struct provider_sim_stats s;
	char body[512] = "{}", reply[1024];
	int status = 200;

	if (r->method_len == 3) {
		provider_sim_stats(c->sim, &s);
		snprintf(body, sizeof(body),
			 "{\"requests\":%llu,\"replies\":%llu,\"accepted\":%llu,\"faults\":%llu,\"connections\":%llu,\"open\":%llu,"
			 "\"in_progress\":%llu,\"in_progress_max\":%llu}",
			 (unsigned long long)s.requests, (unsigned long long)s.replies, (unsigned long long)s.accepted,
			 (unsigned long long)s.faults, (unsigned long long)s.connections, (unsigned long long)s.open,
			 (unsigned long long)s.in_progress, (unsigned long long)s.in_progress_max);
	}
	for (const char *at = r->body, *end = r->body + r->body_len; at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((nl ? nl : end) - at);

		if (len && !control_line(c, at, len))
			status = 400;
		at += len + 1;
	}
	conn_send(c, reply, provider_reply_plain(status, body, reply, sizeof(reply)));
	c->close_after = r->close;
	conn_finish(c);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0)
			return;
		conn_start(arg, got);
	}
}

/* ---- start and stop ---- */

/* Binds to a port by its number also where it is chosen: only such a one stays ours over `listen off`. */
static int bind_port(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listener_open(struct provider_sim *sim, struct listener *l, uint16_t port, bool is_control)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	l->sim = sim;
	l->control = is_control;
	for (int tries = 0; tries < 20; tries++) {
		l->fd = bind_port(port);
		if (l->fd < 0 || getsockname(l->fd, (struct sockaddr *)&a, &len) != 0)
			return -1;
		if (!port) {
			close(l->fd);
			l->fd = bind_port(ntohs(a.sin_port));
		}
		if (l->fd >= 0)
			break;
	}
	l->port = ntohs(a.sin_port);
	if (l->fd < 0 || listen(l->fd, BACKLOG) != 0)
		return -1;
	l->event = event_new(sim->base, l->fd, EV_READ | EV_PERSIST, on_accept, l);
	return l->event && event_add(l->event, NULL) == 0 ? 0 : -1;
}

static void listener_close(struct listener *l)
{
	if (l->event)
		event_free(l->event);
	if (l->fd >= 0)
		close(l->fd);
}

static SSL_CTX *tls_open(const char *cert, const char *key)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls)
		return NULL;
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_use_certificate_chain_file(tls, cert) == 1 && SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1)
		return tls;
	SSL_CTX_free(tls);
	return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void *run(void *arg)
{
	struct provider_sim *sim = arg;

	event_base_dispatch(sim->base);
	return NULL;
}

static const char *sim_open(struct provider_sim *sim, const struct provider_sim_options *o)
{
	struct event_config *config = event_config_new();

	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	sim->base = event_base_new_with_config(config);
	event_config_free(config);
	sim->rules = provider_rules_new(o->seed);
	sim->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!sim->base || !sim->rules || sim->stop_fd < 0)
		return "event base";
	sim->stop = event_new(sim->base, sim->stop_fd, EV_READ | EV_PERSIST, on_stop, sim->base);
	if (!sim->stop || event_add(sim->stop, NULL) != 0)
		return "event";
	if (o->rules && provider_sim_rules(sim, o->rules) != 0)
		return "bad rule";
	if (o->ledger && (sim->ledger_fd = open(o->ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
		return "ledger";
	if (o->cert_file && !(sim->tls = tls_open(o->cert_file, o->key_file)))
		return "certificate";
	if (listener_open(sim, &sim->listener, o->port, false) != 0 || listener_open(sim, &sim->control, o->control_port, true) != 0)
		return "listen";
	return pthread_create(&sim->thread, NULL, run, sim) == 0 ? NULL : "thread";
}

struct provider_sim *provider_sim_start(const struct provider_sim_options *o, char *err, size_t err_len)
{
	struct provider_sim *sim = calloc(1, sizeof(*sim));
	const char *what;
	struct timespec now;

	if (!sim) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	sim->salt = (uint32_t)now.tv_sec * 1000 + (uint32_t)(now.tv_nsec / 1000000) + (uint32_t)o->seed;
	sim->ledger_fd = sim->stop_fd = sim->listener.fd = sim->control.fd = -1;
	sim->head.next = sim->head.prev = &sim->head;
	sim->delay_ms = o->delay_ms;
	sim->jitter_ms = o->jitter_ms;
	what = sim_open(sim, o);
	if (!what) {
		sim->started = true;
		return sim;
	}
	snprintf(err, err_len, "%s: %s", what, strerror(errno));
	provider_sim_stop(sim);
	return NULL;
}

void provider_sim_stop(struct provider_sim *sim)
{
	if (!sim)
		return;
	if (sim->started) {
		uint64_t one = 1;

		while (write(sim->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_join(sim->thread, NULL);
	}
	while (sim->head.next != &sim->head)
		conn_kill(sim->head.next, false);
	conn_reap(sim);
	listener_close(&sim->listener);
	listener_close(&sim->control);
	if (sim->stop)
		event_free(sim->stop);
	if (sim->stop_fd >= 0)
		close(sim->stop_fd);
	if (sim->ledger_fd >= 0)
		close(sim->ledger_fd);
	SSL_CTX_free(sim->tls);
	provider_rules_free(sim->rules);
	if (sim->base)
		event_base_free(sim->base);
	free(sim);
}

uint16_t provider_sim_port(const struct provider_sim *sim)
{
	return sim->listener.port;
}

uint16_t provider_sim_control_port(const struct provider_sim *sim)
{
	return sim->control.port;
}

void provider_sim_stats(const struct provider_sim *sim, struct provider_sim_stats *ret)
{
	*ret = (struct provider_sim_stats){
		.requests = atomic_load_explicit(&sim->requests, memory_order_relaxed),
		.replies = atomic_load_explicit(&sim->replies, memory_order_relaxed),
		.accepted = atomic_load_explicit(&sim->accepted, memory_order_relaxed),
		.faults = atomic_load_explicit(&sim->faults, memory_order_relaxed),
		.connections = atomic_load_explicit(&sim->connections, memory_order_relaxed),
		.open = atomic_load_explicit(&sim->open, memory_order_relaxed),
		.in_progress = atomic_load_explicit(&sim->in_progress, memory_order_relaxed),
		.in_progress_max = atomic_load_explicit(&sim->in_progress_max, memory_order_relaxed),
	};
}

int provider_sim_rules(struct provider_sim *sim, const char *lines)
{
	while (*lines) {
		size_t len = strcspn(lines, "\n");

		if (len) {
			int err = provider_rules_add(sim->rules, lines, len);

			if (err)
				return err;
		}
		lines += len + (lines[len] == '\n');
	}
	return 0;
}
