/*
 * qemu-af-xdp: other network namespaces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_NETNS_H
#define AF_XDP_TOOL_NETNS_H

#include <glib.h>

/*
 * netns_path: the file that stands for the namespace @text.
 * @text: a name below /run/netns, a path, or the id of a process in it.
 * Returns the path, to be freed.
 */
char *netns_path(const char *text);

/*
 * netns_open: open the file @path.
 * @inode: receives what tells the namespace from others.
 * Returns a descriptor; -1 with @errp set.
 */
int netns_open(const char *path, uint64_t *inode, GError **errp);

/*
 * netns_enter: move the thread to the namespace of @fd.
 * Returns a descriptor of the one it was in, for netns_leave(); -1 with errno
 * set.
 */
int netns_enter(int fd);

/* netns_leave: go back. Ends the program if that fails. */
void netns_leave(int back);

/*
 * netns_enter_nsid: the same for a namespace that is known by its number only
 * (see link.h): one of those below /run/netns, or of a process.
 * Returns a descriptor for netns_leave(), or -1 if none is found.
 */
int netns_enter_nsid(int32_t nsid);

/* netns_name: what to call the namespace with number @nsid, to be freed. */
char *netns_name(int32_t nsid);

/*
 * netns_inode: what netns_open() gives for the namespace with number @nsid; 0
 * if it is not found.
 */
uint64_t netns_inode(int32_t nsid);

#endif /* AF_XDP_TOOL_NETNS_H */
