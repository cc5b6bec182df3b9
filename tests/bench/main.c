/*
 * Benchmark: the program
 *
 * Measures each point of the plan several times, in a new order each time so
 * that a slow minute of the machine does not fall on one backend, and writes
 * every single measurement as JSON. Medians, tables and plots are the matter
 * of report.py.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cpu.h"
#include "scenario.h"
#include "start-cost.h"

typedef struct Plan {
    GArray *points;         /* AxbPoint */
    AxbSettings settings;
    int repeat;
    FILE *json;
    bool first;             /* nothing written to a list so far */
} Plan;

static char *opt_qemu, *opt_upstream, *opt_testpmd, *opt_json;
static char *opt_backends, *opt_scenarios, *opt_sizes, *opt_queues;
static char *opt_rings, *opt_start_cost;
static char **opt_add;
static gboolean opt_list, opt_no_event_idx, opt_indirect, opt_no_mergeable;
static gboolean opt_qtest_kicks, opt_no_kick_cost;
static int opt_repeat = 5, opt_ring;
static double opt_duration = 1.0, opt_warmup = 0.3;

static const GOptionEntry options[] = {
    { "qemu", 0, 0, G_OPTION_ARG_FILENAME, &opt_qemu,
      "QEMU with our af-xdp", "FILE" },
    { "upstream", 0, 0, G_OPTION_ARG_FILENAME, &opt_upstream,
      "QEMU without, for upstream's af-xdp and tap", "FILE" },
    { "testpmd", 0, 0, G_OPTION_ARG_FILENAME, &opt_testpmd,
      "DPDK's testpmd (default: dpdk-testpmd, if installed)", "FILE" },
    { "json", 0, 0, G_OPTION_ARG_FILENAME, &opt_json,
      "Write the measurements to FILE (default: stdout)", "FILE" },
    { "backends", 'b', 0, G_OPTION_ARG_STRING, &opt_backends,
      "Only these, comma separated", "LIST" },
    { "scenarios", 's', 0, G_OPTION_ARG_STRING, &opt_scenarios,
      "Only these", "LIST" },
    { "sizes", 0, 0, G_OPTION_ARG_STRING, &opt_sizes,
      "Frame sizes in bytes (64,256,1500,9000; 64 where latency or "
      "a fixed rate is measured)", "LIST" },
    { "queues", 'q', 0, G_OPTION_ARG_STRING, &opt_queues,
      "Numbers of queues (1, and 2 for rx and tx at 64 bytes)", "LIST" },
    { "rings", 0, 0, G_OPTION_ARG_STRING, &opt_rings,
      "split, packed or both (split)", "LIST" },
    { "add", 'a', 0, G_OPTION_ARG_STRING_ARRAY, &opt_add,
      "One more backend: NAME,ours|upstream,veth|tap,NETDEV with id=net0, "
      "@IF@ and @QUEUES@", "SPEC" },
    { "repeat", 'r', 0, G_OPTION_ARG_INT, &opt_repeat,
      "Measurements of each point (5)", "N" },
    { "duration", 'd', 0, G_OPTION_ARG_DOUBLE, &opt_duration,
      "Seconds of a measurement (1)", "S" },
    { "warmup", 0, 0, G_OPTION_ARG_DOUBLE, &opt_warmup,
      "Seconds before it (0.3)", "S" },
    { "ring", 0, 0, G_OPTION_ARG_INT, &opt_ring,
      "Receive ring entries (1024)", "N" },
    { "no-event-idx", 0, 0, G_OPTION_ARG_NONE, &opt_no_event_idx,
      "Do not negotiate the event index", NULL },
    { "indirect", 0, 0, G_OPTION_ARG_NONE, &opt_indirect,
      "Send from indirect descriptors, header apart", NULL },
    { "no-mergeable", 0, 0, G_OPTION_ARG_NONE, &opt_no_mergeable,
      "Do not negotiate mergeable receive buffers", NULL },
    { "qtest-kicks", 0, 0, G_OPTION_ARG_NONE, &opt_qtest_kicks,
      "Kick through qtest instead of QEMU's eventfds", NULL },
    { "no-kick-cost", 0, 0, G_OPTION_ARG_NONE, &opt_no_kick_cost,
      "Do not measure what kicks cost", NULL },
    { "start-cost", 0, 0, G_OPTION_ARG_STRING, &opt_start_cost,
      "Measure instead what the start with zero-copy=on costs with so many "
      "GiB of RAM, as in 1,4,16", "LIST" },
    { "list", 'l', 0, G_OPTION_ARG_NONE, &opt_list,
      "List backends and scenarios, measure nothing", NULL },
    { NULL }
};

