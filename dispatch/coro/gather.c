/*
 * gather.c: futures that stand for others: gather (one for many) and shield (one for one, that a cancel does not pass). Both keep
 * themselves alive as long as a callback on a child will come back to them, and children that only they hold: so a reference alone does
 * not say that somebody will read the results, whose memory is the caller's. Those that nobody can come by any more are told apart.
 */
#include <errno.h>

#include "dispatch/coro/runtime.h"

/* A task may be a child of many gathers; it is put off no more often than that, or it is its own child. */
enum { CANCEL_DEPTH_MAX = 100, DEFERRED_EACH = 100 };

/* What both begin with. */
struct stand_in {
	struct co_future future;
	unsigned n_unread;              /* references that stand-ins hold which nobody reads */
	bool pending;                   /* a callback will come back, and holds a reference */
	bool unread;
};

static struct stand_in *stand_in_of(struct co_future *f)
{
	return container_of(f, struct stand_in, future);
}

static struct co_future *stand_in_new(struct co_loop *loop, size_t size, enum co_future_kind kind)
{
	struct co_future *f = co_future_alloc(loop, size, kind);

	if (f != NULL) {
		stand_in_of(f)->n_unread = 0;
		stand_in_of(f)->pending = stand_in_of(f)->unread = false;
	}
	return f;
}

/* A child whose parent nobody reads any more, or that such a parent lets go. */
static void lose_reader(struct co_future *child)
{
	if (child->kind < CO_KIND_GATHER)
		return;
	stand_in_of(child)->n_unread++;
	co_stand_in_check_readers(child);
}

static void drop_child(struct stand_in *parent, struct co_future *child)
{
	if (parent->unread && child->kind >= CO_KIND_GATHER)
		stand_in_of(child)->n_unread--;
	co_unref(child);
}

struct child {
	struct co_done_node node;
	struct co_future *f;            /* a reference for each place */
};

struct gather {
	struct stand_in s;
	size_t n, n_unique, n_finished;
	int *results;                   /* the caller's */
	bool return_exceptions, cancel_requested;
	struct child child[];
};

static struct gather *gather_of(struct co_future *f)
{
	return container_of(f, struct gather, s.future);
}

static size_t gather_size(size_t n)
{
	return sizeof(struct gather) + n * sizeof(struct child);
}

/* Code of a done child, which counts as looked at; a cancelled one's is -ECANCELED. */
static void complete(struct gather *g, const struct co_future *last)
{
	for (size_t i = 0; i < g->n; i++) {
		int rc = co_result(g->child[i].f);

		if (g->results != NULL)
			g->results[i] = rc;
	}
	if (g->cancel_requested)
		g->s.future.text = last->state == CO_CANCELLED ? last->text : NULL;
	co_future_settle(&g->s.future, g->cancel_requested ? -ECANCELED : 0);
}

static void child_done(struct gather *g, struct co_future *f)
{
	int rc = co_result(f);

	g->n_finished++;
	if (g->s.future.state != CO_PENDING)
		return;
	if (rc < 0 && !g->return_exceptions) {
		g->s.future.text = f->text;
		co_future_settle(&g->s.future, rc);
		co_stand_in_check_readers(&g->s.future);        /* done, it reads nothing more */
	} else if (g->n_finished == g->n_unique) {
		complete(g, f);
	}
}

static void on_child_done(struct co_future *f, void *arg)
{
	struct gather *g = arg;

	child_done(g, f);
	/* The last callback takes the children's reference to the outer with it. */
	if (g->n_finished == g->n_unique) {
		g->s.pending = false;
		co_unref(&g->s.future);
	}
}

/* Deep inside, tasks are put off until the outermost is through: each level costs stack, and stacks are small. */
static bool cancel_child(struct co_loop *loop, struct co_future *child, const char *text)
{
	struct co_task *task = co_task_of(child);

	if (loop->cancel_depth <= CANCEL_DEPTH_MAX || child->kind != CO_KIND_TASK || child->state != CO_PENDING)
		return co_cancel_text(child, text);
	/* A task has no value; there stands the next one in line, in the last one itself. */
	if (child->value == NULL) {
		child->value = loop->deferred != NULL ? loop->deferred : task;
		loop->deferred = co_task_of(co_ref(child));
	}
	return true;
}

static void cancel_deferred(struct co_loop *loop, const char *text)
{
	struct co_task *task;
	size_t left = DEFERRED_EACH * (loop->n_tasks + 1);

	while ((task = loop->deferred) != NULL) {
		CHECK(left-- > 0, "task \"%s\" awaits itself in a circle", task->name);
		loop->deferred = task->future.value != task ? task->future.value : NULL;
		task->future.value = NULL;
		co_cancel_text(&task->future, text);
		co_unref(&task->future);
	}
}

