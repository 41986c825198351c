//! Drivers into the kernel, in the order's order.

use std::ffi::CString;
use std::fs::{self, File};

use crashdrill_guest::order::{Driver, Module};
use crashdrill_guest::report::Report;
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module, init_module};

use crate::error::errno_name;
use crate::{Init, interrupts};

/// Loads every driver that is not kept out. A module that fails does not keep the next one from
/// being tried: modprobe's caller, udev, would not either.
pub(crate) fn load(init: &mut Init, drivers: &[Driver]) {
    for driver in drivers {
        if let Some(by) = &driver.kept_out_by {
            init.report(&Report::KeptOut {
                driver: driver.name.clone(),
                by: by.clone(),
            });
            continue;
        }
        load_modules(init, &driver.name, &driver.modules);
        interrupts::report(init, &driver.name);
    }
}

pub(crate) fn load_modules(init: &mut Init, driver: &str, modules: &[Module]) {
    for module in modules {
        let error = match insert(module) {
            Ok(()) | Err(Errno::EEXIST) => None,
            Err(errno) => Some(errno_name(errno)),
        };
        init.report(&Report::Module {
            driver: driver.to_owned(),
            module: module.name.clone(),
            error,
        });
    }
}

/// finit_module(2) came with Linux 3.8. Any other answer of it is final: init_module(2) is not there
/// to get past a signature check or a security module, which judge by the file.
fn insert(module: &Module) -> nix::Result<()> {
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let parameters = CString::new(module.parameters.as_str()).map_err(|_| Errno::EINVAL)?;
    let file = File::open(&module.path).map_err(errno)?;
    // No flags: 3.10 has two, for modules of other kernels.
    match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
        Err(Errno::ENOSYS) => init_module(&fs::read(&module.path).map_err(errno)?, &parameters),
        result => result,
    }
}
