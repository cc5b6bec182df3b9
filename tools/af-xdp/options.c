/*
 * qemu-af-xdp: what users write on the command line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <grp.h>
#include <pwd.h>
#include <net/if.h>
#include "options.h"
#include "tool.h"

/* The kernel's device queues have 16 bits. */
#define QUEUE_MAX 65535

/* Queues in one list: more than any NIC has, less than a typing error. */
#define QUEUES_MAX 4096

#define VM_NAME_MAX 64

#define QUEUES_HINT "Write queues as in '4,5' or '4-7,12'; 'ethtool -l NIC' " \
                    "shows how many there are, counted from 0."

static bool parse_number(const char **at, uint32_t *value)
{
    guint64 number;
    char *end;

    if (!g_ascii_isdigit(**at)) {
        return false;
    }
    number = g_ascii_strtoull(*at, &end, 10);
    if (number > QUEUE_MAX) {
        return false;
    }
    *at = end;
    *value = number;
    return true;
}

static gint compare(gconstpointer left, gconstpointer right)
{
    uint32_t l = *(const uint32_t *)left, r = *(const uint32_t *)right;

    return l < r ? -1 : l > r;
}

GArray *options_queues(const char *text, GError **errp)
{
    g_autoptr(GArray) queues = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    const char *at = text;

    for (;;) {
        uint32_t first, last;

        if (!parse_number(&at, &first)) {
            goto bad;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!parse_number(&at, &last) || last < first) {
                goto bad;
            }
        }
        if (last - first >= QUEUES_MAX - queues->len) {
            goto bad;
        }
        for (uint32_t queue = first; queue <= last; queue++) {
            g_array_append_val(queues, queue);
        }
        if (*at == '\0') {
            break;
        }
        if (*at++ != ',') {
            goto bad;
        }
    }
    g_array_sort(queues, compare);
    for (guint i = 1; i < queues->len; i++) {
        uint32_t queue = g_array_index(queues, uint32_t, i);

        if (queue == g_array_index(queues, uint32_t, i - 1)) {
            tool_usage_error(errp, NULL, "queue %u is in '--queues %s' twice",
                             queue, text);
            return NULL;
        }
    }
    return g_steal_pointer(&queues);

bad:
    tool_usage_error(errp, QUEUES_HINT, "'--queues %s' is not a list of queues",
                     text);
    return NULL;
}

char *options_queues_text(const GArray *queues)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < queues->len; i++) {
        uint32_t first = g_array_index(queues, uint32_t, i), last = first;

        while (i + 1 < queues->len &&
               g_array_index(queues, uint32_t, i + 1) == last + 1) {
            last++;
            i++;
        }
        g_string_append_printf(text, "%s%u", text->len ? "," : "", first);
        if (last != first) {
            g_string_append_printf(text, "%c%u", last == first + 1 ? ',' : '-',
                                   last);
        }
    }
    return g_string_free(text, FALSE);
}

bool options_mac(const char *text, uint8_t mac[MAC_LEN], GError **errp)
{
    bool good = strlen(text) == MAC_STRLEN;

    for (unsigned i = 0; good && i < MAC_LEN; i++) {
        const char *byte = text + 3 * i;

        good = g_ascii_isxdigit(byte[0]) && g_ascii_isxdigit(byte[1]) &&
               byte[2] == (i + 1 < MAC_LEN ? ':' : '\0');
        if (good) {
            mac[i] = g_ascii_xdigit_value(byte[0]) << 4 |
                     g_ascii_xdigit_value(byte[1]);
        }
    }
    if (!good) {
        tool_usage_error(errp, "Write it as in 52:54:00:12:34:56.",
                         "'%s' is not a MAC address", text);
    }
    return good;
}

char *options_mac_text(const uint8_t mac[MAC_LEN])
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                           mac[2], mac[3], mac[4], mac[5]);
}

