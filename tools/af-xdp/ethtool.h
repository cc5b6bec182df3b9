/*
 * qemu-af-xdp: a NIC's RSS tables and flow rules, by ethtool's ioctls
 *
 * All functions return 0 or a negative errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_ETHTOOL_H
#define AF_XDP_TOOL_ETHTOOL_H

#include <glib.h>
#include <linux/ethtool.h>

/* ethtool_rings: receive queues that tables and rules may name */
int ethtool_rings(const char *ifname, uint32_t *rings);

/* ethtool_table: the default table (uint32_t), to be unreferenced */
int ethtool_table(const char *ifname, GArray **table);
int ethtool_set_table(const char *ifname, const GArray *table);

/* ethtool_reset_table: to what the driver thinks best */
int ethtool_reset_table(const char *ifname);

/*
 * ethtool_context: the table of another RSS context; -ENOENT or -EINVAL if
 * there is none of this number.
 */
int ethtool_context(const char *ifname, uint32_t id, GArray **table);
int ethtool_new_context(const char *ifname, const GArray *table, uint32_t *id);
int ethtool_delete_context(const char *ifname, uint32_t id);

/* A flow rule, with the RSS context it leads to if FLOW_RSS is in flow_type */
typedef struct Rule {
    struct ethtool_rx_flow_spec flow;
    uint32_t context;
} Rule;

/* ethtool_rules: all rules (Rule), to be unreferenced */
int ethtool_rules(const char *ifname, GArray **rules);

/* ethtool_add_rule: at a free location, which is noted in @rule. */
int ethtool_add_rule(const char *ifname, Rule *rule);
int ethtool_delete_rule(const char *ifname, uint32_t location);

/* ethtool_rule_equal: do both match the same frames and lead the same way? */
bool ethtool_rule_equal(const Rule *left, const Rule *right);

/* ethtool_ntuple: are flow rules switched on? And switch them. */
int ethtool_ntuple(const char *ifname, bool *on);
int ethtool_set_ntuple(const char *ifname, bool on);

#endif /* AF_XDP_TOOL_ETHTOOL_H */
