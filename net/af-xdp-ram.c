/*
 * AF_XDP network backend: guest RAM as the UMEM (guest zero-copy)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/utsname.h>
#include "exec/memory.h"
#include "migration/misc.h"
#include "migration/options.h"
#include "net/af-xdp-blocks.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-iommu.h"
#include "net/af-xdp-open.h"
#include "net/af-xdp-ram.h"
#include "net/af-xdp-window.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "system/runstate.h"

/*
 * What the kernel keeps for each chunk of a UMEM, for each queue: an
 * xdp_buff_xsk and a pointer to it (xp_create_and_assign_umem() in
 * net/xdp/xsk_buff_pool.c).
 */
#define CHUNK_COST 136

/* With zero-copy=auto, without zero-copy-limit=. */
#define DEFAULT_LIMIT (1 * GiB)

/*
 * Room behind the header of the smallest buffers that Linux posts when they
 * can be merged: 1536 bytes in all.
 */
#define MERGEABLE_ROOM 1524

/* What NICs can receive in one piece; some count in KiB. */
#define DRIVER_ROOM 2048

/*
 * Drivers that let nothing longer than their MTU through, so that buffers may
 * be shorter than DRIVER_ROOM. Others add some, or do not look at it at all.
 */
static const char *const keeps_mtu[] = { "igb", NULL };

/*
 * This one does not, but a buffer may end anywhere. Linux 7.2 wants room for
 * two VLAN tags, in such steps, whoever the driver is.
 */
#define DRIVER_EXACT "virtio_net"
#define EXACT_STEP 128

/* A buffer's least room, as Linux 7.2 leaves some of a chunk for an skb. */
#define LEAST_ROOM 512

/* Longer than any release seen (28 ms) by far. */
#define RELEASE_PATIENCE_MS 2000

/* After a registration that failed, the next one waits so long. */
#define RETRY_AFTER_US (10 * G_USEC_PER_SEC)

struct AfXdpRam {
    AfXdpZeroCopyMode mode;
    uint64_t limit;             /* bytes of kernel memory; 0: not given */
    bool fixed_sockets;         /* sock-fds */
    bool copies;                /* a device of which an skb has a copy */
    int ifindex;
    AfXdpWindow *window;
    bool held;                  /* by a device, longer than we have waited */
    bool driver;                /* the window is for driver zero-copy */
    bool mergeable;
    uint32_t frame_max;
    uint32_t room;              /* what may be written to a receive buffer */
    uint32_t need;              /* the guest's ones must have so much */
    uint64_t cost;              /* of the window, all queues */
    int64_t took;               /* us to register it */
    bool *moved;                /* by queue: its socket is on the window */
    char *why_not;
    int64_t window_failed;      /* when there was a window and yet not, or 0 */
    bool told;
    NotifierWithReturn migration;
};

/* --- Can it be? --- */

static const char hint_private[] =
    "Give the guest memory that can be shared: '-object "
    "memory-backend-memfd,id=ram0,size=SIZE,share=on -machine "
    "memory-backend=ram0', or memory-backend-file with share=on.";

/* An error as a reason, in one line; frees it. */
static char *reason(GError *gerr)
{
    char *why_not = g_strdelimit(g_strdup(gerr->message), "\n", ' ');

    g_error_free(gerr);
    return why_not;
}

/* Kernel memory for all queues, in bytes. */
static uint64_t window_cost(const AfXdpNetdev *dev, const AfXdpBlock *blocks,
                            uint32_t n)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < n; i++) {
        size += blocks[i].fd >= 0 ? blocks[i].size : 0;
    }
    return size / AF_XDP_FRAME_SIZE * CHUNK_COST * dev->n_queues;
}

