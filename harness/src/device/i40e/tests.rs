use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use nix::sys::eventfd::{EfdFlags, EventFd};
use proptest::prelude::*;

use super::registers::*;
use super::*;
use crate::device::interrupts::{Change, Mode, Trigger};

/// A port in a machine with 1 MiB of memory, with MSI-X in use.
pub(super) struct Rig {
    pub(super) device: I40e,
    pub(super) bus: Bus,
    heard: Vec<File>,
}

/// Where a driver has its queues.
const SENT: u64 = 0x1000;
const RECEIVED: u64 = 0x2000;
const BUFFER: u64 = 0x8000;
const RING: u32 = 32;

impl Rig {
    pub(super) fn new() -> Self {
        Self::of(Port::new(0x1572, 0, 0, 1))
    }

    pub(super) fn of(port: Port) -> Self {
        let identity = Identity {
            vendor: 0x8086,
            device: port.device,
            subvendor: 0x8086,
            subdevice: 1,
            class: 0x02_0000,
            revision: 2,
        };
        let mut bus = Bus::new(I40e::config(&identity));
        let memory = tempfile::tempfile().unwrap();
        memory.set_len(1 << 20).unwrap();
        bus.memory.map((0, 1 << 20), (memory, 0), true).unwrap();
        // A master, with MSI-X enabled.
        bus.config.write(0x04, &[0x06]);
        bus.config.write(0x72, &0x8000u16.to_le_bytes());
        assert_eq!(bus.mode(), Mode::MsiX);
        let eventfds = (0..VECTORS).map(|_| {
            let mine: OwnedFd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap().into();
            let mine = File::from(mine);
            let theirs = Trigger::new(mine.try_clone().unwrap()).unwrap();
            (mine, Some(theirs))
        });
        let (heard, triggers) = eventfds.unzip();
        let all = (0, u32::from(VECTORS));
        let change = Change::Triggers(triggers);
        bus.interrupts.change(Mode::MsiX, all, change).unwrap();
        Self {
            device: I40e::new(port),
            bus,
            heard,
        }
    }

    /// How often a vector has interrupted since the last time.
    pub(super) fn heard(&self, vector: usize) -> u64 {
        let mut count = [0; 8];
        let read = (&self.heard[vector]).read(&mut count);
        read.map_or(0, |_| u64::from_ne_bytes(count))
    }

    /// Gives up MSI-X for the line; gives how often that interrupts at once.
    pub(super) fn interrupts_by_the_line(&mut self) -> u64 {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let mut mine = File::from(OwnedFd::from(EventFd::from_flags(flags).unwrap()));
        let theirs = Trigger::new(mine.try_clone().unwrap()).unwrap();
        let change = Change::Triggers(vec![Some(theirs)]);
        let interrupts = &mut self.bus.interrupts;
        interrupts.change(Mode::Line, (0, 1), change).unwrap();
        self.bus.config.write(0x72, &[0; 2]);
        self.bus.configured();
        let mut count = [0; 8];
        let read = mine.read(&mut count);
        read.map_or(0, |_| u64::from_ne_bytes(count))
    }

    pub(super) fn read(&mut self, at: u32) -> u32 {
        let mut data = [0; 4];
        let at = u64::from(at);
        self.device.read(0, at, &mut data, &mut self.bus);
        u32::from_le_bytes(data)
    }

    pub(super) fn write(&mut self, at: u32, value: u32) {
        let (at, data) = (u64::from(at), value.to_le_bytes());
        self.device.write(0, at, &data, &mut self.bus);
    }

    /// As a driver does when it begins: both admin queues, and vector 0.
    pub(super) fn begin(&mut self) {
        self.write(PFGEN_CTRL, 1);
        self.write(PF_ATQBAL, SENT as u32);
        self.write(PF_ATQLEN, 1 << 31 | RING);
        self.write(PF_ARQBAL, RECEIVED as u32);
        self.write(PF_ARQLEN, 1 << 31 | RING);
        self.write(PF_ARQT, RING - 1);
        self.write(
            PFINT_ICR0_ENA,
            interrupts::ADMIN_QUEUE | interrupts::GLOBAL_RESET,
        );
        self.write(PFINT_DYN_CTL0, 1);
    }

