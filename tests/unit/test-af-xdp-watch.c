/*
 * Unit tests: the AF_XDP core watches a network device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "af-xdp-netns.h"
#include "net/af-xdp-device.h"
#include "net/af-xdp-error.h"

static AfXdpDevice query(const char *ifname)
{
    g_autoptr(GError) err = NULL;
    AfXdpDevice dev;
    bool ok = af_xdp_device_query(ifname, &dev, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
    return dev;
}

static AfXdpDeviceWatch *watch_new(const char *ifname)
{
    g_autoptr(GError) err = NULL;
    AfXdpDevice dev = query(ifname);
    AfXdpDeviceWatch *watch = af_xdp_device_watch_new(dev.ifindex, &err);

    g_assert_no_error(err);
    g_assert_nonnull(watch);
    return watch;
}

/*
 * Collect changes until all of @wanted were seen; 5 s at most. Every change
 * must be one of @wanted or @allowed. Returns the last event.
 */
static AfXdpDeviceEvent expect(AfXdpDeviceWatch *watch, unsigned wanted,
                               unsigned allowed)
{
    struct pollfd pfd = {
        .fd = af_xdp_device_watch_fd(watch), .events = POLLIN,
    };
    unsigned seen = 0;
    AfXdpDeviceEvent ev;

    while ((seen & wanted) != wanted) {
        g_assert_cmpint(poll(&pfd, 1, 5000), ==, 1);
        if (af_xdp_device_watch_read(watch, &ev)) {
            seen |= ev.changes;
            g_assert_cmphex(ev.changes & ~(wanted | allowed), ==, 0);
        }
    }
    return ev;
}

/* The kernel tells listeners before it answers, so now means now. */
static void expect_nothing(AfXdpDeviceWatch *watch)
{
    AfXdpDeviceEvent ev;

    for (int i = 0; i < 100; i++) {
        g_assert_false(af_xdp_device_watch_read(watch, &ev));
        g_assert_cmphex(ev.changes, ==, 0);
    }
}

static void test_watch_missing(void)
{
    g_autoptr(GError) err = NULL;

    if (!netns_fresh()) {
        return;
    }
    g_assert_null(af_xdp_device_watch_new(12345, &err));
    g_assert_error(err, AF_XDP_ERROR, ENODEV);
    g_assert_nonnull(strstr(err->message, "12345"));
}

