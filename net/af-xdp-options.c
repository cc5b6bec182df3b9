/*
 * AF_XDP: the netdev's options
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-options.h"

static bool check_ifname(const char *ifname, AfXdpOptions *out, GError **errp)
{
    static const char hint[] = "'ip -br link' lists the devices.";

    if (!ifname || !*ifname) {
        af_xdp_error_set(errp, 0, hint,
                         "'ifname' is empty, give the name of a network "
                         "device");
        return false;
    }
    if (strlen(ifname) >= sizeof(out->ifname)) {
        g_autofree char *name_hint = af_xdp_error_name_hint(ifname, hint);

        af_xdp_error_set(errp, 0, name_hint,
                         "'ifname' is too long, a network device's name has "
                         "at most %zu characters", sizeof(out->ifname) - 1);
        return false;
    }
    /* What the kernel's dev_valid_name() refuses. */
    if (strpbrk(ifname, "/: \t\n\v\f\r") || !strcmp(ifname, ".") ||
        !strcmp(ifname, "..")) {
        af_xdp_error_set(errp, 0, hint,
                         "'ifname' cannot be a network device's name: it has "
                         "a '/', a ':' or white space, or is '.' or '..'");
        return false;
    }
    strcpy(out->ifname, ifname);
    return true;
}

static bool check_queues(const AfXdpOptionsIn *in, AfXdpOptions *out,
                         GError **errp)
{
    const char *name = in->has_start_queue ? "start-queue" : "queue-start";
    int64_t queues = in->has_queues ? in->queues : 1;
    int64_t first = 0;

    if (queues < 1 || queues > AF_XDP_MAX_QUEUES) {
        af_xdp_error_set(errp, 0, NULL,
                         "'queues=%" PRId64 "' is out of range, give a number "
                         "from 1 to %d", queues, AF_XDP_MAX_QUEUES);
        return false;
    }
    if (in->has_queue_start && in->has_start_queue) {
        af_xdp_error_set(errp, 0, NULL,
                         "'queue-start' and 'start-queue' are two names of the "
                         "same option, give only 'queue-start'");
        return false;
    }
    if (in->has_queue_start) {
        first = in->queue_start;
    } else if (in->has_start_queue) {
        first = in->start_queue;
    }
    if (first < 0 || first > AF_XDP_MAX_QUEUE_ID) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s=%" PRId64 "' is out of range, give the number of "
                         "a queue, from 0 to %d",
                         name, first, AF_XDP_MAX_QUEUE_ID);
        return false;
    }
    if (first + queues - 1 > AF_XDP_MAX_QUEUE_ID) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s=%" PRId64 ",queues=%" PRId64 "' would end at "
                         "queue %" PRId64 ", the last that can be is %d",
                         name, first, queues, first + queues - 1,
                         AF_XDP_MAX_QUEUE_ID);
        return false;
    }
    out->queues = queues;
    out->queue_start = first;
    return true;
}

/* Who provides the XDP program, and how do the sockets get into its map? */
static bool check_inhibit(const AfXdpOptionsIn *in, AfXdpOptions *out,
                          GError **errp)
{
    bool inhibit = in->has_inhibit && in->inhibit;
    bool mac_filter = in->has_mac_filter && in->mac_filter;

    if (in->sock_fds && in->map_path) {
        af_xdp_error_set(errp, 0,
                         "sock-fds= is for sockets that are in the program's "
                         "map already, with map-path= QEMU adds its own.",
                         "'sock-fds' and 'map-path' exclude each other, give "
                         "only one of them");
        return false;
    }
    if (inhibit && !in->sock_fds && !in->map_path) {
        af_xdp_error_set(errp, 0,
                         "Without inhibit=on QEMU loads a program of its own.",
                         "'inhibit=on' needs 'sock-fds' or 'map-path' too");
        return false;
    }
    if (!inhibit && (in->sock_fds || in->map_path)) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s' needs 'inhibit=on' too",
                         in->sock_fds ? "sock-fds" : "map-path");
        return false;
    }
    if (inhibit && mac_filter) {
        af_xdp_error_set(errp, 0,
                         "The filter is part of QEMU's own XDP program, which "
                         "inhibit=on leaves out.",
                         "'mac-filter=on' does not go with 'inhibit=on', leave "
                         "one of them out");
        return false;
    }
    out->inhibit = inhibit;
    out->mac_filter = mac_filter;
    return true;
}

