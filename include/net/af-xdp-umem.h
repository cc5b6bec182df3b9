/*
 * AF_XDP: UMEM memory and the accounting of its frames
 *
 * A UMEM is the memory that an AF_XDP socket and the kernel exchange packets
 * in. This room owns the memory, cuts it into frames of one size, and knows
 * at any time what each frame is doing:
 *
 *           take                     take
 *   FREE --------> FILL      FREE --------> TX
 *     ^              |         ^             |
 *     |         RX descriptor  |             | completion
 *     |              v         |             |
 *     +-- put --- RECEIVED     +---- put ----+
 *
 * A frame in FILL or TX belongs to the kernel and may not be touched; a frame
 * in RECEIVED or FREE belongs to us. Every transition is checked, because the
 * alternative to noticing that a frame is returned twice is two packets in
 * one buffer.
 *
 * Two pools, one per direction, keep a flood in one direction from starving
 * the other. Free frames are reused last in, first out: the frame touched
 * last is the one most likely still in the cache.
 *
 * Threads: an AfXdpUmem is not locked; one thread at a time. It shares no
 * cache line with another's (af-xdp-lines.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_UMEM_H
#define NET_AF_XDP_UMEM_H

/*
 * One page: every driver with zero-copy support takes it, and a page is what
 * the kernel's multi-buffer fragments are cut into.
 */
#define AF_XDP_FRAME_SIZE 4096u

/*
 * The kernel keeps this much of a received frame's front for the XDP program
 * (XDP_PACKET_HEADROOM, include/uapi/linux/bpf.h). Frames to be sent have no
 * such reserve.
 */
#define AF_XDP_RX_HEADROOM 256u
#define AF_XDP_RX_ROOM (AF_XDP_FRAME_SIZE - AF_XDP_RX_HEADROOM)

/*
 * An address in a descriptor of the kernel: where the frame was posted, and in
 * the upper 16 bits how far behind that the data is (if_xdp.h). In a UMEM of
 * ours alone the latter is 0, and the former the data's.
 */
#define AF_XDP_ADDR_SHIFT 48
#define AF_XDP_ADDR_MASK ((1ULL << AF_XDP_ADDR_SHIFT) - 1)

static inline uint64_t af_xdp_addr_posted(uint64_t addr)
{
    return addr & AF_XDP_ADDR_MASK;
}

static inline uint64_t af_xdp_addr_data(uint64_t addr)
{
    return (addr & AF_XDP_ADDR_MASK) + (addr >> AF_XDP_ADDR_SHIFT);
}

typedef enum AfXdpFrameState {
    AF_XDP_FRAME_FREE,      /* in its pool */
    AF_XDP_FRAME_FILL,      /* posted for reception: fill ring or kernel */
    AF_XDP_FRAME_RECEIVED,  /* holds a received packet, not yet recycled */
    AF_XDP_FRAME_TX,        /* posted for transmission, not yet completed */
    AF_XDP_FRAME__MAX,
} AfXdpFrameState;

typedef enum AfXdpPool {
    AF_XDP_POOL_RX,
    AF_XDP_POOL_TX,
    AF_XDP_POOL__MAX,
} AfXdpPool;

typedef struct AfXdpUmem AfXdpUmem;

/* Memory of somebody else with room for frames, such as a window's. */
typedef struct AfXdpPlace {
    void *area;             /* what is to be registered */
    uint64_t size;          /* ... in bytes */
    uint64_t base;          /* where in it the frames begin, page aligned */
    /*
     * Bytes left free in front of a received packet, beside the kernel's own.
     * At most AF_XDP_RX_ROOM less 448, what Linux 7.2 wants for an skb.
     */
    uint32_t headroom;
} AfXdpPlace;

/*
 * af_xdp_umem_new: allocate memory for @n_rx + @n_tx frames.
 * @n_rx, @n_tx: number of frames per pool; either may be 0, not both.
 * @errp: set on failure, code ENOMEM or EINVAL.
 *
 * All frames start FREE. The memory is page aligned, zeroed and private.
 * Returns the UMEM, or NULL.
 */
