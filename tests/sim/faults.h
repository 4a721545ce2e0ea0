/*
 * faults.h: what goes wrong in a run, drawn from the seed at its start: crashes at any effect, clean restarts, Redis and Kafka away or
 * slow, connections lost, rebalances, providers' moods, steps of the wall clock. Then everything heals, for good.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct faults {
	unsigned crashes_left, cancels_left, losses_left;
	int64_t heal_us;
	bool hurry;                     /* the next start comes at once */
	unsigned rate;                  /* how bad a world it is: 0 (nothing) .. 3 */
};

/* Schedules them within [now, heal_us). */
struct faults *faults_new(int64_t heal_us);
void faults_free(struct faults *f);
/* A provider's answer reaches the process: where a cancel may follow within a turn or a few. */
void faults_on_reply(struct faults *f);
/* Before a new incarnation: when it will die, if it will. */
void faults_arm(struct faults *f);
/* How long until the next start. */
int64_t faults_rest_us(struct faults *f);

#endif
