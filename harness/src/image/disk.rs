//! A root disk with a whole distribution on it, made from packages without root.
//!
//! mmdebstrap(1) installs the packages in a user namespace (or as root) and gives a tar; mke2fs
//! makes an ext4 of it, which it can since e2fsprogs 1.47.1, owners and capabilities included. So
//! no file of the guest's ever lies on the host under an owner of its own.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use serde::{Deserialize, Serialize};

use super::apt::{self, Request};
use super::cache::EntryId;
use super::cache::Kind;
use super::disk_image::FoundRoot;
use super::error::{ImageError, io as failed};
use super::index::Package;
use super::manifest::DiskSource;
use super::progress::{Progress, Step};
use super::qemu::remove;
use super::userland::Userland;
use crate::child::dying_with_us_by;
use crate::kdump::conf::Filesystem;
use crate::target::{BlockDevice, TargetError, ext_features};
use crate::units::Bytes;

/// The root file system's, as `root=` and /etc/fstab name it.
pub const ROOT_UUID: &str = "c7a54d11-0000-4000-8000-000000000002";

/// The root disk and what starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDisk {
    /// A sparse raw disk. Never written: a drill works on a copy.
    pub disk: PathBuf,
    /// The first kernel's initramfs, as the distribution made it.
    pub initrd: PathBuf,
    /// Who made it, and what is known of it.
    pub kind: RootKind,
}

impl RootDisk {
    /// The part of a copy of the disk that holds the root file system.
    ///
    /// # Errors
    /// As [`FoundRoot::device`].
    pub fn device(&self, disk: &BlockDevice) -> Result<BlockDevice, TargetError> {
        match &self.kind {
            RootKind::Packages(_) => Ok(disk.clone()),
            RootKind::Image(found) => found.device(disk),
        }
    }
}

/// Who made a root disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootKind {
    /// It was made here of packages: an ext4 without partitions, [`ROOT_UUID`].
    Packages(CaptureInitrd),
    /// It came as an image.
    Image(FoundRoot),
}

/// The capture kernel's initramfs, as the distribution's tools made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureInitrd {
    /// A copy of it.
    pub file: PathBuf,
    /// Where it lies on the disk.
    pub path: String,
}

/// What the entry's index keeps of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum RootIndex {
    Packages { capture_initrd_path: String },
    Image(FoundRoot),
}

impl RootIndex {
    pub(super) fn at(&self, entry: &Path) -> RootDisk {
        match self {
            Self::Packages {
                capture_initrd_path,
            } => RootDisk {
                disk: entry.join(DISK),
                initrd: entry.join(INITRD),
                kind: RootKind::Packages(CaptureInitrd {
                    file: entry.join(CAPTURE_INITRD),
                    path: capture_initrd_path.clone(),
                }),
            },
            Self::Image(found) => found.at(entry),
        }
    }
}

const DISK: &str = "root.img";
const INITRD: &str = "initrd";
const CAPTURE_INITRD: &str = "capture-initrd";
const MMDEBSTRAP: &str = "mmdebstrap";
/// Whose e2fsprogs makes a disk from a tar, and what it opens the tar with.
const TOOLS_SUITE: [&str; 1] = ["trixie"];
const TOOLS: [&str; 2] = ["e2fsprogs", "libarchive13t64"];
/// Lines of mmdebstrap's that an error shows.
const SAID: usize = 12;

/// Run by mmdebstrap before the packages of the manifest: kdump-tools' script asks the running
/// machine which drivers its initramfs needs, which fails here and would take the kernel's
/// installation with it.
const BEFORE: &str = r#"
set -eu
root=$1
chroot "$root" dpkg-divert --quiet --local --rename --add /etc/kernel/postinst.d/kdump-tools
"#;

/// Run by mmdebstrap at the end, in the namespace that the packages were installed in; `$1` is the
/// root. What an administrator would set up, and the capture kernel's initramfs, which kdump-tools
/// would otherwise make at the first boot of every drill. It is made as
/// /etc/kernel/postinst.d/kdump-tools does, but with MODULES=most instead of MODULES=dep: `dep`
/// asks the running machine which drivers it needs. The copy of sysctl.conf tells kdump-config that
/// the initramfs is up to date.
const SET_UP: &str = r#"
set -eu
root=$1
chroot "$root" dpkg-divert --quiet --local --rename --remove /etc/kernel/postinst.d/kdump-tools
echo 'UUID=@UUID@ / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
echo crashdrill > "$root/etc/hostname"
for target in sysinit multi-user; do
    mkdir -p "$root/etc/systemd/system/$target.target.wants"
