/* options_print.c: the sample configuration and the man page, made from the table. Pure; `make` and the checks call it through the binary. */
#include <string.h>

#include "daemon/config.h"
#include "daemon/options.h"

enum { SAMPLE_WIDTH = 100 };

/* `text` as comment lines of at most SAMPLE_WIDTH columns. */
static void put_comment(struct buf *out, const char *text)
{
	while (*text != '\0') {
		size_t n = strlen(text);

		if (n > SAMPLE_WIDTH - 2) {
			n = SAMPLE_WIDTH - 2;
			while (n > 0 && text[n] != ' ')
				n--;
			if (n == 0)
				n = strcspn(text, " ");
		}
		buf_puts(out, "; ");
		buf_put(out, text, n);
		buf_putc(out, '\n');
		text += n;
		text += strspn(text, " ");
	}
}

/* "1 to 256 threads or auto; reloadable" */
static void put_range(struct buf *out, const struct options_entry *o)
{
	size_t from = out->len;

	if (o->choices != NULL) {
		for (const char *p = o->choices; *p != '\0'; p++) {
			if (*p == ' ')
				buf_puts(out, " | ");
			else
				buf_putc(out, *p);
		}
	} else if (o->type == OPTION_UINT) {
		buf_printf(out, "%s%s%lld to %lld%s%s", o->zero ? o->zero : "", o->zero ? " or " : "", (long long)o->min, (long long)o->max,
			   o->unit ? " " : "", o->unit ? o->unit : "");
	} else if (o->type == OPTION_BOOL) {
		buf_puts(out, "yes | no");
	}
	if (o->reloadable)
		buf_printf(out, "%sreloadable", out->len > from ? "; " : "");
	if (o->required)
		buf_printf(out, "%srequired", out->len > from ? "; " : "");
}

static void print_sample_option(struct buf *out, const struct options_entry *o)
{
	struct buf range = { 0 }, help = { 0 };
	size_t from;

	put_range(&range, o);
	buf_puts(&help, o->help);
	if (range.len > 0) {
		buf_puts(&help, " (");
		buf_put(&help, range.data, range.len);
		buf_putc(&help, ')');
	}
	buf_putc(&help, '\0');
	put_comment(out, help.data);
	from = out->len;
	/* what must be said, or differs from case to case, stands ready; the rest shows its default */
	if (!o->required)
		buf_puts(out, ";");
	buf_printf(out, "%s = %s\n", o->key, o->def ? o->def : o->example);
	out->oom = out->oom || range.oom || help.oom || out->len < from;
	buf_fini(&range);
	buf_fini(&help);
}

void options_print_sample(struct buf *out)
{
	buf_puts(out, "; smstrackd.conf: the configuration of smstrackd; every option with its default. Made from the table of\n"
		      "; options by `smstrackd --print-sample`. smstrackd.conf(5) has the same; `smstrackd --check-config FILE`\n"
		      "; checks a file. What is commented out holds as it stands, or is an example where nothing is the default.\n");
	for (size_t i = 0; i < options_sections_count; i++) {
		buf_putc(out, '\n');
		put_comment(out, options_sections[i].help);
		buf_printf(out, "[%s%s]\n", options_sections[i].name, options_sections[i].named ? " acme" : "");
		for (size_t j = 0; j < options_count; j++)
			if (strcmp(options_table[j].section, options_sections[i].name) == 0)
				print_sample_option(out, &options_table[j]);
	}
}

/* ---- man page ---- */

/* groff_man(7): a backslash, a leading dot or quote, and the minus sign need care. */
static void put_roff(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			buf_puts(out, "\\e");
		else if (*s == '-')
			buf_puts(out, "\\-");
		else if (*s == '\'')
			buf_puts(out, "\\(aq");
		else
			buf_putc(out, *s);
	}
}

static void print_man_option(struct buf *out, const struct options_entry *o)
{
	struct buf range = { 0 };

	put_range(&range, o);
	buf_putc(&range, '\0');
	buf_puts(out, ".TP\n.B ");
	put_roff(out, o->key);
	if (o->def != NULL) {
		buf_puts(out, " = ");
		put_roff(out, o->def);
	}
	buf_putc(out, '\n');
	put_roff(out, o->help);
	buf_putc(out, '\n');
	if (range.len > 1) {
		buf_puts(out, ".br\n(");
		put_roff(out, range.data);
		buf_puts(out, ")\n");
	}
	if (o->def == NULL) {
		buf_puts(out, ".br\nExample: ");
		put_roff(out, o->example);
		buf_putc(out, '\n');
	}
	out->oom = out->oom || range.oom;
	buf_fini(&range);
}

static const char man_head[] =
	".\\\" Made by `smstrackd --print-man`: edit daemon/options.c instead.\n"
	".TH SMSTRACKD.CONF 5 \"\" \"smstrackd\" \"File formats\"\n"
	".SH NAME\nsmstrackd.conf \\- configuration of smstrackd\n"
	".SH SYNOPSIS\n.B " CONFIG_DEFAULT_PATH "\n"
	".SH DESCRIPTION\n"
	"Sections in brackets, below them\n.I key\n=\n.IR value .\n"
	"A line that begins with ; or # is a comment, and so is what follows a value after white space and ; or #. A value in double\n"
	"quotes may hold these characters and leading white space; inside quotes, \\e\" and \\e\\e stand for \" and \\e.\n"
	".PP\n"
	"An unknown section or key is an error, with the exception of\n.BR [kafka] .\n"
	".B smstrackd \\-\\-check\\-config\n.I FILE\nfinds all errors at once and ends with 78 where there are any.\n"
	".PP\n"
	"A reload (SIGHUP, or\n.BR \"smstrack reload\" )\n"
	"checks the whole file first; a broken one changes nothing. What is marked reloadable takes effect then, the rest at the next\n"
	"start, and the reload says so.\n";

static const char man_tail[] =
	".SH FILES\n.TP\n.B " CONFIG_DEFAULT_PATH "\nThe default path; another one by\n.BR \"smstrackd \\-f\" .\n"
	".SH SEE ALSO\n.BR smstrackd (8),\n.BR smstrack (1)\n";

void options_print_man(struct buf *out)
{
	buf_puts(out, man_head);
	for (size_t i = 0; i < options_sections_count; i++) {
		buf_printf(out, ".SH [%s%s]\n", options_sections[i].name, options_sections[i].named ? " NAME" : "");
		put_roff(out, options_sections[i].help);
		buf_putc(out, '\n');
		for (size_t j = 0; j < options_count; j++)
			if (strcmp(options_table[j].section, options_sections[i].name) == 0)
				print_man_option(out, &options_table[j]);
	}
	buf_puts(out, man_tail);
}