static void test_watch_up_down(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    watch = watch_new("axt0");
    expect_nothing(watch);

    ip("link set axt0 up");
    ev = expect(watch, AF_XDP_DEVICE_UP, 0);
    g_assert_true(ev.up);
    g_assert_cmpstr(ev.name, ==, "axt0");
    expect_nothing(watch);

    ip("link set axt0 down");
    ev = expect(watch, AF_XDP_DEVICE_DOWN, 0);
    g_assert_false(ev.up);

    /* Down and back between two reads: both are told, and how it ended. */
    ip("link set axt0 up");
    expect(watch, AF_XDP_DEVICE_UP, 0);
    ip("link set axt0 down");
    ip("link set axt0 up");
    g_assert_true(af_xdp_device_watch_read(watch, &ev));
    g_assert_cmphex(ev.changes, ==, AF_XDP_DEVICE_DOWN | AF_XDP_DEVICE_UP);
    g_assert_true(ev.up);
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

static void test_watch_rename_mtu(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    watch = watch_new("axt0");

    ip("link set axt0 name axt9");
    ev = expect(watch, AF_XDP_DEVICE_RENAMED, 0);
    g_assert_cmpstr(ev.name, ==, "axt9");

    ip("link set axt9 mtu 9000");
    ev = expect(watch, AF_XDP_DEVICE_MTU, 0);
    g_assert_cmpuint(ev.mtu, ==, 9000);
    g_assert_cmpstr(ev.name, ==, "axt9");
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

static void test_watch_others(void)
{
    AfXdpDeviceWatch *watch;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    watch = watch_new("axt0");
    ip("link add axt2 type veth peer name axt3");
    ip("link set axt2 up");
    ip("link set axt2 mtu 1300");
    ip("link del axt2");
    ip("link set axt1 mtu 1300");
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

static void test_watch_deleted(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;
    int ifindex;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    ip("link set axt0 up");
    ifindex = query("axt0").ifindex;
    watch = watch_new("axt0");
    /* Deleting the peer deletes both. */
    ip("link del axt1");
    ev = expect(watch, AF_XDP_DEVICE_GONE, AF_XDP_DEVICE_DOWN);
    g_assert_false(ev.moved);
    g_assert_false(ev.up);
    g_assert_cmpstr(ev.name, ==, "axt0");

    /* Its successor is a different device, even under the same number. */
    ip("link add axt0 index %d type veth peer name axt1", ifindex);
    g_assert_cmpint(query("axt0").ifindex, ==, ifindex);
    ip("link set axt0 up");
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

/* A process that keeps a network namespace of its own alive. */
static pid_t other_namespace(void)
{
    int pipefd[2];
    char c;
    pid_t pid;

    g_assert_cmpint(pipe(pipefd), ==, 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) == 0 && write(pipefd[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(pipefd[1]);
    g_assert_cmpint(read(pipefd[0], &c, 1), ==, 1);
    close(pipefd[0]);
    return pid;
}

static void test_watch_moved(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;
    pid_t pid;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    ip("link set axt0 up");
    pid = other_namespace();
    watch = watch_new("axt0");
    ip("link set axt0 netns %d", pid);
    ev = expect(watch, AF_XDP_DEVICE_GONE, AF_XDP_DEVICE_DOWN);
    g_assert_true(ev.moved);
    af_xdp_device_watch_free(watch);
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* News longer than the 8 KiB that libmnl suggests for a buffer */
static void test_watch_long_message(void)
{
    AfXdpDeviceWatch *watch;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    for (int i = 0; i < 80; i += 20) {
        g_autoptr(GString) names = g_string_new(NULL);

        for (int j = i; j < i + 20; j++) {
            g_string_append_printf(names, " altname %0120d", j);
        }
        ip("link property add dev axt0%s", names->str);
    }
    watch = watch_new("axt0");
    ip("link set axt0 mtu 1400");
    g_assert_cmpuint(expect(watch, AF_XDP_DEVICE_MTU, 0).mtu, ==, 1400);
    af_xdp_device_watch_free(watch);
}

/* Leaving a bridge is not leaving. */
static void test_watch_bridge(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    if (!netns_try_ip("link add axtbr type bridge")) {
        g_test_skip("the kernel has no bridges (CONFIG_BRIDGE)");
        return;
    }
    watch = watch_new("axt0");
    ip("link set axt0 master axtbr");
    ip("link set axt0 nomaster");
    expect_nothing(watch);
    ip("link set axt0 up");
    g_assert_true(af_xdp_device_watch_read(watch, &ev));
    g_assert_cmphex(ev.changes, ==, AF_XDP_DEVICE_UP);
    af_xdp_device_watch_free(watch);
}

/* How many messages the kernel could not queue for @watch. */
static unsigned long watch_drops(AfXdpDeviceWatch *watch)
{
    g_autofree char *table = NULL;
    g_auto(GStrv) lines = NULL;
    struct sockaddr_nl addr;
    socklen_t len = sizeof(addr);

    g_assert_cmpint(getsockname(af_xdp_device_watch_fd(watch),
                                (struct sockaddr *)&addr, &len), ==, 0);
    g_assert_true(g_file_get_contents("/proc/thread-self/net/netlink", &table,
                                      NULL, NULL));
    lines = g_strsplit(table, "\n", -1);
    for (char **line = lines + 1; *line && **line; line++) {
        unsigned portid, groups;
        unsigned long drops;
        int bus;

        g_assert_cmpint(sscanf(*line, "%*s %d %u %x %*d %*d %*s %*d %lu",
                               &bus, &portid, &groups, &drops), ==, 4);
        if (bus == NETLINK_ROUTE && portid == addr.nl_pid) {
            return drops;
        }
    }
    g_assert_not_reached();
}

/* Make the kernel drop messages to @watch by changes to the veth @ifname. */
static void overrun(AfXdpDeviceWatch *watch, const char *ifname)
{
    for (int i = 0; i < 10; i++) {
        ip("link set %s mtu %d", ifname, 1300 + i);
    }
    g_assert_cmpint(watch_drops(watch), >, 0);
}

static AfXdpDeviceWatch *small_watch_new(const char *ifname)
{
    AfXdpDeviceWatch *watch = watch_new(ifname);
    int size = 1;       /* the kernel makes the least it supports of it */

    g_assert_cmpint(setsockopt(af_xdp_device_watch_fd(watch), SOL_SOCKET,
                               SO_RCVBUF, &size, sizeof(size)), ==, 0);
    return watch;
}

/* Is the message at the front of the queue that @ifindex is down? */
static bool front_is_down(AfXdpDeviceWatch *watch, int ifindex)
{
    struct {
        struct nlmsghdr nlh;
        struct ifinfomsg ifi;
    } front;

    return recv(af_xdp_device_watch_fd(watch), &front, sizeof(front),
                MSG_PEEK | MSG_DONTWAIT) == sizeof(front) &&
           front.nlh.nlmsg_type == RTM_NEWLINK &&
           front.ifi.ifi_index == ifindex && !(front.ifi.ifi_flags & IFF_UP);
}

static void test_watch_overrun(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;
    int ifindex, tries = 0;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    ip("link add axt2 type veth peer name axt3");
    ifindex = query("axt0").ifindex;
    watch = small_watch_new("axt0");

    /* The message that matters is among those that were dropped. */
    overrun(watch, "axt2");
    ip("link set axt0 up");
    ip("link set axt0 mtu 1234");
    ev = expect(watch, AF_XDP_DEVICE_UP, AF_XDP_DEVICE_MTU);
    g_assert_true(ev.up);
    g_assert_cmpuint(ev.mtu, ==, 1234);
    expect_nothing(watch);

    /*
     * What was queued before is older than the look at the device. The queue
     * holds one message; a late one about the carrier may have taken its
     * place.
     */
    ip("link set axt0 down");
    while (!front_is_down(watch, ifindex)) {
        g_assert_cmpint(++tries, <, 20);
        ip("link set axt0 up");
        af_xdp_device_watch_read(watch, &ev);
        ip("link set axt0 down");
    }
    overrun(watch, "axt2");
    ip("link set axt0 up");
    g_assert_true(af_xdp_device_watch_read(watch, &ev));
    g_assert_cmphex(ev.changes, ==, AF_XDP_DEVICE_DOWN | AF_XDP_DEVICE_UP);
    g_assert_true(ev.up);
    expect_nothing(watch);

    /* Messages come through again. */
    ip("link set axt0 down");
    ev = expect(watch, AF_XDP_DEVICE_DOWN, 0);
    g_assert_false(ev.up);

    overrun(watch, "axt2");
    ip("link del axt0");
    ev = expect(watch, AF_XDP_DEVICE_GONE, 0);
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

/* More messages than one call reads: none is lost, each call ends. */
static void test_watch_flood(void)
{
    AfXdpDeviceWatch *watch;
    AfXdpDeviceEvent ev;
    int size = 16 << 20;
    unsigned calls = 0;

    if (!netns_fresh()) {
        return;
    }
    ip("link add axt0 type veth peer name axt1");
    ip("link add axt2 type veth peer name axt3");
    watch = watch_new("axt0");
    if (setsockopt(af_xdp_device_watch_fd(watch), SOL_SOCKET, SO_RCVBUFFORCE,
                   &size, sizeof(size)) < 0) {
        g_test_message("small buffer, messages may be dropped");
    }
    for (int i = 0; i < 100; i++) {
        ip("link set axt2 mtu %d", 1300 + i);
    }
    ip("link set axt0 up");
    do {
        g_assert_cmpuint(++calls, <, 100);
    } while (!af_xdp_device_watch_read(watch, &ev));
    g_assert_cmphex(ev.changes, ==, AF_XDP_DEVICE_UP);
    if (watch_drops(watch) == 0) {
        g_assert_cmpuint(calls, >, 1);
    }
    expect_nothing(watch);
    af_xdp_device_watch_free(watch);
}

int main(int argc, char **argv)
{
    netns_init();
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/af-xdp/watch/missing", test_watch_missing);
    g_test_add_func("/af-xdp/watch/up-down", test_watch_up_down);
    g_test_add_func("/af-xdp/watch/rename-mtu", test_watch_rename_mtu);
    g_test_add_func("/af-xdp/watch/others", test_watch_others);
    g_test_add_func("/af-xdp/watch/deleted", test_watch_deleted);
    g_test_add_func("/af-xdp/watch/moved", test_watch_moved);
    g_test_add_func("/af-xdp/watch/bridge", test_watch_bridge);
    g_test_add_func("/af-xdp/watch/long-message", test_watch_long_message);
    g_test_add_func("/af-xdp/watch/overrun", test_watch_overrun);
    g_test_add_func("/af-xdp/watch/flood", test_watch_flood);
    return g_test_run();
}
