/*
 * qemu-af-xdp: a NIC's RSS tables and flow rules, by ethtool's ioctls
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include "ethtool.h"

static int eth_ioctl(const char *ifname, void *command)
{
    struct ifreq ifr = { .ifr_data = command };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int ret;

    if (fd < 0) {
        return -errno;
    }
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    ret = ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
    close(fd);
    return ret;
}

int ethtool_rings(const char *ifname, uint32_t *rings)
{
    struct ethtool_rxnfc command = { .cmd = ETHTOOL_GRXRINGS };
    int ret = eth_ioctl(ifname, &command);

    *rings = command.data;
    return ret;
}

int ethtool_table(const char *ifname, GArray **table)
{
    g_autofree struct ethtool_rxfh_indir *command =
        g_malloc0(sizeof(*command));
    uint32_t size;
    int ret;

    command->cmd = ETHTOOL_GRXFHINDIR;
    ret = eth_ioctl(ifname, command);
    if (ret) {
        return ret;
    }
    size = command->size;
    if (!size) {
        return -EOPNOTSUPP;
    }
    command = g_realloc(command, sizeof(*command) + size * sizeof(uint32_t));
    command->cmd = ETHTOOL_GRXFHINDIR;
    command->size = size;
    ret = eth_ioctl(ifname, command);
    if (ret == 0) {
        *table = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        g_array_append_vals(*table, command->ring_index, size);
    }
    return ret;
}

int ethtool_set_table(const char *ifname, const GArray *table)
{
    g_autofree struct ethtool_rxfh_indir *command =
        g_malloc0(sizeof(*command) + table->len * sizeof(uint32_t));

    command->cmd = ETHTOOL_SRXFHINDIR;
    command->size = table->len;
    memcpy(command->ring_index, table->data, table->len * sizeof(uint32_t));
    return eth_ioctl(ifname, command);
}

int ethtool_reset_table(const char *ifname)
{
    struct ethtool_rxfh_indir command = { .cmd = ETHTOOL_SRXFHINDIR };

    return eth_ioctl(ifname, &command);
}

int ethtool_context(const char *ifname, uint32_t id, GArray **table)
{
    g_autofree struct ethtool_rxfh *command = g_malloc0(sizeof(*command));
    uint32_t size, key;
    int ret;

    command->cmd = ETHTOOL_GRSSH;
    command->rss_context = id;
    ret = eth_ioctl(ifname, command);
    if (ret) {
        return ret;
    }
    size = command->indir_size;
    key = command->key_size;
    command = g_realloc(command, sizeof(*command) +
                        size * sizeof(uint32_t) + key);
    memset(command, 0, sizeof(*command));
    command->cmd = ETHTOOL_GRSSH;
    command->rss_context = id;
    command->indir_size = size;
    command->key_size = key;
    ret = eth_ioctl(ifname, command);
    if (ret == 0) {
        *table = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        g_array_append_vals(*table, command->rss_config, size);
    }
    return ret;
}

int ethtool_new_context(const char *ifname, const GArray *table, uint32_t *id)
{
    g_autofree struct ethtool_rxfh *command =
        g_malloc0(sizeof(*command) + table->len * sizeof(uint32_t));
    int ret;

    command->cmd = ETHTOOL_SRSSH;
    command->rss_context = ETH_RXFH_CONTEXT_ALLOC;
    command->hfunc = 0;     /* as it is */
    command->indir_size = table->len;
    memcpy(command->rss_config, table->data, table->len * sizeof(uint32_t));
    ret = eth_ioctl(ifname, command);
    *id = command->rss_context;
    return ret;
}

int ethtool_delete_context(const char *ifname, uint32_t id)
{
    struct ethtool_rxfh command = {
        .cmd = ETHTOOL_SRSSH,
        .rss_context = id,
    };

    return eth_ioctl(ifname, &command);
}

static int rule_count(const char *ifname, struct ethtool_rxnfc *count)
{
    memset(count, 0, sizeof(*count));
    count->cmd = ETHTOOL_GRXCLSRLCNT;
    return eth_ioctl(ifname, count);
}

/* The locations that are taken; @size receives how many there are in all. */
static int rule_locations(const char *ifname, GArray **locations,
                          uint32_t *size)
{
    g_autofree struct ethtool_rxnfc *command = NULL;
    struct ethtool_rxnfc count;
    int ret = rule_count(ifname, &count);

    if (ret) {
        return ret;
    }
    command = g_malloc0(sizeof(*command) + count.rule_cnt * sizeof(uint32_t));
    command->cmd = ETHTOOL_GRXCLSRLALL;
    command->rule_cnt = count.rule_cnt;
    ret = eth_ioctl(ifname, command);
    if (ret == 0) {
        *locations = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        g_array_append_vals(*locations, command->rule_locs,
                            MIN(command->rule_cnt, count.rule_cnt));
        *size = command->data;
    }
    return ret;
}

