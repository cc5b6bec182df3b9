/*
 * af-xdp qtest: what other people do to the device
 *
 * Programs, maps and sockets that QEMU meets or is handed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_AF_XDP_FOREIGN_H
#define TESTS_QTEST_AF_XDP_FOREIGN_H

/* axt_foreign_map: a map with four-byte keys and values; bpf(2) types. */
int axt_foreign_map(int type, unsigned entries);

/*
 * axt_foreign_pin: pin a map or program.
 * @path: in AXT_BPFFS.
 */
void axt_foreign_pin(int fd, const char *path);

/* axt_foreign_pass: a program that passes everything to the host. */
int axt_foreign_pass(void);

/*
 * axt_foreign_redirect: a program that redirects queue i to entry
 * i + @offset of an XSKMAP.
 */
int axt_foreign_redirect(int map_fd, unsigned offset);

/* axt_foreign_attach: attach natively by netlink, -1 detaches. */
void axt_foreign_attach(int ifindex, int prog_fd);

/* axt_foreign_xsk: an AF_XDP socket, not bound; QEMU can inherit it. */
int axt_foreign_xsk(void);

/* axt_foreign_put: put a socket into an XSKMAP. */
void axt_foreign_put(int map_fd, unsigned index, int xsk_fd);

/* axt_foreign_add: the same; false if there is one already. */
bool axt_foreign_add(int map_fd, unsigned index, int xsk_fd);

/* axt_foreign_remove: take it out again. */
void axt_foreign_remove(int map_fd, unsigned index);

#endif /* TESTS_QTEST_AF_XDP_FOREIGN_H */
