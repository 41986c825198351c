//! What is counted from outside against what the capture kernel itself says. Real drills in a real
//! QEMU, with messages of both kinds, an interrupt line and two CPUs, on both chipsets.
//!
//! Debian's kernels have no irq debugfs (CONFIG_GENERIC_IRQ_DEBUGFS is not set): reading it is
//! tested with recorded texts in guest/src/init/irq_debugfs.rs, comparing it in
//! src/verdict/crosscheck/tests.rs.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const SCENARIO: &str = "\
name: counted-twice
about: Everything that may hold a vector.
image: debian-12
machine:
  cpus: 2
  memory: 1G
  devices:
    - {device: virtio-serial, msix: 16}
    - {device: ahci}
    - {device: mptsas1068}
    - {device: e1000e}
    - {device: nvme, target: true}
crashkernel: 256M
kdump:
  conf: |
    ext4 /dev/nvme0n1
    core_collector makedumpfile -l -d 31
  sysconfig:
    KDUMP_COMMANDLINE_APPEND: irqpoll nr_cpus=2 reset_devices
variants:
  q35: {machine.chipset: q35}
  pc: {machine.chipset: pc}
";

#[test]
fn outside_and_inside_agree_and_show_where_they_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = directory.path().join("counted-twice.yaml");
    fs::write(&scenario, SCENARIO).unwrap();
    let json = directory.path().join("drills.json");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .args(["--root".as_ref(), checkout.as_os_str(), "run".as_ref()])
        .args([scenario.as_os_str(), "--json".as_ref(), json.as_os_str()])
        .args([
            "--keep-in".as_ref(),
            directory.path().join("kept").as_os_str(),
        ])
        // No pending snapshot is written.
        .env("CI", "true")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // There is no snapshot.
    assert_eq!(output.status.code(), Some(1), "{said}");
    let text = fs::read_to_string(&json).unwrap();
    let run: Value = serde_json::from_str(&text).unwrap();
    let drills = run["drills"].as_array().unwrap();
    assert_eq!(drills.len(), 2, "{text}");
    // 16, one of ahci, three of nvme; q35 has an ahci of its own.
    for (drill, messages) in drills.iter().zip([21, 20]) {
        let outcome = &drill["outcome"];
        assert_eq!(outcome["verdict"], "vmcore-saved", "{text}");
        agree(outcome, messages);
    }
}

fn agree(outcome: &Value, messages: u64) {
    let vectors = &outcome["vectors"];
    assert_eq!(vectors["allocated"], messages, "{outcome}");
    let used = vectors["used"].as_array().unwrap();
    assert_eq!(used.len(), 2, "{outcome}");
    let used: u64 = used.iter().filter_map(Value::as_u64).sum();
    // Mptsas takes its interrupt line.
    assert_eq!(used, messages + 1, "{outcome}");
    assert!(vectors.get("disagreements").is_none(), "{outcome}");

    let devices = outcome["devices"].as_array().unwrap();
    let (agree, differ): (Vec<&Value>, Vec<&Value>) = devices
        .iter()
        .partition(|device| device.get("counted").is_none());
    assert!(agree.len() >= 4, "{outcome}");
    for device in agree.iter().filter(|device| !device["asked"].is_null()) {
        assert_eq!(device["planned"], device["granted"], "{device}");
    }
    // The kernel has given it vectors, which nobody has requested: its interface was not opened.
    let [adapter] = differ[..] else {
        panic!("{outcome}");
    };
    assert_eq!(adapter["device"], "e1000e", "{outcome}");
    let granted = (&adapter["granted"], &adapter["counted"]);
    assert_eq!(granted, (&3.into(), &0.into()), "{outcome}");
}
