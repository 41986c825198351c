use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const EXT: [Filesystem; 3] = [Filesystem::Ext2, Filesystem::Ext3, Filesystem::Ext4];

#[test]
fn an_empty_disk_of_any_size_and_kind_holds_no_dumps() {
    for size in [1, 8, 64, 4096] {
        for ext in EXT {
            let disk = make(ext, size);
            assert_eq!(disk.metadata().unwrap().len(), size * Bytes::MIB);
            assert_eq!(find_dumps(&disk, "/").unwrap(), []);
            assert_eq!(find_dumps(&disk, "/var/crash").unwrap(), []);
        }
    }
}

#[test]
fn no_feature_that_a_3_10_kernel_lacks() {
    let disk = make(Filesystem::Ext4, 64);
    let mut features = [0; 12];
    FileExt::read_exact_at(&disk, &mut features, 1024 + 0x5c).unwrap();
    let word = |at: usize| u32::from_le_bytes(features[at..at + 4].try_into().unwrap());
    // has_journal, ext_attr, dir_index
    assert_eq!(word(0) & !0x2c, 0);
    // filetype, extent, flex_bg
    assert_eq!(word(4), 0x242);
    // sparse_super, large_file, huge_file, uninit_bg, dir_nlink, extra_isize
    assert_eq!(word(8) & !0x7b, 0);
}

