//! A root disk that somebody else made: a qcow2 or raw image with a distribution on it. Its root
//! file system, and the kernel and the initramfs that boot it, are found here.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::{RootDisk, RootKind};
use super::error::{ImageError, io as failed};
use super::fetch::Fetched;
use super::qcow2;
use crate::target::{BlockDevice, Target, TargetError, filesystem, filesystem_uuid, partitions};
use crate::units::Bytes;
use crate::vmcore::ReadAt;

const DISK: &str = "root.img";
const INITRD: &str = "initrd";
/// Largest that are taken out of an image.
const MAX_KERNEL: Bytes = Bytes(256 * Bytes::MIB);
const MAX_INITRD: Bytes = Bytes(Bytes::GIB);
/// On the way from the image to the host, at a time.
const BLOCK: usize = 1 << 20;

/// Whose scripts arm kdump on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KdumpService {
    /// Debian's and Ubuntu's kdump-tools.
    KdumpTools,
    /// kdumpctl of Red Hat Enterprise Linux and Fedora.
    Kdumpctl,
}

impl KdumpService {
    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::KdumpTools => "kdump-tools.service",
            Self::Kdumpctl => "kdump.service",
        }
    }
}

/// What the image's index keeps of such a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRoot {
    /// A raw image stays where it is.
    raw: Option<PathBuf>,
    /// The partition that holds the root file system; none when the disk itself does.
    pub partition: Option<u32>,
    /// The root file system's.
    pub uuid: String,
    /// Whose kdump is installed.
    pub service: KdumpService,
}

impl FoundRoot {
    pub(super) fn at(&self, entry: &Path) -> RootDisk {
        RootDisk {
            disk: self.raw.clone().unwrap_or_else(|| entry.join(DISK)),
            initrd: entry.join(INITRD),
            kind: RootKind::Image(self.clone()),
        }
    }

    /// What the disk was made of is not needed any more. A raw disk stays where it is, but one that
    /// was downloaded would not stay there: it becomes a part of the entry.
    pub(super) fn take_in(&mut self, file: Fetched, staging: &Path) -> Result<(), ImageError> {
        if self.raw.is_some() && file.is_download() {
            let disk = staging.join(DISK);
            // Another process may need it, too.
            fs::hard_link(file.path(), &disk).map_err(failed("make", &disk))?;
            self.raw = None;
        }
        file.discard()
    }

    /// The root file system's part of a copy of the disk. The partition table is read anew: the
    /// distribution may have grown the partition.
    ///
    /// # Errors
    /// The table cannot be read, or the partition is gone.
    pub fn device(&self, disk: &BlockDevice) -> Result<BlockDevice, TargetError> {
        let Some(number) = self.partition else {
            return Ok(disk.clone());
        };
        let found = partitions(disk)?.into_iter();
        let mut found = found.filter(|partition| partition.number == number);
        match found.next() {
            Some(partition) => Ok(partition.device),
            None => Err(TargetError::NotFound(format!("partition {number}"))),
        }
    }
}

/// Makes the raw disk, and takes out of it what boots it. Gives the kernel besides.
pub(super) fn fill(
    name: &str,
    file: &Path,
    staging: &Path,
) -> Result<(FoundRoot, Vec<u8>), ImageError> {
    let wrong = |message: String| ImageError::RootDisk {
        image: name.to_owned(),
        message: format!("{}: {message}", file.display()),
    };
    // Opening a pipe would wait for somebody at its other end.
    if !fs::metadata(file).map_err(failed("open", file))?.is_file() {
        return Err(wrong("it is no regular file".to_owned()));
    }
    let image = File::open(file).map_err(failed("open", file))?;
    let (disk, raw) = match qcow2::is_qcow2(&image).map_err(failed("read", file))? {
        false => (image, Some(file.to_owned())),
        true => {
            let path = staging.join(DISK);
            let disk = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(failed("make", &path))?;
            qcow2::convert(&image, &disk).map_err(|error| wrong(error.to_string()))?;
            (disk, None)
        }
    };
    let found = Boots::find(&disk).map_err(wrong)?;
    let initrd = staging.join(INITRD);
    found.copy_initrd(&initrd).map_err(wrong)?;
    let kernel = found.kernel().map_err(wrong)?;
    let found = FoundRoot {
        raw,
        partition: found.partition,
        uuid: found.uuid,
        service: found.service,
    };
    Ok((found, kernel))
}

/// What boots a disk.
struct Boots {
    partition: Option<u32>,
    uuid: String,
    service: KdumpService,
    /// The file system with the kernel.
    boot: Target,
    /// On it.
    kernel: String,
    initrd: String,
}

