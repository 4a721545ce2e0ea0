/*
 * loop.c: a thread's loop: the ready queue and its turns, calls, turn hooks, figures. One turn: look outside (poll.h), take what other
 * threads posted, move due timers to the ready queue, run what is ready now (what that makes ready waits for the next turn). Short turns
 * share one look; the hooks run before each. Refuses: to be touched from other threads, post.c's mailbox apart.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/poll.h"
#include "dispatch/coro/runtime.h"

enum {
	/* Looking outside costs system calls (the hooks' writes too): short turns share one, up to so many callbacks or so long. */
	ITEMS_PER_LOOK = 128,
	LOOK_US = 250,
	/* Reading the clock costs as much as several switches: short callbacks share one reading. */
	ITEMS_PER_READING = 8,
	/* A callback that takes longer is worth reading the CPU clock, which is a system call. */
	LONG_US = 1000,
	/* Of so many items what they will touch is fetched at once: tasks, stacks' records, and of a parked stack so many bytes from its
	 * stack pointer up, where the switch, the wait and the body behind them are. */
	FETCHED_AHEAD = 16,
	STACK_FETCHED = 1024,
	CACHE_LINE = 64,
	/* What stacks were idle for so long go back to the system. */
	TRIM_US = 1000000,
};

static _Thread_local struct co_loop *current_loop;
static atomic_uint_fast64_t n_loops;    /* there ever were */

/* Those that live, for who asks whether an owner is gone. */
static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list live_loops = LIST_INIT(live_loops);

struct co_loop *co_loop_current(void)
{
	return current_loop;
}

struct co_loop *co_loop_get(void)
{
	CHECK(current_loop != NULL, "this thread has no loop");
	return current_loop;
}

uint64_t co_loop_id(void)
{
	return current_loop != NULL ? current_loop->id : 0;
}

bool co_loop_lives(uint64_t id)
{
	bool lives = false;

	pthread_mutex_lock(&live_lock);
	list_each(node, &live_loops)
		lives |= list_entry(node, struct co_loop, live)->id == id;
	pthread_mutex_unlock(&live_lock);
	return lives;
}

struct event_base *co_loop_base(struct co_loop *loop)
{
	return co_poll_base(loop->poll);
}

void co_loop_on_unretrieved(struct co_loop *loop, co_unretrieved_fn *fn, void *arg)
{
	loop->on_unretrieved = fn;
	loop->on_unretrieved_arg = arg;
}

struct co_loop *co_loop_new(void)
{
	struct co_loop *loop = mem_zalloc(sizeof *loop);

	CHECK(current_loop == NULL, "this thread has a loop already");
	if (loop == NULL)
		return NULL;
	loop->id = atomic_fetch_add_explicit(&n_loops, 1, memory_order_relaxed) + 1;
	list_init(&loop->ready);
	list_init(&loop->running);
	list_init(&loop->short_waits);
	list_init(&loop->dying);
	list_init(&loop->tasks);
	list_init(&loop->hooks);
	co_pool_init(&loop->pool);
	co_stacks_init(&loop->stacks);
	co_fiber_init_thread(&loop->fiber);
	loop->poll = co_poll_new();
	loop->mailbox = loop->poll != NULL ? co_mailbox_new(loop->poll) : NULL;
	if (loop->mailbox == NULL) {
		if (loop->poll != NULL)
			co_poll_free(loop->poll);
		mem_free(loop);
		return NULL;
	}
	pthread_mutex_lock(&live_lock);
	list_append(&live_loops, &loop->live);
	pthread_mutex_unlock(&live_lock);
	current_loop = loop;
	co_fault_start(loop);
	return loop;
}

static void drop_ready_posts(struct co_loop *loop)
{
	list_each(node, &loop->ready) {
		struct co_item *item = list_entry(node, struct co_item, node);

		list_remove(node);
		if (item->kind == CO_ITEM_POST)
			co_post_drop(loop->mailbox, list_entry(item, struct co_post, item));
	}
}

static void check_idle(const struct co_loop *loop)
{
	CHECK(loop == current_loop, "a loop is freed by its own thread");
	CHECK(loop->current == NULL && !loop->in_turn, "a loop is freed while it runs");
}

