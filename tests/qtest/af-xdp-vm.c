/*
 * af-xdp qtest: the virtual machine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/memfd.h>
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qstring.h"
#include "af-xdp-vm.h"

/* A QEMU that should have refused its options is ended after this. */
#define REFUSE_TIMEOUT_S 10

/* From docs/specs/acpi_pci_hotplug.rst: eject register, one bit per slot. */
#define PCI_EJECT_PORT 0xae08

/* From docs/specs/acpi_mem_hotplug.rst: which DIMM, and its eject bit. */
#define DIMM_SELECT_PORT 0xa00
#define DIMM_CONTROL_PORT 0xa14
#define DIMM_EJECT 0x08

/* What a PC has below 4 GiB at most, if it has more than that. */
#define PC_LOW (3 * GiB)

/* How QEMU calls the memory of a memory-backend-memfd. */
#define MEMFD_LINK "/memfd:memory-backend-memfd"

const uint8_t axt_guest_mac[6] = { 0x52, 0x54, 0x00, 0xaf, 0x0d, 0x01 };

static uint8_t *map_memory(int fd, size_t size)
{
    uint8_t *p;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert(p != MAP_FAILED);
    return p;
}

AxtVm *axt_vm_new(const char *fmt, ...)
{
    g_autofree char *args = NULL;
    AxtVm *vm = g_new0(AxtVm, 1);
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    /* Without close-on-exec: QEMU opens it through its own /proc entry. */
    vm->ram_fd = memfd_create("axt-ram", getenv("AXT_HUGEPAGES") ?
                                         MFD_HUGETLB | MFD_HUGE_2MB : 0);
    vm->ram = map_memory(vm->ram_fd, AXT_RAM_SIZE);
    vm->ram_size = vm->ram_low = AXT_RAM_SIZE;

    vm->qts = qtest_initf("-nodefaults -M pc,memory-backend=ram -m %u "
                          "-object memory-backend-file,id=ram,size=%uM,"
                          "share=on,mem-path=/proc/self/fd/%d %s",
                          (unsigned)(AXT_RAM_SIZE / MiB),
                          (unsigned)(AXT_RAM_SIZE / MiB), vm->ram_fd, args);
    pc_alloc_init(&vm->alloc, vm->qts, ALLOC_NO_FLAGS);
    vm->bus = qpci_new_pc(vm->qts, &vm->alloc);
    return vm;
}

static GString *ram_args(const AxtRam *ram, const AxtVm *vm, unsigned n)
{
    GString *args = g_string_new("-nodefaults -M pc");
    unsigned i;

    if (ram->low) {
        g_string_append_printf(args, ",max-ram-below-4g=%" PRIu64, ram->low);
    }
    if (n == 1) {
        g_string_append(args, ",memory-backend=ram0");
    }
    g_string_append_printf(args, " -m %" PRIu64 "M", vm->ram_size / MiB);
    for (i = 0; i < n; i++) {
        bool private = ram->last_private && i + 1 == n;

        g_string_append_printf(args, " -object memory-backend-%s,id=ram%u,"
                               "size=%" PRIu64 "M%s%s",
                               private ? "ram" : "memfd", i,
                               vm->ram_size / n / MiB,
                               private ? "" : ",share=on",
                               ram->hugetlb ? ",hugetlb=on,hugetlbsize=2M"
                                            : "");
        if (n > 1) {
            g_string_append_printf(args, " -numa node,memdev=ram%u", i);
        }
    }
    return args;
}