/* Why the blocks cannot be a window, or NULL if they can. */
static char *refuse_blocks(AfXdpNetdev *dev, const AfXdpBlock *blocks,
                           uint32_t n, bool driver)
{
    const AfXdpRam *ram = dev->ram;
    uint64_t cost = window_cost(dev, blocks, n);
    uint64_t limit = ram->limit ?: ram->mode == AF_XDP_ZERO_COPY_AUTO ?
                     DEFAULT_LIMIT : UINT64_MAX;

    if (cost > limit) {
        return g_strdup_printf("it would cost %" PRIu64 " MiB of kernel "
                               "memory, more than 'zero-copy-limit=%" PRIu64
                               "M'", cost / MiB, limit / MiB);
    }
    for (uint32_t i = 0; driver && i < n; i++) {
        if (blocks[i].fd >= 0 && blocks[i].page_size < 2 * MiB) {
            return g_strdup_printf("driver zero-copy needs huge pages, and "
                                   "guest RAM '%s' has none: use 'hugetlb=on' "
                                   "or 'force-copy=on'", blocks[i].name);
        }
    }
    return NULL;
}

/* Why the netdev cannot have one at all. */
static char *refuse(AfXdpNetdev *dev)
{
    const AfXdpRam *ram = dev->ram;

    if (ram->fixed_sockets) {
        return g_strdup("sockets given by sock-fds= cannot be made again, "
                        "use map-path=");
    }
    if (migration_is_running() && migrate_background_snapshot()) {
        return g_strdup("a background snapshot is being taken; the guest's "
                        "next start of the device tries again");
    }
    if (migration_in_incoming_postcopy()) {
        return g_strdup("memory is still on its way (postcopy migration); "
                        "the guest's next start of the device tries again");
    }
    return NULL;
}

/* --- The window --- */

static bool window_in_use(const AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (dev->ram->moved[i]) {
            return true;
        }
    }
    return false;
}

static void window_free(AfXdpNetdev *dev)
{
    AfXdpRam *ram = dev->ram;

    g_assert(!window_in_use(dev));
    if (ram->window) {
        af_xdp_window_free(ram->window);
        ram->window = NULL;
        ram_block_discard_disable(false);
        migration_remove_notifier(&ram->migration);
    }
}

/* A snapshot of running RAM cannot see what the kernel writes. */
static int migration_notify(NotifierWithReturn *notifier, MigrationEvent *e,
                            Error **errp)
{
    if (e->type == MIG_EVENT_PRECOPY_SETUP && migrate_background_snapshot()) {
        error_setg(errp, "af-xdp with guest zero-copy does not go with "
                   "background-snapshot, give the netdev 'zero-copy=off'");
        return -ENOTSUP;
    }
    return 0;
}

/* Returns why not, or NULL. */
static char *window_make(AfXdpNetdev *dev, const AfXdpBlock *blocks,
                         uint32_t n)
{
    AfXdpRam *ram = dev->ram;
    uint64_t front = (uint64_t)dev->n_queues * AF_XDP_COPY_FRAMES *
                     AF_XDP_FRAME_SIZE;
    GError *gerr = NULL;
    char *why_not;

    if (ram_block_discard_disable(true) < 0) {
        return g_strdup("another device needs to discard guest RAM "
                        "(virtio-mem, say)");
    }
    ram->window = af_xdp_window_new(blocks, n, front, &gerr);
    if (!ram->window) {
        ram_block_discard_disable(false);
        why_not = g_strdup(gerr->message);
        g_error_free(gerr);
        return why_not;
    }
    migration_add_notifier(&ram->migration, migration_notify);
    ram->cost = window_cost(dev, blocks, n);
    return NULL;
}

static AfXdpPlace queue_place(AfXdpState *s)
{
    AfXdpRam *ram = s->dev->ram;

    return (AfXdpPlace) {
        .area = af_xdp_window_area(ram->window),
        .size = af_xdp_window_size(ram->window),
        .base = (uint64_t)s->nc.queue_index * AF_XDP_COPY_FRAMES *
                AF_XDP_FRAME_SIZE,
        .headroom = AF_XDP_RX_ROOM - ram->room,
    };
}

