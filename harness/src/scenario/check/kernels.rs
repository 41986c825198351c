//! The two kernels, and kdump between them.

use super::{Problem, root};
use crate::kdump::commandline::last_value;
use crate::kdump::configuration::Configuration;
use crate::kdump::crashkernel::Reserved;
use crate::kdump::error::ConfigFile;
use crate::kdump::flavour::Flavour;
use crate::scenario::model::{Scenario, SysconfigFile};
use crate::scenario::path::Path;

pub(super) fn kernels(scenario: &Scenario, found: &mut Vec<Problem>) {
    let memory = scenario.machine.memory;
    if let Reserved::Bytes(size) = scenario.crashkernel.reserved(memory)
        && size >= memory
    {
        found.push(
            Problem::new(
                root("crashkernel"),
                format!("a machine with {memory} of memory cannot reserve {size}"),
            )
            .help("a smaller reservation, or more `machine.memory`")
            .rests_on(root("machine").key("memory")),
        );
    }
    let first = &scenario.first_kernel;
    let mut texts = vec![(root("first-kernel").key("append"), Some(&first.append))];
    if let SysconfigFile::Keys(keys) = &scenario.kdump.sysconfig {
        let sysconfig = |key| root("kdump").key("sysconfig").key(key);
        let (base, remove) = (&keys.kdump_commandline, &keys.kdump_commandline_remove);
        let append = &keys.kdump_commandline_append;
        texts.extend([
            (sysconfig("KDUMP_COMMANDLINE"), base.as_ref()),
            (sysconfig("KDUMP_COMMANDLINE_REMOVE"), remove.as_ref()),
            (sysconfig("KDUMP_COMMANDLINE_APPEND"), append.as_ref()),
            (sysconfig("KEXEC_ARGS"), keys.kexec_args.as_ref()),
        ]);
    }
    for (path, text) in texts {
        let Some(text) = text else { continue };
        if text.trim_end_matches('\n').contains(['\n', '\0']) {
            let help = "one line; in YAML, `>-` joins several to one";
            found.push(Problem::new(path.clone(), "a command line has one line").help(help));
        }
        nr_cpus(path, text, found);
    }
    for (path, drivers) in [
        (root("first-kernel").key("drivers"), Some(&first.drivers)),
        (
            root("capture").key("drivers"),
            scenario.capture.drivers.as_ref(),
        ),
    ] {
        for (index, driver) in drivers.into_iter().flatten().enumerate() {
            driver_name(path.clone().index(index), driver, found);
        }
    }
    for file in scenario.capture.files.keys() {
        let bad = match file.strip_prefix('/') {
            None => Some("is not absolute"),
            Some(_) if file.contains('\0') => Some("has a NUL in it"),
            Some(rest) if rest.split('/').any(|part| part == "..") => Some("has `..` in it"),
            Some(rest) if rest.is_empty() || rest.ends_with('/') => Some("is no file's"),
            Some(_) => None,
        };
        if let Some(bad) = bad {
            let path = root("capture").key("files").key(file);
            found.push(
                Problem {
                    on_key: true,
                    ..Problem::new(path, format!("the path `{file}` {bad}"))
                }
                .help("a path in the capture initramfs, such as `/usr/local/bin/pre.sh`"),
            );
        }
    }
}

fn nr_cpus(path: Path, text: &str, found: &mut Vec<Problem>) {
    let Some(value) = last_value(text, "nr_cpus") else {
        return;
    };
    if value.parse::<u16>().is_ok_and(|cpus| cpus > 0) {
        return;
    }
    let inside = text
        .rfind("nr_cpus=")
        .map(|at| at..at + "nr_cpus=".len() + value.len());
    let problem = Problem::new(path, format!("`nr_cpus={value}` is no number of CPUs"));
    found.push(Problem { inside, ..problem }.help("a number from 1, such as `nr_cpus=1`"));
}

fn driver_name(path: Path, driver: &str, found: &mut Vec<Problem>) {
    let plausible = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if driver.is_empty() || !driver.chars().all(plausible) {
        if driver.trim().contains(char::is_whitespace) {
            let names: Vec<_> = driver.split_whitespace().collect();
            let help = format!("one name an item: [{}]", names.join(", "));
            let message = format!("`{driver}` is no driver's name");
            found.push(Problem::new(path, message).help(help));
            return;
        }
        let stem = driver.rsplit('/').next().unwrap_or(driver);
        let stem = stem.split('.').next().unwrap_or(stem).trim();
        let help = match stem {
            "" => "a module's name, such as `nvme`".to_owned(),
            stem => format!("the module's name alone: `{stem}`"),
        };
        found.push(Problem::new(path, format!("`{driver}` is no driver's name")).help(help));
    }
}

pub(super) fn kdump(scenario: &Scenario, found: &mut Vec<Problem>) {
    let kdump = &scenario.kdump;
    let path = |key: &str| root("kdump").key(key);
    let flavour = kdump.flavour;
    let mut stranger = |key: &str, message: String, help: &str| {
        found.push(
            Problem {
                on_key: true,
                ..Problem::new(path(key), message)
            }
            .help(help)
            .rests_on(path("flavour")),
        );
    };
    let redhat = !matches!(flavour, Flavour::Debian | Flavour::Opensuse);
    if kdump.conf.is_some() && !redhat {
        let help = match flavour {
            Flavour::Debian => {
                "its configuration is `kdump-tools`, the text of /etc/default/kdump-tools"
            }
            _ => "its configuration is `sysconfig`, the text of /etc/sysconfig/kdump",
        };
        stranger("conf", format!("{flavour} has no kdump.conf"), help);
    }
    if kdump.sysconfig != SysconfigFile::default() {
        if flavour == Flavour::Debian {
            let message = "debian has no /etc/sysconfig/kdump".to_owned();
            stranger("sysconfig", message, "its configuration is `kdump-tools`");
        } else if flavour == Flavour::Opensuse && matches!(kdump.sysconfig, SysconfigFile::Keys(_))
        {
            let message = "these keys are not those of openSUSE's file".to_owned();
            stranger(
                "sysconfig",
                message,
                "write the file's own text: `sysconfig: |`",
            );
        }
    }
    if kdump.kdump_tools.is_some() && flavour != Flavour::Debian {
        let message = format!("{flavour} has no /etc/default/kdump-tools");
        stranger(
            "kdump-tools",
            message,
            "`flavour: debian`, or remove the key",
        );
    }
    for error in Configuration::read(kdump).err().into_iter().flatten() {
        let key = match error.file {
            ConfigFile::KdumpConf => "conf",
            ConfigFile::Sysconfig => "sysconfig",
            ConfigFile::KdumpTools => "kdump-tools",
        };
        let message = format!("{}, line {}: {}", error.file, error.line, error.message);
        found.push(
            Problem {
                inside: Some(error.at),
                help: error.help,
                ..Problem::new(path(key), message)
            }
            .rests_on(path("flavour")),
        );
    }
}
