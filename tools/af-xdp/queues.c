/*
 * qemu-af-xdp: a NIC's receive queues and their leases
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/utsname.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "netlink.h"
#include "queues.h"
#include "net/af-xdp-error.h"
#include "net/af-xdp-uapi.h"

/*
 * <linux/netdev.h> of Linux 7.1; the names are our own, as enumerators cannot
 * be tested for.
 */
enum {
    CMD_QUEUE_CREATE = 16,

    QUEUE_DMABUF = 5,
    QUEUE_IO_URING = 6,
    QUEUE_XSK = 7,
    QUEUE_LEASE = 8,

    LEASE_IFINDEX = 1,
    LEASE_QUEUE = 2,
    LEASE_NETNS_ID = 3,
};

typedef struct Family {
    uint16_t id;
    bool can_create;
} Family;

static int family_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct nlattr *attr, *op, *field;
    Family *family = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
        if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID) {
            family->id = mnl_attr_get_u16(attr);
        } else if (mnl_attr_get_type(attr) == CTRL_ATTR_OPS) {
            mnl_attr_for_each_nested(op, attr) {
                mnl_attr_for_each_nested(field, op) {
                    if (mnl_attr_get_type(field) == CTRL_ATTR_OP_ID &&
                        mnl_attr_get_u32(field) == CMD_QUEUE_CREATE) {
                        family->can_create = true;
                    }
                }
            }
        }
    }
    return MNL_CB_OK;
}

static int find_family(Family *family)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    struct nlmsghdr *nlh = netlink_genl(buf, GENL_ID_CTRL, NLM_F_ACK,
                                        CTRL_CMD_GETFAMILY);

    mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, AF_XDP_NETDEV_FAMILY);
    memset(family, 0, sizeof(*family));
    return netlink_once(NETLINK_GENERIC, nlh, family_cb, family, NULL);
}

bool queues_can_lease(GError **errp)
{
    struct utsname name = { 0 };
    Family family;
    int ret = find_family(&family);

    if (ret && ret != -ENOENT) {
        af_xdp_error_set(errp, -ret, NULL,
                         "cannot ask the kernel about queues");
        return false;
    }
    if (ret || !family.can_create) {
        uname(&name);
        af_xdp_error_set(errp, 0, "Linux 7.1 and later can (and need "
                         "CONFIG_NETKIT). On this one, use the NIC itself: "
                         "'" "qemu-af-xdp attach' and ifname=NIC.",
                         "this kernel (%s) cannot lease queues", name.release);
        return false;
    }
    return true;
}

static void parse_lease(const struct nlattr *lease, Queue *queue)
{
    const struct nlattr *attr, *field;

    queue->leased = true;
    mnl_attr_for_each_nested(attr, lease) {
        switch (mnl_attr_get_type(attr)) {
        case LEASE_IFINDEX:
            queue->lease_ifindex = mnl_attr_get_u32(attr);
            break;
        case LEASE_QUEUE:
            mnl_attr_for_each_nested(field, attr) {
                if (mnl_attr_get_type(field) == AF_XDP_NETDEV_A_QUEUE_ID) {
                    queue->lease_queue = mnl_attr_get_u32(field);
                }
            }
            break;
        case LEASE_NETNS_ID:
            queue->lease_nsid = mnl_attr_get_u32(attr);
            break;
        }
    }
}

