/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * axnic: a NIC without hardware, to test AF_XDP on
 *
 * What there is:
 *
 *   slot   where a card is put: the other end of its cable, a netdev "wireN"
 *          of its own, and the faults that were asked for. Lives as long as
 *          the module. (slot.c)
 *   nic    the card, a netdev "nicN" whose parent is a platform device; comes
 *          and goes as the device is bound and unbound. (nic.c, ethtool.c)
 *   queue  one receive and one transmit queue and their NAPI. (queue.c)
 *   steer  which queue of the card a frame goes to. (steer.c)
 *
 * A frame that is sent on the wire is written, in the sender's context, to the
 * next buffer that its queue has posted, as DMA would: through the address the
 * DMA mapping gave, with no regard to what the driver does meanwhile. A queue
 * without a posted buffer loses the frame. NAPI finds it afterwards.
 */
#ifndef AXNIC_H
#define AXNIC_H

#include <linux/ethtool.h>
#include <linux/etherdevice.h>
#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <net/xdp.h>

#define AXN_NAME	"axnic"
#define AXN_MAX_NICS	8
#define AXN_MAX_QUEUES	64
#define AXN_MAX_MTU	9000
#define AXN_RULES	64
#define AXN_INDIR_SIZE	128
#define AXN_KEY_SIZE	40
/* Powers of two */
#define AXN_RING_MIN	64
#define AXN_RING_MAX	4096
#define AXN_RING_SIZE	256

struct bpf_prog;
struct page_pool;
struct xsk_buff_pool;

/* What goes over the wire beside the MTU: header and a VLAN tag */
#define AXN_OVERHEAD	(ETH_HLEN + VLAN_HLEN)

/* Counters of a queue, as ethtool -S names them after "queue_N_" */
#define AXN_COUNTERS(X)					\
	X(RX_PACKETS,		"rx_packets")		\
	X(RX_BYTES,		"rx_bytes")		\
	X(RX_ZERO_COPY,		"rx_zero_copy")		\
	X(RX_NO_BUFFER,		"rx_no_buffer")		\
	X(RX_TOO_LONG,		"rx_too_long")		\
	X(RX_NO_MEMORY,		"rx_no_memory")		\
	X(XDP_PASS,		"xdp_pass")		\
	X(XDP_DROP,		"xdp_drop")		\
	X(XDP_TX,		"xdp_tx")		\
	X(XDP_REDIRECT,		"xdp_redirect")		\
	X(XDP_FAILED,		"xdp_failed")		\
	X(TX_PACKETS,		"tx_packets")		\
	X(TX_BYTES,		"tx_bytes")		\
	X(TX_ZERO_COPY,		"tx_zero_copy")		\
	X(TX_XDP_XMIT,		"tx_xdp_xmit")		\
	X(TX_LOST,		"tx_lost")		\
	X(TX_NO_MEMORY,		"tx_no_memory")		\
	X(WAKEUPS,		"wakeups")		\
	X(RELEASES,		"releases")

enum axn_counter {
#define X(id, name) AXN_##id,
	AXN_COUNTERS(X)
#undef X
	AXN_NUM_COUNTERS
};

/* Counters of the card: frames that reached no queue */
enum axn_nic_counter {
	AXN_FAULT_RX,
	AXN_FAULT_TX,
	AXN_FILTERED,
	AXN_RULE_DROP,
	AXN_NUM_NIC_COUNTERS
};

/* struct axn_faults - what goes wrong on demand; written through debugfs */
struct axn_faults {
	bool link;			/* is the cable good? */
	u32 rx_drop_nth;		/* lose each N-th frame, 0: none */
	u32 tx_drop_nth;
	u32 tx_delay_us;		/* until a frame is read and sent */
	u32 tx_completion_delay_us;	/* from there until it is completed */
	u32 release_delay_ms;		/* until a pool's buffers are let go */
	bool release_scribble;		/* fill those then, a last time */
	atomic_t rx_seen;
	atomic_t tx_seen;
};

struct axn_slot {
	struct platform_device *pdev;
	struct net_device *wire;
	struct axn_nic __rcu *nic;	/* NULL while unplugged; under RTNL */
	struct axn_faults faults;
	struct dentry *dir;
	unsigned int id;
	unsigned int num_queues;
};

struct axn_rx_desc {
	/* What the card may see */
	dma_addr_t dma;
	u32 room;
	u32 len;
	/* What the driver keeps beside it */
	union {
		struct page *page;
		struct xdp_buff *xdp;
	};
};

/*
 * Free-running indices; cleaned <= written <= posted <= cleaned + size.
 * The driver posts and cleans, under NAPI or while that is disabled. The card
 * writes under @lock, which keeps senders apart and @enabled true.
 */
struct axn_rx_ring {
	struct axn_rx_desc *desc;
	u32 size;
	u32 posted;
	u32 cleaned;
	spinlock_t lock ____cacheline_aligned_in_smp;
	bool enabled;
	u32 written;
};

struct axn_tx_desc {
	dma_addr_t dma;
	u32 len;
	ktime_t due;			/* to be sent, then: to be completed */
};

