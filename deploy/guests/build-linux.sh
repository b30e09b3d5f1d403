#!/bin/sh
# Makes OUT/vmlinuz and OUT/initrd.gz: a small Linux guest of Debian's cloud kernel, busybox and the QEMU guest agent.
# `build-linux.sh OUT`; what is there already is kept. Needs busybox-static, cpio, kmod and access to a Debian mirror.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
out=$1
modules="virtio_pci virtio_blk virtio_scsi sd_mod virtio_net virtio_console button evdev qemu_fw_cfg pvpanic-mmio pvpanic-pci"

fail() {
    echo "build-linux: $1" >&2
    exit 1
}

for command in busybox cpio modprobe dpkg-deb apt-get; do
    command -v "$command" >/dev/null || fail "there is no $command here; install busybox-static, cpio and kmod."
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -s "$out/vmlinuz" ] && [ -s "$out/initrd.gz" ] && [ "$out/initrd.gz" -nt "$folder/linux-init" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"

# ---- packages ----
kernel_package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
[ -n "$kernel_package" ] || fail "apt knows no linux-image-cloud-amd64; run apt-get update."
apt-get download -qq "$kernel_package" qemu-guest-agent >download.log 2>&1 || fail "the packages could not be had: $(cat download.log)"
for package in ./*.deb; do
    dpkg-deb -x "$package" packages
done
version=$(ls packages/lib/modules)
depmod -b packages "$version"

# ---- the root file system ----
mkdir -p root/bin root/dev root/proc root/sys root/run root/tmp root/sbin root/usr/sbin root/var/run root/etc/acpi/PWRF root/modules
cp "$(command -v busybox)" root/bin/busybox
ln -s busybox root/bin/sh
cp "$folder/linux-init" root/init
cp "$folder/linux-power-off" root/sbin/shutdown
cp "$folder/linux-power-off" root/etc/acpi/PWRF/00000080
chmod +x root/init root/sbin/shutdown root/etc/acpi/PWRF/00000080
cp packages/usr/sbin/qemu-ga root/usr/sbin/
# The agent's libraries are those of this machine, at the paths at which its loader looks for them.
ldd root/usr/sbin/qemu-ga >libraries || fail "this machine lacks libraries of the guest agent; install libglib2.0-0 libnuma1 liburing2."
grep -q 'not found' libraries && fail "this machine lacks libraries of the guest agent: $(grep 'not found' libraries)"
sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' libraries | while read -r library; do
    mkdir -p "root$(dirname "$library")"
    cp -L "$library" "root$library"
done

# ---- modules, in an order in which each finds what it needs ----
for module in $modules; do
    modprobe -d "$work/packages" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >insmod.order
while read -r module; do
    cp "$module" root/modules/
    basename "$module"
done <insmod.order >root/modules/order

(cd root && find . | cpio -o -H newc --quiet | gzip -1) >"$out/initrd.part"
cp "packages/boot/vmlinuz-$version" "$out/vmlinuz.part"
mv "$out/vmlinuz.part" "$out/vmlinuz"
mv "$out/initrd.part" "$out/initrd.gz"
