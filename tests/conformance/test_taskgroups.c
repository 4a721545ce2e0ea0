/* Task groups: CPython's test_taskgroups.py. */
#include "tests/conformance/conformance.h"

/* A group of up to three children around a body that sleeps and returns; perhaps the task around it is cancelled. */
struct group_row {
	const char *name;
	struct child child[3];
	size_t n;
	int body_ms, body_rc;           /* body_ms -1: it doesn't suspend */
	int cancel_ms;                  /* 0: not from outside */
	int rc;
	size_t n_errors;
	int64_t at_ms;
	unsigned cancelling;            /* afterwards */
	const char *cut;                /* children that saw a cancel */
};

static const struct group_row groups[] = {
	{ "group_children_end_first", { { 1, 5 }, { 2, 6 } }, 2, 5, 0, 0, 0, 0, 5, 0, "" },     /* test_taskgroup_01 */
	{ "group_waits_for_children", { { 5, 5 }, { 2, 6 } }, 2, -1, 3, 0, 3, 0, 5, 0, "" },    /* test_taskgroup_02 */
	/* test_taskgroup_already_entered's group: nothing to wait for */
	{ "group_empty", { { 0 } }, 0, -1, 3, 0, 3, 0, 0, 0, "" },
	/* test_taskgroup_03: a cancelled child is no error */
	{ "group_child_cancels_itself", { { 5, 5 }, { 2, -ECANCELED } }, 2, -1, 0, 0, 0, 0, 5, 0, "" },
	/* test_taskgroup_04: the body is cancelled too */
	{ "group_child_and_body_wait", { { 9, 5 }, { 2, -EIO } }, 2, 9, 0, 0, -EIO, 1, 2, 0, "a" },
	/* test_cancel_children_on_child_error */
	{ "group_child_error_while_leaving", { { 9, 5 }, { 2, -EIO } }, 2, -1, 0, 0, -EIO, 1, 2, 0, "a" },
	{ "group_cancelled", { { 9, 5 }, { 9, 6 } }, 2, -1, 0, 2, -ECANCELED, 0, 2, 1, "ab" },  /* test_cancellation, test_taskgroup_22 */
	{ "group_cancelled_in_the_body", { { 9, 5 } }, 1, 9, 0, 2, -ECANCELED, 0, 2, 1, "a" },  /* test_taskgroup_07 */
	/* test_taskgroup_09: children never began */
	{ "group_body_error", { { 9, 5 }, { 9, 6 } }, 2, -1, -EPERM, 0, -EPERM, 1, 0, 0, "" },
	{ "group_body_error_later", { { 9, 5 }, { 9, 6 } }, 2, 1, -EPERM, 0, -EPERM, 1, 1, 0, "ab" },   /* test_taskgroup_10 */
	/* test_taskgroup_11 */
	{ "group_cancelled_child_cleans_up", { { 9, 5, -ECANCELED, 4 } }, 1, -1, 0, 2, -ECANCELED, 0, 6, 1, "a" },
	/* test_taskgroup_12 */
	{ "group_cancelled_body_child_cleans_up", { { 9, 5, -ECANCELED, 4 } }, 1, 9, 0, 2, -ECANCELED, 0, 6, 1, "a" },
	/* test_taskgroup_14 */
	{ "group_child_error_others_clean_up", { { 9, 5, -ECANCELED, 4 }, { 2, -EIO } }, 2, -1, 0, 0, -EIO, 1, 6, 0, "a" },
	{ "group_error_on_cancel", { { 9, 5, -EPERM }, { 2, -EIO } }, 2, -1, 0, 0, -EIO, 2, 2, 0, "a" },        /* test_taskgroup_14 */
	/* test_taskgroup_08: the error goes first */
	{ "group_cancelled_failing_child", { { 9, 5, -EPERM } }, 1, 9, 0, 2, -EPERM, 1, 2, 1, "a" },
	{ "group_cancelled_failing_child_leaving", { { 9, 5, -EPERM } }, 1, -1, 0, 2, -EPERM, 1, 2, 1, "a" },   /* test_taskgroup_13 */
	/* test_error_and_cancel */
	{ "group_cancelled_while_aborting", { { 9, 5, -ECANCELED, 5 }, { 1, -EIO } }, 2, -1, 0, 3, -EIO, 1, 6, 1, "a" },
	/* test_taskgroup_15's shape: the group's end is the cancel's all the same */
	{ "group_swallowed_by_a_child", { { 9, 5, 7 }, { 9, 6 } }, 2, -1, 0, 2, -ECANCELED, 0, 2, 1, "ab" },
	{ "group_body_and_child_errors", { { 9, 5, -EIO } }, 1, 1, -EPERM, 0, -EIO, 2, 1, 0, "a" },     /* test_taskgroup_19 */
	{ "group_two_errors_at_once", { { 2, -EIO }, { 2, -EPERM } }, 2, -1, 0, 0, -EIO, 2, 2, 0, "" }, /* test_taskgroup_20 */
	{ "group_all_fail", { { 1, -EIO }, { 1, -EPERM }, { 1, -EBUSY } }, 3, 9, 0, 0, -EIO, 3, 1, 0, "" },     /* test_taskgroup_20a */
	{ "group_three_one_fails", { { 1, -EIO }, { 9, 1 }, { 9, 1 } }, 3, 9, 0, 0, -EIO, 1, 1, 0, "bc" },      /* test_taskgroup_21a */
	/* test_error_and_cancel, the cancel first */
	{ "group_cancel_before_the_error", { { 2, -EIO } }, 1, 9, 0, 2, -ECANCELED, 0, 2, 1, "a" },
	{ "group_empty_cancelled", { { 0 } }, 0, 9, 0, 2, -ECANCELED, 0, 2, 1, "" },            /* test_taskgroup_17 */
	/* test_taskgroup_21a: a timeout error is one as any other */
	{ "group_child_timeout_error", { { 1, -ETIMEDOUT }, { 9, 1 } }, 2, -1, 0, 0, -ETIMEDOUT, 1, 1, 0, "b" },
};

