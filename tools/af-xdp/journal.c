/*
 * qemu-af-xdp: what has been done, on disk
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/file.h>
#include <glib/gstdio.h>
#include "journal.h"
#include "options.h"
#include "net/af-xdp-error.h"

/*
 * How long to wait for another run: the slowest step is a NIC that resets its
 * link to take an XDP program, which takes seconds.
 */
#define LOCK_TRIES 300
#define LOCK_INTERVAL_US 100000

#define SUFFIX ".json"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

static void block_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
        sigaddset(&set, ending[i]);
    }
    sigprocmask(how, &set, NULL);
}

/* Take the lock of @dir, waiting for it with a bound */
static int lock_dir(const Tool *tool, const char *dir, GError **errp)
{
    g_autofree char *path = g_build_filename(dir, "lock", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        af_xdp_error_set(errp, errno, "Run it as root, or choose another "
                         "directory with --run-dir.", "cannot open '%s'",
                         path);
        return -1;
    }
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return fd;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            break;
        }
        if (i == 0 && tool->verbose) {
            fprintf(stderr, "waiting for another %s to end\n", TOOL_NAME);
        }
        g_usleep(LOCK_INTERVAL_US);
    }
    af_xdp_error_set(errp, errno, "Another run of this program holds it: "
                     "'fuser -v FILE' shows which.", "cannot lock '%s'", path);
    close(fd);
    return -1;
}

/* What the entries say is undone as root: only root may write them. */
static bool check_owner(const char *dir, GError **errp)
{
    struct stat st;

    if (lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
        (st.st_uid == 0 || st.st_uid == geteuid()) &&
        !(st.st_mode & (S_IWGRP | S_IWOTH))) {
        return true;
    }
    af_xdp_error_set(errp, EPERM, "Choose a directory of root's own with "
                     "--run-dir, no symbolic link, and with mode 0755 or "
                     "0700.", "others may change '%s'", dir);
    return false;
}

Journal *journal_open(const Tool *tool, bool readonly, GError **errp)
{
    g_autofree char *dir = g_build_filename(tool->run_dir, "journal", NULL);
    Journal *journal;
    struct stat ns;
    int fd = -1;

    if (stat("/proc/self/ns/net", &ns)) {
        af_xdp_error_set(errp, errno, "Mount /proc.",
                         "cannot tell this network namespace");
        return NULL;
    }
    if (!readonly) {
        if (g_mkdir_with_parents(dir, 0700)) {
            af_xdp_error_set(errp, errno, "Run it as root, or choose another "
                             "directory with --run-dir.",
                             "cannot make the directory '%s'", dir);
            return NULL;
        }
        if (!check_owner(tool->run_dir, errp) || !check_owner(dir, errp)) {
            return NULL;
        }
        fd = lock_dir(tool, tool->run_dir, errp);
        if (fd < 0) {
            return NULL;
        }
        block_signals(SIG_BLOCK);
    }
    journal = g_new0(Journal, 1);
    journal->dir = g_steal_pointer(&dir);
    journal->lock_fd = fd;
    journal->netns = ns.st_ino;
    return journal;
}

void journal_close(Journal *journal)
{
    if (journal->lock_fd >= 0) {
        close(journal->lock_fd);
        block_signals(SIG_UNBLOCK);
    }
    g_free(journal->dir);
    g_free(journal);
}

static Entry *entry_load(Journal *journal, const char *file, GError **errp)
{
    g_autofree char *path = g_build_filename(journal->dir, file, NULL);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) err = NULL;
    JsonNode *root;
    Entry *entry;

    if (!json_parser_load_from_file(parser, path, &err)) {
        if (g_error_matches(err, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            return NULL;    /* whoever holds the lock has removed it */
        }
        goto bad;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        goto bad;
    }
    entry = g_new0(Entry, 1);
    entry->journal = journal;
    entry->file = g_strdup(file);
    entry->data = json_object_ref(json_node_get_object(root));
    if (*entry_string(entry, "kind") &&
        entry_int(entry, "ifindex", 0) > 0) {
        return entry;
    }
    entry_free(entry);
bad:
    af_xdp_error_set(errp, 0, "It says what is to be undone. If it cannot be "
                     "mended remove it, and undo by hand what 'status' "
                     "shows.", "the journal's file '%s' cannot be read%s%s",
                     path, err ? ": " : "", err ? err->message : "");
    return NULL;
}

/* All entries, or with @elsewhere those of other network namespaces */
static GPtrArray *entries(Journal *journal, const char *kind, bool elsewhere,
                          GError **errp)
{
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);
    g_autoptr(GDir) dir = g_dir_open(journal->dir, 0, NULL);
    const char *file;

    while (dir && (file = g_dir_read_name(dir))) {
        GError *err = NULL;
        Entry *entry;

        if (!g_str_has_suffix(file, SUFFIX)) {
            continue;
        }
        entry = entry_load(journal, file, &err);
        if (err) {
            g_propagate_error(errp, err);
            return NULL;
        }
        if (!entry) {
            continue;
        }
        if (((uint64_t)entry_int(entry, "netns", 0) == journal->netns) ==
                elsewhere ||
            (kind && strcmp(entry_string(entry, "kind"), kind))) {
            entry_free(entry);
            continue;
        }
        g_ptr_array_add(list, entry);
    }
    return g_steal_pointer(&list);
}

