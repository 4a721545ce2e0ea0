/*
 * The admin server over a real socket, above an app that is made of paper: who may ask, what is refused and how, and that a client
 * who leaves early harms nobody.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "consumer/kafka_source.h"
#include "daemon/admin/server.h"
#include "daemon/app.h"
#include "daemon/app_json.h"
#include "daemon/base/alloc.h"
#include "daemon/config.h"
#include "daemon/ctl/admin_client.h"
#include "dispatch/coro/coro.h"
#include "dispatch/route.h"

/* ---- the app of paper ---- */

struct app {
	enum lifecycle_state state;
	unsigned inflight, spawned;
	_Atomic unsigned shown;
	bool paused, ready;
	char produced[512];
	struct co_event hold;           /* set: messages may be shown */
	struct config config;
};

struct spawn {
	struct app *app;
	int (*body)(void *arg);
	void *arg;
};

static int spawn_body(void *arg)
{
	struct spawn s = *(struct spawn *)arg;

	mem_free(arg);
	s.body(s.arg);
	s.app->spawned--;
	return 0;
}

int app_spawn(struct app *app, int (*body)(void *arg), void *arg, const char *name)
{
	struct spawn *s;

	if (app->state == LIFECYCLE_STOPPING)
		return -ESHUTDOWN;
	s = mem_alloc(sizeof *s);
	*s = (struct spawn){ app, body, arg };
	app->spawned++;
	co_unref(co_task_new_static(spawn_body, s, name));
	return 0;
}

enum lifecycle_state app_state(const struct app *app) { return app->state; }
const struct config *app_boot_config(const struct app *app) { return &app->config; }
const struct config *app_config(const struct app *app) { return &app->config; }
const char *app_instance(const struct app *app) { (void)app; return "paper"; }
uint64_t app_incarnation(const struct app *app) { (void)app; return 7; }
int64_t app_uptime_ms(const struct app *app) { (void)app; return 5; }
unsigned app_inflight_max(const struct app *app) { return app->inflight; }
const struct kafka_source *app_source(const struct app *app) { (void)app; return NULL; }
int app_refresh(struct app *app, int64_t deadline_us) { (void)app; (void)deadline_us; return 0; }
unsigned app_worker_count(const struct app *app) { (void)app; return 0; }
const struct app_worker *app_worker(const struct app *app, unsigned index) { (void)app; (void)index; return NULL; }
size_t app_provider_count(const struct app *app) { (void)app; return 0; }
const char *app_provider_name(const struct app *app, size_t index) { (void)app; (void)index; return NULL; }
bool app_provider(const struct app *app, size_t index, struct route_status *ret) { (void)app; (void)index; (void)ret; return false; }
int64_t app_longest_call_us(struct app *app) { (void)app; return 0; }
int app_reopen_logs(struct app *app) { (void)app; return 0; }
int app_store_init(struct app *app, char *err, size_t err_len)
{
	snprintf(err, err_len, "redis: away");
	return app->ready ? app->state == LIFECYCLE_PAUSED ? -EEXIST : 0 : -EAGAIN;
}

unsigned app_tasks(struct app *app, app_task_fn *visit, void *arg, int64_t deadline_us)
{
	struct co_task_info info = { .name = "a \"task\"", .state = "waiting", .awaits = "event", .age_us = 12 };

	(void)app;
	(void)deadline_us;
	visit(-1, &info, arg);
	visit(3, &info, arg);
	return 0;
}

bool app_ready(const struct app *app, struct app_reasons *ret)
{
	*ret = (struct app_reasons){ 0 };
	if (!app->ready)
		ret->text[ret->n++] = "kafka: no broker answers";
	return app->ready;
}

int app_set_state(struct app *app, enum lifecycle_state wanted)
{
	if (wanted != LIFECYCLE_RUNNING && wanted != LIFECYCLE_PAUSED && wanted != LIFECYCLE_DRAINING)
		return -EINVAL;
	if (app->state == LIFECYCLE_DRAINING && wanted != LIFECYCLE_DRAINING)
		return -EBUSY;
	app->state = wanted;
	return 0;
}

int app_set_inflight(struct app *app, unsigned inflight, char *err, size_t err_len)
{
	if (inflight > 100) {
		snprintf(err, err_len, "should be at most 100");
		return -ERANGE;
	}
	app->inflight = inflight;
	return 0;
}

int app_reload(struct app *app, struct buf *report)
{
	buf_puts(report, app->ready ? "[daemon] inflight: 1 -> 2\n" : "x.conf:3: first\nx.conf:4: second\n");
	return app->ready ? 0 : -EINVAL;
}

int app_pause_provider(struct app *app, const char *name, bool paused)
{
	if (strcmp(name, "acme") != 0)
		return -ENOENT;
	app->paused = paused;
	return 0;
}

