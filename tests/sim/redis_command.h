/*
 * redis_command.h: the commands of the simulated Redis, over its keyspace: those that the product sends and those that its scripts
 * call. A command that it doesn't know, or an option, is an error as the real one's: it fails the run, lest a gap here hides a bug.
 */
#ifndef SIM_REDIS_COMMAND_H
#define SIM_REDIS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/redis_value.h"

struct keyspace;

struct redis_arg {
	const char *s;
	size_t len;
};

enum { REDIS_ARGS_MAX = 1024 };

/* A command that works on keys, or TIME. `notes`: what it writes can be undone (keyspace_note()). */
struct redis_value redis_command_run(struct keyspace *keys, const struct redis_arg *args, size_t n, bool notes);
bool redis_arg_is(const struct redis_arg *arg, const char *word);       /* in any case */
bool redis_arg_integer(const struct redis_arg *arg, int64_t *ret);

#endif
