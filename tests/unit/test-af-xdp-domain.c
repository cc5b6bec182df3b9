/*
 * Unit tests: the AF_XDP domain filter, what it refuses and what it keeps
 *
 * Each test puts something into one of the places of a small domain.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "convert.h"
#include "mark.h"

#define NS "xmlns:af-xdp='" MARK_NS "'"
#define MARK_LINE 5
#define INTERFACE_LINE 12

/* Where something can be put; what is not given has the usual content. */
typedef struct Parts {
    const char *domain;     /* attributes of <domain>; type='kvm' */
    const char *mark;       /* line 5: a mark; dev='veth0' */
    const char *memory;     /* line 8: behind <memory> */
    const char *os;         /* line 9: in <os> */
    const char *before;     /* line 11: in <devices>, before the interface */
    const char *interface;  /* line 12: attributes; type='ethernet' */
    const char *target;     /* line 13: veth0 */
    const char *mac;        /* line 14 */
    const char *model;      /* line 15: virtio */
    const char *inner;      /* line 16: more in the interface */
    const char *after;      /* line 18: behind the interface */
    const char *end;        /* line 20: behind the devices */
} Parts;

#define OR(part, otherwise) ((part) ? (part) : (otherwise))

static char *domain(const Parts *parts)
{
    return g_strdup_printf(
        "<domain %s>\n"                                         /* 1 */
        "  <name>vm1</name>\n"
        "  <metadata>\n"
        "    <af-xdp:interfaces " NS ">\n"
        "      %s\n"                                            /* 5 */
        "    </af-xdp:interfaces>\n"
        "  </metadata>\n"
        "  <memory unit='MiB'>512</memory>%s\n"
        "  <os><type arch='x86_64' machine='q35'>hvm</type>%s</os>\n"
        "  <devices>\n"                                         /* 10 */
        "    %s\n"
        "    <interface %s>\n"
        "      %s\n"
        "      %s\n"
        "      %s\n"                                            /* 15 */
        "      %s\n"
        "    </interface>\n"
        "    %s\n"
        "  </devices>\n"
        "  %s\n"                                                /* 20 */
        "</domain>\n",
        OR(parts->domain, "type='kvm'"),
        OR(parts->mark, "<af-xdp:interface dev='veth0'/>"),
        OR(parts->memory, ""), OR(parts->os, ""), OR(parts->before, ""),
        OR(parts->interface, "type='ethernet'"),
        OR(parts->target, "<target dev='veth0' managed='no'/>"),
        OR(parts->mac, "<mac address='52:54:00:12:34:56'/>"),
        OR(parts->model, "<model type='virtio'/>"),
        OR(parts->inner, ""), OR(parts->after, ""), OR(parts->end, ""));
}

static char *convert(const char *text, Report *report, GError **errp)
{
    g_autoptr(Report) own = report ? NULL : report_new();
    gsize len;

    return domain_convert(text, strlen(text), &len, report ? report : own,
                          errp);
}

/* It must be refused at @line, with all of these words. */
static void bad(const Parts *parts, int line, const char *const *words)
{
    g_autofree char *text = domain(parts);
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(text, NULL, &err);

    g_assert_null(out);
    g_assert_nonnull(err);
    g_test_message("%d: %s", err->code, err->message);
    g_assert_cmpint(err->code, ==, line);
    for (; *words; words++) {
        if (!strstr(err->message, *words)) {
            g_error("'%s' is missing in: %s", *words, err->message);
        }
    }
}

/* It must be taken, and these words must be in what comes out. */
static char *good(const Parts *parts, const char *const *words)
{
    g_autofree char *text = domain(parts);
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(text, NULL, &err);
    g_autofree char *again = NULL;

    g_assert_no_error(err);
    for (; *words; words++) {
        if (!strstr(out, *words)) {
            g_error("'%s' is missing in: %s", *words, out);
        }
    }
    again = convert(out, NULL, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(out, ==, again);
    return g_steal_pointer(&out);
}

#define WORDS(...) __VA_ARGS__
#define LIST(words) ((const char *const[]) { WORDS words, NULL })
#define BAD(line, words, ...) bad(&(Parts) { __VA_ARGS__ }, line, LIST(words))
#define GOOD(words, ...) g_free(good(&(Parts) { __VA_ARGS__ }, LIST(words)))

static void bad_text(const char *text, int line, const char *word)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(text, NULL, &err);

    g_assert_null(out);
    g_assert_nonnull(err);
    g_assert_cmpint(err->code, ==, line);
    g_assert_nonnull(strstr(err->message, word));
}

static void test_documents(void)
{
    bad_text("", 1, "not well-formed");
    bad_text("<domain type='kvm'>\n<name>\n</domain>", 3, "not well-formed");
    bad_text("<domain type='kvm'/>\n<domain/>", 2, "not well-formed");
    bad_text("<network><name>n</name></network>", 1, "no domain");
    bad_text("\n<domainsnapshot/>", 2, "<domainsnapshot>");
    bad_text("<domain type='xen'/>", 1, "'xen'");
    bad_text("<domain/>", 1, "type");
    bad_text("<domain type='kvm'>\xff</domain>", 0, "UTF-8");
    bad_text("<?xml version='1.0' encoding='latin1'?><domain type='kvm'/>", 1,
             "encoding");
    bad_text("<!DOCTYPE domain [<!ENTITY a 'b'>]>\n<domain type='kvm'/>", 1,
             "document type");
}

