//! A directory in which one crashdrill runs, and what it must look like afterwards.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crashdrill::image::cache::{EntryId, Kind};
use crashdrill::image::{Manifest, entry_id, keys};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;

use super::stand_in;

/// For anything that should come soon, on a busy machine.
const SOON: Duration = Duration::from_secs(120);

pub(crate) const SNAPSHOT: &str = "---\nsource: a test\n---\nverdict: as it was\n";

/// What all worlds have in common: an image that no drill could run, but that every drill can be
/// prepared with.
pub(crate) struct Template(TempDir);

impl Template {
    pub(crate) fn new() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let image = directory.path().join("image");
        for part in ["kernel", "modules", "userland/usr/bin"] {
            fs::create_dir_all(image.join(part))?;
        }
        let index = r#"{"release": "6.1.0-50-amd64", "kernel": "uncompressed", "modules": "none", "packages": []}"#;
        fs::write(image.join("image.json"), index)?;
        for kernel in ["vmlinux", "bzImage-unpacked"] {
            fs::write(image.join("kernel").join(kernel), "a kernel")?;
        }
        for program in [
            "kexec",
            "makedumpfile",
            "busybox",
            "mke2fs",
            "mount.nfs",
            "exportfs",
            "rpc.mountd",
            "rpc.nfsd",
            "rpcbind",
        ] {
            let path = image.join("userland/usr/bin").join(program);
            write_program(&path, &exiting_program())?;
        }
        write_program(&directory.path().join("waiting"), &waiting_program())?;
        Ok(Self(directory))
    }
}

/// Where an executable's code is loaded: after its headers.
const ENTRY: u32 = 0x40_0000 + HEADERS;
const HEADERS: u32 = 64 + 56;

