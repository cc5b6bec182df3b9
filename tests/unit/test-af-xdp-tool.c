/*
 * qemu-af-xdp: what can be tested without a device and without root
 *
 * What users write, the messages to the kernel, the arithmetic of RSS, and the
 * journal.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include "bound.h"
#include "flow.h"
#include "journal.h"
#include "link.h"
#include "netlink.h"
#include "netns.h"
#include "options.h"
#include "queues.h"
#include "rss.h"
#include "sockets.h"
#include "undo.h"
#include "net/af-xdp-error.h"

static GArray *numbers(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    GArray *array = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (char **word = words; *word; word++) {
        uint32_t number = atoi(*word);

        g_array_append_val(array, number);
    }
    return array;
}

static char *plain(const GArray *array)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < array->len; i++) {
        g_string_append_printf(text, "%s%u", i ? "," : "",
                               g_array_index(array, uint32_t, i));
    }
    return g_string_free(text, FALSE);
}

static void assert_numbers(const GArray *array, const char *text)
{
    g_autofree char *have = plain(array);

    g_assert_cmpstr(have, ==, text);
}

static void test_queues(void)
{
    static const struct {
        const char *text, *queues, *shortest;
    } good[] = {
        { "4", "4", "4" },
        { "4,5", "4,5", "4,5" },
        { "5,4", "4,5", "4,5" },
        { "4-7,12", "4,5,6,7,12", "4-7,12" },
        { "0,65535", "0,65535", "0,65535" },
        { "3-3", "3", "3" },
    };
    static const char *const bad[] = {
        "", ",", "4,", ",4", "4,,5", "a", "4a", "4-", "-4", "7-4", "65536",
        "4 5", "4;5", "+4", "0x4", "4,4", "4-6,5", "0-65535",
        "99999999999999999999",
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        GError *err = NULL;
        g_autoptr(GArray) queues = options_queues(good[i].text, &err);
        g_autofree char *text = NULL;

        g_assert_no_error(err);
        assert_numbers(queues, good[i].queues);
        text = options_queues_text(queues);
        g_assert_cmpstr(text, ==, good[i].shortest);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autoptr(GError) err = NULL;

        g_test_message("'%s'", bad[i]);
        g_assert_null(options_queues(bad[i], &err));
        g_assert_error(err, TOOL_USAGE, 0);
    }
}

static void test_mac(void)
{
    static const char *const bad[] = {
        "", "52:54:00:12:34", "52:54:00:12:34:56:78", "52-54-00-12-34-56",
        "525400123456", "52:54:00:12:34:5", "5g:54:00:12:34:56",
        "52:54:00:12:34:56 ",
    };
    static const char *const groups[] = {
        "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00",
    };
    uint8_t mac[MAC_LEN];
    g_autofree char *text = NULL;

    g_assert_true(options_mac("52:54:00:aB:Cd:eF", mac, NULL));
    text = options_mac_text(mac);
    g_assert_cmpstr(text, ==, "52:54:00:ab:cd:ef");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        g_test_message("'%s'", bad[i]);
        g_assert_false(options_mac(bad[i], mac, NULL));
    }
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        g_assert_true(options_mac(groups[i], mac, NULL));
        g_assert_false(options_unicast(groups[i], mac, NULL));
    }
}

static void test_names(void)
{
    static const char *const vms[] = {
        "", "a.b", "a/b", "..", "a b", "link:", "\303\274",
        "0123456789012345678901234567890123456789012345678901234567890123x",
    };
    static const char *const ifnames[] = {
        "", ".", "..", "a/b", "a b", "a:b", "nk%d", "0123456789abcdef",
    };
    g_autofree char *file = options_file_name("eth0.7/x");

    g_assert_true(options_vm("web-1_A", NULL));
    g_assert_true(options_ifname("nk0.4-_@", NULL));
    for (size_t i = 0; i < ARRAY_SIZE(vms); i++) {
        g_assert_false(options_vm(vms[i], NULL));
    }
    for (size_t i = 0; i < ARRAY_SIZE(ifnames); i++) {
        g_assert_false(options_ifname(ifnames[i], NULL));
    }
    g_assert_cmpstr(file, ==, "eth0%2E7%2Fx");
}

static void test_owner(void)
{
    gid_t gid;
    uid_t uid;
    mode_t mode;

    g_assert_true(options_owner("root", &uid, &gid, NULL));
    g_assert_cmpint(uid, ==, 0);
    g_assert_cmpint(gid, ==, (gid_t)-1);
    g_assert_true(options_owner("107:108", &uid, &gid, NULL));
    g_assert_cmpint(uid, ==, 107);
    g_assert_cmpint(gid, ==, 108);
    g_assert_true(options_owner(":root", &uid, &gid, NULL));
    g_assert_cmpint(uid, ==, (uid_t)-1);
    g_assert_cmpint(gid, ==, 0);
    g_assert_false(options_owner("", &uid, &gid, NULL));
    g_assert_false(options_owner("no-such-user-here", &uid, &gid, NULL));
    g_assert_false(options_owner("root:", &uid, &gid, NULL));
    g_assert_false(options_owner("4294967295", &uid, &gid, NULL));
    g_assert_false(options_owner("12x", &uid, &gid, NULL));

    g_assert_true(options_mode("0660", &mode, NULL));
    g_assert_cmpint(mode, ==, 0660);
    g_assert_false(options_mode("1777", &mode, NULL));
    g_assert_false(options_mode("rw", &mode, NULL));
    g_assert_false(options_mode("668", &mode, NULL));
    g_assert_false(options_mode("", &mode, NULL));
}

static void test_netns(void)
{
    g_autofree char *name = netns_path("pod1");
    g_autofree char *path = netns_path("/run/docker/netns/x");
    g_autofree char *pid = netns_path("4711");
    g_autofree char *mixed = netns_path("4711a");

    g_assert_cmpstr(name, ==, "/run/netns/pod1");
    g_assert_cmpstr(path, ==, "/run/docker/netns/x");
    g_assert_cmpstr(pid, ==, "/proc/4711/ns/net");
    g_assert_cmpstr(mixed, ==, "/run/netns/4711a");
}

/* The message, byte for byte, as a list of 16-bit words in hexadecimal */
static char *dump(const struct nlmsghdr *nlh, size_t from)
{
    const uint16_t *words = (const void *)nlh;
    GString *text = g_string_new(NULL);

    for (size_t i = from / 2; i < nlh->nlmsg_len / 2; i++) {
        g_string_append_printf(text, "%s%x", i > from / 2 ? " " : "",
                               words[i]);
    }
    return g_string_free(text, FALSE);
}

