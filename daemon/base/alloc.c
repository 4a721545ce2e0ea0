/* alloc.c: the C library's allocator behind alloc.h; tests and the simulation link another. Any thread. */
#include "daemon/base/alloc.h"

#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t size)
{
	return malloc(size);
}

void *mem_zalloc(size_t size)
{
	return calloc(1, size);
}

void *mem_resize(void *ptr, size_t size)
{
	return realloc(ptr, size);
}

char *mem_strdup(const char *s)
{
	return strdup(s);
}

void mem_free(void *ptr)
{
	free(ptr);
}