static void test_no_mark(void)
{
    static const char text[] =
        "<domain type='kvm'><devices><interface type='ethernet'/></devices>"
        "</domain>";
    g_autoptr(Report) report = report_new();
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(text, report, &err);

    g_assert_no_error(err);
    g_assert_cmpstr(out, ==, text);
    g_assert_cmpuint(report->warnings->len, ==, 1);
}

static void test_marks(void)
{
    GOOD(("ifname=veth0"), .mark = "<af-xdp:interface dev='veth0'/>");
    GOOD(("ifname=veth0"),
         .mark = "<af-xdp:interface mac='52:54:00:12:34:56'/>");
    GOOD(("\"id\":\"ua-lan\"", "id=hostua-lan"),
         .mark = "<af-xdp:interface alias='ua-lan'/>",
         .inner = "<alias name='ua-lan'/>");
    GOOD(("ifname=nk0"), .mark = "<af-xdp:interface dev='veth0' "
         "ifname='nk0'/>");
    /* virsh metadata --set gives only the list a namespace */
    GOOD(("ifname=veth0"), .mark = "<interface dev='veth0'/>");
    GOOD(("ifname=veth0", "<af-xdp:interface mac-filter='on'>"), .mark = "",
         .inner = "<af-xdp:interface " NS " mac-filter='on'/>");

    BAD(MARK_LINE, ("no interface", "line 12: dev='veth0' mac="),
        .mark = "<af-xdp:interface dev='veth1'/>");
    BAD(MARK_LINE, ("no interface"),
        .mark = "<af-xdp:interface dev='veth0' mac='52:54:00:12:34:57'/>");
    BAD(MARK_LINE, ("does not say which"), .mark = "<af-xdp:interface/>");
    BAD(MARK_LINE, ("<other>"), .mark = "<af-xdp:other/>");
    BAD(MARK_LINE, ("<queues>", "attributes"),
        .mark = "<af-xdp:interface dev='veth0'><queues/></af-xdp:interface>");
    BAD(16, ("<queues>"), .mark = "",
        .inner = "<af-xdp:interface " NS "><queues/></af-xdp:interface>");
    BAD(MARK_LINE, ("<interface>", "attributes"),
        .mark = "<af-xdp:interface><interface type='ethernet'/>"
        "<interface type='ethernet'/></af-xdp:interface>");
    BAD(MARK_LINE, ("another mark", "line 5"),
        .mark = "<af-xdp:interface dev='veth0'/>"
        "<af-xdp:interface mac='52:54:00:12:34:56'/>");
    BAD(16, ("no meaning here", "<driver>"),
        .inner = "<driver><af-xdp:interface " NS "/></driver>");
    BAD(MARK_LINE, ("more than one", "lines 11 and 12"),
        .before = "<interface type='ethernet'><target dev='veth0'/>"
        "</interface>");
    BAD(INTERFACE_LINE, ("type 'bridge'", "<interface type='ethernet'>"),
        .interface = "type='bridge'");
    BAD(INTERFACE_LINE, ("type ''"), .interface = "");
}

