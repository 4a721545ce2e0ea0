/*
 * runtime.h: what the files of this folder share and nobody else includes: the inside of a future, a task and the loop, and how one
 * makes the other ready. All of it belongs to the loop's thread, the mailbox (post.h) apart.
 */
#ifndef CORO_RUNTIME_H
#define CORO_RUNTIME_H

#include <stdarg.h>

#include "dispatch/coro/context.h"
#include "dispatch/coro/coro.h"
#include "dispatch/coro/pool.h"
#include "dispatch/coro/sanitize.h"
#include "dispatch/coro/stack.h"

/* What a co_item is part of. A waitset's entry never is in the ready queue: it is served where its future completes. */
enum co_item_kind { CO_ITEM_CALL = 1, CO_ITEM_TIMER, CO_ITEM_DONE, CO_ITEM_TASK, CO_ITEM_POST, CO_ITEM_WAIT, CO_ITEM_MEMBER };

enum co_future_kind { CO_KIND_FUTURE = 1, CO_KIND_EMBEDDED, CO_KIND_TASK, CO_KIND_GATHER, CO_KIND_SHIELD };

struct co_future {
	uint8_t state;                  /* enum co_state */
	uint8_t kind;                   /* enum co_future_kind */
	bool retrieved;                 /* somebody saw the error */
	bool had_listeners;             /* a callback or a waitset's entry, in `done`: a completion must look at each there */
	int result;
	struct co_loop *loop;
	struct list done;               /* co_items of those who wait for it */
	void *value;
	const char *text;               /* words for an error or a cancel, not owned */
	uint64_t mark;                  /* of the last co_wait() or co_gather() that counted it, to see duplicates */
	uint32_t refs;                  /* not beside the bytes above: read together right after it was written they stall */
};

enum { CO_TASK_NAME = 48 };

struct co_task {
	struct co_future future;
	struct co_item wake;            /* in the ready queue, or among the awaited future's `done` */
	struct co_future *awaiting;     /* a reference is held */
	struct co_context context;
	struct co_stack *stack;         /* from its first run on */
	unsigned cancelling;            /* requests */
	bool must_cancel;               /* one is to be delivered at the next suspension */
	bool finished;
	bool has_words;                 /* co_fail() was called: its two fields, in a line that else is not touched, are set */
	int saved_errno;                /* while it is suspended */
	unsigned n_scopes;              /* timeouts and groups that were entered and not left */
	/* Up to here, two cache lines, all that a cancel needs. */
	struct list all;
	co_body_fn *body;
	void *arg;
	const struct co_site *site;
	const char *name;
	const char *why;                /* what it waits for, in a word */
	int64_t born_us;
	const char *fail_text;          /* co_fail()'s words, and the code that they go with */
	int fail_rc;
	struct co_fiber fiber;
	char name_buf[CO_TASK_NAME];
};

/* The heap keeps the times beside the pointers, so that sifting stays within the array. */
struct co_timer_slot {
	int64_t at_us;
	struct co_timer *timer;
};

struct co_timers {
	struct co_timer_slot *heap;
	size_t n, cap;
	uint64_t seq;
};

enum co_phase { CO_PHASE_OUT, CO_PHASE_RUN, CO_PHASE_POLL };

