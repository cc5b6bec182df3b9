/*
 * AF_XDP domain filter: which interfaces are meant
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "mark.h"

/* What a mark can name an interface by. */
static const struct {
    const char *option;
    const char *element;
    const char *attribute;
} selectors[] = {
    { "alias", "alias", "name" },
    { "dev", "target", "dev" },
    { "mac", "mac", "address" },
};

static void mark_free(void *opaque)
{
    Mark *mark = opaque;

    mark_options_free(mark->options);
    g_free(mark);
}

static bool read_options(Mark *mark, GError **errp)
{
    const xmlAttr *attr;

    for (attr = mark->node->properties; attr; attr = attr->next) {
        g_autofree char *value = NULL;
        g_autoptr(GError) err = NULL;

        if (attr->ns) {
            return domain_error(errp, mark->line, "Write it without prefix.",
                                "the option '%s' has a namespace",
                                (const char *)attr->name);
        }
        value = xml_attr(mark->node, (const char *)attr->name);
        if (!mark_options_set(mark->options, (const char *)attr->name, value,
                              &err)) {
            err->code = mark->line;
            g_propagate_error(errp, g_steal_pointer(&err));
            return false;
        }
    }
    return true;
}

/* An interface in few words; to be freed. */
static char *describe(const Source *source, const xmlNode *interface)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "line %d:", source_line(source, interface));
    for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
        const xmlNode *child = xml_child(interface, NULL,
                                         selectors[i].element);
        g_autofree char *value = NULL;

        value = child ? xml_attr(child, selectors[i].attribute) : NULL;
        if (value) {
            g_string_append_printf(out, " %s='%s'", selectors[i].option,
                                   value);
        }
    }
    return g_string_free(out, FALSE);
}

static char *describe_all(const Source *source, const xmlNode *devices)
{
    GString *out = g_string_new(NULL);

    for (const xmlNode *node = xml_child(devices, NULL, "interface"); node;
         node = xml_next(node)) {
        g_autofree char *one = describe(source, node);

        g_string_append_printf(out, "%s%s", out->len ? "\n" : "", one);
    }
    if (!out->len) {
        g_string_append(out, "The domain has no interface.");
    } else {
        g_string_prepend(out, "There are these interfaces:\n");
    }
    return g_string_free(out, FALSE);
}

/* Is @interface the one that the mark names? Nothing named fits any. */
static bool fits(const Mark *mark, const xmlNode *interface)
{
    for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
        const char *want = mark_options_get(mark->options,
                                            selectors[i].option);
        const xmlNode *child = xml_child(interface, NULL,
                                         selectors[i].element);
        g_autofree char *value = NULL;

        if (!want) {
            continue;
        }
        value = child ? xml_attr(child, selectors[i].attribute) : NULL;
        /* Hexadecimal digits of an address may be of either case. */
        if (!value || g_ascii_strcasecmp(value, want) ||
            (strcmp(selectors[i].option, "mac") && strcmp(value, want))) {
            return false;
        }
    }
    return true;
}

static bool names_any(const Mark *mark)
{
    for (size_t i = 0; i < ARRAY_SIZE(selectors); i++) {
        if (mark_options_get(mark->options, selectors[i].option)) {
            return true;
        }
    }
    return false;
}

/* Text that somebody took for an option: the first in @node, or NULL */
static const xmlNode *find_text(const xmlNode *node)
{
    for (node = node->children; node; node = node->next) {
        if (node->type == XML_CDATA_SECTION_NODE ||
            (node->type == XML_TEXT_NODE && !xmlIsBlankNode(node))) {
            return node;
        }
    }
    return NULL;
}

/* In a mark there is at most the interface that it was made of. */
static bool check_content(const Source *source, const Mark *mark,
                          GError **errp)
{
    const xmlNode *saved = mark->inside ? NULL :
        xml_child(mark->node, NULL, "interface");

    if (find_text(mark->node)) {
        return domain_error(errp, mark->line, "Options of a mark are "
                            "attributes.", "there is text in the mark");
    }
    for (const xmlNode *node = mark->node->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && node != saved) {
            return domain_error(errp, source_line(source, node), "Options of "
                                "a mark are attributes.", "<%s> does not "
                                "belong into a mark",
                                (const char *)node->name);
        }
    }
    return true;
}

