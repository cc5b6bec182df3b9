/*
 * af-xdp qtest: traffic that goes on while something else happens
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "af-xdp-flow.h"

void axt_vhost_start(AxtNet *net, unsigned queues, const char *device,
                     const AxtVirtioConfig *config)
{
    net->wire = axt_wire_new(queues, 1500);
    net->vm = axt_vm_new(AXT_DIMM_ARGS " -netdev af-xdp,id=n0,ifname=" AXT_DEV
                         ",queues=%u%s -device virtio-net-pci," AXT_NIC_ARGS
                         ",id=nic%s", queues, axt_path(), device);
    net->nic = axt_virtio_new_config(net->vm, queues, config);
}

void axt_vhost_assert_running(AxtNet *net)
{
    g_autofree char *info = qtest_hmp(net->vm->qts, "info network");

    g_assert_nonnull(strstr(info, "vhost=on"));
    g_assert_null(strstr(info, "fault"));
}

void axt_vm_stop(AxtNet *net)
{
    qtest_qmp_assert_success(net->vm->qts, "{'execute': 'stop'}");
}

void axt_vm_cont(AxtNet *net)
{
    qtest_qmp_assert_success(net->vm->qts, "{'execute': 'cont'}");
}

/* Frames that are under way to the guest at any time. */
#define IN_FLIGHT AXT_WINDOW

static void flow_got(AxtFlow *f, int dir, const uint8_t *frame, size_t len)
{
    uint32_t seq = axt_frame_check(frame, len, NULL);

    /* In order and each once; none missing, unless that is allowed. */
    if (f->lossy) {
        g_assert_cmpuint(seq, >=, f->next[dir]);
    } else {
        g_assert_cmpuint(seq, ==, f->next[dir]);
    }
    f->next[dir] = seq + 1;
    f->got[dir]++;
}

void axt_flow_send(AxtFlow *f)
{
    uint8_t buf[AXT_LEN_MAX];
    uint32_t *sent = f->sent;
    bool kick = false;

    for (;;) {
        size_t len = axt_len_sweep(sent[TO_WIRE]);

        axt_frame_fill(buf, len, sent[TO_WIRE], 0);
        if (!axt_nic_tx(f->net->nic, 0, buf, &len, 1, false)) {
            break;
        }
        sent[TO_WIRE]++;
        kick = true;
    }
    if (kick) {
        axt_nic_tx_kick(f->net->nic, 0);
    }
    while (sent[TO_GUEST] - f->next[TO_GUEST] < IN_FLIGHT) {
        size_t len = axt_len_sweep(sent[TO_GUEST]);

        axt_frame_fill(buf, len, sent[TO_GUEST]++, 0);
        axt_wire_send(f->net->wire, buf, len);
    }
}

/* Take what has arrived. Returns whether there was anything. */
static bool flow_take(AxtFlow *f)
{
    uint8_t buf[AXT_LEN_MAX];
    bool any = false, kick = false;
    ssize_t len;

    while ((len = axt_wire_recv(f->net->wire, 0, buf, sizeof(buf), 0)) >= 0) {
        flow_got(f, TO_WIRE, buf, len);
        any = true;
    }
    while ((len = axt_nic_rx(f->net->nic, 0, buf, sizeof(buf))) >= 0) {
        kick = true;
        if (axt_frame_is_ours(buf, len)) {
            flow_got(f, TO_GUEST, buf, len);
        }
    }
    if (kick) {
        axt_nic_rx_kick(f->net->nic, 0);
    }
    return any || kick;
}

void axt_flow_run(AxtFlow *f, uint32_t n)
{
    uint32_t want[2] = { f->got[TO_WIRE] + n, f->got[TO_GUEST] + n };
    gint64 last = g_get_monotonic_time();

    while (f->got[TO_WIRE] < want[TO_WIRE] ||
           f->got[TO_GUEST] < want[TO_GUEST]) {
        axt_flow_send(f);
        if (flow_take(f)) {
            last = g_get_monotonic_time();
        } else if (g_get_monotonic_time() - last > AXT_TIMEOUT_US) {
            g_autofree char *info = qtest_hmp(f->net->vm->qts,
                                              "info network");

            g_error("stuck after %u and %u frames\n%s", f->got[TO_WIRE],
                    f->got[TO_GUEST], info);
        } else {
            axt_pause();
        }
    }
    axt_flow_send(f);
}

