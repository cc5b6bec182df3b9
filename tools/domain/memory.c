/*
 * AF_XDP domain filter: what the domain's memory must be like
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "memory.h"

#define MIB ((uint64_t)1 << 20)
/* The netdev's own packet memory (docs/system/devices/af-xdp.rst) */
#define MIB_PER_QUEUE 16

/* libvirt's units; KiB without one. */
static bool read_size(const Source *source, const xmlNode *node, uint64_t *out,
                      GError **errp)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        { "KiB", 1ULL << 10 }, { "k", 1ULL << 10 }, { "K", 1ULL << 10 },
        { "b", 1 }, { "bytes", 1 }, { "byte", 1 }, { "KB", 1000 },
        { "M", 1ULL << 20 }, { "MiB", 1ULL << 20 }, { "MB", 1000000 },
        { "G", 1ULL << 30 }, { "GiB", 1ULL << 30 }, { "GB", 1000000000 },
        { "T", 1ULL << 40 }, { "TiB", 1ULL << 40 }, { "TB", 1000000000000 },
    };
    g_autofree char *unit = xml_attr(node, "unit");
    g_autofree char *text = xml_content(node);
    char *end;
    guint64 value = g_ascii_strtoull(text, &end, 10);

    if (!g_ascii_isdigit(*text) || *end) {
        return domain_error(errp, source_line(source, node), NULL,
                            "'%s' in <%s> is no size", text,
                            (const char *)node->name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (unit ? !g_ascii_strcasecmp(unit, units[i].name) : i == 0) {
            if (value > UINT64_MAX / units[i].bytes) {
                break;
            }
            *out = value * units[i].bytes;
            return true;
        }
    }
    return domain_error(errp, source_line(source, node), NULL,
                        "'%s %s' in <%s> is no size", text, unit ? unit : "",
                        (const char *)node->name);
}

/* Is each NUMA cell shared by its own word? */
static bool cells_shared(const Source *source, bool *private, int *line)
{
    const xmlNode *numa = xml_child(xml_child(source->root, NULL, "cpu"), NULL,
                                    "numa");
    const xmlNode *cell = xml_child(numa, NULL, "cell");
    bool all = cell != NULL;

    for (; cell; cell = xml_next(cell)) {
        g_autofree char *access = xml_attr(cell, "memAccess");

        if (!g_strcmp0(access, "private")) {
            *private = true;
            *line = source_line(source, cell);
        }
        all &= !g_strcmp0(access, "shared");
    }
    return all;
}

/* Elements that <memoryBacking> lacks, or NULL with @errp set. */
static GPtrArray *missing_elements(const Source *source,
                                   const xmlNode *backing, const Nic *nic,
                                   GError **errp)
{
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    const xmlNode *type = xml_child(backing, NULL, "source");
    const xmlNode *access = xml_child(backing, NULL, "access");
    bool hugepages = xml_child(backing, NULL, "hugepages") != NULL;
    bool private = false;
    int line = 0;
    bool shared = cells_shared(source, &private, &line);

    if (type && xml_attr_is(type, "type", "anonymous")) {
        domain_error(errp, source_line(source, type),
                     "Write <source type='memfd'/>, or zero-copy='off' or "
                     "'auto' in the mark.", "anonymous memory cannot be shared "
                     "with the kernel's sockets, as zero-copy='on' of line %d "
                     "wants it", nic->mark->line);
        return NULL;
    }
    if (access && !xml_attr_is(access, "mode", "shared")) {
        domain_error(errp, source_line(source, access),
                     "Write <access mode='shared'/>, or zero-copy='off' or "
                     "'auto' in the mark.", "zero-copy='on' of line %d needs "
                     "shared memory", nic->mark->line);
        return NULL;
    }
    if (private) {
        domain_error(errp, line, "Write memAccess='shared', or leave it out.",
                     "zero-copy='on' of line %d needs shared memory in all "
                     "NUMA cells", nic->mark->line);
        return NULL;
    }
    /* Huge pages are files on hugetlbfs if nothing else is said. */
    if (!type && !hugepages) {
        g_ptr_array_add(missing, (char *)"<source type='memfd'/>");
    }
    if (!access && !shared) {
        g_ptr_array_add(missing, (char *)"<access mode='shared'/>");
    }
    return g_steal_pointer(&missing);
}

/* What takes memory away from a guest while it runs. */
static bool check_devices(const Source *source, const Nic *nic,
                          Report *report, GError **errp)
{
    const xmlNode *devices = xml_child(source->root, NULL, "devices");
    const xmlNode *balloon = xml_child(devices, NULL, "memballoon");

    for (const xmlNode *node = xml_child(devices, NULL, "memory"); node;
         node = xml_next(node)) {
        if (xml_attr_is(node, "model", "virtio-mem")) {
            return domain_error(errp, source_line(source, node),
                                "Remove it, or write zero-copy='off' or "
                                "'auto' in the mark.", "virtio-mem does not "
                                "go with zero-copy='on' of line %d, which "
                                "pins all memory", nic->mark->line);
        }
    }
    if (balloon && !xml_attr_is(balloon, "model", "none")) {
        report_note(report, source_line(source, balloon),
                    "the balloon gives no memory back while guest zero-copy "
                    "pins it");
    }
    return true;
}

