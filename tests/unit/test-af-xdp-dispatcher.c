/*
 * AF_XDP: sharing a device through libxdp's dispatcher
 *
 * Needs root and a kernel that takes BPF programs of type EXT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include "test-af-xdp-program.h"

/*
 * A dispatcher consists of programs of type EXT. Kernels can be built or
 * guarded so that they take none.
 */
static bool can_extend(void)
{
    struct bpf_insn insns[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K },
        { .code = BPF_JMP | BPF_EXIT },
    };
    /* One that extends nothing is invalid, if the type is known at all. */
    int fd = bpf_prog_load(BPF_PROG_TYPE_EXT, "probe", "GPL", insns,
                           ARRAY_SIZE(insns), NULL);

    g_assert_cmpint(fd, <, 0);
    return fd != -EPERM;
}

/*
 * Have a dispatcher on the device, with a program that is not ours: the one
 * that libxdp brings along for AF_XDP.
 *
 * @frags: whether it takes multi-buffer frames. All must for the dispatcher to.
 */
static struct xdp_program *dispatcher_start(enum xdp_attach_mode mode,
                                            bool frags)
{
    DECLARE_LIBXDP_OPTS(xdp_program_opts, opts,
                        .find_filename = "xsk_def_xdp_prog.o",
                        .prog_name = "xsk_def_prog");
    struct xdp_program *first = xdp_program__create(&opts);
    int ret;

    g_assert_cmpint(libxdp_get_error(first), ==, 0);
    ret = xdp_program__set_xdp_frags_support(first, frags);
    g_assert_cmpint(ret, ==, 0);
    ret = xdp_program__attach(first, if_nametoindex(DEV), mode, 0);
    g_assert_cmpint(ret, ==, 0);
    return first;
}

static void dispatcher_stop(struct xdp_program *first,
                            enum xdp_attach_mode mode)
{
    int ret = xdp_program__detach(first, if_nametoindex(DEV), mode, 0);

    g_assert_cmpint(ret, ==, 0);
    xdp_program__close(first);
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);
}

/*
 * How many members has the device's dispatcher, and is @id one of them?
 * 0 if there is no dispatcher.
 */
static int dispatcher_members(uint32_t id, bool *found)
{
    struct xdp_multiprog *mp;
    struct xdp_program *member = NULL;
    int n;

    *found = false;
    mp = xdp_multiprog__get_from_ifindex(if_nametoindex(DEV));
    if (libxdp_get_error(mp)) {
        return 0;
    }
    g_assert_false(xdp_multiprog__is_legacy(mp));
    n = xdp_multiprog__program_count(mp);
    while ((member = xdp_multiprog__next_prog(member, mp))) {
        *found |= xdp_program__id(member) == id;
    }
    xdp_multiprog__close(mp);
    return n;
}

static void test_dispatcher(gconstpointer data)
{
    enum xdp_attach_mode mode = GPOINTER_TO_INT(data);
    bool native = mode == XDP_MODE_NATIVE;
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog, *second;
    struct xdp_program *first;
    TestSocket sock[QUEUES];
    EbpfAfXdpCounters count;
    bool found;
    int fds;

    fds = count_fds();
    first = dispatcher_start(mode, native);
    prog = test_attach(&cfg);
    g_assert_cmpint(ebpf_af_xdp_kind(prog), ==, EBPF_AF_XDP_DISPATCHER);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==,
                    native ? EBPF_AF_XDP_MODE_NATIVE : EBPF_AF_XDP_MODE_SKB);
    g_assert_cmpint(ebpf_af_xdp_multi_buffer(prog), ==, native);
    g_assert_cmpint(!ebpf_af_xdp_fallback_reason(prog), ==, native);
    g_assert_cmpint(dispatcher_members(ebpf_af_xdp_prog_id(prog), &found), ==,
                    2);
    g_assert_true(found);

    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_open(&sock[q], DEV, q);
        test_set_socket(prog, q, &sock[q]);
    }
    peer_send(10);
    count = wait_counters(prog, 10);
    g_assert_cmpuint(count.redirected, ==, 10);
    g_assert_cmpuint(count.passed, ==, 0);
    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_close(&sock[q]);
    }

    /* A second one beside it is not taken for the remains of a dead one. */
    second = test_attach(&cfg);
    g_assert_cmpint(dispatcher_members(ebpf_af_xdp_prog_id(prog), &found), ==,
                    3);
    g_assert_true(found);

    /* The first leaves, by now from another dispatcher than it joined. */
    test_detach(prog);
    g_assert_cmpint(dispatcher_members(ebpf_af_xdp_prog_id(second), &found),
                    ==, 2);
    g_assert_true(found);
    test_detach(second);
    g_assert_cmpint(dispatcher_members(xdp_program__id(first), &found), ==,
                    1);
    g_assert_true(found);

    cfg.mode = native ? EBPF_AF_XDP_MODE_SKB : EBPF_AF_XDP_MODE_NATIVE;
    assert_attach_fails(&cfg, EBUSY, "dispatcher", native ? "native" : "skb",
                        NULL);
    dispatcher_stop(first, mode);
    g_assert_cmpint(count_fds(), ==, fds);
}

