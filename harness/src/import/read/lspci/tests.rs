use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Text<'_> {
    Text {
        label: "lspci".into(),
        first: 1,
        text,
    }
}

fn functions(listing: &str) -> BTreeMap<PciAddress, PciFunction> {
    read(&text(listing)).functions
}

fn at(address: &str) -> PciAddress {
    address.parse().unwrap()
}

/// As pciutils 3.9 prints configuration spaces that were made for this, with what it adds on a
/// running system.
const VERBOSE: &str = "\
3a:00.0 PCI bridge [0604]: Intel Corporation Sky Lake-E PCI Express Root Port A [8086:2030] (rev 04) (prog-if 00 [Normal decode])
\tDeviceName: Riser 1
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tInterrupt: pin A routed to IRQ 34
\tNUMA node: 0
\tBus: primary=3a, secondary=3b, subordinate=3c, sec-latency=0
\tCapabilities: [40] Subsystem: Intel Corporation Device [8086:8086]
\tCapabilities: [48] MSI: Enable+ Count=1/2 Maskable+ 64bit+
\t\tAddress: fee00098  Data: 0000
\tCapabilities: [60] Express (v2) Root Port (Slot+), MSI 00
\tKernel driver in use: pcieport

3b:00.0 Ethernet controller [0200]: Intel Corporation Ethernet Controller X710 for 10GbE SFP+ [8086:1572] (rev 02)
\tSubsystem: Intel Corporation Ethernet Converged Network Adapter X710-2 [8086:0007]
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tInterrupt: pin A routed to IRQ 40
\tNUMA node: 1
\tRegion 0: Memory at e2000000 (64-bit, prefetchable) [size=8M]
\tRegion 3: Memory at e2808000 (64-bit, prefetchable) [size=32K]
\tExpansion ROM at e3000000 [disabled] [size=512K]
\tCapabilities: [48] MSI: Enable- Count=1/1 Maskable+ 64bit+
\tCapabilities: [60] MSI-X: Enable+ Count=129 Masked-
\t\tVector table: BAR=3 offset=00000000
\t\tPBA: BAR=3 offset=00001000
\tCapabilities: [6c] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 128 bytes, PhantFunc 0, Latency L0s <64ns, L1 <1us
\tCapabilities: [a8] Vital Product Data
\t\tProduct Name: X710
\t\tRead-only fields:
\t\t\t[SN] Serial number: SECRET42
\tCapabilities: [148 v1] Device Serial Number 68-05-ca-ff-ff-01-02-03
\tCapabilities: [154 v1] Single Root I/O Virtualization (SR-IOV)
\t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE- ARIHierarchy- 10BitTagReq-
\t\tInitial VFs: 64, Total VFs: 64, Number of VFs: 2, Function Dependency Link: 00
\t\tVF offset: 16, stride: 1, Device ID: 154c
\t\tRegion 0: Memory at 00000000e0000000 (64-bit, prefetchable)
\t\tRegion 3: Memory at 00000000e1000000 (64-bit, prefetchable)
\tKernel driver in use: i40e
\tKernel modules: i40e, i40e-extra

0000:5e:00.0 Serial Attached SCSI controller [0107]: Broadcom / LSI SAS3008 PCI-Express Fusion-MPT SAS-3 [1000:0097] (rev 02)
\tSubsystem: Dell HBA330 Mini [1028:1f53]
\tRegion 0: I/O ports at d000 [disabled] [size=256]
\tRegion 1: Memory at e3100000 (64-bit, non-prefetchable) [size=64K]
\tCapabilities: [8c] MSI: Enable- Count=1/16 Maskable+ 64bit+
\tCapabilities: [a4] MSI-X: Enable+ Count=96 Masked-
\t\tVector table: BAR=1 offset=0000e000
\t\tPBA: BAR=1 offset=0000f000
\tKernel driver in use: mpt3sas