int app_show_message(struct app *app, const char *id, size_t len, char **ret)
{
	app->shown++;
	if (co_event_wait(&app->hold, CLOCK_NEVER) < 0 || strcmp(id, "a/b c") == 0 || strlen(id) != len)
		return -EAGAIN;
	if (strcmp(id, "known") != 0)
		return -ENOENT;
	*ret = mem_strdup("{\"id\":\"known\"}");
	return 0;
}

int app_produce(struct app *app, const struct app_job *job, int32_t *ret_partition, int64_t *ret_offset, char *err, size_t err_len)
{
	if (strcmp(job->key, "+4915112345") != 0) {
		snprintf(err, err_len, "bad_to: to");
		return -EBADMSG;
	}
	snprintf(app->produced, sizeof app->produced, "%.*s", (int)job->json_len, job->json);
	*ret_partition = 1;
	*ret_offset = 42;
	return 0;
}

void kafka_source_each(const struct kafka_source *source, kafka_source_visit_fn *visit, void *arg) { (void)source; (void)visit; (void)arg; }

/* ---- a server, and a client on a thread of its own ---- */

struct test {
	struct app app;
	struct admin_server *server;
	struct co_loop *loop;
	char dir[32], path[64], listen[80], err[256];
	void (*client)(struct test *t);
	bool done;
	/* what the client saw */
	struct admin_reply reply;
	char words[ADMIN_ERR_MAX];
};

static void on_client_done(void *arg)
{
	((struct test *)arg)->done = true;
}

static void *client_thread(void *arg)
{
	struct test *t = arg;

	t->client(t);
	while (co_post(t->loop, on_client_done, t) != 0)
		;
	return NULL;
}

static int serve_body(void *arg)
{
	struct test *t = arg;
	const struct admin_options options = { .listen = t->listen };
	pthread_t thread;

	co_event_init(&t->app.hold);
	co_event_set(&t->app.hold);
	t->server = admin_server_start(&t->app, &options, t->err, sizeof t->err);
	if (t->server == NULL)
		return -EINVAL;
	if (pthread_create(&thread, NULL, client_thread, t) != 0)
		return -EAGAIN;
	while (!t->done || t->app.spawned > 0)
		if (co_sleep_ms(1) < 0)
			break;
	pthread_join(thread, NULL);
	admin_server_stop(t->server);
	return 0;
}

static void serve(struct test *t, void (*client)(struct test *t))
{
	t->client = client;
	t->done = false;
	t->loop = co_loop_new();
	assert_int_equal(co_run(t->loop, serve_body, t, "test"), 0);
	co_loop_free(t->loop);
	assert_int_equal(access(t->path, F_OK), -1);
}

static int setup(void **state)
{
	struct test *t = mem_zalloc(sizeof *t);

	strcpy(t->dir, "/tmp/test_admin.XXXXXX");
	if (mkdtemp(t->dir) == NULL)
		return -1;
	snprintf(t->path, sizeof t->path, "%s/admin.sock", t->dir);
	snprintf(t->listen, sizeof t->listen, "unix:%s", t->path);
	t->app.state = LIFECYCLE_RUNNING;
	t->app.ready = true;
	t->app.inflight = 10;
	t->app.config.path = "x.conf";
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	rmdir(t->dir);
	mem_free(t);
	return 0;
}

/* Called on the client's thread: cmocka's asserts are for the main one, so a failure ends the process with words. */
static json_t *ask(struct test *t, const char *method, const char *target, const char *body, int want)
{
	json_t *json;

	if (admin_call(t->path, method, target, body, 5000, &t->reply, t->words) < 0 || t->reply.status != want) {
		fprintf(stderr, "%s %s: %d (want %d): %s %s\n", method, target, t->reply.status, want, t->words, t->reply.body ? t->reply.body : "");
		abort();
	}
	json = json_loads(t->reply.body, 0, NULL);
	if (json == NULL && strcmp(target, "/metrics") != 0) {
		fprintf(stderr, "%s %s: no JSON: %s\n", method, target, t->reply.body);
		abort();
	}
	admin_reply_fini(&t->reply);
	return json;
}

static void expect(struct test *t, const char *method, const char *target, const char *body, int want, const char *member, const char *value)
{
	json_t *json = ask(t, method, target, body, want);
	const char *is = json_string_value(json_object_get(json, member));

	if (value != NULL && (is == NULL || strstr(is, value) == NULL)) {
		fprintf(stderr, "%s %s: %s is %s, should have %s\n", method, target, member, is ? is : "(none)", value);
		abort();
	}
	json_decref(json);
}

static void make_ready(void *arg)
{
	((struct test *)arg)->app.ready = true;
}

static void make_unready(void *arg)
{
	((struct test *)arg)->app.ready = false;
}

