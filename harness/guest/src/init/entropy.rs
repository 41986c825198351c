//! Randomness for programs that will not start without: ssh, sshd.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;

use crate::error::{Context, Failure};

/// RNDADDENTROPY of random(4), `_IOW('R', 0x03, int[2])`.
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// 512 bits, twice what the kernel's generator wants before it is ready. Linux 3.10 counts what is
/// in its pool, and lets /dev/random be read from 64 bits on: that is what OpenSSL waits for where
/// there is no getrandom(2).
const WORDS: usize = 16;

/// struct rand_pool_info.
#[repr(C)]
struct PoolInfo {
    bits: libc::c_int,
    bytes: libc::c_int,
    pool: [u32; WORDS],
}

/// Credits the kernel with the order's seed. A virtual machine that has just been started has next
/// to no randomness of its own; a real one is helped by the seed that its last boot left.
pub(crate) fn seed(seed: &str) -> Result<(), Failure> {
    let mut info = PoolInfo {
        bits: (WORDS * 32) as libc::c_int,
        bytes: (WORDS * 4) as libc::c_int,
        pool: [0; WORDS],
    };
    // Folded, whatever its length.
    for (position, byte) in seed.bytes().enumerate() {
        let word = &mut info.pool[position / 4 % WORDS];
        *word = word.rotate_left(8) ^ u32::from(byte);
    }
    let step = || "credit randomness to /dev/random".to_owned();
    let random = OpenOptions::new()
        .write(true)
        .open("/dev/random")
        .context(step)?;
    // SAFETY: RNDADDENTROPY reads a struct rand_pool_info whose pool has the stated bytes, and
    // `info` is one, valid for the call.
    match unsafe { libc::ioctl(random.as_raw_fd(), RNDADDENTROPY, &raw const info) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context(step),
    }
}