bool co_gather_cancel(struct co_future *f, const char *text)
{
	struct co_loop *loop = f->loop;
	struct gather *g = gather_of(f);
	bool any = false;

	loop->cancel_depth++;
	for (size_t i = 0; i < g->n; i++)
		any |= cancel_child(loop, g->child[i].f, text);
	if (loop->cancel_depth == 1)
		cancel_deferred(loop, text);
	loop->cancel_depth--;
	if (any)
		g->cancel_requested = true;
	return any;
}

void co_gather_destroy(struct co_future *f)
{
	struct gather *g = gather_of(f);
	struct co_loop *loop = f->loop;

	for (size_t i = 0; i < g->n; i++)
		drop_child(&g->s, g->child[i].f);
	co_pool_release(&loop->pool, g, gather_size(g->n));
}

struct co_future *co_gather(struct co_future *const *fs, size_t n, bool return_exceptions, int *results)
{
	struct co_loop *loop = co_loop_get();
	struct co_future *f = stand_in_new(loop, gather_size(n), CO_KIND_GATHER);
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
		CHECK_OURS(fs[i], loop);
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
	g->s.pending = true;
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
	struct stand_in s;
	struct co_done_node on_inner, on_outer;
	struct co_future *inner;
};

static struct shield *shield_of(struct co_future *f)
{
	return container_of(f, struct shield, s.future);
}

static void on_inner_done(struct co_future *inner, void *arg)
{
	struct shield *s = arg;

	struct co_future *f = &s->s.future;

	if (f->state == CO_CANCELLED) {
		inner->retrieved = true;
	} else if (inner->state == CO_CANCELLED) {
		co_cancel(f);
	} else if (f->state == CO_PENDING) {
		f->value = inner->value;
		f->text = inner->text;
		co_future_settle(f, co_result(inner));
	}
	s->s.pending = false;
	co_unref(f);
}

/* Cancelled while the inner runs on: the inner is none of its business any more, and an error of it is for others to see. */
static void on_outer_done(struct co_future *outer, void *arg)
{
	struct shield *s = arg;

	(void)outer;
	if (!co_done(s->inner) && s->on_inner.f != NULL) {
		co_done_remove(&s->on_inner);
		s->s.pending = false;
		co_unref(&s->s.future);
	}
}

void co_shield_destroy(struct co_future *f)
{
	struct shield *s = shield_of(f);

	drop_child(&s->s, s->inner);
	co_pool_release(&f->loop->pool, s, sizeof *s);
}

struct co_future *co_shield(struct co_future *inner)
{
	struct shield *s;
	struct co_future *f;

	CHECK_OURS(inner, co_loop_current());
	if (co_done(inner))
		return co_ref(inner);
	f = stand_in_new(inner->loop, sizeof *s, CO_KIND_SHIELD);
	if (f == NULL)
		return NULL;
	s = shield_of(f);
	s->inner = co_ref(inner);
	co_ref(f);                      /* for the callback on the inner */
	s->s.pending = true;
	co_done_add(inner, &s->on_inner, on_inner_done, s);
	co_done_add(f, &s->on_outer, on_outer_done, s);
	return f;
}

/* ---- nobody reads it ---- */

/* Somebody's callback is to come, and will read without a reference. Not counted are the stand-ins' own: whether such a one is read
 * shows in n_unread. */
static bool calls_back(const struct co_future *f)
{
	for (const struct list *node = f->done.next; node != &f->done; node = node->next) {
		const struct co_item *item = list_entry(node, struct co_item, node);
		const struct co_done_node *n = list_entry(item, struct co_done_node, item);

		if (item->kind == CO_ITEM_DONE && n->fn != on_child_done && n->fn != on_inner_done && n->fn != on_outer_done)
			return true;
	}
	return false;
}

void co_stand_in_check_readers(struct co_future *f)
{
	struct stand_in *s = stand_in_of(f);

	/* One that is done reads nothing more, whoever still holds it. */
	if (s->unread || !s->pending || (f->state == CO_PENDING && (f->refs > s->n_unread + 1 || calls_back(f))))
		return;
	/* A short wait's, perhaps, which is a reader as any other. */
	if (f->state == CO_PENDING && !list_empty(&f->loop->short_waits)) {
		co_wait_hold(f->loop);
		if (f->refs > s->n_unread + 1)
			return;
	}
	s->unread = true;
	if (f->kind == CO_KIND_SHIELD) {
		lose_reader(shield_of(f)->inner);
		return;
	}
	gather_of(f)->results = NULL;
	f->value = NULL;
	for (size_t i = 0; i < gather_of(f)->n; i++)
		lose_reader(gather_of(f)->child[i].f);
}

struct co_future *co_gather_awaiter(struct co_done_node *n)
{
	if (n->fn == on_child_done)
		return &((struct gather *)n->arg)->s.future;
	return n->fn == on_inner_done ? &((struct shield *)n->arg)->s.future : NULL;
}