/*
 * Let packets go to @fd, of queue @s: instead of to the queue's other socket,
 * or after that was closed, when nobody may be put out.
 */
static bool set_socket(AfXdpState *s, int fd, bool replace)
{
    uint32_t queue = s->nc.queue_index;
    GError *gerr = NULL;
    bool ok;

    if (!s->dev->prog) {
        return true;
    }
    ok = replace ? ebpf_af_xdp_replace_socket(s->dev->prog, queue, fd, &gerr)
                 : ebpf_af_xdp_set_socket(s->dev->prog, queue, fd, &gerr);
    if (!ok) {
        error_report("af-xdp '%s': %s", s->dev->name, gerr->message);
        g_error_free(gerr);
        return false;
    }
    return true;
}

static bool reopen(AfXdpState *s, uint32_t patience, GError **errp)
{
    return af_xdp_open_socket(s, s->dev->ram->ifindex, s->dev->ram->frame_max,
                              patience, errp);
}

/*
 * Let queue @s have memory of its own again. Returns false if the device has
 * not let go of the window; after any other failure it has.
 */
static bool move_away(AfXdpState *s)
{
    GError *gerr = NULL;
    bool busy;

    s->dev->ram->moved[s->nc.queue_index] = false;
    if (s->dev->gone) {
        /* The kernel let go of all memory before it said so. */
        af_xdp_copy_close(s->copy);
        return true;
    }
    if (reopen(s, RELEASE_PATIENCE_MS, &gerr)) {
        return true;
    }
    busy = gerr->code == EBUSY;
    error_report("af-xdp '%s': queue %u has no socket until the guest's driver "
                 "starts again: %s", s->dev->name, s->queue, gerr->message);
    g_error_free(gerr);
    return !busy;
}

/* Move queue @s onto the window. Returns why not, or NULL. */
static char *move_there(AfXdpState *s)
{
    AfXdpNetdev *dev = s->dev;
    AfXdpPlace place = queue_place(s);
    AfXdpMove move = {
        .ifname = dev->ifname,
        .ifindex = dev->ram->ifindex,
        .frame_max = dev->ram->frame_max,
        .place = &place,
        /* The window is for one of the two, and so is the end of it. */
        .copy_mode = !dev->ram->driver,
    };
    GError *gerr = NULL;
    char *why_not;

    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (dev->ram->moved[i]) {
            move.share = dev->queues[i]->copy;
        }
    }
    if (!af_xdp_copy_move(s->copy, &move, &gerr)) {
        why_not = reason(gerr);
        move_away(s);
        return why_not;
    }
    dev->ram->moved[s->nc.queue_index] = true;
    if (af_xdp_copy_socket(s->copy)->zero_copy != dev->ram->driver) {
        move_away(s);
        return g_strdup("the driver has no zero-copy for this any more");
    }
    return NULL;
}

/* The window goes, and what is on it before. */
static void window_drop(AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (dev->ram->moved[i]) {
            move_away(dev->queues[i]);
        }
    }
    window_free(dev);
}

/* Copy mode: all queues move at once, so that their window can stay. */
static char *move_all(AfXdpNetdev *dev)
{
    int64_t start = g_get_monotonic_time();

    for (uint32_t i = 0; i < dev->n_queues; i++) {
        AfXdpState *s = dev->queues[i];
        char *why_not = move_there(s);

        if (!why_not && !set_socket(s, af_xdp_copy_base_fd(s->copy), false)) {
            why_not = g_strdup("the program's map takes no socket");
        }
        if (why_not) {
            return why_not;
        }
    }
    dev->ram->took = g_get_monotonic_time() - start;
    return NULL;
}

/* --- Prepare --- */

