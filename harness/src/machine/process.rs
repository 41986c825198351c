//! QEMU as a process that cannot outlive the harness.
//!
//! Nothing it uses has a name: disks are open files, its channels are pipes and a socket pair that
//! it inherits. The kernel kills it (PR_SET_PDEATHSIG) when the *thread* that started it ends, so it
//! must be started on a thread that lives as long as the drill: the one of a current-thread
//! runtime, as here.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{getpid, getppid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::arguments::{Chardev, Files, arguments};
use super::delays::Delays;
use super::link::Link;
use super::plan::MachinePlan;
use super::qmp::{Qmp, QmpError, Shutdown};

/// How long QEMU may take to greet: it answers in 0.1 s on an idle host.
/// But QEMU 11 takes 24 s to build 240 virtio devices, where 7.2 takes 0.3 s.
const GREETING: Duration = Duration::from_secs(90);
/// How long a QEMU whose channel is closed may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);
/// How long standard error may stay open after QEMU's end; only a child of its own could hold it.
const STDERR_END: Duration = Duration::from_secs(1);

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    /// What the guest writes to ttyS0.
    pub serial: pipe::Receiver,
    /// What /init writes to its report port.
    pub reports: pipe::Receiver,
    /// The monitor.
    pub qmp: Qmp,
    process: Process,
}

/// One input file.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// By name.
    Path(&'a Path),
    /// Open in the harness, maybe without a name. QEMU opens it again, from its beginning.
    Open(BorrowedFd<'a>),
}

impl Input<'_> {
    fn path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.to_path_buf(),
            Self::Open(fd) => fd_path(fd.as_raw_fd()),
        }
    }

    fn fd(&self) -> Option<RawFd> {
        match self {
            Self::Path(_) => None,
            Self::Open(fd) => Some(fd.as_raw_fd()),
        }
    }
}

/// The name of a descriptor that QEMU inherited.
pub(crate) fn fd_path(fd: RawFd) -> PathBuf {
    PathBuf::from(format!("/dev/fd/{fd}"))
}

/// The files of one machine.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The first kernel.
    pub kernel: Input<'a>,
    /// Its initramfs.
    pub initrd: Input<'a>,
    /// One for each of [`MachinePlan::file_disks`], in that order.
    pub disks: Vec<Input<'a>>,
    /// For the CD drive; without it there is none.
    pub medium: Option<Input<'a>>,
    /// The cable's end, for the network device that the dump goes to. Without one, nobody is at
    /// the other end.
    pub link: Option<BorrowedFd<'a>>,
    /// One socket for each of [`MachinePlan::models`], in that order.
    pub devices: Vec<Input<'a>>,
    /// An [`outlet`] that the monitor may have it write to. Without one, it has none.
    pub outlet: Option<BorrowedFd<'a>>,
}

/// A machine that did not start, or did not end as machines do.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// execve(2) or what goes before it.
    #[error("{} could not be started", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Sockets, /proc, waitpid(2).
    #[error("{step} failed")]
    Host {
        /// What was being done.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A disk too many or too few.
    #[error("the machine has {wanted} disks, but {given} files were given for them")]
    Disks {
        /// Disks of the plan.
        wanted: usize,
        /// Files.
        given: usize,
    },
    /// QEMU ended although no guest asked for it.
    #[error("QEMU ended by itself ({}){}", ending(*status), said(stderr))]
    Died {
        /// How.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
    /// The monitor failed while QEMU lives.
    #[error("{error}{}", said(stderr))]
    Qmp {
        /// What.
        #[source]
        error: QmpError,
        /// The end of its standard error.
        stderr: String,
    },
    /// Neither the guest nor a QMP `quit` ended it.
    #[error("QEMU was ended from outside ({reason})")]
    Stopped {
        /// QEMU's own word for it, such as `host-signal`.
        reason: String,
    },
    /// Its channels are closed and it stays.
    #[error("QEMU closed its monitor but did not end within {} s; it was killed", LAST_BREATH.as_secs())]
    Lingered,
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {signal}"),
        },
        (None, None) => "no exit status".to_owned(),
    }
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(":\n{text}"),
    }
}

impl Machine {
    /// Starts QEMU and waits for its greeting. The guest runs from then on; its serial output
    /// waits in the pipe until it is read.
    ///
    /// `command` is the QEMU program with whatever tells it where its firmware is.
    ///
    /// # Errors
    /// QEMU cannot be started or does not greet.
    pub async fn start(
        command: std::process::Command,
        plan: &MachinePlan,
        inputs: &Inputs<'_>,
    ) -> Result<Self, MachineError> {
        Self::start_with(command, plan, inputs, &[]).await
    }

