/*
 * AF_XDP: the XDP program, run by the kernel
 *
 * Mostly through BPF_PROG_TEST_RUN, which says what the program does with a
 * frame without doing it. Needs root.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "ebpf/ebpf_af_xdp_int.h"
#include "test-af-xdp-program.h"

static int dev_index;

/*
 * Run the program on @size bytes: @meta of them, a multiple of 4, are metadata
 * in front of the frame, and from @linear on they are in further buffers.
 *
 * @out: metadata and frame as they are then, of @size bytes; may be NULL
 * @out_size: how many that are
 */
static int run_frame_out(EbpfAfXdp *prog, uint32_t queue, const uint8_t *data,
                         uint32_t size, uint32_t meta, uint32_t linear,
                         uint8_t *out, uint32_t *out_size)
{
    struct xdp_md ctx = {
        .data = meta,
        .data_end = linear,
        .ingress_ifindex = dev_index,
        .rx_queue_index = queue,
    };
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = data,
                .data_size_in = size,
                .data_out = out,
                .data_size_out = out ? size : 0,
                .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx),
                .repeat = 1);
    int ret = bpf_prog_test_run_opts(ebpf_af_xdp_prog_fd(prog), &opts);

    *out_size = opts.data_size_out;
    return ret ? ret : (int)opts.retval;
}

static int run_frame(EbpfAfXdp *prog, uint32_t queue, const uint8_t *data,
                     uint32_t size, uint32_t meta, uint32_t linear)
{
    uint32_t out_size;

    return run_frame_out(prog, queue, data, size, meta, linear, NULL,
                         &out_size);
}

/* Run it on a frame of @size bytes to @dest. */
static int run_to(EbpfAfXdp *prog, uint32_t queue, const char *dest,
                  uint32_t size)
{
    g_autofree uint8_t *frame = g_malloc0(size);

    memcpy(frame, dest, ETH_ALEN);
    frame[12] = 0x08;
    return run_frame(prog, queue, frame, size, 0, size);
}

static void assert_counters(EbpfAfXdp *prog, uint32_t queue,
                            uint64_t redirected, uint64_t passed,
                            uint64_t filtered)
{
    EbpfAfXdpCounters count;
    bool ok = ebpf_af_xdp_read_counters(prog, queue, &count);

    g_assert_true(ok);
    g_assert_cmpuint(count.redirected, ==, redirected);
    g_assert_cmpuint(count.passed, ==, passed);
    g_assert_cmpuint(count.filtered, ==, filtered);
    g_assert_cmpuint(count.dropped, ==, 0);
}

/* Each queue has its own socket and counters; one queue has no socket. */
static void test_run_queues(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog = test_attach(&cfg);
    TestSocket sock[QUEUES];
    const uint32_t unbound = 2;

    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_open(&sock[q], DEV, q);
        g_assert_cmpint(run_to(prog, q, MAC_OTHER, 60), ==, XDP_PASS);
        if (q != unbound) {
            test_set_socket(prog, q, &sock[q]);
        }
    }
    for (uint32_t q = 0; q < QUEUES; q++) {
        for (uint32_t i = 0; i <= q; i++) {
            g_assert_cmpint(run_to(prog, q, MAC_OTHER, 60), ==,
                            q == unbound ? XDP_PASS : XDP_REDIRECT);
        }
    }
    for (uint32_t q = 0; q < QUEUES; q++) {
        if (q == unbound) {
            assert_counters(prog, q, 0, 1 + q + 1, 0);
        } else {
            assert_counters(prog, q, q + 1, 1, 0);
        }
    }

    /* Cleared, and gone by itself with the socket */
    ebpf_af_xdp_clear_socket(prog, 0);
    ebpf_af_xdp_clear_socket(prog, unbound);
    g_assert_cmpint(run_to(prog, 0, MAC_OTHER, 60), ==, XDP_PASS);
    test_socket_close(&sock[1]);
    g_assert_cmpint(run_to(prog, 1, MAC_OTHER, 60), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 3, MAC_OTHER, 60), ==, XDP_REDIRECT);

    test_socket_close(&sock[0]);
    test_socket_close(&sock[2]);
    test_socket_close(&sock[3]);
    test_detach(prog);
}

