// SPDX-License-Identifier: GPL-2.0-only
/*
 * axnic: counters, rings, channels, RSS
 */

#include <linux/log2.h>
#include <net/netdev_queues.h>

#include "axnic.h"

static const char * const counter_names[] = {
#define X(id, name) name,
	AXN_COUNTERS(X)
#undef X
};

static const char * const nic_counter_names[] = {
	[AXN_FAULT_RX]	= "fault_rx_drops",
	[AXN_FAULT_TX]	= "fault_tx_drops",
	[AXN_FILTERED]	= "rx_filtered",
	[AXN_RULE_DROP]	= "rx_rule_drops",
};

static u64 get(struct axn_queue *q, enum axn_counter counter)
{
	return atomic64_read(&q->counters[counter]);
}

static int get_sset_count(struct net_device *dev, int set)
{
	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return AXN_NUM_NIC_COUNTERS + dev->num_rx_queues * AXN_NUM_COUNTERS;
}

static void get_strings(struct net_device *dev, u32 set, u8 *to)
{
	unsigned int i, j;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < AXN_NUM_NIC_COUNTERS; i++)
		ethtool_puts(&to, nic_counter_names[i]);
	for (i = 0; i < dev->num_rx_queues; i++)
		for (j = 0; j < AXN_NUM_COUNTERS; j++)
			ethtool_sprintf(&to, "queue_%u_%s", i,
					counter_names[j]);
}

static void get_ethtool_stats(struct net_device *dev,
			      struct ethtool_stats *stats, u64 *to)
{
	struct axn_nic *nic = netdev_priv(dev);
	unsigned int i, j;

	for (i = 0; i < AXN_NUM_NIC_COUNTERS; i++)
		*to++ = atomic64_read(&nic->counters[i]);
	for (i = 0; i < dev->num_rx_queues; i++)
		for (j = 0; j < AXN_NUM_COUNTERS; j++)
			*to++ = get(&nic->queues[i], j);
}

void axn_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct axn_nic *nic = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < dev->num_rx_queues; i++) {
		struct axn_queue *q = &nic->queues[i];

		stats->rx_packets += get(q, AXN_RX_PACKETS);
		stats->rx_bytes += get(q, AXN_RX_BYTES);
		stats->rx_dropped += get(q, AXN_RX_NO_MEMORY);
		stats->rx_missed_errors += get(q, AXN_RX_NO_BUFFER);
		stats->rx_length_errors += get(q, AXN_RX_TOO_LONG);
		stats->tx_packets += get(q, AXN_TX_PACKETS);
		stats->tx_bytes += get(q, AXN_TX_BYTES);
		stats->tx_dropped += get(q, AXN_TX_NO_MEMORY);
		stats->tx_carrier_errors += get(q, AXN_TX_LOST);
	}
}

static void get_queue_stats_rx(struct net_device *dev, int idx,
			       struct netdev_queue_stats_rx *stats)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_queue *q = &nic->queues[idx];

	stats->packets = get(q, AXN_RX_PACKETS);
	stats->bytes = get(q, AXN_RX_BYTES);
	stats->alloc_fail = get(q, AXN_RX_NO_MEMORY);
	stats->hw_drop_overruns = get(q, AXN_RX_NO_BUFFER);
	stats->hw_drops = stats->hw_drop_overruns + get(q, AXN_RX_TOO_LONG);
}

static void get_queue_stats_tx(struct net_device *dev, int idx,
			       struct netdev_queue_stats_tx *stats)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_queue *q = &nic->queues[idx];

	stats->packets = get(q, AXN_TX_PACKETS);
	stats->bytes = get(q, AXN_TX_BYTES);
	stats->hw_drops = get(q, AXN_TX_LOST);
}

/* Queues that are not in use now, after ethtool -L */
static void get_base_stats(struct net_device *dev,
			   struct netdev_queue_stats_rx *rx,
			   struct netdev_queue_stats_tx *tx)
{
	struct netdev_queue_stats_rx one_rx;
	struct netdev_queue_stats_tx one_tx;
	unsigned int i;

	rx->packets = 0;
	rx->bytes = 0;
	rx->alloc_fail = 0;
	rx->hw_drop_overruns = 0;
	rx->hw_drops = 0;
	tx->packets = 0;
	tx->bytes = 0;
	tx->hw_drops = 0;
	for (i = dev->real_num_rx_queues; i < dev->num_rx_queues; i++) {
		get_queue_stats_rx(dev, i, &one_rx);
		get_queue_stats_tx(dev, i, &one_tx);
		rx->packets += one_rx.packets;
		rx->bytes += one_rx.bytes;
		rx->alloc_fail += one_rx.alloc_fail;
		rx->hw_drop_overruns += one_rx.hw_drop_overruns;
		rx->hw_drops += one_rx.hw_drops;
		tx->packets += one_tx.packets;
		tx->bytes += one_tx.bytes;
		tx->hw_drops += one_tx.hw_drops;
	}
}