/* How much a receive buffer must hold, so that none can overflow. */
static uint32_t choose_room(const AfXdpDevice *info, uint32_t frame_max,
                            bool driver, bool mergeable, bool multi_buffer)
{
    if (driver && g_str_equal(info->driver, DRIVER_EXACT)) {
        return MIN(MAX(ROUND_UP(frame_max + 4, EXACT_STEP), LEAST_ROOM),
                   AF_XDP_RX_ROOM);
    }
    if (driver) {
        return frame_max <= DRIVER_ROOM ? DRIVER_ROOM : AF_XDP_RX_ROOM;
    }
    if (mergeable && multi_buffer && frame_max > MERGEABLE_ROOM) {
        return MERGEABLE_ROOM;
    }
    return MAX(MIN(frame_max, AF_XDP_RX_ROOM), LEAST_ROOM);
}

static void say_why_not(AfXdpNetdev *dev)
{
    AfXdpRam *ram = dev->ram;

    if (ram->told) {
        return;
    }
    ram->told = true;
    if (ram->mode == AF_XDP_ZERO_COPY_ON) {
        error_report("af-xdp '%s': 'zero-copy=on' is not possible: %s; "
                     "packets are copied", dev->name, ram->why_not);
    } else {
        warn_report("af-xdp '%s': no guest zero-copy: %s; packets are copied "
                    "('zero-copy=off' says that this is meant)", dev->name,
                    ram->why_not);
    }
    if (strstr(ram->why_not, "is private to QEMU")) {
        error_printf("%s\n", hint_private);
    }
}

/*
 * In skb mode several processors may receive for one queue. Until Linux 6.15
 * two sockets on its rings had a lock each.
 */
static char *refuse_mode(const AfXdpNetdev *dev)
{
    struct utsname host;
    int major, minor;

    if ((dev->prog && ebpf_af_xdp_mode(dev->prog) == EBPF_AF_XDP_MODE_NATIVE) ||
        uname(&host) < 0 ||
        sscanf(host.release, "%d.%d", &major, &minor) < 2 ||
        major > 6 || (major == 6 && minor >= 15)) {
        return NULL;
    }
    return g_strdup("in skb mode that needs Linux 6.15");
}

/* Look at the interface again; returns why not, or NULL. */
static char *look(AfXdpNetdev *dev, AfXdpDevice *info)
{
    GError *gerr = NULL;

    return af_xdp_device_query(dev->ifname, info, &gerr) ? NULL : reason(gerr);
}

/* Queues that have lost their socket try to have one again. */
static void revive(AfXdpNetdev *dev)
{
    bool held = false;

    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (!dev->gone && af_xdp_copy_is_absent(dev->queues[i]->copy)) {
            held = !move_away(dev->queues[i]) || held;
        }
    }
    dev->ram->held = held;
}

static bool is_incomplete(const AfXdpNetdev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        if (af_xdp_copy_is_absent(dev->queues[i]->copy)) {
            return true;
        }
    }
    return false;
}

void af_xdp_ram_vm_runs(AfXdpNetdev *dev)
{
    if (!dev->ram->held) {
        return;
    }
    revive(dev);
    if (dev->ram->held) {
        error_report("af-xdp '%s': interface '%s' still has guest memory, the "
                     "VM is stopped again", dev->name, dev->ifname);
        qemu_system_vmstop_request_prepare();
        qemu_system_vmstop_request(RUN_STATE_INTERNAL_ERROR);
    }
}

