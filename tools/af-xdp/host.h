/*
 * qemu-af-xdp: the host's XDP program on a NIC, and its maps
 *
 * One program (ebpf/af_xdp_host.bpf.c) for each NIC. It lives in a BPF file
 * system, so that it outlives us:
 *
 *   BPFFS/qemu-af-xdp/NIC/link        holds the program on the NIC
 *                         routes      receive queue -> a VM's map of sockets
 *                         filters     receive queue -> MAC filter
 *                         counters    receive queue -> counters
 *                         vm-NAME     a VM's map of sockets
 *
 * Only vm-NAME may be for others to write to. A VM's key in it is the queue's
 * number on the NIC.
 *
 * BPFFS/qemu-af-xdp must be root's (or the caller's) and for nobody else to
 * change, and so must be its place; otherwise all of these fail with EPERM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef AF_XDP_TOOL_HOST_H
#define AF_XDP_TOOL_HOST_H

#include "ebpf/ebpf_af_xdp.h"
#include "options.h"
#include "tool.h"

typedef struct Host {
    char *dir;              /* with the pins */
    char *nic;              /* for messages */
    int ifindex;
    uint32_t queues;        /* that the maps have */
    uint32_t prog_id;
    bool native;
    int link_fd;
    int routes_fd;
    int filters_fd;
    int counters_fd;
} Host;

/* Who may use a pinned map */
typedef struct HostOwner {
    uid_t uid;              /* -1: leave it */
    gid_t gid;
    bool set_mode;
    mode_t mode;
} HostOwner;

/*
 * host_map_path: where VM @vm's map is, or would be.
 * @host: NULL if there is none yet
 * Returns the path, to be freed.
 */
char *host_map_path(const Tool *tool, const Host *host, const char *nic,
                    const char *vm);

/*
 * host_open: what is on the NIC already.
 * @ifindex: 0 if the NIC is gone
 * Returns NULL if there is nothing, or with @errp set on failure; remains of a
 * NIC that was removed, or of a crash, are failures with ESTALE. A NIC that was
 * renamed since is found nevertheless.
 */
Host *host_open(const Tool *tool, const char *nic, int ifindex, GError **errp);

/*
 * host_attach: load the program and put it on the NIC.
 * @queues: how many receive queues the NIC can have.
 * @mode: NATIVE or SKB
 * Returns NULL with @errp set, and then nothing is left; EBUSY if the NIC runs
 * a program of somebody else.
 */
Host *host_attach(const Tool *tool, const char *nic, int ifindex,
                  uint32_t queues, EbpfAfXdpMode mode, GError **errp);

void host_close(Host *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_close)

/* host_remove: take the program off the NIC, and all pins away. */
bool host_remove(const Tool *tool, Host *host, GError **errp);

/*
 * host_clean, host_clean_file: the same where host_open() said ESTALE, or for
 * one of host_nics()
 */
bool host_clean(const Tool *tool, const char *nic, GError **errp);
bool host_clean_file(const Tool *tool, const char *file, GError **errp);

/*
 * host_vm: open VM @vm's map.
 * @create: make and pin it if it is not there
 * Returns its descriptor; -1 if it is not there, or with @errp set.
 */
int host_vm(Host *host, const char *vm, bool create, GError **errp);

/* host_vm_owner: who may use VM @vm's map */
bool host_vm_owner(Host *host, const char *vm, const HostOwner *owner,
                   GError **errp);

/* host_vm_remove: unpin VM @vm's map; sockets of it get nothing any more */
bool host_vm_remove(Host *host, const char *vm, GError **errp);

/* host_vms: the names of all VMs (char *), to be unreferenced */
GPtrArray *host_vms(Host *host);

/* host_map_id: the kernel's number for a map, 0 on failure */
uint32_t host_map_id(int fd);

/* host_route: the number of the map that @queue leads to; 0 if to none */
uint32_t host_route(Host *host, uint32_t queue);

/*
 * host_set_route: lead @queue to the map @fd, its counters beginning anew; or,
 * with -1, to the host again.
 */
bool host_set_route(Host *host, uint32_t queue, int fd, GError **errp);

/* host_filter: the MAC filter of @queue; false if it is off */
bool host_filter(Host *host, uint32_t queue, uint8_t mac[MAC_LEN]);

/* host_set_filter: @mac NULL switches it off */
bool host_set_filter(Host *host, uint32_t queue, const uint8_t *mac,
                     GError **errp);

/* host_counters: of all CPUs together; all zero on failure */
void host_counters(Host *host, uint32_t queue, EbpfAfXdpCounters *counters);

/*
 * host_nics: file names below the directory of pins (char *); none if that is
 * not fit to be used
 */
GPtrArray *host_nics(const Tool *tool);

/*
 * host_ifindex_of: the NIC that pins named @file belong to; 0 if to none, -1 if
 * to one of another network namespace
 */
int host_ifindex_of(const Tool *tool, const char *file);

#endif /* AF_XDP_TOOL_HOST_H */
