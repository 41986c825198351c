//! `crashdrill check`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::diagnose::unwritable;
use super::{CliError, Status, colours, width};
use crate::kdump::flavour::Flavour;
use crate::lint::{self, Input, MAX_SIZE, Settings};
use crate::project::{Project, all_of};
use crate::report::{findings_json, findings_schema, findings_text, safe, tell};
use crate::units::Bytes;

/// Say what is wrong with the files of a kdump configuration, without starting anything.
#[derive(Debug, Args)]
#[command(after_help = "\
A file is one of kdump.conf, /etc/sysconfig/kdump (Red Hat's or SUSE's), /etc/default/kdump-tools,
a kernel's command line (/proc/cmdline) and a scenario; its name and what is in it tell which.
What only shows when files are held against each other is looked for when there is one of a kind.

Examples:
  crashdrill check --flavour rhel7 /etc/kdump.conf /etc/sysconfig/kdump /proc/cmdline
  crashdrill check --memory 64G sos/etc/kdump.conf sos/etc/sysconfig/kdump sos/proc/cmdline
  crashdrill check scenarios/
  crashdrill check healthy
  crashdrill check --json etc/kdump.conf | jq -r '.findings[] | [.line, .level, .message] | @tsv'

Exit codes:
  0  nothing was found, or notes alone
  1  an error or a warning
  2  bad input: the command line, a file that cannot be read or is none of the above; the others
     are checked")]
pub(super) struct Check {
    /// Files; `-` is standard input. A directory stands for all scenarios in it, and a name for the
    /// scenario in scenarios/.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    files: Vec<PathBuf>,
    /// Whose kdump reads them: rhel6, rhel7, rhel8, rhel9, fedora, debian or opensuse [default:
    /// what the files look like].
    #[arg(long, value_name = "FLAVOUR")]
    flavour: Option<Flavour>,
    /// The machine's memory, such as 64G, to say what crashkernel= reserves on it [default: a
    /// scenario's own].
    #[arg(long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Print one JSON document a file, each on a line of its own. `--schema` describes it.
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, conflicts_with_all = ["files", "json", "flavour", "memory"])]
    schema: bool,
}

impl Check {
    /// Checks all files.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn execute(&self, root: Option<&Path>) -> Result<Status, CliError> {
        let mut out = anstream::stdout().lock();
        let mut status = Status::Good;
        let text = if self.schema {
            serde_json::to_string_pretty(&findings_schema()).map_err(CliError::harness)? + "\n"
        } else {
            self.check(root, &mut status)?
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // `| head` has seen enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
            _ => Ok(status),
        }
    }

    fn check(&self, root: Option<&Path>, status: &mut Status) -> Result<String, CliError> {
        let mut files = Vec::new();
        let mut unread = |error: String| {
            tell!("error: {}", safe(&error));
            *status = Status::Input;
        };
        for path in &self.files {
            let meant = meant(path, root).unwrap_or_else(|error| {
                unread(error);
                Vec::new()
            });
            for path in meant {
                match read(&path) {
                    Ok(bytes) => files.push((path.display().to_string(), bytes)),
                    Err(error) => unread(format!("{}: {error}", path.display())),
                }
            }
        }
        let inputs: Vec<Input<'_>> = files
            .iter()
            .map(|(name, bytes)| Input { name, bytes })
            .collect();
        if inputs.is_empty() {
            return Ok(String::new());
        }
        let checked = lint::check(
            &inputs,
            Settings {
                flavour: self.flavour,
                memory: self.memory,
            },
        );
        if checked.unusable() || *status == Status::Input {
            *status = Status::Input;
        } else if checked.found() {
            *status = Status::Mistakes;
        }
        if !self.json {
            return Ok(findings_text(&checked, width(), colours(&io::stdout())));
        }
        let mut text = String::new();
        for file in &checked.files {
            text += &findings_json(&checked, file).map_err(CliError::harness)?;
            text.push('\n');
        }
        Ok(text)
    }
}

/// The files that an argument means, as [`Project::scenarios`] has it where it is no file.
fn meant(path: &Path, root: Option<&Path>) -> Result<Vec<PathBuf>, String> {
    let itself = vec![path.to_owned()];
    if path.is_dir() {
        return all_of(path).map_err(|error| error.to_string());
    }
    // A name with a dot or a slash is that of a file, which will be missed.
    let name = path.to_str().filter(|name| !name.contains(['/', '.']));
    let Some(name) = name.filter(|name| *name != "-" && !path.exists()) else {
        return Ok(itself);
    };
    if let Some((scenario, _)) = name.split_once('@').filter(|(name, _)| !name.is_empty()) {
        return Err(format!(
            "{name}: check takes whole scenarios, with all variants: `{scenario}`"
        ));
    }
    let project = match root {
        Some(root) => Project::at(root.to_owned()),
        None => Project::find(),
    };
    match project {
        Ok(project) => match project.named(name) {
            Ok(file) => Ok(vec![file]),
            Err(error) => Err(format!("{name}: no such file, and {error}")),
        },
        // Configuration files need no project.
        Err(_) => Ok(itself),
    }
}

/// No more than is needed to see that it is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_SIZE as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
