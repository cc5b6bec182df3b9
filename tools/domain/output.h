/*
 * AF_XDP domain filter: reading and writing files
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_OUTPUT_H
#define TOOLS_DOMAIN_OUTPUT_H

#include <glib.h>

/*
 * input_read: all of the file @name, or of standard input for "-".
 * @len: its length; a NUL follows.
 *
 * Returns what is to be freed with g_free(), or NULL with @errp set.
 */
char *input_read(const char *name, gsize *len, GError **errp);

/*
 * output_write: write @text to the file @name, or to standard output for "-".
 * A file has its old or its new content at any time, also after a crash, and
 * keeps its permissions and owner; of a link, what it leads to is written. What
 * is no file, such as a pipe or /dev/null, is opened and written to.
 *
 * Returns false with @errp set.
 */
bool output_write(const char *name, const char *text, gsize len,
                  GError **errp);

#endif /* TOOLS_DOMAIN_OUTPUT_H */
