/*
 * AF_XDP: attaching the XDP program, and the maps of others
 *
 * In a network namespace of the test's own, first without a BPF file system,
 * which attaching by a link does not need, then with one. Needs root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include "test-af-xdp-program.h"

/* linux-libc-dev before 5.18 lacks it. */
#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

/*
 * libbpf reaches the kernel through syscall(). This one stands before libc's
 * and can make the kernel look like one before 5.18, or short of resources
 * when a program is to be attached.
 */
static bool refuse_frags;
static unsigned frags_refused;
static unsigned links_to_refuse;

long syscall(long number, ...)
{
    static long (*next)(long number, ...);
    long arg[6];
    va_list ap;

    va_start(ap, number);
    for (size_t i = 0; i < ARRAY_SIZE(arg); i++) {
        arg[i] = va_arg(ap, long);
    }
    va_end(ap);

    if (refuse_frags && number == SYS_bpf && arg[0] == BPF_PROG_LOAD &&
        ((union bpf_attr *)arg[1])->prog_flags & BPF_F_XDP_HAS_FRAGS) {
        frags_refused++;
        errno = EINVAL;
        return -1;
    }
    if (links_to_refuse && number == SYS_bpf && arg[0] == BPF_LINK_CREATE) {
        links_to_refuse--;
        errno = EAGAIN;
        return -1;
    }
    if (!next) {
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    }
    return next(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static void assert_use_map_fails(const char *path, uint32_t start, uint32_t n,
                                 int code, const char *word)
{
    GError *err = NULL;
    EbpfAfXdp *prog = ebpf_af_xdp_use_map(path, start, n, &err);

    g_assert_null(prog);
    g_test_message("%s", err->message);
    g_assert_error(err, AF_XDP_ERROR, code);
    if (!strstr(err->message, word)) {
        g_error("\"%s\" is missing in: %s", word, err->message);
    }
    g_error_free(err);
}

/* A program that is not ours */
static int foreign_prog(void)
{
    struct bpf_insn pass[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0,
          .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody", "GPL", pass,
                           ARRAY_SIZE(pass), NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static uint32_t prog_id(int fd)
{
    struct bpf_prog_info info = { 0 };
    uint32_t len = sizeof(info);
    int ret = bpf_obj_get_info_by_fd(fd, &info, &len);

    g_assert_cmpint(ret, ==, 0);
    return info.id;
}


static void test_own_link_modes(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog = test_attach(&cfg);

    g_assert_cmpint(ebpf_af_xdp_kind(prog), ==, EBPF_AF_XDP_OWN_LINK);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, EBPF_AF_XDP_MODE_NATIVE);
    g_assert_null(ebpf_af_xdp_fallback_reason(prog));
    g_assert_cmpuint(ebpf_af_xdp_prog_id(prog), !=, 0);
    g_assert_cmpuint(ebpf_af_xdp_prog_id(prog), ==, device_prog_id(DEV));
    test_detach(prog);
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);

    cfg.mode = EBPF_AF_XDP_MODE_SKB;
    cfg.ifindex = 0;        /* by name */
    prog = test_attach(&cfg);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, EBPF_AF_XDP_MODE_SKB);
    g_assert_null(ebpf_af_xdp_fallback_reason(prog));
    test_detach(prog);
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);

    g_assert_true(ebpf_af_xdp_detach(NULL, NULL));
}

/* A link needs no BPF file system. */
static void test_own_link(void)
{
    struct statfs fs;

    g_assert_true(statfs(TEST_BPFFS, &fs) < 0 || fs.f_type != BPF_FS_MAGIC);
    test_own_link_modes();
}

static void test_sigkill(void)
{
    pid_t pid = attached_child();
    uint32_t id = device_prog_id(DEV);

    g_assert_cmpuint(id, !=, 0);
    kill_child(pid);
    /* The kernel may release the link a moment after the process. */
    for (int i = 0; i < 100 && device_prog_id(DEV); i++) {
        g_usleep(10000);
    }
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);
}

