/* http_date.h: dates in HTTP fields (RFC 9110, 5.6.7), all three forms. Pure. */
#ifndef DISPATCH_HTTP_DATE_H
#define DISPATCH_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970, or -1 where it isn't a date, or one before 1970. */
int64_t http_date_parse(const char *s, size_t len);

#endif
