use super::super::facts::{Facts, PciAddress};
use super::super::read_bytes;

/// A terminal's text with all of that.
fn facts(commands: &[(&str, &str)]) -> Facts {
    let text: String = commands
        .iter()
        .map(|(command, output)| format!("[root@host ~]# {command}\n{output}\n"))
        .collect();
    read_bytes("all.txt", text.as_bytes())
}

fn way(facts: &Facts) -> Vec<String> {
    let steps = &facts.target.as_ref().unwrap().steps;
    steps
        .iter()
        .map(|step| {
            format!(
                "{} > {} {:?}",
                step.value.from, step.value.to, step.value.by
            )
        })
        .collect()
}

fn functions(facts: &Facts) -> Vec<String> {
    let functions = &facts.target.as_ref().unwrap().functions;
    functions.iter().map(PciAddress::to_string).collect()
}

const CORE: &str = "path /var/crash\ncore_collector makedumpfile -l -d 31";
const LINKS: &str = "/sys/block:\nlrwxrwxrwx 1 0 0 0 Jan 1 00:00 sda -> ../devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/host0/block/sda";

#[test]
fn root_on_a_volume() {
    let facts = facts(&[
        ("cat /etc/kdump.conf", CORE),
        (
            "mount",
            "/dev/mapper/rhel-root on / type xfs (rw)\n/dev/sda1 on /boot type ext4 (rw)",
        ),
        (
            "lvs",
            "  LV  VG  Attr  Devices\n  root rhel -wi-ao---- /dev/sda2(0)",
        ),
        ("ls -l /sys/block", LINKS),
    ]);
    assert_eq!(
        way(&facts),
        [
            "/var/crash > /dev/mapper/rhel-root Mount",
            "/dev/mapper/rhel-root > /dev/sda2 Lvm",
            "/dev/sda2 > /dev/sda Partition",
            "/dev/sda > PCI 0000:5e:00.0 Adapter",
        ]
    );
    assert_eq!(functions(&facts), ["0000:5e:00.0"]);
    let target = facts.target.unwrap();
    assert_eq!(target.filesystem.unwrap().value, "xfs");
    assert_eq!(target.given, None);
    assert_eq!(target.source.to_string(), "all.txt (cat /etc/kdump.conf)");
}

#[test]
fn by_uuid_over_two_paths() {
    let facts = facts(&[
        ("cat /etc/kdump.conf", &format!("xfs UUID=aa-bb\n{CORE}")),
        ("blkid", "/dev/mapper/mpatha: UUID=\"aa-bb\" TYPE=\"xfs\""),
        (
            "multipath -ll",
            "mpatha (36) dm-2 DELL,MD\n| `- 1:0:0:1 sdb 8:16 active\n  `- 2:0:0:1 sdc 8:32 active",
        ),
        (
            "ls -l /dev/disk/by-path",
            "/dev/disk/by-path:\nlrwxrwxrwx 1 0 0 9 Jan 1 00:00 pci-0000:5e:00.0-fc-lun-0 -> ../../sdb\nlrwxrwxrwx 1 0 0 9 Jan 1 00:00 pci-0000:5e:00.1-fc-lun-0 -> ../../sdc",
        ),
    ]);
    assert_eq!(functions(&facts), ["0000:5e:00.0", "0000:5e:00.1"]);
    assert_eq!(way(&facts).len(), 5);
}

#[test]
fn the_only_adapter() {
    let facts = |more: &str| {
        facts(&[
            (
                "cat /etc/kdump.conf",
                &format!("ext4 /dev/nvme0n1p2\n{CORE}"),
            ),
            (
                "lspci -nn",
                &format!("01:00.0 0108: 8086:0a54\n00:1f.2 0106: 8086:2922\n{more}"),
            ),
        ])
    };
    let one = facts("");
    assert_eq!(
        way(&one),
        [
            "/dev/nvme0n1p2 > /dev/nvme0n1 Partition",
            "/dev/nvme0n1 > PCI 0000:01:00.0 Adapter",
        ]
    );
    let two = facts("02:00.0 0108: 8086:0a54\n");
    assert_eq!(functions(&two), Vec::<String>::new());
    let note = two
        .notes
        .iter()
        .find(|note| note.text.contains("/dev/nvme0n1"));
    assert!(
        note.unwrap()
            .text
            .contains("no file says on which PCI device")
    );
}