static char *prepare(AfXdpNetdev *dev, const AfXdpRegion *regions,
                     uint32_t n, bool mergeable)
{
    g_autofree AfXdpBlock *blocks = g_new(AfXdpBlock, AF_XDP_MAX_BLOCKS);
    AfXdpRam *ram = dev->ram;
    AfXdpSocket *sock = af_xdp_copy_socket(dev->queues[0]->copy);
    bool driver = window_in_use(dev) ? ram->driver : sock->zero_copy;
    bool multi_buffer = af_xdp_queue_multi_buffer(dev->queues[0]);
    uint32_t frame_max, room;
    AfXdpDevice info;
    char *why_not = refuse(dev);

    if (!why_not) {
        why_not = look(dev, &info);
    }
    if (why_not) {
        return why_not;
    }
    frame_max = info.mtu + AF_XDP_FRAME_OVERHEAD;
    n = af_xdp_blocks_of(regions, n, blocks, &why_not);
    if (!why_not) {
        why_not = refuse_blocks(dev, blocks, n, driver);
    }
    if (!why_not && driver && frame_max > AF_XDP_RX_ROOM) {
        why_not = g_strdup_printf("frames of %u bytes take several buffers, "
                                  "which does not go with driver zero-copy: "
                                  "use 'force-copy=on' or an MTU up to %u",
                                  frame_max,
                                  AF_XDP_RX_ROOM - AF_XDP_FRAME_OVERHEAD);
    }
    if (!why_not) {
        why_not = driver ? af_xdp_iommu_refuse(&info) : refuse_mode(dev);
    }
    if (!why_not && driver && dev->opts.mac_filter) {
        /* The guest could change it under the host's eyes. */
        why_not = g_strdup("with 'mac-filter=on' frames for the host would be "
                           "in guest memory first: use 'force-copy=on'");
    }
    if (why_not) {
        return why_not;
    }
    ram->mergeable = mergeable;
    ram->frame_max = frame_max;
    room = choose_room(&info, frame_max, driver, mergeable, multi_buffer);
    ram->need = room;
    if (driver && g_strv_contains(keeps_mtu, info.driver)) {
        ram->need = frame_max;
    }
    if (ram->window && (driver || room == ram->room) && driver == ram->driver &&
        af_xdp_window_matches(ram->window, blocks, n)) {
        ram->room = room;
        /* They have left it if the interface was gone meanwhile. */
        return driver || window_in_use(dev) ? NULL : move_all(dev);
    }
    window_drop(dev);
    ram->driver = driver;
    ram->room = room;
    why_not = window_make(dev, blocks, n);
    if (!why_not && !driver) {
        why_not = move_all(dev);
    }
    return why_not;
}

void af_xdp_ram_prepare(AfXdpNetdev *dev, const AfXdpRegion *regions,
                        uint32_t n, bool mergeable)
{
    AfXdpRam *ram = dev->ram;

    if (ram->mode == AF_XDP_ZERO_COPY_OFF || dev->gone) {
        return;
    }
    revive(dev);
    if (ram->why_not && ram->window_failed &&
        g_get_monotonic_time() - ram->window_failed < RETRY_AFTER_US) {
        /* Trying takes long, and a guest can reset as often as it likes. */
        return;
    }
    ram->window_failed = 0;
    g_free(ram->why_not);
    if (is_incomplete(dev)) {
        /* Which mode it has is not known; what is wrong has been told. */
        ram->why_not = g_strdup("a queue has no socket; the guest's next "
                                "start of the device tries again");
        return;
    }
    ram->why_not = prepare(dev, regions, n, mergeable);
    if (ram->why_not) {
        if (ram->window) {
            ram->window_failed = g_get_monotonic_time();
            window_drop(dev);
        }
        say_why_not(dev);
    }
}

AfXdpMemory *af_xdp_ram_table(AfXdpNetdev *dev, const AfXdpRegion *regions,
                              uint32_t n, GError **errp)
{
    g_autofree AfXdpRegion *moved = g_memdup2(regions, n * sizeof(*regions));

    for (uint32_t i = 0; dev->ram->window && i < n; i++) {
        AfXdpBlock block = af_xdp_block_of(regions[i].host);
        char *at = af_xdp_window_find(dev->ram->window, &block);
        uint64_t offset = regions[i].host - (const uint8_t *)block.host;

        if (at && offset + regions[i].size <= block.size) {
            moved[i].host = (uint8_t *)at + offset;
        }
    }
    return af_xdp_memory_new(moved, n, errp);
}