int ethtool_rules(const char *ifname, GArray **rules)
{
    g_autoptr(GArray) locations = NULL;
    uint32_t size;
    int ret = rule_locations(ifname, &locations, &size);

    if (ret) {
        return ret;
    }
    *rules = g_array_new(FALSE, FALSE, sizeof(Rule));
    for (guint i = 0; i < locations->len; i++) {
        struct ethtool_rxnfc command = {
            .cmd = ETHTOOL_GRXCLSRULE,
            .fs.location = g_array_index(locations, uint32_t, i),
        };
        Rule rule = { 0 };

        /* One that has gone meanwhile is none. */
        if (eth_ioctl(ifname, &command)) {
            continue;
        }
        rule.flow = command.fs;
        if (rule.flow.flow_type & FLOW_RSS) {
            rule.context = command.rss_context;
        }
        g_array_append_val(*rules, rule);
    }
    return 0;
}

/* A free location for a driver that does not choose one: the last */
static int free_location(const char *ifname, uint32_t *location)
{
    g_autoptr(GArray) taken = NULL;
    struct ethtool_rxnfc count;
    uint32_t size;
    int ret = rule_count(ifname, &count);

    if (ret) {
        return ret;
    }
    if (count.data & RX_CLS_LOC_SPECIAL) {
        *location = RX_CLS_LOC_ANY;
        return 0;
    }
    ret = rule_locations(ifname, &taken, &size);
    if (ret) {
        return ret;
    }
    for (uint32_t i = size; i-- > 0;) {
        bool used = false;

        for (guint k = 0; k < taken->len && !used; k++) {
            used = g_array_index(taken, uint32_t, k) == i;
        }
        if (!used) {
            *location = i;
            return 0;
        }
    }
    return size ? -ENOSPC : -EOPNOTSUPP;
}

int ethtool_add_rule(const char *ifname, Rule *rule)
{
    struct ethtool_rxnfc command = {
        .cmd = ETHTOOL_SRXCLSRLINS,
        .fs = rule->flow,
        .rss_context = rule->context,
    };
    int ret = free_location(ifname, &command.fs.location);

    if (ret == 0) {
        ret = eth_ioctl(ifname, &command);
    }
    if (ret == 0) {
        rule->flow.location = command.fs.location;
    }
    return ret;
}

int ethtool_delete_rule(const char *ifname, uint32_t location)
{
    struct ethtool_rxnfc command = {
        .cmd = ETHTOOL_SRXCLSRLDEL,
        .fs.location = location,
    };

    return eth_ioctl(ifname, &command);
}

/* Do two flows have the same bits where at least one of them looks? */
static bool same_bytes(const void *left, const void *left_mask,
                       const void *right, const void *right_mask, size_t size)
{
    const uint8_t *l = left, *r = right, *lm = left_mask, *rm = right_mask;

    for (size_t i = 0; i < size; i++) {
        if (lm[i] != rm[i] || (l[i] & lm[i]) != (r[i] & rm[i])) {
            return false;
        }
    }
    return true;
}

bool ethtool_rule_equal(const Rule *left, const Rule *right)
{
    const struct ethtool_rx_flow_spec *l = &left->flow, *r = &right->flow;

    if (l->flow_type != r->flow_type || l->ring_cookie != r->ring_cookie ||
        ((l->flow_type & FLOW_RSS) && left->context != right->context) ||
        !same_bytes(&l->h_u, &l->m_u, &r->h_u, &r->m_u, sizeof(l->h_u))) {
        return false;
    }
    return !(l->flow_type & (FLOW_EXT | FLOW_MAC_EXT)) ||
           same_bytes(&l->h_ext, &l->m_ext, &r->h_ext, &r->m_ext,
                      sizeof(l->h_ext));
}

int ethtool_ntuple(const char *ifname, bool *on)
{
    struct ethtool_value command = { .cmd = ETHTOOL_GFLAGS };
    int ret = eth_ioctl(ifname, &command);

    *on = command.data & ETH_FLAG_NTUPLE;
    return ret;
}

int ethtool_set_ntuple(const char *ifname, bool on)
{
    struct ethtool_value command = { .cmd = ETHTOOL_GFLAGS };
    int ret = eth_ioctl(ifname, &command);

    if (ret) {
        return ret;
    }
    command.cmd = ETHTOOL_SFLAGS;
    if (on) {
        command.data |= ETH_FLAG_NTUPLE;
    } else {
        command.data &= ~ETH_FLAG_NTUPLE;
    }
    return eth_ioctl(ifname, &command);
}
