/*
 * qemu-af-xdp: frames that are to be steered, in words and as a flow rule
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <arpa/inet.h>
#include "flow.h"
#include "tool.h"

void flow_mac(Rule *rule, const uint8_t mac[MAC_LEN])
{
    memset(rule, 0, sizeof(*rule));
    rule->flow.flow_type = ETHER_FLOW;
    memcpy(rule->flow.h_u.ether_spec.h_dest, mac, MAC_LEN);
    memset(rule->flow.m_u.ether_spec.h_dest, 0xff, MAC_LEN);
}

static const struct {
    const char *name;
    uint32_t type;
} types[] = {
    { "ether", ETHER_FLOW },
    { "tcp4", TCP_V4_FLOW },
    { "udp4", UDP_V4_FLOW },
    { "tcp6", TCP_V6_FLOW },
    { "udp6", UDP_V6_FLOW },
};

typedef enum Form {
    FORM_MAC,
    FORM_NUMBER,    /* 16 bits */
    FORM_IP4,
    FORM_IP6,
} Form;

#define ETHER (1u << ETHER_FLOW)
#define V4 (1u << TCP_V4_FLOW | 1u << UDP_V4_FLOW)
#define V6 (1u << TCP_V6_FLOW | 1u << UDP_V6_FLOW)
#define FIELD(member) offsetof(union ethtool_flow_union, member)

/* Which types have a field, where it is, and how it is written */
static const struct {
    const char *name;
    unsigned types;
    size_t offset;
    Form form;
} fields[] = {
    { "dst", ETHER, FIELD(ether_spec.h_dest), FORM_MAC },
    { "src", ETHER, FIELD(ether_spec.h_source), FORM_MAC },
    { "proto", ETHER, FIELD(ether_spec.h_proto), FORM_NUMBER },
    { "src-ip", V4, FIELD(tcp_ip4_spec.ip4src), FORM_IP4 },
    { "dst-ip", V4, FIELD(tcp_ip4_spec.ip4dst), FORM_IP4 },
    { "src-port", V4, FIELD(tcp_ip4_spec.psrc), FORM_NUMBER },
    { "dst-port", V4, FIELD(tcp_ip4_spec.pdst), FORM_NUMBER },
    { "src-ip", V6, FIELD(tcp_ip6_spec.ip6src), FORM_IP6 },
    { "dst-ip", V6, FIELD(tcp_ip6_spec.ip6dst), FORM_IP6 },
    { "src-port", V6, FIELD(tcp_ip6_spec.psrc), FORM_NUMBER },
    { "dst-port", V6, FIELD(tcp_ip6_spec.pdst), FORM_NUMBER },
};

static bool parse_16(const char *text, uint16_t *value)
{
    char *end;
    guint64 number = g_ascii_strtoull(text, &end, 0);

    *value = htons(number);
    return g_ascii_isdigit(*text) && !*end && number <= UINT16_MAX;
}

/* Read @text to @value; returns its length, 0 if it is not of that form */
static size_t parse_value(Form form, const char *text, uint8_t value[16])
{
    uint16_t number;

    switch (form) {
    case FORM_MAC:
        return options_mac(text, value, NULL) ? MAC_LEN : 0;
    case FORM_NUMBER:
        if (!parse_16(text, &number)) {
            return 0;
        }
        memcpy(value, &number, sizeof(number));
        return sizeof(number);
    case FORM_IP4:
        return inet_pton(AF_INET, text, value) == 1 ? 4 : 0;
    case FORM_IP6:
        return inet_pton(AF_INET6, text, value) == 1 ? 16 : 0;
    }
    return 0;
}

/* One field of @rule. Returns false if there is none, or no such value. */
static bool parse_field(Rule *rule, const char *name, const char *text)
{
    uint8_t value[16];
    size_t len;

    if (!strcmp(name, "vlan")) {
        rule->flow.flow_type |= FLOW_EXT;
        /* The mask leaves priority and DEI alone. */
        rule->flow.m_ext.vlan_tci = htons(0xfff);
        return parse_16(text, &rule->flow.h_ext.vlan_tci) &&
               ntohs(rule->flow.h_ext.vlan_tci) <= 0xfff;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (strcmp(fields[i].name, name) ||
            !(fields[i].types & 1u << (rule->flow.flow_type & 0xff))) {
            continue;
        }
        len = parse_value(fields[i].form, text, value);
        memcpy((uint8_t *)&rule->flow.h_u + fields[i].offset, value, len);
        memset((uint8_t *)&rule->flow.m_u + fields[i].offset, 0xff, len);
        return len > 0;
    }
    return false;
}

#define FLOW_HINT \
    "As in 'flow-type ether dst 52:54:00:12:34:56 vlan 7' or 'flow-type tcp4 " \
    "dst-ip 192.0.2.1 dst-port 80'. Types: ether (dst, src, proto), tcp4, " \
    "udp4, tcp6, udp6 (dst-ip, src-ip, dst-port, src-port); vlan goes with all."

bool flow_parse(Rule *rule, const char *text, GError **errp)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    const char *bad = NULL;

    memset(rule, 0, sizeof(*rule));
    for (char **word = words; *word; word++) {
        if (**word) {
            g_ptr_array_add(list, *word);
        }
    }
    if (list->len < 4 || strcmp(list->pdata[0], "flow-type")) {
        bad = "it begins with 'flow-type TYPE' and has one field or more";
    }
    for (size_t i = 0; i < ARRAY_SIZE(types) && !bad; i++) {
        if (!strcmp(types[i].name, list->pdata[1])) {
            rule->flow.flow_type = types[i].type;
        }
    }
    if (!bad && !rule->flow.flow_type) {
        bad = list->pdata[1];
    }
    for (guint i = 2; i < list->len && !bad; i += 2) {
        if (i + 1 == list->len ||
            !parse_field(rule, list->pdata[i], list->pdata[i + 1])) {
            bad = list->pdata[i];
        }
    }
    if (bad) {
        tool_usage_error(errp, FLOW_HINT, "cannot understand '--ntuple %s': %s",
                         text, bad);
        return false;
    }
    return true;
}

void flow_to(Rule *rule, uint32_t queue, uint32_t context)
{
    if (context) {
        rule->flow.flow_type |= FLOW_RSS;
        rule->flow.ring_cookie = 0;     /* added to what the table says */
        rule->context = context;
    } else {
        rule->flow.ring_cookie = queue;
    }
}
