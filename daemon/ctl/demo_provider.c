/*
 * demo_provider.c: one epoll loop on one thread. A connection reads a request, waits in a wheel of milliseconds for its time to be
 * answered, and reads the next. Whether and how a message fails is decided by its number and id alone, so that two demos agree.
 * It refuses more than CONNECTIONS_MAX connections and requests above REQUEST_MAX; no request costs more than its own connection.
 */
#include "daemon/ctl/demo_provider.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/random.h"

enum {
	CONNECTIONS_MAX = 4096,
	REQUEST_MAX = 8192,
	WHEEL_MS = 1024,                /* longer than any delay */
	BUSY_EVERY = 3500,              /* requests to /acme between two spells of being busy */
	BUSY_MS = 250,
};

enum answer { ANSWER_TAKEN = 1, ANSWER_REFUSED, ANSWER_FAILED, ANSWER_BUSY, ANSWER_MALFORMED };

struct connection {
	struct list node;               /* in a slot of the wheel while its answer is due, else in `idle` */
	int fd;
	enum answer answer;             /* 0: none is due */
	unsigned reply_id;
	size_t len;
	char in[REQUEST_MAX];
};

struct demo_provider {
	int listener, epoll, stop;
	uint16_t port;
	pthread_t thread;
	unsigned connections;
	unsigned acme_requests;
	int64_t busy_until_us, wheel_ms;        /* wheel_ms: the millisecond up to which the wheel has turned */
	unsigned due;
	struct list idle, wheel[WHEEL_MS];
	size_t n_ids;
	_Atomic uint8_t *taken;         /* by number */
	uint8_t *tries;                 /* by number */
	_Atomic uint64_t count[ANSWER_MALFORMED + 1], requests, accepted_connections, open;
};

static void connection_close(struct demo_provider *p, struct connection *c)
{
	if (c->answer != 0) {
		p->due--;
		p->open--;
	}
	list_remove(&c->node);
	close(c->fd);
	mem_free(c);
	p->connections--;
}

static void accept_all(struct demo_provider *p)
{
	for (;;) {
		int one = 1, fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct connection *c;
		struct epoll_event ev = { .events = EPOLLIN };

		if (fd < 0)
			return;
		c = p->connections < CONNECTIONS_MAX ? mem_alloc(sizeof *c) : NULL;
		if (c == NULL) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c->fd = fd;
		c->answer = 0;
		c->len = 0;
		list_append(&p->idle, &c->node);
		p->connections++;
		p->accepted_connections++;
		ev.data.ptr = c;
		if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
			connection_close(p, c);
	}
}

/* The number in an id of ours, or -1. */
static int64_t number_of(const struct demo_provider *p, const char *id)
{
	static const char prefix[] = DEMO_ID_PREFIX;
	char *end;
	unsigned long long n;

	if (id == NULL || strncmp(id, prefix, sizeof prefix - 1) != 0)
		return -1;
	n = strtoull(id + sizeof prefix - 1, &end, 10);
	return *end == '\0' && n < p->n_ids ? (int64_t)n : -1;
}

static bool acme_is_busy(struct demo_provider *p, int64_t now_us)
{
	if (++p->acme_requests % BUSY_EVERY == 0)
		p->busy_until_us = now_us + BUSY_MS * 1000;
	return now_us < p->busy_until_us;
}

/* Numbers that end in 13 or 77 are out of service (2 %); every 96th id gets a 500 at its first try (1 %). Of a message of several
 * parts the first is the one that counts. */
static enum answer judge(struct demo_provider *p, bool acme, const json_t *message, int64_t now_us)
{
	const char *id = json_string_value(json_object_get(message, "id")), *to = json_string_value(json_object_get(message, "to"));
	size_t to_len = to != NULL ? strlen(to) : 0;
	int64_t n = json_integer_value(json_object_get(message, "part")) > 1 ? -1 : number_of(p, id);

	if (id == NULL || to_len < 3)
		return ANSWER_MALFORMED;
	if (acme && acme_is_busy(p, now_us))
		return ANSWER_BUSY;
	if (strcmp(to + to_len - 2, "13") == 0 || strcmp(to + to_len - 2, "77") == 0)
		return ANSWER_REFUSED;
	if (n >= 0 && p->tries[n]++ == 0 && n % 96 == 50)
		return ANSWER_FAILED;
	if (n >= 0 && p->taken[n] < UINT8_MAX)
		p->taken[n]++;
	return ANSWER_TAKEN;
}

