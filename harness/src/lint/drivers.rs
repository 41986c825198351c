//! Drivers that the dump target needs and that are kept out of the capture kernel.

use super::commandline::find;
use super::{Finding, Level, Lint};
use crate::kdump::commandline::{KeptOut, KeptOutBy, kept_out as all_kept_out};
use crate::kdump::conf::{DumpTarget, Filesystem, KdumpConf, TargetDevice};
use crate::kdump::flavour::Flavour;

/// Storage drivers behind /dev/sd*, any of which may be the target's.
const STORAGE: [&str; 18] = [
    "ahci",
    "ata_piix",
    "megaraid_sas",
    "mpt2sas",
    "mpt3sas",
    "mptsas",
    "hpsa",
    "smartpqi",
    "aacraid",
    "arcmsr",
    "virtio_scsi",
    "vmw_pvscsi",
    "hv_storvsc",
    "qla2xxx",
    "lpfc",
    "bfa",
    "usb_storage",
    "scsi_mod",
];

/// Network drivers, any of which may be between the machine and the server.
const NETWORK: [&str; 20] = [
    "e1000",
    "e1000e",
    "igb",
    "ixgbe",
    "i40e",
    "ice",
    "tg3",
    "bnx2",
    "bnx2x",
    "bnxt_en",
    "mlx4_en",
    "mlx5_core",
    "be2net",
    "enic",
    "qede",
    "virtio_net",
    "vmxnet3",
    "hv_netvsc",
    "r8169",
    "cxgb4",
];

/// What is kept out and should not be. `needed` are drivers that the target is known to need;
/// `texts` the files, of which those in `order` may hold the word that keeps a driver out.
pub(super) fn kept_out(
    line: &str,
    conf: &KdumpConf,
    needed: &[&str],
    flavour: Flavour,
    texts: &[&str],
    order: &[usize],
) -> Vec<(usize, Finding)> {
    let certain = certain(conf, needed);
    let mut found = Vec::new();
    for kept in all_kept_out(line, conf) {
        // 3.10 does not know it, so it keeps nothing out.
        if kept.by == KeptOutBy::ModuleBlacklist
            && matches!(flavour, Flavour::Rhel6 | Flavour::Rhel7)
        {
            continue;
        }
        let Some(finding) = judge(&kept, conf, &certain) else {
            continue;
        };
        let spellings = [kept.driver.clone(), kept.driver.replace('_', "-")];
        let place = order.iter().find_map(|nth| {
            spellings.iter().find_map(|driver| {
                let at = find(texts[*nth], driver);
                (!at.is_empty()).then_some((*nth, at))
            })
        });
        let (nth, at) = match place {
            Some(place) => place,
            None => match order.first() {
                Some(first) => (*first, 0..0),
                None => continue,
            },
        };
        found.push((nth, Finding { at, ..finding }));
    }
    found
}

fn judge(kept: &KeptOut, conf: &KdumpConf, certain: &[(String, String)]) -> Option<Finding> {
    let KeptOut { driver, by } = kept;
    let by = by.to_string();
    let by = by.trim_end_matches(['=', ' ']);
    if let Some((_, why)) = certain.iter().find(|(name, _)| name == driver) {
        return Some(
            Finding::new(
                Level::Error,
                Lint::DriverKeptOut,
                0..0,
                format!("{by} keeps {driver} out of the capture kernel, and {why} needs it"),
            )
            .help(format!("take {driver} out of the list")),
        );
    }
    let (kind, list): (&str, &[&str]) = match &conf.target {
        Some(DumpTarget::Filesystem {
            device: TargetDevice::Node(node),
            ..
        })
        | Some(DumpTarget::Raw(node))
            if node.starts_with("/dev/nvme") || node.starts_with("/dev/vd") =>
        {
            return None;
        }
        Some(DumpTarget::Nfs { .. } | DumpTarget::Ssh { .. }) => ("network", &NETWORK),
        _ => ("storage", &STORAGE),
    };
    list.contains(&driver.as_str()).then(|| {
        Finding::new(
            Level::Note,
            Lint::DriverKeptOut,
            0..0,
            format!("{by} keeps the {kind} driver {driver} out of the capture kernel"),
        )
        .help("make sure that the dump does not go through it")
    })
}

/// Drivers that the target needs whatever the machine looks like, and what needs them.
fn certain(conf: &KdumpConf, needed: &[&str]) -> Vec<(String, String)> {
    let mut certain: Vec<(String, String)> = needed
        .iter()
        .map(|driver| ((*driver).to_owned(), "the dump target".to_owned()))
        .collect();
    let mut add = |drivers: &[&str], why: &str| {
        certain.extend(
            drivers
                .iter()
                .map(|driver| ((*driver).to_owned(), why.to_owned())),
        );
    };
    let node = match &conf.target {
        Some(DumpTarget::Filesystem { filesystem, device }) => {
            let modules: &[&str] = match filesystem {
                // The kernels have one driver for the three.
                Filesystem::Ext2 | Filesystem::Ext3 | Filesystem::Ext4 => &["ext4", "jbd2"],
                Filesystem::Xfs => &["xfs"],
                Filesystem::Btrfs => &["btrfs"],
            };
            add(modules, "the target's file system");
            match device {
                TargetDevice::Node(node) => Some(node),
                TargetDevice::Uuid(_) | TargetDevice::Label(_) => None,
            }
        }
        Some(DumpTarget::Raw(node)) => Some(node),
        Some(DumpTarget::Nfs { .. }) => {
            add(&["nfs", "sunrpc", "lockd"], "the target's file system");
            None
        }
        Some(DumpTarget::Minix(device)) => {
            add(&["minix"], "the target's file system");
            match device {
                TargetDevice::Node(node) => Some(node),
                TargetDevice::Uuid(_) | TargetDevice::Label(_) => None,
            }
        }
        Some(DumpTarget::Virtiofs(_)) => {
            add(&["virtiofs", "fuse"], "the target's file system");
            None
        }
        Some(DumpTarget::Ssh { .. }) | None => None,
    };
    if let Some(node) = node {
        let drivers: &[&str] = match node.strip_prefix("/dev/").unwrap_or_default() {
            name if name.starts_with("nvme") => &["nvme", "nvme_core"],
            name if name.starts_with("vd") => &["virtio_blk"],
            name if name.starts_with("sd") => &["sd_mod"],
            name if name.starts_with("xvd") => &["xen_blkfront"],
            name if name.starts_with("mmcblk") => &["mmc_block"],
            name if name.starts_with("mapper/") || name.starts_with("dm-") => &["dm_mod"],
            _ => &[],
        };
        add(drivers, node);
    }
    certain
}
