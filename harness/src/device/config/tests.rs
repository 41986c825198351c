use proptest::prelude::*;

use super::*;

const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x1572,
    subvendor: 0x8086,
    subdevice: 0x0001,
    class: 0x02_0000,
    revision: 2,
};

/// As the larger of the modelled devices has it: two 64-bit BARs and every capability.
fn card() -> ConfigSpace {
    let bars = [
        (
            0,
            Bar::Memory64 {
                size: 8 << 20,
                prefetchable: true,
            },
        ),
        (
            3,
            Bar::Memory64 {
                size: 32 << 10,
                prefetchable: true,
            },
        ),
    ];
    let layout = MsiXLayout {
        entries: 129,
        bar: 3,
        table: 0,
        pending: 0x1000,
    };
    ConfigSpace::new(&IDENTITY, &bars)
        .with_power_management(0x40)
        .with_msi(0x50)
        .with_msix(0x70, layout)
        .with_express(0xa0)
}

fn u16_at(space: &ConfigSpace, at: usize) -> u16 {
    let mut bytes = [0; 2];
    space.read(at, &mut bytes);
    u16::from_le_bytes(bytes)
}

fn u32_at(space: &ConfigSpace, at: usize) -> u32 {
    let mut bytes = [0; 4];
    space.read(at, &mut bytes);
    u32::from_le_bytes(bytes)
}

/// Sizes a register as __pci_read_base (drivers/pci/probe.c) does: all ones in, the mask out, the old
/// value back.
fn sized(space: &mut ConfigSpace, at: usize) -> u32 {
    let old = u32_at(space, at);
    space.write(at, &u32::MAX.to_le_bytes());
    let mask = u32_at(space, at);
    space.write(at, &old.to_le_bytes());
    assert_eq!(u32_at(space, at), old);
    mask
}

/// Ids and offsets of the capabilities, as a kernel walks through them.
fn capabilities(space: &ConfigSpace) -> Vec<(u8, usize)> {
    let mut found = Vec::new();
    if u16_at(space, STATUS) & STATUS_CAPABILITIES == 0 {
        return found;
    }
    let mut at = usize::from(u16_at(space, CAPABILITIES) as u8);
    while at != 0 {
        let [id, next] = u16_at(space, at).to_le_bytes();
        found.push((id, at));
        assert!(found.len() < 48, "a loop");
        at = usize::from(next);
    }
    found
}

#[test]
fn what_is_on_the_bus() {
    let space = card();
    assert_eq!(u32_at(&space, 0x00), 0x1572_8086);
    assert_eq!(u32_at(&space, 0x08), 0x0200_0002);
    assert_eq!(u32_at(&space, 0x2c), 0x0001_8086);
    assert_eq!(u16_at(&space, 0x3c), 0x0100);
    assert_eq!(
        capabilities(&space),
        [
            (POWER_MANAGEMENT, 0x40),
            (MSI, 0x50),
            (MSIX, 0x70),
            (EXPRESS, 0xa0)
        ]
    );
    assert_eq!(space.vectors(), (1, 129));
    // Entries less one, table in BAR 3, pending bits in the same.
    assert_eq!(u16_at(&space, 0x72), 128);
    assert_eq!(u32_at(&space, 0x74), 3);
    assert_eq!(u32_at(&space, 0x78), 0x1003);
    // No more capabilities beyond 256 bytes.
    assert_eq!(u32_at(&space, 0x100), 0);
    assert!(capabilities(&ConfigSpace::new(&IDENTITY, &[])).is_empty());
}

#[test]
fn bars_are_sized_as_the_kernel_does_it() {
    let mut space = card();
    assert_eq!(sized(&mut space, 0x10), 0xff80_000c);
    assert_eq!(sized(&mut space, 0x14), u32::MAX);
    assert_eq!(sized(&mut space, 0x1c), 0xffff_800c);
    assert_eq!(sized(&mut space, 0x20), u32::MAX);
    for none in [0x18, 0x24, 0x30] {
        assert_eq!(sized(&mut space, none), 0);
    }
    let narrow = Bar::Memory32 {
        size: 16 << 10,
        prefetchable: false,
    };
    let bars = [(0, Bar::Io(256)), (1, narrow)];
    let mut space = ConfigSpace::new(&IDENTITY, &bars);
    assert_eq!(sized(&mut space, 0x10), 0xffff_ff01);
    assert_eq!(sized(&mut space, 0x14), 0xffff_c000);
    space.write(0x14, &0xfebf_ffffu32.to_le_bytes());
    assert_eq!(u32_at(&space, 0x14), 0xfebf_c000);
    let sizes: Vec<u64> = space
        .bars()
        .iter()
        .flatten()
        .map(|bar| bar.size())
        .collect();
    assert_eq!(sizes, [256, 16 << 10]);
}

