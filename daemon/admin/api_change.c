/* api_change.c: requests that change something: state, concurrency, a provider, the configuration, the log, an empty store. Control
 * thread. */
#include <errno.h>
#include <string.h>

#include "daemon/admin/api.h"
#include "daemon/admin/body.h"
#include "daemon/app.h"
#include "daemon/base/log.h"
#include "daemon/json_out.h"

/* Who changed what stands in the log. */
static void say_who(const struct api_call *call)
{
	log_info("admin request", LOG_STR("method", call->method), LOG_STR("path", call->path), LOG_INT("pid", call->peer_pid),
		 LOG_INT("uid", call->peer_pid < 0 ? -1 : (int64_t)call->peer_uid));
}

/* The request's object with no other members than `name`; NULL once it is answered. */
static struct body *parse(struct api_call *call, const char *name)
{
	char err[256];
	struct body *body = body_parse(call->body, call->body_len, err, sizeof err);

	say_who(call);
	if (body == NULL) {
		api_problem(call, 400, "%s", err);
		return NULL;
	}
	if (!body_has_only(body, &name, 1, err, sizeof err)) {
		api_problem(call, 400, "%s", err);
		body_free(body);
		return NULL;
	}
	return body;
}

static void answer_state(struct api_call *call)
{
	struct json_out o = json_out_to(&call->out);

	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "state", lifecycle_state_name(app_state(call->app)));
	json_out_end(&o, '}');
}

static enum lifecycle_state state_named(const char *name)
{
	for (int s = LIFECYCLE_STARTING; name != NULL && s < LIFECYCLE_STATES; s++)
		if (strcmp(lifecycle_state_name((enum lifecycle_state)s), name) == 0)
			return (enum lifecycle_state)s;
	return (enum lifecycle_state)0;
}

void api_put_state(struct api_call *call)
{
	struct body *body = parse(call, "state");
	enum lifecycle_state wanted;
	int rc;

	if (body == NULL)
		return;
	wanted = state_named(body_str(body, "state"));
	body_free(body);
	rc = app_set_state(call->app, wanted);
	if (rc == -EINVAL)
		api_problem(call, 422, "\"state\" should be \"running\", \"paused\" or \"draining\"");
	else if (rc == -EBUSY)
		api_problem(call, 409, "the daemon is %s: that can't be undone", lifecycle_state_name(app_state(call->app)));
	else
		answer_state(call);
	if (rc == 0 && wanted == LIFECYCLE_DRAINING)
		call->status = 202;
}

void api_put_inflight(struct api_call *call)
{
	struct body *body = parse(call, "value");
	struct json_out o = json_out_to(&call->out);
	int64_t value = -1;
	char err[256];

	if (body == NULL)
		return;
	if (!body_int(body, "value", &value) || value < 1 || value > UINT32_MAX)
		api_problem(call, 422, "\"value\" should be a number of messages, at least 1");
	else if (app_state(call->app) >= LIFECYCLE_DRAINING)
		api_problem(call, 409, "the daemon is %s", lifecycle_state_name(app_state(call->app)));
	else if (app_set_inflight(call->app, (unsigned)value, err, sizeof err) < 0)
		api_problem(call, 422, "\"value\" %s", err);
	body_free(body);
	if (call->status != 200)
		return;
	json_out_begin(&o, NULL, '{');
	json_out_uint(&o, "value", app_inflight_max(call->app));
	json_out_end(&o, '}');
}

void api_put_provider(struct api_call *call)
{
	struct body *body = parse(call, "state");
	struct json_out o = json_out_to(&call->out);
	const char *state;
	bool paused = false;
	int rc = -EINVAL;

	if (body == NULL)
		return;
	state = body_str(body, "state");
	if (state != NULL && (strcmp(state, "paused") == 0 || strcmp(state, "running") == 0)) {
		paused = strcmp(state, "paused") == 0;
		rc = app_pause_provider(call->app, call->rest, paused);
	}
	body_free(body);
	if (rc == -EINVAL)
		api_problem(call, 422, "\"state\" should be \"running\" or \"paused\"");
	else if (rc == -ENOENT)
		api_problem(call, 404, "there is no provider %.64s", call->rest);
	else if (rc < 0)
		api_problem(call, 503, "not all workers could be told: %s", strerror(-rc));
	if (rc < 0)
		return;
	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "name", call->rest);
	json_out_str(&o, "state", paused ? "paused" : "running");
	json_out_end(&o, '}');
}

static void put_lines(struct json_out *o, const char *key, const struct buf *lines)
{
	const char *line = lines->data, *end = line + lines->len;

	json_out_begin(o, key, '[');
	while (line < end) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		json_out_strn(o, NULL, line, (size_t)((eol ? eol : end) - line));
		line = eol ? eol + 1 : end;
	}
	json_out_end(o, ']');
}

/* Its length without the last line's end. */
static size_t trimmed_len(const struct buf *lines)
{
	return lines->len > 0 && lines->data[lines->len - 1] == '\n' ? lines->len - 1 : lines->len;
}

/* Answers once it is done, so that what is wrong with a file comes back to who asked. */
void api_post_reload(struct api_call *call)
{
	struct body *body = parse(call, "wait");
	struct json_out o = json_out_to(&call->out);
	struct buf report = { 0 };
	int rc;

	if (body == NULL)
		return;
	body_free(body);
	rc = app_reload(call->app, &report);
	if (rc == -EBUSY) {
		api_problem(call, 409, "the daemon is %s", lifecycle_state_name(app_state(call->app)));
	} else if (rc < 0) {
		api_problem(call, 422, "nothing is changed: %.*s", (int)(report.len > 400 ? 400 : trimmed_len(&report)), report.data ? report.data : "");
		call->out.len--;        /* one more member of the same object */
		o.comma = true;
		put_lines(&o, "errors", &report);
		json_out_end(&o, '}');
	} else {
		json_out_begin(&o, NULL, '{');
		json_out_bool(&o, "reloaded", true);
		put_lines(&o, "report", &report);
		json_out_end(&o, '}');
	}
	buf_fini(&report);
}

void api_post_reopen(struct api_call *call)
{
	int rc;

	say_who(call);
	rc = app_reopen_logs(call->app);
	if (rc < 0)
		api_problem(call, 503, "the log can't be opened: %s", strerror(-rc));
	else
		buf_puts(&call->out, "{\"reopened\":true}");
}

void api_post_store_init(struct api_call *call)
{
	char err[256] = "";
	int rc;

	say_who(call);
	rc = app_store_init(call->app, err, sizeof err);
	if (rc == -EEXIST)
		api_problem(call, 409, "nothing is changed: the store is in use, it isn't empty");
	else if (rc == -EAGAIN)
		api_problem(call, 409, "nothing is changed: the store can't be used now: %s", err);
	else if (rc < 0)
		api_problem(call, 503, "not all workers could be told: %s", strerror(-rc));
	else
		buf_puts(&call->out, "{\"initialised\":true}");
}
