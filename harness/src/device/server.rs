//! The devices of one machine, each served by a thread of its own.
//!
//! A thread and not a task: a guest waits for every register that it reads, and the runtime's one
//! thread is busy with consoles. It waits in plain system calls, as few as can be, and is told to
//! end by shutting down the socket that it waits at.

use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recvmsg, shutdown};
use tokio::sync::mpsc;

use super::function::Function;
use super::socket;
use super::wire::{Command, Garbled, HEADER, Header, MAX_DESCRIPTORS, MAX_MESSAGE};

/// A modelled device that failed. The guest goes on without it, so what comes of the drill is none
/// of the guest's doing.
#[derive(Debug, thiserror::Error)]
#[error("the modelled device {device} failed: {problem}")]
pub struct DeviceError {
    /// QEMU's id of it.
    pub device: String,
    /// How.
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
    served: Vec<Served>,
    failures: mpsc::UnboundedReceiver<DeviceError>,
    notes: mpsc::UnboundedReceiver<(String, Vec<String>)>,
}

#[derive(Debug)]
struct Served {
    /// What QEMU connects to.
    name: OwnedFd,
    waits: Arc<Waits>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

impl Devices {
    /// Begins to serve these, by QEMU's ids.
    ///
    /// # Errors
    /// No socket, descriptor or thread left.
    pub fn start(functions: Vec<(String, Function)>) -> io::Result<Self> {
        let (tell, failures) = mpsc::unbounded_channel();
        let (note, notes) = mpsc::unbounded_channel();
        let mut devices = Self {
            served: Vec::new(),
            failures,
            notes,
        };
        for (device, mut function) in functions {
            let (listener, name) = socket::listener()?;
            let waits = Arc::new(Waits::at(&listener)?);
            let (tell, note) = (tell.clone(), note.clone());
            let thread = std::thread::Builder::new().name(device.clone()).spawn({
                let waits = Arc::clone(&waits);
                move || {
                    let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        serve(listener, &mut function, &waits)
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
                    // A guest that waits for the device gets an answer at last: it is not there.
                    waits.end();
                }
            })?;
            devices.served.push(Served {
                name,
                waits,
                thread: Some(thread),
            });
        }
        Ok(devices)
    }

    /// What QEMU has to inherit to find them ([`crate::machine::Inputs::devices`]), in the order
    /// in which they were given.
    pub fn names(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.served.iter().map(|served| served.name.as_fd())
    }

    /// Comes back when a device fails, and not otherwise. Cancel safe.
    pub async fn fails(&mut self) -> DeviceError {
        match self.failures.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Ends them all; gives what each had to say, by id.
    ///
    /// # Errors
    /// One has failed, and [`Self::fails`] has not said so.
    pub fn end(mut self) -> Result<Vec<(String, Vec<String>)>, DeviceError> {
        self.join();
        if let Ok(error) = self.failures.try_recv() {
            return Err(error);
        }
        let mut notes = Vec::new();
        while let Ok(of_one) = self.notes.try_recv() {
            notes.push(of_one);
        }
        Ok(notes)
    }

    fn join(&mut self) {
        self.served.iter().for_each(|served| served.waits.end());
        for served in &mut self.served {
            if let Some(thread) = served.thread.take() {
                // Its panic has been told.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.join();
    }
}

/// The socket that a device's thread waits at: for QEMU to come, to speak, or to listen.
#[derive(Debug)]
struct Waits(Mutex<Option<OwnedFd>>);

impl Waits {
    fn at(socket: &UnixListener) -> io::Result<Self> {
        Ok(Self(Mutex::new(Some(socket.try_clone()?.into()))))
    }

    /// From now on at this one; `false` when it is time to end.
    fn turn_to(&self, socket: &UnixStream) -> io::Result<bool> {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.is_some() {
            *waits = Some(socket.try_clone()?.into());
        }
        Ok(waits.is_some())
    }

    /// Ends the waiting, now and for ever.
    fn end(&self) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = waits.take() {
            // QEMU may have gone, which is an end as well.
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
    }

    fn ended(&self) -> bool {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.is_none()
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}

/// Serves one device from QEMU's connection to its end.
fn serve(listener: UnixListener, function: &mut Function, waits: &Waits) -> Result<(), Problem> {
    let mut socket = match listener.accept() {
        Ok((socket, _)) => socket,
        Err(_) if waits.ended() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !waits.turn_to(&socket)? {
        return Ok(());
    }
    // One device, one QEMU: whoever else is waiting is turned away.
    drop(listener);
    let mut message = [0; MAX_MESSAGE];
    let (begin, rest) = message.split_at_mut(HEADER);
    loop {
        let mut descriptors = Vec::new();
        if !receive(&socket, begin, &mut descriptors)? {
            return Ok(());
        }
        let header = Header::parse(begin.first_chunk().unwrap_or(&[0; HEADER]))?;
        let body = &mut rest[..header.body];
        if !receive(&socket, body, &mut descriptors)? {
            return Ok(());
        }
        let result = Command::parse(&header, body)
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

/// Fills `into`, with the descriptors that come along; `false` when QEMU has gone, or it is time to
/// end.
fn receive(
    socket: &UnixStream,
    into: &mut [u8],
    descriptors: &mut Vec<File>,
) -> Result<bool, Problem> {
    let mut done = 0;
    while done < into.len() {
        let mut control = vec![0; CONTROL];
        let mut slices = [IoSliceMut::new(&mut into[done..])];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = socket.as_raw_fd();
        let (read, flags) = match recvmsg::<()>(fd, &mut slices, Some(&mut control), flags) {
            Ok(message) => (message.bytes, message.flags),
            Err(Errno::EINTR) => continue,
            Err(Errno::ECONNRESET) => return Ok(false),
            Err(errno) => return Err(Problem::Channel(errno.into())),
        };
        descriptors.extend(received(&control));
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(Garbled::Descriptors.into());
        }
        if flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(Problem::Channel(Errno::EMFILE.into()));
        }
        match read {
            0 => return Ok(false),
            read => done += read,
        }
    }
    Ok(true)
}

/// cmsghdr: a length, a level, a type.
const CONTROL_HEADER: usize = size_of::<usize>() + 2 * size_of::<RawFd>();
/// One more than may come, to tell too many.
const CONTROL: usize = CONTROL_HEADER + (MAX_DESCRIPTORS + 1) * size_of::<RawFd>();

/// The descriptors that recvmsg(2) has made, all of them even where it had room for some only: nix
/// would leave those open. `control` was zero before.
fn received(control: &[u8]) -> impl Iterator<Item = File> {
    let length = control
        .first_chunk()
        .map_or(0, |it| usize::from_ne_bytes(*it));
    let descriptors = control.get(CONTROL_HEADER..).unwrap_or_default();
    let count = length.saturating_sub(CONTROL_HEADER) / size_of::<RawFd>();
    // SCM_RIGHTS is the only kind that comes unasked.
    let descriptors = descriptors.as_chunks().0.iter().take(count);
    descriptors.map(|bytes| {
        let fd = RawFd::from_ne_bytes(*bytes);
        // SAFETY: the kernel has just made it for this process, and nobody else has heard of it.
        unsafe { File::from_raw_fd(fd) }
    })
}

#[cfg(test)]
mod tests;
