//! The internal switch: virtual station interfaces (VSIs) and the bridges (VEBs) between them and
//! the port (datasheet, chapter 7.4; drivers/net/ethernet/intel/i40e/i40e_adminq_cmd.h).

use std::collections::BTreeMap;
use std::ops::Range;

use super::Port;
use super::admin::{Code, get, put};

/// VSIs that a function is sure to get.
pub(super) const VSIS: u16 = 34;
const VEBS: u16 = 16;

/// Switching element ids: of the ports, of the functions, of bridges, of VSIs.
const MAC: u16 = 2;
const FUNCTION: u16 = 16;
const FIRST_VEB: u16 = 288;
const DEFAULT_VSI: u16 = 390;
const FIRST_VSI: u16 = DEFAULT_VSI + 4;

/// Get Switch Configuration: a VSI, revision 1, connected as usual.
const ELEMENT_VSI: u8 = 19;
const REGULAR: u8 = 1;

/// `struct i40e_aqc_vsi_properties_data`; its last 32 bytes are the firmware's.
const PROPERTIES: usize = 128;
const QUEUE_SETS: usize = 96;
const NO_QUEUE_SET: u16 = 0xffff;
/// Bit of `valid_sections`, and what it vouches for.
const SECTIONS: [(u16, Range<usize>); 10] = [
    (0x0001, 2..6),
    (0x0002, 6..8),
    (0x0004, 8..16),
    (0x0010, 16..20),
    (0x0020, 20..24),
    (0x0008, 24..28),
    (0x0040, 28..78),
    (0x0080, 78..82),
    (0x0200, 82..84),
    (0x0100, 84..88),
];

/// One VSI.
#[derive(Debug)]
struct Vsi {
    number: u16,
    properties: [u8; PROPERTIES],
}

/// A function's part of it.
#[derive(Debug)]
pub(super) struct Switch {
    port: u16,
    /// By their ids.
    vsis: BTreeMap<u16, Vsi>,
    /// The element above each bridge, by the bridge's id.
    vebs: BTreeMap<u16, u16>,
}

impl Switch {
    /// As after a reset of the function: its default VSI is at the port.
    pub(super) fn new(port: &Port) -> Self {
        let mut this = Self {
            port: u16::from(port.nth()),
            vsis: BTreeMap::new(),
            vebs: BTreeMap::new(),
        };
        let mut properties = [0; PROPERTIES];
        // Everything but the cascaded port virtualiser's and the outer priorities.
        put(&mut properties, 0, &0x02d7u16.to_le_bytes());
        put(&mut properties, 2, &this.mac().to_le_bytes());
        // Tagged and untagged frames; the tag stays in them.
        properties[12] = 0x1b;
        this.insert(this.default_vsi(), &properties);
        this
    }

    fn mac(&self) -> u16 {
        MAC + self.port
    }

    fn default_vsi(&self) -> u16 {
        DEFAULT_VSI + self.port
    }

    fn insert(&mut self, seid: u16, properties: &[u8; PROPERTIES]) -> u16 {
        let taken: Vec<_> = self.vsis.values().map(|vsi| vsi.number).collect();
        let first = self.port * VSIS;
        let free = (first..).find(|number| !taken.contains(number));
        let number = free.unwrap_or(first);
        let mut properties = *properties;
        put(&mut properties, QUEUE_SETS, &queue_sets(number));
        put(&mut properties, 112, &number.to_le_bytes());
        self.vsis.insert(seid, Vsi { number, properties });
        number
    }

    /// Get Switch Configuration (0x0200): the function's own VSI. It is what a driver that begins
    /// has to find; the rest is of its own making.
    pub(super) fn configuration(
        &self,
        parameters: &mut [u8; 16],
        buffer: &mut [u8],
    ) -> Result<(), Code> {
        let reply = buffer.get_mut(..32).ok_or(Code::Invalid)?;
        reply.fill(0);
        put(reply, 0, &1u16.to_le_bytes());
        put(reply, 2, &1u16.to_le_bytes());
        let element = &mut reply[16..];
        element[0] = ELEMENT_VSI;
        element[1] = 1;
        put(element, 2, &self.default_vsi().to_le_bytes());
        put(element, 4, &self.mac().to_le_bytes());
        put(element, 6, &(FUNCTION + self.port).to_le_bytes());
        element[11] = REGULAR;
        // There is no more.
        put(parameters, 0, &0u16.to_le_bytes());
        Ok(())
    }

