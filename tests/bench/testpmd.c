/*
 * Benchmark: DPDK's testpmd as a vhost-user backend
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cpu.h"
#include "qemu.h"
#include "testpmd.h"
#include "wire.h"

/* It takes a second or two to set its memory up. */
#define START_MS 15000
/* After the socket is there: links up, forwarding. */
#define SETTLE_US 500000

static char **make_argv(const char *binary, const AxbGuestConfig *guest,
                        const char *path)
{
    GString *line = g_string_new(NULL);
    int cpus[256];
    unsigned n = axb_cpu_allowed(cpus, G_N_ELEMENTS(cpus));
    unsigned workers = 0;
    char **argv;

    /* Its main thread only waits; the last processor will do for that. */
    g_string_append_printf(line, "%s --no-pci --no-huge -m 512 --no-telemetry "
                           "--no-shconf -l %d", binary, cpus[n - 1]);
    for (unsigned i = 0; i < guest->queues && i < guest->n_cpus; i++) {
        if (guest->cpus[i] != cpus[n - 1]) {
            g_string_append_printf(line, ",%d", guest->cpus[i]);
            workers++;
        }
    }
    g_string_append_printf(line, " --main-lcore=%d --vdev=net_af_xdp0,iface="
                           AXB_DEV ",start_queue=0,queue_count=%u "
                           "--vdev=net_vhost0,iface=%s,queues=%u "
                           "-- --forward-mode=io --auto-start --rxq=%u "
                           "--txq=%u --nb-cores=%u --total-num-mbufs=32768",
                           cpus[n - 1], guest->queues, path, guest->queues,
                           guest->queues, guest->queues, workers);
    argv = g_strsplit(line->str, " ", -1);
    g_string_free(line, TRUE);
    return argv;
}

static pid_t spawn(char **argv, const char *dir, int log)
{
    struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
    pid_t parent = getpid();
    pid_t pid;
    int in[2];

    /*
     * It ends when it can read from stdin, or when that ends: never, since
     * it has the writing end as well.
     */
    if (pipe(in)) {
        return -1;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        setpgid(0, 0);
        setrlimit(RLIMIT_MEMLOCK, &unlimited);
        setenv("RUNTIME_DIRECTORY", dir, 1);
        dup2(in[0], 0);
        dup2(log, 1);
        dup2(log, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(in[0]);
    close(in[1]);
    return pid;
}

static void fail(GError **errp, const char *what, int log)
{
    char text[2048];
    ssize_t n = pread(log, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED, "testpmd %s: %s",
                what, text);
}

AxbEndpoint *axb_testpmd_start(const char *binary, AxbGuestConfig *guest,
                               GError **errp)
{
    g_autofree char *dir = g_dir_make_tmp("axb-XXXXXX", errp);
    g_autofree char *path = NULL;
    g_autofree char *chardev = NULL;
    static const char *const folders[] = { "dpdk/rte", "dpdk", "", NULL };
    const char *extra[] = { "-chardev", NULL, NULL };
    g_auto(GStrv) argv = NULL;
    AxbEndpoint *ep = NULL;
    int log;
    pid_t pid;

    if (!dir) {
        return NULL;
    }
    log = memfd_create("axb-testpmd", MFD_CLOEXEC);
    path = g_build_filename(dir, "vhost.sock", NULL);
    argv = make_argv(binary, guest, path);
    pid = spawn(argv, dir, log);
    for (unsigned ms = 0; pid > 0 && ms < START_MS; ms += 10) {
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            break;
        }
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            pid = 0;
        }
        g_usleep(10000);
    }
    if (pid > 0 && g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_usleep(SETTLE_US);
        chardev = g_strdup_printf("socket,id=vu,path=%s", path);
        extra[1] = chardev;
        guest->extra = extra;
        guest->companion = pid;
        ep = axb_guest_new(guest, errp);
    } else {
        axb_process_end(pid);
        fail(errp, "did not start", log);
    }
    close(log);
    /* The connection stands; what testpmd made in there are empty folders. */
    unlink(path);
    for (unsigned i = 0; folders[i]; i++) {
        g_autofree char *folder = g_build_filename(dir, folders[i], NULL);

        rmdir(folder);
    }
    return ep;
}
