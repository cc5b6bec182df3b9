#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The mirror is found in both of apt's file formats.

# shellcheck source=tests/build/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
export BUILD=$WORK/build
# shellcheck source=scripts/common.sh
. "$COPY/scripts/common.sh"
# shellcheck source=scripts/apt-private.sh
. "$COPY/scripts/apt-private.sh"

cat > "$WORK/a.sources" <<'END'
# first a stanza that is switched off
Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: stretch
Components: main

Types: deb
URIs: http://security.example/debian-security
Suites: stretch-security
Components: main

types: deb deb-src
# a comment between
uris:
 http://mirror.example/debian
 http://second.example/debian
Suites: stretch stretch-updates
Components: main
Signed-By: /usr/share/keyrings/some.gpg
END
run mirror_from_sources stretch "$WORK/a.sources"
check "deb822: the right stanza, its first URI" \
    test "$OUT" = http://mirror.example/debian
run mirror_from_sources buster "$WORK/a.sources"
check "deb822: no stanza for the suite" test "$OUT" = ""

cat > "$WORK/a.list" <<'END'
# deb http://comment.example/debian stretch main
deb http://security.example/debian-security stretch-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/some.gpg] http://mirror.example/debian stretch main contrib
END
run mirror_from_list stretch "$WORK/a.list"
check "one-line: options are skipped" \
    test "$OUT" = http://mirror.example/debian
run mirror_from_list buster "$WORK/a.list"
check "one-line: no line for the suite" test "$OUT" = ""

APT_MIRROR=file:/some/mirror run apt_private deb-src forky
conf=$OUT
check "a private configuration is made" test -f "$conf"
check "it has one source: suite, mirror and keyring" \
    test "$(cat "${conf%apt.conf}sources.list")" = \
    "deb-src [signed-by=$APT_KEYRING] file:/some/mirror forky main"
if have_apt; then
    run apt-config -c "$conf" shell lists Dir::State::lists/d
    check "apt keeps its lists of it below BUILD" \
        passed_with "$WORK/build/apt/forky-deb-src/lists"
fi

tap_end
