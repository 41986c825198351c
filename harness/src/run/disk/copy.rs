//! A copy of a root disk, with a drill's files written onto it without a mount.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::{Added, Distribution};
use crate::child::dying_with_us;
use crate::image::Image;
use crate::initramfs::{Archive, Content, Node};
use crate::units::Bytes;

/// Longest text that debugfs may say about what it does.
const MAX_SAID: u64 = 64 << 10;

/// The disk could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The copy.
    #[error("cannot copy the root disk {}: {source}", disk.display())]
    Copy {
        /// The image's disk.
        disk: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file for the disk.
    #[error("cannot prepare {path} for the root disk: {source}")]
    File {
        /// Path on the disk.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The configuration for cloud-init.
    #[error("cannot write the configuration for cloud-init: {0}")]
    Seed(io::Error),
    /// debugfs.
    #[error("debugfs could not write to the root disk: {0}")]
    Debugfs(String),
}

/// What a machine is given besides its kernel and initramfs.
pub(crate) struct Prepared {
    /// A copy of the root disk without a name, with everything of the drill on it that is written
    /// there.
    pub(crate) disk: File,
    /// What cloud-init looks for.
    pub(crate) medium: Option<File>,
    /// Size of the capture kernel's initramfs, where it is there already.
    pub(crate) capture_initramfs: Option<Bytes>,
}

/// Copies the root disk and adds the drill's files.
pub(crate) fn prepare(distribution: &Distribution, image: &Image) -> Result<Prepared, DiskError> {
    let root = &distribution.root;
    let disk = copy_sparse(&root.disk).map_err(|source| DiskError::Copy {
        disk: root.disk.clone(),
        source,
    })?;
    match &distribution.added {
        Added::Seed(seed) => Ok(Prepared {
            disk,
            medium: Some(seed.write().map_err(DiskError::Seed)?),
            capture_initramfs: None,
        }),
        Added::Files {
            capture_initrd,
            disk: on_disk,
            initramfs,
        } => {
            let wrong = |source| DiskError::File {
                path: capture_initrd.path.clone(),
                source,
            };
            let mut files = Files::default();
            let capture = appended(&capture_initrd.file, initramfs).map_err(wrong)?;
            let size = Bytes(capture.metadata().map_err(wrong)?.len());
            files.add(&capture_initrd.path, capture);
            files.add_all(on_disk)?;
            let debugfs = image
                .userland
                .command("debugfs")
                .map_err(|error| DiskError::Debugfs(error.to_string()))?;
            write(debugfs, &disk, &files.script)?;
            Ok(Prepared {
                disk,
                medium: None,
                capture_initramfs: Some(size),
            })
        }
    }
}

/// Files for debugfs(8), and what it is to do with them.
#[derive(Default)]
struct Files {
    script: String,
    /// Open for as long as debugfs needs them.
    open: Vec<File>,
}

impl Files {
    /// All files and links of an archive. Directories are there: the image has those that are
    /// needed.
    fn add_all(&mut self, archive: &Archive) -> Result<(), DiskError> {
        for (path, entry) in archive.entries() {
            let path = format!("/{path}");
            match &entry.node {
                Node::File(content) => {
                    let content =
                        temporary(content, entry.mode).map_err(|source| DiskError::File {
                            path: path.clone(),
                            source,
                        })?;
                    self.add(&path, content);
                }
                Node::Symlink(target) => {
                    let (directory, name) = split(&path);
                    self.script +=
                        &format!("cd {directory}/\nrm {name}\nsymlink {name} {target}\n");
                }
                Node::Directory | Node::CharacterDevice(..) => {}
            }
        }
        Ok(())
    }

    /// debugfs opens the content again under the name that it has here. Its `write` takes a name
    /// in the working directory, and no path.
    fn add(&mut self, path: &str, content: File) {
        let (directory, name) = split(path);
        self.script += &format!(
            "cd {directory}/\nrm {name}\nwrite {} {name}\n",
            own_name(&content)
        );
        self.open.push(content);
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A path to a file that has none, for children of this process.
fn own_name(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Runs debugfs(8) on the disk. It ends with 0 whatever went wrong, and says it.
fn write(mut debugfs: Command, disk: &File, script: &str) -> Result<(), DiskError> {
    let wrong = |error: io::Error| DiskError::Debugfs(error.to_string());
    let mut commands = tempfile::tempfile().map_err(wrong)?;
    commands.write_all(script.as_bytes()).map_err(wrong)?;
    commands.rewind().map_err(wrong)?;
    let mut said = tempfile::tempfile().map_err(wrong)?;
    debugfs
        .env("LC_ALL", "C")
        .env("DEBUGFS_PAGER", "cat")
        .args(["-w", "-f", "/dev/stdin"])
        .arg(own_name(disk))
        .stdin(Stdio::from(commands))
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone().map_err(wrong)?));
    let status = dying_with_us(&mut debugfs).status().map_err(wrong)?;
    said.rewind().map_err(wrong)?;
    let mut text = Vec::new();
    said.take(MAX_SAID).read_to_end(&mut text).map_err(wrong)?;
    let text = String::from_utf8_lossy(&text);
    let trouble: Vec<&str> = text
        .lines()
        .filter(|line| {
            let expected = ["debugfs 1.", "rm: File not found by ext2_lookup"];
            !line.trim().is_empty() && !expected.iter().any(|text| line.starts_with(text))
        })
        .collect();
    match status.success() && trouble.is_empty() {
        true => Ok(()),
        false => Err(DiskError::Debugfs(format!(
            "{} ({status})",
            trouble.join("; ")
        ))),
    }
}

/// An initramfs, and behind it another archive: kernels unpack one after the other, each from a
/// multiple of four bytes (init/initramfs.c).
fn appended(initrd: &Path, archive: &Archive) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let length = io::copy(&mut File::open(initrd)?, &mut file)?;
    let padding = length.next_multiple_of(4) - length;
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    writer.write_all(&vec![0; usize::try_from(padding).unwrap_or_default()])?;
    archive.write_to(&mut writer)?;
    writer.flush()?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.set_permissions(PermissionsExt::from_mode(0o644))?;
    Ok(file)
}

fn temporary(content: &Content, mode: u32) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    content.copy_to(&mut file)?;
    // debugfs takes the mode over.
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    Ok(file)
}