/* Our queue 0 is another queue of the device. */
static void test_run_queue_start(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog;
    TestSocket sock;

    cfg.queue_start = 2;
    cfg.queues = 2;
    prog = test_attach(&cfg);
    test_socket_open(&sock, DEV, 3);
    test_set_socket(prog, 1, &sock);
    for (uint32_t q = 0; q < QUEUES; q++) {
        g_assert_cmpint(run_to(prog, q, MAC_OTHER, 60), ==,
                        q == 3 ? XDP_REDIRECT : XDP_PASS);
    }
    assert_counters(prog, 0, 0, 1, 0);
    assert_counters(prog, 1, 1, 0, 0);
    test_socket_close(&sock);
    test_detach(prog);
}

static void test_run_filter(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog;
    TestSocket sock;
    GError *err = NULL;

    cfg.mac_filter = true;
    prog = test_attach(&cfg);
    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);

    /* No address yet: not even the zero one */
    g_assert_cmpint(run_to(prog, 0, MAC_GUEST, 60), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 0, MAC_ZERO, 60), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 0, MAC_BROADCAST, 60), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(prog, 0, MAC_MULTICAST, 60), ==, XDP_REDIRECT);
    assert_counters(prog, 0, 2, 0, 2);

    g_assert_true(ebpf_af_xdp_set_mac(prog, (uint8_t *)MAC_GUEST, &err));
    g_assert_cmpint(run_to(prog, 0, MAC_GUEST, 60), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(prog, 0, MAC_BROADCAST, 60), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(prog, 0, MAC_MULTICAST, 60), ==, XDP_REDIRECT);
    assert_counters(prog, 0, 5, 0, 2);
    for (int i = 0; i < ETH_ALEN; i++) {
        char miss[ETH_ALEN];

        /* not bit 0: in the first byte it makes a group address */
        memcpy(miss, MAC_GUEST, ETH_ALEN);
        miss[i] ^= 0x80;
        g_assert_cmpint(run_to(prog, 0, miss, 60), ==, XDP_PASS);
    }
    assert_counters(prog, 0, 5, 0, 2 + ETH_ALEN);

    /* The guest takes another one. */
    g_assert_true(ebpf_af_xdp_set_mac(prog, (uint8_t *)MAC_OTHER, &err));
    g_assert_cmpint(run_to(prog, 0, MAC_GUEST, 60), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 0, MAC_OTHER, 60), ==, XDP_REDIRECT);
    assert_counters(prog, 0, 6, 0, 3 + ETH_ALEN);

    /* A queue without socket filters nothing, it passes. */
    g_assert_cmpint(run_to(prog, 1, MAC_GUEST, 60), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 1, MAC_BROADCAST, 60), ==, XDP_PASS);
    assert_counters(prog, 1, 0, 2, 0);

    test_socket_close(&sock);
    test_detach(prog);
}

/* Without the filter an address changes nothing. */
static void test_run_no_filter(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog = test_attach(&cfg);
    TestSocket sock;
    GError *err = NULL;

    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);
    g_assert_true(ebpf_af_xdp_set_mac(prog, (uint8_t *)MAC_GUEST, &err));
    g_assert_cmpint(run_to(prog, 0, MAC_OTHER, 60), ==, XDP_REDIRECT);
    assert_counters(prog, 0, 1, 0, 0);
    test_socket_close(&sock);
    test_detach(prog);
}

/*
 * With the filter on, a frame without a whole header is none of the guest's.
 * The kernel lets nobody make such a frame. Since Linux 6.18 the header can be
 * cut in two by the end of the first buffer; before, the metadata could take
 * the place of the frame's bytes.
 */
