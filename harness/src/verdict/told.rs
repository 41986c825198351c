//! What the reports of /init say, as conditions that a rule can name.

use std::fmt;

use crashdrill_guest::report::{Exit, Report, Role};
use nix::errno::Errno;
use serde::Deserialize;

use super::evidence::Evidence;

/// A target with less free space than this, in bytes, is full: makedumpfile writes its page data in
/// pieces of up to 1 MiB (its cache for output) and gives up on the first that does not fit.
const FULL: u64 = 1 << 20;

/// A fact that rests on reports, and on what the drill was set up to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// kexec failed.
    NotArmed,
    /// The first kernel has no crashkernel memory.
    NoMemoryReserved,
    /// A step of the first kernel's /init failed.
    FirstInitFailed,
    /// A step of the capture kernel's /init failed.
    CaptureInitFailed,
    /// A module could not be loaded for lack of memory.
    ModuleOutOfMemory,
    /// The core collector failed, or the program that it pipes the dump to.
    CollectorFailed,
    /// The core collector failed, and the target has no space left.
    TargetFull,
    /// The dump target did not appear.
    TargetNotFound,
    /// The dump target could not be mounted.
    TargetNotMounted,
    /// The network device that the dump goes to did not appear, could not be switched on, or has no
    /// carrier.
    NetworkNotReady,
    /// Nobody answered at the dump server's address.
    ServerUnreachable,
    /// The NFS server does not export the directory to this machine.
    NfsAccessDenied,
    /// The ssh server does not know the key.
    SshKeyRefused,
    /// The ssh server's own key is not the known one.
    SshHostKeyUnknown,
    /// The target's driver was kept out of the capture kernel, was not ordered, or did not load.
    TargetDriverMissing,
    /// kdump_pre refused.
    PreScriptFailed,
    /// The target is there and kdump_pre, which comes next, has not ended.
    PreScriptRunning,
}

impl Told {
    /// The sentences that it rests on; `None` when it was not told.
    pub(super) fn sentences(self, evidence: &Evidence) -> Option<Vec<String>> {
        let first = evidence.first_reports();
        let capture = evidence.capture_reports();
        let found: Vec<String> = match self {
            Told::NotArmed => collect(first, |report| match report {
                Report::Armed { status, loaded } if !loaded || !succeeded(*status) => {
                    Some(format!("kexec {}", Ended(*status)))
                }
                _ => None,
            }),
            Told::NoMemoryReserved => collect(first, |report| match report {
                Report::Started {
                    role: Role::First,
                    memory: 0,
                    ..
                } => Some("the first kernel has reserved no crashkernel memory".to_owned()),
                _ => None,
            }),
            Told::FirstInitFailed => collect(first, failed_step),
            Told::CaptureInitFailed => collect(capture, failed_step),
            Told::ModuleOutOfMemory => collect(capture, |report| match report {
                Report::Module {
                    module,
                    error: Some(error),
                    ..
                } if error == "ENOMEM" => Some(format!("module {module} not loaded: ENOMEM")),
                _ => None,
            }),
            Told::CollectorFailed => collect(capture, |report| match report {
                Report::Collector { status, .. } if !succeeded(*status) => {
                    Some(format!("core collector {}", Ended(*status)))
                }
                Report::Writer { program, status } if !succeeded(*status) => Some(format!(
                    "{program}, which writes the dump, {}",
                    Ended(*status)
                )),
                _ => None,
            }),
            Told::TargetFull => collect(capture, |report| match report {
                Report::Collector {
                    status,
                    target_free: Some(free),
                } if !succeeded(*status) && *free < FULL => {
                    Some("the dump target has no space left".to_owned())
                }
                _ => None,
            }),
            Told::TargetNotFound => collect(capture, |report| match report {
                Report::Target {
                    device,
                    found: false,
                    ..
                } => Some(format!("dump target {device} did not appear")),
                _ => None,
            }),
            Told::TargetNotMounted => collect(capture, |report| match report {
                Report::Target {
                    device,
                    found: true,
                    mount_error: Some(error),
                } => Some(format!("dump target {device} not mounted: {error}")),
                _ => None,
            }),
            Told::NetworkNotReady => collect(capture, network_trouble),
            Told::ServerUnreachable => collect(capture, |report| {
                remote_trouble(
                    report,
                    &[
                        "timed out",
                        "refused",
                        "unreachable",
                        "No route to host",
                        "not known",
                        "Could not resolve",
                        "Failed to resolve",
                    ],
                )
                .or_else(|| gave_up(report))
            }),
            Told::NfsAccessDenied => collect(capture, |report| {
                remote_trouble(report, &["access denied by server"])
            }),
            Told::SshKeyRefused => collect(capture, |report| {
                remote_trouble(report, &["Permission denied ("])
            }),
            Told::SshHostKeyUnknown => collect(capture, |report| {
                remote_trouble(report, &["Host key verification failed"])
            }),
            Told::TargetDriverMissing => target_driver_missing(evidence, capture),
            Told::PreScriptFailed => collect(capture, |report| match report {
                Report::Script { which, status } if which == "kdump_pre" && !succeeded(*status) => {
                    Some(format!("kdump_pre {}", Ended(*status)))
                }
                _ => None,
            }),
            Told::PreScriptRunning => pre_script_running(evidence, capture),
        };
        (!found.is_empty()).then_some(found)
    }
}

