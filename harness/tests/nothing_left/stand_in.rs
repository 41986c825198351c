//! The test executable as QEMU or apt-get: says where it is, and stays there. Or, with [`REAL`],
//! the real QEMU with a listener on its console.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{Command, exit};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::pause;
use serde_json::{Value, json};

/// The fifo on which a stand-in says where it is and who it is. Set: this process is a stand-in.
pub(crate) const FIFO: &str = "CRASHDRILL_STAND_IN_FIFO";
/// Where it stays until a signal ends it, or SIGUSR1 lets it go on.
pub(crate) const STOP: &str = "CRASHDRILL_STAND_IN_STOP";
/// What happens when it goes on from a phase: nothing (the drill ends well); `stopped`, as QEMU
/// does when it cannot write to a disk and says so; `full`, when it tells the guest only. Or
/// [`GARBLE`], instead of a drill.
pub(crate) const THEN: &str = "CRASHDRILL_STAND_IN_THEN";

/// It says something to its modelled devices that they do not understand, and then nothing.
pub(crate) const GARBLE: &str = "garble";

/// Set: it knows no devices that live in another process, as QEMU before 10.1.
pub(crate) const OLD: &str = "CRASHDRILL_STAND_IN_OLD";

/// The real QEMU and its leading arguments, as a JSON array.
pub(crate) const REAL: &str = "CRASHDRILL_STAND_IN_REAL";
/// Set: this process passes the console on.
const LISTENER: &str = "CRASHDRILL_STAND_IN_LISTENER";

const PLAY: &str = include_str!("healthy.play");

pub(crate) fn run() -> ! {
    let arguments: Vec<String> = std::env::args().collect();
    if std::env::var_os(LISTENER).is_some() {
        listen();
    }
    if let Ok(real) = std::env::var(REAL) {
        become_real(
            &serde_json::from_str::<Vec<String>>(&real).unwrap(),
            arguments,
        );
    }
    let has = |text: &str| arguments.iter().any(|argument| argument == text);
    if Path::new(&arguments[0]).ends_with("apt-get") {
        // What a killed fetch would leave: apt's own directories exist by now.
        stay("fetching");
    } else if has("--version") {
        stay("version");
        println!("QEMU emulator version 7.2.22 (stand-in)");
    } else if has("none,accel=kvm:tcg") {
        Monitor::open(&arguments, "capabilities").answer();
    } else if has("kvm") {
        eprintln!("no KVM in a stand-in");
        exit(1);
    } else {
        drill(&arguments);
    }
    exit(0)
}

/// Tells the test that `place` is reached, if that is where to stop.
fn arrived(place: &str) -> bool {
    if std::env::var(STOP).as_deref() != Ok(place) {
        return false;
    }
    tell(place, std::process::id());
    true
}

fn tell(place: &str, pid: u32) {
    let fifo = std::env::var_os(FIFO).unwrap();
    let mut fifo = OpenOptions::new().write(true).open(fifo).unwrap();
    // One write: several stand-ins share the fifo.
    fifo.write_all(format!("{place} {pid}\n").as_bytes())
        .unwrap();
}

fn stay(place: &str) {
    if arrived(place) {
        pause();
    }
}