static bool check_map(const AfXdpOptionsIn *in, AfXdpOptions *out,
                      GError **errp)
{
    int64_t last = (int64_t)UINT32_MAX - out->queues;

    if (in->map_path && !*in->map_path) {
        af_xdp_error_set(errp, 0, NULL,
                         "'map-path' is empty, give the path of a pinned "
                         "xskmap");
        return false;
    }
    if (in->has_map_start_index && !in->map_path) {
        af_xdp_error_set(errp, 0, NULL,
                         "'map-start-index' needs 'map-path' too");
        return false;
    }
    if (in->has_map_start_index &&
        (in->map_start_index < 0 || in->map_start_index > last)) {
        af_xdp_error_set(errp, 0, NULL,
                         "'map-start-index=%" PRId64 "' is out of range, give "
                         "the map's entry for the first queue, from 0 to %"
                         PRId64, in->map_start_index, last);
        return false;
    }
    out->map_path = g_strdup(in->map_path);
    out->map_start_index = in->has_map_start_index ? in->map_start_index : 0;
    return true;
}

/* Do both name the same descriptor? Numbers may differ in leading zeros. */
static bool same_fd(const char *a, const char *b)
{
    if (g_ascii_isdigit(*a) && g_ascii_isdigit(*b)) {
        a += strspn(a, "0");
        b += strspn(b, "0");
    }
    return !strcmp(a, b);
}

static bool check_sock_fds(const AfXdpOptionsIn *in, AfXdpOptions *out,
                           GError **errp)
{
    uint32_t n;

    if (!in->sock_fds) {
        return true;
    }
    /* An empty string splits into none; it means one entry, an empty one. */
    out->sock_fds = g_strsplit(in->sock_fds, ":", -1);
    n = g_strv_length(out->sock_fds);
    for (uint32_t i = 0; i < MAX(n, 1); i++) {
        if (n == 0 || !*out->sock_fds[i]) {
            af_xdp_error_set(errp, 0, NULL,
                             "entry %u of 'sock-fds=%s' is empty, give one "
                             "socket per queue with ':' between them",
                             i + 1, in->sock_fds);
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (same_fd(out->sock_fds[i], out->sock_fds[j])) {
                af_xdp_error_set(errp, 0, NULL,
                                 "entries %u and %u of 'sock-fds=%s' are the "
                                 "same, each queue needs a socket of its own",
                                 j + 1, i + 1, in->sock_fds);
                return false;
            }
        }
    }
    if (n != out->queues) {
        af_xdp_error_set(errp, 0, NULL,
                         "the number of sockets in 'sock-fds=%s' (%u) is not "
                         "the number of queues (%u), give one socket per queue "
                         "or write 'queues=%u'",
                         in->sock_fds, n, out->queues, n);
        return false;
    }
    return true;
}

static bool check_iothread(const AfXdpOptionsIn *in, AfXdpOptions *out,
                           GError **errp)
{
    uint32_t n;

    if (!in->iothread) {
        return true;
    }
    if (out->vhost == AF_XDP_VHOST_OFF) {
        af_xdp_error_set(errp, 0, NULL,
                         "'iothread' does not go with 'vhost=off', which "
                         "leaves packets to the main loop; leave one of them "
                         "out");
        return false;
    }
    out->iothreads = g_strsplit(in->iothread, ":", -1);
    n = g_strv_length(out->iothreads);
    for (uint32_t i = 0; i < MAX(n, 1); i++) {
        if (n == 0 || !*out->iothreads[i]) {
            af_xdp_error_set(errp, 0, NULL,
                             "entry %u of 'iothread=%s' is empty, give ids of "
                             "iothread objects with ':' between them",
                             i + 1, in->iothread);
            return false;
        }
    }
    if (n > out->queues) {
        af_xdp_error_set(errp, 0,
                         "Fewer are allowed: queues then take them in turn.",
                         "'iothread=%s' names %u threads for %u queue%s, give "
                         "at most one per queue", in->iothread, n,
                         out->queues, out->queues == 1 ? "" : "s");
        return false;
    }
    return true;
}