static void test_lease_message(void)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh = queues_put_lease(buf, 33, 7, 3, 15);
    const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
    g_autofree char *attrs = dump(nlh, sizeof(*nlh) + sizeof(*genl));

    g_assert_cmpint(nlh->nlmsg_type, ==, 33);
    g_assert_cmpint(nlh->nlmsg_flags, ==, NLM_F_REQUEST | NLM_F_ACK);
    g_assert_cmpint(genl->cmd, ==, 16);
    /* ifindex 7; type rx; lease { ifindex 3; queue { id 15; type rx } } */
    g_assert_cmpstr(attrs, ==,
                    "8 2 7 0 " "8 3 0 0 "
                    "20 8008 " "8 1 3 0 "
                    "14 8002 " "8 1 f 0 " "8 3 0 0");
}

static void test_netkit_message(void)
{
    static const uint8_t mac[MAC_LEN] = { 0x52, 0x54, 0, 1, 2, 3 };
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    LinkNetkit netkit = {
        .name = "nk0", .rx_queues = 3, .mtu = 1500, .mac = mac,
    };
    struct nlmsghdr *nlh = link_put_netkit(buf, &netkit);
    g_autofree char *attrs = dump(nlh, sizeof(*nlh) +
                                  sizeof(struct ifinfomsg));

    g_assert_cmpint(nlh->nlmsg_type, ==, RTM_NEWLINK);
    g_assert_cmpint(nlh->nlmsg_flags, ==, NLM_F_REQUEST | NLM_F_ACK |
                    NLM_F_CREATE | NLM_F_EXCL);
    /* Then kind "netkit", data { mode L2; pairing single } */
    g_assert_cmpstr(attrs, ==,
                    "8 3 6b6e 30 " "8 20 3 0 " "8 4 5dc 0 "
                    "a 1 5452 100 302 0 "
                    "24 8012 " "b 1 656e 6b74 7469 0 "
                    "14 8002 " "8 5 0 0 " "8 a 1 0");
}