/// QMP on the socket that is named in the arguments.
struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    fn open(arguments: &[String], place: &str) -> Self {
        stay(place);
        let fd = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("socket,id=qmp,fd="));
        // SAFETY: the harness passes this descriptor for this purpose, and it is taken once.
        let writer = unsafe { UnixStream::from_raw_fd(fd.unwrap().parse().unwrap()) };
        let reader = BufReader::new(writer.try_clone().unwrap());
        let mut monitor = Self { reader, writer };
        let version = json!({"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""});
        monitor.say(&json!({"QMP": {"version": version, "capabilities": []}}));
        monitor
    }

    /// As a machine does between `stop` and `cont`, both of which have to come.
    fn stand_still(&mut self) {
        for wanted in ["stop", "cont"] {
            let command = self.hear().unwrap();
            assert_eq!(command["execute"], wanted);
            self.say(&json!({"return": {}, "id": command["id"]}));
            tell(wanted, std::process::id());
        }
    }

    fn other(&self) -> Self {
        let writer = self.writer.try_clone().unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        Self { reader, writer }
    }

    fn say(&mut self, value: &Value) {
        // A harness that has gone needs no answer.
        let _ = writeln!(self.writer, "{value}");
    }

    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(1..) => Some(serde_json::from_str(&line).unwrap()),
            _ => None,
        }
    }

    /// Answers one command; `false` when it was the last.
    fn answer_one(&mut self) -> bool {
        let Some(command) = self.hear() else {
            return false;
        };
        if command["arguments"]["typename"] == "vfio-user-pci" && std::env::var_os(OLD).is_some() {
            let error = json!({"class": "DeviceNotFound", "desc": "no such device"});
            self.say(&json!({"error": error, "id": command["id"]}));
            return true;
        }
        let answer = match command["execute"].as_str() {
            Some("query-machines") => json!([{"name": "pc-q35-7.2"}, {"name": "pc-i440fx-7.2"}]),
            Some("device-list-properties" | "query-pci") => json!([]),
            // An I/O APIC for the census; registers are text as well.
            Some("human-monitor-command") => json!("  pin 0  0x0000000000010000 dest=0\r\n"),
            Some("dump-guest-memory") => {
                let outlet = command["arguments"]["protocol"].as_str().unwrap();
                let path = outlet.strip_prefix("file:").unwrap();
                let mut outlet = OpenOptions::new().write(true).open(path).unwrap();
                outlet.write_all(&half_of_a_dump()).unwrap();
                stay(DUMPING);
                json!({})
            }
            _ => json!({}),
        };
        self.say(&json!({"return": answer, "id": command["id"]}));
        command["execute"] != "quit"
    }

    fn answer(&mut self) {
        while self.answer_one() {}
    }

    fn event(&mut self, name: &str, data: Value) {
        let timestamp = json!({"seconds": 1, "microseconds": 0});
        self.say(&json!({"event": name, "data": data, "timestamp": timestamp}));
    }
}

/// Its end of each modelled device.
fn modelled_devices(arguments: &[String]) -> Vec<UnixStream> {
    let options = arguments.iter().filter(|it| it.contains("vfio-user-pci"));
    options
        .map(|option| {
            let device: Value = serde_json::from_str(option).unwrap();
            let path = device["socket"]["path"].as_str().unwrap();
            let mut socket = UnixStream::connect(path).unwrap();
            if std::env::var(THEN).as_deref() == Ok(GARBLE) {
                socket.write_all(b"not even a header").unwrap();
            }
            socket
        })
        .collect()
}

fn drill(arguments: &[String]) {
    let mut monitor = Monitor::open(arguments, "greeting");
    let _devices = modelled_devices(arguments);
    if std::env::var(THEN).as_deref() == Ok(GARBLE) {
        return monitor.answer();
    }
    monitor.answer_one();
    if arguments.iter().any(|argument| argument == SERVER) {
        // Before anybody can send it.
        SigSet::from(Signal::SIGUSR1).thread_block().unwrap();
        return serve(arguments, monitor);
    }
    let waits = std::env::var(STOP).as_deref() == Ok(SERVING);
    let networked = !waits && arguments.iter().any(|argument| argument == "-netdev");
    let answering = networked.then(|| {
        // A machine whose dump server is not ready is told to wait for it.
        let mut other = monitor.other();
        std::thread::spawn(move || other.answer())
    });
    // As QEMU: SIGTERM ends the machine in good order.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGUSR1].into_iter().collect();
    signals.thread_block().unwrap();

    let open = |id: &str| {
        let prefix = format!("file,id={id},path=");
        let path = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(&prefix));
        OpenOptions::new().write(true).open(path.unwrap()).unwrap()
    };
    let (mut console, mut reports) = (open("serial"), open("reports"));
    for line in PLAY.lines() {
        match line.split_at_checked(1) {
            Some((">", text)) => write!(console, "{}\r\n", text.trim_start()).unwrap(),
            Some(("!", text)) => {
                writeln!(reports, "{}", text.trim_start()).unwrap();
                if waits && text.contains("crashing") {
                    monitor.stand_still();
                }
            }
            Some(("=", phase))
                if phase.trim() == "saving" && std::env::var(STOP).as_deref() == Ok(DUMPING) =>
            {
                monitor.event("SHUTDOWN", json!({"guest": true, "reason": "guest-reset"}));
                return monitor.answer();
            }
            Some(("=", phase)) if arrived(phase.trim()) => match signals.wait().unwrap() {
                Signal::SIGTERM => {
                    let data = json!({"guest": false, "reason": "host-signal"});
                    return monitor.event("SHUTDOWN", data);
                }
                _ => match std::env::var(THEN).as_deref() {
                    Ok("stopped") => {
                        let data = json!({
                            "device": "", "node-name": "disk-nvme-0", "operation": "write",
                            "action": "stop", "nospace": true, "reason": "No space left on device",
                        });
                        monitor.event("BLOCK_IO_ERROR", data);
                        monitor.event("STOP", json!({}));
                        monitor.answer();
                    }
                    Ok("full") => {
                        fill(arguments);
                        break;
                    }
                    _ => {}
                },
            },
            _ => {}
        }
    }
    monitor.event(
        "SHUTDOWN",
        json!({"guest": true, "reason": "guest-shutdown"}),
    );
    // As with -no-shutdown: it stays until it is told to quit.
    match answering {
        Some(answering) => answering.join().unwrap(),
        None => monitor.answer(),
    }
}

