//! Disks made by the programs of the shipped images, which are fetched if they are not there yet.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crashdrill::image::{Cache, Image, Manifest, Silent};
use crashdrill::kdump::conf::Filesystem;
use crashdrill::project::Project;
use crashdrill::target::{BlockDevice, Content, Format, Found, Target, filesystem, make_disk};
use crashdrill::units::Bytes;

const UUID: &str = "0123abcd-4567-489a-bcde-f0123456789a";
const UUID_BYTES: [u8; 16] = [
    0x01, 0x23, 0xab, 0xcd, 0x45, 0x67, 0x48, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a,
];

fn bytes<const N: usize>(disk: &File, at: u64) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    disk.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

#[test]
fn the_images_make_every_file_system_as_asked_for_and_as_3_10_mounts_it() {
    let project = Project::at(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    let cache = Cache::from_env().unwrap();
    let load = |name: &str| Manifest::load(&project.image(name));
    for image in ["debian-12", "debian-13"] {
        let image = Image::open(&load(image).unwrap(), &load, &cache, &Silent).unwrap();
        for (kind, mib, uuid_at, label_at) in [
            (Filesystem::Ext2, 8, 1024 + 0x68, 1024 + 0x78),
            (Filesystem::Ext3, 8, 1024 + 0x68, 1024 + 0x78),
            (Filesystem::Ext4, 8, 1024 + 0x68, 1024 + 0x78),
            (Filesystem::Xfs, 300, 32, 108),
            (Filesystem::Btrfs, 109, 0x1_0020, 0x1_0000 + 299),
        ] {
            let format = Format::new(kind)
                .uuid(UUID)
                .unwrap()
                .label("my-label")
                .unwrap();
            let size = Bytes(mib * Bytes::MIB);
            let command = |program: &str| image.userland.command(program);
            let disk = make_disk(size, &Content::Filesystem(format), command).unwrap();
            assert_eq!(disk.metadata().unwrap().len(), size.0);
            assert_eq!(bytes(&disk, uuid_at).unwrap(), UUID_BYTES, "{kind:?}");
            assert_eq!(bytes(&disk, label_at).unwrap(), *b"my-label\0", "{kind:?}");
            let device = BlockDevice::whole(&disk).unwrap();
            let found = filesystem(&device).unwrap();
            match kind {
                Filesystem::Xfs => {
                    assert_eq!(found, kind);
                    // Version 5; read-only features none, incompatible ones file types alone.
                    assert_eq!(bytes::<2>(&disk, 100).unwrap()[1] & 0xf, 5);
                    assert_eq!(bytes(&disk, 212).unwrap(), [0, 0, 0, 0, 0, 0, 0, 1]);
                }
                Filesystem::Btrfs => {
                    assert_eq!(found, kind);
                    // Compatible and read-only ones none; backrefs, big metadata, inode
                    // references. CRC-32C.
                    assert_eq!(bytes(&disk, 0x1_0000 + 172).unwrap(), [0; 16]);
                    let incompatible = u64::from_le_bytes(bytes(&disk, 0x1_0000 + 188).unwrap());
                    assert_eq!(incompatible & !0x61, 0, "{incompatible:#x}");
                    assert_eq!(bytes(&disk, 0x1_0000 + 196).unwrap(), [0, 0]);
                }
                _ => assert_eq!(found, Filesystem::Ext4),
            }
            let target = Target::open(&device).unwrap();
            assert_eq!(target.find_dumps("/").unwrap(), Found::default());
        }
    }
}
