use super::*;

const GPT: &[u8] = include_bytes!("../../../tests/disks/gpt.xz");
const MBR: &[u8] = include_bytes!("../../../tests/disks/mbr.xz");

fn found(disk: &File) -> Result<Vec<(u32, u64)>, TargetError> {
    let found = partitions(&BlockDevice::whole(disk).unwrap())?;
    let found = found
        .iter()
        .map(|partition| (partition.number, partition.device.len()));
    Ok(found.collect())
}

#[test]
fn partitions_are_found_and_are_devices() {
    for table in [GPT, MBR] {
        let disk = fixture(table);
        assert_eq!(found(&disk).unwrap(), [(2, 2 * Bytes::MIB)]);
        // The second begins at 2 MiB.
        let mut filesystem = vec![0; 2 << 20];
        FileExt::read_exact_at(&make(Filesystem::Ext4, 2), &mut filesystem, 0).unwrap();
        disk.write_all_at(&filesystem, 2 << 20).unwrap();
        let whole = BlockDevice::whole(&disk).unwrap();
        assert_eq!(super::filesystem(&whole), None);
        let partition = &partitions(&whole).unwrap()[0].device;
        assert_eq!(super::filesystem(partition), Some(Filesystem::Ext4));
        let found = Target::open(partition).unwrap().find_dumps("/").unwrap();
        assert_eq!(found, Found::default());
        let mut beyond = [0];
        assert!(
            partition
                .read_exact_at(partition.len(), &mut beyond)
                .is_err()
        );
    }
}

#[test]
fn a_disk_without_a_table_has_no_partitions() {
    let disk = tempfile::tempfile().unwrap();
    assert_eq!(found(&disk).unwrap(), []);
    disk.set_len(Bytes::MIB).unwrap();
    assert_eq!(found(&disk).unwrap(), []);
}

#[test]
fn the_copy_of_a_gpt_stands_in_for_a_damaged_one() {
    let disk = fixture(GPT);
    disk.write_all_at(&[0xff; 512], 1024).unwrap();
    assert_eq!(found(&disk).unwrap(), [(2, 2 * Bytes::MIB)]);
    disk.write_all_at(&[0xff; 8], disk.metadata().unwrap().len() - 512)
        .unwrap();
    let error = found(&disk).unwrap_err().to_string();
    assert!(error.contains("neither copy of its GPT"), "{error}");
}

#[test]
fn a_partition_behind_the_end_is_refused() {
    let disk = fixture(MBR);
    disk.write_all_at(&[0xff; 4], 446 + 16 + 12).unwrap();
    let error = found(&disk).unwrap_err().to_string();
    assert!(
        error.contains("partition 2 ends behind the disk of 8388608 bytes"),
        "{error}"
    );
}

#[test]
fn uuids_are_those_of_blkid() {
    let uuid = "12345678-9abc-def0-1234-56789abcdef0";
    let format = Format::new(Filesystem::Ext4).uuid(uuid).unwrap();
    let content = Content::Filesystem(format);
    let ext = make_disk(Bytes(2 * Bytes::MIB), &content, host).unwrap();
    for (disk, wanted) in [
        (ext, Some(uuid)),
        (
            fixture(xfs::VERSION_4),
            Some("ec263e11-3ab0-4998-8e98-c3dc506df8c0"),
        ),
        (
            fixture(btrfs::BTRFS),
            Some("6a097851-14e3-489e-81d8-c16b330df0f3"),
        ),
        (fixture(GPT), None),
    ] {
        let device = BlockDevice::whole(&disk).unwrap();
        assert_eq!(filesystem_uuid(&device).as_deref(), wanted);
    }
}
