/*
 * fuzz_http1.c: replies of any bytes, whole and in pieces: the reader stays within its bytes and answers the same however they are cut.
 * The first byte of the input chooses the cut. Built with -DFUZZ_MAIN it runs over the files it is given, for compilers without
 * libFuzzer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "dispatch/http1.h"

enum { LIMIT = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

struct result {
	enum http1_result rc;
	bool keep_alive;
	size_t end;
	struct http_reply reply;
	struct http_header headers[HTTP1_FIELDS_MAX];
	char *data;
};

static bool failed(enum http1_result rc)
{
	return rc == HTTP1_BAD || rc == HTTP1_BIG;
}

/* Reads `size` bytes in pieces of `step`, then the end of the stream; each time in a block of exactly the bytes that came. */
static void read_all(const uint8_t *input, size_t size, size_t step, struct result *res)
{
	struct http1_reader r;
	size_t len = 0;

	*res = (struct result){ .rc = HTTP1_MORE };
	http1_reader_init(&r, LIMIT);
	while (res->rc == HTTP1_MORE && len < size) {
		size_t n = size - len < step ? size - len : step;

		res->data = realloc(res->data, len + n);
		CHECK(res->data != NULL);
		memcpy(res->data + len, input + len, n);
		len += n;
		res->rc = http1_read(&r, res->data, len);
		CHECK(r.pos <= len && r.body + r.body_len <= (res->rc == HTTP1_DONE ? len : LIMIT));
	}
	if (res->rc == HTTP1_MORE)
		res->rc = http1_read_end(&r, len);
	if (res->rc == HTTP1_DONE) {
		http1_reply(&r, res->data, res->headers, &res->reply);
		res->keep_alive = r.keep_alive;
		res->end = r.pos;
	}
}

static void compare(const struct result *a, const struct result *b)
{
	CHECK(a->rc == b->rc || (failed(a->rc) && failed(b->rc)));
	if (a->rc != HTTP1_DONE)
		return;
	CHECK(a->end == b->end && a->keep_alive == b->keep_alive && a->reply.status == b->reply.status);
	CHECK(a->reply.body_len == b->reply.body_len && memcmp(a->reply.body, b->reply.body, a->reply.body_len) == 0);
	CHECK(a->reply.n_headers == b->reply.n_headers);
	for (size_t i = 0; i < a->reply.n_headers; i++) {
		CHECK(strcmp(a->reply.headers[i].name, b->reply.headers[i].name) == 0);
		CHECK(a->reply.headers[i].value_len == b->reply.headers[i].value_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct result whole, pieces;     /* their replies point into themselves */

	if (size < 1)
		return 0;
	read_all(input + 1, size - 1, size, &whole);
	read_all(input + 1, size - 1, 1 + input[0] % 16u, &pieces);
	compare(&whole, &pieces);
	free(whole.data);
	free(pieces.data);
	return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		CHECK(f != NULL, "%s", argv[i]);
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, f));
		fclose(f);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
#endif
