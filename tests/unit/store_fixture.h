/* store_fixture.h: stores, messages and looks into Redis for test_store*.c. Included once by each. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/alloc.h"
#include "dispatch/coro/coro.h"
#include "metrics/msgpack.h"
#include "metrics/store.h"
#include "metrics/store_private.h"
#include "tests/unit/redis_server.h"

static struct redis_server server;
static struct co_loop *loop;
static bool ran;        /* the body has returned: an assertion that failed leaves it behind */

static inline struct store_options options(const char *instance, uint64_t incarnation)
{
	return (struct store_options){
		.url = server.url, .command_timeout_ms = 1000, .reconnect_ms_max = 200, .shards = 16, .durability = STORE_LOCAL,
		.retention_s = 604800, .rates_retention_s = 3024000, .receipt_deadline_s = 86400, .lease_slack_ms = 5000,
		.max_resends = 3, .instance = instance, .incarnation = incarnation,
	};
}

static inline struct store *open_store(const struct store_options *o)
{
	char err[256] = "";
	struct store *s = store_new(o, err, sizeof err);

	assert_string_equal(err, "");
	assert_non_null(s);
	return s;
}

static inline struct store *ready_store(const char *instance, uint64_t incarnation)
{
	struct store_options o = options(instance, incarnation);
	struct store *s = open_store(&o);

	assert_int_equal(store_wait_ready(s, clock_mono_us() + 5000000), 0);
	return s;
}

static inline struct store_message message(const char *id, int64_t offset)
{
	return (struct store_message){
		.id = id, .id_len = (uint16_t)strlen(id), .campaign = "spring", .campaign_len = 6, .topic = "sms.outbound", .topic_len = 12,
		.shard = 0, .parts = 1, .country = "49", .partition = 3, .offset = offset, .epoch = 1, .accepted_ms = clock_wall_ms() - 100,
		.expires_ms = clock_wall_ms() + 3600000, .on_uncertain = STORE_RESEND,
	};
}

/* Claims for an attempt of `ms`. */
static inline struct store_claim claim_for(struct store *s, struct store_message *m, int64_t ms)
{
	struct store_claim c = { 0 };

	m->shard = store_shard(s, m->id, m->id_len);
	assert_int_equal(store_claim(s, m, clock_mono_us() + ms * 1000, &c), 0);
	return c;
}

static inline enum store_answer claim(struct store *s, struct store_message *m)
{
	return claim_for(s, m, 1000).answer;
}

static inline struct store_outcome outcome(enum store_step step, enum store_state state, const char *pid)
{
	struct store_outcome o = { .step = step, .state = state, .provider = "acme", .at_ms = clock_wall_ms(), .attempts = 1 };

	if (pid != NULL) {
		o.n_ids = 1;
		o.ids[0].s = pid;
		o.ids[0].len = (uint8_t)strlen(pid);
	}
	return o;
}

static inline void settle(struct store *s, struct store_message *m, enum store_state state, const char *pid)
{
	struct store_outcome o = outcome(STORE_SETTLE, state, pid);

	assert_int_equal(store_outcome(s, m, &o, NULL), 0);
}

static inline enum store_answer uncertain(struct store *s, struct store_message *m)
{
	struct store_outcome o = outcome(STORE_UNCERTAIN, 0, NULL);
	enum store_answer answer = 0;

	assert_int_equal(store_outcome(s, m, &o, &answer), 0);
	return answer;
}

/* ---- looks into Redis ---- */

static inline redisReply *look(const char *fmt, ...)
{
	va_list ap;
	redisReply *r;

	va_start(ap, fmt);
	r = redisvCommand(server.look, fmt, ap);
	va_end(ap);
	assert_non_null(r);
	return r;
}

static inline void tell(const char *command)
{
	redisReply *r = redisCommand(server.look, command);

	assert_non_null(r);
	assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
	freeReplyObject(r);
}

/* The sum of a state's counters over all cohorts; `provider` NULL: any. */
static inline long long counted(const char *provider, const char *state)
{
	redisReply *keys = look("KEYS sms:{*}:r:*");
	long long n = 0;

	for (size_t i = 0; i < keys->elements; i++) {
		redisReply *h = look("HGETALL %s", keys->element[i]->str);

		for (size_t k = 0; h->type == REDIS_REPLY_ARRAY && k + 1 < h->elements; k += 2) {
			const char *field = h->element[k]->str, *last = strrchr(field, '|');

			if (strcmp(last + 1, state) == 0 &&
			    (provider == NULL || (strncmp(field, provider, strlen(provider)) == 0 && field[strlen(provider)] == '|')))
				n += atoll(h->element[k + 1]->str);
		}
		freeReplyObject(h);
	}
	freeReplyObject(keys);
	return n;
}

static inline long long counted_ends(void)
{
	return counted(NULL, "sent") + counted(NULL, "refused") + counted(NULL, "failed") + counted(NULL, "lapsed") +
	       counted(NULL, "cancelled") + counted(NULL, "held");
}

static inline bool exists(const char *pattern)
{
	redisReply *r = look("KEYS %s", pattern);
	bool yes = r->elements > 0;

	freeReplyObject(r);
	return yes;
}

static inline void record_key(const struct store *s, const char *id, char key[160])
{
	snprintf(key, 160, "sms:{%u}:m:%s", store_shard(s, id, strlen(id)), id);
}

/* The stored state as a word of `smstrack show`; "" where there is none. */
static inline const char *state_of(struct store *s, const char *id)
{
	static char word[32];
	char *json = NULL, *p;
	int rc = store_show(s, id, strlen(id), &json);

	word[0] = '\0';
	if (rc == -ENOENT)
		return word;
	assert_int_equal(rc, 0);
	p = strstr(json, "\"state\":\"");
	assert_non_null(p);
	sscanf(p + 9, "%31[a-z]", word);
	mem_free(json);
	return word;
}

static inline void run(co_body_fn *body)
{
	ran = false;
	assert_int_equal(co_run(loop, body, NULL, "test"), 0);
	ran = true;
}

/* Each test finds an empty Redis and a loop of its own. */
static inline int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);       /* as the daemon does */
	if (server.pid == 0)
		redis_server_start(&server);
	tell("FLUSHALL");
	loop = co_loop_new();
	return loop != NULL ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	if (ran)
		co_loop_free(loop);
	return 0;
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
