/*
 * Unit tests: the options of the AF_XDP netdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-options.h"

/* @in must pass; the result is to be cleared. */
static AfXdpOptions good(const AfXdpOptionsIn *in)
{
    g_autoptr(GError) err = NULL;
    AfXdpOptions out;
    bool ok = af_xdp_options_check(in, &out, &err);

    g_assert_no_error(err);
    g_assert_true(ok);
    return out;
}

/* @in must be refused, with all of these words in message or hint. */
static void bad(const AfXdpOptionsIn *in, const char *const *words)
{
    g_autoptr(GError) err = NULL;
    g_autofree char *msg = NULL;
    const char *hint;
    AfXdpOptions out;

    g_assert_false(af_xdp_options_check(in, &out, &err));
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    g_test_message("%s", err->message);
    for (; *words; words++) {
        if (!strstr(err->message, *words)) {
            g_error("'%s' is missing in: %s", *words, err->message);
        }
    }
    af_xdp_error_split(err, &msg, &hint);
    g_assert_false(g_str_has_suffix(msg, "."));
    af_xdp_options_clear(&out);
    g_assert_null(out.sock_fds);
    g_assert_null(out.map_path);
    g_assert_null(out.iothreads);

    /* Nobody has to listen. */
    g_assert_false(af_xdp_options_check(in, &out, NULL));
    af_xdp_options_clear(&out);
}

/* BAD(("word", "word"), .option = value, ...) */
#define WORDS(...) __VA_ARGS__
#define BAD(words, ...)                         \
    bad(&(AfXdpOptionsIn) { __VA_ARGS__ },      \
        (const char *const[]) { WORDS words, NULL })

static void test_defaults(void)
{
    AfXdpOptionsIn in = { .ifname = "veth0" };
    AfXdpOptions out = good(&in);

    g_assert_cmpstr(out.ifname, ==, "veth0");
    g_assert_cmpint(out.mode, ==, AF_XDP_MODE_AUTO);
    g_assert_cmpuint(out.queues, ==, 1);
    g_assert_cmpuint(out.queue_start, ==, 0);
    g_assert_false(out.force_copy);
    g_assert_false(out.mac_filter);
    g_assert_false(out.inhibit);
    g_assert_null(out.sock_fds);
    g_assert_null(out.map_path);
    g_assert_cmpuint(out.map_start_index, ==, 0);
    g_assert_cmpint(out.vhost, ==, AF_XDP_VHOST_AUTO);
    g_assert_null(out.iothreads);
    g_assert_cmpint(out.poll_max_ns, ==, -1);
    g_assert_cmpint(out.poll_grow, ==, -1);
    g_assert_cmpint(out.poll_shrink, ==, -1);
    g_assert_cmpint(out.zero_copy, ==, AF_XDP_ZERO_COPY_AUTO);
    g_assert_cmpuint(out.zero_copy_limit, ==, 0);
    af_xdp_options_clear(&out);
}

/* A value whose has_ flag is not set was not given. */
static void test_not_given(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .mode = AF_XDP_MODE_SKB, .queues = -5,
        .queue_start = -1, .start_queue = -2, .map_start_index = -3,
        .force_copy = true, .inhibit = true, .mac_filter = true,
        .zero_copy = AF_XDP_ZERO_COPY_ON, .zero_copy_limit = 1,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpint(out.mode, ==, AF_XDP_MODE_AUTO);
    g_assert_cmpuint(out.queues, ==, 1);
    g_assert_cmpuint(out.queue_start, ==, 0);
    g_assert_false(out.force_copy);
    g_assert_false(out.inhibit);
    g_assert_false(out.mac_filter);
    g_assert_cmpint(out.zero_copy, ==, AF_XDP_ZERO_COPY_AUTO);
    g_assert_cmpuint(out.zero_copy_limit, ==, 0);
    af_xdp_options_clear(&out);
}

