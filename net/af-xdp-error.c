/*
 * AF_XDP: errors of the core
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"

/* In a hint, stands for the name of the device. */
#define PLACEHOLDER "IFNAME"

/* For steps[]: in whichever step it happens. */
#define ANY ((1u << AF_XDP_STEP__MAX) - 1)
#define STEP(name) (1u << AF_XDP_STEP_##name)

typedef struct Hint {
    int errnum;
    unsigned steps;
    const char *text;
} Hint;

/* The first that fits counts, so what goes for ANY step comes last. */
static const Hint hints[] = {
    { EPERM, STEP(SOCKET),
      "This needs CAP_NET_RAW in the user namespace that owns the network "
      "namespace: start QEMU as root or with 'setpriv --inh-caps=+net_raw "
      "--ambient-caps=+net_raw'. Or let a privileged process open the sockets "
      "and hand them over with inhibit=on,sock-fds=." },
    { EAFNOSUPPORT, STEP(SOCKET),
      "The kernel has no AF_XDP sockets: use one built with "
      "CONFIG_XDP_SOCKETS=y." },
    { EBADF, STEP(SOCKET),
      "Each entry of sock-fds= must be a descriptor that QEMU inherited open "
      "(no close-on-exec flag), or one passed with the monitor's getfd." },
    { ENOTSOCK, STEP(SOCKET),
      "Pass sockets made with socket(AF_XDP, SOCK_RAW, 0), not yet bound, in "
      "the order of the queues." },
    { ENOBUFS, STEP(UMEM),
      "The limit of locked memory is too low; it counts for all processes of "
      "the user together. 'ulimit -l' raises it as far as the hard limit, and "
      "that one is raised by root, by 'memlock' in limits.conf, or by systemd's "
      "LimitMEMLOCK=. Or give QEMU CAP_IPC_LOCK." },
    { EBUSY, STEP(UMEM) | STEP(RING),
      "The socket has been set up already: each one can be used once. Pass "
      "fresh sockets in sock-fds=." },
    { EINVAL, STEP(UMEM),
      "The kernel does not take memory of this size, chunk size or alignment; "
      "it may be too old." },
    { EBUSY, STEP(BIND),
      "Another socket uses the queue, or it is leased out or has a memory "
      "provider. 'ss --xdp -ap' shows sockets and their processes, if the "
      "kernel has CONFIG_XDP_SOCKETS_DIAG; choose a free queue with "
      "queue-start=." },
    { EOPNOTSUPP, STEP(BIND),
      "The driver has no zero-copy for this queue: try force-copy=on. A netkit "
      "device has it only if made with pairing 'single' and only on queues "
      "leased from a NIC." },
    { EINVAL, STEP(BIND),
      "The device may lack the queue or already use it, or its MTU may not "
      "fit: compare queue-start= and queues= with 'ethtool -l IFNAME', and the "
      "MTU with 'ip link show dev IFNAME'." },
    { ENOMEM, STEP(BIND) | STEP(UMEM) | STEP(RING),
      "The host is short of memory, or of memory in one piece: use fewer "
      "queues, or free some and try again. Guest RAM in a file on a disk "
      "cannot be used at all: memory-backend-memfd can." },
    { EPERM, STEP(PROGRAM),
      "This needs CAP_NET_ADMIN and CAP_BPF in the initial user namespace: "
      "start QEMU there, as root or with these capabilities ('setpriv "
      "--ambient-caps'). Or let a privileged process attach a program, and use "
      "its map with inhibit=on,map-path=." },
    { EBUSY, STEP(PROGRAM),
      "The device has an XDP program already: 'bpftool net show dev IFNAME'. "
      "Have its owner detach it, or use its map of sockets with "
      "inhibit=on,map-path=." },
    { EEXIST, STEP(PROGRAM),
      "The device has an XDP program already, perhaps in the other mode: "
      "'bpftool net show dev IFNAME'. Have its owner detach it, or use its map "
      "of sockets with inhibit=on,map-path=." },
    { EOPNOTSUPP, STEP(PROGRAM),
      "The driver takes no native XDP program: use mode=skb. A netkit device "
      "with leased queues needs the program on the NIC and "
      "inhibit=on,map-path=." },
    { EINVAL, STEP(PROGRAM),
      "The driver refused the program, often for its MTU, its number of "
      "queues or its offloads: 'dmesg' may say why. mode=skb works on any "
      "device." },
    { ERANGE, STEP(PROGRAM),
      "The MTU is too large for native XDP (veth: the peer's MTU): lower it "
      "with 'ip link set dev IFNAME mtu 1500', or use mode=skb." },
    { ENOSPC, STEP(PROGRAM),
      "Native XDP needs as many receive queues as the peer of a veth has "
      "transmit queues: 'ethtool -L IFNAME rx N' gives it more, 'ethtool -L "
      "PEER tx N' takes some from the peer. Or use mode=skb." },
    { ENOENT, STEP(MAP),
      "map-path= must name a map pinned in bpffs, such as "
      "'bpftool map pin id ID /sys/fs/bpf/NAME' makes. 'ip netns exec' hides "
      "bpffs: use 'nsenter --net=/run/netns/NAME' instead." },
    { EPERM, STEP(MAP),
      "Before Linux 5.19 this needs CAP_BPF. Or the map is frozen or read-only: "
      "have its owner pin one that takes new entries." },
    { EACCES, STEP(MAP),
      "Opening a pinned map needs read and write permission on its file and "
      "search permission on the directories above: 'chmod', or run QEMU as "
      "the owner." },
    { E2BIG, STEP(MAP),
      "The map is too small: map-start-index= plus queues= must not exceed "
      "its max_entries ('bpftool map show pinned PATH')." },
    { EINVAL, STEP(MAP),
      "map-path= must name a map of type xskmap: 'bpftool map show pinned "
      "PATH'." },
    { EPERM, ANY,
      "QEMU lacks a capability (CAP_NET_RAW, CAP_NET_ADMIN or CAP_BPF): start "
      "it as root or with 'setpriv --ambient-caps'." },
    { EMFILE, ANY,
      "QEMU has too many open files: raise the limit with 'ulimit -n'." },
    { ENODEV, ANY,
      "'ip -br link' lists the devices of this network namespace. If it is in "
      "another one, start QEMU there: 'ip netns exec NAME qemu-system-...'." },
    { ENETDOWN, ANY,
      "Set the device up first: 'ip link set dev IFNAME up'." },
    { ENXIO, ANY,
      "The device is gone: deleted, or moved to another network namespace. "
      "'ip -br link' lists what is left." },
};

