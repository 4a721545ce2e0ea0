/*
 * throttle.h: a provider's rate limit and daily cap. The limits are the process's: workers share a struct throttle_pool and borrow
 * tokens from it in slices of 10 ms, so that the hot path touches shared memory once a slice. Pure: takes `now`.
 */
#ifndef DISPATCH_THROTTLE_H
#define DISPATCH_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared by all workers; any thread. */
struct throttle_pool {
	_Atomic unsigned rate;                  /* parts a second; 0: no limit */
	_Atomic uint64_t daily_cap;             /* parts a UTC day; 0: none, and nothing is counted */
	_Atomic int64_t next_us;                /* when the next unlent token is due (GCRA's theoretical arrival time) */
	_Atomic uint64_t day_used;              /* the UTC day's number in the upper 24 bits, parts used in the lower 40 */
};

/* One worker's side. */
struct throttle {
	struct throttle_pool *pool;
	unsigned lent;                          /* tokens in hand */
	int64_t lent_until_us;                  /* after that they lapse: no saving up */
};

void throttle_pool_init(struct throttle_pool *pool, unsigned rate, uint64_t daily_cap);
/* Other limits from now on; a debt that was run up at another rate is forgiven. Any thread. */
void throttle_pool_set(struct throttle_pool *pool, unsigned rate, uint64_t daily_cap);
void throttle_init(struct throttle *t, struct throttle_pool *pool);
/* Takes tokens for `parts` parts. 0, or the time (monotonic us) at which to ask again; a message of more parts than a slice holds
 * takes what there is and runs the rate into debt, which the next ones wait for. */
int64_t throttle_take(struct throttle *t, unsigned parts, int64_t now_us);
/* Counts `parts` against the UTC day of `wall_ms`: false where the cap would be passed, and nothing is counted then. */
bool throttle_day_take(struct throttle *t, unsigned parts, int64_t wall_ms);
void throttle_day_return(struct throttle *t, unsigned parts, int64_t wall_ms);
/* Gives back what it has in hand: it was lent at another rate. */
void throttle_forget(struct throttle *t);
uint64_t throttle_day_used(const struct throttle_pool *pool, int64_t wall_ms);

#endif
