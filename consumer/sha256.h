/* sha256.h: the digest that stands for a value that Kafka refuses. */
#ifndef CONSUMER_SHA256_H
#define CONSUMER_SHA256_H

#include <stddef.h>

enum { SHA256_HEX = 64 };

/* FIPS 180-4, as lower-case hex with a NUL. */
void sha256_hex(const void *data, size_t len, char ret[SHA256_HEX + 1]);

#endif
