//! The registers in BAR 0, and their addresses (drivers/net/ethernet/intel/i40e/i40e_register.h;
//! Intel Ethernet Controller X710/XXV710/XL710 Datasheet, chapter 10).

use std::ops::Range;

/// Bytes of BAR 0.
pub(super) const SIZE: u32 = 8 << 20;
const PAGE: u32 = 4096;
const REGISTERS_A_PAGE: usize = PAGE as usize / 4;

/// Admin send queue: the driver's commands.
pub(super) const PF_ATQBAL: u32 = 0x80000;
pub(super) const PF_ATQBAH: u32 = 0x80100;
pub(super) const PF_ATQLEN: u32 = 0x80200;
pub(super) const PF_ATQH: u32 = 0x80300;
pub(super) const PF_ATQT: u32 = 0x80400;
/// Admin receive queue: the firmware's events.
pub(super) const PF_ARQBAL: u32 = 0x80080;
pub(super) const PF_ARQBAH: u32 = 0x80180;
pub(super) const PF_ARQLEN: u32 = 0x80280;
pub(super) const PF_ARQH: u32 = 0x80380;
pub(super) const PF_ARQT: u32 = 0x80480;

/// Interrupt causes of vector 0, cleared when read.
pub(super) const PFINT_ICR0: u32 = 0x38780;
/// Which of them interrupt.
pub(super) const PFINT_ICR0_ENA: u32 = 0x38800;
/// Control of vector 0, and of the others from 1 on.
pub(super) const PFINT_DYN_CTL0: u32 = 0x38480;
pub(super) const PFINT_DYN_CTLN: u32 = 0x34800;
/// Which vector a transmit queue interrupts.
pub(super) const QINT_TQCTL: u32 = 0x3c000;

pub(super) const QTX_ENA: u32 = 0x10_0000;
pub(super) const QRX_ENA: u32 = 0x12_0000;
pub(super) const QTX_TAIL: u32 = 0x10_8000;
pub(super) const QTX_HEAD: u32 = 0xe_4000;

/// The function's pages of queue contexts in host memory.
pub(super) const PFHMC_SDCMD: u32 = 0xc_0000;
pub(super) const PFHMC_SDDATALOW: u32 = 0xc_0100;
pub(super) const PFHMC_SDDATAHIGH: u32 = 0xc_0200;
pub(super) const GLHMC_LANTXBASE: u32 = 0xc_6200;
const GLHMC_LANTXOBJSZ: u32 = 0xc_2004;
const GLHMC_LANQMAX: u32 = 0xc_2008;
const GLHMC_LANRXOBJSZ: u32 = 0xc_200c;
const GLHMC_FCOEDDPOBJSZ: u32 = 0xc_2010;
const GLHMC_FCOEFOBJSZ: u32 = 0xc_2018;
const GLHMC_FCOEFMAX: u32 = 0xc_20d0;

pub(super) const PFGEN_CTRL: u32 = 0x9_2400;
pub(super) const GLGEN_RSTAT: u32 = 0xb_8188;
pub(super) const GLGEN_RTRIG: u32 = 0xb_8190;
const GLGEN_RSTCTL: u32 = 0xb_8180;
const GLGEN_PCIFCNCNT: u32 = 0x1c_0ab4;
const PFGEN_PORTNUM: u32 = 0x1c_0480;
const PF_FUNC_RID: u32 = 0x9_c000;
const GLPCI_CNF2: u32 = 0xb_e494;
const PFLAN_QALLOC: u32 = 0x1c_0400;
const PRTGEN_CNF: u32 = 0xb_8120;
pub(super) const GLLAN_RCTL_0: u32 = 0x12_a500;

const GLNVM_ULD: u32 = 0xb_6008;
const GLNVM_GENS: u32 = 0xb_6100;
const GLNVM_FLA: u32 = 0xb_6108;
pub(super) const GLNVM_SRCTL: u32 = 0xb_6110;
pub(super) const GLNVM_SRDATA: u32 = 0xb_6114;

pub(super) const PRTMAC_LINKSTA: u32 = 0x1e_2420;
const PRTGL_SAL: u32 = 0x1e_2120;
const PRTGL_SAH: u32 = 0x1e_2140;
const PRTTSYN_CTL0: u32 = 0x1e_4200;

/// Everything that a reset of this function alone clears: its admin queues, interrupts, queue
/// contexts and queues, and its receive filters.
const OF_THE_FUNCTION: [Range<u32>; 7] = [
    0x3_0000..0x4_0000,
    0x8_0000..0x8_0500,
    0xc_0000..0xc_0600,
    0xe_4000..0xe_6000,
    0x10_0000..0x12_a000,
    0x1c_0ac0..0x1c_0b00,
    0x24_0000..0x24_6000,
];

