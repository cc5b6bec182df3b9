/*
 * AF_XDP domain filter: the XML as it was written
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <libxml/parser.h>
#include "domain-error.h"
#include "source.h"

typedef struct Edit {
    gsize from;
    gsize to;
    unsigned number;        /* of the call */
    char *with;
} Edit;

static void edit_free(void *opaque)
{
    Edit *edit = opaque;

    g_free(edit->with);
    g_free(edit);
}

/* The element after @node in document order, or NULL. */
static xmlNode *next_element(xmlNode *node)
{
    xmlNode *next = xmlFirstElementChild(node);

    while (!next && node && node->type == XML_ELEMENT_NODE) {
        next = xmlNextElementSibling(node);
        node = node->parent;
    }
    return next;
}

/* The end of what starts at @pos and ends with @mark; -1 if it does not. */
static gssize skip(const Source *source, gsize pos, const char *mark)
{
    const char *end = g_strstr_len(source->text + pos, source->len - pos, mark);

    return end ? end + strlen(mark) - source->text : -1;
}

/* The end of the tag at @pos: its ">" may also stand in a quoted value. */
static gssize skip_tag(const Source *source, gsize pos)
{
    char quote = 0;

    for (; pos < source->len; pos++) {
        char c = source->text[pos];

        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return pos + 1;
        }
    }
    return -1;
}

static bool starts(const Source *source, gsize pos, const char *with)
{
    gsize len = strlen(with);

    return source->len - pos >= len && !memcmp(source->text + pos, with, len);
}

/*
 * Walk through the text, which is known to be well-formed and to have no
 * entities of its own, and through the tree in step. An extent's number is
 * kept in _private of the node, which libxml2 leaves to its user.
 *
 * Returns false if they do not agree.
 */
static bool locate(Source *source)
{
    g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(guint));
    xmlNode *node = source->root;
    gsize pos = 0;
    int line = 1;

    while (pos < source->len) {
        gsize start = pos;
        gssize end = pos + 1;

        if (source->text[pos] != '<') {
            line += source->text[pos] == '\n';
            pos++;
            continue;
        }
        if (starts(source, pos, "<!--")) {
            end = skip(source, pos + 4, "-->");
        } else if (starts(source, pos, "<?")) {
            end = skip(source, pos, "?>");
        } else if (starts(source, pos, "<![CDATA[")) {
            end = skip(source, pos, "]]>");
        } else if (starts(source, pos, "</")) {
            Extent *extent;

            end = skip_tag(source, pos);
            if (!open->len || end < 0) {
                return false;
            }
            extent = &g_array_index(source->extents, Extent,
                                    g_array_index(open, guint, open->len - 1));
            extent->end_tag = pos;
            extent->end = end;
            g_array_set_size(open, open->len - 1);
        } else {
            Extent extent = { .start = pos, .line = line };
            guint number = source->extents->len;

            end = skip_tag(source, pos);
            if (!node || end < 0) {
                return false;
            }
            extent.content = extent.end_tag = extent.end = end;
            extent.empty = source->text[end - 2] == '/';
            if (!extent.empty) {
                g_array_append_val(open, number);
            }
            g_array_append_val(source->extents, extent);
            node->_private = GUINT_TO_POINTER(number);
            node = next_element(node);
        }
        if (end < 0) {
            return false;
        }
        for (pos = end; start < pos; start++) {
            line += source->text[start] == '\n';
        }
    }
    return !node && !open->len;
}

static const char *find_newline(const char *text, gsize len)
{
    const char *end = memchr(text, '\n', len);

    if (!end) {
        return "";
    }
    return end > text && end[-1] == '\r' ? "\r\n" : "\n";
}

static bool parse(Source *source, GError **errp)
{
    xmlParserCtxt *ctxt = xmlNewParserCtxt();
    const char *encoding;
    int line = -1;

    source->doc = xmlCtxtReadMemory(ctxt, source->text, source->len, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR |
                                    XML_PARSE_NOWARNING |
                                    XML_PARSE_BIG_LINES);
    if (!source->doc) {
        const xmlError *error = xmlCtxtGetLastError(ctxt);
        g_autofree char *why = g_strdup(error && error->message ?
                                        error->message : "it is empty");

        domain_error(errp, error ? error->line : 0, NULL,
                     "this is not well-formed XML: %s", g_strstrip(why));
        xmlFreeParserCtxt(ctxt);
        return false;
    }
    if (!ctxt->nsWellFormed) {
        const xmlError *error = xmlCtxtGetLastError(ctxt);

        line = error ? error->line : 0;
    }
    xmlFreeParserCtxt(ctxt);
    if (line >= 0) {
        return domain_error(errp, line, "Declare it at <domain>, as in "
                            "xmlns:qemu='...'.", "a prefix has no namespace");
    }
    encoding = (const char *)source->doc->encoding;
    if (encoding && g_ascii_strcasecmp(encoding, "UTF-8") &&
        g_ascii_strcasecmp(encoding, "US-ASCII")) {
        return domain_error(errp, 1, "Convert it with iconv, or leave out "
                            "encoding=.", "the encoding is '%s', not UTF-8",
                            encoding);
    }
    if (source->doc->intSubset) {
        return domain_error(errp, 1, "Remove <!DOCTYPE ...>; libvirt writes "
                            "none.", "a document type declaration is not "
                            "accepted");
    }
    source->root = xmlDocGetRootElement(source->doc);
    return true;
}

