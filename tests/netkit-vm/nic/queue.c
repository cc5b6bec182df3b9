// SPDX-License-Identifier: GPL-2.0-only
/*
 * axnic: a queue and its buffers, which are pages or those of an AF_XDP pool
 */

#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/filter.h>
#include <linux/slab.h>
#include <net/netdev_lock.h>
#include <net/page_pool/helpers.h>
#include <net/xdp_sock_drv.h>

#include "axnic.h"

/* Frames of a pool to take at once */
#define TX_BUDGET	64
#define SCRIBBLE	0xa5

static inline struct axn_rx_desc *rx_desc(struct axn_rx_ring *rx, u32 i)
{
	return &rx->desc[i & (rx->size - 1)];
}

static inline struct axn_tx_desc *tx_desc(struct axn_tx_ring *tx, u32 i)
{
	return &tx->desc[i & (tx->size - 1)];
}

/*
 * card_memory() - what the card sees at a DMA address
 *
 * There is no IOMMU for a platform device: the address is the memory's, or one
 * in the bounce buffers that the DMA API's sync functions copy.
 */
static void *card_memory(struct axn_queue *q, dma_addr_t dma)
{
	return phys_to_virt(dma_to_phys(q->nic->dev->dev.parent, dma));
}

/* Receiving */

void axn_queue_receive(struct axn_queue *q, struct sk_buff *skb)
{
	struct axn_rx_ring *rx = &q->rx;
	struct axn_rx_desc *desc;

	spin_lock(&rx->lock);
	/* smp_load_acquire() pairs with the store in refill(). */
	if (!rx->enabled || rx->written == smp_load_acquire(&rx->posted)) {
		axn_count(q, AXN_RX_NO_BUFFER);
		goto out;
	}
	desc = rx_desc(rx, rx->written);
	if (skb->len > desc->room) {
		axn_count(q, AXN_RX_TOO_LONG);
		goto out;
	}
	skb_copy_bits(skb, 0, card_memory(q, desc->dma), skb->len);
	desc->len = skb->len;
	/* Pairs with the load in rx_poll(). */
	smp_store_release(&rx->written, rx->written + 1);
	napi_schedule(&q->napi);
out:
	spin_unlock(&rx->lock);
}

static void free_buffer(struct axn_queue *q, struct xdp_buff *xdp)
{
	if (q->pool)
		xsk_buff_free(xdp);
	else
		page_pool_put_full_page(q->page_pool,
					virt_to_head_page(xdp->data), false);
}

static void pass_up(struct axn_queue *q, struct xdp_buff *xdp)
{
	u32 meta = xdp->data - xdp->data_meta;
	u32 len = xdp->data_end - xdp->data_meta;
	struct sk_buff *skb;

	skb = napi_alloc_skb(&q->napi, len);
	if (!skb) {
		axn_count(q, AXN_RX_NO_MEMORY);
		return;
	}
	skb_put_data(skb, xdp->data_meta, len);
	if (meta) {
		skb_metadata_set(skb, meta);
		__skb_pull(skb, meta);
	}
	skb_record_rx_queue(skb, q->index);
	skb->protocol = eth_type_trans(skb, q->nic->dev);
	napi_gro_receive(&q->napi, skb);
}

/* Returns true if there is something to flush. */
static bool receive(struct axn_queue *q, struct bpf_prog *prog,
		    struct xdp_buff *xdp)
{
	struct net_device *dev = q->nic->dev;
	u32 act = prog ? bpf_prog_run_xdp(prog, xdp) : XDP_PASS;