static void test_run_short(void)
{
    EbpfAfXdpConfig cfg = test_config();
    uint32_t filtered = 0;
    uint8_t frame[80];
    EbpfAfXdp *prog;
    TestSocket sock;

    /* Broadcast: it would be redirected if it were long enough. */
    memset(frame, 0xff, sizeof(frame));
    cfg.mac_filter = true;
    prog = test_attach(&cfg);
    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);

    g_assert_cmpint(run_frame(prog, 0, frame, ETH_HLEN, 0, ETH_HLEN), ==,
                    XDP_REDIRECT);
    for (uint32_t len = 0; len < ETH_HLEN; len++) {
        const uint32_t meta = 16;
        int ret = run_frame(prog, 0, frame, sizeof(frame), meta, meta + len);

        if (ret == -EINVAL) {
            ret = run_frame(prog, 0, frame, meta + len, meta, meta + len);
        }
        if (ret == -EINVAL) {
            g_test_message("the kernel refuses %u bytes", len);
            continue;
        }
        g_assert_cmpint(ret, ==, XDP_PASS);
        assert_counters(prog, 0, 1, 0, ++filtered);
    }
    if (!filtered) {
        g_test_skip("this kernel runs no frame without a whole header");
    }
    test_socket_close(&sock);
    test_detach(prog);
}

/* Frames over several buffers, as with MTU 9000 */
static void test_run_multi_buffer(void)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog;
    TestSocket sock;
    GError *err = NULL;

    cfg.mac_filter = true;
    prog = test_attach(&cfg);
    if (!ebpf_af_xdp_multi_buffer(prog)) {
        g_test_skip("needs Linux 5.18");
        test_detach(prog);
        return;
    }
    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);
    g_assert_true(ebpf_af_xdp_set_mac(prog, (uint8_t *)MAC_GUEST, &err));
    g_assert_cmpint(run_to(prog, 0, MAC_GUEST, 9014), ==, XDP_REDIRECT);
    g_assert_cmpint(run_to(prog, 0, MAC_OTHER, 9014), ==, XDP_PASS);
    g_assert_cmpint(run_to(prog, 1, MAC_GUEST, 9014), ==, XDP_PASS);
    assert_counters(prog, 0, 1, 0, 1);
    assert_counters(prog, 1, 0, 1, 0);
    test_socket_close(&sock);
    test_detach(prog);
}

/* As large as metadata can be: the kernel keeps its length in 8 bits. */
#define META_MAX 252
#define META_FRAME 64

/* Metadata and frame, each byte different from its neighbours, to @dest */
static void fill_frame(uint8_t *data, uint32_t meta, const char *dest)
{
    for (uint32_t i = 0; i < meta + META_FRAME; i++) {
        data[i] = 7 * i + 1;
    }
    memcpy(data + meta, dest, ETH_ALEN);
}

/*
 * What @prog does with @meta bytes of metadata before a frame: the action is
 * returned, and of the metadata @left bytes are left, which are its last ones.
 */
static int run_metadata(EbpfAfXdp *prog, uint32_t queue, uint32_t meta,
                        const char *dest, uint32_t *left)
{
    uint8_t in[META_MAX + META_FRAME], out[sizeof(in)];
    uint32_t size = meta + META_FRAME, out_size;
    int ret;

    fill_frame(in, meta, dest);
    ret = run_frame_out(prog, queue, in, size, meta, size, out, &out_size);
    if (ret < 0) {
        return ret;
    }
    g_assert_cmpuint(out_size, >=, META_FRAME);
    g_assert_cmpuint(out_size, <=, size);
    g_assert_cmpmem(out, out_size, in + size - out_size, out_size);
    *left = out_size - META_FRAME;
    return ret;
}

/*
 * A socket's frames have no metadata in front of them; those for the host keep
 * what they have.
 */
