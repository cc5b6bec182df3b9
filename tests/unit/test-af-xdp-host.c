/*
 * qemu-af-xdp: the host's XDP program and its maps, run by the kernel
 *
 * On a veth pair in a network namespace of the test's own, with a BPF file
 * system of its own. Needs root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <bpf/bpf.h>
#include "host.h"
#include "test-af-xdp-program.h"

static Tool tool = { .bpffs = (char *)TEST_BPFFS, .quiet = TRUE };
static int dev_index;

static Host *attach(void)
{
    GError *err = NULL;
    Host *host = host_attach(&tool, DEV, dev_index, QUEUES,
                             EBPF_AF_XDP_MODE_NATIVE, &err);

    g_assert_no_error(err);
    g_assert_true(host->native);
    return host;
}

static void take_off(Host *host)
{
    GError *err = NULL;

    g_assert_true(host_remove(&tool, host, &err));
    g_assert_no_error(err);
    host_close(host);
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);
    g_assert_cmpint(access(TEST_BPFFS "/qemu-af-xdp", F_OK), ==, -1);
}

/* What the program does with a frame to @dest, with @meta bytes before it */
static int run_frame(Host *host, uint32_t queue, const char *dest,
                     uint32_t meta, uint32_t *size)
{
    uint8_t frame[32 + 64] = { 0 }, out[sizeof(frame)];
    struct xdp_md ctx = {
        .data = meta,
        .data_end = meta + 64,
        .ingress_ifindex = dev_index,
        .rx_queue_index = queue,
    };
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = frame,
                .data_size_in = meta + 64,
                .data_out = out,
                .data_size_out = sizeof(out),
                .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx),
                .repeat = 1);
    int fd = bpf_prog_get_fd_by_id(host->prog_id), ret;

    memcpy(frame + meta, dest, ETH_ALEN);
    ret = bpf_prog_test_run_opts(fd, &opts);
    close(fd);
    g_assert_cmpint(ret, ==, 0);
    if (size) {
        *size = opts.data_size_out;
    }
    return opts.retval;
}

static int run_to(Host *host, uint32_t queue, const char *dest)
{
    return run_frame(host, queue, dest, 0, NULL);
}

static void assert_counters(Host *host, uint32_t queue, uint64_t redirected,
                            uint64_t passed, uint64_t filtered)
{
    EbpfAfXdpCounters count;

    host_counters(host, queue, &count);
    g_assert_cmpuint(count.redirected, ==, redirected);
    g_assert_cmpuint(count.passed, ==, passed);
    g_assert_cmpuint(count.filtered, ==, filtered);
    g_assert_cmpuint(count.dropped, ==, 0);
}

static int new_vm(Host *host, const char *name)
{
    GError *err = NULL;
    int fd = host_vm(host, name, true, &err);

    g_assert_no_error(err);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void put(int map, uint32_t key, TestSocket *sock)
{
    g_assert_cmpint(bpf_map_update_elem(map, &key, &sock->fd, BPF_ANY), ==, 0);
}

/* Two VMs: each gets what leads to its map, whatever the other writes. */
static void test_isolation(void)
{
    Host *host = attach();
    int a = new_vm(host, "a"), b = new_vm(host, "b");
    TestSocket sock[QUEUES];

    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_open(&sock[q], DEV, q);
        g_assert_cmpint(run_to(host, q, MAC_GUEST), ==, XDP_PASS);
    }
    g_assert_true(host_set_route(host, 1, a, NULL));
    g_assert_true(host_set_route(host, 2, b, NULL));
    g_assert_cmpuint(host_route(host, 1), ==, host_map_id(a));
    g_assert_cmpuint(host_route(host, 2), ==, host_map_id(b));
    g_assert_cmpuint(host_route(host, 3), ==, 0);
    /* No socket yet: the host gets it. */
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_PASS);

    /* B writes to all keys that it can. */
    for (uint32_t q = 0; q < QUEUES; q++) {
        put(b, q, &sock[q]);
    }
    g_assert_cmpint(run_to(host, 0, MAC_GUEST), ==, XDP_PASS);
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_PASS);
    g_assert_cmpint(run_to(host, 2, MAC_GUEST), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(host, 3, MAC_GUEST), ==, XDP_PASS);
    put(a, 1, &sock[1]);
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_REDIRECT);
    assert_counters(host, 1, 1, 2, 0);
    assert_counters(host, 2, 1, 0, 0);

    /* Led to the host again, and back with counters that begin anew */
    g_assert_true(host_set_route(host, 1, -1, NULL));
    g_assert_true(host_set_route(host, 1, -1, NULL));
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_PASS);
    g_assert_true(host_set_route(host, 1, a, NULL));
    assert_counters(host, 1, 0, 0, 0);
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_REDIRECT);

    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_close(&sock[q]);
    }
    close(a);
    close(b);
    take_off(host);
}

