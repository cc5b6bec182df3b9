/*
 * AF_XDP: accounting of UMEM frames
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-umem.h"

static bool put_one(AfXdpUmem *umem, uint64_t addr, AfXdpFrameState from)
{
    return af_xdp_umem_put(umem, &addr, 1, from) == 1;
}

#define N_RX 8
#define N_TX 4

static AfXdpUmem *new_umem(void)
{
    GError *err = NULL;
    AfXdpUmem *umem = af_xdp_umem_new(N_RX, N_TX, &err);

    g_assert_no_error(err);
    g_assert_nonnull(umem);
    return umem;
}

static void assert_counts(AfXdpUmem *umem, uint32_t n_free, uint32_t fill,
                          uint32_t received, uint32_t tx)
{
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FREE), ==, n_free);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_FILL), ==, fill);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_RECEIVED), ==,
                     received);
    g_assert_cmpuint(af_xdp_umem_count(umem, AF_XDP_FRAME_TX), ==, tx);
    g_assert_cmpuint(n_free + fill + received + tx, ==, N_RX + N_TX);
}

static void test_memory(void)
{
    AfXdpUmem *umem = new_umem();
    uint64_t size = (N_RX + N_TX) * (uint64_t)AF_XDP_FRAME_SIZE;
    char *area = af_xdp_umem_area(umem);

    g_assert_cmpuint(af_xdp_umem_size(umem), ==, size);
    g_assert_cmpuint((uintptr_t)area % AF_XDP_FRAME_SIZE, ==, 0);
    for (uint64_t i = 0; i < size; i++) {
        g_assert_cmpint(area[i], ==, 0);
    }
    assert_counts(umem, N_RX + N_TX, 0, 0, 0);
    af_xdp_umem_free(umem);
}

static void test_bad_size(void)
{
    GError *err = NULL;

    g_assert_null(af_xdp_umem_new(0, 0, &err));
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    g_clear_error(&err);
    g_assert_null(af_xdp_umem_new(UINT32_MAX, UINT32_MAX, &err));
    g_assert_error(err, AF_XDP_ERROR, EINVAL);
    g_clear_error(&err);
}

static void test_receive(void)
{
    AfXdpUmem *umem = new_umem();
    uint64_t addrs[N_RX + 1];
    char *data;

    /* Not more than there are, each once, and none of the other pool. */
    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, N_RX + 1),
                     ==, N_RX);
    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, 1), ==, 0);
    assert_counts(umem, N_TX, N_RX, 0, 0);
    for (int i = 0; i < N_RX; i++) {
        g_assert_cmpuint(addrs[i], <, N_RX * AF_XDP_FRAME_SIZE);
        g_assert_cmpuint(addrs[i] % AF_XDP_FRAME_SIZE, ==, 0);
        for (int j = 0; j < i; j++) {
            g_assert_cmpuint(addrs[i], !=, addrs[j]);
        }
    }

    data = af_xdp_umem_received(umem, addrs[3] + AF_XDP_RX_HEADROOM, 60);
    g_assert_true(data == (char *)af_xdp_umem_area(umem) + addrs[3] +
                          AF_XDP_RX_HEADROOM);
    assert_counts(umem, N_TX, N_RX - 1, 1, 0);
    g_assert_true(put_one(umem, addrs[3], AF_XDP_FRAME_RECEIVED));
    assert_counts(umem, N_TX + 1, N_RX - 1, 0, 0);
    af_xdp_umem_free(umem);
}

static void test_receive_nonsense(void)
{
    AfXdpUmem *umem = new_umem();
    uint64_t size = af_xdp_umem_size(umem);
    uint64_t addr;

    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_RX, &addr, 1), ==, 1);

    /* Outside, far outside, a frame never posted, past the frame's end. */
    g_assert_null(af_xdp_umem_received(umem, size, 1));
    g_assert_null(af_xdp_umem_received(umem, UINT64_MAX, 1));
    g_assert_null(af_xdp_umem_received(umem, addr + AF_XDP_FRAME_SIZE, 1));
    g_assert_null(af_xdp_umem_received(umem, addr + 1, AF_XDP_FRAME_SIZE));
    g_assert_null(af_xdp_umem_received(umem, addr, UINT32_MAX));
    assert_counts(umem, N_RX + N_TX - 1, 1, 0, 0);

    /* Up to the last byte is fine, but only once. */
    g_assert_nonnull(af_xdp_umem_received(umem, addr + 1,
                                          AF_XDP_FRAME_SIZE - 1));
    g_assert_null(af_xdp_umem_received(umem, addr, 1));
    af_xdp_umem_free(umem);
}