#[test]
fn how_it_interrupts_and_whether_it_masters() {
    let mut space = card();
    assert_eq!(space.mode(), Mode::Line);
    assert!(!space.masters() && !space.line_disabled());
    space.write(COMMAND, &0x0406u16.to_le_bytes());
    assert!(space.masters() && space.line_disabled());
    space.write(0x52, &1u16.to_le_bytes());
    assert_eq!(space.mode(), Mode::Msi);
    // MSI-X, masked as a whole, as pci_enable_msix begins; only these two bits can be set.
    space.write(0x72, &0xffffu16.to_le_bytes());
    assert_eq!(u16_at(&space, 0x72), 0xc080);
    assert_eq!(space.mode(), Mode::MsiX);
    space.write(0x72, &0u16.to_le_bytes());
    space.write(0x52, &0u16.to_le_bytes());
    assert_eq!(space.mode(), Mode::Line);
    // Asleep in D3hot, and as it was when it wakes.
    space.write(0x44, &3u16.to_le_bytes());
    assert!(!space.masters());
    assert_eq!(u16_at(&space, 0x44), 0x000b);
    space.write(0x44, &0u16.to_le_bytes());
    assert!(space.masters());
}

#[test]
fn function_level_reset() {
    let mut space = card();
    let before = u16_at(&space, 0xa8);
    space.write(0x10, &0xfe00_0000u32.to_le_bytes());
    space.write(COMMAND, &0x0006u16.to_le_bytes());
    space.write(0x72, &0x8000u16.to_le_bytes());
    // pcie_flr reads, sets a bit, writes.
    assert_ne!(u32_at(&space, 0xa4) & 1 << 28, 0);
    let control = u16_at(&space, 0xa8) | 1 << 15;
    assert_eq!(space.write(0xa8, &control.to_le_bytes()), Effect::Reset);
    assert_eq!(u16_at(&space, 0xa8), before);
    assert_eq!(u32_at(&space, 0x10), 0xc);
    assert!(!space.masters());
    assert_eq!(space.mode(), Mode::Line);
    // The rest of the register is no reset, nor is any other byte.
    assert_eq!(space.write(0xa8, &[0xff, 0x7f]), Effect::None);
    assert_eq!(space.write(0xaa, &[0xff, 0xff]), Effect::None);
}

#[test]
fn beyond_the_end() {
    let mut space = card();
    let mut data = [0; 4];
    space.read(SIZE - 2, &mut data);
    assert_eq!(data, [0, 0, 0xff, 0xff]);
    assert_eq!(space.write(SIZE - 2, &[1; 4]), Effect::None);
    assert_eq!(space.write(usize::MAX - 1, &[1; 4]), Effect::None);
    space.read(usize::MAX - 1, &mut data);
    assert_eq!(data, [0xff; 4]);
}

fn bar() -> impl Strategy<Value = Bar> {
    prop_oneof![
        (2u32..9).prop_map(|log| Bar::Io(1 << log)),
        (4u32..32, any::<bool>()).prop_map(|(log, prefetchable)| Bar::Memory32 {
            size: 1 << log,
            prefetchable,
        }),
        (4u32..63, any::<bool>()).prop_map(|(log, prefetchable)| Bar::Memory64 {
            size: 1 << log,
            prefetchable,
        }),
    ]
}

proptest! {
    #[test]
    fn any_bar_has_its_size(bar in bar(), index in 0u8..5) {
        let mut space = ConfigSpace::new(&IDENTITY, &[(index, bar)]);
        let at = FIRST_BAR + 4 * usize::from(index);
        let low = sized(&mut space, at);
        let (flags, mask) = match bar {
            Bar::Io(_) => (3, u64::from(low) | 0xffff_ffff << 32),
            Bar::Memory32 { .. } => (15, u64::from(low) | 0xffff_ffff << 32),
            Bar::Memory64 { .. } => {
                (15, u64::from(low) | u64::from(sized(&mut space, at + 4)) << 32)
            }
        };
        prop_assert_eq!(!(mask & !flags), bar.size() - 1);
    }

    /// Whatever is written, what a kernel relies on stays, and a reset brings the rest back.
    #[test]
    fn any_writes(writes in prop::collection::vec((0usize..SIZE + 8, prop::collection::vec(any::<u8>(), 0..8)), 0..40)) {
        let fresh = card();
        let mut space = card();
        for (at, data) in writes {
            space.write(at, &data);
        }
        prop_assert_eq!(capabilities(&space), capabilities(&fresh));
        prop_assert_eq!(space.vectors(), fresh.vectors());
        for at in [0x00, 0x08, 0x2c, 0x74, 0x78] {
            prop_assert_eq!(u32_at(&space, at), u32_at(&fresh, at));
        }
        space.reset();
        for at in (0..SIZE).step_by(4) {
            prop_assert_eq!(u32_at(&space, at), u32_at(&fresh, at));
        }
    }
}
