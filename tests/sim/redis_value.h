/* redis_value.h: replies of the simulated Redis, as metrics/redis_client.h has them, made on the heap and freed whole. */
#ifndef SIM_REDIS_VALUE_H
#define SIM_REDIS_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "metrics/redis_client.h"

struct redis_value redis_value_nil(void);
struct redis_value redis_value_integer(int64_t n);
struct redis_value redis_value_string(const char *s, size_t len);
struct redis_value redis_value_status(const char *s);
struct redis_value redis_value_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct redis_value redis_value_array(size_t n);
/* The i-th item of an array, to be filled in. */
struct redis_value *redis_value_item(const struct redis_value *array, size_t i);
void redis_value_free(struct redis_value *v);

#endif
