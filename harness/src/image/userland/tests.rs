use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::image::elf::made;

/// A dynamic x86-64 file with these needs.
pub(in super::super) fn elf(interpreter: Option<&str>, entries: &[(u64, &str)]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut dynamic = Vec::new();
    for (tag, text) in entries {
        dynamic.push((*tag, strings.len() as u64));
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
    }
    // An address apart from the place in the file, as in real libraries.
    let (base, dynamic_at) = (0x40_0000_u64, 64 + 3 * 56_u64);
    let strings_at = dynamic_at + (dynamic.len() as u64 + 2) * 16;
    let interpreter_at = strings_at + strings.len() as u64;
    let text = interpreter
        .map(|path| format!("{path}\0"))
        .unwrap_or_default();
    let end = interpreter_at + text.len() as u64;
    dynamic.extend([(5, base + strings_at), (0, 0)]);
    let mut file = made::IDENT.to_vec();
    file.extend(made::halves(&[3, 62, 1, 0]));
    file.extend(made::longs(&[0, 64, 0]));
    file.extend(made::halves(&[0, 0, 64, 56, 3, 64, 0, 0]));
    let interp = if interpreter.is_some() { 3 } else { 0 };
    for (kind, at, size) in [
        (1, 0, end),
        (2, dynamic_at, strings_at - dynamic_at),
        (interp, interpreter_at, text.len() as u64),
    ] {
        file.extend(made::halves(&[kind, 0, 4, 0]));
        file.extend(made::longs(&[at, base + at, base + at, size, size, 8]));
    }
    for (tag, value) in dynamic {
        file.extend(made::longs(&[tag, value]));
    }
    file.extend(strings);
    file.extend(text.bytes());
    file
}

pub(in super::super) const NEEDED: u64 = 1;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;
pub(in super::super) const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn tree(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Userland) {
    let directory = tempfile::tempdir().unwrap();
    for (file, bytes) in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let userland = Userland::at(directory.path());
    (directory, userland)
}

fn guest(userland: &Userland, programs: &[&str]) -> Vec<String> {
    let files = userland.closure(programs).unwrap();
    files.into_iter().map(|(guest, _)| guest).collect()
}

#[test]
fn what_a_program_opens_while_it_runs() {
    let program = || elf(Some(LOADER), &[(NEEDED, "libc.so.6")]);
    let libc = elf(Some(LOADER), &[(NEEDED, "ld-linux-x86-64.so.2")]);
    let mut files = vec![
        ("usr/bin/makedumpfile", program()),
        ("usr/sbin/kexec", program()),
        ("lib/x86_64-linux-gnu/libc.so.6", libc),
        ("lib64/ld-linux-x86-64.so.2", elf(None, &[])),
    ];
    let libc = "/lib/x86_64-linux-gnu/libc.so.6";
    let (_directory, userland) = tree(&files);
    assert_eq!(
        guest(&userland, &["makedumpfile"]),
        [libc, LOADER, "/usr/bin/makedumpfile"]
    );
    let libgcc = elf(None, &[(NEEDED, "libc.so.6")]);
    files.push(("lib/x86_64-linux-gnu/libgcc_s.so.1", libgcc));
    let (_directory, userland) = tree(&files);
    assert_eq!(
        guest(&userland, &["makedumpfile"]),
        [
            libc,
            "/lib/x86_64-linux-gnu/libgcc_s.so.1",
            LOADER,
            "/usr/bin/makedumpfile"
        ]
    );
    assert_eq!(
        guest(&userland, &["kexec"]),
        [libc, LOADER, "/usr/sbin/kexec"]
    );
}

