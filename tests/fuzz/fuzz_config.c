/*
 * fuzz_config.c: configurations of any bytes: the reader ends with a configuration or with words, never both or neither; what it
 * accepts can be printed, and what is printed is accepted again. The sources are included, since the library ends below the daemon.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/config.c"
#include "daemon/config_check.c"
#include "daemon/config_kafka.c"
#include "daemon/config_print.c"
#include "daemon/ini.c"
#include "daemon/options.c"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const char path[] = "/nonexistent/fuzz.conf";
	struct buf errors = { 0 }, printed = { 0 };
	struct config *config = config_parse(path, (const char *)input, size, &errors), *again;

	CHECK(config != NULL || errors.len > 0);
	if (config != NULL) {
		config_print(config, &printed);
		CHECK(!printed.oom);
		again = config_parse(path, printed.data, printed.len, &errors);
		/* hidden values may not fit where they stand in for others */
		CHECK(again != NULL || memmem(printed.data, printed.len, "(hidden)", 8) != NULL, "%.*s", (int)errors.len, errors.data);
		config_free(again);
	}
	config_free(config);
	buf_fini(&errors);
	buf_fini(&printed);
	return 0;
}