static void test_simple(void)
{
    AfXdpOptionsIn in = {
        .ifname = "enp0s31f6.10012",    /* as long as a name can be */
        .has_mode = true, .mode = AF_XDP_MODE_SKB,
        .has_force_copy = true, .force_copy = true,
        .has_queues = true, .queues = AF_XDP_MAX_QUEUES,
        .has_mac_filter = true, .mac_filter = true,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpstr(out.ifname, ==, "enp0s31f6.10012");
    g_assert_cmpint(out.mode, ==, AF_XDP_MODE_SKB);
    g_assert_cmpuint(out.queues, ==, 1024);
    g_assert_true(out.force_copy);
    g_assert_true(out.mac_filter);
    af_xdp_options_clear(&out);

    in.mode = AF_XDP_MODE_NATIVE;
    in.force_copy = false;
    in.mac_filter = false;
    out = good(&in);
    g_assert_cmpint(out.mode, ==, AF_XDP_MODE_NATIVE);
    g_assert_false(out.force_copy);
    g_assert_false(out.mac_filter);
    af_xdp_options_clear(&out);
}

static void test_ifname(void)
{
    static const char *const wrong[] = {
        "a/b", "/", "a b", " veth0", "veth0\n", "a\tb", "eth0:1", ".", "..",
    };

    BAD(("'ifname'", "empty"), .ifname = NULL);
    BAD(("'ifname'", "empty", "ip -br link"), .ifname = "");
    BAD(("'ifname'", "15 characters", "ip -br link"),
        .ifname = "sixteen-letters-");
    BAD(("'ifname'", "15 characters", "Write 'veth-guest'"),
        .ifname = "veth-guest@veth-host");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        BAD(("'ifname'", "white space"), .ifname = wrong[i]);
    }
}

static void test_queues(void)
{
    static const int64_t wrong[] = {
        0, -1, 1025, 65536, (int64_t)UINT32_MAX + 2, INT64_MAX, INT64_MIN,
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_autofree char *given = g_strdup_printf("'queues=%" PRId64 "'",
                                                 wrong[i]);

        BAD((given, "from 1 to 1024"),
            .ifname = "veth0", .has_queues = true, .queues = wrong[i]);
    }
}

/* Both spellings mean the same, and messages use the one that was typed. */
static void test_queue_start(void)
{
    static const int64_t wrong[] = {
        -1, 65536, (int64_t)UINT32_MAX + 1, INT64_MAX, INT64_MIN,
    };
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_queue_start = true, .queue_start = 15,
        .has_queues = true, .queues = 2,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpuint(out.queue_start, ==, 15);
    g_assert_cmpuint(out.queues, ==, 2);
    af_xdp_options_clear(&out);

    in = (AfXdpOptionsIn) {
        .ifname = "veth0", .has_start_queue = true, .start_queue = 65535,
    };
    out = good(&in);
    g_assert_cmpuint(out.queue_start, ==, 65535);
    af_xdp_options_clear(&out);

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_autofree char *ours = g_strdup_printf("'queue-start=%" PRId64 "'",
                                                wrong[i]);
        g_autofree char *theirs = g_strdup_printf("'start-queue=%" PRId64 "'",
                                                  wrong[i]);

        BAD((ours, "from 0 to 65535"), .ifname = "veth0",
            .has_queue_start = true, .queue_start = wrong[i]);
        BAD((theirs, "from 0 to 65535"), .ifname = "veth0",
            .has_start_queue = true, .start_queue = wrong[i]);
    }

    BAD(("'queue-start=65535,queues=2'", "queue 65536", "65535"),
        .ifname = "veth0", .has_queue_start = true, .queue_start = 65535,
        .has_queues = true, .queues = 2);
    BAD(("'start-queue=65000,queues=1024'", "queue 66023"),
        .ifname = "veth0", .has_start_queue = true, .start_queue = 65000,
        .has_queues = true, .queues = 1024);
}

static void test_both_spellings(void)
{
    BAD(("'queue-start'", "'start-queue'", "only 'queue-start'"),
        .ifname = "veth0", .has_queue_start = true, .queue_start = 1,
        .has_start_queue = true, .start_queue = 2);
    /* Even if they agree, or are the default. */
    BAD(("'queue-start'", "'start-queue'"),
        .ifname = "veth0", .has_queue_start = true, .has_start_queue = true);
}