/* Map QEMU's backends, in the order in which it has made them. */
static void map_backends(AxtVm *vm, unsigned n)
{
    const uint64_t size = vm->ram_size / n;
    unsigned fd, found = 0;

    vm->ram = mmap(NULL, vm->ram_size, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    g_assert(vm->ram != MAP_FAILED);
    for (fd = 0; fd < 64; fd++) {
        g_autofree char *path = g_strdup_printf("/proc/%d/fd/%u",
                                                (int)qtest_pid(vm->qts), fd);
        g_autofree char *link = g_file_read_link(path, NULL);
        int ours;

        if (!link || !g_str_has_prefix(link, MEMFD_LINK)) {
            continue;
        }
        g_assert_cmpuint(found, <, n);
        ours = open(path, O_RDWR | O_CLOEXEC);
        g_assert_cmpint(ours, >=, 0);
        g_assert(mmap(vm->ram + found * size, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_FIXED, ours, 0) != MAP_FAILED);
        close(ours);
        found++;
    }
    /* A private one, the last, is not there, and nobody gets to see it. */
    g_assert_cmpuint(found, >=, MAX(n, 2) - 1);
}

AxtVm *axt_vm_new_ram(const AxtRam *ram, const char *fmt, ...)
{
    const unsigned n = MAX(ram->backends, 1);
    g_autofree char *more = NULL;
    AxtVm *vm = g_new0(AxtVm, 1);
    GString *args;
    va_list ap;

    g_assert_cmpuint(n, <=, AXT_RAM_BACKENDS);
    vm->ram_fd = -1;
    vm->ram_size = ram->size ?: AXT_RAM_SIZE;
    vm->ram_low = MIN(vm->ram_size, ram->low ?: PC_LOW);

    va_start(ap, fmt);
    more = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    args = ram_args(ram, vm, n);
    vm->qts = qtest_initf("%s %s", args->str, more);
    g_string_free(args, TRUE);
    map_backends(vm, n);
    alloc_init(&vm->alloc, ALLOC_NO_FLAGS, 1 * MiB,
               MIN(vm->ram_low, vm->ram_size / n), 4 * KiB);
    vm->bus = qpci_new_pc(vm->qts, &vm->alloc);
    return vm;
}

static void forget_dimm(AxtVm *vm)
{
    if (vm->dimm) {
        munmap(vm->dimm, AXT_DIMM_SIZE);
        close(vm->dimm_fd);
        vm->dimm = NULL;
    }
}

void axt_vm_free(AxtVm *vm)
{
    forget_dimm(vm);
    qpci_free_pc(vm->bus);
    alloc_destroy(&vm->alloc);
    qtest_quit(vm->qts);
    munmap(vm->ram, vm->ram_size);
    if (vm->ram_fd >= 0) {
        close(vm->ram_fd);
    }
    g_free(vm);
}

void axt_dimm_plug(AxtVm *vm)
{
    g_autofree char *path = NULL;
    QDict *response, *dimm;
    QList *list;

    g_assert_null(vm->dimm);
    vm->dimm_fd = memfd_create("axt-dimm", MFD_CLOEXEC);
    vm->dimm = map_memory(vm->dimm_fd, AXT_DIMM_SIZE);
    path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), vm->dimm_fd);
    qtest_qmp_assert_success(vm->qts, "{'execute': 'object-add', 'arguments':"
                             " {'qom-type': 'memory-backend-file', 'id': 'more',"
                             " 'size': %u, 'share': true, 'mem-path': %s}}",
                             (unsigned)AXT_DIMM_SIZE, path);
    qtest_qmp_assert_success(vm->qts, "{'execute': 'device_add', 'arguments':"
                             " {'driver': 'pc-dimm', 'id': 'dimm',"
                             " 'memdev': 'more'}}");
    response = qtest_qmp(vm->qts, "{'execute': 'query-memory-devices'}");
    list = qdict_get_qlist(response, "return");
    dimm = qobject_to(QDict, qlist_peek(list));
    vm->dimm_gpa = qdict_get_int(qdict_get_qdict(dimm, "data"), "addr");
    qobject_unref(response);
}

void axt_dimm_unplug(AxtVm *vm)
{
    qtest_qmp_device_del_send(vm->qts, "dimm");
    qtest_outl(vm->qts, DIMM_SELECT_PORT, 0);
    qtest_outb(vm->qts, DIMM_CONTROL_PORT, DIMM_EJECT);
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
    qtest_qmp_assert_success(vm->qts, "{'execute': 'object-del',"
                             " 'arguments': {'id': 'more'}}");
    forget_dimm(vm);
}