AfXdpUmem *af_xdp_umem_new(uint32_t n_rx, uint32_t n_tx, GError **errp);

/*
 * af_xdp_umem_new_at: put the frames into memory that is there.
 * @place: copied; its memory must outlive the UMEM and hold the frames.
 *
 * Buffers in the rest of the memory are none of the UMEM's business; they may
 * be at any address, so the kernel is to be told to take such
 * (XDP_UMEM_UNALIGNED_CHUNK_FLAG). Never fails.
 */
AfXdpUmem *af_xdp_umem_new_at(const AfXdpPlace *place, uint32_t n_rx,
                              uint32_t n_tx);

/*
 * af_xdp_umem_free: return the memory. @umem may be NULL.
 *
 * The socket it is registered with must be closed before: the kernel would
 * keep the pages, but nobody could see what it writes.
 */
void af_xdp_umem_free(AfXdpUmem *umem);

/* The memory to register: address, and length in bytes. */
void *af_xdp_umem_area(const AfXdpUmem *umem);
uint64_t af_xdp_umem_size(const AfXdpUmem *umem);

/* Whether it is somebody else's, and the headroom that was asked for there. */
bool af_xdp_umem_is_placed(const AfXdpUmem *umem);
uint32_t af_xdp_umem_headroom(const AfXdpUmem *umem);

/* The most bytes of a packet that one buffer receives. */
uint32_t af_xdp_umem_rx_room(const AfXdpUmem *umem);

/* af_xdp_umem_has: is this the address of a byte in one of the frames? */
bool af_xdp_umem_has(const AfXdpUmem *umem, uint64_t addr);

/*
 * af_xdp_umem_take: move up to @n frames of @pool from FREE to FILL (RX pool)
 * or TX (TX pool).
 * @addrs: receives the frames' addresses, as offsets into the UMEM in bytes.
 *
 * Frames of the TX pool are about to be written: those to be taken next are
 * prefetched. Returns how many were taken; fewer than @n when the pool runs
 * out.
 */
uint32_t af_xdp_umem_take(AfXdpUmem *umem, AfXdpPool pool,
                          uint64_t *addrs, uint32_t n);

/*
 * af_xdp_umem_received: the kernel handed over a packet in a frame.
 * @addr: address as in the RX descriptor, anywhere in the frame.
 * @len: bytes of packet data there.
 *
 * Moves the frame from FILL to RECEIVED. Returns a pointer to the data, or
 * NULL when the descriptor does not name @len bytes inside a frame that was
 * posted; nothing has changed then.
 */
void *af_xdp_umem_received(AfXdpUmem *umem, uint64_t addr, uint32_t len);

/*
 * af_xdp_umem_unreceive: undo af_xdp_umem_received(), because the descriptor
 * was put back.
 * @addr: any address inside the frame.
 */
void af_xdp_umem_unreceive(AfXdpUmem *umem, uint64_t addr);

/*
 * af_xdp_umem_put: return frames to their pools.
 * @addrs, @n: any address inside of each. Copy mode clears bit 0 of the
 *             addresses in the completion ring; that is why.
 * @from: the state the frames must be in.
 *
 * Leaves alone what is no frame or not in state @from. Returns how many were
 * returned.
 */
uint32_t af_xdp_umem_put(AfXdpUmem *umem, const uint64_t *addrs, uint32_t n,
                         AfXdpFrameState from);

/*
 * af_xdp_umem_reclaim: take back what a closed socket has lost.
 * @kept: addresses of all FILL frames that are somewhere still, others' ones
 *        among them.
 *
 * Frames in FILL that are not in @kept become FREE. Returns their number.
 */
uint32_t af_xdp_umem_reclaim(AfXdpUmem *umem, const uint64_t *kept,
                             uint32_t n);

/* Number of frames in @state; all states together are all frames. */
uint32_t af_xdp_umem_count(const AfXdpUmem *umem, AfXdpFrameState state);

/* Number of FREE frames of @pool. */
uint32_t af_xdp_umem_available(const AfXdpUmem *umem, AfXdpPool pool);

#endif /* NET_AF_XDP_UMEM_H */
