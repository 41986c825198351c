//! Sending the dump to another machine's sshd: kdump.sh's dump_ssh, and what RHEL 6's /init has for
//! it.

use std::fs::{self, File};
use std::process::Command;

use crashdrill_guest::console::{RHEL6_COMPLETE, SAVING, SAVING_COMPLETE};
use crashdrill_guest::order::{CaptureOrder, Script};
use crashdrill_guest::report::{Exit, Report};

use crate::save::{self, Failed};
use crate::{Init, child, console, system};

/// Where ssh's own words go where the script wants none on the console.
const SAYS: &str = "/tmp/ssh";

/// The other machine.
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) host: &'a str,
    /// The file of the private key.
    pub(crate) key: &'a str,
}

impl Login<'_> {
    fn location(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    fn options(&self) -> [String; 6] {
        [
            "-i",
            self.key,
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ]
        .map(str::to_owned)
    }

    /// ssh with the words of its own on the console.
    fn ssh(&self, remote: &str) -> Command {
        let mut command = child::command("ssh");
        command
            .args(self.options())
            .arg(self.location())
            .arg(remote);
        command
    }

    /// `ssh -q`. Its words, which the script does not show, are reported.
    fn quiet(&self, init: &mut Init, remote: &str) -> Exit {
        let mut argv = vec!["ssh".to_owned(), "-E".to_owned(), SAYS.to_owned()];
        argv.extend(self.options());
        argv.push(self.location());
        self.run(init, &argv, remote)
    }

    /// `scp -q FILE HOST:PATH`.
    fn scp(&self, init: &mut Init, file: &str, path: &str) -> Exit {
        let mut argv = vec!["scp".to_owned(), "-q".to_owned()];
        argv.extend(self.options());
        argv.push(file.to_owned());
        self.run(init, &argv, &format!("{}:{path}", self.location()))
    }

    fn run(&self, init: &mut Init, argv: &[String], last: &str) -> Exit {
        let _ = fs::remove_file(SAYS);
        let status = child::run(&mut init.memory, argv, &[last]);
        report(init, argv, status);
        status
    }
}

fn report(init: &mut Init, argv: &[String], status: Exit) {
    let text = fs::read_to_string(SAYS).unwrap_or_default();
    let said = text.lines().rfind(|line| !line.trim().is_empty());
    init.report(&Report::Remote {
        program: argv.first().cloned().unwrap_or_default(),
        status,
        said: said.map(|line| line.trim().to_owned()),
    });
}

/// Sends the dump; gives its directory on the other machine.
pub(crate) fn save(
    init: &mut Init,
    order: &CaptureOrder,
    login: &Login<'_>,
    host_ip: &str,
) -> Result<String, Failed> {
    let script = order.script;
    let location = login.location();
    let directory = format!("{}/{}", order.path, save::directory_name(host_ip));
    console::print(&match script {
        Script::Rhel6 => format!("Saving to remote location {location}"),
        _ => format!("kdump: saving to {location}:{directory}"),
    });
    if !login
        .quiet(init, &format!("mkdir -p {directory}"))
        .success()
    {
        return Err(Failed::new(1));
    }
    if script.is_kdump_sh() {
        dmesg(init, order, login, &directory);
        console::print(SAVING);
    }
    let incomplete = format!("{directory}/vmcore-incomplete");
    let is_scp = order.collector.first().is_some_and(|word| word == "scp");
    let (status, name) = if is_scp {
        let status = login.scp(init, "/proc/vmcore", &incomplete);
        init.report(&Report::Collector {
            status,
            target_free: None,
        });
        (status, "vmcore")
    } else {
        (collect(init, order, login, &incomplete), "vmcore.flat")
    };
    let result = match status {
        Exit::Code(0) => rename(init, order, login, &directory, name),
        _ => {
            if let Some(line) = script.collector_failed(status.shell_status()) {
                console::print(&line);
            }
            Err(1)
        }
    };
    if script == Script::Rhel8 {
        log(init, login, &directory);
    }
    match result {
        Ok(()) => Ok(directory),
        Err(status) => Err(Failed {
            status,
            directory: Some(directory),
        }),
    }
}

