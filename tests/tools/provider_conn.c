/*
 * provider_conn.c: the connections of the simulated provider: bytes in, ledger, delay, answer or fault. On the simulator's thread.
 * It refuses nothing a client sends short of 64 KiB: it is here to be abused.
 */
#include "tests/tools/provider_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_FIRST = 1024, SLOW_MS = 1000, MID_MS = 20 };

static void serve(struct conn *c);

static void bump(_Atomic uint64_t *counter, int64_t by)
{
	atomic_fetch_add_explicit(counter, (uint64_t)by, memory_order_relaxed);
}

/* ---- connections ---- */

static void conn_settle(struct conn *c)
{
	if (c->state != CONN_IDLE && !c->control)
		bump(&c->sim->in_progress, -1);
	c->state = CONN_IDLE;
}

void conn_kill(struct conn *c, bool reset)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (c->dead)
		return;
	c->dead = true;
	conn_settle(c);
	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->timer);
	if (c->ssl)
		SSL_free(c->ssl);
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c->fd);
	if (!c->control)
		bump(&c->sim->open, -1);
	c->prev->next = c->next;
	c->next->prev = c->prev;
	c->next = c->sim->dead;
	c->sim->dead = c;
}

void conn_reap(struct provider_sim *sim)
{
	while (sim->dead) {
		struct conn *c = sim->dead;

		sim->dead = c->next;
		free(c->in);
		free(c->out);
		free(c);
	}
}

/* As read(2) and write(2), -1 with EAGAIN included, with or without TLS. */
static ssize_t conn_read(struct conn *c, void *to, size_t len)
{
	int n;

	if (!c->ssl)
		return read(c->fd, to, len);
	ERR_clear_error();
	n = SSL_read(c->ssl, to, (int)len);
	if (n > 0)
		return n;
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	default:
		return 0;
	}
}

static ssize_t conn_write(struct conn *c, const void *from, size_t len)
{
	int n;

	if (!c->ssl)
		return send(c->fd, from, len, MSG_NOSIGNAL);
	ERR_clear_error();
	n = SSL_write(c->ssl, from, (int)len);
	if (n > 0)
		return n;
	errno = SSL_get_error(c->ssl, n) == SSL_ERROR_SYSCALL || SSL_get_error(c->ssl, n) == SSL_ERROR_SSL ? EPIPE : EAGAIN;
	return -1;
}

static void conn_keep(struct conn *c, const char *data, size_t len)
{
	size_t left = c->out_len - c->out_pos;
	char *out = malloc(left + len);

	if (!out) {
		conn_kill(c, true);
		return;
	}
	if (left > 0)
		memcpy(out, c->out + c->out_pos, left);
	memcpy(out + left, data, len);
	free(c->out);
	c->out = out;
	c->out_len = left + len;
	c->out_pos = 0;
	event_add(&c->writable, NULL);
}

void conn_send(struct conn *c, const char *data, size_t len)
{
	ssize_t n;

	if (c->dead)
		return;
	if (c->out_len > c->out_pos) {
		conn_keep(c, data, len);
		return;
	}
	n = conn_write(c, data, len);
	if (n < 0 && errno != EAGAIN) {
		conn_kill(c, false);
		return;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n < len)
		conn_keep(c, data + n, len - (size_t)n);
}

void conn_finish(struct conn *c)
{
	if (!c->dead && c->close_after && c->out_len == c->out_pos)
		conn_kill(c, false);
}

static void conn_timer(struct conn *c, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(&c->timer, &tv);
}

/* ---- answers ---- */

static void answer_done(struct conn *c)
{
	bump(&c->sim->replies, 1);
	conn_settle(c);
	conn_finish(c);
}

static void answer_broken(struct conn *c, size_t len, char *reply)
{
	conn_send(c, reply, len / 2);
	c->state = CONN_DOOMED;         /* the half travels alone before the end comes */
	conn_timer(c, MID_MS);
}

