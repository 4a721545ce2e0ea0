/* Whole configurations: what a good one becomes, and that a bad one gets every complaint with file, line, key and what would be right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "daemon/options.h"

#define GOOD "[kafka]\nbrokers = k1:9092,k2:9092\n[provider acme]\nurl = http://127.0.0.1:8080/send\n"

static char dir[] = "/tmp/test_config.XXXXXX";
static char path[64], secret[64];
static struct buf errors;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/x.conf", dir);
	snprintf(secret, sizeof secret, "%s/secret", dir);
	unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(secret);
	rmdir(dir);
	buf_fini(&errors);
	return 0;
}

static struct config *parse(const char *text)
{
	struct config *config;

	buf_reset(&errors);
	config = config_parse(path, text, strlen(text), &errors);
	buf_putc(&errors, '\0');
	return config;
}

static struct config *good(const char *text)
{
	struct config *config = parse(text);

	if (config == NULL)
		fail_msg("%s", errors.data);
	return config;
}

/* The text is refused, and a line of the complaint has the line number and each word. */
static void bad(const char *text, int line, const char *word, const char *word2)
{
	struct config *config = parse(text);
	char where[96];
	const char *found;

	assert_null(config);
	snprintf(where, sizeof where, line ? "%s:%d: " : "%s: ", path, line);
	found = strstr(errors.data, where);
	if (found == NULL || strstr(found, word) == NULL || strstr(found, word2) == NULL)
		fail_msg("looked for line %d, \"%s\", \"%s\" in:\n%s", line, word, word2, errors.data);
}

static void write_secret(const char *text, mode_t mode)
{
	FILE *f;

	unlink(secret);
	f = fopen(secret, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(secret, mode), 0);
}

static void test_config_defaults(void **state)
{
	(void)state;
	struct config *c = good(GOOD);

	assert_string_equal(c->kafka.source.brokers, "k1:9092,k2:9092");
	assert_string_equal(c->kafka.topics, "sms.outbound");
	assert_int_equal(c->kafka.source.start, KAFKA_START_ERROR);
	assert_int_equal(c->daemon.inflight, 2000);
	assert_int_equal(c->dispatch.inflight, 2000);
	assert_true(c->daemon.workers >= 1);
	assert_null(c->daemon.log_file);
	assert_string_equal(c->store.url, "redis://127.0.0.1:6379/0");
	assert_int_equal(c->store.durability, STORE_LOCAL);
	assert_int_equal(c->store.retention_s, 604800);
	assert_int_equal(c->store.lease_slack_ms, 5000);
	assert_string_equal(c->admin.listen, "unix:/run/smstrackd/admin.sock");
	assert_int_equal(c->n_providers, 1);
	assert_string_equal(c->providers[0].name, "acme");
	assert_string_equal(c->providers[0].preset, "generic");
	assert_int_equal(c->providers[0].timeout_ms, 10000);
	assert_false(c->providers[0].split_provider);
	assert_int_equal(c->send.on_uncertain, STORE_RESEND);
	assert_int_equal(c->kafka.source.n_settings, 1);
	assert_string_equal(c->kafka.settings[0].key, "client.id");
	config_free(c);
}

static void test_config_every_key_can_be_set(void **state)
{
	(void)state;
	struct buf text = { 0 };
	struct config *c;

	write_secret("0123456789abcdef0123\n", 0600);
	for (size_t i = 0; i < options_sections_count; i++) {
		buf_printf(&text, "[%s%s]\n", options_sections[i].name, options_sections[i].named ? " acme" : "");
		for (size_t j = 0; j < options_count; j++) {
			const struct options_entry *o = &options_table[j];

			/* a file that is there on every machine */
			if (strcmp(o->section, options_sections[i].name) != 0)
				continue;
			if (strcmp(o->key, "ca_file") == 0)
				buf_puts(&text, "ca_file = /etc/passwd\n");
			else
				buf_printf(&text, "%s = %s\n", o->key,
					   o->type == OPTION_SECRET ? "secret" : o->example ? o->example : o->def);
		}
	}
	buf_putc(&text, '\0');
	c = good(text.data);
	for (size_t i = 0; i < c->n_values; i++)
		assert_true(c->values[i].line > 0);
	assert_string_equal(c->admin.token, "0123456789abcdef0123");
	assert_string_equal(c->providers[0].method, "POST");
	config_free(c);
	buf_fini(&text);
}

