//! What a customer's drivers ask for in the capture kernel, which has fewer CPUs than the kernel
//! whose /proc/interrupts the files show.

use super::facts::{Capabilities, Express, PciFunction};
use super::stand_in::stand_in;
use crate::kdump::commandline::last_value;
use crate::kdump::words::kernel_words;
use crate::scenario::model::DeviceKind;
use crate::units::TableSize;
use crate::vectors::{Asking, Kernel, wanted};

/// A capture kernel with this command line on a machine with `cpus` CPUs.
pub(super) fn capture(kernel: Kernel, commandline: &str, cpus: u16) -> Asking {
    let number = |name| last_value(commandline, name).and_then(|value| value.parse().ok());
    let given = number("nr_cpus").filter(|cpus: &u16| *cpus > 0);
    let possible = given.map_or(cpus, |given| given.min(cpus)).max(1);
    // `maxcpus=0` and `nosmp` start one, too.
    let online = number("maxcpus").map_or(possible, |most: u16| most.clamp(1, possible));
    Asking {
        kernel,
        possible,
        online,
        reset_devices: kernel_words(commandline).contains(&"reset_devices"),
    }
}

/// Queues of a network adapter whose driver leaves their number to the kernel (net/core/dev.c,
/// `netif_get_num_default_rss_queues`): one in a capture kernel. That was seen in Linux 6.1; since
/// when it is so was not, and 4.18 is taken for it as for [`knows_kdump`].
fn default_queues(asking: Asking) -> u16 {
    match knows_kdump(asking) {
        true => 1,
        false => asking.online.min(8),
    }
}

/// Whether drivers look for being in a capture kernel (`is_kdump_kernel`), as those below do in
/// Linux 6.1. When each of them began to was not found; RHEL 8's kernel is taken for the first.
fn knows_kdump(asking: Asking) -> bool {
    asking.kernel.is(4, 18)
}

