/*
 * Benchmark: a QEMU process
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cpu.h"
#include "qemu.h"

/* A process that does not end by itself within this time is killed. */
#define END_MS 3000

static void set_errno(GError **errp, const char *what)
{
    g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                "%s: %s", what, g_strerror(errno));
}

static char **make_argv(const AxbQemu *qemu, int qtest_fd, const char *binary,
                        const char *netdev, const char *device,
                        const char *const *extra)
{
    GPtrArray *a = g_ptr_array_new();

    g_ptr_array_add(a, g_strdup(binary));
    g_ptr_array_add(a, g_strdup("-nodefaults"));
    g_ptr_array_add(a, g_strdup("-display"));
    g_ptr_array_add(a, g_strdup("none"));
    g_ptr_array_add(a, g_strdup("-accel"));
    g_ptr_array_add(a, g_strdup("qtest"));
    g_ptr_array_add(a, g_strdup("-machine"));
    g_ptr_array_add(a, g_strdup("pc,memory-backend=ram"));
    g_ptr_array_add(a, g_strdup("-m"));
    g_ptr_array_add(a, g_strdup_printf("%" PRIu64 "M", qemu->ram_size >> 20));
    g_ptr_array_add(a, g_strdup("-object"));
    g_ptr_array_add(a, g_strdup_printf("memory-backend-file,id=ram,"
                                       "size=%" PRIu64 "M,share=on,"
                                       "mem-path=/proc/self/fd/%d",
                                       qemu->ram_size >> 20, qemu->ram_fd));
    g_ptr_array_add(a, g_strdup("-chardev"));
    g_ptr_array_add(a, g_strdup_printf("socket,id=qtest,fd=%d", qtest_fd));
    g_ptr_array_add(a, g_strdup("-object"));
    g_ptr_array_add(a, g_strdup("qtest,id=qtest0,chardev=qtest"));
    for (unsigned i = 0; extra && extra[i]; i++) {
        g_ptr_array_add(a, g_strdup(extra[i]));
    }
    g_ptr_array_add(a, g_strdup("-netdev"));
    g_ptr_array_add(a, g_strdup(netdev));
    g_ptr_array_add(a, g_strdup("-device"));
    g_ptr_array_add(a, g_strdup(device));
    g_ptr_array_add(a, NULL);
    return (char **)g_ptr_array_free(a, FALSE);
}

