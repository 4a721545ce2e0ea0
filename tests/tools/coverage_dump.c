/* coverage_dump.c: linked into the tests of a coverage build. What a process has counted is written where it ends by _exit(), by abort()
 * or by a signal's default action, too; gcc's runtime writes it at exit() only. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);

/* Counting starts anew, for a dump adds to what the file has. */
static void dump(void)
{
	__gcov_dump();
	__gcov_reset();
}

void _exit(int code)
{
	dump();
	for (;;)
		syscall(SYS_exit_group, code);
}

sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction now = { .sa_handler = handler, .sa_flags = SA_RESTART }, before;

	if (handler == SIG_DFL)
		dump();
	return sigaction(sig, &now, &before) == 0 ? before.sa_handler : SIG_ERR;
}

void abort(void)
{
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	_exit(134);
}
