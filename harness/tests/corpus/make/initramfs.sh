#!/bin/sh
# Makes an initramfs: initramfs.sh ROOT CRASHES_KO OUT [LIST...], with the
# modules of those lists/ (all). ROOT holds Debian's linux-image and busybox-static packages,
# unpacked; for another architecture, BUSYBOX= is one that runs here.
set -e
root=$(realpath "$1"); ko=$(realpath "$2"); out=$(realpath "$3"); shift 3; here=$(dirname "$(realpath "$0")")
busybox=$(ls "$root"/usr/bin/busybox "$root"/bin/busybox 2>/dev/null | head -1)
guest_busybox=$busybox; busybox=${BUSYBOX:-$busybox}
tree=$(ls -d "$root"/usr/lib/modules/* "$root"/lib/modules/* 2>/dev/null | head -1)
version=$(basename "$tree")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/lib/modules/$version"
cp "$guest_busybox" "$work/bin/busybox"
cp "$here/init" "$work/init"; chmod +x "$work/init"
cp -r "$here/lists" "$work/lists"
cp "$tree/modules.order" "$tree/modules.builtin" "$tree/modules.builtin.modinfo" "$work/lib/modules/$version/"
all=$(mktemp -d); mkdir -p "$all/lib/modules"; cp -r "$tree" "$all/lib/modules/"
find "$all" -name '*.ko.xz' -exec xz -d {} +
"$busybox" depmod -b "$all" "$version"
# What the lists ask for, and what that depends on (by module name, - as _).
[ $# -eq 0 ] && set -- base many
wanted=$(cd "$here/lists" && cat "$@" | tr ' -' '\n_' | sort -u); last=
while [ "$wanted" != "$last" ]; do
	last=$wanted
	wanted=$( (echo "$last"; awk -v want="$last" '
		BEGIN { n = split(want, w, "\n"); for (i = 1; i <= n; i++) is[w[i]] = 1 }
		{ name = $1; sub(/.*\//, "", name); sub(/\.ko:$/, "", name); gsub(/-/, "_", name)
		  if (is[name]) { $1 = ""; print } }' "$all/lib/modules/$version/modules.dep" |
		sed 's/\.ko /.ko\n/g' | sed 's:.*/::; s/\.ko$//' | tr - _) | sed '/^ *$/d' | sort -u)
done
find "$all" -name '*.ko' | while read -r module; do
	name=$(basename "$module" .ko | tr - _)
	echo "$wanted" | grep -qx "$name" || continue
	inside=${module#"$all"/}
	mkdir -p "$work/$(dirname "$inside")"; cp "$module" "$work/$inside"
done
if [ -z "$BUSYBOX" ]; then
	cc -O1 -static -nostdlib -fno-pie -no-pie -o "$work/traps" "$here/traps.c"
	objcopy --strip-debug "$ko" "$work/crashes.ko"
else
	cp "$ko" "$work/crashes.ko"
fi
rm -rf "$all"
"$busybox" depmod -b "$work" "$version"
(cd "$work" && find . | "$busybox" cpio -o -H newc 2>/dev/null) > "$out"
