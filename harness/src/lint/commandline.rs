//! Both kernels' command lines.

use std::ops::Range;

use super::place::MAX_FINDINGS;
use super::{Finding, Level, Lint};
use crate::kdump::commandline::last_value;
use crate::kdump::configuration::Configuration;
use crate::kdump::crashkernel::{Crashkernel, Reserved};
use crate::kdump::error::shown;
use crate::kdump::flavour::Flavour;
use crate::kdump::reservation::{Form, Reservation, reservation};
use crate::kdump::words::kernel_words_at;
use crate::suggest;
use crate::units::Bytes;

/// The first kernel's.
pub(super) fn first_kernel(
    text: &str,
    flavour: Flavour,
    memory: Option<Bytes>,
    findings: &mut Vec<Finding>,
) {
    if let Some(at) = text.find('\0') {
        findings.push(
            Finding::new(
                Level::Error,
                Lint::Refused,
                at..at + 1,
                "a NUL byte: the kernel's command line ends here",
            )
            .help("save it as plain text, in UTF-8"),
        );
    }
    if text.matches('"').count() % 2 == 1
        && let Some(at) = text.rfind('"')
    {
        findings.push(
            Finding::new(
                Level::Error,
                Lint::Refused,
                at..at + 1,
                "the quote is never closed: all that follows is one parameter",
            )
            .help("close it in front of the next blank"),
        );
    }
    if text.len() > MAX_LENGTH {
        let message = format!(
            "the command line has {} bytes: x86 kernels keep {MAX_LENGTH} of them",
            text.len()
        );
        findings.push(
            Finding::new(Level::Error, Lint::CommandLine, 0..0, message)
                .help("shorten it: what is cut off is ignored without a word"),
        );
    }
    // The capture kernel has no crashkernel= of its own.
    if last_value(text, "elfcorehdr").is_some() {
        return;
    }
    crashkernel(text, flavour, memory, findings);
}

/// COMMAND_LINE_SIZE of x86.
const MAX_LENGTH: usize = 2048;

/// crashkernel= and what looks like it.
pub(super) fn crashkernel(
    text: &str,
    flavour: Flavour,
    memory: Option<Bytes>,
    findings: &mut Vec<Finding>,
) {
    for word in kernel_words_at(text) {
        let content = &text[word.clone()];
        let (name, value) = match content.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (content, None),
        };
        let at = word.start..word.start + name.len();
        let looks_like = (9..=13).contains(&name.len())
            && suggest::closest(name, ["crashkernel"].into_iter()).is_some();
        if name == "crashkernel" && value.is_none() {
            findings.push(
                Finding::new(
                    Level::Error,
                    Lint::Crashkernel,
                    at,
                    "crashkernel without a value",
                )
                .help("crashkernel=256M"),
            );
        } else if name != "crashkernel" && looks_like {
            findings.push(
                Finding::new(
                    Level::Error,
                    Lint::Crashkernel,
                    at,
                    format!("the kernel does not know `{name}`, and says nothing"),
                )
                .help("did you mean `crashkernel`?"),
            );
        }
    }
    let found = reservation(text, memory, flavour);
    for parameter in &found.parameters {
        let Err(error) = &parameter.value else {
            continue;
        };
        let start = parameter.at.start;
        let at = start + error.at.start..start + error.at.end;
        let at = if at.is_empty() {
            parameter.at.clone()
        } else {
            at
        };
        let message = format!("crashkernel: {}", error.complaint);
        let help = match error.complaint {
            _ if text[parameter.at.clone()].contains('"') => {
                "take the quotes away: the kernel reads them as a part of the value"
            }
            // Its help speaks of scenarios.
            "invalid size" => "a size of zero reserves nothing: write one such as `256M`",
            _ => error.help,
        };
        findings.push(Finding::new(Level::Error, Lint::Crashkernel, at, message).help(help));
    }
    which_counts(&found, findings);
    reserves_nothing(text, &found, flavour, memory, findings);
}

fn which_counts(found: &Reservation, findings: &mut Vec<Finding>) {
    let last = |form| found.parameters.iter().rposition(|it| it.form == form);
    let plain = found
        .decides
        .is_some_and(|nth| found.parameters[nth].form == Form::Plain);
    for (nth, parameter) in found.parameters.iter().enumerate() {
        let (mut level, mut help) = (Level::Warning, "keep the one that is meant");
        let why = match parameter.form {
            form if last(form) != Some(nth) => "a later crashkernel= counts, this one does not",
            Form::High | Form::Low if plain => {
                "a crashkernel= without `,high` counts, this one does not"
            }
            Form::Low if last(Form::High).is_none() => {
                (level, help) = (
                    Level::Error,
                    "write both: `crashkernel=512M,high crashkernel=72M,low`",
                );
                "a `,low` value without a `,high` one reserves nothing"
            }
            Form::Cma if last(Form::Plain).or(last(Form::High)).is_none() => {
                (level, help) = (
                    Level::Error,
                    "write both: `crashkernel=256M crashkernel=512M,cma`",
                );
                "a `,cma` value comes on top of another one: alone it reserves nothing"
            }
            Form::Cma => {
                (level, help) = (Level::Note, "make sure of the first kernel's version");
                "kernels before 6.17 do not know `,cma`, and then reserve nothing at all"
            }
            _ => continue,
        };
        findings.push(Finding::new(level, Lint::Crashkernel, parameter.at.clone(), why).help(help));
    }
}