static void test_options(void)
{
    GOOD(("queues=2,queue-start=14"),
         .mark = "<af-xdp:interface dev='veth0' queues='2' "
         "queue-start='14'/>");
    GOOD(("mode=skb,force-copy=on,mac-filter=off,vhost=on"),
         .mark = "<af-xdp:interface dev='veth0' mode='skb' force-copy='yes' "
         "mac-filter='no' vhost='on'/>");
    GOOD(("inhibit=on,map-path=/sys/fs/bpf/a,,b,map-start-index=3'"),
         .mark = "<af-xdp:interface dev='veth0' inhibit='on' "
         "map-path='/sys/fs/bpf/a,b' map-start-index='3'/>");
    GOOD(("inhibit=on,sock-fds=15:16'"),
         .mark = "<af-xdp:interface dev='veth0' inhibit='on' queues='2' "
         "sock-fds='15:16'/>");
    GOOD(("poll-max-ns=0,poll-grow=2,poll-shrink=3"),
         .mark = "<af-xdp:interface dev='veth0' poll-max-ns='0' "
         "poll-grow='2' poll-shrink='3'/>");
    GOOD(("zero-copy=auto,zero-copy-limit=512M'"),
         .mark = "<af-xdp:interface dev='veth0' zero-copy='auto' "
         "zero-copy-limit='512M'/>");
    GOOD(("iothread=iothread1:iothread2:io7'"),
         .mark = "<af-xdp:interface dev='veth0' queues='3' "
         "iothread='1:iothread2:io7'/>",
         .memory = "<iothreads>2</iothreads>",
         .domain = "type='kvm' "
         "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'",
         .end = "<qemu:commandline><qemu:arg value='-object'/><qemu:arg "
         "value='iothread,id=io7'/></qemu:commandline>");

    /* QEMU reads octal numbers. */
    GOOD(("queues=10,queue-start=7'"), .mark = "<af-xdp:interface dev='veth0' "
         "queues='010' queue-start='007'/>");
    GOOD(("iothread=iothread1'"),
         .mark = "<af-xdp:interface dev='veth0' iothread='1'/>",
         .memory = "<iothreads>2</iothreads><iothreadids><iothread id='7'/>"
         "</iothreadids>");
    BAD(MARK_LINE, ("no iothread 'iothread2'"),
        .mark = "<af-xdp:interface dev='veth0' iothread='2'/>",
        .memory = "<iothreads>2</iothreads><iothreadids><iothread id='7'/>"
        "</iothreadids>");

    BAD(MARK_LINE, ("no option 'queue_start'", "'queue-start'"),
        .mark = "<af-xdp:interface dev='veth0' queue_start='1'/>");
    BAD(MARK_LINE, ("no option 'iothreads'", "'iothread'"),
        .mark = "<af-xdp:interface dev='veth0' iothreads='1'/>");
    BAD(MARK_LINE, ("no option 'speed'", "--list-options"),
        .mark = "<af-xdp:interface dev='veth0' speed='1'/>");
    BAD(MARK_LINE, ("queues='two'", "a number"),
        .mark = "<af-xdp:interface dev='veth0' queues='two'/>");
    BAD(MARK_LINE, ("'queues=0'", "1 to 1024"),
        .mark = "<af-xdp:interface dev='veth0' queues='0'/>");
    BAD(MARK_LINE, ("queue-start=65535", "65536"),
        .mark = "<af-xdp:interface dev='veth0' queue-start='65535' "
        "queues='2'/>");
    BAD(MARK_LINE, ("mode='fast'", "'native' or 'skb'"),
        .mark = "<af-xdp:interface dev='veth0' mode='fast'/>");
    BAD(MARK_LINE, ("zero-copy='maybe'", "'auto'"),
        .mark = "<af-xdp:interface dev='veth0' zero-copy='maybe'/>");
    BAD(MARK_LINE, ("zero-copy-limit='lots'", "bytes"),
        .mark = "<af-xdp:interface dev='veth0' zero-copy-limit='lots'/>");
    BAD(MARK_LINE, ("zero-copy-limit='18446744073709551615K'"),
        .mark = "<af-xdp:interface dev='veth0' "
        "zero-copy-limit='18446744073709551615K'/>");
    BAD(MARK_LINE, ("'map-path' needs 'inhibit=on'"),
        .mark = "<af-xdp:interface dev='veth0' map-path='/x'/>");
    BAD(MARK_LINE, ("'zero-copy=on' does not go with 'vhost=off'"),
        .mark = "<af-xdp:interface dev='veth0' zero-copy='on' vhost='off'/>");
    BAD(MARK_LINE, ("'queue-start' and 'start-queue'"),
        .mark = "<af-xdp:interface dev='veth0' queue-start='1' "
        "start-queue='1'/>");
    BAD(MARK_LINE, ("no iothread 'iothread3'", "<iothreads>"),
        .mark = "<af-xdp:interface dev='veth0' iothread='3'/>",
        .memory = "<iothreads>2</iothreads>");
    BAD(MARK_LINE, ("no iothread '1x'"),
        .mark = "<af-xdp:interface dev='veth0' iothread='1x'/>",
        .memory = "<iothreads>2</iothreads>");
    BAD(MARK_LINE, ("hotplug='maybe'"),
        .mark = "<af-xdp:interface dev='veth0' hotplug='maybe'/>");
}

static void test_kept(void)
{
    GOOD(("\"driver\":\"virtio-net-pci\",", "\"mac\":\"52:54:00:12:34:56\"",
          "\"netdev\":\"hostua-"));
    GOOD(("\"virtio-net-pci-non-transitional\""),
         .model = "<model type='virtio-non-transitional'/>");
    GOOD(("\"driver\":\"e1000e\""), .model = "<model type='e1000e'/>");
    GOOD(("\"host_mtu\":9000"), .inner = "<mtu size='9000'/>");
    GOOD(("\"bootindex\":3"), .inner = "<boot order='3'/>");
    GOOD(("\"rombar\":0,\"romfile\":\"/x,y\""),
         .inner = "<rom bar='off' file='/x,y'/>");
    GOOD(("\"romfile\":\"\""), .inner = "<rom enabled='no'/>");
    GOOD(("\"acpi-index\":7"), .inner = "<acpi index='7'/>");
    GOOD(("queues=4", "\"mq\":true,\"vectors\":10"),
         .inner = "<driver queues='4'/>");
    GOOD(("queues=4", "\"mq\":true,\"vectors\":10"),
         .inner = "<driver queues='4'/>",
         .mark = "<af-xdp:interface dev='veth0' queues='4'/>");
    GOOD(("\"ioeventfd\":true,\"event_idx\":false,\"rx_queue_size\":1024,"
          "\"tx_queue_size\":256,\"rss\":true,\"hash\":false,"
          "\"iommu_platform\":true,\"ats\":true,\"packed\":true,"
          "\"page-per-vq\":true"),
         .inner = "<driver ioeventfd='on' event_idx='off' "
         "rx_queue_size='1024' tx_queue_size='256' rss='on' "
         "rss_hash_report='off' iommu='on' ats='on' packed='on' "
         "page_per_vq='on'/>");
    GOOD(("\"csum\":false,\"gso\":false,\"host_tso4\":false,"
          "\"host_tso6\":false,\"host_ecn\":false,\"host_ufo\":false,"
          "\"mrg_rxbuf\":true,\"guest_csum\":false,\"guest_tso4\":false,"
          "\"guest_tso6\":false,\"guest_ecn\":false,\"guest_ufo\":false"),
         .inner = "<driver><host csum='off' gso='off' tso4='off' tso6='off' "
         "ecn='off' ufo='off' mrg_rxbuf='on'/><guest csum='off' tso4='off' "
         "tso6='off' ecn='off' ufo='off'/></driver>");
    GOOD(("\"tx\":\"timer\"", "vhost=off"),
         .inner = "<driver name='qemu' txmode='timer'/>");
    GOOD(("vhost=on"), .inner = "<driver name='vhost'/>");
    GOOD(("vhost=on"), .inner = "<driver name='vhost'/>",
         .mark = "<af-xdp:interface dev='veth0' vhost='yes'/>");
    GOOD(("\"id\":\"ua-"), .inner = "<link state='up'/><alias name='net0'/>");
    GOOD(("\"bootindex\":2"), .os = "<boot dev='hd'/><boot dev='network'/>");
}