static void test_inhibit(void)
{
    BAD(("'inhibit=on'", "'sock-fds' or 'map-path'"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true);
    BAD(("'sock-fds' needs 'inhibit=on'"),
        .ifname = "veth0", .sock_fds = "7");
    BAD(("'map-path' needs 'inhibit=on'"),
        .ifname = "veth0", .map_path = "/sys/fs/bpf/xsks");
    BAD(("'sock-fds' needs 'inhibit=on'"),
        .ifname = "veth0", .sock_fds = "7", .has_inhibit = true);
    BAD(("'sock-fds' and 'map-path'", "only one"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .sock_fds = "7", .map_path = "/sys/fs/bpf/xsks");
    BAD(("'sock-fds' and 'map-path'", "only one"),
        .ifname = "veth0", .sock_fds = "7", .map_path = "/sys/fs/bpf/xsks");
    BAD(("'mac-filter=on'", "'inhibit=on'"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "/sys/fs/bpf/xsks", .has_mac_filter = true,
        .mac_filter = true);
}

/* Upstream takes these, and so must we: they ask for nothing that is missing */
static void test_inhibit_accepted(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "/sys/fs/bpf/xsks", .has_mode = true,
        .mode = AF_XDP_MODE_NATIVE, .has_mac_filter = true,
    };
    AfXdpOptions out = good(&in);

    g_assert_true(out.inhibit);
    g_assert_false(out.mac_filter);
    af_xdp_options_clear(&out);

    in = (AfXdpOptionsIn) { .ifname = "veth0", .has_inhibit = true };
    out = good(&in);
    g_assert_false(out.inhibit);
    af_xdp_options_clear(&out);
}

static void test_map(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "/sys/fs/bpf/xsks", .has_queues = true, .queues = 4,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpstr(out.map_path, ==, "/sys/fs/bpf/xsks");
    g_assert_true(out.map_path != in.map_path);
    g_assert_cmpuint(out.map_start_index, ==, 0);
    af_xdp_options_clear(&out);

    in.has_map_start_index = true;
    in.map_start_index = (int64_t)UINT32_MAX - 4;
    out = good(&in);
    g_assert_cmpuint(out.map_start_index, ==, UINT32_MAX - 4);
    af_xdp_options_clear(&out);

    BAD(("'map-path' is empty"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "");
    BAD(("'map-start-index' needs 'map-path'"),
        .ifname = "veth0", .has_map_start_index = true);
    BAD(("'map-start-index' needs 'map-path'"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .sock_fds = "7", .has_map_start_index = true);
    BAD(("'map-start-index=-1'", "from 0"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "/sys/fs/bpf/xsks", .has_map_start_index = true,
        .map_start_index = -1);
    BAD(("'map-start-index=4294967295'", "to 4294967294"),
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .map_path = "/sys/fs/bpf/xsks", .has_map_start_index = true,
        .map_start_index = UINT32_MAX);
}

static void test_sock_fds(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .sock_fds = "9:10:xsk-2", .has_queues = true, .queues = 3,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpuint(g_strv_length(out.sock_fds), ==, 3);
    g_assert_cmpstr(out.sock_fds[0], ==, "9");
    g_assert_cmpstr(out.sock_fds[1], ==, "10");
    g_assert_cmpstr(out.sock_fds[2], ==, "xsk-2");
    af_xdp_options_clear(&out);
    g_assert_null(out.sock_fds);
}

static void bad_sock_fds(const char *sock_fds, int64_t queues,
                         const char *word)
{
    g_autofree char *given = g_strdup_printf("'sock-fds=%s'", sock_fds);

    BAD((given, word), .ifname = "veth0", .has_inhibit = true, .inhibit = true,
        .has_queues = true, .queues = queues, .sock_fds = sock_fds);
}

static void test_sock_fds_bad(void)
{
    bad_sock_fds("7", 2, "(1) is not the number of queues (2)");
    bad_sock_fds("7:8:9", 2, "'queues=3'");
    bad_sock_fds("", 1, "entry 1");
    bad_sock_fds(":", 2, "entry 1");
    bad_sock_fds("7:", 1, "entry 2");
    bad_sock_fds("7:", 2, "empty");
    bad_sock_fds("7::9", 3, "entry 2");
    bad_sock_fds("7:8:7", 3, "entries 1 and 3");
    bad_sock_fds("7:007", 2, "same");
    bad_sock_fds("0:00", 2, "same");
    bad_sock_fds("a:b:b", 3, "entries 2 and 3");
}

static void test_threads(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_queues = true, .queues = 3,
        .has_vhost = true, .vhost = AF_XDP_VHOST_ON, .iothread = "io0:io1",
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpint(out.vhost, ==, AF_XDP_VHOST_ON);
    g_assert_cmpuint(g_strv_length(out.iothreads), ==, 2);
    g_assert_cmpstr(out.iothreads[0], ==, "io0");
    g_assert_cmpstr(out.iothreads[1], ==, "io1");
    g_assert_cmpint(out.poll_max_ns, ==, -1);
    af_xdp_options_clear(&out);

    in.iothread = NULL;
    in.has_poll_max_ns = in.has_poll_grow = in.has_poll_shrink = true;
    in.poll_max_ns = 0;
    in.poll_grow = 2;
    in.poll_shrink = INT64_MAX;
    out = good(&in);
    g_assert_null(out.iothreads);
    g_assert_cmpint(out.poll_max_ns, ==, 0);
    g_assert_cmpint(out.poll_grow, ==, 2);
    g_assert_cmpint(out.poll_shrink, ==, INT64_MAX);
    af_xdp_options_clear(&out);
}

static void test_threads_bad(void)
{
    BAD(("iothread", "empty"), .ifname = "veth0", .iothread = "");
    BAD(("entry 2", "empty"), .ifname = "veth0", .iothread = "a:",
        .has_queues = true, .queues = 2);
    BAD(("2 threads for 1 queue,", "at most one"), .ifname = "veth0",
        .iothread = "a:b");
    BAD(("'iothread'", "'vhost=off'"), .ifname = "veth0", .iothread = "a",
        .has_vhost = true, .vhost = AF_XDP_VHOST_OFF);
    BAD(("'poll-grow'", "'vhost=off'"), .ifname = "veth0",
        .has_poll_grow = true, .has_vhost = true, .vhost = AF_XDP_VHOST_OFF);
    BAD(("-object iothread,id=...,poll-shrink=4"), .ifname = "veth0",
        .iothread = "a", .has_poll_shrink = true, .poll_shrink = 4);
    BAD(("poll-grow=-1", "out of range"), .ifname = "veth0", .iothread = "a",
        .has_poll_grow = true, .poll_grow = -1);
    BAD(("poll-max-ns=-1", "out of range"), .ifname = "veth0",
        .has_poll_max_ns = true, .poll_max_ns = -1);
}

static void test_zero_copy(void)
{
    AfXdpOptionsIn in = {
        .ifname = "veth0", .has_zero_copy = true,
        .zero_copy = AF_XDP_ZERO_COPY_ON,
    };
    AfXdpOptions out = good(&in);

    g_assert_cmpint(out.zero_copy, ==, AF_XDP_ZERO_COPY_ON);
    g_assert_cmpuint(out.zero_copy_limit, ==, 0);
    af_xdp_options_clear(&out);

    /* A limit goes with on and auto, and with no vhost= as with vhost=on. */
    in.has_zero_copy_limit = true;
    in.zero_copy_limit = 1;
    in.has_vhost = true;
    in.vhost = AF_XDP_VHOST_ON;
    out = good(&in);
    g_assert_cmpuint(out.zero_copy_limit, ==, 1);
    af_xdp_options_clear(&out);

    in.has_zero_copy = in.has_vhost = false;
    in.zero_copy_limit = UINT64_MAX;
    out = good(&in);
    g_assert_cmpint(out.zero_copy, ==, AF_XDP_ZERO_COPY_AUTO);
    g_assert_cmpuint(out.zero_copy_limit, ==, UINT64_MAX);
    af_xdp_options_clear(&out);

    /* It is not the same as driver zero-copy. */
    in = (AfXdpOptionsIn) {
        .ifname = "veth0", .has_zero_copy = true,
        .zero_copy = AF_XDP_ZERO_COPY_ON, .has_force_copy = true,
        .force_copy = true,
    };
    out = good(&in);
    g_assert_cmpint(out.zero_copy, ==, AF_XDP_ZERO_COPY_ON);
    g_assert_true(out.force_copy);
    af_xdp_options_clear(&out);
}

/* Where it cannot work, auto and off pass: they do not ask for it. */
static void test_zero_copy_not_asked_for(void)
{
    static const AfXdpZeroCopyMode modes[] = {
        AF_XDP_ZERO_COPY_AUTO, AF_XDP_ZERO_COPY_OFF,
    };

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        AfXdpOptionsIn in = {
            .ifname = "veth0", .has_zero_copy = true, .zero_copy = modes[i],
            .has_vhost = true, .vhost = AF_XDP_VHOST_OFF,
        };
        AfXdpOptions out = good(&in);

        g_assert_cmpint(out.zero_copy, ==, modes[i]);
        g_assert_cmpint(out.vhost, ==, AF_XDP_VHOST_OFF);
        af_xdp_options_clear(&out);

        in.has_vhost = false;
        in.has_inhibit = in.inhibit = true;
        in.sock_fds = "7";
        out = good(&in);
        g_assert_cmpint(out.zero_copy, ==, modes[i]);
        g_assert_nonnull(out.sock_fds);
        af_xdp_options_clear(&out);
    }
}

static void test_zero_copy_bad(void)
{
    BAD(("'zero-copy=on'", "'vhost=off'", "leave one"), .ifname = "veth0",
        .has_zero_copy = true, .zero_copy = AF_XDP_ZERO_COPY_ON,
        .has_vhost = true, .vhost = AF_XDP_VHOST_OFF);
    BAD(("'zero-copy=on'", "'sock-fds'", "map-path="), .ifname = "veth0",
        .has_zero_copy = true, .zero_copy = AF_XDP_ZERO_COPY_ON,
        .has_inhibit = true, .inhibit = true, .sock_fds = "7");
    BAD(("'zero-copy-limit=0'", "'zero-copy-limit=1G'"), .ifname = "veth0",
        .has_zero_copy_limit = true);
    BAD(("'zero-copy-limit=0'"), .ifname = "veth0",
        .has_zero_copy = true, .zero_copy = AF_XDP_ZERO_COPY_ON,
        .has_zero_copy_limit = true);
    BAD(("'zero-copy-limit'", "'zero-copy=off'", "nothing to limit"),
        .ifname = "veth0", .has_zero_copy = true,
        .zero_copy = AF_XDP_ZERO_COPY_OFF, .has_zero_copy_limit = true,
        .zero_copy_limit = 1);
    BAD(("'zero-copy-limit'", "'vhost=off'", "nothing to limit"),
        .ifname = "veth0", .has_vhost = true, .vhost = AF_XDP_VHOST_OFF,
        .has_zero_copy_limit = true, .zero_copy_limit = 1);
    BAD(("'zero-copy=on'", "'vhost=off'"), .ifname = "veth0",
        .has_zero_copy = true, .zero_copy = AF_XDP_ZERO_COPY_ON,
        .has_vhost = true, .vhost = AF_XDP_VHOST_OFF,
        .has_zero_copy_limit = true, .zero_copy_limit = 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/options/defaults", test_defaults);
    g_test_add_func("/af-xdp/options/not-given", test_not_given);
    g_test_add_func("/af-xdp/options/simple", test_simple);
    g_test_add_func("/af-xdp/options/ifname", test_ifname);
    g_test_add_func("/af-xdp/options/queues", test_queues);
    g_test_add_func("/af-xdp/options/queue-start", test_queue_start);
    g_test_add_func("/af-xdp/options/both-spellings", test_both_spellings);
    g_test_add_func("/af-xdp/options/inhibit", test_inhibit);
    g_test_add_func("/af-xdp/options/inhibit-accepted", test_inhibit_accepted);
    g_test_add_func("/af-xdp/options/map", test_map);
    g_test_add_func("/af-xdp/options/sock-fds", test_sock_fds);
    g_test_add_func("/af-xdp/options/sock-fds-bad", test_sock_fds_bad);
    g_test_add_func("/af-xdp/options/threads", test_threads);
    g_test_add_func("/af-xdp/options/threads-bad", test_threads_bad);
    g_test_add_func("/af-xdp/options/zero-copy", test_zero_copy);
    g_test_add_func("/af-xdp/options/zero-copy-not-asked-for",
                    test_zero_copy_not_asked_for);
    g_test_add_func("/af-xdp/options/zero-copy-bad", test_zero_copy_bad);
    return g_test_run();
}
