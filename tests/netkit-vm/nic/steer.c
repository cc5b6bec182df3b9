// SPDX-License-Identifier: GPL-2.0-only
/*
 * axnic: which queue a frame goes to
 *
 * The first rule that matches decides (ethtool -N), in the order of their
 * locations. Then the card's addresses: frames for others are dropped, but not
 * in promiscuous mode. Then the Toeplitz hash of addresses and ports, by the
 * indirection table (ethtool -X); what is no IP has the hash 0.
 */

#include <linux/slab.h>
#include <net/flow_dissector.h>
#include <net/netdev_lock.h>

#include "axnic.h"

static bool same(const void *a, const void *b, const void *mask, size_t len)
{
	const u8 *x = a, *y = b, *m = mask;
	size_t i;

	for (i = 0; i < len; i++)
		if ((x[i] ^ y[i]) & m[i])
			return false;
	return true;
}

/* The members that are used are fields of the same type: no padding. */
#define SAME(value, spec, mask)						\
	same(&(value), &(spec), &(mask), sizeof(value))

static bool match_ether(const struct ethtool_rx_flow_spec *fs,
			const struct ethhdr *eth)
{
	return SAME(eth->h_dest, fs->h_u.ether_spec.h_dest,
		    fs->m_u.ether_spec.h_dest) &&
	       SAME(eth->h_source, fs->h_u.ether_spec.h_source,
		    fs->m_u.ether_spec.h_source) &&
	       SAME(eth->h_proto, fs->h_u.ether_spec.h_proto,
		    fs->m_u.ether_spec.h_proto);
}

static bool match_ip4(const struct ethtool_rx_flow_spec *fs,
		      const struct flow_keys *keys)
{
	const struct ethtool_usrip4_spec *h = &fs->h_u.usr_ip4_spec;
	const struct ethtool_usrip4_spec *m = &fs->m_u.usr_ip4_spec;

	return SAME(keys->addrs.v4addrs.src, h->ip4src, m->ip4src) &&
	       SAME(keys->addrs.v4addrs.dst, h->ip4dst, m->ip4dst) &&
	       SAME(keys->basic.ip_proto, h->proto, m->proto);
}

static bool match_ports(const struct ethtool_rx_flow_spec *fs,
			const struct flow_keys *keys, u8 proto)
{
	const struct ethtool_tcpip4_spec *h = &fs->h_u.tcp_ip4_spec;
	const struct ethtool_tcpip4_spec *m = &fs->m_u.tcp_ip4_spec;

	return keys->basic.ip_proto == proto &&
	       SAME(keys->addrs.v4addrs.src, h->ip4src, m->ip4src) &&
	       SAME(keys->addrs.v4addrs.dst, h->ip4dst, m->ip4dst) &&
	       SAME(keys->ports.src, h->psrc, m->psrc) &&
	       SAME(keys->ports.dst, h->pdst, m->pdst);
}

static bool match(const struct ethtool_rx_flow_spec *fs,
		  const struct ethhdr *eth, const struct flow_keys *keys)
{
	bool ip4 = keys->control.addr_type == FLOW_DISSECTOR_KEY_IPV4_ADDRS;

	if ((fs->flow_type & FLOW_MAC_EXT) &&
	    !SAME(eth->h_dest, fs->h_ext.h_dest, fs->m_ext.h_dest))
		return false;
	switch (fs->flow_type & ~FLOW_MAC_EXT) {
	case ETHER_FLOW:
		return match_ether(fs, eth);
	case IP_USER_FLOW:
		return ip4 && match_ip4(fs, keys);
	case TCP_V4_FLOW:
		return ip4 && match_ports(fs, keys, IPPROTO_TCP);
	case UDP_V4_FLOW:
		return ip4 && match_ports(fs, keys, IPPROTO_UDP);
	default:
		return false;
	}
}

/* The hash of Microsoft's RSS over @len bytes, at most 36 */
static u32 toeplitz(const u8 *key, const u8 *data, unsigned int len)
{
	u64 window = get_unaligned_be64(key);
	unsigned int i, bit;
	u32 hash = 0;

	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			if (data[i] & (0x80 >> bit))
				hash ^= window >> 32;
			window <<= 1;
		}
		if (i + 8 < AXN_KEY_SIZE)
			window |= key[i + 8];
	}
	return hash;
}

