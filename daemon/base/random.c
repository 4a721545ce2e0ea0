/* random.c: a generator a thread, seeded by the kernel. Not for secrets. */
#include "daemon/base/random.h"

#include <sys/random.h>

#include "daemon/base/check.h"

/* xorshift128+ (Vigna 2014): two words of state, fast and more than good enough for jitter. */
static _Thread_local uint64_t state[2];

uint64_t random_u64(void)
{
	uint64_t a, b;

	while ((state[0] | state[1]) == 0)
		CHECK(getrandom(state, sizeof state, 0) == (ssize_t)sizeof state);
	a = state[0];
	b = state[1];
	state[0] = b;
	a ^= a << 23;
	state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return state[1] + b;
}

uint64_t random_below(uint64_t bound)
{
	/* Lemire's multiply-shift: no division, bias below bound / 2^64. */
	return (uint64_t)(((unsigned __int128)random_u64() * bound) >> 64);
}
