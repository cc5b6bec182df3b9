/*
 * Benchmark: what guest zero-copy costs when the guest starts its driver
 *
 * The start is one register write that the device answers when all is done.
 * What QEMU says about it in "info network" is asked for over QMP.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "cpu.h"
#include "start-cost.h"

#define HUGE_PAGES "/proc/sys/vm/nr_hugepages"
#define HUGE_PAGE (2u << 20)
/* What must stay free beside the guest's RAM. */
#define SPARE (1ull << 30)

/*
 * Not zero-copy=on, with which QEMU registers all of RAM once before, to see
 * that it can be.
 */
static const AxbBackend backend = {
    .name = "start-cost",
    .binary = AXB_BINARY_OURS,
    .wire = AXB_WIRE_VETH,
    .netdev = "af-xdp,id=net0,ifname=@IF@,queues=@QUEUES@,mode=native,"
              "vhost=on,zero-copy=auto,zero-copy-limit=1T",
};

/* --- Memory of this machine --- */

/* A line of /proc/meminfo in bytes. */
static uint64_t meminfo(const char *name)
{
    g_autofree char *text = NULL;
    const char *at = NULL;

    if (g_file_get_contents("/proc/meminfo", &text, NULL, NULL)) {
        at = strstr(text, name);
    }
    return at ? g_ascii_strtoull(at + strlen(name) + 1, NULL, 10) << 10 : 0;
}

static uint64_t huge_pages(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(HUGE_PAGES, &text, NULL, NULL) ?
           g_ascii_strtoull(text, NULL, 10) : 0;
}

/* Returns false if there cannot be so many. */
static bool set_huge_pages(uint64_t n)
{
    FILE *f = fopen(HUGE_PAGES, "w");

    if (!f) {
        return false;
    }
    fprintf(f, "%" PRIu64, n);
    fclose(f);
    return huge_pages() >= n;
}

/* --- What QEMU says --- */

/* One line that holds @what; false if there is none. */
static bool read_until(FILE *f, char **line, size_t *size, const char *what)
{
    while (getline(line, size, f) > 0) {
        if (strstr(*line, what)) {
            return true;
        }
    }
    return false;
}

/* The answer to "info network", in JSON; NULL if there is none. */
static char *info_network(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autofree char *answer = NULL;
    char *line = NULL;
    size_t size = 0;
    FILE *f = NULL;

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
        f = fdopen(fd, "r+");
    }
    if (f) {
        setvbuf(f, NULL, _IOLBF, 0);
        if (read_until(f, &line, &size, "QMP") &&
            dprintf(fd, "{'execute': 'qmp_capabilities'}\n") > 0 &&
            read_until(f, &line, &size, "return") &&
            dprintf(fd, "{'execute': 'human-monitor-command', 'arguments': "
                    "{'command-line': 'info network'}}\n") > 0 &&
            read_until(f, &line, &size, "return")) {
            answer = g_strdup(line);
        }
        fclose(f);
    } else if (fd >= 0) {
        close(fd);
    }
    free(line);
    return g_steal_pointer(&answer);
}

/* --- One row --- */

typedef struct Cost {
    double first_ms;            /* the start, as the guest sees it */
    double next_ms;
    double registered_ms;       /* as QEMU says */
    uint64_t window;            /* MiB, likewise */
    uint64_t kernel;
} Cost;

static bool parse(const char *info, Cost *cost, GError **errp)
{
    const char *at = info ? strstr(info, "zero-copy=") : NULL;

    if (!at || sscanf(at, "zero-copy=on (window %" SCNu64 " MiB; kernel memory "
                      "%" SCNu64 " MiB; registered in %lf ms)", &cost->window,
                      &cost->kernel, &cost->registered_ms) != 3) {
        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "\"info network\" does not say what it cost: %.60s",
                    at ? at : "nothing about zero-copy");
        return false;
    }
    return true;
}

static bool measure(const AxbBinaries *bin, const AxbWire *wire,
                    const AxbRam *ram, Cost *cost, GError **errp)
{
    g_autofree char *dir = g_dir_make_tmp("axb-XXXXXX", errp);
    g_autofree char *path = g_build_filename(dir ? dir : "", "qmp", NULL);
    g_autofree char *qmp = g_strdup_printf("unix:%s,server=on,wait=off", path);
    const char *const extra[] = { "-qmp", qmp, NULL };
    g_autofree char *info = NULL;
    int cpus[1024];
    AxbGuestConfig guest = {
        .cpus = cpus,
        .n_cpus = axb_cpu_allowed(cpus, G_N_ELEMENTS(cpus)),
        .event_idx = true,
        .mergeable = true,
        .qtest_kicks = true,
        .extra = extra,
        .ram = *ram,
    };
    AxbEndpoint *ep = NULL;
    uint64_t next = 0;

    if (dir) {
        ep = axb_backend_start(&backend, bin, wire, &guest, errp);
    }
    if (ep) {
        cost->first_ms = axb_guest_start_ns(ep) / 1e6;
        info = info_network(path);
        next = axb_guest_restart(ep, errp);
        cost->next_ms = next / 1e6;
        ep->free(ep);
    }
    if (dir) {
        unlink(path);
        rmdir(dir);
    }
    return next && parse(info, cost, errp);
}

/* Returns false if it failed; prints why a row is left out. */
static bool row(const AxbBinaries *bin, const AxbWire *wire, unsigned gib,
                bool huge)
{
    AxbRam ram = { .size = (uint64_t)gib << 30, .huge_pages = huge };
    uint64_t before = huge_pages();
    g_autoptr(GError) err = NULL;
    Cost cost = { 0 };
    bool ok;

    printf("%2u GiB  %s  ", gib, huge ? "2 MiB" : "4 KiB");
    fflush(stdout);
    if (meminfo("MemAvailable:") < ram.size + SPARE) {
        printf("left out: this machine has too little memory\n");
        return true;
    }
    if (huge && !set_huge_pages(before + ram.size / HUGE_PAGE)) {
        set_huge_pages(before);
        printf("left out: so many huge pages cannot be reserved\n");
        return true;
    }
    ok = measure(bin, wire, &ram, &cost, &err);
    if (huge) {
        set_huge_pages(before);
    }
    if (!ok) {
        printf("failed: %s\n", err->message);
        return false;
    }
    printf("%10.1f  %10.1f  %10.1f  %10" PRIu64 "\n", cost.first_ms,
           cost.registered_ms, cost.next_ms, cost.kernel);
    return true;
}

unsigned axb_start_cost(const AxbBinaries *bin, const unsigned *gib)
{
    g_autoptr(GError) err = NULL;
    AxbWire *wire = axb_wire_new(AXB_WIRE_VETH, 1, AXB_FRAME_PAGE, FALSE, &err);
    unsigned failed = 0;

    if (!wire) {
        fprintf(stderr, "error: %s\n", err->message);
        return 1;
    }
    printf("One queue. First start of the device and the next one, as the "
           "guest waits for it;\nregistration with the kernel, and the "
           "kernel's memory for it, as QEMU says.\n\n"
           "   RAM  pages   first, ms    of which    next, ms  kernel, MiB\n"
           "                           registered\n");
    for (; *gib; gib++) {
        failed += !row(bin, wire, *gib, false);
        failed += !row(bin, wire, *gib, true);
    }
    axb_wire_free(wire);
    return failed;
}