10000:01:00.0 Non-Volatile memory controller [0108]: Intel Corporation NVMe Datacenter SSD [3DNAND, Beta Rock Controller] [8086:0a54] (prog-if 02 [NVM Express])
\tSubsystem: Dell Express Flash NVMe 1TB 2.5\" U.2 (P4500) [1028:1fe1]
\tCapabilities: <access denied>
";

#[test]
fn everything_of_a_function() {
    let all = read(&text(VERBOSE));
    assert_eq!(all.functions.len(), 4);
    let bridge = &all.functions[&at("0000:3a:00.0")];
    assert_eq!(bridge.class, Some(0x0604));
    assert_eq!(bridge.prog_if, Some(0));
    let buses = Buses {
        secondary: 0x3b,
        subordinate: 0x3c,
    };
    assert_eq!(bridge.buses, Some(buses));
    assert_eq!(bridge.express, Some(Express::RootPort));
    let msi = Msi {
        enabled: true,
        granted: 1,
        most: 2,
        maskable: true,
    };
    assert_eq!(bridge.msi, Some(msi));

    let card = &all.functions[&at("3b:00.0")];
    assert_eq!(card.source.to_string(), "lspci:14");
    assert_eq!(
        card.description,
        "Intel Corporation Ethernet Controller X710 for 10GbE SFP+"
    );
    let id = |vendor, device| Some(PciId { vendor, device });
    assert_eq!(card.id, id(0x8086, 0x1572));
    assert_eq!(card.subsystem, id(0x8086, 0x0007));
    assert_eq!((card.revision, card.numa), (2, Some(1)));
    let line = Line {
        pin: Some(Pin::A),
        irq: Some(40),
    };
    assert_eq!(card.line, Some(line));
    let msix = card.msix.unwrap();
    assert_eq!((msix.enabled, msix.size.get()), (true, 129));
    assert_eq!(msix.table, Some(InBar { bar: 3, offset: 0 }));
    let pending = InBar {
        bar: 3,
        offset: 0x1000,
    };
    assert_eq!(msix.pending, Some(pending));
    let sriov = card.sriov.unwrap();
    assert_eq!(
        (sriov.total, sriov.enabled, sriov.offset, sriov.stride),
        (64, 2, 16, 1)
    );
    assert_eq!(card.driver.as_deref(), Some("i40e"));
    assert_eq!(card.modules, ["i40e", "i40e_extra"]);
    // Those of the virtual functions have no size, and are not its own.
    let sizes: Vec<_> = card.bars.iter().map(|bar| (bar.index, bar.size)).collect();
    let bytes = |size| Some(Bytes(size));
    assert_eq!(
        sizes,
        [
            (0, bytes(8 << 20)),
            (3, bytes(32 << 10)),
            (6, bytes(512 << 10))
        ]
    );

    let adapter = &all.functions[&at("5e:00.0")];
    assert_eq!(adapter.bars[0].kind, BarKind::Io);
    let memory = BarKind::Memory {
        wide: true,
        prefetchable: false,
    };
    assert_eq!(adapter.bars[1].kind, memory);
    assert_eq!(adapter.msix.unwrap().table.unwrap().offset, 0xe000);

    let disk = &all.functions[&at("10000:01:00.0")];
    assert_eq!(disk.prog_if, Some(2));
    assert_eq!(disk.subsystem, id(0x1028, 0x1fe1));
    assert_eq!(disk.capabilities, Capabilities::Hidden);
    assert!(disk.description.ends_with("[3DNAND, Beta Rock Controller]"));
    assert_eq!(all.notes.len(), 1);
    assert!(
        all.notes[0]
            .text
            .contains("not run by root: no interrupts of 1")
    );
}

/// In sosreports standard error is in the same file, and its lines stand anywhere.
#[test]
fn errors_of_pciutils_in_between() {
    let clean = functions(VERBOSE);
    for at in (0..VERBOSE.len()).filter(|at| VERBOSE.is_char_boundary(*at)) {
        let (before, behind) = VERBOSE.split_at(at);
        let error = "pcilib: sysfs_read_vpd: read failed: Input/output error\n";
        let mut found = functions(&format!("{before}{error}{error}{behind}"));
        for (address, function) in &mut found {
            function.source = clean[address].source.clone();
        }
        // Blanks at the end of a line are nobody's, and those at its break may be.
        if !before.ends_with(' ') {
            assert_eq!(found, clean, "{at}: {before}");
        }
    }
}

