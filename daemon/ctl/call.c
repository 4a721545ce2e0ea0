/* call.c: see call.h. The only place where an answer of the daemon becomes an exit code. */
#include "daemon/ctl/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/ctl/admin_client.h"

static const char default_socket[] = "unix:/run/smstrackd/admin.sock";

static int take_path(const char *where, char *ret, size_t ret_len)
{
	bool unix_scheme = strncmp(where, "unix:", 5) == 0;

	if (!unix_scheme && strchr(where, '/') == NULL) {
		fprintf(stderr, "smstrack: '%.100s' is no socket: smstrack speaks over unix:PATH only\n", where);
		return CTL_USAGE;
	}
	if (unix_scheme)
		where += 5;
	if (*where == '\0' || (size_t)snprintf(ret, ret_len, "%s", where) >= ret_len) {
		fputs("smstrack: the socket's path is empty or too long\n", stderr);
		return CTL_USAGE;
	}
	return CTL_OK;
}

static int socket_of_config(const char *path, char *ret, size_t ret_len)
{
	struct buf errors = { 0 };
	struct config *config = config_load(path, &errors);
	int rc = CTL_CONFIG;

	if (config != NULL)
		rc = take_path(config->admin.listen, ret, ret_len);
	else
		fprintf(stderr, "%.*s", (int)errors.len, errors.len > 0 ? errors.data : "");
	config_free(config);
	buf_fini(&errors);
	return rc;
}

int call_socket(struct cli *cli, char *ret, size_t ret_len)
{
	const char *where = cli->value[CLI_SOCKET];

	if (where == NULL && cli_has(cli, CLI_CONFIG))
		return socket_of_config(cli->value[CLI_CONFIG], ret, ret_len);
	if (where == NULL)
		where = getenv("SMSTRACK_SOCKET");
	return take_path(where != NULL && *where != '\0' ? where : default_socket, ret, ret_len);
}

static int exit_of(int rc)
{
	switch (-rc) {
	case ETIMEDOUT:
		return CTL_TIMEOUT;
	case EPROTO:
		return CTL_PROTOCOL;
	case EACCES:
	case EPERM:
		return CTL_NOPERM;
	case ENOMEM:
		return CTL_BUG;
	default:
		return CTL_UNREACHABLE;
	}
}

/* Says on stderr why the daemon refused: the lines of its problem+json's errors, else its detail, else its title, else the status. */
static int refused(const struct cli *cli, const struct admin_reply *reply)
{
	json_t *problem = json_loads(reply->body, JSON_REJECT_DUPLICATES, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *title = json_string_value(json_object_get(problem, "title"));
	const json_t *errors = json_object_get(problem, "errors");

	if (cli_has(cli, CLI_JSON) && json_is_object(problem)) {
		fprintf(stderr, "%s\n", reply->body);
	} else if (json_array_size(errors) > 0) {
		fputs("smstrack: nothing is changed:\n", stderr);
		for (size_t i = 0; i < json_array_size(errors); i++)
			fprintf(stderr, "  %s\n", call_str_at(errors, i));
	} else if (detail != NULL || title != NULL) {
		fprintf(stderr, "smstrack: %s\n", detail != NULL ? detail : title);
	} else {
		fprintf(stderr, "smstrack: the daemon answered %d\n", reply->status);
	}
	json_decref(problem);
	return CTL_REFUSED;
}

static int take(const struct cli *cli, const struct admin_reply *reply, json_t **ret)
{
	json_error_t error;
	json_t *json;

	if (reply->status >= 400)
		return refused(cli, reply);
	if (ret == NULL)
		return CTL_OK;
	if (reply->body_len == 0) {
		*ret = json_object();
		return CTL_OK;
	}
	json = json_loads(reply->body, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL) {
		fprintf(stderr, "smstrack: the daemon's answer is no JSON: %s\n", error.text);
		return CTL_PROTOCOL;
	}
	*ret = json;
	return CTL_OK;
}

int call_json(struct cli *cli, const char *method, const char *target, json_t *body, json_t **ret)
{
	char path[256], err[ADMIN_ERR_MAX];
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct admin_reply reply;
	int64_t timeout_s;
	int rc = call_socket(cli, path, sizeof path);

	json_decref(body);
	if (rc == CTL_OK && cli_number(cli, CLI_TIMEOUT, 1, 3600, 10, &timeout_s) < 0)
		rc = CTL_USAGE;
	if (rc == CTL_OK) {
		rc = admin_call(path, method, target, text, (int)timeout_s * 1000, &reply, err);
		if (rc < 0) {
			fprintf(stderr, "smstrack: %s\n", err);
			rc = exit_of(rc);
		} else {
			rc = take(cli, &reply, ret);
			admin_reply_fini(&reply);
		}
	}
	free(text);
	return rc;
}

void call_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	putchar('\n');
}

int call_show(struct cli *cli, const char *target, json_t **ret)
{
	json_t *json = NULL;
	int rc = call_json(cli, "GET", target, NULL, &json);

	*ret = NULL;
	if (rc != CTL_OK)
		return rc;
	if (!cli_has(cli, CLI_JSON)) {
		*ret = json;
		return CTL_OK;
	}
	call_print_json(json);
	json_decref(json);
	return CTL_OK;
}

int call_change(struct cli *cli, const char *method, const char *target, json_t *body, const char *said)
{
	json_t *json = NULL;
	int rc = call_json(cli, method, target, body, &json);

	if (rc != CTL_OK)
		return rc;
	if (cli_has(cli, CLI_JSON))
		call_print_json(json);
	else
		printf("%s\n", said);
	json_decref(json);
	return CTL_OK;
}

int call_print(struct buf *out)
{
	int rc = out->oom ? CTL_BUG : CTL_OK;

	if (rc != CTL_OK)
		fputs("smstrack: out of memory\n", stderr);
	else
		fwrite(out->data, 1, out->len, stdout);
	buf_fini(out);
	return rc;
}

int64_t call_int(const json_t *object, const char *name, int64_t fallback)
{
	const json_t *v = json_object_get(object, name);

	return json_is_number(v) ? (int64_t)json_number_value(v) : fallback;
}

const char *call_str_at(const json_t *array, size_t index)
{
	const char *s = json_string_value(json_array_get(array, index));

	return s != NULL ? s : "?";
}

const char *call_str(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s != NULL ? s : "-";
}
