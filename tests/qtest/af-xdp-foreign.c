/*
 * af-xdp qtest: what other people do to the device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include "af-xdp-foreign.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define INSN(c, d, s, o, i) \
    { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }

int axt_foreign_map(int type, unsigned entries)
{
    int fd = bpf_map_create(type, "axt_map", 4, 4, entries, NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

void axt_foreign_pin(int fd, const char *path)
{
    g_assert_cmpint(bpf_obj_pin(fd, path), ==, 0);
}

static int load(const struct bpf_insn *insns, size_t n)
{
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "axt_foreign", "GPL", insns, n,
                           NULL);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

int axt_foreign_pass(void)
{
    const struct bpf_insn insns[] = {
        INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS),
        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };

    return load(insns, ARRAY_SIZE(insns));
}

int axt_foreign_redirect(int map_fd, unsigned offset)
{
    const struct bpf_insn insns[] = {
        INSN(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
             offsetof(struct xdp_md, rx_queue_index), 0),
        INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, offset),
        INSN(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
             map_fd),
        INSN(0, 0, 0, 0, 0),
        INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_PASS),
        INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
        INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };

    return load(insns, ARRAY_SIZE(insns));
}

void axt_foreign_attach(int ifindex, int prog_fd)
{
    g_assert_cmpint(bpf_xdp_attach(ifindex, prog_fd, XDP_FLAGS_DRV_MODE,
                                   NULL), ==, 0);
}

int axt_foreign_xsk(void)
{
    int fd = socket(AF_XDP, SOCK_RAW, 0);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

void axt_foreign_put(int map_fd, unsigned index, int xsk_fd)
{
    g_assert_cmpint(bpf_map_update_elem(map_fd, &index, &xsk_fd, BPF_ANY), ==,
                    0);
}

bool axt_foreign_add(int map_fd, unsigned index, int xsk_fd)
{
    bool added = bpf_map_update_elem(map_fd, &index, &xsk_fd,
                                     BPF_NOEXIST) == 0;

    g_assert_true(added || errno == EEXIST);
    return added;
}

void axt_foreign_remove(int map_fd, unsigned index)
{
    g_assert_cmpint(bpf_map_delete_elem(map_fd, &index), ==, 0);
}
