/*
 * AF_XDP network backend: packets between the net layer and one queue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-events.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-threads.h"
#include "net/af-xdp-vhost.h"
#include "net/eth.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "system/runstate.h"
#include "trace.h"

/*
 * Packets delivered before other users of the main loop have their turn: as
 * many as virtio-net sends in one go (its tx_burst).
 */
#define RX_BURST 256

/*
 * How often a queue that waits for its NIC looks whether the guest has given
 * the queue up meanwhile. Rare, and nobody else would tell.
 */
#define RX_RECHECK_NS (50 * SCALE_MS)

static void af_xdp_rx(void *opaque);
static void af_xdp_tx_flush(void *opaque);

/* --- What a queue waits for --- */

static void af_xdp_update_handlers(AfXdpState *s)
{
    bool alive = s->enabled && !s->dev->gone && !s->lent;
    /*
     * While the VM is stopped the net layer would keep a frame, which is lost
     * when vhost starts again. In the socket it is not.
     */
    bool paused = s->vhost && !runstate_is_running();
    bool read_poll = alive && !paused && !s->rx_wait;
    bool write_poll = alive && s->tx_writable;

    if (read_poll != s->read_poll || write_poll != s->write_poll) {
        s->read_poll = read_poll;
        s->write_poll = write_poll;
        qemu_set_fd_handler(af_xdp_copy_socket(s->copy)->fd,
                            read_poll ? af_xdp_rx : NULL,
                            write_poll ? af_xdp_tx_flush : NULL, s);
    }
}

static void af_xdp_vm_changed(void *opaque, bool running, RunState state)
{
    AfXdpState *s = opaque;

    af_xdp_update_handlers(s);
    if (running && s->nc.queue_index == 0) {
        af_xdp_events_vm_runs(s->dev);
        af_xdp_ram_vm_runs(s->dev);
    }
}

/* Nothing that was planned for later is to happen. */
static void af_xdp_forget_plans(AfXdpState *s)
{
    timer_del(s->rx_timer);
    timer_del(s->tx_timer);
    qemu_bh_cancel(s->tx_bh);
    s->tx_soon = false;
}

static void af_xdp_poll(NetClientState *nc, bool enable)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);

    s->enabled = enable;
    af_xdp_update_handlers(s);
}

/* --- From the interface to the guest --- */

/*
 * The NIC's queue that takes what arrives on @s. A guest may drive fewer
 * queues than the netdev has: firmware, one vCPU, "ethtool -L". What
 * arrives on the others goes through the first, as long as they are idle.
 */
static NetClientState *af_xdp_rx_target(AfXdpState *s)
{
    NetClientState *peer = s->nc.peer;

    if (s->nc.queue_index > 0 && peer && peer->info->can_receive &&
        !peer->info->can_receive(peer)) {
        return &s->dev->queues[0]->nc;
    }
    return &s->nc;
}

static void af_xdp_rx_resume(AfXdpState *s)
{
    s->rx_wait = NULL;
    timer_del(s->rx_timer);
    af_xdp_update_handlers(s);
}

/* The packet parked longest in the NIC's queue of @nc was delivered. */
static void af_xdp_rx_delivered(NetClientState *nc, ssize_t len)
{
    AfXdpState *target = DO_UPCAST(AfXdpState, nc, nc);
    AfXdpState *s = g_queue_pop_head(&target->rx_parked);

    if (s == target) {
        s->rx_own_parked = false;
    }
    if (s && s->rx_wait == nc) {
        af_xdp_rx_resume(s);
    }
}

static void af_xdp_rx_block(AfXdpState *s, NetClientState *target)
{
    trace_af_xdp_rx_blocked(s->dev->name, s->queue);
    s->rx_wait = target;
    if (target != &s->dev->queues[0]->nc) {
        timer_mod(s->rx_timer,
                  qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + RX_RECHECK_NS);
    }
    af_xdp_update_handlers(s);
}

