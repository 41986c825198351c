use proptest::prelude::*;

use super::*;

fn shown(read: impl Fn(&Text<'_>) -> Storage, text: &str) -> Vec<String> {
    let storage = read(&Text {
        label: "file".into(),
        first: 1,
        text,
    });
    let edges = storage.edges.iter().map(|edge| {
        let Edge { from, to, by } = &edge.value;
        format!("{from} > {to} {by:?}")
    });
    let kinds = storage.filesystems.iter().map(|kind| {
        let (of, kind) = &kind.value;
        format!("{of} is {kind}")
    });
    edges.chain(kinds).collect()
}

#[test]
fn mounted() {
    for text in [
        "/dev/mapper/rhel-root on / type xfs (rw,relatime)\n",
        "/dev/mapper/rhel-root / xfs rw,relatime 0 0\nproc /proc proc rw 0 0\n",
        "# comment\n/dev/mapper/rhel-root   /   xfs   defaults 0 0\nnfs:/a /b nfs rw 0 0\n",
    ] {
        let expected = [
            "/ > /dev/mapper/rhel-root Mount",
            "/dev/mapper/rhel-root is xfs",
        ];
        assert_eq!(shown(mounts, text), expected);
    }
    let expected = ["/boot > UUID=1-2 Mount", "UUID=1-2 is ext4"];
    assert_eq!(
        shown(mounts, "UUID=\"1-2\" /boot ext4 defaults 1 2"),
        expected
    );
}

#[test]
fn block_devices() {
    let text = "\
NAME          MAJ:MIN RM  SIZE RO TYPE  MOUNTPOINT
sda             8:0    0  100G  0 disk
├─sda1          8:1    0    1G  0 part  /boot
└─sda2          8:2    0   99G  0 part
  ├─rhel-root 253:0    0   50G  0 lvm   /
  └─rhel-swap 253:1    0    4G  0 lvm   [SWAP]
sdb             8:16   0  1.8T  0 disk
`-mpatha      253:2    0  1.8T  0 mpath
  `-mpatha1   253:3    0  1.8T  0 part  /var/crash
";
    assert_eq!(
        shown(lsblk, text),
        [
            "/dev/sda1 > /dev/sda Partition",
            "/boot > /dev/sda1 Mount",
            "/dev/sda2 > /dev/sda Partition",
            "/dev/mapper/rhel-root > /dev/sda2 Lvm",
            "/ > /dev/mapper/rhel-root Mount",
            "/dev/mapper/rhel-swap > /dev/sda2 Lvm",
            "/dev/mapper/mpatha > /dev/sdb Multipath",
            "/dev/mapper/mpatha1 > /dev/mapper/mpatha Partition",
            "/var/crash > /dev/mapper/mpatha1 Mount",
        ]
    );
}

/// util-linux 2.37 and newer.
#[test]
fn several_places_of_one() {
    let text = "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS\nsda 8:0 0 9G 0 disk \n\
                └─sda2 8:2 0 9G 0 part /var\n                                 /home\n";
    assert_eq!(
        shown(lsblk, text),
        [
            "/dev/sda2 > /dev/sda Partition",
            "/var > /dev/sda2 Mount",
            "/home > /dev/sda2 Mount",
        ]
    );
}

#[test]
fn identified() {
    let text = "/dev/sda1: LABEL=\"my boot\" UUID=\"aa-bb\" TYPE=\"xfs\" PARTUUID=\"01\"\n";
    assert_eq!(
        shown(blkid, text),
        [
            "UUID=aa-bb > /dev/sda1 Name",
            "LABEL=my boot > /dev/sda1 Name",
            "PARTUUID=01 > /dev/sda1 Name",
            "/dev/sda1 is xfs",
        ]
    );
}

#[test]
fn volumes() {
    let text = "  PV         VG   Fmt  Attr PSize  PFree\n  /dev/sda2  rhel lvm2 a--  49.00g 4.00m\n  /dev/sdb        lvm2 ---  1.00g  1.00g\n";
    assert_eq!(shown(pvs, text), ["volume group rhel > /dev/sda2 Lvm"]);
    let text = "  LV      VG   Attr       LSize  Devices\n  root-a  rhel -wi-ao---- 45.00g /dev/sda2(0)\n  swap    rhel -wi-ao----  4.00g\n";
    assert_eq!(
        shown(lvs, text),
        [
            "/dev/rhel/root-a > /dev/mapper/rhel-root--a Name",
            "/dev/mapper/rhel-root--a > /dev/sda2 Lvm",
            "/dev/rhel/swap > /dev/mapper/rhel-swap Name",
            "/dev/mapper/rhel-swap > volume group rhel Lvm",
        ]
    );
}

#[test]
fn linked() {
    let text = "\
/sys/block:
total 0
lrwxrwxrwx. 1 0 0 0 Jan  1 00:00 dm-0 -> ../devices/virtual/block/dm-0
lrwxrwxrwx. 1 0 0 0 Jan  1 00:00 sda -> ../devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/host0/target0:2:0/0:2:0:0/block/sda

/dev/disk/by-uuid:
lrwxrwxrwx. 1 0 0 10 Jan  1 00:00 aa-bb -> ../../sda1

/dev/disk/by-path:
lrwxrwxrwx. 1 0 0 9 Jan  1 00:00 pci-0000:5e:00.0-sas-phy0-lun-0 -> ../../sdb
";
    assert_eq!(
        shown(links, text),
        [
            "/dev/sda > PCI 0000:5e:00.0 Adapter",
            "UUID=aa-bb > /dev/sda1 Name",
            "/dev/disk/by-uuid/aa-bb > /dev/sda1 Name",
            "/dev/disk/by-path/pci-0000:5e:00.0-sas-phy0-lun-0 > /dev/sdb Name",
            "/dev/sdb > PCI 0000:5e:00.0 Adapter",
        ]
    );
}

#[test]
fn several_paths() {
    let text = "\
mpatha (3600a098000aa) dm-2 DELL,MD36xxf
size=1.0T features='0' hwhandler='1 rdac' wp=rw
|-+- policy='round-robin 0' prio=14 status=active
| `- 1:0:0:1 sdb 8:16 active ready running
`-+- policy='round-robin 0' prio=9 status=enabled
  `- 2:0:0:1 sdc 8:32 active ready running
";
    assert_eq!(
        shown(multipath, text),
        [
            "/dev/dm-2 > /dev/mapper/mpatha Name",
            "/dev/mapper/mpatha > /dev/sdb Multipath",
            "/dev/mapper/mpatha > /dev/sdc Multipath",
        ]
    );
}

proptest! {
    #[test]
    fn any_text(text in "(NAME TYPE\n|/dev/|l|[ |`├└─-]{0,4}|/sys/block:\n|UUID=\"| -> |\\.\\./|pci-| dm-1 a,b|[a-z0-9:.é/()\"=, \n]{0,12}){0,30}") {
        for read in [mounts, lsblk, blkid, pvs, lvs, links, multipath] {
            shown(read, &text);
        }
    }
}
