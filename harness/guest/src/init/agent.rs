//! crashdrill's part in a distribution that boots with its own init: a program that units and a
//! script of the initramfs start, not PID 1.

use std::process::Command;

use crashdrill_guest::agent::{Service, Task};
use crashdrill_guest::order::Action;
use crashdrill_guest::report::{Exit, Report, Role};

use crate::{Init, action, child, console, first, interrupts, irq_debugfs, pci, system};

/// Longest wait for udev, in seconds: a drive that never answers must not keep the drill from
/// going on.
const SETTLE: &str = "--timeout=60";

/// Does what the arguments say. Comes back when the system is to go on.
pub(crate) fn run(init: &mut Init, arguments: &[String]) {
    match Task::decode(arguments) {
        Ok(Task::Crash {
            service,
            cpu,
            token,
            drivers,
        }) => crash(init, &service, cpu, &token, &drivers),
        Ok(Task::Look) => look(init),
        Ok(Task::Lost) => {
            look(init);
            action::end(init, Action::PowerOff);
        }
        Err(why) => console::print(&format!("crashdrill: {why}")),
    }
}

/// In the first kernel, when the distribution has tried to arm kdump: says how that went, and
/// crashes if it went well.
fn crash(init: &mut Init, service: &Service, cpu: u32, token: &str, drivers: &[String]) {
    settle(init);
    init.report(&system::started(Role::First));
    for driver in drivers {
        let status = child::run(&mut init.memory, &["modprobe".into(), driver.clone()], &[]);
        init.report(&Report::Module {
            driver: driver.clone(),
            module: driver.clone(),
            error: (!status.success()).then(|| format!("modprobe {status}")),
        });
        interrupts::report(init, driver);
    }
    if let Service::Restarted(unit) = service {
        // How it ends is asked below.
        child::run(
            &mut init.memory,
            &["systemctl".into(), "restart".into(), unit.clone()],
            &[],
        );
    }
    let loaded = system::line("/sys/kernel/kexec_crash_loaded") == "1";
    let status = service_status(service.unit());
    init.report(&Report::Armed { status, loaded });
    if loaded && let Err(failure) = first::crash(init, cpu, token) {
        init.failed(&failure);
    }
    action::end(init, Action::PowerOff);
}

/// In the capture kernel: what udev has made of the devices.
fn look(init: &mut Init) {
    settle(init);
    init.report(&system::started(Role::Capture));
    interrupts::report(init, "end");
    irq_debugfs::report(init);
    pci::report(init);
}

fn settle(init: &mut Init) {
    child::run(
        &mut init.memory,
        &["udevadm".into(), "settle".into(), SETTLE.into()],
        &[],
    );
}

/// How the service that arms kdump ended. Without `--value`, which systemctl has since systemd 230:
/// RHEL 7 has 219.
fn service_status(unit: &str) -> Exit {
    let output = Command::new("systemctl")
        .args(["show", "--property=ExecMainStatus"])
        .arg(unit)
        .output();
    match output {
        Err(error) => Exit::NotRun(error.raw_os_error().unwrap_or(libc::EINVAL)),
        Ok(output) => main_status(&String::from_utf8_lossy(&output.stdout)),
    }
}

fn main_status(shown: &str) -> Exit {
    shown
        .trim()
        .strip_prefix("ExecMainStatus=")
        .and_then(|status| status.parse().ok())
        .map_or(Exit::NotRun(0), Exit::Code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows() {
        assert_eq!(main_status("ExecMainStatus=0\n"), Exit::Code(0));
        assert_eq!(main_status("ExecMainStatus=1\n"), Exit::Code(1));
        assert_eq!(main_status(""), Exit::NotRun(0));
        assert_eq!(main_status("ExecMainStatus=\n"), Exit::NotRun(0));
    }
}
