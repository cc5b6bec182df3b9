/*
 * AF_XDP: guest RAM in one piece
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include "net/af-xdp-error.h"
#include "net/af-xdp-window.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define FRONT (64 * KIB)

/* Guest RAM as QEMU has it: a file, mapped from an offset on. */
static AfXdpBlock block_new(const char *name, uint64_t size,
                            uint64_t fd_offset, uint64_t page_size)
{
    AfXdpBlock block = {
        .name = name, .size = size, .fd_offset = fd_offset,
        .page_size = page_size,
    };

    block.fd = memfd_create(name, MFD_CLOEXEC);
    g_assert_cmpint(block.fd, >=, 0);
    g_assert_cmpint(ftruncate(block.fd, fd_offset + size), ==, 0);
    block.host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
                      block.fd, fd_offset);
    g_assert_true(block.host != MAP_FAILED);
    return block;
}

static void block_free(AfXdpBlock *block)
{
    munmap((void *)block->host, block->size);
    if (block->fd >= 0) {
        close(block->fd);
    }
}

static AfXdpWindow *window(const AfXdpBlock *blocks, uint32_t n,
                           uint64_t front)
{
    GError *err = NULL;
    AfXdpWindow *w = af_xdp_window_new(blocks, n, front, &err);

    g_assert_no_error(err);
    g_assert_nonnull(w);
    return w;
}

/* What is written here is read there, at every page, and the other way. */
static void assert_same_memory(const AfXdpWindow *w, const AfXdpBlock *block)
{
    /* volatile: the compiler takes them for different memory. */
    volatile uint32_t *here = (uint32_t *)block->host;
    /* volatile: the same */
    volatile uint32_t *there = af_xdp_window_find(w, block);
    const uint32_t step = 4096 / sizeof(*here);

    g_assert_nonnull((void *)there);
    g_assert_true((void *)there != block->host);
    for (uint32_t i = 0; i < block->size / sizeof(*here); i += step) {
        here[i] = i + block->fd;
        g_assert_cmpuint(there[i], ==, i + block->fd);
        there[i + 1] = ~i - block->fd;
        g_assert_cmpuint(here[i + 1], ==, ~i - block->fd);
    }
}

static void test_one(void)
{
    AfXdpBlock block = block_new("ram", 3 * MIB, 0, 4096);
    AfXdpWindow *w = window(&block, 1, FRONT);
    char *area = af_xdp_window_area(w);

    g_assert_cmpuint((uintptr_t)area % 4096, ==, 0);
    g_assert_cmpuint(af_xdp_window_size(w), ==, FRONT + 3 * MIB);
    g_assert_cmpuint(af_xdp_window_front(w), ==, FRONT);
    g_assert_cmpuint(af_xdp_window_page_size(w), ==, 4096);
    g_assert_true(af_xdp_window_find(w, &block) == area + FRONT);
    /* Ours, and nobody else's. */
    for (uint64_t i = 0; i < FRONT; i++) {
        g_assert_cmpint(area[i], ==, 0);
    }
    memset(area, 0xff, FRONT);
    g_assert_cmpint(*(const char *)block.host, ==, 0);
    assert_same_memory(w, &block);
    g_assert_true(af_xdp_window_matches(w, &block, 1));
    af_xdp_window_free(w);
    /* The guest's own mapping stays. */
    g_assert_cmpuint(*(const uint32_t *)block.host, ==, block.fd);
    block_free(&block);
    af_xdp_window_free(NULL);
}

/* The largest pages first, and no gap; so all are aligned. */
static void test_order(void)
{
    AfXdpBlock blocks[] = {
        block_new("small", 4 * KIB, 0, 4 * KIB),
        block_new("large", 4 * MIB, 0, 2 * MIB),
        block_new("rest", 12 * KIB, 8 * KIB, 4 * KIB),
        block_new("middle", 192 * KIB, 64 * KIB, 64 * KIB),
        block_new("more", 2 * MIB, 2 * MIB, 2 * MIB),
    };
    uint64_t sum = FRONT;

    for (uint64_t front = 0; front <= 3 * FRONT; front += FRONT) {
        AfXdpWindow *w = window(blocks, ARRAY_SIZE(blocks), front);
        char *area = af_xdp_window_area(w);
        char *end = area + front;

        sum = front;
        for (uint64_t page = 2 * MIB; page >= 4 * KIB; page /= 2) {
            uint64_t bytes = 0;

            for (int i = 0; i < ARRAY_SIZE(blocks); i++) {
                char *at = af_xdp_window_find(w, &blocks[i]);

                if (blocks[i].page_size == page) {
                    g_assert_cmpuint((uintptr_t)at % page, ==, 0);
                    g_assert_true(at >= end);
                    bytes += blocks[i].size;
                }
            }
            end += bytes;
            sum += bytes;
        }
        g_assert_cmpuint(af_xdp_window_size(w), ==, sum);
        g_assert_cmpuint(af_xdp_window_page_size(w), ==, 4 * KIB);
        for (int i = 0; i < ARRAY_SIZE(blocks); i++) {
            assert_same_memory(w, &blocks[i]);
            for (int j = 0; j < i; j++) {
                char *x = af_xdp_window_find(w, &blocks[i]);
                char *y = af_xdp_window_find(w, &blocks[j]);

                g_assert_true(x + blocks[i].size <= y ||
                              y + blocks[j].size <= x);
            }
        }
        g_assert_true(af_xdp_window_matches(w, blocks, ARRAY_SIZE(blocks)));
        af_xdp_window_free(w);
    }
    for (int i = 0; i < ARRAY_SIZE(blocks); i++) {
        block_free(&blocks[i]);
    }
}

