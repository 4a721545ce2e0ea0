/*
 * stream.h: asyncio's StreamReader and StreamWriter over one descriptor that doesn't block: bounded buffers of its own, the calls
 * suspend in co_fd_wait(). For what is not hot: the messages' own paths have clients of theirs. One task reads and one writes at a time;
 * none may wait when the stream is freed. The program must ignore SIGPIPE if it writes to pipes; sockets need nothing.
 */
#ifndef CORO_STREAM_H
#define CORO_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

struct co_stream;

/* Takes over `fd` and makes it non-blocking; each direction buffers up to `limit` bytes (asyncio: 65,536). NULL: out of memory; the fd
 * stays the caller's. */
struct co_stream *co_stream_new(int fd, size_t limit) MUST_CHECK;
/* Closes the descriptor; what is not written yet is lost: drain before. Takes NULL. */
void co_stream_free(struct co_stream *s);

/* All [suspend], also where they need not wait, now and then: -ECANCELED; -ETIMEDOUT where they must wait and the deadline is past; a
 * negative errno of the descriptor, then each time; what was read by then stays for the next call. */

/* At least a byte, at most `size`; 0 at the end (reader.read), and where `size` is. */
int co_stream_read(struct co_stream *s, void *buf, size_t size, int64_t deadline_us) MUST_CHECK;
/* Exactly `size` bytes; -ENODATA: the end came before (IncompleteReadError); -EMSGSIZE: more than the limit. */
int co_stream_read_exactly(struct co_stream *s, void *buf, size_t size, int64_t deadline_us) MUST_CHECK;
/* Up to and with `end`, a byte (reader.readuntil). The bytes lie in the stream's buffer till the next read; their number is returned.
 * -ENODATA: the end came before; -EMSGSIZE: not within the limit. */
int co_stream_read_until(struct co_stream *s, char end, const char **ret_line, int64_t deadline_us) MUST_CHECK;
/* Puts bytes into the buffer, and waits only where they don't fit (writer.write and drain in one). 0. Up to the limit all of them are in
 * it or none is when it fails; of more, a part may be. */
int co_stream_write(struct co_stream *s, const void *data, size_t size, int64_t deadline_us) MUST_CHECK;
/* Until all is handed to the system. 0. */
int co_stream_drain(struct co_stream *s, int64_t deadline_us) MUST_CHECK;

#endif