/* On the loop's thread, done when this returns. */
static void tell(struct test *t, void (*what)(void *arg))
{
	while (co_post(t->loop, what, t) != 0)
		;
	expect(t, "GET", "/livez", NULL, 200, "", NULL);
}

static void look_client(struct test *t)
{
	json_t *json;

	expect(t, "GET", "/livez", NULL, 200, "", NULL);
	expect(t, "GET", "/readyz", NULL, 200, "state", "running");
	expect(t, "GET", "/readyz?verbose=1", NULL, 200, "state", "running");
	tell(t, make_unready);
	expect(t, "GET", "/readyz", NULL, 503, "detail", "kafka: no broker answers");
	tell(t, make_ready);
	expect(t, "GET", "/v1/state", NULL, 200, "instance", "paper");
	expect(t, "GET", "/v1/config", NULL, 200, "file", "x.conf");
	expect(t, "GET", "/v1/providers", NULL, 200, "", NULL);
	expect(t, "GET", "/v1/partitions", NULL, 200, "", NULL);
	json_decref(ask(t, "GET", "/metrics", NULL, 200));
	json = ask(t, "GET", "/v1/tasks", NULL, 200);
	if (json_integer_value(json_object_get(json, "count")) != 2)
		abort();
	json_decref(json);
}

static void test_admin_server_looks(void **state)
{
	serve(*state, look_client);
}

static void refuse_client(struct test *t)
{
	char big[70000];

	memset(big, ' ', sizeof big);
	big[sizeof big - 1] = '\0';
	expect(t, "GET", "/nowhere", NULL, 404, "detail", "/nowhere");
	expect(t, "GET", "/v1/state/", NULL, 404, "title", "Not Found");
	expect(t, "GET", "/v1/messages/", NULL, 404, "title", "Not Found");
	expect(t, "POST", "/v1/state", "{}", 405, "detail", "GET, PUT");
	expect(t, "DELETE", "/livez", NULL, 405, "detail", "GET");
	expect(t, "PATCH", "/v1/messages", "{}", 405, "detail", "POST");
	expect(t, "PUT", "/v1/state", "{", 400, "detail", "no JSON");
	expect(t, "PUT", "/v1/state", "[]", 400, "detail", "object");
	expect(t, "PUT", "/v1/state", "{\"x\":1}", 400, "detail", "unknown member");
	expect(t, "PUT", "/v1/state", big, 413, "detail", "65536");
}

/* What evhttp cuts before we see it: its words are its own, the status is right, and the server goes on. */
static void cut_client(struct test *t)
{
	static const char head[] = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char answer[64] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, t->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || write(fd, head, sizeof head - 1) < 0 ||
	    read(fd, answer, sizeof answer - 1) < 12 || strncmp(answer, "HTTP/1.1 413", 12) != 0) {
		fprintf(stderr, "a body past the limit: %s\n", answer);
		abort();
	}
	close(fd);
	expect(t, "GET", "/livez", NULL, 200, "", NULL);
}

static void test_admin_server_cuts_what_is_far_too_long(void **state)
{
	serve(*state, cut_client);
}

static void test_admin_server_refuses_in_words(void **state)
{
	serve(*state, refuse_client);
}

static void change_client(struct test *t)
{
	expect(t, "PUT", "/v1/state", "{\"state\":\"paused\"}", 200, "state", "paused");
	expect(t, "POST", "/v1/store/init", NULL, 409, "detail", "isn't empty");
	expect(t, "PUT", "/v1/state", "{\"state\":\"running\"}", 200, "state", "running");
	expect(t, "POST", "/v1/store/init", NULL, 200, "", NULL);
	expect(t, "PUT", "/v1/state", "{\"state\":\"stopping\"}", 422, "detail", "draining");
	expect(t, "PUT", "/v1/state", "{\"state\":7}", 422, "detail", "draining");
	expect(t, "PUT", "/v1/inflight", "{\"value\":50}", 200, "", NULL);
	expect(t, "PUT", "/v1/config/inflight", "{\"value\":500}", 422, "detail", "at most 100");
	expect(t, "PUT", "/v1/inflight", "{\"value\":\"50\"}", 422, "detail", "number");
	expect(t, "PUT", "/v1/inflight", "{\"value\":-1}", 422, "detail", "number");
	expect(t, "PUT", "/v1/providers/acme", "{\"state\":\"paused\"}", 200, "name", "acme");
	expect(t, "PUT", "/v1/providers/other", "{\"state\":\"paused\"}", 404, "detail", "other");
	expect(t, "PUT", "/v1/providers/acme", "{\"state\":\"gone\"}", 422, "detail", "paused");
	expect(t, "POST", "/v1/reload", NULL, 200, "", NULL);
	expect(t, "POST", "/v1/reload", "{\"wait\":true}", 200, "", NULL);
	tell(t, make_unready);
	expect(t, "POST", "/v1/reload", NULL, 422, "detail", "x.conf:3: first");
	expect(t, "POST", "/v1/logs/reopen", NULL, 200, "", NULL);
	expect(t, "POST", "/v1/store/init", NULL, 409, "detail", "redis: away");
	expect(t, "PUT", "/v1/state", "{\"state\":\"draining\"}", 202, "state", "draining");
	expect(t, "PUT", "/v1/state", "{\"state\":\"draining\"}", 202, "state", "draining");
	expect(t, "PUT", "/v1/state", "{\"state\":\"running\"}", 409, "detail", "draining");
	expect(t, "PUT", "/v1/inflight", "{\"value\":5}", 409, "detail", "draining");
	expect(t, "POST", "/v1/messages", "{}", 503, "detail", "draining");
}

