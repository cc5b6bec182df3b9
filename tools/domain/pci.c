/*
 * AF_XDP domain filter: PCI addresses
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "pci.h"

#define FUNCTIONS 8
#define HOLDER_FUNCTION 7

/*
 * The slot that has the ISA bridge: functions 0, 2 and 3 of 0x1f (q35), 0 to
 * 3 of 1 (pc).
 */
#define CHIPSET_SLOT_PCIE 0x1f
#define CHIPSET_SLOT_PC 1
#define CHIPSET_FREE 4

typedef struct Chipset {
    unsigned slot;
    bool *used;             /* by function */
} Chipset;

/* What of the domain matters here. */
typedef struct Buses {
    Source *source;
    const xmlNode *devices;
    GPtrArray *nics;
    bool pcie;              /* is bus 0 a PCI Express root? */
    bool pc;                /* has it the chipset of a PC? */
    unsigned next;          /* the first index that no bus has */
    Chipset chipset;
    bool held[256];         /* by bus: does somebody hold its slot? */
} Buses;

/* The number of a PCI controller; libvirt's default is 0. */
static unsigned controller_index(const xmlNode *controller)
{
    g_autofree char *text = xml_attr(controller, "index");

    return text ? g_ascii_strtoull(text, NULL, 0) : 0;
}

static xmlNode *find_controller(const Buses *buses, unsigned index)
{
    for (xmlNode *node = xml_child(buses->devices, NULL, "controller"); node;
         node = xml_next(node)) {
        if (xml_attr_is(node, "type", "pci") &&
            controller_index(node) == index) {
            return node;
        }
    }
    return NULL;
}

static bool is_model(const xmlNode *controller, const char *model)
{
    return xml_attr_is(controller, "model", model);
}

/*
 * Where other devices are. What @use is called with: the element of a device
 * and its address. Stops when it returns false.
 */
static bool each_address(const Buses *buses,
                         bool (*use)(const xmlNode *, const PciAddress *,
                                     void *),
                         void *opaque)
{
    for (xmlNode *device = buses->devices ? buses->devices->children : NULL;
         device; device = device->next) {
        const xmlNode *node = device->type == XML_ELEMENT_NODE ?
            xml_child(device, NULL, "address") : NULL;
        PciAddress address = { 0 };
        bool present, go_on = true;

        if (!node || !xml_attr_is(node, "type", "pci")) {
            continue;
        }
        /* What is wrong with other devices' addresses is libvirt's to say. */
        if (!nics_have(buses->nics, device) &&
            pci_address_parse(buses->source, node, &address, &present, NULL) &&
            present) {
            go_on = use(device, &address, opaque);
        }
        pci_address_clear(&address);
        if (!go_on) {
            return false;
        }
    }
    return true;
}

static bool same_place(const PciAddress *a, const PciAddress *b)
{
    return a->bus == b->bus && a->slot == b->slot &&
        a->function == b->function;
}

typedef struct Neighbours {
    const PciAddress *address;
    const xmlNode *same;    /* a device at the same place */
    bool slot;              /* one in the same slot */
} Neighbours;

static bool find_neighbours(const xmlNode *device, const PciAddress *address,
                            void *opaque)
{
    Neighbours *found = opaque;

    if (same_place(address, found->address)) {
        found->same = device;
    } else if (address->bus == found->address->bus &&
               address->slot == found->address->slot) {
        found->slot = true;
    }
    return !found->same;
}

static bool count_bus(const xmlNode *device, const PciAddress *address,
                      void *opaque)
{
    unsigned *next = opaque;

    *next = MAX(*next, address->bus + 1);
    return true;
}

static bool mark_function(const xmlNode *device, const PciAddress *address,
                          void *opaque)
{
    const Chipset *chipset = opaque;

    if (address->bus == 0 && address->slot == chipset->slot) {
        chipset->used[address->function] = true;
    }
    return true;
}

/* Has the machine a PCI Express root? Its controller says so, or its name. */
static void find_root(Buses *buses)
{
    const xmlNode *root = find_controller(buses, 0);
    const xmlNode *type = xml_child(xml_child(buses->source->root, NULL, "os"),
                                    NULL, "type");
    g_autofree char *machine = type ? xml_attr(type, "machine") : NULL;
    g_autofree char *arch = type ? xml_attr(type, "arch") : NULL;

    buses->pc = !arch || !strcmp(arch, "x86_64") || !strcmp(arch, "i686");
    buses->pcie = root ? is_model(root, "pcie-root") :
        machine && (strstr(machine, "q35") || !buses->pc);
    buses->chipset.slot = buses->pcie ? CHIPSET_SLOT_PCIE : CHIPSET_SLOT_PC;
}

