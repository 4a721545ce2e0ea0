/* sha256.c: OpenSSL's SHA-256 behind one call. Pure. */
#include "consumer/sha256.h"

#include <openssl/sha.h>

void sha256_hex(const void *data, size_t len, char ret[SHA256_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256(data, len, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	ret[SHA256_HEX] = '\0';
}
