/*
 * AF_XDP domain filter: the options of a mark
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "options.h"

typedef enum OptionType {
    TYPE_STRING,
    TYPE_INT,
    TYPE_SIZE,
    TYPE_BOOL,
    TYPE_ON_OFF_AUTO,
    TYPE_MODE,
} OptionType;

typedef struct Option {
    const char *name;
    OptionType type;
    OptionKind kind;
    size_t value;           /* offset in AfXdpOptionsIn */
    size_t has;             /* the same of its has_ flag; 0: a string */
    const char *meaning;
} Option;

#define NETDEV(name_, type_, field, has_field, meaning_)            \
    { name_, type_, OPTION_NETDEV, offsetof(AfXdpOptionsIn, field), \
      offsetof(AfXdpOptionsIn, has_field), meaning_ }
#define NETDEV_STRING(name_, field, meaning_)                       \
    { name_, TYPE_STRING, OPTION_NETDEV,                            \
      offsetof(AfXdpOptionsIn, field), 0, meaning_ }
#define FILTER(name_, type_, meaning_)                              \
    { name_, type_, OPTION_FILTER, 0, 0, meaning_ }

/* tests/libvirt/check-options compares the first part with QEMU's schema. */
static const Option options[] = {
    NETDEV_STRING("ifname", ifname,
                  "the host's interface; <target dev=> if not given"),
    NETDEV("mode", TYPE_MODE, mode, has_mode,
           "how QEMU's XDP program is attached"),
    NETDEV("force-copy", TYPE_BOOL, force_copy, has_force_copy,
           "do not try driver zero-copy"),
    NETDEV("queues", TYPE_INT, queues, has_queues,
           "number of queues; <driver queues=> if not given"),
    NETDEV("start-queue", TYPE_INT, start_queue, has_start_queue,
           "older spelling of queue-start"),
    NETDEV("queue-start", TYPE_INT, queue_start, has_queue_start,
           "first of the interface's queues"),
    NETDEV("inhibit", TYPE_BOOL, inhibit, has_inhibit,
           "the XDP program is somebody else's"),
    NETDEV_STRING("sock-fds", sock_fds,
                  "descriptors of sockets, ':' between them"),
    NETDEV_STRING("map-path", map_path, "pinned map for the sockets"),
    NETDEV("map-start-index", TYPE_INT, map_start_index, has_map_start_index,
           "the map's index for the first queue"),
    NETDEV("mac-filter", TYPE_BOOL, mac_filter, has_mac_filter,
           "leave other addresses' frames to the host"),
    NETDEV("vhost", TYPE_ON_OFF_AUTO, vhost, has_vhost,
           "threads outside of QEMU's main loop"),
    NETDEV_STRING("iothread", iothread,
                  "ids of iothreads, ':' between them; N: <iothread id=N>"),
    NETDEV("poll-max-ns", TYPE_INT, poll_max_ns, has_poll_max_ns,
           "polling time of the netdev's own threads"),
    NETDEV("poll-grow", TYPE_INT, poll_grow, has_poll_grow,
           "factor by which it grows"),
    NETDEV("poll-shrink", TYPE_INT, poll_shrink, has_poll_shrink,
           "divisor by which it shrinks"),
    NETDEV("zero-copy", TYPE_ON_OFF_AUTO, zero_copy, has_zero_copy,
           "guest zero-copy"),
    NETDEV("zero-copy-limit", TYPE_SIZE, zero_copy_limit, has_zero_copy_limit,
           "kernel memory that it may cost"),
    FILTER("alias", TYPE_STRING,
           "the interface that is meant, by <alias name=>"),
    FILTER("dev", TYPE_STRING, "the same by <target dev=>"),
    FILTER("mac", TYPE_STRING, "the same by <mac address=>"),
    FILTER("hotplug", TYPE_BOOL,
           "on: the device can be unplugged, its slot is not reserved"),
};

static const char *const type_names[] = {
    [TYPE_STRING] = "str",
    [TYPE_INT] = "int",
    [TYPE_SIZE] = "size",
    [TYPE_BOOL] = "bool",
    [TYPE_ON_OFF_AUTO] = "OnOffAuto",
    [TYPE_MODE] = "AFXDPMode",
};

