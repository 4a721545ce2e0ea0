/*
 * run_dir.c: see run_dir.h. Control thread, at start and end. The lock is flock(2) on a file that is never removed: removing it would
 * let two daemons hold a lock each on files of the same name.
 */
#include "daemon/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/random.h"

static int fail(int err, char *text, size_t len, const char *what, const char *path)
{
	snprintf(text, len, "%s: %s: %s", path, what, strerror(err));
	return -err;
}

/* `dir` and `name` in `ret`, or -ENAMETOOLONG. */
static int join(const char *dir, const char *name, char *ret, size_t len)
{
	return (size_t)snprintf(ret, len, "%s/%s", dir, name) < len ? 0 : -ENAMETOOLONG;
}

static ssize_t read_line(int fd, char *ret, size_t len)
{
	ssize_t n = pread(fd, ret, len - 1, 0);

	if (n < 0)
		return -errno;
	ret[n] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	return n;
}

/* ---- the lock ---- */

static int lock(const char *dir, int *ret_fd, char *err, size_t err_len)
{
	char path[512], pid[32] = "";
	int fd;

	if (join(dir, "lock", path, sizeof path) < 0)
		return fail(ENAMETOOLONG, err, err_len, "run directory", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return fail(errno, err, err_len, "can't open the lock", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK) {
			read_line(fd, pid, sizeof pid);
			snprintf(err, err_len, "%s: held by another smstrackd (pid %s); each needs a run_dir of its own", path, *pid ? pid : "unknown");
			close(fd);
			return -EBUSY;
		}
		fail(errno, err, err_len, "can't lock", path);
		close(fd);
		return -errno;
	}
	/* for whoever is refused next; the lock doesn't depend on it */
	snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0) {
		int rc = fail(errno, err, err_len, "can't write", path);

		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- the name ---- */

static bool is_name(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > RUN_DIR_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f)
			return false;
	return true;
}

/* The host's name for people, and random digits, since hosts get cloned and two instances of a name would take over from each other. */
static void make_name(char ret[RUN_DIR_NAME_MAX + 1])
{
	char host[RUN_DIR_NAME_MAX - 12] = "smstrackd";

	gethostname(host, sizeof host - 1);
	host[sizeof host - 1] = '\0';
	host[strcspn(host, ".")] = '\0';
	snprintf(ret, RUN_DIR_NAME_MAX + 1, "%s-%08" PRIx32, is_name(host) ? host : "smstrackd", (uint32_t)random_u64());
}

static int write_name(const char *dir, const char *path, const char *name, char *err, size_t err_len)
{
	char temp[512];
	int fd, rc = 0;

	if (join(dir, "instance.new", temp, sizeof temp) < 0)
		return fail(ENAMETOOLONG, err, err_len, "run directory", dir);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fail(errno, err, err_len, "can't open", temp);
	if (dprintf(fd, "%s\n", name) < 0 || fsync(fd) < 0)
		rc = fail(errno, err, err_len, "can't write", temp);
	close(fd);
	if (rc == 0 && rename(temp, path) < 0)
		rc = fail(errno, err, err_len, "can't rename to", path);
	return rc;
}

static int settle_name(const char *dir, const char *instance, char ret[RUN_DIR_NAME_MAX + 1], char *err, size_t err_len)
{
	char path[512], kept[RUN_DIR_NAME_MAX + 2] = "";
	int fd;

	if (join(dir, "instance", path, sizeof path) < 0)
		return fail(ENAMETOOLONG, err, err_len, "run directory", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return fail(errno, err, err_len, "can't open", path);
	if (fd >= 0) {
		read_line(fd, kept, sizeof kept);
		close(fd);
	}
	if (instance != NULL && !is_name(instance)) {
		snprintf(err, err_len, "instance: should be 1 to %d printable characters without spaces", RUN_DIR_NAME_MAX);
		return -EINVAL;
	}
	if (instance != NULL)
		snprintf(ret, RUN_DIR_NAME_MAX + 1, "%s", instance);
	else if (is_name(kept))
		memcpy(ret, kept, strlen(kept) + 1);
	else
		make_name(ret);
	return strcmp(ret, kept) == 0 ? 0 : write_name(dir, path, ret, err, err_len);
}

int run_dir_open(const char *path, const char *instance, struct run_dir *ret, char *err, size_t err_len)
{
	struct run_dir dir = { .lock_fd = -1 };
	int rc;

	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return fail(errno, err, err_len, "can't make the run directory", path);
	rc = lock(path, &dir.lock_fd, err, err_len);
	if (rc < 0)
		return rc;
	rc = settle_name(path, instance, dir.instance, err, err_len);
	if (rc < 0) {
		run_dir_close(&dir);
		return rc;
	}
	do
		dir.incarnation = random_u64();
	while (dir.incarnation == 0);
	*ret = dir;
	return 0;
}

void run_dir_close(struct run_dir *dir)
{
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}

/* ---- the socket ---- */

int run_dir_clear_socket(const char *path, char *err, size_t err_len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(errno, err, err_len, "admin socket", path);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, err_len, "%s: is there and is no socket; it is left alone", path);
		return -EEXIST;
	}
	if (strlen(path) >= sizeof addr.sun_path)
		return fail(ENAMETOOLONG, err, err_len, "admin socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(errno, err, err_len, "admin socket", path);
	rc = connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
	close(fd);
	/* EAGAIN: somebody listens and is busy */
	if (rc != -ECONNREFUSED) {
		snprintf(err, err_len, "%s: %s", path, rc == 0 || rc == -EAGAIN ? "somebody listens there already" : strerror(-rc));
		return rc == 0 || rc == -EAGAIN ? -EADDRINUSE : rc;
	}
	return unlink(path) < 0 && errno != ENOENT ? fail(errno, err, err_len, "can't remove the stale socket", path) : 0;
}
