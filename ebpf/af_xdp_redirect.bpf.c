// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP program of the af-xdp network backend
 *
 * Hands frames to the AF_XDP socket of the receive queue they came in on.
 * Queues without a socket keep working for the host as if the program were not
 * there. Nothing is written to the frame, and only with the filter on is it
 * looked at. What another program has put in front of it does not reach the
 * socket.
 *
 * After a change run scripts/bpf-skeleton: QEMU is built from the skeleton
 * next to this file, never from the file itself.
 *
 * Runs on Linux 5.10 and later: no kernel types, no CO-RE. Multi-buffer frames
 * ("xdp.frags") need Linux 5.18, and not every dispatcher takes a program that
 * moves the start of the metadata, so there are three programs with one body;
 * ebpf_af_xdp.c loads the one that is taken.
 */

#include "af_xdp_frame.bpf.h"

/*
 * All maps that are indexed by queue are made to the size of the device by the
 * loader; the sizes here only have to be valid.
 */

/* Receive queue of the device -> AF_XDP socket */
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} af_xdp_sockets SEC(".maps");

/* Receive queue of the device -> what happened there, for each CPU */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct counters);
} af_xdp_counters SEC(".maps");

#define CONFIG_FILTER 0     /* union filter */
#define CONFIG_OWNER 1      /* not for the program: see ebpf_af_xdp.c */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} af_xdp_config SEC(".maps");

/*
 * For libxdp's dispatcher: the priority of libxdp's own AF_XDP program, and
 * the next program gets what this one passes. This is XDP_RUN_CONFIG() spelled
 * out, so that libxdp's headers are not needed here.
 */
struct {
    __uint(priority, 20);
    __uint(XDP_PASS, 1);
} _af_xdp_redirect SEC(".xdp_run_config"),
  _af_xdp_fixed SEC(".xdp_run_config");

static __always_inline int redirect(struct xdp_md *ctx, int may_change)
{
    __u32 queue = ctx->rx_queue_index;
    __u32 key = CONFIG_FILTER;
    struct counters *count = bpf_map_lookup_elem(&af_xdp_counters, &queue);
    /* volatile: the compiler must not read twice what changes under way */
    volatile __u64 *config = bpf_map_lookup_elem(&af_xdp_config, &key);
    __u64 filter;
    int action;

    if (!count || !config) {
        /* A queue that the device got after the program was attached */
        return XDP_PASS;
    }

    filter = *config;
    if (filter && !is_for_guest(ctx, filter)) {
        if (bpf_map_lookup_elem(&af_xdp_sockets, &queue)) {
            count->filtered++;
        } else {
            count->passed++;
        }
        return XDP_PASS;
    }

    /* The last argument is what to return if there is no socket. */
    action = bpf_redirect_map(&af_xdp_sockets, queue, XDP_PASS);
    return to_socket(ctx, count, action, may_change);
}

SEC("xdp.frags")
int af_xdp_redirect(struct xdp_md *ctx)
{
    return redirect(ctx, 1);
}

/* For Linux before 5.18 */
SEC("xdp")
int af_xdp_single(struct xdp_md *ctx)
{
    return redirect(ctx, 1);
}

/*
 * For the dispatcher of libxdp before 1.5.5 on Linux since 6.13: its programs
 * must not contain calls that can change a frame's limits.
 */
SEC("xdp.frags")
int af_xdp_fixed(struct xdp_md *ctx)
{
    return redirect(ctx, 0);
}

char _license[] SEC("license") = "GPL";
