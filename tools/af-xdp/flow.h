/*
 * qemu-af-xdp: frames that are to be steered, in words and as a flow rule
 *
 * Pure functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_FLOW_H
#define AF_XDP_TOOL_FLOW_H

#include "ethtool.h"
#include "options.h"

/* flow_mac: frames for @mac */
void flow_mac(Rule *rule, const uint8_t mac[MAC_LEN]);

/*
 * flow_parse: frames that @text describes, in the words of 'ethtool -N':
 * "flow-type ether|tcp4|udp4|tcp6|udp6" and then, as far as the type has them,
 * dst MAC, src MAC, proto N; dst-ip A, src-ip A, dst-port N, src-port N; and
 * vlan N. Only whole fields, no masks.
 */
bool flow_parse(Rule *rule, const char *text, GError **errp);

/*
 * flow_to: where they go: to @queue, or to RSS context @context if that is not
 * 0.
 */
void flow_to(Rule *rule, uint32_t queue, uint32_t context);

#endif /* AF_XDP_TOOL_FLOW_H */