/// Where a dump server stays before it is ready, and with it the drill.
const SERVING: &str = "serving";
/// The dump server's command line.
const SERVER: &str = "console=ttyS0 quiet panic=-1";

/// Serves until the cable is pulled. The test learns of it wherever the drill is to stop.
fn serve(arguments: &[String], mut monitor: Monitor) {
    let prefix = "file,id=reports,path=";
    let path = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix(prefix));
    let mut reports = OpenOptions::new().write(true).open(path.unwrap()).unwrap();
    if arrived(SERVING) {
        let signals: SigSet = [Signal::SIGUSR1].into_iter().collect();
        signals.wait().unwrap();
    } else {
        tell("server", std::process::id());
    }
    writeln!(reports, "serving").unwrap();
    while let Some(command) = monitor.hear() {
        monitor.say(&json!({"return": {}, "id": command["id"]}));
        if command["execute"] == "set_link" {
            break;
        }
    }
    monitor.event(
        "SHUTDOWN",
        json!({"guest": true, "reason": "guest-shutdown"}),
    );
}

/// Where a machine whose capture kernel has reset stays, with half of its memory dumped.
pub(crate) const DUMPING: &str = "dumping";

/// Notes without a byte, 1 MiB of memory, and half of that.
fn half_of_a_dump() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([4, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0u64, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 2, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for (kind, size) in [(4u32, 0u64), (1, 1 << 20)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(7u32.to_le_bytes());
        for word in [176, 0, 0, size, size, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf.resize(176 + (1 << 19), 0x5a);
    elf
}

/// Writes to the disk until the host has no more room.
fn fill(arguments: &[String]) {
    let disk = arguments
        .iter()
        .find_map(|argument| argument.split_once("file.filename="));
    let mut disk = OpenOptions::new()
        .write(true)
        .open(disk.unwrap().1)
        .unwrap();
    while disk.write_all(&[1; 4096]).is_ok() {}
}

/// This process becomes QEMU, which writes its console to a listener instead of the harness.
#[expect(
    clippy::zombie_processes,
    reason = "it ends after QEMU, which this process becomes"
)]
fn become_real(real: &[String], arguments: Vec<String>) -> ! {
    let mut arguments = arguments.into_iter().skip(1).collect::<Vec<_>>();
    let prefix = "file,id=serial,path=";
    if let Some(serial) = arguments
        .iter_mut()
        .find(|argument| argument.starts_with(prefix))
    {
        let (reader, writer) = std::io::pipe().unwrap();
        let harness = OpenOptions::new()
            .write(true)
            .open(&serial[prefix.len()..])
            .unwrap();
        let mut listener = Command::new("/proc/self/exe");
        listener
            .env(LISTENER, "")
            .stdin(reader)
            .stdout(harness)
            .spawn()
            .unwrap();
        fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        *serial = format!("{prefix}/dev/fd/{}", writer.as_raw_fd());
        // QEMU's from here on.
        std::mem::forget(writer);
    }
    let error = Command::new(&real[0])
        .args(&real[1..])
        .args(arguments)
        .exec();
    panic!("{}: {error}", real[0])
}

/// Passes on what QEMU, the parent, writes; tells when the capture kernel's command line comes by.
fn listen() -> ! {
    let mut told = false;
    let mut harness = std::io::stdout().lock();
    let mut qemu = std::io::stdin().lock();
    let mut line = Vec::new();
    while qemu.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if harness
            .write_all(&line)
            .and_then(|()| harness.flush())
            .is_err()
        {
            break;
        }
        if !told && line.windows(12).any(|window| window == b" elfcorehdr=") {
            told = true;
            tell("capture-kernel", parent_id());
        }
        line.clear();
    }
    exit(0)
}
