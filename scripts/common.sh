# shellcheck shell=bash
# shellcheck disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Common ground of the build scripts: where things are, how a step is run and
# how a failure is told. Sourced, never run.
#
# A step is a command with a name. Its output goes to $BUILD/logs/NAME.log and
# one line on the terminal shows it with the time it has taken so far. A step
# that has nothing to do is not started at all, so that a build without changes
# says one line.

set -euo pipefail

TOP=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

die()
{
    printf 'error: %s\n' "$1" >&2
    shift
    while [ $# -gt 0 ]; do
        printf '       %s\n' "$1" >&2
        shift
    done
    exit 1
}

# make_build: the directory $BUILD, made if need be, ours to write to
make_build()
{
    local dir=$1 message
    case $dir in
    '~'|'~'/*)
        # shellcheck disable=SC2088
        die "BUILD=$dir: the shell has left the \"~\" as it is" \
            "Write \$HOME instead."
        ;;
    esac
    if [ -e "$dir" ] && [ ! -d "$dir" ]; then
        die "BUILD=$dir is a file" "Give a directory, or one to be made."
    fi
    if ! message=$(LC_ALL=C mkdir -p -- "$dir" 2>&1); then
        die "the directory BUILD=$dir cannot be made: ${message##*: }" \
            "Choose another one with BUILD=DIR."
    fi
    if ! BUILD=$(cd -- "$dir" 2> /dev/null && pwd -P); then
        not_writable "$dir"
    fi
}

# not_writable PATH: say in words whose it is, and end
not_writable()
{
    if [ "$(stat -c %u -- "$1")" = "$(id -u)" ] || [ "$(id -u)" = 0 ]; then
        die "$1 cannot be written to" \
            "Change that, or choose another directory with BUILD=DIR."
    fi
    die "$1 belongs to $(stat -c %U -- "$1"), you are $(id -un)" \
        "Repeat with sudo, or choose a directory of your own with BUILD=DIR."
}

make_build "${BUILD:-build}"

PRISTINE=$BUILD/pristine            # unpacked QEMU, never changed
QEMU_TREE=$BUILD/qemu-src           # pristine + our files + patches/
QEMU_BUILD=$BUILD/qemu              # QEMU's own build directory
LIBXDP=$BUILD/libxdp                # private libxdp, only where it is needed
DOWNLOAD=$BUILD/download
LOGS=$BUILD/logs
STAMPS=$BUILD/stamps
QEMU_BIN=$BUILD/bin/qemu-system-x86_64

# What QEMU comes from: the suite of the distribution, and the release series
# that patches/ applies to.
QEMU_SUITE=trixie
QEMU_SERIES=10.0
# libxdp older than this lacks xsk_umem__create_with_fd(); the suite to take a
# newer one from.
LIBXDP_MIN=1.4.0
LIBXDP_SUITE=forky
MESON_MIN=1.5.0

export TOP BUILD

# unwritable: print something below $BUILD that cannot be written to
#
# Only places that every build writes to are looked at, or this would take
# longer than a build without changes.
unwritable()
{
    find "$BUILD" "$LOGS" "$STAMPS" "$QEMU_TREE" "$QEMU_BUILD" -maxdepth 1 \
         \( -type d -o -type f \) ! -writable -print -quit 2> /dev/null || true
}

found=$(unwritable)
if [ -n "$found" ]; then
    not_writable "$found"
fi
mkdir -p -- "$LOGS" "$STAMPS" "$DOWNLOAD" ||
    die "$BUILD cannot be written to"

# now_ms: milliseconds since some fixed point, without starting a process
now_ms()
{
    local t=${EPOCHREALTIME/[.,]/}
    echo $((t / 1000))
}

seconds_since()
{
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# version_at_least HAVE WANT
version_at_least()
{
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Free space below $BUILD in MiB. Tests set AF_XDP_FREE_MB to pretend.
free_mb()
{
    if [ -n "${AF_XDP_FREE_MB:-}" ]; then
        echo "$AF_XDP_FREE_MB"
    else
        df -Pm -- "$BUILD" | awk 'NR == 2 { print $4 }'
    fi
}

# need_space MIB WHAT: stop before anything is done if it will not fit
need_space()
{
    local have
    have=$(free_mb)
    if [ "$have" -lt "$1" ]; then
        die "not enough disk space to $2" \
            "$BUILD has $have MiB free, about $1 MiB are needed." \
            "Free some space or choose another directory with BUILD=DIR."
    fi
}

# A failed step removes what it has half done: a little space is no space.
FULL_MB=8

# full_directory: print the first of those that steps write to that is full
#
# df knows nothing of quotas, so the log's directory is written to as well.
full_directory()
{
    local dir probe=$LOGS/.space.$$
    if ! head -c 65536 /dev/zero 2> /dev/null > "$probe"; then
        rm -f -- "$probe"
        printf '%s\n' "$BUILD"
        return 0
    fi 2> /dev/null
    rm -f -- "$probe"
    for dir in "$BUILD" "${TMPDIR:-/tmp}"; do
        if df -Pm -- "$dir" 2> /dev/null |
                awk -v full=$FULL_MB 'NR == 2 && $4 < full { exit 1 }' &&
           df -Pi -- "$dir" 2> /dev/null |
                awk 'NR == 2 && $2 > 0 && $4 < 8 { exit 1 }'; then
            continue
        fi
        printf '%s\n' "$dir"
        return 0
    done
    return 1
}

# Say in words what a log shows when the cause is none of our making. On a full
# disk there may be no log.
diagnose()
{
    local dir
    if dir=$(full_directory); then
        echo "The disk is full: no space left in $dir." \
             "Free some, or choose another directory with" \
             "$([ "$dir" = "$BUILD" ] && echo BUILD || echo TMPDIR)=DIR." >&2
    elif [ ! -f "$1" ]; then
        :
    elif grep -qi -e 'no space left on device' -e 'disk quota exceeded' \
              -e 'enough free space' -- "$1"; then
        echo "The disk is full: $(free_mb) MiB free below $BUILD; the log" \
             "says what could not be written." >&2
    elif grep -qiE "could not (resolve|connect)|temporary failure (in|resol)|\
unable to (connect|fetch)|failed to fetch|connection (refused|timed out)|\
network is unreachable|file not found - |no route to host" "$1"; then
        echo "No network: the package mirror could not be reached." \
             "Check the connection and apt's configuration, then repeat;" \
             "what was downloaded already is kept." >&2
    elif grep -qiE 'NO_PUBKEY|not signed|signatures couldn.t be verified' \
            "$1"; then
        echo "A signature could not be verified: the Debian archive keys on" \
             "this machine are too old. Update debian-archive-keyring." >&2
    fi
}

# How far ninja is, from the end of its log: "812/1612 "
ninja_progress()
{
    tail -c 400 -- "$1" 2>/dev/null | tr '\r' '\n' |
        sed -n 's/^\[\([0-9]*\/[0-9]*\)\].*/\1 /p' | tail -n 1
}

# tty_line TITLE TAIL: rewrite the terminal's current line
#
# A line longer than the terminal could not be rewritten: the title is cut, not
# what follows it.
tty_line()
{
    local title=$1 tail=$2 size width
    {
        size=$(stty size <&9 2> /dev/null) || size=
    } 9>&1
    width=${size#* }
    if [ "${width:-0}" -le 0 ]; then
        width=80
    fi
    width=$((width - 1 - ${#tail}))
    if [ ${#title} -gt $width ]; then
        title=${title:0:$((width > 0 ? width : 0))}
    fi
    printf '\r\033[K%s%s' "$title" "$tail"
}

STEP_PID=
kill_step()
{
    trap - INT TERM HUP
    if [ -n "$STEP_PID" ]; then
        kill -TERM -- "-$STEP_PID" 2>/dev/null || true
        wait "$STEP_PID" 2>/dev/null || true
    fi
    printf '\ninterrupted; run the same command again to go on\n' >&2
    exit 130
}

# step NAME TITLE COMMAND...: run COMMAND with its output in a log
#
# Ends the script with the end of the log if COMMAND fails. COMMAND runs in a
# process group of its own, so that Ctrl-C reaches all of it and nothing else.
step()
{
    local name=$1 title=$2 log=$LOGS/$1.log start rc=0 elapsed shown=0 progress
    shift 2

    STEPS_DONE=$((${STEPS_DONE:-0} + 1))
    if [ -n "${STEP_NUMBER:-}" ]; then
        title="[$STEP_NUMBER/$STEP_TOTAL] $title"
    fi
    start=$(now_ms)
    if [ -t 1 ]; then
        tty_line "$title" " ..."
    else
        printf '%s ...\n' "$title"
    fi
    trap kill_step INT TERM HUP
    set -m
    if [ "${V:-}" = 1 ]; then
        ("$@" 2>&1 < /dev/null | tee -- "$log") &
    else
        "$@" > "$log" 2>&1 < /dev/null &
    fi
    STEP_PID=$!
    set +m
    while kill -0 "$STEP_PID" 2>/dev/null; do
        sleep 0.1
        elapsed=$((($(now_ms) - start) / 1000))
        if [ -t 1 ] && [ $elapsed -gt $shown ]; then
            shown=$elapsed
            tty_line "$title" " ... $(ninja_progress "$log")$elapsed s"
        elif [ ! -t 1 ] && [ $elapsed -ge $((shown + 30)) ]; then
            shown=$elapsed
            progress=$(ninja_progress "$log")
            printf '      ... %s%s\n' "$progress" "$(seconds_since "$start")"
        fi
    done
    wait "$STEP_PID" || rc=$?
    STEP_PID=
    trap - INT TERM HUP
    if [ $rc -ne 0 ]; then
        if [ -t 1 ]; then
            printf '\r\033[K'
        fi
        {
            printf '%s ... failed after %s\n' "$title" \
                   "$(seconds_since "$start")"
            echo "----- last lines of the log -----"
            tail -n 25 -- "$log" 2> /dev/null || echo "(there is no log)"
            echo "---------------------------------"
            printf 'error: step "%s" failed (exit code %d); full log: %s\n' \
                   "$name" $rc "$log"
            diagnose "$log"
        } >&2
        exit 1
    fi
    if [ -t 1 ]; then
        tty_line "$title" " ... $(seconds_since "$start")"
        echo
    else
        printf '      done in %s\n' "$(seconds_since "$start")"
    fi
}

# stamp_is NAME TEXT: was this step last done with these inputs?
stamp_is()
{
    [ -f "$STAMPS/$1" ] && [ "$(< "$STAMPS/$1")" = "$2" ]
}

# stamp_set NAME TEXT: it is done now (written aside and renamed)
stamp_set()
{
    if ! printf '%s\n' "$2" > "$STAMPS/$1.tmp" ||
       ! mv -f -- "$STAMPS/$1.tmp" "$STAMPS/$1"; then
        diagnose /dev/null
        die "cannot write $STAMPS/$1"
    fi
}

stamp_clear()
{
    rm -f -- "$STAMPS/$1"
}

# Use the private libxdp if there is one.
use_libxdp()
{
    if [ -f "$STAMPS/libxdp" ]; then
        export PKG_CONFIG_PATH="$LIBXDP/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    fi
}

# build_core DIR [TARGET...]: the core alone in $BUILD/DIR, which is core or
# core-sanitized; all of it, or only TARGETs. After use_libxdp.
build_core()
{
    local dir=$BUILD/$1
    local -a options=()
    if [ "$1" = core-sanitized ]; then
        options=("-Db_sanitize=address,undefined" -Db_lundef=false)
    fi
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        rm -rf -- "$dir"
        if [ -f "$PRISTINE/VERSION" ]; then
            options+=("-Dqemu_version=$(< "$PRISTINE/VERSION")")
        fi
        meson setup "$dir" "$TOP" "${options[@]}" || return
    fi
    ninja -C "$dir" "$@"
}