GPtrArray *journal_entries(Journal *journal, const char *kind, GError **errp)
{
    return entries(journal, kind, false, errp);
}

unsigned journal_elsewhere(Journal *journal)
{
    g_autoptr(GPtrArray) list = entries(journal, NULL, true, NULL);

    return list ? list->len : 0;
}

Entry *entry_new(Journal *journal, const char *kind, const char *id,
                 const char *nic, int ifindex)
{
    g_autofree char *name = options_file_name(id);
    Entry *entry = g_new0(Entry, 1);

    entry->journal = journal;
    entry->file = g_strdup_printf("%s-%s" SUFFIX, kind, name);
    entry->data = json_object_new();
    json_object_set_string_member(entry->data, "kind", kind);
    json_object_set_int_member(entry->data, "netns", journal->netns);
    json_object_set_string_member(entry->data, "nic", nic);
    json_object_set_int_member(entry->data, "ifindex", ifindex);
    json_object_set_boolean_member(entry->data, "complete", FALSE);
    return entry;
}

Entry *entry_copy(const Entry *entry)
{
    Entry *copy = g_new0(Entry, 1);

    copy->journal = entry->journal;
    copy->file = g_strdup(entry->file);
    copy->data = json_object_ref(entry->data);
    return copy;
}

void entry_free(Entry *entry)
{
    if (entry) {
        json_object_unref(entry->data);
        g_free(entry->file);
        g_free(entry);
    }
}

/* Make what was done to names in the directory last */
static bool sync_dir(const char *path, GError **errp)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = fd < 0 ? -1 : fsync(fd);

    if (ret) {
        af_xdp_error_set(errp, errno, NULL, "cannot sync '%s'", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ret == 0;
}

static bool write_all(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool done = fd >= 0;
    int saved_errno;

    while (done && len) {
        ssize_t ret = write(fd, text, len);

        if (ret < 0 && errno == EINTR) {
            continue;
        }
        done = ret > 0;
        if (done) {
            text += ret;
            len -= ret;
        }
    }
    done = done && fsync(fd) == 0;
    saved_errno = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = saved_errno;
    return done;
}

bool entry_write(Entry *entry, GError **errp)
{
    g_autofree char *path = g_build_filename(entry->journal->dir, entry->file,
                                             NULL);
    g_autofree char *aside = g_strconcat(path, ".new", NULL);
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *text = NULL;
    gsize len;

    json_node_set_object(root, entry->data);
    json_generator_set_root(generator, root);
    text = json_generator_to_data(generator, &len);
    if (!write_all(aside, text, len) || rename(aside, path)) {
        af_xdp_error_set(errp, errno, "Nothing is done that the journal does "
                         "not have: make room there, or choose another "
                         "directory with --run-dir.", "cannot write '%s'",
                         path);
        unlink(aside);
        return false;
    }
    return sync_dir(entry->journal->dir, errp);
}

bool entry_complete(Entry *entry, GError **errp)
{
    json_object_set_boolean_member(entry->data, "complete", TRUE);
    return entry_write(entry, errp);
}

bool entry_remove(Entry *entry, GError **errp)
{
    g_autofree char *path = g_build_filename(entry->journal->dir, entry->file,
                                             NULL);

    if (unlink(path) && errno != ENOENT) {
        af_xdp_error_set(errp, errno, NULL, "cannot remove '%s'", path);
        return false;
    }
    return sync_dir(entry->journal->dir, errp);
}

const char *entry_string(const Entry *entry, const char *name)
{
    JsonNode *node = json_object_get_member(entry->data, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING
        ? json_node_get_string(node) : "";
}

int64_t entry_int(const Entry *entry, const char *name, int64_t otherwise)
{
    JsonNode *node = json_object_get_member(entry->data, name);

    return node && json_node_get_value_type(node) == G_TYPE_INT64
        ? json_node_get_int(node) : otherwise;
}

bool entry_is_complete(const Entry *entry)
{
    JsonNode *node = json_object_get_member(entry->data, "complete");

    return node && json_node_get_value_type(node) == G_TYPE_BOOLEAN &&
           json_node_get_boolean(node);
}

void entry_set_numbers(Entry *entry, const char *name, const GArray *numbers)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < numbers->len; i++) {
        json_array_add_int_element(array,
                                   g_array_index(numbers, uint32_t, i));
    }
    json_object_set_array_member(entry->data, name, array);
}

GArray *entry_numbers(const Entry *entry, const char *name)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    JsonNode *node = json_object_get_member(entry->data, name);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node)
        ? json_node_get_array(node) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *item = json_array_get_element(array, i);

        if (json_node_get_value_type(item) == G_TYPE_INT64) {
            uint32_t number = json_node_get_int(item);

            g_array_append_val(numbers, number);
        }
    }
    return numbers;
}

bool numbers_contain(const GArray *numbers, uint32_t number)
{
    for (guint i = 0; i < numbers->len; i++) {
        if (g_array_index(numbers, uint32_t, i) == number) {
            return true;
        }
    }
    return false;
}
