/* shard.c: the hash of ids. Pure, any thread. */
#include "metrics/shard.h"

/* Four bits at a time: the table is one cache line, ids are short. */
static const uint32_t nibble[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint8_t shard_of(const char *id, size_t len, unsigned shards)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint8_t)id[i];
		crc = nibble[crc & 15] ^ crc >> 4;
		crc = nibble[crc & 15] ^ crc >> 4;
	}
	return (uint8_t)((crc ^ 0xffffffff) % shards);
}