/* One of the options of AioContext's adaptive polling. */
static bool check_poll(const AfXdpOptionsIn *in, const char *name, bool has,
                       int64_t value, int64_t *out, GError **errp)
{
    *out = -1;
    if (!has) {
        return true;
    }
    if (value < 0) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s=%" PRId64 "' is out of range, give a number "
                         "from 0", name, value);
        return false;
    }
    if (in->iothread) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s' does not go with 'iothread', write it as "
                         "'-object iothread,id=...,%s=%" PRId64 "'",
                         name, name, value);
        return false;
    }
    if (in->has_vhost && in->vhost == AF_XDP_VHOST_OFF) {
        af_xdp_error_set(errp, 0, NULL,
                         "'%s' does not go with 'vhost=off', which leaves "
                         "packets to the main loop; leave one of them out",
                         name);
        return false;
    }
    *out = value;
    return true;
}

static bool check_threads(const AfXdpOptionsIn *in, AfXdpOptions *out,
                          GError **errp)
{
    out->vhost = in->has_vhost ? in->vhost : AF_XDP_VHOST_AUTO;

    return check_iothread(in, out, errp) &&
           check_poll(in, "poll-max-ns", in->has_poll_max_ns,
                      in->poll_max_ns, &out->poll_max_ns, errp) &&
           check_poll(in, "poll-grow", in->has_poll_grow,
                      in->poll_grow, &out->poll_grow, errp) &&
           check_poll(in, "poll-shrink", in->has_poll_shrink,
                      in->poll_shrink, &out->poll_shrink, errp);
}

static bool check_zero_copy(const AfXdpOptionsIn *in, AfXdpOptions *out,
                            GError **errp)
{
    bool threads = out->vhost != AF_XDP_VHOST_OFF;

    out->zero_copy = in->has_zero_copy ? in->zero_copy : AF_XDP_ZERO_COPY_AUTO;

    if (out->zero_copy == AF_XDP_ZERO_COPY_ON && !threads) {
        af_xdp_error_set(errp, 0, NULL,
                         "'zero-copy=on' does not go with 'vhost=off', which "
                         "leaves packets to the main loop; leave one of them "
                         "out");
        return false;
    }
    if (out->zero_copy == AF_XDP_ZERO_COPY_ON && in->sock_fds) {
        af_xdp_error_set(errp, 0,
                         "With map-path= instead QEMU makes the sockets.",
                         "'zero-copy=on' does not go with 'sock-fds', for "
                         "those sockets cannot be made again on the guest's "
                         "memory; leave one of them out");
        return false;
    }
    if (!in->has_zero_copy_limit) {
        return true;
    }
    if (in->zero_copy_limit == 0) {
        af_xdp_error_set(errp, 0,
                         "zero-copy=off does without it.",
                         "'zero-copy-limit=0' is out of range, give the "
                         "kernel memory that guest zero-copy may cost, as in "
                         "'zero-copy-limit=1G'");
        return false;
    }
    if (out->zero_copy == AF_XDP_ZERO_COPY_OFF || !threads) {
        af_xdp_error_set(errp, 0, NULL,
                         "'zero-copy-limit' does not go with '%s', without "
                         "guest zero-copy there is nothing to limit; leave "
                         "one of them out",
                         threads ? "zero-copy=off" : "vhost=off");
        return false;
    }
    out->zero_copy_limit = in->zero_copy_limit;
    return true;
}

bool af_xdp_options_check(const AfXdpOptionsIn *in, AfXdpOptions *out,
                          GError **errp)
{
    memset(out, 0, sizeof(*out));
    out->mode = in->has_mode ? in->mode : AF_XDP_MODE_AUTO;
    out->force_copy = in->has_force_copy && in->force_copy;

    return check_ifname(in->ifname, out, errp) &&
           check_queues(in, out, errp) &&
           check_inhibit(in, out, errp) &&
           check_map(in, out, errp) &&
           check_sock_fds(in, out, errp) &&
           check_threads(in, out, errp) &&
           check_zero_copy(in, out, errp);
}

void af_xdp_options_clear(AfXdpOptions *opts)
{
    g_strfreev(opts->sock_fds);
    g_strfreev(opts->iothreads);
    g_free(opts->map_path);
    memset(opts, 0, sizeof(*opts));
}
