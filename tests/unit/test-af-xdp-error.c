/*
 * Unit tests: errors of the AF_XDP core
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"

static void test_set(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *expected = g_strdup_printf("cannot open 'x7': %s",
                                                g_strerror(EACCES));
    g_autofree char *msg = NULL;
    const char *hint = "unset";

    errno = E2BIG;
    af_xdp_error_set(&err, EACCES, NULL, "cannot open '%s%d'", "x", 7);
    g_assert_cmpint(errno, ==, E2BIG);
    g_assert_error(err, AF_XDP_ERROR, EACCES);
    g_assert_cmpstr(err->message, ==, expected);

    af_xdp_error_split(err, &msg, &hint);
    g_assert_cmpstr(msg, ==, expected);
    g_assert_null(hint);
}

static void test_set_without_errno(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *msg = NULL;
    const char *hint;

    af_xdp_error_set(&err, 0, "Give 100% less.", "'queues' is wrong");
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    af_xdp_error_split(err, &msg, &hint);
    g_assert_cmpstr(msg, ==, "'queues' is wrong");
    g_assert_cmpstr(hint, ==, "Give 100% less.");
}

static void test_nobody_listens(void)
{
    errno = E2BIG;
    af_xdp_error_set(NULL, EACCES, "hint", "message");
    af_xdp_error_step(NULL, AF_XDP_STEP_BIND, EBUSY, "eth0", 1, "message");
    g_assert_cmpint(errno, ==, E2BIG);
}

/* Device and queue appear as far as they are known; the hint names them. */
static void test_step(void)
{
    static const struct {
        const char *ifname;
        int queue;
        const char *where;
    } table[] = {
        { "veth0", 3, " on 'veth0' queue 3" },
        { "veth0", -1, " on 'veth0'" },
        { "%s%n", 0, " on '%s%n' queue 0" },
        { NULL, -1, "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        g_autoptr(GError) err = NULL;
        g_autofree char *msg = NULL, *expected = NULL, *command = NULL;
        const char *hint;

        errno = E2BIG;
        af_xdp_error_step(&err, AF_XDP_STEP_BIND, ENETDOWN, table[i].ifname,
                          table[i].queue, "cannot bind socket %d", 5);
        g_assert_cmpint(errno, ==, E2BIG);
        g_assert_error(err, AF_XDP_ERROR, ENETDOWN);

        af_xdp_error_split(err, &msg, &hint);
        expected = g_strdup_printf("cannot bind socket 5%s: %s",
                                   table[i].where, g_strerror(ENETDOWN));
        g_assert_cmpstr(msg, ==, expected);

        command = g_strdup_printf("ip link set dev %s up",
                                  table[i].ifname ? table[i].ifname : "IFNAME");
        g_assert_nonnull(strstr(hint, command));
    }
}

/* An errno that strerror explains well enough has no hint. */
static void test_step_without_hint(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *msg = NULL;
    const char *hint;

    g_assert_null(af_xdp_error_hint(EIO, AF_XDP_STEP_BIND));
    af_xdp_error_step(&err, AF_XDP_STEP_BIND, EIO, "veth0", 0, "no luck");
    af_xdp_error_split(err, &msg, &hint);
    g_assert_cmpstr(msg, ==, err->message);
    g_assert_null(hint);
}

/* What users meet most, and the word of the hint that gets them further. */
static void test_hints(void)
{
    static const struct {
        int errnum;
        AfXdpStep step;
        const char *word;
    } table[] = {
        { EPERM, AF_XDP_STEP_SOCKET, "CAP_NET_RAW" },
        { EPERM, AF_XDP_STEP_SOCKET, "setpriv" },
        { EPERM, AF_XDP_STEP_SOCKET, "sock-fds=" },
        { EBADF, AF_XDP_STEP_SOCKET, "getfd" },
        { ENOTSOCK, AF_XDP_STEP_SOCKET, "socket(AF_XDP" },
        { EAFNOSUPPORT, AF_XDP_STEP_SOCKET, "CONFIG_XDP_SOCKETS" },
        { ENOBUFS, AF_XDP_STEP_UMEM, "ulimit -l" },
        { ENOBUFS, AF_XDP_STEP_UMEM, "hard limit" },
        { ENOBUFS, AF_XDP_STEP_UMEM, "limits.conf" },
        { ENOBUFS, AF_XDP_STEP_UMEM, "LimitMEMLOCK=" },
        { ENOBUFS, AF_XDP_STEP_UMEM, "CAP_IPC_LOCK" },
        { EINVAL, AF_XDP_STEP_UMEM, "alignment" },
        { EBUSY, AF_XDP_STEP_UMEM, "fresh sockets" },
        { EBUSY, AF_XDP_STEP_BIND, "leased" },
        { EBUSY, AF_XDP_STEP_BIND, "memory provider" },
        { EBUSY, AF_XDP_STEP_BIND, "ss --xdp" },
        { EBUSY, AF_XDP_STEP_BIND, "CONFIG_XDP_SOCKETS_DIAG" },
        { EOPNOTSUPP, AF_XDP_STEP_BIND, "force-copy=on" },
        { EOPNOTSUPP, AF_XDP_STEP_BIND, "leased" },
        { EINVAL, AF_XDP_STEP_BIND, "ethtool -l IFNAME" },
        { EINVAL, AF_XDP_STEP_BIND, "MTU" },
        { ENOMEM, AF_XDP_STEP_BIND, "memory" },
        { EPERM, AF_XDP_STEP_PROGRAM, "CAP_BPF" },
        { EPERM, AF_XDP_STEP_PROGRAM, "initial user namespace" },
        { EBUSY, AF_XDP_STEP_PROGRAM, "bpftool net show dev IFNAME" },
        { EEXIST, AF_XDP_STEP_PROGRAM, "bpftool net show dev IFNAME" },
        { EOPNOTSUPP, AF_XDP_STEP_PROGRAM, "mode=skb" },
        { EINVAL, AF_XDP_STEP_PROGRAM, "mode=skb" },
        { ERANGE, AF_XDP_STEP_PROGRAM, "ip link set dev IFNAME mtu" },
        { ENOSPC, AF_XDP_STEP_PROGRAM, "ethtool -L IFNAME rx N" },
        { ENOSPC, AF_XDP_STEP_PROGRAM, "ethtool -L PEER tx N" },
        { ENOENT, AF_XDP_STEP_MAP, "bpftool map pin" },
        { EACCES, AF_XDP_STEP_MAP, "permission" },
        { EPERM, AF_XDP_STEP_MAP, "frozen or read-only" },
        { EPERM, AF_XDP_STEP_MAP, "CAP_BPF" },
        { E2BIG, AF_XDP_STEP_MAP, "map-start-index=" },
        { EINVAL, AF_XDP_STEP_MAP, "xskmap" },
        { ENODEV, AF_XDP_STEP_BIND, "network namespace" },
        { ENODEV, AF_XDP_STEP_DEVICE, "ip -br link" },
        { ENODEV, AF_XDP_STEP_DEVICE, "ip netns" },
        { ENETDOWN, AF_XDP_STEP_BIND, "ip link set dev IFNAME up" },
        { ENXIO, AF_XDP_STEP_RING, "gone" },
        { EMFILE, AF_XDP_STEP_DEVICE, "ulimit -n" },
        { EPERM, AF_XDP_STEP_DEVICE, "setpriv" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *hint = af_xdp_error_hint(table[i].errnum, table[i].step);

        g_test_message("%s in step %d", g_strerror(table[i].errnum),
                       table[i].step);
        g_assert_nonnull(hint);
        g_assert_nonnull(strstr(hint, table[i].word));
    }
}

/* Names as ip shows them */
static void test_name_hint(void)
{
    static const struct {
        const char *ifname;
        const char *word;
    } table[] = {
        { "veth0@veth1", "Write 'veth0': what follows '@' is its peer" },
        { "veth0@if7", "Write 'veth0'" },
        { "eth0.5@eth0", "Write 'eth0.5'" },
        { "veth0@", "Write 'veth0'" },
        { "@veth1", "otherwise" },
        { "veth0", "otherwise" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        g_autofree char *hint = af_xdp_error_name_hint(table[i].ifname,
                                                       "otherwise");

        g_test_message("%s: %s", table[i].ifname, hint);
        g_assert_true(g_str_has_prefix(hint, table[i].word));
    }
    g_assert_null(af_xdp_error_name_hint("veth0", NULL));
}

/* Every hint is a line of whole sentences, as error_append_hint() wants it. */
static void test_hint_form(void)
{
    for (int errnum = 1; errnum < 150; errnum++) {
        for (int step = 0; step < AF_XDP_STEP__MAX; step++) {
            const char *hint = af_xdp_error_hint(errnum, step);

            if (hint) {
                g_test_message("%s", hint);
                g_assert_null(strchr(hint, '\n'));
                g_assert_true(g_str_has_suffix(hint, "."));
                g_assert_cmpint(strlen(hint), <, 320);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/error/set", test_set);
    g_test_add_func("/af-xdp/error/set-without-errno", test_set_without_errno);
    g_test_add_func("/af-xdp/error/nobody-listens", test_nobody_listens);
    g_test_add_func("/af-xdp/error/step", test_step);
    g_test_add_func("/af-xdp/error/step-without-hint", test_step_without_hint);
    g_test_add_func("/af-xdp/error/hints", test_hints);
    g_test_add_func("/af-xdp/error/name-hint", test_name_hint);
    g_test_add_func("/af-xdp/error/hint-form", test_hint_form);
    return g_test_run();
}
