/* stream.c: see stream.h. Two flat buffers of the limit's size; what was taken from the front is closed up when there is no room behind. */
#include "dispatch/coro/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"

enum { FD_READ = 0x02, FD_WRITE = 0x04 };       /* libevent's EV_READ, EV_WRITE */

struct side {
	char *data;
	size_t from, to;                /* what is in it */
	const struct co_future *task;   /* who waits for the descriptor */
};

struct co_stream {
	int fd;
	size_t limit;
	bool eof;
	struct side in, out;
};

/* For a side of the descriptor, on behalf of the current task, the only one. */
static int wait_ready(struct co_stream *s, struct side *side, short what, int64_t deadline_us)
{
	int rc;

	CHECK(side->task == NULL, "task \"%s\" waits for this stream in the same direction already", co_task_name(side->task));
	side->task = co_task_current();
	rc = co_fd_wait(s->fd, what, deadline_us);
	side->task = NULL;
	return rc;
}

struct co_stream *co_stream_new(int fd, size_t limit)
{
	struct co_stream *s = mem_zalloc(sizeof *s);
	int flags = fcntl(fd, F_GETFL);

	CHECK(limit > 0 && limit <= INT32_MAX);
	if (s == NULL)
		return NULL;
	s->fd = -1;
	s->limit = limit;
	s->in.data = mem_alloc(limit);
	s->out.data = mem_alloc(limit);
	if (s->in.data == NULL || s->out.data == NULL || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		co_stream_free(s);
		return NULL;
	}
	s->fd = fd;
	return s;
}

void co_stream_free(struct co_stream *s)
{
	if (s == NULL)
		return;
	CHECK(s->in.task == NULL, "a stream is freed while task \"%s\" waits to read", co_task_name(s->in.task));
	CHECK(s->out.task == NULL, "a stream is freed while task \"%s\" waits to write", co_task_name(s->out.task));
	if (s->fd >= 0)
		close(s->fd);
	mem_free(s->in.data);
	mem_free(s->out.data);
	mem_free(s);
}

static size_t held(const struct side *side)
{
	return side->to - side->from;
}

static size_t room(const struct co_stream *s, struct side *side)
{
	if (side->from > 0 && (side->from == side->to || side->to == s->limit)) {
		memmove(side->data, side->data + side->from, held(side));
		side->to = held(side);
		side->from = 0;
	}
	return s->limit - side->to;
}

/* One look at the descriptor, after waiting for it if must be: 1 if there was something, 0 at the end. */
static int fill(struct co_stream *s, int64_t deadline_us)
{
	size_t n = room(s, &s->in);

	while (!s->eof) {
		ssize_t got = read(s->fd, s->in.data + s->in.to, n);
		int rc;

		if (got > 0) {
			s->in.to += (size_t)got;
			return 1;
		}
		s->eof = got == 0;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (got < 0) {
			rc = wait_ready(s, &s->in, FD_READ, deadline_us);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static size_t take(struct co_stream *s, void *buf, size_t size)
{
	size_t n = held(&s->in) < size ? held(&s->in) : size;

	memcpy(buf, s->in.data + s->in.from, n);
	s->in.from += n;
	return n;
}

int co_stream_read(struct co_stream *s, void *buf, size_t size, int64_t deadline_us)
{
	if (size == 0)
		return 0;
	if (held(&s->in) == 0) {
		int rc = fill(s, deadline_us);

		if (rc <= 0)
			return rc;
	}
	return (int)take(s, buf, size < INT32_MAX ? size : INT32_MAX);
}

int co_stream_read_exactly(struct co_stream *s, void *buf, size_t size, int64_t deadline_us)
{
	if (size > s->limit)
		return -EMSGSIZE;
	while (held(&s->in) < size) {
		int rc;

		/* From the front, for all of it must fit. */
		if (s->in.from > 0 && s->limit - s->in.from < size) {
			memmove(s->in.data, s->in.data + s->in.from, held(&s->in));
			s->in.to = held(&s->in);
			s->in.from = 0;
		}
		rc = fill(s, deadline_us);
		if (rc <= 0)
			return rc < 0 ? rc : -ENODATA;
	}
	return (int)take(s, buf, size);
}

int co_stream_read_until(struct co_stream *s, char end, const char **ret_line, int64_t deadline_us)
{
	size_t seen = 0;

	for (;;) {
		const char *line = s->in.data + s->in.from, *at = memchr(line + seen, end, held(&s->in) - seen);
		int rc;

		if (at != NULL) {
			s->in.from += (size_t)(at + 1 - line);
			*ret_line = line;
			return (int)(at + 1 - line);
		}
		seen = held(&s->in);
		if (seen == s->limit)
			return -EMSGSIZE;
		rc = fill(s, deadline_us);
		if (rc <= 0)
			return rc < 0 ? rc : -ENODATA;
	}
}

/* As much as the system takes, after waiting once if that is nothing. */
static int flush(struct co_stream *s, int64_t deadline_us)
{
	for (;;) {
		/* A pipe is no socket: there the program must ignore SIGPIPE. */
		ssize_t n = send(s->fd, s->out.data + s->out.from, held(&s->out), MSG_NOSIGNAL);
		int rc;

		if (n < 0 && errno == ENOTSOCK)
			n = write(s->fd, s->out.data + s->out.from, held(&s->out));
		if (n >= 0) {
			s->out.from += (size_t)n;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_ready(s, &s->out, FD_WRITE, deadline_us);
		if (rc < 0)
			return rc;
	}
}

int co_stream_write(struct co_stream *s, const void *data, size_t size, int64_t deadline_us)
{
	const char *at = data;

	while (size > 0) {
		size_t n = room(s, &s->out);

		if (n == 0) {
			int rc = flush(s, deadline_us);

			if (rc < 0)
				return rc;
			continue;
		}
		if (n > size)
			n = size;
		memcpy(s->out.data + s->out.to, at, n);
		s->out.to += n;
		at += n;
		size -= n;
	}
	return 0;
}

int co_stream_drain(struct co_stream *s, int64_t deadline_us)
{
	while (held(&s->out) > 0) {
		int rc = flush(s, deadline_us);

		if (rc < 0)
			return rc;
	}
	return 0;
}
