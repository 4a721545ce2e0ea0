/* http_date.c: reads what strptime() would, without a locale and without a time zone. Any thread. It checks no weekday. */
#include "dispatch/http_date.h"

#include <stdbool.h>
#include <string.h>

struct cursor {
	const char *s, *end;
	bool bad;
};

struct date {
	int64_t year, month, day, hour, minute, second;         /* month from 1 */
};

static void expect(struct cursor *c, char byte)
{
	if (c->s < c->end && *c->s == byte)
		c->s++;
	else
		c->bad = true;
}

static int64_t digits(struct cursor *c, size_t n)
{
	int64_t v = 0;

	for (; n > 0; n--) {
		if (c->s == c->end || *c->s < '0' || *c->s > '9') {
			c->bad = true;
			return 0;
		}
		v = v * 10 + (*c->s++ - '0');
	}
	return v;
}

static int64_t month(struct cursor *c)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int64_t i = 0; i < 12 && c->end - c->s >= 3; i++) {
		if (memcmp(c->s, names + i * 3, 3) == 0) {
			c->s += 3;
			return i + 1;
		}
	}
	c->bad = true;
	return 0;
}

static void time_of_day(struct cursor *c, struct date *d)
{
	d->hour = digits(c, 2);
	expect(c, ':');
	d->minute = digits(c, 2);
	expect(c, ':');
	d->second = digits(c, 2);
}

/* "06 Nov 1994 08:49:37 GMT", or the obsolete "06-Nov-94 08:49:37 GMT". */
static void read_gmt(struct cursor *c, struct date *d)
{
	char between;

	expect(c, ',');
	expect(c, ' ');
	d->day = digits(c, 2);
	between = c->s < c->end && *c->s == '-' ? '-' : ' ';
	expect(c, between);
	d->month = month(c);
	expect(c, between);
	d->year = digits(c, between == '-' ? 2 : 4);
	if (between == '-')
		d->year += d->year < 70 ? 2000 : 1900;
	expect(c, ' ');
	time_of_day(c, d);
	expect(c, ' ');
	expect(c, 'G');
	expect(c, 'M');
	expect(c, 'T');
}

/* asctime(): "Nov  6 08:49:37 1994". */
static void read_asctime(struct cursor *c, struct date *d)
{
	expect(c, ' ');
	d->month = month(c);
	expect(c, ' ');
	if (c->s < c->end && *c->s == ' ') {
		c->s++;
		d->day = digits(c, 1);
	} else {
		d->day = digits(c, 2);
	}
	expect(c, ' ');
	time_of_day(c, d);
	expect(c, ' ');
	d->year = digits(c, 4);
}

/* Days since 1970-01-01 of the Gregorian calendar; years are counted from March, so that the leap day comes last. */
static int64_t days(const struct date *d)
{
	int64_t y = d->month > 2 ? d->year : d->year - 1, m = (d->month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + d->day - 1 - 719468;
}

int64_t http_date_parse(const char *s, size_t len)
{
	struct cursor c = { s, s + len, false };
	struct date d = { 0 };

	while (c.s < c.end && ((*c.s >= 'A' && *c.s <= 'Z') || (*c.s >= 'a' && *c.s <= 'z')))
		c.s++;                  /* the weekday */
	if (c.s < c.end && *c.s == ',')
		read_gmt(&c, &d);
	else
		read_asctime(&c, &d);
	if (c.bad || c.s != c.end || d.year < 1970 || d.day < 1 || d.day > 31 || d.hour > 23 || d.minute > 59 || d.second > 60)
		return -1;
	return days(&d) * 86400 + d.hour * 3600 + d.minute * 60 + d.second;
}