/* RAM and packet memory of all netdevs, in bytes */
static bool needed_lock(const Source *source, const GPtrArray *nics,
                        bool zero_copy, uint64_t *out, GError **errp)
{
    const xmlNode *memory = xml_child(source->root, NULL, "memory");
    uint64_t ram = 0;

    if (zero_copy && memory && !read_size(source, memory, &ram, errp)) {
        return false;
    }
    *out = ram;
    for (guint i = 0; i < nics->len; i++) {
        const Nic *nic = g_ptr_array_index(nics, i);

        *out += nic->options.queues * MIB_PER_QUEUE * MIB;
    }
    return true;
}

/*
 * The limit of locked memory: libvirt sets it to <memtune><hard_limit>, or
 * takes it away with <memoryBacking><locked/>.
 */
static bool check_lock(const Source *source, const GPtrArray *nics,
                       const xmlNode *backing, GPtrArray *missing,
                       Report *report, GError **errp)
{
    const xmlNode *limit = xml_child(xml_child(source->root, NULL, "memtune"),
                                     NULL, "hard_limit");
    bool locked = xml_child(backing, NULL, "locked") != NULL;
    bool zero_copy = missing != NULL;
    uint64_t need, have;

    if (!needed_lock(source, nics, zero_copy, &need, errp)) {
        return false;
    }
    if (limit) {
        if (!read_size(source, limit, &have, errp)) {
            return false;
        }
        if (have <= need) {
            g_autofree char *hint = g_strdup_printf(
                "Write more than %" PRIu64 " MiB: QEMU's own memory counts "
                "too.", need / MIB);

            return domain_error(errp, source_line(source, limit), hint,
                                "<hard_limit> is %" PRIu64 " MiB, and the "
                                "guest's RAM and the netdevs' packet memory "
                                "alone are %" PRIu64 " MiB", have / MIB,
                                need / MIB);
        }
    } else if (!locked && zero_copy) {
        g_ptr_array_add(missing, (char *)"<locked/>");
    } else if (!locked) {
        report_note(report, 0, "%" PRIu64 " MiB of locked memory are needed "
                    "for packets: LimitMEMLOCK= of libvirtd's unit, "
                    "<memtune><hard_limit>, or <locked/>", need / MIB);
    }
    return true;
}

static void add_missing(Source *source, const xmlNode *backing,
                        const GPtrArray *missing, Report *report)
{
    const xmlNode *after = xml_child(source->root, NULL, "currentMemory");
    const char *nl = source->newline;
    g_autoptr(GString) all = g_string_new(NULL);
    g_autofree char *indent = NULL;

    after = after ? after : xml_child(source->root, NULL, "memory");
    indent = backing ? source_indent(source, backing) :
        after ? source_indent(source, after) : g_strdup("");
    for (guint i = 0; i < missing->len; i++) {
        const char *element = g_ptr_array_index(missing, i);

        report_note(report, 0, "guest zero-copy needs %s in <memoryBacking>, "
                    "which is added", element);
        g_string_append_printf(all, "%s%s%s%s", i ? nl : "", i ? indent : "",
                               i && *nl ? "  " : "", element);
    }
    if (backing) {
        source_append_child(source, backing, all->str);
    } else {
        g_autofree char *whole = g_strconcat(
            nl, indent, "<memoryBacking>", nl, indent, *nl ? "  " : "",
            all->str, nl, indent, "</memoryBacking>", NULL);
        gsize pos = after ? source_extent(source, after)->end :
            source_extent(source, source->root)->content;

        source_replace(source, pos, pos, whole);
    }
}

bool memory_plan(Source *source, const GPtrArray *nics, Report *report,
                 GError **errp)
{
    const xmlNode *backing = xml_child(source->root, NULL, "memoryBacking");
    g_autoptr(GPtrArray) missing = NULL;
    const Nic *zero_copy = NULL;

    for (guint i = 0; i < nics->len; i++) {
        const Nic *nic = g_ptr_array_index(nics, i);

        if (nic->options.zero_copy == AF_XDP_ZERO_COPY_ON) {
            zero_copy = nic;
        }
    }
    if (zero_copy) {
        missing = missing_elements(source, backing, zero_copy, errp);
        if (!missing || !check_devices(source, zero_copy, report, errp)) {
            return false;
        }
    }
    if (!check_lock(source, nics, backing, missing, report, errp)) {
        return false;
    }
    if (missing && missing->len) {
        add_missing(source, backing, missing, report);
    }
    if (zero_copy && !xml_child(backing, NULL, "hugepages")) {
        report_note(report, 0, "without <hugepages/> the start takes longer, "
                    "and driver zero-copy does not go together with guest "
                    "zero-copy");
    }
    return true;
}