static void af_xdp_rx_recheck(void *opaque)
{
    AfXdpState *s = opaque;

    if (af_xdp_rx_target(s) != s->rx_wait) {
        af_xdp_rx_resume(s);
    } else {
        af_xdp_rx_block(s, s->rx_wait);
    }
}

/* Returns false if the packet was parked: no more for now. */
static bool af_xdp_rx_deliver(AfXdpState *s, NetClientState *target,
                              struct iovec *iov, uint32_t n)
{
    uint8_t padded[ETH_ZLEN];
    size_t padded_len = sizeof(padded);

    if (n == 1 && net_peer_needs_padding(target) &&
        eth_pad_short_frame(padded, &padded_len,
                            iov[0].iov_base, iov[0].iov_len)) {
        iov[0].iov_base = padded;
        iov[0].iov_len = padded_len;
    }
    if (qemu_sendv_packet_async(target, iov, n, af_xdp_rx_delivered) == 0) {
        s->rx_own_parked |= target == &s->nc;
        g_queue_push_tail(&DO_UPCAST(AfXdpState, nc, target)->rx_parked, s);
        return false;
    }
    return true;
}

static void af_xdp_rx(void *opaque)
{
    AfXdpState *s = opaque;
    struct iovec iov[AF_XDP_MAX_SEGS];
    uint32_t packets;

    for (packets = 0; packets < RX_BURST; packets++) {
        NetClientState *target = af_xdp_rx_target(s);
        uint32_t n;

        if (target == &s->nc && s->rx_own_parked) {
            /* The guest has taken its queue back: first what waits there. */
            af_xdp_rx_block(s, target);
            break;
        }
        n = af_xdp_copy_rx_next(s->copy, iov);
        if (n == 0) {
            break;
        }
        if (!af_xdp_rx_deliver(s, target, iov, n)) {
            af_xdp_rx_block(s, target);
            break;
        }
    }
    af_xdp_copy_rx_flush(s->copy);

    if (packets == 0) {
        /* Woken without a packet: fetch the error, or poll() spins on it. */
        af_xdp_socket_error(af_xdp_copy_socket(s->copy));
    }
}

/* --- From the guest to the interface --- */

/*
 * Let senders go on. That writes to guest memory, so not while the guest is
 * stopped; the net layer flushes all queues itself when it continues.
 */
static void af_xdp_tx_release(AfXdpState *s)
{
    if (runstate_is_running()) {
        s->tx_wait = false;
        qemu_flush_queued_packets(&s->nc);
    }
}

static void af_xdp_tx_flush(void *opaque)
{
    AfXdpState *s = opaque;
    AfXdpTxState state;

    s->tx_soon = false;
    if (s->dev->gone || s->lent) {
        return;
    }

    state = af_xdp_copy_tx_flush(s->copy);
    if (s->tx_wait && af_xdp_copy_tx_ready(s->copy)) {
        af_xdp_tx_release(s);
    }

    s->tx_writable = state == AF_XDP_TX_POLL;
    af_xdp_update_handlers(s);

    if (state == AF_XDP_TX_RETRY || state == AF_XDP_TX_POLL ||
        (state == AF_XDP_TX_IDLE && s->tx_wait)) {
        /* Also while polling: a driver may drain without telling. */
        timer_mod(s->tx_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                               AF_XDP_TX_RETRY_NS);
    }
}

/*
 * When the kernel wants a pause, the timer ends it. Scheduling a bottom half
 * may take a system call, so not for each packet.
 */
static void af_xdp_tx_flush_soon(AfXdpState *s)
{
    if (!s->tx_soon && !timer_pending(s->tx_timer)) {
        s->tx_soon = true;
        qemu_bh_schedule(s->tx_bh);
    }
}

/* A packet of QEMU's own, such as an announcement, in the worker's thread. */
typedef struct AfXdpOwnPacket {
    AfXdpCopy *copy;
    const struct iovec *iov;
    int iovcnt;
    bool sent;
} AfXdpOwnPacket;

