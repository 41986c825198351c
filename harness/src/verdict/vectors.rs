//! The capture kernel's interrupt vectors in an outcome: the plan beside what was measured.

use std::collections::BTreeSet;

use crashdrill_guest::report::{Report, Role as Kernel};

use super::crosscheck::disagreements;
use super::evidence::Evidence;
use super::outcome::{Function, Phase, Refused, Vectors};
use crate::census::{self, Address};
use crate::vectors::{Forecast, Got, Prediction};

/// `devices` are those of [`devices`].
pub(super) fn vectors(evidence: &Evidence, devices: &[Function]) -> Option<Vectors> {
    let reports = evidence.capture_reports();
    let capture_cpus = reports.iter().find_map(|report| match report {
        Report::Started {
            role: Kernel::Capture,
            cpus,
            ..
        } => Some(*cpus),
        _ => None,
    })?;
    let allocated = reports.iter().find_map(|report| match report {
        Report::Interrupts { after, msi, .. } if after == "end" => Some(*msi),
        _ => None,
    });
    let used = evidence.census().map_or_else(Vec::new, |census| {
        let vectors = census.vectors();
        let on = |cpu| vectors.get(&cpu).map_or(0, BTreeSet::len);
        // One beyond those that are online has been left by the first kernel.
        let last = vectors.keys().next_back();
        let cpus = last.map_or(1, |last| u32::from(*last) + 1);
        let cpus = u8::try_from(cpus.max(capture_cpus)).unwrap_or(u8::MAX);
        let mut used: Vec<u32> = (0..cpus).map(|cpu| on(cpu) as u32).collect();
        // Which CPU takes an odd one is a matter of timing where drivers load side by side.
        used.sort_unstable_by_key(|used| std::cmp::Reverse(*used));
        used
    });
    let forecast = forecast(evidence);
    (allocated.is_some() || !used.is_empty()).then(|| Vectors {
        capture_cpus,
        available: forecast.map(|forecast| forecast.available),
        planned: forecast.map(|forecast| forecast.demand),
        allocated,
        used,
        first_refused: forecast.and_then(|forecast| first_refused(forecast, devices)),
        disagreements: disagreements(evidence),
    })
}

fn forecast(evidence: &Evidence) -> Option<&Prediction> {
    evidence.expectations.as_ref()?.forecast.as_ref()
}

/// Messages that a device's driver wants: an interrupt line is none.
fn wanted(device: &Forecast) -> u32 {
    match device.got {
        Got::All => device.granted,
        Got::KeptOut(_) | Got::NoDriver => 0,
        _ => device.asked,
    }
}

/// In the order in which their drivers ask.
fn first_refused(forecast: &Prediction, devices: &[Function]) -> Option<Refused> {
    forecast.devices.iter().find_map(|planned| {
        let measured = devices.iter().find(|device| device.slot == planned.slot)?;
        let short = u32::from(measured.granted) < wanted(planned);
        short.then(|| Refused {
            slot: planned.slot.clone(),
            device: planned.device.to_owned(),
            phase: match planned.driver {
                Some(_) => Phase::CaptureDrivers,
                // It is part of the kernel.
                None => Phase::CaptureKernel,
            },
        })
    })
}

/// PCI functions that could hold vectors, as the kernel lists them or, if it died before, as they
/// were counted.
pub(super) fn devices(evidence: &Evidence) -> Vec<Function> {
    let names = evidence
        .expectations
        .as_ref()
        .map(|expected| &expected.devices);
    let name = |slot: &str| names.and_then(|names| names.get(slot)).cloned();
    let census = evidence.census();
    let mut devices: Vec<Function> = evidence
        .capture_reports()
        .iter()
        .filter_map(|report| match report {
            Report::Function {
                address,
                id,
                table,
                granted,
                driver,
            } => {
                // There is only one PCI domain; lspci leaves it out too.
                let slot = address.strip_prefix("0000:").unwrap_or(address);
                let counted = census.and_then(|census| {
                    let mut functions = census.functions.iter();
                    let (_, function) = functions.find(|(at, _)| at.to_string() == slot)?;
                    Some(held(function)).filter(|held| held != granted)
                });
                Some(Function {
                    slot: slot.to_owned(),
                    device: name(slot).unwrap_or_else(|| id.clone()),
                    table: *table,
                    asked: None,
                    planned: None,
                    granted: *granted,
                    counted,
                    fell_back: false,
                    driver: driver.clone(),
                })
            }
            _ => None,
        })
        .collect();
    if let (true, Some(census)) = (devices.is_empty(), census) {
        devices = census.functions.iter().filter_map(counted(&name)).collect();
    }
    for device in &mut devices {
        let planned = forecast(evidence).into_iter().flat_map(|it| &it.devices);
        if let Some(planned) = planned.into_iter().find(|it| it.slot == device.slot) {
            let wanted = wanted(planned);
            device.asked = Some(wanted);
            device.planned = Some(planned.granted);
            device.fell_back = device.driver.is_some() && u32::from(device.granted) < wanted;
        }
    }
    devices.sort_by(|a, b| a.slot.cmp(&b.slot));
    devices
}

