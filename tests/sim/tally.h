/* tally.h: the rates in Redis against what the records say, cohort by cohort, to the unit. */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

struct record_view;

void tally_reset(void);
/* Adds what this record must have been counted as. */
void tally_expect(const char *id, const struct record_view *r);
/* Takes the rates' hashes from that: nothing may be left over on either side. */
void tally_compare(void);

#endif