static void test_foreign(void)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    EbpfAfXdpConfig cfg = test_config();
    int fd = foreign_prog();
    g_autofree char *id = g_strdup_printf("id %u ", prog_id(fd));
    EbpfAfXdp *other;
    int link;

    /* Attached the old way, in either mode */
    g_assert_cmpint(bpf_xdp_attach(cfg.ifindex, fd, XDP_FLAGS_DRV_MODE, NULL),
                    ==, 0);
    assert_attach_fails(&cfg, EBUSY, id, "'somebody'", DEV, "native",
                        "ip link set dev " DEV " xdpdrv off", "map-path=",
                        NULL);
    g_assert_cmpuint(device_prog_id(DEV), ==, prog_id(fd));
    g_assert_cmpint(bpf_xdp_detach(cfg.ifindex, XDP_FLAGS_DRV_MODE, NULL), ==,
                    0);

    g_assert_cmpint(bpf_xdp_attach(cfg.ifindex, fd, XDP_FLAGS_SKB_MODE, NULL),
                    ==, 0);
    assert_attach_fails(&cfg, EBUSY, id, "'somebody'", "generic",
                        "xdpgeneric off", NULL);
    g_assert_cmpuint(device_prog_id(DEV), ==, prog_id(fd));
    g_assert_cmpint(bpf_xdp_detach(cfg.ifindex, XDP_FLAGS_SKB_MODE, NULL), ==,
                    0);

    /* Held by a link, which "ip link" cannot take off */
    link = bpf_link_create(fd, cfg.ifindex, BPF_XDP, &opts);
    g_assert_cmpint(link, >=, 0);
    assert_attach_fails(&cfg, EBUSY, id, "'somebody'", "bpftool link detach",
                        NULL);
    g_assert_cmpuint(device_prog_id(DEV), ==, prog_id(fd));
    close(link);
    close(fd);

    /* Another one of us */
    other = test_attach(&cfg);
    assert_attach_fails(&cfg, EBUSY, "'af_xdp_redirect'",
                        "of this or another QEMU", NULL);
    g_assert_cmpuint(device_prog_id(DEV), ==, ebpf_af_xdp_prog_id(other));
    test_detach(other);
}

/* lo has no native XDP at all; a veth refuses it for its peer's queues. */
static void test_fallback(void)
{
    EbpfAfXdpConfig cfg = {
        .ifname = "lo",
        .dev_queues = 1,
        .queues = 1,
    };
    EbpfAfXdp *prog = test_attach(&cfg);

    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, EBPF_AF_XDP_MODE_SKB);
    g_test_message("%s", ebpf_af_xdp_fallback_reason(prog));
    g_assert_nonnull(strstr(ebpf_af_xdp_fallback_reason(prog),
                            g_strerror(EOPNOTSUPP)));
    g_assert_cmpuint(device_prog_id("lo"), ==, ebpf_af_xdp_prog_id(prog));
    test_detach(prog);
    g_assert_cmpuint(device_prog_id("lo"), ==, 0);

    cfg.mode = EBPF_AF_XDP_MODE_NATIVE;
    assert_attach_fails(&cfg, EOPNOTSUPP, "'lo'", "native mode", "mode=skb",
                        NULL);
    g_assert_cmpuint(device_prog_id("lo"), ==, 0);

    ip("link add axt2 numrxqueues 1 numtxqueues 1 type veth "
            "peer name axt3 numrxqueues 2 numtxqueues 2");
    cfg.ifname = "axt2";
    assert_attach_fails(&cfg, ENOSPC, "'axt2'", "ethtool -L axt2 rx N",
                        "ethtool -L PEER tx N", NULL);
    cfg.mode = EBPF_AF_XDP_MODE_AUTO;
    prog = test_attach(&cfg);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, EBPF_AF_XDP_MODE_SKB);
    g_test_message("%s", ebpf_af_xdp_fallback_reason(prog));
    g_assert_nonnull(strstr(ebpf_af_xdp_fallback_reason(prog),
                            "fewer receive queues"));
    g_assert_nonnull(strstr(ebpf_af_xdp_fallback_reason(prog),
                            "ethtool -L PEER tx N"));
    test_detach(prog);
    ip("link del axt2");
}

