/* consumer/offsets.c: by hand, and against a model that is too simple to be wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "consumer/offsets.h"

static uint64_t add(struct offsets *o, int64_t offset)
{
	assert_int_equal(offsets_reserve(o, offset), 0);
	return offsets_add(o, offset, NULL);
}

static void test_offsets_prefix(void **state)
{
	struct offsets o;
	uint64_t a, b, c;

	(void)state;
	offsets_init(&o, 100);
	assert_int_equal(offsets_committable(&o), -1);
	a = add(&o, 10);
	b = add(&o, 11);
	c = add(&o, 50);                /* a gap is normal */
	offsets_done(&o, b);
	assert_int_equal(offsets_committable(&o), -1);
	offsets_done(&o, a);
	assert_int_equal(offsets_committable(&o), 12);
	offsets_done(&o, c);
	assert_int_equal(offsets_committable(&o), 51);
	assert_int_equal(o.open, 0);
	offsets_fini(&o);
}

static void test_offsets_limit_counts_from_the_commit(void **state)
{
	struct offsets o;
	uint64_t t[4];

	(void)state;
	offsets_init(&o, 4);
	for (int i = 0; i < 4; i++)
		t[i] = add(&o, i * 10);
	assert_int_equal(offsets_room(&o), 0);
	assert_int_equal(offsets_reserve(&o, 99), -ENOSPC);
	offsets_done(&o, t[0]);
	offsets_done(&o, t[1]);
	assert_int_equal(offsets_reserve(&o, 99), -ENOSPC);
	offsets_committed(&o, 11);      /* both */
	assert_int_equal(offsets_room(&o), 2);
	offsets_committed(&o, 1000);    /* never past what is done */
	assert_int_equal(offsets_skew(&o), 2);
	add(&o, 99);
	offsets_fini(&o);
}

static void test_offsets_refuses_to_go_back(void **state)
{
	struct offsets o;

	(void)state;
	offsets_init(&o, 4);
	add(&o, 7);
	assert_int_equal(offsets_reserve(&o, 7), -EINVAL);
	assert_int_equal(offsets_reserve(&o, 6), -EINVAL);
	offsets_fini(&o);
}

static void test_offsets_find_and_items(void **state)
{
	struct offsets o;
	uint64_t a, b, found = 0;
	int item;

	(void)state;
	offsets_init(&o, 1000);
	a = add(&o, 10);
	b = add(&o, 20);
	assert_false(offsets_find(&o, 15, &found));
	assert_false(offsets_find(&o, 21, &found));
	assert_true(offsets_find(&o, 20, &found));
	assert_int_equal(found, b);
	offsets_set_item(&o, b, &item);
	assert_ptr_equal(offsets_item(&o, b), &item);
	offsets_done(&o, b);
	assert_false(offsets_find(&o, 20, &found));
	assert_null(offsets_item(&o, b));
	assert_true(offsets_oldest(&o, &found));
	assert_int_equal(found, a);
	offsets_done(&o, a);
	assert_false(offsets_oldest(&o, &found));
	offsets_fini(&o);
}

/* ---- the model ---- */

enum { MODEL_MAX = 4096 };

static uint64_t seed;

static uint32_t rnd(uint32_t bound)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % bound;
}

struct model {
	int64_t offset[MODEL_MAX];
	bool done[MODEL_MAX];
	uint64_t ticket[MODEL_MAX];
	unsigned n, committed;          /* how many of the first are committed */
};

static int64_t model_committable(const struct model *m)
{
	int64_t end = -1;

	for (unsigned i = 0; i < m->n && m->done[i]; i++)
		end = m->offset[i] + 1;
	return end;
}

static void model_step(struct model *m, struct offsets *o, int64_t *next)
{
	unsigned i;

	switch (rnd(5)) {
	case 0:
	case 1:
		*next += 1 + (rnd(4) == 0 ? rnd(1000) : 0);
		if (m->n == MODEL_MAX)
			return;
		if (offsets_reserve(o, *next) == 0) {
			m->ticket[m->n] = offsets_add(o, *next, NULL);
			m->offset[m->n] = *next;
			m->done[m->n++] = false;
		} else {
			assert_int_equal(m->n - m->committed, o->limit);
		}
		return;
	case 2:
	case 3:
		if (m->n == 0)
			return;
		i = m->n - 1 - rnd(m->n < 40 ? m->n : 40);
		if (!m->done[i]) {
			m->done[i] = true;
			offsets_done(o, m->ticket[i]);
		}
		return;
	default:
		for (i = m->committed; i < m->n && !m->done[i]; i++)
			;
		if (rnd(3) == 0 && i < m->n && !m->done[m->committed]) {        /* unblock the head now and then */
			m->done[m->committed] = true;
			offsets_done(o, m->ticket[m->committed]);
		}
		if (model_committable(m) >= 0) {
			offsets_committed(o, model_committable(m));
			while (m->committed < m->n && m->done[m->committed])
				m->committed++;
		}
	}
}

static void test_offsets_random_against_model(void **state)
{
	static struct model m;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct offsets o;
		int64_t next = rnd(1000);
		unsigned open = 0;

		seed = round + 1;
		memset(&m, 0, sizeof m);
		offsets_init(&o, 1 + rnd(300));
		for (unsigned step = 0; step < 1500; step++) {
			model_step(&m, &o, &next);
			assert_int_equal(offsets_committable(&o), model_committable(&m));
			assert_int_equal(offsets_skew(&o), m.n - m.committed);
		}
		for (unsigned i = 0; i < m.n; i++) {
			uint64_t ticket;

			open += !m.done[i];
			assert_int_equal(offsets_find(&o, m.offset[i], &ticket), !m.done[i]);
		}
		assert_int_equal(o.open, open);
		offsets_fini(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_prefix),
		cmocka_unit_test(test_offsets_limit_counts_from_the_commit),
		cmocka_unit_test(test_offsets_refuses_to_go_back),
		cmocka_unit_test(test_offsets_find_and_items),
		cmocka_unit_test(test_offsets_random_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
