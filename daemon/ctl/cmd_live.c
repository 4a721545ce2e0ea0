/* cmd_live.c: the commands that look into the daemon as it runs: tasks, providers, partitions. Tables of what its JSON lists. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/ctl/commands.h"
#include "daemon/ctl/table.h"

enum cell { CELL_TEXT = 1, CELL_COUNT, CELL_US, CELL_MS };

/* Where a column's cells come from. */
struct source {
	const char *key;
	enum cell cell;
};

static void put_cell(struct table *t, const json_t *row, const struct source *s)
{
	const json_t *v = json_object_get(row, s->key);
	char text[28];

	if (json_is_string(v)) {
		table_put(t, json_string_value(v));
		return;
	}
	if (json_is_boolean(v)) {
		table_put(t, json_is_true(v) ? "yes" : "no");
		return;
	}
	if (!json_is_number(v)) {
		table_put(t, "-");
		return;
	}
	if (json_number_value(v) < 0) {         /* not known */
		table_put(t, "-");
		return;
	}
	switch (s->cell) {
	case CELL_TEXT:
	case CELL_COUNT:
		table_put_int(t, call_int(row, s->key, 0));
		break;
	case CELL_US:
		table_put(t, format_us(call_int(row, s->key, 0), text));
		break;
	case CELL_MS:
		table_put(t, format_us(call_int(row, s->key, 0) * 1000, text));
		break;
	}
}

/* Prints the first `limit` members of a list. */
static int print_list(const struct cli *cli, const json_t *list, const struct table_column *columns, const struct source *sources,
		      unsigned n_columns, size_t limit, const char *nothing)
{
	struct buf out = { 0 };
	struct table t;
	size_t n = json_array_size(list);

	if (n == 0) {
		puts(nothing);
		return CTL_OK;
	}
	table_init(&t, columns, n_columns);
	for (size_t i = 0; i < n && i < limit; i++)
		for (unsigned c = 0; c < n_columns; c++)
			put_cell(&t, json_array_get(list, i), &sources[c]);
	table_render(&t, TABLE_WIDTH, cli->colour, &out);
	table_fini(&t);
	if (n > limit)
		buf_printf(&out, "and %zu more (--limit shows them)\n", n - limit);
	return call_print(&out);
}

static int older_first(const void *a, const void *b)
{
	int64_t x = call_int(*(json_t *const *)a, "age_us", 0), y = call_int(*(json_t *const *)b, "age_us", 0);

	return (x < y) - (x > y);
}

/* A list of the same members by age. NULL: out of memory. */
static json_t *by_age(const json_t *list)
{
	size_t n = json_array_size(list);
	json_t **rows = mem_alloc((n + 1) * sizeof *rows), *sorted = json_array();

	if (rows == NULL || sorted == NULL) {
		mem_free(rows);
		json_decref(sorted);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(list, i);
	qsort(rows, n, sizeof *rows, older_first);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, rows[i]);
	mem_free(rows);
	return sorted;
}

int cmd_live_tasks(struct cli *cli)
{
	static const struct table_column columns[] = {
		{ "worker", true, false }, { "task", false, true }, { "state", false, false }, { "age", true, false }, { "waits for", false, true },
	};
	static const struct source sources[] = {
		{ "worker", CELL_TEXT }, { "name", CELL_TEXT }, { "state", CELL_TEXT }, { "age_us", CELL_US }, { "awaits", CELL_TEXT },
	};
	json_t *reply = NULL, *sorted;
	int64_t limit, silent;
	int rc;

	if (cli_number(cli, CLI_LIMIT, 1, 1000000, 30, &limit) < 0)
		return CTL_USAGE;
	rc = call_show(cli, "/v1/tasks", &reply);
	if (reply == NULL)
		return rc;
	sorted = by_age(json_object_get(reply, "tasks"));
	rc = sorted == NULL ? CTL_BUG : print_list(cli, sorted, columns, sources, ARRAY_LEN(columns), (size_t)limit, "no tasks");
	silent = call_int(reply, "workers_silent", 0);
	if (silent > 0)
		fprintf(stderr, "smstrack: %lld workers didn't answer in time: theirs are missing\n", (long long)silent);
	json_decref(sorted);
	json_decref(reply);
	return rc;
}

int cmd_live_providers(struct cli *cli)
{
	static const struct table_column columns[] = {
		{ "provider", false, true }, { "state", false, false }, { "in flight", true, false }, { "sent", true, false },
		{ "refused", true, false }, { "busy", true, false }, { "failed", true, false }, { "uncertain", true, false },
	};
	static const struct source sources[] = {
		{ "name", CELL_TEXT }, { "state", CELL_TEXT }, { "inflight", CELL_COUNT }, { "accepted_total", CELL_COUNT },
		{ "refused_total", CELL_COUNT }, { "throttled_total", CELL_COUNT }, { "transient_total", CELL_COUNT },
		{ "uncertain_total", CELL_COUNT },
	};
	json_t *reply = NULL;
	int rc = call_show(cli, "/v1/providers", &reply);

	if (reply == NULL)
		return rc;
	rc = print_list(cli, json_object_get(reply, "providers"), columns, sources, ARRAY_LEN(columns), SIZE_MAX, "no providers");
	json_decref(reply);
	return rc;
}

int cmd_live_partitions(struct cli *cli)
{
	static const struct table_column columns[] = {
		{ "topic", false, true }, { "partition", true, false }, { "worker", true, false }, { "position", true, false },
		{ "committed", true, false }, { "behind", true, false }, { "open", true, false }, { "oldest", true, false },
	};
	static const struct source sources[] = {
		{ "topic", CELL_TEXT }, { "partition", CELL_COUNT }, { "worker", CELL_COUNT }, { "position", CELL_COUNT },
		{ "committed", CELL_COUNT }, { "lag", CELL_COUNT }, { "open", CELL_COUNT }, { "oldest_ms", CELL_MS },
	};
	json_t *reply = NULL;
	int rc = call_show(cli, "/v1/partitions", &reply);

	if (reply == NULL)
		return rc;
	rc = print_list(cli, json_object_get(reply, "partitions"), columns, sources, ARRAY_LEN(columns), SIZE_MAX,
			"no partitions: not in the group, or others have them all");
	json_decref(reply);
	return rc;
}
