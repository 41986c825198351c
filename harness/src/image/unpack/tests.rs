use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;

const ROOMY: Budget = Budget {
    bytes: 1 << 20,
    files: 100,
};

/// A root inside of a directory in which nothing else may come to be.
struct Cage {
    directory: tempfile::TempDir,
    root: Root,
}

impl Cage {
    fn new(budget: Budget) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root");
        fs::create_dir(&path).unwrap();
        fs::write(directory.path().join("secret"), "as it was").unwrap();
        Self {
            root: Root::new(path, budget),
            directory,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn file(&mut self, name: &str, text: &str) -> Result<(), UnpackError> {
        self.root
            .file(name, false, text.len() as u64, &mut text.as_bytes())
    }

    fn unharmed(&self) {
        let mut there: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        there.sort();
        assert_eq!(there, ["root", "secret"]);
        let secret = self.directory.path().join("secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "as it was");
        assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
    }
}

#[test]
fn archives_as_packagers_make_them() {
    let mut cage = Cage::new(ROOMY);
    let root = &mut cage.root;
    root.directory("./").unwrap();
    root.directory("./usr/sbin/").unwrap();
    root.directory("/lib64").unwrap();
    root.file("./sbin/kexec", true, 3, &mut &b"elf and what follows"[..])
        .unwrap();
    root.file("etc//kdump.conf", false, 0, &mut io::empty())
        .unwrap();
    root.symlink("./lib64/libc.so.6", "libc-2.17.so").unwrap();
    root.symlink("/usr/bin/out", "../../../secret").unwrap();
    for (link, to) in [("./lib64", "usr/lib64"), ("bin", "/usr/bin"), ("sbin", "x")] {
        root.symlink(link, to).unwrap();
    }
    root.hard_link("usr/sbin/kexec2", "sbin/kexec").unwrap();
    assert_eq!(cage.text("usr/sbin/kexec"), "elf");
    assert_eq!(cage.text("usr/sbin/kexec2"), "elf");
    assert_eq!(cage.text("etc/kdump.conf"), "");
    let target = fs::read_link(cage.at("usr/lib64/libc.so.6")).unwrap();
    assert_eq!(target, Path::new("libc-2.17.so"));
    let target = fs::read_link(cage.at("usr/bin/out")).unwrap();
    assert_eq!(target, Path::new("../../../secret"));
    for merged in MERGED {
        assert_eq!(kind(&cage.at(merged)).unwrap(), None, "{merged}");
    }
    let mode = |name| fs::metadata(cage.at(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("usr/sbin/kexec") & !0o755, 0);
    assert_ne!(mode("usr/sbin/kexec") & 0o100, 0);
    assert_eq!(mode("etc/kdump.conf") & 0o7111, 0);
    cage.unharmed();
}

#[test]
fn names_that_lead_out() {
    let mut cage = Cage::new(ROOMY);
    let long = "x/".repeat(2048);
    let part = format!("usr/{}", "x".repeat(256));
    for name in [
        "",
        "..",
        "../secret",
        "usr/../../secret",
        "./..",
        "/..",
        "lib/../..",
        "a\0b",
        &long,
        &part,
    ] {
        type Make<'a> = &'a dyn Fn(&mut Root) -> Result<(), UnpackError>;
        let makes: [Make; 4] = [
            &|root| root.directory(name),
            &|root| root.file(name, false, 1, &mut &b"x"[..]),
            &|root| root.symlink(name, "x"),
            &|root| root.hard_link(name, "there"),
        ];
        cage.file("there", "x").unwrap();
        for make in makes {
            let error = make(&mut cage.root).unwrap_err();
            assert!(matches!(error, UnpackError::Name { .. }), "{name} {error}");
            assert!(error.to_string().len() < 300);
            assert!(!error.to_string().contains('\0'));
        }
        assert!(cage.root.hard_link("new", name).is_err());
    }
    for name in [".", "./", "/", "//./"] {
        assert!(cage.file(name, "x").is_err(), "{name}");
        assert!(cage.root.symlink(name, "x").is_err(), "{name}");
        assert!(cage.root.hard_link(name, "there").is_err(), "{name}");
        assert!(cage.root.hard_link("new", name).is_err(), "{name}");
    }
    for target in ["", "a\0b", &long] {
        assert!(cage.root.symlink("new", target).is_err());
    }
    cage.unharmed();
}

#[test]
fn nothing_goes_through_a_link() {
    let mut cage = Cage::new(ROOMY);
    let absolute = cage.directory.path().join("secret");
    cage.root.symlink("out", "..").unwrap();
    cage.root.symlink("usr/out", "../..").unwrap();
    cage.root.symlink("usr/file", "../../secret").unwrap();
    cage.root
        .symlink("usr/absolute", absolute.to_str().unwrap())
        .unwrap();
    for name in [
        "out/secret",
        "usr/out/secret",
        "usr/out/new/file",
        "usr/file/x",
    ] {
        let through = |result: Result<(), UnpackError>| {
            let error = result.unwrap_err();
            assert!(
                matches!(error, UnpackError::Through { .. }),
                "{name} {error}"
            );
        };
        through(cage.file(name, "harm"));
        through(cage.root.directory(name));
        through(cage.root.symlink(name, "x"));
        through(cage.root.hard_link("usr/hard", name));
        cage.file("there", "x").unwrap();
        through(cage.root.hard_link(name, "there"));
    }
    for link in ["usr/file", "usr/absolute", "out"] {
        let error = cage.file(link, "harm").unwrap_err();
        assert!(matches!(error, UnpackError::Replaces { .. }), "{error}");
        let error = cage.root.hard_link("usr/hard", link).unwrap_err();
        assert!(matches!(error, UnpackError::HardLink { .. }), "{error}");
        let error = cage.root.directory(link).unwrap_err();
        assert!(matches!(error, UnpackError::Through { .. }), "{error}");
    }
    cage.unharmed();
}

#[test]
fn the_last_package_wins() {
    let mut cage = Cage::new(ROOMY);
    cage.file("etc/a", "first").unwrap();
    cage.root.hard_link("etc/b", "etc/a").unwrap();
    cage.file("etc/a", "second").unwrap();
    assert_eq!(cage.text("etc/a"), "second");
    // Another name of the old file is not written through.
    assert_eq!(cage.text("etc/b"), "first");
    cage.root.hard_link("etc/a", "./etc/a").unwrap();
    assert_eq!(cage.text("etc/a"), "second");
    cage.root.symlink("etc/link", "a").unwrap();
    cage.root.symlink("etc/link", "b").unwrap();
    assert_eq!(fs::read_link(cage.at("etc/link")).unwrap(), Path::new("b"));
    cage.root.directory("etc").unwrap();

    let text = |result: Result<(), UnpackError>| result.unwrap_err().to_string();
    assert_eq!(
        text(cage.root.symlink("etc/a", "b")),
        "\"etc/a\": this symbolic link would replace a file: refused"
    );
    assert_eq!(
        text(cage.file("etc", "x")),
        "\"etc\": this file would replace a directory: refused"
    );
    assert_eq!(
        text(cage.root.directory("etc/a")),
        "\"etc/a\": \"etc/a\" is a file and no directory: refused"
    );
    assert_eq!(
        text(cage.file("etc/a/x", "x")),
        "\"etc/a/x\": \"etc/a\" is a file and no directory: refused"
    );
    assert_eq!(
        text(cage.root.hard_link("x", "etc/gone")),
        "\"x\": a hard link to \"etc/gone\", where no file is: refused"
    );
}

#[test]
fn budgets() {
    let mut cage = Cage::new(Budget {
        bytes: 10,
        files: 3,
    });
    cage.file("usr/a", "1234567").unwrap();
    let text = |result: Result<(), UnpackError>| result.unwrap_err().to_string();
    assert_eq!(
        text(cage.file("b", "1234")),
        "\"b\": with it there would be more than 10 bytes: refused"
    );
    assert!(kind(&cage.at("b")).unwrap().is_none());
    // What it claims is enough.
    let endless = &mut io::repeat(1);
    assert!(cage.root.file("b", false, u64::MAX, endless).is_err());
    cage.file("b", "123").unwrap();
    assert_eq!(cage.root.left, Budget { bytes: 0, files: 0 });
    for result in [
        cage.file("c", ""),
        cage.root.directory("c"),
        cage.root.hard_link("c", "b"),
    ] {
        assert_eq!(
            text(result),
            "\"c\": with it there would be more than 3 files: refused"
        );
    }
    assert_eq!(
        text(cage.root.symlink("c", "b")),
        "\"c\": with it there would be more than 10 bytes: refused"
    );
}

#[test]
fn data_that_ends_or_breaks() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("damaged"))
        }
    }
    let mut cage = Cage::new(ROOMY);
    let error = cage.root.file("a", false, 5, &mut &b"1234"[..]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "\"a\" has 5 bytes, but the archive ends after 4 of them"
    );
    let error = cage.root.file("a", false, 5, &mut Broken);
    assert_eq!(error.unwrap_err().to_string(), "\"a\": damaged");
}

