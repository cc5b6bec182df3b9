/*
 * What the XDP programs of AF_XDP do with one frame
 *
 * af_xdp_redirect.bpf.c is QEMU's own program, for one netdev on a device;
 * af_xdp_host.bpf.c is the host's, which several virtual machines share. They
 * differ in where the socket is looked up.
 *
 * Everything here is inlined.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */

#ifndef AF_XDP_FRAME_BPF_H
#define AF_XDP_FRAME_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

struct counters {
    __u64 redirected;   /* given to the socket of the queue */
    __u64 passed;       /* the queue has no socket */
    __u64 filtered;     /* the queue has one, but the frame is not for us */
    __u64 dropped;      /* for us, but with metadata that had to stay */
};

/*
 * The destination filter. One 64-bit word, so that a change of address is seen
 * wholly or not at all, and so that one comparison decides.
 */
union filter {
    struct {
        __u8 mac[ETH_ALEN];
        __u8 enabled;       /* 0 or 1 */
        __u8 have_mac;      /* 0 or 1; only together with enabled */
    };
    __u64 word;
};

static __always_inline int is_for_guest(struct xdp_md *ctx, __u64 wanted)
{
    const __u8 *data = (const __u8 *)(long)ctx->data;
    const __u8 *end = (const __u8 *)(long)ctx->data_end;
    union filter frame = { .enabled = 1, .have_mac = 1 };

    if (data + ETH_HLEN > end) {
        return 0;
    }
    if (data[0] & 1) {  /* group address: multicast or broadcast */
        return 1;
    }
    /* Without an address have_mac differs, so that no frame compares equal. */
    __builtin_memcpy(frame.mac, data, ETH_ALEN);
    return frame.word == wanted;
}

/*
 * Metadata: up to 252 bytes, a multiple of 4, that a program before us, or the
 * driver, keeps in front of the frame. A driver that has none sets data_meta
 * behind data.
 */
static __always_inline int has_metadata(struct xdp_md *ctx)
{
    return (void *)(long)ctx->data_meta < (void *)(long)ctx->data;
}

/*
 * In powers of two, as the helper refuses a step beyond the frame's start: to
 * compute the length, the loader would need CAP_PERFMON.
 */
static __always_inline void remove_metadata(struct xdp_md *ctx)
{
    bpf_xdp_adjust_meta(ctx, 128);
    bpf_xdp_adjust_meta(ctx, 64);
    bpf_xdp_adjust_meta(ctx, 32);
    bpf_xdp_adjust_meta(ctx, 16);
    bpf_xdp_adjust_meta(ctx, 8);
    bpf_xdp_adjust_meta(ctx, 4);
}

/*
 * What follows bpf_redirect_map(), which said @action. @may_change: may the
 * program move the start of the metadata?
 */
static __always_inline int to_socket(struct xdp_md *ctx,
                                     struct counters *count, int action,
                                     int may_change)
{
    if (action != XDP_REDIRECT) {
        count->passed++;
        return action;
    }

    /*
     * The kernel copies metadata along, to where it was: in front of the
     * frame. Where frames are put into a guest's buffers, what is in front of
     * them is the guest's too, and not meant to be written. Nor may the host
     * have the frame, as without metadata it would not.
     */
    if (has_metadata(ctx)) {
        if (may_change) {
            remove_metadata(ctx);
        }
        if (has_metadata(ctx)) {
            count->dropped++;
            return XDP_DROP;
        }
    }
    count->redirected++;
    return XDP_REDIRECT;
}

#endif /* AF_XDP_FRAME_BPF_H */
