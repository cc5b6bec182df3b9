/*
 * Benchmark: the backends that are compared
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <string.h>
#include "backend.h"
#include "floor.h"
#include "testpmd.h"

#define MAX_ADDED 8

static const AxbBackend table[] = {
    {
        .name = "floor",
        .title = "raw AF_XDP socket",
        .wire = AXB_WIRE_VETH,
        .max_len = AXB_FRAME_MAX,
    }, {
        .name = "copy",
        .title = "af-xdp, vhost=off",
        .binary = AXB_BINARY_OURS,
        .wire = AXB_WIRE_VETH,
        .netdev = "af-xdp,id=net0,ifname=@IF@,queues=@QUEUES@,mode=native,"
                  "vhost=off",
        .max_len = AXB_FRAME_MAX,
    }, {
        .name = "vhost",
        .title = "af-xdp, vhost=on,zero-copy=off",
        .binary = AXB_BINARY_OURS,
        .wire = AXB_WIRE_VETH,
        .netdev = "af-xdp,id=net0,ifname=@IF@,queues=@QUEUES@,mode=native,"
                  "vhost=on,zero-copy=off",
        .max_len = AXB_FRAME_MAX,
    }, {
        .name = "zero-copy",
        .title = "af-xdp, vhost=on,zero-copy=on",
        .binary = AXB_BINARY_OURS,
        .wire = AXB_WIRE_VETH,
        .netdev = "af-xdp,id=net0,ifname=@IF@,queues=@QUEUES@,mode=native,"
                  "vhost=on,zero-copy=on",
        .max_len = AXB_FRAME_MAX,
    }, {
        .name = "upstream",
        .title = "af-xdp of upstream QEMU",
        .binary = AXB_BINARY_UPSTREAM,
        .wire = AXB_WIRE_VETH,
        .netdev = "af-xdp,id=net0,ifname=@IF@,queues=@QUEUES@,mode=native",
        /* It drops what does not fit one frame of its UMEM. */
        .max_len = AXB_FRAME_PAGE,
    }, {
        .name = "tap",
        .title = "tap without vhost",
        .binary = AXB_BINARY_UPSTREAM,
        .wire = AXB_WIRE_TAP,
        .netdev = "tap,id=net0,ifname=@IF@,queues=@QUEUES@,script=no,"
                  "downscript=no,vhost=off",
        .max_len = AXB_FRAME_MAX,
    }, {
        .name = "vhost-user",
        .title = "vhost-user, DPDK testpmd",
        .binary = AXB_BINARY_TESTPMD,
        .wire = AXB_WIRE_VETH,
        .netdev = "vhost-user,id=net0,chardev=vu,queues=@QUEUES@",
        .max_len = AXB_FRAME_PAGE,
        /* Its af_xdp driver sees one queue only on veth (no "combined"). */
        .max_queues = 1,
    },
};

static AxbBackend added[MAX_ADDED];
static unsigned n_added;

const AxbBackend *axb_backend_next(const AxbBackend *b)
{
    if (!b) {
        return table;
    }
    b++;
    if (b == table + G_N_ELEMENTS(table)) {
        b = added;
    }
    return b == added + n_added ? NULL : b;
}

const AxbBackend *axb_backend_find(const char *name)
{
    const AxbBackend *b = NULL;

    while ((b = axb_backend_next(b))) {
        if (!strcmp(b->name, name)) {
            return b;
        }
    }
    return NULL;
}

bool axb_backend_add(const char *spec)
{
    g_auto(GStrv) part = g_strsplit(spec, ",", 4);
    AxbBackend *b = &added[n_added];

    if (n_added == MAX_ADDED || g_strv_length(part) != 4 ||
        axb_backend_find(part[0]) || !strstr(part[3], "id=net0")) {
        return false;
    }
    *b = (AxbBackend) {
        .binary = !strcmp(part[1], "ours") ? AXB_BINARY_OURS :
                  !strcmp(part[1], "upstream") ? AXB_BINARY_UPSTREAM :
                                                 AXB_BINARY_NONE,
        .wire = !strcmp(part[2], "tap") ? AXB_WIRE_TAP : AXB_WIRE_VETH,
        .max_len = AXB_FRAME_MAX,
    };
    if (b->binary == AXB_BINARY_NONE) {
        return false;
    }
    /* For the rest of the run. */
    b->name = g_strdup(part[0]);
    b->title = b->name;
    b->netdev = g_strdup(part[3]);
    n_added++;
    return true;
}

const char *axb_backend_missing(const AxbBackend *b, const AxbBinaries *bin)
{
    switch (b->binary) {
    case AXB_BINARY_OURS:
        return bin->ours ? NULL : "no QEMU of ours, give --qemu";
    case AXB_BINARY_UPSTREAM:
        return bin->upstream ? NULL : "no QEMU of upstream's, give --upstream";
    case AXB_BINARY_TESTPMD:
        return !bin->upstream ? "no QEMU of upstream's, give --upstream" :
               bin->testpmd ? NULL :
               "dpdk-testpmd is not installed (Debian: apt install dpdk-dev, "
               "and the librte-net-af-xdp package of that version)";
    default:
        return NULL;
    }
}

static char *fill_in(const char *template, unsigned queues)
{
    g_autofree char *number = g_strdup_printf("%u", queues);
    g_auto(GStrv) a = g_strsplit(template, "@IF@", -1);
    g_autofree char *once = g_strjoinv(AXB_DEV, a);
    g_auto(GStrv) b = g_strsplit(once, "@QUEUES@", -1);

    return g_strjoinv(number, b);
}

AxbEndpoint *axb_backend_start(const AxbBackend *b, const AxbBinaries *bin,
                               const AxbWire *wire, AxbGuestConfig *guest,
                               GError **errp)
{
    g_autofree char *netdev = NULL;

    if (b->binary == AXB_BINARY_NONE) {
        return axb_floor_new(AXB_DEV, wire->queues, wire->len, errp);
    }
    netdev = fill_in(b->netdev, wire->queues);
    guest->qemu = b->binary == AXB_BINARY_OURS ? bin->ours : bin->upstream;
    guest->netdev = netdev;
    guest->device = b->device;
    guest->queues = wire->queues;
    guest->len = wire->len;
    if (b->binary == AXB_BINARY_TESTPMD) {
        return axb_testpmd_start(bin->testpmd, guest, errp);
    }
    return axb_guest_new(guest, errp);
}