bool options_unicast(const char *text, uint8_t mac[MAC_LEN], GError **errp)
{
    static const uint8_t zero[MAC_LEN];

    if (!options_mac(text, mac, errp)) {
        return false;
    }
    if (mac[0] & 1 || !memcmp(mac, zero, MAC_LEN)) {
        tool_usage_error(errp, "The lowest bit of the first byte must be 0, "
                         "and some other bit 1.",
                         "'%s' cannot be a station's address", text);
        return false;
    }
    return true;
}

bool options_vm(const char *name, GError **errp)
{
    size_t len = strlen(name);
    bool good = len > 0 && len <= VM_NAME_MAX;

    for (size_t i = 0; i < len && good; i++) {
        good = g_ascii_isalnum(name[i]) || name[i] == '-' || name[i] == '_';
    }
    if (!good) {
        tool_usage_error(errp, "Letters, digits, '-' and '_', up to 64: it "
                         "becomes a file's name in the BPF file system, where "
                         "others are not allowed.",
                         "'--vm %s' is not a usable name", name);
    }
    return good;
}

bool options_ifname(const char *name, GError **errp)
{
    size_t len = strlen(name);
    bool good = len > 0 && len < IF_NAMESIZE && strcmp(name, ".") &&
                strcmp(name, "..");

    /* The kernel's own rule; '%' would make it choose a number. */
    for (size_t i = 0; i < len && good; i++) {
        good = name[i] != '/' && name[i] != ':' && name[i] != '%' &&
               !g_ascii_isspace(name[i]);
    }
    if (!good) {
        tool_usage_error(errp, "Up to 15 characters, without '/', ':', '%' "
                         "and blanks.",
                         "'--name %s' cannot be an interface's name", name);
    }
    return good;
}

bool options_mode(const char *text, mode_t *mode, GError **errp)
{
    char *end;
    guint64 bits = g_ascii_strtoull(text, &end, 8);

    if (!g_ascii_isdigit(*text) || *end || bits > 0777) {
        tool_usage_error(errp, "Octal, as in 0660.",
                         "'--pin-mode %s' is not a file's mode", text);
        return false;
    }
    *mode = bits;
    return true;
}

/* A number, or what @find says of the name. (id_t)-1 is nobody's. */
static bool owner_id(const char *text, id_t *id, bool (*find)(const char *,
                                                              id_t *))
{
    char *end;
    guint64 number;

    if (find(text, id)) {
        return true;
    }
    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    number = g_ascii_strtoull(text, &end, 10);
    *id = number;
    return !*end && number < (id_t)-1;
}

static bool find_user(const char *name, id_t *id)
{
    struct passwd *entry = getpwnam(name);

    if (entry) {
        *id = entry->pw_uid;
    }
    return entry != NULL;
}

static bool find_group(const char *name, id_t *id)
{
    struct group *entry = getgrnam(name);

    if (entry) {
        *id = entry->gr_gid;
    }
    return entry != NULL;
}

bool options_owner(const char *text, uid_t *uid, gid_t *gid, GError **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    const char *user = parts[0] ?: "", *group = parts[0] ? parts[1] : NULL;
    id_t id;

    *uid = -1;
    *gid = -1;
    if (!*user && !group) {
        tool_usage_error(errp, NULL, "'--pin-owner' is empty");
        return false;
    }
    if (*user) {
        if (!owner_id(user, &id, find_user)) {
            tool_usage_error(errp, "Give a name that 'getent passwd' knows, or "
                             "a number.", "there is no user '%s'", user);
            return false;
        }
        *uid = id;
    }
    if (group) {
        if (!owner_id(group, &id, find_group)) {
            tool_usage_error(errp, "Give a name that 'getent group' knows, or "
                             "a number.", "there is no group '%s'", group);
            return false;
        }
        *gid = id;
    }
    return true;
}

char *options_file_name(const char *name)
{
    GString *file = g_string_new(NULL);

    for (; *name; name++) {
        if (g_ascii_isalnum(*name) || *name == '-' || *name == '_') {
            g_string_append_c(file, *name);
        } else {
            g_string_append_printf(file, "%%%02X", (guchar)*name);
        }
    }
    return g_string_free(file, FALSE);
}
