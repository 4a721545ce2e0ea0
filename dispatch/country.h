/* country.h: the country code of a number, by which rates are kept. Pure. */
#ifndef DISPATCH_COUNTRY_H
#define DISPATCH_COUNTRY_H

/* The country code digits ("49") of an E.164 number with its `+`, NUL-terminated; "" where none is assigned. */
void country_code(const char *to, char ret[4]);

#endif
