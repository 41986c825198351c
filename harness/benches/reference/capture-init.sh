#!/bin/busybox sh
# What one writes by hand: /init of the reference's capture kernel.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
# The driver finds its disk after insmod has returned.
tries=100
while [ ! -b /dev/nvme0n1 ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
mount -t ext4 /dev/nvme0n1 /mnt || poweroff -f
echo "kdump: saving vmcore"
makedumpfile -l -d 31 /proc/vmcore /mnt/vmcore && sync && echo "kdump: saving vmcore complete"
umount /mnt
poweroff -f
