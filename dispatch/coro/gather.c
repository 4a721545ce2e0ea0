/*
 * gather.c: futures that stand for others: gather (one for many) and shield (one for one, that a cancel does not pass). Both keep
 * themselves alive as long as a callback on a child will come back to them.
 */
#include <errno.h>

#include "dispatch/coro/runtime.h"

struct child {
	struct co_done_node node;
	struct co_future *f;            /* a reference for each place */
};

struct gather {
	struct co_future future;
	size_t n, n_unique, n_finished;
	int *results;                   /* the caller's */
	bool return_exceptions, cancel_requested;
	struct child child[];
};

static struct gather *gather_of(struct co_future *f)
{
	return container_of(f, struct gather, future);
}

static size_t gather_size(size_t n)
{
	return sizeof(struct gather) + n * sizeof(struct child);
}

/* Code of a done child, which counts as looked at; a cancelled one's is -ECANCELED. */
static void complete(struct gather *g)
{
	for (size_t i = 0; i < g->n; i++) {
		int rc = co_result(g->child[i].f);

		if (g->results != NULL)
			g->results[i] = rc;
	}
	co_future_settle(&g->future, g->cancel_requested ? -ECANCELED : 0);
}

static void child_done(struct gather *g, struct co_future *f)
{
	int rc = co_result(f);

	g->n_finished++;
	if (g->future.state != CO_PENDING)
		return;
	if (rc < 0 && !g->return_exceptions)
		co_future_settle(&g->future, rc);
	else if (g->n_finished == g->n_unique)
		complete(g);
}

static void on_child_done(struct co_future *f, void *arg)
{
	struct gather *g = arg;

	child_done(g, f);
	/* The last callback takes the children's reference to the outer with it. */
	if (g->n_finished == g->n_unique)
		co_unref(&g->future);
}

bool co_gather_cancel(struct co_future *f)
{
	struct gather *g = gather_of(f);
	bool any = false;

	for (size_t i = 0; i < g->n; i++)
		any |= co_cancel(g->child[i].f);
	if (any)
		g->cancel_requested = true;
	return any;
}

void co_gather_destroy(struct co_future *f)
{
	struct gather *g = gather_of(f);
	struct co_loop *loop = f->loop;

	for (size_t i = 0; i < g->n; i++)
		co_unref(g->child[i].f);
	co_pool_release(&loop->pool, g, gather_size(g->n));
}

/* Only the children still hold it: nobody is left to read the results, and the memory for them may be gone. */
void co_gather_orphan(struct co_future *f)
{
	struct gather *g = gather_of(f);

	if (g->n_finished < g->n_unique)
		g->results = NULL;
}

struct co_future *co_gather(struct co_future *const *fs, size_t n, bool return_exceptions, int *results)
{
	struct co_loop *loop = co_loop_get();
	struct co_future *f = co_future_alloc(loop, gather_size(n), CO_KIND_GATHER);
	uint64_t mark = ++loop->mark;
	struct gather *g;

	if (f == NULL)
		return NULL;
	g = gather_of(f);
	g->n = n;
	g->n_unique = g->n_finished = 0;
	g->results = results;
	g->return_exceptions = return_exceptions;
	g->cancel_requested = false;
	f->value = results;
	for (size_t i = 0; i < n; i++) {
		g->child[i].f = co_ref(fs[i]);
		g->child[i].node.f = NULL;
		g->n_unique += fs[i]->mark != mark;
		fs[i]->mark = mark;
	}
	if (n == 0) {
		co_future_settle(f, 0);
		return f;
	}
	co_ref(f);
	/* Those that run get a callback first, then those done count at once, as in CPython: if all are done, so is the outer. */
	mark = ++loop->mark;
	for (size_t i = 0; i < n; i++) {
		if (co_done(fs[i]) || fs[i]->mark == mark)
			continue;
		fs[i]->mark = mark;
		co_done_add(fs[i], &g->child[i].node, on_child_done, g);
	}
	for (size_t i = 0; i < n; i++) {
		if (!co_done(fs[i]) || fs[i]->mark == mark)
			continue;
		fs[i]->mark = mark;
		on_child_done(fs[i], g);
	}
	return f;
}

/* ---- shield ---- */

struct shield {
	struct co_future future;
	struct co_done_node on_inner, on_outer;
	struct co_future *inner;
};

static struct shield *shield_of(struct co_future *f)
{
	return container_of(f, struct shield, future);
}

static void on_inner_done(struct co_future *inner, void *arg)
{
	struct shield *s = arg;

	if (s->future.state == CO_CANCELLED) {
		inner->retrieved = true;
	} else if (inner->state == CO_CANCELLED) {
		co_cancel(&s->future);
	} else if (s->future.state == CO_PENDING) {
		s->future.value = inner->value;
		co_future_settle(&s->future, co_result(inner));
	}
	co_unref(&s->future);
}

/* Cancelled while the inner runs on: the inner is none of its business any more, and an error of it is for others to see. */
static void on_outer_done(struct co_future *outer, void *arg)
{
	struct shield *s = arg;

	(void)outer;
	if (!co_done(s->inner) && s->on_inner.f != NULL) {
		co_done_remove(&s->on_inner);
		co_unref(&s->future);
	}
}

void co_shield_destroy(struct co_future *f)
{
	struct shield *s = shield_of(f);

	co_unref(s->inner);
	co_pool_release(&f->loop->pool, s, sizeof *s);
}

struct co_future *co_shield(struct co_future *inner)
{
	struct shield *s;
	struct co_future *f;

	if (co_done(inner))
		return co_ref(inner);
	f = co_future_alloc(inner->loop, sizeof *s, CO_KIND_SHIELD);
	if (f == NULL)
		return NULL;
	s = shield_of(f);
	s->inner = co_ref(inner);
	co_ref(f);                      /* for the callback on the inner */
	co_done_add(inner, &s->on_inner, on_inner_done, s);
	co_done_add(f, &s->on_outer, on_outer_done, s);
	return f;
}

struct co_future *co_gather_awaiter(struct co_done_node *n)
{
	if (n->fn == on_child_done)
		return &((struct gather *)n->arg)->future;
	return n->fn == on_inner_done ? &((struct shield *)n->arg)->future : NULL;
}
