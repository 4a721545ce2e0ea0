/* random.h: the only source of randomness; not for secrets. The simulation links a seeded one in its place. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* 64 random bits; one generator a thread, seeded by getrandom(2). */
uint64_t random_u64(void);

/* A number in [0, bound), unbiased enough for jitter and weights; 0 where bound is 0. */
uint64_t random_below(uint64_t bound);

#endif
