/* cmd_message.c: the commands about one message: send puts it on the topic, show tells its way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/commands.h"
#include "daemon/ctl/table.h"

enum { TEXT_MAX = 16384 };

/* The text, from stdin where it is "-"; a line end at the end is the terminal's. */
static int read_text(const struct cli *cli, char ret[TEXT_MAX])
{
	const char *text = cli->value[CLI_TEXT];
	size_t n;

	if (strcmp(text, "-") == 0) {
		n = fread(ret, 1, TEXT_MAX, stdin);
		if (n < TEXT_MAX)
			ret[n] = '\0';
	} else {
		n = strlen(text);
		memcpy(ret, text, n < TEXT_MAX ? n + 1 : TEXT_MAX);
	}
	if (n >= TEXT_MAX) {
		fputs("smstrack: send: the text is longer than any message may be\n", stderr);
		return -E2BIG;
	}
	if (n > 0 && ret[n - 1] == '\n' && strcmp(text, "-") == 0)
		ret[n - 1] = '\0';
	return 0;
}

int cmd_message_send(struct cli *cli)
{
	static const struct {
		enum cli_option option;
		const char *name;
	} strings[] = { { CLI_TO, "to" }, { CLI_FROM, "from" }, { CLI_CAMPAIGN, "campaign" }, { CLI_ID, "id" } };
	char text[TEXT_MAX];
	json_t *job, *json = NULL, *s;
	int64_t ttl;
	int rc;

	if (!cli_has(cli, CLI_TO) || !cli_has(cli, CLI_TEXT)) {
		fputs("smstrack: send wants --to NUMBER and --text TEXT\n", stderr);
		return CTL_USAGE;
	}
	if (cli_number(cli, CLI_TTL, 1, 7 * 86400, 0, &ttl) < 0 || read_text(cli, text) < 0)
		return CTL_USAGE;
	job = json_object();
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (cli_has(cli, strings[i].option) && (s = json_string(cli->value[strings[i].option])) != NULL)
			json_object_set_new(job, strings[i].name, s);
	s = json_string(text);
	if (s == NULL || json_object_size(job) == 0) {
		fputs("smstrack: send: what was given is not UTF-8\n", stderr);
		json_decref(job);
		json_decref(s);
		return CTL_USAGE;
	}
	json_object_set_new(job, "text", s);
	if (ttl > 0)
		json_object_set_new(job, "ttl_s", json_integer(ttl));
	rc = call_json(cli, "POST", "/v1/messages", job, &json);
	if (rc != CTL_OK)
		return rc;
	if (cli_has(cli, CLI_JSON))
		call_print_json(json);
	else
		printf("%s\n", call_str(json, "id"));
	json_decref(json);
	return CTL_OK;
}

/* An id may hold what a path may not (RFC 3986, 2.3: unreserved goes as it is). */
static void put_escaped(struct buf *out, const char *id)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *id != '\0'; id++) {
		if (strchr(plain, *id) != NULL)
			buf_putc(out, *id);
		else
			buf_printf(out, "%%%02X", (unsigned char)*id);
	}
}

/* ["a","b"] as "a, b"; "" where there is none. */
static void put_list(struct buf *out, const char *before, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		buf_printf(out, "%s%s", i == 0 ? before : ", ", call_str_at(list, i));
}

/* A step of the timeline: when, how long after it was accepted, and what is known of it. Consumes `what`. */
static void put_step(struct table *t, const json_t *record, const char *step, const char *stamp, struct buf *what)
{
	int64_t at_ms = call_int(record, stamp, -1), accepted_ms = call_int(record, "accepted_at", at_ms);
	char when[28], after[28];

	buf_putc(what, '\0');
	if (at_ms >= 0) {
		table_put(t, step);
		table_put(t, format_stamp(at_ms, when));
		table_put(t, at_ms == accepted_ms ? "" : format_us((at_ms - accepted_ms) * 1000, after));
		table_put(t, what->oom ? "" : what->data);
	}
	buf_fini(what);
}

static void put_timeline(const struct cli *cli, const json_t *record, struct buf *out)
{
	static const struct table_column columns[] = {
		{ "step", false, false }, { "when", false, false }, { "after", true, false }, { "", false, true },
	};
	struct buf what = { 0 };
	struct table t;

	table_init(&t, columns, ARRAY_LEN(columns));
	if (json_object_get(record, "topic") != NULL)
		buf_printf(&what, "%s, partition %lld, offset %lld", call_str(record, "topic"), (long long)call_int(record, "partition", -1),
			   (long long)call_int(record, "offset", -1));
	put_step(&t, record, "accepted", "accepted_at", &what);
	if (json_object_get(record, "instance") != NULL)
		buf_printf(&what, "by %s", call_str(record, "instance"));
	put_step(&t, record, "claimed", "claimed_at", &what);
	buf_printf(&what, "by %s", call_str(record, "provider"));
	put_list(&what, ", its id: ", json_object_get(record, "provider_ids"));
	put_step(&t, record, "sent", "sent_at", &what);
	if (json_object_get(record, "error") != NULL)
		buf_printf(&what, "%s: %s", call_str(record, "provider"), call_str(record, "error"));
	put_step(&t, record, call_str(record, "state"), "ended_at", &what);
	table_render(&t, TABLE_WIDTH, cli->colour, out);
	table_fini(&t);
}

static enum paint state_paint(const char *state)
{
	if (strcmp(state, "sent") == 0 || strcmp(state, "delivered") == 0)
		return PAINT_GOOD;
	return strcmp(state, "sending") == 0 || strcmp(state, "queued") == 0 ? PAINT_WARN : PAINT_BAD;
}

static int print_record(const struct cli *cli, const json_t *record)
{
	static const char *const counts[] = { "parts", "attempts", "uncertain" };
	const char *state = call_str(record, "state");
	struct buf out = { 0 };

	buf_printf(&out, "%s: %s%s%s", call_str(record, "id"), paint(cli->colour, state_paint(state)), state, paint(cli->colour, PAINT_OFF));
	buf_printf(&out, "  (campaign %s, country %s", call_str(record, "campaign"), call_str(record, "country"));
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (json_object_get(record, counts[i]) != NULL)
			buf_printf(&out, ", %s %lld", counts[i], (long long)call_int(record, counts[i], 0));
	buf_puts(&out, ")\n\n");
	put_timeline(cli, record, &out);
	put_list(&out, "\nsent more than once; the other ids: ", json_object_get(record, "extra_sends"));
	put_list(&out, "\nproduced more than once; the other positions: ", json_object_get(record, "duplicates"));
	if (out.len > 0 && out.data[out.len - 1] != '\n')
		buf_putc(&out, '\n');
	return call_print(&out);
}

int cmd_message_show(struct cli *cli)
{
	struct buf target = { 0 };
	json_t *record = NULL;
	int rc = CTL_BUG;

	buf_puts(&target, "/v1/messages/");
	put_escaped(&target, cli->args[0]);
	buf_putc(&target, '\0');
	if (!target.oom)
		rc = call_show(cli, target.data, &record);
	buf_fini(&target);
	if (record == NULL)
		return rc;
	rc = print_record(cli, record);
	json_decref(record);
	return rc;
}
