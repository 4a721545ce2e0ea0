/*
 * smsc.h: the simulated providers behind http_client.h: what each was sent, what it took and what it said, in one ledger that outlives
 * the process. The clients' side is port_http.c.
 */
#ifndef SIM_SMSC_H
#define SIM_SMSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SMSC_PROVIDERS = 2, SMSC_ID_MAX = 64 };

/* How one provider behaves now; permilles of its requests. */
struct smsc_mood {
	unsigned refuse_connect, hang, reset_taken, reset_untaken, reset_early, throttled, unavailable, broken, garbage;
	int64_t delay_us_max;
};

enum smsc_word {
	SMSC_SAYS_YES = 1, SMSC_SAYS_NO, SMSC_SAYS_LATER,      /* 200; 400; 429 or 503: certainly not taken */
	SMSC_SAYS_BROKEN,               /* 500: who knows */
	SMSC_SAYS_GARBAGE,              /* no HTTP at all */
	SMSC_RESETS, SMSC_HANGS,
};

/* One request that was read to its end. */
struct smsc_entry {
	char id[SMSC_ID_MAX];
	unsigned part, provider;
	int64_t at_us;
	bool taken;                     /* an SMS goes out */
	enum smsc_word word;
};

struct smsc {
	struct smsc_mood moods[SMSC_PROVIDERS];
	struct smsc_entry *ledger;
	size_t n;
};

struct smsc_reply {
	enum smsc_word word;
	int status;
	unsigned retry_after_s;         /* 0: not said */
	char body[128];
};

extern const char *const smsc_names[SMSC_PROVIDERS];

struct smsc *smsc_new(void);
void smsc_free(struct smsc *s);
/* A provider has read a whole request; fills its answer and says how long it takes. */
int64_t smsc_receive(struct smsc *s, unsigned provider, const char *body, size_t len, struct smsc_reply *ret_reply);

/* How often a part was taken, read in full, and read in full without a certain no being said. */
struct smsc_tally {
	unsigned taken, read, maybe, refused;
};
struct smsc_tally smsc_tally(const struct smsc *s, const char *id, unsigned part);

#endif