#[test]
fn over_the_network_and_of_others() {
    let remote = facts(&[("cat /etc/kdump.conf", &format!("nfs filer:/crash\n{CORE}"))]);
    let target = remote.target.unwrap();
    assert!(target.given.unwrap().is_remote());
    assert!(target.steps.is_empty());
    let debian = facts(&[
        (
            "cat /etc/default/kdump-tools",
            "USE_KDUMP=1\nKDUMP_COREDIR=\"/crash\"",
        ),
        ("mount", "/dev/vda1 on / type ext4 (rw)"),
        ("lspci -nn", "00:04.0 0100: 1af4:1001"),
    ]);
    assert_eq!(functions(&debian), ["0000:00:04.0"]);
    let suse = facts(&[
        (
            "cat /etc/sysconfig/kdump",
            "KDUMP_CPUS=1\nKDUMP_SAVEDIR=\"file:///data/crash\"",
        ),
        (
            "mount",
            "/dev/sda3 on /data type btrfs (rw)\n/dev/sdb1 on / type btrfs (rw)",
        ),
        ("ls -l /sys/block", LINKS),
    ]);
    assert_eq!(functions(&suse), ["0000:5e:00.0"]);
}

/// Things that lie on one another, and a directory that is nowhere.
#[test]
fn no_end_and_no_beginning() {
    let circle = facts(&[
        ("cat /etc/kdump.conf", &format!("xfs /dev/mapper/a\n{CORE}")),
        (
            "multipath -ll",
            "a (36) dm-2 X,Y\n`- 1:0:0:1 mapper/b 8:16 active\nb (37) dm-3 X,Y\n`- 1:0:0:1 mapper/a 8:16 active",
        ),
    ]);
    assert!(functions(&circle).is_empty());
    let nowhere = facts(&[("cat /etc/kdump.conf", CORE)]);
    assert!(way(&nowhere).is_empty());
}

/// What Ubuntu's installer writes into fstab is a name that only udev knows.
#[test]
fn another_file_knows_the_name() {
    let links = "/sys/block:\nlrwxrwxrwx 1 0 0 0 Jan 1 00:00 nvme0n1 -> \
                 ../devices/pci0000:c0/0000:c0:03.3/0000:c2:00.0/nvme/nvme0/nvme0n1";
    let facts = facts(&[
        (
            "cat /etc/default/kdump-tools",
            "USE_KDUMP=1\nKDUMP_COREDIR=\"/var/crash\"",
        ),
        (
            "cat /etc/fstab",
            "/dev/disk/by-id/dm-uuid-LVM-8h3kq2Abc / ext4 defaults 0 1",
        ),
        (
            "lsblk",
            "NAME                      MAJ:MIN RM   SIZE RO TYPE MOUNTPOINTS\n\
             nvme0n1                   259:0    0 894.3G  0 disk \n\
             └─nvme0n1p3               259:3    0 891.2G  0 part \n\
            \u{20} └─ubuntu--vg-ubuntu--lv 253:0    0   100G  0 lvm  /",
        ),
        ("ls -l /sys/block", links),
    ]);
    assert_eq!(functions(&facts), ["0000:c2:00.0"]);
    assert_eq!(
        facts.target.unwrap().steps[0].value.to,
        "/dev/mapper/ubuntu--vg-ubuntu--lv"
    );
}

