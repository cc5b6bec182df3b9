/*
 * Benchmark: processors, time and who spent it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "cpu.h"

unsigned axb_cpu_allowed(int *cpus, unsigned max)
{
    static cpu_set_t set;
    unsigned n = 0;

    if (!CPU_COUNT(&set) && sched_getaffinity(0, sizeof(set), &set)) {
        return 0;
    }
    for (int i = 0; i < CPU_SETSIZE && n < max; i++) {
        if (CPU_ISSET(i, &set)) {
            cpus[n++] = i;
        }
    }
    return n;
}

void axb_cpu_pin(const int *cpus, unsigned n)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (unsigned i = 0; i < n; i++) {
        CPU_SET(cpus[i], &set);
    }
    sched_setaffinity(0, sizeof(set), &set);
}

void axb_cpu_urgent(void)
{
    struct sched_param param = { .sched_priority = 1 };

    /* The default slack adds 50 us to each sleep. */
    prctl(PR_SET_TIMERSLACK, 1ul);
    sched_setscheduler(0, SCHED_FIFO, &param);
}

static bool thread_time(const char *dir, const char *tid, AxbCpuTime *sum)
{
    g_autofree char *schedstat = g_build_filename(dir, tid, "schedstat", NULL);
    g_autofree char *stat = g_build_filename(dir, tid, "stat", NULL);
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    unsigned long long busy, wait, user, sys;
    const char *p;

    if (!g_file_get_contents(schedstat, &text, NULL, NULL) ||
        sscanf(text, "%llu %llu", &busy, &wait) != 2 ||
        !g_file_get_contents(stat, &line, NULL, NULL)) {
        return false;
    }
    /* The name may hold anything, also ')'; fields 14 and 15 are wanted. */
    p = strrchr(line, ')');
    if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                     "%llu %llu", &user, &sys) != 2) {
        return false;
    }
    sum->busy_ns += busy;
    sum->wait_ns += wait;
    sum->user_ticks += user;
    sum->system_ticks += sys;
    return true;
}

bool axb_cpu_time(pid_t pid, pid_t tid, AxbCpuTime *out)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/task", (int)pid);
    g_autofree char *one = g_strdup_printf("%d", (int)tid);
    GDir *list;
    const char *name;
    bool any = false;

    memset(out, 0, sizeof(*out));
    if (tid) {
        return thread_time(dir, one, out);
    }
    list = g_dir_open(dir, 0, NULL);
    if (!list) {
        return false;
    }
    while ((name = g_dir_read_name(list))) {
        any |= thread_time(dir, name, out);
    }
    g_dir_close(list);
    return any;
}

uint64_t axb_cpu_stolen(void)
{
    g_autofree char *text = NULL;
    unsigned long long steal;

    if (!g_file_get_contents("/proc/stat", &text, NULL, NULL) ||
        sscanf(text, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1) {
        return 0;
    }
    return steal * (1000000000ull / sysconf(_SC_CLK_TCK));
}