static void test_rss(void)
{
    static const struct {
        const char *table, *taken, *spared, *result;
    } cases[] = {
        { "0,1,2,3", "3", "", "0,1,2,0" },
        { "0,1,2,3,0,1,2,3", "2,3", "", "0,1,0,1,0,1,0,1" },
        /* The operator's own table: only what must go does */
        { "0,0,0,3", "3", "", "0,0,0,0" },
        { "1,1,2,2", "5", "", "1,1,2,2" },
        /* None of the table's is left: any other */
        { "2,2,2,2", "2", "", "0,1,3,0" },
        /* Leased ones do not get more, but keep what they have */
        { "0,1,2,3", "3", "1,2", "0,1,2,0" },
        { "2,2,3,3", "3", "2", "2,2,0,1" },
        { "0,1,2,3", "0", "1,2,3", "1,1,2,3" },
    };
    g_autoptr(GArray) all = numbers("0,1,2,3");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(GArray) table = numbers(cases[i].table);
        g_autoptr(GArray) taken = numbers(cases[i].taken);
        g_autoptr(GArray) spared = *cases[i].spared ? numbers(cases[i].spared)
            : g_array_new(FALSE, FALSE, sizeof(uint32_t));
        g_autoptr(GArray) result = rss_without(table, taken, spared, 4);

        g_test_message("%s without %s", cases[i].table, cases[i].taken);
        assert_numbers(result, cases[i].result);
    }
    g_assert_null(rss_without(all, all, all, 4));
    g_assert_true(rss_is_default(all, 4));
    g_assert_false(rss_is_default(all, 3));
}

static void assert_base(const char *base, const char *last, const char *ours,
                        const char *now, const char *result)
{
    g_autoptr(GArray) b = numbers(base), l = numbers(last), o = numbers(ours);
    g_autoptr(GArray) n = numbers(now), r = rss_base(b, l, o, n);

    assert_numbers(r, result);
}

static void test_rss_base(void)
{
    /* As we left it: what was there before */
    assert_base("0,1,2,3", "0,1,2,3", "0,1,2,0", "0,1,2,0", "0,1,2,3");
    /* Noted, but a crash came before it was written */
    assert_base("0,1,2,3", "0,1,2,3", "0,1,2,0", "0,1,2,3", "0,1,2,3");
    /* The second of two changes, noted but not written */
    assert_base("0,1,2,3", "0,1,2,0", "0,1,0,1", "0,1,2,0", "0,1,2,3");
    /* The operator has written another one since: it stays as it is */
    assert_base("0,1,2,3", "0,1,2,3", "0,1,2,0", "1,1,2,1", "1,1,2,1");
    assert_base("0,1,2,3", "0,1,2,3", "0,1,2,0", "0,1,2,1", "0,1,2,1");
    /* One that is longer */
    assert_base("0,1", "0,1", "0,0", "0,0,2,3", "0,0,2,3");
}