/// This file, for another program.
fn path_of(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Runs debugfs (e2fsprogs) on the disk: one command a line. Gives what it prints.
fn debugfs(disk: &File, commands: &str) -> String {
    let script = file_of(commands.as_bytes());
    let output = Command::new("debugfs")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-w", "-f", &path_of(&script), &path_of(disk)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let says = String::from_utf8(output.stdout).unwrap();
    assert!(!says.contains("not found"), "{says}");
    says
}

fn block_of(disk: &File, path: &str) -> u64 {
    let says = debugfs(disk, &format!("blocks {path}\n"));
    says.lines().last().unwrap().trim().parse().unwrap()
}

#[test]
fn dumps_are_found_newest_directory_first() {
    for ext in EXT {
        let disk = make(ext, 16);
        let source = file_of(b"dump");
        let mut script = String::from("mkdir /var\nmkdir /var/crash\n");
        for (directory, time) in [
            ("old", "20260101"),
            ("new", "20260301"),
            ("mid", "20260201"),
        ] {
            script += &format!("mkdir /var/crash/{directory}\ncd /var/crash/{directory}\n");
            for name in [
                "vmcore-incomplete",
                "vmcore",
                "vmcore-dmesg.txt",
                "kexec-dmesg.log",
            ] {
                script += &format!("write {} {name}\n", path_of(&source));
            }
            script += &format!("set_inode_field /var/crash/{directory} mtime {time}\n");
        }
        script +=
            "symlink vmcore-link vmcore\ncd /\nsymlink loop /loop\nsymlink crash /var/crash\n";
        debugfs(&disk, &script);
        let expected = ["new", "mid", "old"].map(|directory| {
            ["vmcore", "vmcore-incomplete"].map(|name| format!("/var/crash/{directory}/{name}"))
        });
        assert_eq!(paths(&disk, "/var/crash"), expected.concat());
        assert_eq!(paths(&disk, "/crash/"), expected.concat());
        assert!(find_dumps(&disk, "/loop").is_err());
        let dump = &find_dumps(&disk, "/var/crash/mid").unwrap()[0];
        assert_eq!((dump.name.as_str(), dump.bytes), ("vmcore", 4));
    }
}

#[test]
fn a_dump_reads_back_as_it_was_written_from_any_offset() {
    let bytes = content(3_000_001);
    for ext in EXT {
        let disk = make(ext, 16);
        let source = file_of(&bytes);
        debugfs(&disk, &format!("write {} vmcore\n", path_of(&source)));
        let reader = open(&disk).unwrap().open_dump("/vmcore").unwrap();
        assert_eq!(reader.len(), bytes.len() as u64);
        let mut whole = vec![0; bytes.len()];
        reader.read_exact_at(0, &mut whole).unwrap();
        assert!(whole == bytes);
        for offset in [2_999_999, 131_071, 0, 1_500_000, 262_143, 2_000_000] {
            let mut two = [0; 2];
            reader.read_exact_at(offset, &mut two).unwrap();
            assert_eq!(two, bytes[offset as usize..offset as usize + 2]);
        }
        for (offset, length) in [(3_000_000, 2), (u64::MAX, 1), (3_000_001, 1)] {
            let error = reader
                .read_exact_at(offset, &mut vec![0; length])
                .unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn what_only_the_journal_knows_is_found() {
    for ext in [Filesystem::Ext3, Filesystem::Ext4] {
        let disk = make(ext, 16);
        let source = file_of(&content(4096));
        debugfs(
            &disk,
            &format!(
                "mkdir /var\nwrite {0} vmcore\ncd /var\nwrite {0} vmcore\n",
                path_of(&source)
            ),
        );
        let directory = block_of(&disk, "/var");
        let data = block_of(&disk, "/var/vmcore");
        let mut newest = vec![0; 4096];
        FileExt::read_exact_at(&disk, &mut newest, directory * 4096).unwrap();
        // On the disk the directory is still empty; the journal has the entry, and newer data
        // that begins like one of the journal's own blocks.
        let mut old = newest.clone();
        old[16..18].copy_from_slice(&4084u16.to_le_bytes());
        disk.write_all_at(&old, directory * 4096).unwrap();
        assert!(paths(&disk, "/var").is_empty());
        let mut escaped = content(4096);
        escaped[..4].copy_from_slice(&0xc03b_3998u32.to_be_bytes());
        let (entry, first, second) = (file_of(&newest), file_of(&escaped), file_of(&[9; 4096]));
        debugfs(
            &disk,
            &format!(
                "jo\njw -b {data} {}\njw -b {directory} {}\njw -b {data} {}\njc\n",
                path_of(&second),
                path_of(&entry),
                path_of(&first),
            ),
        );
        assert_eq!(paths(&disk, "/var"), ["/var/vmcore"]);
        let reader = open(&disk).unwrap().open_dump("/var/vmcore").unwrap();
        let mut bytes = vec![0; 4096];
        reader.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == escaped);

        // A transaction that revokes the block, and one that was never committed.
        debugfs(&disk, &format!("jo\njw -r {data}\njc\n"));
        debugfs(
            &disk,
            &format!("jo\njw -c -b {directory} {}\njc\n", path_of(&file_of(&old))),
        );
        let target = open(&disk).unwrap();
        assert_eq!(target.find_dumps("/var").unwrap().dumps.len(), 1);
        let reader = target.open_dump("/var/vmcore").unwrap();
        reader.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == content(4096));
    }
}

#[test]
fn a_file_larger_than_its_disk_is_refused() {
    let disk = make(Filesystem::Ext4, 8);
    let source = file_of(b"dump");
    let script = format!(
        "write {} vmcore\nset_inode_field /vmcore size 0x10000000000\n",
        path_of(&source)
    );
    debugfs(&disk, &script);
    let target = open(&disk).unwrap();
    let error = target.open_dump("/vmcore").err().unwrap().to_string();
    assert!(error.contains("1099511627776 bytes"), "{error}");
    assert!(matches!(
        target.open_dump("/none"),
        Err(TargetError::NotFound(_))
    ));
    assert!(target.open_dump("/lost+found").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_to_the_file_system_never_panics(
        damage in proptest::collection::vec((0..3usize, any::<Index>(), any::<[u8; 4]>()), 1..10),
    ) {
        let disk = DAMAGED.lock().unwrap();
        let (disk, used) = &*disk;
        let mut before = Vec::new();
        for (kind, at, bytes) in damage {
            // The superblock and group descriptors, or any block that is not empty.
            let at = match kind {
                0 => 1024 + at.index(1020) as u64,
                1 => 4096 + at.index(60) as u64,
                _ => used[at.index(used.len())] * 4096 + at.index(4092) as u64,
            };
            let mut old = [0; 4];
            FileExt::read_exact_at(disk, &mut old, at).unwrap();
            before.push((at, old));
            disk.write_all_at(&bytes, at).unwrap();
        }
        if let Ok(target) = open(disk) {
            let found = target.find_dumps("/").unwrap_or_default().dumps;
            for file in found.iter().take(8) {
                if let Ok(reader) = target.open_dump(&file.path) {
                    let _ = crate::vmcore::inspect(&reader, reader.len());
                }
            }
        }
        for (at, old) in before.into_iter().rev() {
            disk.write_all_at(&old, at).unwrap();
        }
    }
}

/// A disk with two directories, a dump and a journal to replay; and its blocks that are in use.
static DAMAGED: LazyLock<Mutex<(File, Vec<u64>)>> = LazyLock::new(|| {
    let disk = make(Filesystem::Ext4, 8);
    let source = file_of(&content(50_000));
    let script = format!(
        "mkdir /a\nmkdir /a/b\nwrite {0} vmcore\ncd /a/b\nwrite {0} vmcore\ncd /\nsymlink s /a/b\n\
         jo\njw -b 1900 {0}\njc\n",
        path_of(&source)
    );
    debugfs(&disk, &script);
    let mut block = [0; 4096];
    let used = (2..2048).filter(|number| {
        FileExt::read_exact_at(&disk, &mut block, number * 4096).unwrap();
        block.iter().any(|&byte| byte != 0)
    });
    let used = used.collect();
    Mutex::new((disk, used))
});

#[test]
fn names_of_a_directory() {
    let target = open(&make(Filesystem::Ext4, 2)).unwrap();
    assert_eq!(target.list("/").unwrap(), ["lost+found"]);
    assert!(target.list("/none").is_err());
}
