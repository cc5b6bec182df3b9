# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Private apt configurations: one suite each, with lists and cache below
# $BUILD/apt, so that nothing of another suite can reach the machine's own
# package state. The mirror is the one that the machine's apt already uses;
# only the suite's name changes. Needs common.sh. No root needed.

APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

have_apt()
{
    command -v apt-get > /dev/null && command -v apt-config > /dev/null
}

os_release()
{
    # shellcheck source=/dev/null
    (. /etc/os-release && eval "printf '%s' \"\${$1:-}\"")
}

# mirror_from_list SUITE FILE: URI of the first "deb" line for SUITE
mirror_from_list()
{
    awk -v suite="$1" '
        $1 == "deb" || $1 == "deb-src" {
            sub(/^[ \t]*deb(-src)?[ \t]+/, "")
            sub(/^\[[^]]*\][ \t]*/, "")
            if ($2 == suite) { print $1; exit }
        }' "$2"
}

# mirror_from_sources SUITE FILE: the same from a deb822 file
mirror_from_sources()
{
    awk -v suite="$1" '
        function has(list, word,    i, n, w) {
            n = split(list, w, /[ \t]+/)
            for (i = 1; i <= n; i++)
                if (w[i] == word) return 1
            return 0
        }
        function finish(    w) {
            if (!found && has(f["suites"], suite) && f["uris"] != "" &&
                tolower(f["enabled"]) != "no" &&
                (has(f["types"], "deb") || has(f["types"], "deb-src"))) {
                sub(/^[ \t]+/, "", f["uris"])
                split(f["uris"], w, /[ \t]+/)
                print w[1]
                found = 1
            }
            delete f
            key = ""
        }
        /^#/ { next }
        /^[ \t]*$/ { finish(); next }
        /^[ \t]/ { if (key != "") f[key] = f[key] " " $0; next }
        {
            i = index($0, ":")
            if (i == 0) next
            key = tolower(substr($0, 1, i - 1))
            f[key] = substr($0, i + 1)
            sub(/^[ \t]+/, "", f[key])
        }
        END { finish() }' "$2"
}

# apt_mirror: URI of the mirror that serves this machine's own suite
apt_mirror()
{
    local suite list parts file uri
    if [ -n "${APT_MIRROR:-}" ]; then
        printf '%s\n' "$APT_MIRROR"
        return 0
    fi
    suite=$(os_release VERSION_CODENAME)
    list=$(apt-config shell v Dir::Etc::sourcelist/f)
    parts=$(apt-config shell v Dir::Etc::sourceparts/d)
    list=$(eval "$list"; printf '%s' "${v:-}")
    parts=$(eval "$parts"; printf '%s' "${v:-}")
    for file in "$list" "$parts"*.list "$parts"/*.list \
                "$parts"*.sources "$parts"/*.sources; do
        [ -f "$file" ] || continue
        case $file in
        *.sources) uri=$(mirror_from_sources "$suite" "$file") ;;
        *) uri=$(mirror_from_list "$suite" "$file") ;;
        esac
        if [ -n "$uri" ]; then
            printf '%s\n' "$uri"
            return 0
        fi
    done
    return 1
}

# apt_private TYPE SUITE: make the configuration, print its file's name
#
# TYPE is deb or deb-src.
apt_private()
{
    local type=$1 suite=$2 dir uri
    dir=$BUILD/apt/$suite-$type
    if ! uri=$(apt_mirror); then
        echo "apt's configuration names no Debian mirror for the suite" \
             "\"$(os_release VERSION_CODENAME)\"; give one with" \
             "APT_MIRROR=URI, or a QEMU source tree with QEMU_SRC=DIR" >&2
        return 1
    fi
    mkdir -p -- "$dir/lists/partial" "$dir/cache/archives/partial"
    printf '%s [signed-by=%s] %s %s main\n' \
        "$type" "$APT_KEYRING" "$uri" "$suite" > "$dir/sources.list"
    cat > "$dir/apt.conf" <<EOF
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Update::Post-Invoke-Success "";
Acquire::Languages "none";
Acquire::Retries "3";
EOF
    printf '%s\n' "$dir/apt.conf"
}

# apt_get_source SUITE PACKAGE DIR: download a source package into DIR
#
# apt checks the signature of the suite's index, and by it each file's hash.
apt_get_source()
{
    local conf tmp=$3.tmp
    conf=$(apt_private deb-src "$1") || return 1
    rm -rf -- "$tmp"
    mkdir -p -- "$tmp"
    # A stale or half-written index would only hide the real error.
    apt-get -c "$conf" update || return 1
    (cd -- "$tmp" && apt-get -c "$conf" source --download-only "$2") ||
        return 1
    rm -rf -- "$3"
    mv -- "$tmp" "$3"
}
