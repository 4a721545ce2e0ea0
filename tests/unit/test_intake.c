/* consumer/intake.c: reading with and without room, rejects, what is published and when. */
#include "tests/unit/intake_fixture.h"

CASE(test_intake_publishes_contiguous_prefix_behind_barrier)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	assert_string_equal(d.jobs[1]->msg.id, "q0-1");
	assert_int_equal(d.jobs[1]->msg.offset, 1);
	assert_int_equal(d.jobs[1]->msg.epoch, 1);
	barrier_rc = -EAGAIN;
	finish(1, DISPATCH_SETTLED);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_true(barriers > 0);
	assert_int_equal(shared[0].committable, -1);
	barrier_rc = 0;
	wait_until(shared[0].committable == 2);
	finish(2, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 3);
	assert_int_equal(shared[0].position, 3);
	wait_until(shared[0].open == 0);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_tells_the_store_of_a_groups_commits)
{
	struct intake *in = start(10, 100);
	struct intake_grant grant = { .queue = &queues[1], .shared = &shared[1], .topic = "jobs", .partition = 1, .epoch = 1,
				      .has_commits = true };

	(void)arg;
	lend_at(in, 0, 1, 0);
	assert_int_equal(expected, 0);
	assert_int_equal(intake_lend(in, &grant), 0);
	assert_int_equal(expected, 1);
	take_back(in, 0, false);
	take_back(in, 1, false);
	end(in);
	return 0;
}

CASE(test_intake_backpressure_is_not_reading)
{
	struct intake *in = start(4, 100);

	(void)arg;
	put_range(0, 0, 50);
	lend_at(in, 0, 1, 0);
	wait_until(d.n == 4);
	settle_down();
	assert_int_equal(queues[0].next, 4);
	finish(2, DISPATCH_SETTLED);
	wait_until(d.n == 5);
	settle_down();
	assert_int_equal(queues[0].next, 5);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_stops_at_commit_skew)
{
	struct intake *in = start(100, 8);

	(void)arg;
	put_range(0, 0, 20);
	lend_at(in, 0, 1, 0);
	wait_until(d.n == 8);
	for (unsigned i = 1; i < 8; i++)
		finish(i, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(d.n, 8);
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 8 && commits_due > 0);
	settle_down();
	assert_int_equal(d.n, 8);               /* published, but not committed yet */
	shared[0].committed = 8;
	intake_kick(in);
	wait_until(d.n == 16);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_is_fair)
{
	struct intake *in = start(1, 1000);
	unsigned first = 0;

	(void)arg;
	put_range(0, 0, 200);
	put_range(1, 0, 200);
	lend_at(in, 0, 1, 0);
	lend_at(in, 1, 1, 0);
	for (unsigned i = 0; i < 100; i++) {
		wait_until(d.n == i + 1);
		first += d.jobs[i]->msg.partition == 0;
		finish(i, DISPATCH_SETTLED);
	}
	assert_in_range(first, 30, 70);
	take_back(in, 0, false);
	take_back(in, 1, false);
	end(in);
	return 0;
}

CASE(test_intake_pause_keeps_the_queue)
{
	struct intake *in = start(10, 100);

	(void)arg;
	paused = true;
	put_range(0, 0, 5);
	lend_at(in, 0, 1, 0);
	settle_down();
	assert_int_equal(queues[0].next, 0);
	paused = false;
	intake_kick(in);
	wait_until(d.n == 5);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_finds_what_a_lost_wakeup_left)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	settle_down();
	queues[0].attached = false;     /* keeps put() from waking the reader */
	put_range(0, 0, 1);
	queues[0].attached = true;
	wait_until(d.n == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_reject_holds_its_offset_until_the_dead_letter_is_there)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	put_value(0, 0, "poison");
	put(0, 1, "good");
	wait_until(d.n == 1);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	sink_open = true;
	wait_until(shared[0].committable == 2);
	assert_int_equal(letters, 1);
	assert_string_equal(last_reason, "bad_json");
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_bounds_rejects_under_way)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	lend_at(in, 1, 1, 0);
	for (int i = 0; i < 6; i++)
		put_value(0, i, "poison");
	put(0, 6, "behind");
	settle_down();
	assert_int_equal(shared[0].position, 2);
	put(1, 0, "other");                     /* the other partition goes on */
	wait_until(d.n == 1);
	assert_string_equal(d.jobs[0]->msg.id, "other");
	sink_open = true;
	wait_until(d.n == 2 && letters == 6);
	take_back(in, 0, false);
	take_back(in, 1, false);
	end(in);
	return 0;
}

CASE(test_intake_no_memory_loses_no_record)
{
	struct intake *in = start(10, 100);

	(void)arg;
	d.submit_rc = -ENOMEM;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	settle_down();
	assert_int_equal(d.n, 0);
	d.submit_rc = 0;
	wait_until(d.n == 3);
	assert_int_equal(d.jobs[0]->msg.offset, 0);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_notes_a_gap_for_control)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put(0, 3, "a");                 /* small: a transaction's marker */
	wait_until(d.n == 1);
	assert_int_equal(shared[0].gap_to, 0);
	put(0, 500, "b");
	wait_until(d.n == 2);
	assert_int_equal(shared[0].gap_from, 4);
	assert_int_equal(shared[0].gap_to, 500);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_stopped_partition_is_not_read)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	shared[0].stopped = true;
	put_range(0, 0, 1);
	settle_down();
	assert_int_equal(d.n, 0);
	shared[0].stopped = false;
	intake_kick(in);
	wait_until(d.n == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intake_publishes_contiguous_prefix_behind_barrier),
		cmocka_unit_test(test_intake_tells_the_store_of_a_groups_commits),
		cmocka_unit_test(test_intake_backpressure_is_not_reading),
		cmocka_unit_test(test_intake_stops_at_commit_skew),
		cmocka_unit_test(test_intake_is_fair),
		cmocka_unit_test(test_intake_pause_keeps_the_queue),
		cmocka_unit_test(test_intake_finds_what_a_lost_wakeup_left),
		cmocka_unit_test(test_intake_reject_holds_its_offset_until_the_dead_letter_is_there),
		cmocka_unit_test(test_intake_bounds_rejects_under_way),
		cmocka_unit_test(test_intake_no_memory_loses_no_record),
		cmocka_unit_test(test_intake_notes_a_gap_for_control),
		cmocka_unit_test(test_intake_stopped_partition_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
