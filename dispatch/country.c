/*
 * country.c: ITU-T E.164 assigned country codes, as of the list annexed to ITU Operational Bulletin 1114; it changes once in years.
 * No code is the beginning of another, so the longest match is the only one. Any thread: it keeps nothing. It doesn't tell apart who
 * shares a code (+1, +7).
 */
#include "dispatch/country.h"

#include <stdint.h>

/* By the first two digits, a row a first digit: 2 where these are a whole code, 3 where a third digit belongs to it. 1 and 7 are codes
 * alone. */
static const char lengths[10][11] = {
	"0000000000", "1111111111", "2333333203", "2222232332", "2232222222", "3222222223", "2222222333", "1111111111", "3220232330",
	"2222223323",
};

/* Of the three-digit groups: bit n is set where group * 10 + n is assigned. */
#define B(n) (1u << (n))
#define ALL 0x3ffu
static const uint16_t assigned[100] = {
	[21] = B(1) | B(2) | B(3) | B(6) | B(8), [22] = ALL, [23] = ALL, [24] = ALL, [25] = ALL & ~B(9), [26] = ALL,
	[29] = B(0) | B(1) | B(7) | B(8) | B(9), [35] = ALL, [37] = ALL, [38] = B(0) | B(1) | B(2) | B(3) | B(5) | B(6) | B(7) | B(9),
	[42] = B(0) | B(1) | B(3), [50] = ALL, [59] = ALL, [67] = B(0) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(9),
	[68] = ALL & ~B(4), [69] = B(0) | B(1) | B(2), [80] = B(0) | B(8), [85] = B(0) | B(2) | B(3) | B(5) | B(6), [87] = B(0) | B(8),
	[88] = B(0) | B(1) | B(2) | B(3) | B(6) | B(8), [96] = ALL & ~B(9), [97] = ALL & ~B(8), [99] = ALL & ~(B(0) | B(1) | B(7) | B(9)),
};

void country_code(const char *to, char ret[4])
{
	unsigned d[3] = { 0 }, n = 0, want;

	ret[0] = '\0';
	if (to[0] != '+')
		return;
	while (n < 3 && to[n + 1] >= '0' && to[n + 1] <= '9') {
		d[n] = (unsigned)(to[n + 1] - '0');
		n++;
	}
	if (n < 2)
		return;
	want = (unsigned)(lengths[d[0]][d[1]] - '0');
	if (want == 0 || want > n || (want == 3 && (assigned[d[0] * 10 + d[1]] & B(d[2])) == 0))
		return;
	for (unsigned i = 0; i < want; i++)
		ret[i] = (char)('0' + d[i]);
	ret[want] = '\0';
}
