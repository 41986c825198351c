use proptest::prelude::*;

use super::*;

fn nodes(text: &str) -> BTreeMap<PciAddress, Node> {
    read(&Text {
        label: "tree".into(),
        first: 1,
        text,
    })
}

/// As pciutils 3.9 draws configuration spaces that were made for this.
const TREE: &str = r"-+-[0000:00]-
 +-[0000:3a]-+-00.0-[3b-3c]--+-00.0  Intel Corporation Ethernet Controller X710 for 10GbE SFP+ [8086:1572]
 |           |               +-00.1  Intel Corporation Ethernet Controller X710 for 10GbE SFP+ [8086:1572]
 |           |               \-02.0-[3c]--
 |           \-05.0  Intel Corporation Sky Lake-E MM/Vt-d Configuration Registers [8086:2034]
 +-[0000:5e]---00.0  Broadcom / LSI SAS3008 PCI-Express Fusion-MPT SAS-3 [1000:0097]
 \-[10000:00]---02.0-[01]----00.0  Intel Corporation NVMe Datacenter SSD [3DNAND, Beta Rock Controller] [8086:0a54]
";

#[test]
fn drawn() {
    let all = nodes(TREE);
    let drawn: Vec<String> = all
        .iter()
        .map(|(address, node)| {
            let buses = node
                .buses
                .map(|b| format!(" {:x}-{:x}", b.secondary, b.subordinate));
            let id = node.id.map(|id| format!(" {id}"));
            format!(
                "{address}{}{}",
                buses.unwrap_or_default(),
                id.unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        drawn,
        [
            "0000:3a:00.0 3b-3c",
            "0000:3a:05.0 8086:2034",
            "0000:3b:00.0 8086:1572",
            "0000:3b:00.1 8086:1572",
            "0000:3b:02.0 3c-3c",
            "0000:5e:00.0 1000:0097",
            "10000:00:02.0 1-1",
            "10000:01:00.0 8086:0a54",
        ]
    );
    let disk = &all[&"10000:01:00.0".parse().unwrap()];
    assert_eq!(
        disk.description,
        "Intel Corporation NVMe Datacenter SSD [3DNAND, Beta Rock Controller]"
    );
    assert_eq!(disk.line, 7);
}

#[test]
fn one_root_and_no_words() {
    let all = nodes("-[0000:00]-+-00.0\n           +-01.0-[01]--\n           \\-1f.2\n");
    let places: Vec<String> = all.keys().map(PciAddress::to_string).collect();
    assert_eq!(places, ["0000:00:00.0", "0000:00:01.0", "0000:00:1f.2"]);
}

proptest! {
    #[test]
    fn any_text(tree in r"([ |]{0,12}[-+\\\[\]0-9a-f.: é]{0,30}\n){0,10}") {
        nodes(&tree);
    }

    /// A tree without its first lines says nothing wrong.
    #[test]
    fn without_a_beginning(skipped in 0usize..7) {
        let whole = nodes(TREE);
        let rest: String = TREE.split_inclusive('\n').skip(skipped).collect();
        for (address, node) in nodes(&rest) {
            prop_assert_eq!(&whole[&address].buses, &node.buses);
        }
    }
}