const struct netdev_stat_ops axn_stat_ops = {
	.get_queue_stats_rx	= get_queue_stats_rx,
	.get_queue_stats_tx	= get_queue_stats_tx,
	.get_base_stats		= get_base_stats,
};

static void get_ringparam(struct net_device *dev,
			  struct ethtool_ringparam *ring,
			  struct kernel_ethtool_ringparam *kernel_ring,
			  struct netlink_ext_ack *extack)
{
	struct axn_nic *nic = netdev_priv(dev);

	ring->rx_max_pending = AXN_RING_MAX;
	ring->tx_max_pending = AXN_RING_MAX;
	ring->rx_pending = nic->rx_size;
	ring->tx_pending = nic->tx_size;
}

static int set_ringparam(struct net_device *dev,
			 struct ethtool_ringparam *ring,
			 struct kernel_ethtool_ringparam *kernel_ring,
			 struct netlink_ext_ack *extack)
{
	struct axn_nic *nic = netdev_priv(dev);

	if (netif_running(dev))
		axn_nic_stop_queues(nic);
	nic->rx_size = max(AXN_RING_MIN, roundup_pow_of_two(ring->rx_pending));
	nic->tx_size = max(AXN_RING_MIN, roundup_pow_of_two(ring->tx_pending));
	return netif_running(dev) ? axn_nic_start_queues(nic) : 0;
}

static void get_channels(struct net_device *dev,
			 struct ethtool_channels *channels)
{
	channels->max_combined = dev->num_rx_queues;
	channels->combined_count = dev->real_num_rx_queues;
}

static int set_channels(struct net_device *dev,
			struct ethtool_channels *channels)
{
	struct axn_nic *nic = netdev_priv(dev);
	unsigned int num = channels->combined_count;
	int err, err_start = 0;

	if (!num)
		return -EINVAL;
	if (axn_steer_uses(nic, num))
		return -EBUSY;
	if (netif_running(dev))
		axn_nic_stop_queues(nic);
	err = netif_set_real_num_queues(dev, num, num);
	if (!err && !netif_is_rxfh_configured(dev))
		axn_steer_spread(nic, num);
	if (netif_running(dev))
		err_start = axn_nic_start_queues(nic);
	return err ?: err_start;
}

static u32 get_rx_ring_count(struct net_device *dev)
{
	return dev->real_num_rx_queues;
}

static u32 get_rxfh_key_size(struct net_device *dev)
{
	return AXN_KEY_SIZE;
}

static u32 get_rxfh_indir_size(struct net_device *dev)
{
	return AXN_INDIR_SIZE;
}

static int get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	struct axn_nic *nic = netdev_priv(dev);

	rxfh->hfunc = ETH_RSS_HASH_TOP;
	if (rxfh->indir)
		memcpy(rxfh->indir, nic->indir, sizeof(nic->indir));
	if (rxfh->key)
		memcpy(rxfh->key, nic->key, sizeof(nic->key));
	return 0;
}

static int set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		    struct netlink_ext_ack *extack)
{
	struct axn_nic *nic = netdev_priv(dev);
	unsigned int i;

	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE &&
	    rxfh->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	for (i = 0; rxfh->indir && i < AXN_INDIR_SIZE; i++)
		WRITE_ONCE(nic->indir[i], rxfh->indir[i]);
	if (rxfh->key)
		memcpy(nic->key, rxfh->key, sizeof(nic->key));
	return 0;
}

static int get_link_ksettings(struct net_device *dev,
			      struct ethtool_link_ksettings *settings)
{
	settings->base.speed = netif_carrier_ok(dev) ? SPEED_10000 :
						       SPEED_UNKNOWN;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_NONE;
	return 0;
}

const struct ethtool_ops axn_ethtool_ops = {
	.op_needs_rtnl		= ETHTOOL_OP_NEEDS_RTNL_SRINGPARAM |
				  ETHTOOL_OP_NEEDS_RTNL_SCHANNELS |
				  ETHTOOL_OP_NEEDS_RTNL_GLINK,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= get_link_ksettings,
	.get_sset_count		= get_sset_count,
	.get_strings		= get_strings,
	.get_ethtool_stats	= get_ethtool_stats,
	.get_ringparam		= get_ringparam,
	.set_ringparam		= set_ringparam,
	.get_channels		= get_channels,
	.set_channels		= set_channels,
	.get_rx_ring_count	= get_rx_ring_count,
	.get_rxnfc		= axn_steer_get_rxnfc,
	.set_rxnfc		= axn_steer_set_rxnfc,
	.get_rxfh_key_size	= get_rxfh_key_size,
	.get_rxfh_indir_size	= get_rxfh_indir_size,
	.get_rxfh		= get_rxfh,
	.set_rxfh		= set_rxfh,
};
