/* gsm7.h: what a text costs on the air, where it is cut into parts, and the header that joins the parts again. Pure. */
#ifndef DISPATCH_GSM7_H
#define DISPATCH_GSM7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 3GPP TS 23.040, 9.2.3.24.1 and .8: the part's number of one message may travel with a reference of 8 or of 16 bits. */
enum gsm7_ref { GSM7_REF8 = 1, GSM7_REF16 };

/* Units are septets of GSM 03.38, or UTF-16 units where the text doesn't fit that: 140 octets less the header. */
enum {
	GSM7_SINGLE = 160, GSM7_PART8 = 153, GSM7_PART16 = 152,
	GSM7_UCS2_SINGLE = 70, GSM7_UCS2_PART8 = 67, GSM7_UCS2_PART16 = 66,
	GSM7_UDH_MAX = 7,
};

/* A part's bytes within the text. */
struct gsm7_slice {
	size_t start, len;
};

/* Whether every character is in GSM 03.38's default alphabet or its extension table; else the text goes as UCS-2. */
bool gsm7_fits(const char *text, size_t len);

/* How many parts the text makes with 8-bit references; at least 1. Bytes that aren't UTF-8 count as U+FFFD each. */
unsigned gsm7_parts(const char *text, size_t len);

/* Cuts the text into parts that split neither a character, an escape nor a surrogate pair. Returns how many it makes, of which the
 * first `max` are in `slices`; *ret_ucs2 says how they are encoded. */
unsigned gsm7_split(const char *text, size_t len, enum gsm7_ref ref, struct gsm7_slice *slices, unsigned max, bool *ret_ucs2);

/* The concatenation header of one part, with its length octet in front: its length. The reference is a hash of the id, so that a
 * part that is sent again joins its siblings. `part` counts from 1. */
size_t gsm7_udh(const char *id, size_t id_len, enum gsm7_ref ref, unsigned part, unsigned parts, uint8_t ret[GSM7_UDH_MAX]);

#endif