/* 20 to 80 ms, one in a hundred up to 900; a busy provider says so at once. */
static int64_t delay_ms(enum answer answer)
{
	if (answer == ANSWER_BUSY || answer == ANSWER_MALFORMED)
		return 1;
	return 20 + (int64_t)random_below(60) + (random_below(100) == 0 ? (int64_t)random_below(820) : 0);
}

/* A whole request is in c->in: decides its answer and puts it into the wheel. */
static void take_request(struct demo_provider *p, struct connection *c, const char *body, size_t body_len)
{
	int64_t now_us = clock_mono_exact_us();
	bool acme = strncmp(c->in, "POST /acme ", 11) == 0;
	json_t *json = json_loadb(body, body_len, JSON_REJECT_DUPLICATES, NULL);

	p->requests++;
	if (acme || strncmp(c->in, "POST /bulk ", 11) == 0)
		c->answer = judge(p, acme, json, now_us);
	else
		c->answer = ANSWER_MALFORMED;
	json_decref(json);
	p->count[c->answer]++;
	p->open++;
	p->due++;
	c->reply_id = (unsigned)p->requests;
	list_remove(&c->node);
	list_append(&p->wheel[(now_us / 1000 + delay_ms(c->answer)) % WHEEL_MS], &c->node);
}

/* Where the body begins and how long it is; false while the head isn't whole. A request without a length has no body. */
static bool find_body(const struct connection *c, size_t *ret_start, size_t *ret_len)
{
	const char *end = memmem(c->in, c->len, "\r\n\r\n", 4), *line;

	if (end == NULL)
		return false;
	*ret_start = (size_t)(end + 4 - c->in);
	*ret_len = 0;
	for (line = c->in; line < end; line = strchr(line, '\n') + 1)
		if (strncasecmp(line, "content-length:", 15) == 0)
			*ret_len = strtoul(line + 15, NULL, 10);
	return true;
}

static void on_readable(struct demo_provider *p, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, REQUEST_MAX - 1 - c->len, 0);
	size_t start, len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* The end, an error, or bytes while an answer is due: nobody pipelines. */
	if (n <= 0 || c->answer != 0) {
		connection_close(p, c);
		return;
	}
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	if (!find_body(c, &start, &len)) {
		if (c->len == REQUEST_MAX - 1)
			connection_close(p, c);
		return;
	}
	if (len > REQUEST_MAX || start + len > REQUEST_MAX - 1)
		connection_close(p, c);
	else if (c->len >= start + len)
		take_request(p, c, c->in + start, len);
}

static int reply_text(const struct connection *c, char *out, size_t size)
{
	static const char head[] = "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s";
	char body[64] = "{\"error\":\"bad_request\"}";
	const char *status = "400 Bad Request", *extra = "";

	switch (c->answer) {
	case ANSWER_TAKEN:
		status = "200 OK";
		snprintf(body, sizeof body, "{\"id\":\"p%08x\"}", c->reply_id);
		break;
	case ANSWER_REFUSED:
		snprintf(body, sizeof body, "{\"error\":\"number_not_in_service\"}");
		break;
	case ANSWER_FAILED:
		status = "500 Internal Server Error";
		snprintf(body, sizeof body, "{\"error\":\"internal\"}");
		break;
	case ANSWER_BUSY:
		status = "503 Service Unavailable";
		extra = "Retry-After: 1\r\n";
		snprintf(body, sizeof body, "{\"error\":\"busy\"}");
		break;
	case ANSWER_MALFORMED:
		break;
	}
	return snprintf(out, size, head, status, extra, strlen(body), body);
}

static void answer(struct demo_provider *p, struct connection *c)
{
	char out[512];
	int len = reply_text(c, out, sizeof out);

	/* A reply of 200 bytes fits into an empty socket buffer; where it doesn't, the other side is gone. */
	if (send(c->fd, out, (size_t)len, MSG_NOSIGNAL) != len) {
		connection_close(p, c);
		return;
	}
	c->answer = 0;
	c->len = 0;
	p->due--;
	p->open--;
	list_remove(&c->node);
	list_append(&p->idle, &c->node);
}