fn reserves_nothing(
    text: &str,
    found: &Reservation,
    flavour: Flavour,
    memory: Option<Bytes>,
    findings: &mut Vec<Finding>,
) {
    if found.parameters.is_empty() {
        let said = match flavour {
            Flavour::Debian => "no crashkernel= parameter in the kernel cmdline",
            Flavour::Opensuse => "No crashkernel memory reserved, Kdump cannot start.",
            _ => "No memory reserved for crash kernel",
        };
        let near_miss = findings.iter().any(|it| it.lint == Lint::Crashkernel);
        if !near_miss {
            findings.push(
                Finding::new(Level::Error, Lint::Crashkernel, 0..0, said)
                    .help("add `crashkernel=256M` to the first kernel's command line"),
            );
        }
        return;
    }
    let Some(decides) = found.decides else {
        return;
    };
    let parameter = &found.parameters[decides];
    if found.reserved != Some(Reserved::Nothing) {
        return;
    }
    let value = shown(&text[parameter.at.clone()]);
    let on = match memory {
        Some(memory) => format!("on a machine with {memory} of memory"),
        None => format!("on {flavour}"),
    };
    let said = found.says.last().map(String::as_str).unwrap_or_default();
    let finding = Finding::new(
        Level::Error,
        Lint::Crashkernel,
        parameter.at.clone(),
        match said {
            "" => format!("crashkernel={value} reserves nothing {on}"),
            said => format!("crashkernel={value} reserves nothing {on}: \"{said}\""),
        },
    );
    findings.push(match (&parameter.value, memory) {
        (Ok(Crashkernel::Ranges { ranges, .. }), Some(memory)) => {
            match ranges.iter().map(|range| range.start).min() {
                Some(start) if start >= memory => finding.help(format!(
                    "the first range begins at {start}, and the kernel counts less memory than \
                     the machine has: begin it lower"
                )),
                _ => finding.help("no range holds this size, or its size is zero"),
            }
        }
        (Ok(Crashkernel::Auto), _) => finding.help("write a size, such as `crashkernel=256M`"),
        _ => finding.help("write a smaller size, or one with `,high`"),
    });
}

/// Parameters that a capture kernel is started with, for slips of the pen.
const EXPECTED: [&str; 14] = [
    "irqpoll",
    "nr_cpus",
    "maxcpus",
    "reset_devices",
    "cgroup_disable",
    "udev.children-max",
    "rootflags",
    "acpi_no_memhotplug",
    "transparent_hugepage",
    "novmcoredd",
    "hest_disable",
    "rd.driver.blacklist",
    "modprobe.blacklist",
    "module_blacklist",
];

