//! What QEMU sends to one device, message by message.
//!
//! As much as has come is taken with one system call: the guest waits for it, and writes that nobody
//! waits for come in bursts.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recvmsg};

use super::server::Problem;
use super::wire::{Garbled, HEADER, Header, MAX_DESCRIPTORS, MAX_MESSAGE};

/// How long what comes is looked for before it is waited for. A driver that reads a register reads the
/// next within some 30 us, and to be woken takes as long again: an i40e's probe, 8000 accesses, takes
/// half the time so. While the guest does something else the thread sleeps.
const LOOKED_FOR: Duration = Duration::from_micros(100);

/// The messages of one connection.
pub(super) struct Incoming<'a> {
    socket: &'a UnixStream,
    buffer: Box<[u8; 2 * MAX_MESSAGE]>,
    /// What of it has not been given out.
    begin: usize,
    end: usize,
    /// Each with the offset of a byte of its message.
    descriptors: Vec<(usize, File)>,
}

/// One of them.
pub(super) struct Message<'a> {
    pub(super) header: Header,
    pub(super) body: &'a [u8],
    /// What came along.
    pub(super) descriptors: Vec<File>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(socket: &'a UnixStream) -> Self {
        Self {
            socket,
            buffer: Box::new([0; _]),
            begin: 0,
            end: 0,
            descriptors: Vec::new(),
        }
    }

    /// The next one; `None` when QEMU has gone, or it is
    /// time to end.
    pub(super) fn next(&mut self) -> Result<Option<Message<'_>>, Problem> {
        loop {
            if let Some(begin) = self.buffer[self.begin..self.end].first_chunk() {
                let header = Header::parse(begin)?;
                let body = self.begin + HEADER;
                let end = body + header.body;
                if end <= self.end {
                    self.begin = end;
                    let own = self.descriptors.partition_point(|(at, _)| *at < end);
                    let own = self.descriptors.drain(..own).map(|(_, file)| file);
                    let message = Message {
                        header,
                        descriptors: own.collect(),
                        body: &self.buffer[body..end],
                    };
                    return match message.descriptors.len() <= MAX_DESCRIPTORS {
                        true => Ok(Some(message)),
                        false => Err(Garbled::Descriptors.into()),
                    };
                }
            }
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    /// Takes what has come, or waits for it; there is room for a message at least.
    fn receive(&mut self) -> Result<bool, Problem> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        for (at, _) in &mut self.descriptors {
            *at -= self.begin;
        }
        self.begin = 0;
        // All of them are of the message that is not whole yet.
        if self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(Garbled::Descriptors.into());
        }

        let mut control = vec![0; CONTROL];
        let fd = self.socket.as_raw_fd();
        let begin = Instant::now();
        let (read, flags) = loop {
            let mut slices = [IoSliceMut::new(&mut self.buffer[self.end..])];
            let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
            flags.set(MsgFlags::MSG_DONTWAIT, begin.elapsed() < LOOKED_FOR);
            match recvmsg::<()>(fd, &mut slices, Some(&mut control), flags) {
                Ok(message) => break (message.bytes, message.flags),
                // Whoever has work to do goes first.
                Err(Errno::EAGAIN) => thread::yield_now(),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(false),
                Err(errno) => return Err(Problem::Channel(errno.into())),
            }
        };
        self.end += read;
        // The kernel gives out nothing behind bytes that descriptors came with (unix(7)), so these
        // belong to the last byte's message, whatever has come before that.
        let last = self.end.saturating_sub(1);
        let before = self.descriptors.len();
        self.descriptors
            .extend(received(&control).map(|file| (last, file)));
        if self.descriptors.len() - before > MAX_DESCRIPTORS {
            return Err(Garbled::Descriptors.into());
        }
        if flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(Problem::Channel(Errno::EMFILE.into()));
        }
        Ok(read > 0)
    }
}

/// cmsghdr: a length, a level, a type.
const CONTROL_HEADER: usize = size_of::<usize>() + 2 * size_of::<RawFd>();
/// One more than may come at once, to tell too many.
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