static void turn_wheel(struct demo_provider *p)
{
	int64_t now_ms = clock_mono_exact_us() / 1000;

	if (now_ms - p->wheel_ms > WHEEL_MS)
		p->wheel_ms = now_ms - WHEEL_MS;
	for (; p->wheel_ms < now_ms; p->wheel_ms++) {
		struct list *slot = &p->wheel[(p->wheel_ms + 1) % WHEEL_MS];

		list_each(node, slot)
			answer(p, container_of(node, struct connection, node));
	}
}

static void *run(void *arg)
{
	struct demo_provider *p = arg;
	struct epoll_event events[256];

	for (;;) {
		int n = epoll_wait(p->epoll, events, ARRAY_LEN(events), p->due > 0 ? 1 : 100);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &p->stop)
				return NULL;
			if (events[i].data.ptr == &p->listener)
				accept_all(p);
			else
				on_readable(p, events[i].data.ptr);
		}
		turn_wheel(p);
	}
}

static int watch(struct demo_provider *p, int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = fd };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, *fd, &ev) < 0 ? -errno : 0;
}

static int open_listener(struct demo_provider *p)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof addr;

	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->listener < 0 || p->epoll < 0 || p->stop < 0)
		return -errno;
	if (bind(p->listener, (struct sockaddr *)&addr, len) < 0 || listen(p->listener, 1024) < 0)
		return -errno;
	if (getsockname(p->listener, (struct sockaddr *)&addr, &len) < 0 || watch(p, &p->listener) < 0 || watch(p, &p->stop) < 0)
		return -errno;
	p->port = ntohs(addr.sin_port);
	return 0;
}

static void provider_free(struct demo_provider *p)
{
	for (int i = 0; i < WHEEL_MS; i++)
		list_each(node, &p->wheel[i])
			connection_close(p, container_of(node, struct connection, node));
	list_each(node, &p->idle)
		connection_close(p, container_of(node, struct connection, node));
	if (p->listener >= 0)
		close(p->listener);
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->stop >= 0)
		close(p->stop);
	mem_free(p->taken);
	mem_free(p->tries);
	mem_free(p);
}

int demo_provider_start(size_t n_ids, struct demo_provider **ret, char *err, size_t err_len)
{
	struct demo_provider *p = mem_zalloc(sizeof *p);
	int rc = -ENOMEM;

	if (p == NULL)
		goto failed;
	p->listener = p->epoll = p->stop = -1;
	p->n_ids = n_ids;
	p->wheel_ms = clock_mono_exact_us() / 1000;
	list_init(&p->idle);
	for (int i = 0; i < WHEEL_MS; i++)
		list_init(&p->wheel[i]);
	p->taken = mem_zalloc(n_ids + 1);
	p->tries = mem_zalloc(n_ids + 1);
	if (p->taken == NULL || p->tries == NULL)
		goto failed;
	rc = open_listener(p);
	if (rc == 0)
		rc = -pthread_create(&p->thread, NULL, run, p);
	if (rc < 0)
		goto failed;
	*ret = p;
	return 0;

failed:
	snprintf(err, err_len, "can't start the demo's HTTP provider: %s", strerror(-rc));
	if (p != NULL)
		provider_free(p);
	return rc;
}

uint16_t demo_provider_port(const struct demo_provider *p)
{
	return p->port;
}

void demo_provider_ledger(const struct demo_provider *p, struct demo_ledger *ret)
{
	*ret = (struct demo_ledger){
		.requests = p->requests,
		.taken = p->count[ANSWER_TAKEN],
		.refused = p->count[ANSWER_REFUSED],
		.failed = p->count[ANSWER_FAILED],
		.busy = p->count[ANSWER_BUSY],
		.malformed = p->count[ANSWER_MALFORMED],
		.connections = p->accepted_connections,
		.open = p->open,
	};
}

unsigned demo_provider_taken(const struct demo_provider *p, size_t number)
{
	return number < p->n_ids ? p->taken[number] : 0;
}

void demo_provider_stop(struct demo_provider *p)
{
	uint64_t one = 1;

	if (p == NULL)
		return;
	if (write(p->stop, &one, sizeof one) < 0)
		CHECK(errno == EAGAIN);
	pthread_join(p->thread, NULL);
	provider_free(p);
}
