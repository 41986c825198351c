use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;

pub(in super::super) const ROOT: [(&str, &str); 7] = [
    ("usr/lib/os-release", "ID=debian\n"),
    ("usr/bin/cloud-init", ""),
    ("usr/sbin/kdump-config", ""),
    ("boot/vmlinuz-6.1.0-9-amd64", "old"),
    ("boot/initrd.img-6.1.0-9-amd64", "old initrd"),
    ("boot/vmlinuz-6.1.0-10-amd64", "kernel"),
    ("boot/initrd.img-6.1.0-10-amd64", "initrd"),
];

/// An ext4 with these files, and /etc/os-release as a link to the real one.
pub(in super::super) fn filesystem(files: &[(&str, impl AsRef<[u8]>)]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    for (path, text) in files {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let disk = directory.path().join("disk");
    File::create(&disk).unwrap().set_len(4 << 20).unwrap();
    let output = Command::new("mke2fs")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-q", "-F", "-t", "ext4", "-U"])
        .arg("0b5d8a0e-1111-4222-8333-444455556666")
        .arg("-d")
        .args([&tree, &disk])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::read(&disk).unwrap()
}

/// A disk with an MBR and these partitions, of 4 MiB each.
fn partitioned(partitions: &[Vec<u8>]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (nth, partition) in partitions.iter().enumerate() {
        let entry = &mut disk[446 + 16 * nth..][..16];
        entry[4] = 0x83;
        let start = (1 + 4 * nth as u32) * 2048;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..].copy_from_slice(&(4u32 * 2048).to_le_bytes());
        disk.extend(partition);
    }
    disk
}

fn filled(disk: &[u8]) -> Result<(FoundRoot, Vec<u8>, String), String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("their.img");
    std::fs::write(&file, disk).unwrap();
    let staging = directory.path().join("staging");
    std::fs::create_dir(&staging).unwrap();
    let filled = fill("x", &file, &staging).map_err(|error| {
        let text = error.to_string();
        let prefix = format!("image x: {}: ", file.display());
        text.strip_prefix(&prefix)
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned()
    });
    let (found, kernel) = filled?;
    assert_eq!(found.at(&staging).disk, file);
    let initrd = std::fs::read_to_string(found.at(&staging).initrd).unwrap();
    Ok((found, kernel, initrd))
}

fn without(prefix: &str) -> Vec<u8> {
    let left = ROOT
        .into_iter()
        .filter(|(path, _)| !path.starts_with(prefix));
    filesystem(&left.collect::<Vec<_>>())
}

#[test]
fn the_newest_kernel_boots_the_partition_that_has_a_root() {
    let data = filesystem(&[("srv/data", "")]);
    let whole = filesystem(&ROOT);
    let disk = partitioned(&[data, whole.clone()]);
    let (found, kernel, initrd) = filled(&disk).unwrap();
    assert_eq!(found.partition, Some(2));
    assert_eq!(found.uuid, "0b5d8a0e-1111-4222-8333-444455556666");
    assert_eq!(found.service, KdumpService::KdumpTools);
    assert_eq!(
        (kernel.as_slice(), initrd.as_str()),
        (&b"kernel"[..], "initrd")
    );

    let copy = tempfile::tempfile().unwrap();
    copy.write_all_at(&disk, 0).unwrap();
    let copied = BlockDevice::whole(&copy).unwrap();
    let device = found.device(&copied).unwrap();
    let root = Target::open(&device).unwrap();
    assert!(root.open_dump("/boot/vmlinuz-6.1.0-10-amd64").is_ok());
    // The guest has thrown its partition away.
    copy.write_all_at(&[0; 16], 446 + 16).unwrap();
    let error = found.device(&copied).unwrap_err().to_string();
    assert!(error.contains("partition 2"), "{error}");

    assert_eq!(filled(&whole).unwrap().0.partition, None);
}

#[test]
fn a_partition_of_its_own_may_hold_the_kernel() {
    let boot = filesystem(&[
        ("vmlinuz-5.14.0-70.el9.x86_64", "kernel"),
        ("initramfs-5.14.0-70.el9.x86_64.img", "initrd"),
        ("vmlinuz-0-rescue-9a", "rescue"),
        ("initramfs-0-rescue-9a.img", "rescue"),
    ]);
    let root = filesystem(&[
        ("usr/lib/os-release", "ID=rhel\n"),
        ("usr/bin/cloud-init", ""),
        ("usr/bin/kdumpctl", ""),
        ("boot/README", ""),
    ]);
    let (found, kernel, initrd) = filled(&partitioned(&[boot, root])).unwrap();
    assert_eq!(
        (found.partition, found.service),
        (Some(2), KdumpService::Kdumpctl)
    );
    assert_eq!(
        (kernel.as_slice(), initrd.as_str()),
        (&b"kernel"[..], "initrd")
    );
}

#[test]
fn what_an_image_lacks_is_said() {
    let whole = filesystem(&ROOT);
    for (disk, wanted) in [
        (vec![0; 4096], "neither a qcow2 nor a raw disk"),
        (vec![], "neither a qcow2 nor a raw disk"),
        (b"QFI\xfb".to_vec(), "version 0"),
        (without("usr/lib"), "no partition holds a root file system"),
        (partitioned(&[vec![0; 4 << 20]]), "\n  partition 1: "),
        (
            partitioned(&[whole.clone(), whole]),
            "(partition 1, partition 2)",
        ),
        (without("usr/sbin/kdump"), "no kdump is installed"),
        (without("usr/bin/cloud"), "cloud-init, which"),
        (without("boot"), "has a kernel vmlinuz-VERSION"),
        (without("boot/initrd"), "initramfs (initrd.img-VERSION"),
    ] {
        let error = filled(&disk).unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}

#[test]
fn a_directory_or_a_pipe_is_no_image() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let mode = nix::sys::stat::Mode::S_IRUSR;
    nix::unistd::mkfifo(&pipe, mode).unwrap();
    for path in [directory.path(), &pipe] {
        let error = fill("x", path, directory.path()).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}

#[test]
fn versions_are_compared_as_numbers() {
    for (old, new) in [
        ("6.1.0-9-amd64", "6.1.0-10-amd64"),
        ("3.10.0-514.el7.x86_64", "3.10.0-1160.el7.x86_64"),
        ("5.14.0-70.el9", "5.14.0-70.1.el9"),
        ("6.1", "6.1.1"),
    ] {
        assert_eq!(by_version(old, new), Ordering::Less, "{old} {new}");
    }
    let names = ["vmlinuz-1", "vmlinuz", "config-2"].map(str::to_owned);
    assert_eq!(newest(&names), None);
}
