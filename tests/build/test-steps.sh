#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How a step shows, fails and is interrupted; how test results are counted.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$COPY"

# step ARGUMENTS...: a step in a process of its own
a_step()
{
    bash -c '. scripts/common.sh; step "$@"' _ "$@"
}

run a_step good "doing good" true
check "a step shows its title and time" passed_with "doing good" "done in"
run a_step bad "doing badly" bash -c 'seq 1 100; exit 3'
check "a failed step names itself and its log" \
    failed_with 'step "bad" failed (exit code 3)' "build/logs/bad.log"
check "with the last 25 lines" \
    test "$(grep -cx '[0-9]*' <<< "$OUT")" = 25
run a_step net "fetching" bash -c 'echo "E: Failed to fetch x"; exit 100'
check "a failure of the network is told in words" failed_with "No network"
run a_step disk "writing" \
    bash -c 'echo "tar: x: Cannot write: No space left on device"; exit 2'
check "a full disk is told in words" failed_with "The disk is full"

# on_terminal COLUMNS COMMAND: keep what COMMAND writes there in $OUT
on_terminal()
{
    run script -qec "stty cols $1; $2" /dev/null
}
longest_line()
{
    tr '\r' '\n' <<< "$OUT" | sed 's/\x1b\[K//' |
        awk '{ if (length > max) max = length } END { print max + 0 }'
}
# shellcheck disable=SC2016
on_terminal 40 'bash -c '\''. scripts/common.sh
    step wide "$(printf "wide%.0s" {1..30})" \
        bash -c "echo \"[12/34] x\"; sleep 2.5"'\'
check "a step's line is no longer than the terminal" \
    test "$(longest_line)" -lt 40 -a "$RC" = 0
check "and shows ninja's count and the seconds" passed_with "... 12/34 2 s"

bash -c '. scripts/common.sh; step sleep "sleeping" sleep 98765.4' \
    > "$WORK/out" 2>&1 &
pid=$!
for _ in {1..50}; do
    child=$(pgrep -f '^sleep 98765\.4$' || true)
    if [ -n "$child" ]; then
        break
    fi
    sleep 0.1
done
kill -TERM "$pid"
RC=0
wait "$pid" || RC=$?
OUT=$(cat "$WORK/out")
check "an interrupted step says so" failed_with "interrupted"
check "and leaves no process behind" \
    test -n "$child" -a ! -e "/proc/$child"

# The runner

export AF_XDP_SUITES=$WORK/suites
mkdir -- "$AF_XDP_SUITES"
suite()
{
    printf '#!/bin/bash\n%s\n' "$2" > "$AF_XDP_SUITES/$1"
    chmod +x "$AF_XDP_SUITES/$1"
}
last()
{
    tail -n 1 <<< "$OUT"
}
suite 10-good 'echo "ok 1 - a"; echo "ok 2 - b"; echo 1..2'
run scripts/run-tests
check "all passed" test "$(last)" = "2 passed, 0 failed" -a "$RC" = 0
suite 20-skip 'echo 1..2; echo "ok 1 a # SKIP no root"; echo "ok 2 b"'
run scripts/run-tests
check "skips are counted" \
    test "$(last)" = "3 passed, 0 failed, 1 skipped" -a "$RC" = 0
suite 30-bad 'echo 1..2; echo "not ok 1 - wrong"; echo "# why"; echo "ok 2"
exit 1'
run scripts/run-tests
check "a failed test is counted and shown" \
    test "$(last)" = "4 passed, 1 failed, 1 skipped" -a "$RC" = 1
check "with its diagnosis" failed_with "FAILED wrong" "why"
rm "$AF_XDP_SUITES"/[23]0-*
for fault in 'no plan:echo "ok 1"' 'short plan:echo 1..3; echo ok 1' \
             'crash:echo 1..1; echo ok 1; kill -SEGV $$' \
             'exit code:echo 1..1; echo ok 1; exit 7'; do
    suite 20-fault "${fault#*:}"
    run scripts/run-tests fault
    check "a suite's ${fault%%:*} is a failure" \
        test "$(last)" = "1 passed, 1 failed" -a "$RC" = 1
done
suite 20-fault 'sleep 60'
SUITE_TIMEOUT=1 run scripts/run-tests fault
check "a suite that hangs is stopped" \
    test "$(last)" = "0 passed, 1 failed" -a "$RC" = 1
suite 20-fault 'echo ok 1 - first; sleep 1.2; echo "#: news"; echo 1..1'
SUITE_PROGRESS=0.5 run scripts/run-tests fault
check "a suite that takes long shows life" \
    passed_with "... 1 done, " "latest: first" "    news"
on_terminal 30 "scripts/run-tests fault"
check "and on a terminal, too" passed_with "... 1 done, 1 s"
RC=0
OUT=$(grep -o $'[^\r]*done, [^\r]*' <<< "$OUT")
check "in one line that is no longer than the terminal" test "$(longest_line)" -lt 30
run scripts/run-tests none
check "an unknown suite is an error" failed_with 'no suite "none"' "good"

# Passing on the TAP of other programs

nested()
{
    bash -c '. scripts/tap.sh; tap_run x/ bash -c "$1"; tap_end' _ "$1"
}
run nested 'echo TAP version 13; echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1'
check "results are renumbered and prefixed" \
    test "$OUT" = $'ok 1 - x/a\nnot ok 2 - x/b\n1..2' -a "$RC" = 1
run nested 'echo 1..2; echo ok 1 - a; kill -ABRT $$'
check "a program that aborts is a failure" failed_with "not ok 2 - x/plan"
run nested 'echo "#: news"; echo 1..1; echo ok'
check "what is for the person at the terminal is passed on" \
    passed_with $'#: news\nok 1'
run nested 'echo 1..0 "# skip no device"'
check "a program that skips all is a skip" \
    passed_with "ok 1 - x # SKIP no device"

tap_end
