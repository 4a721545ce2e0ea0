/*
 * provider_rules.c: the rule list of the simulated provider. Shared between the thread that serves and those that set rules, so a
 * mutex guards it. Refuses more than RULES_MAX rules: a test that wants more is lost.
 */
#include "tests/tools/provider_rules.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 64, PREFIX_MAX = 128, LINE_MAX_LEN = 512 };

struct rule {
	char prefix[PREFIX_MAX];
	size_t prefix_len;              /* 0: any */
	double percent;
	long times;                     /* left; -1: for ever */
	struct provider_verdict verdict;
};

struct provider_rules {
	pthread_mutex_t lock;
	uint64_t random;
	int count;
	struct rule rule[RULES_MAX];
};

static const struct {
	const char *name;
	enum provider_action action;
} actions[] = {
	{ "ok", PROVIDER_OK }, { "hang", PROVIDER_HANG }, { "reset", PROVIDER_RESET }, { "reset_mid", PROVIDER_RESET_MID },
	{ "close", PROVIDER_CLOSE }, { "cut", PROVIDER_CUT }, { "garbage", PROVIDER_GARBAGE }, { "big", PROVIDER_BIG },
	{ "slow", PROVIDER_SLOW }, { "chunked", PROVIDER_CHUNKED }, { "empty", PROVIDER_EMPTY },
};
enum { N_ACTIONS = sizeof(actions) / sizeof(actions[0]) };

struct provider_rules *provider_rules_new(uint64_t seed)
{
	struct provider_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	r->random = seed * 2 + 0x9e3779b97f4a7c15u;
	return r;
}

void provider_rules_free(struct provider_rules *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* xorshift64*, Vigna 2016. */
static uint64_t next_random(struct provider_rules *r)
{
	r->random ^= r->random >> 12;
	r->random ^= r->random << 25;
	r->random ^= r->random >> 27;
	return r->random * 0x2545f4914f6cdd1du;
}

static bool parse_action(const char *word, struct provider_verdict *v)
{
	char *end;
	long status = strtol(word, &end, 10);

	if (end != word && !*end && status >= 100 && status <= 599) {
		v->action = PROVIDER_STATUS;
		v->status = (int)status;
		return true;
	}
	for (int i = 0; i < N_ACTIONS; i++) {
		if (strcmp(word, actions[i].name) == 0) {
			v->action = actions[i].action;
			return true;
		}
	}
	return false;
}

static bool parse_option(char *word, struct rule *rule)
{
	char *value = strchr(word, '='), *end;
	double number;

	if (!value)
		return false;
	*value++ = 0;
	number = strtod(value, &end);
	if (end == value || *end || number < 0 || number > 1e9)
		return false;
	if (strcmp(word, "percent") == 0)
		rule->percent = number;
	else if (strcmp(word, "times") == 0)
		rule->times = (long)number;
	else if (strcmp(word, "delay") == 0)
		rule->verdict.delay_ms = (int)number;
	else if (strcmp(word, "jitter") == 0)
		rule->verdict.jitter_ms = (int)number;
	else if (strcmp(word, "retry_after") == 0 || strcmp(word, "retry_after_date") == 0) {
		rule->verdict.retry_after_s = (int)number;
		rule->verdict.retry_after_date = word[11] != 0;
	} else
		return false;
	return true;
}

static int parse_rule(const char *text, size_t len, struct rule *ret)
{
	char line[LINE_MAX_LEN], *save, *word;
	struct rule rule = { .percent = 100, .times = -1,
			     .verdict = { .delay_ms = -1, .jitter_ms = -1, .retry_after_s = -1 } };

	if (len >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	word = strtok_r(line, " \t\r", &save);
	if (!word || strlen(word) >= PREFIX_MAX)
		return -EINVAL;
	if (strcmp(word, "*") != 0) {
		rule.prefix_len = strlen(word);
		memcpy(rule.prefix, word, rule.prefix_len + 1);
	}
	word = strtok_r(NULL, " \t\r", &save);
	if (!word || !parse_action(word, &rule.verdict))
		return -EINVAL;
	while ((word = strtok_r(NULL, " \t\r", &save))) {
		if (!parse_option(word, &rule))
			return -EINVAL;
	}
	*ret = rule;
	return 0;
}

int provider_rules_add(struct provider_rules *r, const char *text, size_t len)
{
	struct rule rule;
	int err = parse_rule(text, len, &rule);

	if (err)
		return err;
	pthread_mutex_lock(&r->lock);
	if (r->count == RULES_MAX)
		err = -EINVAL;
	else
		r->rule[r->count++] = rule;
	pthread_mutex_unlock(&r->lock);
	return err;
}

void provider_rules_clear(struct provider_rules *r)
{
	pthread_mutex_lock(&r->lock);
	r->count = 0;
	pthread_mutex_unlock(&r->lock);
}

static bool rule_fits(struct provider_rules *r, struct rule *rule, const char *id)
{
	if (!rule->times || (rule->prefix_len && strncmp(rule->prefix, id, rule->prefix_len) != 0))
		return false;
	if (rule->percent < 100 && (double)(next_random(r) >> 11) * 0x1p-53 * 100 >= rule->percent)
		return false;
	return true;
}

void provider_rules_decide(struct provider_rules *r, const char *id, struct provider_verdict *ret)
{
	*ret = (struct provider_verdict){ .action = PROVIDER_OK, .delay_ms = -1, .jitter_ms = -1, .retry_after_s = -1 };
	pthread_mutex_lock(&r->lock);
	for (int i = 0; i < r->count; i++) {
		if (!rule_fits(r, &r->rule[i], id))
			continue;
		if (r->rule[i].times > 0)
			r->rule[i].times--;
		*ret = r->rule[i].verdict;
		break;
	}
	pthread_mutex_unlock(&r->lock);
}

const char *provider_verdict_name(const struct provider_verdict *v, char scratch[static 12])
{
	if (v->action == PROVIDER_OK)
		return "200";
	if (v->action == PROVIDER_STATUS) {
		snprintf(scratch, 12, "%d", v->status);
		return scratch;
	}
	for (int i = 0; i < N_ACTIONS; i++) {
		if (actions[i].action == v->action)
			return actions[i].name;
	}
	return "?";
}

unsigned provider_rules_random(struct provider_rules *r, unsigned below)
{
	unsigned got;

	if (!below)
		return 0;
	pthread_mutex_lock(&r->lock);
	got = (unsigned)((next_random(r) >> 32) * below >> 32);
	pthread_mutex_unlock(&r->lock);
	return got;
}
