/*
 * Test of the worker's threads: packets, and the far end of the veth pair
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "af-xdp-vring-driver.h"
#include "qemu/atomic.h"
#include "wire.h"

/* Offsets in a packet. */
#define SENDER 14
#define NUMBER 16
#define BODY 20
#define LEN_MIN 60

/* Prime numbers, so that lengths and contents come in all combinations. */
#define LEN_STEP 37
#define SHIFTS 251

/*
 * Packets sent in one go, and the pause after that. In turn for so many goes:
 * more than the guest takes, and so few that its buffers lie waiting.
 */
#define BURST 16
#define PAUSE_US 200
#define PAUSE_LONG_US 2000
#define GOES 16

/* More than any sender counts to in a scenario. */
#define NUMBERS (1u << 24)

static uint8_t pattern[SHIFTS + FRAME_MAX];

void packet_init(void)
{
    uint32_t x = 1;

    for (size_t i = 0; i < sizeof(pattern); i++) {
        x = x * 1103515245 + 12345;
        pattern[i] = x >> 16;
    }
}

static size_t packet_len(uint32_t number)
{
    return LEN_MIN + number * LEN_STEP % (FRAME_MAX - LEN_MIN + 1);
}

size_t packet_make(uint8_t *frame, unsigned int sender, uint32_t number)
{
    size_t len = packet_len(number);

    memset(frame, 0xff, 6);
    memset(frame + 6, 0x02, 6);
    /* IEEE 802 local experimental EtherType 1 */
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame[SENDER] = sender;
    frame[SENDER + 1] = 0;
    memcpy(frame + NUMBER, &number, sizeof(number));
    memcpy(frame + BODY, pattern + number % SHIFTS, len - BODY);
    return len;
}

void seen_any_order(Seen *seen)
{
    for (int i = 0; i < SENDERS; i++) {
        seen->bits[i] = g_malloc0(NUMBERS / 8);
    }
}

void seen_free(Seen *seen)
{
    for (int i = 0; i < SENDERS; i++) {
        g_free(seen->bits[i]);
    }
}

/* Number @number, of @sender, has come. */
static void mark(Seen *seen, unsigned int sender, uint32_t number)
{
    uint8_t *bits = seen->bits[sender];

    if (!bits) {
        g_assert_cmpuint(number, >, seen->last[sender]);
        seen->last[sender] = number;
        return;
    }
    g_assert_cmpuint(number, <, NUMBERS);
    g_assert_false(bits[number / 8] & (1 << number % 8));
    bits[number / 8] |= 1 << number % 8;
}

unsigned int packet_check(const uint8_t *frame, size_t len, Seen *seen)
{
    uint8_t expected[FRAME_MAX];
    unsigned int sender = frame[SENDER];
    uint32_t number;

    memcpy(&number, frame + NUMBER, sizeof(number));
    g_assert_cmpuint(sender, <, SENDERS);
    g_assert_cmpuint(len, ==, packet_len(number));
    packet_make(expected, sender, number);
    g_assert_true(memcmp(frame, expected, len) == 0);
    mark(seen, sender, number);
    return sender;
}

static void wire_send(Wire *wire, unsigned int queue)
{
    uint8_t frame[FRAME_MAX];
    struct iovec iov = { .iov_base = frame };

    for (int i = 0; i < BURST; i++) {
        iov.iov_len = packet_make(frame, queue, wire->sent[queue] + 1);
        if (af_xdp_copy_tx(wire->copy[queue], &iov, 1) == AF_XDP_TX_FULL) {
            break;
        }
        wire->sent[queue]++;
    }
}

static void wire_receive(Wire *wire, unsigned int queue)
{
    AfXdpCopy *copy = wire->copy[queue];
    uint8_t frame[FRAME_MAX];
    struct iovec iov[AF_XDP_MAX_SEGS];
    uint32_t n;

    while ((n = af_xdp_copy_rx_next(copy, iov)) > 0) {
        size_t len = driver_gather(iov, n, frame, sizeof(frame));

        g_assert_cmpuint(packet_check(frame, len, &wire->seen), ==,
                         FROM_GUEST);
        wire->received++;
    }
    af_xdp_copy_rx_flush(copy);
}

static void *wire_run(void *opaque)
{
    Wire *wire = opaque;
    uint32_t goes = 0;
    bool stop;

    do {
        stop = qatomic_load_acquire(&wire->stop);
        for (unsigned int i = 0; i < QUEUES; i++) {
            if (!qatomic_read(&wire->quiet)) {
                wire_send(wire, i);
            }
            /* Also for what could not be sent before. */
            af_xdp_copy_tx_flush(wire->copy[i]);
            wire_receive(wire, i);
        }
        g_usleep(goes++ / GOES % 2 ? PAUSE_LONG_US : PAUSE_US);
    } while (!stop);
    return NULL;
}

void wire_start(Wire *wire)
{
    qemu_thread_create(&wire->thread, "wire", wire_run, wire,
                       QEMU_THREAD_JOINABLE);
}

void wire_join(Wire *wire)
{
    qatomic_store_release(&wire->stop, true);
    qemu_thread_join(&wire->thread);
}
