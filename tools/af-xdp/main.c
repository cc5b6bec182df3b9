/*
 * qemu-af-xdp: prepare a host's NIC for the af-xdp netdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <locale.h>
#include "tool.h"

static const struct {
    const char *name;
    ToolCommand *run;
    const char *about;
} commands[] = {
    { "lease", lease_main,
      "make a netkit device and lease queues of a NIC to it" },
    { "attach", attach_main,
      "attach the XDP program to a NIC, pin a VM's map of sockets" },
    { "detach", detach_main, "undo attach" },
    { "steer", steer_main, "have the NIC put a VM's frames on its queues" },
    { "status", status_main, "show what there is" },
    { "release", release_main, "undo everything, also after a crash" },
};

static void print_help(void)
{
    printf("Usage: %s COMMAND [OPTION...] [ARGUMENT...]\n\n"
           "Prepare a NIC of this host for QEMU's af-xdp netdev.\n\n"
           "Commands:\n", TOOL_NAME);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        printf("  %-9s %s\n", commands[i].name, commands[i].about);
    }
    printf("\nFrom a NIC to a VM in a namespace:\n\n"
           "  %s lease eth0 --queues 4,5 --name nk0 --netns pod1 --vm web\n"
           "  %s attach eth0 --queues 4,5 --vm web --pin-owner qemu\n"
           "  %s steer eth0 --queues 4,5 --vm web --mac 52:54:00:12:34:56\n"
           "  ... run QEMU with the -netdev that lease has printed ...\n"
           "  %s release --vm web\n\n"
           "'%s COMMAND --help' tells more, with examples.\n\n"
           "Exit status: 0 done, or nothing to do; 1 failure; "
           "2 bad usage.\n",
           TOOL_NAME, TOOL_NAME, TOOL_NAME, TOOL_NAME, TOOL_NAME);
}

/* Steps of insertion, removal or change between two short words */
static unsigned distance(const char *left, const char *right)
{
    size_t len = strlen(right);
    g_autofree unsigned *row = g_new(unsigned, len + 1);

    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (; *left; left++) {
        unsigned corner = row[0]++;

        for (size_t j = 1; j <= len; j++) {
            unsigned next = corner + (*left != right[j - 1]);

            corner = row[j];
            row[j] = MIN(next, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[len];
}

static void unknown_command(GError **errp, const char *name)
{
    const char *nearest = NULL;
    g_autofree char *hint = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        unsigned steps = distance(name, commands[i].name);

        if (steps < best) {
            best = steps;
            nearest = commands[i].name;
        }
    }
    hint = nearest
        ? g_strdup_printf("Did you mean '%s'?", nearest)
        : g_strdup_printf("'%s --help' lists the commands.", TOOL_NAME);
    tool_usage_error(errp, hint, "there is no command '%s'", name);
}

static bool run(Tool *tool, int argc, char **argv, GError **errp)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(argv[0], commands[i].name)) {
            return commands[i].run(tool, argc, argv, errp);
        }
    }
    unknown_command(errp, argv[0]);
    return false;
}

int main(int argc, char **argv)
{
    GError *err = NULL;
    Tool tool = { 0 };
    bool done;

    setlocale(LC_ALL, "");
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
                     !strcmp(argv[1], "help"))) {
        print_help();
        return TOOL_EXIT_OK;
    }
    if (argc > 1 && (!strcmp(argv[1], "--version") ||
                     !strcmp(argv[1], "-V"))) {
        printf("%s version %s\n", TOOL_NAME, QEMU_VERSION);
        return TOOL_EXIT_OK;
    }
    if (argc < 2) {
        tool_usage_error(&err, "'" TOOL_NAME " --help' lists the commands.",
                         "a command is missing");
        done = false;
    } else {
        done = run(&tool, argc - 1, argv + 1, &err);
    }
    g_free(tool.run_dir);
    g_free(tool.bpffs);
    if (!done) {
        bool usage = err->domain == TOOL_USAGE;
        g_autofree char *text = tool_plain(err->message);

        fprintf(stderr, "%s: %s\n", TOOL_NAME, text);
        g_error_free(err);
        return usage ? TOOL_EXIT_USAGE : TOOL_EXIT_FAILURE;
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s: cannot write to stdout: %s\n", TOOL_NAME,
                g_strerror(errno));
        return TOOL_EXIT_FAILURE;
    }
    return TOOL_EXIT_OK;
}
