/*
 * AF_XDP: guest memory table, dirty log, I/O vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-memory.h"

#define KIB UINT64_C(1024)
#define LOG_PAGE (UINT64_C(1) << AF_XDP_LOG_PAGE_BITS)

static uint8_t ram[64 * KIB];

/* Unsorted; the second and third touch; the last one ends at 2^64. */
static const AfXdpRegion regions[] = {
    { 64 * KIB, 16 * KIB, ram },
    { 8 * KIB, 4 * KIB, ram + 16 * KIB },
    { 12 * KIB, 4 * KIB, ram + 32 * KIB },
    { -8 * KIB, 8 * KIB, ram + 48 * KIB },
};

static AfXdpMemory *new_memory(const AfXdpRegion *r, uint32_t n)
{
    GError *err = NULL;
    AfXdpMemory *mem = af_xdp_memory_new(r, n, &err);

    g_assert_no_error(err);
    g_assert_nonnull(mem);
    return mem;
}

/* Byte by byte, from the unsorted table. */
static uint8_t *slow_at(uint64_t gpa)
{
    for (int i = 0; i < ARRAY_SIZE(regions); i++) {
        if (gpa >= regions[i].gpa && gpa - regions[i].gpa < regions[i].size) {
            return regions[i].host + (gpa - regions[i].gpa);
        }
    }
    return NULL;
}

static void check_map(const AfXdpMemory *mem, uint64_t gpa, uint64_t len)
{
    uint32_t hint = 0;
    struct iovec iov[4];
    bool mapped = true;
    uint64_t at = gpa;
    int n;

    for (uint64_t i = 0; i < len && mapped; i++) {
        mapped = gpa + i >= gpa && slow_at(gpa + i);
    }
    n = af_xdp_memory_map(mem, &hint, gpa, len, iov, ARRAY_SIZE(iov));
    if (!mapped) {
        g_assert_cmpint(n, ==, -EFAULT);
        g_assert_cmpint(af_xdp_memory_map(mem, &hint, gpa, len, NULL, 0), ==,
                        -EFAULT);
        return;
    }
    g_assert_cmpint(n, >=, 0);
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, gpa, len, NULL, 0), ==, n);
    for (int i = 0; i < n; i++) {
        g_assert_cmpuint(iov[i].iov_len, >, 0);
        for (uint64_t k = 0; k < iov[i].iov_len; k++) {
            g_assert_true((uint8_t *)iov[i].iov_base + k == slow_at(at));
            at++;
        }
    }
    g_assert_cmpuint(at - gpa, ==, len);
    if (n > 0) {
        g_assert_cmpint(af_xdp_memory_map(mem, &hint, gpa, len, iov, n - 1),
                        ==, -ENOBUFS);
        g_assert_true(n > 1 ||
                      af_xdp_memory_at(mem, &hint, gpa, len) == slow_at(gpa));
    }
    if (n > 1) {
        g_assert_null(af_xdp_memory_at(mem, &hint, gpa, len));
    }
}

static void test_map(void)
{
    AfXdpMemory *mem = new_memory(regions, ARRAY_SIZE(regions));
    static const uint64_t edge[] = {
        0, 8 * KIB, 12 * KIB, 16 * KIB, 64 * KIB, 80 * KIB, -8 * KIB,
        UINT64_C(1) << 32, INT64_MAX,
    };
    static const uint64_t lens[] = {
        0, 1, 2, 4 * KIB - 1, 4 * KIB, 4 * KIB + 1, 8 * KIB, 8 * KIB + 1,
        16 * KIB, 64 * KIB, UINT32_MAX, INT64_MAX, UINT64_MAX,
    };

    for (int i = 0; i < ARRAY_SIZE(edge); i++) {
        for (int off = -2; off <= 2; off++) {
            for (int k = 0; k < ARRAY_SIZE(lens); k++) {
                check_map(mem, edge[i] + off, lens[k]);
            }
        }
    }
    af_xdp_memory_free(mem);
}

/* The class of CVE-2018-1059: only the start of a range was looked at. */
static void test_not_wholly_mapped(void)
{
    AfXdpMemory *mem = new_memory(regions, ARRAY_SIZE(regions));
    struct iovec iov[4];
    uint32_t hint = 0;

    g_assert_cmpint(af_xdp_memory_map(mem, &hint, 12 * KIB, 4 * KIB + 1,
                                      iov, 4), ==, -EFAULT);
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, 8 * KIB - 1, 2, iov, 4), ==,
                    -EFAULT);
    g_assert_null(af_xdp_memory_at(mem, &hint, 80 * KIB - 1, 2));
    af_xdp_memory_free(mem);
}

