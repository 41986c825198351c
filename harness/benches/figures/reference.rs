//! What crashdrill is measured against: the same drill, as one would write it by hand. Made before
//! the clock runs.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crashdrill::kdump::conf::Filesystem;
use crashdrill::machine::Accel;
use crashdrill::run::{BootPlan, Direct, Job};
use crashdrill::target::{BlockDevice, Content, Format, Target, make_disk};
use crashdrill::verdict::outcome::Phase;
use crashdrill::verdict::{Recorder, RuleBook};
use crashdrill::vmcore;

use super::Failure;
use super::drill::cpu_times_at_end;

/// Kernel and archive of the reference, as files.
pub(crate) struct Reference {
    kernel: PathBuf,
    initramfs: PathBuf,
}

/// One run.
pub(crate) struct Run {
    /// From QEMU's start to its end.
    pub(crate) wall: Duration,
    /// User and system time of QEMU.
    pub(crate) cpu: Duration,
    /// When each phase began, from QEMU's start.
    pub(crate) timeline: Vec<(Phase, Duration)>,
}

impl Reference {
    /// Writes the two archives below `directory`, with cpio.
    pub(crate) fn make(job: &Job, directory: &Path) -> Result<Self, Failure> {
        let kernel = job.image.kernel.stock.clone();
        let kernel = kernel.ok_or("the image's kernel is no bzImage")?;
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let (first, capture) = (directory.join("first"), directory.join("capture"));

        tree(&capture, include_str!("../reference/capture-init.sh"))?;
        programs(job, &["busybox", "makedumpfile"], &capture)?;
        modules(job, &capture)?;
        tree(&first, include_str!("../reference/first-init.sh"))?;
        programs(job, &["busybox", "kexec"], &first)?;
        fs::copy(&kernel, first.join("boot/vmlinuz"))?;
        fs::write(
            first.join("boot/capture-cmdline"),
            &direct(job)?.capture_commandline,
        )?;
        cpio(job, &capture, &first.join("boot/capture.cpio"))?;

        let initramfs = directory.join("first.cpio");
        cpio(job, &first, &initramfs)?;
        Ok(Self { kernel, initramfs })
    }

    /// Size of the archive that QEMU is given, in bytes.
    pub(crate) fn initramfs_size(&self) -> Result<u64, Failure> {
        Ok(fs::metadata(&self.initramfs)?.len())
    }

    /// Runs it once. The disk is made before the clock runs.
    pub(crate) fn run(&self, job: &Job, accel: Accel) -> Result<Run, Failure> {
        let plan = &job.plan.machine;
        let disk = plan.target().and_then(|function| function.disk.as_ref());
        let disk = disk.ok_or("the drill has no target")?;
        let disk = make_disk(
            disk.size,
            &Content::Filesystem(Format::new(Filesystem::Ext4)),
            |program| job.image.userland.command(program),
        )?;
        let drive = format!(
            "if=none,id=dump,format=raw,cache=unsafe,file=/proc/{}/fd/{}",
            std::process::id(),
            disk.as_raw_fd(),
        );

        let mut command = job.qemu.command();
        command.args([
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
        ]);
        command.args(["-M", plan.machine_type(), "-cpu", &plan.cpu_model()]);
        command.args([
            "-smp",
            &plan.cpus.to_string(),
            "-m",
            &format!("size={}", plan.memory),
        ]);
        command.args([
            "-accel",
            match accel {
                Accel::Kvm => "kvm",
                Accel::Tcg => "tcg,thread=multi",
            },
        ]);
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs);
        command.args(["-append", &plan.append, "-drive", &drive]);
        command.args(["-device", "nvme,serial=dump,drive=dump"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());

        let begin = Instant::now();
        let mut qemu = command.spawn()?;
        let mut console = qemu.stdout.take().ok_or("QEMU has no standard output")?;
        let mut recorder = Recorder::new(RuleBook::builtin());
        let mut timeline = Vec::new();
        let mut log = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            let count = console.read(&mut bytes)?;
            if count == 0 {
                break;
            }
            log.extend_from_slice(&bytes[..count]);
            let marks = recorder.console(&bytes[..count]);
            timeline.extend(marks.iter().map(|mark| (mark.phase, begin.elapsed())));
        }
        let (cpu, _) = cpu_times_at_end(&qemu)?;
        let wall = begin.elapsed();
        let status = qemu.wait()?;

