/* stream.c: see stream.h. Two flat buffers of the limit's size; what was taken from the front is closed up when there is no room behind. */
#include "dispatch/coro/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/runtime.h"

enum { FD_READ = 0x02, FD_WRITE = 0x04 };       /* libevent's EV_READ, EV_WRITE */
enum { AT_ONCE_MAX = 16 };

struct side {
	char *data;
	size_t from, to;                /* what is in it */
	int err;                        /* the descriptor's, for good */
	const struct co_future *task;   /* who waits for the descriptor */
};

struct co_stream {
	int fd;
	size_t limit;
	bool eof;
	unsigned n_at_once;             /* calls of the system in a row that did not wait */
	uint64_t loop_id;
	struct side in, out;
};

/* Also where bytes in the buffer are all that is asked for. */
static void check_alone(struct co_stream *s, struct side *side)
{
	uint64_t id = co_loop_id();

	if (s->loop_id != id) {                         /* who waited went with its loop */
		CHECK(s->loop_id == 0 || !co_loop_lives(s->loop_id), "a stream of another thread's loop is used");
		s->in.task = s->out.task = NULL;
		s->loop_id = id;
	}
	CHECK(side->task == NULL, "task \"%s\" is at this stream in the same direction already", co_task_name(side->task));
}

/* Between these the current task is the only one on its side. */
static void enter(struct co_stream *s, struct side *side)
{
	check_alone(s, side);
	side->task = co_task_current();
}

static int leave(struct side *side, int rc)
{
	side->task = NULL;
	return rc;
}

static int wait_ready(struct co_stream *s, struct side *side, short what, int64_t deadline_us)
{
	enter(s, side);
	s->n_at_once = 0;
	return leave(side, co_fd_wait(s->fd, what, deadline_us));
}

/* A peer that keeps up lets nobody wait: now and then the others have their turn, timeouts and cancels as well. */
static int give_way(struct co_stream *s, struct side *side)
{
	enter(s, side);
	if (++s->n_at_once < AT_ONCE_MAX)
		return leave(side, 0);
	s->n_at_once = 0;
	return leave(side, co_yield());
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
	if (s->loop_id != 0 && s->loop_id == co_loop_id()) {    /* else who waited went with the loop */
		CHECK(s->in.task == NULL, "a stream is freed while task \"%s\" is at a read", co_task_name(s->in.task));
		CHECK(s->out.task == NULL, "a stream is freed while task \"%s\" is at a write", co_task_name(s->out.task));
	}
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

/* Room behind what is held, which is moved to the front where that leaves less than `wanted`. */
static size_t room(const struct co_stream *s, struct side *side, size_t wanted)
{
	if (side->from > 0 && (side->from == side->to || s->limit - side->to < wanted)) {
		memmove(side->data, side->data + side->from, held(side));
		side->to = held(side);
		side->from = 0;
	}
	return s->limit - side->to;
}

/* One look at the descriptor, after waiting for it if must be: 1 if there was something, 0 at the end. All in all up to `wanted` bytes
 * are to fit. */
static int fill(struct co_stream *s, size_t wanted, int64_t deadline_us)
{
	int rc = s->in.err < 0 || s->eof ? s->in.err : give_way(s, &s->in);
	size_t n = room(s, &s->in, wanted - held(&s->in));

	while (rc >= 0 && !s->eof) {
		ssize_t got = read(s->fd, s->in.data + s->in.to, n);

		if (got > 0) {
			s->in.to += (size_t)got;
			return 1;
		}
		s->eof = got == 0;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return s->in.err = -errno;
		if (got < 0)
			rc = wait_ready(s, &s->in, FD_READ, deadline_us);
	}
	return rc < 0 ? rc : 0;
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
	check_alone(s, &s->in);
	if (held(&s->in) == 0) {
		int rc = fill(s, s->limit, deadline_us);

		if (rc <= 0)
			return rc;
	}
	return (int)take(s, buf, size < INT32_MAX ? size : INT32_MAX);
}

int co_stream_read_exactly(struct co_stream *s, void *buf, size_t size, int64_t deadline_us)
{
	if (size > s->limit)
		return -EMSGSIZE;
	check_alone(s, &s->in);
	while (held(&s->in) < size) {
		int rc = fill(s, size, deadline_us);

		if (rc <= 0)
			return rc < 0 ? rc : -ENODATA;
	}
	return (int)take(s, buf, size);
}

int co_stream_read_until(struct co_stream *s, char end, const char **ret_line, int64_t deadline_us)
{
	size_t seen = 0;

	check_alone(s, &s->in);
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
		rc = fill(s, seen + 1, deadline_us);
		if (rc <= 0)
			return rc < 0 ? rc : -ENODATA;
	}
}

/* As much as the system takes, after waiting once if that is nothing. */
static int flush(struct co_stream *s, int64_t deadline_us)
{
	int rc = s->out.err < 0 ? s->out.err : give_way(s, &s->out);

	while (rc >= 0) {
		/* A pipe is no socket: there the program must ignore SIGPIPE. */
		ssize_t n = send(s->fd, s->out.data + s->out.from, held(&s->out), MSG_NOSIGNAL);

		if (n < 0 && errno == ENOTSOCK)
			n = write(s->fd, s->out.data + s->out.from, held(&s->out));
		if (n >= 0) {
			s->out.from += (size_t)n;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return s->out.err = -errno;
		rc = wait_ready(s, &s->out, FD_WRITE, deadline_us);
	}
	return rc;
}

/* What fits the buffer as a whole goes in as a whole, or not at all. */
int co_stream_write(struct co_stream *s, const void *data, size_t size, int64_t deadline_us)
{
	const char *at = data;

	check_alone(s, &s->out);
	if (s->out.err < 0)
		return s->out.err;
	while (size > 0) {
		size_t piece = size < s->limit ? size : s->limit;

		while (room(s, &s->out, piece) < piece) {
			int rc = flush(s, deadline_us);

			if (rc < 0)
				return rc;
		}
		memcpy(s->out.data + s->out.to, at, piece);
		s->out.to += piece;
		at += piece;
		size -= piece;
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