/* The class of CVE-2020-10722: address plus length wraps and looks small. */
static void test_wrap(void)
{
    AfXdpMemory *mem = new_memory(regions, ARRAY_SIZE(regions));
    struct iovec iov[4];
    uint32_t hint = 3;

    g_assert_cmpint(af_xdp_memory_map(mem, &hint, -1, 1, iov, 4), ==, 1);
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, -1, 2, iov, 4), ==, -EFAULT);
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, 64 * KIB, -64 * KIB, iov, 4),
                    ==, -EFAULT);
    g_assert_null(af_xdp_memory_at(mem, &hint, 64 * KIB, -64 * KIB));
    g_assert_null(af_xdp_memory_at(mem, &hint, 64 * KIB + 1, UINT64_MAX));
    af_xdp_memory_free(mem);
}

static void test_bad_tables(void)
{
    static const AfXdpRegion bad[][2] = {
        { { 0, 0, ram }, { 4096, 4096, ram } },             /* empty */
        { { 0, 4097, ram }, { 4096, 4096, ram } },          /* overlap */
        { { 4096, 1, ram }, { 4096, 1, ram } },             /* twice */
        { { -4096, 4097, ram }, { 4096, 1, ram } },         /* wraps */
        { { 0, 4097, (uint8_t *)-4096 }, { 8192, 1, ram } }, /* in ours */
        { { 0, UINT64_MAX, (uint8_t *)1 }, { 1, 1, ram } }, /* all of it */
    };

    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        GError *err = NULL;

        g_assert_null(af_xdp_memory_new(bad[i], 2, &err));
        g_assert_error(err, AF_XDP_ERROR, EINVAL);
        g_error_free(err);
    }
}

static void test_no_memory(void)
{
    AfXdpMemory *mem = new_memory(NULL, 0);
    uint32_t hint = 0;
    uint64_t gpa;

    g_assert_null(af_xdp_memory_at(mem, &hint, 0, 1));
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, 0, 1, NULL, 0), ==, -EFAULT);
    g_assert_cmpint(af_xdp_memory_map(mem, &hint, 0, 0, NULL, 0), ==, 0);
    g_assert_false(af_xdp_memory_find_host(mem, ram, 1, &gpa));
    af_xdp_memory_free(mem);
}

static void test_read(void)
{
    AfXdpMemory *mem = new_memory(regions, ARRAY_SIZE(regions));
    uint32_t hint = 0;
    uint8_t buf[16];

    for (int i = 0; i < 16; i++) {
        *slow_at(12 * KIB - 8 + i) = 100 + i;
    }
    g_assert_true(af_xdp_memory_read(mem, &hint, 12 * KIB - 8, buf, 16));
    for (int i = 0; i < 16; i++) {
        g_assert_cmpuint(buf[i], ==, 100 + i);
    }
    g_assert_false(af_xdp_memory_read(mem, &hint, 16 * KIB - 8, buf, 16));
    g_assert_false(af_xdp_memory_read(mem, &hint, -8, buf, 16));
    g_assert_true(af_xdp_memory_read(mem, &hint, -16, buf, 16));
    af_xdp_memory_free(mem);
}

static void test_find_host(void)
{
    AfXdpMemory *mem = new_memory(regions, ARRAY_SIZE(regions));
    uint64_t gpa = 0;

    g_assert_true(af_xdp_memory_find_host(mem, ram + 33 * KIB, 3 * KIB, &gpa));
    g_assert_cmphex(gpa, ==, 13 * KIB);
    g_assert_false(af_xdp_memory_find_host(mem, ram + 33 * KIB, 3 * KIB + 1,
                                           &gpa));
    g_assert_false(af_xdp_memory_find_host(mem, ram + 40 * KIB, 1, &gpa));
    g_assert_false(af_xdp_memory_find_host(mem, (void *)((uintptr_t)ram - 1),
                                           1, &gpa));
    af_xdp_memory_free(mem);
}