struct group_run {
	const struct group_row *row;
	struct child child[3];
	int rc;
	size_t n_errors;
	int64_t at_ms;
	unsigned cancelling;
};

static int group_body(void *arg)
{
	struct group_run *r = arg;
	struct co_group g;
	int rc = 0;

	co_group_enter(&g);
	for (size_t i = 0; i < r->row->n; i++)
		EXPECT_INT(co_group_spawn(&g, NULL, child_body, &r->child[i], "child %zu", i), 0);
	if (r->row->body_ms >= 0)
		rc = co_sleep_ms(r->row->body_ms);
	r->rc = co_group_leave(&g, rc < 0 ? rc : r->row->body_rc);
	r->n_errors = g.n_errors;
	r->at_ms = now_ms();
	r->cancelling = co_task_cancelling(co_task_current());
	return 0;
}

static void cancel_arg(void *arg)
{
	co_cancel(arg);
}

ROWS(run_group, struct group_row)
{
	struct group_run r = { .row = row, .child = { row->child[0], row->child[1], row->child[2] } };
	struct co_future *t = spawn(group_body, &r);
	struct co_timer cancel;
	char cut[4] = "";

	co_timer_init(&cancel, cancel_arg, t);
	if (row->cancel_ms > 0)
		EXPECT_INT(co_timer_start(&cancel, co_in_ms(row->cancel_ms)), 0);
	EXPECT_INT(co_wait(&t, 1, CO_ALL_COMPLETED, CLOCK_NEVER), 1);
	EXPECT_INT(r.rc, row->rc);
	EXPECT_INT(r.n_errors, row->n_errors);
	EXPECT_INT(r.at_ms, row->at_ms);
	EXPECT_INT(r.cancelling, row->cancelling);
	for (size_t i = 0, n = 0; i < 3; i++)
		if (r.child[i].saw_cancel)
			cut[n++] = (char)('a' + i);
	EXPECT(strcmp(cut, row->cut) == 0);
	EXPECT_INT(unretrieved, 0);
	co_unref(t);
}

