/* alloc.h: every allocation of the product goes through here, so that a test or the simulation can make it fail or drop it whole. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

#include "daemon/base/check.h"

/* All return NULL when memory is short; the caller decides (style.md, Errors). mem_free takes NULL. */
void *mem_alloc(size_t size) MUST_CHECK;
void *mem_zalloc(size_t size) MUST_CHECK;
void *mem_resize(void *ptr, size_t size) MUST_CHECK;
char *mem_strdup(const char *s) MUST_CHECK;
void mem_free(void *ptr);

#endif
