use proptest::prelude::*;

use super::*;

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

#[test]
fn ids() {
    let id: Id = "8086:1572".parse().unwrap();
    assert_eq!(id, Id::new(0x8086, 0x1572));
    assert_eq!(id.to_string(), "8086:1572");
    assert_eq!("1000:0097".parse::<Id>().unwrap().to_string(), "1000:0097");
    for bad in [
        "",
        ":",
        "8086",
        "8086:157",
        "8086:15722",
        "808g:1572",
        "+086:1572",
        "8086:1572:1",
    ] {
        let error = bad.parse::<Id>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("`{bad}` is not a pair of PCI ids such as 8086:1572")
        );
    }
}

#[test]
fn classes_have_an_interface_or_not() {
    let class = |text: &str| text.parse::<Class>().map(Class::get);
    assert_eq!(class("0200"), Ok(0x02_0000));
    assert_eq!(class("0x0200"), Ok(0x02_0000));
    assert_eq!(class("010802"), Ok(0x01_0802));
    assert_eq!(class("0c03"), Ok(0x0c_0300));
    assert!("0604".parse::<Class>().unwrap().is_pci_bridge());
    assert!(!"0600".parse::<Class>().unwrap().is_pci_bridge());
    for bad in ["", "2", "200", "02000", "0200000", "ether"] {
        assert!(class(bad).is_err(), "{bad}");
    }
}

#[test]
fn revisions_are_hexadecimal() {
    let revision = |text: &str| text.parse().map(|Revision(revision)| revision);
    assert_eq!(revision("02"), Ok(2));
    assert_eq!(revision("10"), Ok(0x10));
    assert_eq!(revision("c1"), Ok(0xc1));
    assert!(revision("100").is_err());
    assert!(revision("").is_err());
}

#[test]
fn regions_in_lspcis_words() {
    for (text, size, space, shown) in [
        (
            "8M 64-bit prefetchable",
            8 << 20,
            Space::Memory {
                wide: true,
                prefetchable: true,
            },
            "8M 64-bit prefetchable",
        ),
        (
            "64-bit, non-prefetchable 64K",
            64 << 10,
            Space::Memory {
                wide: true,
                prefetchable: false,
            },
            "64K 64-bit",
        ),
        (
            "32-bit, prefetchable 16M",
            16 << 20,
            Space::Memory {
                wide: false,
                prefetchable: true,
            },
            "16M prefetchable",
        ),
        ("256 I/O", 256, Space::Ports, "256 I/O"),
    ] {
        let region = region(text);
        assert_eq!((region.size(), region.space()), (size, space), "{text}");
        assert_eq!(region.to_string(), shown);
    }
    for (bad, said) in [
        ("", "`` is not a region such as"),
        ("64-bit", "`64-bit` is not a region such as"),
        ("8M 8M", "`8M 8M` is not a region such as"),
        ("8Q", "`8Q` is not a region such as"),
        (
            "3M",
            "the size of a region is a power of two, which 3M is not",
        ),
        (
            "0",
            "the size of a region is a power of two, which 0 is not",
        ),
        ("8", "a region of 32-bit memory has 16 to 256M, not 8"),
        ("1G", "a region of 32-bit memory has 16 to 256M, not 1G"),
        (
            "128G 64-bit",
            "a region of 64-bit memory has 16 to 64G, not 128G",
        ),
        ("4K I/O", "a region of I/O has 4 to 256, not 4K"),
        ("256 I/O 64-bit", "I/O is neither 64-bit nor prefetchable"),
    ] {
        let error = bad.parse::<Region>().unwrap_err().to_string();
        assert!(error.starts_with(said), "{bad}: {error}");
    }
}

#[test]
fn the_last_region_with_room_holds_the_table() {
    let regions = [region("256 I/O"), region("64K 64-bit"), region("1M 64-bit")];
    assert_eq!(table_region(&regions, 96), Some((3, 1 << 20)));
    assert_eq!(table_region(&regions[..2], 96), Some((1, 64 << 10)));
    assert_eq!(table_region(&regions[..2], 2048), Some((1, 64 << 10)));
    assert_eq!(table_region(&[region("32K")], 2048), None);
    assert_eq!(table_region(&regions[..1], 1), None);
    assert_eq!(table_region(&[], 1), None);
}

proptest! {
    #[test]
    fn what_is_shown_can_be_read(vendor: u16, device: u16, class in 0u32..1 << 24, revision: u8) {
        let id = Id::new(vendor, device);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let class = Class(class);
        prop_assert_eq!(class.to_string().parse(), Ok(class));
        let revision = Revision(revision);
        prop_assert_eq!(revision.to_string().parse(), Ok(revision));
    }

    #[test]
    fn regions_can_be_read_back(shift in 2u32..37, ports: bool, wide: bool, prefetchable: bool) {
        let mut text = Bytes(1 << shift).to_string();
        for (word, there) in [(" I/O", ports), (" 64-bit", wide), (" prefetchable", prefetchable)] {
            text.push_str(if there { word } else { "" });
        }
        if let Ok(region) = text.parse::<Region>() {
            prop_assert_eq!(region.to_string(), text);
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC*") {
        let _ = (text.parse::<Id>(), text.parse::<Class>(), text.parse::<Revision>());
        let _ = text.parse::<Region>();
    }
}

#[test]
fn room_for_memory_and_ports() {
    let rest = |regions: &[&str], devices| {
        let regions: Vec<Region> = regions.iter().map(|text| region(text)).collect();
        Room::ALL.without(&regions, devices)
    };
    assert!(rest(&["64G 64-bit prefetchable"], 4).is_ok());
    assert!(rest(&["64G 64-bit prefetchable"], 5).is_err());
    assert!(rest(&["256M", "256 I/O"], 3).is_ok());
    assert_eq!(
        rest(&["256M"], 4).unwrap_err().to_string(),
        "the regions of 32-bit memory of all devices together have room for 768M"
    );
    assert!(rest(&["256 I/O"], 32).is_ok());
    assert!(rest(&["256 I/O"], 33).is_err());
    assert!(rest(&["16M"], u64::MAX).is_err());
}
