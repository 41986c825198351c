//! What a kernel can be asked for, by what it was built with.

use std::fmt;

use super::config::{KernelConfig, Setting};

/// Something that a drill needs of both its kernels, which are one and the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// Symbols without `CONFIG_`, one of which has to be built in: a module cannot be loaded yet
    /// when it is needed.
    pub symbols: &'static [&'static str],
    /// The first version that has the symbol. Older ones have always what it stands for.
    pub since: Version,
    /// Which drills need it.
    pub by: By,
    /// What becomes of a drill without it.
    pub without: &'static str,
    /// Where the kernel's source has it; if it has moved since, where 3.10 has it.
    pub source: &'static str,
}

/// Major and minor number of a kernel's version.
pub type Version = (u32, u32);

/// Which drills need something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// All.
    All,
    /// Those that load modules.
    Modules,
    /// Those with scripts of the user's.
    Scripts,
    /// Those whose dump goes over the network.
    Network,
}

/// What a drill does beyond what all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Does {
    /// Loads modules.
    pub modules: bool,
    /// Runs scripts of the user's.
    pub scripts: bool,
    /// Sends the dump over the network.
    pub network: bool,
}

impl Does {
    /// Whatever a drill can do.
    pub const EVERYTHING: Self = Self {
        modules: true,
        scripts: true,
        network: true,
    };

    fn needs(self, by: By) -> bool {
        match by {
            By::All => true,
            By::Modules => self.modules,
            By::Scripts => self.scripts,
            By::Network => self.network,
        }
    }
}

/// Any version that boots here.
const ALWAYS: Version = (2, 6);

const fn all(
    symbols: &'static [&'static str],
    without: &'static str,
    source: &'static str,
) -> Need {
    Need {
        symbols,
        since: ALWAYS,
        by: By::All,
        without,
        source,
    }
}

/// Drivers and file systems are not among them: the image's list of modules has those, built in or
/// not.
pub const NEEDS: [Need; 21] = [
    all(
        &["X86_64"],
        "the programs of the initramfs, which are 64-bit ones, do not run",
        "arch/x86/Kconfig",
    ),
    all(
        &["RELOCATABLE"],
        "the capture kernel runs only at the address that it was built for, where the first kernel is",
        "arch/x86/Kconfig",
    ),
    all(
        &["BLK_DEV_INITRD"],
        "the initramfs is not unpacked",
        "init/Kconfig",
    ),
    all(
        &["BINFMT_ELF"],
        "no program runs, /init included",
        "fs/Kconfig.binfmt",
    ),
    all(&["PRINTK"], "the console stays empty", "init/Kconfig"),
    all(
        &["SERIAL_8250"],
        "there is no serial console to watch",
        "drivers/tty/serial/8250/Kconfig",
    ),
    all(
        &["SERIAL_8250_CONSOLE"],
        "there is no serial console to watch",
        "drivers/tty/serial/8250/Kconfig",
    ),
    all(&["PROC_FS"], "/proc is not there", "fs/proc/Kconfig"),
    all(&["SYSFS"], "/sys is not there", "fs/sysfs/Kconfig"),
    all(&["DEVTMPFS"], "/dev has no devices", "drivers/base/Kconfig"),
    all(&["TMPFS"], "/run and /tmp cannot be mounted", "fs/Kconfig"),
    all(
        &["PCI"],
        "the machine's devices are not seen",
        "arch/x86/Kconfig",
    ),
    all(
        &["PCI_MSI"],
        "no device has MSI-X vectors: all share the interrupt lines",
        "drivers/pci/Kconfig",
    ),
    Need {
        // Before, ioperm(2) was always there.
        since: (5, 5),
        ..all(
            &["X86_IOPL_IOPERM", "DEVPORT"],
            "/init cannot report: neither ioperm(2) nor /dev/port is there",
            "arch/x86/Kconfig, drivers/char/Kconfig",
        )
    },
    all(
        &["MAGIC_SYSRQ"],
        "/proc/sysrq-trigger, which crashes the first kernel, is not there",
        "lib/Kconfig.debug",
    ),
    all(
        &["KEXEC"],
        "kdump cannot be armed: kexec_load(2) is not there",
        "arch/x86/Kconfig",
    ),
    all(
        &["CRASH_DUMP"],
        "the capture kernel does not know elfcorehdr=",
        "arch/x86/Kconfig",
    ),
    all(
        &["PROC_VMCORE"],
        "the capture kernel has no /proc/vmcore",
        "fs/proc/Kconfig",
    ),
    Need {
        by: By::Modules,
        ..all(
            &["MODULES"],
            "the drivers that are modules cannot be loaded",
            "init/Kconfig",
        )
    },
    Need {
        since: (3, 10),
        by: By::Scripts,
        ..all(
            &["BINFMT_SCRIPT"],
            "the scripts of kdump.conf do not run",
            "fs/Kconfig.binfmt",
        )
    },
    Need {
        by: By::Network,
        ..all(&["INET"], "there is no TCP/IP", "net/Kconfig")
    },
];

/// What a kernel lacks for a drill, as far as is known. `release` is what `uname -r` says.
pub fn lacking(config: &KernelConfig, release: &str, does: Does) -> Vec<&'static Need> {
    let version = version(release);
    NEEDS
        .iter()
        .filter(|need| does.needs(need.by))
        .filter(|need| version.is_none_or(|version| version >= need.since))
        .filter(|need| {
            // Unknown is not lacking.
            let without =
                |symbol: &&str| matches!(config.setting(symbol), Setting::No | Setting::Module);
            need.symbols.iter().all(without)
        })
        .collect()
}

/// Whether a kernel knows `crashkernel=auto`: a patch of RHEL 6 to 8 that no other kernel has but
/// some of Oracle's. RHEL 6 and 7 are built with CONFIG_KEXEC_AUTO_RESERVE for it; of RHEL 8 the
/// release tells, and the patch that was offered upstream in 2021 has CONFIG_CRASH_AUTO_STR.
pub fn knows_auto(config: &KernelConfig, release: &str) -> bool {
    let set = |symbol| config.setting(symbol);
    match (set("KEXEC_AUTO_RESERVE"), set("CRASH_AUTO_STR")) {
        (Setting::Yes, _) | (_, Setting::Yes) => true,
        (Setting::Unknown, _) => ["el6", "el7", "el8"].iter().any(|el| is_of(release, el)),
        _ => is_of(release, "el8"),
    }
}

/// `4.18.0-553.el8_10.x86_64` is of el8; elrepo.org's `5.4.278-1.el8.elrepo.x86_64` is not, being
/// upstream's kernel.
fn is_of(release: &str, el: &str) -> bool {
    let mut parts = release.split('.');
    let minor = |rest: &str| rest.is_empty() || rest.starts_with('_');
    let is_el = parts.any(|part| part.strip_prefix(el).is_some_and(minor));
    is_el && parts.all(|part| part != "elrepo")
}

/// `3.10.0-693.el7.x86_64` is (3, 10).
fn version(release: &str) -> Option<Version> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, symbol) in self.symbols.iter().enumerate() {
            let or = if nth == 0 { "" } else { " or " };
            write!(f, "{or}CONFIG_{symbol}=y")?;
        }
        write!(f, " ({}): {}", self.source, self.without)
    }
}

#[cfg(test)]
mod tests;