    /// As [`Machine::start`], with options that are no part of the plan, such as `-S`.
    ///
    /// # Errors
    /// As [`Machine::start`].
    pub async fn start_with(
        command: std::process::Command,
        plan: &MachinePlan,
        inputs: &Inputs<'_>,
        more: &[OsString],
    ) -> Result<Self, MachineError> {
        let wanted = plan.file_disks().count();
        if wanted != inputs.disks.len() {
            return Err(MachineError::Disks {
                wanted,
                given: inputs.disks.len(),
            });
        }
        let (serial, their_serial) = outlet()?;
        let (reports, their_reports) = outlet()?;
        let (qmp, their_qmp) = channel()?;
        let files = Files {
            kernel: inputs.kernel.path(),
            initrd: inputs.initrd.path(),
            disks: inputs.disks.iter().map(Input::path).collect(),
            medium: inputs.medium.as_ref().map(Input::path),
            link: match inputs.link {
                Some(end) => Link::Socket(end.as_raw_fd()),
                None => Link::Nobody,
            },
            devices: inputs.devices.iter().map(Input::path).collect(),
            serial: Chardev::File(fd_path(their_serial.as_raw_fd())),
            reports: Chardev::File(fd_path(their_reports.as_raw_fd())),
            qmp: Some(Chardev::Socket(their_qmp.as_raw_fd())),
        };
        let mut inherited: Vec<RawFd> = [&inputs.kernel, &inputs.initrd]
            .into_iter()
            .chain(&inputs.disks)
            .chain(&inputs.medium)
            .chain(&inputs.devices)
            .filter_map(Input::fd)
            .chain(inputs.link.map(|end| end.as_raw_fd()))
            .chain(inputs.outlet.map(|end| end.as_raw_fd()))
            .collect();
        inherited.extend([&their_serial, &their_reports, &their_qmp].map(OwnedFd::as_raw_fd));

        let mut command = command;
        command.args(arguments(plan, &files)).args(more);
        let mut process = Process::spawn(command, inherited)?;
        // The harness keeps no copy of QEMU's ends: when QEMU dies, reading ends.
        drop((their_serial, their_reports, their_qmp));
        match Qmp::negotiate(qmp, GREETING).await {
            Ok(qmp) => Ok(Self {
                serial,
                reports,
                qmp,
                process,
            }),
            Err(error) => Err(process.explain(error).await),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Waits for QEMU's end, however it comes. The caller has to keep reading `serial` and
    /// `reports` meanwhile, or QEMU may wait for it. Cancel safe.
    ///
    /// # Errors
    /// waitpid(2) failed.
    pub async fn wait(&mut self) -> Result<ExitStatus, MachineError> {
        self.process.wait().await
    }

    /// Waits for the end of a machine that the guest ended, or that was told to `quit`: QEMU
    /// announced a SHUTDOWN and exited with 0. To be called when the channels are closed or a
    /// SHUTDOWN came.
    ///
    /// # Errors
    /// QEMU died, was killed by whatever signal, exited without the announcement, or does not end;
    /// then it is killed.
    pub async fn ended(&mut self) -> Result<Shutdown, MachineError> {
        let status = match timeout(LAST_BREATH, self.last_events()).await {
            Ok(status) => status?,
            Err(_) => {
                self.kill().await?;
                return Err(MachineError::Lingered);
            }
        };
        match self.qmp.shutdown() {
            Some(shutdown) if status.success() => {
                match shutdown.guest || shutdown.reason == "host-qmp-quit" {
                    true => Ok(shutdown.clone()),
                    false => Err(MachineError::Stopped {
                        reason: shutdown.reason.clone(),
                    }),
                }
            }
            _ => Err(MachineError::Died {
                status,
                stderr: self.stderr_tail(),
            }),
        }
    }

    async fn last_events(&mut self) -> Result<ExitStatus, MachineError> {
        while self.qmp.next_event().await.is_ok() {}
        self.process.wait().await
    }

    /// Kills QEMU and waits for its end.
    ///
    /// # Errors
    /// kill(2) or waitpid(2) failed.
    pub async fn kill(&mut self) -> Result<ExitStatus, MachineError> {
        self.process.kill().await
    }

    /// The end of QEMU's standard error, at most 64 KiB; complete once QEMU has ended.
    pub fn stderr_tail(&self) -> String {
        self.process.stderr.text()
    }

    /// How long the guest's CPUs have had to wait for a CPU of the host, from the machine's start:
    /// silence during such a wait is none of the guest's. The sum of the longest wait of any one
    /// guest CPU between any two calls, so call it often, such as every second.
    pub fn starved(&mut self) -> Duration {
        let process = &mut self.process;
        process.delays.sample(process.child.id())
    }
}

/// A pipe: the harness's reading end for the runtime, and QEMU's writing end. QEMU writes what the
/// guest prints byte by byte; a pipe keeps that in whole pages, where a socket would keep a buffer
/// a byte.
///
/// # Errors
/// No descriptor left.
pub fn outlet() -> Result<(pipe::Receiver, OwnedFd), MachineError> {
    let host = |source| MachineError::Host {
        step: "making a pipe for QEMU",
        source,
    };
    let (ours, theirs) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| host(errno.into()))?;
    Ok((pipe::Receiver::from_owned_fd(ours).map_err(host)?, theirs))
}

/// A connected pair: the harness's end for the runtime, and QEMU's.
pub(super) fn channel() -> Result<(UnixStream, OwnedFd), MachineError> {
    let host = |source| MachineError::Host {
        step: "making a socket pair for QEMU",
        source,
    };
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(|errno| host(errno.into()))?;
    let ours = std::os::unix::net::UnixStream::from(ours);
    ours.set_nonblocking(true).map_err(host)?;
    Ok((UnixStream::from_std(ours).map_err(host)?, theirs))
}

/// A child that dies with the harness, with the end of its standard error.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: u32,
    stderr: Tail,
    reader: Option<JoinHandle<()>>,
    delays: Delays,
}

