/*
 * af-xdp qtest: the wire
 *
 * A veth pair in a network namespace of the test's own. QEMU holds one end
 * (AXT_DEV) with AF_XDP sockets; the test holds the other (AXT_PEER) with
 * packet sockets and plays everybody else on that network. The namespaces
 * belong to the test process alone and vanish with it and its children,
 * however it ends.
 *
 * With $AXT_WIRE=given both ends are there already, in this network namespace
 * and with these names, and stay: real NICs, or those of a VM. $AXT_NETDEV has
 * more options of the netdev then, from the comma on, and $AXT_EVENTS is
 * a program that can take AXT_DEV away and more, see axt_wire_event().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_WIRE_H
#define TESTS_QTEST_AF_XDP_WIRE_H

#define AXT_DEV  "axt-dev"
#define AXT_PEER "axt-peer"
#define AXT_BPFFS "/sys/fs/bpf"

#define AXT_MAX_QUEUES 4
#define AXT_FRAME_MAX (128 * 1024)

/* Shortest and longest frame (no FCS) that an MTU of 1500 allows. */
#define AXT_LEN_MIN 60u
#define AXT_LEN_MAX 1514u

typedef struct AxtWire {
    unsigned queues;
    unsigned n_fds;             /* queues of the peer that are told apart */
    unsigned mtu;
    int ifindex;                /* of AXT_DEV */
    int fd[AXT_MAX_QUEUES];     /* receives what the device's queue i sent */
    uint64_t peer_dropped;      /* veth drops before the first packet */
    bool given;                 /* not ours to remove */
} AxtWire;

/*
 * axt_namespace_enter: move the process to namespaces of its own (network,
 * and mounts with a bpf filesystem at AXT_BPFFS). Call before any thread
 * exists.
 *
 * Returns NULL, or why this cannot work here; the caller frees it.
 */
char *axt_namespace_enter(void);

/* axt_wire_given: is there a wire that is not ours to make? */
bool axt_wire_given(void);

/* axt_ip: run ip(8) with these arguments; it must succeed. */
void axt_ip(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/*
 * axt_wire_new: make the veth pair and open the peer's sockets.
 * @queues: rx and tx queues of both ends.
 * @mtu: of both ends, in bytes.
 */
AxtWire *axt_wire_new(unsigned queues, unsigned mtu);

/* axt_wire_free: remove both, and check that no program stayed behind. */
void axt_wire_free(AxtWire *w);

/*
 * axt_wire_gone: AXT_DEV is deleted. Frames can be sent and received again
 * after axt_wire_back() only.
 */
void axt_wire_gone(AxtWire *w);

/* axt_wire_back: another one with the same name and as many queues. */
void axt_wire_back(AxtWire *w);

/* axt_wire_can_go: can a given wire do this? */
bool axt_wire_can_go(void);

/*
 * axt_wire_event: let something happen to a given wire.
 * @what: "gone", "back": AXT_DEV is deleted, and made again;
 *        "away", "home": it is moved to another network namespace and back;
 *        "nic-down", "nic-up": the NIC behind it;
 *        "nic-gone", "nic-back": that is taken out, and put back with all.
 */
void axt_wire_event(const char *what);

/* axt_wire_again: set both ends up again, and open the peer once more. */
void axt_wire_again(AxtWire *w);

/* axt_wire_options: more options of the netdev, from the comma on. */
const char *axt_wire_options(void);

/*
 * axt_wire_settle: wait until a given wire carries frames. NICs lose their link
 * for seconds when an XDP program comes.
 */
void axt_wire_settle(AxtWire *w);

/* axt_wire_send: put one frame on the wire towards the guest. */
void axt_wire_send(AxtWire *w, const void *frame, size_t len);

/*
 * axt_wire_recv: take one frame of ours that the guest sent.
 * @queue: which of the device's queues it must have left by.
 * @timeout_ms: how long to wait for it.
 *
 * Frames with another EtherType than the test's are ignored.
 * Returns its length, or -1 when none came.
 */
ssize_t axt_wire_recv(AxtWire *w, unsigned queue, void *buf, size_t size,
                      int timeout_ms);

/* axt_wire_sniff: a packet socket that sees what @dev's host stack gets. */
int axt_wire_sniff(const char *dev);

/* axt_sniff_recv: like axt_wire_recv, from a socket of axt_wire_sniff(). */
ssize_t axt_sniff_recv(int fd, void *buf, size_t size, int timeout_ms);

/*
 * axt_wire_assert_no_drops: the veth and the test's own sockets lost nothing,
 * so whatever is missing was lost by QEMU.
 */
void axt_wire_assert_no_drops(AxtWire *w);

/* axt_prog_id: id of the XDP program on @ifindex, 0 for none. */
uint32_t axt_prog_id(int ifindex);

/*
 * Frames. Each carries its own number, flow and length, and bytes that follow
 * from them, so that a receiver can tell a frame that was lost, doubled,
 * reordered, cut, padded or mixed up with another. They look like UDP over
 * IPv4 from port 1000 + flow, so that a multi-queue device spreads the flows.
 */
void axt_frame_fill(uint8_t *frame, size_t len, uint32_t seq, unsigned flow);

/* axt_frame_dst: set the destination address, default is broadcast. */
void axt_frame_dst(uint8_t *frame, const uint8_t *mac);

/*
 * axt_frame_check: the frame must be one of ours and unharmed.
 * @len: how long it arrived.
 * @flow: set to its flow if not NULL.
 *
 * Returns its number.
 */
uint32_t axt_frame_check(const uint8_t *frame, size_t len, unsigned *flow);

/* axt_frame_is_ours: does the EtherType and port say that we made it? */
bool axt_frame_is_ours(const uint8_t *frame, size_t len);

#endif /* TESTS_QTEST_AF_XDP_WIRE_H */
