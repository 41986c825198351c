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

/// Vectors that a driver takes on so many CPUs, where QEMU and crashdrill have no such device.
enum Demand {
    /// Always so many.
    Always(u16),
    /// One an online CPU up to `most`, and so many `more`.
    PerCpu { most: u16, more: u16 },
}

use Demand::{Always, PerCpu};

/// By the driver's name, with underscores: demand, and where that stands in the kernel's sources.
/// Where a function behind it sets a limit that its files do not show (firmware, module parameters),
/// this is the most.
const DEMANDS: [(&str, Demand); 24] = [
    // drivers/net/ethernet/intel/ixgbe/ixgbe_lib.c, ixgbe_acquire_msix_vectors: queues, and
    // NON_Q_VECTORS.
    ("ixgbe", PerCpu { most: 63, more: 1 }),
    // drivers/net/ethernet/intel/ice/ice_main.c, ice_ena_msix_range: LAN queues and as many for
    // RDMA would be two a CPU; a kernel without irdma takes the LAN's, the control and the flow
    // director's.
    ("ice", PerCpu { most: 256, more: 2 }),
    // drivers/net/ethernet/broadcom/bnx2x/bnx2x_cmn.c, bnx2x_enable_msix: queues
    // (netif_get_num_default_rss_queues), slow path, CNIC.
    ("bnx2x", PerCpu { most: 8, more: 2 }),
    // drivers/net/ethernet/broadcom/bnxt/bnxt.c, bnxt_init_msix: completion rings.
    ("bnxt_en", PerCpu { most: 8, more: 0 }),
    // drivers/net/ethernet/broadcom/tg3.c, tg3_enable_msix: one more than queues where there are
    // several; a CPU alone has one.
    ("tg3", PerCpu { most: 5, more: 0 }),
    // drivers/net/ethernet/broadcom/bnx2.c, bnx2_setup_int_mode.
    ("bnx2", PerCpu { most: 8, more: 1 }),
    // drivers/net/ethernet/mellanox/mlx5/core/eq.c (main.c up to 5.0): completion queues and
    // MLX5_EQ_VEC_COMP_BASE, four up to 5.2.
    (
        "mlx5_core",
        PerCpu {
            most: 1024,
            more: 4,
        },
    ),
    // drivers/net/ethernet/mellanox/mlx4/main.c, mlx4_enable_msi_x: for one port; one for events.
    ("mlx4_core", PerCpu { most: 64, more: 1 }),
    // drivers/net/ethernet/emulex/benet/be_main.c, be_msix_enable.
    ("be2net", PerCpu { most: 16, more: 0 }),
    // drivers/net/ethernet/chelsio/cxgb4/cxgb4_main.c, enable_msix: EXTRA_VECS.
    ("cxgb4", PerCpu { most: 32, more: 2 }),
    // drivers/net/ethernet/cisco/enic/enic_main.c, enic_set_intr_mode: queues of both directions, one
    // for errors, one for notices.
    ("enic", PerCpu { most: 8, more: 3 }),
    // drivers/net/ethernet/qlogic/qede/qede_main.c, drivers/net/ethernet/qlogic/qed/qed_main.c: fast
    // path and slow path.
    ("qede", PerCpu { most: 16, more: 1 }),
    // drivers/scsi/hpsa.c, hpsa_interrupt_mode: MAX_REPLY_QUEUES, not more than online CPUs.
    ("hpsa", PerCpu { most: 64, more: 0 }),
    // drivers/scsi/smartpqi/smartpqi_init.c, pqi_enable_msix_interrupts.
    ("smartpqi", PerCpu { most: 64, more: 0 }),
    // drivers/scsi/aacraid/comminit.c, aac_define_int_mode: AAC_MAX_MSIX.
    ("aacraid", PerCpu { most: 32, more: 0 }),
    // drivers/scsi/qla2xxx/qla_isr.c, qla24xx_enable_msix: QLA_BASE_VECTORS and a queue pair.
    ("qla2xxx", PerCpu { most: 64, more: 2 }),
    // drivers/scsi/lpfc/lpfc_init.c, lpfc_sli4_enable_msix.
    ("lpfc", PerCpu { most: 128, more: 0 }),
    // drivers/scsi/isci/init.c, isci_setup_interrupts: SCI_NUM_MSI_X_INT, two a controller.
    ("isci", Always(2)),
    // drivers/dma/ioat/init.c, ioat_dma_setup_interrupts: one a channel, and a function has one.
    ("ioatdma", Always(1)),
    // drivers/misc/mei/pci-me.c, mei_me_probe.
    ("mei_me", Always(1)),
    // sound/pci/hda/hda_intel.c.
    ("snd_hda_intel", Always(1)),
    // drivers/gpu/drm/i915, one message.
    ("i915", Always(1)),
    // drivers/misc/hpilo.c and drivers/watchdog/hpwdt.c have the line alone.
    ("hpilo", Always(0)),
    ("hpwdt", Always(0)),
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
        Some((_, Always(vectors))) => *vectors,
        Some((_, PerCpu { most, more })) => asking.online.min(*most) + more,
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