/// What a kernel that died before it could list its devices has left in one of them.
fn counted(
    name: &impl Fn(&str) -> Option<String>,
) -> impl Fn((&Address, &census::Function)) -> Option<Function> {
    |(address, function)| {
        let config = &function.config;
        if config.msi.is_none() && config.msix.is_none() {
            return None;
        }
        let slot = address.to_string();
        let id = || format!("{:04x}:{:04x}", config.vendor, config.device);
        Some(Function {
            device: name(&slot).unwrap_or_else(id),
            table: config.msix.map_or(0, |msix| msix.size),
            asked: None,
            planned: None,
            granted: held(function),
            counted: None,
            fell_back: false,
            driver: None,
            slot,
        })
    }
}

fn held(function: &census::Function) -> u16 {
    u16::try_from(function.held().len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::census::{Census, Config, Entry, Function as Counted, Message, Moment, MsiX};
    use crate::scenario::model::Chipset;
    use crate::units::Slot;
    use crate::vectors::Routing;
    use crate::verdict::{Counted as At, Dump, End, Expectations, Recorder, RuleBook};

    fn forecast(slot: &str, asked: u32, granted: u32, got: Got) -> Forecast {
        Forecast {
            slot: slot.to_owned(),
            device: "nvme",
            driver: Some("nvme"),
            table: 4,
            asked,
            granted,
            taken: granted,
            got,
        }
    }

    fn started() -> Report {
        Report::Started {
            role: Kernel::Capture,
            release: "6.1".to_owned(),
            cpus: 1,
            uptime_ms: 0,
            memory: 0,
        }
    }

    fn listed(slot: &str, granted: u16, driver: Option<&str>) -> Report {
        Report::Function {
            address: format!("0000:{slot}"),
            id: "1b36:0010".to_owned(),
            table: 4,
            granted,
            driver: driver.map(str::to_owned),
        }
    }

    /// A function that may send so many messages to CPU 0.
    fn counted(messages: u32) -> Counted {
        let entry = |vector| Entry {
            message: Message {
                address: 0xfee0_0000,
                data: vector,
            },
            masked: false,
        };
        Counted {
            config: Config {
                vendor: 0x1b36,
                device: 0x10,
                pin: None,
                pin_enabled: false,
                msi: None,
                msix: Some(MsiX {
                    enabled: true,
                    masked: false,
                    size: 4,
                    table: None,
                }),
            },
            entries: (0x31..0x31 + messages).map(entry).collect(),
        }
    }

    fn evidence(reports: Vec<Report>, devices: &[(u8, u32)]) -> Evidence {
        let mut recorder = Recorder::new(RuleBook::builtin());
        reports
            .into_iter()
            .for_each(|report| recorder.report(report));
        let functions = devices.iter().map(|(device, messages)| {
            let slot = Slot {
                device: *device,
                function: 0,
            };
            (Address { bus: 0, slot }, counted(*messages))
        });
        let census = Census {
            chipset: Chipset::Q35,
            functions: functions.collect(),
            lines: BTreeMap::new(),
        };
        let forecast = Prediction {
            cpus: 1,
            possible_cpus: 1,
            routing: Routing::PerCpu,
            available: 195,
            demand: 6,
            taken: 4,
            devices: vec![
                forecast("00:05.0", 2, 2, Got::All),
                forecast("00:04.0", 4, 2, Got::Fewer),
            ],
            needed_cpus: Some(2),
        };
        let expectations = Expectations {
            forecast: Some(forecast),
            ..Expectations::default()
        };
        let counted = At {
            moment: Moment::Dead,
            census,
        };
        recorder.finish(End::Panicked, Dump::None, vec![counted], expectations)
    }

    #[test]
    fn plan_and_measurement_side_by_side() {
        let evidence = evidence(
            vec![
                started(),
                listed("00:04.0", 2, Some("nvme")),
                listed("00:05.0", 2, Some("nvme")),
            ],
            &[(4, 2), (5, 1)],
        );
        let devices = devices(&evidence);
        let seen: Vec<_> = devices
            .iter()
            .map(|device| {
                (
                    device.asked,
                    device.planned,
                    device.granted,
                    device.fell_back,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [(Some(4), Some(2), 2, true), (Some(2), Some(2), 2, false)]
        );
        // The kernel says two, the device may send one: both are shown.
        assert_eq!((devices[0].counted, devices[1].counted), (None, Some(1)));
        let vectors = vectors(&evidence, &devices).unwrap();
        assert_eq!((vectors.available, vectors.planned), (Some(195), Some(6)));
        // On the same vectors, which count once.
        assert_eq!(vectors.used, [2]);
        assert_eq!(vectors.first_refused.unwrap().slot, "00:04.0");
    }

    #[test]
    fn a_kernel_that_died_before_it_could_tell() {
        let evidence = evidence(vec![started()], &[(4, 4), (5, 0)]);
        let devices = devices(&evidence);
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[1].granted, devices[1].driver.clone()), (0, None));
        let vectors = vectors(&evidence, &devices).unwrap();
        assert_eq!(vectors.allocated, None);
        assert_eq!(vectors.in_use(), 4);
        assert_eq!(vectors.first_refused.unwrap().slot, "00:05.0");
    }
}
