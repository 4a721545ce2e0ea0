/* api_message.c: requests about one message: its record in Redis, and putting a job on the topic. Control thread; both suspend. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/admin/api.h"
#include "daemon/admin/body.h"
#include "daemon/app.h"
#include "daemon/base/alloc.h"
#include "daemon/base/random.h"
#include "daemon/json_out.h"
#include "dispatch/job.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %XX (RFC 3986, 2.1). The length, or -EINVAL: not an id (1-128 printable ASCII, no space). */
static int read_id(const char *escaped, char ret[JOB_ID_MAX + 1])
{
	int n = 0;

	for (const char *p = escaped; *p != '\0'; p++, n++) {
		int c = (unsigned char)*p;

		if (c == '%') {
			int high = hex_value(p[1]), low = high < 0 ? -1 : hex_value(p[2]);

			if (low < 0)
				return -EINVAL;
			c = high * 16 + low;
			p += 2;
		}
		if (n == JOB_ID_MAX || c <= ' ' || c >= 0x7f)
			return -EINVAL;
		ret[n] = (char)c;
	}
	ret[n] = '\0';
	return n > 0 ? n : -EINVAL;
}

void api_get_message(struct api_call *call)
{
	char id[JOB_ID_MAX + 1], *json = NULL;
	int len = read_id(call->rest, id), rc;

	if (len < 0) {
		api_problem(call, 400, "an id has 1 to %d printable ASCII characters and no space", JOB_ID_MAX);
		return;
	}
	rc = app_show_message(call->app, id, (size_t)len, &json);
	if (rc == -ENOENT)
		api_problem(call, 404, "no record of %s: never claimed, or older than retention_s", id);
	else if (rc == -EAGAIN)
		api_problem(call, 503, "redis doesn't answer");
	else if (rc < 0)
		api_problem(call, 500, "the record can't be shown: %s", strerror(-rc));
	else
		buf_puts(&call->out, json);
	mem_free(json);
}

/* ---- POST ---- */

/* Time first, so that ids of a day sort together; 64 random bits, so that no two are the same. */
static void make_id(char ret[40])
{
	snprintf(ret, 40, "%011" PRIx64 "-%016" PRIx64, (uint64_t)clock_wall_ms(), random_u64());
}

static void answer_failure(struct api_call *call, int rc, const char *err)
{
	switch (-rc) {
	case EBADMSG:
		api_problem(call, 422, "%s", err);
		break;
	case ETIMEDOUT:
		api_problem(call, 504, "kafka doesn't confirm the record; it may be on the topic all the same, so repeat with the same id");
		break;
	case ENOENT:
		api_problem(call, 503, "kafka has no such topic");
		break;
	case EACCES:
		api_problem(call, 503, "kafka doesn't allow to write to the topic");
		break;
	case EMSGSIZE:
		api_problem(call, 413, "kafka takes no record of this size");
		break;
	default:
		api_problem(call, 503, "kafka doesn't take the record: %s", strerror(-rc));
	}
}

static void answer_taken(struct api_call *call, const char *id, int32_t partition, int64_t offset)
{
	struct json_out o = json_out_to(&call->out);

	call->status = 202;
	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "id", id);
	json_out_int(&o, "partition", partition);
	json_out_int(&o, "offset", offset);
	json_out_end(&o, '}');
}

static void produce(struct api_call *call, struct body *body)
{
	struct buf json = { 0 };
	struct app_job job = { .id = body_str(body, "id"), .key = body_str(body, "to") };
	int32_t partition = -1;
	int64_t offset = -1;
	char err[256] = "";
	int rc;

	body_print(body, &json);
	if (json.oom) {
		buf_fini(&json);
		call->out.oom = true;
		return;
	}
	job.json = json.data;
	job.json_len = json.len;
	if (job.key == NULL)
		job.key = "";
	rc = app_produce(call->app, &job, &partition, &offset, err, sizeof err);
	if (rc < 0)
		answer_failure(call, rc, err);
	else
		answer_taken(call, job.id, partition, offset);
	buf_fini(&json);
}

void api_post_message(struct api_call *call)
{
	char err[256], id[40];
	struct body *body;

	if (app_state(call->app) >= LIFECYCLE_DRAINING) {
		api_problem(call, 503, "the daemon is %s", lifecycle_state_name(app_state(call->app)));
		return;
	}
	body = body_parse(call->body, call->body_len, err, sizeof err);
	if (body == NULL) {
		api_problem(call, 400, "%s", err);
		return;
	}
	make_id(id);
	if (!body_has(body, "id") && body_set_str(body, "id", id) < 0)
		call->out.oom = true;
	else
		produce(call, body);
	body_free(body);
}
