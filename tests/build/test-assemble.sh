#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The assembled tree: right, changed no more than needed, repaired after an
# interruption.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$COPY"
give_pristine build
tree=build/qemu-src

# Paths in the tree that were written since the mark
written()
{
    find "$tree" -newer "$WORK/mark" \( -type f -o -type l \) -printf '%P\n' |
        sort | tr '\n' ' '
}

mark()
{
    touch "$WORK/mark"
    sleep 0.02
}

# Killed while the tree is made for the first time
scripts/build series > /dev/null 2>&1 &
pid=$!
while [ ! -d "$tree/net" ] && kill -0 $pid 2> /dev/null; do
    sleep 0.02
done
pkill -KILL -P "$pid" || true
kill -KILL "$pid" 2> /dev/null || true
wait "$pid" 2> /dev/null || true
run scripts/build series
check "a run after SIGKILL succeeds" passed_with ""

# Reference: the tree made in one go, by other means
cp -al -- build/pristine "$WORK/reference"
while read -r room; do
    case $room in
    ''|'#'*) continue ;;
    esac
    if [ -d "$room" ]; then
        mkdir -p -- "$WORK/reference/$room"
        cp --remove-destination -rT -- "$room" "$WORK/reference/$room"
    fi
done < scripts/overlay.conf
find "$WORK/reference" -name __pycache__ -prune -exec rm -rf -- {} +
for patch in patches/*.patch; do
    if [ -f "$patch" ]; then
        patch -s -p1 -F0 --no-backup-if-mismatch -d "$WORK/reference" < "$patch"
    fi
done
run diff -r --no-dereference "$WORK/reference" "$tree"
check "the tree is the source, our files and the patches" passed_with ""
run diff -rq build/pristine "$REAL_BUILD/pristine"
check "the pristine source stays as it was" passed_with ""

mark
run scripts/build series
check "a second run writes nothing" test -z "$(written)"
check "and says nothing" test -z "$OUT"

mark
echo '/* edited */' >> net/af-xdp.c
run scripts/build series
check "an edited file alone is written" test "$(written)" = "net/af-xdp.c "

mark
touch net/af-xdp.c
run scripts/build series
check "a file that was only touched is not written" test -z "$(written)"

mark
mkdir -p docs/new-room
echo text > docs/new-room/page.rst
run scripts/build series
check "a new file is laid over" \
    test "$(written)" = "docs/new-room/page.rst "
rm -rf docs/new-room
run scripts/build series
check "a removed file disappears, its directory too" \
    test ! -e "$tree/docs/new-room"

mark
rm net/af-xdp.c
run scripts/build series
check "where we no longer have a file, QEMU's is back" \
    cmp -s "$tree/net/af-xdp.c" build/pristine/net/af-xdp.c
check "with a time that makes ninja compile it" \
    test "$(written)" = "net/af-xdp.c "

# Patches
mkdir -p patches
make_patch()
{
    mkdir -p "$WORK/a/${2%/*}" "$WORK/b/${2%/*}"
    cp "$tree/$2" "$WORK/a/$2"
    cp "$tree/$2" "$WORK/b/$2"
    echo "$3" >> "$WORK/b/$2"
    (cd "$WORK" && diff -u1 "a/$2" "b/$2") > "patches/$1" || true
}
make_patch 9001-one.patch net/util.c '/* one */'
make_patch 9002-two.patch net/hub.c '/* two */'
mark
run scripts/build series
check "new patches write what they touch" \
    test "$(written)" = "net/hub.c net/util.c "
sed -i 's/one/three/' patches/9001-one.patch
mark
run scripts/build series
check "a changed patch writes only what it touches" \
    test "$(written)" = "net/util.c "
rm patches/9001-one.patch
mark
run scripts/build series
check "without the patch QEMU's file is back" \
    cmp -s "$tree/net/util.c" build/pristine/net/util.c
check "and no other file is written" test "$(written)" = "net/util.c "

sed -i 's/^ .*/ what is not there/' patches/9002-two.patch
mark
run scripts/build series
check "a patch that does not apply is named" \
    failed_with "patches/9002-two.patch does not apply"
check "and the tree stays as it was" test -z "$(written)"
rm patches/9002-two.patch

# Killed in the middle of an update: what was planned is done the next time.
rm "$tree/net/hub.c"
echo half > "$tree/net/util.c"
sed -i 's/"base": ".*"/"base": null/' build/stamps/assembled.json
run scripts/build series
check "an update that was interrupted is completed" \
    cmp -s "$tree/net/util.c" build/pristine/net/util.c
check "missing files are back" test -f "$tree/net/hub.c"

# Ended while it works in its scratch directory: a "patch" that never ends
mkdir "$WORK/slow"
printf '#!/bin/sh\nexec sleep 60\n' > "$WORK/slow/patch"
chmod +x "$WORK/slow/patch"
left_by()
{
    local pid child
    PATH=$WORK/slow:$PATH python3 -B scripts/assemble build/pristine "$tree" \
        build/stamps/assembled.json x > /dev/null 2>&1 &
    pid=$!
    for _ in {1..100}; do
        if child=$(pgrep -P "$pid" -x sleep); then
            break
        fi
        sleep 0.05
    done
    kill -"$1" "$pid"
    wait "$pid" 2> /dev/null || true
    # Nobody ends it after SIGKILL.
    kill "$child" 2> /dev/null || true
    find build -maxdepth 1 -name 'tmp.*'
}
check "SIGTERM leaves no scratch directory" test -z "$(left_by TERM)"
check "SIGKILL leaves one below the build directory" \
    test -n "$(left_by KILL)"
run scripts/build series
check "which the next run removes" \
    test -z "$(find build -maxdepth 1 -name 'tmp.*')"

# A source that was only half unpacked
mkdir build/pristine.tmp
touch build/pristine.tmp/half
rm -rf build/pristine build/stamps/pristine
give_pristine build
run scripts/build series
check "a half-unpacked source is no obstacle" passed_with ""

# Two builds at once
exec 7> build/.lock
flock 7
run timeout 2 scripts/build series
exec 7>&-
check "a second build waits for the first, and says so" \
    failed_with "another build is running"

tap_end
