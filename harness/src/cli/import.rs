//! `crashdrill import`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Context, Status, print, width};
use crate::image::{AptSource, Manifest, Source};
use crate::import::{self, Host, Offered, Options, Release};
use crate::report::{import_text, safe, tell, tell_text};
use crate::run::Capacity;
use crate::scenario::model::Boot;
use crate::vectors::Kernel;

/// Make a scenario from a customer's files.
///
/// A sosreport or supportconfig, packed or not, or any of lspci -nnvv, /proc/cmdline, cpuinfo, meminfo,
/// interrupts, kdump.conf, sysconfig/kdump, default/kdump-tools, uname -a, dmesg and a console's log:
/// what a file is, is told by what is in it.
#[derive(Debug, Args)]
#[command(after_help = "\
The scenario has what is known of the machine: its PCI functions, each as the closest device
that there is, its kernel or the closest image, its crashkernel memory and kdump configuration.
Comments say what was taken for what, and what is lost; the outcome of a drill says the latter,
too. When the files show how kdump failed, `expect` says so, and `crashdrill run` whether the
drill ends the same way.

Serial numbers, hardware and IP addresses, host and user names and paths of keys are replaced by
placeholders. Texts that are kept word for word are searched for what looks like one of these;
read the scenario before you hand it on.

Examples:
  crashdrill import sosreport-*.tar.xz -o scenarios/case-1234.yaml --explain
  crashdrill import lspci.txt cmdline kdump.conf console.log > customer.yaml
  crashdrill run case-1234

Exit codes:
  0  the scenario was written
  2  bad input: the command line, files that tell nothing of a machine, a machine that does not
     fit, an output file that is there
  3  a file cannot be read or written")]
pub(super) struct Import {
    /// Files, directories, archives.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Write the scenario there; its name is the file's [default: standard output, with the name
    /// `customer`].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "output")]
    force: bool,
    /// The image to drill on, a name in images/ [default: the one with the machine's own kernel, or
    /// the closest].
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// The machine's own memory and number of CPUs, or none at all, instead of what this host has
    /// room for.
    #[arg(long)]
    exact: bool,
    /// Leave out devices that the capture kernel has no driver for.
    #[arg(long)]
    capture_only: bool,
    /// Keep host names, addresses, users, paths of keys and serial numbers in what is taken over.
    #[arg(long)]
    keep_names: bool,
    /// Print what stands for each device, and its vectors in the first and in the capture kernel; on
    /// standard error where the scenario is on standard output.
    #[arg(long)]
    explain: bool,
}

/// The name of a scenario that is not written to a file.
const USUAL_NAME: &str = "customer";

impl Import {
    pub(super) fn execute(self, context: &Context) -> Result<Status, CliError> {
        let name = match &self.output {
            Some(file) => name(file)?,
            None => USUAL_NAME.to_owned(),
        };
        let facts = import::read(&self.paths).map_err(CliError::harness)?;
        let nothing = facts.is_empty();
        // Of nothing everything is missing.
        let notes = facts
            .notes
            .iter()
            .filter(|note| !nothing || note.source.is_some());
        for note in notes {
            tell!("note: {}", safe(&note.to_string()));
        }
        if nothing {
            return Err(CliError::wrong(
                "nothing here tells of a machine: no text of lspci, no kernel's log, nothing of /proc, \
                 no configuration of kdump",
            ));
        }
        let options = Options {
            name,
            image: self.image.clone(),
            exact: self.exact,
            capture_only: self.capture_only,
            keep_names: self.keep_names,
        };
        let host = Capacity::of_host(None);
        let host = Host {
            memory: host.memory,
            cpus: u16::try_from(host.cpus).unwrap_or(u16::MAX),
        };
        let imported =
            import::write(&facts, &offered(context)?, host, &options).map_err(CliError::input)?;
        let explained = self.explain.then(|| import_text(&imported, width()));
        match &self.output {
            Some(file) => {
                self.write(file, &imported.text)?;
                print(&explained.unwrap_or_default())?;
                tell!("wrote {}", safe(&file.display().to_string()));
            }
            None => {
                print(&imported.text)?;
                tell_text(&explained.unwrap_or_default());
            }
        }
        if imported.replaced > 0 {
            let what = match imported.replaced {
                1 => "1 private name or number was replaced".to_owned(),
                many => format!("{many} private names and numbers were replaced"),
            };
            tell!("{what}; read the scenario before you hand it on");
        }
        Ok(Status::Good)
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), CliError> {
        let opened = match self.force {
            true => File::create(file),
            false => OpenOptions::new().write(true).create_new(true).open(file),
        };
        let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::wrong(format!(
                "{} is there already; --force overwrites it",
                file.display()
            )),
            _ => CliError::harness(format!("cannot write {}: {error}", file.display())),
        })
    }
}