static bool find_interface(const Source *source, Mark *mark,
                           const xmlNode *devices, GError **errp)
{
    xmlNode *saved = xml_child(mark->node, NULL, "interface");
    g_autofree char *all = NULL;

    if (!check_content(source, mark, errp)) {
        return false;
    }
    if (mark->inside) {
        return true;
    }
    if (!saved && !names_any(mark)) {
        all = describe_all(source, devices);
        return domain_error(errp, mark->line, all, "the mark does not say "
                            "which interface it means, give alias=, dev= or "
                            "mac=");
    }
    for (xmlNode *node = xml_child(devices, NULL, "interface"); node;
         node = xml_next(node)) {
        if (!names_any(mark) || !fits(mark, node)) {
            continue;
        }
        if (mark->interface) {
            all = describe_all(source, devices);
            return domain_error(errp, mark->line, all, "the mark fits more "
                                "than one interface, those of lines %d and %d",
                                source_line(source, mark->interface),
                                source_line(source, node));
        }
        mark->interface = node;
    }
    if (saved && mark->interface) {
        return domain_error(errp, source_line(source, mark->interface),
                            "Delete this <interface>, or the one in the mark.",
                            "this interface is also kept in the mark of line "
                            "%d, which was converted before", mark->line);
    }
    if (saved) {
        mark->interface = saved;
        mark->converted = true;
    }
    if (!mark->interface) {
        all = describe_all(source, devices);
        return domain_error(errp, mark->line, all, "there is no interface "
                            "that the mark fits");
    }
    return true;
}

static bool check_type(const Source *source, const Mark *mark, GError **errp)
{
    g_autofree char *type = xml_attr(mark->interface, "type");

    if (g_strcmp0(type, "ethernet")) {
        return domain_error(errp, source_line(source, mark->interface),
                            "Write <interface type='ethernet'> with <target "
                            "dev='NAME' managed='no'/>, NAME being an "
                            "interface of the host, or remove the mark.",
                            "the interface is marked for AF_XDP, but of type "
                            "'%s'", type ? type : "");
    }
    return true;
}

static bool add(const Source *source, GPtrArray *marks, xmlNode *node,
                xmlNode *inside, const xmlNode *devices, GError **errp)
{
    Mark *mark = g_new0(Mark, 1);

    g_ptr_array_add(marks, mark);
    mark->options = mark_options_new();
    mark->node = node;
    mark->interface = inside;
    mark->inside = inside != NULL;
    mark->line = source_line(source, node);
    if (!read_options(mark, errp) ||
        !find_interface(source, mark, devices, errp) ||
        !check_type(source, mark, errp)) {
        return false;
    }
    for (guint i = 0; i + 1 < marks->len; i++) {
        const Mark *other = g_ptr_array_index(marks, i);

        if (other->interface == mark->interface) {
            return domain_error(errp, mark->line, "Remove one of them.",
                                "the interface of line %d has another mark, "
                                "in line %d",
                                source_line(source, mark->interface),
                                other->line);
        }
    }
    return true;
}

/* "virsh metadata --set" gives the list its namespace, and not what is in it */
static bool is_mark(const xmlNode *node)
{
    return xml_is(node, MARK_NS, "interface") ||
        xml_is(node, NULL, "interface");
}

/* The mark's list in the metadata may have nothing but marks in it. */
static bool check_list(const Source *source, const xmlNode *list,
                       GError **errp)
{
    /* The <interface> that is to be kept in it has no namespace. */
    if (!list->ns->prefix) {
        return domain_error(errp, source_line(source, list),
                            "Write <" MARK_PREFIX ":interfaces xmlns:"
                            MARK_PREFIX "='" MARK_NS "'>.",
                            "the list of marks needs a prefix");
    }
    for (const xmlNode *node = list->children; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && !is_mark(node)) {
            return domain_error(errp, source_line(source, node), NULL,
                                "<%s> is no mark; a mark is <%s:interface> in "
                                "the namespace '%s'", (const char *)node->name,
                                MARK_PREFIX, MARK_NS);
        }
    }
    if (find_text(list)) {
        return domain_error(errp, source_line(source, list), "Write <"
                            MARK_PREFIX ":interface>.",
                            "there is text in the list of marks");
    }
    if (list->properties) {
        return domain_error(errp, source_line(source, list), "Options belong "
                            "to each <" MARK_PREFIX ":interface>.",
                            "the list of marks has an attribute, '%s'",
                            (const char *)list->properties->name);
    }
    return true;
}