static void find_next(Buses *buses)
{
    buses->next = 1;
    for (xmlNode *node = xml_child(buses->devices, NULL, "controller"); node;
         node = xml_next(node)) {
        if (xml_attr_is(node, "type", "pci")) {
            buses->next = MAX(buses->next, controller_index(node) + 1);
        }
    }
    each_address(buses, count_bus, &buses->next);
    for (guint i = 0; i < buses->nics->len; i++) {
        const Nic *nic = g_ptr_array_index(buses->nics, i);

        if (nic->has_address) {
            buses->next = MAX(buses->next, nic->address.bus + 1);
        }
    }
}

static void find_functions(Buses *buses)
{
    each_address(buses, mark_function, &buses->chipset);
    for (guint i = 0; i < buses->nics->len; i++) {
        const Nic *nic = g_ptr_array_index(buses->nics, i);

        if (nic->has_address) {
            mark_function(NULL, &nic->address, &buses->chipset);
        }
    }
}

static char *bus_name(const Buses *buses, unsigned index)
{
    const xmlNode *controller = find_controller(buses, index);
    const xmlNode *alias = xml_child(controller, NULL, "alias");
    g_autofree char *name = alias ? xml_attr(alias, "name") : NULL;

    if (name && g_str_has_prefix(name, "ua-")) {
        return g_steal_pointer(&name);
    }
    return g_strdup_printf("%s.%u",
                           index == 0 && buses->pcie ? "pcie" : "pci", index);
}

static bool wants_hotplug(const Nic *nic)
{
    const char *hotplug = mark_options_get(nic->mark->options, "hotplug");

    return hotplug && (!strcmp(hotplug, "on") || !strcmp(hotplug, "yes"));
}

/*
 * Have libvirt see somebody in the slot of @nic, which is alone on its port.
 * A switch without ports does nothing, and libvirt puts nothing on it.
 */
static char *hold_port(Buses *buses, Nic *nic, Report *report)
{
    unsigned index = buses->next++;

    report_note(report, nic->address_line, "a pcie-switch-upstream-port with "
                "index %u is added in the slot of '%s', as function %u, so that "
                "libvirt gives the slot to no other device", index, nic->id,
                HOLDER_FUNCTION);
    return g_strdup_printf("<controller type='pci' index='%u' "
                           "model='pcie-switch-upstream-port'><address "
                           "type='pci' domain='0x0000' bus='0x%02x' "
                           "slot='0x00' function='0x%x'/></controller>", index,
                           nic->address.bus, HOLDER_FUNCTION);
}

static bool keep_address(Buses *buses, Nic *nic, char **instead,
                         Report *report, GError **errp)
{
    Neighbours found = { .address = &nic->address };
    xmlNode *controller = find_controller(buses, nic->address.bus);
    bool port = controller && (is_model(controller, "pcie-root-port") ||
                               is_model(controller,
                                        "pcie-switch-downstream-port"));

    if (nic->address.bus && !controller) {
        return domain_error(errp, nic->address_line,
                            "Leave out <address>, or write the controller.",
                            "the PCI address names the bus %u, and there is no "
                            "<controller type='pci' index='%u'>",
                            nic->address.bus, nic->address.bus);
    }
    each_address(buses, find_neighbours, &found);
    found.slot |= buses->held[nic->address.bus];
    if (found.same) {
        return domain_error(errp, nic->address_line,
                            "Give one of them another address.",
                            "the PCI address of '%s' (bus %u, slot %u, "
                            "function %u) is also that of <%s> in line %d",
                            nic->id, nic->address.bus, nic->address.slot,
                            nic->address.function,
                            (const char *)found.same->name,
                            source_line(buses->source, found.same));
    }
    if (wants_hotplug(nic) && (found.slot || !port)) {
        return domain_error(errp, nic->mark->line, port ?
                            "Remove hotplug=, or the other device in its slot: "
                            "a pcie-switch-upstream-port as function 7 is from "
                            "an earlier run." :
                            "Give it an address on a pcie-root-port.",
                            "hotplug='on' needs a PCI port that '%s' has to "
                            "itself", nic->id);
    } else if (wants_hotplug(nic)) {
        report_warn(report, nic->mark->line, "hotplug='on': the slot of '%s' "
                    "is not reserved, libvirt may give it to another device",
                    nic->id);
    } else if (port && !found.slot) {
        *instead = hold_port(buses, nic, report);
        buses->held[nic->address.bus] = found.slot = true;
    } else if (!found.slot && (nic->address.bus ||
                               nic->address.slot != buses->chipset.slot)) {
        report_warn(report, nic->address_line, "the slot of '%s' is on a bus "
                    "that it shares, and cannot be reserved: give devices that "
                    "are added later an address of their own, or leave out "
                    "this one", nic->id);
    }
    if (found.slot && !nic->address.function) {
        g_free(nic->address.multifunction);
        nic->address.multifunction = g_strdup("on");
    }
    return true;
}

