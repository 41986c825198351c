//! Programs that /init runs: kexec, the core collector, the user's scripts, a shell.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crashdrill_guest::order::collector;
use crashdrill_guest::report::Exit;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

use crate::memory::Memory;
use crate::{Init, console, system};

const BUSYBOX: &str = "/bin/busybox";
/// How often memory is looked at while a child runs.
const SAMPLE_INTERVAL: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Runs `argv` with its output on the console, and waits for it.
pub(crate) fn run(memory: &mut Memory, argv: &[String], more: &[&str]) -> Exit {
    run_with(memory, argv, more, |_| {})
}

/// [`run`], with more to say about the child.
pub(crate) fn run_with(
    memory: &mut Memory,
    argv: &[String],
    more: &[&str],
    set: impl FnOnce(&mut Command),
) -> Exit {
    let Some(program) = argv.first() else {
        return Exit::NotRun(libc::ENOENT);
    };
    let mut command = words(program, argv);
    command.args(more);
    set(&mut command);
    let exit = spawn(&mut command, memory);
    said_not_run(program, exit);
    exit
}

/// [`run_with`], but for no longer than `limit`: then it is killed, and `None`.
pub(crate) fn run_for(
    memory: &mut Memory,
    argv: &[String],
    limit: Duration,
    set: impl FnOnce(&mut Command),
) -> Option<Exit> {
    let Some((program, arguments)) = argv.split_first() else {
        return Some(Exit::NotRun(libc::ENOENT));
    };
    let mut command = command(program);
    command.args(arguments);
    set(&mut command);
    let deadline = Instant::now().checked_add(limit);
    let exit = match command.spawn() {
        Ok(child) => wait_until(child, memory, deadline)?,
        Err(error) => Exit::NotRun(error.raw_os_error().unwrap_or(libc::EINVAL)),
    };
    said_not_run(program, exit);
    Some(exit)
}

/// Runs a command that is put together already.
pub(crate) fn finish(memory: &mut Memory, command: &mut Command) -> Exit {
    let exit = spawn(command, memory);
    said_not_run(&command.get_program().to_string_lossy(), exit);
    exit
}

/// `argv MORE... | writer`: how both ended, when both have.
pub(crate) fn pipe(
    memory: &mut Memory,
    argv: &[String],
    more: &[&str],
    writer: &mut Command,
) -> (Exit, Exit) {
    let Some(program) = argv.first() else {
        return (Exit::NotRun(libc::ENOENT), Exit::NotRun(0));
    };
    let mut reader = words(program, argv);
    reader.args(more).stdout(Stdio::piped());
    let mut reader = reader.spawn();
    match reader.as_mut().map(|child| child.stdout.take()) {
        Ok(Some(output)) => writer.stdin(output),
        _ => writer.stdin(Stdio::null()),
    };
    let written = writer.spawn();
    // The other end of the pipe has to be the writer's alone: a reader without one has to notice.
    writer.stdin(Stdio::null());
    let reader = ended(reader, memory);
    said_not_run(program, reader);
    let written = ended(written, memory);
    said_not_run(&writer.get_program().to_string_lossy(), written);
    (reader, written)
}

/// As a shell would have it.
fn said_not_run(program: &str, exit: Exit) {
    if let Exit::NotRun(errno) = exit {
        console::print(&format!("{program}: {}", Errno::from_raw(errno).desc()));
    }
}

/// The user's scripts and shells find busybox's applets as commands; nothing else does.
pub(crate) fn install_applets(memory: &mut Memory) {
    if fs::exists(BUSYBOX).unwrap_or(false) {
        let mut install = command(BUSYBOX);
        // It complains about each command that is already there.
        install
            .args(["--install", "-s", "/bin"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        spawn(&mut install, memory);
    }
}

/// crashdrill's own interactive shell on the console.
pub(crate) fn shell(init: &mut Init, hint: &str) {
    console::print(&format!("kdump: crashdrill shell: {hint}"));
    shell_with(init, "crashdrill# ");
}

/// An interactive shell on the console, with job control.
pub(crate) fn shell_with(init: &mut Init, prompt: &str) {
    install_applets(&mut init.memory);
    let mut command = command(BUSYBOX);
    command.arg("sh").env("PS1", prompt);
    match terminal().and_then(|tty| Ok((tty.try_clone()?, tty.try_clone()?, tty))) {
        Ok((input, output, error)) => {
            command.stdin(input).stdout(output).stderr(error);
        }
        Err(error) => console::print(&format!("kdump: crashdrill shell: no job control: {error}")),
    }
    // SAFETY: setsid and ioctl are async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 1);
            Ok(())
        });
    }
    if let Exit::NotRun(errno) = spawn(&mut command, &mut init.memory) {
        console::print(&format!(
            "kdump: crashdrill shell: {BUSYBOX}: {}",
            Errno::from_raw(errno).desc()
        ));
    }
}

