//! What the files do not have.

use crate::import::facts::{Capabilities, Facts, Note};

/// What somebody has to ask the customer for.
pub(super) fn missing(facts: &mut Facts) {
    let mut say = |text: &str| {
        facts.notes.push(Note {
            source: None,
            text: text.to_owned(),
        });
    };
    if facts.functions.is_empty() {
        say("no PCI devices: the output of `lspci -nnvv`, run by root, is missing");
    } else if !facts
        .functions
        .values()
        .any(|function| function.capabilities == Capabilities::Shown)
    {
        say("no MSI-X tables: the output of `lspci -nnvv`, run by root, is missing");
    }
    if facts.kernel.is_none() {
        say("no kernel: the output of `uname -a` is missing");
    }
    if facts.command_line.is_none() {
        say("no command line of the first kernel: /proc/cmdline is missing");
    }
    if facts.memory.is_none() {
        say("no size of the memory: /proc/meminfo is missing");
    }
    if facts.cpus.online.is_none() {
        say("no number of CPUs: /proc/cpuinfo is missing");
    }
    if facts.routing.is_none() {
        say(
            "no APIC routing: the kernel's log since the boot, /var/log/dmesg or `journalctl -k -b`, is missing",
        );
    }
    let kdump = &facts.kdump;
    if kdump.conf.is_none() && kdump.sysconfig.is_none() && kdump.kdump_tools.is_none() {
        say(
            "no kdump configuration: /etc/kdump.conf and /etc/sysconfig/kdump, or /etc/default/kdump-tools, are missing",
        );
    }
}