bool af_xdp_ram_new_mtu(AfXdpNetdev *dev, uint32_t mtu)
{
    AfXdpRam *ram = dev->ram;
    uint32_t frame_max = mtu + AF_XDP_FRAME_OVERHEAD;

    if (!ram->window || !ram->driver || ram->need >= frame_max) {
        return false;
    }
    ram->frame_max = frame_max;
    ram->need = frame_max;
    return true;
}

/* --- A queue pair begins and ends --- */

static void give_up(AfXdpState *s, char *why_not)
{
    g_free(s->dev->ram->why_not);
    s->dev->ram->why_not = why_not;
    say_why_not(s->dev);
}

void af_xdp_ram_begin(AfXdpState *s, AfXdpDatapath *dp, uint32_t num)
{
    AfXdpRam *ram = s->dev->ram;
    AfXdpDirectConfig config;
    GError *gerr = NULL;

    if (!ram->window || ram->why_not || s->dev->gone ||
        (!ram->driver && !ram->moved[s->nc.queue_index])) {
        return;
    }
    if (ram->driver) {
        int64_t start = g_get_monotonic_time();
        char *why_not = move_there(s);

        if (why_not) {
            give_up(s, why_not);
            return;
        }
        ram->took = g_get_monotonic_time() - start;
    }
    if (!af_xdp_copy_outside_begin(s->copy, &gerr)) {
        give_up(s, reason(gerr));
        return;
    }
    config = (AfXdpDirectConfig) {
        .area = af_xdp_window_area(ram->window),
        .size = af_xdp_window_size(ram->window),
        .front = af_xdp_window_front(ram->window),
        .headroom = AF_XDP_RX_ROOM - ram->room,
        .room = ram->need,
        .page_size = ram->driver ? af_xdp_window_page_size(ram->window) : 0,
        .rx = ram->frame_max <= ram->room ||
              (ram->mergeable && !ram->driver),
        .tx = ram->driver || ram->copies,
        .spare = s->nc.queue_index == 0 && s->dev->n_queues > 1 ? num / 4 : 0,
    };
    af_xdp_datapath_direct_begin(dp, &config);
    if (!set_socket(s, af_xdp_copy_socket(s->copy)->fd, !ram->driver)) {
        bool call = false;

        af_xdp_ram_end(s, dp, &call);
    }
}

void af_xdp_ram_end(AfXdpState *s, AfXdpDatapath *dp, bool *call)
{
    AfXdpRam *ram = s->dev->ram;

    if (!af_xdp_copy_is_outside(s->copy)) {
        return;
    }
    if (!ram->driver) {
        set_socket(s, af_xdp_copy_base_fd(s->copy), true);
    }
    af_xdp_datapath_direct_stop(dp, call);
    if (ram->driver && !move_away(s)) {
        ram->held = true;
        error_report("af-xdp '%s': interface '%s' has not let go of the "
                     "guest's memory within %d ms; the VM is stopped, reset "
                     "it", s->dev->name, s->dev->ifname, RELEASE_PATIENCE_MS);
        vm_stop(RUN_STATE_INTERNAL_ERROR);
    }
    af_xdp_datapath_direct_end(dp, call);
}

/* --- The netdev's side --- */

void af_xdp_ram_init(AfXdpNetdev *dev, const AfXdpOptions *opts,
                     const AfXdpDevice *info)
{
    AfXdpRam *ram = g_new0(AfXdpRam, 1);

    dev->ram = ram;
    ram->mode = opts->zero_copy;
    ram->limit = opts->zero_copy_limit;
    ram->fixed_sockets = opts->sock_fds;
    ram->moved = g_new0(bool, dev->n_queues);
    af_xdp_ram_new_device(dev, info);
}