static void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("error: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static bool in_list(const char *list, const char *what)
{
    g_auto(GStrv) part = g_strsplit(list, ",", -1);

    return g_strv_contains((const char *const *)part, what);
}

/* A list of positive numbers; @fallback if there is none. */
static GArray *numbers(const char *list, const char *fallback, int64_t min,
                       int64_t max)
{
    g_auto(GStrv) part = g_strsplit(list ?: fallback, ",", -1);
    GArray *a = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (unsigned i = 0; part[i]; i++) {
        uint64_t value;
        uint32_t small;

        if (!g_ascii_string_to_unsigned(part[i], 10, min, max, &value,
                                        NULL)) {
            die("'%s' is not a number from %" PRId64 " to %" PRId64, part[i],
                min, max);
        }
        small = value;
        g_array_append_val(a, small);
    }
    return a;
}

static void check_names(const char *list, bool backends)
{
    g_auto(GStrv) part = g_strsplit(list ?: "", ",", -1);

    for (unsigned i = 0; part[i]; i++) {
        if (backends ? !axb_backend_find(part[i])
                     : !axb_scenario_find(part[i])) {
            die("there is no %s '%s', see --list",
                backends ? "backend" : "scenario", part[i]);
        }
    }
}

/* Without --sizes and --queues, only the points that say something. */
static bool worth_it(const AxbScenario *s, uint32_t len, unsigned queues)
{
    bool saturated = s->rx_rate == AXB_RATE_MAX ||
                     (s->tx_rate == AXB_RATE_MAX && !s->ping_pong);

    if (!opt_sizes && !saturated && len != AXB_FRAME_MIN) {
        return false;
    }
    if (!opt_sizes && len == AXB_FRAME_MAX && !strcmp(s->name, "both")) {
        return false;
    }
    return opt_queues || queues == 1 ||
           (saturated && len == AXB_FRAME_MIN && strcmp(s->name, "both"));
}

static void plan_backend(Plan *plan, const AxbBackend *b)
{
    GArray *sizes = numbers(opt_sizes, "64,256,1500,9000", AXB_FRAME_MIN,
                            AXB_FRAME_MAX);
    GArray *queues = numbers(opt_queues, "1,2", 1, 16);
    const AxbScenario *s = NULL;

    while ((s = axb_scenario_next(s))) {
        if (opt_scenarios && !in_list(opt_scenarios, s->name)) {
            continue;
        }
        for (unsigned i = 0; i < sizes->len * queues->len * 2; i++) {
            AxbPoint p = {
                .backend = b,
                .scenario = s,
                .len = g_array_index(sizes, uint32_t, i / 2 % sizes->len),
                .queues = g_array_index(queues, uint32_t,
                                        i / 2 / sizes->len),
                .packed = i % 2,
            };

            if (p.len > b->max_len ||
                (b->max_queues && p.queues > b->max_queues) ||
                !worth_it(s, p.len, p.queues) ||
                !in_list(opt_rings ?: "split",
                         p.packed ? "packed" : "split") ||
                (p.packed && b->binary == AXB_BINARY_NONE)) {
                continue;
            }
            g_array_append_val(plan->points, p);
        }
    }
    g_array_free(sizes, TRUE);
    g_array_free(queues, TRUE);
}

static void make_plan(Plan *plan)
{
    const AxbBackend *b = NULL;

    plan->points = g_array_new(FALSE, FALSE, sizeof(AxbPoint));
    while ((b = axb_backend_next(b))) {
        const char *missing = axb_backend_missing(b, &plan->settings.bin);

        if (opt_backends && !in_list(opt_backends, b->name)) {
            continue;
        }
        if (missing) {
            fprintf(stderr, "%s is left out: %s\n", b->name, missing);
            if (opt_backends) {
                exit(2);
            }
            continue;
        }
        plan_backend(plan, b);
    }
}

/* --- JSON --- */

static void json_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20) {
            fprintf(f, "\\u%04x", *text);
        } else {
            if (*text == '"' || *text == '\\') {
                fputc('\\', f);
            }
            fputc(*text, f);
        }
    }
    fputc('"', f);
}