    /// Add VSI (0x0210).
    pub(super) fn add_vsi(
        &mut self,
        parameters: &mut [u8; 16],
        buffer: &mut [u8],
    ) -> Result<(), Code> {
        let uplink = get(parameters, 0);
        if uplink != self.mac() && !self.vebs.contains_key(&uplink) {
            return Err(Code::NoEntry);
        }
        let data: &mut [u8; PROPERTIES] = properties(buffer)?;
        if self.vsis.len() >= usize::from(VSIS) {
            return Err(Code::NoSpace);
        }
        let free = (FIRST_VSI..).find(|seid| !self.vsis.contains_key(seid));
        let seid = free.ok_or(Code::NoSpace)?;
        self.insert(seid, &*data);
        self.reply(seid, parameters, data)
    }

    /// Update VSI Parameters (0x0211).
    pub(super) fn update_vsi(
        &mut self,
        parameters: &mut [u8; 16],
        buffer: &mut [u8],
    ) -> Result<(), Code> {
        let seid = get(parameters, 0);
        let data = properties(buffer)?;
        let vsi = self.vsis.get_mut(&seid).ok_or(Code::NoEntry)?;
        let valid = get(data, 0);
        for (_, range) in SECTIONS.iter().filter(|(bit, _)| valid & bit != 0) {
            vsi.properties[range.clone()].copy_from_slice(&data[range.clone()]);
        }
        self.reply(seid, parameters, data)
    }

    /// Get VSI Parameters (0x0212).
    pub(super) fn vsi(&self, parameters: &mut [u8; 16], buffer: &mut [u8]) -> Result<(), Code> {
        let seid = get(parameters, 0);
        self.reply(seid, parameters, properties(buffer)?)
    }

    fn reply(
        &self,
        seid: u16,
        parameters: &mut [u8; 16],
        data: &mut [u8; PROPERTIES],
    ) -> Result<(), Code> {
        let vsi = self.vsis.get(&seid).ok_or(Code::NoEntry)?;
        *data = vsi.properties;
        let used = self.vsis.len() as u16;
        let words = [seid, vsi.number, used, VSIS.saturating_sub(used)];
        for (at, word) in (0..).step_by(2).zip(words) {
            put(parameters, at, &word.to_le_bytes());
        }
        Ok(())
    }

    /// Add VEB (0x0230).
    pub(super) fn add_veb(&mut self, parameters: &mut [u8; 16]) -> Result<(), Code> {
        let uplink = get(parameters, 0);
        let floating = parameters[4] & 1 != 0;
        if !floating && uplink != self.mac() && !self.vebs.contains_key(&uplink) {
            return Err(Code::NoEntry);
        }
        let mut free = FIRST_VEB..FIRST_VEB + VEBS;
        let seid = free.find(|seid| !self.vebs.contains_key(seid));
        let seid = seid.ok_or(Code::NoSpace)?;
        self.vebs.insert(seid, uplink);
        let used = self.vebs.len() as u16;
        let words = [self.mac(), seid, seid - FIRST_VEB, used, VEBS - used];
        for (at, word) in (6..).step_by(2).zip(words) {
            put(parameters, at, &word.to_le_bytes());
        }
        Ok(())
    }

    /// Get VEB Parameters (0x0232).
    pub(super) fn veb(&self, parameters: &mut [u8; 16]) -> Result<(), Code> {
        let seid = get(parameters, 0);
        if !self.vebs.contains_key(&seid) {
            return Err(Code::NoEntry);
        }
        let used = self.vebs.len() as u16;
        let words = [seid, self.mac(), 0, seid - FIRST_VEB, used, VEBS - used];
        for (at, word) in (0..).step_by(2).zip(words) {
            put(parameters, at, &word.to_le_bytes());
        }
        Ok(())
    }

    /// Delete Element (0x0243).
    pub(super) fn delete(&mut self, parameters: &[u8; 16]) -> Result<(), Code> {
        let seid = get(parameters, 0);
        let vsi = self.vsis.remove(&seid).is_some();
        let veb = self.vebs.remove(&seid).is_some();
        (vsi || veb).then_some(()).ok_or(Code::NoEntry)
    }

    /// The queue sets of a VSI or a bridge, one for each traffic class: there is only the first.
    pub(super) fn queue_sets(&self, seid: u16) -> Result<[u8; 16], Code> {
        match self.vsis.get(&seid) {
            Some(vsi) => Ok(queue_sets(vsi.number)),
            None if self.vebs.contains_key(&seid) || seid == self.mac() => Ok(queue_sets(seid)),
            None => Err(Code::NoEntry),
        }
    }
}

fn queue_sets(of: u16) -> [u8; 16] {
    let mut sets = [0; 16];
    for at in (0..16).step_by(2) {
        put(&mut sets, at, &NO_QUEUE_SET.to_le_bytes());
    }
    put(&mut sets, 0, &of.wrapping_add(8).to_le_bytes());
    sets
}

fn properties(buffer: &mut [u8]) -> Result<&mut [u8; PROPERTIES], Code> {
    buffer.first_chunk_mut().ok_or(Code::Invalid)
}

#[cfg(test)]
mod tests;
