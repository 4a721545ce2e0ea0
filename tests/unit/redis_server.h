/* redis_server.h: a redis-server of the test's own, on a UNIX socket in a temporary directory, and a plain connection to look inside. */
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
	pid_t pid;
	char dir[64], socket[96], url[120];
	const char *options[8];         /* more arguments, NULL at the end */
	redisContext *look;
};

static inline bool redis_server_installed(void)
{
	return system("command -v redis-server >/dev/null 2>&1") == 0;
}

static inline void redis_server_exec(struct redis_server *s)
{
	const char *argv[40] = { "redis-server", "--port", "0", "--unixsocket", s->socket, "--save", "", "--dir", s->dir,
				 "--loglevel", "warning", "--logfile", "log", "--enable-debug-command", "yes" };
	size_t n = 15;

	for (size_t i = 0; i < 8 && s->options[i] != NULL; i++)
		argv[n++] = s->options[i];
	argv[n] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* Starts it (again), in the same directory, and waits until it answers PING. */
static inline void redis_server_start(struct redis_server *s)
{
	if (s->dir[0] == '\0') {
		snprintf(s->dir, sizeof s->dir, "/tmp/test_store.XXXXXX");
		if (mkdtemp(s->dir) == NULL)
			abort();
		snprintf(s->socket, sizeof s->socket, "%s/redis.sock", s->dir);
		snprintf(s->url, sizeof s->url, "unix://%s?db=0", s->socket);
	}
	s->pid = fork();
	if (s->pid == 0)
		redis_server_exec(s);
	for (int i = 0; i < 500; i++) {
		redisReply *r;
		bool up;

		usleep(10000);
		if (s->look != NULL)
			redisFree(s->look);
		s->look = redisConnectUnix(s->socket);
		if (s->look == NULL || s->look->err != 0)
			continue;
		r = redisCommand(s->look, "PING");
		up = r != NULL && (r->type == REDIS_REPLY_STATUS || strncmp(r->str, "NOAUTH", 6) == 0);
		freeReplyObject(r);
		if (up)
			return;
	}
	abort();
}

static inline void redis_server_kill(struct redis_server *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

static inline void redis_server_end(struct redis_server *s)
{
	char command[128];

	redis_server_kill(s);
	if (s->look != NULL)
		redisFree(s->look);
	snprintf(command, sizeof command, "rm -rf %s", s->dir);
	if (s->dir[0] != '\0' && system(command) != 0)
		abort();
	memset(s, 0, sizeof *s);
}

#endif