static void test_not_kept(void)
{
    static const char *const refused[] = {
        "backend", "bandwidth", "coalesce", "downscript", "filterref", "guest",
        "ip", "port", "portForward", "route", "script", "teaming", "tune",
        "virtualport", "vlan", "future",
    };

    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        g_autofree char *element = g_strdup_printf("<%s/>", refused[i]);

        BAD(16, ("cannot be kept", "Remove it", refused[i]),
            .inner = element);
    }
    BAD(16, ("state='up'", "set_link"), .inner = "<link state='down'/>");
    BAD(16, ("'speed'", "<driver>"), .inner = "<driver speed='1'/>");
    BAD(16, ("<host>", "'speed'"),
        .inner = "<driver><host speed='1'/></driver>");
    BAD(16, ("<other>", "<driver>"), .inner = "<driver><other/></driver>");
    BAD(16, ("packed='maybe'"), .inner = "<driver packed='maybe'/>");
    BAD(16, ("rx_queue_size='many'"),
        .inner = "<driver rx_queue_size='many'/>");
    BAD(16, ("'vhost' nor 'qemu'"), .inner = "<driver name='fast'/>");
    BAD(16, ("contradicts vhost='off'", "line 5"),
        .mark = "<af-xdp:interface dev='veth0' vhost='off'/>",
        .inner = "<driver name='vhost'/>");
    BAD(16, ("txmode='fast'"), .inner = "<driver txmode='fast'/>");
    BAD(INTERFACE_LINE, ("queues='4'", "contradicts queues='2'"),
        .mark = "<af-xdp:interface dev='veth0' queues='2'/>",
        .inner = "<driver queues='4'/>");
    BAD(INTERFACE_LINE, ("iommu='on'", "vhost='on'"),
        .mark = "<af-xdp:interface dev='veth0' vhost='on'/>",
        .inner = "<driver iommu='on'/>");
    BAD(16, ("virtio models", "'e1000e'"),
        .model = "<model type='e1000e'/>", .inner = "<driver packed='on'/>");
    BAD(16, ("'e1000e'", "MTU"),
        .model = "<model type='e1000e'/>", .inner = "<mtu size='9000'/>");
    BAD(MARK_LINE, ("zero-copy='on'", "'e1000e'"),
        .mark = "<af-xdp:interface dev='veth0' zero-copy='on'/>",
        .model = "<model type='e1000e'/>");
    BAD(15, ("'spapr-vlan'", "virtio-non-transitional"),
        .model = "<model type='spapr-vlan'/>");
    BAD(INTERFACE_LINE, ("no model", "<model type='virtio'/>"), .model = "");
    BAD(INTERFACE_LINE, ("no MAC address"), .mac = "");
    BAD(14, ("no MAC address", "52:54:00:12:34"),
        .mac = "<mac address='52:54:00:12:34'/>");
    BAD(14, ("multicast"), .mac = "<mac address='53:54:00:12:34:56'/>");
    BAD(INTERFACE_LINE, ("which one of the host's", "<target dev="),
        .mark = "<af-xdp:interface mac='52:54:00:12:34:56'/>", .target = "");
    BAD(MARK_LINE, ("too long"), .mark = "<af-xdp:interface dev='veth0' "
        "ifname='a-name-of-sixteen'/>");
    BAD(13, ("'mode'", "<target>"),
        .target = "<target dev='veth0' mode='x'/>");
    BAD(INTERFACE_LINE, ("trustGuestRxFilters"),
        .interface = "type='ethernet' trustGuestRxFilters='yes'");
    BAD(INTERFACE_LINE, ("'future'"),
        .interface = "type='ethernet' future='yes'");
    BAD(16, ("a second <model>"), .model = "",
        .inner = "<model type='virtio'/><model type='virtio'/>");
    BAD(16, ("<ip>", "<source>"), .inner = "<source><ip/></source>");
    BAD(16, ("alias 'ua-a,b'"), .inner = "<alias name='ua-a,b'/>");
    BAD(16, ("order='0'"), .inner = "<boot order='0'/>");
    BAD(16, ("contradicts"), .inner = "<rom enabled='no' file='/x'/>");
}

