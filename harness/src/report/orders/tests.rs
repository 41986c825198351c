use super::*;
use crate::proof::tests::{bad, good};

fn id() -> DrillId {
    DrillId {
        scenario: "load-order".to_owned(),
        variant: Some("x".to_owned()),
        image: None,
    }
}

fn run(seed: u64, drivers: &str, result: Result<Outcome, String>) -> OrderRun {
    OrderRun {
        seed,
        drivers: drivers.split(' ').map(str::to_owned).collect(),
        result,
        kept: None,
    }
}

fn orders(drivers: usize, repeated: &[u64], runs: Vec<OrderRun>) -> Orders {
    Orders {
        id: id(),
        seeds: 4,
        drivers,
        repeated: repeated.to_vec(),
        runs,
    }
}

fn shown(orders: Orders) -> String {
    let text = orders_text(&[orders], 200);
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_race() {
    let all = orders(
        3,
        &[3],
        vec![
            run(1, "nvme e1000e virtio_console", Ok(good())),
            run(2, "virtio_console nvme e1000e", Ok(bad())),
            run(4, "virtio_console e1000e nvme", Ok(bad())),
        ],
    );
    assert!(!all.failed());
    assert_eq!(
        shown(all),
        "
load-order@x: 3 of 6 possible orders of 3 drivers, by seeds 1 to 4
  2 of 3 orders  no-vmcore (irq-vector-exhaustion)  first: seed 2: virtio_console, nvme, e1000e
  1 of 3 orders  vmcore-saved                       first: seed 1: nvme, e1000e, virtio_console
  Seed 3 makes an order that a lower one had made: not run again.
  How it ends depends on the order. To run one of them again: `capture.order: {shuffled: 1}` in a variant of the scenario.
"
    );
}

#[test]
fn no_race() {
    let two = |count| {
        let first = run(1, "nvme xhci_pci", Ok(good()));
        let runs = [first, run(2, "xhci_pci nvme", Ok(good()))];
        runs.into_iter().take(count).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(orders(2, &[3, 4], two(2))),
        "
load-order@x: 2 of 2 possible orders of 2 drivers, by seeds 1 to 4
  2 of 2 orders  vmcore-saved  first: seed 1: nvme, xhci_pci
  Seeds 3, 4 make orders that a lower one had made: not run again.
  Every possible order ends the same way.
"
    );
    assert!(
        shown(orders(2, &[2, 3, 4], two(1))).ends_with("those that were not may end otherwise.\n")
    );
    let single = shown(orders(1, &[2, 3, 4], vec![run(1, "nvme", Ok(good()))]));
    assert!(
        single.contains(": 1 of 1 possible order of 1 driver, by"),
        "{single}"
    );
    // More than 64 bits can count.
    let many = shown(orders(21, &[], two(2)));
    assert!(many.contains(": 2 orders of 21 drivers, by"), "{many}");
}

#[test]
fn a_failure_is_no_ending() {
    let all = orders(
        2,
        &[],
        vec![
            run(1, "nvme xhci_pci", Ok(good())),
            run(2, "xhci_pci nvme", Err("QEMU died".to_owned())),
        ],
    );
    assert!(all.failed());
    let json: serde_json::Value =
        serde_json::from_str(&orders_json(std::slice::from_ref(&all)).unwrap()).unwrap();
    let drill = &json["drills"][0];
    assert_eq!(drill["same"], false);
    assert_eq!(drill["possible-orders"], 2);
    assert_eq!(drill["orders"][0]["outcome"]["verdict"], "vmcore-saved");
    assert_eq!(drill["orders"][1]["error"], "QEMU died");
    assert_eq!(
        shown(all),
        "
load-order@x: 2 of 2 possible orders of 2 drivers, by seeds 1 to 4
  1 of 2 orders  vmcore-saved  first: seed 1: nvme, xhci_pci
  1 of 2 orders  the harness failed with seed 2: QEMU died
"
    );
}