/* Marks of a namespace like ours would be none, without a word. */
static bool check_namespace(const Source *source, const xmlNode *node,
                            GError **errp)
{
    const char *href = node->ns ? (const char *)node->ns->href : "";

    return !strstr(href, "qemu.org/schemas/domain/af-xdp") ||
        !strcmp(href, MARK_NS) ||
        domain_error(errp, source_line(source, node),
                     "Marks have '" MARK_NS "'.",
                     "the namespace '%s' of <%s> is not known", href,
                     (const char *)node->name);
}

/* Marks where they are looked at by nobody would be lost without a word. */
static bool check_strays(const Source *source, const GPtrArray *marks,
                         const xmlNode *list, const xmlNode *node,
                         GError **errp)
{
    for (; node; node = node->next) {
        bool known = node == list;

        if (node->type != XML_ELEMENT_NODE) {
            continue;
        }
        for (guint i = 0; i < marks->len; i++) {
            const Mark *mark = g_ptr_array_index(marks, i);

            known |= mark->node == node || mark->node->parent == node;
        }
        if (!known && node->ns && !strcmp((const char *)node->ns->href,
                                          MARK_NS)) {
            return domain_error(errp, source_line(source, node),
                                "Marks belong to <metadata>, in one <"
                                MARK_PREFIX ":interfaces>, or into an "
                                "<interface> of the devices.",
                                "a mark has no meaning here, in <%s>",
                                (const char *)node->parent->name);
        }
        if (!check_namespace(source, node, errp) ||
            !check_strays(source, marks, list, node->children, errp)) {
            return false;
        }
    }
    return true;
}

GPtrArray *marks_find(const Source *source, GError **errp)
{
    g_autoptr(GPtrArray) marks = g_ptr_array_new_with_free_func(mark_free);
    const xmlNode *devices = xml_child(source->root, NULL, "devices");
    const xmlNode *metadata = xml_child(source->root, NULL, "metadata");
    xmlNode *list = xml_child(metadata, MARK_NS, "interfaces");
    xmlNode *node, *inner;

    if (list && xml_next(list)) {
        domain_error(errp, source_line(source, xml_next(list)),
                     "libvirt keeps one element of each namespace: put all "
                     "marks into the first.", "there is a second <%s:interfaces"
                     ">", MARK_PREFIX);
        return NULL;
    }
    if (list && !check_list(source, list, errp)) {
        return NULL;
    }
    for (node = xml_child(devices, NULL, "interface"); node;
         node = xml_next(node)) {
        for (inner = xml_child(node, MARK_NS, "interface"); inner;
             inner = xml_next(inner)) {
            if (!add(source, marks, inner, node, devices, errp)) {
                return NULL;
            }
        }
    }
    for (node = list ? list->children : NULL; node; node = node->next) {
        if (node->type == XML_ELEMENT_NODE &&
            !add(source, marks, node, NULL, devices, errp)) {
            return NULL;
        }
    }
    if (!check_strays(source, marks, list, source->root->children, errp)) {
        return NULL;
    }
    return g_steal_pointer(&marks);
}

/* A converted mark's text, for a mark that was in its interface. */
static char *new_mark(const Source *source, const Mark *mark,
                      const char *prefix,
                      const char *newline, const char *indent,
                      const char *interface)
{
    const xmlAttr *attr;
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "<%s:interface", prefix);

    for (attr = mark->node->properties; attr; attr = attr->next) {
        g_autofree char *value = xml_attr(mark->node,
                                          (const char *)attr->name);
        g_autofree char *escaped = xml_escape(value);

        g_string_append_printf(out, " %s='%s'", (const char *)attr->name,
                               escaped);
    }
    g_string_append_printf(out, ">%s%s%s", newline, indent,
                           *newline ? "  " : "");
    /* There are no elements in it. */
    for (const xmlNode *node = mark->node->children; node; node = node->next) {
        if (node->type == XML_COMMENT_NODE) {
            g_string_append_printf(out, "<!--%s-->", (char *)node->content);
        }
    }
    g_string_append_printf(out, "%s%s%s</%s:interface>", interface, newline,
                           indent, prefix);
    return g_string_free(out, FALSE);
}