done
version=$(ls "$root/lib/modules")
if [ -d "$root/etc/kdump" ]; then
    kdump=$root/var/lib/kdump
    cp -pr "$root/etc/initramfs-tools" "$kdump/"
    mkdir -p "$kdump/initramfs-tools/conf.d"
    echo MODULES=most > "$kdump/initramfs-tools/conf.d/zzz-kdump"
    echo KDUMP=y >> "$kdump/initramfs-tools/initramfs.conf"
    chroot "$root" mkinitramfs -d /var/lib/kdump/initramfs-tools \
        -o "/var/lib/kdump/initrd.img-$version" "$version"
    cp "$root/etc/kdump/sysctl.conf" "$kdump/latest_sysctls-$version"
fi
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale"
"#;

/// The cache entry of such an image.
pub(super) fn id(name: &str, source: &DiskSource) -> EntryId {
    let size = source.size.0.to_string();
    let before = before(source);
    let mut definition = vec!["disk", source.suite.as_str(), &size, &before, SET_UP];
    definition.extend(source.packages.iter().map(String::as_str));
    EntryId::new(Kind::Image, name, &definition)
}

/// [`BEFORE`] with the manifest's files.
fn before(source: &DiskSource) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut script = BEFORE.to_owned();
    for (path, text) in &source.files {
        let path = quoted(path);
        script += &format!(
            "mkdir -p \"$root\"/\"$(dirname {path})\"\nprintf %s {} > \"$root\"{path}\n",
            quoted(text)
        );
    }
    script
}

/// What [`fill`] has put into the staging directory.
pub(super) struct Filled {
    /// The distribution's kernel; to be removed when it has been converted.
    pub(super) kernel: PathBuf,
    /// A directory to be removed at the end.
    pub(super) work: PathBuf,
    pub(super) packages: Vec<Package>,
    pub(super) root: RootIndex,
}

/// Installs the packages and makes the disk. Programs for handling it go to `userland`.
pub(super) fn fill(
    name: &str,
    source: &DiskSource,
    staging: &Path,
    userland: &Path,
    item: &str,
    progress: &dyn Progress,
) -> Result<Filled, ImageError> {
    let work = staging.join("work");
    let (tools, out) = (work.join("tools"), work.join("out"));
    for directory in [&work, userland, &tools, &out] {
        fs::create_dir(directory).map_err(failed("make", directory))?;
    }
    let request = Request {
        suites: &TOOLS_SUITE,
        prefer: None,
        packages: &TOOLS,
    };
    let debs = apt::download(request, &tools, item, progress)?;
    apt::unpack(&debs, userland, item, progress)?;
    for useless in ["usr/share/doc", "usr/share/locale", "usr/share/man"] {
        remove(&userland.join(useless))?;
    }

    let sources = work.join("mirror.sources");
    let text = apt::mirror_sources(&[source.suite.as_str()])?;
    fs::write(&sources, text).map_err(failed("write", &sources))?;
    let tar = work.join("root.tar");
    let mut command = mmdebstrap(&work, &source.suite, item, progress)?;
    let quoted = out.to_string_lossy().replace('\'', r"'\''");
    command
        .arg("--variant=essential")
        .arg(format!("--include={}", source.packages.join(",")))
        .arg(format!("--essential-hook={}", before(source)))
        .arg(format!(
            "--customize-hook={}",
            SET_UP.replace("@UUID@", ROOT_UUID)
        ))
        .arg(format!(
            "--customize-hook=copy-out /boot /var/lib/kdump /var/lib/dpkg/status '{quoted}'"
        ))
        .args(["--format=tar", &source.suite])
        .args([&tar, &sources]);
    run(name, command, item, progress)?;

    progress.report(item, &Step::Converting);
    format(name, &tar, source.size, &staging.join(DISK), userland)?;
    fs::remove_file(&tar).map_err(failed("remove", &tar))?;
    let kernel = only(name, &out.join("boot"), "vmlinuz-")?;
    let initrd = only(name, &out.join("boot"), "initrd.img-")?;
    let capture_initrd = only(name, &out.join("kdump"), "initrd.img-")?;
    let file_name = capture_initrd.file_name().unwrap_or_default();
    let root = RootIndex::Packages {
        capture_initrd_path: format!("/var/lib/kdump/{}", file_name.to_string_lossy()),
    };
    for (from, to) in [(&initrd, INITRD), (&capture_initrd, CAPTURE_INITRD)] {
        fs::rename(from, staging.join(to)).map_err(failed("move", from))?;
    }
    let status = out.join("status");
    let text = fs::read_to_string(&status).map_err(failed("read", &status))?;
    Ok(Filled {
        kernel,
        work,
        packages: packages(&text),
        root,
    })
}

