//! A customer's machine made to fit this host, so that what decides over kdump stays as it is.

use std::num::NonZeroU16;

use super::facts::{Facts, Part, Reservation, Routing};
use super::{Host, ImportError};
use crate::kdump::commandline::last_value;
use crate::kdump::crashkernel::{Crashkernel, Reserved};
use crate::kdump::flavour::Flavour;
use crate::kdump::reservation::reservation;
use crate::scenario::model::Apic;
use crate::units::{Bytes, Cpus};
use crate::vectors::Kernel;

/// A value for the drill, and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen<T> {
    pub(super) value: T,
    /// Sentences for a comment above the key.
    pub(super) comment: Vec<String>,
    /// What it loses, for the outcome.
    pub(super) lost: Option<String>,
}

impl<T> Chosen<T> {
    fn as_it_is(value: T, comment: impl Into<String>) -> Self {
        Self {
            value,
            comment: vec![comment.into()],
            lost: None,
        }
    }
}

/// Below this the drill's own /init has no room beside the reservation.
const BESIDE: u64 = Bytes::GIB;
/// What a machine has whose files say nothing.
const UNKNOWN_MEMORY: u64 = 2 * Bytes::GIB;
/// More does nothing for a drill but take time.
const ENOUGH: u64 = 4 * Bytes::GIB;
/// So that a capture kernel with several CPUs can be tried, however small the host.
const USUAL_CPUS: u16 = 4;
/// A capture kernel without nr_cpus= counts all CPUs of the machine, which are started one by one.
const MOST_CPUS: u16 = 16;

/// What `crashkernel=` reserves.
pub(super) fn crashkernel(facts: &Facts, flavour: Flavour) -> Chosen<Crashkernel> {
    let line = facts.command_line.as_ref().map(|line| line.value.as_str());
    let Some(line) = line else {
        return from_the_log(facts).unwrap_or_else(|| {
            Chosen::as_it_is(
                Crashkernel::Simple {
                    size: Bytes(256 * Bytes::MIB),
                    offset: None,
                },
                "the files do not say what crashkernel= was: a usual size",
            )
        });
    };
    let memory = facts.memory.as_ref().map(|memory| memory.value);
    let found = reservation(line, memory, flavour);
    let decides = found.decides.and_then(|nth| found.parameters.get(nth));
    let Some(value) = decides.and_then(|it| it.value.as_ref().ok()) else {
        let comment = match found.parameters.is_empty() {
            true => "the first kernel had no crashkernel=",
            false => "the kernel understood none of its crashkernel=",
        };
        return Chosen::as_it_is(Crashkernel::None, comment);
    };
    let own = match value {
        // `,low` is a parameter of its own.
        Crashkernel::High { size, low: None } => {
            let low = found
                .parameters
                .iter()
                .filter_map(|it| it.value.as_ref().ok());
            let mut low = low.filter_map(|value| match value {
                Crashkernel::High {
                    size: Bytes(0),
                    low,
                } => *low,
                _ => None,
            });
            Crashkernel::High {
                size: *size,
                low: low.next_back(),
            }
        }
        value => value.clone(),
    };
    match own {
        Crashkernel::Auto | Crashkernel::Ranges { .. } => {}
        own => return Chosen::as_it_is(own, "as on their command line"),
    }
    let text = own.to_string();
    if let Some(chosen) = from_the_log(facts) {
        let said =
            format!("crashkernel={text}, of which their kernel's log shows what it reserved");
        return Chosen {
            comment: vec![said],
            ..chosen
        };
    }
    let of = memory.map_or_else(|| "its memory".to_owned(), about);
    match found.reserved {
        Some(Reserved::Bytes(size)) => Chosen::as_it_is(
            Crashkernel::Simple { size, offset: None },
            format!("crashkernel={text}: what their kernel reserves of {of}"),
        ),
        Some(Reserved::Nothing) => Chosen::as_it_is(
            Crashkernel::None,
            format!("crashkernel={text}: their kernel reserves nothing of {of}"),
        ),
        _ => Chosen {
            value: own,
            comment: vec![format!(
                "crashkernel={text}: the files do not say how much memory it was a part of"
            )],
            lost: Some("how much crashkernel= reserved is not known".to_owned()),
        },
    }
}

/// As the kernel itself said.
fn from_the_log(facts: &Facts) -> Option<Chosen<Crashkernel>> {
    let part = |wanted: Part| {
        let all = facts.reservations.iter().map(|it| &it.value);
        all.filter_map(move |it| match it {
            Reservation::Reserved { size, part, .. } if *part == wanted => Some(*size),
            _ => None,
        })
        .next_back()
    };
    let size = part(Part::Main)?;
    let value = match part(Part::Low) {
        Some(low) => Crashkernel::High {
            size,
            low: Some(low),
        },
        None => Crashkernel::Simple { size, offset: None },
    };
    Some(Chosen::as_it_is(
        value,
        "what their kernel's log shows that it reserved",
    ))
}