#[test]
fn libraries_of_libraries_come_along() {
    let (directory, userland) = tree(&[
        (
            "sbin/kexec",
            elf(
                Some(LOADER),
                &[(NEEDED, "libz.so.1"), (NEEDED, "libc.so.6")],
            ),
        ),
        (
            "usr/lib/x86_64-linux-gnu/libz.so.1.2",
            elf(None, &[(NEEDED, "libc.so.6")]),
        ),
        (
            "lib/x86_64-linux-gnu/libc.so.6",
            elf(Some(LOADER), &[(NEEDED, "ld-linux-x86-64.so.2")]),
        ),
        // As packages of a merged /usr carry it.
        ("usr/lib64/ld-linux-x86-64.so.2", elf(None, &[])),
        ("bin/busybox", elf(None, &[])),
    ]);
    symlink(
        "libz.so.1.2",
        directory.path().join("usr/lib/x86_64-linux-gnu/libz.so.1"),
    )
    .unwrap();
    assert_eq!(
        guest(&userland, &["kexec", "busybox"]),
        [
            "/bin/busybox",
            "/lib/x86_64-linux-gnu/libc.so.6",
            LOADER,
            "/sbin/kexec",
            "/usr/lib/x86_64-linux-gnu/libz.so.1"
        ]
    );
    let files = userland.closure(&["kexec"]).unwrap();
    assert!(files.iter().any(|(_, host)| host.ends_with("libz.so.1.2")));
    let command = userland.command("kexec").unwrap();
    assert!(
        command
            .get_program()
            .to_str()
            .unwrap()
            .ends_with("usr/lib64/ld-linux-x86-64.so.2")
    );
    assert_eq!(command.get_args().next().unwrap(), "--library-path");
    assert_eq!(userland.command("busybox").unwrap().get_args().count(), 0);
}

#[test]
fn private_directories_are_searched_as_the_loader_does() {
    let (_directory, userland) = tree(&[
        (
            "usr/bin/a",
            elf(
                Some(LOADER),
                &[(NEEDED, "libp.so"), (RUNPATH, "$ORIGIN/../lib/private:/x")],
            ),
        ),
        (
            "usr/bin/b",
            elf(
                Some(LOADER),
                &[(NEEDED, "libp.so"), (RPATH, "/usr/lib/private")],
            ),
        ),
        ("usr/lib/private/libp.so", elf(None, &[(NEEDED, "libq.so")])),
        ("usr/lib/private/libq.so", elf(None, &[])),
        ("lib64/ld-linux-x86-64.so.2", elf(None, &[])),
    ]);
    // DT_RPATH is inherited, DT_RUNPATH is not.
    assert!(guest(&userland, &["b"]).contains(&"/usr/lib/private/libq.so".to_owned()));
    let error = userland.closure(&["a"]).unwrap_err();
    assert!(
        matches!(&error, UserlandError::NoLibrary { library, by, .. } if library == "libq.so" && by.ends_with("private/libp.so")),
        "{error}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let (_directory, userland) = tree(&[
        ("sbin/kexec", elf(Some(LOADER), &[(NEEDED, "libz.so.1")])),
        ("bin/text", b"#!/bin/sh\n".to_vec()),
    ]);
    let error = |program: &str| userland.closure(&[program]).unwrap_err().to_string();
    assert!(
        error("kexec").contains("/sbin/kexec needs /lib64/ld-linux"),
        "{}",
        error("kexec")
    );
    assert!(error("makedumpfile").contains("no program `makedumpfile`"));
    assert!(error("text").contains("/bin/text"));
}

/// As an installed machine has it, of which the guest gets files and no links.
fn installed(links: &[(&str, &str)], libraries: &str) -> (tempfile::TempDir, Userland) {
    let needs = [(NEEDED, "libz.so.1"), (NEEDED, "libc.so.6")];
    let (directory, _) = tree(&[
        ("usr/sbin/kexec", elf(Some(LOADER), &needs)),
        (&format!("{libraries}/libz.so.1.3"), elf(None, &[])),
        (&format!("{libraries}/libc.so.6"), elf(Some(LOADER), &[])),
        (&format!("{libraries}/ld-linux-x86-64.so.2"), elf(None, &[])),
    ]);
    let at = |path: &str| directory.path().join(path);
    symlink("libz.so.1.3", at(libraries).join("libz.so.1")).unwrap();
    for (link, to) in links {
        symlink(to, at(link)).unwrap();
    }
    let userland = Userland::installed(directory.path());
    (directory, userland)
}