/* The order matters: threads first, then what may hold pointers into stacks (libevent's events), then the stacks. */
void co_loop_abandon(struct co_loop *loop)
{
	if (loop == NULL)
		return;
	check_idle(loop);
	loop->ending = true;
	co_watchdog_stop(loop);
	if (loop->offload != NULL)
		co_offload_free(loop->offload);
	drop_ready_posts(loop);
	list_each(node, &loop->hooks)
		list_remove(node);
	co_mailbox_close(loop->mailbox);
	co_poll_free(loop->poll);
	co_mailbox_unref(loop->mailbox);
	list_each(node, &loop->tasks) {
		struct co_task *task = list_entry(node, struct co_task, all);

		if (task->stack != NULL)
			co_fiber_fini(&task->fiber);
	}
	co_timers_fini(&loop->timers);
	co_stacks_fini(&loop->stacks);
	co_pool_fini(&loop->pool);
	co_fault_stop(loop);
	co_marks_free(loop->marks);
	pthread_mutex_lock(&live_lock);
	list_remove(&loop->live);
	pthread_mutex_unlock(&live_lock);
	mem_free(loop);
	current_loop = NULL;
}

void co_loop_free(struct co_loop *loop)
{
	if (loop == NULL)
		return;
	check_idle(loop);
	list_each(node, &loop->tasks) {
		struct co_task *task = list_entry(node, struct co_task, all);

		fprintf(stderr, "coro: task \"%s\", spawned at %s:%u, was not done when its loop ended (%s)\n", task->name,
			task->site->file, task->site->line, task->why);
	}
	co_loop_abandon(loop);
}

/* ---- calls and hooks ---- */

void co_call_init(struct co_call *call, co_call_fn *fn, void *arg)
{
	co_item_init(&call->item, CO_ITEM_CALL);
	call->fn = fn;
	call->arg = arg;
}

void co_call_soon(struct co_call *call)
{
	if (list_empty(&call->item.node))
		co_loop_ready(co_loop_get(), &call->item);
}

void co_call_cancel(struct co_call *call)
{
	list_remove(&call->item.node);
}

void co_turn_hook_add(struct co_turn_hook *hook, co_call_fn *fn, void *arg)
{
	struct co_loop *loop = co_loop_get();

	hook->fn = fn;
	hook->arg = arg;
	hook->round = loop->hook_round;
	list_append(&loop->hooks, &hook->node);
}

void co_turn_hook_remove(struct co_turn_hook *hook)
{
	struct co_loop *loop;

	if (list_empty(&hook->node))
		return;
	loop = co_loop_get();
	if (loop->next_hook == &hook->node)
		loop->next_hook = hook->node.next;
	list_remove(&hook->node);
}

/* A hook may remove itself or any other; those that are added meanwhile have their turn in the next round. */
static void run_hooks(struct co_loop *loop)
{
	loop->hook_round++;
	for (struct list *node = loop->hooks.next; node != &loop->hooks; node = loop->next_hook) {
		struct co_turn_hook *hook = list_entry(node, struct co_turn_hook, node);

		loop->next_hook = node->next;
		if (hook->round != loop->hook_round)
			hook->fn(hook->arg);
	}
	loop->next_hook = NULL;
}

/* ---- figures ---- */

/* The thread's CPU time is read about once a millisecond, so that when a long callback ends, what was read last is not long before its
 * start. Where callbacks take their time, each is looked at by itself. */
static void account(struct co_loop *loop)
{
	int64_t now_us = clock_mono_exact_us(), took_us = now_us - loop->read_us;

	if (now_us - loop->cpu_read_us > LONG_US) {
		int64_t cpu_us = clock_thread_cpu_us();

		if (took_us > LONG_US && cpu_us - loop->cpu_us > loop->longest_call_us)
			loop->longest_call_us = cpu_us - loop->cpu_us;
		loop->cpu_us = cpu_us;
		loop->cpu_read_us = now_us;
	}
	loop->read_us = now_us;
	loop->next_reading = loop->items_total + (took_us > LONG_US / 8 ? 1 : ITEMS_PER_READING);
}

void co_loop_stats(struct co_loop *loop, struct co_loop_stats *ret_stats)
{
	account(loop);
	*ret_stats = (struct co_loop_stats){
		.turns_total = loop->turns_total,
		.switches_total = loop->switches_total,
		.tasks = (unsigned)loop->n_tasks,
		.longest_call_us = loop->longest_call_us,
	};
	loop->longest_call_us = 0;
}

/* ---- turns ---- */

/* Inlined by force, as run_item() and turn(), called from one place each, are anyhow: a return after a switch is mispredicted (context.h). */
__attribute__((always_inline)) static inline void run_task(struct co_loop *loop, struct co_task *task)
{
	int rc;

	if (__builtin_expect(task->stack == NULL, 0) && !co_task_begin(loop, task))
		return;
	rc = co_task_run(loop, task);
	loop->current = NULL;
	if (task->finished)
		co_task_end(loop, task, rc);
}

