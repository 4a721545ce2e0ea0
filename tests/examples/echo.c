/* echo.c: a TCP server and fifty clients in one thread, by streams; how to connect and accept; how to end a program that has servers. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch/coro/coro.h"
#include "dispatch/coro/stream.h"

enum { CLIENTS = 50, LIMIT = 4096, PATIENCE_MS = 2000 };

static struct sockaddr_in address = { .sin_family = AF_INET };
static int n_answers;

/* ---- the server ---- */

struct connection {
	struct co_stream *stream;
	struct co_done_node done;
};

static int serve(void *arg)
{
	struct connection *c = arg;
	const char *line;
	int rc;

	while ((rc = co_stream_read_until(c->stream, '\n', &line, co_in_ms(PATIENCE_MS))) > 0) {
		rc = co_stream_write(c->stream, line, (size_t)rc, co_in_ms(PATIENCE_MS));
		if (rc == 0)
			rc = co_stream_drain(c->stream, co_in_ms(PATIENCE_MS));
		if (rc < 0)
			break;
	}
	return rc == -ENODATA ? 0 : rc;         /* the other side has finished */
}

/* In a callback and not at the body's end: of a task that is cancelled before its first step the body never runs. */
static void on_served(struct co_future *task, void *arg)
{
	struct connection *c = arg;

	(void)task;
	co_stream_free(c->stream);
	free(c);
}

static int begin_serving(int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	struct co_future *t = NULL;

	if (c != NULL)
		c->stream = co_stream_new(fd, LIMIT);
	if (c != NULL && c->stream != NULL)
		t = co_task_new(serve, c, "connection %d", fd);
	if (t == NULL) {
		if (c == NULL || c->stream == NULL)
			close(fd);
		else
			co_stream_free(c->stream);
		free(c);
		return -ENOMEM;
	}
	co_done_add(t, &c->done, on_served, c);
	co_unref(t);                            /* the loop keeps it */
	return 0;
}

static int server(void *arg)
{
	int fd = *(int *)arg, rc;

	while ((rc = co_fd_wait(fd, EV_READ, CLOCK_NEVER)) >= 0) {
		int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (connection >= 0 && begin_serving(connection) < 0)
			fprintf(stderr, "echo: a connection is refused, there is no memory\n");
	}
	return rc;
}

/* ---- the clients ---- */

/* A descriptor, or a negative errno. */
static int connect_to(const struct sockaddr_in *to, int64_t deadline_us)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0, rc = 0;
	socklen_t len = sizeof err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0)
		rc = errno == EINPROGRESS ? co_fd_wait(fd, EV_WRITE, deadline_us) : -errno;
	if (rc >= 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0)
		rc = -err;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int ask(struct co_stream *s)
{
	const char *line;
	int rc = co_stream_write(s, "hello\n", 6, CLOCK_NEVER);

	if (rc == 0)
		rc = co_stream_drain(s, CLOCK_NEVER);
	if (rc == 0)
		rc = co_stream_read_until(s, '\n', &line, CLOCK_NEVER);
	n_answers += rc == 6 && memcmp(line, "hello\n", 6) == 0;
	return rc < 0 ? rc : 0;
}

static int client(void *arg)
{
	struct co_timeout t;
	struct co_stream *s;
	int fd, rc;

	(void)arg;
	fd = connect_to(&address, co_in_ms(PATIENCE_MS));
	if (fd < 0)
		return fd;
	s = co_stream_new(fd, LIMIT);
	if (s == NULL) {
		close(fd);
		return -ENOMEM;
	}
	rc = co_timeout_enter(&t, co_in_ms(PATIENCE_MS));
	if (rc == 0)
		rc = co_timeout_leave(&t, ask(s));      /* one deadline for all three */
	co_stream_free(s);
	return rc;
}

static int listen_anywhere(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof address;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, CLIENTS) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	return fd;
}

static int echo(void *arg)
{
	struct co_future *t = co_task_new(server, arg, "server");
	struct co_group g;
	int rc = t != NULL ? 0 : -ENOMEM;

	co_unref(t);
	co_group_enter(&g);
	for (int i = 0; i < CLIENTS && rc == 0; i++)
		rc = co_group_spawn(&g, NULL, client, NULL, "client %d", i);
	rc = co_group_leave(&g, rc);
	printf("%d answers\n", n_answers);
	return rc;
}

int main(void)
{
	struct co_loop *loop = co_loop_new();
	int fd = listen_anywhere(), rc = fd < 0 ? fd : -ENOMEM;

	if (loop != NULL && fd >= 0) {
		rc = co_run(loop, echo, &fd, "echo");
		if (co_loop_cancel_all(loop) < 0)       /* the server, and connections that are left */
			rc = -EIO;
	}
	co_loop_free(loop);
	if (fd >= 0)
		close(fd);
	return rc == 0 ? 0 : 1;
}
