/*
 * Test helper: private network namespaces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sched.h>
#include "af-xdp-netns.h"

static char *skip_reason;

bool netns_try_ip(const char *fmt, ...)
{
    g_autofree char *args = NULL, *command = NULL, *stderr_buf = NULL;
    g_autoptr(GError) err = NULL;
    int status;
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    command = g_strdup_printf("ip %s", args);
    if (!g_spawn_command_line_sync(command, NULL, &stderr_buf, &status, &err)) {
        g_error("%s", err->message);
    }
    if (status) {
        g_test_message("%s: %s", command, g_strstrip(stderr_buf));
    }
    return status == 0;
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/* Without root: become root of a user namespace. Returns 0 or an errno. */
static int enter_user_namespace(void)
{
    g_autofree char *uid_map = g_strdup_printf("0 %d 1", getuid());
    g_autofree char *gid_map = g_strdup_printf("0 %d 1", getgid());

    if (unshare(CLONE_NEWUSER) < 0) {
        return errno;
    }
    if (!write_file("/proc/self/setgroups", "deny") ||
        !write_file("/proc/self/uid_map", uid_map) ||
        !write_file("/proc/self/gid_map", gid_map)) {
        return errno;
    }
    return 0;
}

void netns_init(void)
{
    g_autofree char *path = g_find_program_in_path("ip");
    int ret = unshare(CLONE_NEWNET) < 0 ? errno : 0;

    if (ret == EPERM && getuid() != 0) {
        ret = enter_user_namespace();
        if (ret == 0 && unshare(CLONE_NEWNET) < 0) {
            ret = errno;
        }
    }
    if (ret) {
        skip_reason = g_strdup_printf("cannot make a network namespace, this "
                                      "needs root: %s", g_strerror(ret));
    } else if (!path) {
        skip_reason = g_strdup("the command ip (iproute2) is missing");
    }
}

bool netns_available(void)
{
    return !skip_reason;
}

bool netns_fresh(void)
{
    if (skip_reason) {
        g_test_skip(skip_reason);
        return false;
    }
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    return true;
}
