#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What "make build" leaves: a binary that runs from anywhere, and nothing to do
# for the next run.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$PROJECT"

qemu=$REAL_BUILD/bin/qemu-system-x86_64
# A PC with firmware, and NICs with their ROMs, that is told to quit at once.
a_pc()
{
    printf '%s\n' '{"execute": "qmp_capabilities"}' '{"execute": "quit"}' |
        (cd / && timeout 60 "$@" -M pc -S -display none -nodefaults \
             -device virtio-net-pci -device e1000e -vga std -qmp stdio)
}
RC=0
OUT=$(a_pc "$qemu" 2>&1) || RC=$?
check "a PC starts from another directory without -L" \
    passed_with '"return": {}'
ln -s -- "$qemu" "$WORK/link"
RC=0
OUT=$(a_pc "$WORK/link" 2>&1) || RC=$?
check "and through another link" passed_with '"return": {}'
run "$qemu" -netdev help
check "it has the af-xdp netdev" passed_with af-xdp
run grep -E '^#define CONFIG_(STACK_PROTECTOR|AF_XDP)' \
    "$REAL_BUILD/qemu/config-host.h"
flags=$(grep -c -e '-fstack-protector-strong' "$REAL_BUILD/qemu/build.ninja" ||
            true)
check "the stack protector is on" test "$flags" -gt 0

# The first one may still have to take up an edit made while this suite ran.
env BUILD="$REAL_BUILD" scripts/build > /dev/null
begin=$EPOCHSECONDS
run env BUILD="$REAL_BUILD" scripts/build
check "a build without changes has nothing to do" \
    passed_with "nothing to do"
check "and takes a moment" test $((EPOCHSECONDS - begin)) -le 6

# The front door
run make -s help
check "make help lists the targets" \
    passed_with "make build" "make demo" "make check" "make series" \
                "make fuzz"
run env -u MAKEFLAGS make -n check SUITE="unit qtest" BUILD="$REAL_BUILD"
check "make check passes the suites on" passed_with "run-tests unit qtest"

# Whatever the user gave is checked before anything is built with it. These
# builds would fail: there is no source.
mkdir -- "$WORK/empty"
early()
{
    run env -u MAKEFLAGS -u MAKELEVEL make "$@" \
        BUILD="$WORK/empty" QEMU_SRC="$WORK/none"
}
early check SUITE="unit foo"
check "an unknown suite is told before the build" \
    failed_with 'no suite "foo"'
early demo QUEUES=0
check "and so is a wrong number for the demo" failed_with "QUEUES=0: give"
early demo MTU=abc
check "and one that is no number" failed_with "MTU=abc: give"
early demo QEMU_BIN="$WORK/none"
check "and a QEMU that is not there" failed_with "$WORK/none does not exist"
early demo CONSOLE=1
check "and a console without a terminal, or a user who is not root" \
    failed_with "needs "
check "nothing was built" test -z "$(ls -A -- "$WORK/empty")"
run env -u MAKEFLAGS make -n demo QEMU_BIN=/bin/true BUILD="$REAL_BUILD"
check "for a given QEMU none is built" passed_with "scripts/build demo-only"

tap_end