/* A kernel before 5.18 */
static void test_no_frags(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog;

    refuse_frags = true;
    frags_refused = 0;
    prog = test_attach(&cfg);
    refuse_frags = false;
    g_assert_cmpuint(frags_refused, >, 0);
    g_assert_false(ebpf_af_xdp_multi_buffer(prog));
    g_assert_cmpuint(ebpf_af_xdp_prog_id(prog), ==, device_prog_id(DEV));
    test_detach(prog);

    /* That was for once. */
    prog = test_attach(&cfg);
    g_assert_true(ebpf_af_xdp_multi_buffer(prog));
    test_detach(prog);
}

/*
 * EAGAIN of the kernel is a failure, and not our own word for "look again",
 * whether another try would have gone well or not.
 */
static void test_again(void)
{
    EbpfAfXdpConfig cfg = test_config();

    cfg.mode = EBPF_AF_XDP_MODE_NATIVE;
    links_to_refuse = 1;
    assert_attach_fails(&cfg, EAGAIN, DEV, "native mode",
                        g_strerror(EAGAIN), NULL);
    g_assert_cmpuint(links_to_refuse, ==, 0);
    g_assert_cmpuint(device_prog_id(DEV), ==, 0);

    links_to_refuse = 2;
    assert_attach_fails(&cfg, EAGAIN, DEV, "native mode", NULL);
    g_assert_cmpuint(links_to_refuse, ==, 1);
    links_to_refuse = 0;
    test_detach(test_attach(&cfg));
}

static void test_bad_config(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog;
    GError *err = NULL;

    cfg.queues = QUEUES + 1;
    assert_attach_fails(&cfg, EINVAL, "4 receive queues", NULL);
    cfg.queues = 0;
    assert_attach_fails(&cfg, EINVAL, DEV, NULL);
    cfg.queues = UINT32_MAX;
    cfg.queue_start = 1;
    assert_attach_fails(&cfg, EINVAL, DEV, NULL);

    cfg = test_config();
    cfg.ifname = "axt-none";
    cfg.ifindex = 0;
    assert_attach_fails(&cfg, ENODEV, "'axt-none'", NULL);
    cfg.ifindex = 1 << 30;  /* gone since it was asked for */
    assert_attach_fails(&cfg, ENODEV, "'axt-none'", NULL);

    /* Not an AF_XDP socket, or not even a socket */
    cfg = test_config();
    prog = test_attach(&cfg);
    for (int i = 0; i < 2; i++) {
        int fd = i ? open("/dev/null", O_RDONLY)
                   : socket(AF_INET, SOCK_DGRAM, 0);

        g_assert_cmpint(fd, >=, 0);
        g_assert_false(ebpf_af_xdp_set_socket(prog, 0, fd, &err));
        g_test_message("%s", err->message);
        g_assert_error(err, AF_XDP_ERROR, (i ? ENOTSOCK : EOPNOTSUPP));
        g_clear_error(&err);
        close(fd);
    }
    test_detach(prog);
}

