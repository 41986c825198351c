//! What a device says that it is: who may be given ids, a class, regions and ports, and which.

use super::check::DeviceFacts;
use super::model::Device;
use crate::pci::{Id, Region, table_region};

/// Which ids a device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Its own: it is QEMU's.
    Own,
    /// One of these.
    OneOf(&'static [Id]),
    /// Any, and any class and regions with them: nothing answers in it.
    Any,
}

/// A key of a device's line that does not fit the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Everything that is wrong with what a device says that it is. `name` is what scenarios call it.
pub fn faults(device: &Device, name: &str, facts: &DeviceFacts) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |key, message: String, help: String| {
        faults.push(Fault { key, message, help });
    };
    let of_models = [
        ("id", device.id.is_some()),
        ("subsystem", device.subsystem.is_some()),
        ("rev", device.rev.is_some()),
    ];
    let of_generic = [
        ("class", device.class.is_some()),
        ("bars", device.bars.is_some()),
        ("msi", device.msi),
    ];
    let what = |key| match key {
        "id" => "ids",
        "subsystem" => "subsystem ids",
        "rev" => "revision",
        "bars" => "BARs",
        "msi" => "MSI capability",
        _ => "class",
    };
    let stated = |keys: [(&'static str, bool); 3]| keys.into_iter().filter(|(_, stated)| *stated);
    match facts.ids {
        Ids::Own => {
            for (key, _) in stated(of_models).chain(stated(of_generic)) {
                fault(
                    key,
                    format!("{name} is QEMU's, with its own {}", what(key)),
                    format!(
                        "remove `{key}`; `generic` shows what lspci shows, but nothing answers in it"
                    ),
                );
            }
        }
        Ids::OneOf(ids) => {
            if let Some(id) = device.id
                && !ids.contains(&id)
            {
                let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
                fault(
                    "id",
                    format!("{id} is none of the devices that {name} models"),
                    format!(
                        "one of {}; or `generic`, which shows any id, but nothing answers in it",
                        ids.join(", ")
                    ),
                );
            }
            for (key, _) in stated(of_generic) {
                fault(
                    key,
                    format!("the {} of {name} cannot be chosen", what(key)),
                    format!("remove `{key}`; only `generic` has it"),
                );
            }
        }
        Ids::Any => {
            if let Some(class) = device.class
                && class.is_pci_bridge()
            {
                fault(
                    "class",
                    format!(
                        "{name} is no bridge, and the kernel ignores one without a bridge's header"
                    ),
                    "`pcie-root-port` is a bridge".to_owned(),
                );
            }
            if let Some(bars) = &device.bars {
                room(bars, device, &mut fault);
            }
        }
    }
    if device.ports.is_some() && !facts.ports {
        fault(
            "ports",
            format!("{name} is one function, whatever it is connected to"),
            "remove `ports`; `count` makes several devices".to_owned(),
        );
    }
    faults
}

fn room(bars: &[Region], device: &Device, fault: &mut impl FnMut(&'static str, String, String)) {
    let registers: usize = bars.iter().map(|bar| bar.registers()).sum();
    if registers > Region::REGISTERS {
        fault(
            "bars",
            format!(
                "these take {registers} registers, and a function has {}",
                Region::REGISTERS
            ),
            "64-bit ones take two".to_owned(),
        );
    }
    if let Some(entries) = device.msix.map(|size| size.get())
        && table_region(bars, entries).is_none()
    {
        let least = Region::memory(u64::from(entries) * 32);
        fault(
            "bars",
            format!("none has room for an MSI-X table of {entries} entries and its pending bits"),
            format!("one of memory of {least} or more holds both"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check::TableRule;
    use crate::scenario::model::DeviceKind;
    use crate::units::TableSize;

    const X710: Id = Id::new(0x8086, 0x1572);

    fn facts(ids: Ids, ports: bool) -> DeviceFacts {
        DeviceFacts {
            table: TableRule::None,
            disk: false,
            network: false,
            ids,
            ports,
        }
    }

    /// What is wrong with everything stated that can be.
    fn wrong(ids: Ids, ports: bool) -> Vec<&'static str> {
        let device = Device {
            id: Some(X710),
            subsystem: Some(X710),
            class: "0200".parse().ok(),
            rev: "02".parse().ok(),
            bars: Some(vec![Region::memory(0)]),
            msi: true,
            ports: Some(crate::pci::Ports::ONE),
            ..Device::new(DeviceKind::Nvme)
        };
        let faults = faults(&device, "it", &facts(ids, ports));
        faults.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn who_takes_what() {
        let all = ["id", "subsystem", "rev", "class", "bars", "msi", "ports"];
        assert_eq!(wrong(Ids::Own, false), all);
        assert_eq!(wrong(Ids::OneOf(&[X710]), true), ["class", "bars", "msi"]);
        assert_eq!(wrong(Ids::OneOf(&[]), true)[0], "id");
        assert_eq!(wrong(Ids::Any, false), ["ports"]);
    }

    #[test]
    fn regions_fit_the_registers_and_hold_the_table() {
        let wide: Region = "64K 64-bit".parse().unwrap();
        let generic = |bars: Vec<Region>, entries| {
            let device = Device {
                bars: Some(bars),
                msix: TableSize::new(entries),
                ..Device::new(DeviceKind::Generic)
            };
            let faults = faults(&device, "generic", &facts(Ids::Any, false));
            faults
                .into_iter()
                .map(|fault| fault.help)
                .collect::<Vec<_>>()
        };
        assert_eq!(generic(vec![wide; 3], 2048), Vec::<String>::new());
        assert_eq!(generic(vec![wide; 4], 1), ["64-bit ones take two"]);
        assert_eq!(
            generic(vec![Region::memory(0)], 256),
            ["one of memory of 8K or more holds both"]
        );
        assert_eq!(generic(vec![], 0), Vec::<String>::new());
    }
}
