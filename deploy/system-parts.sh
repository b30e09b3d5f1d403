#!/bin/sh
# Installs what is not Python's: `system-parts.sh machines` what virtual machines need, `system-parts.sh tests` what only the
# tests of disks and guests need. Where it may not install, it says what is missing; the rest works without.
set -eu

# command or library=Debian package that has it
machines="qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils qemu-storage-daemon=qemu-system-common nasm=nasm
    libiscsi.so=libiscsi7"
tests="tgtd=tgt busybox=busybox-static cpio=cpio modprobe=kmod e2fsck=e2fsprogs losetup=mount"

is_there() {
    case $1 in
    *.so) /sbin/ldconfig -p 2>/dev/null | grep -q "$1" ;;
    *) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null ;;
    esac
}

missing_packages() {
    for part in "$@"; do
        is_there "${part%%=*}" || echo "${part#*=}"
    done
}

install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "installing system packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update >/dev/null 2>&1
    apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1
}

case $1 in
machines) parts=$machines ;;
tests) parts="$machines $tests" ;;
*) echo "usage: system-parts.sh machines|tests" >&2; exit 64 ;;
esac
# shellcheck disable=SC2086  # the lists are words
missing=$(missing_packages $parts)
[ -n "$missing" ] || exit 0
case $missing in *qemu*) missing="$missing qemu-block-extra seabios" ;; esac
# shellcheck disable=SC2086
install $missing || echo "not installed, so what needs them is left out: $(echo $missing) (as root: apt-get install …)"
