/*
 * Benchmark: who sends to the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cpu.h"
#include "sender.h"

/*
 * Frames for each BPF_PROG_TEST_RUN: each run patches the kernel's XDP
 * dispatcher and waits for an RCU grace period, tens of milliseconds without
 * a frame, so one run has to last. A signal ends it.
 */
#define LIVE_REPEAT (1u << 30)
#define STOP_SIGNAL SIGUSR1
#define PACKET_BATCH 32
/* A paced sender that was held up this long gives up what it missed. */
#define CATCH_UP_NS 1000000

struct AxbSender {
    AxbWire *wire;
    AxbSenderKind kind;
    int cpu;
    double rate;
    int prog;               /* LIVE */
    AxbBpfMap *map;         /* LIVE */
    int fd;                 /* PACKET */
    uint64_t sent;          /* PACKET */
    bool stop;
    bool done;
    pid_t tid;
    GThread *thread;
    uint8_t frame[AXB_FRAME_MAX] __attribute__((aligned(64)));
};

static bool must_stop(AxbSender *s)
{
    return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

static void count_sent(AxbSender *s, uint64_t n)
{
    __atomic_store_n(&s->sent, s->sent + n, __ATOMIC_RELAXED);
}

static void send_live(AxbSender *s)
{
    int ret = 0;

    while (!must_stop(s) && (!ret || ret == -EINTR)) {
        ret = axb_bpf_send(s->prog, s->frame, s->wire->len, LIVE_REPEAT);
    }
}

/* The signal only has to interrupt. */
static void on_stop_signal(int signum)
{
}

/* Frames that find no room are as lost as on a real wire, but not counted. */
static void send_packets(AxbSender *s)
{
    struct mmsghdr msgs[PACKET_BATCH] = { 0 };
    struct iovec iov[PACKET_BATCH];
    g_autofree uint8_t *frames = g_malloc(PACKET_BATCH * AXB_FRAME_MAX);

    for (unsigned i = 0; i < PACKET_BATCH; i++) {
        iov[i].iov_base = frames + i * AXB_FRAME_MAX;
        iov[i].iov_len = s->wire->len;
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
        axb_frame_fill(iov[i].iov_base, s->wire->len);
    }
    while (!must_stop(s)) {
        int n;

        for (unsigned i = 0; i < PACKET_BATCH; i++) {
            axb_frame_set_word(iov[i].iov_base, AXB_OFF_SEQ, s->sent + i + 1);
        }
        n = sendmmsg(s->fd, msgs, PACKET_BATCH, MSG_DONTWAIT);
        count_sent(s, n > 0 ? n : 0);
    }
}

static void send_paced(AxbSender *s)
{
    double gap = 1e9 / s->rate;
    double next = axb_now();

    while (!must_stop(s)) {
        double now = axb_now();

        if (now < next) {
            continue;
        }
        next = now - next > CATCH_UP_NS ? now : next + gap;
        axb_frame_set_word(s->frame, AXB_OFF_SEQ, s->sent + 1);
        if (send(s->fd, s->frame, s->wire->len, MSG_DONTWAIT) > 0) {
            count_sent(s, 1);
        }
    }
}

static void *sender_thread(void *opaque)
{
    AxbSender *s = opaque;

    axb_cpu_pin(&s->cpu, 1);
    __atomic_store_n(&s->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    if (s->kind == AXB_SENDER_LIVE) {
        send_live(s);
    } else if (s->rate > 0) {
        send_paced(s);
    } else {
        send_packets(s);
    }
    __atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static bool open_packet(AxbSender *s, GError **errp)
{
    struct sockaddr_ll addr = {
        .sll_family = AF_PACKET,
        .sll_ifindex = s->wire->far,
    };
    int one = 1;

    /* Protocol 0: it receives nothing. */
    s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&addr, sizeof(addr))) {
        g_set_error(errp, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "packet socket: %s", g_strerror(errno));
        return false;
    }
    setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
    return true;
}

/* Live frames, if the kernel and the backend's way to receive let us. */
static bool open_live(AxbSender *s)
{
    s->map = axb_bpf_map_new(NULL);
    if (!s->map) {
        return false;
    }
    s->prog = axb_bpf_load_send(s->map, s->wire->far, NULL);
    return s->prog >= 0 &&
           axb_wire_takes_live(s->wire, s->prog, s->frame);
}

AxbSender *axb_sender_new(AxbWire *wire, int cpu, double rate, GError **errp)
{
    struct sigaction action = { .sa_handler = on_stop_signal };
    AxbSender *s = g_new0(AxbSender, 1);

    sigaction(STOP_SIGNAL, &action, NULL);
    s->wire = wire;
    s->cpu = cpu;
    s->rate = rate;
    s->fd = s->prog = -1;
    axb_frame_fill(s->frame, wire->len);
    s->kind = AXB_SENDER_PACKET;
    if (rate == 0 && wire->len <= AXB_FRAME_PAGE && open_live(s)) {
        s->kind = AXB_SENDER_LIVE;
    } else if (!open_packet(s, errp)) {
        axb_sender_free(s);
        return NULL;
    }
    return s;
}

void axb_sender_start(AxbSender *s)
{
    s->thread = g_thread_new("axb-send", sender_thread, s);
}

uint64_t axb_sender_sent(const AxbSender *s)
{
    if (s->kind == AXB_SENDER_LIVE) {
        return s->map->shared->sent;
    }
    return __atomic_load_n(&s->sent, __ATOMIC_RELAXED);
}

pid_t axb_sender_tid(const AxbSender *s)
{
    return __atomic_load_n(&s->tid, __ATOMIC_ACQUIRE);
}

AxbSenderKind axb_sender_kind(const AxbSender *s)
{
    return s->kind;
}

void axb_sender_free(AxbSender *s)
{
    if (!s) {
        return;
    }
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    if (s->thread) {
        /* More than once: it may be between its check and the kernel. */
        while (!__atomic_load_n(&s->done, __ATOMIC_ACQUIRE)) {
            if (axb_sender_tid(s)) {
                syscall(SYS_tgkill, getpid(), axb_sender_tid(s), STOP_SIGNAL);
            }
            g_usleep(1000);
        }
        g_thread_join(s->thread);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->prog >= 0) {
        close(s->prog);
    }
    axb_bpf_map_free(s->map);
    g_free(s);
}