static void test_pci(void)
{
    static const char port[] =
        "<controller type='pci' index='0' model='pcie-root'/>"
        "<controller type='pci' index='4' model='pcie-root-port'/>";
    static const char address[] =
        "<address type='pci' domain='0x0000' bus='0x04' slot='0x00' "
        "function='0x0'/>";
    g_autofree char *text = NULL;
#define FUNCTION(n) "<video><address type='pci' bus='0' slot='0x1f' " \
    "function='" n "'/></video>"

    /* On a port of its own, whose slot must look taken */
    GOOD(("\"bus\":\"pci.4\",\"addr\":\"0x0\",\"multifunction\":true}'",
          "<controller type='pci' index='5' model='pcie-switch-upstream-port'>"
          "<address type='pci' domain='0x0000' bus='0x04' slot='0x00' "
          "function='0x7'/></controller>"),
         .before = port, .inner = address);
    GOOD(("\"bus\":\"ua-mine\",\"addr\":\"0x0\""), .inner = address,
         .before = "<controller type='pci' index='4' model='pcie-root-port'>"
         "<alias name='ua-mine'/></controller>");
    /* An index of a bus that libvirt has yet to make */
    GOOD(("<controller type='pci' index='7' model='pcie-switch-upstream-port"),
         .before = port, .inner = address,
         .after = "<video><address type='pci' bus='0x06' slot='0x00' "
         "function='0x0'/></video>");
    /* It is taken already. */
    GOOD(("\"bus\":\"pci.4\",\"addr\":\"0x0\",\"multifunction\":true}'"),
         .before = port, .inner = address,
         .after = "<video><address type='pci' bus='0x04' slot='0x00' "
         "function='0x1'/></video>");
    GOOD(("\"bus\":\"pci.4\",\"addr\":\"0x0\"}'"),
         .before = port, .inner = address,
         .mark = "<af-xdp:interface dev='veth0' hotplug='on'/>");

    /* Without address: beside the chipset */
    GOOD(("\"bus\":\"pcie.0\",\"addr\":\"0x1f.0x4\"}'",
          "slot='0x1f' function='0x4'/>"));
    GOOD(("\"bus\":\"pcie.0\",\"addr\":\"0x1f.0x5\"}'"),
         .after = FUNCTION("4"));
    GOOD(("\"bus\":\"pcie.0\",\"addr\":\"0x1f.0x4\"}'"),
         .inner = "<address type='pci'/>");
    GOOD(("\"bus\":\"pci.0\",\"addr\":\"0x1.0x4\"}'"),
         .before = "<controller type='pci' index='0' model='pci-root'/>");
    GOOD(("\"bus\":\"pcie.0\",\"addr\":\"0x10.0x1\",\"multifunction\":true"),
         .inner = "<address type='pci' bus='0' slot='0x10' function='1' "
         "multifunction='on'/>");

    BAD(INTERFACE_LINE, ("no function left", "dumpxml"),
        .after = FUNCTION("4") FUNCTION("5") FUNCTION("6") FUNCTION("7"));
    text = domain(&(Parts) { .mac = NULL });
    memcpy(strstr(text, "x86_64' machine='q35'"), "ppc64' machine='virt'",
           strlen("ppc64' machine='virt'"));
    bad_text(text, INTERFACE_LINE, "only PCs");
    BAD(16, ("also that of <video> in line 18", "another address"),
        .before = port, .inner = address,
        .after = "<video><address type='pci' domain='0x0000' bus='0x04' "
        "slot='0x00' function='0x0'/></video>");
    BAD(16, ("no <controller type='pci' index='4'>"), .inner = address);
    BAD(16, ("type 'ccw'"), .inner = "<address type='ccw'/>");
    BAD(16, ("slot='0x20'"),
        .inner = "<address type='pci' bus='0' slot='0x20'/>");
    BAD(16, ("domain 0"), .inner = "<address type='pci' domain='1' slot='3'/>");
    BAD(16, ("<zpci>"), .inner = "<address type='pci'><zpci/></address>");
    BAD(MARK_LINE, ("hotplug='on'", "to itself", "pcie-root-port"),
        .mark = "<af-xdp:interface dev='veth0' hotplug='on'/>");
    BAD(MARK_LINE, ("hotplug='on'", "the other device"),
        .mark = "<af-xdp:interface dev='veth0' hotplug='on'/>",
        .before = port, .inner = address,
        .after = "<video><address type='pci' bus='0x04' slot='0x00' "
        "function='0x1'/></video>");
#undef FUNCTION
}

