//! A scripted client plays QEMU.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use super::*;
use crate::device::wire::{HEADER, MAX_DESCRIPTORS};
use crate::device::{Bar, Bus, ConfigSpace, Generic, Model, MsiXLayout};
use crate::machine::fd_path;

/// For what comes at once or never.
const SOON: Duration = Duration::from_secs(30);

const VERSION: u16 = 1;
const MAP: u16 = 2;
const UNMAP: u16 = 3;
const DEVICE_INFO: u16 = 4;
const REGION_INFO: u16 = 5;
const SET_INTERRUPTS: u16 = 8;
const READ: u16 = 9;
const WRITE: u16 = 10;
const RESET: u16 = 13;
const NO_REPLY: u32 = 0x10;
const CONFIG: u32 = 7;

/// A device with a register for each thing that a device can do by itself.
#[derive(Default)]
struct Probe {
    value: u32,
}

/// Reads back what was written; then, what was last read from memory.
const VALUE: u64 = 0;
/// The address to read 4 bytes of memory at, which go to [`VALUE`].
const FETCH: u64 = 8;
/// The address to write [`VALUE`] to.
const STORE: u64 = 16;
/// The vector to send.
const SEND: u64 = 24;
/// The level of the line.
const LEVEL: u64 = 32;
const PANIC: u64 = 40;
/// Takes its time, and says so.
const SLOW: u64 = 48;

impl Model for Probe {
    fn read(&mut self, _: u8, offset: u64, data: &mut [u8], _: &mut Bus) {
        data.fill(0);
        if offset == VALUE {
            data[..4].copy_from_slice(&self.value.to_le_bytes());
        }
    }

    fn write(&mut self, _: u8, offset: u64, data: &[u8], bus: &mut Bus) {
        let mut value = [0; 8];
        value[..data.len()].copy_from_slice(data);
        let value = u64::from_le_bytes(value);
        match offset {
            VALUE => self.value = value as u32,
            FETCH => match bus.get(value) {
                Ok(bytes) => self.value = u32::from_le_bytes(bytes),
                Err(error) => bus.note(|| error.to_string()),
            },
            STORE => {
                if let Err(error) = bus.write(value, &self.value.to_le_bytes()) {
                    bus.note(|| error.to_string());
                }
            }
            SEND => bus.message(value as u16),
            LEVEL => bus.line(value != 0),
            PANIC => panic!("told to"),
            SLOW => {
                std::thread::sleep(Duration::from_millis(20));
                bus.note(|| "done".to_owned());
            }
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.value = 0;
    }
}

fn probe() -> Function {
    let bar = Bar::Memory64 {
        size: 8192,
        prefetchable: false,
    };
    let layout = MsiXLayout {
        entries: 40,
        bar: 0,
        table: 4096,
        pending: 4096 + 1024,
    };
    let config = ConfigSpace::new(&Generic::USUAL, &[(0, bar)]).with_msix(0x40, layout);
    Function::new(Box::new(Probe::default()), config)
}

/// One device by this name, and the socket of a client.
fn start(name: &str) -> (Devices, UnixStream) {
    let devices = Devices::start(vec![(name.to_owned(), probe())]).unwrap();
    let client = connect(&devices).unwrap();
    (devices, client)
}

fn connect(devices: &Devices) -> io::Result<UnixStream> {
    let name = devices.names().next().unwrap();
    let client = UnixStream::connect(fd_path(name.as_raw_fd()))?;
    client.set_read_timeout(Some(SOON))?;
    client.set_write_timeout(Some(SOON))?;
    Ok(client)
}

fn header(command: u16, flags: u32, size: usize) -> Vec<u8> {
    let mut header = vec![7, 0];
    header.extend(command.to_le_bytes());
    header.extend((size as u32).to_le_bytes());
    header.extend(flags.to_le_bytes());
    header.extend([0; 4]);
    header
}

fn send(client: &UnixStream, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let fds: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights };
    let slices = [io::IoSlice::new(message)];
    let sent = sendmsg::<UnixAddr>(
        client.as_raw_fd(),
        &slices,
        control,
        MsgFlags::empty(),
        None,
    );
    assert_eq!(sent.unwrap(), message.len());
}

fn tell(client: &UnixStream, command: u16, flags: u32, body: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut message = header(command, flags, HEADER + body.len());
    message.extend(body);
    send(client, &message, fds);
}