#[test]
fn nothing_private_is_kept() {
    let all = format!("{:?}", read(&text(VERBOSE)));
    for secret in ["SECRET42", "68-05-ca", "fee00098"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn numbers_only_or_words_only() {
    let numbers = functions("3b:00.0 0200: 8086:1572 (rev 02)\n\tSubsystem: 8086:0007\n");
    let card = &numbers[&at("3b:00.0")];
    assert_eq!(card.class, Some(0x0200));
    assert_eq!(card.id.unwrap().to_string(), "8086:1572");
    assert_eq!(card.subsystem.unwrap().to_string(), "8086:0007");
    let words = functions(
        "00:1f.2 SATA controller: Intel Corporation 8 Series (rev 04) (prog-if 01 [AHCI 1.0])\n",
    );
    let sata = &words[&at("00:1f.2")];
    assert_eq!(
        (sata.class, sata.id, sata.prog_if),
        (Some(0x0106), None, Some(1))
    );
    assert_eq!(sata.description, "Intel Corporation 8 Series");
    // pciutils 2.2, of RHEL 5.
    let old = functions(
        "02:00.0 Class 0104: 1000:0060 (rev 04)\n\
         \tCapabilities: [c4] Message Signalled Interrupts: Mask- 64bit+ Queue=0/2 Enable-\n\
         \tCapabilities: [d4] MSI-X: Enable- Mask- TabSize=4\n",
    );
    let raid = &old[&at("02:00.0")];
    assert_eq!(raid.class, Some(0x0104));
    assert_eq!(raid.msix.unwrap().size.get(), 4);
    let msi = raid.msi.unwrap();
    assert_eq!((msi.enabled, msi.granted, msi.most), (false, 1, 4));
}

/// `-v`: registers without numbers, the interrupt among the flags.
#[test]
fn one_v() {
    let all = functions(
        "03:00.3 USB controller: AMD Raven USB 3.1 (prog-if 30 [XHCI])\n\
         \tFlags: bus master, fast devsel, latency 0, IRQ 30, NUMA node 2, IOMMU group 9\n\
         \tI/O ports at d000 [size=128]\n\
         \tMemory at c0300000 (64-bit, non-prefetchable) [size=1M]\n\
         \tMemory at c0400000 (32-bit, non-prefetchable) [size=4K]\n\
         \tCapabilities: [64] Express Legacy Endpoint, MSI 00\n\
         \tCapabilities: [c0] MSI-X: Enable+ Count=8 Masked-\n\
         \tKernel driver in use: xhci_hcd\n",
    );
    let usb = &all[&at("03:00.3")];
    assert_eq!(usb.line.unwrap().irq, Some(30));
    assert_eq!(usb.numa, Some(2));
    assert_eq!(usb.express, Some(Express::LegacyEndpoint));
    let indexes: Vec<u8> = usb.bars.iter().map(|bar| bar.index).collect();
    assert_eq!(indexes, [0, 1, 3]);
}

/// RHEL 6's sosreports have a short listing and a long one in a file; people paste without tabs,
/// with CRLF, with more around it.
#[test]
fn twice_and_damaged() {
    let twice = "lspci:\n\n3b:00.0 Ethernet controller: Intel X710 (rev 02)\n\nlspci -nvv:\n\n\
                 3b:00.0 0200: 8086:1572 (rev 02)\n\tCapabilities: [70] MSI-X: Enable- Count=5 Masked-\n";
    let card = &functions(twice)[&at("3b:00.0")];
    assert_eq!(card.description, "Intel X710");
    assert_eq!(card.msix.unwrap().size.get(), 5);
    let pasted = VERBOSE.replace('\t', "").replace('\n', "\r\n");
    let (from_paste, whole) = (functions(&pasted), functions(VERBOSE));
    for (address, function) in &whole {
        assert_eq!(from_paste[address].msix, function.msix);
        assert_eq!(from_paste[address].driver, function.driver);
        assert_eq!(from_paste[address].bars, function.bars);
    }
    let prose = functions(
        "3b:00.0 Ethernet controller: X\nAnd so on\n\tCapabilities: [70] MSI-X: Enable- Count=5\n",
    );
    assert_eq!(prose[&at("3b:00.0")].msix, None);
}

/// A mail breaks lines where the next word does not fit; nothing else below a long line is its rest.
#[test]
fn broken_lines() {
    const CARD: &str = "11:00.0 Ethernet controller [0200]: Intel Corporation Ethernet Network";
    let id = |below: &str| functions(&format!("{CARD}\n{below}\n"))[&at("11:00.0")].clone();
    let card = id("Controller E810-C for QSFP [8086:1592] (rev 02)");
    assert_eq!(card.id.unwrap().to_string(), "8086:1592");
    assert!(
        card.description
            .ends_with("Network Controller E810-C for QSFP")
    );
    for other in ["root@db7:~# uname -n", "", "11:00.1 Ethernet controller: X"] {
        assert!(
            id(other).description.ends_with("Ethernet Network"),
            "{other}"
        );
    }
    // Of 81 characters: no mail program's.
    let long = format!("{CARD} {}\nroot\n", "x".repeat(81 - CARD.len()));
    assert!(functions(&long)[&at("11:00.0")].description.ends_with('x'));
}

/// `-PP`, whose paths have the domain in front.
#[test]
fn paths_of_bridges() {
    let all = functions(
        "16:01.0/17:00.0 0200: 8086:1592\n10000:e0:06.0/e1:00.0 0108: 15b7:5009\n\
         x/18:00.0 0200: 8086:1592\n16:01.0/00.0 0200: 8086:1592\n",
    );
    let places: Vec<String> = all.keys().map(PciAddress::to_string).collect();
    assert_eq!(places, ["0000:17:00.0", "10000:e1:00.0"]);
}

#[test]
fn impossible_numbers() {
    let all = functions(
        "3b:00.0 0200: 8086:1572\n\
         \tCapabilities: [70] MSI-X: Enable+ Count=4096 Masked-\n\
         \tCapabilities: [50] MSI: Enable+ Count=1/64 Maskable- 64bit+\n\
         \tRegion 9: Memory at 0 (64-bit, prefetchable)\n\
         \tInterrupt: pin ? routed to IRQ 99999999999\n\
         \tBus: primary=00, secondary=0é, subordinate=00\n\
         3b:20.0 0200: 8086:1572\n3b:00.8 0200: 8086:1572\n",
    );
    assert_eq!(all.len(), 1);
    let card = &all[&at("3b:00.0")];
    assert_eq!((card.msix, card.msi, card.buses), (None, None, None));
    assert!(card.bars.is_empty());
}

proptest! {
    #[test]
    fn any_text(listing in "((> ?){0,2}([0-9a-f]{2}:[01][0-9a-f]\\.[0-7] |\t)(MSI-X: |MSI: |Bus: |Region [0-9]: |Capabilities: |Interrupt: |[ -~é]){0,12}\n){0,12}") {
        let all = functions(&listing);
        prop_assert!(all.len() <= listing.lines().count());
    }

    /// Wherever it is cut, what came before is what it was.
    #[test]
    fn cut(end in 0..VERBOSE.len()) {
        let end = VERBOSE.floor_char_boundary(end);
        let whole = functions(VERBOSE);
        let cut = functions(&VERBOSE[..end]);
        let last = cut.keys().next_back().copied();
        // Addresses of the text are in order.
        for (address, function) in &cut {
            if Some(*address) != last {
                prop_assert_eq!(&whole[address], function);
            }
        }
    }
}
