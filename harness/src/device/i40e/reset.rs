//! Resets of the whole device: asked for, announced by an interrupt, and watched by the driver until
//! they are over (`i40e_intr` and `i40e_pf_reset` of drivers/net/ethernet/intel/i40e; datasheet,
//! chapter 4.1).

/// What the driver asks for in GLGEN_RTRIG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CORER.
    Core,
    /// GLOBR: with the link.
    Global,
    /// EMPR: with the firmware.
    Firmware,
}

impl Kind {
    /// The largest that GLGEN_RTRIG asks for.
    pub(super) fn asked(trigger: u32) -> Option<Self> {
        let kinds = [(4, Self::Firmware), (2, Self::Global), (1, Self::Core)];
        let asked = kinds.into_iter().find(|(bit, _)| trigger & bit != 0);
        asked.map(|(_, kind)| kind)
    }

    /// GLGEN_RSTAT.RESET_TYPE.
    fn code(self) -> u32 {
        match self {
            Self::Core => 1,
            Self::Global => 2,
            Self::Firmware => 3,
        }
    }
}

/// GLGEN_RSTAT.DEVSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active = 0,
    Requested = 1,
    Resetting = 2,
}

/// How far one is. It takes a step each time that the driver looks: first it is announced, then it
/// happens, then it is over.
#[derive(Debug)]
pub(super) struct Reset {
    state: State,
    last: Option<Kind>,
    /// Of each kind, modulo 4.
    counts: [u32; 3],
}

impl Reset {
    pub(super) fn new() -> Self {
        Self {
            state: State::Active,
            last: None,
            counts: [0; 3],
        }
    }

    /// Begins one.
    pub(super) fn request(&mut self, kind: Kind) {
        self.state = State::Requested;
        self.last = Some(kind);
    }

    /// GLGEN_RSTAT.
    pub(super) fn status(&self) -> u32 {
        let kind = self.last.map_or(0, Kind::code);
        let counts = self.counts.iter().zip([4, 6, 8]);
        let counts = counts.fold(0, |bits, (count, shift)| bits | (count & 3) << shift);
        self.state as u32 | kind << 2 | counts
    }

    /// The driver has read it; gives the reset that happens now.
    pub(super) fn step(&mut self) -> Option<Kind> {
        match self.state {
            State::Active => None,
            State::Requested => {
                self.state = State::Resetting;
                let kind = self.last?;
                let count = self.counts.get_mut(kind.code() as usize - 1)?;
                *count = count.wrapping_add(1);
                Some(kind)
            }
            State::Resetting => {
                self.state = State::Active;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