static void answer_slow(struct conn *c, char *reply, size_t len)
{
	free(c->out);
	c->out = malloc(len);
	if (!c->out) {
		conn_kill(c, true);
		return;
	}
	memcpy(c->out, reply, len);
	c->out_len = len;
	c->out_pos = 0;
	c->state = CONN_SLOW;
	conn_timer(c, 0);
}

static void answer_big(struct conn *c)
{
	size_t len;
	char *reply = provider_reply_big(&len);

	if (reply)
		conn_send(c, reply, len);
	free(reply);
	if (!c->dead)
		answer_done(c);
}

static void answer(struct conn *c)
{
	static const char garbage[] = "\x16\x03\x01\xff\x00 no HTTP, this \x80\x81 \r\n\r\n<html>";
	char reply[1024];
	size_t len = provider_reply_format(&c->verdict, c->style, c->pid, reply, sizeof(reply));

	switch (c->verdict.action) {
	case PROVIDER_OK:
	case PROVIDER_STATUS:
	case PROVIDER_CHUNKED:
	case PROVIDER_EMPTY:
		conn_send(c, reply, len);
		if (!c->dead)
			answer_done(c);
		break;
	case PROVIDER_HANG:
		c->state = CONN_HANGING;
		break;
	case PROVIDER_RESET:
		conn_kill(c, true);
		break;
	case PROVIDER_CLOSE:
		conn_kill(c, false);
		break;
	case PROVIDER_RESET_MID:
	case PROVIDER_CUT:
		answer_broken(c, len, reply);
		break;
	case PROVIDER_GARBAGE:
		conn_send(c, garbage, sizeof(garbage) - 1);
		c->state = CONN_DOOMED;
		conn_timer(c, MID_MS);
		break;
	case PROVIDER_BIG:
		answer_big(c);
		break;
	case PROVIDER_SLOW:
		answer_slow(c, reply, len);
		break;
	}
}

