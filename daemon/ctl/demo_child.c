/* demo_child.c: see demo_child.h. Called from the demo's main thread only: a child's parent-death signal belongs to the thread. */
#include "daemon/ctl/demo_child.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"

/* Between fork and exec, where other threads' locks may be held: system calls only. Never returns. */
static _Noreturn void become(const char *const *argv, int log, int null, int report, pid_t parent)
{
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	if (dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0)
		execvp(argv[0], (char *const *)(uintptr_t)argv);
	rc = errno;
	if (write(report, &rc, sizeof rc) < 0)
		_exit(126);
	_exit(127);
}

/* The pipe closes on exec; what comes through it is the errno of an exec that failed. */
static int exec_result(int fd)
{
	int rc = 0;
	ssize_t n;

	do
		n = read(fd, &rc, sizeof rc);
	while (n < 0 && errno == EINTR);
	return n == sizeof rc ? -rc : 0;
}

int demo_child_start(struct demo_child *c, const char *const *argv, const char *log)
{
	int pipes[2] = { -1, -1 }, null = open("/dev/null", O_RDWR | O_CLOEXEC), fd, rc = -EIO;
	pid_t parent = getpid(), pid;

	snprintf(c->log, sizeof c->log, "%s", log);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null < 0 || fd < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		goto done;
	pid = fork();
	if (pid == 0)
		become(argv, fd, null, pipes[1], parent);
	if (pid < 0)
		goto done;
	close(pipes[1]);
	pipes[1] = -1;
	rc = exec_result(pipes[0]);
	if (rc < 0)
		waitpid(pid, NULL, 0);
	else
		c->pid = pid;
	goto closed;

done:
	rc = -errno;
closed:
	if (pipes[0] >= 0)
		close(pipes[0]);
	if (pipes[1] >= 0)
		close(pipes[1]);
	if (null >= 0)
		close(null);
	if (fd >= 0)
		close(fd);
	return rc;
}

bool demo_child_alive(struct demo_child *c)
{
	if (c->pid == 0)
		return false;
	if (waitpid(c->pid, &c->status, WNOHANG) == 0)
		return true;
	c->pid = 0;
	return false;
}

int demo_child_stop(struct demo_child *c, int signal, int timeout_ms)
{
	int64_t deadline_us = clock_mono_exact_us() + (int64_t)timeout_ms * 1000;

	if (demo_child_alive(c))
		kill(c->pid, signal);
	while (demo_child_alive(c)) {
		if (clock_mono_exact_us() > deadline_us) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, &c->status, 0);
			c->pid = 0;
			break;
		}
		poll(NULL, 0, 5);
	}
	return WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status);
}

void demo_child_print_log(const struct demo_child *c, const char *name, unsigned lines)
{
	char tail[4096], *p, *save = NULL;
	FILE *f = fopen(c->log, "re");
	size_t n;

	if (f == NULL)
		return;
	if (fseek(f, -(long)sizeof tail + 1, SEEK_END) < 0)
		rewind(f);
	n = fread(tail, 1, sizeof tail - 1, f);
	fclose(f);
	if (n > 0 && tail[n - 1] == '\n')
		n--;
	tail[n] = '\0';
	if (n == 0)
		return;
	p = tail + n;
	while (p > tail && (p[-1] != '\n' || --lines > 0))
		p--;
	fprintf(stderr, "the last words of %s:\n", name);
	for (char *line = strtok_r(p, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "  | %s\n", line);
}

static int read_proc(pid_t pid, const char *file, char *ret, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, ret, size - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	ret[n] = '\0';
	return 0;
}

int demo_child_usage(const struct demo_child *c, int64_t *ret_cpu_us, int64_t *ret_peak_bytes)
{
	char text[4096];
	unsigned long user, system;
	const char *p;
	long peak_kb = 0;

	if (c->pid == 0 || read_proc(c->pid, "stat", text, sizeof text) < 0)
		return -ESRCH;
	/* proc(5): the name, field 2, may hold anything; utime and stime are 14 and 15. */
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return -ESRCH;
	if (read_proc(c->pid, "status", text, sizeof text) < 0)
		return -ESRCH;
	p = strstr(text, "VmHWM:");
	if (p != NULL)
		peak_kb = strtol(p + 6, NULL, 10);
	*ret_cpu_us = (int64_t)(user + system) * 1000000 / sysconf(_SC_CLK_TCK);
	*ret_peak_bytes = (int64_t)peak_kb * 1024;
	return 0;
}

int demo_dir_make(char ret[DEMO_PATH_MAX])
{
	const char *tmp = getenv("TMPDIR");
	int n;

	/* A UNIX socket's path may have 107 bytes: a long TMPDIR is no place for ours. */
	if (tmp == NULL || *tmp != '/' || strlen(tmp) > 64)
		tmp = "/tmp";
	n = snprintf(ret, DEMO_PATH_MAX, "%s/smstrack-demo-XXXXXX", tmp);
	CHECK(n > 0 && n < DEMO_PATH_MAX);
	if (mkdtemp(ret) != NULL)
		return 0;
	n = -errno;
	*ret = '\0';
	return n;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

void demo_dir_remove(const char *path)
{
	if (*path != '\0')
		nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