struct co_loop {
	uint64_t id;                    /* no other loop of the process ever has it */
	struct list live;               /* among all threads' */
	struct list ready;              /* for the next turn */
	struct list running;            /* what is left of this one's */
	struct co_task *current;
	struct co_context context;      /* the thread's own stack while a task runs */
	struct co_fiber fiber;
	struct co_pool pool;
	struct co_stacks stacks;
	struct co_timers timers;
	struct co_poll *poll;
	struct co_mailbox *mailbox;
	struct co_offload *offload;     /* made when first used */
	unsigned cancel_depth;          /* gathers inside gathers' tasks that are being cancelled */
	struct co_task *deferred;       /* tasks whose cancel is put off, for the stack's sake */
	struct list short_waits;        /* wait.c's, whose members nobody holds for them yet */
	struct list dying;              /* futures without references, by their `done` */
	bool burying;
	struct list tasks;
	size_t n_tasks;
	struct list hooks;
	struct list *next_hook;         /* of the round that is under way */
	uint64_t hook_round;
	bool stopping, in_turn, ending;
	uint64_t mark;
	uint64_t turns_total, switches_total, items_total;
	bool look;                      /* this turn begins with a look outside */
	uint64_t look_item;             /* items_total at the last one */
	int64_t look_us;                /* when; 0: one is asked for */
	uint64_t next_reading;          /* items_total at which the clock is read next */
	int64_t read_us;                /* when it was */
	int64_t cpu_us, cpu_read_us;    /* the thread's CPU time, and when that was read */
	int64_t longest_call_us;
	void *handler_stack;            /* fault.c's */
	uint8_t phase;                  /* enum co_phase; the watchdog reads it, and items_total */
	struct co_watchdog *watchdog;
	struct co_marks *marks;         /* of stacks, if measured */
	FILE *deadlock_out;             /* NULL: not looked for */
	bool deadlocked;
	unsigned n_offloads;            /* jobs whose end is still to come, awaited or not */
	int64_t trim_us;                /* when stacks were trimmed last */
	co_unretrieved_fn *on_unretrieved;
	void *on_unretrieved_arg;
};

/* loop.c */
struct co_loop *co_loop_get(void);      /* this thread's; a thread without one is a bug */
uint64_t co_loop_id(void);              /* this thread's loop's; 0: it has none */
void co_loop_look_soon(struct co_loop *loop);   /* once this turn is done, whatever is ready */
bool co_loop_lives(uint64_t id);        /* on whatever thread */

static inline void co_item_init(struct co_item *item, enum co_item_kind kind)
{
	list_init(&item->node);
	item->kind = kind;
}

static inline void co_loop_ready(struct co_loop *loop, struct co_item *item)
{
	list_append(&loop->ready, &item->node);
}

/* timer.c */
void co_timers_fini(struct co_timers *t);
int64_t co_timers_next(const struct co_timers *t);      /* CLOCK_NEVER: none */
/* Moves those due to the ready queue. */
void co_timers_expire(struct co_loop *loop, int64_t now_us);

/* future.c */
/* A future on the caller's stack, that lives until the call returns. */
void co_future_init(struct co_future *f, struct co_loop *loop, enum co_future_kind kind);
struct co_future *co_future_alloc(struct co_loop *loop, size_t size, enum co_future_kind kind) MUST_CHECK;
void co_future_finish(struct co_future *f, enum co_state state, int result);
const char *co_future_name(const struct co_future *f);          /* a task's name, or what kind of thing it is */
/* Result of a body or a member as a state: -ECANCELED is an error here, not a cancel. */
static inline void co_future_settle(struct co_future *f, int rc)
{
	co_future_finish(f, rc < 0 ? CO_FAILED : CO_DONE, rc);
}
/* For embedded ones, whose waiter may have been cancelled or timed out in this very turn: nothing where it is done. */
static inline bool co_future_release(struct co_future *f, int rc)
{
	if (f->state != CO_PENDING)
		return false;
	co_future_settle(f, rc);
	return true;
}
void co_done_run(struct co_item *item);
/* Futures are one thread's, and know no locks: checked wherever one is given to whoever waits. */
#define CHECK_OURS(f, our_loop) CHECK((f)->loop == (our_loop), "\"%s\" of another thread's loop is awaited", co_future_name(f))
/* co_unref() for loops over many: the call only where something may follow. */
static inline void co_future_drop(struct co_future *f)
{
	if (__builtin_expect(f->refs <= 1 || f->kind >= CO_KIND_GATHER, 0))
		co_unref(f);
	else
		f->refs--;
}

