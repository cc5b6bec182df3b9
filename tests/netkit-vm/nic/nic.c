// SPDX-License-Identifier: GPL-2.0-only
/*
 * axnic: the card, as a network device
 */

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/module.h>
#include <net/netdev_lock.h>
#include <net/netdev_queues.h>
#include <net/xdp_sock_drv.h>

#include "axnic.h"

static void stop_queues(struct axn_nic *nic, unsigned int num)
{
	while (num--)
		axn_queue_stop(&nic->queues[num]);
}

void axn_nic_stop_queues(struct axn_nic *nic)
{
	netif_tx_disable(nic->dev);
	stop_queues(nic, nic->dev->real_num_rx_queues);
}

int axn_nic_start_queues(struct axn_nic *nic)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nic->dev->real_num_rx_queues; i++)
		err = axn_queue_start(&nic->queues[i]) ?: err;
	netif_tx_start_all_queues(nic->dev);
	return err;
}

static int nic_open(struct net_device *dev)
{
	struct axn_nic *nic = netdev_priv(dev);
	int err = axn_nic_start_queues(nic);

	if (err) {
		axn_nic_stop_queues(nic);
		return err;
	}
	axn_slot_update_carrier(nic->slot);
	return 0;
}

static int nic_stop(struct net_device *dev)
{
	struct axn_nic *nic = netdev_priv(dev);

	axn_slot_update_carrier(nic->slot);
	axn_nic_stop_queues(nic);
	return 0;
}

static netdev_tx_t nic_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct axn_nic *nic = netdev_priv(dev);

	axn_queue_send(&nic->queues[skb_get_queue_mapping(skb)], skb);
	return NETDEV_TX_OK;
}

static int nic_xdp_xmit(struct net_device *dev, int num,
			struct xdp_frame **frames, u32 flags)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_queue *q;
	int i;

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	if (!netif_running(dev) || !netif_carrier_ok(dev))
		return -ENETDOWN;
	q = &nic->queues[smp_processor_id() % dev->real_num_tx_queues];
	for (i = 0; i < num; i++) {
		if (axn_queue_send_copy(q, frames[i]->data, frames[i]->len))
			axn_count(q, AXN_TX_XDP_XMIT);
		xdp_return_frame_rx_napi(frames[i]);
	}
	return num;
}

static int nic_xsk_wakeup(struct net_device *dev, u32 queue, u32 flags)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_queue *q;

	if (!netif_running(dev))
		return -ENETDOWN;
	if (queue >= dev->real_num_rx_queues)
		return -EINVAL;
	q = &nic->queues[queue];
	if (!READ_ONCE(q->pool))
		return -EINVAL;
	axn_count(q, AXN_WAKEUPS);
	axn_queue_kick(q);
	return 0;
}

static void set_prog(struct axn_nic *nic, struct bpf_prog *prog)
{
	bool restart = netif_running(nic->dev) &&
		       !prog != !rcu_access_pointer(nic->prog);
	struct bpf_prog *old;
	unsigned int i;

	old = rcu_replace_pointer(nic->prog, prog, true);
	if (old)
		bpf_prog_put(old);
	for (i = 0; restart && i < nic->dev->real_num_rx_queues; i++) {
		struct axn_queue *q = &nic->queues[i];

		if (q->bound) {
			axn_queue_stop(q);
			/* The program is there; a queue that fails says so. */
			axn_queue_start(q);
		}
	}
}

static int bind_pool(struct axn_queue *q, struct xsk_buff_pool *pool)
{
	struct net_device *dev = q->nic->dev;
	bool restart = netif_running(dev) &&
		       rcu_access_pointer(q->nic->prog);
	int err;

	if (q->bound)
		return -EBUSY;
	/* The core has compared it with a leased queue's MTU, not with ours. */
	if (xsk_pool_get_rx_frame_size(pool) < dev->mtu + AXN_OVERHEAD)
		return -EINVAL;
	err = xsk_pool_dma_map(pool, dev->dev.parent, 0);
	if (err)
		return err;
	if (restart)
		axn_queue_stop(q);
	q->bound = pool;
	if (!restart)
		return 0;
	err = axn_queue_start(q);
	if (err) {
		q->bound = NULL;
		xsk_pool_dma_unmap(pool, 0);
		axn_queue_start(q);
	}
	return err;
}

static int unbind_pool(struct axn_queue *q)
{
	bool restart = q->pool;

	if (!q->bound)
		return -EINVAL;
	if (restart) {
		/* All goes on meanwhile: the card writes to the buffers. */
		axn_queue_release_delay(q);
		axn_queue_stop(q);
	}
	xsk_pool_dma_unmap(q->bound, 0);
	q->bound = NULL;
	/* An error is logged; the pool is free in any case. */
	if (restart)
		axn_queue_start(q);
	return 0;
}