static const Option *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (!strcmp(options[i].name, name)) {
            return &options[i];
        }
    }
    return NULL;
}

OptionKind option_kind(const char *name)
{
    const Option *option = find(name);

    return option ? option->kind : OPTION_UNKNOWN;
}

MarkOptions *mark_options_new(void)
{
    MarkOptions *mark = g_new0(MarkOptions, 1);

    mark->given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                        g_free);
    return mark;
}

void mark_options_free(MarkOptions *mark)
{
    g_hash_table_unref(mark->given);
    g_free(mark);
}

static bool bad_value(GError **errp, const Option *option, const char *value,
                      const char *want)
{
    return domain_error(errp, 0, NULL, "%s='%s' is no value of this option, "
                        "give %s", option->name, value, want);
}

static bool parse_bool(const char *value, bool *out)
{
    if (!strcmp(value, "on") || !strcmp(value, "yes")) {
        *out = true;
    } else if (!strcmp(value, "off") || !strcmp(value, "no")) {
        *out = false;
    } else {
        return false;
    }
    return true;
}

/* Bytes, with a suffix as QEMU has them. */
static bool parse_size(const char *value, uint64_t *out)
{
    static const char suffixes[] = "KMGTPE";
    const char *suffix;
    char *end;
    uint64_t unit = 1;
    guint64 number;

    if (!g_ascii_isdigit(*value)) {
        return false;
    }
    errno = 0;
    number = g_ascii_strtoull(value, &end, 10);
    if (errno) {
        return false;
    }
    if (*end && *end != 'B' && *end != 'b') {
        suffix = strchr(suffixes, g_ascii_toupper(*end));
        if (!suffix) {
            return false;
        }
        unit = 1ULL << (10 * (suffix - suffixes + 1));
        end++;
    } else if (*end) {
        end++;
    }
    if (*end || number > UINT64_MAX / unit) {
        return false;
    }
    *out = number * unit;
    return true;
}

/* The core has an enum for each of these three; auto is the first of each. */
static bool parse_on_off_auto(const char *value, int on, int off, int *out)
{
    bool flag;

    if (!strcmp(value, "auto")) {
        *out = 0;
        return true;
    }
    if (!parse_bool(value, &flag)) {
        return false;
    }
    *out = flag ? on : off;
    return true;
}

QEMU_BUILD_BUG_ON(AF_XDP_VHOST_AUTO != 0 || AF_XDP_ZERO_COPY_AUTO != 0);
QEMU_BUILD_BUG_ON(AF_XDP_VHOST_ON != (int)AF_XDP_ZERO_COPY_ON);
QEMU_BUILD_BUG_ON(AF_XDP_VHOST_OFF != (int)AF_XDP_ZERO_COPY_OFF);

static bool set_netdev(MarkOptions *mark, const Option *option,
                       const char *value, GError **errp)
{
    char *in = (char *)&mark->in;
    void *field = in + option->value;
    gint64 number;
    int choice;

    switch (option->type) {
    case TYPE_STRING:
        *(const char **)field = value;
        return true;
    case TYPE_INT:
        if (!g_ascii_string_to_signed(value, 10, INT64_MIN, INT64_MAX, &number,
                                      NULL)) {
            return bad_value(errp, option, value, "a number");
        }
        *(int64_t *)field = number;
        break;
    case TYPE_SIZE:
        if (!parse_size(value, field)) {
            return bad_value(errp, option, value,
                             "a number of bytes, as in '512M' or '1G'");
        }
        break;
    case TYPE_BOOL:
        if (!parse_bool(value, field)) {
            return bad_value(errp, option, value, "'on' or 'off'");
        }
        break;
    case TYPE_ON_OFF_AUTO:
        if (!parse_on_off_auto(value, AF_XDP_VHOST_ON, AF_XDP_VHOST_OFF,
                               &choice)) {
            return bad_value(errp, option, value, "'auto', 'on' or 'off'");
        }
        if (option->value == offsetof(AfXdpOptionsIn, vhost)) {
            mark->in.vhost = choice;
        } else {
            mark->in.zero_copy = choice;
        }
        break;
    case TYPE_MODE:
        if (!strcmp(value, "native")) {
            mark->in.mode = AF_XDP_MODE_NATIVE;
        } else if (!strcmp(value, "skb")) {
            mark->in.mode = AF_XDP_MODE_SKB;
        } else {
            return bad_value(errp, option, value, "'native' or 'skb'");
        }
        break;
    }
    *(bool *)(in + option->has) = true;
    return true;
}

