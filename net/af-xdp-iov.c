/*
 * AF_XDP: reading and writing through I/O vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "net/af-xdp-iov.h"

/* Skip whole pieces; @off becomes an offset into the piece returned. */
static uint32_t skip_pieces(const struct iovec *iov, uint32_t n, size_t *off)
{
    uint32_t i = 0;

    while (i < n && *off >= iov[i].iov_len) {
        *off -= iov[i].iov_len;
        i++;
    }
    return i;
}

size_t af_xdp_iov_copy_to(const struct iovec *iov, uint32_t n, size_t off,
                          const void *buf, size_t len)
{
    size_t done = 0;

    for (uint32_t i = skip_pieces(iov, n, &off); i < n && done < len; i++) {
        size_t piece = MIN(len - done, iov[i].iov_len - off);

        memcpy((uint8_t *)iov[i].iov_base + off, (const uint8_t *)buf + done,
               piece);
        done += piece;
        off = 0;
    }
    return done;
}

size_t af_xdp_iov_copy_from(const struct iovec *iov, uint32_t n, size_t off,
                            void *buf, size_t len)
{
    size_t done = 0;

    for (uint32_t i = skip_pieces(iov, n, &off); i < n && done < len; i++) {
        size_t piece = MIN(len - done, iov[i].iov_len - off);

        memcpy((uint8_t *)buf + done, (const uint8_t *)iov[i].iov_base + off,
               piece);
        done += piece;
        off = 0;
    }
    return done;
}

uint32_t af_xdp_iov_slice(const struct iovec *iov, uint32_t n, size_t off,
                          size_t len, struct iovec *to, uint32_t max)
{
    uint32_t n_to = 0;

    for (uint32_t i = skip_pieces(iov, n, &off);
         i < n && len > 0 && n_to < max; i++) {
        size_t piece = MIN(len, iov[i].iov_len - off);

        if (piece > 0) {
            to[n_to].iov_base = (uint8_t *)iov[i].iov_base + off;
            to[n_to].iov_len = piece;
            n_to++;
            len -= piece;
        }
        off = 0;
    }
    return n_to;
}