static void slow_byte(struct conn *c)
{
	if (conn_write(c, c->out + c->out_pos, 1) == 1)
		c->out_pos++;
	if (c->out_pos == c->out_len)
		answer_done(c);
	else
		conn_timer(c, SLOW_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct provider_sim *sim = c->sim;

	(void)fd, (void)what;
	switch (c->state) {
	case CONN_WAITING:
		answer(c);
		break;
	case CONN_SLOW:
		slow_byte(c);
		break;
	case CONN_DOOMED:
		conn_kill(c, c->verdict.action == PROVIDER_RESET_MID);
		break;
	case CONN_IDLE:
	case CONN_HANGING:
		break;
	}
	if (!c->dead && c->state == CONN_IDLE)
		serve(c);
	conn_reap(sim);
}

/* ---- requests ---- */

static void ledger_write(struct conn *c, const struct provider_request *r)
{
	char line[256], scratch[12];
	struct timespec now;
	int n;

	if (c->sim->ledger_fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	n = snprintf(line, sizeof(line), "%lld %s %u %s %s\n", now.tv_sec * 1000LL + now.tv_nsec / 1000000, r->id, r->part,
		     provider_verdict_name(&c->verdict, scratch), c->pid);
	if (write(c->sim->ledger_fd, line, (size_t)n) != n)
		perror("provider_sim: ledger");
}

static void count_request(struct conn *c)
{
	struct provider_sim *sim = c->sim;
	bool good = c->verdict.action == PROVIDER_OK || c->verdict.action == PROVIDER_CHUNKED || c->verdict.action == PROVIDER_EMPTY ||
		    (c->verdict.action == PROVIDER_STATUS && c->verdict.status / 100 == 2);
	uint64_t now;

	bump(&sim->requests, 1);
	bump(good ? &sim->accepted : &sim->faults, 1);
	bump(&sim->in_progress, 1);
	now = atomic_load_explicit(&sim->in_progress, memory_order_relaxed);
	if (now > atomic_load_explicit(&sim->in_progress_max, memory_order_relaxed))
		atomic_store_explicit(&sim->in_progress_max, now, memory_order_relaxed);
}

static void take_request(struct conn *c, const struct provider_request *r)
{
	struct provider_sim *sim = c->sim;
	unsigned delay, jitter;

	provider_rules_decide(sim->rules, r->id, &c->verdict);
	c->style = r->style;
	c->close_after = r->close;
	snprintf(c->pid, sizeof(c->pid), "%08x%08x", sim->salt, ++sim->counter);
	ledger_write(c, r);
	count_request(c);
	c->state = CONN_WAITING;
	delay = c->verdict.delay_ms >= 0 ? (unsigned)c->verdict.delay_ms : sim->delay_ms;
	jitter = c->verdict.jitter_ms >= 0 ? (unsigned)c->verdict.jitter_ms : sim->jitter_ms;
	delay += provider_rules_random(sim->rules, jitter);
	if (delay)
		conn_timer(c, delay);
	else
		answer(c);
}

/* Takes what requests the buffer holds, one after another: the next only once the last is answered. */
static void serve(struct conn *c)
{
	size_t used = 0;

	while (!c->dead && c->state == CONN_IDLE && used < c->in_len) {
		struct provider_request r;
		ssize_t n = provider_request_parse(c->in + used, c->in_len - used, &r);

		if (n < 0)
			conn_kill(c, true);
		if (n <= 0)
			break;
		used += (size_t)n;
		if (r.path_len >= 8 && memcmp(r.path, "/control", 8) == 0)
			control_request(c, &r);
		else
			take_request(c, &r);
	}
	if (c->dead || !used)
		return;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
}

static bool make_room(struct conn *c)
{
	char *in;

	if (c->in_len < c->in_cap)
		return true;
	if (c->in_cap >= 2 * PROVIDER_REQUEST_MAX)
		return false;
	in = realloc(c->in, c->in_cap ? c->in_cap * 4 : IN_FIRST);
	if (!in)
		return false;
	c->in = in;
	c->in_cap = c->in_cap ? c->in_cap * 4 : IN_FIRST;
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct provider_sim *sim = c->sim;
	ssize_t n;

	(void)fd, (void)what;
	do {
		if (!make_room(c)) {
			conn_kill(c, true);
			break;
		}
		n = conn_read(c, c->in + c->in_len, c->in_cap - c->in_len);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			conn_kill(c, false);
		if (n <= 0)
			break;
		c->in_len += (size_t)n;
		serve(c);
	} while (!c->dead && (c->ssl || c->in_len == c->in_cap));
	conn_reap(sim);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct provider_sim *sim = c->sim;
	ssize_t n = conn_write(c, c->out + c->out_pos, c->out_len - c->out_pos);

	(void)fd, (void)what;
	if (n < 0 && errno != EAGAIN)
		conn_kill(c, false);
	else if (n > 0)
		c->out_pos += (size_t)n;
	if (!c->dead && c->out_pos < c->out_len)
		event_add(&c->writable, NULL);
	else if (!c->dead && c->close_after && c->state == CONN_IDLE)
		conn_kill(c, false);
	conn_reap(sim);
}

void conn_start(struct listener *l, int fd)
{
	struct provider_sim *sim = l->sim;
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c || (sim->tls && !l->control && !(c->ssl = SSL_new(sim->tls)))) {
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->sim = sim;
	c->fd = fd;
	c->control = l->control;
	c->state = CONN_IDLE;
	if (c->ssl) {
		SSL_set_fd(c->ssl, fd);
		SSL_set_accept_state(c->ssl);
	}
	c->next = sim->head.next;
	c->prev = &sim->head;
	c->next->prev = c->prev->next = c;
	event_assign(&c->readable, sim->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->writable, sim->base, fd, EV_WRITE, on_writable, c);
	evtimer_assign(&c->timer, sim->base, on_timer, c);
	event_add(&c->readable, NULL);
	if (!c->control) {
		bump(&sim->connections, 1);
		bump(&sim->open, 1);
	}
}
