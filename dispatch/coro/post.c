/*
 * post.c: a loop's mailbox, the only thing of it that other threads touch: a stack they push onto without a lock, which the loop takes
 * whole and turns round. Its sender wakes the loop only if that sleeps. It outlives the loop as long as offload threads hold it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/poll.h"
#include "dispatch/coro/runtime.h"

enum { POSTS_MAX = 1 << 20 };

struct co_mailbox {
	_Atomic(struct co_post *) head;
	atomic_bool sleeping;
	atomic_uint refs;
	atomic_int pending;             /* those of co_post(), for the limit */
	pthread_mutex_t lock;           /* between a wake and the end of what it wakes */
	struct co_poll *poll;
};

/* The head of a mailbox that takes nothing any more. */
static struct co_post closed;

struct co_mailbox *co_mailbox_new(struct co_poll *poll)
{
	struct co_mailbox *m = mem_zalloc(sizeof *m);

	if (m == NULL)
		return NULL;
	if (pthread_mutex_init(&m->lock, NULL) != 0) {
		mem_free(m);
		return NULL;
	}
	m->poll = poll;
	atomic_init(&m->refs, 1);
	return m;
}

struct co_mailbox *co_mailbox_ref(struct co_mailbox *m)
{
	atomic_fetch_add(&m->refs, 1);
	return m;
}

void co_mailbox_unref(struct co_mailbox *m)
{
	if (atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&m->lock);
	mem_free(m);
}

int co_mailbox_send(struct co_mailbox *m, struct co_post *post)
{
	struct co_post *head = atomic_load(&m->head);

	co_item_init(&post->item, CO_ITEM_POST);
	do {
		if (head == &closed)
			return -ESHUTDOWN;
		post->next = head;
	} while (!atomic_compare_exchange_weak(&m->head, &head, post));
	if (!atomic_exchange(&m->sleeping, false))
		return 0;
	pthread_mutex_lock(&m->lock);
	if (m->poll != NULL)
		co_poll_wake(m->poll);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* What has come, oldest first. */
static struct co_post *take_all(struct co_mailbox *m, struct co_post *leave)
{
	struct co_post *next, *oldest = NULL;

	for (struct co_post *post = atomic_exchange(&m->head, leave); post != NULL; post = next) {
		next = post->next;
		post->next = oldest;
		oldest = post;
	}
	return oldest;
}

void co_mailbox_take(struct co_mailbox *m, struct co_loop *loop)
{
	struct co_post *next;

	if (atomic_load_explicit(&m->head, memory_order_relaxed) == NULL)
		return;
	for (struct co_post *post = take_all(m, NULL); post != NULL; post = next) {
		next = post->next;
		co_loop_ready(loop, &post->item);
	}
}

bool co_mailbox_sleep(struct co_mailbox *m)
{
	atomic_store(&m->sleeping, true);
	return atomic_load(&m->head) == NULL;
}

void co_mailbox_awake(struct co_mailbox *m)
{
	atomic_store_explicit(&m->sleeping, false, memory_order_relaxed);
}

void co_post_run(struct co_mailbox *m, struct co_post *post)
{
	co_call_fn *fn = post->fn;
	void *arg = post->arg;

	if (post->owned) {
		atomic_fetch_sub_explicit(&m->pending, 1, memory_order_relaxed);
		mem_free(post);
	}
	fn(arg);
}

void co_post_drop(struct co_mailbox *m, struct co_post *post)
{
	if (post->owned)
		mem_free(post);
	else
		co_post_run(m, post);
}

void co_mailbox_close(struct co_mailbox *m)
{
	struct co_post *next;

	pthread_mutex_lock(&m->lock);
	m->poll = NULL;
	pthread_mutex_unlock(&m->lock);
	for (struct co_post *post = take_all(m, &closed); post != NULL; post = next) {
		next = post->next;
		co_post_drop(m, post);
	}
}

int co_post(struct co_loop *loop, co_call_fn *fn, void *arg)
{
	struct co_mailbox *m = loop->mailbox;
	struct co_post *post;
	int rc;

	if (atomic_fetch_add_explicit(&m->pending, 1, memory_order_relaxed) >= POSTS_MAX ||
	    (post = mem_alloc(sizeof *post)) == NULL) {
		atomic_fetch_sub_explicit(&m->pending, 1, memory_order_relaxed);
		return -ENOMEM;
	}
	*post = (struct co_post){ .fn = fn, .arg = arg, .owned = true };
	if (loop == co_loop_current() && !loop->ending) {
		co_item_init(&post->item, CO_ITEM_POST);
		co_loop_ready(loop, &post->item);
		return 0;
	}
	co_mailbox_ref(m);              /* what is posted may end the loop before the send is through */
	rc = loop == co_loop_current() ? -ESHUTDOWN : co_mailbox_send(m, post);
	if (rc < 0) {
		atomic_fetch_sub_explicit(&m->pending, 1, memory_order_relaxed);
		mem_free(post);
	}
	co_mailbox_unref(m);
	return rc;
}