static u32 rss_hash(const u8 *key, const struct flow_keys *keys)
{
	unsigned int len = 0;
	u8 data[36];

	switch (keys->control.addr_type) {
	case FLOW_DISSECTOR_KEY_IPV4_ADDRS:
		memcpy(data, &keys->addrs.v4addrs.src, 4);
		memcpy(data + 4, &keys->addrs.v4addrs.dst, 4);
		len = 8;
		break;
	case FLOW_DISSECTOR_KEY_IPV6_ADDRS:
		memcpy(data, &keys->addrs.v6addrs.src, 16);
		memcpy(data + 16, &keys->addrs.v6addrs.dst, 16);
		len = 32;
		break;
	default:
		return 0;
	}
	if (keys->basic.ip_proto == IPPROTO_TCP ||
	    keys->basic.ip_proto == IPPROTO_UDP) {
		memcpy(data + len, &keys->ports.src, 2);
		memcpy(data + len + 2, &keys->ports.dst, 2);
		len += 4;
	}
	return toeplitz(key, data, len);
}

static bool is_for_us(struct axn_nic *nic, const struct ethhdr *eth)
{
	struct axn_addresses *more;
	unsigned int i;

	if ((nic->dev->flags & IFF_PROMISC) ||
	    is_multicast_ether_addr(eth->h_dest) ||
	    ether_addr_equal(eth->h_dest, nic->dev->dev_addr))
		return true;
	more = rcu_dereference_bh(nic->addresses);
	for (i = 0; more && i < more->num; i++)
		if (ether_addr_equal(eth->h_dest, more->address[i]))
			return true;
	return false;
}

struct axn_queue *axn_steer(struct axn_nic *nic, const struct sk_buff *skb)
{
	const struct ethhdr *eth = (const void *)skb->data;
	unsigned int i, queue, num = READ_ONCE(nic->dev->real_num_rx_queues);
	struct flow_keys keys = {};

	if (skb_headlen(skb) < ETH_HLEN)
		return NULL;
	__skb_flow_dissect(NULL, skb, &flow_keys_dissector, &keys,
			   skb->data, eth->h_proto, ETH_HLEN,
			   skb_headlen(skb), 0);
	for (i = 0; i < AXN_RULES; i++) {
		struct axn_rule *rule = rcu_dereference_bh(nic->rules[i]);

		if (!rule || !match(&rule->fs, eth, &keys))
			continue;
		if (rule->fs.ring_cookie < num)
			return &nic->queues[rule->fs.ring_cookie];
		atomic64_inc(&nic->counters[AXN_RULE_DROP]);
		return NULL;
	}
	if (!is_for_us(nic, eth)) {
		atomic64_inc(&nic->counters[AXN_FILTERED]);
		return NULL;
	}
	queue = READ_ONCE(nic->indir[rss_hash(nic->key, &keys) %
				     AXN_INDIR_SIZE]);
	return &nic->queues[queue < num ? queue : 0];
}

int axn_steer_set_addresses(struct axn_nic *nic,
			    struct netdev_hw_addr_list *list)
{
	struct axn_addresses *old, *new = NULL;
	struct netdev_hw_addr *ha;
	unsigned int num = netdev_hw_addr_list_count(list);

