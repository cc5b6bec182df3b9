/*
 * AF_XDP domain filter: errors and messages
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"

GQuark domain_error_quark(void)
{
    return g_quark_from_static_string("qemu-af-xdp-domain-error");
}

bool domain_error(GError **errp, int line, const char *hint,
                  const char *fmt, ...)
{
    g_autofree char *msg = NULL;
    va_list ap;

    va_start(ap, fmt);
    msg = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(errp, DOMAIN_ERROR, line, "%s%s%s", msg,
                hint ? "\n" : "", hint ? hint : "");
    return false;
}

static void message_free(void *opaque)
{
    Message *message = opaque;

    g_free(message->text);
    g_free(message);
}

Report *report_new(void)
{
    Report *report = g_new0(Report, 1);

    report->warnings = g_ptr_array_new_with_free_func(message_free);
    report->notes = g_ptr_array_new_with_free_func(message_free);
    return report;
}

void report_free(Report *report)
{
    g_ptr_array_unref(report->warnings);
    g_ptr_array_unref(report->notes);
    g_free(report);
}

static void G_GNUC_PRINTF(3, 0) add(GPtrArray *list, int line,
                                    const char *fmt, va_list ap)
{
    Message *message = g_new0(Message, 1);

    message->line = line;
    message->text = g_strdup_vprintf(fmt, ap);
    g_ptr_array_add(list, message);
}

void report_warn(Report *report, int line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(report->warnings, line, fmt, ap);
    va_end(ap);
}

void report_note(Report *report, int line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(report->notes, line, fmt, ap);
    va_end(ap);
}

char *message_format(const char *file, int line, const char *kind,
                     const char *text)
{
    GString *out = g_string_new(file);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    if (line > 0) {
        g_string_append_printf(out, ":%d", line);
    }
    g_string_append(out, ": ");
    if (kind) {
        g_string_append_printf(out, "%s: ", kind);
    }
    for (int i = 0; lines[i]; i++) {
        g_string_append_printf(out, "%s%s\n", i ? "    " : "", lines[i]);
    }
    return g_string_free(out, FALSE);
}
