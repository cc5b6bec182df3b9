/*
 * AF_XDP: direct buffers over a real veth pair: content, canaries, stopping
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "af-xdp-guest.h"
#include "af-xdp-netns.h"
#include "net/af-xdp-uapi.h"

/* How often stopping is tried in each case; each waits for the kernel. */
#define STOPS (g_test_slow() ? 1000 : 30)

/* --- A kernel without multi-buffer --- */

static bool refuse_sg;

/* Takes the place of libc's: refuses what Linux before 6.6 does. */
int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    const struct sockaddr_xdp *xdp = (const struct sockaddr_xdp *)addr;

    if (refuse_sg && addr->sa_family == AF_XDP &&
        (xdp->sxdp_flags & XDP_USE_SG)) {
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_bind, fd, addr, len);
}

/* --- The cases --- */

typedef struct Case {
    const char *name;
    uint64_t features;
    int mtu;
    uint32_t room;
    uint32_t longest;           /* frame */
    bool no_sg;
} Case;

static const Case cases[] = {
    { "legacy", 0, 1500, 1518, 1518 },
    { "modern", MODERN, 1500, 1518, 1518 },
    { "mergeable", MODERN | MERGEABLE, 1500, 1518, 1518 },
    { "packed", MODERN | MERGEABLE | PACKED, 1500, 1518, 1518 },
    { "no-multi-buffer", MODERN | MERGEABLE, 1500, 1518, 1518, true },
    { "jumbo", MODERN | MERGEABLE, 9000, 1524, 9018 },
    { "jumbo-packed", MODERN | MERGEABLE | PACKED, 9000, 1524, 9018 },
};

/* Returns false, with the test marked as skipped, if it cannot be. */
static bool case_open(const Case *c, Wire **w, Guest **g)
{
    if (!netns_fresh()) {
        return false;
    }
    *w = wire_new(c->mtu);
    if (c->longest > c->room && !af_xdp_copy_socket((*w)->copy)->multi_buffer) {
        wire_free(*w);
        g_test_skip("this kernel has no multi-buffer AF_XDP (Linux 6.6)");
        return false;
    }
    refuse_sg = c->no_sg;
    *g = guest_new(c->features, c->mtu, c->room);
    g_assert_cmpint(af_xdp_copy_socket((*g)->copy)->multi_buffer, ==,
                    (*w)->copy && !c->no_sg &&
                    af_xdp_copy_socket((*w)->copy)->multi_buffer);
    return true;
}

static void case_close(Wire *w, Guest *g)
{
    guest_free(g);
    wire_free(w);
    refuse_sg = false;
}

/* Turns until @received frames have come. */
static void receive_until(Guest *g, uint32_t received)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;

    while (g->received < received) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        guest_turn(g);
    }
}

/* The frames posted at first are used up, the guest's buffers have come. */
static void warm_up(Wire *w, Guest *g)
{
    uint64_t direct = af_xdp_datapath_stats(g->dp)->rx_direct;
    uint32_t n = 0;

    while (af_xdp_datapath_stats(g->dp)->rx_direct == direct) {
        uint32_t before = g->received;

        g_assert_cmpuint(++n, <, AF_XDP_COPY_RING);
        wire_send(w, FRAME_MIN);
        receive_until(g, before + 1);
    }
}

/* --- Content --- */

static void one_size(Wire *w, Guest *g, uint32_t len, uint32_t n_pieces)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    uint32_t received = g->received, sent = w->received;

    wire_send(w, len);
    receive_until(g, received + 1);
    g_assert_true(guest_send(g, len, n_pieces));
    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        guest_turn(g);
        wire_receive(w);
    } while (w->received == sent);
    g_assert_cmpuint(g->received, ==, received + 1);
    g_assert_cmpuint(g->n_sending, ==, 0);
}

