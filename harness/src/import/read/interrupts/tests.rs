use proptest::prelude::*;

use super::*;

fn table(text: &str) -> Interrupts {
    read(&Text {
        label: "interrupts".into(),
        first: 1,
        text,
    })
}

fn shown(text: &str) -> Vec<String> {
    let lines = table(text).lines;
    let line = |line: &Sourced<Interrupt>| {
        let Interrupt {
            irq,
            kind,
            function,
            actions,
        } = &line.value;
        let whose = function.map_or("-".to_owned(), |address| address.to_string());
        format!("{irq} {kind:?} {whose} {}", actions.join("|"))
    };
    lines.iter().map(line).collect()
}

#[test]
fn of_rhel_7() {
    let text = "           CPU0       CPU1       \n\
        \x20  0:         42          0  IR-IO-APIC-edge      timer\n\
        \x20 16:          1          0  IR-IO-APIC-fasteoi   ehci_hcd:usb1, uhci_hcd:usb3\n\
        \x20 24:          0          0  DMAR_MSI-edge      dmar0\n\
        \x20 40:         12          3  IR-PCI-MSI-edge      eth0-TxRx-0\n\
        \x20 41:          0          0  IR-PCI-MSI-edge      i40e-0000:3b:00.1:misc\n\
        NMI:          0          0   Non-maskable interrupts\n";
    assert_eq!(table(text).cpus.unwrap().value, 2);
    assert_eq!(
        shown(text),
        [
            "0 Line(0) - timer",
            "16 Line(16) - ehci_hcd:usb1|uhci_hcd:usb3",
            "24 Other - dmar0",
            "40 Message - eth0-TxRx-0",
            "41 Message 0000:3b:00.1 i40e-0000:3b:00.1:misc",
        ]
    );
}

#[test]
fn of_newer_kernels() {
    let text = "            CPU0       CPU1       CPU2       CPU3       \n\
        \x20  9:          0          0          0          0  IR-IO-APIC    9-fasteoi   acpi\n\
        \x20 30:          0          0          0          0  DMAR-MSI    0-edge      dmar0\n\
        \x20120:          0          0          9          0  IR-PCI-MSI 31981568-edge      i40e-eth0-TxRx-0\n\
        \x20121:          0          0          9          0  PCI-MSIX-0000:5e:00.0    0-edge      mpt3sas0-msix0\n\
        \x20122:          0          0          9          0  IR-PCI-MSI-0000:00:1f.2    0-edge      ahci[0000:00:1f.2]\n\
        \x20123:          0          0          9          0  IR-PCI-MSIX-0000:3b:00.0    1-edge      mlx5_comp0@pci:0000:3b:00.0\n\
        \x20124:          0          0          9\n";
    assert_eq!(
        shown(text),
        [
            "9 Line(9) - acpi",
            "30 Other - dmar0",
            "120 Message 0000:3d:00.0 i40e-eth0-TxRx-0",
            "121 Message 0000:5e:00.0 mpt3sas0-msix0",
            "122 Message 0000:00:1f.2 ahci[0000:00:1f.2]",
            "123 Message 0000:3b:00.0 mlx5_comp0@pci:0000:3b:00.0",
        ]
    );
}

proptest! {
    /// What pci_msi_domain_calc_hwirq() makes is taken apart again.
    #[test]
    fn numbers_of_messages(index in 0u32..2048, place in any::<u16>(), domain in 0u32..32) {
        let address = encoded(index | u32::from(place) << 11 | domain << 27);
        let slot = u16::from(address.slot.device) << 3 | u16::from(address.slot.function);
        prop_assert_eq!(u16::from(address.bus) << 8 | slot, place);
        prop_assert_eq!(address.domain, domain);
    }

    #[test]
    fn any_text(text in "(CPU0 CPU1\n)?([ 0-9]{0,4}:?[ 0-9]{0,20}(IR-|IO-APIC|PCI-MSI-|edge|[ -~é]){0,8}\n){0,8}") {
        table(&text);
    }
}