fn write_program(path: &Path, code: &[u8]) -> io::Result<()> {
    fs::write(path, executable(code))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A static ELF executable of this code.
fn executable(code: &[u8]) -> Vec<u8> {
    let entry = u64::from(ENTRY);
    let headers = u64::from(HEADERS);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
    let word = |elf: &mut Vec<u8>, value: u32| elf.extend(value.to_le_bytes());
    let long = |elf: &mut Vec<u8>, value: u64| elf.extend(value.to_le_bytes());
    // ET_EXEC, EM_X86_64, version; entry, program headers, no sections, no flags.
    half(&mut elf, 2);
    half(&mut elf, 62);
    word(&mut elf, 1);
    for value in [entry, 64, 0] {
        long(&mut elf, value);
    }
    word(&mut elf, 0);
    for value in [64, 56, 1, 64, 0, 0] {
        half(&mut elf, value);
    }
    // PT_LOAD, read and execute: the whole file.
    word(&mut elf, 1);
    word(&mut elf, 5);
    let size = headers + code.len() as u64;
    for value in [0, entry - headers, entry - headers, size, size, 0x1000] {
        long(&mut elf, value);
    }
    elf.extend(code);
    elf
}

/// Says on the fifo that it is there, and ends well once `gate` is opened. It runs in the directory
/// in which crashdrill runs.
fn waiting_program() -> Vec<u8> {
    const TEXT: &[u8] = b"formatting 0\n";
    const FIFO: &[u8] = b"../../fifo\0";
    const GATE: &[u8] = b"../../gate\0";
    let text = ENTRY + 2;
    let fifo = text + TEXT.len() as u32;
    let gate = fifo + FIFO.len() as u32;
    let code = [
        // Over the texts.
        &[0xeb, (TEXT.len() + FIFO.len() + GATE.len()) as u8],
        TEXT,
        FIFO,
        GATE,
        // open(FIFO, O_WRONLY)
        &load(EDI, fifo),
        &load(ESI, 1),
        &load(EAX, 2),
        &SYSCALL,
        // mov edi, eax; write(edi, TEXT)
        &[0x89, 0xc7],
        &load(ESI, text),
        &load(EDX, TEXT.len() as u32),
        &load(EAX, 1),
        &SYSCALL,
        // open(GATE, O_RDONLY) waits for a writer.
        &load(EDI, gate),
        &load(ESI, 0),
        &load(EAX, 2),
        &SYSCALL,
        &exiting_program(),
    ];
    code.concat()
}

fn exiting_program() -> Vec<u8> {
    [&load(EDI, 0)[..], &load(EAX, 60), &SYSCALL].concat()
}

/// The opcodes of `mov register, value`.
const EAX: u8 = 0xb8;
const EDX: u8 = 0xba;
const ESI: u8 = 0xbe;
const EDI: u8 = 0xbf;
const SYSCALL: [u8; 2] = [0x0f, 0x05];

fn load(register: u8, value: u32) -> [u8; 5] {
    let [a, b, c, d] = value.to_le_bytes();
    [register, a, b, c, d]
}

/// Scenarios, images, snapshots, a cache, a home and a TMPDIR of one's own.
pub(crate) struct World {
    outer: TempDir,
    before: Tree,
    fifo: File,
}

impl World {
    pub(crate) fn new(template: &Template) -> io::Result<Self> {
        let outer = tempfile::tempdir()?;
        let inner = outer.path().join("world");
        for directory in [
            "root/scenarios",
            "root/images",
            "root/snapshots",
            "tmp",
            "home",
            "work",
            "bin",
        ] {
            fs::create_dir_all(inner.join(directory))?;
        }
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in [
            "scenarios/healthy.yaml",
            "scenarios/target-nfs.yaml",
            "images/debian-12.yaml",
            "images/debian-13.yaml",
            "images/dump-server.yaml",
        ] {
            fs::copy(checkout.join(file), inner.join("root").join(file))?;
        }
        fs::write(inner.join("root/snapshots/healthy@nvme.snap"), SNAPSHOT)?;

        let entry = |kind: Kind, id: &EntryId| {
            let kind = inner.join("cache").join(kind.to_string());
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&kind)?;
            fs::write(kind.join(format!(".{}.lock", id.file_name())), "")?;
            Ok::<_, io::Error>(kind.join(id.file_name()))
        };
        for image in ["debian-12", "dump-server"] {
            let manifest = Manifest::load(&inner.join(format!("root/images/{image}.yaml")));
            let id = entry_id(&manifest.map_err(io::Error::other)?).map_err(io::Error::other)?;
            // Linked, not written: a program that some fork still holds open for writing cannot
            // run.
            link(&template.0.path().join("image"), &entry(Kind::Image, &id)?)?;
        }
        let ssh = entry(Kind::Keys, &keys::entry_id())?;
        fs::create_dir(&ssh)?;
        for name in ["host", "user", "stranger"] {
            fs::write(ssh.join(name), "a key")?;
            fs::write(ssh.join(format!("{name}.pub")), "ssh-ed25519 a key")?;
        }

        let fifo = outer.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU)?;
        mkfifo(&outer.path().join("gate"), Mode::S_IRWXU)?;
        // For writing too: it does not end when a stand-in has closed it.
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(fifo)?;
        let before = tree(&inner)?;
        Ok(Self {
            outer,
            before,
            fifo,
        })
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.outer.path().join("world").join(path)
    }

    /// Takes the world as it is now for what it has to be afterwards.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.before = tree(&self.path(""))?;
        Ok(())
    }

    /// crashdrill, whose stand-ins stay at `stop`.
    pub(crate) fn crashdrill(&self, stop: &str, arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crashdrill"));
        command
            .arg("--root")
            .arg(self.path("root"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("CRASHDRILL_CACHE", self.path("cache"))
            .env("CRASHDRILL_QEMU", std::env::current_exe()?)
            .env(stand_in::FIFO, self.outer.path().join("fifo"))
            .env(stand_in::STOP, stop);
        self.redirect(&mut command)?;
        Ok(command)
    }

    /// Where crashdrill runs, and what it runs with besides arguments and environment.
    pub(crate) fn redirect(&self, command: &mut Command) -> io::Result<()> {
        command
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.outer.path().join("stderr"))?)
            // A process group of its own, as a shell's job has.
            .process_group(0);
        Ok(())
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.outer.path().join("stderr")).unwrap_or_default()
    }

    /// Makes mke2fs one that waits for [`World::open_gate`].
    pub(crate) fn wait_in_mke2fs(&mut self, template: &Template) -> io::Result<()> {
        let entry = fs::read_dir(self.path("cache/image"))?
            .flatten()
            .find(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("debian-12-")
            });
        let mke2fs = entry.unwrap().path().join("userland/usr/bin/mke2fs");
        fs::remove_file(&mke2fs)?;
        fs::hard_link(template.0.path().join("waiting"), mke2fs)?;
        self.settle()
    }

    /// Lets a waiting mke2fs go on.
    pub(crate) fn open_gate(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.outer.path().join("gate"))
    }

    /// Waits until `count` stand-ins are where they stay.
    pub(crate) fn arrived(&self, run: &Run, count: usize) -> Vec<Process> {
        let all = self.heard(run, count);
        all.into_iter()
            .map(|(_, pid)| Process::open(pid).unwrap())
            .collect()
    }

    /// Where the first `count` stand-ins are, and their process ids; 0 for one that does not know
    /// its own.
    pub(crate) fn heard(&self, run: &Run, count: usize) -> Vec<(String, i32)> {
        let deadline = Instant::now() + SOON;
        let mut text = String::new();
        while text.lines().count() < count {
            let fds = [self.fifo.as_fd(), run.process.fd.as_fd()];
            let ready = ready(&fds, deadline);
            assert!(
                ready[0],
                "{} stand-ins arrived ({text:?}); crashdrill said:\n{}",
                text.lines().count(),
                self.stderr()
            );
            let mut bytes = [0; 512];
            let read = (&self.fifo).read(&mut bytes).unwrap();
            text.push_str(str::from_utf8(&bytes[..read]).unwrap());
        }
        text.lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(place, pid)| (place.to_owned(), pid.parse().unwrap()))
            .collect()
    }

    /// No process, no socket, no file more, less or different.
    pub(crate) fn assert_nothing_is_left(&self, known: &[Process]) {
        for process in known {
            assert!(process.ends(SOON), "process {} is left", process.pid);
        }
        let deadline = Instant::now() + SOON;
        loop {
            let left = self.processes();
            let Some(process) = left.first() else { break };
            let ends = process.ends(deadline.saturating_duration_since(Instant::now()));
            assert!(ends, "process {} is left", process.pid);
        }
        let outer = self.outer.path().to_string_lossy().into_owned();
        let sockets = fs::read_to_string("/proc/net/unix").unwrap();
        let ours: Vec<&str> = sockets
            .lines()
            .filter(|line| line.contains(&outer))
            .collect();
        assert!(ours.is_empty(), "sockets are left: {ours:?}");
        self.assert_no_file_is_left();
    }

    pub(crate) fn assert_no_file_is_left(&self) {
        let mut after = tree(&self.path("")).unwrap();
        // What was learnt about QEMU and the host is kept, as an image is.
        for known in ["cache/qemu.json", "cache/accelerator.json"] {
            after.remove(&self.path(known));
        }
        let differs: Vec<_> = self
            .before
            .iter()
            .filter(|(path, entry)| after.get(*path) != Some(entry))
            .chain(
                after
                    .iter()
                    .filter(|(path, _)| !self.before.contains_key(*path)),
            )
            .map(|(path, _)| path)
            .collect();
        assert!(
            differs.is_empty(),
            "left, missing or changed: {differs:?}\n{}",
            self.stderr()
        );
    }

    /// Everything that descends from our crashdrill has our directory in its environment.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let marker = self
            .outer
            .path()
            .to_string_lossy()
            .into_owned()
            .into_bytes();
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // Opened first, so that the environment is that of this very process.
            let process = Process::open(pid).ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let ours = environment
                .windows(marker.len())
                .any(|window| window == marker);
            ours.then_some(process)
        })
        .collect()
    }
}

