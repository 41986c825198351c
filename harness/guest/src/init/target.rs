//! Disks: waiting for one, finding it by the UUID or label of its file system, mounting that.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crashdrill_guest::order::Filesystem;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::superblock::Superblock;
use crate::{Init, console, drivers, events};

/// The kernel's own multicast group of NETLINK_KOBJECT_UEVENT; udev's is 2.
const KERNEL_UEVENTS: u32 = 1;
/// Without netlink (CONFIG_NET=n) nothing announces a device.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Announcements of new devices. To be opened before the first driver is loaded.
pub(crate) struct Uevents(Option<OwnedFd>);

impl Uevents {
    pub(crate) fn open() -> Self {
        let open = || {
            let fd = socket(
                AddressFamily::Netlink,
                SockType::Datagram,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                SockProtocol::NetlinkKObjectUEvent,
            )?;
            bind(
                std::os::fd::AsRawFd::as_raw_fd(&fd),
                &NetlinkAddr::new(0, KERNEL_UEVENTS),
            )?;
            Ok::<_, Errno>(fd)
        };
        Self(open().ok())
    }

    /// Until something was announced, or for `left` at most.
    fn wait(&self, left: Duration) {
        let Some(fd) = &self.0 else {
            events::wait(&[], left.min(LOOK_AGAIN));
            return;
        };
        events::wait(&[fd.as_fd()], left);
        // What was announced does not matter, nor whether some of it was lost (ENOBUFS): the
        // caller looks for itself, after all of it has been taken.
        let mut event = [0; 4096];
        let raw = std::os::fd::AsRawFd::as_raw_fd(fd);
        while !matches!(
            recv(raw, &mut event, MsgFlags::empty()),
            Err(Errno::EAGAIN | Errno::EBADF | Errno::ENOTCONN)
        ) {}
    }
}

/// The device's node, as soon as it is there, or `None` after `limit`.
pub(crate) fn wait(uevents: &Uevents, device: &str, limit: Duration) -> Option<PathBuf> {
    let deadline = Instant::now().checked_add(limit);
    loop {
        if let Some(node) = Wanted::of(device).find() {
            return Some(node);
        }
        let left = match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        if left.is_zero() {
            return None;
        }
        uevents.wait(left);
    }
}

/// Loads what the file system needs and mounts it, or says why not as mount(8) would.
pub(crate) fn mount_at(
    init: &mut Init,
    filesystem: &Filesystem,
    node: &Path,
    mount_point: &str,
) -> Result<(), Errno> {
    drivers::load_modules(init, &filesystem.kind, &filesystem.modules);
    fs::create_dir_all(mount_point)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
        .and_then(|()| {
            let kind = Some(filesystem.kind.as_str());
            let none = None::<&str>;
            mount(Some(node), mount_point, kind, MsFlags::empty(), none)
        })
        .inspect_err(|errno| {
            console::print(&format!(
                "mount: {} on {mount_point}: {}",
                filesystem.device,
                errno.desc()
            ));
        })
}

/// What the order asks for.
enum Wanted<'a> {
    Node(&'a Path),
    Uuid(&'a str),
    Label(&'a str),
}

impl<'a> Wanted<'a> {
    /// The two links below /dev/disk are udev's, which does not run here.
    fn of(device: &'a str) -> Self {
        let after = |prefixes: [&str; 2]| prefixes.iter().find_map(|p| device.strip_prefix(p));
        if let Some(uuid) = after(["UUID=", "/dev/disk/by-uuid/"]) {
            Self::Uuid(uuid)
        } else if let Some(label) = after(["LABEL=", "/dev/disk/by-label/"]) {
            Self::Label(label)
        } else {
            Self::Node(Path::new(device))
        }
    }

    fn find(&self) -> Option<PathBuf> {
        if let Self::Node(node) = self {
            return open_block_device(node).map(|_| node.to_path_buf());
        }
        let mut names: Vec<_> = fs::read_dir("/sys/class/block")
            .ok()?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        names
            .iter()
            // A slash in a device's name (cciss/c0d0) is a `!` in sysfs.
            .map(|name| Path::new("/dev").join(name.to_string_lossy().replace('!', "/")))
            .find(|node| {
                open_block_device(node)
                    .and_then(|device| Superblock::read(&device))
                    .is_some_and(|superblock| self.is(&superblock))
            })
    }

    fn is(&self, superblock: &Superblock) -> bool {
        match self {
            Self::Node(_) => false,
            Self::Uuid(uuid) => superblock.uuid.eq_ignore_ascii_case(uuid),
            Self::Label(label) => superblock.label == *label,
        }
    }
}

/// A node exists a moment before its device can be opened.
fn open_block_device(node: &Path) -> Option<File> {
    let is_block = fs::metadata(node).is_ok_and(|node| node.file_type().is_block_device());
    is_block
        .then(|| OpenOptions::new().read(true).open(node).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::superblock::tests::{ext4, in_bytes};

    #[test]
    fn by_uuid_and_label() {
        let found = in_bytes(&ext4()).unwrap();
        assert!(Wanted::of("UUID=0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0").is(&found));
        assert!(Wanted::of("/dev/disk/by-label/crash").is(&found));
        assert!(!Wanted::of("LABEL=cras").is(&found));
        assert!(!Wanted::of("/dev/crash").is(&found));
    }
}