/* A block is its memory: address and size are not enough. */
static void test_identity(void)
{
    AfXdpBlock a = block_new("a", MIB, 0, 4096), b = a, copy = a;
    AfXdpWindow *w = window(&a, 1, 0);

    /* The same memory by another descriptor. */
    copy.fd = dup(a.fd);
    copy.name = "other";
    g_assert_true(af_xdp_window_find(w, &copy) == af_xdp_window_area(w));
    g_assert_true(af_xdp_window_matches(w, &copy, 1));
    close(copy.fd);

    /* Unplugged, and another one plugged at the same place. */
    b = block_new("b", MIB, 0, 4096);
    g_assert_true(mmap((void *)a.host, MIB, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED, b.fd, 0) == a.host);
    copy = b;
    copy.host = a.host;
    g_assert_null(af_xdp_window_find(w, &copy));
    g_assert_false(af_xdp_window_matches(w, &copy, 1));
    /* ... whose descriptor has the old one's number. */
    g_assert_cmpint(dup2(b.fd, a.fd), ==, a.fd);
    g_assert_null(af_xdp_window_find(w, &a));
    g_assert_false(af_xdp_window_matches(w, &a, 1));
    /* Writing to the window is still no error. */
    memset(af_xdp_window_area(w), 1, MIB);
    g_assert_cmpint(*(const char *)b.host, ==, 0);
    af_xdp_window_free(w);

    /* Another part of the file, another size, another address. */
    w = window(&b, 1, 0);
    copy = b;
    copy.fd_offset = 4096;
    g_assert_null(af_xdp_window_find(w, &copy));
    copy = b;
    copy.size -= 4096;
    g_assert_null(af_xdp_window_find(w, &copy));
    copy = b;
    copy.host = (const char *)b.host + 4096;
    g_assert_null(af_xdp_window_find(w, &copy));
    copy = b;
    copy.fd = -1;
    g_assert_null(af_xdp_window_find(w, &copy));
    af_xdp_window_free(w);
    block_free(&a);
    block_free(&b);
}

static void test_matches(void)
{
    AfXdpBlock blocks[] = {
        block_new("a", MIB, 0, 4096),
        block_new("b", MIB, 0, 4096),
        block_new("c", MIB, 0, 4096),
    };
    AfXdpBlock reversed[] = { blocks[1], blocks[0] };
    AfXdpBlock with_private[] = { blocks[0], blocks[2], blocks[1] };
    AfXdpWindow *w = window(blocks, 2, FRONT);

    with_private[1].fd = -1;
    g_assert_true(af_xdp_window_matches(w, blocks, 2));
    g_assert_true(af_xdp_window_matches(w, reversed, 2));
    g_assert_false(af_xdp_window_matches(w, blocks, 1));
    g_assert_false(af_xdp_window_matches(w, blocks, 3));
    g_assert_false(af_xdp_window_matches(w, blocks + 1, 2));
    g_assert_false(af_xdp_window_matches(w, blocks, 0));
    /* Private ones were never asked for. */
    g_assert_true(af_xdp_window_matches(w, with_private, 3));
    af_xdp_window_free(w);
    for (int i = 0; i < ARRAY_SIZE(blocks); i++) {
        block_free(&blocks[i]);
    }
}

static void test_private(void)
{
    AfXdpBlock blocks[] = {
        block_new("shared", MIB, 0, 4096),
        { .name = "private", .size = MIB, .fd = -1, .page_size = 2 * MIB },
    };
    GError *err = NULL;
    AfXdpWindow *w = window(blocks, 2, FRONT);

    g_assert_cmpuint(af_xdp_window_size(w), ==, FRONT + MIB);
    g_assert_null(af_xdp_window_find(w, &blocks[1]));
    g_assert_true(af_xdp_window_matches(w, blocks, 2));
    g_assert_cmpuint(af_xdp_window_page_size(w), ==, 4096);
    af_xdp_window_free(w);

    g_assert_null(af_xdp_window_new(blocks + 1, 1, FRONT, &err));
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    g_assert_nonnull(strstr(err->message, "no guest RAM is shared"));
    g_error_free(err);
    block_free(&blocks[0]);
}