static void test_send(void)
{
    AfXdpUmem *umem = new_umem();
    uint64_t addrs[N_TX];

    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_TX, addrs, N_TX), ==,
                     N_TX);
    g_assert_cmpuint(af_xdp_umem_available(umem, AF_XDP_POOL_TX), ==, 0);
    g_assert_cmpuint(af_xdp_umem_available(umem, AF_XDP_POOL_RX), ==, N_RX);
    assert_counts(umem, N_RX, 0, 0, N_TX);

    /* Each completion counts once, whatever the kernel does to low bits. */
    g_assert_true(put_one(umem, addrs[0] | 1, AF_XDP_FRAME_TX));
    g_assert_false(put_one(umem, addrs[0], AF_XDP_FRAME_TX));
    g_assert_false(put_one(umem, addrs[1], AF_XDP_FRAME_RECEIVED));
    g_assert_false(put_one(umem, addrs[0], AF_XDP_FRAME_FREE));
    g_assert_false(put_one(umem, af_xdp_umem_size(umem),
                                   AF_XDP_FRAME_TX));
    g_assert_false(put_one(umem, UINT64_MAX, AF_XDP_FRAME_TX));
    assert_counts(umem, N_RX + 1, 0, 0, N_TX - 1);

    /* The frame freed last is used next. */
    g_assert_true(put_one(umem, addrs[2], AF_XDP_FRAME_TX));
    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_TX, addrs, 1), ==, 1);
    g_assert_cmpuint(addrs[0], ==, addrs[2]);
    af_xdp_umem_free(umem);
}

/* Any order of operations against a model that keeps one state per frame. */
static void test_random(void)
{
    AfXdpUmem *umem = new_umem();
    AfXdpFrameState model[N_RX + N_TX] = { 0 };

    for (int step = 0; step < 20000; step++) {
        uint32_t frame = g_test_rand_int_range(0, N_RX + N_TX);
        uint64_t addr = frame * (uint64_t)AF_XDP_FRAME_SIZE;
        AfXdpFrameState from = g_test_rand_int_range(1, AF_XDP_FRAME__MAX);
        uint32_t count[AF_XDP_FRAME__MAX] = { 0 };
        bool ok;

        switch (g_test_rand_int_range(0, 3)) {
        case 0:
            {
                AfXdpPool pool = g_test_rand_int_range(0, AF_XDP_POOL__MAX);

                if (af_xdp_umem_take(umem, pool, &addr, 1)) {
                    frame = addr / AF_XDP_FRAME_SIZE;
                    g_assert_cmpint(model[frame], ==, AF_XDP_FRAME_FREE);
                    g_assert_cmpint(frame < N_RX, ==, pool == AF_XDP_POOL_RX);
                    model[frame] = pool == AF_XDP_POOL_RX ? AF_XDP_FRAME_FILL
                                                          : AF_XDP_FRAME_TX;
                }
            }
            break;
        case 1:
            ok = af_xdp_umem_received(umem, addr, 64) != NULL;
            g_assert_cmpint(ok, ==, model[frame] == AF_XDP_FRAME_FILL);
            if (ok) {
                model[frame] = AF_XDP_FRAME_RECEIVED;
            }
            break;
        default:
            ok = put_one(umem, addr, from);
            g_assert_cmpint(ok, ==, model[frame] == from);
            if (ok) {
                model[frame] = AF_XDP_FRAME_FREE;
            }
        }

        for (int i = 0; i < N_RX + N_TX; i++) {
            count[model[i]]++;
        }
        assert_counts(umem, count[0], count[1], count[2], count[3]);
    }
    af_xdp_umem_free(umem);
}