static void test_memory(void)
{
    static const char mark[] = "<af-xdp:interface dev='veth0' "
                               "zero-copy='on'/>";

    GOOD(("<source type='memfd'/>", "<access mode='shared'/>", "<locked/>"),
         .mark = mark);
    GOOD(("<hugepages/>\n", "<access mode='shared'/>"), .mark = mark,
         .memory = "<memoryBacking><hugepages/>\n</memoryBacking>");
    GOOD(("<memtune>"), .mark = mark,
         .memory = "<memtune><hard_limit unit='GiB'>1</hard_limit></memtune>"
         "<memoryBacking><source type='memfd'/><access mode='shared'/>"
         "</memoryBacking>");

    BAD(8, ("anonymous", "memfd"), .mark = mark,
        .memory = "<memoryBacking><source type='anonymous'/></memoryBacking>");
    BAD(8, ("shared memory", "line 5"), .mark = mark,
        .memory = "<memoryBacking><access mode='private'/></memoryBacking>");
    BAD(8, ("NUMA"), .mark = mark,
        .memory = "<cpu><numa><cell memAccess='private'/></numa></cpu>");
    BAD(8, ("512 MiB", "528 MiB"), .mark = mark,
        .memory = "<memtune><hard_limit unit='MiB'>512</hard_limit>"
        "</memtune>");
    BAD(8, ("'12 parsec'"), .mark = mark,
        .memory = "<memtune><hard_limit unit='parsec'>12</hard_limit>"
        "</memtune>");
    BAD(18, ("virtio-mem"), .mark = mark,
        .after = "<memory model='virtio-mem'/>");
}

/* What two interfaces cannot share */
static void test_together(void)
{
#define SECOND(more) "<interface type='ethernet'>" \
    "<mac address='52:54:00:12:34:57'/><model type='virtio'/>" more \
    "</interface>"
    static const char veth1[] = SECOND("<target dev='veth1'/>");
    static const char also[] = SECOND("<target dev='veth1'/>"
                                      "<boot order='1'/>");

#define TWO(a, b) "<af-xdp:interface dev='veth0'" a "/>" \
                  "<af-xdp:interface dev='veth1'" b "/>"
    GOOD(("ifname=veth0", "ifname=veth1"), .mark = TWO("", ""),
         .after = veth1);
    GOOD(("ifname=nic,queue-start=1,", "ifname=nic,queue-start=2,"),
         .after = veth1,
         .mark = TWO(" ifname='nic' inhibit='on' map-path='/m' "
                     "map-start-index='1' queue-start='1'",
                     " ifname='nic' inhibit='on' map-path='/m' "
                     "map-start-index='2' queue-start='2'"));

    BAD(MARK_LINE, ("queue 1 of 'nic'"), .after = veth1,
        .mark = TWO(" ifname='nic' queues='2'",
                    " ifname='nic' queue-start='1'"));
    BAD(MARK_LINE, ("attach a program to 'nic'", "map-path="), .after = veth1,
        .mark = TWO(" ifname='nic'", " ifname='nic' queue-start='1'"));
    BAD(MARK_LINE, ("index 4 of the map '/m'"), .after = veth1,
        .mark = TWO(" inhibit='on' map-path='/m' map-start-index='3' "
                    "queues='2'",
                    " inhibit='on' map-path='/m' map-start-index='4'"));
    BAD(MARK_LINE, ("the socket '7'"), .after = veth1,
        .mark = TWO(" inhibit='on' sock-fds='7'",
                    " inhibit='on' sock-fds='7'"));
    BAD(18, ("boot order 1", "line 12"), .after = also,
        .inner = "<boot order='1'/>");
    BAD(18, ("boot order 1"), .inner = "<boot order='1'/>",
        .after = "<disk><boot order='1'/></disk>");
    BAD(18, ("without mark", "'veth0'"),
        .mark = "<af-xdp:interface mac='52:54:00:12:34:56'/>",
        .after = SECOND("<target dev='veth0'/>"));
    BAD(18, ("alias 'ua-lan'"), .inner = "<alias name='ua-lan'/>",
        .after = "<disk><alias name='ua-lan'/></disk>");
    BAD(9, ("line 18 after the conversion", "<boot order='N'/>"),
        .os = "<boot dev='network'/>", .after = veth1);
    BAD(9, ("which that was", "<boot order='N'/>"), .after = veth1,
        .os = "<boot dev='network'/>", .mark = TWO("", ""));
    BAD(9, ("which that was"), .after = veth1, .os = "<boot dev='network'/>",
        .mark = "<af-xdp:interface dev='veth1'/>"
        "<af-xdp:interface dev='veth0'/>");
    /* libvirt would number the disk itself. */
    BAD(INTERFACE_LINE, ("no device but this interface", "into a disk"),
        .inner = "<boot order='1'/>", .after = "<disk type='file'/>");
    BAD(INTERFACE_LINE, ("no device but this interface"),
        .inner = "<boot order='1'/>", .after = "<disk type='file'/>",
        .os = "<boot dev='hd'/>");
    GOOD(("\"bootindex\":1"), .inner = "<boot order='1'/>",
         .after = "<disk><boot order='2'/></disk>");
    BAD(20, ("'ua-lan'"), .inner = "<alias name='ua-lan'/>",
        .domain = "type='kvm' "
        "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'",
        .end = "<q:commandline><q:arg value='-device'/>"
        "<q:arg value='virtio-rng-pci,id=ua-lan'/></q:commandline>");
#undef SECOND
#undef TWO
}

