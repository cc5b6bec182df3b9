// SPDX-License-Identifier: GPL-2.0-only
/*
 * axnic: the slots, what is at the other end of their cables, and faults
 */

#include <linux/debugfs.h>
#include <linux/module.h>
#include <net/netdev_lock.h>
#include <net/rtnetlink.h>

#include "axnic.h"

static unsigned int nics = 1;
module_param(nics, uint, 0444);
MODULE_PARM_DESC(nics, "number of cards, each with its wire (1)");

static unsigned int queues = 8;
module_param(queues, uint, 0444);
MODULE_PARM_DESC(queues, "queues of each (8)");

static struct axn_slot *slots[AXN_MAX_NICS];
static struct dentry *debugfs;

bool axn_fault_drop(u32 nth, atomic_t *seen)
{
	return nth && !((u32)atomic_inc_return(seen) % nth);
}

static void set_carrier(struct net_device *dev, bool on)
{
	if (on)
		netif_carrier_on(dev);
	else
		netif_carrier_off(dev);
}

void axn_slot_update_carrier(struct axn_slot *slot)
{
	struct axn_nic *nic = rtnl_dereference(slot->nic);
	bool on = nic && netif_running(nic->dev) &&
		  netif_running(slot->wire) && slot->faults.link;

	set_carrier(slot->wire, on);
	if (nic)
		set_carrier(nic->dev, on);
}

/* The wire */

struct wire {
	struct axn_slot *slot;
};

static int wire_open_or_stop(struct net_device *dev)
{
	struct wire *wire = netdev_priv(dev);

	axn_slot_update_carrier(wire->slot);
	return 0;
}

static netdev_tx_t wire_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct axn_slot *slot = ((struct wire *)netdev_priv(dev))->slot;
	struct axn_faults *faults = &slot->faults;
	struct axn_nic *nic = rcu_dereference_bh(slot->nic);
	struct axn_queue *q;

	if (!nic || !netif_carrier_ok(dev) || eth_skb_pad(skb)) {
		dev_core_stats_tx_dropped_inc(dev);
		/* eth_skb_pad() has freed it. */
		if (!nic || !netif_carrier_ok(dev))
			dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	dev_sw_netstats_tx_add(dev, 1, skb->len);
	if (axn_fault_drop(READ_ONCE(faults->rx_drop_nth), &faults->rx_seen)) {
		atomic64_inc(&nic->counters[AXN_FAULT_RX]);
	} else {
		q = axn_steer(nic, skb);
		if (q)
			axn_queue_receive(q, skb);
	}
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops wire_ops = {
	.ndo_open		= wire_open_or_stop,
	.ndo_stop		= wire_open_or_stop,
	.ndo_start_xmit		= wire_xmit,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};

static int wire_create(struct axn_slot *slot)
{
	u8 address[ETH_ALEN] = { 0x52, 0x54, 0x00, 0xaf, slot->id, 0x02 };
	struct net_device *dev;
	struct wire *wire;
	int err;

	dev = alloc_etherdev(sizeof(*wire));
	if (!dev)
		return -ENOMEM;
	wire = netdev_priv(dev);
	wire->slot = slot;
	snprintf(dev->name, sizeof(dev->name), "wire%u", slot->id);
	eth_hw_addr_set(dev, address);
	dev->netdev_ops = &wire_ops;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_NO_QUEUE;
	dev->max_mtu = AXN_MAX_MTU;
	slot->wire = dev;
	netif_carrier_off(dev);
	err = register_netdev(dev);
	if (err) {
		free_netdev(dev);
		slot->wire = NULL;
	}
	return err;
}

/* Faults */

static int link_get(void *data, u64 *value)
{
	*value = ((struct axn_slot *)data)->faults.link;
	return 0;
}

static int link_set(void *data, u64 value)
{
	struct axn_slot *slot = data;

	rtnl_lock();
	slot->faults.link = value;
	axn_slot_update_carrier(slot);
	rtnl_unlock();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(link_fops, link_get, link_set, "%llu\n");

static void faults_create(struct axn_slot *slot)
{
	struct axn_faults *faults = &slot->faults;
	struct dentry *dir;
	char name[8];

	snprintf(name, sizeof(name), "%u", slot->id);
	dir = debugfs_create_dir(name, debugfs);
	slot->dir = dir;
	debugfs_create_file_unsafe("link", 0600, dir, slot, &link_fops);
	debugfs_create_u32("rx_drop_nth", 0600, dir, &faults->rx_drop_nth);
	debugfs_create_u32("tx_drop_nth", 0600, dir, &faults->tx_drop_nth);
	debugfs_create_u32("tx_delay_us", 0600, dir, &faults->tx_delay_us);
	debugfs_create_u32("tx_completion_delay_us", 0600, dir,
			   &faults->tx_completion_delay_us);
	debugfs_create_u32("release_delay_ms", 0600, dir,
			   &faults->release_delay_ms);
	debugfs_create_bool("release_scribble", 0600, dir,
			    &faults->release_scribble);
}

/* The module */

static void slot_destroy(struct axn_slot *slot)
{
	if (!slot)
		return;
	debugfs_remove(slot->dir);
	platform_device_unregister(slot->pdev);
	if (slot->wire) {
		unregister_netdev(slot->wire);
		free_netdev(slot->wire);
	}
	kfree(slot);
}

static struct axn_slot *slot_create(unsigned int id)
{
	struct axn_slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	int err;

	if (!slot)
		return ERR_PTR(-ENOMEM);
	slot->id = id;
	slot->num_queues = queues;
	slot->faults.link = true;
	err = wire_create(slot);
	if (err)
		goto out;
	faults_create(slot);
	slot->pdev = platform_device_register_data(NULL, AXN_NAME, id, &slot,
						   sizeof(slot));
	if (!IS_ERR(slot->pdev))
		return slot;
	err = PTR_ERR(slot->pdev);
	slot->pdev = NULL;
out:
	slot_destroy(slot);
	return ERR_PTR(err);
}

static void destroy_all(void)
{
	unsigned int i;

	/* Takes the cards out of their slots. */
	platform_driver_unregister(&axn_driver);
	for (i = 0; i < AXN_MAX_NICS; i++)
		slot_destroy(slots[i]);
	debugfs_remove(debugfs);
}

static int __init axn_init(void)
{
	unsigned int i;
	int err;

	if (!nics || nics > AXN_MAX_NICS || !queues ||
	    queues > AXN_MAX_QUEUES) {
		pr_err(AXN_NAME ": nics is 1 to %u, queues 1 to %u\n",
		       AXN_MAX_NICS, AXN_MAX_QUEUES);
		return -EINVAL;
	}
	err = platform_driver_register(&axn_driver);
	if (err)
		return err;
	debugfs = debugfs_create_dir(AXN_NAME, NULL);
	for (i = 0; i < nics; i++) {
		struct axn_slot *slot = slot_create(i);

		if (IS_ERR(slot)) {
			destroy_all();
			return PTR_ERR(slot);
		}
		slots[i] = slot;
	}
	return 0;
}
module_init(axn_init);

static void __exit axn_exit(void)
{
	destroy_all();
}
module_exit(axn_exit);

MODULE_DESCRIPTION("NIC without hardware, to test AF_XDP on");
MODULE_LICENSE("GPL");