/// A scenario is called like its file.
fn name(file: &Path) -> Result<String, CliError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let yaml = file
        .extension()
        .is_some_and(|extension| extension == "yaml");
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !part.is_empty() && part.chars().all(plain)
    };
    match yaml && stem.split('-').all(part) {
        true => Ok(stem.into_owned()),
        false => Err(CliError::wrong(format!(
            "`{}` cannot be a scenario's file: small letters and digits, with hyphens between them, and \
             .yaml behind, such as case-1234.yaml",
            file.display()
        ))),
    }
}

/// The images whose manifests say which kernel they have.
fn offered(context: &Context) -> Result<Vec<Offered>, CliError> {
    let mut offered = Vec::new();
    for file in context.project.images().map_err(CliError::input)? {
        let manifest = Manifest::load(&file).map_err(CliError::image)?;
        offered.extend(offer(&manifest));
    }
    Ok(offered)
}

/// Kernels of Debian's releases.
const SUITES: [(&str, (u16, u16)); 4] = [
    ("buster", (4, 19)),
    ("bullseye", (5, 10)),
    ("bookworm", (6, 1)),
    ("trixie", (6, 12)),
];

/// None where only the files of the image itself tell.
fn offer(manifest: &Manifest) -> Option<Offered> {
    let suite = |suite: &str| {
        let found = SUITES.iter().find(|(name, _)| *name == suite);
        found.map(|(_, version)| Kernel {
            version: *version,
            ia32: true,
        })
    };
    // The dump server's has a kernel, too, and no kdump.
    let has = |apt: &AptSource, begin: &str| apt.packages.iter().any(|it| it.starts_with(begin));
    let (kernel, release, boot) = match &manifest.source {
        Source::Apt(apt) if has(apt, "linux-image") && has(apt, "kexec-tools") => {
            (suite(&apt.suite)?, None, Boot::Direct)
        }
        Source::Disk(disk) => (suite(&disk.suite)?, None, Boot::Disk),
        Source::Rpm(rpm) => {
            let names = rpm.packages.iter().map(|package| package.file_name());
            let mut releases = names.filter_map(|name| {
                let name = name.strip_suffix(".rpm")?;
                let rest = name
                    .strip_prefix("kernel-core-")
                    .or(name.strip_prefix("kernel-"))?;
                rest.parse::<Release>().ok()
            });
            let release = releases.next_back()?;
            let kernel = Kernel::of_release(release.as_str())?;
            (kernel, Some(release), Boot::Direct)
        }
        _ => return None,
    };
    Some(Offered {
        name: manifest.name.clone(),
        kernel,
        release,
        boot,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    #[test]
    fn files_of_scenarios() {
        assert_eq!(name(Path::new("a/case-12.yaml")).unwrap(), "case-12");
        for wrong in ["Case.yaml", "case.yml", "case", "a--b.yaml", ".yaml"] {
            assert!(name(Path::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn kernels_of_the_shipped_images() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let project = Project::at(root).unwrap();
        let manifests = project.images().unwrap();
        let offered: Vec<Offered> = manifests
            .iter()
            .filter_map(|file| offer(&Manifest::load(file).unwrap()))
            .collect();
        let of = |name: &str| offered.iter().find(|offer| offer.name == name);
        let release = of("centos-7.4").unwrap().release.as_ref().unwrap();
        assert_eq!(release.as_str(), "3.10.0-693.5.2.el7.x86_64");
        assert_eq!(of("debian-12").unwrap().kernel.version, (6, 1));
        assert_eq!(of("debian-12-disk").unwrap().boot, Boot::Disk);
        assert!(of("rocky-9").unwrap().release.is_some());
        assert!(of("dump-server").is_none() && of("host").is_none());
    }
}