/* In the child: only what is safe after fork(). */
static void run_child(AxbQemu *qemu, char **argv, const int *cpus,
                      unsigned n_cpus, pid_t parent)
{
    struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    /* A Ctrl-C is for the benchmark, which then ends QEMU. */
    setpgid(0, 0);
    axb_cpu_pin(cpus, n_cpus);
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
    dup2(qemu->log_fd, 1);
    dup2(qemu->log_fd, 2);
    execvp(argv[0], argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Allocate and clear all pages: fallocate() leaves the latter for later. */
static bool touch(int fd, uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    bool ok;

    if (p == MAP_FAILED) {
        return false;
    }
    ok = madvise(p, size, MADV_POPULATE_WRITE) == 0;
    munmap(p, size);
    return ok;
}

static bool make_ram(AxbQemu *qemu, const AxbRam *ram, GError **errp)
{
    bool huge = ram && ram->huge_pages;

    qemu->ram_size = ram && ram->size ? ram->size : AXB_RAM_SIZE;
    qemu->ram_fd = memfd_create("axb-ram",
                                huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
    if (qemu->ram_fd < 0 || ftruncate(qemu->ram_fd, qemu->ram_size) ||
        (ram && ram->size && !touch(qemu->ram_fd, ram->size))) {
        set_errno(errp, "guest memory");
        return false;
    }
    qemu->ram = mmap(NULL, AXB_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                     qemu->ram_fd, 0);
    if (qemu->ram == MAP_FAILED) {
        qemu->ram = NULL;
        set_errno(errp, "guest memory");
        return false;
    }
    return true;
}

AxbQemu *axb_qemu_new(const char *binary, const char *netdev,
                      const char *device, const AxbRam *ram,
                      const char *const *extra, const int *cpus,
                      unsigned n_cpus, GError **errp)
{
    AxbQemu *qemu = g_new0(AxbQemu, 1);
    g_auto(GStrv) argv = NULL;
    pid_t parent = getpid();
    int pair[2];

    qemu->ram_fd = qemu->pidfd = qemu->log_fd = -1;
    if (!make_ram(qemu, ram, errp)) {
        axb_qemu_free(qemu);
        return NULL;
    }
    qemu->log_fd = memfd_create("axb-log", MFD_CLOEXEC);
    if (qemu->log_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        set_errno(errp, "starting QEMU");
        axb_qemu_free(qemu);
        return NULL;
    }
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    fcntl(qemu->log_fd, F_SETFL, O_APPEND);

    argv = make_argv(qemu, pair[1], binary, netdev, device, extra);
    qemu->pid = fork();
    if (qemu->pid == 0) {
        run_child(qemu, argv, cpus, n_cpus, parent);
    }
    close(pair[1]);
    qemu->qtest = axb_qtest_new(pair[0]);
    if (qemu->pid < 0) {
        set_errno(errp, "starting QEMU");
        axb_qemu_free(qemu);
        return NULL;
    }
    qemu->pidfd = syscall(SYS_pidfd_open, qemu->pid, 0);

    /* Any command will do; this one reads the host bridge. */
    axb_qtest_in(qemu->qtest, 0xcfc, 4);
    if (axb_qtest_failed(qemu->qtest)) {
        g_autofree char *log = axb_qemu_log(qemu);

        g_set_error(errp, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "QEMU did not start: %s%s%s", log, *log ? "; " : "",
                    axb_qtest_failed(qemu->qtest));
        axb_qemu_free(qemu);
        return NULL;
    }
    return qemu;
}

void axb_process_end(pid_t pid)
{
    unsigned ms = 0;

    if (pid <= 0) {
        return;
    }
    kill(pid, SIGTERM);
    while (!waitpid(pid, NULL, WNOHANG)) {
        if (++ms == END_MS) {
            kill(pid, SIGKILL);
        }
        g_usleep(1000);
    }
}

void axb_qemu_free(AxbQemu *qemu)
{
    if (!qemu) {
        return;
    }
    axb_process_end(qemu->pid);
    axb_qtest_free(qemu->qtest);
    if (qemu->before) {
        g_array_free(qemu->before, TRUE);
    }
    if (qemu->ram) {
        munmap(qemu->ram, AXB_RAM_SIZE);
    }
    if (qemu->ram_fd >= 0) {
        close(qemu->ram_fd);
    }
    if (qemu->pidfd >= 0) {
        close(qemu->pidfd);
    }
    if (qemu->log_fd >= 0) {
        close(qemu->log_fd);
    }
    g_free(qemu);
}

char *axb_qemu_log(const AxbQemu *qemu)
{
    char *text = g_malloc0(4096);
    ssize_t n = pread(qemu->log_fd, text, 4095, 0);

    text[n > 0 ? n : 0] = '\0';
    return g_strchomp(text);
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The process's eventfds, by number, which is the order of their making. */
static GArray *list_eventfds(pid_t pid)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/fd", (int)pid);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(int));
    GDir *d = g_dir_open(dir, 0, NULL);
    const char *name;

    while (d && (name = g_dir_read_name(d))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (target && !strcmp(target, "anon_inode:[eventfd]")) {
            int number = atoi(name);

            g_array_append_val(list, number);
        }
    }
    if (d) {
        g_dir_close(d);
    }
    g_array_sort(list, compare_ints);
    return list;
}

void axb_qemu_mark_eventfds(AxbQemu *qemu)
{
    if (qemu->before) {
        g_array_free(qemu->before, TRUE);
    }
    qemu->before = list_eventfds(qemu->pid);
}

unsigned axb_qemu_new_eventfds(AxbQemu *qemu, int *fds, int *numbers,
                               unsigned max)
{
    GArray *now = list_eventfds(qemu->pid);
    unsigned n = 0;

    for (unsigned i = 0; i < now->len && n < max; i++) {
        int number = g_array_index(now, int, i);
        bool old = false;
        int fd;

        for (unsigned j = 0; j < qemu->before->len; j++) {
            old |= g_array_index(qemu->before, int, j) == number;
        }
        if (old || qemu->pidfd < 0) {
            continue;
        }
        fd = syscall(SYS_pidfd_getfd, qemu->pidfd, number, 0);
        if (fd >= 0) {
            fds[n] = fd;
            numbers[n++] = number;
        }
    }
    g_array_free(now, TRUE);
    return n;
}