/// /dev/console cannot be a controlling terminal; the tty behind it can.
fn terminal() -> std::io::Result<File> {
    let active = system::line("/sys/class/tty/console/active");
    let name = active.split(' ').next_back().unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/dev/{name}"))
}

/// The kernel hands PID 1 every parameter it does not know as environment: children get none of
/// that.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/")
        .env("TERM", "linux");
    command
}

/// The program with the words behind it, which may be the core collector.
fn words(program: &str, argv: &[String]) -> Command {
    let mut command = command(program);
    command.args(argv.iter().skip(1));
    if collector::has_threads(argv) {
        command.env("LD_PRELOAD", collector::PRELOADED);
    }
    command
}

fn spawn(command: &mut Command, memory: &mut Memory) -> Exit {
    ended(command.spawn(), memory)
}

fn ended(child: std::io::Result<Child>, memory: &mut Memory) -> Exit {
    match child {
        Ok(child) => wait(child, memory),
        Err(error) => Exit::NotRun(error.raw_os_error().unwrap_or(libc::EINVAL)),
    }
}

fn wait(child: Child, memory: &mut Memory) -> Exit {
    // Without a deadline it has ended when this comes back.
    wait_until(child, memory, None).unwrap_or(Exit::NotRun(libc::ECHILD))
}

/// `None` when it had to be killed.
fn wait_until(mut child: Child, memory: &mut Memory, deadline: Option<Instant>) -> Option<Exit> {
    // Blocked only now, so that the child does not inherit it; if it has ended already, the first
    // try_wait sees that. A blocked SIGCHLD stays pending, so none is missed.
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let _ = mask.thread_block();
    let exit = loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                break Some(match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or(0)),
                });
            }
            Ok(None) => {}
            Err(error) => break Some(Exit::NotRun(error.raw_os_error().unwrap_or(libc::ECHILD))),
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        memory.sample();
        // SAFETY: both pointers are valid for the call; a null siginfo_t is allowed.
        unsafe { libc::sigtimedwait(mask.as_ref(), std::ptr::null_mut(), &SAMPLE_INTERVAL) };
    };
    let _ = mask.thread_unblock();
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piped(argv: &[&str], writer: &str, file: &File) -> (Exit, Exit) {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", writer])
            .stdout(file.try_clone().unwrap());
        pipe(&mut Memory::new(), &argv, &[], &mut command)
    }

    #[test]
    fn both_ends_of_a_pipe_are_told() {
        let directory = std::env::temp_dir();
        let path = directory.join(format!("crashdrill-pipe-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let good = piped(&["printf", "a dump"], "cat", &file);
        let written = fs::read_to_string(&path).unwrap();
        let bad = piped(&["sh", "-c", "echo; exit 3"], "cat; exit 4", &file);
        // Neither waits for the other for ever.
        let deaf = piped(&["yes"], "exit 5", &file);
        let no_reader = piped(&["/no/such/program"], "cat", &file);
        fs::remove_file(&path).unwrap();
        assert_eq!(good, (Exit::Code(0), Exit::Code(0)));
        assert_eq!(written, "a dump");
        assert_eq!(bad, (Exit::Code(3), Exit::Code(4)));
        assert_eq!(deaf, (Exit::Signal(libc::SIGPIPE), Exit::Code(5)));
        assert_eq!(no_reader, (Exit::NotRun(libc::ENOENT), Exit::Code(0)));
    }
}
