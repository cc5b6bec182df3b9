/*
 * qemu-af-xdp: who has AF_XDP sockets on which queues
 *
 * The kernel lists them (CONFIG_XDP_SOCKETS_DIAG), for one network namespace at
 * a time; whose they are is found in /proc.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_SOCKETS_H
#define AF_XDP_TOOL_SOCKETS_H

#include <glib.h>

typedef struct Socket {
    uint32_t ifindex;
    uint32_t queue;
    uint32_t inode;
    bool zero_copy;         /* driver zero-copy */
    int pid;                /* 0: not known */
    char command[32];
} Socket;

/*
 * sockets_list: the bound AF_XDP sockets of the thread's network namespace.
 * Returns an array of Socket; NULL if the kernel does not tell.
 */
GArray *sockets_list(void);

#endif /* AF_XDP_TOOL_SOCKETS_H */
