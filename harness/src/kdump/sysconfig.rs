//! /etc/sysconfig/kdump of Red Hat Enterprise Linux and Fedora.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{ConfigFile, Fault, Reading, placed, shown};
use super::flavour::Flavour;
use super::shell::{self, Assignment, Dialect};
use crate::suggest;

/// /etc/sysconfig/kdump. An absent key has the flavour's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE", default)]
pub struct Sysconfig {
    /// The capture kernel's command line before removal and addition; the first kernel's by
    /// default.
    pub kdump_commandline: Option<String>,
    /// Parameters to remove from it.
    pub kdump_commandline_remove: Option<String>,
    /// Parameters to add to it.
    pub kdump_commandline_append: Option<String>,
    /// Options for kexec.
    pub kexec_args: Option<String>,
    /// Release of the capture kernel; the running one's by default.
    pub kdump_kernelver: Option<String>,
    /// Where the capture kernel lies.
    pub kdump_bootdir: Option<String>,
    /// The name of its file up to the release.
    pub kdump_img: Option<String>,
    /// What follows the release.
    pub kdump_img_ext: Option<String>,
    /// Parameters to add for firmware-assisted dump.
    pub fadump_commandline_append: Option<String>,
    /// A program that is told of every new dump; of 2024.
    pub vmcore_creation_notification: Option<String>,
    /// Log level of kdump's scripts on standard error, 0 to 4.
    pub kdump_stdloglvl: Option<String>,
    /// Log level of kdump's scripts in syslog, 0 to 4.
    pub kdump_sysloglvl: Option<String>,
    /// Log level of kdump's scripts in the kernel's log, 0 to 4.
    pub kdump_kmsgloglvl: Option<String>,
}

/// Keys that kdumpctl reads, and the flavours that do.
const KEYS: [(&str, &[Flavour]); 14] = [
    ("KDUMP_KERNELVER", &ALL),
    ("KDUMP_COMMANDLINE", &ALL),
    ("KDUMP_COMMANDLINE_REMOVE", &SINCE_7),
    ("KDUMP_COMMANDLINE_APPEND", &ALL),
    ("KEXEC_ARGS", &ALL),
    ("KDUMP_BOOTDIR", &ALL),
    ("KDUMP_IMG", &ALL),
    ("KDUMP_IMG_EXT", &ALL),
    ("MKDUMPRD_ARGS", &[Flavour::Rhel6]),
    (
        "FADUMP_COMMANDLINE_APPEND",
        &[Flavour::Rhel9, Flavour::Fedora],
    ),
    ("VMCORE_CREATION_NOTIFICATION", &[Flavour::Fedora]),
    ("KDUMP_STDLOGLVL", &SINCE_8),
    ("KDUMP_SYSLOGLVL", &SINCE_8),
    ("KDUMP_KMSGLOGLVL", &SINCE_8),
];
const ALL: [Flavour; 5] = [
    Flavour::Rhel6,
    Flavour::Rhel7,
    Flavour::Rhel8,
    Flavour::Rhel9,
    Flavour::Fedora,
];
const SINCE_7: [Flavour; 4] = [
    Flavour::Rhel7,
    Flavour::Rhel8,
    Flavour::Rhel9,
    Flavour::Fedora,
];
const SINCE_8: [Flavour; 3] = [Flavour::Rhel8, Flavour::Rhel9, Flavour::Fedora];

/// What kdumpctl removes where /etc/sysconfig/kdump does not say. Its file always does, so that
/// this is not the flavour's default, which is the file's.
const REMOVE_WITHOUT_FILE: &str = "hugepages hugepagesz slub_debug";

