//! What the machine's disks hold before it starts: what kdump.conf says of the target, unless the
//! scenario contradicts it on purpose.

use crate::kdump::conf::{DumpTarget, Filesystem, KdumpConf, TargetDevice};
use crate::scenario::model::{Device, DiskContent, HeldType};
use crate::target::{Content, Format, FormatError};
use crate::units::Bytes;

/// The root file system is found by this, whatever its node is called.
pub(super) const ROOT_UUID: &str = "c7a54d11-0000-4000-8000-000000000002";
const ROOT_LABEL: &str = "root";

/// A disk that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskProblem {
    /// kdump.conf's UUID or label.
    #[error("kdump.conf's target: {0}")]
    Conf(FormatError),
    /// The scenario's own.
    #[error(transparent)]
    Device(FormatError),
    /// Too small for its file system.
    #[error("a disk of {size} is too small for {filesystem}, which needs {smallest}")]
    Small {
        /// As the scenario has it.
        size: Bytes,
        /// Which.
        filesystem: &'static str,
        /// What mkfs wants.
        smallest: Bytes,
    },
}

/// What a line of `machine.devices` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Target,
    Root,
    /// The nth disk of the machine, from 0.
    Other(usize),
}

/// What the disk holds. `size` is its size.
pub(super) fn content(
    conf: &KdumpConf,
    device: &Device,
    use_: Use,
    size: Bytes,
) -> Result<Content, DiskProblem> {
    let usual = match use_ {
        Use::Target => target(conf),
        Use::Root => Wanted {
            uuid: Some(ROOT_UUID.to_owned()),
            label: Some(ROOT_LABEL.to_owned()),
            ..Wanted::new(Some(Filesystem::Ext4))
        },
        Use::Other(nth) => Wanted {
            uuid: Some(format!("c7a54d11-0000-4000-8000-{:012x}", nth + 0x10)),
            label: Some(format!("disk-{nth}")),
            ..Wanted::new(Some(Filesystem::Ext4))
        },
    };
    let wanted = match &device.filesystem {
        Some(own) => usual.but(own),
        None => usual,
    };
    let Some(filesystem) = wanted.filesystem else {
        return Ok(Content::Blank);
    };
    let mut format = Format::new(filesystem);
    let problem = |own: bool| {
        move |error| match own {
            true => DiskProblem::Device(error),
            false => DiskProblem::Conf(error),
        }
    };
    let own = device.filesystem.as_ref();
    if let Some(uuid) = &wanted.uuid {
        let own = own.is_some_and(|own| own.uuid.is_some());
        format = format.uuid(uuid).map_err(problem(own))?;
    }
    if let Some(label) = &wanted.label {
        let own = own.is_some_and(|own| own.label.is_some());
        format = format.label(label).map_err(problem(own))?;
    }
    if size < format.smallest() {
        return Err(DiskProblem::Small {
            size,
            filesystem: filesystem.name(),
            smallest: format.smallest(),
        });
    }
    Ok(Content::Filesystem(format))
}

/// What the root file system is, as the scenario has it.
pub(super) fn root_filesystem(own: Option<&DiskContent>) -> Filesystem {
    let wanted = Wanted::new(Some(Filesystem::Ext4));
    let wanted = match own {
        Some(own) => wanted.but(own),
        None => wanted,
    };
    // A blank disk is no reason not to look for the usual one on it.
    wanted.filesystem.unwrap_or(Filesystem::Ext4)
}

struct Wanted {
    /// `None`: nothing at all.
    filesystem: Option<Filesystem>,
    uuid: Option<String>,
    label: Option<String>,
}

impl Wanted {
    fn new(filesystem: Option<Filesystem>) -> Self {
        Self {
            filesystem,
            uuid: None,
            label: None,
        }
    }

    fn but(self, own: &DiskContent) -> Self {
        Self {
            filesystem: match own.r#type {
                None => self.filesystem.or(Some(Filesystem::Ext4)),
                Some(HeldType::Blank) => None,
                Some(HeldType::Ext2) => Some(Filesystem::Ext2),
                Some(HeldType::Ext3) => Some(Filesystem::Ext3),
                Some(HeldType::Ext4) => Some(Filesystem::Ext4),
                Some(HeldType::Xfs) => Some(Filesystem::Xfs),
                Some(HeldType::Btrfs) => Some(Filesystem::Btrfs),
            },
            uuid: own.uuid.clone().or(self.uuid),
            label: own.label.clone().or(self.label),
        }
    }
}