/// Memory of the machine, with room for the reservation.
///
/// # Errors
/// `--exact`, and the host has less; or the host has not even what the reservation needs.
pub(super) fn memory(
    facts: &Facts,
    crashkernel: &Crashkernel,
    host: Host,
    exact: bool,
) -> Result<Chosen<Bytes>, ImportError> {
    let reserved = match crashkernel {
        Crashkernel::Simple { size, offset } => {
            Bytes(size.0.saturating_add(offset.map_or(0, |offset| offset.0)))
        }
        Crashkernel::High { size, low } => Bytes(size.0.saturating_add(low.map_or(0, |low| low.0))),
        Crashkernel::None | Crashkernel::Auto | Crashkernel::Ranges { .. } => Bytes(0),
    };
    let least = reserved
        .0
        .saturating_add(BESIDE)
        .next_multiple_of(256 * Bytes::MIB);
    let theirs = facts.memory.as_ref().map(|memory| memory.value);
    let too_small = |needed| ImportError::Memory {
        needed,
        host: host.memory,
    };
    if exact {
        let theirs = theirs.ok_or(ImportError::Unknown("memory"))?;
        // QEMU's memory is in whole mebibytes.
        let theirs = Bytes(theirs.0.next_multiple_of(Bytes::MIB));
        return match theirs < host.memory {
            true => Ok(Chosen::as_it_is(theirs, "as theirs")),
            false => Err(too_small(theirs)),
        };
    }
    if least >= host.memory.0 {
        return Err(too_small(Bytes(least)));
    }
    let Some(theirs) = theirs else {
        return Ok(Chosen::as_it_is(
            Bytes(UNKNOWN_MEMORY.max(least)),
            "the files do not say how much memory there was",
        ));
    };
    let room = Bytes(host.memory.0 / 4).0.min(ENOUGH).max(least);
    let whole = theirs.0.next_multiple_of(256 * Bytes::MIB);
    if whole <= room {
        return Ok(Chosen::as_it_is(Bytes(whole.max(least)), "as theirs"));
    }
    let value = Bytes(room / (256 * Bytes::MIB) * (256 * Bytes::MIB));
    let about = about(theirs);
    Ok(Chosen {
        value,
        comment: vec![format!(
            "scaled down from {about}; the reservation is that of the whole"
        )],
        lost: Some(format!(
            "{value} of memory for {about}: a dump is smaller and takes less of the capture kernel's \
             memory and time"
        )),
    })
}

/// `124.6 GiB`.
fn about(bytes: Bytes) -> String {
    format!("{:.1} GiB", bytes.0 as f64 / Bytes::GIB as f64)
}

/// CPUs of the machine. `capture` is the capture kernel's command line.
///
/// # Errors
/// `--exact`, and the host has fewer; or nobody says how many there were.
pub(super) fn cpus(
    facts: &Facts,
    capture: &str,
    host: Host,
    exact: bool,
) -> Result<Chosen<Cpus>, ImportError> {
    let known = facts.cpus.online.as_ref().or(facts.cpus.possible.as_ref());
    let theirs = known.map(|cpus| cpus.value.max(1));
    let number = |cpus: u16| NonZeroU16::new(cpus).map_or(Cpus::ONE, Cpus);
    if exact {
        let theirs = theirs.ok_or(ImportError::Unknown("CPUs"))?;
        return match theirs <= host.cpus {
            true => Ok(Chosen::as_it_is(number(theirs), "as theirs")),
            false => Err(ImportError::Cpus {
                needed: theirs,
                host: host.cpus,
            }),
        };
    }
    let given = last_value(capture, "nr_cpus").and_then(|value| value.parse::<u16>().ok());
    let given = given.filter(|given| *given > 0);
    let Some(theirs) = theirs else {
        let cpus = given.unwrap_or(1).clamp(USUAL_CPUS, MOST_CPUS);
        return Ok(Chosen::as_it_is(
            number(cpus),
            "the files do not say how many there were",
        ));
    };
    // What the capture kernel counts with, whatever the host has.
    let counted = given.unwrap_or(theirs).min(theirs);
    let room = host.cpus.max(USUAL_CPUS).max(counted.min(MOST_CPUS));
    let value = theirs.min(room);
    if value == theirs {
        return Ok(Chosen::as_it_is(number(value), "as theirs"));
    }
    let lost = match counted > value {
        true => format!(
            "{value} CPUs for {theirs}, and the capture kernel counts all of them, as nr_cpus= does not \
             say how many: drivers ask for fewer vectors and per-CPU memory is smaller"
        ),
        false => format!("{value} CPUs for {theirs}; the capture kernel has as many as theirs"),
    };
    Ok(Chosen {
        value: number(value),
        comment: vec![match counted > value {
            true => format!("scaled down from {theirs}"),
            false => format!("scaled down from {theirs}; the capture kernel has {counted} in both"),
        }],
        lost: Some(lost),
    })
}

/// Routing of interrupts. `modelled`: the machine needs a QEMU that can do x2APIC everywhere.
pub(super) fn apic(facts: &Facts, kernel: Kernel, cpus: Cpus, modelled: bool) -> Chosen<Apic> {
    let Some(routing) = facts.routing.as_ref().map(|routing| routing.value) else {
        // From 4.15 on each CPU has vectors of its own whatever the routing.
        let matters = !kernel.is(4, 15);
        return Chosen {
            value: Apic::Auto,
            comment: vec!["the files do not show how interrupts were routed".to_owned()],
            lost: matters.then(|| {
                "interrupts are routed as the kernel chooses here: flat up to 8 CPUs, with which more \
                 CPUs are not more vectors before Linux 4.15"
                    .to_owned()
            }),
        };
    };
    match routing {
        Routing::Flat if cpus.get() <= 8 => Chosen::as_it_is(Apic::Flat, "as their log shows"),
        Routing::Flat => Chosen::as_it_is(Apic::Auto, "flat routing stops at 8 CPUs"),
        Routing::PhysicalFlat => Chosen::as_it_is(Apic::Physical, "as their log shows"),
        Routing::X2apicCluster | Routing::X2apicPhysical if modelled => {
            Chosen::as_it_is(Apic::X2apic, "as their log shows")
        }
        Routing::X2apicCluster | Routing::X2apicPhysical => Chosen {
            value: Apic::Physical,
            comment: vec![
                "x2APIC there, which QEMU before 9 lacks under TCG; each CPU has vectors of its own in \
                 both"
                    .to_owned(),
            ],
            lost: Some("physical flat APIC routing for x2APIC".to_owned()),
        },
    }
}
