//! What is wrong with the files of a kdump configuration, said without starting anything.
//!
//! Each file is read as its distribution reads it. What only shows when several files are held
//! against each other is looked for when there is one of each kind.

mod commandline;
mod drivers;
mod place;
mod recognise;
mod scenario;

use schemars::JsonSchema;
use serde::Serialize;

pub use place::Finding;
pub use recognise::Kind;

use crate::kdump::conf::KdumpConf;
use crate::kdump::configuration::Configuration;
use crate::kdump::error::Reading;
use crate::kdump::flavour::Flavour;
use crate::kdump::kdump_tools::KdumpTools;
use crate::kdump::suse::SuseKdump;
use crate::kdump::sysconfig::Sysconfig;
use crate::units::Bytes;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// kdump does not start, or saves no dump, or does not do what the line says.
    Error,
    /// It works, and is not what was meant, or will not work for long.
    Warning,
    /// Worth knowing.
    Note,
}

/// What is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lint {
    /// The distribution does not take the line, or takes it for something else.
    Refused,
    /// The distribution takes it, and it should not stay.
    Suspicious,
    /// A driver that the dump target needs is kept out of the capture kernel.
    DriverKeptOut,
    /// crashkernel= reserves nothing, or not what it says.
    Crashkernel,
    /// What the capture kernel is started with.
    CommandLine,
    /// The capture kernel's CPUs have fewer interrupt vectors than the devices' drivers take.
    Vectors,
    /// A scenario that crashdrill does not run.
    Scenario,
}

/// One file to check.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Its path: a part of how its kind is recognised.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What is known besides the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose kdump reads the files; guessed from them when absent.
    pub flavour: Option<Flavour>,
    /// The machine's memory; a scenario's own when absent.
    pub memory: Option<Bytes>,
}

/// A file that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFile {
    /// Its path.
    pub name: String,
    /// Its text; what is no UTF-8 is replaced.
    pub text: String,
    /// What it is, or why it cannot be checked.
    pub kind: Result<Kind, Unusable>,
    /// Whose kdump it was read for.
    pub flavour: Flavour,
    /// From top to bottom.
    pub findings: Vec<Finding>,
}

/// Why a file cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is far larger than any configuration.
    #[error("larger than {} MiB, which no configuration is", MAX_SIZE >> 20)]
    Large,
    /// UTF-16, as some editors of Windows save it.
    #[error("UTF-16: save it as UTF-8")]
    Utf16,
    /// Some other bytes.
    #[error("not UTF-8 at line {line}, byte {byte}: save it as UTF-8")]
    NotText {
        /// From 1.
        line: usize,
        /// Of the line, from 1.
        byte: usize,
    },
    /// It could be anything.
    #[error(
        "neither its name nor what is in it tells what it is: name it kdump.conf, sysconfig/kdump, \
         default/kdump-tools, cmdline or *.yaml"
    )]
    Unknown,
}

/// All files of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whose kdump the files were read for, but for scenarios, which say it themselves.
    pub flavour: Flavour,
    /// What the flavour was guessed from, if it was.
    pub guessed_from: Option<String>,
    /// In the order in which they were given.
    pub files: Vec<CheckedFile>,
}

/// The largest file that is read.
pub const MAX_SIZE: usize = 4 << 20;

