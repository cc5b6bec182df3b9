# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A pod with queues that the test NIC has leased to it. Sourced, in the
# repository's directory, where the NIC is: on the "host".

# A process whose network namespace is the pod's
POD_PID=/tmp/pod.pid
# The host's BPF file system, also for who has another one mounted
POD_BPFFS=/run/pod-bpf
# The NIC's queues that are leased; the netkit device calls them 1 and 2
POD_FIRST=4
POD_QUEUES=4-5

tool()
{
    "$BUILD/bin/qemu-af-xdp" "$@"
}

# pod_new COMMAND...: a pod whose process COMMAND makes, as "unshare --net"
pod_new()
{
    "$@" sleep infinity < /dev/null > /dev/null 2>&1 &
    echo $! > "$POD_PID"
    wait_for pod_is_other
}

pod_is_other()
{
    ! [ "/proc/$(< "$POD_PID")/ns/net" -ef /proc/self/ns/net ]
}

# pod_end: the wire comes back, all else in it is gone
pod_end()
{
    kill "$(< "$POD_PID")"
    wait_for ip link set axt-peer name wire0
}

in_pod()
{
    nsenter --net="/proc/$(< "$POD_PID")/ns/net" "$@"
}

# pod_map: where QEMU finds the map
pod_map()
{
    echo "$POD_BPFFS/qemu-af-xdp/nic0/vm-pod"
}

# pod_nic: NIC, program and steering, as the host has them for the pod
pod_nic()
{
    ip link set nic0 mtu 1504 promisc on
    ip link set nic0 up
    tool attach nic0 --vm pod --queues "$POD_QUEUES" --pin-mode 0666
    ethtool -X nic0 start "$POD_FIRST" equal "${POD_SPREAD:-1}"
}

# pod_wire: the other end of the cable, which the tests hold
pod_wire()
{
    ethtool -K wire0 gro off > /dev/null 2>&1 || true
    ip link set wire0 mtu 1504 netns "$(< "$POD_PID")" name axt-peer
    in_pod ip link set axt-peer up
}

pod_lease()
{
    tool lease nic0 --queues "$POD_QUEUES" --name axt-dev --mtu 1504 \
        --netns "$(< "$POD_PID")"
}
