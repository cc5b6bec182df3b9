/*
 * Benchmark: the frames that travel
 *
 * Every frame of one measurement has the same length and the same contents
 * but for two words: a sequence number, counted by who sends it, and a time
 * stamp, used where latency is measured. Contents are therefore checked
 * without keeping a copy of what was sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_FRAME_H
#define TESTS_BENCH_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* IEEE's "local experimental" type: no stack has a use for it. */
#define AXB_ETHERTYPE 0x88b5
#define AXB_FRAME_MIN 64u
#define AXB_FRAME_MAX 9000u
/* The longest frame that an MTU of 1500 lets through. */
#define AXB_FRAME_PAGE 1514u

/* Offsets of the two words, both aligned in a frame that is. */
#define AXB_OFF_SEQ 24
#define AXB_OFF_TIME 32
#define AXB_OFF_FILL 40

/* The guest's address: destination of every frame, either way. */
#define AXB_GUEST_MAC "52:54:00:12:34:56"

typedef struct AxbCheck {
    uint64_t sampled;   /* frames looked at */
    uint64_t bad;       /* with wrong contents or length */
    uint64_t misplaced; /* with a sequence number not above the one before */
    uint64_t last_seq;
} AxbCheck;

/* axb_frame_fill: write a frame of @len bytes (AXB_FRAME_MIN or more). */
void axb_frame_fill(void *frame, uint32_t len);

/*
 * axb_frame_check: look at all of a received frame and count in @check.
 * @iov, @n: the pieces it is in; the first holds at least AXB_OFF_FILL bytes.
 * @len: bytes in it
 * @want: bytes that were sent
 */
void axb_frame_check(AxbCheck *check, const struct iovec *iov, unsigned n,
                     uint32_t len, uint32_t want);

static inline uint64_t axb_frame_word(const void *frame, unsigned offset)
{
    uint64_t word;

    __builtin_memcpy(&word, (const char *)frame + offset, sizeof(word));
    return word;
}

static inline void axb_frame_set_word(void *frame, unsigned offset,
                                      uint64_t word)
{
    __builtin_memcpy((char *)frame + offset, &word, sizeof(word));
}

#endif /* TESTS_BENCH_FRAME_H */
