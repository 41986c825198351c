//! A register of a modelled device, as QEMU reaches it: a message to the device's thread and one
//! back. What a guest waits is more, by what QEMU itself takes.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crashdrill::device::{Devices, Function, Generic};

use super::{Failure, figure, median};

const ROUNDS: usize = 20_000;
/// Writes that nobody waits for, before one that somebody does.
const POSTED: u32 = 100;

/// A round trip in parts of a bare one's.
const MAX_RATIO: f64 = 1.0;

/// vfio-user's header: id, command, size, flags, error.
const HEADER: usize = 16;
const READ: u16 = 9;
const WRITE: u16 = 10;
const NO_REPLY: u32 = 0x10;
/// Offset, region and count.
const ACCESS: usize = 16;
const REGISTER: [u8; 4] = [0; 4];

pub(crate) fn measure() -> Result<(), Failure> {
    let config = Generic::config(&Generic::USUAL, None, 64, false);
    let function = Function::new(Box::new(Generic), config);
    let devices = Devices::start(vec![("generic".to_owned(), function)])?;
    let name = devices.names().next().ok_or("no device")?;
    let mut socket = UnixStream::connect(format!("/proc/self/fd/{}", name.as_raw_fd()))?;

    let asked = access(READ, 0, &[]);
    let answered = HEADER + ACCESS + REGISTER.len();
    let read = round_trips(&mut socket, &asked, answered)?;
    let posted = access(WRITE, NO_REPLY, &REGISTER);
    let mut burst = Vec::new();
    let mut writes = Vec::new();
    for _ in 0..ROUNDS / POSTED as usize {
        let begin = Instant::now();
        for _ in 0..POSTED {
            socket.write_all(&posted)?;
        }
        socket.write_all(&asked)?;
        burst.resize(answered, 0);
        socket.read_exact(&mut burst)?;
        writes.push(begin.elapsed().saturating_sub(read) / POSTED);
    }
    let bare = bare(&asked, answered)?;

    println!("A register of a modelled device over its socket, median of {ROUNDS}:");
    let shown = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    println!("   {:24} {}", "read", shown(read));
    println!("   {:24} {}", "posted write", shown(median(writes)));
    println!("   {:24} {}", "bare socket, round trip", shown(bare));
    let ratio = read.as_secs_f64() / bare.as_secs_f64();
    let reached = ratio <= MAX_RATIO;
    figure("read / bare", &format!("{ratio:.2}"), reached, "1.00");
    println!();
    devices.end()?;
    Ok(())
}

/// The first register of BAR 0.
fn access(command: u16, flags: u32, data: &[u8]) -> Vec<u8> {
    let size = (HEADER + ACCESS + data.len()) as u32;
    let mut message = vec![0, 0];
    message.extend(command.to_le_bytes());
    for word in [size, flags, 0, 0, 0, 0, REGISTER.len() as u32] {
        message.extend(word.to_le_bytes());
    }
    message.extend(data);
    message
}

/// How long a message and its answer take.
fn round_trips(
    socket: &mut UnixStream,
    message: &[u8],
    answered: usize,
) -> Result<Duration, Failure> {
    let mut answer = vec![0; answered];
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        socket.write_all(message)?;
        socket.read_exact(&mut answer)?;
        times.push(begin.elapsed());
    }
    Ok(median(times))
}

/// The same bytes to a thread that does nothing with them.
fn bare(message: &[u8], answered: usize) -> Result<Duration, Failure> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let asked = message.len();
    let echo = thread::spawn(move || {
        let (mut message, answer) = (vec![0; asked], vec![0; answered]);
        while theirs.read_exact(&mut message).is_ok() {
            if theirs.write_all(&answer).is_err() {
                break;
            }
        }
    });
    let time = round_trips(&mut ours, message, answered)?;
    drop(ours);
    echo.join().map_err(|_| "the bare thread failed")?;
    Ok(time)
}
