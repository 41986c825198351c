//! `crashdrill.syscalls=N` on a kernel's command line: the kernel answers as one would whose last
//! system call is N, so that what runs on it can be seen to get along with an older one.

use std::fmt::{self, Display};

use crate::words::SyntaxError;

/// The parameter's name. The dot makes the kernel take it for a module's parameter, which it does
/// not hand to PID 1 (init/main.c, unknown_bootoption).
pub const PARAMETER: &str = "crashdrill.syscalls";

/// The last system call that there is: 313, finit_module, in Linux 3.10
/// (arch/x86/syscalls/syscall_64.tbl).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastCall(u16);

impl LastCall {
    /// perf_event_open, the last one of Linux 2.6.32 (RHEL 6), the oldest kernel whose kdump is
    /// acted out.
    pub const LOWEST: u16 = 298;

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// What a kernel's command line asks for. Of several the last one counts, as with the kernel's
    /// own parameters.
    ///
    /// # Errors
    /// No number, or one that no kernel had.
    pub fn on(commandline: &str) -> Result<Option<Self>, SyntaxError> {
        let mut in_quotes = false;
        let words = commandline.split(|c: char| {
            in_quotes ^= c == '"';
            c.is_ascii_whitespace() && !in_quotes
        });
        let parameter = words
            .filter_map(|word| {
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                (name.trim_start_matches('"') == PARAMETER).then(|| value.trim_matches('"'))
            })
            .last();
        parameter.map(Self::parse).transpose()
    }

    fn parse(value: &str) -> Result<Self, SyntaxError> {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        number
            .filter(|number| *number >= Self::LOWEST)
            .map(Self)
            .ok_or_else(|| {
                SyntaxError::new(format!(
                    "{PARAMETER}={value}: the number of a kernel's last system call has to come \
                     here, {} to {}: 313 is Linux 3.10's",
                    Self::LOWEST,
                    u16::MAX,
                ))
            })
    }
}

impl Display for LastCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_asks_for() {
        let on = |line: &str| LastCall::on(line).unwrap().map(LastCall::number);
        assert_eq!(on(""), None);
        assert_eq!(on("console=ttyS0 quiet"), None);
        assert_eq!(on("quiet crashdrill.syscalls=313\n"), Some(313));
        assert_eq!(on("\"crashdrill.syscalls=298\""), Some(298));
        assert_eq!(on("crashdrill.syscalls=\"298\""), Some(298));
        let twice = "crashdrill.syscalls=313 crashdrill=a crashdrill.syscalls=65535";
        assert_eq!(on(twice), Some(u16::MAX));
        assert_eq!(on("dyndbg=\"file a.c crashdrill.syscalls=x +p\""), None);
        assert_eq!(on("xcrashdrill.syscalls=1 crashdrill.syscall=2"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_command_line(before in ".*", number: u16, after in "[^\"=]*") {
            let _ = LastCall::on(&before);
            let line = format!("{PARAMETER}={number} {after}");
            let found = LastCall::on(&line).ok().flatten().map(LastCall::number);
            let wanted = Some(number).filter(|number| *number >= LastCall::LOWEST);
            if !after.contains(PARAMETER) {
                assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn numbers_of_no_kernel() {
        for value in ["", "=", "x", "+313", "-1", "0x139", "297", "65536", "3 13"] {
            let line = format!("quiet {PARAMETER}={value}");
            let error = LastCall::on(&line).unwrap_err().to_string();
            assert!(error.contains("313 is Linux 3.10's"), "{value}: {error}");
        }
        assert!(LastCall::on(PARAMETER).is_err());
    }
}
