use super::*;

const X710: Identity = Identity {
    vendor: 0x8086,
    device: 0x1572,
    subvendor: 0x15d9,
    subdevice: 0x0808,
    class: 0x02_0000,
    revision: 2,
};

fn word(config: &ConfigSpace, at: usize) -> u32 {
    let mut data = [0; 4];
    config.read(at, &mut data);
    u32::from_le_bytes(data)
}

/// Where a capability is, and its first word.
fn capability(config: &ConfigSpace, id: u32) -> Option<(usize, u32)> {
    let mut at = word(config, 0x34) as usize & 0xff;
    while at != 0 {
        let head = word(config, at);
        if head & 0xff == id {
            return Some((at, head));
        }
        at = head as usize >> 8 & 0xff;
    }
    None
}

fn regions(texts: &[&str]) -> Vec<Region> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn it_is_what_lspci_shows() {
    let regions = regions(&[
        "8M 64-bit prefetchable",
        "256 I/O",
        "32K 64-bit prefetchable",
    ]);
    let config = Generic::config(&X710, Some(&regions), 129, true);
    assert_eq!(word(&config, 0), 0x1572_8086);
    assert_eq!(word(&config, 8), 0x0200_0002);
    assert_eq!(word(&config, 0x2c), 0x0808_15d9);
    // Types of the registers: 64-bit prefetchable, its upper half, I/O, 64-bit prefetchable.
    let types: Vec<u32> = (0..4)
        .map(|nth| word(&config, 0x10 + 4 * nth) & 0xf)
        .collect();
    assert_eq!(types, [0xc, 0, 1, 0xc]);
    let (at, head) = capability(&config, 0x11).unwrap();
    assert_eq!(head >> 16 & 0x7ff, 128);
    assert_eq!(word(&config, at + 4), 3);
    assert_eq!(word(&config, at + 8), 0x4000 | 3);
    assert!(capability(&config, 0x05).is_some());
    assert!(capability(&config, 0x10).is_some());
}

#[test]
fn without_a_table_there_is_no_capability() {
    let config = Generic::config(&X710, None, 0, false);
    assert_eq!(capability(&config, 0x11), None);
    assert_eq!(capability(&config, 0x05), None);
}

#[test]
fn the_largest_table_has_a_region_of_its_own() {
    let config = Generic::config(&X710, None, 2048, false);
    let (at, head) = capability(&config, 0x11).unwrap();
    assert_eq!(head >> 16 & 0x7ff, 2047);
    assert_eq!(word(&config, at + 8), 0x8000);
    assert_eq!(config.bars()[0].map(Bar::size), Some(64 << 10));
}
