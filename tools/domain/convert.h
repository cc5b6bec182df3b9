/*
 * AF_XDP domain filter: the whole conversion
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_CONVERT_H
#define TOOLS_DOMAIN_CONVERT_H

#include "domain-error.h"

/*
 * domain_convert: convert the marked interfaces of a domain's XML.
 * @text: the XML, @len bytes and a NUL behind them.
 * @out_len: length of the result.
 * @report: what is done and what is worth knowing is added here.
 *
 * A text without marks, and one that was converted before and says the same
 * since, is its own result, byte for byte.
 *
 * Returns the new XML, to be freed with g_free(), or NULL with @errp set.
 */
char *domain_convert(const char *text, gsize len, gsize *out_len,
                     Report *report, GError **errp);

#endif /* TOOLS_DOMAIN_CONVERT_H */
