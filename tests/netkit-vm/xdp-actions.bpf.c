// SPDX-License-Identifier: GPL-2.0-only
/*
 * XDP programs that do the same with each frame, to test a NIC's driver with.
 * scripts/vm-nic compiles them.
 */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
    return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md *ctx)
{
    return XDP_DROP;
}

SEC("xdp")
int reflect(struct xdp_md *ctx)
{
    return XDP_TX;
}

/* Out through the driver's ndo_xdp_xmit() */
SEC("xdp")
int redirect(struct xdp_md *ctx)
{
    return bpf_redirect(ctx->ingress_ifindex, 0);
}

SEC("xdp")
int fault(struct xdp_md *ctx)
{
    return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