static void json_field(FILE *f, const char *name, const char *text)
{
    fprintf(f, "\"%s\": ", name);
    json_string(f, text);
    fputs(", ", f);
}

static char *cpu_model(void)
{
    g_autofree char *text = NULL;
    char *at = NULL;

    if (g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
        at = strstr(text, "model name");
    }
    at = at ? strstr(at, ": ") : NULL;
    if (!at) {
        return g_strdup("unknown");
    }
    return g_strndup(at + 2, strcspn(at + 2, "\n"));
}

static void json_head(Plan *plan)
{
    const AxbSettings *s = &plan->settings;
    g_autofree char *model = cpu_model();
    int cpus[256];
    double load[3] = { 0 };
    struct utsname u;
    FILE *f = plan->json;

    uname(&u);
    if (getloadavg(load, 3) < 1) {
        load[0] = -1;
    }
    fputs("{\"format\": 1,\n \"machine\": {", f);
    json_field(f, "kernel", u.release);
    json_field(f, "cpu", model);
    fprintf(f, "\"cpus\": %u, \"load\": %.2f},\n \"settings\": {",
            axb_cpu_allowed(cpus, 256), load[0]);
    fprintf(f, "\"repeat\": %d, \"duration\": %g, \"warmup\": %g, "
            "\"event_idx\": %s, \"indirect\": %s, \"mergeable\": %s, "
            "\"qtest_kicks\": %s},\n \"backends\": {", plan->repeat,
            s->duration, s->warmup, s->event_idx ? "true" : "false",
            s->indirect ? "true" : "false", s->mergeable ? "true" : "false",
            s->qtest_kicks ? "true" : "false");
    plan->first = true;
    for (const AxbBackend *b = NULL; (b = axb_backend_next(b));) {
        fprintf(f, "%s", plan->first ? "" : ", ");
        json_string(f, b->name);
        fputs(": ", f);
        json_string(f, b->title);
        plan->first = false;
    }
    fputs("},\n \"scenarios\": {", f);
    plan->first = true;
    for (const AxbScenario *sc = NULL; (sc = axb_scenario_next(sc));) {
        fprintf(f, "%s\"%s\": \"%s\"", plan->first ? "" : ", ", sc->name,
                sc->title);
        plan->first = false;
    }
    fputs("},\n", f);
}

static void json_result(Plan *plan, const AxbPoint *p, const AxbResult *r,
                        const char *error)
{
    FILE *f = plan->json;

    fprintf(f, "%s  {\"backend\": \"%s\", \"scenario\": \"%s\", \"size\": %u, "
            "\"queues\": %u, \"ring\": \"%s\", ", plan->first ? "" : ",\n",
            p->backend->name, p->scenario->name, p->len, p->queues,
            p->packed ? "packed" : "split");
    plan->first = false;
    if (error) {
        fputs("\"error\": ", f);
        json_string(f, error);
    } else {
        fprintf(f, "\"rx_pps\": %.0f, \"tx_pps\": %.0f, "
                "\"offered_pps\": %.0f, \"cpu_ns\": %.1f, "
                "\"user_ns\": %.1f, \"system_ns\": %.1f, "
                "\"cpu_share\": %.3f, \"wait_share\": %.4f, "
                "\"far_wait_share\": %.4f, \"stolen_share\": %.4f, "
                "\"p50_us\": %.2f, "
                "\"p99_us\": %.2f, \"lost\": %" PRIu64 ", \"kicks\": %.1f, "
                "\"sampled\": %" PRIu64 ", \"bad\": %" PRIu64 ", "
                "\"misplaced\": %" PRIu64 ", \"live_frames\": %s",
                r->rx_pps, r->tx_pps, r->offered_pps, r->cpu_ns, r->user_ns,
                r->system_ns, r->cpu_share, r->wait_share, r->far_wait_share,
                r->stolen_share, r->p50_us, r->p99_us, r->lost, r->kicks,
                r->sampled, r->bad, r->misplaced,
                r->live_frames ? "true" : "false");
    }
    fputc('}', f);
    fflush(f);
}