static void test_run_metadata(void)
{
    EbpfAfXdpConfig cfg = test_config();
    GError *err = NULL;
    TestSocket sock;
    EbpfAfXdp *prog;
    uint32_t left, meta, n = 0;

    cfg.mac_filter = true;
    prog = test_attach(&cfg);
    g_assert_true(ebpf_af_xdp_set_mac(prog, (uint8_t *)MAC_GUEST, &err));
    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);

    /* Older kernels allow 32 bytes. */
    for (meta = 0; meta <= META_MAX; meta += 4) {
        int ret = run_metadata(prog, 0, meta, MAC_GUEST, &left);

        if (ret == -EINVAL && meta > 32) {
            break;
        }
        g_assert_cmpint(ret, ==, XDP_REDIRECT);
        g_assert_cmpuint(left, ==, 0);
        n++;

        /* The filter passes it, and the queue without socket does. */
        ret = run_metadata(prog, 0, meta, MAC_OTHER, &left);
        g_assert_cmpint(ret, ==, XDP_PASS);
        g_assert_cmpuint(left, ==, meta);
        ret = run_metadata(prog, 1, meta, MAC_GUEST, &left);
        g_assert_cmpint(ret, ==, XDP_PASS);
        g_assert_cmpuint(left, ==, meta);
    }
    g_test_message("up to %u bytes of metadata", meta - 4);
    assert_counters(prog, 0, n, 0, n);
    assert_counters(prog, 1, 0, n, 0);
    test_socket_close(&sock);
    test_detach(prog);
}

/* The program for dispatchers that let it take nothing off */
static void test_run_fixed(void)
{
    EbpfAfXdp *prog = ebpf_af_xdp_new(EBPF_AF_XDP_OWN_LINK);
    EbpfAfXdpCounters count;
    TestSocket sock;
    uint32_t left;
    int ret;

    prog->queues = QUEUES;
    ebpf_af_xdp_log_begin();
    ret = ebpf_af_xdp_open(prog, QUEUES, EBPF_AF_XDP_FIXED);
    g_assert_cmpint(ret, ==, 0);
    ret = bpf_object__load(prog->obj);
    ebpf_af_xdp_log_end();
    if (ret == -EINVAL) {
        g_test_skip("needs Linux 5.18");
        ebpf_af_xdp_free(prog);
        return;
    }
    g_assert_cmpint(ret, ==, 0);
    ebpf_af_xdp_loaded(prog);
    g_assert_cmpstr(bpf_program__name(prog->variant), ==,
                    EBPF_AF_XDP_FIXED_NAME);
    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);

    g_assert_cmpint(run_metadata(prog, 0, 0, MAC_GUEST, &left), ==,
                    XDP_REDIRECT);
    assert_counters(prog, 0, 1, 0, 0);
    g_assert_cmpint(run_metadata(prog, 0, 4, MAC_GUEST, &left), ==, XDP_DROP);
    g_assert_cmpint(run_metadata(prog, 0, 32, MAC_GUEST, &left), ==, XDP_DROP);
    g_assert_true(ebpf_af_xdp_read_counters(prog, 0, &count));
    g_assert_cmpuint(count.redirected, ==, 1);
    g_assert_cmpuint(count.dropped, ==, 2);

    /* A queue without socket passes it on as it is. */
    g_assert_cmpint(run_metadata(prog, 1, 32, MAC_GUEST, &left), ==, XDP_PASS);
    g_assert_cmpuint(left, ==, 32);
    assert_counters(prog, 1, 0, 1, 0);
    test_socket_close(&sock);
    ebpf_af_xdp_free(prog);
}

/*
 * A frame with metadata that is really redirected: nothing is written but the
 * frame, for what surrounds it may be a guest's.
 */