/* --- In memory of somebody else --- */

#define BASE (3 * AF_XDP_FRAME_SIZE)
#define HEADROOM 300u
#define N_ALL (N_RX + N_TX)
#define OTHERS (4 * AF_XDP_FRAME_SIZE)

static AfXdpUmem *new_placed(char *area)
{
    AfXdpPlace place = {
        .area = area,
        .size = BASE + N_ALL * AF_XDP_FRAME_SIZE + OTHERS,
        .base = BASE,
        .headroom = HEADROOM,
    };

    memset(area, 0x5a, place.size);
    return af_xdp_umem_new_at(&place, N_RX, N_TX);
}

static char placed_area[BASE + N_ALL * AF_XDP_FRAME_SIZE + OTHERS]
    QEMU_ALIGNED(4096);

static void test_placed(void)
{
    AfXdpUmem *umem = new_placed(placed_area);
    const uint64_t end = BASE + N_ALL * AF_XDP_FRAME_SIZE;
    uint64_t addrs[N_RX + 1], tx;

    g_assert_true(af_xdp_umem_is_placed(umem));
    g_assert_true(af_xdp_umem_area(umem) == placed_area);
    g_assert_cmpuint(af_xdp_umem_size(umem), ==, sizeof(placed_area));
    g_assert_cmpuint(af_xdp_umem_headroom(umem), ==, HEADROOM);
    g_assert_cmpuint(af_xdp_umem_rx_room(umem), ==,
                     AF_XDP_FRAME_SIZE - 256 - HEADROOM);
    g_assert_false(af_xdp_umem_has(umem, 0));
    g_assert_false(af_xdp_umem_has(umem, BASE - 1));
    g_assert_true(af_xdp_umem_has(umem, BASE));
    g_assert_true(af_xdp_umem_has(umem, end - 1));
    g_assert_false(af_xdp_umem_has(umem, end));
    g_assert_false(af_xdp_umem_has(umem, AF_XDP_ADDR_MASK));
    g_assert_false(af_xdp_umem_has(umem, UINT64_MAX));

    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, N_RX + 1),
                     ==, N_RX);
    for (int i = 0; i < N_RX; i++) {
        g_assert_cmpuint(addrs[i], ==, BASE + i * AF_XDP_FRAME_SIZE);
    }
    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_TX, &tx, 1), ==, 1);
    g_assert_cmpuint(tx, ==, BASE + N_RX * AF_XDP_FRAME_SIZE);
    g_assert_true(put_one(umem, tx | 1, AF_XDP_FRAME_TX));
    /* Those of others are nobody's frames. */
    g_assert_null(af_xdp_umem_received(umem, BASE - 100, 10));
    g_assert_null(af_xdp_umem_received(umem, end + 100, 10));
    g_assert_false(put_one(umem, BASE - 1, AF_XDP_FRAME_FILL));
    g_assert_false(put_one(umem, end, AF_XDP_FRAME_FILL));
    af_xdp_umem_unreceive(umem, end);
    assert_counts(umem, N_TX, N_RX, 0, 0);
    /* The memory stays as it is, and where it is. */
    af_xdp_umem_free(umem);
    for (size_t i = 0; i < sizeof(placed_area); i++) {
        g_assert_cmpint(placed_area[i], ==, 0x5a);
    }
}

