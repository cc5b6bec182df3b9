# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the tests that run inside the VM. Sourced, in the repository's directory.

# wait_for COMMAND...: until it succeeds, 10 seconds at most
wait_for()
{
    local i
    for ((i = 0; i < 100; i++)); do
        if "$@"; then
            return 0
        fi
        sleep 0.1
    done
    echo "has not come about: $*"
    return 1
}

# listens PORT [COMMAND...]: does somebody there, where COMMAND runs commands?
listens()
{
    "${@:2}" cat /proc/net/tcp /proc/net/tcp6 |
        grep "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") .* 0A " > /dev/null
}

# nic_fault NAME VALUE [NIC]: have the test NIC do that, see nic/README.rst
nic_fault()
{
    echo "$2" > "/sys/kernel/debug/axnic/${3:-0}/$1"
}

# nic_unplug NIC, nic_plug NIC: take the test NIC out, and put it back
nic_unplug()
{
    echo "axnic.$1" > /sys/bus/platform/drivers/axnic/unbind
}

nic_plug()
{
    echo "axnic.$1" > /sys/bus/platform/drivers/axnic/bind
}

# prepare_wire DEVICE PEER: bring nic0 and wire0 up under these names
prepare_wire()
{
    local name
    if [ "$NIC" != virtio ]; then
        ethtool -L nic0 combined "$NIC_QUEUES"
        # Shorter than the guest's, see af-xdp-device-zero-copy-tests.c; 80 is
        # igb's shortest, which the test NIC would round up.
        ethtool -G nic0 rx "$([ "$NIC" = igb ] && echo 80 || echo 64)"
    fi
    ip link set nic0 name "$1"
    ip link set wire0 name "$2"
    for name in "$1" "$2"; do
        # No frame may come with others in one.
        ethtool -K "$name" gro off lro off > /dev/null 2>&1 || true
        ip link set "$name" up
    done
}

# Seconds for one qtest; the slowest takes 30 on a machine with nothing else
QTEST_LIMIT=200

# limited COMMAND...: end it after QTEST_LIMIT and say what everybody was at
limited()
{
    local pid rc=0 task waited=0
    "$@" &
    pid=$!
    while [ $waited -lt $((QTEST_LIMIT * 5)) ] && kill -0 $pid 2> /dev/null; do
        sleep 0.2
        waited=$((waited + 1))
    done
    if kill -0 $pid 2> /dev/null; then
        echo "no end after $QTEST_LIMIT s:"
        for task in /proc/[0-9]*/task/*; do
            # The kernel's own have no program.
            if readlink "$task/exe" > /dev/null; then
                echo "$(< "$task/comm"): $(< "$task/syscall")"
                cat "$task/stack"
            fi
        done
        kill -ABRT $pid
    fi
    wait $pid || rc=$?
    return $rc
}

# run_qtest [NAME...]: the qtest of af-xdp on nic0 and wire0, as qtest()
run_qtest()
{
    prepare_wire axt-dev axt-peer
    qtest "$@"
}

# qtest [NAME...]: the qtest of af-xdp on axt-dev and axt-peer, TAP on stdout;
# all of its tests for a real NIC, or those whose names begin like one of NAME.
# $QEMU_PREFIX is what QEMU is run by, or nothing.
#
# Each in a process of its own: the others go on when one fails.
qtest()
{
    local program=$BUILD/qemu/tests/qtest/af-xdp-test name test out result
    local failed=0
    local -a tests=()
    # The qtest fills rings by a message for each word: short ones will do.
    QTEST_QEMU_BINARY=$(mktemp -d)/qemu-system-x86_64
    export QTEST_QEMU_BINARY
    printf '#!/bin/sh\nexec %s %q -global %s -global %s "$@"\n' \
        "${QEMU_PREFIX:-}" "$QEMU_BIN" virtio-net-pci.rx_queue_size=256 virtio-net-pci.tx_queue_size=256 \
        > "$QTEST_QEMU_BINARY"
    chmod +x "$QTEST_QEMU_BINARY"
    export AXT_WIRE=given
    export G_TEST_SRCDIR=$PWD G_TEST_BUILDDIR=$PWD
    while read -r test; do
        for name in "${@:-}"; do
            if [[ $test == "/x86_64/$name"* ]]; then
                tests+=("$test")
                break
            fi
        done
    done < <("$program" -l)
    echo "1..${#tests[@]}"
    if [ ${#tests[@]} = 0 ]; then
        echo "no test is called $*"
        return 1
    fi
    for test in "${tests[@]}"; do
        out=$(limited "$program" --tap -k -p "$test" 2>&1) || true
        result=$(grep -E '^(not )?ok ' <<< "$out" | head -n 1) || true
        result=${result:-not ok - $test}
        echo "$result"
        if [[ $result == 'not ok'* ]]; then
            failed=1
            echo "# ${out//$'\n'/$'\n'# }"
        fi
    done
    return $failed
}