/// The capture kernel's, as the file `text` makes it.
pub(super) fn capture_kernel(
    configuration: &Configuration,
    flavour: Flavour,
    text: &str,
    memory: Option<Bytes>,
    findings: &mut Vec<Finding>,
) {
    let key = match configuration {
        Configuration::KdumpTools(_) => "KDUMP_CMDLINE_APPEND",
        _ => "KDUMP_COMMANDLINE_APPEND",
    };
    if let Configuration::Suse(suse) = configuration {
        suse_crashkernel(&suse.crashkernel, text, flavour, memory, findings);
        suse_programs(suse, text, findings);
    }
    let line = configuration.capture_commandline("", 0);
    let place = key_at(text, key);
    // The kernel takes - and _ in a parameter's name for the same.
    let known_as = |word: &str| word.split('=').next().unwrap_or(word).replace('-', "_");
    let has = |parameter: &str| line.words.iter().any(|word| known_as(word) == parameter);
    let warn = |level, at: Range<usize>, message: &str, help: String| {
        Finding::new(level, Lint::CommandLine, at, message).help(help)
    };
    // A line that is empty beside a KDUMP_COMMANDLINE of one's own may be meant.
    if !has("nr_cpus") && !has("maxcpus") {
        findings.push(warn(
            Level::Warning,
            place.clone(),
            "the capture kernel starts every CPU: there is no nr_cpus= on its command line",
            format!("{key}=\"irqpoll nr_cpus=1 reset_devices …\""),
        ));
    }
    if !has("reset_devices") {
        findings.push(warn(
            Level::Warning,
            place.clone(),
            "drivers are not told that the devices were live: there is no reset_devices on the \
             capture kernel's command line",
            format!("{key}=\"irqpoll nr_cpus=1 reset_devices …\""),
        ));
    }
    if line.has("crashkernel") {
        findings.push(warn(
            Level::Warning,
            find(text, "crashkernel"),
            "crashkernel= on the capture kernel's command line takes memory away from it",
            "it belongs on the first kernel's, in the boot loader's configuration".to_owned(),
        ));
    }
    for word in &line.words {
        // More than anyone reads.
        if findings.len() > MAX_FINDINGS {
            break;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value),
            None => (word.as_str(), ""),
        };
        let known = known_as(word);
        if matches!(known.as_str(), "nr_cpus" | "maxcpus") {
            let least = u16::from(known == "nr_cpus");
            if !value.parse::<u16>().is_ok_and(|cpus| cpus >= least) {
                findings.push(warn(
                    Level::Error,
                    find(text, word),
                    &format!("`{}` is no number of CPUs", shown(word)),
                    format!("{known}=1"),
                ));
            }
        }
        if known == "module_blacklist" && matches!(flavour, Flavour::Rhel6 | Flavour::Rhel7) {
            findings.push(warn(
                Level::Warning,
                find(text, name),
                "the kernel of this release does not know module_blacklist=",
                "rd.driver.blacklist=, which dracut reads".to_owned(),
            ));
        }
        let near = (name.len() >= 6 && name.len() < 32 && !EXPECTED.contains(&name))
            .then(|| {
                EXPECTED.into_iter().find(|expected| {
                    strsim::damerau_levenshtein(
                        &name.replace('-', "_"),
                        &expected.replace('-', "_"),
                    ) == 1
                })
            })
            .flatten();
        if let Some(near) = near {
            findings.push(warn(
                Level::Warning,
                find(text, name),
                &format!("the kernel does not know `{name}`, and says nothing"),
                format!("did you mean `{near}`?"),
            ));
        }
    }
}

fn suse_crashkernel(
    values: &str,
    text: &str,
    flavour: Flavour,
    memory: Option<Bytes>,
    findings: &mut Vec<Finding>,
) {
    if values.trim() == "auto" {
        return;
    }
    let place = key_at(text, "KDUMP_CRASHKERNEL");
    let parameters: Vec<String> = values
        .split_ascii_whitespace()
        .take(MAX_FINDINGS)
        .map(|value| value.strip_prefix("crashkernel=").unwrap_or(value))
        .map(|value| format!("crashkernel={value}"))
        .collect();
    let mut inner = Vec::new();
    crashkernel(&parameters.join(" "), flavour, memory, &mut inner);
    findings.extend(inner.into_iter().map(|finding| Finding {
        at: place.clone(),
        ..finding
    }));
}

fn suse_programs(suse: &crate::kdump::suse::SuseKdump, text: &str, findings: &mut Vec<Finding>) {
    for (key, script) in [
        ("KDUMP_PRESCRIPT", &suse.prescript),
        ("KDUMP_POSTSCRIPT", &suse.postscript),
        ("KDUMP_TRANSFER", &suse.transfer),
    ] {
        let Some(program) = script
            .as_deref()
            .and_then(|script| script.split_ascii_whitespace().next())
        else {
            continue;
        };
        if !suse.required_programs.iter().any(|it| it == program) {
            let program = shown(program);
            findings.push(
                Finding::new(
                    Level::Warning,
                    Lint::Suspicious,
                    key_at(text, key),
                    format!("{program} is not in the capture initramfs"),
                )
                .help(format!("KDUMP_REQUIRED_PROGRAMS=\"{program}\"")),
            );
        }
    }
}

/// Where a key is set for the last time; the whole file if it is not.
pub(super) fn key_at(text: &str, key: &str) -> Range<usize> {
    let mut found = 0..0;
    for (at, _) in text.match_indices(key) {
        let before = text[..at].trim_end_matches([' ', '\t']);
        let line_starts =
            before.is_empty() || before.ends_with(['\n', ';']) || before.ends_with("export");
        if line_starts && text[at + key.len()..].starts_with(['=', '+']) {
            found = at..at + key.len();
        }
    }
    found
}

/// The last place of a word in a text, outside of comments; the whole file if it is not there.
pub(super) fn find(text: &str, word: &str) -> Range<usize> {
    let end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let mut found = 0..0;
    if word.is_empty() {
        return found;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            for (at, _) in line.match_indices(word) {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                if end(before) && end(after) {
                    found = start + at..start + at + word.len();
                }
            }
        }
        start += line.len();
    }
    found
}