/* --- Doing it --- */

static void measure_kicks(Plan *plan)
{
    bool first = true;

    fputs(" \"kick_cost\": {", plan->json);
    for (const AxbBackend *b = NULL; (b = axb_backend_next(b));) {
        g_autoptr(GError) err = NULL;
        AxbKickCost c;
        bool wanted = false;

        for (unsigned i = 0; i < plan->points->len; i++) {
            wanted |= g_array_index(plan->points, AxbPoint, i).backend == b;
        }
        /* testpmd polls: nobody kicks it. */
        if (opt_no_kick_cost || !wanted || b->binary == AXB_BINARY_NONE ||
            b->binary == AXB_BINARY_TESTPMD) {
            continue;
        }
        if (!axb_point_kick_cost(b, &plan->settings, &c, &err)) {
            fprintf(stderr, "%s: %s\n", b->name, err->message);
            continue;
        }
        fprintf(stderr, "kick of %s: qtest %.1f us (QEMU %.1f us), "
                "eventfd %.2f us (QEMU %.1f us)\n", b->name,
                c.qtest_ns / 1e3, c.qtest_cpu_ns / 1e3, c.eventfd_ns / 1e3,
                c.eventfd_cpu_ns / 1e3);
        fprintf(plan->json, "%s\"%s\": {\"qtest_ns\": %.0f, "
                "\"qtest_cpu_ns\": %.0f, \"eventfd_ns\": %.0f, "
                "\"eventfd_cpu_ns\": %.0f}", first ? "" : ", ", b->name,
                c.qtest_ns, c.qtest_cpu_ns, c.eventfd_ns, c.eventfd_cpu_ns);
        first = false;
    }
    fputs("},\n", plan->json);
}

static void shuffle(GArray *points)
{
    for (unsigned i = points->len; i > 1; i--) {
        unsigned j = g_random_int_range(0, i);
        AxbPoint a = g_array_index(points, AxbPoint, i - 1);

        g_array_index(points, AxbPoint, i - 1) =
            g_array_index(points, AxbPoint, j);
        g_array_index(points, AxbPoint, j) = a;
    }
}

/* Returns how many measurements failed or saw wrong frames. */
static unsigned measure(Plan *plan)
{
    unsigned total = plan->points->len * plan->repeat;
    unsigned failed = 0;

    fputs(" \"results\": [\n", plan->json);
    plan->first = true;
    for (unsigned i = 0; i < total; i++) {
        unsigned at = i % plan->points->len;
        g_autoptr(GError) err = NULL;
        const AxbPoint *p;
        AxbResult r;
        bool ok;

        if (at == 0) {
            shuffle(plan->points);
        }
        p = &g_array_index(plan->points, AxbPoint, at);
        ok = axb_point_run(p, &plan->settings, &r, &err);
        json_result(plan, p, &r, ok ? NULL : err->message);
        fprintf(stderr, "[%u/%u] %s %s, %u bytes, %u queue%s%s: ", i + 1,
                total, p->backend->name, p->scenario->name, p->len,
                p->queues, p->queues > 1 ? "s" : "",
                p->packed ? ", packed" : "");
        if (!ok) {
            fprintf(stderr, "failed: %s\n", err->message);
            failed++;
            continue;
        }
        fprintf(stderr, "rx %.3f tx %.3f Mpps, %.0f ns", r.rx_pps / 1e6,
                r.tx_pps / 1e6, r.cpu_ns);
        if (r.p50_us) {
            fprintf(stderr, ", %.1f/%.1f us", r.p50_us, r.p99_us);
        }
        if (r.bad || r.misplaced) {
            fprintf(stderr, ", %" PRIu64 " BAD, %" PRIu64 " MISPLACED",
                    r.bad, r.misplaced);
            failed++;
        }
        fputc('\n', stderr);
    }
    fputs("\n ]}\n", plan->json);
    return failed;
}

