/* keyspace.h: what a Redis holds: keys with a life, each a string or a hash. Nothing of the wire, nothing of scripts. */
#ifndef SIM_KEYSPACE_H
#define SIM_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyspace;

struct key_field {
	char *name, *value;             /* NUL-terminated copies that may hold NULs too */
	size_t name_len, value_len;
};

struct key {
	struct key *next;               /* of its bucket */
	struct key *newer;              /* in the order of making */
	char *name;
	size_t name_len;
	bool gone;                      /* deleted, kept for the order */
	enum key_type { KEY_STRING = 1, KEY_HASH } type;
	int64_t expires_ms;             /* 0: never */
	char *value;                    /* KEY_STRING */
	size_t value_len;
	struct key_field *fields;       /* KEY_HASH */
	size_t n_fields;
};

struct keyspace *keyspace_new(void);
void keyspace_free(struct keyspace *k);

/* The time by which keys expire; they go when they are looked up. */
struct key *keyspace_find(struct keyspace *k, const char *name, size_t len, int64_t now_ms);
/* An empty one of that type, or the one that is there. */
struct key *keyspace_make(struct keyspace *k, const char *name, size_t len, enum key_type type, int64_t now_ms);
void keyspace_delete(struct key *key);
void keyspace_set_string(struct key *key, const char *value, size_t len);
struct key_field *keyspace_field(struct key *key, const char *name, size_t len);
void keyspace_set_field(struct key *key, const char *name, size_t len, const char *value, size_t value_len);

/* What is about to change is noted, so that keyspace_undo() can take back what changed after `us`; ended by keyspace_forget(), which
 * drops notes before `us`. */
void keyspace_note(struct keyspace *k, const char *name, size_t len, int64_t us);
void keyspace_forget(struct keyspace *k, int64_t us);
typedef void(keyspace_visit_fn)(const struct key *key, void *arg);
/* Calls visit for each key that is as it was before, then. */
void keyspace_undo(struct keyspace *k, int64_t us, keyspace_visit_fn *visit, void *arg);

/* Calls visit for each key that is there, oldest first. */
void keyspace_each(struct keyspace *k, int64_t now_ms, keyspace_visit_fn *visit, void *arg);

#endif