/* --- Failures --- */

static char *read_maps(void)
{
    char *maps = NULL;

    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    return maps;
}

static uint32_t count_lines(const char *s, const char *word)
{
    uint32_t n = 0;

    while ((s = strstr(s, word))) {
        n++;
        s++;
    }
    return n;
}

static void test_bad_descriptor(void)
{
    AfXdpBlock blocks[] = {
        block_new("window-first", MIB, 0, 4096),
        block_new("window-bad", MIB, 0, 4096),
    };
    AfXdpBlock read_only = blocks[1];
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", blocks[1].fd);
    g_autofree char *maps = NULL;
    GError *err = NULL;

    blocks[1].fd = 987;
    g_assert_null(af_xdp_window_new(blocks, 2, FRONT, &err));
    g_assert_error(err, AF_XDP_ERROR, EBADF);
    g_assert_nonnull(strstr(err->message, "window-bad"));
    g_clear_error(&err);

    blocks[1] = read_only;
    read_only.fd = open(path, O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(read_only.fd, >=, 0);
    g_assert_null(af_xdp_window_new(&read_only, 1, FRONT, &err));
    g_assert_error(err, AF_XDP_ERROR, EACCES);
    g_clear_error(&err);
    close(read_only.fd);
    /* The first one is mapped once, by us: nothing is left behind. */
    maps = read_maps();
    g_assert_cmpuint(count_lines(maps, "window-first"), ==, 1);
    g_assert_cmpuint(count_lines(maps, "window-bad"), ==, 1);
    block_free(&blocks[0]);
    block_free(&blocks[1]);
}

static void test_no_space(void)
{
    AfXdpBlock block = block_new("ram", MIB, 0, 4096);
    GError *err = NULL;

    /* More than there are addresses. */
    block.size = 1ull << 50;
    g_assert_null(af_xdp_window_new(&block, 1, FRONT, &err));
    g_assert_error(err, AF_XDP_ERROR, ENOMEM);
    g_error_free(err);
    block.size = MIB;
    block_free(&block);
}

/* A child has no copy of it, and a core dump would hold RAM twice. */
static void test_fork(void)
{
    AfXdpBlock block = block_new("window-ram", MIB, 0, 4096);
    AfXdpWindow *w = window(&block, 1, FRONT);
    int pipe_fds[2], status;
    char there = 0;
    pid_t pid;

    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        /* The kernel says whether there is something at that address. */
        _exit(write(pipe_fds[1], af_xdp_window_area(w), 1) < 0 &&
              errno == EFAULT ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    g_assert_cmpint(write(pipe_fds[1], af_xdp_window_area(w), 1), ==, 1);
    g_assert_cmpint(read(pipe_fds[0], &there, 1), ==, 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    af_xdp_window_free(w);
    block_free(&block);
}

static void test_huge_pages(void)
{
    AfXdpBlock blocks[2] = {
        { .name = "huge", .size = 4 * MIB, .page_size = 2 * MIB },
    };
    AfXdpWindow *w;
    void *host = MAP_FAILED;

    blocks[0].fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB |
                                (21u << 26) /* MFD_HUGE_2MB */);
    if (blocks[0].fd >= 0 && ftruncate(blocks[0].fd, 4 * MIB) == 0) {
        host = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED,
                    blocks[0].fd, 0);
    }
    if (host == MAP_FAILED) {
        if (blocks[0].fd >= 0) {
            close(blocks[0].fd);
        }
        g_test_skip("there are no two huge pages of 2 MiB "
                    "(sysctl vm.nr_hugepages)");
        return;
    }
    blocks[0].host = host;
    blocks[1] = block_new("small", 12 * KIB, 0, 4 * KIB);
    w = window(blocks, 2, FRONT);
    g_assert_cmpuint((uintptr_t)af_xdp_window_find(w, &blocks[0]) % (2 * MIB),
                     ==, 0);
    g_assert_cmpuint(af_xdp_window_size(w), ==, FRONT + 4 * MIB + 12 * KIB);
    assert_same_memory(w, &blocks[0]);
    assert_same_memory(w, &blocks[1]);
    af_xdp_window_free(w);
    block_free(&blocks[0]);
    block_free(&blocks[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/window/one", test_one);
    g_test_add_func("/window/order", test_order);
    g_test_add_func("/window/identity", test_identity);
    g_test_add_func("/window/matches", test_matches);
    g_test_add_func("/window/private", test_private);
    g_test_add_func("/window/bad-descriptor", test_bad_descriptor);
    g_test_add_func("/window/no-space", test_no_space);
    g_test_add_func("/window/fork", test_fork);
    g_test_add_func("/window/huge-pages", test_huge_pages);
    return g_test_run();
}