/* All sizes both ways, and not a byte beside them. */
static void test_content(gconstpointer opaque)
{
    const Case *c = opaque;
    const AfXdpDatapathStats *stats;
    uint64_t direct, sent;
    uint32_t n = 0;
    Wire *w;
    Guest *g;

    if (!case_open(c, &w, &g)) {
        return;
    }
    stats = af_xdp_datapath_stats(g->dp);
    for (int round = 0; round < 2; round++) {
        guest_start(g);
        warm_up(w, g);
        guest_check_ram(g);
        direct = stats->rx_direct;
        sent = stats->tx_direct;
        n = 0;
        for (uint32_t len = FRAME_MIN; len <= c->longest;
             len += c->longest > c->room ? 13 : 1, n++) {
            one_size(w, g, len, 1 + n % 2);
        }
        /* With a piece less than 12 bytes long at the end, and without. */
        for (uint32_t len = c->room - 13;
             len <= MIN(c->room + 14, c->longest); len++, n++) {
            one_size(w, g, len, 1);
        }
        guest_check_ram(g);
        g_assert_cmpuint(stats->rx_lost, ==, 0);
        g_assert_cmpuint(stats->tx_lost, ==, 0);
        if (c->longest > c->room) {
            g_assert_cmpuint(stats->rx_direct - direct + stats->rx_mixed, >=,
                             n * 95 / 100);
        } else {
            g_assert_cmpuint(stats->rx_direct - direct, ==, n);
            g_assert_cmpuint(stats->tx_direct - sent, ==, n);
        }
        /* Pieces of a frame that fits one of ours are copied. */
        sent = stats->tx_pieces;
        one_size(w, g, 1000, 3);
        g_assert_cmpuint(stats->tx_pieces, ==, sent + 1);
        guest_stop(g);
        guest_check_stopped(g);
        guest_check_frames(g);
        /* The same as before, and copied. */
        direct = stats->rx_direct;
        for (uint32_t len = FRAME_MIN; len <= c->longest; len += 111) {
            one_size(w, g, len, 2);
        }
        g_assert_cmpuint(stats->rx_direct, ==, direct);
        guest_check_ram(g);
        guest_check_frames(g);
    }
    case_close(w, g);
}

/* --- Stopping --- */

/* Both ways at once, until so many frames came into the guest's buffers. */
static void run(Guest *g, const Case *c, uint64_t direct)
{
    int64_t deadline = g_get_monotonic_time() + PATIENCE_US;
    const AfXdpDatapathStats *stats = af_xdp_datapath_stats(g->dp);

    direct += stats->rx_direct;
    while (stats->rx_direct < direct) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        while (guest_send(g, g_test_rand_int_range(FRAME_MIN, c->longest + 1),
                          g_test_rand_int_range(1, 4))) {
            continue;
        }
        guest_turn(g);
    }
}

/* While frames go on coming not a byte changes. */
static void assert_silence(Guest *g, int64_t us)
{
    int64_t deadline = g_get_monotonic_time() + us;

    do {
        guest_check_ram(g);
        g_usleep(100);
    } while (g_get_monotonic_time() < deadline);
    guest_check_ram(g);
}

/* In the midst of it all, again and again. */
static void test_stop(gconstpointer opaque)
{
    const Case *c = opaque;
    int64_t longest = 0, sum = 0;
    uint32_t received;
    Wire *w;
    Guest *g;

    if (!case_open(c, &w, &g)) {
        return;
    }
    wire_blast(w, FRAME_MIN, c->longest);
    for (int i = 0; i < STOPS; i++) {
        int64_t took;

        guest_start(g);
        run(g, c, 100 + i % 50);
        took = g_get_monotonic_time();
        guest_stop(g);
        took = g_get_monotonic_time() - took;
        sum += took;
        longest = MAX(took, longest);
        guest_check_stopped(g);
        assert_silence(g, i % 25 == 0 ? 100000 : 300);
        wire_pause(w);
        g_usleep(500);
        guest_check_frames(g);
        if (i % 3 == 0) {
            guest_new_rings(g);
        }
        received = g->received;
        wire_blast(w, FRAME_MIN, c->longest);
        receive_until(g, received + 20);
    }
    g_test_message("%d stops, %" PRId64 " us each, %" PRId64 " us at most, "
                   "%u frames received, %u sent", STOPS, sum / STOPS, longest,
                   g->received, g->number);
    wire_pause(w);
    case_close(w, g);
}

