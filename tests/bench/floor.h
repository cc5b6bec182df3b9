/*
 * Benchmark: the floor
 *
 * A bare AF_XDP socket for each queue, with nothing behind it: what the
 * kernel can do on this machine, and no backend can do better than.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include "endpoint.h"

/*
 * axb_floor_new: bind to queues 0 to @queues - 1 of @ifname.
 * @len: of frames, in bytes
 */
AxbEndpoint *axb_floor_new(const char *ifname, unsigned queues, uint32_t len,
                           GError **errp);

#endif /* TESTS_BENCH_FLOOR_H */