/// The body of the reply, or its error number.
fn hear(mut client: &UnixStream) -> Result<Vec<u8>, u32> {
    let mut header = [0; HEADER];
    client.read_exact(&mut header).unwrap();
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!(header[..2], [7, 0]);
    assert_eq!(word(8) & 0xf, 1);
    let mut body = vec![0; word(4) as usize - HEADER];
    client.read_exact(&mut body).unwrap();
    match word(8) & 0x20 {
        0 => Ok(body),
        _ => Err(word(12)),
    }
}

fn ask(
    client: &UnixStream,
    command: u16,
    body: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<Vec<u8>, u32> {
    tell(client, command, 0, body, fds);
    hear(client)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn access(region: u32, offset: u64, count: usize, data: &[u8]) -> Vec<u8> {
    let mut body = offset.to_le_bytes().to_vec();
    body.extend(words(&[region, count as u32]));
    body.extend(data);
    body
}

fn read(client: &UnixStream, region: u32, offset: u64) -> u32 {
    let body = ask(client, READ, &access(region, offset, 4, &[]), &[]).unwrap();
    u32::from_le_bytes(body[16..].try_into().unwrap())
}

fn write(client: &UnixStream, region: u32, offset: u64, value: u32) {
    let body = access(region, offset, 4, &value.to_le_bytes());
    ask(client, WRITE, &body, &[]).unwrap();
}

fn post(client: &UnixStream, offset: u64, value: u32) {
    let body = access(0, offset, 4, &value.to_le_bytes());
    tell(client, WRITE, NO_REPLY, &body, &[]);
}

fn map(address: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut body = words(&[32, 3]);
    body.extend([offset, address, size].map(u64::to_le_bytes).concat());
    body
}

/// Triggers for `count` vectors of an index.
fn triggers(index: u32, start: u32, count: u32) -> Vec<u8> {
    words(&[20, 0x24, index, start, count])
}

fn master(client: &UnixStream) {
    write(client, CONFIG, 4, 0x0006);
}

fn enable_msix(client: &UnixStream) {
    ask(client, WRITE, &access(CONFIG, 0x43, 1, &[0x80]), &[]).unwrap();
}

fn memory(name: &str, size: u64) -> File {
    let file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap());
    file.set_len(size).unwrap();
    file
}

fn eventfd() -> (EventFd, OwnedFd) {
    let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap();
    let same = eventfd.as_fd().try_clone_to_owned().unwrap();
    (eventfd, same)
}

/// How many descriptors of this process are the memory of this name.
fn open(name: &str) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = all.flat_map(|entry| std::fs::read_link(entry.path()));
    links
        .filter(|link| {
            link.to_string_lossy()
                .starts_with(&format!("/memfd:{name} "))
        })
        .count()
}

