/* demo_world.c: see demo_world.h. Main thread only. It starts nothing that it doesn't end, and listens on 127.0.0.1 and its own files. */
#include "daemon/ctl/demo_world.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/cli.h"
#include "daemon/ctl/demo_kafka.h"
#include "daemon/ctl/demo_provider.h"

enum { REDIS_START_MS = 10000, READY_MS = 40000 };

static void path_in(const struct demo_world *w, const char *name, char ret[DEMO_PATH_MAX + 16])
{
	snprintf(ret, DEMO_PATH_MAX + 16, "%s/%s", w->dir, name);
}

/* ---- redis ---- */

/* Whether it answers PING; a connection of its own, blocking: the server is on this machine and ours. */
static bool redis_answers(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 1 };
	char pong[8] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	if (fd < 0 || strlen(path) >= sizeof addr.sun_path)
		return false;
	strcpy(addr.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	yes = connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
	      recv(fd, pong, 5, MSG_WAITALL) == 5 && memcmp(pong, "+PONG", 5) == 0;
	close(fd);
	return yes;
}

static int redis_start(struct demo_world *w, const char *program, const char *socket_path)
{
	char log[DEMO_PATH_MAX + 16];
	const char *argv[] = { program, "--port", "0", "--unixsocket", socket_path, "--unixsocketperm", "700", "--save", "", "--appendonly",
			       "no", "--dir", w->dir, "--daemonize", "no", "--maxmemory-policy", "noeviction", NULL };

	path_in(w, "redis.log", log);
	return demo_child_start(&w->redis, argv, log);
}

int demo_world_redis(struct demo_world *w, char err[DEMO_WORLD_ERR_MAX])
{
	char path[DEMO_PATH_MAX + 16];
	int64_t deadline_us;
	int rc = demo_dir_make(w->dir);

	if (rc < 0) {
		snprintf(err, DEMO_WORLD_ERR_MAX, "can't make a temporary directory: %s", strerror(-rc));
		return CTL_UNREACHABLE;
	}
	path_in(w, "redis.sock", path);
	rc = redis_start(w, "redis-server", path);
	if (rc == -ENOENT)
		rc = redis_start(w, "valkey-server", path);
	if (rc < 0) {
		snprintf(err, DEMO_WORLD_ERR_MAX,
			 rc == -ENOENT ? "redis-server is not installed (Debian: apt-get install redis-server)" : "can't run redis-server: %s",
			 strerror(-rc));
		return CTL_UNREACHABLE;
	}
	deadline_us = clock_mono_exact_us() + REDIS_START_MS * 1000LL;
	while (!redis_answers(path)) {
		if (!demo_child_alive(&w->redis) || clock_mono_exact_us() > deadline_us) {
			snprintf(err, DEMO_WORLD_ERR_MAX, "redis-server doesn't come up");
			demo_child_print_log(&w->redis, "redis-server", 8);
			return CTL_UNREACHABLE;
		}
		poll(NULL, 0, 10);
	}
	return CTL_OK;
}

int demo_world_servers(struct demo_world *w, const struct demo_world_options *options, char err[DEMO_WORLD_ERR_MAX])
{
	if (demo_kafka_start(DEMO_PARTITIONS, &w->kafka, err, DEMO_WORLD_ERR_MAX) < 0)
		return CTL_UNREACHABLE;
	if (demo_provider_start(options->n_ids, &w->provider, err, DEMO_WORLD_ERR_MAX) < 0)
		return CTL_UNREACHABLE;
	return CTL_OK;
}

/* ---- the daemon ---- */

/* The smstrackd that was built or installed with this program (bin and sbin), else the one on PATH. */
static void find_daemon(struct demo_world *w, const char *wanted)
{
	static const char *const beside[] = { "smstrackd", "../sbin/smstrackd" };
	char self[DEMO_PATH_MAX - 20];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	snprintf(w->daemon_path, sizeof w->daemon_path, "%s", wanted != NULL ? wanted : "smstrackd");
	if (wanted != NULL || n <= 0 || (size_t)n == sizeof self - 1)
		return;
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < ARRAY_LEN(beside); i++) {
		char path[DEMO_PATH_MAX];

		snprintf(path, sizeof path, "%.*s/%s", (int)(slash - self), self, beside[i]);
		if (access(path, X_OK) == 0) {
			strcpy(w->daemon_path, path);
			return;
		}
	}
}

