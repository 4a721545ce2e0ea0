/* list.h: an intrusive, circular, doubly linked list. A node that is in no list points to itself, so that removing twice does no harm. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "daemon/base/check.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
	struct list *last = head->prev;         /* read once: for all that the compiler knows the node is the head's neighbour */

	node->prev = last;
	node->next = head;
	last->next = node;
	head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_append(head->next, node);
}

static inline void list_remove(struct list *node)
{
	struct list *next = node->next, *prev = node->prev;

	prev->next = next;
	next->prev = prev;
	list_init(node);
}

/* The first node, taken out, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

/* Moves all nodes of `from` behind those of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The current node may be removed from within the body. */
#define list_each(node, head) \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
	     node = node##_next, node##_next = node->next)

#endif
