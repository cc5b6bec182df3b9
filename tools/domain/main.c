/*
 * AF_XDP domain filter: the program's arguments
 *
 * Under the name onDefineDomain, which KubeVirt's sidecar looks for, it takes
 * that program's arguments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "convert.h"
#include "kubevirt.h"
#include "mark.h"
#include "output.h"

#define HOOK_NAME "onDefineDomain"

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,       /* the XML, the VMI, or a file */
    EXIT_USAGE = 2,
};

typedef struct Arguments {
    char *input;
    char *output;
    char *vmi;
    char *domain;
    char *hook_version;
    bool hook;
    gboolean check;
    gboolean explain;
    gboolean list;
    gboolean version;
} Arguments;

static const char summary[] =
    "Converts marked <interface type='ethernet'> of a libvirt domain to QEMU's "
    "af-xdp\nnetdev. FILE is the domain's XML, standard input by default.";

static const char description[] =
    "A mark in the domain:\n"
    "  <metadata>\n"
    "    <af-xdp:interfaces xmlns:af-xdp='http://qemu.org/schemas/domain/"
    "af-xdp/1.0'>\n"
    "      <af-xdp:interface dev='veth0' queues='2' zero-copy='on'/>\n"
    "    </af-xdp:interfaces>\n"
    "  </metadata>\n"
    "\n"
    "Examples:\n"
    "  virsh dumpxml --inactive --security-info vm1 > old.xml\n"
    "  qemu-af-xdp-domain --output new.xml old.xml\n"
    "  virsh define new.xml\n"
    "  qemu-af-xdp-domain --check --explain vm1.xml\n"
    "\n"
    "Exit status: 0 if all is well, 1 if the domain is refused, 2 for wrong\n"
    "arguments. Nothing is written unless all is well.\n";

static bool parse_filter(Arguments *args, int *argc, char ***argv,
                         GError **errp)
{
    GOptionEntry entries[] = {
        { "check", 'c', 0, G_OPTION_ARG_NONE, &args->check,
          "only say whether it can be converted", NULL },
        { "explain", 'e', 0, G_OPTION_ARG_NONE, &args->explain,
          "say on standard error what is changed", NULL },
        { "output", 'o', 0, G_OPTION_ARG_FILENAME, &args->output,
          "write to FILE, as a whole or not at all", "FILE" },
        { "list-options", 'l', 0, G_OPTION_ARG_NONE, &args->list,
          "print the options that a mark can have", NULL },
        { "version", 'V', 0, G_OPTION_ARG_NONE, &args->version,
          "print the version", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new("[FILE]");

    g_option_context_set_summary(context, summary);
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, errp)) {
        return false;
    }
    if (*argc > 2) {
        return domain_error(errp, 0, NULL, "more than one FILE");
    }
    args->input = g_strdup(*argc > 1 ? (*argv)[1] : "-");
    if (args->check && args->output) {
        return domain_error(errp, 0, NULL, "--check writes nothing, "
                            "--output does not go with it");
    }
    return true;
}

static bool parse_hook(Arguments *args, int *argc, char ***argv, GError **errp)
{
    GOptionEntry entries[] = {
        { "vmi", 0, 0, G_OPTION_ARG_STRING, &args->vmi,
          "the VirtualMachineInstance", "JSON" },
        { "domain", 0, 0, G_OPTION_ARG_STRING, &args->domain,
          "the domain that KubeVirt has made of it", "XML" },
        { "version", 0, 0, G_OPTION_ARG_STRING, &args->hook_version,
          "of the hook: v1alpha1 to v1alpha3, which are the same here",
          "VERSION" },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, "KubeVirt's hook: prints the domain "
                                 "with its AF_XDP interfaces");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, errp)) {
        return false;
    }
    if (*argc > 1) {
        return domain_error(errp, 0, NULL, "'%s' is no option", (*argv)[1]);
    }
    if (!args->vmi || !args->domain) {
        return domain_error(errp, 0, NULL, "--vmi and --domain are needed");
    }
    if (args->hook_version &&
        !g_str_has_prefix(args->hook_version, "v1alpha")) {
        return domain_error(errp, 0, NULL, "the hook's version '%s' is not "
                            "known", args->hook_version);
    }
    args->explain = true;
    args->output = g_strdup("-");
    return true;
}

static void show(const GPtrArray *messages, const char *file,
                 const char *kind)
{
    for (guint i = 0; i < messages->len; i++) {
        const Message *message = g_ptr_array_index(messages, i);
        g_autofree char *text = message_format(file, message->line, kind,
                                               message->text);

        fputs(text, stderr);
    }
}

/* Read, convert, write. */
static bool run(const Arguments *args, const char *file, Report *report,
                GError **errp)
{
    g_autofree char *text = NULL;
    g_autofree char *result = NULL;
    gsize len = 0;

    if (args->hook) {
        text = kubevirt_mark(args->domain, args->vmi, "/sys", report, errp);
        len = text ? strlen(text) : 0;
    } else {
        text = input_read(args->input, &len, errp);
    }
    if (!text) {
        return false;
    }
    result = domain_convert(text, len, &len, report, errp);
    if (!result) {
        return false;
    }
    show(report->warnings, file, "warning");
    if (args->explain) {
        show(report->notes, file, NULL);
    }
    return args->check ||
        output_write(args->output ? args->output : "-", result, len, errp);
}

int main(int argc, char **argv)
{
    g_autofree char *name = g_path_get_basename(argv[0]);
    g_autoptr(Report) report = report_new();
    g_autoptr(GError) err = NULL;
    Arguments args = { .hook = !strcmp(name, HOOK_NAME) };
    int status = EXIT_DONE;
    const char *file = NULL;

    if (args.hook ? !parse_hook(&args, &argc, &argv, &err) :
        !parse_filter(&args, &argc, &argv, &err)) {
        fprintf(stderr, "%s: %s\nTry '%s --help'.\n", name, err->message,
                name);
        status = EXIT_USAGE;
    } else if (args.version) {
        printf("%s for marks of %s\n", name, MARK_NS);
    } else if (args.list) {
        g_autofree char *list = options_list();

        if (!output_write("-", list, strlen(list), &err)) {
            fprintf(stderr, "%s: %s\n", name, err->message);
            status = EXIT_REFUSED;
        }
    } else {
        file = args.hook ? "domain" : !strcmp(args.input, "-") ?
            "standard input" : args.input;
        if (!run(&args, file, report, &err)) {
            g_autofree char *text = message_format(file, err->code, "error",
                                                   err->message);

            fputs(text, stderr);
            status = EXIT_REFUSED;
        }
    }
    g_free(args.input);
    g_free(args.output);
    g_free(args.vmi);
    g_free(args.domain);
    g_free(args.hook_version);
    return status;
}