/* --- Metadata --- */

#define META 64

/*
 * A program that puts @META bytes in front of a frame, and sends it from
 * device @ifindex. Returns its file descriptor.
 */
static int meta_program(int ifindex)
{
    struct bpf_insn insns[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = -META },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_xdp_adjust_meta },
        { .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .off = 11 },
        { .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 6,
          .off = offsetof(struct xdp_md, data_meta) },
        { .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 3, .src_reg = 6,
          .off = offsetof(struct xdp_md, data) },
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 2 },
        { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = META },
        { .code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3,
          .off = 6 },
        /* The first and the last word of it. */
        { .code = BPF_ST | BPF_W | BPF_MEM, .dst_reg = 2, .imm = 0x11111111 },
        { .code = BPF_ST | BPF_W | BPF_MEM, .dst_reg = 2, .off = META - 4,
          .imm = 0x22222222 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = ifindex },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
        { .code = BPF_JMP | BPF_EXIT },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_DROP },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "meta", "GPL", insns,
                           ARRAY_SIZE(insns), NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/*
 * Frames that another program has put something in front of: the kernel would
 * copy that, too, to where the header and what is before it is.
 */
static void test_metadata(void)
{
    static const Case plain = { "", MODERN | MERGEABLE, 1500, 1518, 1518 };
    AfXdpCopy *other;
    uint64_t direct;
    GError *err = NULL;
    Wire *w;
    Guest *g;
    int fd;

    if (!case_open(&plain, &w, &g)) {
        return;
    }
    ip("link add vc type veth peer name vd");
    ip("link set vc addrgenmode none up");
    ip("link set vd addrgenmode none up");
    fd = meta_program(if_nametoindex("vb"));
    g_assert_cmpint(bpf_xdp_attach(if_nametoindex("vd"), fd,
                                   XDP_FLAGS_DRV_MODE, NULL), ==, 0);
    other = af_xdp_copy_new("vc", 0, -1, 1518, AF_XDP_BIND_COPY, &err);
    g_assert_no_error(err);
    guest_start(g);
    warm_up(w, g);
    guest_check_ram(g);
    direct = af_xdp_datapath_stats(g->dp)->rx_direct;
    for (uint32_t len = FRAME_MIN; len <= 1500; len += 30) {
        uint8_t frame[1500];
        struct iovec iov = { frame, len };
        uint32_t received = g->received;

        frame_make(frame, len, len);
        g_assert_cmpint(af_xdp_copy_tx(other, &iov, 1), ==, AF_XDP_TX_QUEUED);
        g_assert_cmpint(af_xdp_copy_tx_flush(other), ==, AF_XDP_TX_IDLE);
        receive_until(g, received + 1);
        guest_check_ram(g);
    }
    g_assert_cmpuint(af_xdp_datapath_stats(g->dp)->rx_direct, ==, direct + 49);
    guest_stop(g);
    guest_check_stopped(g);
    af_xdp_copy_free(other);
    close(fd);
    ip("link del vc");
    case_close(w, g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    netns_init();
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *content = g_strdup_printf("/outside/content/%s",
                                                   cases[i].name);
        g_autofree char *stop = g_strdup_printf("/outside/stop/%s",
                                                cases[i].name);

        g_test_add_data_func(content, &cases[i], test_content);
        g_test_add_data_func(stop, &cases[i], test_stop);
    }
    g_test_add_func("/outside/metadata", test_metadata);
    return g_test_run();
}
