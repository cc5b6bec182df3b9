/*
 * Benchmark: the qtest protocol
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "qtest-client.h"

/* Long enough for one on a busy machine that registers much memory. */
#define ANSWER_MS 180000

struct AxbQtest {
    int fd;
    char *failed;
    size_t fill;            /* bytes in buf */
    char buf[1024];
};

AxbQtest *axb_qtest_new(int fd)
{
    AxbQtest *q = g_new0(AxbQtest, 1);

    q->fd = fd;
    return q;
}

void axb_qtest_free(AxbQtest *q)
{
    if (q) {
        close(q->fd);
        g_free(q->failed);
        g_free(q);
    }
}

const char *axb_qtest_failed(const AxbQtest *q)
{
    return q->failed;
}

/* The next line, without its end, into @line; false if there is none. */
static bool read_line(AxbQtest *q, char *line)
{
    for (;;) {
        char *end = memchr(q->buf, '\n', q->fill);
        struct pollfd pfd = { .fd = q->fd, .events = POLLIN };
        ssize_t n;

        if (end) {
            size_t len = end - q->buf;

            memcpy(line, q->buf, len);
            line[len] = '\0';
            q->fill -= len + 1;
            memmove(q->buf, end + 1, q->fill);
            return true;
        }
        if (q->fill == sizeof(q->buf) || poll(&pfd, 1, ANSWER_MS) <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        n = recv(q->fd, q->buf + q->fill, sizeof(q->buf) - q->fill, 0);
        if (n <= 0) {
            errno = n ? errno : ECONNRESET;
            return false;
        }
        q->fill += n;
    }
}

/* Send one command; returns the number that the answer holds, if any. */
static uint64_t G_GNUC_PRINTF(2, 3) command(AxbQtest *q, const char *fmt, ...)
{
    char line[sizeof(q->buf) + 1];
    char text[128];
    uint64_t value = 0;
    int len;
    va_list ap;

    if (q->failed) {
        return 0;
    }
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    if (send(q->fd, text, len, MSG_NOSIGNAL) != len) {
        q->failed = g_strdup_printf("qtest: %s", g_strerror(errno));
        return 0;
    }
    do {
        if (!read_line(q, line)) {
            q->failed = g_strdup_printf("no answer to qtest command \"%s\": "
                                        "%s", g_strchomp(text),
                                        g_strerror(errno));
            return 0;
        }
        /* Interrupts announce themselves in between. */
    } while (g_str_has_prefix(line, "IRQ "));

    if (!g_str_has_prefix(line, "OK")) {
        q->failed = g_strdup_printf("qtest command \"%s\" failed: %s",
                                    g_strchomp(text), line);
        return 0;
    }
    sscanf(line, "OK 0x%" SCNx64, &value);
    return value;
}

static char letter(unsigned size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : size == 4 ? 'l' : 'q';
}

void axb_qtest_write(AxbQtest *q, uint64_t addr, unsigned size, uint64_t val)
{
    command(q, "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", letter(size), addr,
            val);
}

uint64_t axb_qtest_read(AxbQtest *q, uint64_t addr, unsigned size)
{
    return command(q, "read%c 0x%" PRIx64 "\n", letter(size), addr);
}

void axb_qtest_out(AxbQtest *q, uint16_t port, unsigned size, uint32_t val)
{
    command(q, "out%c 0x%x 0x%" PRIx32 "\n", letter(size), port, val);
}

uint32_t axb_qtest_in(AxbQtest *q, uint16_t port, unsigned size)
{
    return command(q, "in%c 0x%x\n", letter(size), port);
}