/// Checks all files, alone and together.
pub fn check(inputs: &[Input<'_>], settings: Settings) -> Checked {
    let mut files: Vec<CheckedFile> = inputs
        .iter()
        .map(|input| {
            let kind = recognise::kind(input);
            CheckedFile {
                name: input.name.to_owned(),
                text: match kind {
                    Ok(_) => String::from_utf8_lossy(input.bytes).into_owned(),
                    Err(_) => String::new(),
                },
                kind,
                flavour: Flavour::default(),
                findings: Vec::new(),
            }
        })
        .collect();
    let (flavour, guessed_from) = match settings.flavour {
        Some(flavour) => (flavour, None),
        None => {
            let (flavour, reason) = recognise::flavour(&files);
            (flavour, Some(reason))
        }
    };
    let mut read = Vec::new();
    for file in &mut files {
        file.flavour = flavour;
        read.push(alone(file, settings));
    }
    together(&mut files, &read, flavour, settings);
    for file in &mut files {
        place::finish(&mut file.findings, &file.text);
    }
    Checked {
        flavour,
        guessed_from,
        files,
    }
}

/// A file that could be read, for what is looked for in several.
enum Read {
    Conf(Box<KdumpConf>),
    Sysconfig(Box<Sysconfig>),
    KdumpTools(Box<KdumpTools>),
    Suse(Box<SuseKdump>),
    Commandline,
    /// A scenario is checked as a whole; unusable files not at all.
    Nothing,
}

fn alone(file: &mut CheckedFile, settings: Settings) -> Read {
    let text = file.text.clone();
    let flavour = file.flavour;
    match file.kind {
        Ok(Kind::KdumpConf) => Read::Conf(take(file, KdumpConf::read(&text, family(flavour)))),
        Ok(Kind::Sysconfig) if flavour == Flavour::Opensuse => {
            Read::Suse(take(file, SuseKdump::read(&text)))
        }
        Ok(Kind::Sysconfig) => Read::Sysconfig(take(file, Sysconfig::read(&text, family(flavour)))),
        Ok(Kind::KdumpTools) => Read::KdumpTools(take(file, KdumpTools::read(&text))),
        Ok(Kind::Commandline) => {
            commandline::first_kernel(&text, flavour, settings.memory, &mut file.findings);
            Read::Commandline
        }
        Ok(Kind::Scenario) => {
            let (flavour, findings) = scenario::check(&file.name, &text, settings);
            file.flavour = flavour.unwrap_or(file.flavour);
            file.findings = findings;
            Read::Nothing
        }
        Err(_) => Read::Nothing,
    }
}

/// A kdump.conf is Red Hat's, even among the files of another distribution.
fn family(flavour: Flavour) -> Flavour {
    match flavour {
        Flavour::Debian | Flavour::Opensuse => Flavour::default(),
        flavour => flavour,
    }
}

fn take<T>(file: &mut CheckedFile, reading: Reading<T>) -> Box<T> {
    let of = |level, lint, errors: Vec<crate::kdump::error::ConfError>| {
        errors.into_iter().map(move |error| {
            let finding = Finding::new(level, lint, error.at, error.message);
            Finding {
                help: error.help,
                ..finding
            }
        })
    };
    file.findings
        .extend(of(Level::Error, Lint::Refused, reading.errors));
    file.findings
        .extend(of(Level::Warning, Lint::Suspicious, reading.warnings));
    Box::new(reading.value)
}

/// What only several files together can be wrong about.
fn together(files: &mut [CheckedFile], read: &[Read], flavour: Flavour, settings: Settings) {
    let only = |which: fn(&Read) -> bool| {
        let mut found = (0..read.len()).filter(|nth| which(&read[*nth]));
        match (found.next(), found.next()) {
            (Some(nth), None) => Some(nth),
            _ => None,
        }
    };
    let conf = only(|read| matches!(read, Read::Conf(_)));
    let base = only(|read| matches!(read, Read::Commandline));
    // Without a file that says how the capture kernel is started, only kdump.conf is left.
    let settings_of = only(|read| {
        matches!(
            read,
            Read::Sysconfig(_) | Read::KdumpTools(_) | Read::Suse(_)
        )
    });
    let parsed = conf.and_then(|nth| match &read[nth] {
        Read::Conf(conf) => Some((**conf).clone()),
        _ => None,
    });
    let configuration = match settings_of.map(|nth| &read[nth]) {
        Some(Read::KdumpTools(tools)) => Some(Configuration::KdumpTools(tools.clone())),
        Some(Read::Suse(suse)) => Some(Configuration::Suse(suse.clone())),
        Some(Read::Sysconfig(sysconfig)) => Some(Configuration::Kdumpctl {
            flavour: family(flavour),
            conf: Box::new(
                parsed
                    .clone()
                    .unwrap_or_else(|| KdumpConf::defaults(family(flavour))),
            ),
            sysconfig: sysconfig.clone(),
        }),
        _ => None,
    };
    // What follows from a line that was not read is not said again.
    let unread = |file: &CheckedFile| file.findings.iter().any(|it| it.level == Level::Error);
    if let (Some(nth), Some(configuration)) = (settings_of, &configuration)
        && !unread(&files[nth])
    {
        let file = &mut files[nth];
        commandline::capture_kernel(
            configuration,
            flavour,
            &file.text,
            settings.memory,
            &mut file.findings,
        );
    }
    let first = base.map(|nth| files[nth].text.trim().to_owned());
    let line = configuration
        .as_ref()
        .map(|configuration| {
            configuration
                .capture_commandline(first.as_deref().unwrap_or_default(), 0)
                .to_string()
        })
        .or_else(|| first.clone())
        .unwrap_or_default();
    let parsed = parsed.unwrap_or_else(|| KdumpConf::defaults(family(flavour)));
    let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
    let order: Vec<usize> = [settings_of, base, conf].into_iter().flatten().collect();
    for (nth, finding) in drivers::kept_out(&line, &parsed, &[], flavour, &texts, &order) {
        files[nth].findings.push(finding);
    }
}

impl Checked {
    /// Whether a file has a finding that is more than a note.
    pub fn found(&self) -> bool {
        self.files
            .iter()
            .flat_map(|file| &file.findings)
            .any(|finding| finding.level != Level::Note)
    }

    /// Whether a file could not be checked.
    pub fn unusable(&self) -> bool {
        self.files.iter().any(|file| file.kind.is_err())
    }
}

#[cfg(test)]
mod tests;
