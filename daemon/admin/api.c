/* api.c: finds the handler of a request, and words errors. Control thread, on the request's task. */
#include "daemon/admin/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/json_out.h"

static const struct route_entry {
	const char *path;               /* ends in '/': one more segment follows, which is `rest` */
	const char *method;
	void (*handle)(struct api_call *call);
} routes[] = {
	{ "/livez", "GET", api_livez },
	{ "/readyz", "GET", api_readyz },
	{ "/metrics", "GET", api_metrics },
	{ "/v1/state", "GET", api_get_state },
	{ "/v1/state", "PUT", api_put_state },
	{ "/v1/tasks", "GET", api_get_tasks },
	{ "/v1/providers", "GET", api_get_providers },
	{ "/v1/providers/", "PUT", api_put_provider },
	{ "/v1/partitions", "GET", api_get_partitions },
	{ "/v1/config", "GET", api_get_config },
	{ "/v1/config/inflight", "PUT", api_put_inflight },
	{ "/v1/inflight", "PUT", api_put_inflight },
	{ "/v1/reload", "POST", api_post_reload },
	{ "/v1/logs/reopen", "POST", api_post_reopen },
	{ "/v1/store/init", "POST", api_post_store_init },
	{ "/v1/messages", "POST", api_post_message },
	{ "/v1/messages/", "GET", api_get_message },
};

const char *api_status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{ 200, "OK" }, { 202, "Accepted" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 409, "Conflict" }, { 413, "Content Too Large" }, { 422, "Unprocessable Content" },
		{ 500, "Internal Server Error" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < ARRAY_LEN(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

void api_problem(struct api_call *call, int status, const char *fmt, ...)
{
	struct json_out o;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_reset(&call->out);
	o = json_out_to(&call->out);
	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "title", api_status_title(status));
	json_out_int(&o, "status", status);
	json_out_str(&o, "detail", text);
	json_out_end(&o, '}');
	call->status = status;
	call->content_type = "application/problem+json";
}

/* Whether the route's path is the request's; *ret_rest is what follows it. */
static bool path_matches(const char *route, const char *path, const char **ret_rest)
{
	size_t len = strlen(route);

	if (route[len - 1] != '/') {
		*ret_rest = "";
		return strcmp(route, path) == 0;
	}
	*ret_rest = path + len;
	return strncmp(route, path, len) == 0 && path[len] != '\0' && strchr(path + len, '/') == NULL;
}

static void not_allowed(struct api_call *call, const char *allow)
{
	api_problem(call, 405, "%s is for %s", call->path, allow);
	call->allow = allow;
}

void api_handle(struct api_call *call)
{
	const char *allow = NULL, *method = strcmp(call->method, "HEAD") == 0 ? "GET" : call->method;

	call->status = 200;
	call->content_type = "application/json";
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!path_matches(routes[i].path, call->path, &call->rest))
			continue;
		if (strcmp(routes[i].method, method) == 0) {
			routes[i].handle(call);
			if (call->out.oom)
				api_problem(call, 503, "out of memory");
			return;
		}
		/* no path has more than two methods, and those are GET and PUT */
		allow = allow ? "GET, PUT" : routes[i].method;
	}
	if (allow != NULL)
		not_allowed(call, allow);
	else
		api_problem(call, 404, "there is nothing at %.200s", call->path);
}
