/*
 * Test helper: private network namespaces
 *
 * Each test works in a network namespace of its own, which ends with the
 * process however that ends; the machine's interfaces are never touched. This
 * needs root, or user namespaces for everybody, and the command ip.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_NETNS_H
#define AF_XDP_NETNS_H

#include <glib.h>

/*
 * netns_init: leave the machine's network namespace. Call it first in main():
 * a process with threads cannot enter a user namespace.
 */
void netns_init(void);

/* netns_available: can tests run in a namespace? */
bool netns_available(void);

/*
 * netns_fresh: enter a new network namespace; the previous one ends.
 * Returns false, with the test marked as skipped, if there can be none.
 */
bool netns_fresh(void);

/*
 * netns_try_ip: run ip with these arguments.
 * Returns whether it went well; what it complained about is logged.
 */
bool netns_try_ip(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* The same; failing fails the test. */
#define ip(...) g_assert_true(netns_try_ip(__VA_ARGS__))

#endif /* AF_XDP_NETNS_H */