/// Ends them, which must not take long whatever the client does.
fn end(devices: Devices) -> Result<Vec<String>, String> {
    let names: Vec<String> = devices
        .served
        .iter()
        .map(|it| {
            it.thread
                .as_ref()
                .unwrap()
                .thread()
                .name()
                .unwrap()
                .to_owned()
        })
        .collect();
    let (tell, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(devices.end()));
    let result = ended.recv_timeout(SOON).expect("it does not end");
    // A thread that has been joined is listed until the kernel has buried it (mm_release wakes the
    // joiner first).
    let begin = std::time::Instant::now();
    let left = loop {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let left: Vec<String> = threads
            .flat_map(|task| std::fs::read_to_string(task.path().join("comm")))
            .filter(|name| names.iter().any(|own| own == name.trim()))
            .collect();
        if left.is_empty() || begin.elapsed() > SOON {
            break left;
        }
        std::thread::yield_now();
    };
    assert!(left.is_empty(), "{left:?}");
    match result {
        Ok(notes) => Ok(notes.into_iter().flat_map(|(_, notes)| notes).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn from_the_first_message_to_the_last() {
    let (devices, client) = start("whole");
    let version = ask(&client, VERSION, &[0, 0, 1, 0, b'{', b'}', 0], &[]).unwrap();
    assert!(version.ends_with(b"\0"));
    assert_eq!(
        ask(&client, DEVICE_INFO, &[0; 16], &[]).unwrap(),
        words(&[16, 3, 9, 5])
    );
    let region = ask(
        &client,
        REGION_INFO,
        &words(&[32, 0, 0, 0, 0, 0, 0, 0]),
        &[],
    )
    .unwrap();
    assert_eq!(region[16..24], 8192u64.to_le_bytes());
    assert_eq!(read(&client, CONFIG, 0), 0x10f0_1af4);

    // What is posted is done before what is asked for next.
    post(&client, VALUE, 41);
    post(&client, VALUE, 42);
    assert_eq!(read(&client, 0, VALUE), 42);

    // Not before the guest has made it a bus master.
    let ram = memory("whole-ram", 8192);
    ram.write_all_at(&[1, 2, 3, 4], 4096).unwrap();
    ask(&client, MAP, &map(0x10_0000, 4096, 4096), &[ram.as_fd()]).unwrap();
    write(&client, 0, FETCH, 0x10_0000);
    assert_eq!(read(&client, 0, VALUE), 42);
    master(&client);
    write(&client, 0, FETCH, 0x10_0000);
    assert_eq!(read(&client, 0, VALUE), 0x0403_0201);
    write(&client, 0, STORE, 0x10_0010);
    let mut bytes = [0; 4];
    ram.read_exact_at(&mut bytes, 4096 + 16).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4]);
    let mut unmap = words(&[24, 0]);
    unmap.extend([0x10_0000u64, 4096].map(u64::to_le_bytes).concat());
    assert_eq!(ask(&client, UNMAP, &unmap, &[]).unwrap(), unmap);
    write(&client, 0, STORE, 0x10_0010);

    // 40 vectors in three messages; a message to each.
    enable_msix(&client);
    let eventfds: Vec<_> = (0..40).map(|_| eventfd()).collect();
    for start in [0, 16, 32] {
        let some = &eventfds[start..(start + 16).min(40)];
        let theirs: Vec<_> = some.iter().map(|(_, same)| same.as_fd()).collect();
        let body = triggers(2, start as u32, theirs.len() as u32);
        ask(&client, SET_INTERRUPTS, &body, &theirs).unwrap();
    }
    for vector in 0..40 {
        write(&client, 0, SEND, vector);
        let (mine, _) = &eventfds[vector as usize];
        assert_eq!(mine.read().unwrap(), 1);
    }

    // A reset of the machine.
    ask(&client, RESET, &[], &[]).unwrap();
    assert_eq!(read(&client, 0, VALUE), 0);
    assert_eq!(read(&client, CONFIG, 4) & 0xffff, 0);

    drop(client);
    let notes = end(devices).unwrap();
    assert_eq!(
        notes,
        [
            "no memory for 4 bytes at guest-physical 0x100000",
            "no memory for 4 bytes at guest-physical 0x100010"
        ]
    );
    assert_eq!(open("whole-ram"), 1);
}

#[test]
fn the_line_is_masked_until_the_guest_has_looked() {
    let (devices, client) = start("line");
    let (line, theirs) = eventfd();
    ask(
        &client,
        SET_INTERRUPTS,
        &triggers(0, 0, 1),
        &[theirs.as_fd()],
    )
    .unwrap();
    write(&client, 0, LEVEL, 1);
    write(&client, 0, LEVEL, 1);
    assert_eq!(line.read().unwrap(), 1);
    let unmask = words(&[20, 0x11, 0, 0, 1]);
    ask(&client, SET_INTERRUPTS, &unmask, &[]).unwrap();
    assert_eq!(line.read().unwrap(), 1);
    write(&client, 0, LEVEL, 0);
    ask(&client, SET_INTERRUPTS, &unmask, &[]).unwrap();
    assert!(line.read().is_err());
    // Interrupt Disable, and back.
    write(&client, CONFIG, 4, 0x0406);
    write(&client, 0, LEVEL, 1);
    assert!(line.read().is_err());
    write(&client, CONFIG, 4, 0x0006);
    assert_eq!(line.read().unwrap(), 1);
    end(devices).unwrap();
}

#[test]
fn what_is_refused_changes_nothing() {
    let (devices, client) = start("refused");
    const INVALID: Result<Vec<u8>, u32> = Err(22);
    const NOT_SUPPORTED: Result<Vec<u8>, u32> = Err(95);
    let ask = |command, body: &[u8], fds: &[BorrowedFd<'_>]| ask(&client, command, body, fds);
    assert_eq!(ask(VERSION, &[1, 0, 0, 0], &[]), NOT_SUPPORTED);
    for unknown in [0, 6, 11, 14, u16::MAX] {
        assert_eq!(ask(unknown, &[0; 100], &[]), NOT_SUPPORTED);
    }
    // Regions: their borders, odd sizes, none.
    for (region, offset, count) in [
        (0, 8192, 4),
        (0, 8190, 4),
        (0, u64::MAX - 1, 4),
        (0, 1, 4),
        (0, 0, 3),
        (0, 0, 0),
        (0, 0, 4096),
        (1, 0, 4),
        (6, 0, 4),
        (8, 0, 4),
        (9, 0, 4),
        (u32::MAX, 0, 4),
        (CONFIG, 4095, 2),
        (CONFIG, 0, 4097),
    ] {
        let body = access(region, offset, count, &[]);
        assert_eq!(ask(READ, &body, &[]), INVALID, "{region} {offset} {count}");
        let body = access(region, offset, count, &vec![0; count]);
        assert_eq!(ask(WRITE, &body, &[]), INVALID, "{region} {offset} {count}");
    }
    assert_eq!(
        ask(REGION_INFO, &words(&[32, 0, 9, 0, 0, 0, 0, 0]), &[]),
        INVALID
    );
    // Interrupts: beyond the table, more or fewer descriptors than vectors.
    let (_, one) = eventfd();
    let one = one.as_fd();
    assert_eq!(ask(SET_INTERRUPTS, &triggers(2, 40, 1), &[one]), INVALID);
    assert_eq!(
        ask(SET_INTERRUPTS, &triggers(2, u32::MAX, 1), &[one]),
        INVALID
    );
    assert_eq!(
        ask(SET_INTERRUPTS, &triggers(2, 0, 1), &[one, one]),
        INVALID
    );
    assert_eq!(ask(SET_INTERRUPTS, &triggers(2, 0, 2), &[one]), INVALID);
    assert_eq!(ask(SET_INTERRUPTS, &triggers(2, 0, u32::MAX), &[]), INVALID);
    assert_eq!(ask(SET_INTERRUPTS, &triggers(3, 0, 1), &[one]), INVALID);
    let mask_a_message = words(&[20, 0x09, 2, 0, 1]);
    assert_eq!(ask(SET_INTERRUPTS, &mask_a_message, &[]), INVALID);
    // Memory that is none.
    let (reader, writer) = io::pipe().unwrap();
    let directory = File::open("/").unwrap();
    let short = memory("refused-short", 4095);
    for file in [
        reader.as_fd(),
        writer.as_fd(),
        directory.as_fd(),
        short.as_fd(),
    ] {
        assert_eq!(ask(MAP, &map(0, 4096, 0), &[file]), INVALID);
    }
    // After all that, it works.
    write(&client, 0, VALUE, 5);
    assert_eq!(read(&client, 0, VALUE), 5);
    assert_eq!(end(devices), Ok(vec![]));
    assert_eq!(open("refused-short"), 1);
}

#[test]
fn descriptors_that_could_keep_it_waiting() {
    let (devices, client) = start("waiting");
    master(&client);
    enable_msix(&client);
    // A full pipe, one that nobody reads, a directory, a file.
    let (_reader, full) = io::pipe().unwrap();
    fcntl_nonblocking(&full, true);
    while (&full).write(&[0; 4096]).is_ok() {}
    fcntl_nonblocking(&full, false);
    let (_, broken) = io::pipe().unwrap();
    let directory = File::open("/").unwrap();
    let file = tempfile::tempfile().unwrap();
    let all = [
        full.as_fd(),
        broken.as_fd(),
        directory.as_fd(),
        file.as_fd(),
    ];
    ask(&client, SET_INTERRUPTS, &triggers(2, 0, 4), &all).unwrap();
    for vector in 0..4 {
        write(&client, 0, SEND, vector);
    }
    assert_eq!(end(devices), Ok(vec![]));
}

fn fcntl_nonblocking(fd: impl AsFd, on: bool) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = if on {
        OFlag::O_NONBLOCK
    } else {
        OFlag::empty()
    };
    fcntl(fd, FcntlArg::F_SETFL(flags)).unwrap();
}

#[test]
fn memory_that_is_cut_short_later() {
    let (devices, client) = start("short");
    master(&client);
    let ram = memory("cut-short", 4096);
    ask(&client, MAP, &map(0, 4096, 0), &[ram.as_fd()]).unwrap();
    ram.set_len(0).unwrap();
    write(&client, 0, VALUE, 9);
    write(&client, 0, FETCH, 0x100);
    assert_eq!(read(&client, 0, VALUE), 9);
    let notes = end(devices).unwrap();
    assert_eq!(notes, ["no memory for 4 bytes at guest-physical 0x100"]);
}

/// None is kept, with whatever message they come, and whether it understands them or not.
#[test]
fn no_descriptor_stays_behind() {
    let (devices, client) = start("kept");
    let file = memory("kept", 4096);
    let many = [file.as_fd(); MAX_DESCRIPTORS];
    for command in [
        VERSION,
        UNMAP,
        DEVICE_INFO,
        SET_INTERRUPTS,
        READ,
        WRITE,
        RESET,
        99,
    ] {
        let _ = ask(&client, command, &[0; 32], &many);
    }
    tell(
        &client,
        WRITE,
        NO_REPLY,
        &access(0, VALUE, 4, &[0; 4]),
        &many,
    );
    // With the body instead of with the header.
    send(&client, &header(READ, 0, HEADER + 16), &[]);
    send(&client, &access(0, VALUE, 4, &[]), &many);
    hear(&client).unwrap();
    assert_eq!(open("kept"), 1);
    assert_eq!(end(devices), Ok(vec![]));
    assert_eq!(open("kept"), 1);
}

#[test]
fn floods_of_descriptors() {
    for (name, messages, each) in [
        // More than were agreed upon, with one message; more than fit; a few with every byte.
        ("flood-17", 1, 17),
        ("flood-253", 1, 253),
        ("flood-bytes", 16, 2),
    ] {
        let (devices, client) = start(name);
        let file = memory(name, 4096);
        let fds = vec![file.as_fd(); each];
        for bytes in header(READ, 0, HEADER + 16).chunks(HEADER / messages) {
            let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
            let slices = [io::IoSlice::new(bytes)];
            let rights = [ControlMessage::ScmRights(&fds)];
            let fd = client.as_raw_fd();
            // It may have hung up.
            let flags = MsgFlags::MSG_NOSIGNAL;
            let _ = sendmsg::<UnixAddr>(fd, &slices, &rights, flags, None);
        }
        hung_up(&client);
        assert_eq!(
            end(devices).unwrap_err(),
            format!(
                "the modelled device {name} failed: QEMU sent more than 16 descriptors with one \
                 message, which is not vfio-user"
            )
        );
        drop(client);
        assert_eq!(open(name), 1);
    }
}

/// Reads until the other side closes.
fn hung_up(mut client: &UnixStream) {
    let ended = client.read_to_end(&mut Vec::new());
    if let Err(error) = ended {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn streams_that_are_none_of_vfio_users() {
    let mut reply = header(READ, 0, HEADER);
    reply[8] = 1;
    for (name, bytes, said) in [
        ("tiny", header(READ, 0, 15), "a message of 15 bytes"),
        (
            "huge",
            header(READ, 0, 1 << 30),
            "a message of 1073741824 bytes",
        ),
        ("reply", reply, "a reply where a command was expected"),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "a"),
    ] {
        let (devices, client) = start(name);
        send(&client, &bytes, &[]);
        hung_up(&client);
        let error = end(devices).unwrap_err();
        let begin = format!("the modelled device {name} failed: QEMU sent {said}");
        assert!(error.starts_with(&begin), "{error}");
    }
}

/// QEMU's end is no failure of the device, wherever it comes.
#[test]
fn qemu_goes() {
    for length in [0, 1, HEADER - 1, HEADER, HEADER + 8] {
        let (devices, client) = start("goes");
        let mut message = header(READ, 0, HEADER + 16);
        message.extend(access(0, VALUE, 4, &[]));
        if length > 0 {
            send(&client, &message[..length], &[]);
        }
        drop(client);
        assert_eq!(end(devices), Ok(vec![]), "{length}");
    }
    // With questions that it does not wait for the answers of.
    let (devices, client) = start("goes");
    for _ in 0..100 {
        tell(&client, READ, 0, &access(0, VALUE, 4, &[]), &[]);
    }
    drop(client);
    assert_eq!(end(devices), Ok(vec![]));
}

#[test]
fn it_ends_whatever_the_client_does() {
    // Does not come.
    let devices = Devices::start(vec![("alone".to_owned(), probe())]).unwrap();
    assert_eq!(end(devices), Ok(vec![]));
    // Says nothing; says half a message.
    let (devices, _client) = start("silent");
    assert_eq!(end(devices), Ok(vec![]));
    let (devices, client) = start("half");
    send(&client, &header(READ, 0, HEADER + 16)[..5], &[]);
    assert_eq!(end(devices), Ok(vec![]));
    // Asks, and never listens: the thread waits for room in the socket.
    let (devices, client) = start("deaf");
    client.set_nonblocking(true).unwrap();
    let mut message = header(READ, 0, HEADER + 16);
    message.extend(access(CONFIG, 0, 4096, &[]));
    loop {
        match (&client).write(&message) {
            Ok(written) if written == message.len() => {}
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert_eq!(end(devices), Ok(vec![]));
    // And so it does when it is merely dropped.
    let (devices, _client) = start("dropped");
    let (tell, dropped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(devices);
        tell.send(())
    });
    dropped.recv_timeout(SOON).unwrap();
}

/// A guest may ask for more than can be done soon, and what has come is received even after the socket
/// was shut down.
#[test]
fn at_the_end_nothing_more_is_done() {
    let (devices, client) = start("flooded");
    for _ in 0..100 {
        post(&client, SLOW, 0);
    }
    let said = end(devices).unwrap();
    assert!(said.len() < 100);
}

#[test]
fn one_client_a_device() {
    let devices = Devices::start(vec![("single".to_owned(), probe())]).unwrap();
    let first = connect(&devices).unwrap();
    write(&first, 0, VALUE, 1);
    let error = connect(&devices).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(read(&first, 0, VALUE), 1);
    end(devices).unwrap();
}

#[test]
fn several_devices_have_their_own() {
    let both = ["one", "two"].map(|name| (name.to_owned(), probe()));
    let devices = Devices::start(both.into()).unwrap();
    let clients: Vec<_> = devices
        .names()
        .map(|name| UnixStream::connect(fd_path(name.as_raw_fd())).unwrap())
        .collect();
    for (value, client) in (1..).zip(&clients) {
        write(client, 0, VALUE, value);
    }
    for (value, client) in (1..).zip(&clients) {
        assert_eq!(read(client, 0, VALUE), value);
    }
    end(devices).unwrap();
}

#[test]
fn a_panic_is_told() {
    let (mut devices, client) = start("panics");
    post(&client, PANIC, 0);
    // The guest gets no answer; QEMU gets an end.
    tell(&client, READ, 0, &access(0, VALUE, 4, &[]), &[]);
    hung_up(&client);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let error = runtime.block_on(devices.fails());
    assert_eq!(
        error.to_string(),
        "the modelled device panics failed: its model panicked: told to; please report this as a \
         bug of crashdrill"
    );
    // It is told once.
    assert_eq!(end(devices), Ok(vec![]));
    let (devices, client) = start("panics");
    post(&client, PANIC, 0);
    hung_up(&client);
    assert!(end(devices).unwrap_err().contains("panicked: told to"));
}

/// Without a descriptor left it says so, and closes what came.
#[test]
fn no_descriptor_left() {
    // A child's limit is its own.
    let name = "no_descriptor_left";
    if std::env::var_os("CRASHDRILL_TEST_FEW").is_none() {
        let module = module_path!().split_once("::").unwrap().1;
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("{module}::{name}"), "--exact"])
            .env("CRASHDRILL_TEST_FEW", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&test.stdout);
        assert!(test.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (devices, client) = start("few");
    let file = memory("few", 4096);
    read(&client, 0, VALUE);
    let next = file.try_clone().unwrap().as_raw_fd() as u64;
    let limit = libc::RLIMIT_NOFILE;
    let few = libc::rlimit {
        rlim_cur: next + 3,
        rlim_max: next + 3,
    };
    // SAFETY: setrlimit(2) reads the structure alone.
    assert_eq!(unsafe { libc::setrlimit(limit, &few) }, 0);
    tell(
        &client,
        READ,
        0,
        &access(0, VALUE, 4, &[]),
        &[file.as_fd(); 8],
    );
    hung_up(&client);
    let error = devices.end().unwrap_err().to_string();
    assert!(error.contains("Too many open files"), "{error}");
    assert_eq!(open("few"), 1);
}
