/*
 * qemu-af-xdp: asking the kernel over netlink
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "netlink.h"

/* One datagram of the kernel's: iproute2 reads with as much as this. */
#define ANSWER_SIZE (32 * 1024)

bool netlink_open(Netlink *netlink, int bus)
{
    int on = 1, saved_errno;

    netlink->words = NULL;
    netlink->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
    if (!netlink->socket) {
        return false;
    }
    if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        saved_errno = errno;
        mnl_socket_close(netlink->socket);
        errno = saved_errno;
        return false;
    }
    /* Both are niceties: without them errors are poorer in words. */
    mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &on, sizeof(on));
    mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &on, sizeof(on));
    return true;
}

void netlink_close(Netlink *netlink)
{
    mnl_socket_close(netlink->socket);
    g_free(netlink->words);
}

typedef struct Answer {
    Netlink *netlink;
    mnl_cb_t cb;
    void *opaque;
    int error;
} Answer;

/* An acknowledgement, or an error with the kernel's words behind it */
static int error_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
    Answer *answer = opaque;
    const struct nlattr *attr;
    size_t offset = sizeof(*err);

    if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*err))) {
        answer->error = -EBADMSG;
        return MNL_CB_STOP;
    }
    answer->error = err->error > 0 ? -err->error : err->error;
    if (answer->error && (nlh->nlmsg_flags & NLM_F_ACK_TLVS)) {
        if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
            offset += err->msg.nlmsg_len - sizeof(err->msg);
        }
        mnl_attr_for_each(attr, nlh, offset) {
            if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
                mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0) {
                g_free(answer->netlink->words);
                answer->netlink->words = g_strdup(mnl_attr_get_str(attr));
            }
        }
    }
    return MNL_CB_STOP;
}

static int data_cb(const struct nlmsghdr *nlh, void *opaque)
{
    Answer *answer = opaque;

    return answer->cb ? answer->cb(nlh, answer->opaque) : MNL_CB_OK;
}

int netlink_talk(Netlink *netlink, struct nlmsghdr *request, mnl_cb_t cb,
                 void *opaque)
{
    /* What is beyond its end is dealt with by libmnl. */
    static mnl_cb_t control[NLMSG_ERROR + 1] = {
        [NLMSG_ERROR] = error_cb,
    };
    g_autofree char *buf = g_malloc(ANSWER_SIZE);
    Answer answer = { netlink, cb, opaque, 0 };
    static unsigned sequence;
    int ret;

    g_clear_pointer(&netlink->words, g_free);
    request->nlmsg_seq = ++sequence;
    if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0) {
        return -errno;
    }
    do {
        ssize_t len = mnl_socket_recvfrom(netlink->socket, buf, ANSWER_SIZE);

        if (len < 0) {
            return -errno;
        }
        ret = mnl_cb_run2(buf, len, request->nlmsg_seq,
                          mnl_socket_get_portid(netlink->socket), data_cb,
                          &answer, control, ARRAY_SIZE(control));
        if (ret < 0) {
            return -errno;
        }
    } while (ret > MNL_CB_STOP);
    return answer.error;
}

int netlink_once(int bus, struct nlmsghdr *request, mnl_cb_t cb, void *opaque,
                 char **words)
{
    Netlink netlink;
    int ret;

    if (words) {
        *words = NULL;
    }
    if (!netlink_open(&netlink, bus)) {
        ret = -errno;
    } else {
        ret = netlink_talk(&netlink, request, cb, opaque);
        if (words && netlink.words) {
            *words = g_strdup_printf(" (%s)", netlink.words);
        }
        netlink_close(&netlink);
    }
    if (words && !*words) {
        *words = g_strdup("");
    }
    return ret;
}

struct nlmsghdr *netlink_begin(char *buf)
{
    memset(buf, 0, NETLINK_REQUEST_SIZE);
    return mnl_nlmsg_put_header(buf);
}

struct nlmsghdr *netlink_genl(char *buf, uint16_t type, uint16_t flags,
                              uint8_t cmd)
{
    struct nlmsghdr *nlh = netlink_begin(buf);
    struct genlmsghdr *genl;

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
    genl->cmd = cmd;
    genl->version = 1;
    return nlh;
}