    /// A command without a buffer, and without an interrupt; gives its code and its parameters.
    pub(super) fn command(&mut self, opcode: u16, parameters: [u8; 16]) -> (u16, [u8; 16]) {
        self.send(0x2000, opcode, 0, parameters)
    }

    /// A command with a buffer; gives what has become of that.
    pub(super) fn exchange(
        &mut self,
        opcode: u16,
        mut parameters: [u8; 16],
        buffer: &[u8],
    ) -> (u16, [u8; 16], Vec<u8>) {
        self.bus.write(BUFFER, buffer).unwrap();
        parameters[12..].copy_from_slice(&(BUFFER as u32).to_le_bytes());
        let (code, parameters) = self.send(0x3000, opcode, buffer.len() as u16, parameters);
        let mut back = vec![0; buffer.len()];
        self.bus.read(BUFFER, &mut back).unwrap();
        (code, parameters, back)
    }

    pub(super) fn send(
        &mut self,
        flags: u16,
        opcode: u16,
        length: u16,
        parameters: [u8; 16],
    ) -> (u16, [u8; 16]) {
        let tail = self.read(PF_ATQT);
        let at = SENT + u64::from(tail) * 32;
        let mut descriptor = [0; 32];
        for (at, word) in [(0, flags), (2, opcode), (4, length), (8, 0xc00c)] {
            descriptor[at..at + 2].copy_from_slice(&word.to_le_bytes());
        }
        descriptor[16..].copy_from_slice(&parameters);
        self.bus.write(at, &descriptor).unwrap();
        self.write(PF_ATQT, (tail + 1) % RING);
        assert_eq!(self.read(PF_ATQH), (tail + 1) % RING, "done");
        let back = self.bus.get::<32>(at).unwrap();
        let code = admin::get(&back, 6);
        let failed = if code == 0 { 0 } else { 4 };
        assert_eq!(admin::get(&back, 0), flags | 3 | failed);
        assert_eq!(admin::get(&back, 8), 0xc00c, "the cookie stays");
        let mut parameters = [0; 16];
        parameters.copy_from_slice(&back[16..]);
        (code, parameters)
    }

    /// The events that have come so far.
    pub(super) fn events(&mut self) -> Vec<[u8; 32]> {
        let head = u64::from(self.read(PF_ARQH));
        let event = |nth| self.bus.get(RECEIVED + nth * 32).unwrap();
        (0..head).map(event).collect()
    }
}

#[test]
fn ports_of_a_card_tell_themselves_apart() {
    let mut seen = Vec::new();
    for nth in 0..4 {
        let mut rig = Rig::of(Port::new(0x1583, 7, nth, 4));
        rig.begin();
        assert_eq!(rig.read(0x9_c000) & 7, u32::from(nth), "PF_FUNC_RID");
        assert_eq!(rig.read(0x1c_0480), u32::from(nth), "PFGEN_PORTNUM");
        assert_eq!(rig.read(0x1c_0ab4), 4, "GLGEN_PCIFCNCNT");
        let queues = rig.read(0x1c_0400);
        let (first, last) = (queues & 0x7ff, queues >> 16 & 0x7ff);
        assert_eq!((first, last - first + 1), (u32::from(nth) * QUEUES, QUEUES));
        let (code, _, addresses) = rig.exchange(0x0107, [0; 16], &[0; 24]);
        assert_eq!(code, 0);
        assert_eq!(addresses[..6], [0x3c, 0xfd, 0xfe, 0, 7, nth]);
        seen.push((rig.read(0x1e_2120), rig.read(0x1e_2140)));
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "PRTGL_SAL, PRTGL_SAH");
    // A card with fewer has its other ports disabled.
    let mut rig = Rig::of(Port::new(0x1572, 0, 1, 2));
    rig.begin();
    let disabled = |rig: &mut Rig, port: u8| {
        let at = 0xb_8120u32 + 4 * u32::from(port);
        let mut parameters = [0; 16];
        parameters[4..8].copy_from_slice(&at.to_le_bytes());
        let (code, reply) = rig.command(0xff03, parameters);
        assert_eq!(code, 0);
        reply[12] & 1
    };
    assert_eq!(
        [0, 1, 2, 3].map(|port| disabled(&mut rig, port)),
        [0, 0, 1, 1]
    );
}