void axt_flow_drain(AxtFlow *f)
{
    const gint64 quiet = f->lossy ? G_USEC_PER_SEC / 10 : AXT_TIMEOUT_US;
    gint64 last = g_get_monotonic_time();

    while ((f->next[TO_WIRE] < f->sent[TO_WIRE] ||
            f->next[TO_GUEST] < f->sent[TO_GUEST]) &&
           g_get_monotonic_time() - last < quiet) {
        if (flow_take(f)) {
            last = g_get_monotonic_time();
        } else {
            axt_pause();
        }
    }
    if (!f->lossy) {
        g_assert_cmpuint(f->next[TO_WIRE], ==, f->sent[TO_WIRE]);
        g_assert_cmpuint(f->next[TO_GUEST], ==, f->sent[TO_GUEST]);
        axt_wire_assert_no_drops(f->net->wire);
    }
    axt_nic_tx_wait(f->net->nic, 0);
    /* Nothing comes twice, or late. */
    g_usleep(10000);
    flow_take(f);
    memcpy(f->next, f->sent, sizeof(f->next));
}

void axt_count_buffers(AxtNet *net)
{
    AxtRing *ring = &axt_virtio(net->nic)->rx[0].ring;
    const unsigned n = net->nic->rx_bufs;
    uint8_t buf[AXT_LEN_MIN];
    unsigned sent = 0, used = 0;
    gint64 last = g_get_monotonic_time();

    g_assert_cmpuint(axt_nic_tx_pending(net->nic, 0), ==, 0);
    g_assert_cmpuint(ring->held, ==, n);
    while (used < n) {
        for (; sent < n && sent - used < 64; sent++) {
            axt_frame_fill(buf, sizeof(buf), sent, 0);
            axt_wire_send(net->wire, buf, sizeof(buf));
        }
        if (axt_ring_used(ring) != used) {
            used = axt_ring_used(ring);
            last = g_get_monotonic_time();
        }
        g_assert_cmpint(g_get_monotonic_time() - last, <, AXT_TIMEOUT_US);
        axt_pause();
    }
    for (sent = 0; sent < n; sent++) {
        g_assert_cmpint(axt_nic_rx(net->nic, 0, buf, sizeof(buf)), ==,
                        sizeof(buf));
        g_assert_cmpuint(axt_frame_check(buf, sizeof(buf), NULL), ==, sent);
    }
    axt_virtio_kick(net->nic, &axt_virtio(net->nic)->rx[0]);
}

bool axt_take_msi(AxtNet *net, AxtVq *q)
{
    uint32_t *word = axt_ram(net->vm, q->msi);

    return qatomic_xchg(word, 0) == AXT_MSI_DATA;
}

void axt_wait_msi(AxtNet *net, AxtVq *q)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    while (!axt_take_msi(net, q)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
}

void axt_wait_used(AxtRing *ring, unsigned n)
{
    gint64 end = g_get_monotonic_time() + AXT_TIMEOUT_US;

    while (axt_ring_used(ring) != n) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        axt_pause();
    }
}

void axt_arrive(AxtNet *net, unsigned n)
{
    AxtRing *ring = &axt_virtio(net->nic)->rx[0].ring;
    unsigned before = axt_ring_used(ring);
    uint8_t buf[AXT_LEN_MIN];
    unsigned i;

    for (i = 0; i < n; i++) {
        axt_frame_fill(buf, sizeof(buf), i, 0);
        axt_wire_send(net->wire, buf, sizeof(buf));
    }
    axt_wait_used(ring, before + n);
}

void axt_take_arrived(AxtNet *net)
{
    uint8_t buf[AXT_LEN_MAX];

    while (axt_nic_rx(net->nic, 0, buf, sizeof(buf)) >= 0) {
        /* The buffer goes back. */
    }
    axt_nic_rx_kick(net->nic, 0);
}
