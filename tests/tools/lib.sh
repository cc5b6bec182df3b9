# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the tests of qemu-af-xdp, outside and inside the VM. Sourced, in the
# repository's directory; $BUILD is set, and scripts/tap.sh sourced.
# shellcheck disable=SC2034

# AF_XDP_TOOL names another one, such as that with sanitizers.
TOOL=${AF_XDP_TOOL:-$BUILD/bin/qemu-af-xdp}
RUN_DIR=$(mktemp -d)
BPFFS=/sys/fs/bpf
TOOL_LIMIT=60

# tool COMMAND [ARG...]: run it; output in $OUT, errors in $ERR, status in $RC
tool()
{
    local files
    files=$(mktemp -d)
    RC=0
    timeout -k 5 $TOOL_LIMIT "${AS[@]}" "$TOOL" "$1" --run-dir "$RUN_DIR" \
        --bpffs "$BPFFS" "${@:2}" > "$files/out" 2> "$files/err" || RC=$?
    OUT=$(< "$files/out")
    ERR=$(< "$files/err")
    rm -r -- "$files"
}
# What to run it with, as in AS=(setpriv --reuid nobody)
AS=()

# fault TEXT...: why the test fails, with what the tool said last
fault()
{
    printf '%s\n' "$@" "status $RC; it said:" "$OUT" "$ERR"
    return 1
}

# done_by COMMAND [ARG...]: it must succeed
done_by()
{
    tool "$@"
    [ "$RC" = 0 ] || fault "$*: failed"
}

# refused STATUS WORDS COMMAND [ARG...]: it must end so and say WORDS, which
# may be several with "|" between them
refused()
{
    local status=$1 words=$2 word
    local -a list
    shift 2
    tool "$@"
    [ "$RC" = "$status" ] || fault "$*: not status $status" || return
    IFS='|' read -r -a list <<< "$words"
    for word in "${list[@]}"; do
        [[ $ERR == *"$word"* ]] || fault "$*: does not say \"$word\"" || return
    done
}

# says WORDS: the last output has them, see refused
says()
{
    local word
    local -a list
    IFS='|' read -r -a list <<< "$1"
    for word in "${list[@]}"; do
        [[ $OUT == *"$word"* ]] || fault "does not say \"$word\"" || return
    done
}

