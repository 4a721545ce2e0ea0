/*
 * trace_c.c: reads programs from stdin, runs each on a loop of its own on simulated time, and prints its trace or, with --hash, a line
 * `SEED HASH` (FNV-1a over the trace's lines). What a program is and what its trace holds: README.md; trace_py.py is the other side.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/trace.h"

/* ---- what the ops log ---- */

static void append(struct trace_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void append(struct trace_run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(run->out, fmt, ap);
	va_end(ap);
}

/* Turns in which something is logged are counted, not those that pass in between: a callback that nobody wants any more makes one there. */
static void stamp(struct trace_run *run)
{
	struct co_loop_stats stats;

	co_loop_stats(run->loop, &stats);
	if (run->turns == 0 || stats.turns_total != run->last_turn) {
		run->last_turn = stats.turns_total;
		run->turns++;
	}
	append(run, "%lld %d ", (long long)(clock_mono_us() / 1000), run->turns);
}

void trace_log(struct trace_run *run, const char *fmt, ...)
{
	va_list ap;

	stamp(run);
	va_start(ap, fmt);
	vfprintf(run->out, fmt, ap);
	va_end(ap);
	append(run, "\n");
}

void trace_say(struct trace_task *t, const struct trace_op *op, const char *fmt, ...)
{
	va_list ap;

	stamp(t->run);
	append(t->run, "t%d.%d %s ", t->me, op->at, op->def->name);
	va_start(ap, fmt);
	vfprintf(t->run->out, fmt, ap);
	va_end(ap);
	append(t->run, "\n");
}

const char *trace_code(int rc, char *buf, size_t size)
{
	if (rc == -ECANCELED)
		return "cancelled";
	if (rc == -ETIMEDOUT)
		return "timeout";
	snprintf(buf, size, rc < 0 ? "error %d" : "%d", rc < 0 ? -rc : rc);
	return buf;
}

int trace_outcome(struct trace_task *t, const struct trace_op *op, int rc)
{
	char buf[32];

	trace_say(t, op, "%s", trace_code(rc, buf, sizeof buf));
	return rc < 0 ? rc : 0;
}

const char *trace_state(const struct co_future *f)
{
	switch (co_state(f)) {
	case CO_PENDING:
		return "pending";
	case CO_DONE:
		return "done";
	case CO_FAILED:
		return "failed";
	case CO_CANCELLED:
		return "cancelled";
	}
	return "?";
}

int64_t trace_deadline(int delay_ms)
{
	return delay_ms < 0 ? CLOCK_NEVER : clock_mono_us() + delay_ms * INT64_C(1000);
}

/* ---- tasks of the program ---- */

int trace_main(void *arg)
{
	struct trace_task *t = arg;
	char buf[32];
	int rc;

	trace_log(t->run, "t%d start", t->me);
	rc = trace_block(t, 0, t->body->n);
	if (rc == 0)
		rc = t->value;
	trace_log(t->run, "t%d end %s", t->me, trace_code(rc, buf, sizeof buf));
	return rc;
}

static void on_task_done(struct co_future *f, void *arg)
{
	struct trace_task *t = arg;

	trace_log(t->run, "t%d done %s", t->me, trace_state(f));
}

void trace_spawned(struct trace_run *run, int h, struct co_future *task)
{
	run->handle[h] = task;
	co_done_add(task, &run->task[h].on_done, on_task_done, &run->task[h]);
}

static void on_unretrieved(const char *name, int err, void *arg)
{
	struct trace_run *run = arg;
	char buf[32];

	if (strcmp(name, "shield") == 0)
		name = "future";
	CHECK(run->n_unretrieved < (int)ARRAY_LEN(run->unretrieved));
	snprintf(run->unretrieved[run->n_unretrieved++], sizeof run->unretrieved[0], "%s %s", name, trace_code(err, buf, sizeof buf));
}

static bool is_left(const struct trace_run *run, int h)
{
	return run->kinds[h] == 'T' && run->handle[h] != NULL && !co_done(run->handle[h]);
}

static bool cancel_round(struct trace_run *run)
{
	char text[4 * TRACE_HANDLES] = "";
	size_t n = 0;
	bool left[TRACE_HANDLES];

	for (int h = 0; h < run->n_handles; h++) {
		left[h] = is_left(run, h);
		if (left[h])
			n += (size_t)snprintf(text + n, sizeof text - n, " %d", h);
	}
	if (n == 0)
		return false;
	trace_log(run, "cancel%s", text);
	for (int h = 0; h < run->n_handles; h++)
		if (left[h])
			co_cancel(run->handle[h]);
	co_sleep_ms(TRACE_ROUND_MS);
	return true;
}

/* Starts the first task, gives all some time, then cancels what is left for as long as it takes. */
static int root(void *arg)
{
	struct trace_run *run = arg;
	char text[12 * TRACE_HANDLES] = "";
	struct co_future *first = co_task_new(trace_main, &run->task[0], "t0");
	size_t n = 0;

	CHECK(first != NULL);
	trace_spawned(run, 0, first);
	co_sleep_ms(TRACE_HORIZON_MS);
	for (int i = 0; i < TRACE_ROUNDS && cancel_round(run); i++)
		;
	for (int h = 0; h < run->n_handles; h++)
		if (run->handle[h] != NULL && !co_done(run->handle[h]))
			co_cancel(run->handle[h]);
	co_sleep_ms(TRACE_ROUND_MS);
	for (int h = 0; h < run->n_handles; h++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %s", run->handle[h] == NULL ? "none" : trace_state(run->handle[h]));
	trace_log(run, "end%s", text);
	return 0;
}

static void things_new(struct trace_run *run)
{
	for (int h = 0; h < run->n_handles; h++) {
		run->task[h] = (struct trace_task){ .run = run, .body = &run->body[h], .me = h };
		if (run->kinds[h] == 'F')
			run->handle[h] = co_future_new();
	}
	for (int i = 0; i < TRACE_SLOTS; i++) {
		run->slot[i].run = run;
		run->slot[i].number = i;
	}
	trace_sync_new(run);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void run_program(struct trace_run *run)
{
	run->loop = co_loop_new();
	CHECK(run->loop != NULL);
	co_loop_on_unretrieved(run->loop, on_unretrieved, run);
	things_new(run);
	CHECK(co_run(run->loop, root, run, "root") == 0);
	if (co_task_count(run->loop) > 0) {             /* some wait for each other: asyncio leaves them so as well */
		co_loop_abandon(run->loop);
		return;
	}
	for (int h = 0; h < run->n_handles; h++)
		co_unref(run->handle[h]);
	trace_sync_free(run);
	co_loop_free(run->loop);
	qsort(run->unretrieved, (size_t)run->n_unretrieved, sizeof run->unretrieved[0], by_text);
	for (int i = 0; i < run->n_unretrieved; i++)
		append(run, "unretrieved %s\n", run->unretrieved[i]);
}

/* ---- reading ---- */

static void parse_op(struct trace_body *body, char *name, int *opened, int *n_opened)
{
	struct trace_op *op = &body->op[body->n];
	char *save = NULL;

	CHECK(body->n < TRACE_OPS, "too many ops");
	*op = (struct trace_op){ .at = body->n };
	name = strtok_r(name, " ", &save);
	op->def = trace_op_find(name);
	CHECK(op->def != NULL, "unknown op %s", name);
	for (char *word = strtok_r(NULL, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		CHECK(op->n_args < TRACE_ARGS, "too many arguments of %s", name);
		op->arg[op->n_args++] = atoi(word);
	}
	if (op->def->block) {
		CHECK(*n_opened < TRACE_SCOPES, "blocks are nested too deep");
		opened[(*n_opened)++] = op->at;
	} else if (strcmp(name, "end") == 0) {
		CHECK(*n_opened > 0, "an end without a block");
		body->op[opened[--*n_opened]].match = op->at;
	}
	body->n++;
}

static void parse_things(struct trace_run *run, char *line)
{
	char *save = NULL, *what = strtok_r(line, " ", &save);

	if (strcmp(what, "kinds") == 0) {
		run->n_handles = snprintf(run->kinds, sizeof run->kinds, "%s", strtok_r(NULL, " ", &save));
		CHECK(run->n_handles <= TRACE_HANDLES, "too many handles");
		return;
	}
	for (char *word = strtok_r(NULL, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		trace_sync_parse(run, what, word);
}

/* A program up to its `done`. False at the end of the input. */
static bool read_program(struct trace_run *run, char *title, size_t size)
{
	char line[256];
	struct trace_body *body = NULL;
	int opened[TRACE_SCOPES], n_opened = 0, number;

	if (fgets(title, (int)size, stdin) == NULL)
		return false;
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "done") == 0)
			return true;
		if (sscanf(line, "body %d", &number) == 1) {
			CHECK(number >= 0 && number < run->n_handles && n_opened == 0);
			body = &run->body[number];
		} else if (body == NULL) {
			parse_things(run, line);
		} else {
			parse_op(body, line, opened, &n_opened);
		}
	}
	CHECK(false, "%s has no end", title);
	return false;
}

static uint64_t hash(const char *text, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return h;
}

int main(int argc, char **argv)
{
	bool hashes = argc > 1 && strcmp(argv[1], "--hash") == 0;
	struct trace_run *run = malloc(sizeof *run);
	char title[64], *text = NULL;
	size_t n = 0;

	CHECK(run != NULL);
	for (;;) {
		memset(run, 0, sizeof *run);
		if (!read_program(run, title, sizeof title))
			break;
		run->out = open_memstream(&text, &n);
		CHECK(run->out != NULL);
		run_program(run);
		fclose(run->out);
		if (hashes)
			printf("%lld %016llx\n", atoll(title + strlen("program ")), (unsigned long long)hash(text, n));
		else
			printf("%s%s", title, text);
		free(text);
		fflush(stdout);
	}
	free(run);
	return 0;
}
