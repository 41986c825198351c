//! What differs from a customer's machine, for the outcome.

use crashdrill_guest::order::collector;
use crashdrill_guest::order::{CaptureOrder, FailureAction, Script, Target};

use super::{Stage, SystemCalls};
use crate::device::{generic, i40e, mpt3sas};
use crate::image::{CaptureKernel, Image};
use crate::kdump::commandline;
use crate::machine::MachinePlan;
use crate::machine::catalogue::entry;
use crate::scenario::model::{Chipset, DeviceKind, LoadOrder};

/// `drivers` is what came of the order.
pub(super) fn load_order(order: LoadOrder, drivers: &[String]) -> String {
    let drivers = drivers.join(", ");
    let order = match order {
        LoadOrder::Explicit => "in the order of the scenario".to_owned(),
        LoadOrder::Pci => format!(
            "by the PCI addresses of their devices, where udev loads several at once: {drivers}"
        ),
        LoadOrder::Shuffled(seed) => format!("as seed {seed} shuffles them: {drivers}"),
    };
    format!(
        "the capture initramfs is crashdrill's own, not dracut's: no udev, drivers load one after \
         the other {order}"
    )
}

pub(super) fn notes(
    image: &Image,
    machine: &MachinePlan,
    (capture, commandline): (&Stage<CaptureOrder>, &str),
    system_calls: SystemCalls,
) -> Vec<String> {
    let order = &capture.order;
    let mut notes =
        vec!["the first kernel runs /init alone: no services, no load when it crashes".to_owned()];
    let without = |which: &str, last| {
        format!(
            "in {which} system calls above {last} are answered with ENOSYS, as an older kernel \
             would; nothing else of it is old"
        )
    };
    match (system_calls.first, system_calls.capture) {
        (Some(first), Some(capture)) if first == capture => {
            notes.push(without("both kernels", first));
        }
        (first, capture) => {
            notes.extend(first.map(|last| without("the first kernel", last)));
            notes.extend(capture.map(|last| without("the capture kernel", last)));
        }
    }
    let mut note = |text: &str| notes.push(text.to_owned());
    match order.script {
        Script::Rhel6 => note("RHEL 6's /init checks the target with fsck first; here it does not"),
        Script::Rhel7 => {}
        Script::Rhel8 | Script::Rhel9 | Script::Fedora => {
            note("where this kdump.sh prints `kdump[PID]: `, it is `kdump: ` here");
            note("kexec-dmesg.log holds the kernel's log alone: there is no journal");
        }
    }
    if matches!(order.target, Target::Raw { .. }) {
        note(
            "dd is busybox's, not coreutils'; what it says when it fails is printed, where \
             kdump.sh keeps it in a file",
        );
    }
    if order.target.network().is_some() {
        note(
            "the dump server is a second machine at the other end of a cable, running Debian 12's \
             services: no switch, no router, no name server in between",
        );
        note(
            "the network has a fixed address, where kdump takes the first kernel's or asks a DHCP \
             server; the wait for it, and for a mount, is `limits.target`",
        );
    }
    if matches!(order.target, Target::Nfs { .. }) {
        note("NFS is mounted without locks: no rpc.statd runs");
    }
    if matches!(order.target, Target::Ssh { .. }) {
        note("the key for ssh is crashdrill's own, at the path of the one that kdump.conf names");
        note(
            "the capture kernel is given randomness before ssh runs, where a real machine may have \
             to wait for it",
        );
    }
    if collector::has_threads(&order.collector_on(cpus(machine, commandline))) {
        note(
            "makedumpfile's threads find libgcc_s.so.1 preloaded, as RHEL's and Fedora's makedumpfile \
             has it by way of libsnappy; Debian's may abort without (libgcc_s.so.1 must be \
             installed for pthread_exit to work)",
        );
    }
    if order.script.is_kdump_sh() && !capture.programs.contains("vmcore-dmesg") {
        note("the image has no vmcore-dmesg, so that vmcore-dmesg.txt cannot be saved");
    }
    if matches!(order.failure_action, FailureAction::DumpToRootfs(_)) {
        note("the wait for the root file system is `limits.target`, not dracut's 90 seconds");
    }
    if let CaptureKernel::Unpacked(_) = image.kernel.capture {
        note("both kernels start uncompressed, without their decompressor: no KASLR in either");
    }
    if machine.chipset == Chipset::Pc {
        note("chipset pc: interrupt lines use preallocated ISA vectors, unlike on a server");
    }
    notes.extend(models(machine));
    notes
}

/// Which devices are models, a line a kind, and to what depth.
pub(in crate::run) fn models(machine: &MachinePlan) -> impl Iterator<Item = String> {
    let depths = [
        (DeviceKind::Generic, generic::FIDELITY),
        (DeviceKind::I40e, i40e::FIDELITY),
        (DeviceKind::Mpt3sas, mpt3sas::FIDELITY),
    ];
    let there = |kind| machine.functions.iter().any(|it| it.kind == kind);
    depths
        .into_iter()
        .filter(move |(kind, _)| there(*kind))
        .map(|(kind, depth)| {
            let name = entry(kind).name;
            format!("{name} is modelled by crashdrill: {depth}")
        })
}

/// CPUs of the capture kernel.
fn cpus(machine: &MachinePlan, commandline: &str) -> u32 {
    let limits = ["nr_cpus", "maxcpus"].into_iter().filter_map(|parameter| {
        let value = commandline::last_value(commandline, parameter)?;
        value.parse().ok()
    });
    let all = u32::from(machine.cpus.get());
    limits.fold(all, u32::min)
}