static int write_config(const struct demo_world *w, const struct demo_world_options *options, const char *path)
{
	static const char text[] =
		"# The demo's: everything on this machine, nothing kept.\n"
		"[daemon]\n"
		"instance = demo\n"
		"run_dir = %s\n"
		"inflight = %u\n"
		"drain_ms = 15000\n"
		"[kafka]\n"
		"brokers = %s\n"
		"topics = sms.outbound\n"
		"group.id = smstrackd-demo\n"
		"start = earliest\n"
		"session.timeout.ms = 6000\n"
		"# the mock cluster sits out an empty fetch, whatever comes meanwhile\n"
		"fetch.wait.max.ms = 20\n"
		"[redis]\n"
		"url = unix://%s/redis.sock?db=0\n"
		"[admin]\n"
		"listen = unix:%s\n"
		"[provider acme]\n"
		"url = http://127.0.0.1:%u/acme\n"
		"from = Acme\n"
		"weight = 300\n"
		"max_inflight = %u\n"
		"[provider bulk]\n"
		"url = http://127.0.0.1:%u/bulk\n"
		"from = Bulk\n"
		"weight = 100\n"
		"max_inflight = %u\n";
	unsigned port = demo_provider_port(w->provider);
	FILE *f = fopen(path, "we");
	int n;

	if (f == NULL)
		return -errno;
	n = fprintf(f, text, w->dir, options->inflight, demo_kafka_brokers(w->kafka), w->dir, w->admin, port, options->inflight, port,
		    options->inflight);
	return fclose(f) == 0 && n > 0 ? 0 : -EIO;
}

int demo_world_daemon(struct demo_world *w, const struct demo_world_options *options, char err[DEMO_WORLD_ERR_MAX])
{
	char config[DEMO_PATH_MAX + 16], log[DEMO_PATH_MAX + 16];
	const char *argv[] = { w->daemon_path, "-f", config, NULL };
	int rc;

	path_in(w, "admin.sock", w->admin);
	path_in(w, "smstrackd.conf", config);
	path_in(w, "smstrackd.log", log);
	find_daemon(w, options->daemon);
	rc = write_config(w, options, config);
	if (rc < 0) {
		snprintf(err, DEMO_WORLD_ERR_MAX, "can't write %s: %s", config, strerror(-rc));
		return CTL_UNREACHABLE;
	}
	rc = demo_child_start(&w->daemon, argv, log);
	if (rc == 0)
		return CTL_OK;
	snprintf(err, DEMO_WORLD_ERR_MAX, "can't run %s: %s%s", w->daemon_path, strerror(-rc),
		 rc == -ENOENT ? "; build it with make, or name it with --daemon" : "");
	return CTL_UNREACHABLE;
}

/* What a /readyz that says no gives as its reason. */
static void read_reason(const struct admin_reply *reply, char why[ADMIN_ERR_MAX])
{
	json_t *problem = json_loads(reply->body, 0, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	snprintf(why, ADMIN_ERR_MAX, "%s", detail != NULL ? detail : "it doesn't say why");
	json_decref(problem);
}

int demo_world_wait_ready(struct demo_world *w, demo_stop_fn *stop, void *arg, char err[DEMO_WORLD_ERR_MAX])
{
	int64_t deadline_us = clock_mono_exact_us() + READY_MS * 1000LL;
	char why[ADMIN_ERR_MAX];

	for (;;) {
		struct admin_reply reply;
		int status = 0;

		if (admin_call(w->admin, "GET", "/readyz", NULL, 2000, &reply, why) == 0) {
			status = reply.status;
			read_reason(&reply, why);
			admin_reply_fini(&reply);
		}
		if (status == 200)
			return CTL_OK;
		if (stop(arg)) {
			snprintf(err, DEMO_WORLD_ERR_MAX, "interrupted before it began");
			return CTL_REFUSED;
		}
		if (!demo_child_alive(&w->daemon)) {
			snprintf(err, DEMO_WORLD_ERR_MAX, "smstrackd ended at its start");
			break;
		}
		if (clock_mono_exact_us() > deadline_us) {
			snprintf(err, DEMO_WORLD_ERR_MAX, "smstrackd isn't ready after %d s: %s", READY_MS / 1000, why);
			break;
		}
		poll(NULL, 0, 50);
	}
	demo_child_print_log(&w->daemon, "smstrackd", 12);
	return CTL_REFUSED;
}

int demo_world_end_daemon(struct demo_world *w, int timeout_ms)
{
	return demo_child_stop(&w->daemon, SIGTERM, timeout_ms);
}

void demo_world_end(struct demo_world *w)
{
	demo_child_stop(&w->daemon, SIGTERM, 3000);
	demo_provider_stop(w->provider);
	demo_kafka_stop(w->kafka);
	demo_child_stop(&w->redis, SIGTERM, 3000);
	demo_dir_remove(w->dir);
	*w = (struct demo_world){ 0 };
}