fn target(conf: &KdumpConf) -> Wanted {
    match &conf.target {
        Some(DumpTarget::Filesystem { filesystem, device }) => {
            let wanted = Wanted::new(Some(*filesystem));
            match device {
                TargetDevice::Node(_) => wanted,
                TargetDevice::Uuid(uuid) => Wanted {
                    uuid: Some(uuid.clone()),
                    ..wanted
                },
                TargetDevice::Label(label) => Wanted {
                    label: Some(label.clone()),
                    ..wanted
                },
            }
        }
        Some(DumpTarget::Raw(_)) => Wanted::new(None),
        Some(
            DumpTarget::Nfs { .. }
            | DumpTarget::Ssh { .. }
            | DumpTarget::Minix(_)
            | DumpTarget::Virtiofs(_),
        )
        | None => Wanted::new(Some(Filesystem::Ext4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kdump::flavour::Flavour;
    use crate::scenario::model::DeviceKind;

    const SIZE: Bytes = Bytes(Bytes::GIB);

    fn device(filesystem: Option<DiskContent>) -> Device {
        Device {
            target: true,
            filesystem,
            ..Device::new(DeviceKind::Nvme)
        }
    }

    fn held(conf: &str, own: Option<DiskContent>) -> Result<Content, DiskProblem> {
        let conf = KdumpConf::parse(conf, Flavour::Rhel7).unwrap();
        content(&conf, &device(own), Use::Target, SIZE)
    }

    fn own(r#type: Option<HeldType>, uuid: Option<&str>, label: Option<&str>) -> DiskContent {
        DiskContent {
            r#type,
            uuid: uuid.map(str::to_owned),
            label: label.map(str::to_owned),
        }
    }

    #[test]
    fn follows_kdump_conf() {
        let uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        let xfs = Format::new(Filesystem::Xfs).label("crash").unwrap();
        assert_eq!(
            held("xfs LABEL=crash\n", None),
            Ok(Content::Filesystem(xfs))
        );
        let btrfs = Format::new(Filesystem::Btrfs).uuid(uuid).unwrap();
        assert_eq!(
            held(&format!("btrfs UUID={uuid}\n"), None),
            Ok(Content::Filesystem(btrfs))
        );
        let ext4 = Content::Filesystem(Format::new(Filesystem::Ext4));
        assert_eq!(held("ext4 /dev/sdb1\n", None), Ok(ext4.clone()));
        assert_eq!(held("", None), Ok(ext4));
    }

    #[test]
    fn contradicts_it_on_purpose() {
        let ext4 = Format::new(Filesystem::Ext4).label("crash").unwrap();
        assert_eq!(
            held(
                "xfs LABEL=crash\n",
                Some(own(Some(HeldType::Ext4), None, None))
            ),
            Ok(Content::Filesystem(ext4))
        );
        let other = Format::new(Filesystem::Xfs).label("other").unwrap();
        assert_eq!(
            held("xfs LABEL=crash\n", Some(own(None, None, Some("other")))),
            Ok(Content::Filesystem(other))
        );
        assert_eq!(
            held(
                "ext4 /dev/vda\n",
                Some(own(Some(HeldType::Blank), None, None))
            ),
            Ok(Content::Blank)
        );
    }

    #[test]
    fn what_cannot_be_made() {
        let long = held("xfs LABEL=longer-than-twelve\n", None);
        assert!(matches!(
            long,
            Err(DiskProblem::Conf(FormatError::LongLabel { .. }))
        ));
        let bad = held("ext4 /dev/vda\n", Some(own(None, Some("1234"), None)));
        assert!(matches!(
            bad,
            Err(DiskProblem::Device(FormatError::Uuid(_)))
        ));
        let conf = KdumpConf::parse("xfs /dev/vda\n", Flavour::Rhel7).unwrap();
        let small = content(&conf, &device(None), Use::Target, Bytes(8 * Bytes::MIB));
        assert_eq!(
            small.unwrap_err().to_string(),
            "a disk of 8M is too small for xfs, which needs 300M"
        );
    }
}
