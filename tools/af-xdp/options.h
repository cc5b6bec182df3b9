/*
 * qemu-af-xdp: what users write on the command line
 *
 * Pure functions: they ask nobody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_OPTIONS_H
#define AF_XDP_TOOL_OPTIONS_H

#include <glib.h>

#define MAC_LEN 6
#define MAC_STRLEN 17

/*
 * options_queues: parse a list of queues, as in "4,5" or "4-7,12".
 * Returns their numbers (uint32_t), sorted, none twice; NULL with @errp set.
 */
GArray *options_queues(const char *text, GError **errp);

/* options_queues_text: the shortest list of them, to be freed. */
char *options_queues_text(const GArray *queues);

/* options_mac: parse six bytes in hexadecimal, with colons between them. */
bool options_mac(const char *text, uint8_t mac[MAC_LEN], GError **errp);

/* options_mac_text: to be freed. */
char *options_mac_text(const uint8_t mac[MAC_LEN]);

/*
 * options_unicast: options_mac(), and it must be an address that one station
 * can have.
 */
bool options_unicast(const char *text, uint8_t mac[MAC_LEN], GError **errp);

/*
 * options_vm: is @name fit for a virtual machine's? It becomes a file's name
 * in the BPF file system: letters, digits, '-' and '_', up to 64.
 */
bool options_vm(const char *name, GError **errp);

/* options_ifname: is @name fit for a new interface? */
bool options_ifname(const char *name, GError **errp);

/* options_mode: parse file permissions in octal, up to 0777. */
bool options_mode(const char *text, mode_t *mode, GError **errp);

/*
 * options_owner: parse USER, USER:GROUP or :GROUP, names or numbers.
 * @uid, @gid: (uid_t)-1 and (gid_t)-1 for what is not given; USER alone
 *             leaves the group.
 */
bool options_owner(const char *text, uid_t *uid, gid_t *gid, GError **errp);

/* options_file_name: @name as a file's name in a BPF file system, freed. */
char *options_file_name(const char *name);

#endif /* AF_XDP_TOOL_OPTIONS_H */
