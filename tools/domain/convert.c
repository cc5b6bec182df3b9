/*
 * AF_XDP domain filter: the whole conversion
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cmdline.h"
#include "convert.h"
#include "memory.h"
#include "nic.h"
#include "pci.h"

static bool check_root(const Source *source, GError **errp)
{
    int line = source_line(source, source->root);
    g_autofree char *type = NULL;

    if (!xml_is(source->root, NULL, "domain")) {
        return domain_error(errp, line, "Give what 'virsh dumpxml --inactive "
                            "--security-info DOMAIN' prints.",
                            "this is no domain: the outer element is <%s>",
                            (const char *)source->root->name);
    }
    type = xml_attr(source->root, "type");
    if (g_strcmp0(type, "kvm") && g_strcmp0(type, "qemu")) {
        return domain_error(errp, line, NULL, "the domain is of type '%s', "
                            "only 'kvm' and 'qemu' have AF_XDP interfaces",
                            type ? type : "");
    }
    return true;
}

/* libvirt takes together what is in several of them, this program does not. */
static bool check_single(const Source *source, GError **errp)
{
    static const struct {
        const char *ns;
        const char *name;
    } singles[] = {
        { NULL, "devices" }, { NULL, "iothreadids" }, { NULL, "iothreads" },
        { NULL, "memoryBacking" }, { NULL, "memtune" }, { NULL, "metadata" },
        { NULL, "os" }, { QEMU_NS, "commandline" }, { QEMU_NS, "override" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(singles); i++) {
        const xmlNode *node = xml_child(source->root, singles[i].ns,
                                        singles[i].name);

        node = node ? xml_next(node) : NULL;
        if (node) {
            return domain_error(errp, source_line(source, node),
                                "Write all into the first.",
                                "there is a second <%s>", singles[i].name);
        }
    }
    return true;
}

/* Do two ranges of @count numbers overlap? */
static bool overlap(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
    return a < b + b_count && b < a + a_count;
}

static bool check_pair(const Nic *one, const Nic *two, GError **errp)
{
    const AfXdpOptions *a = &one->options, *b = &two->options;
    bool same_device = !strcmp(a->ifname, b->ifname);

    if (same_device && overlap(a->queue_start, a->queues,
                               b->queue_start, b->queues)) {
        return domain_error(errp, two->mark->line, "Give each queues of its "
                            "own: queue-start= and queues=.",
                            "queue %u of '%s' is wanted by the marks of lines "
                            "%d and %d", MAX(a->queue_start, b->queue_start),
                            a->ifname, one->mark->line, two->mark->line);
    }
    if (same_device && (!a->inhibit || !b->inhibit)) {
        return domain_error(errp, two->mark->line, "Use one mark with more "
                            "queues; or attach a program and write "
                            "inhibit='on' and map-path= in both.",
                            "the marks of lines %d and %d would both attach a "
                            "program to '%s'", one->mark->line,
                            two->mark->line, a->ifname);
    }
    if (a->map_path && !g_strcmp0(a->map_path, b->map_path) &&
        overlap(a->map_start_index, a->queues, b->map_start_index,
                b->queues)) {
        return domain_error(errp, two->mark->line, "Write another "
                            "map-start-index=.", "index %u of the map '%s' is "
                            "wanted by the marks of lines %d and %d",
                            MAX(a->map_start_index, b->map_start_index),
                            a->map_path, one->mark->line, two->mark->line);
    }
    for (int i = 0; a->sock_fds && a->sock_fds[i]; i++) {
        if (b->sock_fds && g_strv_contains((const char *const *)b->sock_fds,
                                           a->sock_fds[i])) {
            return domain_error(errp, two->mark->line, NULL, "the socket '%s' "
                                "is wanted by the marks of lines %d and %d",
                                a->sock_fds[i], one->mark->line,
                                two->mark->line);
        }
    }
    return true;
}

/* The first interface from @node on that has no mark, or NULL */
static const xmlNode *unmarked(const GPtrArray *nics, const xmlNode *node)
{
    while (node && nics_have(nics, node)) {
        node = xml_next(node);
    }
    return node;
}

/* An interface without mark on the same device would take it for a tap. */
static bool check_others(const Source *source, const GPtrArray *nics,
                         GError **errp)
{
    const xmlNode *devices = xml_child(source->root, NULL, "devices");
    const xmlNode *node = xml_child(devices, NULL, "interface");

    while ((node = unmarked(nics, node))) {
        const xmlNode *target = xml_child(node, NULL, "target");

        for (guint i = 0; target && i < nics->len; i++) {
            const Nic *nic = g_ptr_array_index(nics, i);

            if (xml_attr_is(target, "dev", nic->options.ifname)) {
                return domain_error(errp, source_line(source, node),
                                    "Remove it, or mark it too.",
                                    "this interface without mark is on '%s' "
                                    "as well, see line %d",
                                    nic->options.ifname, nic->line);
            }
        }
        node = xml_next(node);
    }
    return true;
}

/* Boot orders of all devices; libvirt does not see ours any more. */
static bool check_boot(const Source *source, const Nic *nic,
                       const xmlNode *node, GError **errp)
{
    for (; node; node = node->next) {
        g_autofree char *order = NULL;

        if (node->type != XML_ELEMENT_NODE ||
            node == nic->mark->interface) {
            continue;
        }
        order = xml_is(node, NULL, "boot") ? xml_attr(node, "order") : NULL;
        if (order && (unsigned)atoi(order) == nic->boot) {
            return domain_error(errp, source_line(source, node),
                                "Give each device another.", "the boot order "
                                "%s is also that of the interface in line %d",
                                order, nic->line);
        }
        if (!check_boot(source, nic, node->children, errp)) {
            return false;
        }
    }
    return true;
}

/* <boot dev='network'/>, and its place among those in <os>, from 1 */
static const xmlNode *network_boot(const Source *source, unsigned *order)
{
    const xmlNode *boot = xml_child(xml_child(source->root, NULL, "os"), NULL,
                                    "boot");

    for (*order = 1; boot; boot = xml_next(boot), ++*order) {
        if (xml_attr_is(boot, "dev", "network")) {
            return boot;
        }
    }
    return NULL;
}

/*
 * Without a <boot> in any device that is left to libvirt, it takes the order of
 * <os>, by default that of the disks, and numbers them from 1.
 */
static bool check_only_boot(const Source *source, const GPtrArray *nics,
                            const Nic *nic, GError **errp)
{
    const xmlNode *devices = xml_child(source->root, NULL, "devices");

    if (!nic->boot || !xml_child(devices, NULL, "disk")) {
        return true;
    }
    for (const xmlNode *device = devices->children; device;
         device = device->next) {
        if (device->type == XML_ELEMENT_NODE && !nics_have(nics, device) &&
            xml_child(device, NULL, "boot")) {
            return true;
        }
    }
    return domain_error(errp, nic->line, "Write <boot order='N'/> into a disk "
                        "as well, or none here and <boot dev='network'/> into "
                        "<os>.", "no device but this interface has a boot "
                        "order, and libvirt would give the first disk number "
                        "1, whatever this one is");
}

/* One of several that are not among the devices: which would be the first? */
static bool check_first(const GPtrArray *nics, int line, GError **errp)
{
    return nics->len == 1 ||
        domain_error(errp, line, "Write <boot order='N'/> into the devices "
                     "instead, also of the disks.", "<boot dev='network'/> "
                     "means the first interface, and after the conversion of "
                     "all of them nobody could tell which that was");
}

/*
 * <os><boot dev='network'/> means the first interface. Taken out of the
 * devices it would lose its place to the next one.
 */
static bool settle_boot(const Source *source, GPtrArray *nics, Report *report,
                        GError **errp)
{
    const xmlNode *devices = xml_child(source->root, NULL, "devices");
    const xmlNode *first = xml_child(devices, NULL, "interface");
    const xmlNode *next = unmarked(nics, first);
    unsigned order;
    const xmlNode *boot = network_boot(source, &order);

    for (guint i = 0; i < nics->len; i++) {
        if (!check_only_boot(source, nics, g_ptr_array_index(nics, i), errp)) {
            return false;
        }
    }
    if (boot && nics->len && !next &&
        !check_first(nics, source_line(source, boot), errp)) {
        return false;
    }
    for (guint i = 0; boot && i < nics->len; i++) {
        Nic *nic = g_ptr_array_index(nics, i);

        /* Without any left in the devices it is one converted before. */
        if (first ? nic->mark->interface != first :
            !nic->mark->converted || nic->boot) {
            continue;
        }
        if (next) {
            return domain_error(errp, source_line(source, boot),
                                "Write <boot order='N'/> into the devices "
                                "instead.", "<boot dev='network'/> means the "
                                "interface of line %d, and would mean that of "
                                "line %d after the conversion", nic->line,
                                source_line(source, next));
        }
        nic->boot = order;
        report_note(report, nic->line, "<boot dev='network'/> becomes "
                    "bootindex=%u of '%s'", order, nic->id);
        break;
    }
    return true;
}

static bool check_together(const Source *source, const GPtrArray *nics,
                           GError **errp)
{
    for (guint i = 0; i < nics->len; i++) {
        const Nic *nic = g_ptr_array_index(nics, i);

        for (guint j = 0; j < i; j++) {
            const Nic *other = g_ptr_array_index(nics, j);

            if (!check_pair(other, nic, errp)) {
                return false;
            }
            if (nic->boot && nic->boot == other->boot) {
                return domain_error(errp, nic->line, "Give each device "
                                    "another.", "the boot order %u is also "
                                    "that of the interface in line %d",
                                    nic->boot, other->line);
            }
        }
        if (nic->boot &&
            !check_boot(source, nic, xml_child(source->root, NULL, "devices"),
                        errp)) {
            return false;
        }
    }
    return check_others(source, nics, errp);
}

static GPtrArray *read_nics(const Source *source, const GPtrArray *marks,
                            Report *report, GError **errp)
{
    g_autoptr(GPtrArray) nics =
        g_ptr_array_new_with_free_func((GDestroyNotify)nic_free);

    for (guint i = 0; i < marks->len; i++) {
        Nic *nic = nic_new(source, g_ptr_array_index(marks, i), report, errp);

        if (!nic) {
            return NULL;
        }
        g_ptr_array_add(nics, nic);
        if (nic->options.sock_fds) {
            report_warn(report, nic->mark->line, "sock-fds: libvirt passes no "
                        "descriptors of yours to QEMU; this needs an emulator "
                        "that opens them before it starts QEMU");
        }
    }
    return g_steal_pointer(&nics);
}

char *domain_convert(const char *text, gsize len, gsize *out_len,
                     Report *report, GError **errp)
{
    g_autoptr(Source) source = source_new(text, len, errp);
    g_autoptr(GPtrArray) marks = NULL;
    g_autoptr(GPtrArray) nics = NULL;
    g_autoptr(PciPlan) pci = NULL;
    g_autoptr(Source) check = NULL;
    g_autofree char *result = NULL;

    if (!source || !check_root(source, errp) ||
        !check_single(source, errp)) {
        return NULL;
    }
    marks = marks_find(source, errp);
    if (!marks) {
        return NULL;
    }
    nics = read_nics(source, marks, report, errp);
    if (!nics || !settle_boot(source, nics, report, errp) ||
        !check_together(source, nics, errp)) {
        return NULL;
    }
    if (!nics->len) {
        report_warn(report, 0, "no interface is marked for AF_XDP");
        if (!cmdline_plan(source, nics, NULL, report, errp)) {
            return NULL;
        }
    } else {
        pci = pci_plan_new(source, nics, report, errp);
        if (!pci || !memory_plan(source, nics, report, errp) ||
            !cmdline_plan(source, nics, pci->buses, report, errp)) {
            return NULL;
        }
        marks_save(source, marks, pci->addresses, pci->instead);
    }
    result = source_result(source, out_len);
    /* Should never fail: nobody gets a document that is none. */
    check = source_new(result, *out_len, errp);
    return check ? g_steal_pointer(&result) : NULL;
}
