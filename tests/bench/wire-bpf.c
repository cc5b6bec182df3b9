/*
 * Benchmark: the programs on the wire
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "frame.h"
#include "wire-bpf.h"

/* Instructions, named after what the kernel's assembler would say. */
#define INSN(c, d, s, o, i) \
    ((struct bpf_insn) { .code = (c), .dst_reg = (d), .src_reg = (s), \
                         .off = (o), .imm = (i) })
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ALU_REG(op, d, s) INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define ALU_IMM(op, d, i) INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | (size) | BPF_MEM, d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | (size) | BPF_MEM, d, s, o, 0)
#define CMPXCHG(d, s, o) \
    INSN(BPF_STX | BPF_DW | BPF_ATOMIC, d, s, o, BPF_CMPXCHG)
#define JUMP_IMM(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define JUMP_REG(op, d, s, o) INSN(BPF_JMP | (op) | BPF_X, d, s, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* These two take a second slot: UPPER(), with the offset into the value. */
#define LOAD_MAP(d, fd) \
    INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd)
#define LOAD_VALUE(d, fd) \
    INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_VALUE, 0, fd)
#define UPPER(offset) INSN(0, 0, 0, 0, offset)

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 };

G_STATIC_ASSERT(AXB_BPF_SAMPLE >= AXB_FRAME_MAX);
G_STATIC_ASSERT(sizeof(((AxbBpfShared *)0)->cpu[0]) == 64);

static void set_errno(GError **errp, const char *what)
{
    g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                "%s: %s", what, g_strerror(errno));
}

AxbBpfMap *axb_bpf_map_new(GError **errp)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
    AxbBpfMap *map = g_new0(AxbBpfMap, 1);

    map->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "axb", sizeof(uint32_t),
                             sizeof(AxbBpfShared), 1, &opts);
    if (map->fd < 0) {
        set_errno(errp, "creating a BPF map");
        g_free(map);
        return NULL;
    }
    map->shared = mmap(NULL, sizeof(AxbBpfShared), PROT_READ | PROT_WRITE,
                       MAP_SHARED, map->fd, 0);
    if (map->shared == MAP_FAILED) {
        set_errno(errp, "mapping a BPF map");
        close(map->fd);
        g_free(map);
        return NULL;
    }
    return map;
}

void axb_bpf_map_free(AxbBpfMap *map)
{
    if (map) {
        munmap((void *)map->shared, sizeof(AxbBpfShared));
        close(map->fd);
        g_free(map);
    }
}

uint64_t axb_bpf_frames(const AxbBpfMap *map)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < AXB_BPF_CPUS; i++) {
        sum += map->shared->cpu[i].frames;
    }
    return sum;
}

uint64_t axb_bpf_odd(const AxbBpfMap *map)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < AXB_BPF_CPUS; i++) {
        sum += map->shared->cpu[i].odd;
    }
    return sum;
}

static int load(enum bpf_prog_type type, const char *name, uint32_t flags,
                const struct bpf_insn *insns, size_t n, GError **errp)
{
    g_autofree char *log = g_malloc0(65536);
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = flags);
    int fd = bpf_prog_load(type, name, "GPL", insns, n, &opts);
    int err = errno;

    if (fd < 0) {
        /* Once more, for the verifier's words. */
        opts.log_buf = log;
        opts.log_size = 65536;
        opts.log_level = 1;
        bpf_prog_load(type, name, "GPL", insns, n, &opts);
        errno = err;
        set_errno(errp, "loading a BPF program");
        if (errp && *errp && *log) {
            g_prefix_error(errp, "%s\n", log);
        }
    }
    return fd;
}

int axb_bpf_load_send(const AxbBpfMap *map, int ifindex, GError **errp)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_W, R2, R1, offsetof(struct xdp_md, data)),
        LOAD(BPF_W, R3, R1, offsetof(struct xdp_md, data_end)),
        MOV_REG(R4, R2),
        ALU_IMM(BPF_ADD, R4, AXB_FRAME_MIN - 4),
        JUMP_REG(BPF_JGT, R4, R3, 10),                          /* drop */
        LOAD_VALUE(R5, map->fd),
        UPPER(offsetof(AxbBpfShared, sent)),
        LOAD(BPF_DW, R4, R5, 0),
        ALU_IMM(BPF_ADD, R4, 1),
        STORE(BPF_DW, R5, R4, 0),
        STORE(BPF_DW, R2, R4, AXB_OFF_SEQ),
        MOV_IMM(R1, ifindex),
        MOV_IMM(R2, 0),
        CALL(BPF_FUNC_redirect),
        EXIT(),
        /* drop: */
        MOV_IMM(R0, XDP_DROP),
        EXIT(),
    };

    return load(BPF_PROG_TYPE_XDP, "axb_send", 0, insns,
                G_N_ELEMENTS(insns), errp);
}