/* Arguments that are there already */
static void test_commandline(void)
{
    static const char uri[] =
        "type='kvm' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'";

    GOOD(("<q:arg value='-netdev'/>", "value='-S'/>"), .domain = uri,
         .end = "<q:commandline><q:arg value='-S'/></q:commandline>");
    GOOD(("<q:commandline>"), .domain = uri);
    GOOD(("<q:commandline>", "</q:commandline>"), .domain = uri,
         .end = "<q:commandline/>");
    GOOD(("<k:arg value='-netdev'/>"),
         .end = "<k:commandline xmlns:k='http://libvirt.org/schemas/domain/"
         "qemu/1.0'/>");
    GOOD(("xmlns:qemu='http://libvirt.org"));
    BAD(20, ("has no prefix", "<qemu:commandline>"),
        .end = "<commandline xmlns='http://libvirt.org/schemas/domain/"
        "qemu/1.0'/>");
    BAD(1, ("'qemu' stands for something else"),
        .domain = "type='kvm' xmlns:qemu='urn:x'");
    BAD(20, ("prefix has no namespace"), .end = "<q:commandline/>");
}

/* What others have written stays, and is pointed out. */
static void test_foreign(void)
{
    g_autofree char *text = domain(&(Parts) {
        .end = "<k:commandline xmlns:k='http://libvirt.org/schemas/domain/"
        "qemu/1.0'><k:arg value='-netdev'/><k:arg value='af-xdp,id=a,"
        "ifname=b'/></k:commandline>",
    });
    g_autoptr(Report) report = report_new();
    g_autofree char *out = convert(text, report, NULL);
    const Message *warning;

    g_assert_nonnull(out);
    g_assert_nonnull(strstr(out, "value='af-xdp,id=a,ifname=b'"));
    g_assert_cmpuint(report->warnings->len, ==, 1);
    warning = g_ptr_array_index(report->warnings, 0);
    g_assert_cmpint(warning->line, ==, 20);
}

/* A mark that is changed later has its arguments made anew. */
static void test_changed(void)
{
    g_autofree char *out = good(&(Parts) {
        .inner = "<mtu size='9000'/><alias name='ua-lan'/>",
    }, LIST(("\"host_mtu\":9000")));
    g_auto(GStrv) parts = g_strsplit(out, "dev='veth0'>", 2);
    g_autofree char *changed = g_strjoinv("dev='veth0' queues='2'>", parts);
    g_autofree char *again = convert(changed, NULL, NULL);
    const char *netdev = strstr(again, "af-xdp,id=");

    g_assert_nonnull(strstr(again, ",queues=2"));
    g_assert_nonnull(strstr(again, "\"mq\":true,\"vectors\":6"));
    g_assert_null(strstr(netdev + 1, "af-xdp,id="));
}

/* @out with its first @old replaced, converted again */
static char *change(const char *out, const char *old, const char *new,
                    GError **errp)
{
    g_auto(GStrv) parts = g_strsplit(out, old, 2);
    g_autofree char *changed = g_strjoinv(new, parts);

    g_assert_nonnull(parts[1]);
    return convert(changed, NULL, errp);
}

/* Names that change must not leave the old arguments beside the new ones. */
static void test_renamed(void)
{
    static const struct {
        const char *inner, *old, *new, *want;
    } cases[] = {
        { "", "dev='veth0'>", "dev='veth0' queue-start='4'>",
          "id=hostua-af-xdp-veth0-q4,ifname=veth0,queue-start=4'" },
        { "", "dev='veth0'>", "dev='veth0' ifname='nic9'>", "ifname=nic9'" },
        { "<alias name='ua-lan'/>", "name='ua-lan'", "name='ua-wan'",
          "id=hostua-wan," },
        { "", "<model type='virtio'/>",
          "<model type='virtio'/><alias name='ua-new'/>", "id=hostua-new," },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *out = good(&(Parts) { .inner = cases[i].inner },
                                    LIST(("ifname=veth0")));
        g_autofree char *again = NULL;
        g_autofree char *third = NULL;
        g_autoptr(GError) err = NULL;
        const char *netdev;

        if (!strstr(out, cases[i].old)) {
            g_error("'%s' is missing in: %s", cases[i].old, out);
        }
        again = change(out, cases[i].old, cases[i].new, &err);
        g_assert_no_error(err);
        if (!strstr(again, cases[i].want)) {
            g_error("'%s' is missing in: %s", cases[i].want, again);
        }
        netdev = strstr(again, "'-netdev'");
        g_assert_nonnull(netdev);
        g_assert_null(strstr(netdev + 1, "'-netdev'"));
        g_assert_null(strstr(strstr(again, "'-device'") + 1, "'-device'"));
        third = convert(again, NULL, &err);
        g_assert_no_error(err);
        g_assert_cmpstr(again, ==, third);
    }
}