Source *source_new(const char *text, gsize len, GError **errp)
{
    g_autoptr(Source) source = g_new0(Source, 1);
    const Extent *root;

    source->text = text;
    source->len = len;
    source->edits = g_ptr_array_new_with_free_func(edit_free);
    source->extents = g_array_new(FALSE, FALSE, sizeof(Extent));
    if (len > INT_MAX || !g_utf8_validate_len(text, len, NULL)) {
        domain_error(errp, 0, NULL, "this is not UTF-8 text");
        return NULL;
    }
    if (!parse(source, errp)) {
        return NULL;
    }
    if (!locate(source)) {
        domain_error(errp, 0, NULL, "cannot tell where elements begin and end");
        return NULL;
    }
    root = source_extent(source, source->root);
    source->newline = find_newline(text + root->start, root->end - root->start);
    return g_steal_pointer(&source);
}

void source_free(Source *source)
{
    if (source->doc) {
        xmlFreeDoc(source->doc);
    }
    g_ptr_array_unref(source->edits);
    g_array_unref(source->extents);
    g_free(source);
}

const Extent *source_extent(const Source *source, const xmlNode *node)
{
    return &g_array_index(source->extents, Extent,
                          GPOINTER_TO_UINT(node->_private));
}

int source_line(const Source *source, const xmlNode *node)
{
    return source_extent(source, node)->line;
}

/* The first byte of the white space on the line in front of @pos. */
static gsize indent_start(const Source *source, gsize pos)
{
    while (pos > 0 && (source->text[pos - 1] == ' ' ||
                       source->text[pos - 1] == '\t')) {
        pos--;
    }
    return pos;
}

char *source_indent(const Source *source, const xmlNode *node)
{
    gsize start = source_extent(source, node)->start;
    gsize begin = indent_start(source, start);

    if (begin > 0 && source->text[begin - 1] != '\n') {
        return g_strdup("");
    }
    return g_strndup(source->text + begin, start - begin);
}

void source_replace(Source *source, gsize from, gsize to, const char *with)
{
    Edit *edit = g_new0(Edit, 1);

    edit->from = from;
    edit->to = to;
    edit->number = source->edits->len;
    edit->with = g_strdup(with);
    g_ptr_array_add(source->edits, edit);
}

/* Where an element's line begins if it is alone on it; else its own start. */
static gsize line_start(const Source *source, const Extent *extent)
{
    gsize begin = indent_start(source, extent->start);
    const char *rest = source->text + extent->end;

    if ((begin > 0 && source->text[begin - 1] != '\n') ||
        !*source->newline || !g_str_has_prefix(rest, source->newline)) {
        return extent->start;
    }
    return begin;
}

void source_replace_element(Source *source, const xmlNode *node,
                            const char *with)
{
    const Extent *extent = source_extent(source, node);
    gsize from = extent->start, to = extent->end;

    if (!*with) {
        from = line_start(source, extent);
        if (from != extent->start ||
            (from > 0 && source->text[from - 1] == '\n' &&
             g_str_has_prefix(source->text + to, source->newline))) {
            to += strlen(source->newline);
        }
    }
    source_replace(source, from, to, with);
}

/* The change that has given the empty element an end tag, or NULL. */
static Edit *find_opened(const Source *source, const Extent *extent)
{
    for (guint i = 0; i < source->edits->len; i++) {
        Edit *edit = g_ptr_array_index(source->edits, i);

        if (edit->from == extent->end - 2 && edit->to == extent->end) {
            return edit;
        }
    }
    return NULL;
}

void source_append_child(Source *source, const xmlNode *parent,
                         const char *text)
{
    const Extent *extent = source_extent(source, parent);
    g_autofree char *indent = source_indent(source, parent);
    const char *step = *source->newline ? "  " : "";
    g_autofree char *line = g_strconcat(step, text, source->newline,
                                        indent, NULL);

    if (extent->empty) {
        Edit *opened = find_opened(source, extent);
        g_autofree char *name = NULL;
        g_autofree char *whole = NULL;

        if (opened) {
            GString *with = g_string_new(opened->with);

            g_string_insert(with, strrchr(opened->with, '<') - opened->with,
                            line);
            g_free(opened->with);
            opened->with = g_string_free(with, FALSE);
            return;
        }
        if (parent->ns && parent->ns->prefix) {
            name = g_strdup_printf("%s:%s", parent->ns->prefix, parent->name);
        } else {
            name = g_strdup((const char *)parent->name);
        }
        whole = g_strconcat(">", source->newline, indent, line, "</", name,
                            ">", NULL);
        source_replace(source, extent->end - 2, extent->end, whole);
    } else {
        /* The white space before the end tag goes before the new line. */
        gsize begin = indent_start(source, extent->end_tag);
        bool own_line = begin > 0 && source->text[begin - 1] == '\n';
        g_autofree char *whole = NULL;

        if (own_line) {
            whole = g_strconcat(indent, step, text, source->newline, NULL);
            source_replace(source, begin, begin, whole);
        } else {
            whole = g_strconcat(source->newline, indent, line, NULL);
            source_replace(source, extent->end_tag, extent->end_tag, whole);
        }
    }
}

