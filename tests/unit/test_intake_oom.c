/* consumer/intake.c when memory is short. This program brings its own alloc.c. */
#include <stdlib.h>
#include <unistd.h>

#include "consumer/intake_private.h"
#include "daemon/base/alloc.h"
#include "tests/unit/intake_fixture.h"

static bool no_timers;          /* their heap grows by mem_resize() */

void *mem_alloc(size_t size)
{
	return malloc(size);
}

void *mem_zalloc(size_t size)
{
	return calloc(1, size);
}

void *mem_resize(void *ptr, size_t size)
{
	return no_timers ? NULL : realloc(ptr, size);
}

char *mem_strdup(const char *s)
{
	return strdup(s);
}

void mem_free(void *ptr)
{
	free(ptr);
}

/* The syncer went round without ever suspending, so that nothing else ran; or it ended, so that nothing was published any more. */
CASE(test_intake_oom_without_timers_others_run)
{
	struct intake *in;

	(void)arg;
	no_timers = true;
	in = start(10, 8);
	alarm(10);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(co_yield(), 0);
	co_event_set(&in->sync_due);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(co_yield(), 0);
	alarm(0);
	no_timers = false;
	settle_down();
	lend_at(in, 0, 1, 0);
	put_range(0, 0, 1);
	wait_until(d.n == 1);
	finish(0, DISPATCH_SETTLED);
	wait_until(shared[0].committable == 1);
	take_back(in, 0, false);
	end(in);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intake_oom_without_timers_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
