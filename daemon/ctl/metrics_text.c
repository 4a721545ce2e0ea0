/* metrics_text.c: see metrics_text.h. It reads what our own daemon wrote, so a line that it can't read is skipped, not reported. */
#include "daemon/ctl/metrics_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"

enum { BUCKETS_MAX = 128 };

struct series {
	const char *labels;     /* behind the '{' */
	size_t labels_len;
	double value;
};

/* The next series called `name` from *pos on; false at the end. */
static bool next_series(const char **pos, const char *name, struct series *ret)
{
	size_t len = strlen(name);

	for (const char *line = *pos; *line != '\0';) {
		const char *end = strchrnul(line, '\n'), *p = line + len;

		*pos = *end != '\0' ? end + 1 : end;
		if ((size_t)(end - line) > len && strncmp(line, name, len) == 0 && (*p == ' ' || *p == '{')) {
			const char *close = *p == '{' ? memrchr(p, '}', (size_t)(end - p)) : p - 1;

			if (close != NULL) {
				ret->labels = p + 1;
				ret->labels_len = close > p ? (size_t)(close - p - 1) : 0;
				ret->value = strtod(close + 1, NULL);
				return true;
			}
		}
		line = *pos;
	}
	return false;
}

/* Whether the pair stands among the labels, at a pair's beginning. */
static bool has_label(const struct series *s, const char *pair)
{
	const char *at = s->labels, *end = s->labels + s->labels_len;
	size_t len = strlen(pair);

	while ((at = memmem(at, (size_t)(end - at), pair, len)) != NULL) {
		if ((at == s->labels || at[-1] == ',') && (at + len == end || at[len] == ','))
			return true;
		at++;
	}
	return false;
}

static void label_value(const struct series *s, const char *key, char *ret, size_t size)
{
	char start[64];
	const char *at = s->labels, *end = s->labels + s->labels_len, *stop;
	int len = snprintf(start, sizeof start, "%s=\"", key);

	*ret = '\0';
	while ((at = memmem(at, (size_t)(end - at), start, (size_t)len)) != NULL && at != s->labels && at[-1] != ',')
		at++;
	if (at == NULL)
		return;
	at += len;
	stop = memchr(at, '"', (size_t)(end - at));
	if (stop != NULL)
		snprintf(ret, size, "%.*s", (int)(stop - at), at);
}

double metrics_text_sum(const char *text, const char *name, const char *label)
{
	struct series s;
	double sum = 0;

	while (next_series(&text, name, &s))
		if (label == NULL || has_label(&s, label))
			sum += s.value;
	return sum;
}

void metrics_text_each(const char *text, const char *name, const char *key, metrics_text_visit_fn *visit, void *arg)
{
	struct series s;
	char value[128];

	while (next_series(&text, name, &s)) {
		label_value(&s, key, value, sizeof value);
		visit(value, s.value, arg);
	}
}

struct bucket {
	double le, count;
};

static int compare_buckets(const void *a, const void *b)
{
	const struct bucket *x = a, *y = b;

	return (x->le > y->le) - (x->le < y->le);
}

/* The buckets by bound, same bounds summed; how many. */
static size_t read_buckets(const char *text, const char *name, struct bucket *ret)
{
	char full[128], le[64];
	struct series s;
	size_t n = 0;

	snprintf(full, sizeof full, "%s_bucket", name);
	while (next_series(&text, full, &s)) {
		size_t i = 0;
		double bound;

		label_value(&s, "le", le, sizeof le);
		bound = strtod(le, NULL);       /* takes "+Inf" */
		while (i < n && ret[i].le != bound)
			i++;
		if (i == BUCKETS_MAX)
			continue;
		if (i == n)
			ret[n++] = (struct bucket){ .le = bound };
		ret[i].count += s.value;
	}
	if (n > 0)
		qsort(ret, n, sizeof *ret, compare_buckets);
	return n;
}

double metrics_text_quantile(const char *text, const char *name, double q)
{
	struct bucket b[BUCKETS_MAX];
	size_t n = read_buckets(text, name, b), i = 0;
	double rank, below, from;

	if (n == 0 || b[n - 1].count <= 0)
		return -1;
	rank = q * b[n - 1].count;
	while (i < n - 1 && b[i].count < rank)
		i++;
	from = i > 0 ? b[i - 1].le : 0;
	below = i > 0 ? b[i - 1].count : 0;
	if (isinf(b[i].le) || b[i].count <= below)
		return from;
	return from + (b[i].le - from) * (rank - below) / (b[i].count - below);
}