/* task.c */
/* False: it was cancelled before its first step, is done, and may be gone. */
bool co_task_begin(struct co_loop *loop, struct co_task *task);
/* Until it suspends; or finishes: then what its body returned, for co_task_end(). */
int co_task_run(struct co_loop *loop, struct co_task *task);
/* It may be gone afterwards. */
void co_task_end(struct co_loop *loop, struct co_task *task, int rc);
bool co_task_cancel(struct co_task *task, const char *text);
struct co_future *co_task_vnew(const struct co_site *site, co_body_fn *body, void *arg, const char *name_fmt, va_list ap) MUST_CHECK;
void co_task_destroy(struct co_task *task);
/* [suspends] co_await() with a word for dumps. */
int co_await_for(struct co_future *f, const char *why);
static inline struct co_task *co_task_of(struct co_future *f)
{
	return (struct co_task *)f;
}
static inline const struct co_task *co_task_of_const(const struct co_future *f)
{
	return (const struct co_task *)f;
}

/* The words that go with the code, NULL: none; what co_fail() said of another one was got over. */
static inline const char *co_task_fail_text(const struct co_task *task, int rc)
{
	return task->has_words && task->fail_rc == rc ? task->fail_text : NULL;
}

/* wait.c: a future on a task's stack that a timer ends. */
struct co_waiter {
	struct list node;               /* for the queue of whatever it waits for */
	struct co_future future;
	struct co_timer timer;
};
void co_waiter_init(struct co_waiter *w);
/* [suspends] The future's result; -ECANCELED; -ETIMEDOUT; -ENOMEM. In whatever way it ends, the node is out of its list. */
int co_waiter_wait(struct co_waiter *w, int64_t deadline_us, const char *why);
void co_wait_member_run(struct co_item *item);
/* A future lost its last reference, or a gather or shield its last reader, and may be a short wait's: those take theirs now. */
void co_wait_hold(struct co_loop *loop);

/* gather.c */
bool co_gather_cancel(struct co_future *f, const char *text);
void co_gather_destroy(struct co_future *f);
void co_shield_destroy(struct co_future *f);
/* A gather or shield may have lost a reader: results are not written once nobody is left to read them. */
void co_stand_in_check_readers(struct co_future *f);

/* dump.c: for failed checks: the task that waits for `f`, or the first of those in line (co_waiter), by name. */
const char *co_awaiter_name(struct co_future *f);
const char *co_waiters_name(const struct list *waiters);

/* For dumps: the future on which somebody waits for what this callback is told; NULL: it is not this file's. */
struct co_future *co_gather_awaiter(struct co_done_node *n);
struct co_future *co_timeout_awaiter(struct co_done_node *n);
struct co_future *co_group_awaiter(struct co_done_node *n);
struct co_future *co_wait_awaiter(struct co_item *item);
struct co_future *co_waitset_awaiter(struct co_item *item);

/* fault.c */
void co_fault_start(struct co_loop *loop);
void co_fault_stop(struct co_loop *loop);

/* marks.c */
void co_marks_note(struct co_marks *m, const struct co_task *task);
void co_marks_free(struct co_marks *m);

/* waitset.c */
void co_waitset_member_done(struct co_item *item);

/* post.c */
struct co_post {
	struct co_item item;
	struct co_post *next;
	co_call_fn *fn;
	void *arg;
	bool owned;                     /* by the mailbox: freed after it ran */
};
struct co_mailbox *co_mailbox_new(struct co_poll *poll) MUST_CHECK;
struct co_mailbox *co_mailbox_ref(struct co_mailbox *m);
void co_mailbox_unref(struct co_mailbox *m);
/* No post gets in from here on; those that are in go through co_post_drop(). */
void co_mailbox_close(struct co_mailbox *m);
/* Any thread; `post` is the caller's memory until it ran. -ESHUTDOWN. */
int co_mailbox_send(struct co_mailbox *m, struct co_post *post) MUST_CHECK;
/* Moves what has come to the ready queue. */
void co_mailbox_take(struct co_mailbox *m, struct co_loop *loop);
/* Says that the loop is about to sleep: false where something has come, and it must not. */
bool co_mailbox_sleep(struct co_mailbox *m);
void co_mailbox_awake(struct co_mailbox *m);
void co_post_run(struct co_mailbox *m, struct co_post *post);
/* In a loop that ends: run if it is the caller's memory, dropped if the mailbox's. */
void co_post_drop(struct co_mailbox *m, struct co_post *post);

/* offload.c */
void co_offload_free(struct co_offload *o);

#endif
