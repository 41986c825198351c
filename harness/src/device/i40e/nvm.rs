//! The shadow RAM: what the device has loaded from its flash (drivers/net/ethernet/intel/i40e/
//! i40e_nvm.c, i40e_type.h; datasheet, chapter 6).

/// GLNVM_GENS.SR_SIZE: 4 KiB. A real device has 64 KiB, and the driver reads all of it word by word
/// through registers when it begins; 4 KiB is the least that it reads at a time.
pub(super) const SIZE_CODE: u32 = 2;
const WORDS: usize = 512 << SIZE_CODE;

const CONTROL: usize = 0x00;
const EMP_MODULE: usize = 0x0f;
const BOOT_CONFIGURATION: usize = 0x17;
const VERSION: usize = 0x18;
const OEM_VERSION: usize = 0x1b;
const EETRACK: usize = 0x2d;
const VPD: usize = 0x2f;
const ALTERNATE_AUTO_LOAD: usize = 0x3e;
const CHECKSUM: usize = 0x3f;

/// The checksum is over all but itself and these two, each as long as this.
const UNSUMMED: usize = 512;
const SUM: u16 = 0xbaba;

/// GLNVM_SRCTL.
const START: u32 = 1 << 30;
const DONE: u32 = 1 << 31;

/// Its words.
#[derive(Debug)]
pub(super) struct ShadowRam(Vec<u16>);

impl ShadowRam {
    /// NVM 5.05, EETrack id 0x80002892, option ROM 1.1313.0.
    pub(super) fn new() -> Self {
        let mut words = vec![0; WORDS];
        let mut set =
            |at: usize, values: &[u16]| words[at..at + values.len()].copy_from_slice(values);
        // Bits 7:6 are 01: valid.
        set(CONTROL, &[0x0040]);
        set(VERSION, &[0x5005]);
        set(EETRACK, &[0x2892, 0x8000]);
        // No vendor's own version, which drivers would show in place of these.
        set(OEM_VERSION, &[0xffff]);
        set(VPD, &[0x400]);
        set(ALTERNATE_AUTO_LOAD, &[0x600]);
        set(BOOT_CONFIGURATION, &[0x200]);
        set(0x200 + 0x83, &[0x0105, 0x2100]);
        // The LLDP agent is on for every port. Drivers look in two places: in the module's word 6,
        // and where word 6 points to from itself.
        let agent = [0x10, 0x3333];
        set(EMP_MODULE, &[0x100]);
        set(0x100 + 6, &agent);
        set(0x100 + 6 + 0x10, &agent);
        let mut ram = Self(words);
        ram.0[CHECKSUM] = SUM.wrapping_sub(ram.sum());
        ram
    }

    fn sum(&self) -> u16 {
        let unsummed = |at: usize| {
            let within = |start: usize| (start..start + UNSUMMED).contains(&at);
            at == CHECKSUM || within(0x400) || within(0x600)
        };
        let words = self.0.iter().enumerate();
        words.fold(0, |sum, (at, word)| match unsummed(at) {
            true => sum,
            false => sum.wrapping_add(*word),
        })
    }

    /// What GLNVM_SRCTL and GLNVM_SRDATA hold after the first has been written. Nothing writes the
    /// shadow RAM this way.
    pub(super) fn access(&self, control: u32) -> (u32, Option<u32>) {
        let address = control >> 14 & 0x7fff;
        let word = self.0.get(address as usize).copied().unwrap_or(0xffff);
        let data = (control & START != 0).then(|| u32::from(word) << 16);
        (control & !START | DONE, data)
    }

    /// Fills `into` from `offset` bytes into a module; module 0 is the whole. `None` beyond the end.
    pub(super) fn read(&self, module: u8, offset: u32, into: &mut [u8]) -> Option<()> {
        let base = match module {
            0 => 0,
            module => {
                let pointer = *self.0.get(usize::from(module))?;
                // Bit 15: in units of 4 KiB, not of words.
                usize::from(pointer & 0x7fff) * if pointer >> 15 == 1 { 4096 } else { 2 }
            }
        };
        let first = base.checked_add(offset as usize)?;
        let end = first.checked_add(into.len())?;
        if end > WORDS * 2 {
            return None;
        }
        for (at, byte) in (first..end).zip(into) {
            *byte = self.0[at / 2].to_le_bytes()[at % 2];
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
