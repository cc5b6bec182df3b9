# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Emit TAP from bash, and pass on the TAP of other programs as part of one
# stream. Sourced by the suites in tests/suites.d; read by scripts/run-tests.

TAP_COUNT=0
TAP_FAILED=0

tap_ok()
{
    TAP_COUNT=$((TAP_COUNT + 1))
    printf 'ok %d - %s\n' "$TAP_COUNT" "$1"
}

tap_not_ok()
{
    TAP_COUNT=$((TAP_COUNT + 1))
    TAP_FAILED=$((TAP_FAILED + 1))
    printf 'not ok %d - %s\n' "$TAP_COUNT" "$1"
    shift
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@" | sed 's/^/# /'
    fi
}

# tap_skip NAME REASON
tap_skip()
{
    TAP_COUNT=$((TAP_COUNT + 1))
    printf 'ok %d - %s # SKIP %s\n' "$TAP_COUNT" "$1" "$2"
}

# tap_try NAME COMMAND...: one test, passed if COMMAND succeeds
tap_try()
{
    local name=$1 out
    shift
    if out=$("$@" 2>&1 < /dev/null); then
        tap_ok "$name"
    else
        tap_not_ok "$name" "$(tail -n 40 <<< "$out")"
    fi
}

# tap_run PREFIX COMMAND...: COMMAND's own TAP, renumbered, names prefixed
#
# What COMMAND writes beside TAP becomes comments, but a line that begins with
# "#: ", for the person at the terminal, stays. Fewer tests than its plan
# says, no plan, or a bad exit code without a failed test is a failure.
tap_run()
{
    local prefix=$1 line rest plan='' seen=0 failed=0 rc=0 all_skipped=''
    local fifo
    local -a recent=()
    shift
    fifo=$(mktemp -d)
    mkfifo "$fifo/out"
    "$@" > "$fifo/out" 2>&1 < /dev/null &
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        if [[ $line =~ ^1\.\.([0-9]+)(.*)$ ]]; then
            plan=${BASH_REMATCH[1]}
            rest=${BASH_REMATCH[2]}
            if [ "$plan" = 0 ] && [[ ${rest,,} == *'# skip'* ]]; then
                all_skipped=${rest#*[Ss][Kk][Ii][Pp]}
            fi
        elif [[ $line =~ ^(not\ )?ok([[:space:]]+[0-9]+)?([[:space:]]+-)?[[:space:]]*(.*)$ ]]; then
            TAP_COUNT=$((TAP_COUNT + 1))
            seen=$((seen + 1))
            if [ -n "${BASH_REMATCH[1]}" ]; then
                failed=$((failed + 1))
                TAP_FAILED=$((TAP_FAILED + 1))
            fi
            printf '%sok %d - %s%s\n' "${BASH_REMATCH[1]}" "$TAP_COUNT" \
                   "$prefix" "${BASH_REMATCH[4]}"
        elif [[ $line == 'TAP version'* ]]; then
            :
        elif [[ $line == '#: '* ]]; then
            printf '%s\n' "$line"
        else
            printf '# %s\n' "$line"
            recent+=("$line")
            if [ ${#recent[@]} -gt 15 ]; then
                recent=("${recent[@]:1}")
            fi
        fi
    done < "$fifo/out"
    wait $! || rc=$?
    rm -rf -- "$fifo"
    if [ -n "$all_skipped" ]; then
        tap_skip "${prefix%/}" "${all_skipped# }"
    elif [ -z "$plan" ]; then
        tap_not_ok "${prefix:+${prefix%/}/}plan" "no plan; exit code $rc: $*" \
            "${recent[@]}"
    elif [ "$seen" != "$plan" ]; then
        tap_not_ok "${prefix:+${prefix%/}/}plan" \
            "planned $plan tests, saw $seen; exit code $rc: $*" \
            "${recent[@]}"
    elif [ $rc != 0 ] && [ $failed = 0 ]; then
        tap_not_ok "${prefix}exit" "exit code $rc: $*" "${recent[@]}"
    fi
}

# tap_end: the plan; the suite's exit code is that of this function
tap_end()
{
    printf '1..%d\n' "$TAP_COUNT"
    [ "$TAP_FAILED" = 0 ]
}
