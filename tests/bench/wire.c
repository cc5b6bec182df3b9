/*
 * Benchmark: the wire
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "wire.h"

static gboolean G_GNUC_PRINTF(2, 3) run_ip(GError **errp, const char *fmt, ...)
{
    g_autofree char *args = NULL;
    g_autofree char *line = NULL;
    g_autofree char *text = NULL;
    int status;
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    line = g_strdup_printf("ip %s", args);
    if (!g_spawn_command_line_sync(line, NULL, &text, &status, errp)) {
        return FALSE;
    }
    if (status) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", line,
                    g_strstrip(text));
        return FALSE;
    }
    return TRUE;
}

gboolean axb_wire_enter(GError **errp)
{
    bool quiet = false;
    int fd;

    if (unshare(CLONE_NEWNET)) {
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "a network namespace is needed: %s\n"
                    "Run this as root (CAP_SYS_ADMIN, CAP_NET_ADMIN, "
                    "CAP_BPF).", g_strerror(errno));
        return FALSE;
    }
    /* Router solicitations and the like would disturb. */
    fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
    if (fd >= 0) {
        quiet = write(fd, "1", 1) == 1;
        close(fd);
    }
    if (!quiet && errno != ENOENT) {
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "switching off IPv6 in the namespace: %s",
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static gboolean make_devices(AxbWire *w, unsigned mtu, GError **errp)
{
    if (w->kind == AXB_WIRE_TAP) {
        return run_ip(errp, "tuntap add " AXB_DEV " mode tap vnet_hdr%s",
                      w->queues > 1 ? " multi_queue" : "") &&
               run_ip(errp, "link set " AXB_DEV " mtu %u up", mtu);
    }
    return run_ip(errp, "link add " AXB_DEV " mtu %u numrxqueues %u "
                  "numtxqueues %u type veth peer name " AXB_WIRE
                  " mtu %u numrxqueues %u numtxqueues %u", mtu, w->queues,
                  w->queues, mtu, w->queues, w->queues) &&
           run_ip(errp, "link set " AXB_DEV " up") &&
           run_ip(errp, "link set " AXB_WIRE " up");
}

AxbWire *axb_wire_new(AxbWireKind kind, unsigned queues, uint32_t len,
                      gboolean echo, GError **errp)
{
    AxbWire *w = g_new0(AxbWire, 1);
    int prog;
    gboolean ok;

    w->kind = kind;
    w->queues = queues;
    w->len = len;
    if (!make_devices(w, len > AXB_FRAME_PAGE ? 9000 : 1500, errp)) {
        axb_wire_free(w);
        return NULL;
    }
    w->dev = if_nametoindex(AXB_DEV);
    w->far = kind == AXB_WIRE_TAP ? w->dev : (int)if_nametoindex(AXB_WIRE);

    w->arrived = axb_bpf_map_new(errp);
    if (!w->arrived) {
        axb_wire_free(w);
        return NULL;
    }
    w->arrived->shared->expected = len;
    prog = echo ? axb_bpf_load_echo(w->arrived, w->far, errp)
                : axb_bpf_load_count(w->arrived, errp);
    ok = prog >= 0 && axb_bpf_attach_ingress(w->far, prog, errp);
    if (prog >= 0) {
        close(prog);
    }
    if (!ok) {
        axb_wire_free(w);
        return NULL;
    }
    return w;
}

void axb_wire_free(AxbWire *w)
{
    if (!w) {
        return;
    }
    run_ip(NULL, "link del " AXB_DEV);
    axb_bpf_map_free(w->arrived);
    g_free(w);
}

/* Frames that the backend's device has received. */
static uint64_t device_received(void)
{
    struct ifaddrs *list, *i;
    uint64_t n = 0;

    if (getifaddrs(&list)) {
        return 0;
    }
    for (i = list; i; i = i->ifa_next) {
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET &&
            !strcmp(i->ifa_name, AXB_DEV)) {
            const struct rtnl_link_stats *stats = i->ifa_data;

            n = stats->rx_packets;
        }
    }
    freeifaddrs(list);
    return n;
}

bool axb_wire_takes_live(const AxbWire *w, int prog, const void *frame)
{
    uint64_t before = device_received();

    if (axb_bpf_send(prog, frame, w->len, 16)) {
        return false;
    }
    /* A tap device takes them at all times, and counts them as sent. */
    return w->kind == AXB_WIRE_TAP || device_received() > before;
}

void axb_wire_sample(AxbWire *w)
{
    /* volatile: programs in the kernel write it */
    volatile AxbBpfShared *shared = w->arrived->shared;
    uint64_t len = __atomic_load_n(&shared->sample_state, __ATOMIC_ACQUIRE);
    struct iovec iov = {
        .iov_base = (void *)shared->sample,
        .iov_len = len,
    };

    if (len < 2) {
        return;
    }
    axb_frame_check(&w->check, &iov, 1, len, w->len);
    __atomic_store_n(&shared->sample_state, 0, __ATOMIC_RELEASE);
}