void source_add_attribute(Source *source, const xmlNode *node,
                          const char *text)
{
    const Extent *extent = source_extent(source, node);
    gsize pos = extent->content - (extent->empty ? 2 : 1);
    g_autofree char *with = g_strconcat(" ", text, NULL);

    source_replace(source, pos, pos, with);
}

bool source_changed(const Source *source)
{
    return source->edits->len > 0;
}

static int compare_edits(const void *a, const void *b)
{
    const Edit *x = *(const Edit *const *)a;
    const Edit *y = *(const Edit *const *)b;

    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return x->number < y->number ? -1 : 1;
}

char *source_result(Source *source, gsize *len)
{
    GString *out = g_string_sized_new(source->len);
    gsize pos = 0;

    g_ptr_array_sort(source->edits, compare_edits);
    for (guint i = 0; i < source->edits->len; i++) {
        const Edit *edit = g_ptr_array_index(source->edits, i);

        g_assert(edit->from >= pos && edit->to >= edit->from);
        g_string_append_len(out, source->text + pos, edit->from - pos);
        g_string_append(out, edit->with);
        pos = edit->to;
    }
    g_string_append_len(out, source->text + pos, source->len - pos);
    *len = out->len;
    return g_string_free(out, FALSE);
}

char *source_copy(const Source *source, const xmlNode *node,
                  const xmlNode *const *less, const char *more)
{
    const Extent *whole = source_extent(source, node);
    GString *out = g_string_new(NULL);
    gsize pos = whole->start;

    for (; *less; less++) {
        const Extent *hole = source_extent(source, *less);
        gsize from = line_start(source, hole);

        g_string_append_len(out, source->text + pos, from - pos);
        pos = hole->end + (from != hole->start ? strlen(source->newline) : 0);
    }
    if (!more) {
        g_string_append_len(out, source->text + pos, whole->end - pos);
    } else if (whole->empty) {
        g_string_append_len(out, source->text + pos, whole->end - 2 - pos);
        g_string_append_printf(out, ">%s</%s>", more, node->name);
    } else {
        gsize begin = indent_start(source, whole->end_tag);
        g_autofree char *indent = source_indent(source, node);

        if (begin >= pos && source->text[begin - 1] == '\n') {
            g_string_append_len(out, source->text + pos, begin - pos);
            g_string_append_printf(out, "%s  %s%s", indent, more,
                                   source->newline);
            pos = begin;
        } else {
            g_string_append_len(out, source->text + pos,
                                whole->end_tag - pos);
            g_string_append(out, more);
            pos = whole->end_tag;
        }
        g_string_append_len(out, source->text + pos, whole->end - pos);
    }
    return g_string_free(out, FALSE);
}

bool xml_is(const xmlNode *node, const char *ns, const char *name)
{
    const char *its = node->ns ? (const char *)node->ns->href : NULL;

    return node->type == XML_ELEMENT_NODE && !g_strcmp0(its, ns) &&
        !strcmp((const char *)node->name, name);
}

xmlNode *xml_child(const xmlNode *parent, const char *ns, const char *name)
{
    xmlNode *node = parent ? parent->children : NULL;

    while (node && !xml_is(node, ns, name)) {
        node = node->next;
    }
    return node;
}

xmlNode *xml_next(const xmlNode *node)
{
    const char *ns = node->ns ? (const char *)node->ns->href : NULL;
    xmlNode *next = node->next;

    while (next && !xml_is(next, ns, (const char *)node->name)) {
        next = next->next;
    }
    return next;
}

char *xml_attr(const xmlNode *node, const char *name)
{
    xmlChar *value = xmlGetNoNsProp((xmlNode *)node, (const xmlChar *)name);
    char *copy = g_strdup((const char *)value);

    xmlFree(value);
    return copy;
}

bool xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *its = xml_attr(node, name);

    return its && !strcmp(its, value);
}

char *xml_escape(const char *value)
{
    GString *out = g_string_new(NULL);

    for (; *value; value++) {
        switch (*value) {
        case '&':
            g_string_append(out, "&amp;");
            break;
        case '<':
            g_string_append(out, "&lt;");
            break;
        case '>':
            g_string_append(out, "&gt;");
            break;
        case '\'':
            g_string_append(out, "&apos;");
            break;
        case '\t':
        case '\n':
        case '\r':
            /* A parser would make a space of it. */
            g_string_append_printf(out, "&#%d;", *value);
            break;
        default:
            g_string_append_c(out, *value);
        }
    }
    return g_string_free(out, FALSE);
}

char *xml_content(const xmlNode *node)
{
    xmlChar *value = xmlNodeGetContent((xmlNode *)node);
    char *copy = g_strdup(value ? (const char *)value : "");

    xmlFree(value);
    return g_strstrip(copy);
}