/* "a=1,b=on,c=text" as the QMP arguments that mean the same. */
static QDict *parse_options(const char *options)
{
    g_auto(GStrv) parts = g_strsplit(options, ",", -1);
    QDict *args = qdict_new();
    char **p;

    for (p = parts; *p; p++) {
        g_auto(GStrv) pair = g_strsplit(*p, "=", 2);
        char *end;
        int64_t number;

        g_assert_nonnull(pair[1]);
        number = g_ascii_strtoll(pair[1], &end, 10);
        if (g_str_equal(pair[0], "vhost") ||
            g_str_equal(pair[0], "zero-copy")) {
            /* Not a bool: it may be "auto". */
            qdict_put_str(args, pair[0], pair[1]);
        } else if (g_str_equal(pair[1], "on") || g_str_equal(pair[1], "off")) {
            qdict_put_bool(args, pair[0], g_str_equal(pair[1], "on"));
        } else if (*pair[1] && !*end && !g_str_equal(pair[0], "sock-fds")) {
            qdict_put_int(args, pair[0], number);
        } else {
            qdict_put_str(args, pair[0], pair[1]);
        }
    }
    return args;
}

char *axt_netdev_add(AxtVm *vm, const char *id, const char *options)
{
    QDict *args = parse_options(options);
    QDict *response, *error;
    char *desc = NULL;

    qdict_put_str(args, "type", "af-xdp");
    qdict_put_str(args, "id", id);
    response = qtest_qmp(vm->qts,
                         "{'execute': 'netdev_add', 'arguments': %p}", args);
    error = qdict_get_qdict(response, "error");
    if (error) {
        desc = g_strdup(qdict_get_str(error, "desc"));
        g_test_message("%s: %s", options, desc);
    }
    qobject_unref(response);
    return desc;
}

void axt_netdev_del(AxtVm *vm, const char *id)
{
    qtest_qmp_assert_success(vm->qts, "{'execute': 'netdev_del',"
                             " 'arguments': {'id': %s}}", id);
}

void axt_unplug_slot(AxtVm *vm, const char *id, unsigned slot)
{
    qtest_qmp_device_del_send(vm->qts, id);
    qtest_outl(vm->qts, PCI_EJECT_PORT, 1u << slot);
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
}

void axt_unplug(AxtVm *vm, const char *id)
{
    axt_unplug_slot(vm, id, AXT_SLOT);
}

uint64_t axt_counter(AxtVm *vm, const char *name)
{
    g_autofree char *info = qtest_hmp(vm->qts, "info network");
    g_autofree char *pattern =
        g_strdup_printf("(?<![-a-z])%s[=: ]+([0-9]+)", name);
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    uint64_t sum = 0;

    for (g_regex_match(regex, info, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *number = g_match_info_fetch(match, 1);

        sum += g_ascii_strtoull(number, NULL, 10);
    }
    return sum;
}

unsigned axt_vm_fds(AxtVm *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd",
                                            (int)qtest_pid(vm->qts));
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

unsigned axt_vm_cpu_ms(AxtVm *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat",
                                            (int)qtest_pid(vm->qts));
    g_autofree char *text = NULL;
    unsigned long user, sys;
    char *p;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    p = strrchr(text, ')');
    g_assert_nonnull(p);
    /* After the name: state, then ten fields to skip, see proc(5). */
    g_assert_cmpint(sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
                           "%*u %lu %lu", &user, &sys), ==, 2);
    return (user + sys) * 1000 / sysconf(_SC_CLK_TCK);
}

static void refuse_child_setup(gpointer opaque)
{
    GSpawnChildSetupFunc setup = (GSpawnChildSetupFunc)opaque;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    alarm(REFUSE_TIMEOUT_S);
    if (setup) {
        setup(NULL);
    }
}

char *axt_qemu_fails(const char *args, GSpawnChildSetupFunc setup)
{
    g_autofree char *command =
        g_strdup_printf("%s -machine none,accel=qtest -nodefaults "
                        "-display none %s", getenv("QTEST_QEMU_BINARY"), args);
    g_auto(GStrv) argv = g_strsplit(command, " ", -1);
    g_autoptr(GError) error = NULL;
    char *output = NULL;
    int status;

    if (!g_spawn_sync(NULL, argv, NULL,
                      G_SPAWN_STDOUT_TO_DEV_NULL |
                      G_SPAWN_LEAVE_DESCRIPTORS_OPEN,
                      refuse_child_setup, (gpointer)setup, NULL, &output,
                      &status, &error)) {
        g_error("cannot start QEMU: %s", error->message);
    }
    g_test_message("%s: %s", args, output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1) {
        g_error("%s: wait status 0x%x instead of exit code 1: %s", args, status,
                output);
    }
    return output;
}