/// Queue pairs that a function has. The device has 1536 in all; a driver that begins clears each of
/// its own by register, at the price of a round trip each.
pub(super) const QUEUES: u32 = 128;

/// The register file. One that is not known reads as it was written.
#[derive(Debug)]
pub(super) struct Registers {
    pages: Vec<Option<Box<[u32; REGISTERS_A_PAGE]>>>,
}

impl Registers {
    pub(super) fn new() -> Self {
        let pages = (0..SIZE / PAGE).map(|_| None).collect();
        Self { pages }
    }

    /// Zero beyond the end.
    pub(super) fn get(&self, at: u32) -> u32 {
        let page = self.pages.get((at / PAGE) as usize);
        match page {
            Some(Some(page)) => page[(at % PAGE / 4) as usize],
            _ => 0,
        }
    }

    /// Nothing beyond the end.
    pub(super) fn set(&mut self, at: u32, value: u32) {
        if let Some(page) = self.pages.get_mut((at / PAGE) as usize) {
            let page = page.get_or_insert_with(|| Box::new([0; REGISTERS_A_PAGE]));
            page[(at % PAGE / 4) as usize] = value;
        }
    }

    /// The two halves of an address.
    pub(super) fn address(&self, low: u32, high: u32) -> u64 {
        u64::from(self.get(high)) << 32 | u64::from(self.get(low))
    }

    /// As after a reset of this function alone.
    pub(super) fn reset_function(&mut self) {
        for at in OF_THE_FUNCTION
            .into_iter()
            .flat_map(|range| range.step_by(4))
        {
            if self.get(at) != 0 {
                self.set(at, 0);
            }
        }
    }
}

/// What a register of a port that has just been reset holds, where it is not zero.
pub(super) fn after_reset(port: &super::Port) -> Vec<(u32, u32)> {
    let (nth, ports) = (u32::from(port.nth()), u32::from(port.ports()));
    let first = nth * QUEUES;
    let [a, b, c, d, e, f] = port.mac();
    let mut registers = vec![
        (PF_FUNC_RID, nth),
        (PFGEN_PORTNUM, nth),
        (GLGEN_PCIFCNCNT, ports),
        // Vectors of each function and of each virtual one, less one.
        (
            GLPCI_CNF2,
            u32::from(super::VECTORS - 1) << 2 | (super::VECTORS_VF - 1) << 13,
        ),
        (PFLAN_QALLOC, 1 << 31 | (first + QUEUES - 1) << 16 | first),
        // A global reset is delayed by a second.
        (GLGEN_RSTCTL, 10),
        (GLLAN_RCTL_0, 1),
        // Everything has been loaded from the NVM, which is there and locked.
        (GLNVM_ULD, 0x3ff),
        (GLNVM_GENS, super::nvm::SIZE_CODE << 5 | 1),
        (GLNVM_FLA, 1 << 6),
        (GLNVM_SRCTL, 1 << 31),
        // Sizes are powers of two.
        (GLHMC_LANTXOBJSZ, 7),
        (GLHMC_LANQMAX, 1536),
        (GLHMC_LANRXOBJSZ, 5),
        (GLHMC_FCOEDDPOBJSZ, 6),
        (GLHMC_FCOEFOBJSZ, 6),
        (GLHMC_FCOEFMAX, 0x2000),
        (PRTGL_SAL, u32::from_le_bytes([a, b, c, d])),
        (
            PRTGL_SAH,
            u32::from(super::link::MAX_FRAME) << 16 | u32::from_le_bytes([e, f, 0, 0]),
        ),
        // Which function the clock of the port belongs to.
        (PRTTSYN_CTL0, nth << 8),
    ];
    registers.extend((ports..4).map(|absent| (PRTGEN_CNF + 4 * absent, 1)));
    registers
}

/// What only the device writes.
pub(super) fn is_read_only(at: u32) -> bool {
    matches!(
        at,
        PF_FUNC_RID
            | PFGEN_PORTNUM
            | GLGEN_PCIFCNCNT
            | GLPCI_CNF2
            | PFLAN_QALLOC
            | GLGEN_RSTAT
            | GLNVM_ULD
            | GLNVM_GENS
            | GLNVM_FLA
            | GLHMC_LANTXOBJSZ
            | GLHMC_LANQMAX
            | GLHMC_LANRXOBJSZ
            | GLHMC_FCOEDDPOBJSZ
            | GLHMC_FCOEFOBJSZ
            | GLHMC_FCOEFMAX
            | PRTMAC_LINKSTA
            | PRTGEN_CNF..=0xb_812c
    ) || (QTX_HEAD..QTX_HEAD + 4 * QUEUES).contains(&at)
}