static int nic_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_queue *q;

	switch (bpf->command) {
	case XDP_SETUP_PROG:
		set_prog(nic, bpf->prog);
		return 0;
	case XDP_SETUP_XSK_POOL:
		if (bpf->xsk.queue_id >= dev->real_num_rx_queues)
			return -EINVAL;
		q = &nic->queues[bpf->xsk.queue_id];
		return bpf->xsk.pool ? bind_pool(q, bpf->xsk.pool) :
				       unbind_pool(q);
	default:
		return -EINVAL;
	}
}

static int nic_change_mtu(struct net_device *dev, int mtu)
{
	struct axn_nic *nic = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < dev->real_num_rx_queues; i++) {
		struct xsk_buff_pool *pool = nic->queues[i].bound;

		if (pool &&
		    xsk_pool_get_rx_frame_size(pool) < mtu + AXN_OVERHEAD)
			return -EINVAL;
	}
	if (netif_running(dev))
		axn_nic_stop_queues(nic);
	WRITE_ONCE(dev->mtu, mtu);
	return netif_running(dev) ? axn_nic_start_queues(nic) : 0;
}

static int nic_set_rx_mode(struct net_device *dev,
			   struct netdev_hw_addr_list *uc,
			   struct netdev_hw_addr_list *mc)
{
	return axn_steer_set_addresses(netdev_priv(dev), uc);
}

static const struct net_device_ops nic_ops = {
	.ndo_open		= nic_open,
	.ndo_stop		= nic_stop,
	.ndo_start_xmit		= nic_xmit,
	.ndo_change_mtu		= nic_change_mtu,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_rx_mode_async	= nic_set_rx_mode,
	.ndo_get_stats64	= axn_get_stats64,
	.ndo_bpf		= nic_bpf,
	.ndo_xdp_xmit		= nic_xdp_xmit,
	.ndo_xsk_wakeup		= nic_xsk_wakeup,
};

static struct device *nic_dma_dev(struct net_device *dev, int queue)
{
	return dev->dev.parent;
}

/*
 * What a lease needs. No memory provider can be bound: that takes a split of
 * headers and data, which the card cannot do.
 */
static const struct netdev_queue_mgmt_ops nic_queue_mgmt_ops = {
	.ndo_queue_get_dma_dev	= nic_dma_dev,
};

static void setup(struct net_device *dev, struct axn_slot *slot)
{
	u8 address[ETH_ALEN] = { 0x52, 0x54, 0x00, 0xaf, slot->id, 0x01 };

	snprintf(dev->name, sizeof(dev->name), "nic%u", slot->id);
	eth_hw_addr_set(dev, address);
	dev->netdev_ops = &nic_ops;
	dev->ethtool_ops = &axn_ethtool_ops;
	dev->stat_ops = &axn_stat_ops;
	dev->queue_mgmt_ops = &nic_queue_mgmt_ops;
	dev->priv_flags |= IFF_UNICAST_FLT | IFF_LIVE_ADDR_CHANGE;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->features = NETIF_F_HIGHDMA | NETIF_F_NTUPLE;
	dev->hw_features = NETIF_F_NTUPLE;
	dev->max_mtu = AXN_MAX_MTU;
	dev->xdp_features = NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT |
			    NETDEV_XDP_ACT_NDO_XMIT |
			    NETDEV_XDP_ACT_XSK_ZEROCOPY;
	dev->xdp_zc_max_segs = 1;
	netif_carrier_off(dev);
}

static int nic_probe(struct platform_device *pdev)
{
	struct axn_slot **platdata = dev_get_platdata(&pdev->dev);
	struct axn_slot *slot = *platdata;
	struct net_device *dev;
	struct axn_nic *nic;
	unsigned int i;
	int err;

	err = dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	dev = alloc_etherdev_mqs(struct_size(nic, queues, slot->num_queues),
				 slot->num_queues, slot->num_queues);
	if (!dev)
		return -ENOMEM;
	SET_NETDEV_DEV(dev, &pdev->dev);
	nic = netdev_priv(dev);
	nic->dev = dev;
	nic->slot = slot;
	nic->rx_size = AXN_RING_SIZE;
	nic->tx_size = AXN_RING_SIZE;
	setup(dev, slot);
	axn_steer_init(nic);
	for (i = 0; i < slot->num_queues; i++)
		axn_queue_init(&nic->queues[i], nic, i);

	rtnl_lock();
	err = register_netdevice(dev);
	if (!err) {
		platform_set_drvdata(pdev, nic);
		rcu_assign_pointer(slot->nic, nic);
	}
	rtnl_unlock();
	if (err)
		free_netdev(dev);
	return err;
}

static void nic_remove(struct platform_device *pdev)
{
	struct axn_nic *nic = platform_get_drvdata(pdev);
	struct axn_slot *slot = nic->slot;

	rtnl_lock();
	RCU_INIT_POINTER(slot->nic, NULL);
	axn_slot_update_carrier(slot);
	unregister_netdevice(nic->dev);
	rtnl_unlock();
	/* unregister_netdevice() has waited for who was sending to us. */
	axn_steer_uninit(nic);
	free_netdev(nic->dev);
}

struct platform_driver axn_driver = {
	.driver.name	= AXN_NAME,
	.probe		= nic_probe,
	.remove		= nic_remove,
};
