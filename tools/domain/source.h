/*
 * AF_XDP domain filter: the XML as it was written
 *
 * libxml2 says what the document means; this says in addition where in the
 * text each element is, so that the text can be changed in some places and
 * stay as it is, byte for byte, everywhere else. Changes are collected and
 * made all at once.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_SOURCE_H
#define TOOLS_DOMAIN_SOURCE_H

#include <glib.h>
#include <libxml/tree.h>

/* Where an element is in the text: offsets in bytes. */
typedef struct Extent {
    gsize start;            /* of its "<" */
    gsize content;          /* behind the ">" of its start tag */
    gsize end_tag;          /* of "</"; behind it all if there is none */
    gsize end;              /* behind it all */
    int line;               /* of @start, from 1 */
    bool empty;             /* "<name/>" */
} Extent;

typedef struct Source {
    const char *text;       /* the caller's; must outlive this */
    gsize len;
    xmlDoc *doc;
    xmlNode *root;
    const char *newline;    /* as the root element has them, or "" */
    GPtrArray *edits;
    GArray *extents;        /* in document order */
} Source;

/*
 * source_new: parse @text, @len bytes of UTF-8 and a NUL behind them.
 * @errp: what is not well-formed, with its line; also set for a document type
 *        declaration, which can make a small text a large document.
 *
 * Returns what is to be freed with source_free(), or NULL.
 */
Source *source_new(const char *text, gsize len, GError **errp);
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

/* source_extent: where the element @node is. */
const Extent *source_extent(const Source *source, const xmlNode *node);

/* source_line: the line in which the element @node begins. */
int source_line(const Source *source, const xmlNode *node);

/*
 * source_indent: the white space in front of @node on its line, if there is
 * nothing else in front of it, or "". To be freed with g_free().
 */
char *source_indent(const Source *source, const xmlNode *node);

/*
 * source_replace: have the bytes from @from up to, not including, @to
 * replaced by @with. Places must not overlap; what is put into the same place
 * stands there in the order of the calls.
 */
void source_replace(Source *source, gsize from, gsize to, const char *with);

/*
 * source_replace_element: the same for a whole element, with the line that it
 * is alone on if @with is empty.
 */
void source_replace_element(Source *source, const xmlNode *node,
                            const char *with);

/*
 * source_append_child: put @text, an element, at the end of @parent, on a line
 * of its own if the document has lines. An empty element gets an end tag.
 * @text: its lines after the first are indented as they are to be.
 */
void source_append_child(Source *source, const xmlNode *parent,
                         const char *text);

/*
 * source_add_attribute: put @text, as in "a='b'", at the end of the start tag
 * of @node.
 */
void source_add_attribute(Source *source, const xmlNode *node,
                          const char *text);

/* source_changed: has a change been asked for? */
bool source_changed(const Source *source);

/*
 * source_result: the text with all changes made.
 *
 * Returns a string of @len bytes, to be freed with g_free().
 */
char *source_result(Source *source, gsize *len);

/*
 * source_copy: the text of the element @node without that of its children
 * @less, which are in the document's order and end with NULL, and with the
 * element @more at its end, which may be NULL. To be freed with g_free().
 */
char *source_copy(const Source *source, const xmlNode *node,
                  const xmlNode *const *less, const char *more);

/*
 * Elements of a namespace, or of none if @ns is NULL. xml_child: the first
 * child @name of @parent, NULL if there is none or @parent is NULL. xml_next:
 * the next one like @node. xml_is: is it one?
 */
xmlNode *xml_child(const xmlNode *parent, const char *ns, const char *name);
xmlNode *xml_next(const xmlNode *node);
bool xml_is(const xmlNode *node, const char *ns, const char *name);

/* xml_attr: an attribute without namespace, to be freed; NULL if missing. */
char *xml_attr(const xmlNode *node, const char *name);

/* xml_attr_is: does it have the attribute with this value? */
bool xml_attr_is(const xmlNode *node, const char *name, const char *value);

/* xml_escape: @value as an attribute in single quotes has it, to be freed. */
char *xml_escape(const char *value);

/* xml_content: the text in an element, trimmed, to be freed. */
char *xml_content(const xmlNode *node);

#endif /* TOOLS_DOMAIN_SOURCE_H */
