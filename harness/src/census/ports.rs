//! The configuration space of a machine without PCI Express, read as its CPU would: through the two
//! ports of configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2).

use serde_json::Value;

use super::monitor::{CensusError, ask, not_understood};
use super::{Address, CONFIG_SIZE};
use crate::machine::Qmp;
use crate::units::Slot;

/// Names a register.
const CONFIG_ADDRESS: u16 = 0xcf8;
/// Is that register.
const CONFIG_DATA: u16 = 0xcfc;
/// The header, which says whether anything follows.
const HEADER: usize = 0x40;
/// The status register's low byte, and its bit that says so.
const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u8 = 1 << 4;

/// Reads these functions' registers. The address port is put back as it was: the guest may have
/// been stopped between its two steps.
pub(super) async fn spaces(
    qmp: &mut Qmp,
    addresses: &[Address],
) -> Result<Vec<[u8; CONFIG_SIZE]>, CensusError> {
    let [before] = execute(qmp, vec![read(CONFIG_ADDRESS)]).await?[..] else {
        return Err(not_understood("i"));
    };
    let read = registers(qmp, addresses).await;
    execute(qmp, vec![write(CONFIG_ADDRESS, before)]).await?;
    read
}

/// Each takes two commands, so what follows a header is read of those alone that have it.
async fn registers(
    qmp: &mut Qmp,
    addresses: &[Address],
) -> Result<Vec<[u8; CONFIG_SIZE]>, CensusError> {
    let mut spaces = vec![[0; CONFIG_SIZE]; addresses.len()];
    let mut all: Vec<_> = addresses.iter().zip(&mut spaces).collect();
    fill(qmp, &mut all, 0..HEADER).await?;
    all.retain(|(_, space)| space[STATUS] & STATUS_CAPABILITIES != 0);
    fill(qmp, &mut all, HEADER..CONFIG_SIZE).await?;
    Ok(spaces)
}

async fn fill(
    qmp: &mut Qmp,
    functions: &mut [(&Address, &mut [u8; CONFIG_SIZE])],
    part: std::ops::Range<usize>,
) -> Result<(), CensusError> {
    let offsets = || part.clone().step_by(4);
    let commands = functions.iter().flat_map(|(address, _)| {
        offsets().flat_map(|at| {
            let address = register(**address, at);
            [write(CONFIG_ADDRESS, address), read(CONFIG_DATA)]
        })
    });
    let mut values = execute(qmp, commands.collect()).await?.into_iter();
    for (_, space) in functions {
        for (place, value) in space[part.clone()].chunks_exact_mut(4).zip(&mut values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
    Ok(())
}

/// What the address port takes for a register at this offset.
fn register(Address { bus, slot }: Address, offset: usize) -> u32 {
    let Slot { device, function } = slot;
    let place = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
    // Offsets are below 256.
    1 << 31 | place | offset as u32 & 0xfc
}

/// Four bytes, which the monitor calls a word.
fn read(port: u16) -> String {
    format!("i /w {port:#x}")
}

fn write(port: u16, value: u32) -> String {
    format!("o /w {port:#x} {value:#x}")
}

/// Gives what was read, in the order of the commands.
async fn execute(qmp: &mut Qmp, commands: Vec<String>) -> Result<Vec<u32>, CensusError> {
    let reads = commands.iter().filter(|it| it.starts_with('i')).count();
    let answers = ask(qmp, commands).await?;
    let values: Vec<u32> = answers.iter().filter_map(value).collect();
    match values.len() == reads {
        true => Ok(values),
        false => Err(not_understood("i")),
    }
}

/// `portl[0x0cfc] = 0x12378086`; what was written gives no answer.
fn value(answer: &Value) -> Option<u32> {
    let (_, value) = answer.as_str()?.trim_end().rsplit_once(" = 0x")?;
    u32::from_str_radix(value, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_register() {
        let slot = Slot {
            device: 0x1f,
            function: 7,
        };
        assert_eq!(register(Address { bus: 1, slot }, 0x3c), 0x8001_ff3c);
        let slot = Slot {
            device: 1,
            function: 0,
        };
        assert_eq!(register(Address { bus: 0, slot }, 0), 0x8000_0800);
    }

    #[test]
    fn answers() {
        let value = |text: &str| super::value(&Value::from(text));
        assert_eq!(value("portl[0x0cfc] = 0x12378086\r\n"), Some(0x1237_8086));
        for wrong in [
            "",
            "\r\n",
            "portl[0x0cfc] = ",
            "portl[0x0cfc] = 0x1123456780",
            "x = 0xg",
        ] {
            assert_eq!(value(wrong), None, "{wrong}");
        }
    }
}