        let dump = has_dump(&disk);
        if !status.success() || !matches!(dump, Ok(true)) {
            let log = String::from_utf8_lossy(&log);
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let what = format!("the reference left no dump ({status}, {dump:?})");
            return Err(format!("{what}; its console ended with\n{}", tail.join("\n")).into());
        }
        Ok(Run {
            wall,
            cpu,
            timeline,
        })
    }
}

/// Whether a complete dump is on the disk.
fn has_dump(disk: &File) -> Result<bool, Failure> {
    let dump = Target::open(&BlockDevice::whole(disk)?)?.open_dump("/vmcore")?;
    let complete = vmcore::inspect(&dump, dump.len())?.complete;
    Ok(matches!(complete, vmcore::Completeness::Complete))
}

fn tree(directory: &Path, init: &str) -> Result<(), Failure> {
    for name in ["bin", "boot", "dev", "mnt", "modules", "proc", "sys", "tmp"] {
        fs::create_dir_all(directory.join(name))?;
    }
    executable(&directory.join("init"), init)
}

/// Writes a script.
pub(crate) fn executable(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

fn programs(job: &Job, names: &[&str], directory: &Path) -> Result<(), Failure> {
    for (path, file) in job.image.userland.closure(names)? {
        let to = directory.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().ok_or("a program without a directory")?)?;
        fs::copy(&file, &to)?;
        // Where the scripts' first line looks for it.
        if path.ends_with("/busybox") {
            fs::copy(&file, directory.join("bin/busybox"))?;
        }
    }
    Ok(())
}

/// What crashdrill's own /init does in this drill.
pub(super) fn direct(job: &Job) -> Result<&Direct, Failure> {
    match &job.plan.boot {
        BootPlan::Direct(direct) => Ok(direct),
        BootPlan::Disk(_) => Err("the reference is for drills with `boot: direct`".into()),
    }
}

/// The drill's modules, numbered in the order in which the drill loads them.
fn modules(job: &Job, directory: &Path) -> Result<(), Failure> {
    let capture = &direct(job)?.capture;
    let drivers = capture
        .order
        .drivers
        .iter()
        .flat_map(|driver| &driver.modules);
    let target = capture.order.target.modules();
    for (number, module) in drivers.chain(target).enumerate() {
        let file = capture
            .modules
            .get(&module.path)
            .ok_or("a module without its file")?;
        let name = format!("modules/{number:02}-{}.ko", module.name);
        fs::write(directory.join(name), file.read()?)?;
    }
    Ok(())
}

/// `find | cpio -o -H newc`, with the image's busybox.
fn cpio(job: &Job, directory: &Path, to: &Path) -> Result<(), Failure> {
    let mut list = Vec::new();
    walk(directory, Path::new(""), &mut list)?;
    let busybox = job.image.userland.command("busybox")?;
    let mut cpio = Command::new(busybox.get_program());
    let mut cpio = cpio
        .args(busybox.get_args())
        .args(["cpio", "-o", "-H", "newc"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(File::create(to)?)
        .stderr(Stdio::null())
        .spawn()?;
    let mut names = cpio.stdin.take().ok_or("cpio has no standard input")?;
    names.write_all(list.join("\n").as_bytes())?;
    drop(names);
    match cpio.wait()?.success() {
        true => Ok(()),
        false => Err("the image's busybox cannot make a cpio archive".into()),
    }
}

fn walk(root: &Path, below: &Path, list: &mut Vec<String>) -> Result<(), Failure> {
    let mut entries: Vec<_> = fs::read_dir(root.join(below))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        list.push(
            path.to_str()
                .ok_or("a file name that is not UTF-8")?
                .to_owned(),
        );
        if entry.file_type()?.is_dir() {
            walk(root, &path, list)?;
        }
    }
    Ok(())
}
