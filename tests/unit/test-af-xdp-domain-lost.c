/*
 * Unit tests: the AF_XDP domain filter, what it must not drop in silence
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "convert.h"
#include "mark.h"

#define NS "xmlns:af-xdp='" MARK_NS "'"
#define MARK "<af-xdp:interface dev='veth0'/>"

/* A domain with @list in line 4, @inner in the interface, line 9, @end last */
static char *convert(const char *list, const char *inner, const char *end,
                     GError **errp)
{
    g_autofree char *text = g_strdup_printf(
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/"
        "qemu/1.0'>\n"
        "  <name>vm1</name>\n"
        "  <metadata>\n"
        "    <af-xdp:interfaces " NS ">%s</af-xdp:interfaces>\n"
        "  </metadata>\n"
        "  <os><type arch='x86_64' machine='q35'>hvm</type></os>\n"
        "  <devices>\n"
        "    <interface type='ethernet'><target dev='veth0'/>\n"
        "      <mac address='52:54:00:12:34:56'/><model type='virtio'/>%s\n"
        "    </interface>\n"
        "  </devices>\n"
        "  %s\n"                                                /* 12 */
        "</domain>\n", list, inner, end);
    g_autoptr(Report) report = report_new();
    gsize len;

    return domain_convert(text, strlen(text), &len, report, errp);
}

static void bad(const char *list, const char *inner, const char *end,
                int line, const char *word)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(list, inner, end, &err);

    g_assert_null(out);
    g_assert_nonnull(err);
    g_test_message("%d: %s", err->code, err->message);
    g_assert_cmpint(err->code, ==, line);
    if (!strstr(err->message, word)) {
        g_error("'%s' is missing in: %s", word, err->message);
    }
}

static void test_text(void)
{
    bad("<af-xdp:interface dev='veth0'>queues=2</af-xdp:interface>", "", "",
        4, "text in the mark");
    bad("<af-xdp:interface dev='veth0'><![CDATA[queues=2]]>"
        "</af-xdp:interface>", "", "", 4, "text in the mark");
    bad("dev=veth1 " MARK, "", "", 4, "text in the list");
}

static void test_stray_list(void)
{
    bad(MARK, "", "<x:interfaces xmlns:x='" MARK_NS "'><interface "
        "dev='veth3'/></x:interfaces>", 12, "no meaning here");
}

static void test_namespace(void)
{
    bad(MARK, "", "<x:interfaces xmlns:x='https://qemu.org/schemas/domain/"
        "af-xdp/1.0'/>", 12, "is not known");
    bad(MARK, "", "<x:interfaces xmlns:x='http://qemu.org/schemas/domain/"
        "af-xdp/1.1'/>", 12, "is not known");
}

static void test_second(void)
{
    bad(MARK, "", "<devices><interface type='ethernet'><target dev='veth0'/>"
        "</interface></devices>", 12, "a second <devices>");
    bad(MARK, "", "<qemu:commandline/><qemu:commandline/>", 12,
        "a second <commandline>");
}

static void test_override(void)
{
#define OVERRIDE(alias) "<qemu:override><qemu:device alias='" alias "'/>" \
                        "</qemu:override>"
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert(MARK, "", OVERRIDE("ua-disk"), &err);

    g_assert_no_error(err);
    g_assert_nonnull(strstr(out, OVERRIDE("ua-disk")));
    bad(MARK, "<alias name='ua-lan'/>", OVERRIDE("ua-lan"), 12, "'ua-lan'");
#undef OVERRIDE
}

static void test_comment(void)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *out = convert("", "<af-xdp:interface " NS "><!-- kept -->"
                                   "</af-xdp:interface>", "", &err);

    g_assert_no_error(err);
    g_assert_nonnull(strstr(out, "<!-- kept -->"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/domain-lost/text", test_text);
    g_test_add_func("/af-xdp/domain-lost/stray-list", test_stray_list);
    g_test_add_func("/af-xdp/domain-lost/namespace", test_namespace);
    g_test_add_func("/af-xdp/domain-lost/second", test_second);
    g_test_add_func("/af-xdp/domain-lost/override", test_override);
    g_test_add_func("/af-xdp/domain-lost/comment", test_comment);
    return g_test_run();
}
