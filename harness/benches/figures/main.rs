//! The figures that crashdrill is held to, measured side by side in one run.
//!
//! `cargo bench` or `cargo bench --bench figures -- PAIRS`. Ends with 1 only if something could not
//! be measured; a figure that misses its target is marked.

mod drill;
mod exhausted;
mod reference;
mod registers;
mod writes;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crashdrill::image::{Cache, Silent};
use crashdrill::initramfs::GUEST_INIT;
use crashdrill::machine::{Accel, catalogue};
use crashdrill::project::Project;
use crashdrill::run::{self, Job, Prepared, Shell};
use crashdrill::scenario;
use crashdrill::units::Bytes;
use crashdrill::verdict::outcome::Phase;

use drill::Healthy;
use reference::Reference;

type Failure = Box<dyn Error>;

const VARIANT: &str = "nvme";
const PAIRS: usize = 3;
const STARTS: usize = 5;
/// Four drills at once.
const FOUR: [&str; 4] = ["nvme", "virtio-blk", "virtio-scsi", "ahci"];

/// crashdrill's wall time, in parts of the reference's.
const MAX_RATIO: f64 = 0.6;
const MAX_START: Duration = Duration::from_millis(150);
/// crashdrill's own CPU time, in parts of QEMU's.
const MAX_CPU: f64 = 0.02;
const MAX_MEMORY: Bytes = Bytes(40 * Bytes::MIB);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("figures: measured by `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    let pairs = arguments.iter().find_map(|argument| argument.parse().ok());
    match measure(pairs.unwrap_or(PAIRS).max(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(pairs: usize) -> Result<(), Failure> {
    registers::measure()?;

    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("no workspace")?;
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures");
    fs::create_dir_all(&scratch)?;
    writes::measure(root, &scratch)?;
    let prepared = prepare(root)?;
    let job = prepared.jobs.first().ok_or("no such drill")?;
    let accel = prepared.accel.accel;
    let healthy = Healthy {
        root,
        scratch: &scratch,
    };

    let (major, minor, micro) = prepared.qemu.version;
    println!(
        "drill {}: kernel {}, {} {}, QEMU {major}.{minor}.{micro} under {accel}\n",
        job.drill.id,
        job.image.kernel.release,
        job.plan.machine.machine_type(),
        job.plan.machine.memory,
    );
    compare(&healthy, job, accel, pairs)?;

    let mut starts = Vec::new();
    // The first one is not counted: what crashdrill remembers about a QEMU, it learns there.
    for _ in 0..=STARTS {
        starts.push(healthy.start(&prepared.qemu, VARIANT)?);
    }
    let start = median(starts.split_off(1));
    println!(
        "From the command to QEMU's start, cache warm, answers about QEMU and KVM kept, median of {STARTS}:"
    );
    let shown = format!("{:.0} ms", start.as_secs_f64() * 1e3);
    figure("start", &shown, start <= MAX_START, "150 ms");

    println!(
        "\nMemory of crashdrill itself while four drills run ({}):",
        FOUR.join(", ")
    );
    let four = healthy.run(&FOUR)?;
    let shown = format!("{:.1} MiB", mib(four.peak.0));
    figure("peak (VmHWM)", &shown, four.peak <= MAX_MEMORY, "40 MiB");
    cpu(&[&four]);

    exhausted::measure(root, pairs)?;

    sizes(root)
}

fn prepare(root: &Path) -> Result<Prepared, Failure> {
    let project = Project::at(root.to_owned())?;
    let file = scenario::read(&root.join("scenarios/healthy.yaml"), catalogue::facts)
        .map_err(|error| error.to_string())?;
    let mut drills = file.drills;
    drills.retain(|drill| drill.id.variant.as_deref() == Some(VARIANT));
    // Fetches what is not there, so that everything below finds the cache warm.
    let cache = Cache::from_env()?;
    Ok(run::prepare(
        &project,
        &cache,
        drills,
        None,
        Shell::No,
        &Silent,
    )?)
}

/// The drill against the reference, in turns.
fn compare(healthy: &Healthy<'_>, job: &Job, accel: Accel, pairs: usize) -> Result<(), Failure> {
    println!(
        "A  `crashdrill run` of this one drill, cache warm: from the command to its end, with\n\
         \u{20}  everything that it makes, reads back and compares\n\
         B  the same kernel as stock bzImage, the same machine, memory, command lines, modules in\n\
         \u{20}  the same order and core collector; busybox scripts as /init, initramfs made with\n\
         \u{20}  cpio, not compressed; disk and initramfs are made before the clock runs"
    );
    let reference = Reference::make(job, &healthy.scratch.join("reference"))?;
    let (first, _) = run::archives(reference::direct(job)?, &job.image)?;
    println!(
        "   initramfs given to QEMU: A {:.1} MiB, B {:.1} MiB\n",
        mib(first.size()?),
        mib(reference.initramfs_size()?),
    );

    let mut drills = Vec::new();
    let mut references = Vec::new();
    for pair in 0..pairs {
        // Each goes first in every other pair.
        if pair % 2 == 0 {
            drills.push(healthy.run(&[VARIANT])?);
            references.push(reference.run(job, accel)?);
        } else {
            references.push(reference.run(job, accel)?);
            drills.push(healthy.run(&[VARIANT])?);
        }
    }
    println!("                 wall time               CPU time");
    println!("   pair        A        B  A / B        A        B  A / B");
    let mut ratios = Vec::new();
    for (number, (a, b)) in drills.iter().zip(&references).enumerate() {
        let wall = (a.wall.as_secs_f64(), b.wall.as_secs_f64());
        let cpu = (
            (a.own_cpu + a.children_cpu).as_secs_f64(),
            b.cpu.as_secs_f64(),
        );
        ratios.push(wall.0 / wall.1);
        let cells = |(a, b): (f64, f64)| format!("{a:7.2}s {b:7.2}s {:6.2}", a / b);
        println!("   {:4} {} {}", number + 1, cells(wall), cells(cpu));
    }
    println!("   (a host with other work to do changes the first, hardly the second)");

    println!("\n   seconds from QEMU's start, median     A        B");
    let phases = [
        (Phase::FirstKernel, "first kernel's first line"),
        (Phase::Armed, "armed"),
        (Phase::Crashed, "crash"),
        (Phase::CaptureKernel, "capture kernel's first line"),
        (Phase::Saving, "saving"),
        (Phase::Saved, "saved"),
    ];
    for (phase, name) in phases {
        let of_drill = |run: &drill::Run| {
            let (marks, _) = run.timelines.first()?;
            let mark = marks.iter().find(|(name, _)| *name == phase.to_string());
            mark.map(|(_, seconds)| *seconds)
        };
        let of_reference = |run: &reference::Run| {
            let mark = run.timeline.iter().find(|(other, _)| *other == phase);
            mark.map(|(_, at)| at.as_secs_f64())
        };
        row(
            name,
            drills.iter().map(of_drill).collect::<Option<Vec<_>>>(),
            references
                .iter()
                .map(of_reference)
                .collect::<Option<Vec<_>>>(),
        );
    }
    row(
        "QEMU's end",
        drills
            .iter()
            .map(|run| run.timelines.first().map(|(_, end)| *end))
            .collect(),
        Some(
            references
                .iter()
                .map(|run| run.wall.as_secs_f64())
                .collect(),
        ),
    );
    row(
        "whole command",
        Some(drills.iter().map(|run| run.wall.as_secs_f64()).collect()),
        None,
    );
    println!();

    let ratio = median(ratios);
    figure(
        "A / B, median",
        &format!("{ratio:.2}"),
        ratio <= MAX_RATIO,
        "0.60",
    );
    println!(
        "\nCPU time of crashdrill itself, in parts of its children's (QEMU, and mke2fs and the"
    );
    println!("questions to QEMU beside it):");
    let runs: Vec<&drill::Run> = drills.iter().collect();
    cpu(&runs);
    println!();
    Ok(())
}

fn row(name: &str, a: Option<Vec<f64>>, b: Option<Vec<f64>>) {
    let cell = |times: Option<Vec<f64>>| match times {
        Some(times) => format!("{:7.2}s", median(times)),
        None => format!("{:>8}", "-"),
    };
    println!("   {name:31} {} {}", cell(a), cell(b));
}

fn cpu(runs: &[&drill::Run]) {
    let own = median(runs.iter().map(|run| run.own_cpu).collect());
    let children = median(runs.iter().map(|run| run.children_cpu).collect());
    let ratio = own.as_secs_f64() / children.as_secs_f64().max(f64::MIN_POSITIVE);
    let shown = format!(
        "{:.2} % ({:.2} s of {:.2} s)",
        ratio * 100.0,
        own.as_secs_f64(),
        children.as_secs_f64()
    );
    figure("own CPU time", &shown, ratio <= MAX_CPU, "2 %");
}

fn sizes(root: &Path) -> Result<(), Failure> {
    let binary = fs::metadata(env!("CARGO_BIN_EXE_crashdrill"))?.len();
    println!("\nSizes:");
    figure(
        "/init of both kernels",
        &kib(GUEST_INIT.len() as u64),
        GUEST_INIT.len() <= 3 << 19,
        "1536 KiB",
    );
    println!("   {:24} {}", "crashdrill, the binary", kib(binary));
    println!(
        "   {:24} {} run, {} with those that only build it",
        "crates, its own 2 too",
        crates(root, "normal")?,
        crates(root, "normal,build")?
    );
    Ok(())
}

/// Crates in the binary's dependency tree along these edges.
fn crates(root: &Path, edges: &str) -> Result<usize, Failure> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["tree", "--offline", "--locked", "-p", "crashdrill"])
        .args(["--edges", edges, "--prefix", "none", "--format", "{p}"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    let name = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Ok(text
        .lines()
        .map(name)
        .collect::<std::collections::BTreeSet<_>>()
        .len())
}

fn figure(name: &str, value: &str, reached: bool, target: &str) {
    let mark = if reached { "ok" } else { "MISSED" };
    println!("   {name:24} {value:24} at most {target:9} {mark}");
}

/// The upper one of the two in the middle. 0 of nothing.
fn median<T: PartialOrd + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / Bytes::MIB as f64
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes / Bytes::KIB)
}