# json EXPRESSION WANT: of the last output; python3's, on the object "o"
json()
{
    local got
    got=$(/usr/bin/python3 -c '
import json, sys
o = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$1" <<< "$OUT") || fault "no JSON" || return
    [ "$got" = "$2" ] || fault "$1: \"$got\" instead of \"$2\""
}

# nothing_left: no entry, no pin, nothing half done
nothing_left()
{
    local left
    left=$(ls -A "$RUN_DIR/journal" 2> /dev/null
           ls -d "$BPFFS/qemu-af-xdp" 2> /dev/null) || true
    if [ -n "$left" ]; then
        echo "left behind: $left"
        return 1
    fi
}

# crashes SYSCALLS CHECK COMMAND [ARG...]: kill the tool at each of these
# system calls in turn until it lives; after each time CHECK must succeed
#
# Sets CRASHES to the number of the last call at which it was killed. With
# CRASH_STEP=N, only every Nth is tried.
CRASH_STEP=1
crashes()
{
    local calls=$1 check=$2 n
    local -a command=("${@:3}")
    CRASHES=0
    for ((n = 1; n < 400; n += CRASH_STEP)); do
        AS=(strace -f -qq -o /dev/null -e "trace=$calls"
            -e "inject=$calls:signal=KILL:when=$n")
        tool "${command[@]}"
        AS=()
        if [ "$RC" != 137 ]; then
            [ "$RC" = 0 ] || fault "${command[*]}: killed at none of $n"
            return
        fi
        CRASHES=$n
        if ! $check; then
            echo "... after a crash at call $n of $calls"
            return 1
        fi
    done
    echo "no end of ${command[*]}"
    return 1
}

# try NAME FUNCTION: one test; the first command that fails ends it. Each
# begins with what the function "fresh" makes.
try()
{
    local out rc
    set +e
    out=$(set -eE
          trap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR
          exec 2>&1 < /dev/null
          fresh
          "$2")
    rc=$?
    set -e
    if [ $rc = 0 ]; then
        tap_ok "$1"
    else
        tap_not_ok "$1" "$out"
    fi
}

# fails COMMAND...: it must
fails()
{
    if "$@"; then
        echo "$*: has not failed"
        return 1
    fi
}

# shows PATTERN COMMAND...: its output has it; not "| grep -q", which would end
# a command that has more to say
shows()
{
    local out
    out=$("${@:2}")
    grep -q -- "$1" <<< "$out"
}

# equal GOT WANT
equal()
{
    if [ "$1" != "$2" ]; then
        echo "\"$1\" instead of \"$2\""
        return 1
    fi
}

# program DEVICE: the id of the XDP program it runs, nothing if there is none
program()
{
    ip link show dev "$1" |
        sed -n 's/.*prog\/xdp.* id \([0-9]*\).*/\1/p'
}

# The help of each command has examples, and bad usage has its own status.
usage()
{
    local command
    refused 2 "no command 'leese'|Did you mean 'lease'" leese
    refused 2 "no command 'frobnicate'|--help" frobnicate
    for command in lease attach detach steer status release; do
        done_by $command --help
        says "Usage:|qemu-af-xdp $command|Examples:|--dry-run"
        refused 2 "Unknown option --quues|--help" $command --quues 3
    done
    for command in lease attach detach steer; do
        refused 2 "one NIC is needed" $command
        refused 2 "one NIC is needed" $command "$1" "$1"
    done
    refused 2 "either --queues or --count" lease "$1"
    refused 2 "either --queues or --count" lease "$1" --queues 1 --count 1
    refused 2 "not a list of queues" lease "$1" --queues 1,x
    refused 2 "twice" lease "$1" --queues 1,1
    refused 2 "out of range" lease "$1" --count -1
    refused 2 "out of range" lease "$1" --count 1 --mtu 67
    refused 2 "not a MAC address" lease "$1" --count 1 --mac 1:2
    refused 2 "station's address" lease "$1" --count 1 --mac 01:00:5e:00:00:01
    refused 2 "interface's name" lease "$1" --count 1 --name a/b
    refused 2 "usable name" lease "$1" --count 1 --vm a.b
    refused 2 "a VM is needed" attach "$1" --queues 1
    refused 2 "--queues is needed" attach "$1" --vm a
    refused 2 "not a mode" attach "$1" --vm a --queues 1 --mode drv
    refused 2 "not a file's mode" attach "$1" --vm a --queues 1 --pin-mode 999
    refused 2 "no user" attach "$1" --vm a --queues 1 --pin-owner no-such-user
    refused 2 "station's address" attach "$1" --vm a --queues 1 \
        --mac-filter ff:ff:ff:ff:ff:ff
    refused 2 "--queues is needed" steer "$1" --mac 52:54:00:00:00:01
    refused 2 "does not go with" steer "$1" --undo --mac 52:54:00:00:00:01
    refused 2 "cannot understand|flow-type ether" steer "$1" --queues 1 \
        --ntuple 'flow-type ip9'
    refused 2 "one device" release
    refused 2 "one device" release "$1" --all
    refused 2 "--netns goes with" release --all --netns x
    for command in "lease --count 1" "attach --vm a --queues 1" \
                   "detach --vm a" "steer --queues 1" status; do
        # shellcheck disable=SC2086
        refused 1 "cannot find 'no-such-nic'|ip -br link" $command no-such-nic
        # shellcheck disable=SC2086
        refused 1 "cannot find '$1@x'|Write '$1'" $command "$1@x"
    done
    nothing_left
}
