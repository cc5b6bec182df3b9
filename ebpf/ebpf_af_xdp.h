/*
 * AF_XDP: the XDP program that feeds the sockets, and its map
 *
 * A socket sees packets only when an XDP program on the device redirects them
 * to it through an XSKMAP. An EbpfAfXdp is that map, wherever it comes from:
 *
 *   - our own program (af_xdp_redirect.bpf.c), attached to the device;
 *   - our own program as one of several in libxdp's dispatcher, if the device
 *     already runs one;
 *   - a map that somebody else has pinned and feeds with his own program.
 *
 * The rest of the code does not have to know which of them it is.
 *
 * What is left behind by a process that is killed:
 *   - own link: nothing, the kernel detaches the program with the last file
 *     descriptor. No BPF file system is needed;
 *   - pinned map: nothing of ours, the kernel takes closed sockets out;
 *   - dispatcher: libxdp pins our program in the BPF file system and it stays.
 *     It passes everything on then, as its map is empty. The next
 *     ebpf_af_xdp_attach() to that device recognises and removes it: each
 *     instance notes the id of a map that exists only as long as its process.
 *
 * Every function here must be called by one thread at a time. While one runs,
 * the message callbacks of libbpf and libxdp, which belong to the process, are
 * ours: what they say about our call goes into the error instead of to stderr,
 * messages from other threads go to the callback that was set before.
 * On Linux before 5.11, where BPF memory counts as locked memory, libbpf lifts
 * RLIMIT_MEMLOCK of the process.
 *
 * Errors are as described in net/af-xdp-error.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_EBPF_AF_XDP_H
#define QEMU_EBPF_AF_XDP_H

/* How the program is run */
typedef enum EbpfAfXdpMode {
    EBPF_AF_XDP_MODE_AUTO,      /* native if the driver can, else skb */
    EBPF_AF_XDP_MODE_NATIVE,    /* in the driver */
    EBPF_AF_XDP_MODE_SKB,       /* "generic": on socket buffers, any device */
} EbpfAfXdpMode;

/* Where the map comes from */
typedef enum EbpfAfXdpKind {
    EBPF_AF_XDP_OWN_LINK,
    EBPF_AF_XDP_DISPATCHER,
    EBPF_AF_XDP_PINNED_MAP,
} EbpfAfXdpKind;

typedef struct EbpfAfXdpConfig {
    const char *ifname;     /* for messages, and to find ifindex if that is 0 */
    int ifindex;            /* in the network namespace of the thread */
    uint32_t dev_queues;    /* receive queues of the device */
    uint32_t queue_start;   /* the device's queue that is our queue 0 */
    uint32_t queues;        /* how many we may bind */
    EbpfAfXdpMode mode;
    bool mac_filter;        /* redirect only what ebpf_af_xdp_set_mac() says */
} EbpfAfXdpConfig;

/* Frames seen on one queue since the program was attached */
typedef struct EbpfAfXdpCounters {
    uint64_t redirected;    /* given to the socket, which may still drop them */
    uint64_t passed;        /* to the host: the queue had no socket */
    uint64_t filtered;      /* to the host: not for the configured address */
    uint64_t dropped;       /* metadata could not be taken off it, see below */
} EbpfAfXdpCounters;

typedef struct EbpfAfXdp EbpfAfXdp;

/**
 * ebpf_af_xdp_attach: load our program and attach it to a device
 * @cfg: what to attach to and how; nothing of it is kept but copies
 * @errp: set on failure; EBUSY if another program is there
 *
 * The program passes everything to the host until sockets are added. A program
 * that is there already is never replaced: libxdp's dispatcher is joined (in
 * the mode in which it runs), anything else is an error that names it.
 *
 * What our program redirects has no metadata in front of it, which the kernel
 * would copy to the bytes before the frame in the UMEM. In the dispatcher of
 * libxdp before 1.5.5, newer kernels do not let it take metadata off; frames
 * that have some are then dropped. The owner of a pinned map has to see to
 * this himself.
 *
 * Returns: the program, to be released with ebpf_af_xdp_detach(), or NULL; a
 * failure leaves nothing on the device.
 */
EbpfAfXdp *ebpf_af_xdp_attach(const EbpfAfXdpConfig *cfg, GError **errp);

/**
 * ebpf_af_xdp_use_map: use an XSKMAP that somebody else has pinned
 * @path: where it is pinned, in a BPF file system
 * @start_index: position in the map of our queue 0
 * @n_queues: number of positions we need
 * @errp: set on failure
 *
 * Returns: an object to be released with ebpf_af_xdp_detach(), or NULL
 */