static void test_no_privilege(void)
{
    pid_t pid = fork();
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        EbpfAfXdpConfig cfg = test_config();

        /* nobody, hence without capabilities */
        g_assert_cmpint(setresgid(65534, 65534, 65534), ==, 0);
        g_assert_cmpint(setresuid(65534, 65534, 65534), ==, 0);
        assert_attach_fails(&cfg, EPERM, DEV, "CAP_NET_ADMIN", "CAP_BPF",
                            "map-path=", NULL);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

static unsigned printed;

static int count_libbpf(enum libbpf_print_level level, const char *fmt,
                        va_list ap)
{
    printed++;
    return 0;
}

static int count_libxdp(enum libxdp_print_level level, const char *fmt,
                        va_list ap)
{
    printed++;
    return 0;
}

/* The libraries say nothing by themselves, and get their callbacks back. */
static void test_silent(void)
{
    libbpf_print_fn_t old_libbpf = libbpf_set_print(count_libbpf);
    libxdp_print_fn_t old_libxdp = libxdp_set_print(count_libxdp);

    printed = 0;
    test_no_frags();
    test_foreign();
    g_assert_cmpuint(printed, ==, 0);
    g_assert_true(libbpf_set_print(old_libbpf) == count_libbpf);
    g_assert_true(libxdp_set_print(old_libxdp) == count_libxdp);
}

/* A map of @type with @entries, pinned as @name; returns the path. */
static char *pin_map(enum bpf_map_type type, uint32_t entries,
                     const char *name)
{
    char *path = g_build_filename(TEST_BPFFS, name, NULL);
    int fd = bpf_map_create(type, name, 4, 4, entries, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(bpf_obj_pin(fd, path), ==, 0);
    close(fd);
    return path;
}

static void test_pinned_bad(void)
{
    g_autofree char *small = pin_map(BPF_MAP_TYPE_XSKMAP, 4, "small");
    g_autofree char *array = pin_map(BPF_MAP_TYPE_ARRAY, 4, "array");
    g_autofree char *hash = pin_map(BPF_MAP_TYPE_HASH, 4, "hash");
    const char *prog = TEST_BPFFS "/prog";
    const char *dir = TEST_BPFFS "/dir";
    int fd = foreign_prog();

    g_assert_cmpint(bpf_obj_pin(fd, prog), ==, 0);
    close(fd);

    assert_use_map_fails(TEST_BPFFS "/missing", 0, 1, ENOENT, "missing");
    assert_use_map_fails("/proc/version", 0, 1, EINVAL,
                         "not in a BPF file system");
    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    assert_use_map_fails(dir, 0, 1, EINVAL,
                         "'" TEST_BPFFS "/dir' is a directory, name a map in "
                         "it");
    assert_use_map_fails(TEST_BPFFS, 0, 1, EINVAL, "is a directory");
    assert_use_map_fails("/proc", 0, 1, EINVAL, "not in a BPF file system");
    assert_use_map_fails(prog, 0, 1, EINVAL, "not a map");
    assert_use_map_fails(array, 0, 1, EINVAL,
                         "is of type array, not an XSKMAP");
    assert_use_map_fails(hash, 0, 1, EINVAL, "is of type hash,");
    assert_use_map_fails(small, 0, 5, EINVAL, "too small");
    assert_use_map_fails(small, 4, 1, EINVAL, "too small");
    assert_use_map_fails(small, 3, 2, EINVAL, "too small");
    assert_use_map_fails(small, UINT32_MAX, 2, EINVAL, "too small");

    unlink(small);
    unlink(array);
    unlink(hash);
    unlink(prog);
    rmdir(dir);
}

/* It can be opened, and that is all. */
static void test_pinned_frozen(void)
{
    g_autofree char *path = pin_map(BPF_MAP_TYPE_XSKMAP, 4, "frozen");
    int fd = bpf_obj_get(path);
    GError *err = NULL;
    TestSocket sock;
    EbpfAfXdp *prog;

    g_assert_cmpint(bpf_map_freeze(fd), ==, 0);
    close(fd);
    prog = ebpf_af_xdp_use_map(path, 2, 1, &err);
    g_assert_no_error(err);
    test_socket_open(&sock, DEV, 0);
    g_assert_false(ebpf_af_xdp_set_socket(prog, 0, sock.fd, &err));
    g_test_message("%s", err->message);
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_assert_nonnull(strstr(err->message,
                            "index 2 of pinned map '" TEST_BPFFS
                            "/frozen': "));
    g_assert_nonnull(strstr(err->message, "frozen or read-only"));
    g_clear_error(&err);
    test_socket_close(&sock);
    test_detach(prog);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void test_pinned(void)
{
    g_autofree char *path = pin_map(BPF_MAP_TYPE_XSKMAP, 8, "sockets");
    EbpfAfXdpCounters count;
    EbpfAfXdp *prog, *other;
    TestSocket sock[2];
    GError *err = NULL;
    int probe;

    prog = ebpf_af_xdp_use_map(path, 6, 2, &err);
    g_assert_no_error(err);
    g_assert_cmpint(ebpf_af_xdp_kind(prog), ==, EBPF_AF_XDP_PINNED_MAP);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, EBPF_AF_XDP_MODE_AUTO);
    g_assert_cmpuint(ebpf_af_xdp_prog_id(prog), ==, 0);
    g_assert_cmpint(ebpf_af_xdp_prog_fd(prog), ==, -1);
    g_assert_false(ebpf_af_xdp_read_counters(prog, 0, &count));
    g_assert_true(ebpf_af_xdp_set_mac(prog, (const uint8_t *)"\2\0\0\0\0\1",
                                      &err));

    test_socket_open(&sock[0], DEV, 0);
    test_socket_open(&sock[1], DEV, 1);
    test_set_socket(prog, 0, &sock[0]);
    test_set_socket(prog, 0, &sock[0]);     /* again is no harm */

    /* Nobody is put out, whoever tries. */
    other = ebpf_af_xdp_use_map(path, 5, 2, &err);
    g_assert_no_error(err);
    g_assert_false(ebpf_af_xdp_set_socket(other, 1, sock[1].fd, &err));
    g_test_message("%s", err->message);
    g_assert_error(err, AF_XDP_ERROR, EEXIST);
    g_assert_nonnull(strstr(err->message, "index 6"));
    g_clear_error(&err);
    test_set_socket(other, 0, &sock[1]);

    /*
     * User space cannot read the map; that an entry is gone shows when the
     * kernel refuses to replace it.
     */
    probe = bpf_obj_get(path);
    for (uint32_t key = 0; key < 8; key++) {
        int ret = bpf_map_update_elem(probe, &key, &sock[0].fd, BPF_EXIST);

        g_assert_cmpint(ret, ==, key == 5 || key == 6 ? 0 : -ENOENT);
    }
    ebpf_af_xdp_clear_socket(prog, 0);
    test_socket_close(&sock[1]);
    for (uint32_t key = 0; key < 8; key++) {
        int ret = bpf_map_update_elem(probe, &key, &sock[0].fd, BPF_EXIST);

        /* The probe above put sock[0] into 5, so that it is still there. */
        g_assert_cmpint(ret, ==, key == 5 ? 0 : -ENOENT);
    }
    test_socket_close(&sock[0]);
    test_detach(prog);
    test_detach(other);

    /* All gone, and the map still there */
    test_socket_open(&sock[0], DEV, 0);
    for (uint32_t key = 0; key < 8; key++) {
        int ret = bpf_map_update_elem(probe, &key, &sock[0].fd, BPF_EXIST);

        g_assert_cmpint(ret, ==, -ENOENT);
    }
    test_socket_close(&sock[0]);
    close(probe);
    g_assert_cmpint(unlink(path), ==, 0);
}

/* Success and failure leave no descriptor open. */
static void test_fds(void)
{
    int before = count_fds();

    test_own_link_modes();
    test_foreign();
    test_fallback();
    test_no_frags();
    test_again();
    test_bad_config();
    test_pinned_bad();
    test_pinned_frozen();
    test_pinned();
    g_assert_cmpint(count_fds(), ==, before);
}

static const char *skip_reason;

static void test_skipped(void)
{
    g_test_skip(skip_reason);
}

static void add(const char *path, GTestFunc func)
{
    g_test_add_func(path, skip_reason ? test_skipped : func);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    skip_reason = test_veth_setup();

    /* The order matters: BPF file system, then none of these tests. */
    add("/af-xdp/attach/own-link", test_own_link);
    add("/af-xdp/attach/sigkill", test_sigkill);
    add("/af-xdp/attach/foreign", test_foreign);
    add("/af-xdp/attach/fallback", test_fallback);
    add("/af-xdp/attach/no-frags", test_no_frags);
    add("/af-xdp/attach/again", test_again);
    add("/af-xdp/attach/bad-config", test_bad_config);
    add("/af-xdp/attach/no-privilege", test_no_privilege);
    add("/af-xdp/attach/silent", test_silent);
    add("/af-xdp/bpffs/mount", test_mount_bpffs);
    add("/af-xdp/bpffs/map/bad", test_pinned_bad);
    add("/af-xdp/bpffs/map/frozen", test_pinned_frozen);
    add("/af-xdp/bpffs/map/good", test_pinned);
    add("/af-xdp/bpffs/descriptors", test_fds);
    return g_test_run();
}