/// The one on PATH, or else the suite's own, run by this machine's perl without being installed.
fn mmdebstrap(
    work: &Path,
    suite: &str,
    item: &str,
    progress: &dyn Progress,
) -> Result<Command, ImageError> {
    if on_path(MMDEBSTRAP) {
        return Ok(Command::new(MMDEBSTRAP));
    }
    let (packages, root) = (work.join("fetched"), work.join(MMDEBSTRAP));
    for directory in [&packages, &root] {
        fs::create_dir(directory).map_err(failed("make", directory))?;
    }
    let request = Request {
        suites: &[suite],
        prefer: None,
        packages: &[MMDEBSTRAP],
    };
    let debs = apt::download(request, &packages, item, progress)?;
    apt::unpack(&debs, &root, item, progress)?;
    let mut command = Command::new("perl");
    command.arg(root.join("usr/bin").join(MMDEBSTRAP));
    Ok(command)
}

/// Whether there is such a program.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    })
}

/// What this machine lacks for making a root disk, for people; nothing when it lacks nothing that
/// can be told beforehand.
pub fn lacking() -> Option<String> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !on_path(MMDEBSTRAP) && !runs("perl", &["-MPod::Usage", "-e", "1"]) {
        return Some("neither mmdebstrap nor a perl that runs it: install mmdebstrap".to_owned());
    }
    if geteuid().is_root() {
        return match runs("unshare", &["--mount", "true"]) {
            true => None,
            false => Some("root may not mount here, as in most containers".to_owned()),
        };
    }
    if !runs("unshare", &["--user", "--map-root-user", "true"]) {
        return Some(
            "no user namespaces: set kernel.unprivileged_userns_clone and \
             user.max_user_namespaces with sysctl"
                .to_owned(),
        );
    }
    if !on_path("newuidmap") {
        return Some("no newuidmap: install uidmap".to_owned());
    }
    let user = User::from_uid(geteuid()).ok().flatten();
    let names = [user.map(|user| user.name), Some(geteuid().to_string())];
    ["/etc/subuid", "/etc/subgid"]
        .into_iter()
        .find(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut owners = text.lines().filter_map(|line| line.split(':').next());
            !owners.any(|owner| names.iter().flatten().any(|name| name == owner))
        })
        .map(|file| format!("no ids for your user in {file}: usermod --add-subuids, --add-subgids"))
}