/* Arguments whose mark cannot be found any more */
static void test_left(void)
{
    g_autofree char *out = good(&(Parts) { .inner = "<alias name='ua-lan'/>" },
                                LIST(("id=hostua-lan")));
    g_auto(GStrv) begin = g_strsplit(out, "<metadata>", 2);
    g_auto(GStrv) end = g_strsplit(out, "</metadata>", 2);
    g_autofree char *bare = g_strconcat(begin[0], end[1], NULL);
    g_auto(GStrv) macs = g_strsplit(out, "12:34:56", 2);
    g_autofree char *other = g_strjoinv("12:34:99", macs);
    g_autoptr(GError) err = NULL;
    g_autofree char *again = convert(bare, NULL, &err);
    g_autofree char *third = NULL;

    g_assert_null(again);
    g_assert_nonnull(strstr(err->message, "a mark that is gone"));
    g_clear_error(&err);
    third = change(other, "ua-lan", "ua-wan", &err);
    g_assert_null(third);
    g_assert_nonnull(strstr(err->message, "a mark that is gone"));
}

/* So has an interface that is changed where it is kept. */
static void test_changed_inside(void)
{
    g_autofree char *out = good(&(Parts) { .inner = "<mtu size='9000'/>" },
                                LIST(("\"host_mtu\":9000",
                                      "\"addr\":\"0x1f.0x4\"")));
    g_auto(GStrv) parts = g_strsplit(out, "<mtu size='9000'/>", 2);
    g_autofree char *changed = g_strjoinv("<mtu size='4000'/>", parts);
    char *address = strstr(changed, "<address type='pci' ");
    g_autofree char *again = NULL;
    g_autofree char *third = NULL;

    /* One that asks for an address without giving one */
    memset(address + strlen("<address type='pci'"), ' ',
           strcspn(address, "/") - strlen("<address type='pci'"));
    again = convert(changed, NULL, NULL);
    g_assert_nonnull(again);
    g_assert_nonnull(strstr(again, "\"host_mtu\":4000"));
    g_assert_nonnull(strstr(again, "\"addr\":\"0x1f.0x4\""));
    g_assert_nonnull(strstr(again, "slot='0x1f' function='0x4'"));
    third = convert(again, NULL, NULL);
    g_assert_cmpstr(again, ==, third);
}

/* The converted interface must not come back beside the one in its mark. */
static void test_twice(void)
{
    g_autofree char *out = good(&(Parts) { .mac = NULL },
                                LIST(("ifname=veth0")));
    g_auto(GStrv) parts = g_strsplit(out, "</devices>", 2);
    g_autofree char *both = g_strjoinv(
        "<interface type='ethernet'><target dev='veth0'/></interface>"
        "</devices>", parts);
    g_autoptr(GError) err = NULL;
    g_autofree char *again = convert(both, NULL, &err);

    g_assert_null(again);
    g_assert_nonnull(strstr(err->message, "also kept in the mark"));
}

/* Whatever is cut off or overwritten: refused, or a document that stays. */
static void test_damaged(void)
{
    g_autofree char *text = domain(&(Parts) {
        .mark = "<af-xdp:interface dev='veth0' queues='2' zero-copy='on'/>",
        .inner = "<driver packed='on'><host csum='off'/></driver>",
        .os = "<!-- <a> --><![CDATA[ ]]>",
    });
    size_t len = strlen(text);

    for (size_t i = 0; i + 2 < len; i++) {
        g_autofree char *cut = g_strndup(text, i);
        g_autofree char *out = convert(cut, NULL, NULL);

        g_assert_null(out);
    }
    for (int i = 0; i < 3000; i++) {
        g_autofree char *broken = g_strdup(text);
        g_autofree char *out = NULL;
        g_autofree char *again = NULL;

        for (int n = g_test_rand_int_range(1, 4); n > 0; n--) {
            static const char bytes[] = "<>/='\"\n &!-[]x0\x7f";

            broken[g_test_rand_int_range(0, len)] =
                bytes[g_test_rand_int_range(0, sizeof(bytes) - 1)];
        }
        out = convert(broken, NULL, NULL);
        if (out) {
            again = convert(out, NULL, NULL);
            g_assert_cmpstr(out, ==, again);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/domain/documents", test_documents);
    g_test_add_func("/af-xdp/domain/no-mark", test_no_mark);
    g_test_add_func("/af-xdp/domain/marks", test_marks);
    g_test_add_func("/af-xdp/domain/options", test_options);
    g_test_add_func("/af-xdp/domain/kept", test_kept);
    g_test_add_func("/af-xdp/domain/not-kept", test_not_kept);
    g_test_add_func("/af-xdp/domain/pci", test_pci);
    g_test_add_func("/af-xdp/domain/memory", test_memory);
    g_test_add_func("/af-xdp/domain/together", test_together);
    g_test_add_func("/af-xdp/domain/commandline", test_commandline);
    g_test_add_func("/af-xdp/domain/foreign", test_foreign);
    g_test_add_func("/af-xdp/domain/changed", test_changed);
    g_test_add_func("/af-xdp/domain/changed-inside", test_changed_inside);
    g_test_add_func("/af-xdp/domain/renamed", test_renamed);
    g_test_add_func("/af-xdp/domain/left", test_left);
    g_test_add_func("/af-xdp/domain/twice", test_twice);
    g_test_add_func("/af-xdp/domain/damaged", test_damaged);
    return g_test_run();
}