static void run_item(struct co_loop *loop, struct co_item *item)
{
	switch ((enum co_item_kind)item->kind) {
	case CO_ITEM_TASK:
		run_task(loop, list_entry(item, struct co_task, wake));
		break;
	case CO_ITEM_DONE:
		co_done_run(item);
		break;
	case CO_ITEM_WAIT:
		co_wait_member_run(item);
		break;
	case CO_ITEM_CALL: {
		struct co_call *call = list_entry(item, struct co_call, item);

		call->fn(call->arg);
		break;
	}
	case CO_ITEM_TIMER: {
		struct co_timer *timer = list_entry(item, struct co_timer, item);

		timer->slot = 0;
		timer->fn(timer->arg);
		break;
	}
	case CO_ITEM_POST:
		co_post_run(loop->mailbox, list_entry(item, struct co_post, item));
		break;
	case CO_ITEM_MEMBER:
		CHECK(item->kind != CO_ITEM_MEMBER);
	}
}

/* For ports that have none. */
__attribute__((weak)) bool co_poll_watches(const struct co_poll *p)
{
	(void)p;
	return false;
}

void co_loop_detect_deadlock(struct co_loop *loop, FILE *out)
{
	loop->deadlock_out = out;
}

/* About to sleep for ever with nobody outside to wake it. */
static bool deadlocked(struct co_loop *loop)
{
	if (loop->n_tasks == 0 || loop->n_offloads > 0 || !list_empty(&loop->hooks) || co_poll_watches(loop->poll))
		return false;
	fprintf(loop->deadlock_out, "coro: deadlock: nothing can wake the tasks that are left\n");
	co_task_dump(loop, loop->deadlock_out);
	fflush(loop->deadlock_out);
	loop->deadlocked = true;
	loop->stopping = true;
	return true;
}

static void set_phase(struct co_loop *loop, enum co_phase phase)
{
	__atomic_store_n(&loop->phase, (uint8_t)phase, __ATOMIC_RELAXED);
}

static void look_outside(struct co_loop *loop)
{
	int64_t deadline_us = 0;

	if (list_empty(&loop->ready) && !loop->stopping && co_mailbox_sleep(loop->mailbox))
		deadline_us = co_timers_next(&loop->timers);
	if (__builtin_expect(loop->deadlock_out != NULL, 0) && deadline_us == CLOCK_NEVER && deadlocked(loop))
		deadline_us = 0;
	set_phase(loop, CO_PHASE_POLL);
	co_poll_wait(loop->poll, deadline_us);
	set_phase(loop, CO_PHASE_RUN);
	co_mailbox_awake(loop->mailbox);
	clock_update();
	account(loop);
	if (loop->read_us - loop->trim_us >= TRIM_US) {
		loop->trim_us = loop->read_us;
		co_stacks_trim(&loop->stacks, false);
	}
	loop->look_item = loop->items_total;
	loop->look_us = loop->read_us;
}

void co_loop_look_soon(struct co_loop *loop)
{
	loop->look_us = 0;
}

static bool must_look(const struct co_loop *loop)
{
	return list_empty(&loop->ready) || loop->stopping || loop->items_total - loop->look_item >= ITEMS_PER_LOOK ||
	       loop->read_us - loop->look_us >= LOOK_US;
}

/* Thousands of tasks lie anywhere, each stack on a page of its own, and a fetch from a page whose translation is not at hand waits for that:
 * those of several pages asked for one after the other are found side by side. Nothing above a stack's top is fetched: it would push out
 * what is needed. Returns for how many items it has been done. Inlined by force: of a function that only fetches the calls are left out. */
__attribute__((always_inline)) static inline unsigned fetch_ahead(const struct co_loop *loop)
{
	const struct co_task *tasks[FETCHED_AHEAD];
	unsigned n = 0, n_tasks = 0;

	for (const struct list *node = loop->running.next; node != &loop->running && n < FETCHED_AHEAD; node = node->next, n++) {
		const struct co_task *task = list_entry(node, struct co_task, wake.node);

		if (task->wake.kind != CO_ITEM_TASK || task->stack == NULL)
			continue;
		tasks[n_tasks++] = task;
		__builtin_prefetch(task);
		__builtin_prefetch(&task->all);
		__builtin_prefetch(task->stack);
		__builtin_prefetch(task->context.sp);
	}
	for (unsigned i = 0; i < n_tasks; i++) {
		const char *at = tasks[i]->context.sp, *end = tasks[i]->stack->top;

		if (end - at > STACK_FETCHED)
			end = at + STACK_FETCHED;
		while ((at += CACHE_LINE) < end)
			__builtin_prefetch(at);
	}
	return n;
}

