// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP program that the host attaches to a NIC for several virtual machines
 *
 * As af_xdp_redirect.bpf.c, but each receive queue leads to a map of sockets
 * of its own choice. So each virtual machine has a map that it may write to,
 * and none can take a queue that is not routed to its map: the routes are the
 * host's alone.
 *
 * A map of sockets is used with the queue's number on the NIC as its key.
 *
 * After a change run scripts/bpf-skeleton. Needs Linux 5.18 (multi-buffer
 * frames).
 */

#include "af_xdp_frame.bpf.h"

/* The loader makes all maps to the size of the device. */

/* Receive queue -> map of sockets of the virtual machine that has it */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __type(key, __u32);
    __array(values, struct {
        __uint(type, BPF_MAP_TYPE_XSKMAP);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
    });
} af_xdp_routes SEC(".maps");

/* Receive queue -> union filter; 0 lets everything through to the guest */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} af_xdp_filters SEC(".maps");

/* Receive queue -> what happened there, for each CPU */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct counters);
} af_xdp_counters SEC(".maps");

SEC("xdp.frags")
int af_xdp_host(struct xdp_md *ctx)
{
    __u32 queue = ctx->rx_queue_index;
    struct counters *count = bpf_map_lookup_elem(&af_xdp_counters, &queue);
    /* volatile: the compiler must not read twice what changes under way */
    volatile __u64 *filter = bpf_map_lookup_elem(&af_xdp_filters, &queue);
    void *sockets = bpf_map_lookup_elem(&af_xdp_routes, &queue);
    __u64 wanted;

    if (!count || !filter) {
        /* A queue that the device got after the program was attached */
        return XDP_PASS;
    }
    if (!sockets) {
        count->passed++;
        return XDP_PASS;
    }
    wanted = *filter;
    if (wanted && !is_for_guest(ctx, wanted)) {
        count->filtered++;
        return XDP_PASS;
    }
    /* The last argument is what to return if there is no socket. */
    return to_socket(ctx, count, bpf_redirect_map(sockets, queue, XDP_PASS), 1);
}

char _license[] SEC("license") = "GPL";