int axb_bpf_load_count(const AxbBpfMap *map, GError **errp)
{
    const struct bpf_insn insns[] = {
        /* 0: only frames of ours */
        MOV_REG(R6, R1),
        LOAD(BPF_W, R2, R6, offsetof(struct __sk_buff, protocol)),
        JUMP_IMM(BPF_JNE, R2, htons(AXB_ETHERTYPE), 38),        /* pass */
        LOAD(BPF_W, R8, R6, offsetof(struct __sk_buff, len)),
        /* 4: this processor's counters */
        CALL(BPF_FUNC_get_smp_processor_id),
        ALU_IMM(BPF_AND, R0, AXB_BPF_CPUS - 1),
        ALU_IMM(BPF_LSH, R0, 6),
        LOAD_VALUE(R7, map->fd),
        UPPER(0),
        ALU_REG(BPF_ADD, R7, R0),
        LOAD(BPF_DW, R1, R7, 0),
        ALU_IMM(BPF_ADD, R1, 1),
        STORE(BPF_DW, R7, R1, 0),
        /* 13: of the right length? */
        LOAD_VALUE(R9, map->fd),
        UPPER(offsetof(AxbBpfShared, expected)),
        LOAD(BPF_DW, R2, R9, 0),
        JUMP_REG(BPF_JEQ, R2, R8, 3),
        LOAD(BPF_DW, R1, R7, 8),
        ALU_IMM(BPF_ADD, R1, 1),
        STORE(BPF_DW, R7, R1, 8),
        /* 20: is the sample free? */
        LOAD(BPF_DW, R1, R9, 8),
        JUMP_IMM(BPF_JNE, R1, 0, 17),                           /* drop */
        MOV_IMM(R0, 0),
        MOV_IMM(R1, 1),
        CMPXCHG(R9, R1, 8),
        JUMP_IMM(BPF_JNE, R0, 0, 13),                           /* drop */
        /* 26: copy it, all of it */
        JUMP_IMM(BPF_JLT, R8, 2, 10),                           /* free */
        JUMP_IMM(BPF_JGT, R8, AXB_BPF_SAMPLE, 9),               /* free */
        MOV_REG(R1, R6),
        MOV_IMM(R2, 0),
        LOAD_VALUE(R3, map->fd),
        UPPER(offsetof(AxbBpfShared, sample)),
        MOV_REG(R4, R8),
        CALL(BPF_FUNC_skb_load_bytes),
        JUMP_IMM(BPF_JNE, R0, 0, 2),                            /* free */
        STORE(BPF_DW, R9, R8, 8),
        JUMP_IMM(BPF_JA, R0, 0, 2),                             /* drop */
        /* 37, free: */
        MOV_IMM(R1, 0),
        STORE(BPF_DW, R9, R1, 8),
        /* 39, drop: */
        MOV_IMM(R0, TC_ACT_SHOT),
        EXIT(),
        /* 41, pass: */
        MOV_IMM(R0, TC_ACT_OK),
        EXIT(),
    };

    G_STATIC_ASSERT(offsetof(AxbBpfShared, sample_state) ==
                    offsetof(AxbBpfShared, expected) + 8);
    return load(BPF_PROG_TYPE_SCHED_CLS, "axb_count", 0, insns,
                G_N_ELEMENTS(insns), errp);
}

int axb_bpf_load_echo(const AxbBpfMap *map, int ifindex, GError **errp)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_W, R2, R1, offsetof(struct __sk_buff, protocol)),
        JUMP_IMM(BPF_JNE, R2, htons(AXB_ETHERTYPE), 13),        /* pass */
        CALL(BPF_FUNC_get_smp_processor_id),
        ALU_IMM(BPF_AND, R0, AXB_BPF_CPUS - 1),
        ALU_IMM(BPF_LSH, R0, 6),
        LOAD_VALUE(R7, map->fd),
        UPPER(0),
        ALU_REG(BPF_ADD, R7, R0),
        LOAD(BPF_DW, R1, R7, 0),
        ALU_IMM(BPF_ADD, R1, 1),
        STORE(BPF_DW, R7, R1, 0),
        MOV_IMM(R1, ifindex),
        MOV_IMM(R2, 0),
        CALL(BPF_FUNC_redirect),
        EXIT(),
        /* pass: */
        MOV_IMM(R0, TC_ACT_OK),
        EXIT(),
    };

    return load(BPF_PROG_TYPE_SCHED_CLS, "axb_echo", 0, insns,
                G_N_ELEMENTS(insns), errp);
}

int axb_bpf_load_socket(int xskmap_fd, GError **errp)
{
    const struct bpf_insn insns[] = {
        LOAD(BPF_W, R2, R1, offsetof(struct xdp_md, rx_queue_index)),
        LOAD_MAP(R1, xskmap_fd),
        UPPER(0),
        MOV_IMM(R3, XDP_PASS),
        CALL(BPF_FUNC_redirect_map),
        EXIT(),
    };

    return load(BPF_PROG_TYPE_XDP, "axb_socket", BPF_F_XDP_HAS_FRAGS, insns,
                G_N_ELEMENTS(insns), errp);
}

gboolean axb_bpf_attach_ingress(int ifindex, int fd, GError **errp)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
                .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd);
    int ret = bpf_tc_hook_create(&hook);

    if (!ret || ret == -EEXIST) {
        ret = bpf_tc_attach(&hook, &opts);
    }
    if (ret) {
        errno = -ret;
        set_errno(errp, "attaching a BPF program to the wire");
        return FALSE;
    }
    return TRUE;
}

int axb_bpf_send(int fd, const void *frame, uint32_t len, uint32_t repeat)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts,
                .data_in = frame,
                .data_size_in = len,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
                .repeat = repeat);

    return bpf_prog_test_run_opts(fd, &opts) ? -errno : 0;
}