static void turn(struct co_loop *loop)
{
	struct list *node;
	unsigned n_fetched = 0;

	if (loop->look)
		look_outside(loop);
	co_mailbox_take(loop->mailbox, loop);
	co_timers_expire(loop, clock_mono_us());
	list_splice(&loop->running, &loop->ready);
	while (!list_empty(&loop->running)) {
		if (n_fetched == 0)
			n_fetched = fetch_ahead(loop);
		n_fetched--;
		node = list_pop(&loop->running);
		run_item(loop, list_entry(node, struct co_item, node));
		__atomic_store_n(&loop->items_total, loop->items_total + 1, __ATOMIC_RELAXED);
		if (loop->items_total >= loop->next_reading)
			account(loop);
	}
	__atomic_store_n(&loop->turns_total, loop->turns_total + 1, __ATOMIC_RELAXED);
	loop->look = must_look(loop);
	if (loop->look && !list_empty(&loop->hooks)) {
		run_hooks(loop);
		account(loop);
	}
}

void co_loop_run(struct co_loop *loop)
{
	CHECK(loop == current_loop, "a loop is run by its own thread");
	CHECK(!loop->in_turn, "the loop runs already");
	loop->in_turn = true;
	loop->look = true;
	loop->cpu_us = clock_thread_cpu_us();
	loop->cpu_read_us = loop->read_us = clock_mono_exact_us();
	loop->next_reading = loop->items_total + 1;
	loop->deadlocked = false;
	set_phase(loop, CO_PHASE_RUN);
	run_hooks(loop);                /* what was gathered before the run is not left lying while it sleeps */
	do
		turn(loop);
	while (!loop->stopping);
	set_phase(loop, CO_PHASE_OUT);
	loop->stopping = false;
	loop->in_turn = false;
	clock_forget();                 /* who goes on outside may take long before the next run */
}

void co_loop_trim(struct co_loop *loop)
{
	co_stacks_trim(&loop->stacks, true);
	co_pool_trim(&loop->pool);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void co_loop_stop(struct co_loop *loop)
{
	loop->stopping = true;
}

static void stop_when_done(struct co_future *f, void *arg)
{
	(void)f;
	co_loop_stop(arg);
}

int co_run_at(const struct co_site *site, struct co_loop *loop, co_body_fn *body, void *arg, const char *name)
{
	struct co_future *task = co_task_new_at(site, body, arg, "%s", name);   /* it may outlive the call */
	struct co_done_node done = { .f = NULL };
	int rc = -ESHUTDOWN;

	if (task == NULL)
		return -ENOMEM;
	co_done_add(task, &done, stop_when_done, loop);
	co_loop_run(loop);
	co_done_remove(&done);
	if (co_done(task))
		rc = co_result(task);
	else if (loop->deadlocked)
		rc = -EDEADLK;
	co_unref(task);
	return rc;
}

/* ---- the end ---- */

/* Those who are there now, in one go; we stand behind them, and whoever comes later behind us. Ended by waiting, not by awaiting: an error of
 * theirs is still for others to see, or nobody's. */
static int cancel_those_there(struct co_loop *loop)
{
	struct list *self = &loop->current->all, *node;

	list_remove(self);
	list_append(&loop->tasks, self);
	for (node = loop->tasks.next; node != self; node = node->next)
		co_cancel(&list_entry(node, struct co_task, all)->future);
	while ((node = loop->tasks.next) != self) {
		struct co_future *f = co_ref(&list_entry(node, struct co_task, all)->future);
		int rc = co_wait(&f, 1, CO_ALL_COMPLETED, CLOCK_NEVER);

		co_unref(f);
		if (rc < 0)
			return rc;              /* cancelled, or the loop was stopped: this one is the next call's to end */
	}
	return 0;
}

static int cancel_all(void *arg)
{
	struct co_loop *loop = arg;
	int rc;

	do
		rc = cancel_those_there(loop);
	while (rc == 0 && loop->n_tasks > 1);
	return rc;
}

/* Once also where no task is left: callbacks of the last ones may be still to come. */
int co_loop_cancel_all(struct co_loop *loop)
{
	int rc;

	do
		rc = co_run(loop, cancel_all, loop, "cancel all");
	while (rc == 0 && loop->n_tasks > 0);
	return rc;
}