	if (num) {
		new = kzalloc(struct_size(new, address, num), GFP_KERNEL);
		if (!new)
			return -ENOMEM;
		netdev_hw_addr_list_for_each(ha, list)
			ether_addr_copy(new->address[new->num++], ha->addr);
	}
	old = rcu_replace_pointer(nic->addresses, new, true);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/* Rules; the core holds the instance lock. */

static bool is_supported(const struct ethtool_rx_flow_spec *fs)
{
	const struct ethtool_tcpip4_spec *tcp = &fs->m_u.tcp_ip4_spec;
	const struct ethtool_usrip4_spec *ip = &fs->m_u.usr_ip4_spec;

	switch (fs->flow_type & ~FLOW_MAC_EXT) {
	case ETHER_FLOW:
		return true;
	case IP_USER_FLOW:
		return !ip->tos && !ip->l4_4_bytes;
	case TCP_V4_FLOW:
	case UDP_V4_FLOW:
		return !tcp->tos;
	default:
		return false;
	}
}

static struct axn_rule *rule_at(struct axn_nic *nic, u32 location)
{
	if (location >= AXN_RULES)
		return NULL;
	return rcu_dereference_protected(nic->rules[location], true);
}

static void set_rule(struct axn_nic *nic, u32 location, struct axn_rule *rule)
{
	struct axn_rule *old = rule_at(nic, location);

	rcu_assign_pointer(nic->rules[location], rule);
	if (old)
		kfree_rcu(old, rcu);
}

static int add_rule(struct axn_nic *nic, struct ethtool_rx_flow_spec *fs)
{
	struct axn_rule *rule;
	u32 i;

	if (!is_supported(fs))
		return -EOPNOTSUPP;
	if (fs->ring_cookie != RX_CLS_FLOW_DISC &&
	    fs->ring_cookie >= nic->dev->real_num_rx_queues)
		return -EINVAL;
	if (fs->location == RX_CLS_LOC_ANY || fs->location == RX_CLS_LOC_LAST) {
		for (i = AXN_RULES; i && rule_at(nic, i - 1); i--)
			;
		if (!i)
			return -ENOSPC;
		fs->location = i - 1;
	} else if (fs->location == RX_CLS_LOC_FIRST) {
		for (i = 0; i < AXN_RULES && rule_at(nic, i); i++)
			;
		if (i == AXN_RULES)
			return -ENOSPC;
		fs->location = i;
	} else if (fs->location >= AXN_RULES) {
		return -EINVAL;
	}
	rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	rule->fs = *fs;
	set_rule(nic, fs->location, rule);
	return 0;
}

int axn_steer_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd)
{
	struct axn_nic *nic = netdev_priv(dev);

	switch (cmd->cmd) {
	case ETHTOOL_SRXCLSRLINS:
		if (!(dev->features & NETIF_F_NTUPLE))
			return -EOPNOTSUPP;
		return add_rule(nic, &cmd->fs);
	case ETHTOOL_SRXCLSRLDEL:
		if (!rule_at(nic, cmd->fs.location))
			return -ENOENT;
		set_rule(nic, cmd->fs.location, NULL);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int axn_steer_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *cmd,
			u32 *locations)
{
	struct axn_nic *nic = netdev_priv(dev);
	struct axn_rule *rule;
	u32 i, num = 0;

	switch (cmd->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
		for (i = 0; i < AXN_RULES; i++)
			num += !!rule_at(nic, i);
		cmd->rule_cnt = num;
		cmd->data = AXN_RULES | RX_CLS_LOC_SPECIAL;
		return 0;
	case ETHTOOL_GRXCLSRULE:
		rule = rule_at(nic, cmd->fs.location);
		if (!rule)
			return -ENOENT;
		cmd->fs = rule->fs;
		return 0;
	case ETHTOOL_GRXCLSRLALL:
		for (i = 0; i < AXN_RULES; i++) {
			if (!rule_at(nic, i))
				continue;
			if (num == cmd->rule_cnt)
				return -EMSGSIZE;
			locations[num++] = i;
		}
		cmd->rule_cnt = num;
		cmd->data = AXN_RULES;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

bool axn_steer_uses(struct axn_nic *nic, unsigned int from)
{
	u32 i;

	for (i = 0; i < AXN_RULES; i++) {
		struct axn_rule *rule = rule_at(nic, i);

		if (rule && rule->fs.ring_cookie != RX_CLS_FLOW_DISC &&
		    rule->fs.ring_cookie >= from)
			return true;
	}
	return false;
}

void axn_steer_spread(struct axn_nic *nic, unsigned int num_queues)
{
	unsigned int i;

	for (i = 0; i < AXN_INDIR_SIZE; i++)
		WRITE_ONCE(nic->indir[i],
			   ethtool_rxfh_indir_default(i, num_queues));
}

void axn_steer_init(struct axn_nic *nic)
{
	netdev_rss_key_fill(nic->key, AXN_KEY_SIZE);
	axn_steer_spread(nic, nic->dev->real_num_rx_queues);
}

void axn_steer_uninit(struct axn_nic *nic)
{
	u32 i;

	for (i = 0; i < AXN_RULES; i++)
		set_rule(nic, i, NULL);
	kfree(rcu_replace_pointer(nic->addresses, NULL, true));
}
