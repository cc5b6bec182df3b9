/*
 * AF_XDP domain filter: JSON that others have written
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_JSON_TEXT_H
#define TOOLS_DOMAIN_JSON_TEXT_H

#include <json-glib/json-glib.h>

/*
 * json_text_parse: parse @text.
 *
 * Returns what is to be freed with json_node_unref(). NULL if it is empty, or,
 * with @errp set, if it is no JSON, nested too deep for the parser, or has a
 * NUL in a string.
 */
JsonNode *json_text_parse(const char *text, GError **errp);

#endif /* TOOLS_DOMAIN_JSON_TEXT_H */
