/*
 * options.h: the one table of what can be configured. The reader, the sample file, the man page, --print-config and the reload all go
 * by it; nothing about an option is said twice.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"

struct config;

enum option_type {
	OPTION_STRING = 1,      /* const char *; min and max are its length */
	OPTION_CHOICE,          /* const char *, one of `choices` */
	OPTION_ENUM,            /* int: its place in `choices`, from 1 */
	OPTION_UINT,            /* unsigned, size_t, int64_t or uint64_t by its size, within min and max */
	OPTION_BOOL,            /* bool: yes | no */
	OPTION_PATH,            /* const char * */
	OPTION_SECRET,          /* const char *: the first line of the file that is named */
	OPTION_DURABILITY,      /* two fields of store_options: local | aof | replicas:N */
};

struct options_entry {
	const char *section, *key;
	enum option_type type;
	size_t offset, size;            /* of the field in struct config; of provider keys in struct provider_options */
	const char *def;                /* as in a file; NULL: none, the field stays NULL or is worked out */
	const char *example;            /* for the sample where def is NULL */
	const char *choices;            /* space separated */
	const char *zero;               /* the word that stands for 0, beside the number itself */
	int64_t min, max;
	const char *unit;
	bool required, reloadable;
	const char *help;
};

struct option_section {
	const char *name;
	bool named;                     /* [provider NAME], as many as there are */
	const char *help;
};

extern const struct options_entry options_table[];
extern const size_t options_count;
extern const struct option_section options_sections[];
extern const size_t options_sections_count;

/* NULL where there is none. */
const struct options_entry *options_find(const char *section, const char *key);
const struct option_section *options_find_section(const char *name);
/* The nearest known key of that section (or section, where key is NULL) if it is near enough to be meant; NULL otherwise. */
const char *options_nearest(const char *section, const char *key);

/* Reads `text` into the option's field of `base` (struct config, or struct provider_options); strings are pointed to, not copied.
 * false with words in err: what would be right. OPTION_SECRET is the caller's to read from its file. */
bool options_set(const struct options_entry *option, void *base, const char *text, char *err, size_t err_len);

/* etc/smstrackd.conf and etc/man/smstrackd.conf.5 are these, and a check compares them. */
void options_print_sample(struct buf *out);
void options_print_man(struct buf *out);

#endif
