/* test_http_tls.c: the client over TLS: whom it trusts, what it resumes, what it makes of a connection that was cut. */
#include "tests/unit/http_client_fixture.h"

static char tls_dir[] = "/tmp/test_http_tls.XXXXXX";

static const char *tls_path(const char *name)
{
	static char paths[4][64];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof paths[0], "%s/%s", tls_dir, name);
	return p;
}

/* A key and certificates that expire in a day: for 127.0.0.1 and localhost, for another name, and one long expired. */
static int make_certificates(void **state)
{
	char cmd[1024];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	assert_non_null(mkdtemp(tls_dir));
	snprintf(cmd, sizeof cmd,
		 "cd %s && exec 2>err && openssl ecparam -genkey -name prime256v1 -noout -out key.pem && "
		 "openssl req -x509 -new -key key.pem -days 1 -subj /CN=good -addext subjectAltName=IP:127.0.0.1,DNS:localhost -out good.pem && "
		 "openssl req -x509 -new -key key.pem -days 1 -subj /CN=other -addext subjectAltName=DNS:other.example -out other.pem && "
		 "openssl req -new -key key.pem -subj /CN=old -addext subjectAltName=IP:127.0.0.1 -out old.csr && "
		 /* OpenSSL 3.5 takes no negative days, older ones no dates. */
		 "{ openssl x509 -req -in old.csr -signkey key.pem -days -1 -out old.pem || openssl x509 -req -in old.csr -signkey key.pem "
		 "-not_before 20200101000000Z -not_after 20200102000000Z -out old.pem; }",
		 tls_dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static int remove_certificates(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof cmd, "rm -rf %s", tls_dir);
	return system(cmd);
}

static SSL_CTX *tls_server(const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate_file(ctx, tls_path(cert), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, tls_path("key.pem"), SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	return ctx;
}

static void run_tls(co_body_fn *body, void (*script)(struct server_conn *c), const char *cert, const char *ca)
{
	SSL_CTX *ctx = tls_server(cert);

	options.tls = true;
	options.ca_file = ca != NULL ? tls_path(ca) : NULL;
	run(body, script, ctx);
	SSL_CTX_free(ctx);
}

static void test_http_tls_speaks_tls(void **state)
{
	(void)state;
	run_tls(body_reuses, script_answers, "good.pem", "good.pem");
	assert_int_equal(server.requests, 5);
	run_tls(body_slow, script_one_byte_at_a_time, "good.pem", "good.pem");
	run_tls(body_until_close, script_until_close, "good.pem", "good.pem");
	run_tls(body_large, script_reads_late, "good.pem", "good.pem");
	options.host = "localhost";
	run_tls(body_named, script_answers, "good.pem", "good.pem");
}

static void test_http_tls_resumes_tls_sessions(void **state)
{
	(void)state;
	run_tls(body_expect_closed_each, script_closes_after_each, "good.pem", "good.pem");
	assert_int_equal(server.resumed, 4);
}

static void test_http_tls_tells_what_went_wrong_under_tls(void **state)
{
	(void)state;
	expected = HTTP_CLOSED;
	run_tls(body_fails_written, script_closes_amid, "good.pem", "good.pem");
	run_tls(body_fails_written, script_cut, "good.pem", "good.pem");        /* no goodbye: it may have been cut */
	expected = HTTP_MALFORMED;
	run_tls(body_fails_written, script_garbage, "good.pem", "good.pem");
	expected = HTTP_TOO_LARGE;
	run_tls(body_fails_written, script_megabyte, "good.pem", "good.pem");
	expected = HTTP_TIMEOUT;
	run_tls(body_fails_written, script_hangs, "good.pem", "good.pem");
}

static int body_tls_fails(void *arg)
{
	struct result r;

	(void)arg;
	send_one(&r, 5000);
	assert_int_equal(r.failure, HTTP_TLS_FAILED);
	assert_false(r.written || r.asked);
	assert_int_equal(counters().connections, 0);
	return 0;
}

static void test_http_tls_refuses_a_bad_certificate(void **state)
{
	(void)state;
	run_tls(body_tls_fails, script_answers, "good.pem", NULL);              /* unknown issuer */
	run_tls(body_tls_fails, script_answers, "other.pem", "other.pem");      /* another host's */
	run_tls(body_tls_fails, script_answers, "old.pem", "old.pem");          /* expired */
	assert_int_equal(server.requests, 0);
	options.tls_insecure = true;
	run_tls(body_named, script_answers, "other.pem", NULL);
}

static void script_plain(struct server_conn *c)
{
	char byte;

	if (server_read(c, &byte, 1) == 1)
		server_puts(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void test_http_tls_needs_tls_on_the_other_side(void **state)
{
	(void)state;
	options.tls = true;
	options.tls_insecure = true;
	run(body_tls_fails, script_plain, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_http_tls_speaks_tls, set_up),
		cmocka_unit_test_setup(test_http_tls_resumes_tls_sessions, set_up),
		cmocka_unit_test_setup(test_http_tls_tells_what_went_wrong_under_tls, set_up),
		cmocka_unit_test_setup(test_http_tls_refuses_a_bad_certificate, set_up),
		cmocka_unit_test_setup(test_http_tls_needs_tls_on_the_other_side, set_up),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
