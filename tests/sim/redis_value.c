/* redis_value.c: making and freeing replies. */
#include "tests/sim/redis_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

struct redis_value redis_value_nil(void)
{
	return (struct redis_value){ .type = REDIS_VALUE_NIL };
}

struct redis_value redis_value_integer(int64_t n)
{
	return (struct redis_value){ .type = REDIS_VALUE_INTEGER, .integer = n };
}

static struct redis_value text(enum redis_value_type type, const char *s, size_t len)
{
	return (struct redis_value){ .type = type, .str = sim_copy(s, len), .len = len };
}

struct redis_value redis_value_string(const char *s, size_t len)
{
	return text(REDIS_VALUE_STRING, s, len);
}

struct redis_value redis_value_status(const char *s)
{
	return text(REDIS_VALUE_STATUS, s, strlen(s));
}

struct redis_value redis_value_error(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	return text(REDIS_VALUE_ERROR, line, strlen(line));
}

struct redis_value redis_value_array(size_t n)
{
	struct redis_value *items = sim_alloc((n > 0 ? n : 1) * sizeof *items);

	for (size_t i = 0; i < n; i++)
		items[i] = redis_value_nil();
	return (struct redis_value){ .type = REDIS_VALUE_ARRAY, .items = items, .n = n };
}

struct redis_value *redis_value_item(const struct redis_value *array, size_t i)
{
	return (struct redis_value *)(uintptr_t)&array->items[i];
}

void redis_value_free(struct redis_value *v)
{
	for (size_t i = 0; i < v->n; i++)
		redis_value_free(redis_value_item(v, i));
	free((void *)(uintptr_t)v->items);
	free((void *)(uintptr_t)v->str);
	*v = redis_value_nil();
}