/* ---- nested groups ---- */

struct nested {
	int inner_ms, inner_rc, outer_ms, outer_rc;
	int rc, inner;
};

static int inner_group(struct nested *n)
{
	struct child c = { .ms = n->inner_ms, .rc = n->inner_rc };
	struct co_group g;

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &c, "inner"), 0);
	n->inner = co_group_leave(&g, 0);
	return n->inner;
}

static int nested_groups(void *arg)
{
	struct nested *n = arg;
	struct child c = { .ms = n->outer_ms, .rc = n->outer_rc };
	struct co_group g;

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &c, "outer"), 0);
	n->rc = co_group_leave(&g, inner_group(n));
	return n->rc;
}

/* test_nested_groups_both_cancelled: an error in the inner one ends the outer */
TEST(group_nested_inner_error)
{
	struct nested n = { .inner_ms = 2, .inner_rc = -EIO, .outer_ms = 9 };
	struct co_future *t = spawn(nested_groups, &n);

	EXPECT_INT(co_await(t), -EIO);
	EXPECT_INT(now_ms(), 2);
	co_unref(t);
	return 0;
}

/* test_nested_groups_both_cancelled: an error in the outer one cancels the inner, which says so */
TEST(group_nested_outer_error)
{
	struct nested n = { .inner_ms = 9, .outer_ms = 2, .outer_rc = -EIO };
	struct co_future *t = spawn(nested_groups, &n);

	EXPECT_INT(co_await(t), -EIO);
	EXPECT_INT(n.inner, -ECANCELED);
	EXPECT_INT(co_task_cancelling(t), 0);
	EXPECT_INT(now_ms(), 2);
	co_unref(t);
	return 0;
}

/* test_nested_groups_both_cancelled: both fail in one turn; the inner's error is among the outer's */
TEST(group_nested_both_fail)
{
	struct nested n = { .inner_ms = 2, .inner_rc = -EPERM, .outer_ms = 2, .outer_rc = -EIO };
	struct co_future *t = spawn(nested_groups, &n);

	EXPECT_INT(co_await(t), -EIO);
	EXPECT_INT(n.inner, -EPERM);
	EXPECT_INT(co_task_cancelling(t), 0);
	co_unref(t);
	return 0;
}

/* ---- creating ---- */

/* test_taskgroup_no_create_task_after_failure */
TEST(group_no_task_after_a_failure)
{
	struct co_group g;
	struct child bad = { .ms = 1, .rc = -EIO }, other = { .rc = 1 };
	int rc;

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &bad, "bad"), 0);
	rc = co_sleep_ms(9);
	EXPECT_INT(rc, -ECANCELED);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &other, "late"), -ESHUTDOWN);
	EXPECT_INT(co_group_leave(&g, rc), -EIO);
	return 0;
}

/* test_taskgroup_finished */
TEST(group_no_task_after_its_end)
{
	struct co_group g;
	struct child other = { .rc = 1 };

	co_group_enter(&g);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &other, "late"), -ESHUTDOWN);
	return 0;
}

static int spawn_into(void *arg)
{
	static struct child c;

	c = (struct child){ .ms = 3, .rc = 1 };
	return co_group_spawn(arg, NULL, child_body, &c, "grandchild");
}

/* test_taskgroup_24: a member may make others while the group waits for it */
TEST(group_child_makes_a_child)
{
	struct co_group g;

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, spawn_into, &g, "child"), 0);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	EXPECT_INT(now_ms(), 3);
	return 0;
}

/* test_taskgroup_task_name: and a reference to read its result by */
TEST(group_task_name_and_result)
{
	struct co_group g;
	struct co_future *t;
	struct child c = { .ms = 1, .rc = 8 };

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, &t, child_body, &c, "yolo %d", 3), 0);
	EXPECT(strcmp(co_task_name(t), "yolo 3") == 0);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	EXPECT_INT(co_result(t), 8);
	co_unref(t);
	return 0;
}