#[test]
fn what_lspci_shows() {
    let rig = Rig::new();
    let mut space = [0; 256];
    rig.bus.config.read(0, &mut space);
    let mut at = usize::from(space[0x34]);
    let mut capabilities = Vec::new();
    while at != 0 {
        capabilities.push((at, space[at]));
        at = usize::from(space[at + 1]);
    }
    assert_eq!(
        capabilities,
        [(0x40, 1), (0x50, 5), (0x70, 0x11), (0xa0, 0x10)]
    );
    assert_eq!(admin::get(&space, 0x72) & 0x7ff, 128);
    assert_eq!(
        (admin::get(&space, 0x74), admin::get(&space, 0x78)),
        (3, 0x1003)
    );
    // BAR 0 and BAR 3: 64 bits, prefetchable.
    assert_eq!((space[0x10], space[0x1c]), (0x0c, 0x0c));
}

#[test]
fn a_dead_kernel_leaves_everything_as_it_was() {
    let mut rig = Rig::new();
    rig.begin();
    rig.write(QTX_ENA, 1);
    rig.write(QRX_ENA, 1);
    assert_eq!((rig.read(QTX_ENA), rig.read(QRX_ENA)), (5, 5));
    let kept = [
        PF_ATQBAL,
        PF_ATQLEN,
        PF_ARQLEN,
        PFINT_ICR0_ENA,
        PFINT_DYN_CTL0,
        QTX_ENA,
        QRX_ENA,
    ];
    let before = kept.map(|at| rig.read(at));
    assert!(before.iter().all(|&value| value != 0), "{before:x?}");
    assert_eq!(before, kept.map(|at| rig.read(at)));
    // Until the next driver resets the function.
    rig.write(PFGEN_CTRL, 1);
    assert_eq!(rig.read(PFGEN_CTRL) & 1, 0);
    assert_eq!(kept.map(|at| rig.read(at)), [0; 7]);
    // What is not the function's own stays.
    assert_ne!(rig.read(0x1c_0400), 0, "PFLAN_QALLOC");
    rig.begin();
    assert_eq!(rig.command(0x0001, [0; 16]).0, 0);
}

#[test]
fn a_global_reset_is_announced_and_watched() {
    for (trigger, kind, count) in [(1, 1, 4), (2, 2, 6), (4, 3, 8)] {
        let mut rig = Rig::new();
        rig.begin();
        rig.write(GLGEN_RTRIG, trigger);
        assert_eq!(rig.heard(0), 1);
        let causes = rig.read(PFINT_ICR0);
        assert_eq!(causes & interrupts::GLOBAL_RESET, interrupts::GLOBAL_RESET);
        assert_eq!(rig.read(PFINT_ICR0), 0, "cleared when read");
        // Asked for; resetting; over.
        assert_eq!(rig.read(GLGEN_RSTAT), 1 | kind << 2);
        assert_eq!(rig.read(GLGEN_RSTAT), 2 | kind << 2 | 1 << count);
        assert_eq!(rig.read(GLGEN_RSTAT), kind << 2 | 1 << count);
        assert_eq!((rig.read(PF_ATQLEN), rig.read(PF_ARQLEN)), (0, 0));
        // The NVM has been loaded again.
        assert_eq!(rig.read(0xb_6008) & 0x18, 0x18);
        rig.begin();
        assert_eq!(rig.command(0x0001, [0; 16]).0, 0);
    }
}

#[test]
fn a_function_level_reset_is_a_power_on() {
    let mut rig = Rig::new();
    rig.begin();
    rig.write(0x1000, 77);
    rig.device.reset();
    assert_eq!(
        (rig.read(PF_ATQLEN), rig.read(0x1000), rig.read(GLGEN_RSTAT)),
        (0, 0, 0)
    );
}

