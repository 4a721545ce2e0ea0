/* keyspace.c: a chained hash table over keys; hashes are short arrays, searched from the front. */
#include "tests/sim/keyspace.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum { BUCKETS = 1024 };

/* A key as it was, before something changed at `us`; its `newer` and `next` are not used. */
struct note {
	int64_t us;
	struct key was;
};

struct keyspace {
	struct key *buckets[BUCKETS];
	struct key *oldest, **newest;
	struct note *notes;             /* oldest first */
	size_t n_notes, cap_notes;
};

struct keyspace *keyspace_new(void)
{
	struct keyspace *k = sim_alloc(sizeof *k);

	k->newest = &k->oldest;
	return k;
}

static void clear(struct key *key)
{
	for (size_t i = 0; i < key->n_fields; i++) {
		free(key->fields[i].name);
		free(key->fields[i].value);
	}
	free(key->fields);
	free(key->value);
	key->fields = NULL;
	key->value = NULL;
	key->n_fields = key->value_len = 0;
}

void keyspace_free(struct keyspace *k)
{
	struct key *newer;

	keyspace_forget(k, INT64_MAX);
	free(k->notes);
	for (struct key *key = k->oldest; key != NULL; key = newer) {
		newer = key->newer;
		clear(key);
		free(key->name);
		free(key);
	}
	free(k);
}

static struct key **bucket(struct keyspace *k, const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return &k->buckets[h % BUCKETS];
}

void keyspace_delete(struct key *key)
{
	clear(key);
	key->gone = true;
}

static bool there(struct key *key, int64_t now_ms)
{
	if (!key->gone && key->expires_ms != 0 && key->expires_ms <= now_ms)
		keyspace_delete(key);
	return !key->gone;
}

static struct key *lookup(struct keyspace *k, const char *name, size_t len)
{
	for (struct key *key = *bucket(k, name, len); key != NULL; key = key->next)
		if (key->name_len == len && memcmp(key->name, name, len) == 0)
			return key;
	return NULL;
}

struct key *keyspace_find(struct keyspace *k, const char *name, size_t len, int64_t now_ms)
{
	struct key *key = lookup(k, name, len);

	return key != NULL && there(key, now_ms) ? key : NULL;
}

struct key *keyspace_make(struct keyspace *k, const char *name, size_t len, enum key_type type, int64_t now_ms)
{
	struct key *key = lookup(k, name, len), **head = bucket(k, name, len);

	if (key == NULL) {
		key = sim_alloc(sizeof *key);
		key->name = sim_copy(name, len);
		key->name_len = len;
		key->gone = true;
		key->next = *head;
		*head = key;
		*k->newest = key;
		k->newest = &key->newer;
	}
	if (!there(key, now_ms)) {
		key->gone = false;
		key->type = type;
		key->expires_ms = 0;
	}
	return key;
}

void keyspace_set_string(struct key *key, const char *value, size_t len)
{
	char *copy = sim_copy(value, len);

	clear(key);
	key->type = KEY_STRING;
	key->value = copy;
	key->value_len = len;
}

struct key_field *keyspace_field(struct key *key, const char *name, size_t len)
{
	for (size_t i = 0; i < key->n_fields; i++)
		if (key->fields[i].name_len == len && memcmp(key->fields[i].name, name, len) == 0)
			return &key->fields[i];
	return NULL;
}

void keyspace_set_field(struct key *key, const char *name, size_t len, const char *value, size_t value_len)
{
	struct key_field *f = keyspace_field(key, name, len);

	if (f == NULL) {
		key->fields = sim_resize(key->fields, (key->n_fields + 1) * sizeof *key->fields);
		f = &key->fields[key->n_fields++];
		*f = (struct key_field){ .name = sim_copy(name, len), .name_len = len };
	}
	free(f->value);
	f->value = sim_copy(value, value_len);
	f->value_len = value_len;
}

/* ---- taking back ---- */

static void copy_content(struct key *to, const struct key *from)
{
	to->gone = from->gone;
	to->type = from->type;
	to->expires_ms = from->expires_ms;
	to->value_len = from->value_len;
	to->n_fields = from->n_fields;
	to->value = from->value != NULL ? sim_copy(from->value, from->value_len) : NULL;
	to->fields = from->n_fields > 0 ? sim_alloc(from->n_fields * sizeof *to->fields) : NULL;
	for (size_t i = 0; i < from->n_fields; i++) {
		const struct key_field *f = &from->fields[i];

		to->fields[i] = (struct key_field){ sim_copy(f->name, f->name_len), sim_copy(f->value, f->value_len), f->name_len, f->value_len };
	}
}

void keyspace_note(struct keyspace *k, const char *name, size_t len, int64_t us)
{
	struct key absent = { .gone = true }, *key = lookup(k, name, len);
	struct note *note;

	if (k->n_notes == k->cap_notes) {
		k->cap_notes = k->cap_notes > 0 ? k->cap_notes * 2 : 256;
		k->notes = sim_resize(k->notes, k->cap_notes * sizeof *k->notes);
	}
	note = &k->notes[k->n_notes++];
	*note = (struct note){ .us = us, .was = { .name = sim_copy(name, len), .name_len = len } };
	copy_content(&note->was, key != NULL ? key : &absent);
}

static void note_fini(struct note *note)
{
	clear(&note->was);
	free(note->was.name);
}

void keyspace_forget(struct keyspace *k, int64_t us)
{
	size_t n = 0;

	while (n < k->n_notes && k->notes[n].us < us)
		note_fini(&k->notes[n++]);
	k->n_notes -= n;
	if (n > 0 && k->n_notes > 0)
		memmove(k->notes, k->notes + n, k->n_notes * sizeof *k->notes);
}

void keyspace_undo(struct keyspace *k, int64_t us, keyspace_visit_fn *visit, void *arg)
{
	while (k->n_notes > 0 && k->notes[k->n_notes - 1].us > us) {
		struct note *note = &k->notes[--k->n_notes];
		struct key *key = lookup(k, note->was.name, note->was.name_len);

		if (key != NULL) {
			clear(key);
			copy_content(key, &note->was);
			visit(key, arg);
		}
		note_fini(note);
	}
}

void keyspace_each(struct keyspace *k, int64_t now_ms, keyspace_visit_fn *visit, void *arg)
{
	for (struct key *key = k->oldest; key != NULL; key = key->newer)
		if (there(key, now_ms))
			visit(key, arg);
}