void af_xdp_ram_new_device(AfXdpNetdev *dev, const AfXdpDevice *info)
{
    AfXdpRam *ram = dev->ram;

    /*
     * Others may let an skb refer to the UMEM (IFF_TX_SKB_NO_LINEAR), and
     * nobody tells which.
     */
    ram->copies = g_str_equal(info->kind, "veth") || info->is_netkit;
    ram->ifindex = info->ifindex;
    ram->frame_max = info->mtu + AF_XDP_FRAME_OVERHEAD;
    /* What failed with another one may be possible with this one. */
    ram->window_failed = 0;
}

void af_xdp_ram_closed(AfXdpNetdev *dev)
{
    memset(dev->ram->moved, 0, dev->n_queues * sizeof(*dev->ram->moved));
    dev->ram->held = false;
}

void af_xdp_ram_free(AfXdpNetdev *dev)
{
    AfXdpRam *ram = dev->ram;

    if (!ram) {
        return;
    }
    memset(ram->moved, 0, dev->n_queues * sizeof(*ram->moved));
    window_free(dev);
    g_free(ram->moved);
    g_free(ram->why_not);
    g_free(ram);
    dev->ram = NULL;
}

bool af_xdp_ram_wanted(const AfXdpNetdev *dev)
{
    return dev->ram->mode == AF_XDP_ZERO_COPY_ON;
}

bool af_xdp_ram_check(AfXdpNetdev *dev, Error **errp)
{
    ERRP_GUARD();
    g_autofree AfXdpBlock *blocks = g_new(AfXdpBlock, AF_XDP_MAX_BLOCKS);
    g_autofree char *why_not = NULL;
    bool driver = af_xdp_copy_socket(dev->queues[0]->copy)->zero_copy;
    GError *gerr = NULL;
    uint32_t n;

    n = af_xdp_blocks_of_machine(blocks, &why_not);
    if (why_not) {
        error_setg(errp, "netdev '%s' has 'zero-copy=on', but %s", dev->name,
                   why_not);
        error_append_hint(errp, "%s\n", hint_private);
        return false;
    }
    why_not = refuse_blocks(dev, blocks, n, driver);
    if (!why_not && dev->ram->window) {
        /* A NIC before this one had it: it is possible. */
        return true;
    }
    if (!why_not) {
        why_not = window_make(dev, blocks, n);
    }
    if (!why_not) {
        AfXdpPlace place = {
            .area = af_xdp_window_area(dev->ram->window),
            .size = af_xdp_window_size(dev->ram->window),
        };

        if (!af_xdp_socket_try(&place, &gerr)) {
            why_not = g_strdup(gerr->message);
            g_error_free(gerr);
        }
        window_free(dev);
    }
    if (why_not) {
        char *hint = strchr(why_not, '\n');

        if (hint) {
            *hint++ = '\0';
        }
        error_setg(errp, "netdev '%s' has 'zero-copy=on', but %s", dev->name,
                   why_not);
        if (hint) {
            error_append_hint(errp, "%s\n", hint);
        }
        return false;
    }
    return true;
}

char *af_xdp_ram_info(const AfXdpState *s)
{
    const AfXdpRam *ram = s->dev->ram;

    if (!s->vhost) {
        /* Not before there is a NIC that has the fast path. */
        return g_strdup("off");
    }
    if (ram->mode == AF_XDP_ZERO_COPY_OFF) {
        return g_strdup("off");
    }
    if (ram->why_not) {
        return g_strdup_printf("off (%s)", ram->why_not);
    }
    if (!ram->window || s->dev->gone) {
        return g_strdup("not yet");
    }
    return g_strdup_printf("on (window %" PRIu64 " MiB; kernel memory %" PRIu64
                           " MiB; registered in %.1f ms)",
                           af_xdp_window_size(ram->window) / MiB,
                           ram->cost / MiB, ram->took / 1000.0);
}
