/* ini.c: see ini.h. Own, because what Debian has cuts lines at 200 bytes and gives no line numbers. Control thread, at start and reload. */
#include "daemon/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/alloc.h"

struct parser {
	const struct ini_handler *h;
	char *line;                     /* the current one, NUL-terminated, cut up in place */
	int number;
	bool failed;
};

static void fail(struct parser *p, const char *what)
{
	p->failed = true;
	p->h->on_error(p->number, what, p->h->arg);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *skip_space(char *s)
{
	while (is_space(*s))
		s++;
	return s;
}

static void trim_end(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && is_space(s[n - 1]))
		s[--n] = '\0';
}

static bool is_word(const char *s)
{
	for (const char *p = s; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '_' || *p == '-'))
			return false;
	return *s != '\0';
}

/* Ends `s` where a comment begins: at ; or # that stands first or behind white space. */
static void cut_comment(char *s)
{
	for (char *p = s; *p != '\0'; p++) {
		if ((*p == ';' || *p == '#') && (p == s || is_space(p[-1]))) {
			*p = '\0';
			break;
		}
	}
	trim_end(s);
}

/* Takes the quotes off in place; NULL where they don't close or something follows them. */
static char *unquote(char *s)
{
	char *out = s, *in = s + 1;

	while (*in != '"') {
		if (*in == '\0')
			return NULL;
		if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
			in++;
		*out++ = *in++;
	}
	in = skip_space(in + 1);
	if (*in != '\0' && *in != ';' && *in != '#')
		return NULL;
	*out = '\0';
	return s;
}

static void take_section(struct parser *p, char *s)
{
	char *end = strchr(s, ']'), *name;

	if (end == NULL) {
		fail(p, "a section needs a ] at its end");
		return;
	}
	*end = '\0';
	cut_comment(end + 1);
	if (*skip_space(end + 1) != '\0') {
		fail(p, "nothing but a comment may follow a section's ]");
		return;
	}
	s = skip_space(s);
	trim_end(s);
	name = s + strcspn(s, " \t");
	if (*name != '\0') {
		*name++ = '\0';
		name = skip_space(name);
	}
	if (!is_word(s) || (*name != '\0' && !is_word(name)))
		fail(p, "a section is [word] or [word name]: letters, digits, '.', '_' and '-'");
	else
		p->h->on_section(s, name, p->number, p->h->arg);
}

static void take_value(struct parser *p, char *s)
{
	char *value = strchr(s, '=');

	if (value == NULL) {
		fail(p, "neither a [section] nor key = value");
		return;
	}
	*value++ = '\0';
	trim_end(s);
	if (!is_word(s)) {
		fail(p, "a key has letters, digits, '.', '_' and '-' only");
		return;
	}
	value = skip_space(value);
	if (*value == '"') {
		value = unquote(value);
		if (value == NULL) {
			fail(p, "a quoted value needs one closing quote, and \\ before a quote inside it");
			return;
		}
	} else {
		cut_comment(value);
	}
	p->h->on_value(s, value, p->number, p->h->arg);
}

static void take_line(struct parser *p, const char *data, size_t len)
{
	char *s;

	p->number++;
	if (len > INI_LINE_MAX) {
		fail(p, "a line has at most 65536 bytes");
		return;
	}
	if (memchr(data, '\0', len) != NULL) {
		fail(p, "a NUL byte: this is no text file");
		return;
	}
	memcpy(p->line, data, len);
	p->line[len] = '\0';
	s = skip_space(p->line);
	trim_end(s);
	if (*s == '\0' || *s == ';' || *s == '#')
		return;
	if (*s == '[')
		take_section(p, s + 1);
	else
		take_value(p, s);
}

int ini_parse(const char *data, size_t len, const struct ini_handler *handler)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct parser p = { .h = handler, .line = mem_alloc(INI_LINE_MAX + 1) };
	const char *end = data + len;

	if (p.line == NULL)
		return -ENOMEM;
	if (len >= 3 && memcmp(data, bom, 3) == 0)
		data += 3;
	while (data < end) {
		const char *eol = memchr(data, '\n', (size_t)(end - data));

		if (eol == NULL)
			eol = end;
		take_line(&p, data, (size_t)(eol - data));
		data = eol + 1;
	}
	mem_free(p.line);
	return p.failed ? -EINVAL : 0;
}

int ini_read_file(const char *path, size_t max, struct buf *buf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	buf_reset(buf);
	for (;;) {
		char *room = buf_room(buf, 4096);
		ssize_t n = room ? read(fd, room, 4096) : -1;

		if (room == NULL)
			err = -ENOMEM;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		buf_add(buf, (size_t)n);
		if (buf->len > max) {
			err = -EFBIG;
			break;
		}
	}
	close(fd);
	return err;
}