static unsigned start_cost(const AxbBinaries *bin)
{
    GArray *gib = numbers(opt_start_cost, NULL, 1, 1 << 20);
    const uint32_t end = 0;
    unsigned failed;

    if (!bin->ours) {
        die("no QEMU of ours, give --qemu");
    }
    g_array_append_val(gib, end);
    failed = axb_start_cost(bin, (uint32_t *)gib->data);
    g_array_free(gib, TRUE);
    return failed;
}

static void list_all(void)
{
    puts("Backends:");
    for (const AxbBackend *b = NULL; (b = axb_backend_next(b));) {
        printf("  %-12s %s\n", b->name, b->title);
    }
    puts("Scenarios:");
    for (const AxbScenario *s = NULL; (s = axb_scenario_next(s));) {
        printf("  %-12s %s\n", s->name, s->title);
    }
}

static void read_options(Plan *plan, int argc, char **argv)
{
    GOptionContext *context = g_option_context_new(NULL);
    g_autoptr(GError) err = NULL;

    g_option_context_set_summary(context, "Measure network backends with a "
                                 "native guest driver, over veth and tap "
                                 "devices of a private network namespace.");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        die("%s", err->message);
    }
    g_option_context_free(context);
    if (argc > 1) {
        die("'%s' is no option, see --help", argv[1]);
    }
    for (unsigned i = 0; opt_add && opt_add[i]; i++) {
        if (!axb_backend_add(opt_add[i])) {
            die("--add wants NAME,ours|upstream,veth|tap,NETDEV with a new "
                "name and id=net0, not '%s'", opt_add[i]);
        }
    }
    check_names(opt_backends, true);
    check_names(opt_scenarios, false);
    if (opt_repeat < 1 || opt_duration < 0.05 || opt_warmup < 0 ||
        (opt_ring && (opt_ring < 64 || opt_ring > 1024 ||
                      (opt_ring & (opt_ring - 1))))) {
        die("--repeat is 1 or more, --duration at least 0.05 s, --ring a "
            "power of 2 from 64 to 1024");
    }
    plan->repeat = opt_repeat;
    plan->settings = (AxbSettings) {
        .bin = {
            .ours = opt_qemu,
            .upstream = opt_upstream,
            .testpmd = opt_testpmd ?: g_find_program_in_path("dpdk-testpmd"),
        },
        .warmup = opt_warmup,
        .duration = opt_duration,
        .event_idx = !opt_no_event_idx,
        .indirect = opt_indirect,
        .mergeable = !opt_no_mergeable,
        .qtest_kicks = opt_qtest_kicks,
        .ring = opt_ring,
    };
}

int main(int argc, char **argv)
{
    g_autoptr(GError) err = NULL;
    Plan plan = { 0 };
    unsigned failed, n;
    int cpus[256];

    read_options(&plan, argc, argv);
    if (opt_list) {
        list_all();
        return 0;
    }
    if (!opt_start_cost) {
        make_plan(&plan);
        if (!plan.points->len) {
            die("nothing to measure");
        }
    }
    signal(SIGPIPE, SIG_IGN);
    if (!axb_wire_enter(&err)) {
        die("%s", err->message);
    }
    if (opt_start_cost) {
        return start_cost(&plan.settings.bin) ? 1 : 0;
    }
    /* Out of the way of what QEMU does on the first processor. */
    n = axb_cpu_allowed(cpus, G_N_ELEMENTS(cpus));
    axb_cpu_pin(&cpus[n - 1], 1);

    plan.json = opt_json ? fopen(opt_json, "w") : stdout;
    if (!plan.json) {
        die("cannot write to %s", opt_json);
    }
    json_head(&plan);
    measure_kicks(&plan);
    failed = measure(&plan);
    if (fflush(plan.json) || ferror(plan.json)) {
        die("writing the results failed");
    }
    if (failed) {
        fprintf(stderr, "%u of the measurements failed or saw wrong frames\n",
                failed);
    }
    return failed ? 1 : 0;
}
