#!/usr/bin/env bash
# Makes the disks of this directory, as root on a machine that can mount them (loop, xfs, btrfs),
# with xfsprogs, btrfs-progs, fdisk, qemu-utils and python3. The tests need none of that.
#
# xfs-dirty   xfs of version 5 as crashdrill makes it, synced and never unmounted: most of it is in
#             the log alone
# xfs-4       xfs of version 4, without file types, with directory blocks larger than blocks
# btrfs       compressed files, a subvolume that is the default one, small nodes
# gpt, mbr    partition tables
# qcow2-*     qcow2 of both versions, and with compressed clusters of both methods
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'umount -q "$work/mnt" || true; rm -rf "$work"' EXIT
mkdir "$work/mnt"

content() { python3 -c "import sys; sys.stdout.buffer.write(bytes(i // 7 % 251 for i in range($1)))"; }

fill() {
    cd "$work/mnt"
    local crash=var/crash/127.0.0.1-2026
    mkdir -p "$crash-01-01-00:00:00" "$crash-03-01-00:00:00" many
    content 5000 > "$crash-01-01-00:00:00/vmcore-incomplete"
    content 300001 > "$crash-03-01-00:00:00/vmcore"
    content 999 > "$crash-03-01-00:00:00/vmcore-dmesg.txt"
    ln -s var/crash crash
    ln -s "/$(printf './%.0s' $(seq 300))crash/../crash" long
    ln -s loop loop
    for i in $(seq 1000); do : > "many/a-file-with-a-longer-name-$i"; done
    rm many/*5
    content 1 > many/vmcore
    python3 - <<'P'
import os
pattern = lambda n: bytes(i // 7 % 251 for i in range(n))
def pieces(name, size, parts):
    file = os.open(name, os.O_RDWR | os.O_CREAT)
    if name == "unwritten": os.posix_fallocate(file, 0, size)
    os.ftruncate(file, size)
    for at in parts: os.pwrite(file, pattern(4096), at * 4096)
    os.close(file)
pieces("fragmented", 1200 * 4096, range(0, 1200, 2))
pieces("sparse", 100_000, [3])
pieces("unwritten", 100_000, [3])
P
    touch -d 2026-01-01 "$crash-01-01-00:00:00"
    touch -d 2026-03-01 "$crash-03-01-00:00:00"
    cd - > /dev/null
}

pack() { xz -9e --check=crc32 -c "$1" > "$2.xz"; }

truncate -s 24M "$work/xfs"
mkfs.xfs --unsupported -q -m crc=1,finobt=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0 \
    -i sparse=0,nrext64=0 "$work/xfs"
mount -o loop "$work/xfs" "$work/mnt"
fill
sync
cp --sparse=always "$work/xfs" "$work/dirty"
umount "$work/mnt"
pack "$work/dirty" xfs-dirty

content 300001 > "$work/vmcore"
{
    printf '/stand/diskboot\n0 0\nd--755 0 0\nvar d--755 0 0\ncrash d--755 0 0\n'
    printf 'vmcore ---644 0 0 %s\n$\n$\n' "$work/vmcore"
    printf 'crash l--777 0 0 var/crash\nlong l--777 0 0 %s\n' "/$(printf './%.0s' $(seq 300))crash/../crash"
    printf 'many d--755 0 0\n'
    for i in $(seq 1000); do printf 'a-file-with-a-longer-name-%s ---644 0 0 /dev/null\n' "$i"; done
    printf 'vmcore ---644 0 0 %s\n$\n$\n' "$work/vmcore"
} > "$work/proto"
truncate -s 20M "$work/xfs-4"
mkfs.xfs --unsupported -q -m crc=0 -n ftype=0,size=8192 -b size=1024 -p "$work/proto" "$work/xfs-4"
pack "$work/xfs-4" xfs-4

truncate -s 128M "$work/btrfs"
mkfs.btrfs -q -n 4096 "$work/btrfs"
mount -o loop "$work/btrfs" "$work/mnt"
btrfs -q subvolume create "$work/mnt/root"
btrfs -q subvolume set-default "$work/mnt/root"
umount "$work/mnt"
mount -o loop "$work/btrfs" "$work/mnt"
fill
for way in zlib lzo zstd; do
    for size in 2000 300001; do
        touch "$work/mnt/$way-$size"
        btrfs property set "$work/mnt/$way-$size" compression "$way"
        content "$size" > "$work/mnt/$way-$size"
    done
done
btrfs -q subvolume create "$work/mnt/sub"
content 3 > "$work/mnt/sub/vmcore"
umount "$work/mnt"
pack "$work/btrfs" btrfs

for table in gpt mbr; do
    truncate -s 8M "$work/$table"
    printf 'label: %s\nsize=1MiB\nsize=2MiB\n' "${table/mbr/dos}" | sfdisk -q "$work/$table"
    sfdisk -q --delete "$work/$table" 1
    pack "$work/$table" "$table"
done

python3 - "$work/plain" <<'END'
import sys
disk = bytearray(24 * 1024)
disk[0:5000] = (b"crashdrill fixture\n" * 300)[:5000]
state = 1
for at in range(12288, 13312):
    state = (state * 1103515245 + 12345) & 0x7fffffff
    disk[at] = (state >> 16) & 0xff
disk[24000:24007] = b"the end"
open(sys.argv[1], "wb").write(disk)
END
for way in \
    'v2 -o cluster_size=512,compat=0.10' \
    'v3 -o cluster_size=512' \
    'zlib -c -o cluster_size=2048' \
    'zstd -c -o cluster_size=2048,compression_type=zstd'; do
    set -- $way
    name=$1
    shift
    qemu-img convert -q -f raw -O qcow2 "$@" "$work/plain" "qcow2-$name.qcow2"
done
