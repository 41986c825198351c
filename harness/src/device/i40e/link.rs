//! The port's link, as the firmware sees it: a cable that is always in, and a partner that is always
//! there (`i40e_aq_get_link_info`, `i40e_aq_get_phy_capabilities` and `i40e_set_fc` of
//! drivers/net/ethernet/intel/i40e/i40e_common.c; i40e_adminq_cmd.h).

use super::admin::{Code, put};
use super::{Port, Speed};

/// Bytes of a frame, at most.
pub(super) const MAX_FRAME: u16 = 9728;

/// Get Link Status: what the driver wants done to its events.
const EVENTS_OFF: u8 = 2;
const EVENTS_ON: u8 = 3;
/// Get Link Status, link: up for the function and at the port, a module is in, it sees light.
const UP: u8 = 0x01 | 0x20;
const PLUGGED: u8 = 0x40 | 0x80;
/// Get Link Status, negotiation: complete, by the partner too; a qualified module.
const NEGOTIATED: u8 = 0x01 | 0x02;
const QUALIFIED: u8 = 0x80;
/// Set Event Mask: the link's ups and downs are not reported.
const MASK_UP_DOWN: u16 = 0x0002;

/// Abilities of the PHY: pause in both directions, link enabled, negotiates.
const PAUSE: u8 = 0x03;
const ENABLED: u8 = 0x08;
const NEGOTIATES: u8 = 0x10;
/// Set PHY Config: apply it at once.
const AT_ONCE: u8 = 0x20;
/// Restart Auto-Negotiation: with the link enabled.
const RESTART_ENABLED: u8 = 0x04;
/// The reply to Get PHY Abilities.
const ABILITIES: usize = 0x218;

impl Speed {
    /// `enum i40e_aq_phy_type`: 10GBASE-SR, 40GBASE-SR4.
    fn phy_type(self) -> u8 {
        match self {
            Self::Ten => 0x14,
            Self::Forty => 0x19,
        }
    }

    /// `enum i40e_aq_link_speed`.
    fn code(self) -> u8 {
        match self {
            Self::Ten => 1 << 3,
            Self::Forty => 1 << 4,
        }
    }

    /// PRTMAC_LINKSTA.REG_LINK_SPEED.
    fn register(self) -> u32 {
        match self {
            Self::Ten => 2,
            Self::Forty => 3,
        }
    }

    /// The module's identifier and compliance codes (SFF-8472, SFF-8636).
    fn module(self) -> [u8; 3] {
        match self {
            Self::Ten => [0x03, 0x10, 0],
            Self::Forty => [0x0d, 0x04, 0],
        }
    }
}

/// Its state.
#[derive(Debug)]
pub(super) struct Link {
    speed: Speed,
    enabled: bool,
    pause: u8,
    max_frame: u16,
    /// The driver is told of the next event, and of that one only.
    armed: bool,
    mask: u16,
    /// Something has happened that has not been told.
    changed: bool,
}

impl Link {
    pub(super) fn new(port: &Port) -> Self {
        Self {
            speed: port.speed(),
            enabled: true,
            pause: 0,
            max_frame: MAX_FRAME,
            armed: false,
            mask: 0,
            changed: false,
        }
    }

    /// A reset of the function leaves the link up, and forgets who wanted to be told.
    pub(super) fn reset_function(&mut self) {
        self.armed = false;
        self.mask = 0;
        self.changed = false;
    }

    /// PRTMAC_LINKSTA.
    pub(super) fn register(&self) -> u32 {
        u32::from(self.enabled) << 30 | self.speed.register() << 27
    }

    /// Get Link Status (0x0607).
    pub(super) fn status(&mut self, parameters: &mut [u8; 16]) {
        match parameters[0] & 3 {
            EVENTS_OFF => self.armed = false,
            EVENTS_ON => self.armed = true,
            _ => {}
        }
        *parameters = self.report();
    }

    fn report(&self) -> [u8; 16] {
        let (speed, link, negotiation) = match self.enabled {
            true => (self.speed.code(), UP, NEGOTIATED | self.pause << 5),
            false => (0, 0, 0),
        };
        let mut report = [0; 16];
        report[0] = u8::from(self.armed);
        report[2] = self.speed.phy_type();
        report[3] = speed;
        report[4] = link | PLUGGED;
        report[5] = negotiation | QUALIFIED;
        put(&mut report, 8, &self.max_frame.to_le_bytes());
        // The MAC adds the CRC.
        report[10] = 0x04;
        report
    }

    /// An event for the driver, if there is one and it wants to know.
    pub(super) fn take_event(&mut self) -> Option<[u8; 16]> {
        let told = std::mem::take(&mut self.changed) && self.armed && self.mask & MASK_UP_DOWN == 0;
        if told {
            self.armed = false;
        }
        told.then(|| self.report())
    }

    /// Get PHY Abilities (0x0600).
    pub(super) fn abilities(&self, buffer: &mut [u8]) -> Result<(), Code> {
        let reply = buffer.get_mut(..ABILITIES).ok_or(Code::Invalid)?;
        reply.fill(0);
        put(reply, 0, &(1u32 << self.speed.phy_type()).to_le_bytes());
        reply[4] = self.speed.code();
        reply[5] = NEGOTIATES | self.pause | if self.enabled { ENABLED } else { 0 };
        put(reply, 20, &self.speed.module());
        Ok(())
    }

    /// Set PHY Config (0x0601).
    pub(super) fn configure(&mut self, parameters: &[u8; 16]) {
        let abilities = parameters[5];
        self.pause = abilities & PAUSE;
        let enabled = abilities & ENABLED != 0;
        self.changed |= enabled != self.enabled || abilities & AT_ONCE != 0;
        self.enabled = enabled;
    }

    /// Set MAC Config (0x0603).
    pub(super) fn configure_mac(&mut self, parameters: &[u8; 16]) {
        let max_frame = u16::from_le_bytes([parameters[0], parameters[1]]);
        self.max_frame = max_frame.min(MAX_FRAME);
    }

    /// Restart Auto-Negotiation (0x0605): done at once.
    pub(super) fn restart(&mut self, parameters: &[u8; 16]) {
        self.enabled = parameters[0] & RESTART_ENABLED != 0;
        self.changed = true;
    }

    /// Set Event Mask (0x0613).
    pub(super) fn set_mask(&mut self, parameters: &[u8; 16]) {
        self.mask = u16::from_le_bytes([parameters[8], parameters[9]]);
    }
}

#[cfg(test)]
mod tests;
