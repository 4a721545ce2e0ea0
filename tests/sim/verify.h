/*
 * verify.h: what must hold, read from the outside only: Kafka's log and offsets, Redis' keys, the providers' ledger, the log's bytes.
 * Each violation is sim_fail().
 */
#ifndef SIM_VERIFY_H
#define SIM_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kafka_sim_record;

/* After each step of the world. */
void verify_step(void);
/* An offset was committed. */
void verify_commit(unsigned partition);
/* Redis has lost what it wrote last to this key. */
void verify_lost(const char *key);
/* A dead letter was taken. */
void verify_dead(const struct kafka_sim_record *letter);

/* Whether every record is committed and its message has ended: then nothing is left to wait for. */
bool verify_is_drained(void);
/* At the end of a run, the process gone. */
void verify_end(const char *log, size_t log_len);

#endif
