use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use crashdrill_guest::order::{
    Action, CaptureOrder, Driver, FailureAction, Filesystem, FirstOrder, Module, ORDER_PATH, Order,
    Script, Target,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

type Read = Vec<(Header, Vec<u8>)>;

fn read(bytes: &[u8]) -> Result<Read, CpioError> {
    let mut reader = Reader::new(bytes);
    let mut files = Vec::new();
    while let Some(header) = reader.next_entry()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data)?;
        files.push((header, data));
    }
    Ok(files)
}

fn written(archive: &Archive) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = archive.write_to(&mut bytes).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(size, archive.size().unwrap());
    assert_eq!(size % 4, 0);
    bytes
}

fn names(bytes: &[u8]) -> Vec<String> {
    let files = read(bytes).unwrap();
    files.into_iter().map(|(header, _)| header.name).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        files in btree_map("(/[a-c-]{1,3}){1,4}", (vec(any::<u8>(), 0..9), 0_u32..0o1000), 0..12),
    ) {
        let mut archive = Archive::new();
        let mut kept = BTreeMap::new();
        for (path, (data, mode)) in &files {
            if archive.add_file(path, *mode, data.clone().into()).is_ok() {
                kept.insert(path[1..].to_owned(), (data.clone(), *mode));
            }
        }
        let bytes = written(&archive);
        let mut reversed = Archive::new();
        for (path, (data, mode)) in kept.iter().rev() {
            reversed.add_file(&format!("/{path}"), *mode, data.clone().into()).unwrap();
        }
        prop_assert_eq!(&written(&reversed), &bytes);

        let mut seen: Vec<String> = Vec::new();
        for (header, data) in read(&bytes).unwrap() {
            if let Some((parent, _)) = header.name.rsplit_once('/') {
                prop_assert!(seen.iter().any(|name| name == parent), "{} too early", header.name);
            }
            if header.mode & cpio::kind::MASK == cpio::kind::FILE {
                let mode = header.mode & 0o7777;
                prop_assert_eq!(kept.remove(&header.name), Some((data, mode)));
            }
            seen.push(header.name);
            prop_assert_eq!(header.inode as usize, seen.len());
        }
        prop_assert!(kept.is_empty());
    }

    #[test]
    fn a_damaged_archive_never_panics(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut archive = Archive::new();
        archive.add_file("/a/file", 0o644, b"data".to_vec().into()).unwrap();
        archive.add_symlink("/link", "a/file").unwrap();
        let mut bytes = written(&archive);
        let length = bytes.len();
        let _ = read(&bytes[..cut.index(length)]);
        bytes[at.index(length)] = byte;
        let _ = read(&bytes);
    }

    #[test]
    fn garbage_is_no_archive(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }
}

