/*
 * AF_XDP: what the two halves of the program's loader share
 *
 * ebpf_af_xdp.c makes and fills the kernel objects (program, maps);
 * ebpf_af_xdp_attach.c deals with the device and with who else is there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_EBPF_AF_XDP_INT_H
#define QEMU_EBPF_AF_XDP_INT_H

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include "ebpf/ebpf_af_xdp.h"

/* The names under which the kernel lists what is in af_xdp_redirect.bpf.c */
#define EBPF_AF_XDP_PROG_NAME "af_xdp_redirect"
#define EBPF_AF_XDP_SINGLE_NAME "af_xdp_single"
#define EBPF_AF_XDP_FIXED_NAME "af_xdp_fixed"
#define EBPF_AF_XDP_CONFIG_NAME "af_xdp_config"

/* Keys of the map af_xdp_config, whose values have 64 bits */
enum {
    EBPF_AF_XDP_CONFIG_FILTER,  /* destination filter */
    EBPF_AF_XDP_CONFIG_OWNER,   /* id of the owner's map, see owner_fd; or 0 */
    EBPF_AF_XDP_CONFIG_ENTRIES,
};

/* Which of the programs in it */
typedef enum EbpfAfXdpVariant {
    EBPF_AF_XDP_FRAGS,      /* takes multi-buffer frames */
    EBPF_AF_XDP_SINGLE,     /* does not, for Linux before 5.18 */
    EBPF_AF_XDP_FIXED,      /* takes them; cannot take metadata off a frame */
} EbpfAfXdpVariant;

struct EbpfAfXdp {
    EbpfAfXdpKind kind;
    EbpfAfXdpMode mode;
    char *name;                 /* device, or path of the pinned map */
    int ifindex;
    uint32_t base;              /* position in the maps of our queue 0 */
    uint32_t queues;
    bool mac_filter;
    bool multi_buffer;
    char *reason;               /* why not native, or NULL */
    uint32_t prog_id;

    struct af_xdp_redirect_bpf *skel;   /* NULL if pinned */
    struct bpf_object *obj;     /* of the skeleton */
    struct bpf_program *variant;    /* of the skeleton, the one to be loaded */
    int prog_fd;                /* of the skeleton */
    int sockets_fd;             /* XSKMAP; of the skeleton, or ours if pinned */
    int config_fd;

    int link_fd;                /* OWN_LINK, else -1 */

    struct xdp_program *member; /* DISPATCHER, else NULL */
    /* DISPATCHER: a map of no program, gone when we are. Else -1 */
    int owner_fd;
};

static inline void ebpf_af_xdp_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* All functions return 0 or a negative errno unless they say otherwise. */

EbpfAfXdp *ebpf_af_xdp_new(EbpfAfXdpKind kind);

/* Frees everything; detaches the program only if it is attached by a link. */
void ebpf_af_xdp_free(EbpfAfXdp *prog);

/* Open the program for @dev_queues queues, ready to be loaded by libxdp. */
int ebpf_af_xdp_open(EbpfAfXdp *prog, uint32_t dev_queues,
                     EbpfAfXdpVariant variant);

/* Undo ebpf_af_xdp_open(), also after a failure, to open another variant. */
void ebpf_af_xdp_close(EbpfAfXdp *prog);

/* Open it, with multi-buffer if possible, and load it to stand alone. */
int ebpf_af_xdp_load(EbpfAfXdp *prog, uint32_t dev_queues);

/* Note ids and descriptors of what has been loaded. */
void ebpf_af_xdp_loaded(EbpfAfXdp *prog);

/*
 * Between begin and end, what libbpf and libxdp say in this thread is kept
 * instead of printed. May not be nested.
 */
void ebpf_af_xdp_log_begin(void);
void ebpf_af_xdp_log_end(void);

/*
 * The kept line that says most, in parentheses and with a space before it; ""
 * if nothing was said. To be freed.
 */
char *ebpf_af_xdp_log_detail(void);

#endif /* QEMU_EBPF_AF_XDP_INT_H */
