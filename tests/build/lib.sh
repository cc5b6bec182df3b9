# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ground for the tests of the build scripts: a copy of this project in $WORK,
# with a build directory of its own that already has the pristine source. The
# working tree and its build directory are only read.

set -euo pipefail

PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
REAL_BUILD=$(cd -- "$PROJECT" && cd -- "${BUILD:-build}" && pwd -P)
# shellcheck source=scripts/tap.sh
. "$PROJECT/scripts/tap.sh"

WORK=$(mktemp -d "$REAL_BUILD/test.XXXXXX")
COPY=$WORK/project
trap 'rm -rf -- "$WORK"' EXIT
trap 'exit 1' INT TERM HUP

# What the caller of "make check" set is not for these runs.
unset BUILD QEMU_SRC APT_MIRROR V AF_XDP_FREE_MB AF_XDP_NEED_MB
export DEPS=no

mkdir -p -- "$COPY"
tar -C "$PROJECT" --anchored --exclude="./${REAL_BUILD#"$PROJECT"/}" \
    --exclude='./build' --exclude='./build-*' --exclude=./.git -cf - . |
    tar -C "$COPY" -xf -

# give_pristine BUILD-DIR: the unpacked source, by links: nobody writes to it
give_pristine()
{
    mkdir -p -- "$1/stamps" "$1/logs" "$1/download"
    cp -al -- "$REAL_BUILD/pristine" "$1/pristine"
    cp -- "$REAL_BUILD/stamps/pristine" "$1/stamps/pristine"
}

# run COMMAND...: keep output and exit code in $OUT and $RC
run()
{
    RC=0
    OUT=$("$@" 2>&1 < /dev/null) || RC=$?
}

# check NAME CONDITION...: a test that shows $OUT when it fails
check()
{
    local name=$1
    shift
    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name" "condition: $*" "exit code $RC, output:" "$OUT"
    fi
}

failed_with()
{
    local text
    [ "$RC" != 0 ] || return 1
    for text in "$@"; do
        [[ $OUT == *"$text"* ]] || return 1
    done
}

passed_with()
{
    local text
    [ "$RC" = 0 ] || return 1
    for text in "$@"; do
        [[ $OUT == *"$text"* ]] || return 1
    done
}
