//! Any messages to a modelled device, with any memory behind it: no panic, an end, no more memory
//! than `-rss_limit_mb` allows, and an answer that QEMU can take.
//!
//! `cargo +nightly fuzz run vfio_user -- -rss_limit_mb=1024 -timeout=20` in harness/. The first byte
//! of the input says which device; then come pieces, each with a byte for its kind and one for its
//! length: a whole message, the body of one, an access to a register, or what the guest writes to
//! its memory.

#![no_main]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use crashdrill::device::i40e::{I40e, Port};
use crashdrill::device::mpt3sas::{Chip, Mpt3sas};
use crashdrill::device::wire::{Command, HEADER, Header, MAX_DESCRIPTORS, MAX_MESSAGE};
use crashdrill::device::{Function, Generic, Identity};
use libfuzzer_sys::fuzz_target;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};

const VERSION: u8 = 1;
const MAP: u8 = 2;
const SET_INTERRUPTS: u8 = 8;
const READ: u8 = 9;
const WRITE: u8 = 10;
const CONFIG: u32 = 7;
/// The guest has memory here.
const BASE: u64 = 0x1_0000;
const MEMORY: u64 = 1 << 20;
const DISK: u64 = 1 << 24;

static FILES: LazyLock<[File; 2]> = LazyLock::new(|| {
    ["memory", "disk"].map(|name| memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap().into())
});

fn zeroed(file: &File, size: u64) -> File {
    file.set_len(0).unwrap();
    file.set_len(size).unwrap();
    file.try_clone().unwrap()
}

const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x1572,
    subvendor: 0x8086,
    subdevice: 1,
    class: 0x02_0000,
    revision: 2,
};

fn device(which: u8) -> Function {
    match which % 4 {
        0 => Function::new(
            Box::new(Generic),
            Generic::config(&IDENTITY, None, 64, true),
        ),
        1 => {
            let model = I40e::new(Port::new(IDENTITY.device, 16, 1, 2));
            Function::new(Box::new(model), I40e::config(&IDENTITY))
        }
        2 => adapter(Chip::Sas3008, Some(zeroed(&FILES[1], DISK))),
        _ => adapter(Chip::by_device(0x00c9).unwrap_or(Chip::Sas3008), None),
    }
}

fn adapter(chip: Chip, disk: Option<File>) -> Function {
    let model = Mpt3sas::new(chip, 96, 0, disk).unwrap();
    let identity = Identity {
        vendor: 0x1000,
        device: chip.device(),
        class: 0x01_0700,
        ..IDENTITY
    };
    Function::new(Box::new(model), Mpt3sas::config(&identity, 96))
}

/// What comes with a command as a rule.
fn descriptors(command: u8, body: &[u8]) -> Vec<File> {
    let eventfd = || {
        let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        File::from(OwnedFd::from(eventfd.unwrap()))
    };
    match command {
        MAP => vec![FILES[0].try_clone().unwrap()],
        SET_INTERRUPTS => {
            let count = usize::from(body.get(16).copied().unwrap_or_default());
            (0..count.min(MAX_DESCRIPTORS)).map(|_| eventfd()).collect()
        }
        _ => Vec::new(),
    }
}

fn message(command: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 0, command, 0];
    message.extend(((HEADER + body.len()) as u32).to_le_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn access(region: u32, offset: u64, count: usize, data: &[u8]) -> Vec<u8> {
    let mut body = offset.to_le_bytes().to_vec();
    body.extend(region.to_le_bytes());
    body.extend((count as u32).to_le_bytes());
    body.extend(data);
    body
}

fn tell(function: &mut Function, message: &[u8]) {
    let Some(Ok(header)) = message.first_chunk().map(Header::parse) else {
        return;
    };
    assert!(header.body <= MAX_MESSAGE);
    let Some(body) = message.get(HEADER..HEADER + header.body) else {
        return;
    };
    let descriptors = descriptors(message[2], body);
    let result =
        Command::parse(&header, body).and_then(|command| function.execute(command, descriptors));
    let reply = header.reply(result.as_deref().map_err(|errno| *errno));
    // What QEMU has room for: its own message, or what it has asked to read.
    let room = match message[2] {
        READ => HEADER + 16 + 4096,
        VERSION => MAX_MESSAGE,
        _ => HEADER + header.body.max(32),
    };
    assert!(reply.len() <= room);
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, mut rest)) = input.split_first() else {
        return;
    };
    let memory = zeroed(&FILES[0], MEMORY);
    let mut function = device(which);
    let mut map = vec![32, 0, 0, 0, 3, 0, 0, 0];
    map.extend([0, BASE, MEMORY].map(u64::to_le_bytes).concat());
    tell(&mut function, &message(MAP, &map));
    // A bus master, with I/O and memory.
    tell(
        &mut function,
        &message(WRITE, &access(CONFIG, 4, 2, &[7, 0])),
    );
    while let [kind, length, after @ ..] = rest {
        let (piece, next) = after.split_at(usize::from(*length).min(after.len()));
        rest = next;
        let wide = |at: usize| {
            let bytes: Vec<u8> = (at..at + 3)
                .map(|at| piece.get(at).copied().unwrap_or(0))
                .collect();
            u64::from(bytes[0]) | u64::from(bytes[1]) << 8 | u64::from(bytes[2]) << 16
        };
        match kind % 32 {
            0 => tell(&mut function, piece),
            // 4 and 8 bytes of a register, in BAR 0 to 3.
            kind @ 16..24 => {
                let count = if kind % 2 == 0 { 4 } else { 8 };
                let offset = wide(0) & !(count as u64 - 1);
                let mut data = piece.get(3..).unwrap_or_default().to_vec();
                data.resize(count, 0);
                let body = access(u32::from(kind - 16) / 2, offset, count, &data);
                tell(&mut function, &message(WRITE, &body));
            }
            kind @ 24..28 => {
                let body = access(u32::from(kind - 24), wide(0) & !3, 4, &[]);
                tell(&mut function, &message(READ, &body));
            }
            28..32 => {
                let at = wide(0) % MEMORY;
                let data = piece.get(3..).unwrap_or_default();
                let room = (MEMORY - at).min(data.len() as u64) as usize;
                memory.write_all_at(&data[..room], at).unwrap();
            }
            command => tell(&mut function, &message(command, piece)),
        }
    }
});
