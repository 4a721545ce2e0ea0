/* gateway_http_url.c: http and https URLs (RFC 3986), as strict as a configuration can afford. Any thread. It decodes nothing. */
#include "dispatch/gateway_http_url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Host and port of "host[:port]"; words on failure, else NULL. */
static const char *parse_authority(const char *s, size_t len, struct gateway_http_url *ret)
{
	const char *end = s + len, *host = s, *host_end, *p;
	unsigned port = 0;

	if (memchr(s, '@', len) != NULL)
		return "url: it can't hold credentials; use user and password_file";
	if (len > 0 && *s == '[') {
		host++;
		host_end = memchr(s, ']', len);
		if (host_end == NULL)
			return "url: the address lacks its ]";
		p = host_end + 1;
	} else {
		host_end = memchr(s, ':', len);
		host_end = host_end != NULL ? host_end : end;
		p = host_end;
	}
	if (host_end == host || (size_t)(host_end - host) >= sizeof ret->host)
		return "url: a host of 1 to 253 bytes must follow the //";
	memcpy(ret->host, host, (size_t)(host_end - host));
	ret->host[host_end - host] = '\0';
	if (p == end)
		return NULL;
	if (*p++ != ':' || p == end)
		return "url: a port of 1 to 65535 must follow the host's colon";
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' || port > 65535)
			return "url: the port must be a number of 1 to 65535";
		port = port * 10 + (unsigned)(*p - '0');
	}
	if (port == 0 || port > 65535)
		return "url: the port must be a number of 1 to 65535";
	ret->port = (uint16_t)port;
	return NULL;
}

static const char *parse(const char *text, struct gateway_http_url *url)
{
	bool plain = strncasecmp(text, "http://", 7) == 0;
	const char *authority = text + (plain ? 7 : 8), *wrong;

	url->tls = strncasecmp(text, "https://", 8) == 0;
	if (!url->tls && !plain)
		return "url: must begin with https:// or http://";
	url->port = url->tls ? 443 : 80;
	url->path = authority + strcspn(authority, "/?#");
	wrong = parse_authority(authority, (size_t)(url->path - authority), url);
	if (wrong != NULL)
		return wrong;
	if (*url->path == '?')
		return "url: a / must stand before the ?";
	for (const char *p = url->path; *p != '\0'; p++) {
		if (*p == '#')
			return "url: a fragment (#) is never sent; write %23 if it belongs to the path";
		if (*p <= ' ' || *p >= 0x7f)
			return "url: spaces and what isn't ASCII must be written as %XX";
	}
	for (const char *p = url->host; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("\\\"<>[]", *p) != NULL)
			return "url: a byte that no host name has (international names are written as xn--...)";
	}
	return NULL;
}

int gateway_http_url_parse(const char *text, struct gateway_http_url *ret, char *err, size_t err_len)
{
	struct gateway_http_url url = { .tls = false };
	const char *wrong = parse(text, &url);

	if (wrong != NULL) {
		snprintf(err, err_len, "%s", wrong);
		return -EINVAL;
	}
	*ret = url;
	return 0;
}

bool gateway_http_url_is_local(const struct gateway_http_url *url)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, url->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, url->host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(url->host, "localhost") == 0;        /* RFC 6761, 6.3 */
}
