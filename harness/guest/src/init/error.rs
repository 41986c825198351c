//! What failed, in the words of [`crashdrill_guest::report::Report::Failed`].

use std::fmt::{self, Display};
use std::io;

use nix::errno::Errno;

/// A step and why it failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: String,
    pub(crate) error: String,
}

impl Failure {
    pub(crate) fn new(step: impl Into<String>, error: impl Display) -> Self {
        Self {
            step: step.into(),
            error: error.to_string(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.error)
    }
}

/// Names the step that an error belongs to.
pub(crate) trait Context<T> {
    fn context(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> Context<T> for nix::Result<T> {
    fn context(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(step(), errno_name(errno)))
    }
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step(), io_error_name(&error)))
    }
}

/// `ENODEV`; the number where the name is not known.
pub(crate) fn errno_name(errno: Errno) -> String {
    match errno {
        Errno::UnknownErrno => "unknown errno".to_owned(),
        known => format!("{known:?}"),
    }
}

fn io_error_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => match Errno::from_raw(number) {
            Errno::UnknownErrno => format!("errno {number}"),
            known => errno_name(known),
        },
        None => error.to_string(),
    }
}
