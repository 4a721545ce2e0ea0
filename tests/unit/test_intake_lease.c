/* consumer/intake*.c: partitions that are taken back, come back, or are made anew while their jobs still run. */
#include "tests/unit/intake_fixture.h"

CASE(test_intake_lease_revoke_commits_what_ends_in_time)
{
	struct intake *in = start(10, 100);
	unsigned before;

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;            /* runs past the drain: an orphan */
	before = d.n;
	take_back(in, 0, false);        /* cancels 2 */
	assert_null(d.jobs[2]);
	assert_int_equal(shared[0].committable, 1);
	finish(1, DISPATCH_SETTLED);    /* writes its outcome, moves no offset */
	settle_down();
	assert_int_equal(shared[0].committable, 1);
	assert_int_equal(d.n, before);
	end(in);
	return 0;
}

CASE(test_intake_lease_lost_publishes_nothing)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 2);
	wait_until(d.n == 2);
	barrier_rc = -EAGAIN;
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;
	settle_down();
	barrier_rc = 0;
	take_back(in, 0, true);
	finish(1, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	end(in);
	return 0;
}

CASE(test_intake_lease_returning_record_joins_its_running_job)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 2);
	wait_until(d.n == 2);
	d.written[0] = d.written[1] = true;
	take_back(in, 0, true);
	queues[0].next = 0;             /* read again from the committed offset */
	lend_at(in, 0, 2, 0);
	put_range(0, 2, 1);
	wait_until(d.n == 3);
	assert_int_equal(d.jobs[2]->msg.offset, 2);
	settle_down();
	assert_int_equal(d.n, 3);
	finish(2, DISPATCH_SETTLED);
	finish(0, DISPATCH_SETTLED);    /* the old job's end is the new record's */
	wait_until(shared[0].committable == 1);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 3);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_lease_joined_record_is_sent_when_the_job_gives_up)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	queues[0].next = 0;
	lend_at(in, 0, 2, 0);
	wait_until(shared[0].open == 1);
	assert_int_equal(d.n, 1);
	finish(0, DISPATCH_ABANDONED);
	wait_until(d.n == 2);
	assert_int_equal(d.jobs[1]->msg.epoch, 2);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_lease_partition_may_go_again_while_its_record_waits)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	for (uint32_t epoch = 2; epoch < 6; epoch++) {
		take_back(in, 0, true);
		queues[0].next = 0;
		lend_at(in, 0, epoch, 0);
		wait_until(shared[0].open == 1);
	}
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	assert_int_equal(d.n, 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

/* A stale completion with a reused offset: the log was made anew, another message lies there. */
CASE(test_intake_lease_another_id_at_the_offset_does_not_join)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put(0, 0, "old");
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	queues[0].n = queues[0].next = 0;
	lend_at(in, 0, 2, 0);
	put(0, 0, "new");
	wait_until(d.n == 2);
	finish(0, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_lease_log_that_went_back_starts_afresh)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 100);
	put(0, 100, "a");
	put(0, 101, "b");
	wait_until(d.n == 2);
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 101);
	put(0, 0, "c");                 /* the log was cut */
	wait_until(d.n == 3);
	finish(1, DISPATCH_SETTLED);    /* the old log's: moves nothing */
	settle_down();
	assert_int_equal(shared[0].committable, -1);
	finish(2, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_lease_revoke_cancels_stuck_dead_letters)
{
	struct intake *in = start(10, 100);

	(void)arg;
	sink_open = false;
	lend_at(in, 0, 1, 0);
	put_value(0, 0, "poison");
	wait_until(shared[0].position == 1);
	take_back(in, 0, false);
	assert_int_equal(letters_cancelled, 1);
	assert_int_equal(shared[0].committable, -1);
	end(in);
	return 0;
}

CASE(test_intake_lease_drain_says_what_is_left)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 3);
	wait_until(d.n == 3);
	finish(0, DISPATCH_SETTLED);
	d.written[1] = true;
	put_range(0, 3, 1);
	assert_int_equal(intake_drain(in, clock_mono_us() + 20000), 2 + (d.n == 4));
	assert_int_equal(shared[0].committable, 1);
	d.written[1] = false;
	take_back(in, 0, false);
	end(in);
	return 0;
}

CASE(test_intake_lease_freed_with_jobs_still_running)
{
	struct intake *in = start(10, 100);

	(void)arg;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	d.written[0] = true;
	take_back(in, 0, true);
	end(in);
	finish(0, DISPATCH_SETTLED);    /* frees the last of it */
	return 0;
}

/* The end comes while a barrier takes its time, of a partition that is gone meanwhile. */
CASE(test_intake_lease_freed_amid_a_barrier)
{
	struct intake *in = start(10, 100);

	(void)arg;
	barrier_ms = 60000;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	finish(0, DISPATCH_SETTLED);
	wait_until(barriers == 1);
	take_back(in, 0, true);
	end(in);
	assert_int_equal(shared[0].committable, -1);
	return 0;
}

/* One at a time, each of up to 2 s, bounded a partition to max_commit_skew in the time of two of them. */
CASE(test_intake_lease_barriers_overlap)
{
	struct intake *in = start(10, 100);

	(void)arg;
	barrier_ms = 60000;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 6);
	wait_until(d.n == 6);
	finish(0, DISPATCH_SETTLED);
	wait_until(barriers == 1);
	barrier_ms = 0;
	finish(1, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 2);         /* though the first still waits */
	barrier_ms = 60000;
	for (unsigned i = 2; i < 5; i++) {
		finish(i, DISPATCH_SETTLED);
		wait_until(barriers == i + 1);
	}
	finish(5, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(barriers, 5);                  /* four under way are enough */
	assert_int_equal(shared[0].committable, 2);
	take_back(in, 0, true);
	end(in);
	return 0;
}

CASE(test_intake_lease_barriers_that_hold_up_the_rest_do_not_overlap)
{
	struct intake *in = start(10, 100);

	(void)arg;
	barriers_overlap = false;
	barrier_ms = 60000;
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 2);
	wait_until(d.n == 2);
	finish(0, DISPATCH_SETTLED);
	wait_until(barriers == 1);
	finish(1, DISPATCH_SETTLED);
	settle_down();
	assert_int_equal(barriers, 1);
	take_back(in, 0, true);
	end(in);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intake_lease_revoke_commits_what_ends_in_time),
		cmocka_unit_test(test_intake_lease_lost_publishes_nothing),
		cmocka_unit_test(test_intake_lease_returning_record_joins_its_running_job),
		cmocka_unit_test(test_intake_lease_joined_record_is_sent_when_the_job_gives_up),
		cmocka_unit_test(test_intake_lease_partition_may_go_again_while_its_record_waits),
		cmocka_unit_test(test_intake_lease_another_id_at_the_offset_does_not_join),
		cmocka_unit_test(test_intake_lease_log_that_went_back_starts_afresh),
		cmocka_unit_test(test_intake_lease_revoke_cancels_stuck_dead_letters),
		cmocka_unit_test(test_intake_lease_drain_says_what_is_left),
		cmocka_unit_test(test_intake_lease_freed_with_jobs_still_running),
		cmocka_unit_test(test_intake_lease_freed_amid_a_barrier),
		cmocka_unit_test(test_intake_lease_barriers_overlap),
		cmocka_unit_test(test_intake_lease_barriers_that_hold_up_the_rest_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