static void test_config_several_providers(void **state)
{
	(void)state;
	struct config *c = good(GOOD "rate = 100\n[provider b-2]\nurl = https://sms.example.com/x\nweight = 7\nsplit = provider\n"
				     "[provider c]\nurl = http://sms.example.com/x\nallow_plaintext = yes\n");

	assert_int_equal(c->n_providers, 3);
	assert_int_equal(c->providers[0].rate, 100);
	assert_int_equal(c->providers[1].weight, 7);
	assert_int_equal(c->providers[1].rate, 0);
	assert_true(c->providers[1].split_provider);
	assert_true(c->providers[2].allow_plaintext);
	config_free(c);
}

static void test_config_unknown_names_are_suggested(void **state)
{
	(void)state;
	bad("[daemon]\ninflihgt = 5\n" GOOD, 2, "[daemon] inflihgt", "did you mean \"inflight\"?");
	bad(GOOD "\n[deamon]\ninflight = 5\n", 6, "[deamon]", "did you mean [daemon]?");
	bad(GOOD "timeout = 5\n", 5, "[provider acme] timeout", "\"timeout_ms\"");
	bad("[redis]\npassword = hunter2\n" GOOD, 2, "[redis] password", "\"password_file\"");
	assert_null(strstr(errors.data, "hunter2"));
	bad("[kafka]\nbroker = x:1\n[provider acme]\nurl = http://127.0.0.1/\n", 2, "broker", "\"brokers\"");
	bad("[daemon]\nxyzzy = 5\n" GOOD, 2, "xyzzy", "unknown key\n");
}

static void test_config_wrong_values_say_what_is_right(void **state)
{
	(void)state;
	bad("[daemon]\ninflight = 0\n" GOOD, 2, "[daemon] inflight = 0", "a number from 1 to 1000000 messages");
	bad("[daemon]\nworkers = many\n" GOOD, 2, "workers", "auto, or a number from 0 to 256 threads");
	bad("[daemon]\nlog_level = loud\n" GOOD, 2, "log_level", "one of: debug info warn error");
	bad("[redis]\ndurability = raid\n" GOOD, 2, "durability", "local, aof, or replicas:N");
	bad("[redis]\nallow_eviction = perhaps\n" GOOD, 2, "allow_eviction", "yes or no");
	bad("[daemon]\nrun_dir = here\n" GOOD, 2, "run_dir", "an absolute path");
	bad("[send]\ndefault_from =\n" GOOD, 2, "default_from", "1 to 16 characters");
}

static void test_config_structure(void **state)
{
	(void)state;
	bad("inflight = 1\n" GOOD, 1, "inflight", "before the first [section]");
	bad("[daemon]\ninflight = 1\ninflight = 2\n" GOOD, 3, "inflight", "at line 2 already");
	bad("[daemon]\n[redis]\n[daemon]\n" GOOD, 3, "[daemon]", "at line 1 already");
	bad("[daemon]\n[redis]\n[daemon]\ninflihgt = 1\ndrain_ms = x\n" GOOD, 4, "inflihgt", "\"inflight\"");
	assert_non_null(strstr(errors.data, ":5: "));
	bad("[daemon x]\n" GOOD, 1, "[daemon x]", "has no name");
	bad(GOOD "[provider acme]\nurl = http://127.0.0.1/\n", 5, "[provider acme]", "already");
	bad(GOOD "[provider]\nurl = http://127.0.0.1/\n", 5, "[provider ]", "needs a name");
	bad(GOOD "[provider a.b]\nurl = http://127.0.0.1/\n", 5, "a.b", "needs a name");
	bad(GOOD "nonsense\n", 5, "key = value", "");
	bad("[kafka]\n[provider a]\nurl = http://127.0.0.1/\n", 1, "[kafka] needs brokers", "127.0.0.1:9092");
	bad("[provider a]\nurl = http://127.0.0.1/\n", 0, "[kafka] needs brokers", "");
	bad("[kafka]\nbrokers = x:1\n[provider a]\nrate = 5\n", 3, "[provider a] needs url", "");
	bad("[kafka]\nbrokers = x:1\n", 0, "no provider", "[provider NAME]");
}

static void test_config_all_errors_in_one_go(void **state)
{
	(void)state;
	struct buf text = { 0 };

	bad("[daemon]\ninflight = 0\nlog_level = x\n[redsi]\n[provider p]\nrate = y\n", 2, "inflight", "");
	assert_non_null(strstr(errors.data, ":3: "));
	assert_non_null(strstr(errors.data, ":4: "));
	assert_non_null(strstr(errors.data, ":5: "));
	assert_non_null(strstr(errors.data, ":6: "));
	for (int i = 0; i < 60; i++)
		buf_puts(&text, "nonsense\n");
	buf_putc(&text, '\0');
	bad(text.data, 1, "and ", " more errors");
	buf_fini(&text);
}

