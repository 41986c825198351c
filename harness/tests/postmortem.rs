//! A capture kernel that panics leaves a dump of itself. A real drill in a real QEMU.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crashdrill::vmcore::{Format, inspect};

const SCENARIO: &str = "\
name: last-words
about: The capture kernel panics.
image: debian-12
machine:
  cpus: 2
  memory: 1G
  devices:
    - {device: nvme, target: true}
crashkernel: 256M
kdump:
  conf: |
    ext4 /dev/nvme0n1
    core_collector makedumpfile -l -d 31
    kdump_pre /kdump/panic.sh
capture:
  files:
    /kdump/panic.sh: |
      #!/bin/sh
      echo 'last words of a capture kernel' > /dev/kmsg
      echo 1 > /proc/sys/kernel/sysrq
      echo c > /proc/sysrq-trigger
";

#[test]
fn a_capture_kernel_that_panics_leaves_a_dump_of_itself() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = directory.path().join("last-words.yaml");
    fs::write(&scenario, SCENARIO).unwrap();
    let kept = directory.path().join("kept");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .args(["--root".as_ref(), checkout.as_os_str(), "run".as_ref()])
        .args([scenario.as_os_str(), "--postmortem".as_ref()])
        .args(["--keep-in".as_ref(), kept.as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // There is no snapshot.
    assert_eq!(output.status.code(), Some(1), "{said}");
    let kept = kept.join("last-words");
    let place = kept.join("postmortem");
    let path = place.join("vmcore.elf");
    for told in [
        format!("drgn -c {} -s VMLINUX", path.display()),
        format!("cd {} && crash VMLINUX vmcore.elf", place.display()),
        "MiB".to_owned(),
    ] {
        assert!(said.contains(&told), "{told}\n{said}");
    }

    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(metadata.len() > 1 << 30);
    // What the first kernel never touched takes no room.
    assert!(metadata.blocks() * 512 < metadata.len() * 3 / 4);

    let dump = inspect(&File::open(&path).unwrap(), metadata.len()).unwrap();
    assert_eq!(dump.format, Format::Elf);
    assert!(dump.complete.lack().is_none());
    assert_eq!(dump.cpus, Some(2));
    // The log is the capture kernel's, and none of the kernel that crashed before it.
    let log = dmesg(&dump.dmesg.unwrap());
    let console = fs::read(kept.join("console.log")).unwrap();
    let console = dmesg(&String::from_utf8_lossy(&console));
    let (_, capture) = console.rsplit_once("Linux version").unwrap();
    assert!(log.contains("last words of a capture kernel"), "{log}");
    assert_eq!(log.matches("Linux version").count(), 1, "{log}");
    assert!(dump.panic.unwrap().starts_with("Kernel panic"));
    let last: Vec<&str> = capture
        .lines()
        .rev()
        .filter(|line| line.len() > 20)
        .collect();
    assert!(last.len() > 5, "{capture}");
    for line in &last[..5] {
        assert!(log.contains(line), "{line}\n{log}");
    }

    let registers = fs::read_to_string(place.join("registers.txt")).unwrap();
    assert!(
        registers.contains("CPU#0") && registers.contains("CPU#1"),
        "{registers}"
    );
    assert!(registers.contains("CR3="), "{registers}");
    let census = fs::read_to_string(place.join("census.txt")).unwrap();
    // QEMU's nvme, which the capture kernel drove.
    let nvme = census.lines().find(|line| line.contains(" 1b36:0010 "));
    assert!(nvme.unwrap().contains("MSI-X on"), "{census}");
    assert!(census.contains("\nCPU 0: "), "{census}");
    // The first was taken before the script ran, which then killed the kernel.
    let moments = census.lines().filter_map(|line| line.strip_prefix("At "));
    let moments: Vec<&str> = moments.filter_map(|line| line.split(':').next()).collect();
    assert_eq!(moments, ["drivers-loaded", "first-fatal-line", "dead"]);
}

/// Lines without their times.
fn dmesg(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim_end();
        line.split_once("] ").map_or(line, |(_, text)| text)
    });
    lines.map(|line| format!("{line}\n")).collect()
}
