/* The slots of dispatch.c by themselves: who waits outside of one, and gets one back, while others are cancelled. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dispatch/send.h"

static unsigned n_rooms;

static void on_room(void *arg)
{
	(void)arg;
	n_rooms++;
}

static struct dispatch *make(unsigned inflight)
{
	const struct dispatch_options options = { .inflight = inflight };
	struct dispatch *d = dispatch_new(&options, NULL, NULL);

	assert_non_null(d);
	dispatch_on_end(d, NULL, on_room, NULL);
	return d;
}

/* One that leaves its slot and wants it back. */
struct leaver {
	struct send send;
	struct co_future *task;
	int rc;
};

static int want(void *arg)
{
	struct leaver *l = arg;

	l->rc = dispatch_slot_enter(&l->send);
	return l->rc;
}

static void leave(struct dispatch *d, struct leaver *l)
{
	*l = (struct leaver){ .send = { .dispatch = d, .in_slot = true }, .rc = 1 };
	d->inflight++;
	dispatch_slot_leave(&l->send);
	l->task = co_task_new_static(want, l, "leaver");
	assert_non_null(l->task);
}

static int ended(struct leaver *l)
{
	assert_int_equal(co_wait(&l->task, 1, CO_ALL_COMPLETED, clock_mono_us() + 1000000), 1);
	(void)!co_result(l->task);
	co_unref(l->task);
	return l->rc;
}

static void run(co_body_fn *body)
{
	struct co_loop *loop = co_loop_new();

	assert_non_null(loop);
	assert_int_equal(co_run(loop, body, NULL, "test"), 0);
	co_loop_free(loop);
}

/* Occupies all slots, then lets two wait for one. */
static void fill(struct dispatch *d, struct send *holders, unsigned n, struct leaver waiters[2])
{
	leave(d, &waiters[0]);
	leave(d, &waiters[1]);
	for (unsigned i = 0; i < n; i++) {
		holders[i] = (struct send){ .dispatch = d, .in_slot = true };
		d->inflight++;
	}
	assert_int_equal(dispatch_room(d), 0);
	assert_int_equal(co_yield(), 0);
	assert_int_equal(waiters[0].rc, 1);
	assert_int_equal(waiters[1].rc, 1);
}

static void empty(struct dispatch *d, struct send *s)
{
	dispatch_slot_leave(s);
	d->waiting_busy--;
}

/* Two slots fall free for two that wait, who are cancelled in that very turn. */
static int body_given_and_cancelled(void *arg)
{
	struct dispatch *d = make(2);
	struct leaver waiters[2];
	struct send holders[2];

	(void)arg;
	fill(d, holders, 2, waiters);
	empty(d, &holders[0]);
	empty(d, &holders[1]);
	assert_int_equal(d->inflight, 2);
	co_cancel(waiters[0].task);
	co_cancel(waiters[1].task);
	assert_int_equal(ended(&waiters[0]), -ECANCELED);
	assert_int_equal(ended(&waiters[1]), -ECANCELED);
	assert_int_equal(d->inflight, 0);
	assert_int_equal(dispatch_room(d), 2);
	assert_int_equal(d->waiting_busy, 2);
	dispatch_free(d);
	return 0;
}

static void test_dispatch_slots_come_back_from_the_cancelled(void **state)
{
	(void)state;
	run(body_given_and_cancelled);
}

/* The one that is cancelled passes on what it was given. */
static int body_passed_on(void *arg)
{
	struct dispatch *d = make(2);
	struct leaver waiters[2];
	struct send holders[2];

	(void)arg;
	fill(d, holders, 2, waiters);
	empty(d, &holders[0]);
	co_cancel(waiters[0].task);
	assert_int_equal(ended(&waiters[0]), -ECANCELED);
	assert_int_equal(ended(&waiters[1]), 0);
	assert_true(waiters[1].send.in_slot);
	assert_int_equal(d->inflight, 2);
	empty(d, &waiters[1].send);
	empty(d, &holders[1]);
	assert_int_equal(d->inflight, 0);
	assert_int_equal(d->waiting_busy, 1);
	dispatch_free(d);
	return 0;
}

static void test_dispatch_slots_pass_on_what_a_cancelled_one_got(void **state)
{
	(void)state;
	run(body_passed_on);
}

/* Fewer slots than are taken: those that fall free are gone; more: those who wait come first, and then the room is told. */
static int body_resized(void *arg)
{
	struct dispatch *d = make(2);
	struct leaver waiters[2];
	struct send holders[2];

	(void)arg;
	fill(d, holders, 2, waiters);
	n_rooms = 0;
	dispatch_set_inflight(d, 1);
	empty(d, &holders[0]);
	assert_int_equal(d->inflight, 1);
	assert_int_equal(co_yield(), 0);
	assert_int_equal(waiters[0].rc, 1);
	dispatch_set_inflight(d, 4);
	assert_int_equal(ended(&waiters[0]), 0);
	assert_int_equal(ended(&waiters[1]), 0);
	assert_int_equal(d->inflight, 3);
	assert_int_equal(n_rooms, 1);
	dispatch_free(d);
	return 0;
}

static void test_dispatch_slots_change_in_number(void **state)
{
	(void)state;
	run(body_resized);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch_slots_come_back_from_the_cancelled),
		cmocka_unit_test(test_dispatch_slots_pass_on_what_a_cancelled_one_got),
		cmocka_unit_test(test_dispatch_slots_change_in_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
