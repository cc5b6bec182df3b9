/*
 * AF_XDP: errors of the core
 *
 * The core knows no QEMU, so it reports through GError. Every error carries
 *
 *   code      the errno of the step that failed, positive; EINVAL for bad
 *             options
 *   message   "what failed: strerror", one line
 *   hint      what the user can do about it; may be missing
 *
 * A GError has no room for a hint, so it follows the message's first newline.
 * af_xdp_error_split() takes the two apart again, for error_setg() and
 * error_append_hint().
 *
 * Threads: any. errno is left as it was found.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_ERROR_H
#define NET_AF_XDP_ERROR_H

#include <glib.h>

#define AF_XDP_ERROR af_xdp_error_quark()
GQuark af_xdp_error_quark(void);

/* What was being done; the same errno means different things in each. */
typedef enum AfXdpStep {
    AF_XDP_STEP_SOCKET,     /* opening or taking over a socket */
    AF_XDP_STEP_UMEM,       /* registering memory */
    AF_XDP_STEP_RING,       /* sizing and mapping rings */
    AF_XDP_STEP_BIND,       /* binding to a queue */
    AF_XDP_STEP_PROGRAM,    /* loading or attaching the XDP program */
    AF_XDP_STEP_MAP,        /* opening or updating the map of sockets */
    AF_XDP_STEP_DEVICE,     /* asking about or watching the device */
    AF_XDP_STEP__MAX,
} AfXdpStep;

/*
 * af_xdp_error_set: fill in @errp, if it is not NULL.
 * @errnum: a positive errno; or 0, which appends no strerror and gives the
 *          code EINVAL.
 * @hint: what to do about it, or NULL.
 * @fmt: what failed; no newline.
 */
void af_xdp_error_set(GError **errp, int errnum, const char *hint,
                      const char *fmt, ...) G_GNUC_PRINTF(4, 5);

/*
 * af_xdp_error_step: fill in @errp for a failed step, with the hint that
 * af_xdp_error_hint() has for it.
 * @errnum: a positive errno.
 * @ifname: the device, or NULL if none is concerned.
 * @queue: its queue, or -1 if the whole device is concerned.
 * @fmt: what failed, such as "cannot bind an AF_XDP socket"; no newline.
 *
 * Message: "FMT on 'IFNAME' queue QUEUE: strerror".
 */
void af_xdp_error_step(GError **errp, AfXdpStep step, int errnum,
                       const char *ifname, int queue,
                       const char *fmt, ...) G_GNUC_PRINTF(6, 7);

/*
 * af_xdp_error_hint: what usually helps when @step fails with @errnum.
 *
 * Returns a constant string in which IFNAME stands for the device's name, or
 * NULL if there is nothing to say that strerror does not.
 */
const char *af_xdp_error_hint(int errnum, AfXdpStep step);

/*
 * af_xdp_error_name_hint: what helps if there is no device @ifname.
 * @otherwise: the hint, or NULL, for a name that looks right.
 *
 * A name may have been copied from what ip shows, "veth0@veth1". The kernel
 * allows such names, so ask only after it has been looked for in vain.
 *
 * Returns the hint, to be freed with g_free(), or NULL.
 */
char *af_xdp_error_name_hint(const char *ifname, const char *otherwise);

/*
 * af_xdp_error_split: take message and hint of @err apart.
 * @msg: receives the message, to be freed with g_free().
 * @hint: receives the hint, or NULL if there is none. It belongs to @err.
 */
void af_xdp_error_split(const GError *err, char **msg, const char **hint);

#endif /* NET_AF_XDP_ERROR_H */
