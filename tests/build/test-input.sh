#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bad input and a bad machine: wrong QEMU_SRC, no network, no disk space,
# missing packages. Each must be told in words before anything is lost.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$COPY"

# An own QEMU source tree

mkdir -- "$WORK/old" "$WORK/none"
echo 9.2.3 > "$WORK/old/VERSION"
touch "$WORK/old/configure"
export QEMU_SRC=$WORK/old
run scripts/build series
check "QEMU_SRC of another version is refused, both named" \
    failed_with "holds QEMU 9.2.3" "Supported: 10.0.x"
export QEMU_SRC=$WORK/none
run scripts/build series
check "QEMU_SRC that is no QEMU is refused" \
    failed_with "is not a QEMU source tree"
export QEMU_SRC=$WORK/missing
run scripts/build series
check "QEMU_SRC that does not exist is refused" \
    failed_with "missing does not exist"
# shellcheck disable=SC2088
export QEMU_SRC='~/qemu'
run scripts/build series
check "a literal ~ in QEMU_SRC is explained" failed_with "Write \$HOME instead"
mkdir -p -- "$WORK/patched/include/net"
echo 10.0.2 > "$WORK/patched/VERSION"
touch "$WORK/patched/configure" "$WORK/patched/include/net/af-xdp-netdev.h"
export QEMU_SRC=$WORK/patched
run scripts/build series
check "QEMU_SRC with our patches in it is refused" \
    failed_with "Give an unpatched tree"
check "nothing was copied" test ! -e build/pristine

# Links, so that any write to the checkout would show in the real source too.
cp -al -- "$REAL_BUILD/pristine" "$WORK/own"
mkdir -- "$WORK/own/.git" "$WORK/own/out"
touch "$WORK/own/out/config-host.h" "$WORK/own/out/object"
state()
{
    (cd -- "$1" && find . -printf '%p %m %s %T@\n' | sort | sha256sum)
}
before=$(state "$WORK/own")
export QEMU_SRC=$WORK/own
run scripts/build series
check "QEMU_SRC of the right version is taken" passed_with ""
check "an own checkout is left as it was" \
    test "$(state "$WORK/own")" = "$before"
check "its repository and build directories are not copied" \
    test ! -e build/pristine/.git -a ! -e build/pristine/out
touch "$WORK/mark"
cp -- "$WORK/own/net/net.c" "$WORK/own/net/net.c.new"
echo '/* edited */' >> "$WORK/own/net/net.c.new"
mv -- "$WORK/own/net/net.c.new" "$WORK/own/net/net.c"
run scripts/build series
check "an edit in the own checkout reaches the tree" \
    grep -q '/\* edited \*/' build/qemu-src/net/net.c
changed=$(find build/qemu-src -type f -newer "$WORK/mark" -printf '%P\n')
check "and nothing else is rewritten" test "$changed" = net/net.c
BUILD=$WORK/own/build run scripts/build series
check "BUILD inside QEMU_SRC is refused" failed_with "BUILD is inside QEMU_SRC"
unset QEMU_SRC
rm -rf -- build

# A build directory that is none

touch "$WORK/file"
BUILD=$WORK/file run scripts/build
check "BUILD that is a file is refused" failed_with "file is a file"
BUILD=$WORK/file/build run scripts/build
check "BUILD that cannot be made is refused, with the cause" \
    failed_with "cannot be made: Not a directory"
# shellcheck disable=SC2088
BUILD='~/build' run scripts/build
check "a literal ~ in BUILD is explained" failed_with "Write \$HOME instead"
check "and no such directory is made" test ! -e '~'

# No network

APT_MIRROR=file:$WORK/no-mirror run scripts/build series
check "without a network the step, the cause and the log are named" \
    failed_with 'step "source" failed' "No network" "build/logs/source.log"
check "and no half of a source is left" \
    test ! -e build/pristine -a ! -e build/download/qemu
rm -rf -- build

# No space

AF_XDP_FREE_MB=50 run scripts/build
check "too little disk space is told beforehand" \
    failed_with "not enough disk space" "50 MiB free" "BUILD=DIR"
check "and nothing was done" test ! -e build/pristine

full_disk()
{
    # A private mount namespace: the file system goes with the process.
    # shellcheck disable=SC2016
    unshare --mount bash -euc '
        mount -t tmpfs -o size=96m none "$1"
        mkdir -p "$1/download"
        cp -r "$2/download/qemu" "$1/download/"
        BUILD=$1 AF_XDP_NEED_MB=1 scripts/build series' \
        _ "$1" "$REAL_BUILD"
}
mkdir -- "$WORK/small"
if [ "$(id -u)" != 0 ]; then
    tap_skip "a disk that fills up is told in words" \
        "needs root, to mount a small file system"
elif [ ! -d "$REAL_BUILD/download/qemu" ]; then
    tap_skip "a disk that fills up is told in words" \
        "needs the downloaded source package"
else
    run full_disk "$WORK/small"
    check "a disk that fills up is told in words" \
        failed_with 'step "source" failed' "The disk is full"
fi

# The log is on the same disk and stays empty.
silent_full_disk()
{
    # shellcheck disable=SC2016
    unshare --mount bash -euc '
        mount -t tmpfs -o size=1m none "$1"
        BUILD=$1 bash -c ". scripts/common.sh
            step fill filling dd if=/dev/zero of=$1/big status=none"' _ "$1"
}
if [ "$(id -u)" != 0 ]; then
    tap_skip "even if there was no space for the log" \
        "needs root, to mount a small file system"
else
    run silent_full_disk "$WORK/small"
    check "even if there was no space for the log" \
        failed_with 'step "fill" failed' "no space left in $WORK/small"
fi

# Packages

echo 'build no-such-package cmd:no-such-command' >> scripts/deps.conf
run scripts/deps --list build
check "missing packages can be listed" test "$OUT" = no-such-package
chmod 755 -- "$WORK"
chmod -R a+rwX -- "$COPY" build
as_nobody()
{
    setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}
if [ "$(id -u)" = 0 ]; then
    # A build directory that the user can reach whatever is above it
    user=$(mktemp -d /tmp/af-xdp-test.XXXXXX)
    trap 'rm -rf -- "$WORK" "$user"' EXIT
    cp -r -- scripts "$user/scripts"
    mkdir -- "$user/of-root"
    chmod -R a+rwX -- "$user"
    touch "$user/of-root/.lock"
    run as_nobody env BUILD="$user/of-root" "$user/scripts/build"
    check "a build directory with files of root is told in words" \
        failed_with "of-root/.lock belongs to root" "sudo" "BUILD=DIR"
    run as_nobody env BUILD="$user/build" DEPS= "$user/scripts/build"
else
    tap_skip "a build directory with files of root is told in words" \
        "needs root"
    run env DEPS= scripts/build
fi
check "a user who is not root is told what is missing" \
    failed_with no-such-package no-such-command "Nothing was changed."
check "and what to run" failed_with "apt-get install"

tap_end