static void af_xdp_send_own(void *opaque)
{
    AfXdpOwnPacket *p = opaque;

    p->sent = af_xdp_copy_tx(p->copy, p->iov, p->iovcnt) == AF_XDP_TX_QUEUED;
    af_xdp_copy_tx_flush(p->copy);
}

static ssize_t af_xdp_receive_iov(NetClientState *nc,
                                  const struct iovec *iov, int iovcnt)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);

    if (s->dev->gone) {
        return -ENODEV;
    }
    if (s->lent) {
        AfXdpOwnPacket p = { s->copy, iov, iovcnt };

        af_xdp_vhost_call(s, af_xdp_send_own, &p);
        /* If the kernel did not take it at once, the worker goes on. */
        af_xdp_vhost_tx(s);
        return p.sent ? iov_size(iov, iovcnt) : -ENOBUFS;
    }

    switch (af_xdp_copy_tx(s->copy, iov, iovcnt)) {
    case AF_XDP_TX_QUEUED:
        /* The device model is not done: one system call for its batch. */
        af_xdp_tx_flush_soon(s);
        return iov_size(iov, iovcnt);
    case AF_XDP_TX_FULL:
        trace_af_xdp_tx_blocked(s->dev->name, s->queue);
        s->tx_wait = true;
        af_xdp_tx_flush_soon(s);
        return 0;
    default:
        return -EMSGSIZE;
    }
}

static ssize_t af_xdp_receive(NetClientState *nc,
                              const uint8_t *buf, size_t size)
{
    const struct iovec iov = {
        .iov_base = (void *)buf,
        .iov_len = size,
    };

    return af_xdp_receive_iov(nc, &iov, 1);
}

/* A NIC has come or gone: the filter is for its address. */
static void af_xdp_peer_changed(NetClientState *nc)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);

    af_xdp_events_nic_changed(s);
    if (nc->queue_index == 0) {
        af_xdp_netdev_learn_mac(s->dev);
        af_xdp_threads_nic_changed(s->dev);
    }
}

/* The user has set the link: whatever we did to it is no longer ours. */
static void af_xdp_link_status_changed(NetClientState *nc)
{
    af_xdp_events_link_set(DO_UPCAST(AfXdpState, nc, nc)->dev);
}

/* --- What "info network" shows --- */

const char *af_xdp_queue_mode(AfXdpState *s)
{
    if (af_xdp_copy_socket(s->copy)->zero_copy) {
        return "driver zero-copy";
    }
    if (!s->dev->prog) {
        return "copy";
    }
    switch (ebpf_af_xdp_mode(s->dev->prog)) {
    case EBPF_AF_XDP_MODE_NATIVE:
        return "native copy";
    case EBPF_AF_XDP_MODE_SKB:
        return "skb";
    default:
        return "copy";
    }
}

static void af_xdp_program_info(AfXdpNetdev *dev, GString *str)
{
    if (!dev->prog) {
        g_string_append(str, dev->opts.sock_fds ? "inhibited (sock-fds)"
                                                : "none");
        return;
    }
    switch (ebpf_af_xdp_kind(dev->prog)) {
    case EBPF_AF_XDP_OWN_LINK:
        g_string_append_printf(str, "own link (id %u)",
                               ebpf_af_xdp_prog_id(dev->prog));
        break;
    case EBPF_AF_XDP_DISPATCHER:
        g_string_append_printf(str, "dispatcher (id %u)",
                               ebpf_af_xdp_prog_id(dev->prog));
        break;
    case EBPF_AF_XDP_PINNED_MAP:
        g_string_append(str, "inhibited (map-path)");
        break;
    }
}

/* A copy of what a worker may be counting. */
typedef struct AfXdpCounts {
    AfXdpState *s;
    AfXdpCopyStats copy;
    AfXdpDatapathStats fast;
    const char *rx_fault;
    const char *tx_fault;
} AfXdpCounts;

static void af_xdp_read_counts(void *opaque)
{
    AfXdpCounts *c = opaque;
    AfXdpDatapath *dp = af_xdp_vhost_datapath(c->s);

    c->copy = *af_xdp_copy_stats(c->s->copy);
    if (dp) {
        c->fast = *af_xdp_datapath_stats(dp);
        c->rx_fault = af_xdp_datapath_rx_fault(dp);
        c->tx_fault = af_xdp_datapath_tx_fault(dp);
    }
}

