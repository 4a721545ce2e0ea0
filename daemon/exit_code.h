/* exit_code.h: what smstrackd ends with; sysexits.h's numbers. README.md and smstrackd(8) have the same table. */
#ifndef DAEMON_EXIT_CODE_H
#define DAEMON_EXIT_CODE_H

enum exit_code {
	EXIT_CODE_OK = 0,               /* asked to end, nothing left behind */
	EXIT_CODE_USAGE = 64,           /* wrong command line */
	EXIT_CODE_UNAVAILABLE = 69,     /* Kafka's client ended for good (fenced, fatal error): a new start may do */
	EXIT_CODE_SOFTWARE = 70,        /* a bug */
	EXIT_CODE_OSERR = 71,           /* out of memory, threads or descriptors at the start */
	EXIT_CODE_CANTCREAT = 73,       /* run directory, admin socket or log can't be made, or another daemon has them */
	EXIT_CODE_TEMPFAIL = 75,        /* ended with work left: the next start, or another instance, takes it up */
	EXIT_CODE_CONFIG = 78,          /* the configuration is wrong, or doesn't fit this machine */
};

#endif