impl Sysconfig {
    /// Reads the file's own text. A key that is not in it is absent for kdumpctl, too: it then has
    /// nothing to append, where the distribution's own file has.
    pub fn read(text: &str, flavour: Flavour) -> Reading<Self> {
        let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        let mut found = shell::read(text, Dialect::Bash, &known);
        let mut warnings = std::mem::take(&mut found.warnings);
        for (name, assignment) in &found.by_name {
            // Each one costs a search for what may be meant.
            if warnings.full() {
                break;
            }
            let at = assignment.name_at.clone();
            match KEYS.iter().find(|(key, _)| key == name) {
                Some((_, flavours)) if !flavours.contains(&flavour) => warnings.push(
                    Fault::new(at, format!("{flavour} does not read {name}"))
                        .help("remove the line"),
                ),
                Some(_) => {}
                None => warnings.push(unknown(name, at, &known)),
            }
            if assignment.appended_to_nothing {
                warnings.push(appended_to_nothing(name, assignment));
            }
        }
        for key in ["KDUMP_STDLOGLVL", "KDUMP_SYSLOGLVL", "KDUMP_KMSGLOGLVL"] {
            if let Some(level) = found.filled(key)
                && !matches!(level, "0" | "1" | "2" | "3" | "4")
            {
                let at = found.by_name[key].value_at.clone();
                found.errors.push(
                    Fault::new(at, format!("{key} has an invalid value '{}'", shown(level)))
                        .help("0 none, 1 errors, 2 warnings, 3 information, 4 everything"),
                );
            }
        }
        let filled = |key| found.filled(key).map(str::to_owned);
        let value = Self {
            kdump_commandline: filled("KDUMP_COMMANDLINE"),
            kdump_commandline_remove: Some(
                found
                    .set("KDUMP_COMMANDLINE_REMOVE")
                    .unwrap_or(REMOVE_WITHOUT_FILE)
                    .to_owned(),
            ),
            kdump_commandline_append: Some(
                found
                    .set("KDUMP_COMMANDLINE_APPEND")
                    .unwrap_or_default()
                    .to_owned(),
            ),
            kexec_args: filled("KEXEC_ARGS"),
            kdump_kernelver: filled("KDUMP_KERNELVER"),
            kdump_bootdir: filled("KDUMP_BOOTDIR"),
            kdump_img: filled("KDUMP_IMG"),
            kdump_img_ext: filled("KDUMP_IMG_EXT"),
            fadump_commandline_append: filled("FADUMP_COMMANDLINE_APPEND"),
            vmcore_creation_notification: filled("VMCORE_CREATION_NOTIFICATION"),
            kdump_stdloglvl: filled("KDUMP_STDLOGLVL"),
            kdump_sysloglvl: filled("KDUMP_SYSLOGLVL"),
            kdump_kmsgloglvl: filled("KDUMP_KMSGLOGLVL"),
        };
        Reading {
            value,
            errors: placed(ConfigFile::Sysconfig, text, found.errors),
            warnings: placed(ConfigFile::Sysconfig, text, warnings),
        }
    }
}

/// A variable that nothing reads.
pub(super) fn unknown(name: &str, at: Range<usize>, known: &[&str]) -> Fault {
    let fault = Fault::new(at, format!("kdump does not read {}", shown(name)));
    match suggest::closest(name, known.iter().copied()) {
        Some(closest) => fault.help(format!("did you mean `{closest}`?")),
        None => fault.help("remove the line"),
    }
}

/// `+=` in front of which nothing is set: the distribution's defaults are lost.
pub(super) fn appended_to_nothing(name: &str, assignment: &Assignment) -> Fault {
    Fault::new(
        assignment.name_at.clone(),
        format!("`{name}+=` appends to nothing: the file sets no {name} before it"),
    )
    .help(format!(
        "write the whole value: {name}=\"… {}\"",
        shown(assignment.value.trim())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_rhel_7() {
        let text = "# Kernel Version string\nKDUMP_KERNELVER=\"\"\nKDUMP_COMMANDLINE=\"\"\n\
                    KDUMP_COMMANDLINE_REMOVE=\"hugepages hugepagesz slub_debug quiet\"\n\
                    KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 reset_devices\"\n\
                    KEXEC_ARGS=\"\"\n#KDUMP_BOOTDIR=\"/boot\"\nKDUMP_IMG=\"vmlinuz\"\n\
                    KDUMP_IMG_EXT=\"\"\n";
        let read = Sysconfig::read(text, Flavour::Rhel7);
        assert_eq!((read.errors, read.warnings), (vec![], vec![]));
        assert_eq!(
            read.value,
            Sysconfig {
                kdump_commandline_remove: Some("hugepages hugepagesz slub_debug quiet".to_owned()),
                kdump_commandline_append: Some("irqpoll nr_cpus=1 reset_devices".to_owned()),
                kdump_img: Some("vmlinuz".to_owned()),
                ..Sysconfig::default()
            }
        );
    }

    #[test]
    fn what_the_text_leaves_out_is_not_the_default() {
        let read = Sysconfig::read("", Flavour::Rhel8);
        assert_eq!(read.value.kdump_commandline_append.as_deref(), Some(""));
        assert_eq!(
            read.value.kdump_commandline_remove.as_deref(),
            Some("hugepages hugepagesz slub_debug")
        );
    }

    #[test]
    fn warnings_and_errors() {
        let read = Sysconfig::read(
            "KDUMP_COMANDLINE_APPEND=x\nKDUMP_COMMANDLINE_APPEND+=\" y\"\nKDUMP_STDLOGLVL=9\n",
            Flavour::Rhel7,
        );
        let warnings: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "sysconfig/kdump, line 1, column 1: kdump does not read KDUMP_COMANDLINE_APPEND",
                "sysconfig/kdump, line 2, column 1: `KDUMP_COMMANDLINE_APPEND+=` appends to \
                 nothing: the file sets no KDUMP_COMMANDLINE_APPEND before it",
                "sysconfig/kdump, line 3, column 1: rhel7 does not read KDUMP_STDLOGLVL",
            ]
        );
        assert_eq!(read.errors.len(), 1);
        assert_eq!(read.value.kdump_commandline_append.as_deref(), Some(" y"));
    }
}