#[test]
fn an_installed_machine_has_links_between_its_directories() {
    let debian = [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ];
    let rhel = &debian[..];
    let arch = [
        ("usr/bin", "sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib"),
        ("usr/lib64", "lib"),
    ];
    for (links, libraries) in [
        (rhel, "usr/lib64"),
        (&arch[..], "usr/lib"),
        (&debian[..], "usr/lib/x86_64-linux-gnu"),
    ] {
        let (directory, userland) = installed(links, libraries);
        if libraries.ends_with("gnu") {
            let loader = directory.path().join("usr/lib64");
            fs::create_dir(&loader).unwrap();
            symlink(
                "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
                loader.join("ld-linux-x86-64.so.2"),
            )
            .unwrap();
        }
        assert_eq!(
            guest(&userland, &["kexec"]),
            [
                LOADER,
                &format!("/{libraries}/libc.so.6"),
                &format!("/{libraries}/libz.so.1"),
                "/usr/sbin/kexec"
            ]
        );
    }
}

#[test]
fn what_only_the_cache_of_the_loader_finds_lies_where_it_looks_without() {
    let (directory, userland) = installed(&[("lib64", "usr/lib64")], "usr/lib64");
    let at = |path: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let needs = [(NEEDED, "libdw.so.1"), (NEEDED, "libc.so.6")];
    fs::write(at("usr/local/sbin/makedumpfile"), elf(Some(LOADER), &needs)).unwrap();
    let error = userland.closure(&["makedumpfile"]).unwrap_err().to_string();
    assert!(
        error.contains("libdw.so.1") && error.contains("on this machine"),
        "{error}"
    );
    fs::write(at("opt/elfutils/lib/libdw.so.1"), elf(None, &[])).unwrap();
    fs::write(
        at("etc/ld.so.conf"),
        "# first\ninclude ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\n",
    )
    .unwrap();
    fs::write(at("etc/ld.so.conf.d/old"), "/opt/nowhere\n").unwrap();
    fs::write(
        at("etc/ld.so.conf.d/elfutils.conf"),
        "/usr/local/lib # none\n/opt/elfutils/lib\n",
    )
    .unwrap();
    let files = userland.closure(&["makedumpfile"]).unwrap();
    let (_, host) = files
        .iter()
        .find(|(guest, _)| guest == "/usr/lib64/libdw.so.1")
        .unwrap();
    assert_eq!(host, &at("opt/elfutils/lib/libdw.so.1"));
}

#[test]
fn a_lender_has_what_is_not_installed_if_the_two_do_not_meet() {
    let (_host, own) = installed(&[("lib64", "usr/lib64")], "usr/lib64");
    let dynamic = |library| elf(Some(LOADER), &[(NEEDED, library)]);
    let (_lender, lender) = tree(&[
        ("usr/bin/makedumpfile", dynamic("libc.so.6")),
        ("usr/sbin/vmcore-dmesg", dynamic("libc.so.6")),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", elf(None, &[])),
        ("lib64/ld-linux-x86-64.so.2", elf(None, &[])),
        ("bin/busybox", elf(None, &[])),
    ]);
    let both = own.lent_by("debian-12", lender);
    assert_eq!(guest(&both, &["makedumpfile", "vmcore-dmesg"]).len(), 4);
    assert!(guest(&both, &["kexec", "busybox"]).contains(&"/bin/busybox".to_owned()));
    let error = both
        .closure(&["busybox", "kexec", "makedumpfile"])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "makedumpfile would come from image debian-12, and its /lib64/ld-linux-x86-64.so.2 would \
         take the place of this image's own, on which kexec runs; install its package on this \
         machine"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(edits in proptest::collection::vec((0..500_usize, any::<u8>()), 1..20)) {
        let mut file = elf(Some(LOADER), &[(NEEDED, "libz.so.1"), (RUNPATH, "/a:/b")]);
        for (at, value) in edits {
            let at = at % file.len();
            file[at] = value;
        }
        let _ = dynamic(&file);
        let _ = super::super::elf::section(&file, ".modinfo");
    }
}