static void test_flow(void)
{
    static const char *const bad[] = {
        "", "flow-type", "flow-type ether", "flow-type ether dst",
        "flow-type ether dst 1", "flow-type ip7 dst-ip 1.2.3.4",
        "flow-type tcp4 dst-ip 1.2.3", "flow-type tcp4 dst-port 65536",
        "flow-type tcp4 dst-port x", "flow-type tcp4 dst 52:54:00:00:00:01",
        "flow-type ether dst-ip 1.2.3.4", "flow-type tcp6 dst-ip 1.2.3.4",
        "flow-type ether vlan 4096", "ether dst 52:54:00:00:00:01",
        "flow-type tcp4 dst-port 80 action 3",
    };
    uint8_t mac[MAC_LEN] = { 0x52, 0x54, 0, 0, 0, 1 };
    Rule rule, other;

    g_assert_true(flow_parse(&rule, "flow-type udp4  dst-ip 192.0.2.1 "
                             "dst-port 4789 vlan 7", NULL));
    g_assert_cmphex(rule.flow.flow_type, ==, UDP_V4_FLOW | FLOW_EXT);
    g_assert_cmphex(rule.flow.h_u.udp_ip4_spec.ip4dst, ==, htonl(0xc0000201));
    g_assert_cmphex(rule.flow.m_u.udp_ip4_spec.ip4dst, ==, 0xffffffff);
    g_assert_cmphex(rule.flow.m_u.udp_ip4_spec.ip4src, ==, 0);
    g_assert_cmpint(rule.flow.h_u.udp_ip4_spec.pdst, ==, htons(4789));
    g_assert_cmpint(rule.flow.h_ext.vlan_tci, ==, htons(7));
    g_assert_true(flow_parse(&rule, "flow-type tcp6 src-ip 2001:db8::1", NULL));
    g_assert_cmphex(rule.flow.flow_type, ==, TCP_V6_FLOW);
    g_assert_cmphex(rule.flow.h_u.tcp_ip6_spec.ip6src[0], ==,
                    htonl(0x20010db8));

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autoptr(GError) err = NULL;

        g_test_message("'%s'", bad[i]);
        g_assert_false(flow_parse(&rule, bad[i], &err));
        g_assert_error(err, TOOL_USAGE, 0);
    }

    g_assert_true(flow_parse(&rule, "flow-type ether dst 52:54:00:00:00:01",
                             NULL));
    flow_mac(&other, mac);
    flow_to(&rule, 4, 0);
    flow_to(&other, 4, 0);
    g_assert_true(ethtool_rule_equal(&rule, &other));
    /* What the mask hides does not count; another queue does. */
    other.flow.h_u.ether_spec.h_source[0] = 1;
    other.flow.location = 17;
    g_assert_true(ethtool_rule_equal(&rule, &other));
    flow_to(&other, 5, 0);
    g_assert_false(ethtool_rule_equal(&rule, &other));
    flow_to(&rule, 5, 2);
    flow_to(&other, 5, 3);
    g_assert_false(ethtool_rule_equal(&rule, &other));
}

static void assert_netdevs(const char *queues, const char *keys,
                           const char *expected)
{
    g_autoptr(GArray) q = numbers(queues), k = numbers(keys);
    NetdevLine line = {
        .ifname = "nk0", .map = "/m", .queues = q, .keys = k,
    };
    g_auto(GStrv) lines = netdev_lines(&line);
    g_autofree char *text = g_strjoinv("\n", lines);

    g_assert_cmpstr(text, ==, expected);
}

static void test_netdev(void)
{
    assert_netdevs("1,2", "4,5",
                   "af-xdp,id=net0,ifname=nk0,queue-start=1,queues=2,"
                   "inhibit=on,map-path=/m,map-start-index=4");
    assert_netdevs("1", "15",
                   "af-xdp,id=net0,ifname=nk0,queue-start=1,"
                   "inhibit=on,map-path=/m,map-start-index=15");
    /* A gap in the NIC's queues: one netdev cannot have both */
    assert_netdevs("1,2,3", "4,6,7",
                   "af-xdp,id=net0,ifname=nk0,queue-start=1,"
                   "inhibit=on,map-path=/m,map-start-index=4\n"
                   "af-xdp,id=net1,ifname=nk0,queue-start=2,queues=2,"
                   "inhibit=on,map-path=/m,map-start-index=6");
}