static void test_config_urls(void **state)
{
	(void)state;
#define WITH_URL(url) "[kafka]\nbrokers = x:1\n[provider a]\nurl = " url "\n"
	bad(WITH_URL("http://sms.example.com/x"), 4, "url", "allow_plaintext = yes");
	bad(WITH_URL("http://127.0.0.1.example.com:80/x"), 4, "url", "http");
	bad(WITH_URL("https://user:pw@sms.example.com/x"), 4, "url", "password_file");
	bad(WITH_URL("ftp://sms.example.com/x"), 4, "url", "http://HOST");
	bad(WITH_URL("https:///x"), 4, "url", "http://HOST");
	config_free(good(WITH_URL("http://localhost:1/x")));
	config_free(good(WITH_URL("http://[::1]:1/x")));
	config_free(good(WITH_URL("https://sms.example.com/x?a=b")));
	bad("[redis]\nurl = redis://u:pw@h/0\n" GOOD, 2, "url", "password_file");
	bad("[redis]\nurl = http://h/0\n" GOOD, 2, "url", "unix:///PATH");
	bad("[redis]\nurl = rediss://h/0\n" GOOD, 2, "url", "rediss://");
	config_free(good("[redis]\nurl = unix:///run/redis.sock?db=1\n" GOOD));
}

static void test_config_what_does_not_go_together(void **state)
{
	(void)state;
	bad("[send]\nbackoff_ms = 500\nbackoff_max_ms = 400\n" GOOD, 3, "backoff_max_ms", "at least backoff_ms (500)");
	bad("[redis]\nretention_s = 172800\nreceipt_deadline_s = 172800\n" GOOD, 3, "receipt_deadline_s", "172800");
	bad(GOOD "timeout_ms = 100\nconnect_timeout_ms = 200\n", 6, "connect_timeout_ms", "at most timeout_ms (100)");
	bad(GOOD "preset = twilio\n", 5, "twilio", "password_file");
	bad("[send]\nallow_to = DE\n" GOOD, 2, "allow_to", "+49");
	bad("[admin]\nlisten = 127.0.0.1:80\n" GOOD, 2, "listen", "token_file");
	bad("[admin]\nlisten = unix:here\n" GOOD, 2, "listen", "ABSOLUTE");
	bad("[admin]\nlisten = 80\n" GOOD, 2, "listen", "HOST:PORT");
}

static void test_config_secrets(void **state)
{
	(void)state;
	struct config *c;
	char text[256];

	bad("[redis]\npassword_file = secret\n" GOOD, 2, "password_file", "No such file");
	write_secret("hunter2\r\nsecond line\n", 0644);
	bad("[redis]\npassword_file = secret\n" GOOD, 2, "mode 0644", "0600 or 0640");
	write_secret("", 0600);
	bad("[redis]\npassword_file = secret\n" GOOD, 2, "password_file", "empty");
	write_secret("hunter2\r\nsecond line\n", 0640);
	c = good("[redis]\npassword_file = secret\n" GOOD "password_file = secret\n");
	assert_string_equal(c->store.password, "hunter2");
	assert_string_equal(c->providers[0].password, "hunter2");
	config_free(c);
	snprintf(text, sizeof text, "[redis]\npassword_file = %s\n" GOOD, secret);
	config_free(good(text));
	setenv("CREDENTIALS_DIRECTORY", "/nonexistent", 1);
	bad("[redis]\npassword_file = secret\n" GOOD, 2, "/nonexistent/secret", "");
	unsetenv("CREDENTIALS_DIRECTORY");
	bad("[admin]\ntoken_file = secret\n" GOOD, 2, "token_file", "16 characters");
}

static void test_config_kafka_keys_pass(void **state)
{
	(void)state;
	struct config *c;

	write_secret("hunter2\n", 0600);
	c = good("[provider a]\nurl = http://127.0.0.1/\n[kafka]\nbrokers = x:1\nsecurity.protocol = sasl_ssl\nsasl.password_file = secret\n"
		 "group.instance.id = me\n");
	assert_int_equal(c->kafka.source.n_settings, 4);
	assert_string_equal(c->kafka.settings[0].key, "group.instance.id");
	assert_string_equal(c->kafka.settings[2].key, "security.protocol");
	assert_string_equal(c->kafka.settings[2].value, "sasl_ssl");
	assert_string_equal(c->kafka.settings[3].key, "sasl.password");
	assert_string_equal(c->kafka.settings[3].value, "hunter2");
	config_free(c);
	bad("[kafka]\nbrokers = x:1\nenable.auto.commit = true\n", 3, "enable.auto.commit", "smstrackd alone");
	bad("[kafka]\nbrokers = x:1\nbootstrap.servers = x:1\n", 3, "bootstrap.servers", "\"brokers\"");
	bad("[kafka]\nbrokers = x:1\nclient.id = x\nclient.id = y\n", 4, "client.id", "line 3");
	bad("[kafka]\nbrokers = x:1\nsasl.pasword = hunter2\n[provider a]\nurl = http://127.0.0.1/\n", 3, "sasl.pasword", "");
	assert_null(strstr(errors.data, "hunter2"));
	bad("[kafka]\nbrokers = x:1\nlinger.ms = 1\nlinger.ms = 2\n", 4, "linger.ms", "line 3");
}