static int queue_cb(const struct nlmsghdr *nlh, void *opaque)
{
    Queue queue = { .lease_nsid = -1 };
    uint32_t type = UINT32_MAX;
    const struct nlattr *attr;
    GArray *queues = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
        switch (mnl_attr_get_type(attr)) {
        case AF_XDP_NETDEV_A_QUEUE_TYPE:
            type = mnl_attr_get_u32(attr);
            break;
        case AF_XDP_NETDEV_A_QUEUE_ID:
            queue.id = mnl_attr_get_u32(attr);
            break;
        case AF_XDP_NETDEV_A_QUEUE_IFINDEX:
            queue.ifindex = mnl_attr_get_u32(attr);
            break;
        case QUEUE_DMABUF:
        case QUEUE_IO_URING:
            queue.memory = true;
            break;
        case QUEUE_XSK:
            queue.xsk = true;
            break;
        case QUEUE_LEASE:
            parse_lease(attr, &queue);
            break;
        }
    }
    if (type == AF_XDP_NETDEV_QUEUE_TYPE_RX) {
        g_array_append_val(queues, queue);
    }
    return MNL_CB_OK;
}

GArray *queues_list(int ifindex, GError **errp)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    g_autoptr(GArray) queues = g_array_new(FALSE, FALSE, sizeof(Queue));
    struct nlmsghdr *nlh;
    Family family;
    int ret = find_family(&family);

    if (ret == 0) {
        nlh = netlink_genl(buf, family.id, NLM_F_DUMP,
                           AF_XDP_NETDEV_CMD_QUEUE_GET);
        if (ifindex) {
            mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_IFINDEX, ifindex);
        }
        ret = netlink_once(NETLINK_GENERIC, nlh, queue_cb, queues, NULL);
    }
    /* Before Linux 6.7 there is no family, before 6.8 no such command. */
    if (ret && ret != -ENOENT && ret != -EOPNOTSUPP && ret != -ENODEV) {
        af_xdp_error_set(errp, -ret, NULL,
                         "cannot ask the kernel for the queues");
        return NULL;
    }
    return g_steal_pointer(&queues);
}

const Queue *queues_find(const GArray *queues, uint32_t id)
{
    for (guint i = 0; i < queues->len; i++) {
        const Queue *queue = &g_array_index(queues, Queue, i);

        if (queue->id == id) {
            return queue;
        }
    }
    return NULL;
}

struct nlmsghdr *queues_put_lease(char *buf, uint16_t family, int netkit,
                                  int nic, uint32_t nic_queue)
{
    struct nlmsghdr *nlh = netlink_genl(buf, family, NLM_F_ACK,
                                        CMD_QUEUE_CREATE);
    struct nlattr *lease, *queue;

    mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_IFINDEX, netkit);
    mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_TYPE,
                     AF_XDP_NETDEV_QUEUE_TYPE_RX);
    lease = mnl_attr_nest_start(nlh, QUEUE_LEASE);
    mnl_attr_put_u32(nlh, LEASE_IFINDEX, nic);
    queue = mnl_attr_nest_start(nlh, LEASE_QUEUE);
    mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_ID, nic_queue);
    mnl_attr_put_u32(nlh, AF_XDP_NETDEV_A_QUEUE_TYPE,
                     AF_XDP_NETDEV_QUEUE_TYPE_RX);
    mnl_attr_nest_end(nlh, queue);
    mnl_attr_nest_end(nlh, lease);
    return nlh;
}

static int created_cb(const struct nlmsghdr *nlh, void *opaque)
{
    const struct nlattr *attr;
    int64_t *id = opaque;

    mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
        if (mnl_attr_get_type(attr) == AF_XDP_NETDEV_A_QUEUE_ID) {
            *id = mnl_attr_get_u32(attr);
        }
    }
    return MNL_CB_OK;
}

int queues_lease(int netkit, int nic, uint32_t nic_queue, uint32_t *id,
                 char **words)
{
    char buf[NETLINK_REQUEST_SIZE] QEMU_ALIGNED(8);
    int64_t created = -1;
    Family family;
    int ret = find_family(&family);

    if (ret) {
        *words = g_strdup("");
        return ret;
    }
    ret = netlink_once(NETLINK_GENERIC,
                       queues_put_lease(buf, family.id, netkit, nic,
                                        nic_queue),
                       created_cb, &created, words);
    if (ret == 0 && created < 0) {
        ret = -EPROTO;
    }
    *id = created;
    return ret;
}
