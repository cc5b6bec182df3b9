/*
 * Unit tests: the AF_XDP domain filter as KubeVirt's hook
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "convert.h"
#include "kubevirt.h"

/* As virt-launcher writes it: in one line. */
#define DOMAIN(interfaces) \
    "<domain type=\"kvm\" xmlns:qemu=\"http://libvirt.org/schemas/domain/" \
    "qemu/1.0\"><name>default_vm1</name><memory unit=\"b\">1073741824" \
    "</memory><os><type arch=\"x86_64\" machine=\"q35\">hvm</type></os>" \
    "<devices>" interfaces "<controller type=\"usb\" index=\"0\" " \
    "model=\"none\"></controller></devices></domain>"

#define VMI(annotation, interface, more) \
    "{\"metadata\": {\"name\": \"vm1\", \"annotations\": {" annotation "}}, " \
    "\"spec\": {\"domain\": {\"devices\": {\"interfaces\": [" interface "]" \
    more "}, \"cpu\": {\"cores\": 4}}, \"networks\": [" \
    "{\"name\": \"blue\", \"multus\": {\"networkName\": \"blue-net\"}}, " \
    "{\"name\": \"default\", \"pod\": {}}]}}"

#define BLUE "\"name\": \"blue\", \"binding\": {\"name\": \"af-xdp\"}"
#define MAC ", \"macAddress\": \"02:00:00:00:00:01\""
#define SETTINGS(json) "\"" KUBEVIRT_ANNOTATION "\": \"" json "\""

static char *hook(const char *domain, const char *vmi, const char *sysfs,
                  GError **errp)
{
    g_autoptr(Report) report = report_new();
    g_autofree char *marked = kubevirt_mark(domain, vmi, sysfs, report, errp);
    gsize len;

    return marked ? domain_convert(marked, strlen(marked), &len, report,
                                   errp) : NULL;
}

static void good(const char *domain, const char *vmi, const char *sysfs,
                 const char *const *words)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *out = hook(domain, vmi, sysfs, &err);
    g_autofree char *again = NULL;

    g_assert_no_error(err);
    for (; *words; words++) {
        if (!strstr(out, *words)) {
            g_error("'%s' is missing in: %s", *words, out);
        }
    }
    /* KubeVirt may run it on what came out before. */
    again = hook(out, vmi, sysfs, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(out, ==, again);
}

static void bad(const char *domain, const char *vmi, const char *word)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *out = hook(domain, vmi, "/nonexistent", &err);

    g_assert_null(out);
    g_assert_nonnull(err);
    g_test_message("%s", err->message);
    if (!strstr(err->message, word)) {
        g_error("'%s' is missing in: %s", word, err->message);
    }
}

#define WORDS(...) __VA_ARGS__
#define GOOD(domain, vmi, words) \
    good(domain, vmi, "/nonexistent", (const char *const[]) { WORDS words, \
                                                              NULL })

/* From KubeVirt's documentation of network names */
static void test_names(void)
{
    g_autofree char *name = kubevirt_ifname("blue");

    g_assert_cmpstr(name, ==, "pod16477688c0e");
}

/* A plugin with a sidecar alone: the domain has no interface of it. */
static void test_added(void)
{
    g_auto(GStrv) parts = g_strsplit(
        VMI("", "{" BLUE MAC "}", ", \"networkInterfaceMultiqueue\": true"),
        "\"cores\": 4", 2);
    g_autofree char *many = g_strjoinv("\"cores\": 64, \"sockets\": 8", parts);

    GOOD(DOMAIN(""), VMI("", "{" BLUE MAC "}", ""),
         ("id=hostua-blue,ifname=pod16477688c0e'",
          "\"mac\":\"02:00:00:00:00:01\"",
          "\"virtio-net-pci-non-transitional\"", "\"romfile\":\"\"",
          "\"addr\":\"0x1f.0x4\""));
    GOOD(DOMAIN(""), VMI("", "{" BLUE MAC ", \"bootOrder\": 1, "
                         "\"acpiIndex\": 9, \"model\": \"e1000e\"}", ""),
         ("\"bootindex\":1", "\"acpi-index\":9", "\"e1000e\""));
    GOOD(DOMAIN(""), VMI("", "{" BLUE MAC "}",
                         ", \"networkInterfaceMultiqueue\": true"),
         ("queues=4", "\"mq\":true,\"vectors\":10"));
    GOOD(DOMAIN(""), many, ("queues=256"));
    GOOD(DOMAIN("<controller type='pci' index='0' model='pcie-root'/>"
                "<controller type='pci' index='3' model='pcie-root-port'/>"),
         VMI("", "{" BLUE MAC ", \"pciAddress\": \"0000:03:00.0\"}", ""),
         ("\"bus\":\"pci.3\",\"addr\":\"0x0\""));
    GOOD(DOMAIN(""), VMI("", "{\"name\": \"default\", \"binding\": "
                         "{\"name\": \"af-xdp\"}" MAC "}", ""),
         ("ifname=eth0'"));
}

