/* api_look.c: requests that only look. Control thread; those that ask the workers suspend, for ASK_MS at most. */
#include <string.h>

#include "consumer/kafka_source.h"
#include "daemon/admin/api.h"
#include "daemon/app.h"
#include "daemon/app_json.h"
#include "daemon/config.h"
#include "daemon/options.h"

enum { ASK_MS = 1000, TASKS_MAX = 20000 };

static int64_t ask_deadline(void)
{
	return clock_mono_us() + ASK_MS * 1000;
}

/* The loop turns, else nobody would answer. Without a look at anything that may be away: a restart would not bring it back. */
void api_livez(struct api_call *call)
{
	buf_puts(&call->out, "{\"alive\":true}\n");
}

void api_readyz(struct api_call *call)
{
	struct json_out o = json_out_to(&call->out);
	struct app_reasons reasons;
	bool ready;

	(void)!app_refresh(call->app, ask_deadline());
	ready = app_ready(call->app, &reasons);
	json_out_begin(&o, NULL, '{');
	if (!ready) {
		call->status = 503;
		call->content_type = "application/problem+json";
		json_out_str(&o, "title", "not ready");
		json_out_int(&o, "status", 503);
		json_out_str(&o, "detail", reasons.text[0]);
	}
	json_out_bool(&o, "ready", ready);
	json_out_str(&o, "state", lifecycle_state_name(app_state(call->app)));
	json_out_begin(&o, "reasons", '[');
	for (unsigned i = 0; i < reasons.n; i++)
		json_out_str(&o, NULL, reasons.text[i]);
	json_out_end(&o, ']');
	json_out_end(&o, '}');
}

void api_get_state(struct api_call *call)
{
	struct json_out o = json_out_to(&call->out);

	(void)!app_refresh(call->app, ask_deadline());
	app_json_state(&o, NULL, call->app);
	/* the workers as one more member of the same object */
	call->out.len--;
	json_out_begin(&o, "workers_detail", '[');
	for (unsigned i = 0; i < app_worker_count(call->app); i++)
		app_json_worker(&o, NULL, call->app, i);
	json_out_end(&o, ']');
	json_out_end(&o, '}');
}

struct tasks_out {
	struct json_out o;
	size_t n;
};

static void put_task(int worker, const struct co_task_info *info, void *arg)
{
	struct tasks_out *t = arg;

	if (++t->n > TASKS_MAX)
		return;
	json_out_begin(&t->o, NULL, '{');
	if (worker < 0)
		json_out_str(&t->o, "worker", "control");
	else
		json_out_int(&t->o, "worker", worker);
	json_out_str(&t->o, "name", info->name);
	json_out_str(&t->o, "state", info->state);
	json_out_int(&t->o, "age_us", info->age_us);
	json_out_str(&t->o, "awaits", info->awaits && *info->awaits ? info->awaits : NULL);
	json_out_end(&t->o, '}');
}

void api_get_tasks(struct api_call *call)
{
	struct tasks_out t = { .o = json_out_to(&call->out) };
	unsigned silent;

	json_out_begin(&t.o, NULL, '{');
	json_out_begin(&t.o, "tasks", '[');
	silent = app_tasks(call->app, put_task, &t, ask_deadline());
	json_out_end(&t.o, ']');
	json_out_uint(&t.o, "count", t.n);
	json_out_uint(&t.o, "workers_silent", silent);
	json_out_end(&t.o, '}');
}

void api_get_providers(struct api_call *call)
{
	struct json_out o = json_out_to(&call->out);

	(void)!app_refresh(call->app, ask_deadline());
	json_out_begin(&o, NULL, '{');
	json_out_begin(&o, "providers", '[');
	for (size_t i = 0; i < app_provider_count(call->app); i++)
		app_json_provider(&o, NULL, call->app, i);
	json_out_end(&o, ']');
	json_out_end(&o, '}');
}

static void put_partition(const struct kafka_source_partition *partition, void *arg)
{
	app_json_partition(arg, NULL, partition);
}

void api_get_partitions(struct api_call *call)
{
	struct json_out o = json_out_to(&call->out);

	json_out_begin(&o, NULL, '{');
	json_out_begin(&o, "partitions", '[');
	kafka_source_each(app_source(call->app), put_partition, &o);
	json_out_end(&o, ']');
	json_out_end(&o, '}');
}

/* ---- the configuration ---- */

static const struct config_value *same_value(const struct config *c, const struct config_value *like)
{
	for (size_t i = 0; i < c->n_values; i++)
		if (c->values[i].option == like->option && strcmp(c->values[i].key, like->key) == 0 && strcmp(c->values[i].name, like->name) == 0)
			return &c->values[i];
	return NULL;
}

static void put_shown(struct json_out *o, const char *key, const struct config_value *v)
{
	struct buf text = { 0 };

	if (v != NULL)
		config_value_show(v, &text);
	if (v == NULL || (text.len == 0 && v->text == NULL && (v->option == NULL || v->option->def == NULL)))
		json_out_str(o, key, NULL);
	else
		json_out_strn(o, key, text.data ? text.data : "", text.len);
	o->buf->oom = o->buf->oom || text.oom;
	buf_fini(&text);
}

/* What holds; and, where a reload has read another value that needs a restart, that one. */
static void put_value(struct json_out *o, const struct config_value *booted, const struct config_value *read)
{
	bool reloadable = booted->option != NULL && booted->option->reloadable;
	const struct config_value *holds = reloadable && read != NULL ? read : booted;
	const char *a = booted->text, *b = read ? read->text : NULL;

	json_out_begin(o, NULL, '{');
	json_out_str(o, "section", config_value_section(booted));
	if (*booted->name)
		json_out_str(o, "name", booted->name);
	json_out_str(o, "key", booted->key);
	put_shown(o, "value", holds);
	json_out_bool(o, "default", holds->text == NULL);
	json_out_bool(o, "reloadable", reloadable);
	if (!reloadable && a != b && (a == NULL || b == NULL || strcmp(a, b) != 0))
		put_shown(o, "after_restart", read);
	json_out_end(o, '}');
}

void api_get_config(struct api_call *call)
{
	const struct config *boot = app_boot_config(call->app), *read = app_config(call->app);
	struct json_out o = json_out_to(&call->out);

	json_out_begin(&o, NULL, '{');
	json_out_str(&o, "file", boot->path);
	json_out_uint(&o, "inflight_now", app_inflight_max(call->app));
	json_out_begin(&o, "options", '[');
	for (size_t i = 0; i < boot->n_values; i++)
		put_value(&o, &boot->values[i], same_value(read, &boot->values[i]));
	json_out_end(&o, ']');
	json_out_end(&o, '}');
}