/* Whoever has the device chooses its name: no option comes of it. */
static void test_netdev_names(void)
{
    g_autoptr(GArray) q = numbers("1"), k = numbers("4");
    NetdevLine line = {
        .ifname = "x,queues=8", .map = "/a,b", .queues = q, .keys = k,
    };
    g_auto(GStrv) lines = netdev_lines(&line);
    g_auto(GStrv) none = NULL;
    g_autofree char *plain = tool_plain("a\033[2J\n\177\303\274");

    g_assert_cmpstr(lines[0], ==,
                    "af-xdp,id=net0,ifname=x,,queues=8,queue-start=1,"
                    "inhibit=on,map-path=/a,,b,map-start-index=4");
    g_assert_null(lines[1]);
    line.ifname = "x\n-monitor";
    none = netdev_lines(&line);
    g_assert_null(none[0]);
    g_assert_cmpstr(plain, ==, "a\\x1b[2J\n\\x7f\303\274");
}

typedef struct Fixture {
    Tool tool;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    GError *err = NULL;

    f->tool.run_dir = g_dir_make_tmp("af-xdp-tool-XXXXXX", &err);
    g_assert_no_error(err);
    f->tool.quiet = TRUE;
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *journal = g_build_filename(f->tool.run_dir, "journal",
                                                NULL);
    g_autofree char *lock = g_build_filename(f->tool.run_dir, "lock", NULL);
    g_autoptr(GDir) dir = g_dir_open(journal, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(journal, name, NULL);

        unlink(path);
    }
    rmdir(journal);
    unlink(lock);
    g_assert_cmpint(rmdir(f->tool.run_dir), ==, 0);
    g_free(f->tool.run_dir);
}

static void test_journal(Fixture *f, gconstpointer data)
{
    GError *err = NULL;
    g_autoptr(Journal) journal = journal_open(&f->tool, false, &err);
    g_autoptr(Entry) entry = NULL;
    g_autoptr(GArray) queues = numbers("4,5");
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GArray) again = NULL;

    g_assert_no_error(err);
    entry = entry_new(journal, "lease", "a/b", "eth0", 3);
    entry_set_numbers(entry, "queues", queues);
    list = journal_entries(journal, NULL, &err);
    g_assert_no_error(err);
    g_assert_cmpint(list->len, ==, 0);      /* not written yet */
    g_ptr_array_unref(list);

    g_assert_true(entry_write(entry, &err));
    list = journal_entries(journal, "lease", &err);
    g_assert_cmpint(list->len, ==, 1);
    g_assert_false(entry_is_complete(list->pdata[0]));
    g_assert_cmpstr(entry_string(list->pdata[0], "nic"), ==, "eth0");
    g_assert_cmpint(entry_int(list->pdata[0], "ifindex", 0), ==, 3);
    again = entry_numbers(list->pdata[0], "queues");
    assert_numbers(again, "4,5");
    g_ptr_array_unref(list);

    g_assert_true(entry_complete(entry, &err));
    list = journal_entries(journal, "lease", &err);
    g_assert_true(entry_is_complete(list->pdata[0]));
    g_ptr_array_unref(list);
    list = journal_entries(journal, "attach", &err);
    g_assert_cmpint(list->len, ==, 0);
    g_ptr_array_unref(list);

    g_assert_true(entry_remove(entry, &err));
    g_assert_true(entry_remove(entry, &err));   /* gone is gone */
    list = journal_entries(journal, NULL, &err);
    g_assert_cmpint(list->len, ==, 0);
}

