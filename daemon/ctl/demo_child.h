/*
 * demo_child.h: a program that the demo runs beside itself, and the temporary directory they share. A child dies with us whatever
 * happens to us, gets no key of our terminal, and writes to a log whose end is shown when it fails.
 */
#ifndef CTL_DEMO_CHILD_H
#define CTL_DEMO_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/check.h"

enum { DEMO_PATH_MAX = 256 };

struct demo_child {
	pid_t pid;              /* 0: not started, or ended and collected */
	int status;             /* as waitpid() had it, once ended */
	char log[DEMO_PATH_MAX];
};

/* Runs argv[0], found on PATH where it has no slash; its output goes to `log`. 0, or -ENOENT and other errnos. */
int demo_child_start(struct demo_child *c, const char *const *argv, const char *log) MUST_CHECK;
/* Whether it runs; collects it where it ended. */
bool demo_child_alive(struct demo_child *c);
/* Sends the signal and waits up to timeout_ms, then kills and waits on. Its exit code, or 128 + the signal that ended it. */
int demo_child_stop(struct demo_child *c, int signal, int timeout_ms);
/* The last lines of its log on stderr, each behind `indent`. */
void demo_child_print_log(const struct demo_child *c, const char *name, unsigned lines);

/* What /proc says of it: user and system time in us, peak memory in bytes. -ESRCH. */
int demo_child_usage(const struct demo_child *c, int64_t *ret_cpu_us, int64_t *ret_peak_bytes) MUST_CHECK;

/* A new private directory under TMPDIR or /tmp. 0 or a negative errno. */
int demo_dir_make(char ret[DEMO_PATH_MAX]) MUST_CHECK;
/* Removes it with all in it; never follows a link. */
void demo_dir_remove(const char *path);

#endif