/* Where a list of marks begins: behind what a domain's XML begins with. */
static void insert_metadata(Source *source, const char *text)
{
    static const char *const first[] = {
        "name", "uuid", "genid", "title", "description",
    };
    const xmlNode *after = NULL;
    gsize pos = source_extent(source, source->root)->content;
    g_autofree char *indent = NULL;
    g_autofree char *whole = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
        const xmlNode *node = xml_child(source->root, NULL, first[i]);

        if (node && source_extent(source, node)->end > pos) {
            after = node;
            pos = source_extent(source, node)->end;
        }
    }
    indent = after ? source_indent(source, after) : g_strdup("  ");
    whole = g_strconcat(source->newline, *source->newline ? indent : "",
                        text, NULL);
    source_replace(source, pos, pos, whole);
}

/* The text of the <interface> as it is kept. */
static char *saved_interface(const Source *source, const Mark *mark,
                             const char *address)
{
    const xmlNode *less[3] = { NULL };
    int count = 0;

    /* An address that names no place gives way to the one that does. */
    for (const xmlNode *node = mark->interface->children; node;
         node = node->next) {
        if ((mark->inside && node == mark->node) ||
            (address && xml_is(node, NULL, "address"))) {
            less[count++] = node;
        }
    }
    return source_copy(source, mark->interface, less, address);
}

/* The user has taken the address out of an <interface> that is kept. */
static void complete_saved(Source *source, const Mark *mark,
                           const char *address, const char *controller)
{
    const xmlNode *old = xml_child(mark->interface, NULL, "address");

    if (address && old) {
        source_replace_element(source, old, address);
    } else if (address) {
        source_append_child(source, mark->interface, address);
    }
    if (controller) {
        source_append_child(source, xml_child(source->root, NULL, "devices"),
                            controller);
    }
}

void marks_save(Source *source, const GPtrArray *marks,
                char *const *addresses, char *const *instead)
{
    const xmlNode *metadata = xml_child(source->root, NULL, "metadata");
    const xmlNode *list = xml_child(metadata, MARK_NS, "interfaces");
    const char *prefix = list ? (const char *)list->ns->prefix : MARK_PREFIX;
    const char *nl = source->newline;
    g_autofree char *indent = list ? source_indent(source, list) :
        metadata ? source_indent(source, metadata) : g_strdup("  ");
    g_autoptr(GString) added = g_string_new(NULL);
    g_autofree char *at = NULL;

    if (!list) {
        char *deeper = g_strconcat(indent, "  ", NULL);

        g_free(indent);
        indent = deeper;
    }
    if (!*nl) {
        *indent = 0;
    }
    at = g_strconcat(indent, *nl ? "  " : "", NULL);
    for (guint i = 0; i < marks->len; i++) {
        const Mark *mark = g_ptr_array_index(marks, i);
        g_autofree char *interface = NULL;
        g_autofree char *text = NULL;

        if (mark->converted) {
            complete_saved(source, mark, addresses[i], instead[i]);
            continue;
        }
        interface = saved_interface(source, mark, addresses[i]);
        source_replace_element(source, mark->interface,
                               instead[i] ? instead[i] : "");
        if (!mark->inside) {
            source_append_child(source, mark->node, interface);
            continue;
        }
        text = new_mark(source, mark, prefix, nl, at, interface);
        g_string_append_printf(added, "%s%s%s", added->len ? nl : "",
                               added->len ? at : "", text);
    }
    if (!added->len) {
        return;
    }
    if (list) {
        source_append_child(source, list, added->str);
    } else {
        g_autofree char *whole = g_strconcat(
            "<" MARK_PREFIX ":interfaces xmlns:" MARK_PREFIX "='" MARK_NS "'>",
            nl, at, added->str, nl, indent, "</" MARK_PREFIX ":interfaces>",
            NULL);

        if (metadata) {
            source_append_child(source, metadata, whole);
        } else {
            g_autofree char *outer = NULL;
            g_autofree char *less = g_strndup(indent,
                                              MAX(strlen(indent), 2) - 2);

            outer = g_strconcat("<metadata>", nl, indent, whole, nl, less,
                                "</metadata>", NULL);
            insert_metadata(source, outer);
        }
    }
}
