//! The dump target: waiting for it, finding it by UUID or label, mounting it.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crashdrill_guest::console::{NOT_A_MOUNT_POINT, TARGET_MOUNT_POINT, TARGET_TIMEOUT};
use crashdrill_guest::order::Filesystem;
use crashdrill_guest::report::Report;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::error::errno_name;
use crate::{Init, console};

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
            let _ = poll(&mut [], timeout(left.min(LOOK_AGAIN)));
            return;
        };
        let _ = poll(
            &mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)],
            timeout(left),
        );
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

/// Rounded up: a wait of 0 ms before the deadline would spin.
fn timeout(left: Duration) -> PollTimeout {
    let milliseconds = left.as_millis().saturating_add(1);
    PollTimeout::try_from(u32::try_from(milliseconds).unwrap_or(u32::MAX))
        .unwrap_or(PollTimeout::MAX)
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
            console::print(TARGET_TIMEOUT);
            console::print(&format!("Warning: {device} does not exist"));
            return None;
        }
        uevents.wait(left);
    }
}

/// Mounts `node`, or says why not.
pub(crate) fn mount_at(init: &mut Init, target: &Filesystem, node: Option<&Path>) -> bool {
    let mounted = node.map(|node| {
        fs::create_dir_all(TARGET_MOUNT_POINT)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            .and_then(|()| {
                let kind = Some(target.kind.as_str());
                mount(
                    Some(node),
                    TARGET_MOUNT_POINT,
                    kind,
                    MsFlags::empty(),
                    None::<&str>,
                )
            })
    });
    let mount_error = match mounted {
        Some(Err(errno)) => {
            console::print(&format!(
                "mount: {} on {TARGET_MOUNT_POINT}: {}",
                target.device,
                errno.desc()
            ));
            Some(errno_name(errno))
        }
        _ => None,
    };
    init.report(&Report::Target {
        device: target.device.clone(),
        found: node.is_some(),
        mount_error,
    });
    let done = matches!(mounted, Some(Ok(())));
    if !done {
        console::print(NOT_A_MOUNT_POINT);
    }
    done
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

/// What identifies a file system.
#[derive(Debug, PartialEq, Eq)]
struct Superblock {
    uuid: String,
    label: String,
}

impl Superblock {
    fn read(device: &File) -> Option<Self> {
        let mut start = [0; 2048];
        device.read_exact_at(&mut start, 0).ok()?;
        Self::parse(&start)
    }

    /// ext2 to ext4 (fs/ext4/ext4.h, struct ext4_super_block at byte 1024) and xfs
    /// (fs/xfs/libxfs/xfs_format.h, struct xfs_dsb at byte 0).
    fn parse(start: &[u8]) -> Option<Self> {
        let at = |offset: usize, length: usize| start.get(offset..offset + length);
        let (uuid, label) = if at(1024 + 0x38, 2)? == [0x53, 0xef] {
            (at(1024 + 0x68, 16)?, at(1024 + 0x78, 16)?)
        } else if at(0, 4)? == b"XFSB" {
            (at(32, 16)?, at(108, 12)?)
        } else {
            return None;
        };
        let mut text = String::with_capacity(36);
        for (position, byte) in uuid.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text += &format!("{byte:02x}");
        }
        let label = label.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Self {
            uuid: text,
            label: String::from_utf8_lossy(label).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = [
        0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1,
        0xf0,
    ];

    #[test]
    fn ext4() {
        let mut start = vec![0; 2048];
        start[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xef]);
        start[1024 + 104..1024 + 120].copy_from_slice(&UUID);
        start[1024 + 120..1024 + 125].copy_from_slice(b"crash");
        let found = Superblock::parse(&start).unwrap();
        assert_eq!(found.uuid, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
        assert_eq!(found.label, "crash");
        assert!(Wanted::of("UUID=0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0").is(&found));
        assert!(Wanted::of("/dev/disk/by-label/crash").is(&found));
        assert!(!Wanted::of("LABEL=cras").is(&found));
    }

    #[test]
    fn xfs() {
        let mut start = vec![0; 2048];
        start[..4].copy_from_slice(b"XFSB");
        start[32..48].copy_from_slice(&UUID);
        start[108..120].copy_from_slice(b"twelve-bytes");
        let found = Superblock::parse(&start).unwrap();
        assert_eq!(found.label, "twelve-bytes");
        assert!(Wanted::of("LABEL=twelve-bytes").is(&found));
    }

    #[test]
    fn neither() {
        assert_eq!(Superblock::parse(&[0; 2048]), None);
        assert_eq!(Superblock::parse(&[0; 100]), None);
        assert_eq!(Superblock::parse(&[]), None);
    }
}
