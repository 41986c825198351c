//! Sequential writes to the modelled SAS disk, beside those to QEMU's own NVMe in the same guest.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Failure, median};

const TARGETS: [&str; 2] = ["nvme", "mpt3sas"];
/// mpt3sas's speed, in parts of nvme's.
const MIN_RATIO: f64 = 0.3;

pub(crate) fn measure(root: &Path, scratch: &Path) -> Result<(), Failure> {
    println!("\n100 MiB written in the capture kernel, fsync included, median of five:");
    let kept = scratch.join("writes");
    let mut speeds = Vec::new();
    for target in TARGETS {
        let speed = median(speeds_of(target, root, &kept)?);
        println!("   {target:24} {speed:.0} MiB/s");
        speeds.push(speed);
    }
    let ratio = speeds[1] / speeds[0];
    let mark = if ratio >= MIN_RATIO { "ok" } else { "MISSED" };
    println!(
        "   {:24} {ratio:<24.2} at least {MIN_RATIO:<8} {mark}\n",
        "mpt3sas/nvme"
    );
    Ok(())
}

/// One drill. Both run on the QEMU that has vfio-user, whatever this host's own is.
fn speeds_of(target: &str, root: &Path, kept: &Path) -> Result<Vec<f64>, Failure> {
    let log = kept.join(format!("writes@{target}/console.log"));
    if log.exists() {
        fs::remove_file(&log)?;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_crashdrill"))
        .arg("--root")
        .arg(root)
        .args(["run", "--keep", "--variant", target, "--keep-in"])
        .arg(kept)
        .arg(root.join("harness/benches/figures/writes.yaml"))
        // No pending snapshot is written.
        .env("CI", "true")
        .env("CRASHDRILL_QEMU", "fetched")
        .stdin(Stdio::null())
        .output()?;
    let console = fs::read(&log).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let speeds: Vec<f64> = console.lines().filter_map(speed).collect();
    if speeds.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("`crashdrill run` of writes@{target} wrote nothing:\n{said}").into());
    }
    Ok(speeds)
}

/// "100 MiB between 4.15 and 4.98"
fn speed(line: &str) -> Option<f64> {
    let (before, after) = line.strip_prefix("100 MiB between ")?.split_once(" and ")?;
    let (before, after): (f64, f64) = (before.parse().ok()?, after.trim().parse().ok()?);
    Some(100.0 / (after - before))
}
