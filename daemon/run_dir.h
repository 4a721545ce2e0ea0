/*
 * run_dir.h: the run directory: one daemon at a time (a lock), the instance's name (kept across restarts, so that what a dead process
 * claimed is taken over at once), and the admin socket's path (a stale one is taken over, a live one refused).
 */
#ifndef DAEMON_RUN_DIR_H
#define DAEMON_RUN_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/check.h"

enum { RUN_DIR_NAME_MAX = 64 };

struct run_dir {
	int lock_fd;                    /* -1: not locked */
	char instance[RUN_DIR_NAME_MAX + 1];
	uint64_t incarnation;           /* random, of this process; never 0 */
};

/*
 * Makes the directory where it is missing, locks it, and settles on the instance's name: `instance`, or (NULL) the one that is kept
 * there, or a new one. 0; -EBUSY: another daemon has it (err says its pid); other errnos, with words in err.
 */
int run_dir_open(const char *path, const char *instance, struct run_dir *ret, char *err, size_t err_len) MUST_CHECK;
/* Lets the lock go. The name stays. */
void run_dir_close(struct run_dir *dir);

/* Makes way for a listener at `path`: removes a socket that nobody listens on. 0; -EADDRINUSE: somebody does; -EEXIST: it is no
 * socket; other errnos. */
int run_dir_clear_socket(const char *path, char *err, size_t err_len) MUST_CHECK;

#endif