#[test]
fn devices_links_and_directories() {
    let mut archive = Archive::new();
    archive
        .add_character_device("/dev/console", 0o600, (5, 1))
        .unwrap();
    archive.add_symlink("/bin/sh", "busybox").unwrap();
    archive.add_directory("/tmp", 0o1777).unwrap();
    archive
        .add_file("/tmp/x", 0o644, Content::Static(b""))
        .unwrap();
    let files = read(&written(&archive)).unwrap();
    let shown: Vec<_> = files
        .iter()
        .map(|(h, data)| {
            format!(
                "{:o} {:?} {} {}",
                h.mode,
                h.device,
                h.name,
                data.escape_ascii()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "40755 (0, 0) bin ",
            "120777 (0, 0) bin/sh busybox",
            "40755 (0, 0) dev ",
            "20600 (5, 1) dev/console ",
            "41777 (0, 0) tmp ",
            "100644 (0, 0) tmp/x ",
        ]
    );
}

#[test]
fn paths_that_cannot_be_taken() {
    let mut archive = Archive::new();
    let mut add = |path: &str| archive.add_file(path, 0o644, Content::Static(b""));
    for path in [
        "relative", "/", "", "/a//b", "/a/../b", "/./a", "/a/", "/nul\0",
    ] {
        assert_eq!(add(path), Err(ArchiveError::Path(path.to_owned())));
    }
    add("/lib").unwrap();
    assert_eq!(add("/lib"), Err(ArchiveError::Taken("/lib".to_owned())));
    let error = add("/lib/modules/x.ko").unwrap_err();
    assert!(matches!(error, ArchiveError::Parent { parent, .. } if parent == "/lib"));
}

#[test]
fn a_host_file_that_is_not_there_is_named() {
    let mut archive = Archive::new();
    let missing = std::path::PathBuf::from("/nonexistent/kexec");
    archive
        .add_file("/sbin/kexec", 0o755, Content::HostFile(missing))
        .unwrap();
    let error = archive.write_to(&mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().starts_with("/nonexistent/kexec: "),
        "{error}"
    );
}

fn module(name: &str) -> Module {
    Module {
        name: name.to_owned(),
        path: format!("/lib/modules/{name}.ko"),
        parameters: String::new(),
    }
}

fn capture_order() -> CaptureOrder {
    CaptureOrder {
        script: Script::Rhel7,
        drivers: vec![Driver {
            name: "nvme".to_owned(),
            modules: vec![module("nvme")],
            kept_out_by: None,
        }],
        target: Target::Filesystem(Filesystem {
            device: "/dev/nvme0n1".to_owned(),
            kind: "ext4".to_owned(),
            modules: vec![module("ext4")],
        }),
        wait_ms: 1000,
        path: "/var/crash".to_owned(),
        collector: vec!["makedumpfile".to_owned()],
        pre: None,
        post: None,
        emergency: None,
        failure_action: FailureAction::End(Action::Reboot),
        final_action: Action::PowerOff,
        shell: false,
    }
}

fn parts() -> Parts {
    let bytes: Arc<[u8]> = Arc::from(*b"ELF");
    Parts {
        modules: [module("nvme"), module("ext4")]
            .map(|module| (module.path, bytes.clone()))
            .into(),
        ..Parts::default()
    }
}

#[test]
fn the_capture_archive_lies_whole_inside_the_first() {
    let inner = Arc::new(capture(&capture_order(), &parts()).unwrap());
    let order = FirstOrder {
        drivers: Vec::new(),
        messages: Vec::new(),
        arm: vec!["/sbin/kexec".to_owned()],
        crash_cpu: 0,
        token: "t".to_owned(),
        shell: false,
    };
    let kernel = Content::Static(b"kernel");
    let outer = first(
        &order,
        &Parts::default(),
        kernel,
        Content::Archive(inner.clone()),
    )
    .unwrap();
    let files = read(&written(&outer)).unwrap();
    let data = |path: &str| {
        let mut found = files.iter().filter(|(header, _)| path[1..] == header.name);
        &found.next().unwrap().1
    };
    assert_eq!(data(CAPTURE_INITRAMFS), &written(&inner));
    assert_eq!(data(CAPTURE_KERNEL), b"kernel");
    assert_eq!(Order::decode(data(ORDER_PATH)), Ok(Order::First(order)));
    assert_eq!(data("/init"), GUEST_INIT);
    assert!(
        !names(&written(&outer))
            .iter()
            .any(|name| name.contains("busybox"))
    );
}

#[test]
fn a_module_that_is_not_there_is_an_error_unless_it_is_kept_out() {
    let mut order = capture_order();
    let mut without = parts();
    without.modules.remove(0);
    assert_eq!(
        capture(&order, &without).unwrap_err(),
        AssembleError::MissingModule {
            name: "nvme".to_owned(),
            path: "/lib/modules/nvme.ko".to_owned()
        }
    );
    order.drivers[0].kept_out_by = Some("rd.driver.blacklist=nvme".to_owned());
    assert!(capture(&order, &without).is_ok());
}

#[test]
fn the_guest_is_a_small_static_program() {
    use object::Endianness;
    use object::elf::{EM_X86_64, ET_EXEC, FileHeader64, PT_INTERP};
    use object::read::elf::{FileHeader as _, ProgramHeader as _};

    assert!(GUEST_INIT.len() < 1536 * 1024, "{} bytes", GUEST_INIT.len());
    let elf = FileHeader64::<Endianness>::parse(GUEST_INIT).unwrap();
    let endian = elf.endian().unwrap();
    assert_eq!(
        (elf.e_type(endian), elf.e_machine(endian)),
        (ET_EXEC, EM_X86_64)
    );
    let programs = elf.program_headers(endian, GUEST_INIT).unwrap();
    assert!(
        programs
            .iter()
            .all(|program| program.p_type(endian) != PT_INTERP)
    );
    // The C library in it ends at once on a kernel older than its NT_GNU_ABI_TAG says.
    let mut oldest = None;
    for program in programs {
        let Some(mut notes) = program.notes(endian, GUEST_INIT).unwrap() else {
            continue;
        };
        while let Some(note) = notes.next().unwrap() {
            if note.name() == b"GNU" && note.n_type(endian) == object::elf::NT_GNU_ABI_TAG {
                let words = note.desc().chunks_exact(4);
                let words = words.map(|word| u32::from_le_bytes(word.try_into().unwrap()));
                oldest = Some(words.skip(1).collect::<Vec<_>>());
            }
        }
    }
    let oldest = oldest.unwrap();
    assert!(oldest <= vec![3, 10, 0], "{oldest:?}");
}
