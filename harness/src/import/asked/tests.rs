use super::*;
use crate::import::facts::{Msi, Msix, PciFunction, Source};

fn function(driver: &str, table: Option<u16>, msi: bool) -> PciFunction {
    let source = Source {
        file: "lspci".into(),
        line: None,
    };
    PciFunction {
        capabilities: Capabilities::Shown,
        msi: msi.then_some(Msi {
            enabled: true,
            granted: 1,
            most: 1,
            maskable: false,
        }),
        msix: table.and_then(TableSize::new).map(|size| Msix {
            enabled: true,
            size,
            table: None,
            pending: None,
        }),
        driver: Some(driver.to_owned()),
        ..PciFunction::new(source)
    }
}

/// Of a driver with a table of 64 entries, by the capture kernel's CPUs.
fn of(driver: &str, release: &str, line: &str) -> u16 {
    let kernel = Kernel::of_release(release).unwrap();
    let function = function(driver, Some(64), false);
    asked(&function, driver, Some(40), capture(kernel, line, 32))
}

#[test]
fn by_the_cpus_of_the_capture_kernel() {
    for (driver, release, one, four) in [
        ("ixgbe", "6.1.0", 2, 5),
        ("ice", "6.1.0", 10, 16),
        ("ice", "4.18.0", 3, 6),
        ("bnx2x", "3.10.0-693", 3, 6),
        ("tg3", "3.10.0-693", 1, 5),
        ("bnx2", "3.10.0-693", 3, 6),
        ("mlx5_core", "3.10.0-693", 5, 8),
        ("mlx5_core", "6.1.0", 2, 5),
        ("mlx4_core", "6.1.0", 3, 9),
        ("cxgb4", "3.10.0-693", 6, 18),
        ("hpsa", "3.10.0-693", 1, 4),
        ("smartpqi", "4.18.0", 1, 4),
        ("mpi3mr", "5.14.0", 2, 5),
        ("vmw_pvscsi", "3.10.0-693", 1, 1),
        ("vfio_pci", "5.14.0", 0, 0),
        ("aacraid", "6.1.0", 0, 4),
        ("lpfc", "3.10.0-693", 1, 4),
        ("qla2xxx", "3.10.0-693", 3, 6),
        // In a capture kernel one queue, whatever the CPUs.
        ("bnx2x", "6.1.0", 3, 3),
        ("bnxt_en", "6.1.0", 1, 1),
        ("tg3", "6.1.0", 1, 1),
        ("be2net", "6.1.0", 1, 1),
        ("cxgb4", "6.1.0", 6, 6),
        ("enic", "6.1.0", 4, 4),
        ("qede", "6.1.0", 2, 2),
        ("qla2xxx", "6.1.0", 2, 2),
        // Not the CPUs', but the adapter's.
        ("qede", "3.10.0-693", 64, 64),
        ("isci", "6.1.0", 4, 4),
        // As in the first kernel, whatever the CPUs.
        ("unknown", "6.1.0", 40, 40),
    ] {
        assert_eq!(of(driver, release, "nr_cpus=1"), one, "{driver}");
        assert_eq!(of(driver, release, "nr_cpus=4"), four, "{driver}");
        // maxcpus= leaves CPUs possible, but drivers here count those that run.
        assert_eq!(of(driver, release, "maxcpus=1"), one, "{driver}");
    }
    // A queue a possible CPU.
    for (driver, vectors) in [("nvme", 33), ("hpsa", 32), ("lpfc", 32)] {
        assert_eq!(of(driver, "4.18.0", "nr_cpus=1"), vectors - 31, "{driver}");
        assert_eq!(of(driver, "4.18.0", "maxcpus=1"), vectors, "{driver}");
    }
    assert_eq!(of("smartpqi", "4.18.0", "nr_cpus=4 reset_devices"), 1);
    assert_eq!(of("mpi3mr", "5.14.0", "nr_cpus=4 reset_devices"), 1);
    // The same rules as a plan has.
    assert_eq!(of("i40e", "3.10.0-693", "nr_cpus=1"), 11);
    assert_eq!(of("i40e", "6.1", "nr_cpus=1"), 3);
}

#[test]
fn bounded_by_what_the_function_has() {
    let kernel = Kernel::of_release("6.1").unwrap();
    let four = capture(kernel, "nr_cpus=4", 32);
    let of = |driver, table, msi| asked(&function(driver, table, msi), driver, None, four);
    assert_eq!(of("ixgbe", Some(3), false), 3);
    assert_eq!(of("ixgbe", None, true), 1);
    assert_eq!(of("ixgbe", None, false), 0);
    assert_eq!(of("unknown", Some(9), false), 9);
    assert_eq!(of("unknown", None, true), 1);
    assert_eq!(of("unknown", None, false), 0);
}