/* What was probably meant: libvirt writes '_' where QEMU has '-'. */
static const char *similar(const char *name)
{
    g_autofree char *plain = g_ascii_strdown(name, -1);
    const Option *option;

    option = find(g_strdelimit(plain, "_", '-'));
    if (option) {
        return option->name;
    }
    return !strcmp(plain, "iothreads") ? "iothread" : NULL;
}

bool mark_options_set(MarkOptions *mark, const char *name, const char *value,
                      GError **errp)
{
    const Option *option = find(name);
    char *copy;
    bool flag;

    if (!option) {
        const char *meant = similar(name);
        g_autofree char *hint = meant ?
            g_strdup_printf("Write '%s'.", meant) :
            g_strdup("'qemu-af-xdp-domain --list-options' shows all of them.");

        return domain_error(errp, 0, hint, "there is no option '%s'", name);
    }
    copy = g_strdup(value);
    g_hash_table_replace(mark->given, g_strdup(name), copy);
    if (option->kind == OPTION_FILTER) {
        if (option->type == TYPE_BOOL && !parse_bool(value, &flag)) {
            return bad_value(errp, option, value, "'on' or 'off'");
        }
        return true;
    }
    return set_netdev(mark, option, copy, errp);
}

const char *mark_options_get(const MarkOptions *mark, const char *name)
{
    return g_hash_table_lookup(mark->given, name);
}

bool mark_options_check(const MarkOptions *mark, AfXdpOptions *out,
                        GError **errp)
{
    return af_xdp_options_check(&mark->in, out, errp);
}

void option_append(GString *out, const char *name, const char *value)
{
    if (out->len) {
        g_string_append_c(out, ',');
    }
    g_string_append_printf(out, "%s=", name);
    for (; *value; value++) {
        g_string_append_c(out, *value);
        if (*value == ',') {
            g_string_append_c(out, ',');
        }
    }
}

char *iothread_id(const char *name)
{
    bool number = *name && !name[strspn(name, "0123456789")];

    return g_strconcat(number ? "iothread" : "", name, NULL);
}

static char *iothread_ids(const char *value)
{
    g_auto(GStrv) ids = g_strsplit(value, ":", -1);

    for (int i = 0; ids[i]; i++) {
        char *id = iothread_id(ids[i]);

        g_free(ids[i]);
        ids[i] = id;
    }
    return g_strjoinv(":", ids);
}

void mark_options_netdev(const MarkOptions *mark, GString *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const Option *option = &options[i];
        const char *value = mark_options_get(mark, option->name);
        g_autofree char *converted = NULL;
        bool flag;

        if (!value || option->kind != OPTION_NETDEV ||
            !strcmp(option->name, "ifname")) {
            continue;
        }
        if ((option->type == TYPE_BOOL || option->type == TYPE_ON_OFF_AUTO) &&
            parse_bool(value, &flag)) {
            value = flag ? "on" : "off";
        } else if (option->type == TYPE_INT) {
            /* QEMU would take "010" for 8. */
            value = converted = g_strdup_printf(
                "%" PRId64,
                *(const int64_t *)((const char *)&mark->in + option->value));
        } else if (!strcmp(option->name, "iothread")) {
            value = converted = iothread_ids(value);
        }
        option_append(out, option->name, value);
    }
}

char *options_list(void)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        g_string_append_printf(out, "%-16s %-10s %s%s\n", options[i].name,
                               type_names[options[i].type],
                               options[i].kind == OPTION_FILTER ?
                               "(filter) " : "", options[i].meaning);
    }
    return g_string_free(out, FALSE);
}
