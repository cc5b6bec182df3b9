/*
 * Benchmark: the frames that travel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "frame.h"

static uint8_t fill_byte(uint32_t offset)
{
    /* 251 is prime: the pattern repeats on no boundary that buffers have. */
    return offset % 251;
}

static uint8_t head_byte(uint32_t offset)
{
    static const uint8_t head[] = {
        0x52, 0x54, 0x00, 0x12, 0x34, 0x56,     /* AXB_GUEST_MAC */
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
        AXB_ETHERTYPE >> 8, AXB_ETHERTYPE & 0xff,
    };

    return offset < sizeof(head) ? head[offset] : fill_byte(offset);
}

void axb_frame_fill(void *frame, uint32_t len)
{
    uint8_t *p = frame;

    for (uint32_t i = 0; i < len; i++) {
        p[i] = head_byte(i);
    }
    axb_frame_set_word(frame, AXB_OFF_SEQ, 0);
    axb_frame_set_word(frame, AXB_OFF_TIME, 0);
}

void axb_frame_check(AxbCheck *check, const struct iovec *iov, unsigned n,
                     uint32_t len, uint32_t want)
{
    uint32_t offset = 0;
    uint64_t seq;
    bool good = len == want;

    check->sampled++;
    for (unsigned i = 0; good && i < n; i++) {
        const uint8_t *p = iov[i].iov_base;

        for (uint32_t j = 0; j < iov[i].iov_len; j++, offset++) {
            if (offset >= AXB_OFF_SEQ && offset < AXB_OFF_FILL) {
                continue;
            }
            if (p[j] != head_byte(offset)) {
                good = false;
                break;
            }
        }
    }
    if (!good || offset != want) {
        check->bad++;
        return;
    }
    seq = axb_frame_word(iov[0].iov_base, AXB_OFF_SEQ);
    if (seq <= check->last_seq) {
        check->misplaced++;
    }
    check->last_seq = seq;
}