/* The device of an entry is told from those that came after it. */
static void test_lease_is(Fixture *f, gconstpointer data)
{
    enum { OTHER = 1, POD = 2 };
    const Link ours = {
        .ifindex = 7, .name = "nk0", .kind = "netkit",
        .mac = { 0x52, 0x54, 0, 0, 0, 1 },
    };
    g_autoptr(Journal) journal = journal_open(&f->tool, false, NULL);
    g_autoptr(Entry) entry = entry_new(journal, "lease", "x", "eth0", 3);
    Link link = ours;

    json_object_set_string_member(entry->data, "temporary", "qax00000001");
    json_object_set_string_member(entry->data, "name", "nk0");
    json_object_set_int_member(entry->data, "target", POD);
    /* Not even made, as far as was noted: it has no other name yet. */
    g_assert_false(lease_is(entry, &ours, POD));
    g_strlcpy(link.name, "qax00000001", sizeof(link.name));
    g_assert_true(lease_is(entry, &link, journal->netns));
    /* Just moved: it may have got another index. */
    json_object_set_string_member(entry->data, "mac", "52:54:00:00:00:01");
    json_object_set_int_member(entry->data, "netkit", 6);
    g_assert_true(lease_is(entry, &ours, POD));
    g_assert_false(lease_is(entry, &ours, OTHER));

    json_object_set_int_member(entry->data, "netkit", 7);
    json_object_set_boolean_member(entry->data, "complete", TRUE);
    g_assert_true(lease_is(entry, &ours, POD));
    g_assert_true(lease_is(entry, &ours, 0));
    /* The next pod's, with the same name and address */
    g_assert_false(lease_is(entry, &ours, OTHER));
    link = ours;
    link.ifindex++;
    g_assert_false(lease_is(entry, &link, POD));
    link = ours;
    link.mac[5]++;
    g_assert_false(lease_is(entry, &link, POD));
    link = ours;
    g_strlcpy(link.kind, "veth", sizeof(link.kind));
    g_assert_false(lease_is(entry, &link, POD));
    /* Its name is its own matter. */
    link = ours;
    g_strlcpy(link.name, "eth0", sizeof(link.name));
    g_assert_true(lease_is(entry, &link, POD));
    /* Made here; whoever has moved it since, it is the same. */
    json_object_set_int_member(entry->data, "target", journal->netns);
    g_assert_true(lease_is(entry, &ours, POD));
}

/* Members of wrong types must not end the program. */
static void test_journal_broken(Fixture *f, gconstpointer data)
{
    static const char *const contents[] = {
        "", "{", "[]", "7", "{}", "{\"kind\":3,\"ifindex\":3}",
        "{\"kind\":\"lease\",\"ifindex\":\"x\"}",
    };
    g_autoptr(Journal) journal = journal_open(&f->tool, false, NULL);
    g_autofree char *path = g_build_filename(journal->dir, "lease-x.json",
                                             NULL);
    g_autofree char *odd = NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GArray) none = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
        g_autoptr(GError) err = NULL;

        g_test_message("%s", contents[i]);
        g_assert_true(g_file_set_contents(path, contents[i], -1, NULL));
        g_assert_null(journal_entries(journal, NULL, &err));
        g_assert_error(err, AF_XDP_ERROR, EINVAL);
        g_assert_nonnull(strstr(err->message, path));
    }
    odd = g_strdup_printf("{\"kind\":\"lease\",\"ifindex\":3,\"netns\":%"
                          PRIu64 ",\"queues\":{},\"nic\":[],"
                          "\"complete\":\"yes\"}", journal->netns);
    g_assert_true(g_file_set_contents(path, odd, -1, NULL));
    list = journal_entries(journal, NULL, NULL);
    g_assert_cmpint(list->len, ==, 1);
    g_assert_cmpstr(entry_string(list->pdata[0], "nic"), ==, "");
    g_assert_false(entry_is_complete(list->pdata[0]));
    none = entry_numbers(list->pdata[0], "queues");
    g_assert_cmpint(none->len, ==, 0);
}

