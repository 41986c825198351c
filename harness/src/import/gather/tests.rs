use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use tar::EntryType;

use super::*;

const LSPCI: &str = "3b:00.0 Ethernet controller [0200]: X [8086:1572]\n";
const UNAME: &str = "Linux h 3.10.0-693.el7.x86_64 #1 SMP x86_64 GNU/Linux\n";

/// A tar of files and links.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As is: what leads out must be possible.
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn report() -> Vec<u8> {
    tar(&[
        ("sosreport-h/sos_commands/pci/lspci_-nnvv", LSPCI.as_bytes()),
        ("sosreport-h/var/lib/other", &[7; 3000]),
        ("sosreport-h/uname", UNAME.as_bytes()),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(bytes).unwrap();
    bzip2.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn paths(gathered: &Gathered) -> Vec<&str> {
    gathered
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect()
}

fn notes(gathered: &Gathered) -> Vec<String> {
    gathered.notes.iter().map(Note::to_string).collect()
}

const BOTH: [&str; 2] = ["sos_commands/pci/lspci_-nnvv", "uname"];

#[test]
fn however_it_is_packed() {
    let plain = report();
    for packed in [
        plain.clone(),
        gzip(&plain),
        xz(&plain),
        bzip2(&plain),
        zstd(&plain),
        // As SUSE's and support portals' uploads are: an archive in an archive.
        tar(&[("inner.tar.xz", &xz(&plain))]),
        xz(&tar(&[("inner.tbz", &bzip2(&plain))])),
    ] {
        let all = given("report", &packed);
        assert_eq!(paths(&all), BOTH);
        assert_eq!(all.files[0].bytes, LSPCI.as_bytes());
        assert_eq!(notes(&all), Vec::<String>::new());
    }
    let single = given("lspci.gz", &gzip(LSPCI.as_bytes()));
    assert_eq!(paths(&single), ["lspci.gz"]);
}

#[test]
fn cut_short() {
    let (plain, packed) = (report(), xz(&report()));
    let all = given("report", &plain[..plain.len() - 1024]);
    assert_eq!(paths(&all).len(), 2);
    assert!(
        notes(&all)[0].contains("not copied completely"),
        "{:?}",
        notes(&all)
    );
    for end in (0..plain.len()).step_by(97) {
        let all = given("report", &plain[..end]);
        assert!(end >= 512 || paths(&all).is_empty());
        // The mark has two blocks; one is enough.
        assert!(!all.notes.is_empty() || end >= plain.len() - 512, "{end}");
    }
    for end in 0..packed.len() {
        assert!(!given("report", &packed[..end]).notes.is_empty(), "{end}");
    }
}

#[test]
fn what_leads_out_leads_nowhere() {
    let all = given(
        "report",
        &tar(&[
            ("../../etc/uname", UNAME.as_bytes()),
            ("/etc/lspci", LSPCI.as_bytes()),
        ]),
    );
    // They are names, no more: nothing is written or opened by them.
    assert_eq!(paths(&all), ["../../etc/uname", "etc/lspci"]);
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    fs::write(&outside, UNAME).unwrap();
    let root = directory.path().join("report");
    fs::create_dir_all(root.join("sys/block")).unwrap();
    fs::write(root.join("lspci"), LSPCI).unwrap();
    symlink(&outside, root.join("uname")).unwrap();
    symlink(&root, root.join("again")).unwrap();
    symlink(
        "../devices/pci0000:00/0000:00:1f.2/block/sda",
        root.join("sys/block/sda"),
    )
    .unwrap();
    nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let all = gather(&[root]).unwrap();
    assert_eq!(paths(&all), ["lspci"]);
    assert_eq!(all.links.len(), 1);
    assert_eq!(all.links[0].path, "sys/block/sda");
}

#[test]
fn bombs() {
    // 64 MiB of zeros as a member that nobody wants, and a budget of 16.
    let bomb = gzip(&tar(&[
        ("zeros", &vec![0; 64 << 20]),
        ("uname", UNAME.as_bytes()),
    ]));
    let mut all = Gathered::new(16 << 20);
    all.stream("bomb", &mut &bomb[..], 0, true);
    assert!(paths(&all).is_empty());
    assert!(notes(&all)[0].contains("more than"), "{:?}", notes(&all));
    assert_eq!(all.unpacked.get(), 0);
    // Archives in archives.
    let mut deep = report();
    for _ in 0..6 {
        deep = tar(&[("deeper.tar", &deep)]);
    }
    let all = given("deep", &deep);
    assert!(paths(&all).is_empty());
    assert!(notes(&all)[0].contains("too many archives"));
    // A header that asks for 60 MiB of name.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(60 << 20);
    header.set_cksum();
    tar.append(&header, io::repeat(b'a').take(60 << 20))
        .unwrap();
    let all = given("header", &tar.into_inner().unwrap());
    assert!(
        notes(&all)[0].contains("a header of more than"),
        "{:?}",
        notes(&all)
    );
}

/// A log keeps its beginning, which says what the machine is, and its end, where it dies.
#[test]
fn long_files() {
    let lines: Vec<u8> = (0..10_000)
        .flat_map(|n| format!("line {n}\n").into_bytes())
        .collect();
    for most in [1000, 5000, 20_000] {
        let head = lines[..100].to_vec();
        let (kept, cut, error) = read_ends(head, &lines[100..], most);
        assert!(cut && error.is_none());
        assert!(kept.len() <= most + 1 && kept.len() >= most / 2);
        assert!(kept.starts_with(&lines[..100]));
        assert!(kept.ends_with(b"line 9999\n"));
    }
    let (kept, cut, _) = read_ends(lines[..100].to_vec(), &lines[100..], lines.len() * 4);
    assert!(!cut && kept == lines);
}

#[test]
fn what_was_named_and_is_no_good() {
    let all = given("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\0");
    assert_eq!(
        notes(&all),
        ["photo.png: is none of the texts that are known here: not read"]
    );
    assert!(gather(&["/nonexistent/file".into()]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged(at in 0..report().len(), byte in any::<u8>()) {
        let mut bytes = report();
        bytes[at] = byte;
        let all = given("report", &bytes);
        prop_assert!(all.files.len() <= 2);
    }
}

#[test]
fn one_note_on_a_text_that_ends_too_early() {
    let packed = gzip(LSPCI.repeat(500).as_bytes());
    let gathered = given("lspci.gz", &packed[..packed.len() - 12]);
    assert_eq!(paths(&gathered), ["lspci.gz"]);
    assert!(gathered.files[0].cut);
    let notes = notes(&gathered);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("ends too early"), "{notes:?}");
}