/* Descriptors of unaligned memory: where it was posted, and how far on. */
static void test_unaligned(void)
{
    AfXdpUmem *umem = new_placed(placed_area);
    const uint64_t gap = 256 + HEADROOM, end = BASE +
                                               N_RX * AF_XDP_FRAME_SIZE;
    uint64_t addrs[N_RX], desc;

    g_assert_cmpuint(af_xdp_addr_posted(0xffff123456789abcull), ==,
                     0x123456789abcull);
    g_assert_cmpuint(af_xdp_addr_data(0x0101000000000fffull), ==, 0x1100);
    af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, N_RX);
    desc = addrs[2] | gap << AF_XDP_ADDR_SHIFT;
    g_assert_true(af_xdp_umem_has(umem, desc));
    g_assert_true(af_xdp_umem_received(umem, desc, 4096 - gap) ==
                  placed_area + addrs[2] + gap);
    g_assert_null(af_xdp_umem_received(umem, desc, 1));
    af_xdp_umem_unreceive(umem, desc);
    assert_counts(umem, N_TX, N_RX, 0, 0);
    g_assert_null(af_xdp_umem_received(umem, desc, 4096 - gap + 1));
    g_assert_nonnull(af_xdp_umem_received(umem, desc, 60));
    g_assert_true(put_one(umem, desc, AF_XDP_FRAME_RECEIVED));
    /* The data, not what was posted, says whose it is. */
    g_assert_false(af_xdp_umem_has(umem, (BASE - 4096) |
                                   gap << AF_XDP_ADDR_SHIFT));
    g_assert_true(af_xdp_umem_has(umem, (BASE - gap) |
                                  gap << AF_XDP_ADDR_SHIFT));
    /* An offset that leads out of all frames for reception. */
    g_assert_null(af_xdp_umem_received(umem, (end - 4096) |
                                       4096ull << AF_XDP_ADDR_SHIFT, 1));
    assert_counts(umem, N_TX + 1, N_RX - 1, 0, 0);
    af_xdp_umem_free(umem);
}

static void test_reclaim(void)
{
    AfXdpUmem *umem = new_placed(placed_area);
    uint64_t addrs[N_RX], tx, kept[5];

    af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, 6);
    af_xdp_umem_take(umem, AF_XDP_POOL_TX, &tx, 1);
    g_assert_nonnull(af_xdp_umem_received(umem, addrs[5], 60));
    assert_counts(umem, N_ALL - 7, 5, 1, 1);
    /* In any form, twice, others' and such as are not posted. */
    kept[0] = addrs[1] | 1000ull << AF_XDP_ADDR_SHIFT;
    kept[1] = addrs[3] + 77;
    kept[2] = addrs[3];
    kept[3] = BASE - 5;
    kept[4] = BASE + 7 * AF_XDP_FRAME_SIZE;
    g_assert_cmpuint(af_xdp_umem_reclaim(umem, kept, 5), ==, 3);
    assert_counts(umem, N_ALL - 4, 2, 1, 1);
    g_assert_null(af_xdp_umem_received(umem, addrs[0], 60));
    g_assert_nonnull(af_xdp_umem_received(umem, addrs[1], 60));
    g_assert_nonnull(af_xdp_umem_received(umem, addrs[3], 60));
    g_assert_cmpuint(af_xdp_umem_reclaim(umem, NULL, 0), ==, 0);
    g_assert_true(put_one(umem, addrs[1], AF_XDP_FRAME_RECEIVED));
    g_assert_true(put_one(umem, addrs[3], AF_XDP_FRAME_RECEIVED));
    g_assert_true(put_one(umem, addrs[5], AF_XDP_FRAME_RECEIVED));
    /* Each of them can be had again, once. */
    g_assert_cmpuint(af_xdp_umem_take(umem, AF_XDP_POOL_RX, addrs, N_RX), ==,
                     N_RX);
    for (int i = 0; i < N_RX; i++) {
        for (int j = 0; j < i; j++) {
            g_assert_cmpuint(addrs[i], !=, addrs[j]);
        }
    }
    g_assert_cmpuint(af_xdp_umem_reclaim(umem, NULL, 0), ==, N_RX);
    assert_counts(umem, N_ALL - 1, 0, 0, 1);
    af_xdp_umem_free(umem);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/af-xdp/umem/memory", test_memory);
    g_test_add_func("/af-xdp/umem/bad-size", test_bad_size);
    g_test_add_func("/af-xdp/umem/receive", test_receive);
    g_test_add_func("/af-xdp/umem/receive-nonsense", test_receive_nonsense);
    g_test_add_func("/af-xdp/umem/send", test_send);
    g_test_add_func("/af-xdp/umem/random", test_random);
    g_test_add_func("/af-xdp/umem/placed", test_placed);
    g_test_add_func("/af-xdp/umem/unaligned", test_unaligned);
    g_test_add_func("/af-xdp/umem/reclaim", test_reclaim);
    return g_test_run();
}