/// The partition is a mapped device as well.
#[test]
fn a_partition_of_a_multipath_device() {
    let facts = facts(&[
        (
            "cat /etc/kdump.conf",
            &format!("xfs /dev/mapper/mpathb1\n{CORE}"),
        ),
        (
            "lsblk",
            "NAME          MAJ:MIN RM  SIZE RO TYPE  MOUNTPOINT\n\
             sda             8:16 0  100G  0 disk  \n\
             └─mpathb      253:1  0  100G  0 mpath \n\
            \u{20} └─mpathb1   253:5  0  100G  0 part  /dump",
        ),
        ("ls -l /sys/block", LINKS),
    ]);
    assert_eq!(functions(&facts), ["0000:5e:00.0"]);
}

/// The kernel's own multipath: what is mounted is below no function.
#[test]
fn a_namespace_with_paths() {
    let links = "/sys/block:\n\
        lrwxrwxrwx 1 0 0 0 Jan 1 00:00 nvme0c0n1 -> ../devices/pci0000:30/0000:30:02.0/0000:31:00.0/nvme/nvme0/nvme0c0n1\n\
        lrwxrwxrwx 1 0 0 0 Jan 1 00:00 nvme0n1 -> ../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1\n\
        lrwxrwxrwx 1 0 0 0 Jan 1 00:00 nvme1c1n1 -> ../devices/pci0000:30/0000:30:03.0/0000:32:00.0/nvme/nvme1/nvme1c1n1";
    let facts = facts(&[
        ("cat /etc/kdump.conf", CORE),
        ("mount", "/dev/nvme0n1p2 on / type xfs (rw,relatime)"),
        ("ls -l /sys/block", links),
    ]);
    assert_eq!(functions(&facts), ["0000:31:00.0"]);
}

/// `lvs` as sosreports have it, of a group on two adapters' disks.
#[test]
fn a_volume_on_one_of_two_disks() {
    let facts = facts(&[
        ("cat /etc/kdump.conf", CORE),
        ("mount", "/dev/mapper/rhel-root on / type xfs (rw,relatime)"),
        (
            "lvs -a -o +lv_tags,devices",
            "  LV   VG   Attr       LSize  Pool LV Tags Devices      KRahead Rahead #Str Stripe\n  \
             root rhel -wi-ao---- 50.00g              /dev/sda2(0) 128.00k auto      1     0",
        ),
        (
            "pvs",
            "  PV         VG   Fmt  Attr PSize  PFree\n  /dev/sda2  rhel lvm2 a--  1.00t    0\n  \
             /dev/sdb1  rhel lvm2 a--  1.00t    0",
        ),
        (
            "ls -l /sys/block",
            &format!(
                "{LINKS}\nlrwxrwxrwx 1 0 0 0 Jan 1 00:00 sdb -> ../devices/pci0000:00/0000:00:17.0/ata1/host1/block/sdb"
            ),
        ),
    ]);
    assert_eq!(functions(&facts), ["0000:5e:00.0"]);
}

/// As SUSE and Debian call partitions of a multipath device, and others one whose name ends in a digit.
#[test]
fn a_partition_that_only_its_name_tells() {
    for (map, partition) in [
        ("36001438009b0", "36001438009b0-part2"),
        ("36001438009b0", "36001438009b0p2"),
        ("mpatha", "mpatha2"),
    ] {
        let facts = facts(&[
            ("cat /etc/kdump.conf", CORE),
            (
                "mount",
                &format!("/dev/mapper/{partition} on / type xfs (rw,relatime)"),
            ),
            (
                "multipath -ll",
                &format!(
                    "{map} (36001438009b0) dm-0 HP,HSV450\nsize=200G\n`-+- policy='service-time 0'\n  \
                     `- 1:0:0:1 sda 8:0   active ready running"
                ),
            ),
            ("ls -l /sys/block", LINKS),
        ]);
        assert_eq!(functions(&facts), ["0000:5e:00.0"], "{partition}");
    }
}
