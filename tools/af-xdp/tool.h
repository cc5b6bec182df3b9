/*
 * qemu-af-xdp: what all of its commands share
 *
 * The program is single-threaded. Functions fail with a GError whose message
 * has a hint behind its first newline, see net/af-xdp-error.h; bad usage has
 * the domain TOOL_USAGE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_H
#define AF_XDP_TOOL_H

#include <glib.h>
#include <json-glib/json-glib.h>

#define TOOL_NAME "qemu-af-xdp"

/* Exit statuses, as the manual page has them */
enum {
    TOOL_EXIT_OK = 0,
    TOOL_EXIT_FAILURE = 1,
    TOOL_EXIT_USAGE = 2,
};

#define TOOL_USAGE tool_usage_quark()
GQuark tool_usage_quark(void);

/* What the options that every command has say */
typedef struct Tool {
    gboolean dry_run;       /* say what would be done, change nothing */
    gboolean json;          /* the result as JSON on stdout */
    gboolean quiet;         /* no result and no notes */
    gboolean verbose;       /* each step on stderr */
    char *run_dir;          /* lock and journal */
    char *bpffs;            /* a BPF file system, for the pins */
} Tool;

/*
 * A command: parses @argv (its own name first), does its work.
 * Returns false with @errp set.
 */
typedef bool ToolCommand(Tool *tool, int argc, char **argv, GError **errp);

ToolCommand lease_main, attach_main, detach_main, steer_main, status_main,
            release_main;

/*
 * tool_parse: parse a command's options.
 * @entries: its own options; those of every command are added.
 * @synopsis: what follows the command's name in its usage.
 * @about: what it does, and examples, for --help.
 * @argc, @argv: left with what is not an option.
 * @errp: set on bad usage.
 */
bool tool_parse(Tool *tool, const GOptionEntry *entries, const char *synopsis,
                const char *about, int *argc, char ***argv, GError **errp);

/* tool_usage_error: fill in @errp for bad usage. @hint may be NULL. */
void tool_usage_error(GError **errp, const char *hint, const char *fmt, ...)
    G_GNUC_PRINTF(3, 4);

/*
 * tool_step: about to change something.
 * Returns false if that is not to happen (--dry-run); then it has been said.
 */
bool tool_step(const Tool *tool, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* tool_note: something the user should know; on stderr, unless --quiet */
void tool_note(const Tool *tool, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* tool_say: a line of the result; not with --json or --quiet */
void tool_say(const Tool *tool, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/*
 * tool_plain: @text without control characters other than newlines, for a
 * terminal: names of devices may have any. To be freed.
 */
char *tool_plain(const char *text);

/* tool_json: the result as JSON, with --json; takes @object. */
void tool_json(const Tool *tool, JsonObject *object);

/* tool_warn: say what @err says, as a note, and free it. */
void tool_warn(const Tool *tool, GError *err);

/*
 * tool_initial_user_namespace: the kernel's network devices and BPF obey root
 * only there.
 * Returns false with @errp set elsewhere.
 */
bool tool_initial_user_namespace(GError **errp);

#endif /* AF_XDP_TOOL_H */