static void test_live_metadata(void)
{
    const uint32_t start = SOCKET_RX_FRAME + XDP_PACKET_HEADROOM;
    const uint32_t meta = 32;
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdp *prog = test_attach(&cfg);
    uint8_t in[32 + META_FRAME];
    EbpfAfXdpCounters count;
    struct xdp_md ctx = {
        .data = meta,
        .data_end = sizeof(in),
        .ingress_ifindex = dev_index,
    };
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = in,
                .data_size_in = sizeof(in),
                .ctx_in = &ctx,
                .ctx_size_in = sizeof(ctx),
                .repeat = 1,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
    TestSocket sock;
    uint8_t *umem;
    int ret;

    test_socket_open(&sock, DEV, 0);
    test_set_socket(prog, 0, &sock);
    umem = sock.umem;
    memset(umem, 0xa5, SOCKET_FRAMES * SOCKET_FRAME_SIZE);
    fill_frame(in, meta, MAC_GUEST);

    ret = bpf_prog_test_run_opts(ebpf_af_xdp_prog_fd(prog), &opts);
    if (ret == -EINVAL) {
        g_test_skip("needs Linux 5.18");
    } else {
        g_assert_cmpint(ret, ==, 0);
        g_assert_true(ebpf_af_xdp_read_counters(prog, 0, &count));
        g_assert_cmpuint(count.redirected, ==, 1);
        g_assert_cmpmem(umem + start, META_FRAME, in + meta, META_FRAME);
        for (uint32_t i = 0; i < SOCKET_FRAMES * SOCKET_FRAME_SIZE; i++) {
            if ((i < start || i >= start + META_FRAME) && umem[i] != 0xa5) {
                g_error("byte %d of the frame was written",
                        (int)i - (int)start);
            }
        }
    }
    test_socket_close(&sock);
    test_detach(prog);
}

/* Real packets, through the mode's own way of running the program */
static void test_live(gconstpointer data)
{
    EbpfAfXdpConfig cfg = test_config();
    EbpfAfXdpCounters before, after;
    TestSocket sock[QUEUES];
    EbpfAfXdp *prog;

    cfg.mode = GPOINTER_TO_INT(data);
    prog = test_attach(&cfg);
    g_assert_cmpint(ebpf_af_xdp_mode(prog), ==, cfg.mode);
    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_open(&sock[q], DEV, q);
        test_set_socket(prog, q, &sock[q]);
    }
    peer_send(10);
    before = wait_counters(prog, 10);
    g_assert_cmpuint(before.redirected, ==, 10);
    g_assert_cmpuint(before.passed, ==, 0);

    for (uint32_t q = 0; q < QUEUES; q++) {
        ebpf_af_xdp_clear_socket(prog, q);
    }
    peer_send(10);
    after = wait_counters(prog, 20);
    g_assert_cmpuint(after.redirected, ==, 10);
    g_assert_cmpuint(after.passed, ==, 10);

    for (uint32_t q = 0; q < QUEUES; q++) {
        test_socket_close(&sock[q]);
    }
    test_detach(prog);
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
    dev_index = if_nametoindex(DEV);

    add("/af-xdp/program/queues", test_run_queues);
    add("/af-xdp/program/queue-start", test_run_queue_start);
    add("/af-xdp/program/filter", test_run_filter);
    add("/af-xdp/program/no-filter", test_run_no_filter);
    add("/af-xdp/program/short-frame", test_run_short);
    add("/af-xdp/program/multi-buffer", test_run_multi_buffer);
    add("/af-xdp/program/metadata", test_run_metadata);
    add("/af-xdp/program/fixed", test_run_fixed);
    add("/af-xdp/program/live/metadata", test_live_metadata);
    if (skip_reason) {
        add("/af-xdp/program/live", test_skipped);
    } else {
        g_test_add_data_func("/af-xdp/program/live/native",
                             GINT_TO_POINTER(EBPF_AF_XDP_MODE_NATIVE),
                             test_live);
        g_test_add_data_func("/af-xdp/program/live/skb",
                             GINT_TO_POINTER(EBPF_AF_XDP_MODE_SKB),
                             test_live);
    }
    return g_test_run();
}
