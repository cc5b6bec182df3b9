/*
 * Unit tests: the AF_XDP domain filter, changes to a text
 *
 * The files of tests/unit/domain are converted as a whole: NAME.xml must
 * become NAME.out, byte for byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "convert.h"
#include "output.h"
#include "source.h"

static Source *open_text(const char *text)
{
    g_autoptr(GError) err = NULL;
    Source *source = source_new(text, strlen(text), &err);

    g_assert_no_error(err);
    return source;
}

static void expect(Source *source, const char *want)
{
    gsize len;
    g_autofree char *out = source_result(source, &len);

    g_assert_cmpstr(out, ==, want);
    g_assert_cmpuint(len, ==, strlen(want));
}

/* What looks like a tag and is none must not confuse positions. */
static void test_extents(void)
{
    static const char text[] =
        "\xef\xbb\xbf<?xml version='1.0'?>\n"
        "<!-- <a>\n -->\n"
        "<root a='>' b=\"'/>\">\n"
        "  <![CDATA[ <b/>\n ]]>\n"
        "  <?pi <c>\n?>\n"
        "  <one\n   a='\n'/><two>&lt;x/&gt;</two >\n"
        "</root>\n"
        "<!-- end -->";
    g_autoptr(Source) source = open_text(text);
    xmlNode *one = xml_child(source->root, NULL, "one");
    xmlNode *two = xml_child(source->root, NULL, "two");
    const Extent *extent = source_extent(source, source->root);

    g_assert_cmpint(extent->line, ==, 4);
    g_assert_true(g_str_has_prefix(text + extent->start, "<root"));
    g_assert_true(g_str_has_prefix(text + extent->content, "\n  <![CDATA"));
    g_assert_true(g_str_has_prefix(text + extent->end_tag, "</root>"));
    g_assert_true(g_str_has_prefix(text + extent->end, "\n<!-- end"));
    g_assert_cmpint(source_line(source, one), ==, 9);
    g_assert_true(source_extent(source, one)->empty);
    g_assert_cmpint(source_line(source, two), ==, 11);
    extent = source_extent(source, two);
    g_assert_true(g_str_has_prefix(text + extent->end_tag, "</two >\n"));
    g_assert_true(g_str_has_prefix(text + extent->end, "\n</root>"));
    expect(source, text);
    g_assert_false(source_changed(source));
}

static void test_replace(void)
{
    g_autoptr(Source) source = open_text("<r>\n  <a/>\n  <b>x</b> <c/>\n"
                                         "<d/>\n</r>\n");

    source_replace_element(source, xml_child(source->root, NULL, "d"), "");
    source_replace_element(source, xml_child(source->root, NULL, "a"), "");
    source_replace_element(source, xml_child(source->root, NULL, "b"), "");
    source_replace_element(source, xml_child(source->root, NULL, "c"), "<C/>");
    expect(source, "<r>\n   <C/>\n</r>\n");
}