/* test_taskgroup_03: a member cancelled by hand is no error and takes nobody with it */
TEST(group_member_cancelled_by_hand)
{
	struct co_group g;
	struct co_future *t;
	struct child a = { .ms = 9, .rc = 8 }, b = { .ms = 3, .rc = 1 };

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, &t, child_body, &a, "a"), 0);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &b, "b"), 0);
	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_group_leave(&g, 0), 0);
	EXPECT_INT(now_ms(), 3);
	EXPECT(!b.saw_cancel);
	co_unref(t);
	return 0;
}

static int yield_and_fail(void *arg)
{
	co_event_set(arg);
	return co_yield() < 0 ? -ECANCELED : -EIO;
}

static int error_and_cancel(void *arg)
{
	struct co_group g;

	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, yield_and_fail, arg, "raise_error"), 0);
	EXPECT_INT(co_group_leave(&g, co_sleep_ms(9)), -EIO);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return co_sleep_ms(9);
}

/* test_error_and_cancel: the error ends the group, the outer cancel comes at the next await */
TEST(group_error_and_cancel)
{
	struct co_event begun;
	struct co_future *t;

	co_event_init(&begun);
	t = spawn(error_and_cancel, &begun);
	EXPECT_INT(co_event_wait(&begun, CLOCK_NEVER), 0);
	EXPECT_INT(co_task_cancelling(t), 0);
	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);
	EXPECT_INT(now_ms(), 0);
	co_unref(t);
	return 0;
}

static int count_members(void *arg)
{
	++*(int *)arg;
	return co_sleep_ms(3);
}

/* test_taskgroup_23: members that end while the body goes on are gone, others may follow */
TEST(group_members_one_after_another)
{
	struct co_group g;
	int n = 0;

	co_group_enter(&g);
	for (int i = 0; i < 10; i++) {
		EXPECT_INT(co_group_spawn(&g, NULL, count_members, &n, "member %d", i), 0);
		EXPECT_INT(co_sleep_ms(5), 0);
		EXPECT(list_empty(&g.members));
	}
	EXPECT_INT(co_group_leave(&g, 0), 0);
	EXPECT_INT(n, 10);
	return 0;
}

static int cancelled_before_a_group(void *arg)
{
	struct child bad = { .ms = 1, .rc = -EIO };
	struct co_group g;

	(void)arg;
	EXPECT_INT(co_sleep_ms(9), -ECANCELED);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	co_group_enter(&g);
	EXPECT_INT(co_group_spawn(&g, NULL, child_body, &bad, "bad"), 0);
	EXPECT_INT(co_group_leave(&g, co_sleep_ms(9)), -EIO);
	EXPECT_INT(co_task_cancelling(co_task_current()), 1);
	return 3;
}

/* test_cancelling_level_preserved */
TEST(group_cancelling_level_preserved)
{
	struct co_future *t = spawn(cancelled_before_a_group, NULL);

	yield_times(1);
	co_cancel(t);
	EXPECT_INT(co_await(t), -ECANCELED);    /* the cancel is asked for anew, and a result is lost to it */
	co_unref(t);
	return 0;
}

int main(void)
{
	static struct suite taskgroups;
	const struct CMUnitTest cases[] = {
		T(group_nested_inner_error), T(group_nested_outer_error), T(group_nested_both_fail), T(group_no_task_after_a_failure),
		T(group_no_task_after_its_end), T(group_child_makes_a_child), T(group_task_name_and_result), T(group_member_cancelled_by_hand),
		T(group_cancelling_level_preserved), T(group_error_and_cancel), T(group_members_one_after_another),
	};

	ADD_ROWS(&taskgroups, groups, run_group);
	ADD_CASES(&taskgroups, cases);
	return RUN_SUITE(taskgroups);
}
