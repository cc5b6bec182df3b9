/*
 * qemu-af-xdp: asking the kernel over netlink
 *
 * What libmnl leaves to its users: a request, its answers, and the kernel's
 * own words about a failure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_NETLINK_H
#define AF_XDP_TOOL_NETLINK_H

#include <glib.h>
#include <libmnl/libmnl.h>

/* Room for any request of ours: a header, names, a few nested numbers */
#define NETLINK_REQUEST_SIZE 512

typedef struct Netlink {
    struct mnl_socket *socket;
    char *words;            /* what the kernel said of the last failure */
} Netlink;

/*
 * netlink_open: a socket of @bus (NETLINK_ROUTE, ...) in the thread's network
 * namespace. Returns false with errno set.
 */
bool netlink_open(Netlink *netlink, int bus);
void netlink_close(Netlink *netlink);

/*
 * netlink_talk: send @request and give each message of the answer to @cb.
 * @request: must ask for an acknowledgement or a dump.
 * @cb: may be NULL.
 *
 * Returns 0 or a negative errno; @netlink->words may say more then.
 */
int netlink_talk(Netlink *netlink, struct nlmsghdr *request, mnl_cb_t cb,
                 void *opaque);

/*
 * netlink_once: the same on a socket for this request alone.
 * @words: receives the kernel's words as " (WORDS)", or "", to be freed.
 */
int netlink_once(int bus, struct nlmsghdr *request, mnl_cb_t cb, void *opaque,
                 char **words);

/*
 * netlink_begin: begin a request in @buf, of NETLINK_REQUEST_SIZE. All of it is
 * zero, as libmnl leaves gaps.
 */
struct nlmsghdr *netlink_begin(char *buf);

/* netlink_genl: begin a request to the generic netlink family @type. */
struct nlmsghdr *netlink_genl(char *buf, uint16_t type, uint16_t flags,
                              uint8_t cmd);

#endif /* AF_XDP_TOOL_NETLINK_H */
