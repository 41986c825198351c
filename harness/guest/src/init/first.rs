//! The first kernel: load drivers, arm kdump, crash.

use std::fs;

use crashdrill_guest::console::{
    KEXEC_FAILED, KEXEC_LOADED, NO_MEMORY_RESERVED, STARTING_FAILED, STARTING_OK,
};
use crashdrill_guest::order::{Action, FirstOrder};
use crashdrill_guest::report::{Exit, Report};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::{Context, Failure};
use crate::{Init, child, console, drivers, system};

/// Comes back only when the machine was not crashed, with what to do instead.
pub(crate) fn run(init: &mut Init, order: &FirstOrder) -> Action {
    drivers::load(init, &order.drivers);
    for message in &order.messages {
        console::print(message);
    }
    let armed = arm(init, &order.arm);
    if order.shell {
        child::shell(
            init,
            "first kernel; `echo c > /proc/sysrq-trigger` crashes it, `exit` powers off",
        );
        return Action::PowerOff;
    }
    if armed && let Err(failure) = crash(init, order.crash_cpu, &order.token) {
        init.failed(&failure);
    }
    Action::PowerOff
}

/// What kdumpctl does: looks for reserved memory, runs kexec, asks the kernel.
fn arm(init: &mut Init, kexec: &[String]) -> bool {
    let (status, loaded) = if system::line(system::CRASH_SIZE) == "0" {
        console::print(NO_MEMORY_RESERVED);
        (Exit::NotRun(0), false)
    } else {
        let status = child::run(&mut init.memory, kexec, &[]);
        let loaded = status.success() && system::line("/sys/kernel/kexec_crash_loaded") == "1";
        console::print(if loaded { KEXEC_LOADED } else { KEXEC_FAILED });
        (status, loaded)
    };
    console::print(if loaded { STARTING_OK } else { STARTING_FAILED });
    init.report(&Report::Armed { status, loaded });
    loaded
}

/// Comes back only with the reason why the machine still runs.
pub(crate) fn crash(init: &mut Init, cpu: u32, token: &str) -> Result<(), Failure> {
    // User facility, notice: the log keeps it, whatever the console shows. The kernel reads such
    // a prefix since Linux 3.5.
    fs::write("/dev/kmsg", format!("<13>crashdrill: drill {token}\n"))
        .context(|| "write the token to /dev/kmsg".to_owned())?;
    let mut cpus = CpuSet::new();
    cpus.set(usize::try_from(cpu).unwrap_or(usize::MAX))
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpus))
        .map_err(|_| {
            let online = system::line("/sys/devices/system/cpu/online");
            Failure::new(
                format!("crash on CPU {cpu}"),
                format!("no such CPU; online: {online}"),
            )
        })?;
    fs::write("/proc/sys/kernel/sysrq", "1").context(|| "enable sysrq".to_owned())?;
    init.report(&Report::Crashing { cpu });
    console::drain();
    fs::write("/proc/sysrq-trigger", "c").context(|| "write to /proc/sysrq-trigger".to_owned())?;
    Err(Failure::new("crash", "the kernel survived sysrq-c"))
}