impl Boots {
    fn find(disk: &File) -> Result<Self, String> {
        let whole = BlockDevice::whole(disk).map_err(|error| error.to_string())?;
        let devices = match filesystem(&whole) {
            Some(_) => vec![(None, whole)],
            None => partitions(&whole)
                .map_err(|error| error.to_string())?
                .into_iter()
                .map(|partition| (Some(partition.number), partition.device))
                .collect(),
        };
        if devices.is_empty() {
            return Err(
                "it is neither a qcow2 nor a raw disk with partitions or a file system; `qemu-img \
                 convert -O qcow2 OLD NEW` makes a qcow2 of most other formats"
                    .to_owned(),
            );
        }
        let mut unread = Vec::new();
        let mut opened = Vec::new();
        for (number, device) in devices {
            match Target::open(&device) {
                Ok(target) => opened.push((number, device, target)),
                Err(error) => unread.push(format!("{}: {error}", place(number))),
            }
        }
        let is_root = |target: &Target| target.open_dump("/etc/os-release").is_ok();
        let roots: Vec<usize> = (0..)
            .zip(&opened)
            .filter(|(_, (_, _, target))| is_root(target))
            .map(|(nth, _)| nth)
            .collect();
        let [root] = roots[..] else {
            let mut message = match roots.is_empty() {
                true => "no partition holds a root file system (one with /etc/os-release) that \
                         can be read: it has to be ext2, ext3, ext4, xfs, or the default \
                         subvolume of a btrfs, not on LVM, RAID or LUKS"
                    .to_owned(),
                false => {
                    let numbers = roots.iter().filter_map(|&nth| opened.get(nth));
                    let places: Vec<String> = numbers.map(|(number, ..)| place(*number)).collect();
                    format!(
                        "several partitions hold a root file system ({}), but one is needed",
                        places.join(", ")
                    )
                }
            };
            for line in unread {
                message += &format!("\n  {line}");
            }
            return Err(message);
        };
        let (number, device, root_target) = opened.swap_remove(root);
        let uuid = filesystem_uuid(&device)
            .ok_or_else(|| format!("{}: its file system has no UUID", place(number)))?;
        let service = service(&root_target)?;
        let others = opened.into_iter().map(|(_, _, target)| (target, ""));
        for (boot, directory) in std::iter::once((root_target, "/boot")).chain(others) {
            let names = boot.list(directory).or_else(|error| match error {
                TargetError::NotFound(_) => Ok(Vec::new()),
                error => Err(format!("/boot: {error}")),
            })?;
            if let Some((kernel, initrd)) = newest(&names) {
                return Ok(Self {
                    partition: number,
                    uuid,
                    service,
                    kernel: format!("{directory}/{kernel}"),
                    initrd: format!("{directory}/{initrd}"),
                    boot,
                });
            }
        }
        Err(format!(
            "neither /boot of {} nor another partition has a kernel vmlinuz-VERSION with its \
             initramfs (initrd.img-VERSION, initramfs-VERSION.img or initrd-VERSION) beside it: \
             install the distribution's kernel package in the image",
            place(number)
        ))
    }

    fn kernel(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        self.copy(&self.kernel, MAX_KERNEL, &mut bytes)?;
        Ok(bytes)
    }

    fn copy_initrd(&self, to: &Path) -> Result<(), String> {
        let mut file = File::create_new(to).map_err(|error| error.to_string())?;
        self.copy(&self.initrd, MAX_INITRD, &mut file)
    }

    fn copy(&self, path: &str, most: Bytes, to: &mut dyn Write) -> Result<(), String> {
        let file = self.boot.open_dump(path).map_err(|e| e.to_string())?;
        if file.len() > most.0 {
            let len = file.len();
            return Err(format!("{path} has {len} bytes, more than {most}"));
        }
        let wrong = |error: io::Error| format!("{path} cannot be copied: {error}");
        let mut at = 0;
        let mut block = vec![0; BLOCK];
        while at < file.len() {
            let len = (file.len() - at).min(BLOCK as u64);
            let part = &mut block[..len as usize];
            file.read_exact_at(at, part).map_err(wrong)?;
            to.write_all(part).map_err(wrong)?;
            at += len;
        }
        Ok(())
    }
}

fn place(partition: Option<u32>) -> String {
    match partition {
        Some(number) => format!("partition {number}"),
        None => "the whole disk".to_owned(),
    }
}

/// Whose kdump is installed. cloud-init has to be, too: it takes the drill's orders.
fn service(root: &Target) -> Result<KdumpService, String> {
    let has = |path: &str| root.open_dump(path).is_ok();
    let service = if has("/usr/sbin/kdump-config") {
        KdumpService::KdumpTools
    } else if has("/usr/bin/kdumpctl") {
        KdumpService::Kdumpctl
    } else {
        return Err(
            "no kdump is installed in it: install kdump-tools (Debian, Ubuntu), kexec-tools \
             (RHEL up to 9) or kdump-utils (Fedora, RHEL 10) in the image"
                .to_owned(),
        );
    };
    match has("/usr/bin/cloud-init") {
        true => Ok(service),
        false => Err(
            "cloud-init, which takes a drill's configuration, is not installed in it: install it \
             in the image, and leave it enabled"
                .to_owned(),
        ),
    }
}

/// The newest kernel that has an initramfs, and that. Rescue kernels do not count.
fn newest(names: &[String]) -> Option<(String, String)> {
    let kernels = names.iter().filter_map(|name| {
        let version = name.strip_prefix("vmlinuz-")?;
        let initrd = [
            format!("initrd.img-{version}"),
            format!("initramfs-{version}.img"),
            format!("initrd-{version}"),
        ]
        .into_iter()
        .find(|initrd| names.contains(initrd))?;
        Some((version, name.clone(), initrd))
    });
    kernels
        .filter(|(version, ..)| !version.contains("rescue"))
        .max_by(|(a, ..), (b, ..)| by_version(a, b))
        .map(|(_, kernel, initrd)| (kernel, initrd))
}

/// As `sort -V` mostly does: runs of digits are numbers.
fn by_version(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| {
        let mut parts: Vec<(u64, String)> = Vec::new();
        for run in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
            let digits: String = run.chars().take_while(char::is_ascii_digit).collect();
            let rest = run.get(digits.len()..).unwrap_or_default().to_owned();
            parts.push((digits.parse().unwrap_or_default(), rest));
        }
        parts
    };
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
pub(super) mod tests;