/// A driver's name, with underscores, and the vectors that it takes.
type Demand = (&'static str, fn(Asking) -> u16);

/// Of drivers that neither QEMU nor crashdrill has a device for. Each was held against the sources
/// of Linux 6.1 in the file that is named; what is said of older kernels without a file is not.
/// Where a function behind it sets a limit that its files do not show (firmware, module parameters),
/// this is the most.
const DEMANDS: [Demand; 27] = [
    // drivers/net/ethernet/intel/ixgbe/ixgbe_lib.c, ixgbe_acquire_msix_vectors: queues, at most
    // IXGBE_MAX_FDIR_INDICES and online CPUs, and NON_Q_VECTORS.
    ("ixgbe", |asking| asking.online.min(63) + 1),
    // drivers/net/ethernet/intel/ice/ice_main.c, ice_ena_msix_range: one miscellaneous, two for the
    // flow director, one for switchdev, a CPU's queue; and for RDMA, where the card has it, a CPU's
    // and ICE_RDMA_NUM_AEQ_MSIX, whether irdma is there or not. Before RDMA (5.14) without that.
    ("ice", |asking| match asking.kernel.is(5, 14) {
        true => asking.online.saturating_mul(2).saturating_add(8),
        false => asking.online.saturating_add(2),
    }),
    // drivers/net/ethernet/broadcom/bnx2x/bnx2x_cmn.c, bnx2x_calc_num_queues, bnx2x_enable_msix:
    // queues, slow path, CNIC.
    ("bnx2x", |asking| default_queues(asking) + 2),
    // drivers/net/ethernet/broadcom/bnxt/bnxt.c, bnxt_set_dflt_rings, bnxt_init_msix: shared rings.
    // Old firmware that cannot reserve rings has all that the function has.
    ("bnxt_en", default_queues),
    // drivers/net/ethernet/broadcom/tg3.c, tg3_irq_count: one more than queues (TG3_RSS_MAX_NUM_QS)
    // where there are several.
    ("tg3", |asking| match default_queues(asking).min(4) {
        1 => 1,
        queues => queues + 1,
    }),
    // drivers/net/ethernet/broadcom/bnx2.c, bnx2_setup_int_mode, bnx2_enable_msix: one more than
    // queues, at most RX_MAX_RINGS, and CNIC.
    ("bnx2", |asking| (default_queues(asking) + 1).min(8) + 1),
    // drivers/net/ethernet/mellanox/mlx5/core/pci_irq.c, mlx5_irq_table_create: a CPU's completion
    // queue for the function's one port, and one for all else; subfunctions are not counted. Up to
    // 5.2 MLX5_EQ_VEC_COMP_BASE, in main.c and eq.c: three, and four with page faults.
    ("mlx5_core", |asking| {
        let base = if asking.kernel.is(5, 3) { 1 } else { 4 };
        asking.online.saturating_add(base)
    }),
    // drivers/net/ethernet/mellanox/mlx4/main.c, mlx4_enable_msi_x: for each of two ports, and one
    // for events; MAX_MSIX.
    ("mlx4_core", |asking| asking.online.min(63) * 2 + 1),
    // drivers/net/ethernet/emulex/benet/be_main.c, be_get_resources, be_msix_enable; without RoCE.
    ("be2net", default_queues),
    // drivers/net/ethernet/chelsio/cxgb4/cxgb4_main.c, cfg_queues, enable_msix: queues of four ports
    // (MAX_ETH_QSETS together), one each in a capture kernel, and EXTRA_VECS.
    ("cxgb4", |asking| match knows_kdump(asking) {
        true => 6,
        false => asking.online.min(8) * 4 + 2,
    }),
    // drivers/net/ethernet/cisco/enic/enic_main.c, enic_set_intr_mode, enic_kdump_kernel_config:
    // queues of both directions as the adapter is configured (ENIC_RQ_MAX, ENIC_WQ_MAX), in a capture
    // kernel one each; errors, notices.
    ("enic", |asking| if knows_kdump(asking) { 4 } else { 18 }),
    // drivers/net/ethernet/qlogic/qed/qed_main.c, qed_slowpath_setup_int: fast path and slow path,
    // once more on adapters with two engines; outside of a capture kernel all status blocks.
    (
        "qede",
        |asking| if knows_kdump(asking) { 2 } else { u16::MAX },
    ),
    // drivers/scsi/hpsa.c, hpsa_interrupt_mode: MAX_REPLY_QUEUES (hpsa_cmd.h). The kernel spreads
    // them over possible CPUs (kernel/irq/affinity.c); before 4.10 the driver counted online ones.
    ("hpsa", |asking| match asking.kernel.is(4, 10) {
        true => asking.possible.min(64),
        false => asking.online.min(64),
    }),
    // drivers/scsi/smartpqi/smartpqi_init.c, pqi_calculate_queue_resources: PQI_MAX_QUEUE_GROUPS.
    ("smartpqi", |asking| match asking.reset_devices {
        true => 1,
        false => asking.online.min(64),
    }),
    // drivers/scsi/aacraid/comminit.c, aac_define_int_mode: AAC_MAX_MSIX; the interrupt line where it
    // would be one.
    ("aacraid", |asking| match asking.online.min(32) {
        1 => 0,
        vectors => vectors,
    }),
    // drivers/scsi/qla2xxx/qla_isr.c, qla24xx_enable_msix: QLA_BASE_VECTORS and a CPU's queue pair,
    // of which a capture kernel has none (qla_os.c, qla2x00_probe_one).
    ("qla2xxx", |asking| match knows_kdump(asking) {
        true => 2,
        false => asking.online.saturating_add(2),
    }),
    // drivers/scsi/lpfc/lpfc_attr.c, lpfc_get_cfgparam: a present CPU's, at most
    // LPFC_IRQ_CHANN_MAX. Before 5.1, and RHEL 8, LPFC_FCP_IO_CHAN_DEF (lpfc_sli4.h of those).
    ("lpfc", |asking| match knows_kdump(asking) {
        true => asking.possible.min(256),
        false => asking.online.min(4),
    }),
    // drivers/scsi/mpi3mr/mpi3mr_fw.c, mpi3mr_setup_isr: a queue an online CPU, and one for all else.
    ("mpi3mr", |asking| match asking.reset_devices {
        true => 1,
        false => asking.online.saturating_add(1),
    }),
    // drivers/scsi/vmw_pvscsi.c, pvscsi_probe.
    ("vmw_pvscsi", |_| 1),
    // drivers/scsi/isci/init.c, isci_setup_interrupts: SCI_NUM_MSI_X_INT for each of two controllers;
    // parts with four ports have one.
    ("isci", |_| 4),
    // drivers/dma/ioat/init.c, ioat_dma_setup_interrupts: one a channel, and a function has one.
    ("ioatdma", |_| 1),
    // drivers/misc/mei/pci-me.c, mei_me_probe.
    ("mei_me", |_| 1),
    // sound/pci/hda/hda_intel.c, azx_first_init.
    ("snd_hda_intel", |_| 1),
    // drivers/gpu/drm/i915/i915_driver.c, i915_driver_hw_probe.
    ("i915", |_| 1),
    // drivers/vfio/pci/vfio_pci_intrs.c: what its user asks for, and a capture kernel has none.
    ("vfio_pci", |_| 0),
    // drivers/misc/hpilo.c has the line; drivers/watchdog/hpwdt.c comes with NMIs.
    ("hpilo", |_| 0),
    ("hpwdt", |_| 0),
];

/// Vectors that this driver of a function asks for; an interrupt line is none. `first` is what it has
/// in the first kernel, if that is known.
pub(super) fn asked(
    function: &PciFunction,
    driver: &str,
    first: Option<u16>,
    asking: Asking,
) -> u16 {
    let table = function.msix.map(|msix| msix.size.get());
    if let Some(found) = stand_in(function, driver) {
        return of_kind(found.kind, function, asking);
    }
    let known = DEMANDS.iter().find(|(name, _)| *name == driver);
    // A function with neither has no vectors whatever its driver's others have.
    let most = match (table, function.msi) {
        (Some(table), _) => table,
        (None, Some(msi)) => u16::from(msi.most),
        (None, None) if function.capabilities == Capabilities::Shown => 0,
        (None, None) => u16::MAX,
    };
    let wanted = match known {
        Some((_, demand)) => demand(asking),
        // Nobody knows its driver: as in the first kernel, or, where that is not known either, the
        // whole table.
        None => match (first, table, function.msi) {
            (Some(vectors), ..) => vectors,
            (None, Some(table), _) => table,
            (None, None, Some(msi)) if msi.enabled => u16::from(msi.granted),
            _ => 0,
        },
    };
    wanted.min(most)
}

/// As the plan of a drill has it, for a device with this function's table.
fn of_kind(kind: DeviceKind, function: &PciFunction, asking: Asking) -> u16 {
    let table = function.msix.map(|msix| msix.size.get());
    match (kind, table) {
        // drivers/scsi/megaraid/megaraid_sas_base.c, megasas_init_fw: a fusion adapter has a reply
        // queue an online CPU. QEMU's is none.
        (DeviceKind::MegasasGen2, Some(table)) => asking.online.min(table),
        // drivers/net/ethernet/intel/e1000e: the 82574 alone has MSI-X.
        (DeviceKind::E1000e, None) => 1,
        // A switch's upstream port has nothing to report by itself.
        (DeviceKind::PcieRootPort, None) if function.express == Some(Express::UpstreamPort) => 0,
        (DeviceKind::Ahci | DeviceKind::Mptsas1068, _) => wanted(kind, 0, asking),
        (_, Some(table)) => wanted(kind, table, asking),
        (DeviceKind::PcieRootPort | DeviceKind::Xhci, None) => 1,
        // Its capabilities were hidden.
        (_, None) => wanted(kind, TableSize::MAX, asking),
    }
}

#[cfg(test)]
mod tests;