/*
 * A function of the chipset's slot, whose first ones the machine itself has:
 * libvirt gives out slots that are empty.
 */
static bool give_address(Buses *buses, Nic *nic, char **address,
                         Report *report, GError **errp)
{
    Chipset *chipset = &buses->chipset;
    unsigned function = CHIPSET_FREE;

    while (function < FUNCTIONS && chipset->used[function]) {
        function++;
    }
    if (!buses->pc) {
        return domain_error(errp, nic->line, "Define the domain without the "
                            "mark first: libvirt finds an address, which "
                            "'virsh dumpxml --inactive' shows.",
                            "'%s' has no PCI address, and only PCs have a slot "
                            "that is known to be free for it", nic->id);
    }
    if (function == FUNCTIONS) {
        return domain_error(errp, nic->line, "Define the domain without the "
                            "mark first: libvirt finds an address, which "
                            "'virsh dumpxml --inactive' shows.",
                            "there is no function left for '%s' in slot %u of "
                            "the root bus", nic->id, chipset->slot);
    }
    if (wants_hotplug(nic)) {
        return domain_error(errp, nic->mark->line, "Give it an address on a "
                            "pcie-root-port.", "hotplug='on' needs a PCI port "
                            "that '%s' has to itself", nic->id);
    }
    chipset->used[function] = true;
    nic->has_address = true;
    nic->address.slot = chipset->slot;
    nic->address.function = function;
    *address = g_strdup_printf("<address type='pci' domain='0x0000' "
                               "bus='0x00' slot='0x%02x' function='0x%x'/>",
                               chipset->slot, function);
    report_note(report, nic->line, "'%s' has no PCI address and gets function "
                "%u of slot %u of the root bus, a slot that libvirt gives to "
                "no device", nic->id, function, chipset->slot);
    return true;
}

static bool plan_one(Buses *buses, Nic *nic, char **bus, char **address,
                     char **instead, Report *report, GError **errp)
{
    if (nic->has_address ?
        !keep_address(buses, nic, instead, report, errp) :
        !give_address(buses, nic, address, report, errp)) {
        return false;
    }
    *bus = bus_name(buses, nic->address.bus);
    return true;
}

PciPlan *pci_plan_new(Source *source, GPtrArray *nics, Report *report,
                      GError **errp)
{
    g_autoptr(PciPlan) plan = g_new0(PciPlan, 1);
    bool used[FUNCTIONS] = { false };
    Buses buses = {
        .source = source,
        .devices = xml_child(source->root, NULL, "devices"),
        .nics = nics,
    };

    plan->count = nics->len;
    plan->buses = g_new0(char *, nics->len + 1);
    plan->addresses = g_new0(char *, nics->len + 1);
    plan->instead = g_new0(char *, nics->len + 1);
    buses.chipset.used = used;
    find_root(&buses);
    find_next(&buses);
    find_functions(&buses);
    for (guint i = 0; i < nics->len; i++) {
        Nic *nic = g_ptr_array_index(nics, i);

        if (!plan_one(&buses, nic, &plan->buses[i], &plan->addresses[i],
                      &plan->instead[i], report, errp)) {
            return NULL;
        }
        for (guint j = 0; j < i; j++) {
            const Nic *other = g_ptr_array_index(nics, j);

            if (same_place(&nic->address, &other->address)) {
                domain_error(errp, nic->address_line,
                             "Give one of them another address.",
                             "the PCI address of '%s' is also that of '%s' in "
                             "line %d", nic->id, other->id, other->line);
                return NULL;
            }
        }
    }
    return g_steal_pointer(&plan);
}

static void free_entries(char **entries, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_free(entries[i]);
    }
    g_free(entries);
}

void pci_plan_free(PciPlan *plan)
{
    free_entries(plan->buses, plan->count);
    free_entries(plan->addresses, plan->count);
    free_entries(plan->instead, plan->count);
    g_free(plan);
}
