#!/bin/sh
# Runs cases: run.sh ROOT INITRAMFS OUT CASES [NAME...]; the environment's
# QEMU, MACHINE, CPU, CONSOLE and BUSYBOX suit another architecture.
# ROOT holds the linux-image package, unpacked. A line of CASES is
#   name | options | kernel arguments | commands in the guest
# with options kernels=12 (or 13) smp= mem= cpu= seconds= modules= (more of
# lists/), monitor=COMMAND (";" apart, "_" for a blank, after "monitor!" is
# seen), devices=many, initrd=none|broken, boots=2, machine=, keep= (bytes of the log).
root=$1; initramfs=$2; out=$3; cases=$4; shift 4
qemu=${QEMU:-qemu-system-x86_64}
kernel=$(ls "$root"/boot/vmlinuz-* | head -1)
busybox=$(ls "$root"/usr/bin/busybox "$root"/bin/busybox 2>/dev/null | head -1)
busybox=${BUSYBOX:-$busybox}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
truncate -s 64M "$work/disk"
many="-device nvme,serial=n1,drive=d1 -device e1000,netdev=n0 -device igb -device vmxnet3 -device rtl8139 -device ne2k_pci
-device qemu-xhci,id=xhci -device usb-kbd,bus=xhci.0 -device usb-tablet,bus=xhci.0 -device usb-storage,bus=xhci.0,drive=d2
-audiodev none,id=a0 -device ich9-intel-hda -device hda-duplex,audiodev=a0 -device megasas -device mptsas1068 -device lsi53c895a -device pvscsi
-device virtio-scsi-pci -device virtio-balloon-pci -device virtio-rng-pci -device virtio-serial-pci -device virtio-gpu-pci
-device i6300esb -device ich9-usb-ehci1 -device sdhci-pci -device pcie-root-port,id=rp1,chassis=1 -device e1000e,bus=rp1
-device ipmi-bmc-sim,id=bmc -device isa-ipmi-kcs,bmc=bmc -device edu
-drive file=$work/disk,format=raw,if=none,id=d1,snapshot=on -drive file=$work/disk,format=raw,if=none,id=d2,snapshot=on
-drive file=$work/disk,format=raw,if=none,id=d3,snapshot=on -device ide-hd,drive=d3,bus=ide.1 -device ide-cd,bus=ide.2 -netdev user,id=n0,restrict=on"

option() { echo " $options " | sed -n "s/.* $1=\([^ ]*\) .*/\1/p"; }
boot() {
	monitor=$(option monitor)
	( until grep -aq 'monitor!' "$1" 2>/dev/null; do sleep 0.3; done
	  echo "$monitor" | tr ';_' '\n ' | while read -r line; do echo "$line"; sleep 1; done
	  sleep "$seconds" ) > "$work/monitor" 2>/dev/null &
	feeder=$!
	timeout "$seconds" $qemu -nodefaults -display none -M "${MACHINE:-q35}$machine" -accel tcg,thread=multi -no-reboot \
		-cpu "$cpu" -smp "$smp" -m "$mem" -kernel "$kernel" $initrd -serial "file:$1" \
		-append "console=${CONSOLE:-ttyS0} $arguments" \
		-drive "file=$work/disk,format=raw,if=none,id=d0,snapshot=on" -device virtio-blk-pci,drive=d0 \
		-device virtio-net-pci $devices -monitor stdio < "$work/monitor" > "$work/qemu.out" 2>&1
	ended=$?
	kill "$feeder" 2>/dev/null
	[ $ended -eq 1 ] && cat "$work/qemu.out"
}

mkfifo "$work/monitor"
grep -v '^#' "$cases" | grep . | while IFS='|' read -r name options arguments commands; do
	name=$(echo $name); arguments=$(echo $arguments)
	[ $# -gt 0 ] && ! echo " $* " | grep -q " $name " && continue
	kernels=$(option kernels); smp=$(option smp); mem=$(option mem); cpu=$(option cpu); seconds=$(option seconds)
	case $kernels in ''|*"${KERNELS:-$(basename "$out" | sed 's/.*-//')}"*) ;; *) continue ;; esac
	machine=$(option machine); machine=${machine:+,$machine}
	smp=${smp:-1} mem=${mem:-512} cpu=${cpu:-${CPU:-qemu64}} seconds=${seconds:-60}; devices=
	[ "$(option devices)" = many ] && devices=$(echo $many)
	modules=$(option modules); [ -n "$modules" ] && arguments="$arguments modules=$modules"
	mkdir -p "$work/case.d"; printf '#!/bin/busybox sh\n%s\n' "$commands" > "$work/case.d/case"
	chmod +x "$work/case.d/case"
	(cd "$work/case.d" && echo case | "$busybox" cpio -o -H newc 2>/dev/null) > "$work/case.cpio"
	cat "$initramfs" "$work/case.cpio" > "$work/initrd"; initrd="-initrd $work/initrd"
	case $(option initrd) in
	none) initrd= ;;
	broken) gzip -1 < "$initramfs" | head -c 2500000 > "$work/initrd" ;;
	esac
	rm -f "$work/log"
	: > "$out/$name.log"
	for turn in $(seq "$(option boots | grep . || echo 1)"); do
		: > "$work/log"; boot "$work/log"; cat "$work/log" >> "$out/$name.log"
	done
	keep=$(option keep); [ -n "$keep" ] && truncate -s "<$keep" "$out/$name.log"
	echo "$(date +%T) $name $(wc -c < "$out/$name.log")"
done
