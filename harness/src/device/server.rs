//! The devices of one machine, each served by a thread of its own.
//!
//! A thread and not a task: a guest waits for every register that it reads, and the runtime's one
//! thread is busy with consoles.

use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use tokio::sync::mpsc;

use super::function::Function;
use super::socket::{Directory, Name};
use super::wire::{Command, Garbled, HEADER, Header, MAX_DESCRIPTORS};

/// A modelled device that failed. The guest goes on without it, so what comes of the drill is none
/// of the guest's doing.
#[derive(Debug, thiserror::Error)]
#[error("the modelled device {device} failed: {problem}")]
pub struct DeviceError {
    /// QEMU's id of it.
    pub device: String,
    /// How.
    #[source]
    pub problem: Problem,
}

/// How a device can fail.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// QEMU speaks something else.
    #[error("QEMU sent {0}, which is not vfio-user")]
    Garbled(#[from] Garbled),
    /// The socket.
    #[error("its channel to QEMU: {0}")]
    Channel(#[from] io::Error),
    /// A defect of the model.
    #[error("its model panicked: {0}; please report this as a bug of crashdrill")]
    Panicked(String),
}

/// The devices of one machine. When this is dropped, they are gone.
#[derive(Debug)]
pub struct Devices {
    directory: Directory,
    threads: Vec<JoinHandle<()>>,
    /// Closed, it tells the threads to end.
    stop: Option<OwnedFd>,
    failures: mpsc::UnboundedReceiver<DeviceError>,
    notes: mpsc::UnboundedReceiver<(String, Vec<String>)>,
}

impl Devices {
    /// Begins to serve these, by QEMU's ids.
    ///
    /// # Errors
    /// No directory, descriptor or thread left.
    pub fn start(functions: Vec<(String, Function)>) -> io::Result<Self> {
        let directory = Directory::new()?;
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (tell, failures) = mpsc::unbounded_channel();
        let (note, notes) = mpsc::unbounded_channel();
        let mut devices = Self {
            directory,
            threads: Vec::new(),
            stop: Some(stop),
            failures,
            notes,
        };
        for (device, mut function) in functions {
            let (listener, name) = devices.directory.listen(&device)?;
            let stopped = stopped.try_clone()?;
            let (tell, note) = (tell.clone(), note.clone());
            let thread = std::thread::Builder::new().name(device.clone());
            devices.threads.push(thread.spawn(move || {
                let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    serve(&listener, name, &mut function, stopped.as_fd())
                }));
                let problem = match served {
                    Ok(Ok(())) => None,
                    Ok(Err(problem)) => Some(problem),
                    Err(panic) => Some(Problem::Panicked(said(&*panic))),
                };
                // Nobody listens any more when the drill is over.
                let _ = note.send((device.clone(), function.notes()));
                if let Some(problem) = problem {
                    let _ = tell.send(DeviceError { device, problem });
                }
            })?);
        }
        Ok(devices)
    }

    /// Where QEMU finds the sockets: see [`super::socket`].
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Comes back when a device fails, and not otherwise. Cancel safe.
    pub async fn fails(&mut self) -> DeviceError {
        match self.failures.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Ends them all; gives what each had to say, by id.
    pub fn end(mut self) -> Vec<(String, Vec<String>)> {
        self.join();
        let mut notes = Vec::new();
        while let Ok(of_one) = self.notes.try_recv() {
            notes.push(of_one);
        }
        notes
    }

    fn join(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            // Its panic has been told.
            let _ = thread.join();
        }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.join();
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}

/// Serves one device from QEMU's connection to its end.
fn serve(
    listener: &UnixListener,
    name: Name,
    function: &mut Function,
    stopped: BorrowedFd<'_>,
) -> Result<(), Problem> {
    if !readable(listener.as_fd(), stopped)? {
        return Ok(());
    }
    let (mut socket, _) = listener.accept()?;
    drop(name);
    let mut body = Vec::new();
    loop {
        let mut descriptors = Vec::new();
        let mut header = [0; HEADER];
        if !receive(&socket, &mut header, &mut descriptors, stopped)? {
            return Ok(());
        }
        let header = Header::parse(&header)?;
        body.resize(header.body, 0);
        if !receive(&socket, &mut body, &mut descriptors, stopped)? {
            return Ok(());
        }
        let result = Command::parse(&header, &body)
            .and_then(|command| function.execute(command, descriptors));
        if header.wants_reply() {
            let reply = header.reply(result.as_deref().map_err(|errno| *errno));
            match socket.write_all(&reply) {
                Err(error) if is_end(&error) => return Ok(()),
                written => written?,
            }
        }
    }
}

/// QEMU has ended.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

/// Waits until there is something to read; `false` when it is time to end.
fn readable(fd: BorrowedFd<'_>, stopped: BorrowedFd<'_>) -> io::Result<bool> {
    let mut both = [
        PollFd::new(fd, PollFlags::POLLIN),
        PollFd::new(stopped, PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) => return Ok(both[1].any() != Some(true)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Fills `into`, with the descriptors that come along; `false` when QEMU has gone, or it is time to
/// end.
fn receive(
    socket: &UnixStream,
    into: &mut [u8],
    descriptors: &mut Vec<File>,
    stopped: BorrowedFd<'_>,
) -> io::Result<bool> {
    let mut done = 0;
    while done < into.len() {
        if !readable(socket.as_fd(), stopped)? {
            return Ok(false);
        }
        let mut space = cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let mut slices = [IoSliceMut::new(&mut into[done..])];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags);
        let message = match message {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            Err(Errno::ECONNRESET) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = control {
                // SAFETY: the kernel has just made these for this process, and nobody else has
                // heard of them.
                let owned = received
                    .into_iter()
                    .map(|fd| unsafe { File::from_raw_fd(fd) });
                descriptors.extend(owned);
            }
        }
        match message.bytes {
            0 => return Ok(false),
            read => done += read,
        }
    }
    Ok(true)
}