/* Only an argument shows that it was done, not any text. */
static void test_done(void)
{
    GOOD("<domain type='kvm'><name>id=hostua-blue,</name><os><type "
         "machine='q35'>hvm</type></os><devices/></domain>",
         VMI("", "{" BLUE MAC "}", ""), ("ifname=pod16477688c0e'"));
    /* Two for an element that was empty */
    GOOD("<domain type='kvm'><name>vm1</name><os><type machine='q35'>hvm"
         "</type></os><devices/></domain>",
         VMI("", "{" BLUE MAC "}, {\"name\": \"default\", \"binding\": "
             "{\"name\": \"af-xdp\"}, \"macAddress\": "
             "\"02:00:00:00:00:09\"}", ""),
         ("ifname=pod16477688c0e'", "ifname=eth0'"));
}

/* The annotation has the options; it also names interfaces by itself. */
static void test_annotation(void)
{
    GOOD(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"queue-start\\\": 15, "
                                  "\\\"queues\\\": \\\"2\\\", "
                                  "\\\"zero-copy\\\": true}}"),
                         "{" BLUE MAC "}",
                         ", \"networkInterfaceMultiqueue\": true"),
         ("queues=2,queue-start=15,zero-copy=on", "<access mode='shared'/>"));
    GOOD(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"ifname\\\": "
                                  "\\\"nk0\\\"}}"),
                         "{\"name\": \"blue\"" MAC "}", ""),
         ("ifname=nk0'"));
}

/* A plugin with domainAttachmentType: the domain has an interface for it. */
static void test_present(void)
{
    GOOD(DOMAIN("<interface type=\"ethernet\"><source></source>"
                "<target dev=\"pod16477688c0e\" managed=\"no\"></target>"
                "<model type=\"virtio-non-transitional\"></model>"
                "<mac address=\"02:00:00:00:00:02\"></mac>"
                "<mtu size=\"1450\"></mtu><alias name=\"ua-blue\"></alias>"
                "<rom enabled=\"no\"></rom></interface>"),
         VMI("", "{" BLUE "}", ""),
         ("ifname=pod16477688c0e'", "\"mac\":\"02:00:00:00:00:02\"",
          "\"host_mtu\":1450"));
    /* The annotation counts, not what a tap would have had. */
    GOOD(DOMAIN("<interface type=\"ethernet\">"
                "<target dev=\"pod16477688c0e\" managed=\"no\"></target>"
                "<model type=\"virtio-non-transitional\"></model>"
                "<mac address=\"02:00:00:00:00:02\"></mac>"
                "<driver name=\"vhost\" queues=\"4\" packed=\"on\"></driver>"
                "<alias name=\"ua-blue\"></alias></interface>"),
         VMI(SETTINGS("{\\\"blue\\\": {\\\"queues\\\": 2, "
                      "\\\"vhost\\\": false}}"), "{" BLUE "}", ""),
         ("queues=2,vhost=off'", "\"packed\":true"));
    /* A tap beside the pod's interface is not used. */
    GOOD(DOMAIN("<interface type=\"ethernet\">"
                "<target dev=\"tap16477688c0e\" managed=\"no\"></target>"
                "<model type=\"virtio-non-transitional\"></model>"
                "<mac address=\"02:00:00:00:00:02\"></mac>"
                "<alias name=\"ua-blue\"></alias></interface>"),
         VMI("", "{" BLUE "}", ""), ("ifname=pod16477688c0e'"));
}