#[test]
fn registers_are_words() {
    let mut rig = Rig::new();
    rig.write(0x4_0000, 0x4433_2211);
    rig.write(0x4_0004, 0x8877_6655);
    for (at, length, expected) in [
        (
            0x4_0000,
            8,
            &[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88][..],
        ),
        (0x4_0002, 2, &[0x33, 0x44]),
        (0x4_0007, 1, &[0x88]),
    ] {
        let mut data = vec![0; length];
        rig.device.read(0, at, &mut data, &mut rig.bus);
        assert_eq!(data, expected);
    }
    let doubled = [1, 0, 0, 0, 2, 0, 0, 0];
    rig.device.write(0, 0x4_0000, &doubled, &mut rig.bus);
    assert_eq!((rig.read(0x4_0000), rig.read(0x4_0004)), (1, 2));
    // Half a word is not written.
    rig.device.write(0, 0x4_0000, &[9, 9], &mut rig.bus);
    assert_eq!(rig.read(0x4_0000), 1);
    // What only the device writes is not, either; and the table is QEMU's.
    let (queues, id) = (rig.read(0x1c_0400), rig.read(0x9_c000));
    rig.write(0x1c_0400, 0);
    rig.write(0x9_c000, 5);
    assert_eq!((rig.read(0x1c_0400), rig.read(0x9_c000)), (queues, id));
    let mut pending = [9; 8];
    rig.device.read(3, 0x1000, &mut pending, &mut rig.bus);
    assert_eq!(pending, [0; 8]);
}

/// Registers that something happens behind, and any other.
fn register() -> impl Strategy<Value = u32> {
    let interesting = vec![
        PF_ATQBAL,
        PF_ATQBAH,
        PF_ATQLEN,
        PF_ATQH,
        PF_ATQT,
        PF_ARQBAL,
        PF_ARQLEN,
        PF_ARQH,
        PF_ARQT,
        PFINT_ICR0,
        PFINT_ICR0_ENA,
        PFINT_DYN_CTL0,
        PFINT_DYN_CTLN,
        QINT_TQCTL,
        QTX_ENA,
        QTX_TAIL,
        QTX_HEAD,
        PFHMC_SDCMD,
        PFHMC_SDDATALOW,
        PFHMC_SDDATAHIGH,
        GLHMC_LANTXBASE,
        PFGEN_CTRL,
        GLGEN_RSTAT,
        GLGEN_RTRIG,
        GLNVM_SRCTL,
        GLNVM_SRDATA,
        GLLAN_RCTL_0,
    ];
    let near = (prop::sample::select(interesting), 0u32..8).prop_map(|(at, nth)| at + 4 * nth);
    prop_oneof![4 => near, 1 => (0..SIZE / 4).prop_map(|nth| nth * 4)]
}

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0u32..64,
        (0u32..1024).prop_map(|length| 1 << 31 | length),
        Just(SENT as u32),
        Just(u32::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written and whatever lies in memory, nothing panics, and each access ends.
    #[test]
    fn nothing_hurts(
        memory in prop::collection::vec(any::<u8>(), 4096),
        accesses in prop::collection::vec((register(), value(), any::<bool>()), 1..200),
    ) {
        let mut rig = Rig::new();
        rig.begin();
        rig.bus.write(SENT, &memory).unwrap();
        for (at, value, write) in accesses {
            match write {
                true => rig.write(at, value),
                false => _ = rig.read(at),
            }
        }
    }

    /// Nor does any command, with any buffer.
    #[test]
    fn no_command_hurts(
        commands in prop::collection::vec(
            (0u16..0x0b10, any::<[u8; 16]>(), 0usize..600, any::<u8>()), 1..40),
    ) {
        let mut rig = Rig::new();
        rig.begin();
        for (opcode, parameters, length, fill) in commands {
            rig.exchange(opcode, parameters, &vec![fill; length]);
        }
    }
}