fn run(
    name: &str,
    mut command: Command,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let wrong = |message: String| ImageError::RootDisk {
        image: name.to_owned(),
        message,
    };
    command
        .env("LC_ALL", "C.UTF-8")
        .env_remove("LANGUAGE")
        .env_remove("APT_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // Asked to end, it takes its directory of some hundred megabytes with it.
    let mut child = dying_with_us_by(&mut command, Signal::SIGTERM)
        .spawn()
        .map_err(|error| wrong(format!("mmdebstrap cannot be run: {error}")))?;
    let mut said: VecDeque<String> = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.map_err(|error| wrong(format!("mmdebstrap: {error}")))?;
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if let Some(step) = line.strip_prefix("I: ") {
                progress.report(item, &Step::Installing(step.to_owned()));
            } else if !line.is_empty() {
                said.push_back(line);
                said.drain(..said.len().saturating_sub(SAID));
            }
        }
    }
    let status = child
        .wait()
        .map_err(|error| wrong(format!("mmdebstrap: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let mut message = format!("mmdebstrap failed ({status}):\n");
    message += &Vec::from(said).join("\n");
    message += match lacking() {
        Some(why) => format!("\nthis machine lacks something for it: {why}"),
        None => "\ncheck the network, the packages of the manifest, and the space in the \
                 temporary directory; TMPDIR can name another"
            .to_owned(),
    }
    .as_str();
    Err(wrong(message))
}

fn format(
    name: &str,
    tar: &Path,
    size: Bytes,
    disk: &Path,
    userland: &Path,
) -> Result<(), ImageError> {
    let file = fs::File::create_new(disk).map_err(failed("make", disk))?;
    file.set_len(size.0).map_err(failed("make", disk))?;
    let mut command = Userland::at(userland).command("mke2fs")?;
    command
        .env("MKE2FS_CONFIG", "/dev/null")
        .env("LC_ALL", "C")
        .args(["-F", "-q", "-b", "4096", "-I", "256", "-m", "0"])
        .args([
            "-O",
            ext_features(Filesystem::Ext4),
            "-U",
            ROOT_UUID,
            "-L",
            "root",
        ])
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"])
        .arg("-d")
        .args([tar, disk])
        .stdin(Stdio::null());
    let output = dying_with_us_by(&mut command, Signal::SIGKILL)
        .output()
        .map_err(failed("run mke2fs for", disk))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ImageError::RootDisk {
            image: name.to_owned(),
            message: format!(
                "mke2fs could not make a disk of {size} of it: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        }),
    }
}

/// The one file of a directory whose name begins so.
fn only(name: &str, directory: &Path, prefix: &str) -> Result<PathBuf, ImageError> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read
            .map_err(failed("list", directory))?
            .flatten()
            .map(|entry| entry.path())
            .collect(),
    };
    let begins = |path: &PathBuf| {
        let name: OsString = path.file_name().unwrap_or_default().to_owned();
        name.to_string_lossy().starts_with(prefix) && path.is_file()
    };
    let mut found: Vec<PathBuf> = listed.into_iter().filter(begins).collect();
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (found, more) => Err(ImageError::RootDisk {
            image: name.to_owned(),
            message: format!(
                "the packages left {} files {prefix}... on the disk, but one is needed: list one \
                 kernel, initramfs-tools and kdump-tools",
                more + usize::from(found.is_some())
            ),
        }),
    }
}

/// Names and versions from dpkg's status file.
fn packages(status: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut name = None;
    for line in status.lines() {
        if let Some(text) = line.strip_prefix("Package: ") {
            name = Some(text.to_owned());
        } else if let Some(version) = line.strip_prefix("Version: ")
            && let Some(name) = name.take()
        {
            packages.push(Package::of_apt(name, version.to_owned()));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_dpkgs_status() {
        let status = "Package: adduser\nStatus: install ok installed\nVersion: 3.134\n\
                      Description: x\n\nPackage: kdump-tools\nVersion: 1:1.8.1\n";
        assert_eq!(
            packages(status),
            [
                Package::of_apt("adduser".to_owned(), "3.134".to_owned()),
                Package::of_apt("kdump-tools".to_owned(), "1:1.8.1".to_owned())
            ]
        );
    }

    #[test]
    fn files_of_the_manifest_keep_their_text() {
        let directory = tempfile::tempdir().unwrap();
        let text = "it's $HOME %s \\n `x`\n\nend";
        let source = DiskSource {
            suite: "bookworm".to_owned(),
            packages: Vec::new(),
            size: Bytes(Bytes::GIB),
            files: [("/etc/a b/c.conf".to_owned(), text.to_owned())].into(),
        };
        let script = before(&source).replace("chroot", "true");
        let status = Command::new("sh")
            .args(["-c", &script, "exec"])
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(status.success());
        let written = fs::read_to_string(directory.path().join("etc/a b/c.conf")).unwrap();
        assert_eq!(written, text);
    }

    #[test]
    fn one_kernel_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let error = only("x", directory.path(), "vmlinuz-").unwrap_err();
        assert!(error.to_string().contains("0 files vmlinuz-"), "{error}");
        fs::write(directory.path().join("vmlinuz-1"), "").unwrap();
        assert!(only("x", directory.path(), "vmlinuz-").is_ok());
        fs::write(directory.path().join("vmlinuz-2"), "").unwrap();
        let error = only("x", directory.path(), "vmlinuz-").unwrap_err();
        assert!(error.to_string().contains("2 files vmlinuz-"), "{error}");
    }
}
