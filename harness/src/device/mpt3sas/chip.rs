//! The chips that the model can be: what they call themselves and what firmware they run
//! (drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h, MPI25_MFGPAGE_DEVID_ and MPI26_MFGPAGE_DEVID_; lspci and
//! kernel logs of such adapters).

use crate::device::{Bar, ConfigSpace, Identity, MsiXLayout};

/// Broadcom's (LSI's, Avago's) PCI vendor ID.
const VENDOR: u16 = 0x1000;

/// SAS3 I/O controllers, by what mpt3sas's device table calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// SAS9300-4i and the like.
    Sas3004,
    /// SAS9300-8i, Dell HBA330 and the like.
    Sas3008,
    /// The chip of RAID adapters, with firmware without RAID; four PCI device IDs.
    Sas3108(Sas3108),
    /// SAS9305-16i and the like.
    Sas3216,
    /// SAS9305-24i.
    Sas3224,
}

/// The device IDs of [`Chip::Sas3108`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sas3108 {
    /// 0090
    One,
    /// 0091
    Two,
    /// 0094
    Five,
    /// 0095
    Six,
}

impl Chip {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Sas3004,
        Self::Sas3008,
        Self::Sas3108(Sas3108::One),
        Self::Sas3108(Sas3108::Two),
        Self::Sas3108(Sas3108::Five),
        Self::Sas3108(Sas3108::Six),
        Self::Sas3216,
        Self::Sas3224,
    ];

    /// The chip with a PCI device ID.
    pub fn by_device(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|chip| chip.device() == id)
    }

    /// Its PCI device ID.
    pub fn device(self) -> u16 {
        match self {
            Self::Sas3004 => 0x0096,
            Self::Sas3008 => 0x0097,
            Self::Sas3108(Sas3108::One) => 0x0090,
            Self::Sas3108(Sas3108::Two) => 0x0091,
            Self::Sas3108(Sas3108::Five) => 0x0094,
            Self::Sas3108(Sas3108::Six) => 0x0095,
            Self::Sas3216 => 0x00c9,
            Self::Sas3224 => 0x00c4,
        }
    }

    /// What manufacturing page 0 says, and so the kernel's log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sas3004 => "LSISAS3004",
            Self::Sas3008 => "LSISAS3008",
            Self::Sas3108(_) => "LSISAS3108",
            Self::Sas3216 => "SAS3216",
            Self::Sas3224 => "SAS3224",
        }
    }

    /// Ends of SAS links.
    pub(super) fn phys(self) -> u8 {
        match self {
            Self::Sas3004 => 4,
            Self::Sas3008 | Self::Sas3108(_) => 8,
            Self::Sas3216 => 16,
            Self::Sas3224 => 24,
        }
    }

    /// MsgVersion of IOCFacts: MPI 2.5 or 2.6, which for these chips differ in nothing else.
    pub(super) fn version(self) -> u16 {
        match self {
            Self::Sas3004 | Self::Sas3008 | Self::Sas3108(_) => 0x0205,
            Self::Sas3216 | Self::Sas3224 => 0x0206,
        }
    }

    /// ProductID of IOCFacts: family, initiator and target, SAS (mpi2_image.h, MPI2_FW_HEADER_PID_).
    pub(super) fn product(self) -> u16 {
        match self {
            Self::Sas3004 | Self::Sas3008 | Self::Sas3108(_) => 0x2221,
            Self::Sas3216 | Self::Sas3224 => 0x2228,
        }
    }

    /// FWVersion, and the package's that it came in.
    pub(super) fn firmware(self) -> u32 {
        match self {
            Self::Sas3004 | Self::Sas3008 | Self::Sas3108(_) => 0x1000_0c00,
            Self::Sas3216 | Self::Sas3224 => 0x1000_0b00,
        }
    }

    /// What an adapter of Broadcom's own shows.
    pub fn identity(self) -> Identity {
        Identity {
            vendor: VENDOR,
            device: self.device(),
            subvendor: VENDOR,
            subdevice: match self {
                Self::Sas3004 => 0x3110,
                Self::Sas3008 => 0x30e0,
                Self::Sas3108(_) => 0x9371,
                Self::Sas3216 => 0x3190,
                Self::Sas3224 => 0x31a0,
            },
            // Serial Attached SCSI controller.
            class: 0x01_0700,
            revision: self.revision(),
        }
    }

    /// 2 is stepping C0, from which on the driver takes more than eight vectors (mpt3sas_base.h,
    /// SAS3_PCI_DEVICE_C0_REVISION).
    pub(super) fn revision(self) -> u8 {
        match self {
            Self::Sas3004 | Self::Sas3008 | Self::Sas3108(_) => 2,
            Self::Sas3216 | Self::Sas3224 => 1,
        }
    }
}

/// A configuration space with an MSI-X table of so many entries: BARs, capabilities and table where
/// `lspci -vv` shows them on a SAS9300-8i.
pub(super) fn config(identity: &Identity, entries: u16) -> ConfigSpace {
    let memory = |size| Bar::Memory64 {
        size,
        prefetchable: false,
    };
    let bars = [
        (0, Bar::Io(256)),
        (1, memory(64 << 10)),
        (3, memory(256 << 10)),
    ];
    ConfigSpace::new(identity, &bars)
        .with_power_management(0x50)
        .with_express(0x68)
        .with_msi(0xa8)
        .with_msix(
            0xc0,
            MsiXLayout {
                entries,
                bar: 1,
                table: 0xe000,
                pending: 0xf000,
            },
        )
}