/// A process that cannot be mistaken for a later one of the same number.
pub(crate) struct Process {
    pub(crate) pid: i32,
    fd: OwnedFd,
}

impl Process {
    fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: pidfd_open(2) takes two numbers, and gives a new descriptor or -1.
        let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid, 0) };
        match i32::try_from(fd) {
            Ok(fd @ 0..) => {
                // SAFETY: it was just opened, and nobody else knows it.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                Ok(Self { pid, fd })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).unwrap();
    }

    fn ends(&self, limit: Duration) -> bool {
        ready(&[self.fd.as_fd()], Instant::now() + limit)[0]
    }
}

/// crashdrill, running.
pub(crate) struct Run {
    child: Child,
    pub(crate) process: Process,
}

impl Run {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let process = Process::open(child.id().cast_signed())?;
        Ok(Self { child, process })
    }

    /// What a terminal does when ^C is typed.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(Pid::from_raw(self.process.pid), signal).unwrap();
    }

    /// Its exit code as a shell says it.
    pub(crate) fn ended(&mut self) -> i32 {
        assert!(self.process.ends(SOON), "crashdrill does not end");
        let status = self.child.wait().unwrap();
        status
            .code()
            .or_else(|| Some(128 + status.signal()?))
            .unwrap()
    }
}

impl Drop for Run {
    /// Of a test that failed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which of them is ready for reading at `deadline` at the latest.
fn ready(fds: &[BorrowedFd<'_>], deadline: Instant) -> Vec<bool> {
    let mut polled: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut polled, PollTimeout::try_from(left).unwrap()) {
            Err(nix::Error::EINTR) => {}
            result => {
                result.unwrap();
                return polled.iter().map(|fd| fd.any() == Some(true)).collect();
            }
        }
    }
}

/// Mode and contents of everything below a directory.
type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

fn tree(directory: &Path) -> io::Result<Tree> {
    let mut found = Tree::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let data = fs::symlink_metadata(&path)?;
        let contents = if data.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
            Vec::new()
        } else if data.is_symlink() {
            fs::read_link(&path)?.into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path)?
        };
        found.insert(path, (data.permissions().mode(), contents));
    }
    Ok(found)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => link(&entry.path(), &target)?,
            false => fs::hard_link(entry.path(), target)?,
        }
    }
    Ok(())
}
