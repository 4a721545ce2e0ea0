/*
 * provider_conn.h: the inside of the simulated provider, shared by provider_sim.c (start, stop, listeners, control) and
 * provider_conn.c (connections). Everything is used on the simulator's thread, the atomics apart.
 */
#ifndef TESTS_TOOLS_PROVIDER_CONN_H
#define TESTS_TOOLS_PROVIDER_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/tools/provider_rules.h"
#include "tests/tools/provider_wire.h"

struct provider_sim;

struct listener {
	struct provider_sim *sim;
	int fd;
	uint16_t port;
	bool control;
	struct event *event;
};

/* What the connection's timer is for; CONN_IDLE: no request under way. */
enum conn_state { CONN_IDLE = 1, CONN_WAITING, CONN_HANGING, CONN_SLOW, CONN_DOOMED };

struct conn {
	struct conn *prev, *next;
	struct provider_sim *sim;
	int fd;
	SSL *ssl;
	bool control, dead, close_after, tls_wants_write;
	enum conn_state state;
	struct event readable, writable, timer;
	char *in, *out;
	size_t in_len, in_cap, out_len, out_pos;
	struct provider_verdict verdict;
	enum provider_style style;
	char pid[20];
};

struct provider_sim {
	struct event_base *base;
	struct listener listener, control;
	struct event *stop;
	int stop_fd, ledger_fd;
	SSL_CTX *tls;
	struct provider_rules *rules;
	struct conn head, *dead;
	unsigned delay_ms, jitter_ms;
	uint32_t salt, counter;
	pthread_t thread;
	bool started;
	_Atomic uint64_t requests, replies, accepted, faults, connections, open, in_progress, in_progress_max;
};

/* Takes over an accepted socket. */
void conn_start(struct listener *listener, int fd);
/* Closes it; its memory goes at the next conn_reap(). */
void conn_kill(struct conn *c, bool reset);
void conn_send(struct conn *c, const char *data, size_t len);
/* Closes it once all is written, where that is now; else the writer does. */
void conn_finish(struct conn *c);
void conn_reap(struct provider_sim *sim);

/* provider_sim.c: answers a control request. */
void control_request(struct conn *c, const struct provider_request *request);

#endif
