#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make series: git am takes the mailbox on a pristine tree, and the result is
# the tree that QEMU is built from.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
cd -- "$COPY"
give_pristine build
run scripts/build series
check "the tree is assembled" passed_with ""

# git without anybody's settings
export GIT_CONFIG_GLOBAL=$WORK/gitconfig GIT_CONFIG_SYSTEM=/dev/null
git config --global user.name "A Tester"
git config --global user.email tester@localhost
git config --global init.defaultBranch main
git config --global advice.detachedHead false
mbox=build/series/af-xdp.mbox

# The repository of the pristine source is large: the real one is used again.
mkdir -p -- build/series
if [ -f "$REAL_BUILD/series/base.stamp" ]; then
    cp -al -- "$REAL_BUILD/series/base.git" build/series/base.git
    cp -- "$REAL_BUILD/series/base.stamp" build/series/base.stamp
fi
run scripts/series
check "the series is written" passed_with "cover letter and"
if [ ! -f "$mbox" ]; then
    tap_end
    exit 1
fi
cp -- "$mbox" "$WORK/first.mbox"
run scripts/series
check "twice the same" cmp -s "$mbox" "$WORK/first.mbox"
mails=$(grep -c '^From 0000000' "$mbox")
check "it starts with the cover letter" \
    test "$(grep -m 1 -c "^Subject: \[PATCH 0*0/$((mails - 1))\]" "$mbox")" = 1
check "every patch is signed off" \
    test "$(grep -c '^Signed-off-by: ' "$mbox")" -ge $((mails - 1))

# A pristine tree that owes nothing to the script under test
mkdir -- "$WORK/git"
cd -- "$WORK/git"
cp -al -- "$COPY/build/pristine/." .
git init -q
git config core.autocrlf false
printf '* -text -ident -filter\n' > .git/info/attributes
git add -A -f .
git commit -q -m pristine
# git writes new files, so the links to the source are never written through.
run git am --quiet "$COPY/$mbox"
check "git am takes the mailbox" passed_with ""

# Directories without files are no matter of git's.
cd -- "$COPY"
find "$WORK/git" build/qemu-src -name .git -prune -o \
     -type d -empty -exec rmdir {} +
run diff -r --no-dereference --exclude=.git "$WORK/git" build/qemu-src
check "the result is the assembled tree" passed_with ""
modes()
{
    (cd -- "$1" && find . -name .git -prune -o -type f -perm -100 -print |
         sort | sha256sum)
}
check "executable files too" \
    test "$(modes "$WORK/git")" = "$(modes build/qemu-src)"

# The table

mkdir -p net
echo '/* new */' > net/not-in-the-table.c
run scripts/series
check "a file that no patch has is an error" \
    failed_with "in no patch: net/not-in-the-table.c"
printf '\nSubject: one\nFiles: net/not-in-the-table.c\n' >> scripts/series.conf
printf '\nSubject: two\nFiles: net/not-in-*\n' >> scripts/series.conf
run scripts/series
check "a file in two patches is an error" \
    failed_with 'net/not-in-the-table.c is in two patches: "one" and "two"'
sed -i '/^Subject: two/,$d' scripts/series.conf
run scripts/series
check "a tree that was not assembled anew is an error" \
    failed_with "net/not-in-the-table.c differs"
run scripts/build series
run scripts/series
check "and well after it is" passed_with "cover letter and"

tap_end
