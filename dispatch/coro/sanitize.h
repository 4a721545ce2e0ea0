/* sanitize.h: what ASan, TSan and valgrind must be told of stacks that switch and of memory that is pooled. Nothing where they are not. */
#ifndef CORO_SANITIZE_H
#define CORO_SANITIZE_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define CO_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define CO_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define CO_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define CO_TSAN 0
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define VALGRIND_MAKE_MEM_NOACCESS(p, n) ((void)(p))
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p))
#define VALGRIND_MAKE_MEM_DEFINED(p, n) ((void)(p))
#endif

/* One side of a switch, as the sanitizers know it. */
struct co_fiber {
#if CO_ASAN
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
#if CO_TSAN
	void *tsan;
#endif
	char unused;
};

/* A task's side on a stack of its own; TSan wants one for each task and dies above 8,128 of them. */
static inline void co_fiber_init(struct co_fiber *f, void *bottom, void *top)
{
	(void)f, (void)bottom, (void)top;
#if CO_ASAN
	f->fake_stack = NULL;
	f->bottom = bottom;
	f->size = (size_t)((char *)top - (char *)bottom);
#endif
#if CO_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
}

static inline void co_fiber_init_thread(struct co_fiber *f)
{
	(void)f;
#if CO_TSAN
	f->tsan = __tsan_get_current_fiber();
#endif
}

static inline void co_fiber_fini(struct co_fiber *f)
{
	(void)f;
#if CO_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
}

/* Right before the switch; `last`: this side never runs again. */
static inline void co_fiber_leave(struct co_fiber *from, struct co_fiber *to, int last)
{
	(void)from, (void)to, (void)last;
#if CO_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->size);
#endif
#if CO_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* Right after it, on the stack now running; learns the bounds of the one that was left, if `from` is given. */
static inline void co_fiber_arrive(struct co_fiber *to, struct co_fiber *from)
{
	(void)to, (void)from;
#if CO_ASAN
	__sanitizer_finish_switch_fiber(to->fake_stack, from != NULL ? &from->bottom : NULL, from != NULL ? &from->size : NULL);
#endif
}

/* Pooled memory that nobody owns may not be touched, memory that is handed out may. */
static inline void co_memory_lend(void *p, size_t n)
{
	(void)p, (void)n;
#if CO_ASAN
	ASAN_UNPOISON_MEMORY_REGION(p, n);
#endif
	VALGRIND_MAKE_MEM_UNDEFINED(p, n);
}

static inline void co_memory_take(void *p, size_t n)
{
	(void)p, (void)n;
#if CO_ASAN
	ASAN_POISON_MEMORY_REGION(p, n);
#endif
	VALGRIND_MAKE_MEM_NOACCESS(p, n);
}

/* A mapping in which LSan looks for pointers: heap that only a parked task knows is no leak. */
static inline void co_memory_root(void *p, size_t n, int on)
{
	(void)p, (void)n, (void)on;
#if CO_ASAN
	if (on)
		__lsan_register_root_region(p, n);
	else
		__lsan_unregister_root_region(p, n);
#endif
}

#endif
