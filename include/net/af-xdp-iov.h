/*
 * AF_XDP: reading and writing through I/O vectors
 *
 * A guest lays out a packet and its virtio header as it likes: over any
 * number of pieces, cut anywhere. These take an offset into the whole and
 * never go past its end.
 *
 * Threads: no state; any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NET_AF_XDP_IOV_H
#define NET_AF_XDP_IOV_H

#include <sys/uio.h>

/*
 * af_xdp_iov_copy_to: copy @len bytes from @buf into the vector, from byte
 * @off of it on.
 *
 * Returns how many bytes were copied: fewer than @len where the vector ends,
 * 0 when @off is at or past its end.
 */
size_t af_xdp_iov_copy_to(const struct iovec *iov, uint32_t n, size_t off,
                          const void *buf, size_t len);

/*
 * af_xdp_iov_copy_from: copy @len bytes of the vector, from byte @off of it
 * on, to @buf. Guest memory is to be copied before it is checked, and only
 * the copy is to be used.
 *
 * Returns how many bytes were copied, as af_xdp_iov_copy_to() does.
 */
size_t af_xdp_iov_copy_from(const struct iovec *iov, uint32_t n, size_t off,
                            void *buf, size_t len);

/*
 * af_xdp_iov_slice: the part of a vector behind its first @off bytes, such
 * as the packet behind its header.
 * @len: at most so many bytes of it.
 * @to, @max: receives the pieces, none empty; may be @iov itself.
 *
 * Returns the number of pieces; 0 when nothing is left. Ends early when @max
 * is reached, which cannot happen with @max >= @n.
 */
uint32_t af_xdp_iov_slice(const struct iovec *iov, uint32_t n, size_t off,
                          size_t len, struct iovec *to, uint32_t max);

#endif /* NET_AF_XDP_IOV_H */
