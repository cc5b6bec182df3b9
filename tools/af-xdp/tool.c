/*
 * qemu-af-xdp: what all of its commands share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "tool.h"
#include "net/af-xdp-error.h"

/* /run is empty after a boot, as are the kernel's objects. */
#define DEFAULT_RUN_DIR "/run/qemu-af-xdp"
#define DEFAULT_BPFFS "/sys/fs/bpf"

GQuark tool_usage_quark(void)
{
    return g_quark_from_static_string("af-xdp-tool-usage");
}

void tool_usage_error(GError **errp, const char *hint, const char *fmt, ...)
{
    g_autofree char *message = NULL;
    va_list ap;

    va_start(ap, fmt);
    message = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(errp, TOOL_USAGE, 0, "%s%s%s", message, hint ? "\n" : "",
                hint ?: "");
}

bool tool_parse(Tool *tool, const GOptionEntry *entries, const char *synopsis,
                const char *about, int *argc, char ***argv, GError **errp)
{
    const GOptionEntry common[] = {
        { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &tool->dry_run,
          "Say what would be done, change nothing", NULL },
        { "json", 'j', 0, G_OPTION_ARG_NONE, &tool->json,
          "Write the result as JSON", NULL },
        { "quiet", 'q', 0, G_OPTION_ARG_NONE, &tool->quiet,
          "Write errors only", NULL },
        { "verbose", 'v', 0, G_OPTION_ARG_NONE, &tool->verbose,
          "Write each step to stderr", NULL },
        { "run-dir", 0, 0, G_OPTION_ARG_FILENAME, &tool->run_dir,
          "Keep lock and journal in DIR (" DEFAULT_RUN_DIR ")", "DIR" },
        { "bpffs", 0, 0, G_OPTION_ARG_FILENAME, &tool->bpffs,
          "Pin in the BPF file system at DIR (" DEFAULT_BPFFS ")", "DIR" },
        { NULL }
    };
    g_autofree char *name = g_strdup_printf("%s %s", TOOL_NAME, (*argv)[0]);
    g_autoptr(GOptionContext) context = g_option_context_new(synopsis);
    GError *err = NULL;

    g_set_prgname(name);
    g_option_context_set_description(context, about);
    if (entries) {
        g_option_context_add_main_entries(context, entries, NULL);
    }
    g_option_context_add_main_entries(context, common, NULL);
    if (!g_option_context_parse(context, argc, argv, &err)) {
        g_autofree char *hint = g_strdup_printf("'%s --help' tells more.",
                                                name);

        tool_usage_error(errp, hint, "%s", err->message);
        g_error_free(err);
        return false;
    }
    for (int i = 1; i < *argc; i++) {
        /* The separator itself stays there. */
        if (!strcmp((*argv)[i], "--")) {
            memmove(*argv + i, *argv + i + 1,
                    (*argc - i) * sizeof(**argv));
            (*argc)--;
            break;
        }
    }
    if (!tool->run_dir) {
        tool->run_dir = g_strdup(DEFAULT_RUN_DIR);
    }
    if (!tool->bpffs) {
        tool->bpffs = g_strdup(DEFAULT_BPFFS);
    }
    return true;
}

static void print_line(FILE *out, const char *prefix, const char *fmt,
                       va_list ap) G_GNUC_PRINTF(3, 0);

char *tool_plain(const char *text)
{
    GString *plain = g_string_new(NULL);

    for (; *text; text++) {
        if (g_ascii_iscntrl(*text) && *text != '\n') {
            g_string_append_printf(plain, "\\x%02x", (guchar)*text);
        } else {
            g_string_append_c(plain, *text);
        }
    }
    return g_string_free(plain, FALSE);
}

static void print_line(FILE *out, const char *prefix, const char *fmt,
                       va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(fmt, ap);
    g_autofree char *plain = tool_plain(text);

    fprintf(out, "%s%s\n", prefix, plain);
}

bool tool_step(const Tool *tool, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (tool->dry_run) {
        if (!tool->quiet) {
            print_line(tool->json ? stderr : stdout, "would ", fmt, ap);
        }
    } else if (tool->verbose) {
        print_line(stderr, "", fmt, ap);
    }
    va_end(ap);
    return !tool->dry_run;
}

void tool_note(const Tool *tool, const char *fmt, ...)
{
    va_list ap;

    if (tool->quiet) {
        return;
    }
    va_start(ap, fmt);
    print_line(stderr, "note: ", fmt, ap);
    va_end(ap);
}

void tool_say(const Tool *tool, const char *fmt, ...)
{
    va_list ap;

    if (tool->quiet || tool->json) {
        return;
    }
    va_start(ap, fmt);
    print_line(stdout, "", fmt, ap);
    va_end(ap);
}

void tool_json(const Tool *tool, JsonObject *object)
{
    if (tool->json && !tool->quiet) {
        g_autoptr(JsonGenerator) generator = json_generator_new();
        g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
        g_autofree char *text = NULL;

        json_node_set_object(root, object);
        json_generator_set_root(generator, root);
        json_generator_set_pretty(generator, TRUE);
        text = json_generator_to_data(generator, NULL);
        puts(text);
    }
    json_object_unref(object);
}

void tool_warn(const Tool *tool, GError *err)
{
    g_autofree char *message = NULL;
    const char *hint;

    af_xdp_error_split(err, &message, &hint);
    tool_note(tool, "%s%s%s", message, hint ? "\n      " : "", hint ?: "");
    g_error_free(err);
}

bool tool_initial_user_namespace(GError **errp)
{
    g_autofree char *map = NULL;
    unsigned inside, outside, count;

    /* There, and only there, every id is itself. No /proc: let it try. */
    if (!g_file_get_contents("/proc/self/uid_map", &map, NULL, NULL) ||
        (sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 &&
         inside == 0 && outside == 0 && count == UINT32_MAX)) {
        return true;
    }
    af_xdp_error_set(errp, EPERM,
                     "Run it on the host itself, as root. In a container that "
                     "has a user namespace of its own, not even root may do "
                     "this; what the host has prepared can be used there.",
                     "this is not the initial user namespace");
    return false;
}
