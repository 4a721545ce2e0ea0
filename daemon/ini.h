/*
 * ini.h: the INI reader: sections with an optional name, keys, values, comments, line numbers. Pure: it is given bytes and calls back.
 *
 *	[section]                ; a comment, as is a line that begins with ; or #
 *	[provider acme]          ; "provider" with the name "acme"
 *	key = value              ; a comment after a value needs white space before its ; or #
 *	key = "a ; value"        ; quotes keep white space, ; and #; inside them \" and \\
 */
#ifndef DAEMON_INI_H
#define DAEMON_INI_H

#include <stddef.h>

#include "daemon/base/buf.h"
#include "daemon/base/check.h"

enum { INI_LINE_MAX = 64 * 1024, INI_FILE_MAX = 1024 * 1024 };

struct ini_handler {
	/* `name` is "" where the section has none. Strings are good during the call only. */
	void (*on_section)(const char *section, const char *name, int line, void *arg);
	void (*on_value)(const char *key, const char *value, int line, void *arg);
	void (*on_error)(int line, const char *what, void *arg);
	void *arg;
};

/* Reads on after an error, so that all of them are reported. 0, -EINVAL (on_error was called), -ENOMEM. */
int ini_parse(const char *data, size_t len, const struct ini_handler *handler) MUST_CHECK;

/* The whole file into `buf` (emptied first), at most `max` bytes: 0, -EFBIG, or why it can't be read. */
int ini_read_file(const char *path, size_t max, struct buf *buf) MUST_CHECK;

#endif
