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

static int print_record(const struct cli *cli, const json_t *record)
{
	struct buf out = { 0 };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)record, key, value) {
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		buf_printf(&out, "%s%-16s%s %s\n", paint(cli->colour, PAINT_BOLD), key, paint(cli->colour, PAINT_OFF), text);
		free(text);
	}
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