fn collect(reports: &[Report], sentence: impl Fn(&Report) -> Option<String>) -> Vec<String> {
    let sentences = reports.iter().filter_map(sentence);
    // A handful says it; the rest is in the reports.
    sentences
        .take(4)
        .map(|text| format!("report: {text}"))
        .collect()
}

fn failed_step(report: &Report) -> Option<String> {
    match report {
        Report::Failed { step, error } => Some(format!("{step}: {error}")),
        _ => None,
    }
}

fn network_trouble(report: &Report) -> Option<String> {
    match report {
        Report::Network {
            interface: None, ..
        } => Some("the network device that the dump goes to did not appear".to_owned()),
        Report::Network {
            interface: Some(name),
            error: Some(error),
            ..
        } => Some(format!("{name} could not be switched on: {error}")),
        Report::Network {
            interface: Some(name),
            carrier: false,
            ..
        } => Some(format!("{name} has no carrier")),
        _ => None,
    }
}

/// A program that talks to the dump server failed and said one of `words`.
fn remote_trouble(report: &Report, words: &[&str]) -> Option<String> {
    match report {
        Report::Remote {
            program,
            status,
            said: Some(said),
        } if !succeeded(*status) && words.iter().any(|word| said.contains(word)) => {
            // Some name themselves.
            let named = said.strip_prefix(&format!("{program}: ")).unwrap_or(said);
            Some(format!("{program}: {named}"))
        }
        _ => None,
    }
}

/// /init lost patience with it.
fn gave_up(report: &Report) -> Option<String> {
    match report {
        Report::Remote {
            program,
            status: Exit::Signal(_),
            said: None,
        } => Some(format!(
            "{program} had no answer from the dump server in time"
        )),
        _ => None,
    }
}

fn target_driver_missing(evidence: &Evidence, capture: &[Report]) -> Vec<String> {
    let Some(expected) = &evidence.expectations else {
        return Vec::new();
    };
    let mut found = collect(capture, |report| match report {
        Report::KeptOut { driver, by } if expected.target_drivers.contains(driver) => {
            Some(format!("{driver} kept out by {by}"))
        }
        Report::Module {
            driver,
            module,
            error: Some(error),
        } if expected.target_drivers.contains(driver) => {
            // A dependency may be optional; one that is not takes the driver down with it.
            let same = |a: &str, b: &str| a.replace('-', "_") == b.replace('-', "_");
            same(driver, module).then(|| format!("module {module} not loaded: {error}"))
        }
        _ => None,
    });
    let ordered = |driver: &&String| !expected.capture_drivers.contains(driver);
    found.extend(
        expected
            .target_drivers
            .iter()
            .filter(ordered)
            .map(|driver| format!("scenario: {driver} is not among the capture kernel's drivers")),
    );
    found
}

/// /init finds the target, tries to mount it, reports that, and runs kdump_pre next.
fn pre_script_running(evidence: &Evidence, capture: &[Report]) -> Vec<String> {
    let is_found = |report: &Report| matches!(report, Report::Target { found: true, .. });
    let Some(found) = capture.iter().position(is_found) else {
        return Vec::new();
    };
    let beyond = capture[found..].iter().any(|report| match report {
        Report::Script { which, .. } => which == "kdump_pre",
        Report::Collector { .. } | Report::Ending | Report::Failed { .. } => true,
        _ => false,
    });
    let configured = evidence.expectations.as_ref();
    if configured.is_some_and(|expected| expected.pre_script) && !beyond {
        vec!["report: the target is there; kdump_pre, which comes next, has not ended".to_owned()]
    } else {
        Vec::new()
    }
}

fn succeeded(status: Exit) -> bool {
    status == Exit::Code(0)
}

/// How a child ended, as the end of a sentence.
struct Ended(Exit);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(code) => write!(f, "ended with status {code}"),
            Exit::Signal(signal) => write!(f, "was killed by signal {signal}"),
            // /init saw beforehand that it would be of no use.
            Exit::NotRun(0) => f.write_str("was not run"),
            Exit::NotRun(errno) => write!(f, "could not be run: {:?}", Errno::from_raw(errno)),
        }
    }
}
