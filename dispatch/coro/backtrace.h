/* backtrace.h: stacks by frame pointers, as text, also from within signal handlers: no allocation, no stdio streams. */
#ifndef CORO_BACKTRACE_H
#define CORO_BACKTRACE_H

#include <stddef.h>

enum { CO_FRAMES_MAX = 48, CO_FRAME_TEXT = 160 };

/* A stack to walk: where it runs or will go on, and the memory that its frames must lie in. */
struct co_walk {
	const void *pc;                 /* NULL: begin with the frame's return address */
	void *const *frame;
	const char *low, *high;
};

/* From a signal handler's third argument; the bounds are the caller's to set. */
void co_walk_from_signal(struct co_walk *w, const void *ucontext);
/* The next place in the program, or NULL at the end. */
const void *co_walk_next(struct co_walk *w);
/* "name+0x12" or "file(+0x1234)", as far as it can be told. */
void co_walk_describe(const void *pc, char *buf, size_t size);
/* Writes a line per frame. */
void co_walk_write(struct co_walk *w, int fd);
/* printf to a descriptor, cut at 511 bytes. */
void co_write_text(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
