#!/bin/sh
# Makes OUT/tiny.img, a bootable raw disk of 1 MiB with the guest of tiny.asm. `build-tiny.sh OUT`; needs nasm.
set -eu
folder=$(dirname "$0")
out=$1
mkdir -p "$out"
# Made under another name first, so that builds beside each other and interrupted ones leave no half image.
part=$(mktemp "$out/tiny.XXXXXX")
trap 'rm -f "$part"' EXIT
nasm -f bin "$folder/tiny.asm" -o "$part"
truncate -s 1M "$part"
chmod 644 "$part"
mv "$part" "$out/tiny.img"