/// The core collector's output through a pipe to the other machine; how the pipeline ended.
fn collect(init: &mut Init, order: &CaptureOrder, login: &Login<'_>, incomplete: &str) -> Exit {
    // Since 2020 nobody else may read it.
    let umask = match order.script {
        Script::Rhel6 | Script::Rhel7 => "",
        _ => "umask 0077 && ",
    };
    let mut ssh = login.ssh(&format!("{umask}dd bs=512 of={incomplete}"));
    let argv = order.collector_on(system::cpus());
    let (status, written) = child::pipe(&mut init.memory, &argv, &["/proc/vmcore"], &mut ssh);
    init.report(&Report::Collector {
        status,
        target_free: None,
    });
    init.report(&Report::Writer {
        program: "ssh".to_owned(),
        status: written,
    });
    // kdump.sh runs under bash with pipefail; RHEL 6's shell only asks ssh.
    match (order.script, written) {
        (Script::Rhel6, written) | (_, written @ (Exit::Signal(_) | Exit::NotRun(_))) => written,
        (_, Exit::Code(0)) => status,
        (_, written) => written,
    }
}

fn rename(
    init: &mut Init,
    order: &CaptureOrder,
    login: &Login<'_>,
    directory: &str,
    name: &str,
) -> Result<(), i32> {
    let mut ssh = login.ssh(&format!(
        "mv {directory}/vmcore-incomplete {directory}/{name}"
    ));
    let status = child::finish(&mut init.memory, &mut ssh);
    if !status.success() {
        let status = status.shell_status();
        match order.script {
            Script::Rhel6 | Script::Rhel7 => {}
            Script::Rhel8 => {
                console::print(&format!("kdump: moving vmcore failed, _exitcode:{status}"));
            }
            Script::Rhel9 | Script::Fedora => {
                console::print(&format!("kdump: moving vmcore failed, exitcode:{status}"));
            }
        }
        return Err(1);
    }
    console::print(match order.script {
        Script::Rhel6 => RHEL6_COMPLETE,
        _ => SAVING_COMPLETE,
    });
    let memory_low = init.memory.lowest();
    init.report(&Report::Saved {
        path: format!("{directory}/{name}"),
        bytes: None,
        memory_low,
    });
    Ok(())
}

/// vmcore-dmesg.txt, without which there may still be a dump.
fn dmesg(init: &mut Init, order: &CaptureOrder, login: &Login<'_>, directory: &str) {
    let location = login.location();
    console::print(
        &order
            .script
            .saving_dmesg(&format!("{location}:{directory}")),
    );
    let incomplete = format!("{directory}/vmcore-dmesg-incomplete.txt");
    let mut ssh = login.ssh(&format!("dd of={incomplete}"));
    let argv = [save::DMESG_COLLECTOR.to_owned()];
    let (status, written) = child::pipe(&mut init.memory, &argv, &["/proc/vmcore"], &mut ssh);
    let mv = format!("mv {incomplete} {directory}/vmcore-dmesg.txt");
    let done = status.success() && written.success() && login.quiet(init, &mv).success();
    let how = if done { "complete" } else { "failed" };
    console::print(&format!("kdump: saving vmcore-dmesg.txt {how}"));
}

/// The capture kernel's own log beside the dump.
pub(crate) fn log(init: &mut Init, login: &Login<'_>, directory: &str) {
    let (file, location) = (save::LOG_FILE, login.location());
    console::print(&format!(
        "kdump: saving the {file} to {location}:{directory}/"
    ));
    let written = fs::create_dir_all("/run/initramfs")
        .and_then(|()| File::create(file))
        .and_then(|_| fs::write(file, system::kernel_log(save::LOG_SIZE)));
    let copied = written.is_ok() && login.scp(init, file, &format!("{directory}/")).success();
    if !copied {
        console::print("kdump: saving log file failed, _exitcode:0");
    }
}