/* The filter is the queue's; groups pass it; metadata goes. */
static void test_filter(void)
{
    Host *host = attach();
    int a = new_vm(host, "a");
    uint8_t mac[MAC_LEN];
    TestSocket sock[2];
    uint32_t size;

    for (uint32_t q = 0; q < 2; q++) {
        test_socket_open(&sock[q], DEV, q);
        put(a, q, &sock[q]);
        g_assert_true(host_set_route(host, q, a, NULL));
    }
    g_assert_true(host_set_filter(host, 1, (const uint8_t *)MAC_GUEST, NULL));
    g_assert_false(host_filter(host, 0, mac));
    g_assert_true(host_filter(host, 1, mac));
    g_assert_cmpmem(mac, MAC_LEN, MAC_GUEST, MAC_LEN);

    g_assert_cmpint(run_to(host, 0, MAC_OTHER), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(host, 1, MAC_OTHER), ==, XDP_PASS);
    g_assert_cmpint(run_to(host, 1, MAC_GUEST), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(host, 1, MAC_BROADCAST), ==, XDP_REDIRECT);
    assert_counters(host, 1, 2, 0, 1);

    g_assert_cmpint(run_frame(host, 1, MAC_GUEST, 32, &size), ==,
                    XDP_REDIRECT);
    g_assert_cmpuint(size, ==, 64);
    g_assert_cmpint(run_frame(host, 1, MAC_OTHER, 32, &size), ==, XDP_PASS);
    g_assert_cmpuint(size, ==, 32 + 64);

    g_assert_true(host_set_filter(host, 1, NULL, NULL));
    g_assert_cmpint(run_to(host, 1, MAC_OTHER), ==, XDP_REDIRECT);
    test_socket_close(&sock[0]);
    test_socket_close(&sock[1]);
    close(a);
    take_off(host);
}

