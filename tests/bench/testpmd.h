/*
 * Benchmark: DPDK's testpmd as a vhost-user backend
 *
 * testpmd moves frames between its af_xdp driver on the device and its vhost
 * driver, on processors that do nothing else. Not part of what is built here:
 * it is used if it is installed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_TESTPMD_H
#define TESTS_BENCH_TESTPMD_H

#include "guest.h"

/*
 * axb_testpmd_start: start @binary, and a guest connected to it.
 * @guest: everything but what concerns the connection, which is added
 */
AxbEndpoint *axb_testpmd_start(const char *binary, AxbGuestConfig *guest,
                               GError **errp);

#endif /* TESTS_BENCH_TESTPMD_H */
