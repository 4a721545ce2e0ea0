/* shard.h: which of a store's shards an id belongs to; fixed for the store's life, so the hash is fixed too. */
#ifndef METRICS_SHARD_H
#define METRICS_SHARD_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 (IEEE 802.3, reflected, as zlib's) of the bytes, modulo `shards` (1..256). */
uint8_t shard_of(const char *id, size_t len, unsigned shards);

#endif