/* The program stays without us, and is found again. */
static void test_reopen(void)
{
    Host *host = attach();
    uint32_t id = host->prog_id;
    GError *err = NULL;
    int a = new_vm(host, "a"), again;

    g_assert_null(host_attach(&tool, DEV, dev_index, QUEUES,
                              EBPF_AF_XDP_MODE_NATIVE, NULL));
    host_close(host);
    g_assert_cmpuint(device_prog_id(DEV), ==, id);

    host = host_open(&tool, DEV, dev_index, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(host->prog_id, ==, id);
    g_assert_cmpuint(host->queues, ==, QUEUES);
    again = host_vm(host, "a", false, &err);
    g_assert_cmpuint(host_map_id(a), ==, host_map_id(again));
    close(again);
    close(a);
    take_off(host);
    g_assert_null(host_open(&tool, DEV, dev_index, &err));
    g_assert_no_error(err);
}

/* What a NIC that is gone has left is told from what is in use. */
static void test_stale(void)
{
    GError *err = NULL;
    Host *host;

    ip("link add axt8 type veth peer name axt9");
    ip("link set axt8 up");
    host = host_attach(&tool, "axt8", if_nametoindex("axt8"), 1,
                       EBPF_AF_XDP_MODE_SKB, &err);
    g_assert_no_error(err);
    g_assert_false(host->native);
    host_close(host);
    ip("link del axt8");
    ip("link add axt8 type veth peer name axt9");
    g_assert_null(host_open(&tool, "axt8", if_nametoindex("axt8"), &err));
    g_assert_error(err, AF_XDP_ERROR, ESTALE);
    g_clear_error(&err);
    g_assert_true(host_clean(&tool, "axt8", &err));
    g_assert_null(host_open(&tool, "axt8", if_nametoindex("axt8"), &err));
    g_assert_no_error(err);
    ip("link del axt8");
}

/* Somebody else's program stays, and the message names it. */
static void test_foreign(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *other = test_attach(&cfg);
    g_autoptr(GError) err = NULL;

    g_assert_null(host_attach(&tool, DEV, dev_index, QUEUES,
                              EBPF_AF_XDP_MODE_NATIVE, &err));
    g_assert_error(err, AF_XDP_ERROR, EBUSY);
    g_assert_nonnull(strstr(err->message, "af_xdp_redirect"));
    g_assert_cmpuint(device_prog_id(DEV), ==, ebpf_af_xdp_prog_id(other));
    g_assert_cmpint(access(TEST_BPFFS "/qemu-af-xdp", F_OK), ==, -1);
    test_detach(other);
}

/* What is there must be left alone. */
static void assert_unsafe(void)
{
    g_autoptr(GPtrArray) nics = host_nics(&tool);
    g_autoptr(GError) err = NULL;

    g_assert_cmpint(nics->len, ==, 0);
    g_assert_null(host_open(&tool, DEV, dev_index, &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_clear_error(&err);
    g_assert_null(host_attach(&tool, DEV, dev_index, QUEUES,
                              EBPF_AF_XDP_MODE_NATIVE, &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_clear_error(&err);
    g_assert_false(host_clean_file(&tool, "x", &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_assert_nonnull(strstr(err->message, "mode=0700"));
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);
}

/* What others have made, or can change, is not followed. */
static void test_unsafe(void)
{
    const char *base = TEST_BPFFS "/qemu-af-xdp";
    g_autofree char *dir = g_dir_make_tmp("af-xdp-host-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "file", NULL);
    g_autofree char *nic = g_build_filename(base, "x", NULL);
    g_autofree char *map = NULL;
    HostOwner owner = { .uid = 1, .gid = -1, .set_mode = true, .mode = 0666 };
    GError *err = NULL;
    struct stat st;
    Host *host;

    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    /* A link to a directory in the place of all pins */
    g_assert_cmpint(symlink(dir, base), ==, 0);
    assert_unsafe();
    g_assert_cmpint(unlink(base), ==, 0);
    /* The directory of another user, or that others may write to */
    g_assert_cmpint(mkdir(base, 0755), ==, 0);
    g_assert_cmpint(chown(base, 1, -1), ==, 0);
    assert_unsafe();
    g_assert_cmpint(chown(base, 0, -1), ==, 0);
    g_assert_cmpint(chmod(base, 0777), ==, 0);
    assert_unsafe();
    g_assert_cmpint(chmod(base, 0755), ==, 0);
    /* In one where everybody may rename it */
    g_assert_cmpint(chmod(TEST_BPFFS, 0777), ==, 0);
    assert_unsafe();
    g_assert_cmpint(chmod(TEST_BPFFS, 01777), ==, 0);

    /* Links in it, even if they are root's */
    g_assert_cmpint(symlink(dir, nic), ==, 0);
    g_assert_false(host_clean_file(&tool, "x", &err));
    g_assert_error(err, AF_XDP_ERROR, ENOTDIR);
    g_clear_error(&err);
    g_assert_cmpint(unlink(nic), ==, 0);
    host = attach();
    map = host_map_path(&tool, host, DEV, "a");
    g_assert_cmpint(symlink(file, map), ==, 0);
    g_assert_false(host_vm_owner(host, "a", &owner, &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_clear_error(&err);
    g_assert_cmpint(stat(file, &st), ==, 0);
    g_assert_cmpint(st.st_uid, ==, 0);
    take_off(host);

    g_assert_cmpint(unlink(file), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

/* In any other file system nothing is removed. */
static void test_no_bpffs(void)
{
    g_autofree char *dir = g_dir_make_tmp("af-xdp-host-XXXXXX", NULL);
    g_autofree char *base = g_build_filename(dir, "qemu-af-xdp", NULL);
    g_autofree char *nic = g_build_filename(base, "x", NULL);
    Tool other = { .bpffs = dir, .quiet = TRUE };
    GError *err = NULL;

    g_assert_cmpint(g_mkdir_with_parents(nic, 0700), ==, 0);
    g_assert_false(host_clean_file(&other, "x", &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_clear_error(&err);
    g_assert_cmpint(rmdir(nic), ==, 0);
    g_assert_cmpint(rmdir(base), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    const char *skip;

    g_test_init(&argc, &argv, NULL);
    skip = test_veth_setup();
    if (skip) {
        printf("1..0 # SKIP %s\n", skip);
        return 0;
    }
    test_mount_bpffs();
    dev_index = if_nametoindex(DEV);
    g_test_add_func("/host/isolation", test_isolation);
    g_test_add_func("/host/filter", test_filter);
    g_test_add_func("/host/reopen", test_reopen);
    g_test_add_func("/host/stale", test_stale);
    g_test_add_func("/host/foreign", test_foreign);
    g_test_add_func("/host/unsafe", test_unsafe);
    g_test_add_func("/host/no-bpffs", test_no_bpffs);
    return g_test_run();
}
