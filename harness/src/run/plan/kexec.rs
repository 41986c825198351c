//! The command that arms kdump: RHEL 7's `kexec $KEXEC_ARGS -p …`, with kexec_load(2).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

use crate::image::Image;
use crate::initramfs::{CAPTURE_INITRAMFS, CAPTURE_KERNEL};
use crate::kdump::sysconfig::Sysconfig;

/// More than any kexec has, in bytes.
const LONGEST: u64 = 16 << 20;

/// The command with its arguments, for the image's own kexec.
pub(super) fn command(
    image: &Image,
    sysconfig: &Sysconfig,
    capture_commandline: &str,
) -> Vec<String> {
    let mut argv = vec!["kexec".to_owned()];
    if has_kexec_syscall(image) {
        argv.push("--kexec-syscall".to_owned());
    }
    let more = sysconfig.kexec_args.as_deref().unwrap_or_default();
    argv.extend(more.split_ascii_whitespace().map(str::to_owned));
    argv.extend([
        "-p".to_owned(),
        CAPTURE_KERNEL.to_owned(),
        format!("--initrd={CAPTURE_INITRAMFS}"),
        format!("--command-line={capture_commandline}"),
    ]);
    argv
}

/// kexec-tools 2.0.29 and some distributions' before it try kexec_file_load(2) first, which Linux
/// 3.10 has not: they have to be told. Those before 2.0.18, RHEL 7's among them, only do what they
/// are to do, and refuse an option that they do not know.
///
/// A program that is not there or cannot be read is spoken of when the initramfs is put together.
fn has_kexec_syscall(image: &Image) -> bool {
    let files = image.userland.closure(&["kexec"]).unwrap_or_default();
    let program = files.iter().find(|(path, _)| path.ends_with("/kexec"));
    program.is_some_and(|(_, file)| beginning(file).is_ok_and(|bytes| knows(&bytes)))
}

fn beginning(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the option is among those that getopt_long(3) is given: its name with the NUL that ends
/// it. Neither `kexec-file-syscall` nor `kexec-syscall-auto` has that in it.
fn knows(program: &[u8]) -> bool {
    memmem::find(program, b"kexec-syscall\0").is_some()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::{ModuleTree, Userland};

    #[test]
    fn the_option_of_each_version() {
        // 2.0.7 (RHEL 7.2), 2.0.14 (RHEL 7.4), 2.0.25 (Debian 12).
        assert!(!knows(b"\0reuse-cmdline\0kexec\0 -p, --load-panic\0"));
        assert!(!knows(b"\0kexec-file-syscall\0debug\0"));
        assert!(knows(
            b"\0kexec-file-syscall\0kexec-syscall\0kexec-syscall-auto\0status\0"
        ));
        assert!(!knows(
            b"\0kexec-syscall-auto\0 -c, --kexec-syscall  Use the kexec_load syscall\n"
        ));
        assert!(!knows(b""));
    }

    /// A static program with these bytes behind its header.
    fn armed_with(strings: &[u8], sysconfig: &Sysconfig) -> String {
        let directory = tempfile::tempdir().unwrap();
        let programs = directory.path().join("usr/sbin");
        fs::create_dir_all(&programs).unwrap();
        let mut program = super::super::tests::program();
        program.extend_from_slice(strings);
        fs::write(programs.join("kexec"), program).unwrap();
        let userland = Userland::at(directory.path());
        let image = Image::for_plans("test", ModuleTree::none(), userland);
        command(&image, sysconfig, "a b").join(" ")
    }

    #[test]
    fn what_kexec_is_told() {
        let rest = format!("-p {CAPTURE_KERNEL} --initrd={CAPTURE_INITRAMFS} --command-line=a b");
        let plain = Sysconfig::default();
        assert_eq!(
            armed_with(b"\0kexec-file-syscall\0", &plain),
            format!("kexec {rest}")
        );
        // The user's own come later, and so count.
        let file = Sysconfig {
            kexec_args: Some(" -s  -d".to_owned()),
            ..Sysconfig::default()
        };
        assert_eq!(
            armed_with(b"\0kexec-syscall\0", &file),
            format!("kexec --kexec-syscall -s -d {rest}")
        );
    }
}