/* Every start and length around the ends of words, against single bits. */
static void test_log(void)
{
    enum { WORDS = 4, GUARD = 1, PAGES = WORDS * 8 * sizeof(long) };
    unsigned long words[WORDS + GUARD];
    AfXdpLog log = { .words = words, .n_words = WORDS };
    static const int64_t edge[] = { 0, 1, 63, 64, 65, 127, 128, 200, 255, 256 };

    for (int i = 0; i < ARRAY_SIZE(edge); i++) {
        for (int k = 0; k < ARRAY_SIZE(edge); k++) {
            for (int b = -1; b <= 1; b++) {
                uint64_t gpa = edge[i] * LOG_PAGE + (b < 0 ? LOG_PAGE / 2 : 0);
                uint64_t len = edge[k] * LOG_PAGE + b;
                bool whole;

                if (edge[k] * LOG_PAGE == 0 && b < 0) {
                    continue;
                }
                memset(words, 0, sizeof(words));
                whole = af_xdp_log_write(&log, gpa, len);
                g_assert_cmphex(words[WORDS], ==, 0);
                for (uint64_t p = 0; p < PAGES; p++) {
                    bool want = len > 0 && p >= gpa / LOG_PAGE &&
                                p <= (gpa + len - 1) / LOG_PAGE;
                    bool is = words[p / 64] >> (p % 64) & 1;

                    g_assert_cmpint(is, ==, want);
                }
                g_assert_cmpint(whole, ==, len == 0 ||
                                (gpa + len - 1) / LOG_PAGE < PAGES);
            }
        }
    }
}

/* The class of CVE-2019-14835: a write to the log past its end. */
static void test_log_overflow(void)
{
    unsigned long *word = g_new0(unsigned long, 1);
    AfXdpLog log = { .words = word, .n_words = 1 };
    AfXdpLog empty = { .words = NULL, .n_words = 0 };

    g_assert_false(af_xdp_log_write(&log, 64 * LOG_PAGE, 1));
    g_assert_false(af_xdp_log_write(&log, UINT64_MAX, 1));
    g_assert_false(af_xdp_log_write(&log, UINT64_MAX, UINT64_MAX));
    g_assert_cmphex(*word, ==, 0);
    g_assert_false(af_xdp_log_write(&log, 63 * LOG_PAGE, 2 * LOG_PAGE));
    g_assert_cmphex(*word, ==, 1UL << 63);
    /* A length that makes the end wrap is cut, not believed. */
    g_assert_false(af_xdp_log_write(&log, 60 * LOG_PAGE, UINT64_MAX));
    g_assert_cmphex(*word, ==, 0xfUL << 60);
    g_assert_false(af_xdp_log_write(&empty, 0, 1));
    g_assert_true(af_xdp_log_write(&empty, 0, 0));
    g_free(word);
}

typedef struct Logger {
    AfXdpLog *log;
    uint64_t page;
    uint32_t lost;
} Logger;

/* Our bit is there when we have set it: nobody else clears it. */
static void *log_thread(void *opaque)
{
    Logger *l = opaque;
    unsigned long *word = l->log->words;

    for (int i = 0; i < 200000; i++) {
        __atomic_fetch_and(word, ~(1UL << l->page), __ATOMIC_SEQ_CST);
        /* Let the other one have the cache line. */
        for (int k = 0; k < i % 64; k++) {
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        }
        af_xdp_log_write(l->log, l->page * LOG_PAGE, 1);
        l->lost += !(__atomic_load_n(word, __ATOMIC_SEQ_CST) >> l->page & 1);
    }
    return NULL;
}

/* Two writers of one word lose nothing. */
static void test_log_threads(void)
{
    unsigned long word = 0;
    AfXdpLog log = { .words = &word, .n_words = 1 };
    Logger a = { &log, 3 }, b = { &log, 4 };
    GThread *t = g_thread_new("log", log_thread, &a);

    log_thread(&b);
    g_thread_join(t);
    g_assert_cmpuint(a.lost + b.lost, ==, 0);
    g_assert_cmphex(word, ==, 3UL << 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/map", test_map);
    g_test_add_func("/memory/range-not-wholly-mapped", test_not_wholly_mapped);
    g_test_add_func("/memory/address-wraps", test_wrap);
    g_test_add_func("/memory/bad-tables", test_bad_tables);
    g_test_add_func("/memory/no-memory", test_no_memory);
    g_test_add_func("/memory/read", test_read);
    g_test_add_func("/memory/find-host", test_find_host);
    g_test_add_func("/log/pages", test_log);
    g_test_add_func("/log/overflow", test_log_overflow);
    g_test_add_func("/log/threads", test_log_threads);
    return g_test_run();
}
