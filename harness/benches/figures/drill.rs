//! crashdrill's own command, run and watched from outside.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crashdrill::image::Qemu;
use crashdrill::units::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, SysconfVar, mkfifo, sysconf};
use serde_json::Value;

use super::Failure;
use super::reference::executable;

/// How often the memory of a running crashdrill is read. Its peak (VmHWM) cannot be read any more
/// once it has ended; what it gains in its last milliseconds is missed.
const SAMPLE: Duration = Duration::from_millis(10);
/// A QEMU that has not started by then will not. Milliseconds.
const START: u16 = 60_000;

/// `crashdrill run scenarios/healthy.yaml`.
pub(crate) struct Healthy<'a> {
    pub(crate) root: &'a Path,
    /// A directory of the bench's own.
    pub(crate) scratch: &'a Path,
}

/// A run that is over.
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// For each drill, from its QEMU's start: phases, and QEMU's end.
    pub(crate) timelines: Vec<(Vec<(String, f64)>, f64)>,
    /// User and system time of crashdrill itself.
    pub(crate) own_cpu: Duration,
    /// The same of its children: QEMU, and mke2fs and the questions to QEMU beside it.
    pub(crate) children_cpu: Duration,
    /// The most memory that crashdrill itself had (VmHWM).
    pub(crate) peak: Bytes,
}

impl Healthy<'_> {
    fn command(&self, variants: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crashdrill"));
        command.arg("--root").arg(self.root);
        command.arg("run");
        command.arg("--keep-in").arg(self.scratch.join("kept"));
        for variant in variants {
            command.args(["--variant", variant]);
        }
        command.arg(self.root.join("scenarios/healthy.yaml"));
        // No pending snapshot is written, whatever the outcome.
        command
            .env("CI", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Runs these variants at once, to their end.
    pub(crate) fn run(&self, variants: &[&str]) -> Result<Run, Failure> {
        let json = self.scratch.join("drills.json");
        let log = self.scratch.join("crashdrill.log");
        let mut command = self.command(variants);
        command
            .arg("--json")
            .arg(&json)
            .args(["-j", &variants.len().to_string()]);
        command.stderr(fs::File::create(&log)?);

        let begin = Instant::now();
        let mut child = command.spawn()?;
        let pid = child.id();
        let sampler = thread::spawn(move || {
            let mut peak = Bytes(0);
            while let Some(now) = peak_memory(pid) {
                peak = peak.max(now);
                thread::sleep(SAMPLE);
            }
            peak
        });
        let (own_cpu, children_cpu) = cpu_times_at_end(&child)?;
        let wall = begin.elapsed();
        let peak = sampler
            .join()
            .map_err(|_| "reading crashdrill's memory failed")?;
        let status = child.wait()?;

        let failed = |why: &str| -> Failure {
            let log = fs::read_to_string(&log).unwrap_or_default();
            format!("`crashdrill run` {why} ({status}):\n{log}").into()
        };
        // 1: another outcome than the snapshot's, which is no matter here as long as it is a dump.
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(failed("failed"));
        }
        let run: Value = serde_json::from_str(&fs::read_to_string(&json)?)?;
        let drills = run["drills"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let saved = |drill: &Value| drill["outcome"]["verdict"] == "vmcore-saved";
        if drills.len() != variants.len() || !drills.iter().all(saved) {
            return Err(failed("saved no dump"));
        }
        let timelines = drills.iter().map(timeline).collect::<Option<_>>();
        let timelines = timelines.ok_or_else(|| failed("told no times"))?;
        Ok(Run {
            wall,
            timelines,
            own_cpu,
            children_cpu,
            peak,
        })
    }

    /// From the command to the start of QEMU for the guest, once. The drill is then interrupted.
    pub(crate) fn start(&self, qemu: &Qemu, variant: &str) -> Result<Duration, Failure> {
        let fifo = self.scratch.join("started");
        if !fifo.exists() {
            mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
        }
        let mut command = self.command(&[variant]);
        command.env("CRASHDRILL_QEMU", wrapper(qemu, self.scratch, &fifo)?);
        command.stderr(Stdio::null());
        // For writing too: so opening waits for nobody.
        let mut started = fs::OpenOptions::new().read(true).write(true).open(&fifo)?;

        let begin = Instant::now();
        let mut child = command.spawn()?;
        let mut ready = [PollFd::new(started.as_fd(), PollFlags::POLLIN)];
        let count = poll(&mut ready, PollTimeout::from(START))?;
        let elapsed = begin.elapsed();
        if count == 1 {
            started.read_exact(&mut [0])?;
        }
        let status = interrupt(&mut child)?;
        match (count, status.code()) {
            (1, Some(130)) => Ok(elapsed),
            _ => Err(format!("crashdrill did not start QEMU and end on SIGINT: {status}").into()),
        }
    }
}

fn interrupt(child: &mut Child) -> Result<ExitStatus, Failure> {
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
    Ok(child.wait()?)
}

/// A QEMU that says when it is started with a kernel. The same file every time, as far as it can
/// be: what crashdrill remembers about a QEMU goes by its file.
fn wrapper(qemu: &Qemu, directory: &Path, fifo: &Path) -> Result<PathBuf, Failure> {
    let command = qemu.command();
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let mut script = "#!/bin/sh\n".to_owned();
    for (name, value) in command.get_envs() {
        let value = value.map(quoted).unwrap_or_default();
        script += &format!("export {}={value}\n", name.to_string_lossy());
    }
    script += &format!(
        "case \" $* \" in *' -kernel '*) echo > {} ;; esac\nexec",
        quoted(fifo.as_os_str())
    );
    for word in [command.get_program()]
        .into_iter()
        .chain(command.get_args())
    {
        script += &format!(" {}", quoted(word));
    }
    script += " \"$@\"\n";
    let path = directory.join("qemu-system-x86_64");
    if fs::read_to_string(&path).is_ok_and(|there| there == script) {
        return Ok(path);
    }
    executable(&path, &script)?;
    Ok(path)
}

fn timeline(drill: &Value) -> Option<(Vec<(String, f64)>, f64)> {
    let mark = |mark: &Value| {
        Some((
            mark["phase"].as_str()?.to_owned(),
            mark["seconds"].as_f64()?,
        ))
    };
    let marks = drill["timeline"]
        .as_array()?
        .iter()
        .map(mark)
        .collect::<Option<_>>()?;
    Some((marks, drill["seconds"].as_f64()?))
}

/// VmHWM of /proc/PID/status; `None` once the process has ended.
fn peak_memory(pid: u32) -> Option<Bytes> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(Bytes(kib * Bytes::KIB))
}

/// Waits for the end of a process. What it used itself, and what the children that it has waited
/// for did: utime + stime, and cutime + cstime of /proc/PID/stat, fields 14 to 17
/// (proc_pid_stat(5)). It is not waited for with wait(2), so these are complete and still there.
pub(crate) fn cpu_times_at_end(child: &Child) -> Result<(Duration, Duration), Failure> {
    let pid = child.id();
    let id = Id::Pid(Pid::from_raw(pid.try_into()?));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat
        .rsplit_once(')')
        .ok_or("/proc/PID/stat without a name")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [user, system, children_user, children_system] = ticks[..] else {
        return Err("/proc/PID/stat is too short".into());
    };
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or("no clock ticks")? as f64;
    let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / per_second);
    Ok((time(user + system), time(children_user + children_system)))
}