/* What a killed process leaves in a dispatcher, the next one removes. */
static void test_stale(gconstpointer unused)
{
    EbpfAfXdpConfig cfg = test_config();
    struct xdp_program *first;
    EbpfAfXdp *prog;
    bool found;
    pid_t pid;

    first = dispatcher_start(XDP_MODE_NATIVE, true);
    pid = attached_child();
    g_assert_cmpint(dispatcher_members(0, &found), ==, 2);
    kill_child(pid);
    g_assert_cmpint(dispatcher_members(0, &found), ==, 2);

    /* Map ids are free only after an RCU grace period. */
    for (int i = 0; ; i++) {
        prog = test_attach(&cfg);
        if (dispatcher_members(0, &found) == 2) {
            break;
        }
        g_assert_cmpint(i, <, 100);
        test_detach(prog);
        g_usleep(10000);
    }
    g_assert_cmpint(dispatcher_members(ebpf_af_xdp_prog_id(prog), &found), ==,
                    2);
    g_assert_true(found);
    test_detach(prog);
    g_assert_cmpint(dispatcher_members(xdp_program__id(first), &found), ==,
                    1);
    g_assert_true(found);
    dispatcher_stop(first, XDP_MODE_NATIVE);
}

/* In a mount namespace that lacks the BPF file system, as "ip netns exec" */
static void test_hidden(gconstpointer unused)
{
    EbpfAfXdpConfig cfg = test_config();
    struct xdp_program *first;
    bool found;
    pid_t pid;
    int status;

    first = dispatcher_start(XDP_MODE_NATIVE, true);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        g_assert_cmpint(unshare(CLONE_NEWNS), ==, 0);
        g_assert_cmpint(umount2(TEST_BPFFS, MNT_DETACH), ==, 0);
        assert_attach_fails(&cfg, EBUSY, "'xdp_dispatcher'", "ip netns exec",
                            NULL);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(dispatcher_members(xdp_program__id(first), &found), ==,
                    1);
    g_assert_true(found);
    dispatcher_stop(first, XDP_MODE_NATIVE);
}

static const char *skip_reason;

static void test_skipped(void)
{
    g_test_skip(skip_reason);
}

static void add(const char *path, GTestDataFunc func, int mode)
{
    if (skip_reason) {
        g_test_add_func(path, test_skipped);
    } else {
        g_test_add_data_func(path, GINT_TO_POINTER(mode), func);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    skip_reason = test_veth_setup();
    if (!skip_reason && !can_extend()) {
        skip_reason = "this kernel forbids BPF programs of type EXT "
                      "(freplace), without which there is no dispatcher";
    }
    if (!skip_reason) {
        test_mount_bpffs();
    }

    add("/af-xdp/dispatcher/native", test_dispatcher, XDP_MODE_NATIVE);
    add("/af-xdp/dispatcher/skb", test_dispatcher, XDP_MODE_SKB);
    add("/af-xdp/dispatcher/stale", test_stale, 0);
    add("/af-xdp/dispatcher/hidden", test_hidden, 0);
    return g_test_run();
}
