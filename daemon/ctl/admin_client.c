/*
 * admin_client.c: see admin_client.h. The socket is blocking in effect: every wait is a poll() up to the one deadline. Replies are
 * read by the same strict parser that reads providers' (dispatch/http1.h). It never retries: a change may have been made.
 */
#include "daemon/ctl/admin_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/alloc.h"
#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "dispatch/http_client.h"
#include "dispatch/http1.h"

static int wait_for(int fd, short events, int64_t deadline_us)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left_us = deadline_us - clock_mono_exact_us();
		int n;

		if (left_us <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((left_us + 999) / 1000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int open_socket(const char *path, int64_t deadline_us)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof addr.sun_path)
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A full backlog says EAGAIN on a UNIX socket and no event tells when it empties. */
	while (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
		rc = -errno;
		if (rc == -EAGAIN && clock_mono_exact_us() < deadline_us) {
			poll(NULL, 0, 10);
			continue;
		}
		close(fd);
		return rc == -EAGAIN ? -ETIMEDOUT : rc;
	}
	return fd;
}

static int send_all(int fd, const char *data, size_t len, int64_t deadline_us)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		int rc;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_for(fd, POLLOUT, deadline_us);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Reads one reply; what the parser says of the bytes so far decides whether more are read. */
static int receive(int fd, struct buf *in, struct http1_reader *reader, int64_t deadline_us)
{
	for (;;) {
		char *room = buf_room(in, 16384);
		enum http1_result result;
		ssize_t n;
		int rc;

		if (room == NULL)
			return -ENOMEM;
		n = recv(fd, room, 16384, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0) {
			rc = wait_for(fd, POLLIN, deadline_us);
			if (rc < 0)
				return rc;
			continue;
		}
		buf_add(in, (size_t)n);
		result = n > 0 ? http1_read(reader, in->data, in->len) : http1_read_end(reader, in->len);
		if (result != HTTP1_MORE)
			return result == HTTP1_DONE ? 0 : -EPROTO;
	}
}

static int take_reply(struct buf *in, const struct http1_reader *reader, struct admin_reply *ret)
{
	struct http_header headers[HTTP1_FIELDS_MAX];
	struct http_reply reply;
	char *body;

	http1_reply(reader, in->data, headers, &reply);
	body = mem_alloc(reply.body_len + 1);
	if (body == NULL)
		return -ENOMEM;
	if (reply.body_len > 0)
		memcpy(body, reply.body, reply.body_len);
	body[reply.body_len] = '\0';
	*ret = (struct admin_reply){ .status = reply.status, .body = body, .body_len = reply.body_len };
	return 0;
}

static int exchange(int fd, const struct buf *request, int64_t deadline_us, struct admin_reply *ret)
{
	struct http1_reader reader;
	struct buf in = { 0 };
	int rc = send_all(fd, request->data, request->len, deadline_us);

	http1_reader_init(&reader, ADMIN_REPLY_MAX);
	if (rc == 0)
		rc = receive(fd, &in, &reader, deadline_us);
	if (rc == 0)
		rc = take_reply(&in, &reader, ret);
	buf_fini(&in);
	return rc;
}

static void explain(int rc, const char *path, int timeout_ms, char err[ADMIN_ERR_MAX])
{
	switch (-rc) {
	case ENOENT:
		snprintf(err, ADMIN_ERR_MAX, "no daemon at %s: there is no such socket; is smstrackd running?", path);
		break;
	case ECONNREFUSED:
		snprintf(err, ADMIN_ERR_MAX, "no daemon at %s: nobody listens on that socket; did smstrackd die?", path);
		break;
	case EACCES:
	case EPERM:
		snprintf(err, ADMIN_ERR_MAX, "no permission for %s: its mode is the group's; try as that group or root", path);
		break;
	case ETIMEDOUT:
		snprintf(err, ADMIN_ERR_MAX, "no answer from %s within %d.%d s", path, timeout_ms / 1000, timeout_ms % 1000 / 100);
		break;
	case EPROTO:
		snprintf(err, ADMIN_ERR_MAX, "what answers at %s doesn't speak as smstrackd does", path);
		break;
	case ENAMETOOLONG:
		snprintf(err, ADMIN_ERR_MAX, "the socket's path is longer than the system allows (107 bytes): %.60s...", path);
		break;
	default:
		snprintf(err, ADMIN_ERR_MAX, "%s: %s", path, strerror(-rc));
	}
}

int admin_call(const char *path, const char *method, const char *target, const char *body, int timeout_ms, struct admin_reply *ret,
	       char err[ADMIN_ERR_MAX])
{
	int64_t deadline_us = clock_mono_exact_us() + (int64_t)timeout_ms * 1000;
	struct buf request = { 0 };
	int fd, rc;

	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: smstrackd\r\nConnection: close\r\n", method, target);
	if (body != NULL)
		buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
	buf_puts(&request, "\r\n");
	buf_puts(&request, body != NULL ? body : "");
	fd = request.oom ? -ENOMEM : open_socket(path, deadline_us);
	rc = fd;
	if (fd >= 0) {
		rc = exchange(fd, &request, deadline_us, ret);
		close(fd);
	}
	buf_fini(&request);
	if (rc < 0)
		explain(rc, path, timeout_ms, err);
	return rc;
}

void admin_reply_fini(struct admin_reply *reply)
{
	mem_free(reply->body);
	reply->body = NULL;
}