/// Copies what is not a hole; file systems that can share blocks do.
fn copy_sparse(path: &Path) -> io::Result<File> {
    let mut from = File::open(path)?;
    let length = from.metadata()?.len();
    let mut to = tempfile::tempfile()?;
    to.set_len(length)?;
    let seek = |file: &File, at: i64, whence| lseek(file, at, whence);
    let mut at = 0;
    loop {
        let data = match seek(&from, at, Whence::SeekData) {
            Err(Errno::ENXIO) => return Ok(to),
            other => other?,
        };
        let hole = seek(&from, data, Whence::SeekHole)?;
        let begin = u64::try_from(data).map_err(io::Error::other)?;
        let size = u64::try_from(hole - data).map_err(io::Error::other)?;
        from.seek(SeekFrom::Start(begin))?;
        to.seek(SeekFrom::Start(begin))?;
        if io::copy(&mut (&from).take(size), &mut to)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at = hole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::UserlandError;
    use crate::kdump::conf::Filesystem;
    use crate::target::{BlockDevice, Content as Held, Format, Target, make_disk};
    use crate::vmcore::ReadAt;

    fn host(program: &str) -> Result<Command, UserlandError> {
        let mut command = Command::new(program);
        command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        Ok(command)
    }

    fn disk() -> File {
        let content = Held::Filesystem(Format::new(Filesystem::Ext4));
        let disk = make_disk(Bytes(16 * Bytes::MIB), &content, host).unwrap();
        write(host("debugfs").unwrap(), &disk, "mkdir etc\n").unwrap();
        disk
    }

    /// Only files that are named like dumps are read back, so that is how these are named.
    fn read(disk: &File, path: &str) -> Vec<u8> {
        let target = Target::open(&BlockDevice::whole(disk).unwrap()).unwrap();
        let file = target.open_dump(path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
        file.read_exact_at(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn files_are_written_and_replaced() {
        let disk = disk();
        for text in ["first", "the second, longer one"] {
            let mut files = Files::default();
            let mut archive = Archive::new();
            let content = Content::Bytes(text.as_bytes().into());
            archive.add_file("/etc/vmcore", 0o755, content).unwrap();
            archive
                .add_symlink(&format!("/etc/{}", text.len()), "vmcore")
                .unwrap();
            files.add_all(&archive).unwrap();
            write(host("debugfs").unwrap(), &disk, &files.script).unwrap();
            assert_eq!(read(&disk, "/etc/vmcore"), text.as_bytes());
            assert_eq!(
                read(&disk, &format!("/etc/{}", text.len())),
                text.as_bytes()
            );
        }
        let mut stat = host("debugfs").unwrap();
        stat.args(["-R", "stat /etc/vmcore"]).arg(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            disk.as_raw_fd()
        ));
        let text = String::from_utf8(stat.output().unwrap().stdout).unwrap();
        assert!(text.contains("Mode:  0755"), "{text}");
        assert!(text.contains("User:     0   Group:     0"), "{text}");
    }

    #[test]
    fn what_debugfs_cannot_do_is_an_error() {
        let disk = disk();
        let wrong = |script: &str| write(host("debugfs").unwrap(), &disk, script).unwrap_err();
        let error = wrong("cd /none/\nwrite /dev/null x\n").to_string();
        assert!(error.contains("not found"), "{error}");
        let error = wrong("cd /etc/\nwrite /no/such/file x\n").to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn holes_are_not_copied() {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let file = File::create(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"one", 5 << 20).unwrap();
        file.write_all_at(b"two", 40 << 20).unwrap();
        let copy = copy_sparse(&path).unwrap();
        assert_eq!(copy.metadata().unwrap().len(), 64 << 20);
        assert!(copy.metadata().unwrap().blocks() * 512 < 1 << 20);
        let mut text = [0; 3];
        FileExt::read_exact_at(&copy, &mut text, 5 << 20).unwrap();
        assert_eq!(&text, b"one");
        FileExt::read_exact_at(&copy, &mut text, 40 << 20).unwrap();
        assert_eq!(&text, b"two");
    }

    #[test]
    fn the_second_archive_begins_at_a_multiple_of_four() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("initrd");
        for length in 0..5 {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            let mut both = Vec::new();
            let mut file = appended(&path, &Archive::new()).unwrap();
            file.rewind().unwrap();
            file.read_to_end(&mut both).unwrap();
            let at = both.windows(6).position(|text| text == b"070701").unwrap();
            assert_eq!(at, length.next_multiple_of(4));
            assert!(both[length..at].iter().all(|byte| *byte == 0));
        }
    }
}