static void test_admin_server_changes(void **state)
{
	struct test *t = *state;

	serve(t, change_client);
	assert_true(t->app.paused);
	assert_int_equal(t->app.inflight, 50);
	assert_int_equal(t->app.state, LIFECYCLE_DRAINING);
}

static void message_client(struct test *t)
{
	expect(t, "GET", "/v1/messages/known", NULL, 200, "id", "known");
	expect(t, "GET", "/v1/messages/kn%6fwn", NULL, 200, "id", "known");
	expect(t, "GET", "/v1/messages/other", NULL, 404, "detail", "other");
	expect(t, "GET", "/v1/messages/a%20b", NULL, 400, "detail", "printable");
	expect(t, "GET", "/v1/messages/a%", NULL, 400, "detail", "printable");
	expect(t, "GET", "/v1/messages/a%0", NULL, 400, "detail", "printable");
	expect(t, "POST", "/v1/messages", "{\"to\":\"+1\",\"text\":\"x\"}", 422, "detail", "bad_to");
	expect(t, "POST", "/v1/messages", "{\"text\":\"x\"}", 422, "detail", "bad_to");
	expect(t, "POST", "/v1/messages", "{\"id\":\"mine\",\"to\":\"+4915112345\"}", 202, "id", "mine");
	expect(t, "POST", "/v1/messages", "{\"to\":\"+4915112345\",\"text\":\"x\"}", 202, "id", "-");
}

static void test_admin_server_messages(void **state)
{
	struct test *t = *state;

	serve(t, message_client);
	assert_non_null(strstr(t->app.produced, "\"to\":\"+4915112345\",\"text\":\"x\",\"id\":\""));
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		abort();
	return fd;
}

static void release_hold(void *arg)
{
	co_event_set(&((struct test *)arg)->app.hold);
}

static void clear_hold(void *arg)
{
	co_event_clear(&((struct test *)arg)->app.hold);
}

/* Requests that hang in the app while their clients go away; then the app answers. */
static void leaving_client(struct test *t)
{
	static const char request[] = "GET /v1/messages/known HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[8];

	tell(t, clear_hold);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = connect_to(t->path);
		if (write(fds[i], request, sizeof request - 1) != (ssize_t)sizeof request - 1)
			abort();
	}
	while (t->app.shown < ARRAY_LEN(fds))
		expect(t, "GET", "/livez", NULL, 200, "", NULL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	expect(t, "GET", "/livez", NULL, 200, "", NULL);
	tell(t, release_hold);
	expect(t, "GET", "/v1/messages/known", NULL, 200, "id", "known");
}

static void test_admin_server_clients_that_leave(void **state)
{
	serve(*state, leaving_client);
}

static void garbage_client(struct test *t)
{
	static const char *const lines[] = { "\r\n\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02",
					     "GET /livez HTTP/1.1\r\nContent-Length: -5\r\n\r\n" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		int fd = connect_to(t->path);

		if (write(fd, lines[i], strlen(lines[i])) < 0)
			abort();
		close(fd);
		expect(t, "GET", "/livez", NULL, 200, "", NULL);
	}
}

static void test_admin_server_garbage(void **state)
{
	serve(*state, garbage_client);
}

static void mode_client(struct test *t)
{
	struct stat st;

	if (stat(t->path, &st) < 0 || (st.st_mode & 0777) != 0660)
		abort();
}

static void test_admin_server_socket_mode(void **state)
{
	mode_t mask = umask(0);

	serve(*state, mode_client);
	umask(mask);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_admin_server_looks),
		TEST(test_admin_server_cuts_what_is_far_too_long),
		TEST(test_admin_server_refuses_in_words),
		TEST(test_admin_server_changes),
		TEST(test_admin_server_messages),
		TEST(test_admin_server_clients_that_leave),
		TEST(test_admin_server_garbage),
		TEST(test_admin_server_socket_mode),
	};

	signal(SIGPIPE, SIG_IGN);       /* as main.c does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