EbpfAfXdp *ebpf_af_xdp_use_map(const char *path, uint32_t start_index,
                               uint32_t n_queues, GError **errp);

/**
 * ebpf_af_xdp_set_socket: direct a queue's packets to a socket
 * @queue: our queue, from 0; position queue_start or start_index + @queue of
 *         the map
 * @xsk_fd: an AF_XDP socket; not kept, the map holds the socket by itself
 * @errp: set on failure; EEXIST if the position holds another socket, which is
 *        left alone
 *
 * The kernel takes a socket out of all maps when it is released, so that
 * nothing has to be undone after a failure.
 */
bool ebpf_af_xdp_set_socket(EbpfAfXdp *prog, uint32_t queue, int xsk_fd,
                            GError **errp);

/**
 * ebpf_af_xdp_replace_socket: the same, while another socket of ours is there
 *
 * A packet goes to one of the two; none goes to neither.
 */
bool ebpf_af_xdp_replace_socket(EbpfAfXdp *prog, uint32_t queue, int xsk_fd,
                                GError **errp);

/**
 * ebpf_af_xdp_clear_socket: direct a queue's packets to the host again
 * @queue: our queue, from 0; nothing happens if it was not set
 *
 * To be called before the socket is closed: afterwards the position in a
 * pinned map may be somebody else's.
 */
void ebpf_af_xdp_clear_socket(EbpfAfXdp *prog, uint32_t queue);

/**
 * ebpf_af_xdp_set_mac: tell the filter the guest's address
 * @mac: 6 bytes
 * @errp: set on failure
 *
 * Takes effect at once, also between two packets. Until the first call the
 * filter lets only broadcast and multicast frames through to the guest.
 * Nothing happens, with success, if the filter is off or the map is not ours.
 */
bool ebpf_af_xdp_set_mac(EbpfAfXdp *prog, const uint8_t mac[6], GError **errp);

/**
 * ebpf_af_xdp_read_counters: sum up a queue's counters over all CPUs
 * @queue: our queue, from 0
 * @counters: filled in; all zero on failure
 *
 * Returns: false if there are none (pinned map) or they cannot be read
 */
bool ebpf_af_xdp_read_counters(EbpfAfXdp *prog, uint32_t queue,
                               EbpfAfXdpCounters *counters);

/** ebpf_af_xdp_kind: where the map comes from */
EbpfAfXdpKind ebpf_af_xdp_kind(const EbpfAfXdp *prog);

/**
 * ebpf_af_xdp_mode: how the program runs
 *
 * Returns: NATIVE or SKB; AUTO for a pinned map, where it is not known
 */
EbpfAfXdpMode ebpf_af_xdp_mode(const EbpfAfXdp *prog);

/** ebpf_af_xdp_mode_name: "native", "skb" or "auto" */
const char *ebpf_af_xdp_mode_name(EbpfAfXdpMode mode);

/**
 * ebpf_af_xdp_fallback_reason: why AUTO did not end in native mode
 *
 * Returns: a sentence without full stop, owned by @prog; NULL if it did or if
 * skb mode was asked for
 */
const char *ebpf_af_xdp_fallback_reason(const EbpfAfXdp *prog);

/**
 * ebpf_af_xdp_multi_buffer: does the program take multi-buffer frames?
 *
 * Returns: false on Linux before 5.18 and in a dispatcher with a program that
 * does not take them. Always true for a pinned map, where it is not known.
 */
bool ebpf_af_xdp_multi_buffer(const EbpfAfXdp *prog);

/** ebpf_af_xdp_prog_id: the kernel's id of our program; 0 for a pinned map */
uint32_t ebpf_af_xdp_prog_id(const EbpfAfXdp *prog);

/**
 * ebpf_af_xdp_prog_fd: file descriptor of our program, for test runs
 *
 * Returns: owned by @prog; -1 for a pinned map
 */
int ebpf_af_xdp_prog_fd(const EbpfAfXdp *prog);

/**
 * ebpf_af_xdp_detach: take our program off the device and free the object
 * @prog: may be NULL
 * @errp: set if a dispatcher could not be left; may be NULL
 *
 * A pinned map is left as it is: its entries go with our sockets. The object
 * is gone in any case.
 */
bool ebpf_af_xdp_detach(EbpfAfXdp *prog, GError **errp);

#endif /* QEMU_EBPF_AF_XDP_H */