/* Whose packets they are, and what the guest has done to its rings. */
static void af_xdp_vhost_info(AfXdpState *s, const AfXdpCounts *counts,
                              GString *str)
{
    g_autofree char *vhost = af_xdp_threads_info(s);
    g_autofree char *zero_copy = af_xdp_ram_info(s);

    g_string_append_printf(str, ",vhost=%s,zero-copy=%s", vhost, zero_copy);
#define AF_XDP_SHOW_FAST(field, name)                                   \
    if (counts->fast.field) {                                           \
        g_string_append_printf(str, "," name "=%" PRIu64,               \
                               counts->fast.field);                     \
    }
    AF_XDP_DATAPATH_COUNTERS(AF_XDP_SHOW_FAST)
#undef AF_XDP_SHOW_FAST
    if (counts->rx_fault) {
        g_string_append_printf(str, ",rx-fault=%s", counts->rx_fault);
    }
    if (counts->tx_fault) {
        g_string_append_printf(str, ",tx-fault=%s", counts->tx_fault);
    }
}

static char *af_xdp_get_info(NetClientState *nc)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);
    g_autofree char *trouble = af_xdp_events_info(s->dev);
    AfXdpCounts counts = { .s = s };
    AfXdpSocket *sock = af_xdp_copy_socket(s->copy);
    const AfXdpCopyStats *stats = &counts.copy;
    GString *str = g_string_new(NULL);
    EbpfAfXdpCounters prog;
    uint64_t rx_dropped, tx_invalid;

    af_xdp_vhost_call(s, af_xdp_read_counts, &counts);
    g_string_append_printf(str, "ifname=%s,queue=%u,mode=%s,multi-buffer=%s,"
                           "program=", s->dev->ifname, s->queue,
                           af_xdp_queue_mode(s),
                           af_xdp_queue_multi_buffer(s) ? "on" : "off");
    af_xdp_program_info(s->dev, str);
    g_string_append(str, trouble ?: "");

    /* Traffic always, what went wrong only if it did. */
    g_string_append_printf(str, ",rx=%" PRIu64 ",tx=%" PRIu64,
                           stats->rx_packets, stats->tx_packets);
#define AF_XDP_SHOW_PROBLEM(field, name)                                \
    if (!g_str_equal(name, "rx") && !g_str_equal(name, "tx") &&         \
        !g_str_has_suffix(name, "-bytes") && stats->field) {            \
        g_string_append_printf(str, "," name "=%" PRIu64, stats->field); \
    }
    AF_XDP_COPY_COUNTERS(AF_XDP_SHOW_PROBLEM)
#undef AF_XDP_SHOW_PROBLEM
    af_xdp_vhost_info(s, &counts, str);
    if (af_xdp_socket_stats(sock, &rx_dropped, &tx_invalid)) {
        if (rx_dropped) {
            g_string_append_printf(str, ",rx-dropped=%" PRIu64, rx_dropped);
        }
        if (tx_invalid) {
            g_string_append_printf(str, ",tx-invalid=%" PRIu64, tx_invalid);
        }
    }
    if (s->dev->prog &&
        ebpf_af_xdp_read_counters(s->dev->prog, nc->queue_index, &prog)) {
        g_string_append_printf(str, ",redirected=%" PRIu64
                               ",passed=%" PRIu64 ",filtered=%" PRIu64,
                               prog.redirected, prog.passed, prog.filtered);
        if (prog.dropped) {
            g_string_append_printf(str, ",metadata-dropped=%" PRIu64,
                                   prog.dropped);
        }
    }
    return g_string_free(str, FALSE);
}

bool af_xdp_queue_multi_buffer(AfXdpState *s)
{
    return af_xdp_copy_socket(s->copy)->multi_buffer &&
           (!s->dev->prog || ebpf_af_xdp_multi_buffer(s->dev->prog));
}