static void test_append(void)
{
    struct {
        const char *before;
        const char *after;
    } cases[] = {
        { "<r/>", "<r><x/></r>" },
        { "<r></r>", "<r><x/></r>" },
        { "<r><a/></r>", "<r><a/><x/></r>" },
        { "<r>\n  <a/>\n</r>\n", "<r>\n  <a/>\n  <x/>\n</r>\n" },
        { "<r>\r\n\t<a/>\r\n</r>\r\n",
          "<r>\r\n\t<a/>\r\n  <x/>\r\n</r>\r\n" },
        /* A line behind the root element makes no lines in it. */
        { "<r/>\n", "<r><x/></r>\n" },
        { "<p:r xmlns:p='u'\n/>\n", "<p:r xmlns:p='u'\n>\n  <x/>\n</p:r>\n" },
        { "<r>\ntext</r>\n", "<r>\ntext\n  <x/>\n</r>\n" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autoptr(Source) source = open_text(cases[i].before);

        source_append_child(source, source->root, "<x/>");
        expect(source, cases[i].after);
    }
}

/* A second child of an element that had no end tag */
static void test_append_twice(void)
{
    g_autoptr(Source) line = open_text("<r><a/></r>");
    g_autoptr(Source) lines = open_text("<r>\n  <a/>\n</r>\n");

    source_append_child(line, xml_child(line->root, NULL, "a"), "<x/>");
    source_append_child(line, xml_child(line->root, NULL, "a"), "<y/>");
    expect(line, "<r><a><x/><y/></a></r>");
    source_append_child(lines, xml_child(lines->root, NULL, "a"), "<x/>");
    source_append_child(lines, xml_child(lines->root, NULL, "a"), "<y/>");
    expect(lines, "<r>\n  <a>\n    <x/>\n    <y/>\n  </a>\n</r>\n");
}

static void test_attribute(void)
{
    g_autoptr(Source) source = open_text("<r a='>'><b/><c\n/></r>");

    source_add_attribute(source, source->root, "x='1'");
    source_add_attribute(source, xml_child(source->root, NULL, "b"), "y='2'");
    source_add_attribute(source, xml_child(source->root, NULL, "c"), "z='3'");
    expect(source, "<r a='>' x='1'><b y='2'/><c\n z='3'/></r>");
}

static void test_copy(void)
{
    g_autoptr(Source) source = open_text("<r>\n  <a>\n    <b/>\n    <c/>\n"
                                         "    <d/>\n  </a>\n  <e/>\n</r>\n");
    xmlNode *a = xml_child(source->root, NULL, "a");
    xmlNode *e = xml_child(source->root, NULL, "e");
    const xmlNode *less[] = {
        xml_child(a, NULL, "b"), xml_child(a, NULL, "d"), NULL
    };
    const xmlNode *none[] = { NULL };
    g_autofree char *plain = source_copy(source, a, none, NULL);
    g_autofree char *both = source_copy(source, a, less, "<x/>");
    g_autofree char *empty = source_copy(source, e, none, "<x/>");

    g_assert_cmpstr(plain, ==, "<a>\n    <b/>\n    <c/>\n    <d/>\n  </a>");
    g_assert_cmpstr(both, ==, "<a>\n    <c/>\n    <x/>\n  </a>");
    g_assert_cmpstr(empty, ==, "<e><x/></e>");
}

/* Changes at one place stand in the order in which they were asked for. */
static void test_order(void)
{
    g_autoptr(Source) source = open_text("<r></r>");

    source_replace(source, 3, 3, "b");
    source_replace(source, 3, 3, "c");
    source_replace(source, 0, 0, "a");
    expect(source, "a<r>bc</r>");
}

/* A line far beyond what libxml2 counts to by itself */
static void test_many_lines(void)
{
    GString *text = g_string_new("<r>");
    g_autoptr(Source) source = NULL;

    for (int i = 0; i < 70000; i++) {
        g_string_append_c(text, '\n');
    }
    g_string_append(text, "<a/></r>");
    source = open_text(text->str);
    g_assert_cmpint(source_line(source, xml_child(source->root, NULL, "a")),
                    ==, 70001);
    g_clear_pointer(&source, source_free);
    g_string_free(text, TRUE);
}

static char *read_file(const char *name, gsize *len)
{
    g_autoptr(GError) err = NULL;
    char *text = input_read(name, len, &err);

    g_assert_no_error(err);
    return text;
}

static void test_file(const void *opaque)
{
    g_autofree char *in_name = g_strdup_printf("%s.xml", (char *)opaque);
    g_autofree char *out_name = g_strdup_printf("%s.out", (char *)opaque);
    g_autofree char *converted = NULL;
    g_autofree char *again = NULL;
    g_autofree char *want = NULL;
    g_autofree char *text = NULL;
    g_autoptr(Report) report = report_new();
    g_autoptr(GError) err = NULL;
    gsize len, want_len, out_len, again_len;

    text = read_file(in_name, &len);
    want = read_file(out_name, &want_len);
    converted = domain_convert(text, len, &out_len, report, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(converted, ==, want);
    g_assert_cmpuint(out_len, ==, want_len);
    again = domain_convert(converted, out_len, &again_len, report, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(again, ==, want);
}

/* A file is replaced as a whole, or stays as it was. */
static void test_output(void)
{
    g_autofree char *dir = g_dir_make_tmp("af-xdp-XXXXXX", NULL);
    g_autofree char *name = g_build_filename(dir, "domain.xml", NULL);
    g_autofree char *none = g_build_filename(dir, "none", "x", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    struct stat st;
    gsize len;

    g_assert_true(output_write(name, "one", 3, &err));
    g_assert_cmpint(chmod(name, 0640), ==, 0);
    g_assert_true(output_write(name, "second", 6, &err));
    text = read_file(name, &len);
    g_assert_cmpstr(text, ==, "second");
    g_assert_cmpint(stat(name, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0640);
    g_assert_false(output_write(none, "x", 1, &err));
    g_assert_nonnull(strstr(err->message, none));
    g_clear_error(&err);
    g_assert_null(input_read(none, &len, &err));
    g_assert_nonnull(strstr(err->message, "cannot open"));
    unlink(name);
    /* Nothing else was left there. */
    g_assert_cmpint(rmdir(dir), ==, 0);
}

/* Only a file is replaced; not a link to it, nor what is no file. */
static void test_output_special(void)
{
    g_autofree char *dir = g_dir_make_tmp("af-xdp-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "file", NULL);
    g_autofree char *link = g_build_filename(dir, "link", NULL);
    g_autofree char *fifo = g_build_filename(dir, "fifo", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;
    struct stat st;
    char got[8] = "";
    gsize len;
    int fd;

    g_assert_cmpint(symlink("file", link), ==, 0);
    g_assert_false(output_write(link, "x", 1, &err));
    g_assert_nonnull(strstr(err->message, link));
    g_assert_true(g_file_set_contents(file, "one", -1, NULL));
    g_assert_cmpint(chmod(file, 0600), ==, 0);
    g_assert_true(output_write(link, "two", 3, NULL));
    g_assert_cmpint(lstat(link, &st), ==, 0);
    g_assert_true(S_ISLNK(st.st_mode));
    g_assert_cmpint(stat(file, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    text = read_file(file, &len);
    g_assert_cmpstr(text, ==, "two");

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_true(output_write(fifo, "three", 5, NULL));
    g_assert_cmpint(lstat(fifo, &st), ==, 0);
    g_assert_true(S_ISFIFO(st.st_mode));
    g_assert_cmpint(read(fd, got, sizeof(got) - 1), ==, 5);
    g_assert_cmpstr(got, ==, "three");
    close(fd);
    unlink(fifo);
    unlink(link);
    unlink(file);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    GDir *dir;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/domain-source/extents", test_extents);
    g_test_add_func("/af-xdp/domain-source/replace", test_replace);
    g_test_add_func("/af-xdp/domain-source/append", test_append);
    g_test_add_func("/af-xdp/domain-source/append-twice", test_append_twice);
    g_test_add_func("/af-xdp/domain-source/attribute", test_attribute);
    g_test_add_func("/af-xdp/domain-source/copy", test_copy);
    g_test_add_func("/af-xdp/domain-source/order", test_order);
    g_test_add_func("/af-xdp/domain-source/many-lines", test_many_lines);
    g_test_add_func("/af-xdp/domain-source/output", test_output);
    g_test_add_func("/af-xdp/domain-source/output-special",
                    test_output_special);

    dir = g_dir_open(DOMAIN_SAMPLES, 0, NULL);
    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *base = g_strdup(name);
        g_autofree char *test = NULL;
        char *path;

        if (!g_str_has_suffix(name, ".xml")) {
            continue;
        }
        base[strlen(base) - 4] = 0;
        path = g_build_filename(DOMAIN_SAMPLES, base, NULL);
        g_ptr_array_add(names, path);
        test = g_strdup_printf("/af-xdp/domain-source/file/%s", base);
        g_test_add_data_func(test, path, test_file);
    }
    g_dir_close(dir);
    g_assert_cmpuint(names->len, >=, 4);
    return g_test_run();
}
