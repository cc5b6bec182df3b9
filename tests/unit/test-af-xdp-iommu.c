/*
 * Unit tests: does the host's IOMMU translate what a NIC accesses?
 *
 * Each test makes a sysfs of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "net/af-xdp-iommu.h"

#define NIC "0000:00:03.0"
#define DISK "0000:00:04.0"

static char *root;

static void make(const char *content, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* A directory if @content is NULL, else a file. */
static void make(const char *content, const char *fmt, ...)
{
    g_autofree char *name = NULL, *path = NULL, *dir = NULL;
    va_list ap;

    va_start(ap, fmt);
    name = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    path = g_build_filename(root, name, NULL);
    dir = content ? g_path_get_dirname(path) : g_strdup(path);
    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    if (content) {
        g_assert_true(g_file_set_contents(path, content, -1, NULL));
    }
}

static void pci(const char *device, const char *pci_class)
{
    make(pci_class, "bus/pci/devices/%s/class", device);
}

static void group(unsigned number, const char *type, const char *device)
{
    g_autofree char *link = NULL, *target = NULL;

    make(type, "kernel/iommu_groups/%u/type", number);
    make("", "kernel/iommu_groups/%u/devices/%s", number, device);
    link = g_strdup_printf("%s/bus/pci/devices/%s/iommu_group", root, device);
    target = g_strdup_printf("%s/kernel/iommu_groups/%u", root, number);
    if (strchr(device, ':')) {
        make(NULL, "bus/pci/devices/%s", device);
        g_assert_cmpint(symlink(target, link), ==, 0);
    }
}

static AfXdpIommu any(const char *expected)
{
    g_autofree char *name = NULL;
    AfXdpIommu iommu = af_xdp_iommu_of_any(root, &name);

    g_assert_cmpstr(name, ==, expected);
    return iommu;
}

static void setup(void *unused, const void *data)
{
    root = g_dir_make_tmp("af-xdp-iommu-XXXXXX", NULL);
    g_assert_nonnull(root);
}

static void teardown(void *unused, const void *data)
{
    const char *argv[] = { "rm", "-rf", "--", root, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH,
                               NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(root);
}

/* No sysfs is no answer; no directory in it is one. */
static void test_nothing(void *unused, const void *data)
{
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_UNKNOWN);
    make(NULL, "kernel");
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_NO);
    make(NULL, "kernel/iommu_groups");
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_NO);
    pci(NIC, "0x020000\n");
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_NO);
    g_assert_cmpint(af_xdp_iommu_of(root, NIC), ==, AF_XDP_IOMMU_NO);
    g_assert_cmpint(af_xdp_iommu_of(root, ""), ==, AF_XDP_IOMMU_NO);
}

static void test_identity(void *unused, const void *data)
{
    pci(NIC, "0x020000\n");
    pci(DISK, "0x010802\n");
    group(0, "identity\n", NIC);
    group(1, "DMA-FQ\n", DISK);
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_NO);
    g_assert_cmpint(af_xdp_iommu_of(root, NIC), ==, AF_XDP_IOMMU_NO);
    g_assert_cmpint(af_xdp_iommu_of(root, DISK), ==, AF_XDP_IOMMU_YES);
}

static void test_translates(void *unused, const void *data)
{
    pci(NIC, "0x020700\n");
    pci(DISK, "0x010802\n");
    group(0, "identity\n", DISK);
    group(1, "DMA\n", NIC);
    g_assert_cmpint(any(NIC), ==, AF_XDP_IOMMU_YES);
    g_assert_cmpint(af_xdp_iommu_of(root, NIC), ==, AF_XDP_IOMMU_YES);
}

/* What has no class may be a NIC. */
static void test_platform(void *unused, const void *data)
{
    group(5, "DMA\n", "nic-test.0");
    g_assert_cmpint(any("nic-test.0"), ==, AF_XDP_IOMMU_YES);
}

static void test_unreadable(void *unused, const void *data)
{
    pci(NIC, "0x020000\n");
    pci(DISK, "0x010802\n");
    /* Groups without a type, as a kernel before 5.11 has them. */
    make("", "kernel/iommu_groups/3/devices/" DISK);
    g_assert_cmpint(any(NULL), ==, AF_XDP_IOMMU_NO);
    make("", "kernel/iommu_groups/4/devices/" NIC);
    g_assert_cmpint(any(NIC), ==, AF_XDP_IOMMU_UNKNOWN);
    make(NULL, "kernel/iommu_groups/5");
    g_assert_cmpint(af_xdp_iommu_of(root, NIC), ==, AF_XDP_IOMMU_NO);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_vtable("/af-xdp/iommu/nothing", 0, NULL, setup, test_nothing,
                      teardown);
    g_test_add_vtable("/af-xdp/iommu/identity", 0, NULL, setup, test_identity,
                      teardown);
    g_test_add_vtable("/af-xdp/iommu/translates", 0, NULL, setup,
                      test_translates, teardown);
    g_test_add_vtable("/af-xdp/iommu/platform", 0, NULL, setup, test_platform,
                      teardown);
    g_test_add_vtable("/af-xdp/iommu/unreadable", 0, NULL, setup,
                      test_unreadable, teardown);
    return g_test_run();
}
