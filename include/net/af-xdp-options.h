/*
 * AF_XDP: the netdev's options
 *
 * Checks what the user wrote and resolves defaults and aliases, so that the
 * rest of the code never asks again which spelling or which combination was
 * used. Nothing here looks at the host: a device that does not exist passes.
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_OPTIONS_H
#define NET_AF_XDP_OPTIONS_H

#include <glib.h>
#include <net/if.h>

/* As many as QEMU's net layer takes (MAX_QUEUE_NUM in net/net.h). */
#define AF_XDP_MAX_QUEUES 1024

/* The kernel keeps an skb's queue in 16 bits. */
#define AF_XDP_MAX_QUEUE_ID 65535

/* How our XDP program is attached. */
typedef enum AfXdpMode {
    AF_XDP_MODE_AUTO,       /* native, and skb if that is refused */
    AF_XDP_MODE_NATIVE,     /* in the driver, before an skb exists */
    AF_XDP_MODE_SKB,        /* generic, works on any device */
} AfXdpMode;

/* Who moves the packets of a virtio-net device. */
typedef enum AfXdpVhostMode {
    AF_XDP_VHOST_AUTO,      /* threads where possible, else the main loop */
    AF_XDP_VHOST_ON,        /* threads, or nothing */
    AF_XDP_VHOST_OFF,       /* the main loop, as for any other NIC */
} AfXdpVhostMode;

/*
 * Guest zero-copy: is the guest's own memory the UMEM? Not to be mixed up with
 * driver zero-copy, which @force_copy is about.
 */
typedef enum AfXdpZeroCopyMode {
    AF_XDP_ZERO_COPY_AUTO,  /* where possible and not too expensive */
    AF_XDP_ZERO_COPY_ON,    /* that, or nothing */
    AF_XDP_ZERO_COPY_OFF,   /* QEMU copies each packet */
} AfXdpZeroCopyMode;

/*
 * Options as given. A number or switch counts only if its has_ flag is set,
 * a string only if it is not NULL; the rest may be left zeroed.
 */
typedef struct AfXdpOptionsIn {
    const char *ifname;
    AfXdpMode mode;
    int64_t queues;
    int64_t queue_start;
    int64_t start_queue;            /* upstream's spelling of queue_start */
    const char *sock_fds;           /* names or numbers, ':' between them */
    const char *map_path;
    int64_t map_start_index;
    bool force_copy;
    bool inhibit;
    bool mac_filter;
    AfXdpVhostMode vhost;
    const char *iothread;           /* ids, ':' between them */
    int64_t poll_max_ns;
    int64_t poll_grow;
    int64_t poll_shrink;
    AfXdpZeroCopyMode zero_copy;
    uint64_t zero_copy_limit;

    bool has_mode;
    bool has_queues;
    bool has_queue_start;
    bool has_start_queue;
    bool has_map_start_index;
    bool has_force_copy;
    bool has_inhibit;
    bool has_mac_filter;
    bool has_vhost;
    bool has_poll_max_ns;
    bool has_poll_grow;
    bool has_poll_shrink;
    bool has_zero_copy;
    bool has_zero_copy_limit;
} AfXdpOptionsIn;

/* Options as they are to be used. */
typedef struct AfXdpOptions {
    char ifname[IF_NAMESIZE];
    AfXdpMode mode;                 /* without meaning if @inhibit */
    uint32_t queues;                /* 1..AF_XDP_MAX_QUEUES */
    uint32_t queue_start;           /* first queue of the device to use */
    bool force_copy;                /* do not try driver zero-copy */
    bool mac_filter;                /* only frames to the NIC's own address */
    bool inhibit;                   /* the XDP program is somebody else's */
    char **sock_fds;                /* @queues names + NULL, or NULL */
    char *map_path;                 /* pinned XSKMAP, or NULL */
    uint32_t map_start_index;       /* its entry for the first queue */
    AfXdpVhostMode vhost;
    char **iothreads;               /* 1..@queues ids + NULL, or NULL */
    int64_t poll_max_ns;            /* of the netdev's own threads; ... */
    int64_t poll_grow;
    int64_t poll_shrink;            /* ... each -1 for the default */
    AfXdpZeroCopyMode zero_copy;    /* not ON if it cannot work */
    /* Bytes of kernel memory that it may cost in all; 0: not given */
    uint64_t zero_copy_limit;
} AfXdpOptions;

/*
 * af_xdp_options_check: check @in, fill in @out.
 * @out: to be emptied with af_xdp_options_clear(), also after a failure.
 * @errp: set on failure, code EINVAL; names the options as they were spelled
 *        and says what to write instead.
 *
 * @inhibit goes with exactly one of @sock_fds and @map_path, and neither goes
 * without it. As upstream does, a @mode beside @inhibit is accepted: there is
 * no program of ours to attach. @mac_filter is not, for the filter is in that
 * program, and who asks for it must not believe that it is there.
 *
 * @iothread and the poll options are about the threads that move packets, so
 * none of them goes with @vhost off; existing threads have poll options of
 * their own.
 *
 * Guest zero-copy is done by these threads on sockets that are closed and made
 * again: @zero_copy on goes neither with @vhost off nor with @sock_fds. With
 * auto, which is the default, both pass and mean that packets are copied.
 * A @zero_copy_limit that nothing would look at is refused.
 *
 * Returns false on failure.
 */
bool af_xdp_options_check(const AfXdpOptionsIn *in, AfXdpOptions *out,
                          GError **errp);

/* af_xdp_options_clear: free what @opts holds and zero it, not itself. */
void af_xdp_options_clear(AfXdpOptions *opts);

#endif /* NET_AF_XDP_OPTIONS_H */
