# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest's kernel and initramfs: a packaged kernel that is downloaded but never
# installed, the drivers that are wanted, busybox and programs of this machine.
# Sourced by the scripts that make guests, after common.sh and apt-private.sh.
# No root needed.

# kernel_package CONF PACKAGE: the kernel that PACKAGE, which has no version in
# its name, depends on; CONF is apt_private's
kernel_package()
{
    apt-cache -c "$1" depends "$2" |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# kernel_version NAME: the version in the name of a kernel's package
kernel_version()
{
    sed -n 's/^linux-image-\([0-9][0-9.]*\).*/\1/p' <<< "$1"
}

# fetch_kernel CONF NAME DIR: the kernel's packages, downloaded to DIR
#
# Newer ones are of several parts.
fetch_kernel()
{
    local part
    local -a parts
    mapfile -t parts < <(apt-cache -c "$1" depends "$2" | sed -n \
        's/^ *Depends: \(linux-\(base\|binary\|modules\)-[0-9].*\)$/\1/p')
    mkdir -p -- "$3"
    for part in "$2" "${parts[@]}"; do
        (cd -- "$3" && apt-get -c "$1" download "$part") || return
    done
}

# fetch_headers CONF NAME DIR: what modules for the kernel NAME are built with,
# downloaded to DIR
fetch_headers()
{
    local headers=${2/#linux-image-/linux-headers-} part
    local -a parts
    mapfile -t parts < <(apt-cache -c "$1" depends "$headers" | sed -n \
        's/^ *Depends: \(linux-\(headers\|kbuild\)-[0-9].*\)$/\1/p')
    mkdir -p -- "$3"
    for part in "$headers" "${parts[@]}"; do
        (cd -- "$3" && apt-get -c "$1" download "$part") || return
    done
}

# unpack_kernel DIR TREE: unpack the packages in DIR; sets KERNEL_RELEASE
unpack_kernel()
{
    local package
    local -a found
    for package in "$1"/*.deb; do
        dpkg-deb -x "$package" "$2" || return
    done
    if [ ! -e "$2/lib/modules" ]; then
        ln -s usr/lib "$2/lib"
    fi
    found=("$2"/lib/modules/*)
    KERNEL_RELEASE=${found[0]##*/}
    depmod -b "$2" "$KERNEL_RELEASE"
}

# take_kernel TREE OUT DRIVER...: the kernel and the drivers of an unpacked
# KERNEL_RELEASE, with the modules that these need, as OUT/vmlinuz and
# OUT/lib/modules; a driver that it lacks is left out
take_kernel()
{
    local tree=$1 out=$2 module file list=$2.modules from to
    shift 2
    from=$tree/lib/modules/$KERNEL_RELEASE
    to=$out/lib/modules/$KERNEL_RELEASE
    mkdir -p -- "$to"
    for module; do
        modprobe -d "$tree" -S "$KERNEL_RELEASE" --show-depends "$module" \
            2> /dev/null || true
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u > "$list"
    if ! grep -q '/virtio_net\.ko' "$list"; then
        echo "the kernel $KERNEL_RELEASE has no virtio_net driver" >&2
        return 1
    fi
    while read -r file; do
        module=${file##*/}
        module=$to/${module%%.ko*}.ko
        case $file in
        *.xz) xz -dc -- "$file" > "$module" ;;
        *.zst) zstd -qdc -- "$file" > "$module" ;;
        *) cp -- "$file" "$module" ;;
        esac || return
    done < "$list"
    rm -f -- "$list"
    cp -- "$from"/modules.{builtin,order} "$to/"
    depmod -b "$out" "$KERNEL_RELEASE"
    if [ -e "$from/vmlinuz" ]; then
        cp -- "$from/vmlinuz" "$out/vmlinuz"
    else
        cp -- "$tree/boot/vmlinuz-$KERNEL_RELEASE" "$out/vmlinuz"
    fi
}

# need_guest_programs NAME...: what making a guest, and its own programs, need
need_guest_programs()
{
    local program
    for program in busybox cpio depmod modprobe dpkg-deb "$@"; do
        if ! command -v "$program" > /dev/null; then
            die "making the test guest needs the program \"$program\"" \
                "scripts/deps demo installs what is missing."
        fi
    done
    if ldd "$(command -v busybox)" > /dev/null 2>&1; then
        die "$(command -v busybox) is not a static binary:" \
            "install busybox-static"
    fi
}

# add_program ROOT PATH: a program and the libraries it is linked with
add_program()
{
    local file
    cp -L -- "$2" "$1/bin/"
    while read -r file; do
        mkdir -p -- "$1/$(dirname -- "$file")"
        cp -L -- "$file" "$1/$file"
    done < <(ldd "$2" | grep -o '/[^ ]*' | sort -u)
}

# make_root ROOT KERNEL INIT PROGRAM...: a guest's files; KERNEL is
# take_kernel's OUT, the programs come instead of busybox's
make_root()
{
    local root=$1 kernel=$2 init=$3 applet program busybox
    shift 3
    busybox=$(command -v busybox)
    mkdir -p -- "$root"/{bin,usr/bin,proc,sys,dev,tmp,etc,lib}
    cp -L -- "$busybox" "$root/bin/busybox"
    for applet in $("$busybox" --list | grep -vx busybox); do
        ln -s busybox "$root/bin/$applet"
    done
    for program; do
        rm -f -- "$root/bin/$program"
        add_program "$root" "$(command -v "$program")"
    done
    cp -a -- "$kernel/lib/modules" "$root/lib/"
    install -m 755 -- "$init" "$root/init"
}

# pack_root ROOT ARCHIVE: as an initramfs
#
# Not compressed: QEMU loads it faster than an emulated CPU unpacks it.
pack_root()
{
    (cd -- "$1" && find . | cpio --quiet -o -H newc -R 0:0) > "$2.tmp" &&
        mv -f -- "$2.tmp" "$2"
}

# is_newer FILE INPUT...: does FILE exist, and none of the others after it?
is_newer()
{
    local file=$1 input
    shift
    [ -f "$file" ] || return 1
    for input; do
        if [ "$input" -nt "$file" ]; then
            return 1
        fi
    done
}
