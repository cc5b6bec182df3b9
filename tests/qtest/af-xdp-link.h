/*
 * af-xdp qtest: the guest's link, and what goes over it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_LINK_H
#define TESTS_QTEST_AF_XDP_LINK_H

#include "af-xdp-net.h"

/* An idle QEMU may use this much CPU time per second, in milliseconds. */
#define AXT_IDLE_CPU_MS 200

/* axt_send_some: @n frames for the guest that nobody waits for. */
void axt_send_some(AxtNet *net, unsigned n);

/*
 * axt_settle: take what is still on its way, both ways; none of it may be
 * harmed.
 */
void axt_settle(AxtNet *net);

/*
 * axt_send_in_vain: send frames that must get lost; the guest must not wait
 * for them.
 */
void axt_send_in_vain(AxtNet *net);

/* axt_wait_link: until the guest's link is up, or down. */
void axt_wait_link(AxtNet *net, bool up);

/* axt_wait_interface: until QEMU knows whether the interface is down. */
void axt_wait_interface(AxtNet *net, bool up);

/* axt_set_link: by the monitor, on "n0" or "nic". */
void axt_set_link(AxtNet *net, const char *name, bool up);

/*
 * axt_wait_status: wait for the next event of the interface, which must say
 * that it is @status. Returns its reason, to be freed, or NULL.
 */
char *axt_wait_status(AxtNet *net, const char *status);

/* axt_assert_idle: QEMU runs, and does nothing for half a second. */
void axt_assert_idle(AxtNet *net);

#endif /* TESTS_QTEST_AF_XDP_LINK_H */