/* Frames of a pool, all under NAPI: completed <= sent <= taken */
struct axn_tx_ring {
	struct axn_tx_desc *desc;
	u32 size;
	u32 taken;
	u32 sent;
	u32 completed;
	struct hrtimer timer;
};

struct axn_queue {
	struct axn_nic *nic;
	unsigned int index;
	struct napi_struct napi;
	struct xdp_rxq_info rxq;
	struct xsk_buff_pool *bound;	/* by XDP_SETUP_XSK_POOL */
	struct xsk_buff_pool *pool;	/* in use: bound, with a program */
	struct page_pool *page_pool;	/* in use without a pool */
	struct axn_rx_ring rx;
	struct axn_tx_ring tx;
	atomic64_t counters[AXN_NUM_COUNTERS];
};

struct axn_rule {
	struct rcu_head rcu;
	struct ethtool_rx_flow_spec fs;
};

/* Unicast addresses beside the card's own */
struct axn_addresses {
	struct rcu_head rcu;
	unsigned int num;
	u8 address[][ETH_ALEN];
};

struct axn_nic {
	struct net_device *dev;
	struct axn_slot *slot;
	struct bpf_prog __rcu *prog;
	u32 rx_size;
	u32 tx_size;
	/* Written under the instance lock */
	struct axn_rule __rcu *rules[AXN_RULES];
	struct axn_addresses __rcu *addresses;
	u32 indir[AXN_INDIR_SIZE];
	u8 key[AXN_KEY_SIZE];
	atomic64_t counters[AXN_NUM_NIC_COUNTERS];
	struct axn_queue queues[];
};

static inline void axn_count(struct axn_queue *q, enum axn_counter counter)
{
	atomic64_inc(&q->counters[counter]);
}

/* axn_pages_order() - order of the pages that RX buffers without a pool need */
static inline unsigned int axn_pages_order(const struct axn_nic *nic)
{
	return get_order(XDP_PACKET_HEADROOM + nic->dev->mtu + AXN_OVERHEAD +
			 SKB_DATA_ALIGN(sizeof(struct skb_shared_info)));
}

/* slot.c */

/* axn_slot_update_carrier() - make both ends see it; under RTNL */
void axn_slot_update_carrier(struct axn_slot *slot);
/* axn_fault_drop() - is this the frame to be lost? any context */
bool axn_fault_drop(u32 nth, atomic_t *seen);

/* nic.c */
extern struct platform_driver axn_driver;

/*
 * axn_nic_stop_queues(), axn_nic_start_queues() - around a change; under RTNL
 * and the instance lock. Starting again returns an error if that has failed
 * for one of them, which is without buffers then.
 */
void axn_nic_stop_queues(struct axn_nic *nic);
int axn_nic_start_queues(struct axn_nic *nic);

/* queue.c */
void axn_queue_init(struct axn_queue *q, struct axn_nic *nic,
		    unsigned int index);
/*
 * axn_queue_start(), axn_queue_stop() - under the instance lock, while the card
 * is up. A queue that could not start receives nothing; it may be stopped.
 */
int axn_queue_start(struct axn_queue *q);
void axn_queue_stop(struct axn_queue *q);
/* axn_queue_release_delay() - wait as asked before a pool is let go; sleeps */
void axn_queue_release_delay(struct axn_queue *q);
/* axn_queue_receive() - the card's DMA: BHs off, @skb remains the caller's */
void axn_queue_receive(struct axn_queue *q, struct sk_buff *skb);
/* axn_queue_send() - try to put a frame on the wire: BHs off, consumes @skb */
bool axn_queue_send(struct axn_queue *q, struct sk_buff *skb);
/* axn_queue_send_copy() - the same with a frame in memory */
bool axn_queue_send_copy(struct axn_queue *q, const void *data, u32 len);
/* axn_queue_kick() - have NAPI run soon; process context or softirq */
void axn_queue_kick(struct axn_queue *q);

/* steer.c */

/* axn_steer() - the queue for a frame, NULL to drop it; under RCU */
struct axn_queue *axn_steer(struct axn_nic *nic, const struct sk_buff *skb);
void axn_steer_init(struct axn_nic *nic);
/* axn_steer_uninit() - free it all, when nobody can steer any more */
void axn_steer_uninit(struct axn_nic *nic);
/* axn_steer_spread() - the default indirection table for that many queues */
void axn_steer_spread(struct axn_nic *nic, unsigned int num_queues);
/* axn_steer_set_addresses() - unicast addresses to receive beside its own */
int axn_steer_set_addresses(struct axn_nic *nic,
			    struct netdev_hw_addr_list *list);
/* The ethtool operations of these names, under the instance lock */
int axn_steer_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd,
			u32 *locations);
int axn_steer_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd);
/* axn_steer_uses() - does a rule name queue @from or one after it? */
bool axn_steer_uses(struct axn_nic *nic, unsigned int from);

/* ethtool.c */
extern const struct ethtool_ops axn_ethtool_ops;
extern const struct netdev_stat_ops axn_stat_ops;
void axn_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats);

#endif
