//! The devices of one machine, each served by a thread of its own.
//!
//! A thread and not a task: a guest waits for every register that it reads, and the runtime's one
//! thread is busy with consoles. It waits in plain system calls, as few as can be, and is told to
//! end by shutting down the socket that it waits at.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::sync::mpsc;

use super::function::Function;
use super::incoming::Incoming;
use super::socket;
use super::wire::{Command, Garbled};

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
    let socket = match listener.accept() {
        Ok((socket, _)) => socket,
        Err(_) if waits.ended() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !waits.turn_to(&socket)? {
        return Ok(());
    }
    // One device, one QEMU: whoever else is waiting is turned away.
    drop(listener);
    let mut incoming = Incoming::new(&socket);
    while let Some(message) = incoming.next()? {
        // A guest may have asked for hundreds of things that take long.
        if waits.ended() {
            return Ok(());
        }
        let header = message.header;
        let result = Command::parse(&header, message.body)
            .and_then(|command| function.execute(command, message.descriptors));
        if header.wants_reply() {
            let reply = header.reply(result.as_deref().map_err(|errno| *errno));
            match (&socket).write_all(&reply) {
                Err(error) if is_end(&error) => return Ok(()),
                written => written?,
            }
        }
    }
    Ok(())
}

/// QEMU has ended.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

#[cfg(test)]
mod tests;