/* Without macAddress the address is that of the pod's interface. */
static void test_mac(void)
{
    g_autofree char *sysfs = g_dir_make_tmp("af-xdp-XXXXXX", NULL);
    g_autofree char *class = g_build_filename(sysfs, "class", NULL);
    g_autofree char *net = g_build_filename(class, "net", NULL);
    g_autofree char *dir = g_build_filename(net, "pod16477688c0e", NULL);
    g_autofree char *file = g_build_filename(dir, "address", NULL);
    const char *words[] = { "\"mac\":\"02:11:22:33:44:55\"", NULL };

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, "02:11:22:33:44:55\n", -1, NULL));
    good(DOMAIN(""), VMI("", "{" BLUE "}", ""), sysfs, words);
    unlink(file);
    rmdir(dir);
    rmdir(net);
    rmdir(class);
    g_assert_cmpint(rmdir(sysfs), ==, 0);
    bad(DOMAIN(""), VMI("", "{" BLUE "}", ""), "macAddress");
}

/* A VMI that is not for us passes through, byte for byte. */
static void test_others(void)
{
    static const char domain[] = DOMAIN("<interface type=\"bridge\">"
                                        "</interface>");
    g_autoptr(GError) err = NULL;
    g_autofree char *out = hook(domain, VMI("", "{\"name\": \"default\", "
                                            "\"masquerade\": {}}", ""),
                                "/nonexistent", &err);

    g_assert_no_error(err);
    g_assert_cmpstr(out, ==, domain);
}

static void test_bad(void)
{
    g_autofree char *deep = g_strnfill(100000, '[');

    bad(DOMAIN(""), "", "VMI is no JSON");
    bad(DOMAIN(""), "[]", "VMI is no JSON object");
    bad("<domain", "{}", "not well-formed");
    bad(DOMAIN(""), VMI(SETTINGS("{"), "{" BLUE MAC "}", ""), "annotation");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"red\\\": {}}"), "{" BLUE MAC "}", ""),
        "no interface 'red'");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": 1}"), "{" BLUE MAC "}", ""),
        "'blue' has no object");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"queue_start\\\": 1}}"),
                        "{" BLUE MAC "}", ""), "Write 'queue-start'");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"queues\\\": [1]}}"),
                        "{" BLUE MAC "}", ""), "neither text nor number");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"queues\\\": 0}}"),
                        "{" BLUE MAC "}", ""), "'queues=0'");
    bad(DOMAIN(""), VMI("\"" KUBEVIRT_ANNOTATION "\": {}", "{" BLUE MAC "}",
                        ""), "is no text");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"ifname\\\": 5}}"),
                        "{" BLUE MAC "}", ""), "no text");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"mac\\\": "
                                 "\\\"02:00:00:00:00:02\\\"}}"),
                        "{" BLUE MAC "}", ""), "macAddress of the VMI");
    bad(DOMAIN(""), VMI("", "{" BLUE MAC ", \"pciAddress\": \"3\"}", ""),
        "pciAddress '3'");
    bad(DOMAIN(""), VMI("", "{" BLUE MAC ", \"state\": \"down\"}", ""),
        "state='up'");
    bad(DOMAIN(""), VMI("", "{" BLUE MAC ", \"model\": \"ne2k\"}", ""),
        "'ne2k'");
    bad(DOMAIN(""), VMI(SETTINGS("{\\\"blue\\\": {\\\"map-path\\\": "
                                 "\\\"/a\\\\u0000b\\\", \\\"inhibit\\\": "
                                 "true}}"),
                        "{" BLUE MAC "}", ""), "NUL");
    bad(DOMAIN(""), deep, "levels deep");
    /* What KubeVirt does not send, but others might */
    bad(DOMAIN(""), VMI("", "{" BLUE ", \"macAddress\": \"x'/>\"}", ""),
        "no MAC address");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/domain-kubevirt/names", test_names);
    g_test_add_func("/af-xdp/domain-kubevirt/added", test_added);
    g_test_add_func("/af-xdp/domain-kubevirt/done", test_done);
    g_test_add_func("/af-xdp/domain-kubevirt/annotation", test_annotation);
    g_test_add_func("/af-xdp/domain-kubevirt/present", test_present);
    g_test_add_func("/af-xdp/domain-kubevirt/mac", test_mac);
    g_test_add_func("/af-xdp/domain-kubevirt/others", test_others);
    g_test_add_func("/af-xdp/domain-kubevirt/bad", test_bad);
    return g_test_run();
}