static void test_config_print_hides_secrets_and_can_be_read_again(void **state)
{
	(void)state;
	struct buf first = { 0 }, second = { 0 };
	struct config *c;

	write_secret("hunter2\n", 0600);
	c = good("[redis]\npassword_file = secret\n" GOOD "password_file = secret\n[send]\nallow_to = \"+49 +43\"\n");
	config_print(c, &first);
	config_free(c);
	buf_putc(&first, '\0');
	assert_null(strstr(first.data, "hunter2"));
	c = good(first.data);
	config_print(c, &second);
	config_free(c);
	buf_putc(&second, '\0');
	/* the second knows the defaults as values */
	for (char *s; (s = strstr(first.data, "    ; default")) != NULL;)
		memmove(s, s + 13, strlen(s + 13) + 1);
	assert_string_equal(first.data, second.data);
	buf_reset(&first);
	c = good("[kafka]\nbrokers = x:1\nsasl.password = hunter2\nssl.key.pem = hunter2\n"
		 "[provider a]\nurl = https://sms.example.com/x?key=hunter2\n");
	config_print(c, &first);
	buf_putc(&first, '\0');
	assert_null(strstr(first.data, "hunter2"));
	assert_non_null(strstr(first.data, "https://sms.example.com/x?(hidden)"));
	config_free(c);
	buf_fini(&first);
	buf_fini(&second);
}

static void note_change(const struct config_value *was, const struct config_value *is, void *arg)
{
	char *out = arg;
	const struct config_value *v = is ? is : was;

	sprintf(out + strlen(out), "%s%s%s.%s ", was ? is ? "" : "-" : "+", config_value_section(v), v->name, v->key);
}

static void test_config_compare(void **state)
{
	(void)state;
	char out[1024] = "";
	struct config *a = good(GOOD "[daemon]\ninflight = 2000\n"), *b = good(GOOD "rate = 7\n[daemon]\ndrain_ms = 1\n[provider z]\nurl = "
									       "http://127.0.0.1/\n[redis]\nuser = u\n");

	config_compare(a, a, note_change, out);
	assert_string_equal(out, "");
	config_compare(a, b, note_change, out);
	assert_string_equal(out, "provideracme.rate daemon.drain_ms redis.user +providerz.url ");
	out[0] = '\0';
	config_compare(b, a, note_change, out);
	assert_string_equal(out, "provideracme.rate daemon.drain_ms -providerz.url redis.user ");
	config_free(a);
	config_free(b);
	out[0] = '\0';
	write_secret("first\n", 0600);
	a = good(GOOD "password_file = secret\n");
	write_secret("second\n", 0600);
	b = good(GOOD "password_file = secret\n");
	config_compare(a, b, note_change, out);
	assert_string_equal(out, "provideracme.password_file ");
	config_free(a);
	config_free(b);
}

static void test_config_load_files(void **state)
{
	(void)state;
	struct config *c;

	buf_reset(&errors);
	assert_null(config_load("/nonexistent.conf", &errors));
	buf_putc(&errors, '\0');
	assert_string_equal(errors.data, "/nonexistent.conf: No such file or directory\n");
	c = config_load("etc/smstrackd.conf", &errors);
	assert_non_null(c);
	config_free(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_config_defaults),
		TEST(test_config_every_key_can_be_set),
		TEST(test_config_several_providers),
		TEST(test_config_unknown_names_are_suggested),
		TEST(test_config_wrong_values_say_what_is_right),
		TEST(test_config_structure),
		TEST(test_config_all_errors_in_one_go),
		TEST(test_config_urls),
		TEST(test_config_what_does_not_go_together),
		TEST(test_config_secrets),
		TEST(test_config_kafka_keys_pass),
		TEST(test_config_print_hides_secrets_and_can_be_read_again),
		TEST(test_config_compare),
		TEST(test_config_load_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
