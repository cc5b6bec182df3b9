/*
 * AF_XDP domain filter: JSON that others have written
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "json-text.h"

/* json-glib calls itself for each level; KubeVirt's objects have about 20. */
#define DEPTH_LIMIT 100

/* Is it neither too deep, nor has it a NUL, which would end a string? */
static bool check(const char *text, GError **errp)
{
    bool quoted = false;
    int depth = 0;

    for (; *text; text++) {
        if (quoted && *text == '\\') {
            if (g_str_has_prefix(text, "\\u0000")) {
                return domain_error(errp, 0, NULL, "a string has a NUL in it");
            }
            text += text[1] ? 1 : 0;
        } else if (*text == '"') {
            quoted = !quoted;
        } else if (!quoted && (*text == '[' || *text == '{')) {
            if (++depth > DEPTH_LIMIT) {
                return domain_error(errp, 0, NULL, "it is nested more than %d "
                                    "levels deep", DEPTH_LIMIT);
            }
        } else if (!quoted && (*text == ']' || *text == '}')) {
            depth--;
        }
    }
    return true;
}

JsonNode *json_text_parse(const char *text, GError **errp)
{
    return check(text, errp) ? json_from_string(text, errp) : NULL;
}
