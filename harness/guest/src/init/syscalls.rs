//! A kernel that answers as an older one would: the system calls that came later are not there.

use std::fs::File;
use std::io::{self, Read};
use std::mem::offset_of;

use crashdrill_guest::syscalls::LastCall;

use crate::console;
use crate::error::{Context, Failure};

const COMMANDLINE: &str = "/proc/cmdline";

/// AUDIT_ARCH_X86_64 of linux/audit.h: EM_X86_64, 64 bits, little endian.
const X86_64: u32 = 62 | 0x8000_0000 | 0x4000_0000;

/// Takes away, from this process and from every program that it starts, what the command line
/// says, if it says so.
pub(crate) fn limit() -> Result<(), Failure> {
    let text = commandline().context(|| format!("read {COMMANDLINE}"))?;
    let last = LastCall::on(&String::from_utf8_lossy(&text))
        .map_err(|error| Failure::new(format!("read {COMMANDLINE}"), error))?;
    let Some(last) = last else {
        return Ok(());
    };
    install(last).context(|| format!("take away the system calls above {last} (seccomp)"))?;
    console::print(&format!(
        "kdump: crashdrill: system calls above {last} are answered with ENOSYS from here on"
    ));
    Ok(())
}

/// Without fs::read, which asks for the file's size: once statx(2) has worked the standard library
/// does not expect any more that it could be missing.
fn commandline() -> io::Result<Vec<u8>> {
    let mut file = File::open(COMMANDLINE)?;
    // Twice x86's COMMAND_LINE_SIZE; the file never is longer.
    let mut text = vec![0; 4096];
    let mut length = 0;
    while let free @ 1.. = text.len() - length {
        match file.read(&mut text[length..])? {
            0 => break,
            read => length += read.min(free),
        }
    }
    text.truncate(length);
    Ok(text)
}

/// seccomp(2)'s filter, through prctl(2), which has had it since Linux 3.5.
fn install(last: LastCall) -> io::Result<()> {
    let mut filter = filter(last);
    let program = libc::sock_fprog {
        len: filter.len() as libc::c_ushort,
        filter: filter.as_mut_ptr(),
    };
    let (on, off): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: neither call touches memory but to read the program, which is valid for both. What
    // they change cannot be undone: this process and its children keep it, as intended.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, off, off, off) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
                &raw const program,
            ) != 0
    };
    match failed {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// Classic BPF over struct seccomp_data. An x32 call has bit 30 of its number set, so it is above
/// any `last`; 32-bit programs number theirs otherwise and have none.
fn filter(last: LastCall) -> [libc::sock_filter; 6] {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let one = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    [
        one(LOAD, 0, 0, offset_of!(libc::seccomp_data, arch) as u32),
        one(EQUAL, 0, 2, X86_64),
        one(LOAD, 0, 0, offset_of!(libc::seccomp_data, nr) as u32),
        one(GREATER, 0, 1, u32::from(last.number())),
        one(RETURN, 0, 0, absent),
        one(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const X32: libc::c_long = 0x4000_0000;

    fn last(number: u16) -> LastCall {
        let line = format!("crashdrill.syscalls={number}");
        LastCall::on(&line).unwrap().unwrap()
    }

    /// errno of a call with arguments that no kernel takes.
    fn errno(call: libc::c_long) -> Option<i32> {
        // SAFETY: the calls that are made here refuse a null pointer, a length of zero and a file
        // descriptor that is none, or need no argument.
        let result = unsafe { libc::syscall(call, -1_i64, 0_i64, -1_i64) };
        (result == -1).then(|| io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }

    /// A filter counts for the thread that installs it.
    fn under(number: u16, look: impl FnOnce() + Send + 'static) {
        let thread = std::thread::spawn(move || {
            install(last(number)).unwrap();
            look();
        });
        thread.join().unwrap();
    }

    #[test]
    fn later_calls_are_not_there() {
        assert_eq!(libc::SYS_finit_module, 313);
        assert_eq!(libc::SYS_getrandom, 318);
        under(313, || {
            for call in [
                libc::SYS_getrandom,
                libc::SYS_memfd_create,
                libc::SYS_kexec_file_load,
                libc::SYS_statx,
                libc::SYS_clone3,
                X32 | libc::SYS_getppid,
            ] {
                assert_eq!(errno(call), Some(libc::ENOSYS), "{call}");
            }
            assert_eq!(errno(libc::SYS_getppid), None);
        });
        // The last one is there, whatever it says to such arguments.
        under(318, || {
            assert_ne!(errno(libc::SYS_getrandom), Some(libc::ENOSYS));
            assert_eq!(errno(libc::SYS_memfd_create), Some(libc::ENOSYS));
        });
        under(317, || {
            assert_eq!(errno(libc::SYS_getrandom), Some(libc::ENOSYS));
        });
    }

    /// What /init does itself gets along with Linux 3.10: the standard library tries newer calls
    /// first and falls back.
    #[test]
    fn the_standard_library_and_children_get_along() {
        under(313, || {
            let directory = std::env::temp_dir().join(format!("syscalls-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            let file = directory.join("a");
            fs::write(&file, "text").unwrap();
            assert!(fs::exists(&file).unwrap());
            assert_eq!(fs::metadata(&file).unwrap().len(), 4);
            fs::rename(&file, directory.join("b")).unwrap();
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
            fs::remove_dir_all(&directory).unwrap();
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
            let child = std::process::Command::new("/bin/sh")
                .args(["-c", "grep Seccomp: /proc/self/status | cat"])
                .output()
                .unwrap();
            assert!(child.status.success());
            assert_eq!(child.stdout, b"Seccomp:\t2\n");
        });
    }
}