GQuark af_xdp_error_quark(void)
{
    return g_quark_from_static_string("af-xdp-error");
}

const char *af_xdp_error_hint(int errnum, AfXdpStep step)
{
    for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
        if (hints[i].errnum == errnum && (hints[i].steps & (1u << step))) {
            return hints[i].text;
        }
    }
    return NULL;
}

/* @hint with the name of the device filled in, to be freed. */
static char *hint_expand(const char *hint, const char *ifname)
{
    g_auto(GStrv) parts = NULL;

    if (!hint || !ifname) {
        return g_strdup(hint);
    }
    parts = g_strsplit(hint, PLACEHOLDER, -1);
    return g_strjoinv(ifname, parts);
}

char *af_xdp_error_name_hint(const char *ifname, const char *otherwise)
{
    const char *at = strchr(ifname, '@');

    if (!at || at == ifname) {
        return g_strdup(otherwise);
    }
    return g_strdup_printf("Write '%.*s': what follows '@' is its peer or its "
                           "parent, not part of the name.",
                           (int)(at - ifname), ifname);
}

static void error_fill(GError **errp, int errnum, const char *hint,
                       const char *what)
{
    g_autoptr(GString) message = g_string_new(what);

    if (errnum) {
        g_string_append_printf(message, ": %s", g_strerror(errnum));
    }
    if (hint) {
        g_string_append_printf(message, "\n%s", hint);
    }
    g_set_error_literal(errp, AF_XDP_ERROR, errnum ? errnum : EINVAL,
                        message->str);
}

void af_xdp_error_set(GError **errp, int errnum, const char *hint,
                      const char *fmt, ...)
{
    g_autofree char *what = NULL;
    int saved_errno = errno;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    error_fill(errp, errnum, hint, what);
    errno = saved_errno;
}

void af_xdp_error_step(GError **errp, AfXdpStep step, int errnum,
                       const char *ifname, int queue,
                       const char *fmt, ...)
{
    g_autoptr(GString) what = g_string_new(NULL);
    g_autofree char *hint = NULL;
    int saved_errno = errno;
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(what, fmt, ap);
    va_end(ap);

    if (ifname) {
        g_string_append_printf(what, " on '%s'", ifname);
    }
    if (queue >= 0) {
        g_string_append_printf(what, " queue %d", queue);
    }
    hint = hint_expand(af_xdp_error_hint(errnum, step), ifname);
    error_fill(errp, errnum, hint, what->str);
    errno = saved_errno;
}

void af_xdp_error_split(const GError *err, char **msg, const char **hint)
{
    const char *newline = strchr(err->message, '\n');

    if (newline) {
        *msg = g_strndup(err->message, newline - err->message);
        *hint = newline + 1;
    } else {
        *msg = g_strdup(err->message);
        *hint = NULL;
    }
}