	switch (act) {
	case XDP_PASS:
		axn_count(q, AXN_XDP_PASS);
		pass_up(q, xdp);
		break;
	case XDP_TX:
		axn_count(q, AXN_XDP_TX);
		axn_queue_send_copy(q, xdp->data, xdp->data_end - xdp->data);
		break;
	case XDP_REDIRECT:
		if (!xdp_do_redirect(dev, xdp, prog)) {
			axn_count(q, AXN_XDP_REDIRECT);
			return true;
		}
		trace_xdp_exception(dev, prog, act);
		axn_count(q, AXN_XDP_FAILED);
		break;
	case XDP_DROP:
		axn_count(q, AXN_XDP_DROP);
		break;
	default:
		bpf_warn_invalid_xdp_action(dev, prog, act);
		fallthrough;
	case XDP_ABORTED:
		trace_xdp_exception(dev, prog, act);
		axn_count(q, AXN_XDP_FAILED);
		break;
	}
	free_buffer(q, xdp);
	return false;
}

static u32 page_room(const struct axn_queue *q)
{
	return (PAGE_SIZE << axn_pages_order(q->nic)) - XDP_PACKET_HEADROOM -
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/* Returns true if all buffers are posted. */
static bool refill(struct axn_queue *q)
{
	struct axn_rx_ring *rx = &q->rx;
	u32 posted = rx->posted, limit = q->nic->dev->mtu + AXN_OVERHEAD;

	while (posted - rx->cleaned < rx->size) {
		struct axn_rx_desc *desc = rx_desc(rx, posted);

		if (q->pool) {
			desc->xdp = xsk_buff_alloc(q->pool);
			if (!desc->xdp)
				break;
			desc->dma = xsk_buff_xdp_get_dma(desc->xdp);
			desc->room = xsk_pool_get_rx_frame_size(q->pool);
		} else {
			desc->page = page_pool_dev_alloc_pages(q->page_pool);
			if (!desc->page)
				break;
			desc->dma = page_pool_get_dma_addr(desc->page) +
				    XDP_PACKET_HEADROOM;
			desc->room = page_room(q);
		}
		desc->room = min(desc->room, limit);
		posted++;
	}
	/* Pairs with the load in axn_queue_receive(). */
	smp_store_release(&rx->posted, posted);
	return posted - rx->cleaned == rx->size;
}

/* Returns true if NAPI must look for buffers again by itself. */
static bool refill_and_flag(struct axn_queue *q)
{
	struct xsk_buff_pool *pool = q->pool;
	bool full = refill(q);

	if (!pool || !xsk_uses_need_wakeup(pool))
		return !full;
	if (!full) {
		xsk_set_rx_need_wakeup(pool);
		/*
		 * smp_mb(): who fills the ring now sees the flag, or we what
		 * was filled.
		 */
		smp_mb();
		full = refill(q);
	}
	if (full)
		xsk_clear_rx_need_wakeup(pool);
	return false;
}

static int rx_poll(struct axn_queue *q, int budget)
{
	struct axn_rx_ring *rx = &q->rx;
	struct bpf_prog *prog;
	bool flush = false;
	int done = 0;

	rcu_read_lock();
	prog = rcu_dereference(q->nic->prog);
	while (done < budget &&
	       /* Pairs with the store in axn_queue_receive(). */
	       rx->cleaned != smp_load_acquire(&rx->written)) {
		struct axn_rx_desc *desc = rx_desc(rx, rx->cleaned);
		struct xdp_buff on_page, *xdp;

		axn_count(q, AXN_RX_PACKETS);
		atomic64_add(desc->len, &q->counters[AXN_RX_BYTES]);
		if (q->pool) {
			xdp = desc->xdp;
			xsk_buff_set_size(xdp, desc->len);
			xsk_buff_dma_sync_for_cpu(xdp);
			axn_count(q, AXN_RX_ZERO_COPY);
		} else {
			xdp = &on_page;
			page_pool_dma_sync_for_cpu(q->page_pool, desc->page,
						   XDP_PACKET_HEADROOM,
						   desc->len);
			xdp_init_buff(xdp, PAGE_SIZE <<
				      axn_pages_order(q->nic), &q->rxq);
			xdp_prepare_buff(xdp, page_address(desc->page),
					 XDP_PACKET_HEADROOM, desc->len, true);
		}
		rx->cleaned++;
		flush |= receive(q, prog, xdp);
		done++;
	}
	if (flush)
		xdp_do_flush();
	rcu_read_unlock();
	return refill_and_flag(q) ? budget : done;
}

/* Sending */

bool axn_queue_send(struct axn_queue *q, struct sk_buff *skb)
{
	struct axn_nic *nic = q->nic;
	struct axn_faults *faults = &nic->slot->faults;
	struct net_device *wire = nic->slot->wire;
	u32 len;

	if (axn_fault_drop(READ_ONCE(faults->tx_drop_nth), &faults->tx_seen)) {
		atomic64_inc(&nic->counters[AXN_FAULT_TX]);
		dev_kfree_skb_any(skb);
		return false;
	}
	if (!netif_carrier_ok(wire)) {
		axn_count(q, AXN_TX_LOST);
		dev_kfree_skb_any(skb);
		return false;
	}
	/* As a MAC does; frees the frame if there is no memory. */
	if (eth_skb_pad(skb)) {
		axn_count(q, AXN_TX_NO_MEMORY);
		return false;
	}
	len = skb->len;
	if (dev_forward_skb(wire, skb) != NET_RX_SUCCESS) {
		axn_count(q, AXN_TX_LOST);
		return false;
	}
	dev_sw_netstats_rx_add(wire, len);
	axn_count(q, AXN_TX_PACKETS);
	atomic64_add(len, &q->counters[AXN_TX_BYTES]);
	return true;
}

bool axn_queue_send_copy(struct axn_queue *q, const void *data, u32 len)
{
	struct sk_buff *skb;

	skb = netdev_alloc_skb(q->nic->dev, len);
	if (!skb) {
		axn_count(q, AXN_TX_NO_MEMORY);
		return false;
	}
	skb_put_data(skb, data, len);
	return axn_queue_send(q, skb);
}

static void take_frames(struct axn_queue *q, ktime_t now)
{
	struct axn_tx_ring *tx = &q->tx;
	u32 room = tx->size - (tx->taken - tx->completed);
	u32 num, i, delay = READ_ONCE(q->nic->slot->faults.tx_delay_us);

	num = xsk_tx_peek_release_desc_batch(q->pool, min(room, TX_BUDGET));
	for (i = 0; i < num; i++) {
		struct xdp_desc *from = &q->pool->tx_descs[i];
		struct axn_tx_desc *desc = tx_desc(tx, tx->taken++);

		desc->dma = xsk_buff_raw_get_dma(q->pool, from->addr);
		desc->len = from->len;
		desc->due = ktime_add_us(now, delay);
		xsk_buff_raw_dma_sync_for_device(q->pool, desc->dma, desc->len);
	}
}

static void send_frames(struct axn_queue *q, ktime_t now)
{
	struct axn_faults *faults = &q->nic->slot->faults;
	u32 delay = READ_ONCE(faults->tx_completion_delay_us);
	struct axn_tx_ring *tx = &q->tx;

	while (tx->sent != tx->taken) {
		struct axn_tx_desc *desc = tx_desc(tx, tx->sent);

		if (ktime_after(desc->due, now))
			break;
		if (axn_queue_send_copy(q, card_memory(q, desc->dma),
					desc->len))
			axn_count(q, AXN_TX_ZERO_COPY);
		desc->due = ktime_add_us(now, delay);
		tx->sent++;
	}
}

/* Returns how many. */
static u32 complete_frames(struct axn_queue *q, ktime_t now)
{
	struct axn_tx_ring *tx = &q->tx;
	u32 done = 0;

	while (tx->completed + done != tx->sent &&
	       !ktime_after(tx_desc(tx, tx->completed + done)->due, now))
		done++;
	if (done) {
		tx->completed += done;
		xsk_tx_completed(q->pool, done);
	}
	return done;
}

static enum hrtimer_restart tx_timer(struct hrtimer *timer)
{
	struct axn_queue *q = container_of(timer, struct axn_queue, tx.timer);

	napi_schedule(&q->napi);
	return HRTIMER_NORESTART;
}

/* When the first frame is to be sent or completed; there is one. */
static ktime_t next_due(struct axn_tx_ring *tx)
{
	ktime_t due = tx_desc(tx, tx->completed)->due;

	if (tx->sent != tx->taken)
		due = min(due, tx_desc(tx, tx->sent)->due);
	return due;
}

/* Returns true if there may be more to send now. */
static bool tx_poll(struct axn_queue *q)
{
	bool flags = xsk_uses_need_wakeup(q->pool);
	struct axn_tx_ring *tx = &q->tx;
	ktime_t now = ktime_get();

	/* With frames on their way NAPI runs again in any case. */
	if (flags && tx->taken == tx->completed) {
		xsk_set_tx_need_wakeup(q->pool);
		/* Who puts frames there now sees the flag, or we the frames */
		smp_mb();
	}
	take_frames(q, now);
	if (flags && tx->taken != tx->completed)
		xsk_clear_tx_need_wakeup(q->pool);
	send_frames(q, now);
	/* There is room again, and there may have been more than that. */
	if (complete_frames(q, now))
		return true;
	if (tx->completed == tx->taken)
		return false;
	hrtimer_start(&tx->timer, next_due(tx), HRTIMER_MODE_ABS_SOFT);
	return false;
}

static int poll(struct napi_struct *napi, int budget)
{
	struct axn_queue *q = container_of(napi, struct axn_queue, napi);
	bool more = false;
	int done = 0;

	if (budget)
		done = rx_poll(q, budget);
	if (q->pool)
		more = tx_poll(q);
	if (more)
		return budget;
	if (done < budget)
		napi_complete_done(napi, done);
	return done;
}

void axn_queue_kick(struct axn_queue *q)
{
	if (napi_if_scheduled_mark_missed(&q->napi))
		return;
	local_bh_disable();
	napi_schedule(&q->napi);
	local_bh_enable();
}

/* Start and stop */

static int register_rxq(struct axn_queue *q)
{
	int err;

	err = xdp_rxq_info_reg(&q->rxq, q->nic->dev, q->index,
			       q->napi.napi_id);
	if (err)
		return err;
	if (q->pool) {
		err = xdp_rxq_info_reg_mem_model(&q->rxq,
						 MEM_TYPE_XSK_BUFF_POOL, NULL);
		xsk_pool_set_rxq_info(q->pool, &q->rxq);
	} else {
		err = xdp_rxq_info_reg_mem_model(&q->rxq, MEM_TYPE_PAGE_POOL,
						 q->page_pool);
	}
	if (err)
		xdp_rxq_info_unreg(&q->rxq);
	return err;
}

static int create_page_pool(struct axn_queue *q)
{
	struct page_pool_params params = {
		.order = axn_pages_order(q->nic),
		.pool_size = q->nic->rx_size,
		.nid = NUMA_NO_NODE,
		.dev = q->nic->dev->dev.parent,
		.napi = &q->napi,
		.netdev = q->nic->dev,
		.queue_idx = q->index,
		.dma_dir = DMA_BIDIRECTIONAL,
		.offset = XDP_PACKET_HEADROOM,
		.max_len = page_room(q),
		.flags = PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV,
	};

	q->page_pool = page_pool_create(&params);
	if (IS_ERR(q->page_pool)) {
		int err = PTR_ERR(q->page_pool);

		q->page_pool = NULL;
		return err;
	}
	return 0;
}

static int alloc_rings(struct axn_queue *q)
{
	q->rx.size = q->nic->rx_size;
	q->tx.size = q->nic->tx_size;
	q->rx.desc = kvcalloc(q->rx.size, sizeof(*q->rx.desc), GFP_KERNEL);
	q->tx.desc = kvcalloc(q->tx.size, sizeof(*q->tx.desc), GFP_KERNEL);
	return q->rx.desc && q->tx.desc ? 0 : -ENOMEM;
}

static void free_rings(struct axn_queue *q)
{
	kvfree(q->rx.desc);
	kvfree(q->tx.desc);
	q->rx.desc = NULL;
	q->tx.desc = NULL;
}

/* The card lets go of the buffers: from here on it writes to none. */
static void disable_card(struct axn_queue *q)
{
	spin_lock_bh(&q->rx.lock);
	q->rx.enabled = false;
	spin_unlock_bh(&q->rx.lock);
}

static void scribble(struct axn_queue *q)
{
	u32 i;

	for (i = q->rx.written; i != q->rx.posted; i++)
		memset(card_memory(q, rx_desc(&q->rx, i)->dma), SCRIBBLE,
		       rx_desc(&q->rx, i)->room);
}

static void free_buffers(struct axn_queue *q)
{
	struct axn_rx_ring *rx = &q->rx;

	for (; rx->cleaned != rx->posted; rx->cleaned++) {
		struct axn_rx_desc *desc = rx_desc(rx, rx->cleaned);

		if (q->pool)
			xsk_buff_free(desc->xdp);
		else
			page_pool_put_full_page(q->page_pool, desc->page,
						false);
	}
}

void axn_queue_release_delay(struct axn_queue *q)
{
	u32 delay = READ_ONCE(q->nic->slot->faults.release_delay_ms);

	axn_count(q, AXN_RELEASES);
	if (delay)
		msleep(delay);
}

int axn_queue_start(struct axn_queue *q)
{
	struct net_device *dev = q->nic->dev;
	int err;

	/* As other drivers: buffers of a pool only with a program for them */
	q->pool = rcu_access_pointer(q->nic->prog) ? q->bound : NULL;
	err = alloc_rings(q);
	if (!err && !q->pool)
		err = create_page_pool(q);
	if (!err)
		err = register_rxq(q);
	if (err) {
		netdev_err(dev, "queue %u cannot start: %d\n", q->index, err);
		page_pool_destroy(q->page_pool);
		q->page_pool = NULL;
		q->pool = NULL;
		free_rings(q);
		return err;
	}
	q->rx.posted = 0;
	q->rx.written = 0;
	q->rx.cleaned = 0;
	q->tx.taken = 0;
	q->tx.sent = 0;
	q->tx.completed = 0;

	napi_enable_locked(&q->napi);
	netif_queue_set_napi(dev, q->index, NETDEV_QUEUE_TYPE_RX, &q->napi);
	netif_queue_set_napi(dev, q->index, NETDEV_QUEUE_TYPE_TX, &q->napi);
	spin_lock_bh(&q->rx.lock);
	q->rx.enabled = true;
	spin_unlock_bh(&q->rx.lock);
	/* It posts the first buffers. */
	axn_queue_kick(q);
	return 0;
}

void axn_queue_stop(struct axn_queue *q)
{
	struct net_device *dev = q->nic->dev;

	/* Starting it has failed */
	if (!q->rx.desc)
		return;
	disable_card(q);
	netif_queue_set_napi(dev, q->index, NETDEV_QUEUE_TYPE_RX, NULL);
	netif_queue_set_napi(dev, q->index, NETDEV_QUEUE_TYPE_TX, NULL);
	napi_disable_locked(&q->napi);
	hrtimer_cancel(&q->tx.timer);
	if (q->pool) {
		if (READ_ONCE(q->nic->slot->faults.release_scribble))
			scribble(q);
		if (q->tx.taken != q->tx.completed)
			xsk_tx_completed(q->pool,
					 q->tx.taken - q->tx.completed);
	}
	free_buffers(q);
	xdp_rxq_info_unreg(&q->rxq);
	page_pool_destroy(q->page_pool);
	q->page_pool = NULL;
	WRITE_ONCE(q->pool, NULL);
	free_rings(q);
}

void axn_queue_init(struct axn_queue *q, struct axn_nic *nic,
		    unsigned int index)
{
	q->nic = nic;
	q->index = index;
	spin_lock_init(&q->rx.lock);
	hrtimer_setup(&q->tx.timer, tx_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_SOFT);
	netif_napi_add_config(nic->dev, &q->napi, poll, index);
}