impl Process {
    /// Starts `command` with these descriptors of the harness open under the same numbers.
    pub(super) fn spawn(
        mut command: std::process::Command,
        inherited: Vec<RawFd>,
    ) -> Result<Self, MachineError> {
        use std::os::unix::process::CommandExt;
        debug_assert_eq!(
            tokio::runtime::Handle::current().runtime_flavor(),
            tokio::runtime::RuntimeFlavor::CurrentThread,
            "PR_SET_PDEATHSIG follows the thread that starts QEMU"
        );
        let program = PathBuf::from(command.get_program());
        let harness = getpid();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // The terminal's ^C is for the harness, which then ends QEMU in good order.
            .process_group(0);
        let prepare = move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The harness may have died before the line above took effect.
            if getppid() != harness {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
            // What the harness itself inherited open (make's job server, a shell's redirections)
            // is not for QEMU. Before Linux 5.11 this fails, and QEMU just holds it too.
            // SAFETY: only changes a flag of this process's own descriptors.
            unsafe {
                libc::syscall(
                    libc::SYS_close_range,
                    3,
                    libc::c_uint::MAX,
                    libc::CLOSE_RANGE_CLOEXEC,
                )
            };
            for &fd in &inherited {
                // SAFETY: the caller keeps the descriptor open until after the spawn.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure only makes system calls (prctl, getppid,
        // setrlimit, close_range, fcntl); it neither allocates nor locks.
        unsafe { command.pre_exec(prepare) };
        let mut child = Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| MachineError::Spawn { program, source })?;
        let stderr = Tail::default();
        let reader = child
            .stderr
            .take()
            .map(|pipe| tokio::spawn(stderr.clone().fill(pipe)));
        Ok(Self {
            // `id` is `None` only after a wait.
            pid: child.id().unwrap_or_default(),
            child,
            stderr,
            reader,
            delays: Delays::default(),
        })
    }

    pub(super) async fn wait(&mut self) -> Result<ExitStatus, MachineError> {
        let status = self
            .child
            .wait()
            .await
            .map_err(|source| MachineError::Host {
                step: "waiting for QEMU",
                source,
            })?;
        if let Some(reader) = &mut self.reader {
            // A reader that panicked or is still held up has left what it had in the tail.
            let _ = timeout(STDERR_END, reader).await;
            self.reader = None;
        }
        Ok(status)
    }

    pub(super) async fn kill(&mut self) -> Result<ExitStatus, MachineError> {
        // Without an id it has ended, and its status is kept.
        if self.child.id().is_some() {
            self.child
                .start_kill()
                .map_err(|source| MachineError::Host {
                    step: "killing QEMU",
                    source,
                })?;
        }
        self.wait().await
    }

    pub(super) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What lies behind a failure of the monitor: usually that QEMU is gone, or about to go.
    pub(super) async fn explain(&mut self, error: QmpError) -> MachineError {
        if matches!(error, QmpError::Closed) {
            match timeout(LAST_BREATH, self.wait()).await {
                Ok(Ok(status)) => {
                    return MachineError::Died {
                        status,
                        stderr: self.stderr(),
                    };
                }
                Ok(Err(error)) => return error,
                Err(_) => {}
            }
        }
        match self.kill().await {
            Ok(_) => MachineError::Qmp {
                error,
                stderr: self.stderr(),
            },
            Err(error) => error,
        }
    }
}

/// The last bytes of a stream that may be endless.
#[derive(Debug, Clone, Default)]
struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    const LIMIT: usize = 64 << 10;

    async fn fill(self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            self.push(&chunk[..count]);
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let excess = kept.len().saturating_sub(Self::LIMIT);
        kept.drain(..excess);
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests;
