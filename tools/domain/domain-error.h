/*
 * AF_XDP domain filter: errors and messages
 *
 * An error is a GError whose code is the line of the XML that it is about, 0
 * if it is about none, and whose message may be followed, after a newline, by
 * a hint: what to write instead. What is no error is collected in a Report:
 * warnings, which are always shown, and notes, which --explain shows.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_ERROR_H
#define TOOLS_DOMAIN_ERROR_H

#include <glib.h>

#define DOMAIN_ERROR domain_error_quark()
GQuark domain_error_quark(void);

/*
 * domain_error: fill in @errp.
 * @line: of the XML, or 0.
 * @hint: what to write instead, or NULL.
 * @fmt: what is wrong; no newline, no full stop.
 *
 * Returns false, so that a caller can return it.
 */
bool domain_error(GError **errp, int line, const char *hint,
                  const char *fmt, ...) G_GNUC_PRINTF(4, 5);

/* What was done and what is worth knowing; empty at first. */
typedef struct Report {
    GPtrArray *warnings;    /* of Message */
    GPtrArray *notes;       /* of Message */
} Report;

typedef struct Message {
    int line;               /* of the XML that was read, or 0 */
    char *text;
} Message;

/* report_new: to be freed with report_free(). */
Report *report_new(void);
void report_free(Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_free)

/* report_warn, report_note: add a message; @line as for domain_error(). */
void report_warn(Report *report, int line, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);
void report_note(Report *report, int line, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/*
 * message_format: one message as it is shown: "FILE:LINE: KIND: TEXT".
 * @kind: "error", "warning", or NULL for none.
 * @text: more lines than one are indented.
 *
 * Returns a string that ends with a newline, to be freed with g_free().
 */
char *message_format(const char *file, int line, const char *kind,
                     const char *text);

#endif /* TOOLS_DOMAIN_ERROR_H */
