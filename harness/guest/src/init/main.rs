//! /init of the first and of the capture kernel, and of the dump server: PID 1, static, without a
//! shell.
//!
//! A PID 1 that ends takes its kernel with it, and the panic would be mistaken for the kernel's
//! own. So nothing here panics: every failure is a [`Report::Failed`], a line on the console and
//! the final action.
//!
//! On a distribution's own disk the same program is no PID 1 but runs beside it: see [`agent`].

mod action;
mod agent;
mod capture;
mod child;
mod console;
mod drivers;
mod entropy;
mod error;
mod events;
mod first;
mod interrupts;
mod irq_debugfs;
mod memory;
mod network;
mod nfs;
mod pci;
mod port;
mod save;
mod server;
mod ssh;
mod superblock;
mod syscalls;
mod system;
mod target;

use crashdrill_guest::order::{Action, ORDER_PATH, Order};
use crashdrill_guest::report::{Report, Role};

use crate::error::{Context, Failure};
use crate::memory::Memory;
use crate::port::Port;

/// What every step of /init has at hand.
struct Init {
    port: Port,
    memory: Memory,
    /// RHEL 6's VMCORE, for the user's scripts.
    vmcore: Option<String>,
}

impl Init {
    fn new() -> Self {
        Self {
            port: Port::open(),
            memory: Memory::new(),
            vmcore: None,
        }
    }

    fn report(&mut self, report: &Report) {
        self.memory.sample();
        self.port.send(report);
    }

    fn failed(&mut self, failure: &Failure) {
        console::print(&format!("kdump: crashdrill: {failure}"));
        self.report(&Report::Failed {
            step: failure.step.clone(),
            error: failure.error.clone(),
        });
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::process::id() != 1 {
        agent::run(&mut Init::new(), &arguments);
        return;
    }
    // Only here for a defect in this program: without it, the abort would be a kernel panic.
    std::panic::set_hook(Box::new(|panic| {
        let mut init = Init::new();
        init.failed(&Failure::new("run /init", panic.to_string()));
        action::end(&mut init, Action::PowerOff);
    }));

    // Before anything else is done: all that follows is to get along without the calls that are
    // taken away.
    let system = system::mount_all().and_then(|()| syscalls::limit());
    let mut init = Init::new();
    if let Some(trouble) = init.port.trouble() {
        console::print(&format!("kdump: crashdrill: no report channel: {trouble}"));
    }
    let action = match system.and_then(|()| read_order()) {
        Ok(Order::First(order)) => {
            init.report(&system::started(Role::First));
            first::run(&mut init, &order)
        }
        Ok(Order::Capture(order)) => {
            init.report(&system::started(Role::Capture));
            capture::run(&mut init, &order)
        }
        Ok(Order::Server(order)) => {
            init.report(&system::started(Role::Server));
            server::run(&mut init, &order)
        }
        Err(failure) => {
            init.failed(&failure);
            Action::PowerOff
        }
    };
    action::end(&mut init, action);
}

fn read_order() -> Result<Order, Failure> {
    let text = std::fs::read(ORDER_PATH).context(|| format!("read {ORDER_PATH}"))?;
    Order::decode(&text).map_err(|error| Failure::new(format!("read {ORDER_PATH}"), error))
}