/* --- Beginning and end --- */

static void af_xdp_cleanup(NetClientState *nc)
{
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);
    AfXdpNetdev *dev = s->dev;

    if (!s->copy) {
        /* Again, by a NIC that is taken apart when QEMU ends. */
        return;
    }
    trace_af_xdp_queue_stop(dev->name, dev->ifname, s->queue);
    af_xdp_threads_release(s);
    qemu_del_vm_change_state_handler(s->vm_changed);
    /* Purging calls back, and queues before this one are freed already. */
    dev->queues[nc->queue_index] = NULL;
    qemu_purge_queued_packets(nc);
    af_xdp_poll(nc, false);
    timer_free(s->rx_timer);
    timer_free(s->tx_timer);
    qemu_bh_delete(s->tx_bh);
    if (dev->prog && !af_xdp_copy_is_absent(s->copy)) {
        /* Else it is not ours that is there. */
        ebpf_af_xdp_clear_socket(dev->prog, nc->queue_index);
    }
    af_xdp_copy_free(s->copy);
    s->copy = NULL;
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (dev->queues[i]) {
            g_queue_remove_all(&dev->queues[i]->rx_parked, s);
        }
    }
    g_queue_clear(&s->rx_parked);

    if (--dev->n_live == 0) {
        af_xdp_netdev_free(dev);
    }
}

static NetClientInfo net_af_xdp_info = {
    .type = NET_CLIENT_DRIVER_AF_XDP,
    .size = sizeof(AfXdpState),
    .receive = af_xdp_receive,
    .receive_iov = af_xdp_receive_iov,
    .poll = af_xdp_poll,
    .cleanup = af_xdp_cleanup,
    .link_status_changed = af_xdp_link_status_changed,
    .check_peer_type = af_xdp_threads_check_nic,
    .peer_changed = af_xdp_peer_changed,
    .get_info = af_xdp_get_info,
};

AfXdpState *af_xdp_queue_new(AfXdpNetdev *dev, uint32_t index,
                             NetClientState *peer, const char *name,
                             AfXdpCopy *copy, uint32_t queue)
{
    NetClientState *nc = qemu_new_net_client(&net_af_xdp_info, peer, "af-xdp",
                                             name);
    AfXdpState *s = DO_UPCAST(AfXdpState, nc, nc);

    nc->queue_index = index;
    s->dev = dev;
    s->copy = copy;
    s->queue = queue;
    g_queue_init(&s->rx_parked);
    s->rx_timer = timer_new_ns(QEMU_CLOCK_REALTIME, af_xdp_rx_recheck, s);
    s->tx_timer = timer_new_ns(QEMU_CLOCK_REALTIME, af_xdp_tx_flush, s);
    s->tx_bh = qemu_bh_new(af_xdp_tx_flush, s);
    s->vm_changed = qemu_add_vm_change_state_handler(af_xdp_vm_changed, s);
    dev->queues[index] = s;
    dev->n_live++;
    af_xdp_poll(nc, true);
    return s;
}

void af_xdp_queue_halt(AfXdpState *s)
{
    af_xdp_forget_plans(s);
    af_xdp_update_handlers(s);
    /* With the link down, what waits is dropped. */
    af_xdp_tx_release(s);
}

void af_xdp_queue_resume(AfXdpState *s)
{
    af_xdp_update_handlers(s);
}

void af_xdp_queue_lend(AfXdpState *s, bool lent)
{
    s->lent = lent;
    s->rx_wait = NULL;
    s->tx_wait = false;
    s->tx_writable = false;
    af_xdp_forget_plans(s);
    af_xdp_update_handlers(s);
    if (!lent && !s->dev->gone) {
        /* The worker may have left packets on their way. */
        af_xdp_tx_flush_soon(s);
    }
}

void af_xdp_queue_send(AfXdpState *s)
{
    if (s->lent) {
        af_xdp_vhost_tx(s);
    } else {
        af_xdp_tx_flush(s);
    }
}
