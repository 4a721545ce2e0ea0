/* guard.c: see guard.h. */
#include "dispatch/coro/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dispatch/coro/sanitize.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102          /* Linux 6.13 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23          /* Linux 5.14 */
#endif
#ifndef PIDFD_SELF_THREAD_GROUP
#define PIDFD_SELF_THREAD_GROUP (-10001)        /* Linux 6.14 */
#endif

_Static_assert(sizeof(struct co_pages) == sizeof(struct iovec) && offsetof(struct co_pages, bytes) == offsetof(struct iovec, iov_len),
	       "pages are handed to the kernel as they are");

/* Guards by mprotect(2) in the whole process, each of which splits a mapping; never more than a share of the system's limit. */
static atomic_long protected_guards;

size_t co_guard_bytes(void)
{
	static atomic_size_t page;
	size_t n = atomic_load_explicit(&page, memory_order_relaxed);

	if (n == 0) {
		n = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&page, n, memory_order_relaxed);
	}
	return n;
}

/* 45 % of vm.max_map_count: the rest is for everybody else's mappings. */
static long protected_limit(void)
{
	static atomic_long limit;
	long n = atomic_load(&limit);
	char text[32] = "";
	int fd;

	if (n != 0)
		return n;
	fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof text - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	n = strtol(text, NULL, 10);
	if (n <= 0)
		n = 65530;
	n = n * 45 / 100;
	atomic_store(&limit, n);
	return n;
}

/* Emulators answer yes to any advice: guards are believed only where nonsense is refused. LSan dies of those in the stacks that it reads, for
 * no map of the process shows them. */
static bool advice_works(void *page)
{
	static atomic_int answer;
	int known = CO_ASAN ? 2 : atomic_load(&answer);

	if (known == 0) {
		known = madvise(page, co_guard_bytes(), 9999) != 0 &&
			madvise(page, co_guard_bytes(), MADV_GUARD_INSTALL) == 0 ? 1 : 2;
		atomic_store(&answer, known);
	}
	return known == 1;
}

enum co_stack_guard co_guard_install(char *page)
{
	if (advice_works(page) && madvise(page, co_guard_bytes(), MADV_GUARD_INSTALL) == 0)
		return CO_STACK_ADVISED;
	if (atomic_fetch_add(&protected_guards, 1) < protected_limit() &&
	    mprotect(page, co_guard_bytes(), PROT_NONE) == 0)
		return CO_STACK_PROTECTED;
	atomic_fetch_sub(&protected_guards, 1);
	return CO_STACK_UNGUARDED;
}

void co_guard_forget(enum co_stack_guard guard)
{
	if (guard == CO_STACK_PROTECTED)
		atomic_fetch_sub(&protected_guards, 1);
}

/* ---- many at once ---- */

/* For the own process process_madvise(2) takes any advice; a kernel that does not know that, or a filter before it, is asked once. */
static bool advise_many(const struct co_pages *pages, size_t n, int advice)
{
	static atomic_bool refused;
	size_t bytes = 0;
	long rc;

	if (RUNNING_ON_VALGRIND || atomic_load_explicit(&refused, memory_order_relaxed))
		return false;
	for (size_t i = 0; i < n; i++)
		bytes += pages[i].bytes;
	rc = syscall(SYS_process_madvise, PIDFD_SELF_THREAD_GROUP, pages, n, advice, 0);
	if (rc < 0 && errno != ENOMEM && errno != EAGAIN && errno != EINTR)
		atomic_store_explicit(&refused, true, memory_order_relaxed);
	return rc == (long)bytes;
}

bool co_guard_install_many(const struct co_pages *pages, size_t n)
{
	return advice_works(pages[0].first) && advise_many(pages, n, MADV_GUARD_INSTALL);
}

void co_pages_populate_many(const struct co_pages *pages, size_t n)
{
	(void)advise_many(pages, n, MADV_POPULATE_WRITE);
}

void co_pages_release_many(const struct co_pages *pages, size_t n)
{
	if (n > 1 && advise_many(pages, n, MADV_DONTNEED))
		return;
	for (size_t i = 0; i < n; i++)
		(void)madvise(pages[i].first, pages[i].bytes, MADV_DONTNEED);
}