/* A directory that others may write to says what root would undo. */
static void test_journal_unsafe(Fixture *f, gconstpointer data)
{
    g_autofree char *dir = g_build_filename(f->tool.run_dir, "journal", NULL);
    g_autoptr(GError) err = NULL;

    g_assert_cmpint(chmod(f->tool.run_dir, 0777), ==, 0);
    g_assert_null(journal_open(&f->tool, false, &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_clear_error(&err);
    g_assert_cmpint(chmod(f->tool.run_dir, 0755), ==, 0);
    rmdir(dir);
    g_assert_cmpint(symlink("/", dir), ==, 0);
    g_assert_null(journal_open(&f->tool, false, &err));
    g_assert_error(err, AF_XDP_ERROR, EPERM);
    g_assert_cmpint(unlink(dir), ==, 0);
}

/* Entries of other network namespaces are not ours to see. */
static void test_journal_elsewhere(Fixture *f, gconstpointer data)
{
    g_autoptr(Journal) journal = journal_open(&f->tool, false, NULL);
    g_autoptr(Entry) entry = entry_new(journal, "lease", "x", "eth0", 3);
    g_autoptr(GPtrArray) list = NULL;

    json_object_set_int_member(entry->data, "netns", journal->netns + 1);
    g_assert_true(entry_write(entry, NULL));
    list = journal_entries(journal, NULL, NULL);
    g_assert_cmpint(list->len, ==, 0);
    g_assert_cmpint(journal_elsewhere(journal), ==, 1);
}

/* A queue in use whose socket is nowhere; leased ones have it elsewhere. */
static void test_bound(void)
{
    g_autoptr(GArray) queues = g_array_new(FALSE, FALSE, sizeof(Queue));
    g_autoptr(GArray) sockets = g_array_new(FALSE, FALSE, sizeof(Socket));
    const Queue some[] = {
        { .id = 1 },
        { .id = 2, .xsk = true, .leased = true },
        { .id = 3, .xsk = true },
        { .id = 4, .xsk = true },
    };
    Socket socket = { .ifindex = 7, .queue = 3 };
    const Queue *lost;

    g_array_append_vals(queues, some, ARRAY_SIZE(some));
    g_assert_null(bound_lost(queues, 7, NULL));
    g_assert_null(bound_lost(NULL, 7, sockets));
    lost = bound_lost(queues, 7, sockets);
    g_assert_cmpint(lost->id, ==, 3);
    g_array_append_val(sockets, socket);
    lost = bound_lost(queues, 7, sockets);
    g_assert_cmpint(lost->id, ==, 4);
    /* The same queue of another device */
    socket = (Socket) { .ifindex = 8, .queue = 4 };
    g_array_append_val(sockets, socket);
    g_assert_nonnull(bound_lost(queues, 7, sockets));
    socket.ifindex = 7;
    g_array_append_val(sockets, socket);
    g_assert_null(bound_lost(queues, 7, sockets));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tool/queues", test_queues);
    g_test_add_func("/tool/mac", test_mac);
    g_test_add_func("/tool/names", test_names);
    g_test_add_func("/tool/owner", test_owner);
    g_test_add_func("/tool/netns", test_netns);
    g_test_add_func("/tool/message/lease", test_lease_message);
    g_test_add_func("/tool/message/netkit", test_netkit_message);
    g_test_add_func("/tool/rss/without", test_rss);
    g_test_add_func("/tool/rss/base", test_rss_base);
    g_test_add_func("/tool/flow", test_flow);
    g_test_add_func("/tool/netdev/lines", test_netdev);
    g_test_add_func("/tool/netdev/names", test_netdev_names);
    g_test_add_func("/tool/bound", test_bound);
    g_test_add("/tool/journal/entry", Fixture, NULL, set_up, test_journal,
               tear_down);
    g_test_add("/tool/journal/broken", Fixture, NULL, set_up,
               test_journal_broken, tear_down);
    g_test_add("/tool/journal/elsewhere", Fixture, NULL, set_up,
               test_journal_elsewhere, tear_down);
    g_test_add("/tool/journal/unsafe", Fixture, NULL, set_up,
               test_journal_unsafe, tear_down);
    g_test_add("/tool/lease/is", Fixture, NULL, set_up, test_lease_is,
               tear_down);
    return g_test_run();
}
