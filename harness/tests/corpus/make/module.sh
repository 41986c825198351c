#!/bin/sh
# Builds crashes.ko: module.sh PACKAGES OUT, where PACKAGES is a root into which
# Debian's linux-headers, linux-kbuild and gcc packages have been unpacked. The
# root is laid over /usr in a mount namespace of its own; needs to be root.
set -e
packages=$(realpath "$1"); mkdir -p "$2"; out=$(realpath "$2"); here=$(dirname "$(realpath "$0")")
cp "$here/crashes.c" "$here/Kbuild" "$out"
exec unshare -m sh -ec '
mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr
headers=$(ls -d /usr/src/linux-headers-*[0-9]-*amd64 /usr/src/linux-headers-*-amd64 2>/dev/null | head -1)
exec make -s -C "$headers" M="$2" modules
' sh "$packages" "$out"
