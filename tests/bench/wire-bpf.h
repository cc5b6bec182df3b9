/*
 * Benchmark: the programs on the wire
 *
 * The far side of a measurement must cost next to nothing, or it would be
 * what is measured. Four small programs do it inside the kernel:
 *
 *  - send: numbers a frame and redirects it to a device. Run by
 *    BPF_PROG_TEST_RUN with live frames, the fastest sender there is.
 *  - count: on arrival counts a frame and drops it; now and then, when the
 *    last one was taken, copies a whole one out for checking.
 *  - echo: on arrival counts a frame and sends it back whence it came.
 *  - socket: redirects to AF_XDP sockets, for the bare socket that the
 *    backends are compared with.
 *
 * They are written as instructions here, so that no compiler for BPF is
 * needed, and share one page-aligned map with this process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_WIRE_BPF_H
#define TESTS_BENCH_WIRE_BPF_H

#include <glib.h>
#include <stdint.h>

/* A power of two; processors beyond share a counter and may lose counts. */
#define AXB_BPF_CPUS 64
/* A power of two not below AXB_FRAME_MAX */
#define AXB_BPF_SAMPLE 16384

typedef struct AxbBpfShared {
    struct {
        uint64_t frames;        /* counted */
        uint64_t odd;           /* of them with another length than expected */
        uint64_t pad[6];        /* a cache line each */
    } cpu[AXB_BPF_CPUS];
    uint64_t expected;          /* length of frames, in bytes */
    uint64_t sample_state;      /* 0 free, 1 being filled, else its length */
    uint64_t sent;              /* frames that "send" has numbered */
    uint64_t pad[5];
    uint8_t sample[AXB_BPF_SAMPLE];
} AxbBpfShared;

typedef struct AxbBpfMap {
    int fd;
    volatile AxbBpfShared *shared;  /* volatile: the programs write it */
} AxbBpfMap;

/* axb_bpf_map_new: a zeroed map, mapped into this process. NULL: @errp. */
AxbBpfMap *axb_bpf_map_new(GError **errp);
void axb_bpf_map_free(AxbBpfMap *map);

/* axb_bpf_frames: frames counted on all processors. */
uint64_t axb_bpf_frames(const AxbBpfMap *map);
/* axb_bpf_odd: frames with an unexpected length. */
uint64_t axb_bpf_odd(const AxbBpfMap *map);

/*
 * Load one of the programs. They return its file descriptor, or -1 and set
 * @errp, with what the verifier says.
 * @ifindex: device to send to
 */
int axb_bpf_load_send(const AxbBpfMap *map, int ifindex, GError **errp);
int axb_bpf_load_count(const AxbBpfMap *map, GError **errp);
int axb_bpf_load_echo(const AxbBpfMap *map, int ifindex, GError **errp);
int axb_bpf_load_socket(int xskmap_fd, GError **errp);

/*
 * axb_bpf_attach_ingress: let program @fd have every frame that device
 * @ifindex receives, until the device is deleted.
 */
gboolean axb_bpf_attach_ingress(int ifindex, int fd, GError **errp);

/*
 * axb_bpf_send: send @repeat copies of @frame through program @fd, loaded by
 * axb_bpf_load_send(), from the calling thread's processor.
 *
 * Returns 0 or a negative errno; -EINVAL also from kernels before 5.18, which
 * have no live frames, and for frames longer than a page takes.
 */
int axb_bpf_send(int fd, const void *frame, uint32_t len, uint32_t repeat);

#endif /* TESTS_BENCH_WIRE_BPF_H */