#[derive(Debug, Clone)]
enum Member {
    Directory(String),
    File(String, u8),
    Symlink(String, String),
    HardLink(String, String),
}

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[ab]",
        2 => Just("lib".to_owned()),
        2 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
        1 => Just("secret".to_owned()),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        name().prop_map(Member::Directory),
        (name(), any::<u8>()).prop_map(|(name, size)| Member::File(name, size)),
        (name(), name()).prop_map(|(name, to)| Member::Symlink(name, to)),
        (name(), name()).prop_map(|(name, to)| Member::HardLink(name, to)),
    ]
}

/// Everything below a directory: whether it is a link, and its size.
fn census(path: &Path, found: &mut BTreeMap<PathBuf, (bool, u64)>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        found.insert(path.clone(), (data.is_symlink(), data.len()));
        if data.is_dir() {
            census(&path, found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the members and their order: nothing outside changes, the budget holds, and what
    /// was taken is there.
    #[test]
    fn any_archive_stays_inside(members in prop::collection::vec(member(), 1..40)) {
        let budget = Budget { bytes: 2000, files: 30 };
        let mut cage = Cage::new(budget);
        let root = &mut cage.root;
        for member in &members {
            let (made, name) = match member {
                Member::Directory(name) => (root.directory(name), name),
                Member::File(name, size) => {
                    let data = &mut io::repeat(*size);
                    (root.file(name, size % 2 == 0, (*size).into(), data), name)
                }
                Member::Symlink(name, to) => (root.symlink(name, to), name),
                Member::HardLink(name, to) => (root.hard_link(name, to), name),
            };
            match made {
                Ok(()) => {
                    let path = root.path.join(parts(name).unwrap().join("/"));
                    let skipped = matches!(member, Member::Symlink(..)) && components(name).eq(["lib"]);
                    prop_assert!(skipped || fs::symlink_metadata(&path).is_ok(), "{member:?}");
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
        let mut found = BTreeMap::new();
        census(&cage.root.path, &mut found);
        prop_assert!(found.len() as u64 <= budget.files);
        cage.unharmed();
    }
}
